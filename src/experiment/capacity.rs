//! What a search for capacity found, for reports: points that were tried, the bracket, replicas.

use std::collections::BTreeMap;

use super::bracket::{Bracket, Stand};
use super::replicas::Replicas;
use super::sidecars::Sidecars;
use crate::observe::Record;
use crate::observe::record::{Ended, ExpectationRecord, Verdict, WorkloadRecord, failed};

/// Findings told of numbers of pods that do not suffice.
const FINDINGS_MAX: usize = 3;

/// One of so many requests has to have a flag before it is told.
const FLAGGED_MIN: u64 = 100;

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
    /// Where the search for pods ended without any that suffice.
    pub unmet: Option<Unmet>,
    /// Processor time of the sidecars of those pods at that load.
    pub sidecars: Vec<Sidecars>,
}

/// The last numbers of pods that were tried where none suffices.
#[derive(Clone, Debug)]
pub struct Unmet {
    /// The zone without which they do not; `None`: with all of them.
    pub zone: Option<String>,
    /// Pods of every workload whose number was searched.
    pub pods: Replicas,
    /// What does not hold, with what was measured; `None`: nothing was counted.
    pub expectation: Option<ExpectationRecord>,
    /// The flags that most requests have which have any, as access logs print them.
    pub flags: Option<String>,
    /// What was found in that run, the gravest first: sentences.
    pub findings: Vec<String>,
}

impl Unmet {
    /// From the record of the run that does not hold.
    pub fn new(zone: Option<String>, pods: &Replicas, record: &Record) -> Self {
        let all = || record.expectations.iter();
        let of = |verdict| all().find(|e| e.verdict == verdict);
        let found = record.findings.iter().take(FINDINGS_MAX);
        Self {
            zone,
            pods: pods.clone(),
            expectation: of(Verdict::Fail)
                .or_else(|| of(Verdict::Undecided))
                .cloned(),
            flags: most_flagged(record),
            findings: found.map(|f| format!("{}: {}", f.code, f.what)).collect(),
        }
    }
}

/// Of all loads; `None` where hardly any request has a flag.
fn most_flagged(record: &Record) -> Option<String> {
    let mut counts = BTreeMap::<&str, u64>::new();
    for (flags, n) in record.clients.iter().flat_map(|c| &c.flags) {
        *counts.entry(flags).or_default() += n;
    }
    let requests: u64 = record.clients.iter().map(|c| c.requests).sum();
    let some = counts.into_iter().filter(|(flags, _)| *flags != "-");
    // Equal ones: the first by name.
    let most = some.max_by_key(|(flags, n)| (*n, std::cmp::Reverse(*flags)));
    let often = most.filter(|(_, n)| n.saturating_mul(FLAGGED_MIN) >= requests);
    often.map(|(flags, _)| flags.to_owned())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::record::ClientRecord;

    #[test]
    fn the_flag_that_most_have_is_told_unless_it_is_rare() {
        let told = |flags: &[(&str, u64)]| {
            let record = Record {
                clients: vec![ClientRecord {
                    requests: flags.iter().map(|(_, n)| n).sum(),
                    flags: flags.iter().map(|(f, n)| ((*f).to_owned(), *n)).collect(),
                    ..ClientRecord::default()
                }],
                ..Record::default()
            };
            most_flagged(&record)
        };
        let many = told(&[("-", 600), ("UF,URX", 90), ("UH", 310)]);
        assert_eq!(many.as_deref(), Some("UH"));
        assert_eq!(told(&[("-", 999), ("UH", 1)]), None);
        assert_eq!(told(&[]), None);
    }
}
