//! The JSON contract of `explain -o json` (`towtank.explain/v1`).

use schemars::JsonSchema;
use serde::Serialize;

use super::super::json::{present, pretty};
use crate::explain::trace::{Span as Explained, SpanKind, Waiting};
use crate::explain::{Explanation, critical_path};
use crate::units::{SimDuration, SimTime};

/// Result of `explain`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExplainReport {
    /// Name and version of this format, `towtank.explain/v1`.
    pub schema: String,
    /// Version of towtank that made it.
    pub version: String,
    /// Name of the scenario.
    pub scenario: String,
    /// Seed of all randomness.
    pub seed: u64,
    /// Replication that the request is of.
    pub replication: u32,
    /// Load that sent the request.
    pub load: String,
    /// Its number in the load, from 0.
    pub number: u64,
    /// When it was sent, in seconds of virtual time.
    pub at_seconds: f64,
    /// How long it took, in milliseconds.
    pub duration_ms: f64,
    /// HTTP status; 0 when there was no answer.
    pub status: u16,
    /// Envoy's response flags; `-` is none.
    pub flags: String,
    /// Envoy's `response_code_details`.
    pub details: String,
    /// What it waited for, the largest share first; they add up to its duration.
    pub critical_path: Vec<Share>,
    /// Calls, tries and what servers did; a parent comes before its children.
    pub spans: Vec<Span>,
}

/// A part of the time.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Share {
    /// What was waited for.
    pub what: String,
    /// How long in all, in milliseconds.
    pub ms: f64,
}

/// A call, a try or what a server did.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Span {
    /// Index in `spans`.
    pub id: usize,
    /// Index of the span above it; null for the load's request.
    pub parent: Option<usize>,
    /// `call` (a request at its client's proxy), `try` (the same at one pod) or `server` (the pod's side of a try).
    pub kind: String,
    /// `caller`, or `nobody` for asynchronous calls, or `mirror` for copies.
    pub waiting: String,
    /// Method and URL of a call, pod of a try, workload of a server.
    pub name: String,
    /// Workload whose time it is.
    pub workload: String,
    /// Pod whose time it is.
    pub pod: String,
    /// When it began, in milliseconds after the request was sent.
    pub begin_ms: f64,
    /// When it ended; null when it did not while the run lasted.
    pub end_ms: Option<f64>,
    /// HTTP status, 0 for none; null when it did not come.
    pub status: Option<u16>,
    /// Response flags of a call; `-` is none.
    pub flags: String,
    /// `response_code_details` of a call; null when there are none.
    pub details: Option<String>,
    /// Cluster that the route chose; null when none was.
    pub cluster: Option<String>,
    /// Its proxy gave it up before it was answered.
    pub given_up: bool,
    /// What its time was spent on, without gaps; empty for calls.
    pub phases: Vec<Phase>,
    /// Decisions about a call, in order.
    pub decisions: Vec<Decision>,
}

/// A part of a span's time.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Phase {
    /// `connect`, `request travels`, `queue`, `work`, `calls`, `pod is gone` or `answer travels`.
    pub kind: String,
    /// Begin, in milliseconds after the request was sent.
    pub begin_ms: f64,
    /// End, in milliseconds after the request was sent.
    pub end_ms: f64,
}

/// One decision, with the line of configuration behind it where somebody wrote one.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// When, in milliseconds after the request was sent; null: when the call came to its proxy, or when it ended.
    pub at_ms: Option<f64>,
    /// In words.
    pub what: String,
}

/// The report as JSON.
pub fn render(explanation: &Explanation) -> String {
    pretty(&report(explanation))
}

/// The JSON Schema, pretty-printed.
pub fn schema() -> String {
    pretty(&schemars::schema_for!(ExplainReport))
}

fn report(explanation: &Explanation) -> ExplainReport {
    let r = &explanation.request;
    let shares = critical_path(explanation).into_iter().map(|share| Share {
        what: share.what,
        ms: share.time.as_millis_f64(),
    });
    let spans = explanation.spans.iter().enumerate();
    ExplainReport {
        schema: "towtank.explain/v1".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        scenario: explanation.scenario.clone(),
        seed: explanation.seed,
        replication: r.replication,
        load: explanation.load.clone(),
        number: r.number,
        at_seconds: r.at.as_secs_f64(),
        duration_ms: r.duration.as_millis_f64(),
        status: r.status,
        flags: r.flags.clone(),
        details: r.details.clone(),
        critical_path: shares.collect(),
        spans: spans.map(|(id, span)| one(id, span, r.at)).collect(),
    }
}

fn one(id: usize, span: &Explained, start: SimTime) -> Span {
    let ms = |at: SimTime| SimDuration::as_millis_f64(at.since(start));
    let phases = span.phases.iter().map(|phase| Phase {
        kind: phase.kind.as_str().to_owned(),
        begin_ms: ms(phase.begin),
        end_ms: ms(phase.end),
    });
    let decisions = span.told.iter().map(|told| Decision {
        at_ms: told.at.map(ms),
        what: told.what.clone(),
    });
    Span {
        id,
        parent: span.parent,
        kind: kind(span.kind).to_owned(),
        waiting: match span.waiting {
            Waiting::Caller => "caller",
            Waiting::Nobody => "nobody",
            Waiting::Mirror => "mirror",
        }
        .to_owned(),
        name: span.name.clone(),
        workload: span.workload.clone(),
        pod: span.pod.clone(),
        begin_ms: ms(span.begin),
        end_ms: span.end.map(ms),
        status: span.status,
        flags: span.flags.clone(),
        details: present(&span.details),
        cluster: present(&span.cluster),
        given_up: span.abandoned,
        phases: phases.collect(),
        decisions: decisions.collect(),
    }
}

const fn kind(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Call => "call",
        SpanKind::Try => "try",
        SpanKind::Server => "server",
    }
}
