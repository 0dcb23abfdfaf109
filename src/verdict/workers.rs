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
    /// Requests of the busiest, and of all.
    most: u64,
    total: u64,
    /// Which replication it is, and in how many it is uneven.
    replication: usize,
    times: usize,
}

impl Uneven<'_> {
    /// Times the mean.
    fn factor(&self) -> f64 {
        (self.most * self.counts.len() as u64) as f64 / self.total.max(1) as f64
    }

    fn is_told(&self) -> bool {
        let enough = f64::midpoint(1.0, self.counts.len() as f64).min(FACTOR);
        self.total >= REQUESTS && self.factor() >= enough
    }
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
    let worst = uneven
        .iter()
        .max_by(|a, b| a.factor().total_cmp(&b.factor()))?;
    // What its own clients' connections do is no matter of who is called.
    let served = side == Side::Served;
    let edge = served.then(|| context.record.main_edge_to(workload));
    let edge = edge.flatten();
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
            worst.most as f64 / seconds
        ));
    }
    chain.extend(edge.and_then(|edge| connections(context, edge)));
    Some(Finding {
        code: "TT-WORKER-SKEW",
        severity: Severity::Warning,
        what: format!(
            "one of the {} worker threads of {} {} {} of its {}: connections stay with the thread that accepted them",
            worst.counts.len(),
            worst.record.pod,
            if served { "takes" } else { "sends" },
            percent(worst.most as f64 / worst.total as f64),
            if served { "requests" } else { "calls" },
        ),
        chain,
        cause: edge.and_then(|edge| {
            let place = context.policy_of(proxy_of(&edge.from), &edge.cluster)?;
            Some(format!("`connectionPool` in {place}"))
        }),
        help: help(side).to_owned(),
        edges: match edge {
            Some(edge) => vec![(proxy_of(&edge.from).to_owned(), edge.cluster.clone())],
            None if served => Vec::new(),
            None => vec![(workload.to_owned(), String::new())],
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
    let all = of(record, side).iter().enumerate();
    let all = all.map(|(replication, counts)| Uneven {
        record,
        counts,
        most: counts.iter().max().copied().unwrap_or(0),
        total: counts.iter().sum(),
        replication,
        times: 0,
    });
    let uneven: Vec<Uneven<'_>> = all.filter(Uneven::is_told).collect();
    let times = uneven.len();
    // Of equals the first replication is told.
    let worst = (uneven.into_iter().rev()).max_by(|a, b| a.factor().total_cmp(&b.factor()))?;
    Some(Uneven { times, ..worst })
}

/// How many connections there are, and why no more.
fn connections(context: &Context<'_>, edge: &EdgeRecord) -> Option<String> {
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
