//! What a search for capacity found, for reports: points that were tried, the bracket, replicas.

use super::bracket::{Bracket, Stand};
use super::replicas::Replicas;
use super::sidecars::Sidecars;
use crate::observe::Record;
use crate::observe::record::{Ended, ExpectationRecord, Verdict, WorkloadRecord, failed};

/// One load that was tried.
#[derive(Clone, Debug)]
pub struct Point {
    /// Multiple of what the scenario says; of a value between two ends, the value itself.
    pub factor: f64,
    /// Of a value between two ends: as it stands in YAML.
    pub value: Option<String>,
    /// Repetitions that were run in the end.
    pub replications: u32,
    /// How it stands.
    pub stand: Stand,
    /// Requests that were started, per second of counted time.
    pub offered: f64,
    /// Of those that ended, the share that failed.
    pub failed: f64,
    /// What was expected, with what was measured.
    pub expectations: Vec<ExpectationRecord>,
    /// The busiest workload and the share of its places that are busy.
    pub busiest: Option<(String, f64)>,
}

/// Everything that was found.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// Name of the scenario.
    pub scenario: String,
    /// Seed of all randomness.
    pub seed: u64,
    /// `load`, `service time`, or the path of a value.
    pub along: String,
    /// It stops to hold, or begins to, more than once between the two ends of a value.
    pub changes_again: bool,
    /// What has to hold, as text, and whether it was assumed because nobody wrote anything.
    pub expected: Vec<String>,
    /// See [`Self::expected`].
    pub assumed_expectations: bool,
    /// Loads in the order in which they were tried.
    pub points: Vec<Point>,
    /// The answer.
    pub bracket: Bracket,
    /// What gives way at the end that breaks, the gravest first: sentences.
    pub bottleneck: Vec<String>,
    /// Replicas for a target; `None`: nobody asked.
    pub plan: Option<ReplicaPlan>,
    /// What was taken for granted.
    pub assumed: Vec<String>,
    /// What looks wrong in the input.
    pub warnings: Vec<String>,
}

/// Replicas for a target load.
#[derive(Clone, Debug)]
pub struct ReplicaPlan {
    /// Multiple of what the scenario says.
    pub factor: f64,
    /// Pods now.
    pub now: Replicas,
    /// Pods that suffice; `None`: more pods do not help.
    pub needed: Option<Replicas>,
    /// Pods that suffice whichever zone is lost; `None`: there is one zone only.
    pub without_a_zone: Option<Option<Replicas>>,
    /// Zones that were taken away, one at a time.
    pub zones: Vec<String>,
    /// Processor time of the sidecars of those pods at that load.
    pub sidecars: Vec<Sidecars>,
}

impl Point {
    /// From the record of a run that was judged.
    pub fn new(factor: f64, record: &Record) -> Self {
        let ended: u64 = record.clients.iter().map(|c| c.requests).sum();
        let failed: u64 = record.clients.iter().map(|c| failed(&c.statuses)).sum();
        let started: u64 = record.clients.iter().map(|c| c.started).sum();
        let seconds = record.duration.as_secs_f64() - record.warm_up.as_secs_f64();
        let runs = f64::from(record.replications.max(1));
        Self {
            factor,
            value: None,
            replications: record.replications,
            stand: stand(record),
            offered: if seconds > 0.0 {
                started as f64 / seconds / runs
            } else {
                0.0
            },
            failed: failed as f64 / ended.max(1) as f64,
            expectations: record.expectations.clone(),
            busiest: busiest(record).map(|w| (w.name.clone(), w.utilisation.unwrap_or(0.0))),
        }
    }

    /// The first expectation that is broken.
    pub fn broken(&self) -> Option<&ExpectationRecord> {
        let mut all = self.expectations.iter();
        all.find(|e| e.verdict == Verdict::Fail)
    }
}

/// One broken expectation breaks a point, as more work in flight than a run may hold does; an
/// undecided one leaves it open.
pub fn stand(record: &Record) -> Stand {
    let any = |verdict| record.expectations.iter().any(|e| e.verdict == verdict);
    if record.clients.iter().all(|c| c.requests == 0) {
        // Nothing was asked, so nothing was answered.
        return Stand::Unclear;
    }
    if any(Verdict::Fail) || record.ended == Ended::TooMuchInFlight {
        Stand::Breaks
    } else if any(Verdict::Undecided) {
        Stand::Unclear
    } else {
        Stand::Holds
    }
}

/// The workload that has the greatest share of its places busy.
pub fn busiest(record: &Record) -> Option<&WorkloadRecord> {
    let limited = record.workloads.iter().filter(|w| w.utilisation.is_some());
    limited.max_by(|a, b| {
        let of = |w: &WorkloadRecord| w.utilisation.unwrap_or(0.0);
        // Equal ones: the first by name.
        of(a).total_cmp(&of(b)).then_with(|| b.name.cmp(&a.name))
    })
}
