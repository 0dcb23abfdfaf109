//! Where a request's time went: what was being waited for at every moment, along the path that
//! decided when the request was over.
//!
//! Of calls made at once the one that ended last counts; of a call its tries and what lay between
//! them. The shares add up to the request's duration.

use std::collections::BTreeMap;

use super::trace::{Explanation, PhaseKind, Span, SpanKind, Waiting};
use crate::units::{SimDuration, SimTime};

/// A part of the time of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// What was waited for: `work of shop/orders`.
    pub what: String,
    /// How long in all.
    pub time: SimDuration,
}

/// Shares of the time of a request, the largest first.
pub fn critical_path(explanation: &Explanation) -> Vec<Share> {
    let mut path = Path {
        spans: &explanation.spans,
        children: children(&explanation.spans),
        shares: BTreeMap::new(),
    };
    let until = explanation.end();
    let roots = (0..explanation.spans.len()).filter(|id| explanation.spans[*id].parent.is_none());
    let roots: Vec<usize> = roots.collect();
    path.walk(
        &roots,
        explanation.request.at,
        until,
        "pause of the load before it tries again",
    );
    let mut shares: Vec<Share> = path
        .shares
        .into_iter()
        .map(|(what, time)| Share { what, time })
        .collect();
    // Stable: equal shares keep the order of their names.
    shares.sort_by_key(|share| std::cmp::Reverse(share.time));
    shares
}

fn children(spans: &[Span]) -> Vec<Vec<usize>> {
    let mut children = vec![Vec::new(); spans.len()];
    for (id, span) in spans.iter().enumerate() {
        if let Some(parent) = span.parent {
            children[parent].push(id);
        }
    }
    children
}

struct Path<'s> {
    spans: &'s [Span],
    children: Vec<Vec<usize>>,
    shares: BTreeMap<String, SimDuration>,
}

impl Path<'_> {
    fn add(&mut self, what: &str, begin: SimTime, end: SimTime) {
        if end > begin {
            let share = self.shares.entry(what.to_owned()).or_default();
            *share = share.plus(end.since(begin));
        }
    }

    /// Goes back from `end`: the span that ended last before it was waited for, and so on; what
    /// lies between is `gap`.
    fn walk(&mut self, among: &[usize], begin: SimTime, end: SimTime, gap: &str) {
        let mut at = end;
        while at > begin {
            let ended = |id: &usize| {
                let span = &self.spans[*id];
                let until = span.end.unwrap_or(at).min(at);
                let counts = span.waiting == Waiting::Caller && span.begin < at && until > begin;
                counts.then_some((until, span.begin, *id))
            };
            let Some((until, from, id)) = among.iter().filter_map(ended).max() else {
                break;
            };
            self.add(gap, until, at);
            self.span(id, from.max(begin), until);
            at = from.max(begin);
        }
        self.add(gap, begin, at);
    }

    fn span(&mut self, id: usize, begin: SimTime, end: SimTime) {
        let span = &self.spans[id];
        match span.kind {
            SpanKind::Call => {
                let tries = self.children[id].clone();
                let gap = between(span);
                self.walk(&tries, begin, end, &gap);
            }
            SpanKind::Try => self.attempt(id, begin, end),
            // Stands for its try, which has the same phases.
            SpanKind::Server => {}
        }
    }

    fn attempt(&mut self, id: usize, begin: SimTime, end: SimTime) {
        let server = self.children[id].first().copied();
        let workload = server.map_or("", |server| self.spans[server].workload.as_str());
        let cluster = service(&self.spans[id]);
        let mut at = begin;
        for phase in self.spans[id].phases.clone() {
            let (from, until) = (phase.begin.max(begin), phase.end.min(end));
            let what = match phase.kind {
                PhaseKind::Connect => format!("connection to {cluster}"),
                PhaseKind::There | PhaseKind::Back => "network".to_owned(),
                PhaseKind::Queue => format!("queue of {workload}"),
                PhaseKind::Work => format!("work of {workload}"),
                PhaseKind::Gone => format!("a pod of {workload} that is gone"),
                PhaseKind::Calls => {
                    if until > from {
                        let calls = server.map_or_else(Vec::new, |s| self.children[s].clone());
                        let gap = format!("pauses of {workload} between its calls");
                        self.walk(&calls, from, until, &gap);
                    }
                    at = at.max(until);
                    continue;
                }
            };
            self.add(&what, from, until);
            at = at.max(until);
        }
        self.add(
            &format!("an answer of {cluster} that did not come"),
            at,
            end,
        );
    }
}

/// What a call does while no try is out.
fn between(call: &Span) -> String {
    if call.has_proxy {
        format!(
            "back-off and other pauses before tries at {}",
            service(call)
        )
    } else {
        format!("pauses before tries at {}", service(call))
    }
}

/// The host of a cluster's name, or what was asked for.
fn service(span: &Span) -> String {
    let mut parts = span.cluster.rsplit('|');
    match parts.next() {
        Some(host) if !host.is_empty() => host.to_owned(),
        _ => span.authority.clone(),
    }
}
