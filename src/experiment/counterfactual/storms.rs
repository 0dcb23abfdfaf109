//! Changes that end a storm of retries: fewer of them, a budget, a shorter queue.

use super::{Candidate, Usual, hosts};
use crate::observe::Record;
use crate::observe::record::EdgeRecord;
use crate::units::Fraction;
use crate::verdict::AMPLIFIED;
use crate::xds::Snapshot;
use crate::xds::route::{Action, Forward};

/// Findings that such a change may remove.
pub(super) const CODES: [&str; 4] = [
    "TT-METASTABLE",
    "TT-RETRY-STORM",
    "TT-COLLAPSE",
    "TT-SLOW-RECOVERY",
];
/// Envoy's own retry budget: a fifth of the active requests, three at least.
const BUDGET: (Fraction, u32) = (Fraction::from_ppm(200_000), 3);

/// Changes to try, the smallest first.
pub(super) fn candidates<'c>(record: &Record, usual: Usual<'c>) -> Vec<Candidate<'c>> {
    let all = || record.edges.iter().filter(|e| e.cluster != "-");
    let mut edges: Vec<&EdgeRecord> = all().filter(|e| e.amplification() >= AMPLIFIED).collect();
    if edges.is_empty() {
        // A storm that passed leaves little in the figures of the whole run.
        let retried = all().filter(|e| e.attempts > e.requests);
        edges.extend(retried.max_by_key(|e| e.attempts - e.requests));
    }
    let mut clusters: Vec<String> = edges.iter().map(|e| e.cluster.clone()).collect();
    clusters.sort_unstable();
    clusters.dedup();
    let names: Vec<&str> = clusters.iter().map(String::as_str).collect();
    let most = most_retries(usual.snapshot, &names);
    let mut all = Vec::new();
    for retries in [1, 0].into_iter().filter(|retries| most > *retries) {
        let what = format!("`attempts: {retries}` towards {}", hosts(&names));
        let clusters = clusters.clone();
        all.push(Candidate::of_tables(what, move |tables| {
            set_retries(tables, &clusters, retries);
        }));
    }
    if !clusters.is_empty() {
        let what = format!("`retryBudget: {{percent: 20}}` towards {}", hosts(&names));
        let clusters = clusters.clone();
        all.push(Candidate::of_tables(what, move |tables| {
            set_budget(tables, &clusters);
        }));
    }
    all.extend(short_queue(record, usual));
    all
}

fn most_retries(snapshot: &Snapshot, clusters: &[&str]) -> u32 {
    let versions = (0..=snapshot.later.len()).map(|at| snapshot.at(at));
    let leads = |forward: &&Forward| {
        let mut names = forward.clusters.iter().map(|c| &*c.name);
        names.any(|name| clusters.contains(&name))
    };
    let policies = versions
        .flat_map(Snapshot::forwards)
        .filter(leads)
        .filter_map(|forward| forward.retry.as_ref());
    policies.map(|policy| policy.retries).max().unwrap_or(0)
}

/// Changes what routes that lead to a cluster do.
pub(super) fn change_routes(
    snapshot: &mut Snapshot,
    leads: impl Fn(&str) -> bool,
    change: impl Fn(&mut Forward),
) {
    for id in snapshot.route_configs.ids() {
        for host in &mut snapshot.route_configs[id].virtual_hosts {
            let mut routes = host.routes.to_vec();
            for route in &mut routes {
                if let Action::Forward(forward) = &mut route.action
                    && forward.clusters.iter().any(|c| leads(&c.name))
                {
                    change(forward);
                }
            }
            host.routes = routes.into();
        }
    }
}

pub(super) fn set_retries(snapshot: &mut Snapshot, clusters: &[String], retries: u32) {
    let leads = |name: &str| clusters.iter().any(|c| c == name);
    change_routes(snapshot, leads, |forward| {
        if let Some(policy) = &mut forward.retry {
            policy.retries = policy.retries.min(retries);
        }
    });
}

pub(super) fn set_budget(snapshot: &mut Snapshot, clusters: &[String]) {
    for id in snapshot.clusters.ids() {
        let cluster = &mut snapshot.clusters[id];
        if clusters.iter().any(|name| **name == *cluster.name) {
            cluster.breakers.retry_budget = Some(BUDGET);
        }
    }
}

/// The workload that waits most gets a queue no longer than what it serves at once.
fn short_queue<'c>(record: &Record, usual: Usual<'c>) -> Option<Candidate<'c>> {
    let worst = (record.workloads.iter())
        .filter(|w| w.queue_mean > 1.0 && w.utilisation.is_some())
        .max_by(|a, b| a.queue_mean.total_cmp(&b.queue_mean))?;
    let name = worst.name.clone();
    let model = usual.model;
    let mut behaviour = (model.workloads.get(name.as_str()))
        .unwrap_or(&model.defaults)
        .clone();
    let slots = behaviour.concurrency?;
    if behaviour.queue.is_some_and(|queue| queue <= slots) {
        return None;
    }
    behaviour.queue = Some(slots);
    let what = format!("`queue: {slots}` in {name} (it answers 503 beyond that)");
    Some(Candidate::new(what, move |trial| {
        let workloads = &mut trial.model.workloads;
        workloads.insert(name.as_str().into(), behaviour.clone());
    }))
}
