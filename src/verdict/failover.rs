//! `TT-FAILOVER-NEVER`: pods of a place fail, others are well, and no request can ever leave.
//!
//! Two ways lead there. Without `outlierDetection` istiod makes no priorities and Envoy calls no
//! host unhealthy; with `distribute` a place that is not in `to` is not in the client's list at
//! all (`istio-config.md` §3.7).

use std::collections::{BTreeMap, BTreeSet};

use super::{Context, percent};
use crate::observe::record::{Finding, Happening, HappeningKind, Severity, failed};
use crate::xds::endpoint::{LocalityKind, localize};
use crate::xds::{Cluster, Endpoint};

/// Share of failed requests from which it is named, and their least number.
const SHARE: f64 = 0.01;
const FAILED_MIN: u64 = 20;
/// Share from which it is an error.
const GRAVE: f64 = 0.05;

pub(super) fn judge(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let record = context.record;
    if record.happenings.iter().all(|h| h.pods.is_empty()) {
        return;
    }
    let mut calls: BTreeMap<(&str, &str), (u64, u64)> = BTreeMap::new();
    for edge in &record.edges {
        let sum = calls.entry((&edge.from, &edge.cluster)).or_default();
        sum.0 += edge.requests;
        sum.1 += failed(&edge.statuses);
    }
    for ((from, name), (all, failed)) in calls {
        let share = failed as f64 / all.max(1) as f64;
        if failed < FAILED_MIN || share < SHARE {
            continue;
        }
        let Some(cluster) = context.cluster(from, name) else {
            continue;
        };
        let Some(why) = reason(cluster, context, from) else {
            continue;
        };
        let failures = partly_down(context, cluster);
        if failures.is_empty() {
            continue;
        }
        let mut chain: Vec<String> = failures
            .iter()
            .map(|h| format!("{:.1} s: {}", h.at.as_secs_f64(), h.what))
            .collect();
        chain.extend(priorities(context, from, cluster));
        findings.push(Finding {
            code: "TT-FAILOVER-NEVER",
            severity: if share >= GRAVE {
                Severity::Error
            } else {
                Severity::Warning
            },
            what: format!(
                "{failed} of {all} requests of {from} to {name} fail ({}) and none fails over: {}",
                percent(share),
                why.words
            ),
            chain,
            cause: context
                .policy_of(from, name)
                .map(|place| format!("{} in {place}", why.cause)),
            help: why.help.to_owned(),
            edges: vec![((*from).to_owned(), (*name).to_owned())],
            counterfactual: None,
        });
    }
}

/// What took pods of a cluster down; nothing when none of them was ever down while another was
/// left: where all are gone there is nothing to fail over to.
fn partly_down<'r>(context: &Context<'r>, cluster: &Cluster) -> Vec<&'r Happening> {
    let exists = |e: &&Endpoint| e.pod.is_none_or(|pod| !context.snapshot.pods[pod].spare);
    let all = cluster.endpoints.iter().filter(exists).count();
    let own: BTreeSet<u32> = (cluster.endpoints.iter().filter(exists))
        .filter_map(|e| Some(e.pod?.index() as u32))
        .collect();
    let (mut down, mut failures, mut some_left) = (BTreeSet::new(), Vec::new(), false);
    for together in context.record.happenings.chunk_by(|a, b| a.at == b.at) {
        for happening in together {
            let hit = || happening.pods.iter().filter(|pod| own.contains(pod));
            match happening.kind {
                HappeningKind::Begins if hit().next().is_some() => {
                    down.extend(hit());
                    failures.push(happening);
                }
                HappeningKind::Ends => down.retain(|pod| !happening.pods.contains(pod)),
                _ => {}
            }
        }
        some_left |= !down.is_empty() && down.len() < all;
    }
    if some_left { failures } else { Vec::new() }
}

/// Why nothing fails over.
struct Why {
    words: &'static str,
    cause: &'static str,
    help: &'static str,
}

fn reason(cluster: &Cluster, context: &Context<'_>, from: &str) -> Option<Why> {
    let places: BTreeSet<String> = cluster
        .endpoints
        .iter()
        .map(|e| e.locality.to_string())
        .collect();
    if places.len() < 2 {
        return None;
    }
    if let LocalityKind::Distribute(_) = cluster.locality.kind {
        let seen = assignments(context, from, cluster);
        let listed = |groups: &Vec<Group>| groups.iter().map(|g| g.pods).sum::<usize>();
        let complete = |groups| listed(groups) == cluster.endpoints.len();
        return (!seen.values().all(complete)).then_some(Why {
            words: "`distribute` leaves out the other places, ejections or not",
            cause: "`distribute`",
            help: "use `failover` or `failoverPriority` with `outlierDetection`, or give the other place a small share in `distribute`: what is ejected in one place is then taken over by the others",
        });
    }
    (cluster.outlier.is_none() && cluster.health_checks.is_empty()).then_some(Why {
        words: "outlierDetection is absent, so no pod is ever unhealthy and places play no part",
        cause: "no `outlierDetection`",
        help: "add `outlierDetection` (consecutive5xxErrors, interval, baseEjectionTime, maxEjectionPercent: 100) to the same trafficPolicy, and a short `connectTimeout`",
    })
}

/// Pods of a place, as a client sees them.
struct Group {
    place: String,
    priority: u32,
    pods: usize,
    weight: Option<u32>,
}

/// For each place of a workload's pods, what they see of a cluster.
fn assignments(
    context: &Context<'_>,
    from: &str,
    cluster: &Cluster,
) -> BTreeMap<String, Vec<Group>> {
    let Some(workload) = context.workload(from) else {
        return BTreeMap::new();
    };
    let mut seen = BTreeMap::new();
    for pod in &workload.pods {
        let here = &context.snapshot.pods[*pod].locality;
        seen.entry(here.to_string()).or_insert_with(|| {
            let all = localize(
                &cluster.endpoints,
                &cluster.locality,
                here,
                &workload.labels,
            );
            let group = |g: &crate::xds::endpoint::LocalityGroup| Group {
                place: g.locality.to_string(),
                priority: g.priority,
                pods: g.endpoints.len(),
                weight: g.weight,
            };
            all.groups.iter().map(group).collect()
        });
    }
    seen
}

/// One line per place of the client: who is in which priority.
fn priorities(context: &Context<'_>, from: &str, cluster: &Cluster) -> Vec<String> {
    let weighted = matches!(cluster.locality.kind, LocalityKind::Distribute(_));
    let line = |(here, groups): (String, Vec<Group>)| {
        let here = if here.is_empty() {
            "an unknown place"
        } else {
            &here
        };
        let mut levels: BTreeMap<u32, Vec<String>> = BTreeMap::new();
        for group in groups {
            let mut text = format!("{} ({} pods)", group.place, group.pods);
            if let (true, Some(weight)) = (weighted, group.weight) {
                text.push_str(&format!(" with weight {weight}"));
            }
            levels.entry(group.priority).or_default().push(text);
        }
        let levels: Vec<String> = levels
            .iter()
            .map(|(priority, places)| format!("priority {priority}: {}", places.join(", ")))
            .collect();
        format!("a client in {here} has {}", levels.join("; "))
    };
    assignments(context, from, cluster)
        .into_iter()
        .map(line)
        .collect()
}
