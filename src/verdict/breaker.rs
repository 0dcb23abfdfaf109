//! `TT-BREAKER-OPEN`: a circuit breaker refuses a share of the requests that matters.
//!
//! Says which of the four limits it is, in how many proxies it holds at once, and whether the pods
//! behind it were busy: a limit in front of idle pods protects nobody.
//!
//! `TT-BREAKER-NEVER`: a limit that somebody wrote refuses nobody while the pods behind it have far
//! more than they can do: all client proxies together may send more than that.

use super::{Context, percent};
use crate::observe::record::{ClusterRecord, Finding, Severity, WorkloadRecord, proxy_of};
use crate::xds::cluster::{Thresholds, UNLIMITED};

/// Share of refused requests from which it is named.
const SHARE: f64 = 0.01;
/// Busy share of the pods behind a limit below which it protects nobody, and from which it does.
const IDLE: f64 = 0.5;
const BUSY: f64 = 0.8;
/// Busy share of pods that have more than they can do.
const FULL: f64 = 0.95;

/// A limit: the statistic that counts what it refuses, its name, its value.
type Limit = (&'static str, &'static str, fn(&Thresholds) -> u32);

const LIMITS: [Limit; 3] = [
    (
        "upstream_rq_pending_overflow",
        "`http1MaxPendingRequests` (requests waiting for a connection, with `maxConnections`)",
        |t| t.max_pending_requests,
    ),
    ("upstream_rq_active_overflow", "`http2MaxRequests`", |t| {
        t.max_requests
    }),
    ("upstream_rq_retry_overflow", "`maxRetries`", |t| {
        t.max_retries
    }),
];

pub(super) fn judge(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for cluster in &context.record.clusters {
        for limit in LIMITS {
            findings.extend(refusing(context, cluster, limit));
        }
        findings.extend(never(context, cluster));
    }
}

fn refusing(
    context: &Context<'_>,
    cluster: &ClusterRecord,
    (name, limit, value): Limit,
) -> Option<Finding> {
    let stat = |name: &str| cluster.stats.get(name).copied().unwrap_or(0);
    let (sent, refused) = (stat("upstream_rq_total"), stat(name));
    let share = refused as f64 / (sent + refused).max(1) as f64;
    if share < SHARE {
        return None;
    }
    let workload = &cluster.workload;
    let retries = name == "upstream_rq_retry_overflow";
    let busy = busy_behind(context, cluster);
    let mut chain = vec![format!("{name}: {refused} of {}", sent + refused)];
    let tables = context.cluster(workload, &cluster.cluster);
    if let Some(found) = tables {
        let own = &found.breakers;
        let mut limits = vec![(word(limit), value(own))];
        if name == "upstream_rq_pending_overflow" {
            limits.insert(0, ("`maxConnections`", own.max_connections));
        }
        let told = limits
            .into_iter()
            .filter_map(|(word, limit)| in_each_proxy(context, workload, &found.name, word, limit));
        chain.extend(told);
    }
    let waited = stat("upstream_cx_overflow");
    if name == "upstream_rq_pending_overflow" && waited > 0 {
        chain.push(format!(
            "`maxConnections` refuses nobody, it makes requests wait (upstream_cx_overflow: {waited}); too many waited"
        ));
    }
    if let Some((server, busy)) = busy.as_ref().filter(|_| !retries) {
        let words = match *busy {
            b if b < IDLE => "the limit protects nobody",
            b if b >= BUSY => "the limit keeps their queue short",
            _ => "they had room for more",
        };
        chain.push(format!(
            "the pods of {server} behind it are busy {} of the time: {words}",
            percent(*busy)
        ));
    }
    let place = context.policy_of(workload, &cluster.cluster);
    Some(Finding {
        code: "TT-BREAKER-OPEN",
        severity: Severity::Warning,
        what: format!(
            "a limit of {workload} towards {} refuses {} of {}",
            cluster.cluster,
            percent(share),
            if retries {
                "what would be retried"
            } else {
                "its tries"
            }
        ),
        chain,
        cause: Some(match place {
            Some(place) => format!("{limit} in {place}"),
            None => format!("{limit}, which nobody wrote: Istio's or Envoy's default"),
        }),
        help: help(busy.map(|(_, busy)| busy).filter(|_| !retries)).to_owned(),
        edges: vec![(workload.clone(), cluster.cluster.clone())],
        counterfactual: None,
    })
}

