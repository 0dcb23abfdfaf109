//! `TT-FAILOVER-OVERLOAD`: what is left when a zone, a region or a node goes cannot carry the load.
//!
//! The run is made again on the first replication's luck without the failure: a workload that is
//! full only when a part of the mesh is gone is told with both figures. Runs without such a
//! failure cost nothing more.

use super::replicate;
use crate::config::scenario::{EventKind, Model, Part, Scenario, TargetKind};
use crate::observe::Record;
use crate::observe::record::{EdgeRecord, Finding, Severity, WorkloadRecord, proxy_of};
use crate::simulation::{Control, prepare};
use crate::units::Origin;
use crate::xds::Snapshot;

/// Busy share from which a workload is full, and by how much it has to be above the other run's.
const FULL: f64 = 0.85;
const MORE: f64 = 0.15;
/// Share of refused requests from which it matters, and how many times the other run's.
const REFUSED: f64 = 0.01;
const TIMES: f64 = 5.0;

/// Adds the finding where there is one.
pub fn add(
    record: &mut Record,
    snapshot: &Snapshot,
    model: &Model,
    scenario: &Scenario,
    control: &Control<'_>,
) {
    let lost: Vec<String> = (scenario.events.iter())
        .filter(|event| is_loss(&event.what))
        .map(|event| event.what.to_string())
        .collect();
    if lost.is_empty() {
        return;
    }
    let mut whole = scenario.clone();
    whole.events.retain(|event| !is_loss(&event.what));
    let Ok(plan) = prepare(snapshot, model, &whole) else {
        return;
    };
    let quiet = Control {
        progress: None,
        keep_requests: 0,
        ..*control
    };
    let other = replicate(&plan, record.seed, 1, Some(1), &quiet);
    let stopped = control
        .interrupted
        .load(std::sync::atomic::Ordering::Relaxed);
    let overloaded = record.workloads.iter().filter_map(|with| {
        // One that gets nothing when nothing is lost is no part of that run.
        let none = WorkloadRecord::default();
        let without = other.workloads.iter().find(|w| w.name == with.name);
        Some((with.name.clone(), overload(with, without.unwrap_or(&none))?))
    });
    let found: Vec<(String, String)> = overloaded.filter(|_| !stopped).collect();
    let Some((first, _)) = found.first() else {
        return;
    };
    let cause = cause(record, snapshot.last(), first);
    let sentences: Vec<&str> = found.iter().map(|(_, sentence)| &**sentence).collect();
    record.findings.push(Finding {
        code: "TT-FAILOVER-OVERLOAD",
        severity: Severity::Error,
        what: format!("what is left does not carry the load: {}", sentences.join("; ")),
        chain: lost,
        cause,
        help: "more `replicas` in every place that has to take over; `towtank capacity --target 1x` says how many, simulated with each zone lost".to_owned(),
        edges: found.into_iter().map(|(name, _)| (name, String::new())).collect(),
        counterfactual: None,
    });
    record
        .findings
        .sort_by(|a, b| (b.severity, a.code).cmp(&(a.severity, b.code)));
}

/// Pods fail by where they stand, or a workload as a whole, which may be all that stands there.
fn is_loss(what: &EventKind) -> bool {
    match what {
        EventKind::Fail { target, .. } => match target.of {
            TargetKind::Locality(_) | TargetKind::Node(_) => true,
            TargetKind::Workload(_) => target.part == Part::All,
            TargetKind::Pod(_) => false,
        },
        _ => false,
    }
}

/// What sends a workload more when others are gone, and where it was declared.
fn cause(record: &Record, tables: &Snapshot, name: &str) -> Option<String> {
    let id = tables.workload_of(name)?;
    let workload = &tables.workloads[id];
    let place = |origin: Origin| tables.origins.written(origin);
    let takes_over = taken_over_by(record, name).and_then(|edge| {
        let proxy = tables.workload_of(proxy_of(&edge.from))?;
        let known = &tables.tables[tables.workloads[proxy].tables?];
        let cluster = &tables.clusters[tables.cluster_named(known, &edge.cluster)?];
        cluster.outlier.as_ref()?;
        place(cluster.policy_origin)
    });
    let declared = place(workload.origin);
    let declared = declared.map(|at| format!("the {} of {name} at {at}", workload.kind));
    let policy = takes_over
        .map(|at| format!("`outlierDetection` in {at}, which sends {name} what others served"));
    let both: Vec<String> = policy.into_iter().chain(declared).collect();
    (!both.is_empty()).then(|| both.join("; "))
}

/// The calls that most of a workload's requests come by.
pub(super) fn taken_over_by<'r>(record: &'r Record, name: &str) -> Option<&'r EdgeRecord> {
    let calls = record.edges.iter();
    calls
        .filter(|e| e.to == name && e.cluster != "-")
        .max_by_key(|e| e.requests)
}

/// Both figures of a workload that is full with the failure and not without it.
fn overload(with: &WorkloadRecord, without: &WorkloadRecord) -> Option<String> {
    let refused = |w: &WorkloadRecord| w.rejected as f64 / (w.requests + w.rejected).max(1) as f64;
    let (lost, kept) = (refused(with), refused(without));
    if lost >= REFUSED && lost >= TIMES * kept {
        return Some(format!(
            "{} refuses {:.1} % of its requests ({:.1} % when nothing is lost)",
            with.name,
            100.0 * lost,
            100.0 * kept
        ));
    }
    let (busy, before) = (with.utilisation?, without.utilisation.unwrap_or(0.0));
    (busy >= FULL && busy >= before + MORE).then(|| {
        format!(
            "{} is busy {:.0} % of the time ({:.0} % when nothing is lost)",
            with.name,
            100.0 * busy,
            100.0 * before
        )
    })
}
