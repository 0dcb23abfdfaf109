//! Changes of how pods come and go, and of when configuration is applied.

use super::calls::fewer_ejections;
use super::{Candidate, Edge, Trial, Usual};
use crate::config::scenario::{TimedEvent, WorkloadModel};
use crate::experiment::failover::taken_over_by;
use crate::observe::Record;
use crate::units::{Fraction, SimDuration};
use crate::xds::cluster::Warmup;
use crate::xds::{LbPolicy, Snapshot};

/// Lengths of a slow start that are tried, in seconds.
const WARMUPS: [u64; 5] = [5, 10, 20, 40, 80];
/// Lengths of a `preStop` that are tried, in seconds.
const PRE_STOPS: [u32; 3] = [5, 15, 30];
/// Places that are tried, in percent of what there are.
const MORE_PLACES: [u64; 4] = [125, 150, 200, 400];
/// Queues that are tried, in times of what they are.
const LONGER_QUEUES: [u32; 3] = [2, 4, 16];
/// Requests that were begun get so long beyond it.
const GRACE: u32 = 60;

/// Everything that is applied comes with the first of it, and so in one push; what is deleted goes
/// when it went.
pub(super) fn at_once(usual: Usual<'_>) -> Option<Candidate<'_>> {
    let is_applied =
        |event: &TimedEvent| (event.what.change()).is_some_and(|change| !change.is_deletion);
    let changes = usual
        .scenario
        .events
        .iter()
        .filter(|event| is_applied(event));
    let first = changes.clone().map(|event| event.at).min()?;
    if changes.clone().all(|event| event.at == first) {
        return None;
    }
    let what = format!("everything applied at once, at {first}");
    Some(Candidate::new(what, move |trial| {
        let events = trial.scenario.events.iter_mut();
        for event in events.filter(|event| is_applied(event)) {
            event.at = first;
        }
        trial.scenario.events.sort_by_key(|event| event.at);
    }))
}

/// Every cluster that can has a slow start of this length.
pub(super) fn slow_starts<'c>() -> Vec<Candidate<'c>> {
    let one = |seconds: u64| {
        let duration = SimDuration::from_secs(seconds);
        let what = format!("`warmup: {{duration: {duration}}}`");
        Candidate::of_tables(what, move |tables| set_warmup(tables, duration))
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

/// More requests served at once per pod, in each of some workloads: what more pods would do too.
pub(super) fn more_places<'c>(names: &[&str], usual: Usual<'_>) -> Vec<Candidate<'c>> {
    let raised = MORE_PLACES.map(|percent| {
        let what = all_changed(names, usual, |behaviour| {
            let more = (u64::from(behaviour.concurrency?) * percent).div_ceil(100) as u32;
            behaviour.concurrency = Some(more);
            Some(format!("`concurrency: {more}`"))
        });
        what.map(|(words, change)| {
            Candidate::new(format!("{words} (or pods in that proportion)"), change)
        })
    });
    raised.into_iter().flatten().collect()
}

/// Longer queues, in each of some workloads: a burst waits instead of being refused.
fn longer_queues<'c>(names: &[&str], usual: Usual<'_>) -> Vec<Candidate<'c>> {
    let raised = LONGER_QUEUES.map(|times| {
        let what = all_changed(names, usual, |behaviour| {
            let longer = behaviour.queue?.saturating_mul(times);
            behaviour.queue = Some(longer);
            Some(format!("`queue: {longer}`"))
        });
        what.map(|(words, change)| Candidate::new(words, change))
    });
    raised.into_iter().flatten().collect()
}

/// One change of the behaviour of each of some workloads, in words and as it is made; `None` where
/// one of them cannot be changed so.
fn all_changed<'c>(
    names: &[&str],
    usual: Usual<'_>,
    change: impl Fn(&mut WorkloadModel) -> Option<String>,
) -> Option<(String, impl Fn(&mut Trial) + 'c)> {
    let model = usual.model;
    let mut all = Vec::new();
    let mut words = Vec::new();
    for name in names {
        let own = model.workloads.get(*name);
        let mut own = own.unwrap_or(&model.defaults).clone();
        words.push(format!("{} in {name}", change(&mut own)?));
        all.push(((*name).to_owned(), own));
    }
    (!all.is_empty()).then(|| {
        (words.join(", "), move |trial: &mut Trial| {
            for (name, own) in &all {
                let workloads = &mut trial.model.workloads;
                workloads.insert(name.as_str().into(), own.clone());
            }
        })
    })
}

/// More places or a longer queue in what has to take over, or fewer ejections of it.
pub(super) fn carry<'c>(
    record: &Record,
    overloaded: &[Edge],
    usual: Usual<'_>,
) -> Vec<Candidate<'c>> {
    let names: Vec<&str> = overloaded.iter().map(|(name, _)| name.as_str()).collect();
    let calls = names.first().and_then(|name| taken_over_by(record, name));
    let calls = calls.map(|edge| (edge.from.clone(), edge.cluster.clone()));
    let fewer = calls.map(|edge| fewer_ejections(&edge, usual));
    let mut all = more_places(&names, usual);
    all.extend(longer_queues(&names, usual));
    all.extend(fewer.into_iter().flatten());
    all
}

/// Pods of a workload that is rolled out serve on for a while after they were told to end.
pub(super) fn longer_ends<'c>(name: &str, usual: Usual<'_>) -> Vec<Candidate<'c>> {
    let Some(id) = usual.snapshot.workload_of(name) else {
        return Vec::new();
    };
    let before = usual.snapshot.workloads[id].lifecycle.pre_stop_seconds;
    let longer = PRE_STOPS.into_iter().filter(|n| Some(*n) > before);
    longer
        .map(|seconds| {
            let grace = seconds + GRACE;
            let what = format!(
                "`preStop: {{sleep: {{seconds: {seconds}}}}}`, `terminationDrainDuration: {GRACE}s` and {grace} s of grace in {name}"
            );
            Candidate::of_tables(what, move |tables| {
                let life = &mut tables.workloads[id].lifecycle;
                life.pre_stop_seconds = Some(seconds);
                life.grace_seconds = Some(grace);
                life.termination_drain = Some(SimDuration::from_secs(u64::from(GRACE)));
            })
        })
        .collect()
}
