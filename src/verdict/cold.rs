//! `TT-COLD-PODS`: requests are slow while new pods warm up.
//!
//! A pod that became ready is balanced like all others from its first request on, unless the
//! cluster has a slow start (`warmup` of a DestinationRule, `envoy-runtime.md` §7.11).

use super::Context;
use super::course::{Window, windows};
use crate::observe::Record;
use crate::observe::record::{Finding, Happening, HappeningKind, Severity};

/// Times the worst 99th percentile of before from which it is named.
const TIMES: f64 = 2.0;
/// Windows that have to be that slow, and windows before that are needed to compare with.
const SLOW_MIN: usize = 2;
const BEFORE_MIN: usize = 4;
/// Beginning of the sentence that tells of new endpoints.
const JOIN: &str = "every proxy knows the endpoints ";

pub(super) fn judge(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let record = context.record;
    let mut kinds = record.happenings.iter().map(|h| h.kind);
    if kinds.any(|kind| kind == HappeningKind::Begins) {
        // A disturbance makes requests slow by itself.
        return;
    }
    let Some((join, pods)) = joined(record) else {
        return;
    };
    for (index, client) in (0..).zip(&record.clients) {
        let course = windows(record, &record.series, index);
        let (before, after) = split(&course, join);
        let (Some(usual), Some(worst)) = (longest(&before), longest(&after)) else {
            continue;
        };
        let is_slow = |w: &&&Window| w.p99 >= TIMES * usual;
        let slow: Vec<&&Window> = after.iter().filter(is_slow).collect();
        let (Some(first), Some(last)) = (slow.first(), slow.last()) else {
            continue;
        };
        if before.len() < BEFORE_MIN || slow.len() < SLOW_MIN {
            continue;
        }
        let until = last.at + record.series.window.as_secs_f64();
        let (place, warmup) = slow_start(context, &pods);
        findings.push(Finding {
            code: "TT-COLD-PODS",
            severity: Severity::Warning,
            what: format!(
                "`{}` is slow after {} joined: p99 up to {worst:.0} ms between {:.1} s and {until:.1} s, {usual:.0} ms before",
                client.name,
                match pods.as_slice() {
                    [only] => only.clone(),
                    many => format!("{} new pods", many.len()),
                },
                first.at,
            ),
            chain: share(record, join, &pods),
            cause: place.map(|place| match warmup {
                Some(duration) => format!("`warmup.duration: {duration}` in {place}"),
                None => format!("no `warmup` in {place}: a new pod gets its full share at once"),
            }),
            help: "`loadBalancer.warmup` as long as the pod needs to get warm, for ROUND_ROBIN and LEAST_REQUEST; a readiness probe that waits until it is warm".to_owned(),
            edges: Vec::new(),
            counterfactual: None,
        });
    }
}

/// The longest 99th percentile, in milliseconds, of any load in the windows after pods joined.
pub fn worst_after_start(record: &Record) -> Option<f64> {
    let (join, _) = joined(record)?;
    let of = |index| longest(&split(&windows(record, &record.series, index), join).1);
    let worst = (0..record.clients.len() as u32).filter_map(of);
    worst.reduce(f64::max)
}

/// When proxies first heard of new pods, and which.
fn joined(record: &Record) -> Option<(f64, Vec<String>)> {
    let news = |h: &Happening| {
        let (_, names) = h.what.strip_prefix(JOIN)?.rsplit_once("with ")?;
        // `without a` alone brings nobody.
        let before = h.what.strip_suffix(names)?;
        let brings = before.ends_with(" with ");
        let names: Vec<String> = names.split(", ").map(str::to_owned).collect();
        brings.then_some((h.at.as_secs_f64(), names))
    };
    let all: Vec<(f64, Vec<String>)> = record.happenings.iter().filter_map(news).collect();
    let first = all.first()?.0;
    Some((
        first,
        all.into_iter().flat_map(|(_, names)| names).collect(),
    ))
}

/// Windows that ended before pods joined, and those that ended later. The first ones of a run are
/// left out: connections are made in them.
fn split(course: &[Window], join: f64) -> (Vec<&Window>, Vec<&Window>) {
    let length = course.windows(2).next().map_or(0.0, |w| w[1].at - w[0].at);
    let (before, after): (Vec<&Window>, Vec<&Window>) = course
        .iter()
        .skip(1)
        .filter(|w| w.requests > 0)
        .partition(|w| w.at + length <= join);
    (before, after)
}

fn longest(of: &[&Window]) -> Option<f64> {
    of.iter().map(|w| w.p99).reduce(f64::max)
}

/// The policy behind the cluster that leads to a pod, and its slow start.
fn slow_start(
    context: &Context<'_>,
    pods: &[String],
) -> (Option<String>, Option<crate::units::SimDuration>) {
    let mut endpoints = context.record.endpoints.iter();
    let Some(pod) = endpoints.find(|e| pods.contains(&e.pod)) else {
        return (None, None);
    };
    let edges = context.record.edges.iter().filter(|e| e.to == pod.workload);
    let Some(edge) = edges.max_by_key(|e| e.requests) else {
        return (None, None);
    };
    let cluster = context.cluster(&edge.from, &edge.cluster);
    let warmup = cluster.and_then(|c| c.warmup).map(|w| w.duration);
    let place = context.policy_of(&edge.from, &edge.cluster);
    (
        place.or_else(|| Some(format!("any DestinationRule of {}", edge.service))),
        warmup,
    )
}

/// What the new pods got of their workload's requests, against an even share of the time.
fn share(record: &Record, join: f64, pods: &[String]) -> Vec<String> {
    let left = record.duration.as_secs_f64() - join;
    let counted = record.duration.as_secs_f64() - record.warm_up.as_secs_f64();
    let line = |pod: &String| {
        let own = record.endpoints.iter().find(|e| e.pod == *pod)?;
        let peers = record
            .endpoints
            .iter()
            .filter(|e| e.workload == own.workload);
        let (mut all, mut count) = (0_u64, 0_u64);
        for peer in peers {
            (all, count) = (all + peer.requests, count + 1);
        }
        let even = all as f64 * (left / counted.max(1e-9)) / count.max(1) as f64;
        Some(format!(
            "{pod} got {} requests from {join:.1} s on; an even share of that time is some {even:.0}",
            own.requests
        ))
    };
    pods.iter().take(4).filter_map(line).collect()
}
