//! The tables of a record: counters of all replications by name.

use std::collections::BTreeMap;

use super::super::plan::{ActionPlan, NIL, Plan};
use super::Outcome;
use crate::http::{Flags, grpc};
use crate::observe::proxy_stats::ProxyStats;
use crate::observe::record::{
    ClusterRecord, EdgeRecord, EndpointRecord, ProxyRecord, WorkloadRecord,
};
use crate::observe::recorder::AppCounts;
use crate::observe::{ClusterStats, Histogram, Tally};

pub(super) fn add_text<K: Copy + Ord + std::fmt::Display>(
    into: &mut BTreeMap<String, u64>,
    counts: &Tally<K>,
) {
    for (key, n) in counts.sorted() {
        *into.entry(key.to_string()).or_insert(0) += n;
    }
}

pub(super) fn add_statuses(into: &mut BTreeMap<String, u64>, counts: &Tally<u16>) {
    for (status, n) in counts.sorted() {
        *into.entry(grpc::shown(status)).or_insert(0) += n;
    }
}

pub(super) fn clusters(plan: &Plan, outcomes: &[Outcome]) -> Vec<ClusterRecord> {
    let mut all: BTreeMap<(&str, &str), Counted> = BTreeMap::new();
    for (index, slot) in plan.slots.iter().enumerate().filter(|(_, s)| !s.synthetic) {
        let entry = all.entry((&slot.workload, &slot.cluster)).or_default();
        for outcome in outcomes {
            let counts = &outcome.record.slots[index];
            entry.stats.merge(&counts.stats);
            entry.most_connections = entry.most_connections.max(counts.most_connections);
        }
    }
    for (row, slot) in slots_of_rows(plan).into_iter().enumerate() {
        let Some(slot) = plan.slots.get(slot as usize).filter(|s| !s.synthetic) else {
            continue;
        };
        let entry = all.entry((&slot.workload, &slot.cluster)).or_default();
        for outcome in outcomes {
            entry.latency.merge(&outcome.record.rows[row].latency);
        }
    }
    all.into_iter()
        .filter(|(_, counted)| !counted.stats.is_empty())
        .map(|((workload, cluster), counted)| ClusterRecord {
            workload: workload.to_owned(),
            cluster: cluster.to_owned(),
            stats: counted.stats.named(),
            latency: counted.latency,
            most_connections: counted.most_connections,
        })
        .collect()
}

/// One cluster of one client workload, over replications.
#[derive(Default)]
struct Counted {
    stats: ClusterStats,
    latency: Histogram,
    most_connections: u32,
}

/// The slot whose calls each row counts; `NIL` for rows of what no cluster answers.
fn slots_of_rows(plan: &Plan) -> Vec<u32> {
    let mut slots = vec![NIL; plan.rows.len()];
    for route in &plan.routes {
        let ActionPlan::Forward { clusters, .. } = &route.action else {
            continue;
        };
        for cluster in clusters.iter().filter(|c| c.slot != NIL) {
            slots[cluster.row as usize] = cluster.slot;
            for target in &cluster.targets {
                slots[target.row as usize] = cluster.slot;
            }
        }
    }
    slots
}

pub(super) fn proxies(plan: &Plan, outcomes: &[Outcome]) -> Vec<ProxyRecord> {
    let mut all: BTreeMap<&str, ProxyRecord> = BTreeMap::new();
    for (index, scope) in plan.filters.scopes.iter().enumerate() {
        let mut stats = ProxyStats::default();
        for outcome in outcomes {
            stats.merge(&outcome.record.proxies[index]);
        }
        let record = all.entry(&scope.workload).or_default();
        record.workload.clone_from(&scope.workload);
        record.stats.extend(stats.named(&scope.prefix));
    }
    let counted = all.into_values().filter(|p| !p.stats.is_empty());
    counted.collect()
}