/// Written limits that never act in front of pods that are overloaded.
fn never(context: &Context<'_>, cluster: &ClusterRecord) -> Option<Finding> {
    let stat = |name: &str| cluster.stats.get(name).copied().unwrap_or(0);
    let refused = LIMITS.iter().any(|(name, ..)| stat(name) > 0);
    if refused || cluster.cluster.starts_with("inbound|") {
        return None;
    }
    let own = &context
        .cluster(&cluster.workload, &cluster.cluster)?
        .breakers;
    let place = context.place(own.origin)?;
    let (word, limit) = in_flight(own)?;
    let edges = context.record.edges.iter();
    let mut behind =
        edges.filter(|e| proxy_of(&e.from) == cluster.workload && e.cluster == cluster.cluster);
    let (server, places) = behind.find_map(|edge| {
        let mut workloads = context.record.workloads.iter();
        let server = workloads.find(|w| w.name == edge.to && is_overloaded(w))?;
        Some((server, context.record.places_of(&edge.to)?))
    })?;
    let proxies = context.pods_of(&cluster.workload) as u64;
    let all = proxies * limit;
    if all <= places {
        return None;
    }
    let mut chain = vec![
        format!(
            "{proxies} × {limit} = {all} requests may be on their way at once, {} takes {places}",
            server.name
        ),
        format!("{} wait there on average", server.queue_mean.round()),
    ];
    if server.rejected > 0 {
        chain.push(format!("its queues refused {}", server.rejected));
    }
    Some(Finding {
        code: "TT-BREAKER-NEVER",
        severity: Severity::Warning,
        what: format!(
            "limits of {} towards {} refuse nobody while {} has more than it can do",
            cluster.workload, cluster.cluster, server.name
        ),
        chain,
        cause: Some(format!("{word} in {place}")),
        help: "a limit counts in each client proxy by itself: divide what the pods take at once by the number of client proxies, and add a little".to_owned(),
        edges: vec![(cluster.workload.clone(), cluster.cluster.clone())],
        counterfactual: None,
    })
}

/// The limit that bounds requests on their way, if any is written.
fn in_flight(limits: &Thresholds) -> Option<(&'static str, u64)> {
    if limits.max_requests != UNLIMITED {
        return Some(("`http2MaxRequests`", u64::from(limits.max_requests)));
    }
    let bounded = limits.max_connections != UNLIMITED && limits.max_pending_requests != UNLIMITED;
    let sum = u64::from(limits.max_connections) + u64::from(limits.max_pending_requests);
    bounded.then_some(("`maxConnections` and `http1MaxPendingRequests`", sum))
}

/// Nearly always busy, and somebody waits for every pod or is refused.
fn is_overloaded(workload: &WorkloadRecord) -> bool {
    let waits = workload.queue_mean >= f64::from(workload.pods);
    workload.utilisation.is_some_and(|busy| busy >= FULL) && (waits || workload.rejected > 0)
}

/// The field's name without what it means.
fn word(limit: &str) -> &str {
    limit.split(" (").next().unwrap_or(limit)
}

/// Envoy's limits are local: no proxy knows what another one has in flight.
fn in_each_proxy(
    context: &Context<'_>,
    workload: &str,
    cluster: &str,
    word: &str,
    limit: u32,
) -> Option<String> {
    let proxies = context.pods_of(workload);
    if limit == UNLIMITED || proxies == 0 {
        return None;
    }
    Some(match proxies {
        _ if cluster.starts_with("inbound|") => format!(
            "{word} is {limit} in the sidecar of each pod of {workload} too, for all of its clients together"
        ),
        1 => format!(
            "{word} is {limit} in each client proxy; {workload} has one pod, and a second would have {limit} more"
        ),
        n => format!(
            "{word} is {limit} in each client proxy: the {n} pods of {workload} have {} together, towards all pods of the service",
            u64::from(limit) * n as u64
        ),
    })
}

/// The busiest workload behind a cluster, with the share of its places that are taken.
fn busy_behind(context: &Context<'_>, cluster: &ClusterRecord) -> Option<(String, f64)> {
    let edges = context.record.edges.iter();
    let behind =
        edges.filter(|e| proxy_of(&e.from) == cluster.workload && e.cluster == cluster.cluster);
    let own = cluster.cluster.starts_with("inbound|");
    let names = behind
        .map(|e| &e.to)
        .chain(own.then_some(&cluster.workload));
    let busy = names.filter_map(|name| {
        let mut workloads = context.record.workloads.iter();
        let server = workloads.find(|w| w.name == *name)?;
        Some((server.name.clone(), server.utilisation?))
    });
    busy.max_by(|a, b| a.1.total_cmp(&b.1))
}

const fn help(busy: Option<f64>) -> &'static str {
    match busy {
        Some(busy) if busy < IDLE => {
            "raise it, or leave it out: it counts in each client proxy by itself, and a request that finds no idle connection counts as waiting while one is opened"
        }
        Some(busy) if busy >= BUSY => {
            "more capacity for the servers, and an answer of the callers to 503 UO; without the limit requests would wait and time out instead"
        }
        _ => {
            "an answer of the callers to 503 UO where the limit is meant to protect the servers; else raise it: limits count for each client proxy by itself"
        }
    }
}
