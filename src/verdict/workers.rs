//! `TT-WORKER-SKEW`: one worker thread of a proxy has most of its requests while others idle.
//!
//! A connection stays with the worker that accepted it, whatever comes over it
//! (`simulation/worker.rs`), so few connections make few workers work: an HTTP/2 client has one
//! per worker and pod. Processor time of proxies is not simulated: no request is slower for it here,
//! and the finding says what the busiest thread would have to do.

use std::collections::BTreeMap;

use super::{Context, percent};
use crate::observe::record::{EdgeRecord, Finding, Severity, WorkersRecord, proxy_of};
use crate::xds::cluster::Upstream;

/// Times the mean of its proxy's workers from which a worker is named; of two workers it is half
/// way between even shares and everything.
const FACTOR: f64 = 2.0;
/// Requests of one proxy in one replication below which nothing is said.
const REQUESTS: u64 = 200;

/// On which side of a proxy its workers are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Sent,
    Served,
}

/// The most uneven replication of one proxy.
struct Uneven<'r> {
    record: &'r WorkersRecord,
    counts: &'r [u64],
    /// Times the mean.
    factor: f64,
    /// Which replication it is, and in how many it is uneven.
    replication: usize,
    times: usize,
}

pub(super) fn judge(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let mut workloads: BTreeMap<&str, Vec<&WorkersRecord>> = BTreeMap::new();
    for record in &context.record.workers {
        workloads.entry(&record.workload).or_default().push(record);
    }
    for (workload, proxies) in workloads {
        for side in [Side::Sent, Side::Served] {
            findings.extend(of_workload(context, workload, &proxies, side));
        }
    }
}

fn of_workload(
    context: &Context<'_>,
    workload: &str,
    proxies: &[&WorkersRecord],
    side: Side,
) -> Option<Finding> {
    let uneven: Vec<Uneven<'_>> = (proxies.iter())
        .filter_map(|proxy| most_uneven(proxy, side))
        .collect();
    let worst = uneven.iter().max_by(|a, b| a.factor.total_cmp(&b.factor))?;
    let total: u64 = worst.counts.iter().sum();
    let most = worst.counts.iter().max().copied().unwrap_or(0);
    let edge = main_edge(context, workload, side);
    let seconds = context.counted_seconds();
    let mut chain = vec![
        format!(
            "{}: {} requests by worker thread (replication {})",
            worst.record.pod,
            counts(worst.counts),
            worst.replication
        ),
        format!(
            "{} of {} pods of {workload} are that uneven, the worst of them in {} of {} replications",
            uneven.len(),
            proxies.len(),
            worst.times,
            of(worst.record, side).len()
        ),
    ];
    if seconds > 0.0 {
        chain.push(format!(
            "{:.0} requests per second for a thread, which has one core at most; processor time of proxies is not simulated",
            most as f64 / seconds
        ));
    }
    chain.extend(edge.and_then(|edge| connections(context, edge, side)));
    Some(Finding {
        code: "TT-WORKER-SKEW",
        severity: Severity::Warning,
        what: format!(
            "one of the {} worker threads of {} {} {} of its {}: connections stay with the thread that accepted them",
            worst.counts.len(),
            worst.record.pod,
            if side == Side::Sent { "sends" } else { "takes" },
            percent(most as f64 / total as f64),
            if side == Side::Sent {
                "calls"
            } else {
                "requests"
            },
        ),
        chain,
        cause: edge.filter(|_| side == Side::Served).and_then(|edge| {
            let place = context.policy_of(proxy_of(&edge.from), &edge.cluster)?;
            Some(format!("`connectionPool` in {place}"))
        }),
        help: help(side).to_owned(),
        edges: match (side, edge) {
            (Side::Sent, _) => vec![(workload.to_owned(), String::new())],
            (_, Some(e)) => vec![(proxy_of(&e.from).to_owned(), e.cluster.clone())],
            (_, None) => Vec::new(),
        },
        counterfactual: None,
    })
}

fn of(record: &WorkersRecord, side: Side) -> &[Vec<u64>] {
    match side {
        Side::Sent => &record.sent,
        Side::Served => &record.served,
    }
}

fn most_uneven(record: &WorkersRecord, side: Side) -> Option<Uneven<'_>> {
    let enough = |threads: usize| f64::midpoint(1.0, threads as f64).min(FACTOR);
    let factor = |counts: &[u64]| {
        let total: u64 = counts.iter().sum();
        let most = counts.iter().max().copied().unwrap_or(0);
        let uneven = (most * counts.len() as u64) as f64 / total.max(1) as f64;
        if total < REQUESTS { 0.0 } else { uneven }
    };
    let all = of(record, side).iter().enumerate();
    let uneven: Vec<(usize, &[u64], f64)> = all
        .map(|(replication, counts)| (replication, counts.as_slice(), factor(counts)))
        .filter(|(_, counts, factor)| *factor >= enough(counts.len()))
        .collect();
    // Of equals the first replication is told.
    let mut worst = *uneven.first()?;
    for other in &uneven {
        if other.2 > worst.2 {
            worst = *other;
        }
    }
    Some(Uneven {
        record,
        counts: worst.1,
        factor: worst.2,
        replication: worst.0,
        times: uneven.len(),
    })
}

/// The calls that make most of it.
fn main_edge<'r>(context: &Context<'r>, workload: &str, side: Side) -> Option<&'r EdgeRecord> {
    let edges = context.record.edges.iter();
    let own = edges.filter(|edge| match side {
        Side::Sent => proxy_of(&edge.from) == workload,
        Side::Served => edge.to == workload,
    });
    own.max_by_key(|edge| edge.requests)
}

/// How many connections there are, and why no more.
fn connections(context: &Context<'_>, edge: &EdgeRecord, side: Side) -> Option<String> {
    if side == Side::Sent {
        return None;
    }
    let client = proxy_of(&edge.from);
    let mut clusters = context.record.clusters.iter();
    let counted = clusters.find(|c| c.workload == client && c.cluster == edge.cluster)?;
    let http2 = context
        .cluster(client, &edge.cluster)
        .is_some_and(|c| c.upstream == Upstream::Http2);
    let why = if http2 {
        ": HTTP/2 has one per worker thread and pod, for as long as it lasts"
    } else {
        ""
    };
    Some(format!(
        "a proxy of {client} had at most {} connections to all pods behind {}{why}",
        counted.most_connections, edge.cluster
    ))
}

fn counts(counts: &[u64]) -> String {
    let texts: Vec<String> = counts.iter().map(u64::to_string).collect();
    texts.join(", ")
}

const fn help(side: Side) -> &'static str {
    match side {
        Side::Sent => {
            "more connections than threads: clients that open several, or new ones from time to time; fewer threads (`concurrency`) where one core is enough"
        }
        Side::Served => {
            "more connections than threads: more client pods, or `maxRequestsPerConnection`, after which a connection is made anew and may fall to another thread; fewer threads (`concurrency`) where one core is enough"
        }
    }
}
