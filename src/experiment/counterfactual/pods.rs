//! Changes of how pods come and go, and of when configuration is applied.

use super::super::failover::taken_over_by;
use super::calls::fewer_ejections;
use super::{Candidate, Edge, Usual};
use crate::config::scenario::TimedEvent;
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
    let model = usual.model;
    let behaviour = |name: &&str| {
        let own = model
            .workloads
            .get(*name)
            .unwrap_or(&model.defaults)
            .clone();
        Some(((*name).to_owned(), own.concurrency?, own))
    };
    let all: Option<Vec<_>> = names.iter().map(behaviour).collect();
    let Some(all) = all.filter(|all| !all.is_empty()) else {
        return Vec::new();
    };
    MORE_PLACES
        .map(|percent| {
            let mut all = all.clone();
            let mut words = Vec::new();
            for (name, slots, behaviour) in &mut all {
                let more = (u64::from(*slots) * percent).div_ceil(100) as u32;
                behaviour.concurrency = Some(more);
                words.push(format!("`concurrency: {more}` in {name}"));
            }
            let what = format!("{} (or pods in that proportion)", words.join(", "));
            Candidate::new(what, move |trial| {
                for (name, _, behaviour) in &all {
                    let workloads = &mut trial.model.workloads;
                    workloads.insert(name.as_str().into(), behaviour.clone());
                }
            })
        })
        .into()
}

/// More places in what has to take over, fewer ejections of it, or both.
pub(super) fn carry<'c>(
    record: &Record,
    overloaded: &[Edge],
    usual: Usual<'_>,
) -> Vec<Candidate<'c>> {
    let names: Vec<&str> = overloaded.iter().map(|(name, _)| name.as_str()).collect();
    let calls = names.first().and_then(|name| taken_over_by(record, name));
    let calls = calls.map(|edge| (edge.from.clone(), edge.cluster.clone()));
    let fewer = || {
        let all = calls.as_ref().map(|edge| fewer_ejections(edge, usual));
        all.into_iter().flatten().next()
    };
    let places = || more_places(&names, usual);
    let both = places().into_iter();
    let both = both.filter_map(|more| Some(fewer()?.and(more)));
    places().into_iter().chain(fewer()).chain(both).collect()
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
