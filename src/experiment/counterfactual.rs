//! What would remove a finding: the smallest change, found by simulating it.
//!
//! Candidates are tried from small to large on the first replication's luck; the first under which
//! the finding is gone is told, with what it changes. Nothing is promised that was not run.

mod waiting;

use super::replicate;
use crate::config::scenario::{Model, Scenario, TimedEvent};
use crate::observe::Record;
use crate::observe::record::{EdgeRecord, Finding, failed};
use crate::simulation::{Control, prepare};
use crate::units::{Fraction, SimDuration};
use crate::verdict;
use crate::xds::cluster::{Warmup, service_host};
use crate::xds::route::Action;
use crate::xds::{LbPolicy, Snapshot};

/// Findings that a change of retries, queues or order may remove.
const CODES: [&str; 6] = [
    "TT-CASCADE",
    "TT-COLD-PODS",
    "TT-METASTABLE",
    "TT-RETRY-STORM",
    "TT-COLLAPSE",
    "TT-NC-WINDOW",
];
/// Of those, the ones that have changes of their own.
const OWN: [&str; 3] = ["TT-CASCADE", "TT-COLD-PODS", "TT-NC-WINDOW"];
/// Tries per request from which an edge's retries are looked at.
const AMPLIFIED: f64 = 1.2;
/// Envoy's own retry budget: a fifth of the active requests, three at least.
const BUDGET: (Fraction, u32) = (Fraction::from_ppm(200_000), 3);

/// What is left of the longest 99th percentile when a slow start is enough.
const QUICKER: f64 = 0.75;
/// Lengths of a slow start that are tried, in seconds.
const WARMUPS: [u64; 5] = [5, 10, 20, 40, 80];

/// One change.
struct Candidate {
    /// As people would write it.
    what: String,
    snapshot: Snapshot,
    model: Model,
    /// Another course of events.
    scenario: Option<Scenario>,
}

/// Adds to each finding what would remove it, where that was found.
pub fn add(
    record: &mut Record,
    snapshot: &Snapshot,
    model: &Model,
    scenario: &Scenario,
    control: &Control<'_>,
) {
    let mut open: Vec<usize> = (0..record.findings.len())
        .filter(|at| CODES.contains(&record.findings[*at].code))
        .collect();
    if open.is_empty() {
        return;
    }
    let mut tried = Vec::new();
    let asked = || open.iter().map(|at| record.findings[*at].code);
    let mut all = Vec::new();
    if asked().any(|code| code == "TT-NC-WINDOW") {
        all.extend(at_once(snapshot, model, scenario));
    }
    if asked().any(|code| code == "TT-COLD-PODS") {
        all.extend(slow_starts(snapshot, model));
    }
    if asked().any(|code| code == "TT-CASCADE") {
        all.extend(waiting::candidates(record, snapshot, model));
    }
    if asked().any(|code| !OWN.contains(&code)) {
        all.extend(candidates(record, snapshot, model));
    }
    for candidate in all {
        if open.is_empty() {
            break;
        }
        let scenario = candidate.scenario.as_ref().unwrap_or(scenario);
        let Ok(plan) = prepare(&candidate.snapshot, &candidate.model, scenario) else {
            continue;
        };
        let quiet = Control {
            progress: None,
            keep_requests: 0,
            ..*control
        };
        let other = replicate(&plan, record.seed, 1, Some(1), &quiet);
        if control
            .interrupted
            .load(std::sync::atomic::Ordering::Relaxed)
        {
            return;
        }
        let findings = verdict::judge(&other, &candidate.snapshot);
        tried.push(candidate.what.clone());
        open.retain(|at| {
            let finding = &record.findings[*at];
            if findings.iter().any(|f| is_same(f, finding))
                || is_as_slow(record, &other, finding)
                || is_no_relief(record, &other, finding)
            {
                return true;
            }
            let sentence = told(&candidate.what, record, &other, finding.code);
            record.findings[*at].counterfactual = Some(sentence);
            false
        });
    }
    for at in open {
        let sentence = match tried.as_slice() {
            [] => continue,
            list => format!("simulated and not enough: {}", list.join("; ")),
        };
        record.findings[at].counterfactual = Some(sentence);
    }
}

