//! What would remove a finding: the smallest change, found by simulating it.
//!
//! Candidates are tried from small to large on the first replication's luck; the first under which
//! the finding is gone is told, with what it changes. Nothing is promised that was not run.

mod balance;
mod calls;
mod pods;
mod storms;
mod waiting;

use super::{failover, replicate};
use crate::config::scenario::{Model, Scenario};
use crate::observe::Record;
use crate::observe::record::{EdgeRecord, Finding, failed};
use crate::simulation::{Control, prepare};
use crate::verdict;
use crate::xds::Snapshot;
use crate::xds::cluster::service_host;

/// Runs that are spent on all findings of a record together.
const RUNS_MAX: usize = 30;
/// Found by another run, without what is lost.
const OVERLOAD: &str = "TT-FAILOVER-OVERLOAD";
/// Of the share of requests that fail, this much has to be won at least.
const BETTER: f64 = 0.1;
/// What is left of the longest 99th percentile when a slow start is enough.
const QUICKER: f64 = 0.75;

/// What was simulated.
#[derive(Clone, Copy)]
struct Usual<'u> {
    snapshot: &'u Snapshot,
    model: &'u Model,
    scenario: &'u Scenario,
}

/// A copy of it that may be changed.
struct Trial {
    snapshot: Snapshot,
    model: Model,
    scenario: Scenario,
}

/// One change.
struct Candidate<'c> {
    /// As people would write it.
    what: String,
    change: Box<dyn Fn(&mut Trial) + 'c>,
}

impl<'c> Candidate<'c> {
    fn new(what: String, change: impl Fn(&mut Trial) + 'c) -> Self {
        Self {
            what,
            change: Box::new(change),
        }
    }

    /// A change of the tables, now and whenever they change.
    fn of_tables(what: String, change: impl Fn(&mut Snapshot) + 'c) -> Self {
        Self::new(what, move |trial| trial.snapshot.change_all(&change))
    }
}

/// Adds to each finding what would remove it, where that was found.
pub fn add(
    record: &mut Record,
    snapshot: &Snapshot,
    model: &Model,
    scenario: &Scenario,
    control: &Control<'_>,
) {
    let usual = Usual {
        snapshot,
        model,
        scenario,
    };
    let mut runs = 0;
    let mut sentences: Vec<Option<String>> = vec![None; record.findings.len()];
    // A storm, its metastable end and a collapse have one cure: each change is run once for all.
    let mut groups: Vec<(Vec<usize>, Vec<Candidate<'_>>)> = Vec::new();
    let storms: Vec<usize> = (0..record.findings.len())
        .filter(|at| storms::CODES.contains(&record.findings[*at].code))
        .collect();
    if !storms.is_empty() {
        groups.push((storms, storms::candidates(record, usual)));
    }
    for (at, finding) in record.findings.iter().enumerate() {
        let own = candidates(record, finding, usual);
        if !own.is_empty() {
            groups.push((vec![at], own));
        }
    }
    'all: for (mut open, all) in groups {
        let mut tried = Vec::new();
        let mut hollow: Vec<Option<String>> = vec![None; record.findings.len()];
        for candidate in all {
            if open.is_empty() || runs == RUNS_MAX {
                break;
            }
            let is_loss = |at: &usize| record.findings[*at].code == OVERLOAD;
            let with_loss = open.iter().any(is_loss);
            let tried_out = run(&candidate, usual, record.seed, with_loss, control);
            let Some((other, findings)) = tried_out else {
                continue;
            };
            if (control.interrupted).load(std::sync::atomic::Ordering::Relaxed) {
                break 'all;
            }
            runs += 1;
            tried.push(candidate.what.clone());
            open.retain(|at| {
                let finding = &record.findings[*at];
                let stays = |f: &Finding| is_same(f, finding) || has_moved(f, finding, record);
                let stays = findings.iter().any(stays);
                if stays {
                    return true;
                }
                let sentence = told(&candidate.what, record, &other, finding.code);
                if is_no_better(record, &other, finding) {
                    hollow[*at].get_or_insert(format!("{sentence}: no better"));
                    return true;
                }
                sentences[*at] = Some(sentence);
                false
            });
        }
        for at in open.into_iter().filter(|_| !tried.is_empty()) {
            let in_vain = || format!("simulated and not enough: {}", tried.join("; "));
            sentences[at] = Some(hollow[at].take().unwrap_or_else(in_vain));
        }
    }
    for (finding, sentence) in record.findings.iter_mut().zip(sentences) {
        finding.counterfactual = sentence.or(finding.counterfactual.take());
    }
}

