//! What one worker of one proxy remembers between picks.

use super::edf::Edf;
use super::host_set::HostSet;
use super::least_request::scheduled_weight;
use super::slow_start::{is_warming, weight};
use super::view::{LbView, Source};
use crate::units::SimTime;
use crate::units::hash::mix;
use crate::xds::LbPolicy;

/// Round-robin indexes and EDF schedules of one worker, for one cluster.
#[derive(Clone, Debug, Default)]
pub struct LbState {
    seed: u64,
    rebuilds: u64,
    /// Index of the healthy hosts of priority 0: all that a simple view needs.
    pub(super) turn: u64,
    /// Empty until a view that is not simple comes.
    pub(super) priorities: Vec<PriorityState>,
}

/// State of one priority: one entry per list of candidates.
#[derive(Clone, Debug, Default)]
pub(super) struct PriorityState {
    pub(super) healthy: SourceState,
    pub(super) all: SourceState,
    pub(super) localities: Vec<SourceState>,
    pub(super) locality_schedule: Edf,
}

/// Index or schedule of one list of candidates.
#[derive(Clone, Debug, Default)]
pub(super) struct SourceState {
    pub(super) index: u64,
    pub(super) schedule: Option<Edf>,
}

impl LbState {
    /// The state of a new worker; the seed decides where its turns and schedules begin.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            turn: seed,
            ..Self::default()
        }
    }

    /// To be called whenever this worker gets a new view: indexes survive, schedules start
    /// anew with the same seed (those of localities with a fresh one). A forgotten call leaves
    /// the old schedules in force.
    pub fn on_view_changed(
        &mut self,
        set: &HostSet,
        view: &LbView,
        active: impl Fn(u32) -> u32,
        now: SimTime,
    ) {
        self.rebuilds += 1;
        if view.simple {
            return;
        }
        let seed = self.seed;
        let fresh_index = || SourceState {
            index: seed,
            schedule: None,
        };
        while self.priorities.len() < view.priorities.len() {
            self.priorities.push(PriorityState {
                healthy: fresh_index(),
                all: fresh_index(),
                ..PriorityState::default()
            });
        }
        let pairs = self.priorities.iter_mut().zip(&view.priorities).enumerate();
        for (number, (state, priority)) in pairs {
            let build = |source: &Source| schedule(set, source, &active, now, seed);
            state.healthy.schedule = build(&priority.healthy);
            state.all.schedule = build(&priority.all);
            while state.localities.len() < priority.localities.len() {
                state.localities.push(fresh_index());
            }
            for (state, source) in state.localities.iter_mut().zip(&priority.localities) {
                state.schedule = build(source);
            }
            let items: Vec<u32> = (0..priority.locality_weights.len() as u32).collect();
            let weight = |item: u32| priority.locality_weights[item as usize];
            let start = mix(mix(seed, self.rebuilds), number as u64);
            state.locality_schedule = Edf::with_picks(&items, weight, start);
        }
    }

    /// Builds what the first pick needs, if nobody announced the view.
    #[inline]
    pub(super) fn prepare(
        &mut self,
        set: &HostSet,
        view: &LbView,
        active: &impl Fn(u32) -> u32,
        now: SimTime,
    ) {
        if !view.simple && self.priorities.len() < view.priorities.len() {
            self.on_view_changed(set, view, active, now);
        }
    }
}

/// A schedule, where the policy weighs and the weights differ or some host is warming up.
fn schedule(
    set: &HostSet,
    source: &Source,
    active: &impl Fn(u32) -> u32,
    now: SimTime,
    seed: u64,
) -> Option<Edf> {
    let warming = || {
        let mut hosts = source.hosts.iter();
        set.warmup.is_some() && hosts.any(|host| is_warming(set, *host, now))
    };
    if source.equal && !warming() {
        return None;
    }
    let items = &source.hosts;
    let plain = |host| weight(set, host, now);
    match set.policy {
        LbPolicy::RoundRobin => Some(Edf::with_picks(items, plain, seed)),
        LbPolicy::LeastRequest { bias, .. } => {
            let loaded = |host| scheduled_weight(plain(host), active(host), bias);
            Some(Edf::with_picks(items, loaded, seed))
        }
        _ => None,
    }
}
