//! Lines of Envoy access logs in Istio's default text format (`pilot/pkg/model/telemetry_logging.go`,
//! `EnvoyTextLogFormat`), as the proxies on the request's way would have written them: the client's
//! for every call, the server's for every try that reached it. Fields that are not simulated are `-`.

use super::EPOCH;
use crate::explain::Explanation;
use crate::explain::trace::{Span, SpanKind};
use crate::units::SimTime;

/// The lines in the order in which they would be written, at the end of each request.
pub fn render(explanation: &Explanation) -> String {
    let mut lines: Vec<(SimTime, String)> = Vec::new();
    for (id, span) in explanation.spans.iter().enumerate() {
        let line = match span.kind {
            SpanKind::Call if span.has_proxy => Some(outbound(explanation, id, span)),
            SpanKind::Server if span.has_proxy => inbound(explanation, span),
            SpanKind::Call | SpanKind::Try | SpanKind::Server => None,
        };
        if let (Some(line), Some(end)) = (line, span.end) {
            lines.push((end, line));
        }
    }
    // Stable: what ends at once keeps the order of its beginnings.
    lines.sort_by_key(|(end, _)| *end);
    lines.into_iter().map(|(_, line)| line + "\n").collect()
}

fn outbound(explanation: &Explanation, id: usize, call: &Span) -> String {
    let mut tries = explanation.spans.iter();
    let last = tries.rfind(|s| s.kind == SpanKind::Try && s.parent == Some(id) && !s.ip.is_empty());
    let port = call.cluster.split('|').nth(1).unwrap_or("0");
    let host = last.map_or_else(|| "-".to_owned(), |t| format!("{}:{port}", t.ip));
    let took = last.and_then(|t| Some(t.end?.since(t.begin).as_millis_f64() as u64));
    let took = took.filter(|_| call.details == "via_upstream");
    line(&Line {
        span: call,
        asked: &call.name,
        status: call.status.unwrap_or(0),
        upstream_ms: took,
        upstream: &host,
        cluster: if call.cluster.is_empty() {
            "-"
        } else {
            &call.cluster
        },
        remote: &call.ip,
    })
}

fn inbound(explanation: &Explanation, server: &Span) -> Option<String> {
    let attempt = &explanation.spans[server.parent?];
    let call = &explanation.spans[attempt.parent?];
    let end = server.end?;
    let took = end.since(server.begin).as_millis_f64() as u64;
    let given_up = server.abandoned && attempt.end.is_some_and(|left| left < end);
    Some(line(&Line {
        span: &Span {
            authority: call.authority.clone(),
            flags: if given_up {
                "DC".to_owned()
            } else {
                "-".to_owned()
            },
            details: if given_up {
                "downstream_remote_disconnect".to_owned()
            } else {
                "via_upstream".to_owned()
            },
            end: if given_up { attempt.end } else { server.end },
            ..server.clone()
        },
        asked: &call.name,
        status: if given_up {
            0
        } else {
            server.status.unwrap_or(0)
        },
        upstream_ms: (!given_up).then_some(took),
        upstream: &server.ip,
        cluster: "inbound",
        remote: &call.ip,
    }))
}

struct Line<'l> {
    span: &'l Span,
    /// `METHOD URL`.
    asked: &'l str,
    status: u16,
    upstream_ms: Option<u64>,
    upstream: &'l str,
    cluster: &'l str,
    remote: &'l str,
}

fn line(l: &Line<'_>) -> String {
    let (method, url) = l.asked.split_once(' ').unwrap_or(("GET", l.asked));
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').map_or("/", |at| &rest[at..]);
    let begin = l.span.begin;
    let took = l
        .span
        .end
        .map_or(0, |end| end.since(begin).as_millis_f64() as u64);
    let details = if l.span.details.is_empty() {
        "-"
    } else {
        &l.span.details
    };
    let upstream_ms = l
        .upstream_ms
        .map_or_else(|| "-".to_owned(), |ms| ms.to_string());
    format!(
        "[{}] \"{method} {path} HTTP/1.1\" {} {} {details} - \"-\" 0 0 {took} {upstream_ms} \"-\" \"-\" \"-\" \"{}\" \"{}\" {} - - {}:0 - -",
        clock(begin),
        l.status,
        l.span.flags,
        l.span.authority,
        l.upstream,
        l.cluster,
        l.remote,
    )
}

/// `2000-01-01T00:00:12.345Z`; a run lasts less than a month.
fn clock(at: SimTime) -> String {
    let ms = at.ns() / 1_000_000;
    let (seconds, ms) = (ms / 1_000, ms % 1_000);
    let (day, second) = (seconds / 86_400, seconds % 86_400);
    debug_assert_eq!(EPOCH % 86_400, 0, "virtual time begins at midnight");
    format!(
        "2000-01-{:02}T{:02}:{:02}:{:02}.{ms:03}Z",
        day + 1,
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
}
