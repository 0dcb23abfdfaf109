//! One request of a run as a tree of spans, each with its times, its end and its decisions in words.
//!
//! Spans are what tracing systems call them: the client's side of a call is one, each of its tries
//! another below it, what the server does a third; the calls of the server's application hang
//! below that.

use super::narrate::{Told, narrate_in_time};
use crate::observe::record::RequestRecord;
use crate::simulation::{By, Call, Trace, Try};
use crate::units::SimTime;
use crate::xds::Snapshot;

/// A request, explained.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// Scenario it is of.
    pub scenario: String,
    /// Seed of the run.
    pub seed: u64,
    /// Load it belongs to.
    pub load: String,
    /// How it ended.
    pub request: RequestRecord,
    /// Its spans; a parent comes before its children.
    pub spans: Vec<Span>,
}

/// What a span is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// A request at its client's proxy, all tries together.
    Call,
    /// One try at one pod.
    Try,
    /// The pod's side of a try.
    Server,
}

/// Who waits for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// Whoever made it.
    Caller,
    /// Nobody: an asynchronous call.
    Nobody,
    /// Nobody: a mirrored copy.
    Mirror,
}

/// One span.
#[derive(Clone, Debug)]
pub struct Span {
    /// What it is of.
    pub kind: SpanKind,
    /// Index of the span above it.
    pub parent: Option<usize>,
    /// Who waits for it.
    pub waiting: Waiting,
    /// Workload whose time it is.
    pub workload: String,
    /// Pod whose time it is.
    pub pod: String,
    /// `METHOD URL` of a call, the pod of a try.
    pub name: String,
    /// When it began.
    pub begin: SimTime,
    /// When it ended; `None`: not while the run lasted, or it was lost.
    pub end: Option<SimTime>,
    /// What time was spent on, in order and without gaps; empty for calls.
    pub phases: Vec<Phase>,
    /// Status; 0 for none. `None`: it did not end, or a try was given up before it had one.
    pub status: Option<u16>,
    /// Response flags of a call, `-` for none.
    pub flags: String,
    /// `response_code_details` of a call.
    pub details: String,
    /// Cluster of a call, empty for none.
    pub cluster: String,
    /// `:authority` of a call.
    pub authority: String,
    /// Address and port-less host of a try's pod; empty for none.
    pub ip: String,
    /// Region/zone of the pod.
    pub locality: String,
    /// The pod has a proxy.
    pub has_proxy: bool,
    /// Given up by its proxy before it was answered.
    pub abandoned: bool,
    /// Decisions of a call.
    pub told: Vec<Told>,
}

/// What a part of a span's time was spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhaseKind {
    /// Waiting for a connection, or for it to be made.
    Connect,
    /// On the way to the pod.
    There,
    /// In the pod's queue (or that of its sidecar).
    Queue,
    /// The application's own work.
    Work,
    /// The application waits for its own calls.
    Calls,
    /// The pod is gone, and nobody has noticed.
    Gone,
    /// On the way back.
    Back,
}

impl PhaseKind {
    /// Its name in outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::There => "request travels",
            Self::Queue => "queue",
            Self::Work => "work",
            Self::Calls => "calls",
            Self::Gone => "pod is gone",
            Self::Back => "answer travels",
        }
    }
}

/// A part of a span's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase {
    /// What it was spent on.
    pub kind: PhaseKind,
    /// Begin.
    pub begin: SimTime,
    /// End.
    pub end: SimTime,
}

impl Explanation {
    /// When the last span that anybody waits for ended.
    pub fn end(&self) -> SimTime {
        self.request.at.after(self.request.duration)
    }
}

/// Makes spans of a trace.
pub fn explain(snapshot: &Snapshot, trace: &Trace, scenario: &str, seed: u64) -> Explanation {
    let mut spans = Vec::new();
    let mut of_try: Vec<Option<usize>> = vec![None; trace.tries.len()];
    let mut of_call: Vec<usize> = Vec::with_capacity(trace.calls.len());
    // Calls are in the order of their beginnings: whoever made one comes before it.
    for call in &trace.calls {
        let (parent, waiting) = match call.by {
            By::Load => (None, Waiting::Caller),
            By::Application {
                attempt,
                waits: true,
            } => (of_try[attempt], Waiting::Caller),
            By::Application { attempt, .. } => (of_try[attempt], Waiting::Nobody),
            By::Mirror(of) => (of_call.get(of).copied(), Waiting::Mirror),
        };
        let id = spans.len();
        of_call.push(id);
        spans.push(call_span(snapshot, call, parent, waiting));
        for index in &call.tries {
            let attempt = &trace.tries[*index];
            let above = spans.len();
            spans.push(try_span(attempt, id, call));
            if let Some(server) = server_span(attempt, above) {
                of_try[*index] = Some(spans.len());
                spans.push(server);
            } else {
                of_try[*index] = Some(above);
            }
        }
    }
    Explanation {
        scenario: scenario.to_owned(),
        seed,
        load: trace.load.clone(),
        request: trace.request.clone(),
        spans,
    }
}