/// Changes that may remove one finding, the smallest first.
fn candidates<'u>(record: &Record, finding: &Finding, usual: Usual<'u>) -> Vec<Candidate<'u>> {
    match (finding.code, finding.edges.as_slice()) {
        ("TT-NC-WINDOW", _) => pods::at_once(usual).into_iter().collect(),
        ("TT-COLD-PODS", _) => pods::slow_starts(),
        ("TT-ROLLOUT-LOSS", [(workload, _)]) => pods::longer_ends(workload, usual),
        ("TT-NO-HEADROOM", [(workload, _)]) => pods::more_places(&[workload], usual),
        (OVERLOAD, edges) => pods::carry(record, edges, usual),
        ("TT-FAULT-RETRIED", edges) => calls::fewer_layers(edges),
        ("TT-CASCADE", _) => waiting::candidates(record, usual),
        ("TT-WORKER-SKEW", [(client, cluster)]) if cluster.is_empty() => {
            balance::more_connections(client, usual)
        }
        ("TT-WORKER-SKEW", [edge]) => balance::newer_connections(edge, usual),
        ("TT-BREAKER-EXCEEDED", _) => balance::one_thread(usual).into_iter().collect(),
        ("TT-IMBALANCE", edges) => balance::candidates(edges.last(), usual),
        ("TT-BREAKER-NEVER", [edge]) => calls::lower_limits(record, edge, usual),
        ("TT-BREAKER-OPEN", [edge]) => calls::higher_limits(record, edge, usual),
        ("TT-EJECTION-COLLAPSE", [edge]) => calls::fewer_ejections(edge, usual),
        ("TT-EJECTION-REFUSED", [edge]) => calls::more_ejections(edge, usual),
        ("TT-FAILOVER-NEVER", [edge]) => {
            let mut all = calls::outlier_detection(edge, usual);
            all.extend(balance::no_distribute(edge, usual));
            all
        }
        ("TT-MIRROR-LOAD", [(_, cluster)]) => calls::fewer_copies(cluster, usual),
        ("TT-RETRY-LAYERS", layers) => calls::one_layer(layers),
        ("TT-TIMEOUTS-INVERTED", [outer, inner]) => {
            calls::shorter_timeouts(record, outer, inner, usual)
        }
        _ => Vec::new(),
    }
}

/// The record under a change, with its findings.
fn run(
    candidate: &Candidate<'_>,
    usual: Usual<'_>,
    seed: u64,
    with_loss: bool,
    control: &Control<'_>,
) -> Option<(Record, Vec<Finding>)> {
    let mut trial = Trial {
        snapshot: usual.snapshot.clone(),
        model: usual.model.clone(),
        scenario: usual.scenario.clone(),
    };
    (candidate.change)(&mut trial);
    let plan = prepare(&trial.snapshot, &trial.model, &trial.scenario).ok()?;
    let quiet = Control {
        progress: None,
        keep_requests: 0,
        ..*control
    };
    let mut record = replicate(&plan, seed, 1, Some(1), &quiet);
    record.findings = verdict::judge(&record, &trial.snapshot);
    if with_loss {
        let Trial {
            snapshot,
            model,
            scenario,
        } = &trial;
        failover::add(&mut record, snapshot, model, scenario, &quiet);
    }
    let findings = std::mem::take(&mut record.findings);
    Some((record, findings))
}

/// The same code about the same load or calls; a storm is one wherever it is.
fn is_same(other: &Finding, finding: &Finding) -> bool {
    if other.code != finding.code {
        // Who does not recover at all is no better off than who does slowly.
        let codes = (finding.code, other.code);
        return codes == ("TT-SLOW-RECOVERY", "TT-METASTABLE");
    }
    if ["TT-RETRY-STORM", OVERLOAD].contains(&finding.code) {
        return true;
    }
    if finding.code == "TT-FAULT-RETRIED" {
        // With or without somebody who hides it.
        return other.edges.last() == finding.edges.last();
    }
    if !finding.edges.is_empty() {
        return other.edges == finding.edges;
    }
    // Of a gap it is the cluster, of everything else who is named first.
    let at = if finding.code == "TT-NC-WINDOW" { 3 } else { 1 };
    let subject = |f: &Finding| f.what.split('`').nth(at).map(str::to_owned);
    subject(other) == subject(finding)
}

/// A timeout that is inverted at another place than before: the change only moved it.
fn has_moved(other: &Finding, finding: &Finding, record: &Record) -> bool {
    let code = "TT-TIMEOUTS-INVERTED";
    let is_new = || (record.findings.iter()).all(|f| f.code != code || f.edges != other.edges);
    (finding.code, other.code) == (code, code) && is_new()
}

