//! Which lines are to blame where a finding is about a load or a workload as a whole.
//!
//! Nothing is named that was not seen at work: retries only where they made work, a workload's
//! manifest only where that workload is what was full, or was replaced.

use std::collections::{BTreeMap, BTreeSet};

use super::Context;
use super::retry_storm::cause;
use crate::observe::record::{ClientRecord, EdgeRecord, flagged, proxy_of};

/// Tries per request from which retries make work.
pub const AMPLIFIED: f64 = 1.2;
/// Fewer requests prove nothing.
const REQUESTS_MIN: u64 = 100;

/// What makes work of a load's failures: the retries on its way that make most, or its own.
pub(super) fn of_work(context: &Context<'_>, client: &ClientRecord) -> Option<String> {
    let retried = most_retried(context, client, AMPLIFIED);
    retried
        .and_then(|edge| cause(context, edge))
        .or_else(|| own_patience(client))
}

/// The calls on a load's way with the most tries per request, from so many on.
pub(super) fn most_retried<'r>(
    context: &Context<'r>,
    client: &ClientRecord,
    least: f64,
) -> Option<&'r EdgeRecord> {
    let reached = reached(context, client);
    (context.record.edges.iter())
        .filter(|e| e.cluster != "-" && e.requests >= REQUESTS_MIN && e.amplification() >= least)
        .filter(|e| reached.contains(proxy_of(&e.from)))
        .max_by(|a, b| a.amplification().total_cmp(&b.amplification()))
}

/// Workloads that requests of a load come to, its own one among them.
fn reached<'r>(context: &Context<'r>, client: &ClientRecord) -> BTreeSet<&'r str> {
    let edges = &context.record.edges;
    let from_outside = client.from.starts_with("outside");
    let is_own =
        |e: &&EdgeRecord| e.from == client.from || from_outside && e.from.starts_with("outside");
    let own = edges.iter().filter(is_own);
    let mut all: BTreeSet<&str> = own.map(|e| proxy_of(&e.from)).collect();
    loop {
        let before = all.len();
        for edge in edges {
            if all.contains(proxy_of(&edge.from)) {
                all.insert(edge.to.as_str());
            }
        }
        if all.len() == before {
            return all;
        }
    }
}

/// A load's own retries, or a timeout of its own that ended requests.
fn own_patience(client: &ClientRecord) -> Option<String> {
    let left = client.statuses.get("0").is_some_and(|left| *left > 0);
    let timeout = client.timeout.filter(|_| left);
    match (&client.retries_place, timeout, &client.timeout_place) {
        (Some(place), _, _) if client.retries > 0 => Some(format!(
            "the {} retries of `{}` itself at {place}{}",
            client.retries,
            client.name,
            timeout.map_or(String::new(), |t| format!(", each try given up after {t}"))
        )),
        (_, Some(timeout), Some(place)) => Some(format!(
            "the timeout of `{}` itself, {timeout} at {place}: what it waited for is still worked on",
            client.name
        )),
        _ => None,
    }
}

/// The workload whose queue is longest, where one has any: `the Deployment of 3 pods at file:line`.
pub(super) fn of_queue(context: &Context<'_>) -> Option<String> {
    let longest = (context.record.workloads.iter())
        .filter(|w| w.queue_mean > 1.0)
        .max_by(|a, b| a.queue_mean.total_cmp(&b.queue_mean))?;
    let declared = declared(context, &longest.name)?;
    Some(format!(
        "the longest queue, that of {}: {declared}",
        longest.name
    ))
}

/// `the Deployment of 3 pods at file:line`.
pub(super) fn declared(context: &Context<'_>, name: &str) -> Option<String> {
    let workload = context.workload(name)?;
    let place = context.place(workload.origin)?;
    let pods = context.pods_of(name);
    let s = if pods == 1 { "" } else { "s" };
    Some(format!("the {} of {pods} pod{s} at {place}", workload.kind))
}

/// How pods of a workload end, where it was declared.
pub(super) fn ending(
    context: &Context<'_>,
    name: &str,
    flags: &BTreeMap<String, u64>,
) -> Option<String> {
    let workload = context.workload(name)?;
    let place = context.place(workload.origin)?;
    let kind = &workload.kind;
    // Connections that are closed while an answer is awaited: the pod had no time to end them.
    let cut_off = 2 * flagged(flags, "UC") > flags.values().sum::<u64>() - flagged(flags, "-");
    let told = match workload.lifecycle.pre_stop_seconds {
        _ if cut_off => format!("how long a pod may take to end in the {kind} at {place}"),
        None => format!("the missing `preStop: sleep` of the {kind} at {place}"),
        Some(seconds) => format!("the `preStop` of {seconds} s in the {kind} at {place}"),
    };
    Some(told)
}