/// The same code about the same load; a storm is one wherever it is.
fn is_same(other: &Finding, finding: &Finding) -> bool {
    // Of a gap it is the cluster, of everything else who is named first.
    let at = if finding.code == "TT-NC-WINDOW" { 3 } else { 1 };
    let subject = |f: &Finding| f.what.split('`').nth(at).map(str::to_owned);
    let anywhere = finding.code == "TT-RETRY-STORM";
    other.code == finding.code && (anywhere || subject(other) == subject(finding))
}

/// Of cold pods the finding may be gone by a hair: what is told has to be much quicker.
fn is_as_slow(record: &Record, other: &Record, finding: &Finding) -> bool {
    let worst = (
        verdict::worst_after_start(record),
        verdict::worst_after_start(other),
    );
    let (Some(before), Some(after)) = worst else {
        return false;
    };
    finding.code == "TT-COLD-PODS" && after > QUICKER * before
}

/// Who refuses everybody is never full: a cascade that is gone has to leave fewer requests failing.
fn is_no_relief(record: &Record, other: &Record, finding: &Finding) -> bool {
    finding.code == "TT-CASCADE" && failing(other) >= failing(record)
}

/// Share of requests that fail.
fn failing(record: &Record) -> f64 {
    let all: u64 = record.clients.iter().map(|c| c.requests).sum();
    let failed: u64 = record.clients.iter().map(|c| failed(&c.statuses)).sum();
    failed as f64 / all.max(1) as f64
}

/// What a run under the change looks like.
fn told(what: &str, record: &Record, other: &Record, code: &str) -> String {
    let worst = (other.edges.iter())
        .filter(|e| e.requests >= 100)
        .map(amplification)
        .fold(1.0, f64::max);
    let share = 100.0 * failing(other);
    if code == "TT-CASCADE" {
        return format!(
            "simulated with {what}: nobody else fills up, {share:.2} % of requests fail ({:.2} % without it)",
            100.0 * failing(record)
        );
    }
    let recovery = match verdict::recovered_after(other) {
        Some(seconds) if code == "TT-METASTABLE" => {
            format!("the load recovers {seconds:.1} s after the trigger, ")
        }
        _ => String::new(),
    };
    if let (Some(worst), "TT-COLD-PODS") = (verdict::worst_after_start(other), code) {
        return format!(
            "simulated with {what}: p99 is at most {worst:.0} ms after the new pods joined, {share:.2} % of requests fail"
        );
    }
    format!(
        "simulated with {what}: {recovery}{share:.2} % of requests fail, at most {worst:.2} tries per request"
    )
}

fn amplification(edge: &EdgeRecord) -> f64 {
    edge.attempts as f64 / edge.requests.max(1) as f64
}

/// Changes to try, the smallest first.
fn candidates(record: &Record, snapshot: &Snapshot, model: &Model) -> Vec<Candidate> {
    let edges: Vec<&EdgeRecord> = (record.edges.iter())
        .filter(|e| e.cluster != "-" && amplification(e) >= AMPLIFIED)
        .collect();
    let mut clusters: Vec<&str> = edges.iter().map(|e| e.cluster.as_str()).collect();
    clusters.sort_unstable();
    clusters.dedup();
    let mut all = Vec::new();
    for retries in [1, 0] {
        let mut changed = snapshot.clone();
        let mut before = 0;
        changed.change_all(|tables| before = before.max(set_retries(tables, &clusters, retries)));
        if before > retries {
            all.push(Candidate {
                what: format!("`attempts: {retries}` towards {}", hosts(&clusters)),
                snapshot: changed,
                model: model.clone(),
                scenario: None,
            });
        }
    }
    if !clusters.is_empty() {
        let mut changed = snapshot.clone();
        changed.change_all(|tables| set_budget(tables, &clusters));
        all.push(Candidate {
            what: format!(
                "`retryBudget: {{percent: 20}}` towards {}",
                hosts(&clusters)
            ),
            snapshot: changed,
            model: model.clone(),
            scenario: None,
        });
    }
    all.extend(short_queues(record, snapshot, model));
    all
}

/// The services behind clusters, for words.
fn hosts(clusters: &[&str]) -> String {
    let host = |cluster: &&str| {
        let host = service_host(cluster);
        host.split('.').next().unwrap_or(host).to_owned()
    };
    clusters.iter().map(host).collect::<Vec<_>>().join(", ")
}