/// The finding is gone, and nothing is won by it.
fn is_no_better(record: &Record, other: &Record, finding: &Finding) -> bool {
    match finding.code {
        // It may be gone by a hair: what is told has to be much quicker.
        "TT-COLD-PODS" => {
            let worst = verdict::worst_after_start;
            let both = worst(record).zip(worst(other));
            both.is_some_and(|(before, after)| after > QUICKER * before)
        }
        // Who refuses everybody is never full, and a limit that refuses nobody may let all fail.
        "TT-CASCADE"
        | "TT-BREAKER-OPEN"
        | "TT-EJECTION-COLLAPSE"
        | "TT-EJECTION-REFUSED"
        | "TT-FAILOVER-NEVER"
        | OVERLOAD
        | "TT-ROLLOUT-LOSS" => failing(other) >= (1.0 - BETTER) * failing(record),
        _ => false,
    }
}

/// Share of requests that fail.
fn failing(record: &Record) -> f64 {
    let all: u64 = record.clients.iter().map(|c| c.requests).sum();
    let failed: u64 = record.clients.iter().map(|c| failed(&c.statuses)).sum();
    failed as f64 / all.max(1) as f64
}

/// The longest 99th percentile of any load, in milliseconds.
fn worst_p99(record: &Record) -> f64 {
    let clients = record.clients.iter();
    let all = clients.map(|c| c.latency.quantile(0.99).as_millis_f64());
    all.fold(0.0, f64::max)
}

/// What a run under the change looks like.
fn told(what: &str, record: &Record, other: &Record, code: &str) -> String {
    let worst = (other.edges.iter())
        .filter(|e| e.requests >= 100)
        .map(EdgeRecord::amplification)
        .fold(1.0, f64::max);
    let share = 100.0 * failing(other);
    let before = 100.0 * failing(record);
    match (code, verdict::worst_after_start(other)) {
        ("TT-COLD-PODS", Some(worst)) => format!(
            "simulated with {what}: p99 is at most {worst:.0} ms after the new pods joined, {share:.2} % of requests fail"
        ),
        ("TT-CASCADE", _) => format!(
            "simulated with {what}: nobody else fills up, {share:.2} % of requests fail ({before:.2} % without it)"
        ),
        (
            "TT-METASTABLE" | "TT-SLOW-RECOVERY" | "TT-RETRY-STORM" | "TT-COLLAPSE"
            | "TT-NC-WINDOW" | "TT-COLD-PODS",
            _,
        ) => {
            let recovery = match verdict::recovered_after(other) {
                Some(seconds) if ["TT-METASTABLE", "TT-SLOW-RECOVERY"].contains(&code) => {
                    format!("the load recovers {seconds:.1} s after the trigger, ")
                }
                _ => String::new(),
            };
            format!(
                "simulated with {what}: {recovery}{share:.2} % of requests fail, at most {worst:.2} tries per request"
            )
        }
        ("TT-BREAKER-NEVER", _) => format!(
            "simulated with {what}: {share:.2} % of requests fail ({before:.2} % without it), p99 is {:.0} ms ({:.0} ms without it)",
            worst_p99(other),
            worst_p99(record)
        ),
        ("TT-RETRY-LAYERS", _) => format!(
            "simulated with {what}: {share:.2} % of requests fail ({before:.2} % without it), at most {worst:.2} tries per request"
        ),
        _ => format!(
            "simulated with {what}: it is gone, {share:.2} % of requests fail ({before:.2} % without it)"
        ),
    }
}

/// Calls, by the workload that makes them and the cluster they go to.
type Edge = (String, String);

/// Whose calls a change is about, for words.
fn towards((workload, cluster): &Edge) -> String {
    if cluster.starts_with("inbound|") {
        return format!("in the sidecar of {workload}");
    }
    format!("towards {}", hosts(&[cluster]))
}

/// The services behind clusters, for words.
fn hosts(clusters: &[&str]) -> String {
    let host = |cluster: &&str| {
        let host = service_host(cluster);
        host.split('.').next().unwrap_or(host).to_owned()
    };
    clusters.iter().map(host).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::record::{ClientRecord, Severity};

    #[test]
    fn a_hair_is_no_improvement() {
        let record = |failed: u64| Record {
            clients: vec![ClientRecord {
                requests: 10_000,
                statuses: [("503".to_owned(), failed)].into(),
                ..ClientRecord::default()
            }],
            ..Record::default()
        };
        let finding = Finding {
            code: "TT-FAILOVER-NEVER",
            severity: Severity::Error,
            what: String::new(),
            chain: Vec::new(),
            cause: None,
            help: String::new(),
            edges: Vec::new(),
            counterfactual: None,
        };
        let no_better = |after| is_no_better(&record(2586), &record(after), &finding);
        assert!(no_better(2584) && no_better(2400));
        assert!(!no_better(2300) && !no_better(0));
    }
}
