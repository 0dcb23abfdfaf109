//! `TT-FAULT-RETRIED`: an injected fault and retries do not meet where they were written.
//!
//! A fault answers before the router of the same proxy, so retries beside it never see one; those
//! of the proxy one hop before it do (Envoy's filter order, `envoy-runtime.md` §1.1 and §2).

use super::{Context, percent};
use crate::observe::record::{EdgeRecord, Finding, Severity, failed, flagged};

/// Share of aborted calls from which it is looked at.
const SHARE: f64 = 0.01;
/// What is left of the failures further up, below which retries hide them.
const HIDDEN: f64 = 0.75;

/// An edge with all its rows: calls, aborted ones, tries, failures.
#[derive(Default)]
struct Calls {
    all: u64,
    aborted: u64,
    tries: u64,
    failed: u64,
}

impl Calls {
    fn of<'e>(edges: impl Iterator<Item = &'e EdgeRecord>) -> Self {
        let mut sum = Self::default();
        for edge in edges {
            sum.all += edge.requests;
            sum.aborted += flagged(&edge.flags, "FI");
            sum.tries += edge.attempts;
            sum.failed += failed(&edge.statuses);
        }
        sum
    }

    fn share(&self, part: u64) -> f64 {
        part as f64 / self.all.max(1) as f64
    }
}

pub(super) fn judge(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let edges = &context.record.edges;
    let mut pairs: Vec<(&str, &str)> = (edges.iter())
        .map(|e| (e.from.as_str(), e.service.as_str()))
        .collect();
    pairs.dedup();
    for (from, service) in pairs {
        let of = || {
            edges
                .iter()
                .filter(|e| e.from == from && e.service == service)
        };
        let calls = Calls::of(of());
        if calls.share(calls.aborted) < SHARE {
            continue;
        }
        let written = of().find_map(|edge| {
            let (retries, place) = context.retries_of(from, &edge.cluster)?;
            // Retries that were taken away hide nothing and mislead nobody.
            Some((retries, place.filter(|_| retries > 0)?))
        });
        let hiding = (edges.iter())
            .filter(|outer| outer.to == from && outer.attempts > outer.requests)
            .max_by_key(|outer| outer.attempts - outer.requests);
        let inner = of()
            .filter(|edge| edge.cluster != "-")
            .max_by_key(|edge| edge.requests);
        let mut edges_of: Vec<&EdgeRecord> = inner.into_iter().collect();
        let (what, mut chain) = match hiding.map(|outer| (outer, retried(edges, outer))) {
            Some((outer, seen))
                if seen.share(seen.failed) < HIDDEN * calls.share(calls.aborted) =>
            {
                edges_of.insert(0, outer);
                hidden(context, from, service, &calls, outer, &seen)
            }
            _ if written.is_some() => (
                format!(
                    "{} of the calls of {from} to {service} are aborted, and none of them is tried again",
                    percent(calls.share(calls.aborted))
                ),
                Vec::new(),
            ),
            _ => continue,
        };
        if let Some((retries, place)) = &written {
            chain.push(format!(
                "the {retries} retries beside the fault ({place}) never see one: it answers before the router is reached"
            ));
        }
        findings.push(Finding {
            code: "TT-FAULT-RETRIED",
            severity: Severity::Warning,
            what,
            chain,
            cause: context.fault_of(from, service).map(|place| format!("the fault at {place}")),
            help: "for failures that retries shall meet, let the application fail (`errors` in the Model, an EnvoyFilter at the server's sidecar); for a share that arrives as written, no retries one hop before the fault".to_owned(),
            edges: (edges_of.into_iter())
                .map(|edge| (edge.from.clone(), edge.cluster.clone()))
                .collect(),
            counterfactual: None,
        });
    }
}

/// All calls of an edge's service by its caller.
fn retried(edges: &[EdgeRecord], outer: &EdgeRecord) -> Calls {
    let same = |e: &&EdgeRecord| e.from == outer.from && e.service == outer.service;
    Calls::of(edges.iter().filter(same))
}

fn hidden(
    context: &Context<'_>,
    from: &str,
    service: &str,
    calls: &Calls,
    outer: &EdgeRecord,
    seen: &Calls,
) -> (String, Vec<String>) {
    let retries = context.retries_of(&outer.from, &outer.cluster);
    let by = match &retries {
        Some((n, Some(place))) => format!("{n} retries ({place})"),
        Some((n, None)) => format!("{n} retries (Istio's default)"),
        None => "retries".to_owned(),
    };
    let what = format!(
        "{} of the calls of {from} to {service} are aborted and {} sees {}: {} → {from} is retried",
        percent(calls.share(calls.aborted)),
        outer.from,
        percent(seen.share(seen.failed)),
        outer.from
    );
    let chain = vec![format!(
        "{} → {from}: {by}, {:.2} tries per request",
        outer.from,
        seen.tries as f64 / seen.all.max(1) as f64
    )];
    (what, chain)
}