pub(super) fn endpoints(plan: &Plan, outcomes: &[Outcome]) -> Vec<EndpointRecord> {
    let mut reachable = vec![false; plan.pods.len()];
    plan.clusters
        .iter()
        .flat_map(|c| &c.hosts)
        .for_each(|h| reachable[h.pod as usize] = true);
    let mut all: Vec<EndpointRecord> = plan
        .pods
        .iter()
        .enumerate()
        .filter(|(index, _)| reachable[*index])
        .filter(|(index, pod)| {
            // One that nobody started does not exist.
            !pod.spare || outcomes.iter().any(|o| o.record.pods[*index].requests > 0)
        })
        .map(|(index, pod)| EndpointRecord {
            workload: plan.apps[pod.app as usize].name.clone(),
            pod: pod.name.clone(),
            requests: outcomes.iter().map(|o| o.record.pods[index].requests).sum(),
            ejections: outcomes
                .iter()
                .map(|o| o.record.pods[index].ejections)
                .sum(),
            locality: pod.locality.to_string(),
        })
        .collect();
    // Pods come in ordinal order within a workload; only workloads are sorted.
    all.sort_by(|a, b| a.workload.cmp(&b.workload));
    all
}

pub(super) fn edges(plan: &Plan, outcomes: &[Outcome]) -> Vec<EdgeRecord> {
    let mut all: Vec<EdgeRecord> = Vec::new();
    for (index, row) in plan.rows.iter().enumerate() {
        let mut edge = EdgeRecord {
            from: row.from.clone(),
            service: row.service.clone(),
            cluster: row.cluster.clone(),
            to: row.to.clone(),
            ..EdgeRecord::default()
        };
        for outcome in outcomes {
            let counts = &outcome.record.rows[index];
            edge.requests += counts.requests;
            edge.attempts += counts.attempts;
            add_statuses(&mut edge.statuses, &counts.statuses);
            let mut flags = counts.flags.clone();
            if counts.requests > flags.total() {
                flags.add(Flags::NONE, counts.requests - flags.total());
            }
            add_text(&mut edge.flags, &flags);
            edge.latency.merge(&counts.latency);
            edge.latency.merge(&counts.uncharged);
        }
        if edge.requests > 0 {
            all.push(edge);
        }
    }
    all.sort_by(|a, b| {
        (&a.from, &a.service, &a.cluster, &a.to).cmp(&(&b.from, &b.service, &b.cluster, &b.to))
    });
    all
}

pub(super) fn workloads(plan: &Plan, outcomes: &[Outcome]) -> Vec<WorkloadRecord> {
    let mut all: Vec<WorkloadRecord> = Vec::new();
    for (index, app) in plan.apps.iter().enumerate() {
        let mut total = AppCounts::default();
        let mut rare = BTreeMap::new();
        let (mut busy, mut waiting, mut most, mut counted) = (0.0_f64, 0.0_f64, 0, 0.0_f64);
        let mut served = 0.0_f64;
        let existing = app.pods.iter().filter(|p| !plan.pods[**p as usize].spare);
        let pods = existing.count();
        for outcome in outcomes {
            let counts = &outcome.record.apps[index];
            total.requests += counts.requests;
            total.rejected += counts.rejected;
            total.errors += counts.errors;
            total.queue_time.merge(&counts.queue_time);
            total.queue_time.record_zeros(counts.served_at_once);
            total.latency.merge(&counts.latency);
            counts.rare.add_to(&mut rare);
            let (b, w, m) = outcome.occupation[index];
            busy += b as f64;
            waiting += w as f64;
            most = most.max(m);
            counted += outcome.counted.ns() as f64;
            served += match outcome.served.get(index) {
                Some(ns) => *ns as f64,
                None => pods as f64 * outcome.counted.ns() as f64,
            };
        }
        if total.requests + total.rejected == 0 {
            continue;
        }
        let mean = |area: f64| if counted > 0.0 { area / counted } else { 0.0 };
        let slots = f64::from(app.limits.concurrency) * served;
        all.push(WorkloadRecord {
            name: app.name.clone(),
            pods: pods as u32,
            requests: total.requests,
            rejected: total.rejected,
            errors: total.errors,
            utilisation: (app.limits.concurrency != u32::MAX && served > 0.0).then(|| busy / slots),
            busy_mean: mean(busy),
            queue_mean: mean(waiting),
            queue_max: most,
            queue_time: total.queue_time,
            latency: total.latency,
            counts: rare,
        });
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}