/// Everything that is applied or deleted comes with the first of it, and so in one push.
fn at_once(snapshot: &Snapshot, model: &Model, scenario: &Scenario) -> Option<Candidate> {
    let mut other = scenario.clone();
    let is_change = |event: &&mut TimedEvent| event.what.change().is_some();
    let mut changes: Vec<&mut TimedEvent> = other.events.iter_mut().filter(is_change).collect();
    let first = changes.iter().map(|event| event.at).min()?;
    if changes.iter().all(|event| event.at == first) {
        return None;
    }
    for event in &mut changes {
        event.at = first;
    }
    other.events.sort_by_key(|event| event.at);
    Some(Candidate {
        what: format!("everything applied at once, at {first}"),
        snapshot: snapshot.clone(),
        model: model.clone(),
        scenario: Some(other),
    })
}

/// Most retries that were allowed before.
fn set_retries(snapshot: &mut Snapshot, clusters: &[&str], retries: u32) -> u32 {
    let mut most = 0;
    for id in snapshot.route_configs.ids() {
        for host in &mut snapshot.route_configs[id].virtual_hosts {
            let mut routes = host.routes.to_vec();
            for route in &mut routes {
                let Action::Forward(forward) = &mut route.action else {
                    continue;
                };
                let goes = forward
                    .clusters
                    .iter()
                    .any(|c| clusters.contains(&&*c.name));
                if let Some(policy) = forward.retry.as_mut().filter(|_| goes) {
                    most = most.max(policy.retries);
                    policy.retries = policy.retries.min(retries);
                }
            }
            host.routes = routes.into();
        }
    }
    most
}

fn set_budget(snapshot: &mut Snapshot, clusters: &[&str]) {
    for id in snapshot.clusters.ids() {
        let cluster = &mut snapshot.clusters[id];
        if clusters.contains(&&*cluster.name) {
            cluster.breakers.retry_budget = Some(BUDGET);
        }
    }
}

/// Every cluster that can has a slow start of this length.
fn slow_starts(snapshot: &Snapshot, model: &Model) -> Vec<Candidate> {
    let one = |seconds: u64| {
        let duration = SimDuration::from_secs(seconds);
        let mut changed = snapshot.clone();
        changed.change_all(|tables| set_warmup(tables, duration));
        Candidate {
            what: format!("`warmup: {{duration: {duration}}}`"),
            snapshot: changed,
            model: model.clone(),
            scenario: None,
        }
    };
    WARMUPS.map(one).into()
}

fn set_warmup(snapshot: &mut Snapshot, duration: SimDuration) {
    for id in snapshot.clusters.ids() {
        let cluster = &mut snapshot.clusters[id];
        if matches!(
            cluster.lb,
            LbPolicy::RoundRobin | LbPolicy::LeastRequest { .. }
        ) {
            // `minimumPercent` and `aggression` as Istio has them where they are not written.
            cluster.warmup = Some(Warmup {
                duration,
                minimum: Fraction::from_ppm(100_000),
                aggression: 1.0,
            });
        }
    }
}

/// The workload that waits most gets a queue no longer than what it serves at once.
fn short_queues(record: &Record, snapshot: &Snapshot, model: &Model) -> Option<Candidate> {
    let worst = (record.workloads.iter())
        .filter(|w| w.queue_mean > 1.0 && w.utilisation.is_some())
        .max_by(|a, b| a.queue_mean.total_cmp(&b.queue_mean))?;
    let mut changed = model.clone();
    let mut behaviour = (model.workloads.get(worst.name.as_str()))
        .unwrap_or(&model.defaults)
        .clone();
    let slots = behaviour.concurrency?;
    if behaviour.queue.is_some_and(|queue| queue <= slots) {
        return None;
    }
    behaviour.queue = Some(slots);
    changed
        .workloads
        .insert(worst.name.as_str().into(), behaviour);
    Some(Candidate {
        what: format!(
            "`queue: {slots}` in {} (it answers 503 beyond that)",
            worst.name
        ),
        snapshot: snapshot.clone(),
        model: changed,
        scenario: None,
    })
}
