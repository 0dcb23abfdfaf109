//! One request, explained: for people, as JSON, and in the formats of tracing tools.

pub mod access_log;
pub mod chrome;
pub mod jaeger;
pub mod json;
pub mod otlp;
mod waterfall;

use super::format::{duration, percent, wrap};
use super::table::PAGE;
use super::text::{heading, notes};
use crate::explain::trace::{Span, SpanKind};
use crate::explain::{Explanation, critical_path};
use crate::units::SimTime;

/// What outputs of tools take for the beginning of virtual time: 2000-01-01T00:00:00Z, in
/// seconds since 1970. Tools show years; a run has none.
const EPOCH: u64 = 946_684_800;
/// Shares of the time that are listed.
const SHARES_MAX: usize = 6;
/// Calls whose decisions are listed without being asked for.
const CALLS_MAX: usize = 12;

/// For people. `all`: decisions of every call, not only of those where something happened.
pub fn text(
    explanation: &Explanation,
    all: bool,
    assumed: &[String],
    warnings: &[String],
) -> String {
    let mut out = headline(explanation);
    shares(&mut out, explanation);
    heading(&mut out, "Time line");
    waterfall::draw(&mut out, explanation);
    decisions(&mut out, explanation, all);
    notes(&mut out, "Assumed", assumed);
    notes(&mut out, "Warnings", warnings);
    out
}

/// `shoppers #1204: GET http://orders:8080/ failed with 503 (UF,URX) after 1.2 s and 3 tries`.
fn headline(explanation: &Explanation) -> String {
    let r = &explanation.request;
    let asked = explanation.spans.first().map_or("", |s| s.name.as_str());
    let how = match (r.status, r.flags.as_str()) {
        (0, "-") => "got no answer".to_owned(),
        (0, flags) => format!("got no answer ({flags})"),
        (status, "-") => format!("was answered {status}"),
        (status, flags) => format!("was answered {status} ({flags})"),
    };
    let tries = match r.attempts {
        0 | 1 => String::new(),
        n => format!(", {n} tries"),
    };
    let at = duration(r.at.since(SimTime::ZERO));
    let text = format!(
        "{} #{}: {asked}, sent at {at}, {how} after {}{tries}",
        explanation.load,
        r.number,
        duration(r.duration)
    );
    wrap(&text, "", 2, PAGE)
}

fn shares(out: &mut String, explanation: &Explanation) {
    let total = explanation.request.duration;
    if total.is_zero() {
        return;
    }
    let shares = critical_path(explanation);
    heading(out, "Where the time went");
    for share in shares.iter().take(SHARES_MAX) {
        let part = share.time.ns() as f64 / total.ns() as f64;
        let time = duration(share.time);
        out.push_str(&wrap(
            &share.what,
            &format!("  {:>8}  {time:>9}  ", percent(part)),
            23,
            PAGE,
        ));
    }
    let rest = shares.len().saturating_sub(SHARES_MAX);
    if rest > 0 {
        out.push_str(&format!(
            "  and {rest} smaller shares (-o json lists all)\n"
        ));
    }
}

fn decisions(out: &mut String, explanation: &Explanation, all: bool) {
    let calls = explanation.spans.iter().enumerate();
    let calls: Vec<(usize, &Span)> = calls.filter(|(_, s)| s.kind == SpanKind::Call).collect();
    let told = calls
        .iter()
        .filter(|(id, call)| all || call.parent.is_none() || is_eventful(explanation, *id, call));
    let told: Vec<&(usize, &Span)> = told.collect();
    let most = if all { usize::MAX } else { CALLS_MAX };
    for (_, call) in told.iter().take(most) {
        heading(out, &format!("{} → {}", call.workload, call.name));
        for told in &call.told {
            let at = told.at.map_or_else(String::new, |at| {
                format!("+{}", duration(at.since(explanation.request.at)))
            });
            out.push_str(&wrap(&told.what, &format!("  {at:>9}  "), 13, PAGE));
        }
    }
    let left = calls.len() - told.len().min(most);
    if left > 0 {
        let (calls, them) = if left == 1 {
            ("call", "its")
        } else {
            ("calls", "their")
        };
        out.push_str(&format!(
            "\n{left} more {calls}; --all tells {them} decisions too\n"
        ));
    }
}

/// Something other than one good answer at the first try.
fn is_eventful(explanation: &Explanation, id: usize, call: &Span) -> bool {
    let tries = explanation.spans.iter();
    let tries = tries
        .filter(|s| s.kind == SpanKind::Try && s.parent == Some(id))
        .count();
    tries != 1
        || call
            .status
            .is_none_or(|status| status == 0 || status >= 500)
}

/// Nanoseconds since 1970 of a moment.
fn unix_ns(at: SimTime) -> u64 {
    EPOCH * 1_000_000_000 + at.ns()
}

/// When a span is taken to have ended by tools that need an end.
fn end_of(explanation: &Explanation, span: &Span) -> SimTime {
    let last = span.phases.last().map_or(span.begin, |phase| phase.end);
    let until = explanation.end().max(last).max(span.begin);
    span.end.unwrap_or(until)
}

/// The id of a trace: sixteen bytes from scenario, seed, load, replication and number.
fn trace_id(explanation: &Explanation) -> String {
    let r = &explanation.request;
    let text = format!(
        "{}|{}|{}|{}|{}",
        explanation.scenario, explanation.seed, explanation.load, r.replication, r.number
    );
    let high = crate::units::hash::xxhash64(text.as_bytes());
    let low = crate::units::hash::xxhash64(format!("{text}|").as_bytes());
    format!("{high:016x}{low:016x}")
}

/// The id of a span: eight bytes, never all zero.
fn span_id(trace: &str, index: usize) -> String {
    let hash = crate::units::hash::xxhash64(format!("{trace}|{index}").as_bytes());
    format!("{:016x}", hash.max(1))
}

/// What a span did, as tracing tools name it.
fn operation(span: &Span) -> String {
    match span.kind {
        SpanKind::Call => span.name.clone(),
        SpanKind::Try => format!("try {}", span.name),
        SpanKind::Server => format!("serve {}", span.pod),
    }
}

/// True for what tools paint red.
fn is_error(span: &Span) -> bool {
    span.abandoned
        || span
            .status
            .is_none_or(|status| status == 0 || status >= 500)
}

/// Key and value of what is known of a span, in a fixed order; names are those Envoy's tracer and
/// OpenTelemetry's conventions use.
fn tags(span: &Span) -> Vec<(&'static str, String)> {
    let mut tags = Vec::new();
    let mut tag = |key: &'static str, value: &str| {
        if !value.is_empty() && value != "-" {
            tags.push((key, value.to_owned()));
        }
    };
    tag("k8s.pod.name", &span.pod);
    match span.kind {
        SpanKind::Call => {
            tag("upstream_cluster", &span.cluster);
            tag("response_flags", &span.flags);
            tag("response_code_details", &span.details);
            tag("server.address", &span.authority);
        }
        SpanKind::Try => tag("upstream_address", &span.ip),
        SpanKind::Server => tag("cloud.availability_zone", &span.locality),
    }
    if let Some(status) = span.status {
        tag("http.response.status_code", &status.to_string());
    }
    if span.abandoned {
        tag("towtank.given_up", "true");
    }
    tags
}
