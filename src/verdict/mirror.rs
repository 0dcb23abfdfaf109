//! `TT-MIRROR-LOAD`: copies of requests make real work further down.
//!
//! Nobody waits for the answer of a mirrored request, so its caller's figures say nothing of it;
//! what the mirror's application calls is called all the same.

use std::collections::BTreeMap;

use super::{Context, percent};
use crate::observe::record::{EdgeRecord, Finding, Severity};

/// Share of a workload's requests that come of copies from which it is named.
const SHARE: f64 = 0.2;
/// From here on it is a mirror, or only a mirror calls it: that is no news.
const ALL: f64 = 0.999;
/// Fewer requests prove nothing.
const REQUESTS_MIN: u64 = 100;
/// How the caller of a copy is named.
const MIRROR: &str = " (mirror)";

pub(super) fn judge(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let edges = &context.record.edges;
    let copies = edges
        .iter()
        .filter(|e| e.from.ends_with(MIRROR) && e.to != "-");
    // The shares are those of all copies together; the largest stream of them is named.
    let Some(copy) = copies.max_by_key(|e| e.requests) else {
        return;
    };
    for (workload, share) in &copied_share(edges) {
        let all = taken(edges, workload);
        if (SHARE..ALL).contains(share) && all >= REQUESTS_MIN {
            findings.push(finding(context, copy, workload, *share, all));
        }
    }
}

fn taken(edges: &[EdgeRecord], workload: &str) -> u64 {
    let to = edges.iter().filter(|e| e.to == workload);
    to.map(|e| e.requests).sum()
}

/// Of each workload's requests, the share that a copy caused, at any distance.
fn copied_share(edges: &[EdgeRecord]) -> BTreeMap<&str, f64> {
    let mut share: BTreeMap<&str, f64> = BTreeMap::new();
    // Chains are no longer than there are edges; circles are refused before a run.
    for _ in 0..edges.len().min(64) {
        let mut next: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
        for edge in edges.iter().filter(|e| e.to != "-") {
            let of_copies = if edge.from.ends_with(MIRROR) {
                1.0
            } else {
                share.get(edge.from.as_str()).copied().unwrap_or(0.0)
            };
            let sum = next.entry(&edge.to).or_default();
            sum.0 += of_copies * edge.requests as f64;
            sum.1 += edge.requests as f64;
        }
        let next = next
            .into_iter()
            .map(|(to, (copied, all))| (to, copied / all.max(1.0)));
        let next: BTreeMap<&str, f64> = next.collect();
        if next == share {
            break;
        }
        share = next;
    }
    share
}

fn finding(
    context: &Context<'_>,
    copy: &EdgeRecord,
    workload: &str,
    share: f64,
    all: u64,
) -> Finding {
    let sender = copy.from.trim_end_matches(MIRROR);
    let place = context.mirror_of(sender, &copy.cluster);
    let busy = context.record.workloads.iter().find(|w| w.name == workload);
    let busy = busy.and_then(|w| w.utilisation);
    let mut chain = vec![
        format!("{sender} → {} (mirror): {} copies", copy.to, copy.requests),
        format!(
            "{workload} works {:.1} times as much as it would without them",
            1.0 / (1.0 - share).max(1e-6)
        ),
    ];
    chain.extend(busy.map(|busy| format!("{workload} is busy {} of the time", percent(busy))));
    Finding {
        code: "TT-MIRROR-LOAD",
        severity: Severity::Warning,
        what: format!(
            "{} of the {all} requests at {workload} come of mirrored copies, whose answers nobody reads",
            percent(share)
        ),
        chain,
        cause: place.map(|place| format!("`mirror` in {place}")),
        help: "a lower `mirrorPercentage`, or a mirror with a database of its own; what it writes counts too".to_owned(),
        edges: vec![(sender.to_owned(), copy.cluster.clone())],
        counterfactual: None,
    }
}