fn call_span(snapshot: &Snapshot, call: &Call, parent: Option<usize>, waiting: Waiting) -> Span {
    let record = &call.story.request;
    Span {
        kind: SpanKind::Call,
        parent,
        waiting,
        workload: call.workload.clone(),
        pod: call.pod.name.clone(),
        name: format!("{} {}", call.method, call.url),
        begin: call.opened,
        end: call.end(),
        phases: Vec::new(),
        status: call.closed.map(|_| record.status),
        flags: record.flags.clone(),
        details: record.details.clone(),
        cluster: record.cluster.clone(),
        authority: call.authority.clone(),
        ip: call.pod.ip.clone(),
        locality: call.pod.locality.to_string(),
        has_proxy: call.pod.has_proxy,
        abandoned: false,
        told: narrate_in_time(snapshot, &call.story),
    }
}

fn try_span(t: &Try, parent: usize, call: &Call) -> Span {
    let abandoned = t.abandoned.is_some();
    let status = t.answers.filter(|_| t.returned.is_some() && !abandoned);
    Span {
        kind: SpanKind::Try,
        parent: Some(parent),
        waiting: Waiting::Caller,
        workload: call.workload.clone(),
        pod: call.pod.name.clone(),
        name: if t.sent.is_some() {
            t.pod.name.clone()
        } else {
            "not sent".to_owned()
        },
        begin: t.begun,
        end: t.end(),
        phases: phases(t),
        status: status.map(|(_, status)| crate::http::grpc::http(status)),
        flags: "-".to_owned(),
        details: String::new(),
        cluster: call.story.request.cluster.clone(),
        authority: call.authority.clone(),
        ip: t.pod.ip.clone(),
        locality: t.pod.locality.to_string(),
        has_proxy: call.pod.has_proxy,
        abandoned,
        told: Vec::new(),
    }
}

/// The pod's side; it may go on after its client has given up.
fn server_span(t: &Try, parent: usize) -> Option<Span> {
    let begin = t.reached?;
    let end = t.answers.map(|(at, _)| at);
    Some(Span {
        kind: SpanKind::Server,
        parent: Some(parent),
        waiting: Waiting::Caller,
        workload: t.workload.clone(),
        pod: t.pod.name.clone(),
        name: t.workload.clone(),
        begin,
        end,
        phases: server_phases(t),
        status: t.answers.map(|(_, status)| crate::http::grpc::http(status)),
        flags: "-".to_owned(),
        details: String::new(),
        cluster: String::new(),
        authority: String::new(),
        ip: t.pod.ip.clone(),
        locality: t.pod.locality.to_string(),
        has_proxy: t.pod.has_proxy,
        abandoned: t.abandoned.is_some(),
        told: Vec::new(),
    })
}

/// Cuts a try's time where something new begins; what its client did not live to see is left out.
fn phases(t: &Try) -> Vec<Phase> {
    let end = t.end();
    let mut parts = vec![(PhaseKind::Connect, Some(t.begun))];
    parts.push((PhaseKind::There, t.sent));
    parts.extend(server_parts(t));
    parts.push((PhaseKind::Back, t.answers.map(|(at, _)| at)));
    cut(&parts, end)
}

fn server_phases(t: &Try) -> Vec<Phase> {
    cut(&server_parts(t), t.answers.map(|(at, _)| at))
}

fn server_parts(t: &Try) -> Vec<(PhaseKind, Option<SimTime>)> {
    vec![
        (PhaseKind::Queue, t.reached),
        (PhaseKind::Work, t.serves),
        (PhaseKind::Calls, t.worked),
        (PhaseKind::Gone, t.lost),
    ]
}

fn cut(parts: &[(PhaseKind, Option<SimTime>)], end: Option<SimTime>) -> Vec<Phase> {
    let known: Vec<(PhaseKind, SimTime)> = parts
        .iter()
        .filter_map(|(kind, at)| at.map(|at| (*kind, at)))
        .collect();
    let nexts = known.iter().skip(1).map(|(_, at)| Some(*at)).chain([end]);
    known
        .iter()
        .zip(nexts)
        .filter_map(|((kind, begin), next)| {
            let next = match (next, end) {
                (Some(next), Some(end)) => next.min(end),
                (next, end) => next.or(end)?,
            };
            (next > *begin).then_some(Phase {
                kind: *kind,
                begin: *begin,
                end: next,
            })
        })
        .collect()
}
