//! Pods whose queue is not first in first out, or whose work takes longer at times. Others never
//! come here.

use super::event::Event;
use super::plan::{Plan, RareApp};
use super::world::{Fate, World};
use crate::data_plane::Trail;
use crate::engine::rng::Draws;
use crate::engine::{Queue, Seed};
use crate::observe::AppStat;
use crate::units::{SimDuration, SimTime};
use crate::workload::{CpuQuota, Discipline, Next, Pauses, Waiting};

/// What such a pod remembers.
#[derive(Debug, Default)]
pub(super) struct RarePod {
    /// Who waits, by level of importance; as many lines as levels have had anybody.
    waiting: Vec<Waiting>,
    /// When it became ready; `None`: long ago.
    pub(super) ready_at: Option<SimTime>,
    pauses: Pauses,
    /// Of its pauses.
    key: u64,
    cpu: CpuQuota,
}

/// One for every pod, or none when no application is rare.
pub(super) fn rare_pods(plan: &Plan, seed: Seed) -> Vec<RarePod> {
    if plan.apps.iter().all(|app| app.rare.is_none()) {
        return Vec::new();
    }
    let pods = plan.pods.iter().map(|pod| {
        let rare = plan.apps[pod.app as usize].rare.as_deref();
        let cold = rare.is_some_and(|rare| rare.cold_at_start);
        RarePod {
            ready_at: cold.then_some(SimTime::ZERO),
            key: seed.key("pauses", &pod.name),
            ..RarePod::default()
        }
    });
    pods.collect()
}

impl RarePod {
    /// One more waits.
    fn push(&mut self, now: SimTime, level: u8, id: u32) {
        let level = usize::from(level);
        if self.waiting.len() <= level {
            self.waiting.resize_with(level + 1, Waiting::default);
        }
        self.waiting[level].push(now, id);
    }

    /// A slot is free: the next of the most important.
    fn next(&mut self, now: SimTime, discipline: Discipline) -> Next {
        let mut all = Next::default();
        for line in &mut self.waiting {
            let next = line.next(now, discipline);
            all.dropped.extend(next.dropped);
            if next.served.is_some() {
                all.served = next.served;
                break;
            }
        }
        all
    }

    /// The newest of the least important, who loses its place to one of this level; `None`: nobody
    /// is less important.
    pub(super) fn newest_below(&mut self, level: u8) -> Option<u32> {
        let below = self.waiting.iter_mut().skip(usize::from(level) + 1);
        below.rev().find_map(Waiting::remove_newest)
    }
}

impl RareApp {
    /// Processor time of a request: as the Model has it, else all of its own work.
    pub(super) fn cpu_time(&self, own: SimDuration, luck: impl FnOnce() -> Draws) -> SimDuration {
        let per_request = self.cpu.as_ref().and_then(|(sampler, _)| sampler.as_ref());
        per_request.map_or(own, |sampler| sampler.sample(&mut luck()))
    }
}

impl<T: Trail> World<'_, T> {
    /// A request waits.
    #[inline(never)]
    pub(super) fn wait_rarely(&mut self, now: SimTime, id: u32) {
        let pod = self.attempts[id as usize].pod;
        let level = self.level_of(id);
        self.side.pods[pod as usize].push(now, level, id);
    }

    /// How long work takes that begins now and would take so long.
    #[inline(never)]
    pub(super) fn slow_work(
        &mut self,
        now: SimTime,
        id: u32,
        rare: &RareApp,
        takes: SimDuration,
    ) -> SimDuration {
        if rare.propagates
            && let Some(status) = self.too_late(now, id)
        {
            self.attempts[id as usize].fate = Fate::Answer(Some(status));
            return SimDuration::ZERO;
        }
        let attempt = &self.attempts[id as usize];
        let pod = &mut self.side.pods[attempt.pod as usize];
        let stretched = match (&rare.warm_up, pod.ready_at) {
            (Some(warm_up), Some(ready)) => warm_up.stretch(now.since(ready), takes),
            _ => takes,
        };
        let mut takes = stretched;
        if let Some((_, quota)) = &rare.cpu {
            let needs = rare.cpu_time(stretched, || Self::draws(attempt.key, self.keys.cpu));
            let still = pod.cpu.charge(now, needs, *quota);
            if !still.is_zero() {
                let stats = &mut self.record.apps[attempt.app as usize].rare;
                stats.inc(AppStat::CpuThrottled);
            }
            takes = takes.plus(still);
        }
        if let Some((every, lasts)) = &rare.pauses {
            takes = pod
                .pauses
                .end_of(now, takes, (every, lasts), pod.key)
                .since(now);
        }
        takes
    }

    /// A slot is free: who is next, and who has waited for too long.
    #[inline(never)]
    pub(super) fn leave_rare_pod(
        &mut self,
        now: SimTime,
        pod: u32,
        rare: &RareApp,
        queue: &mut Queue<Event>,
    ) {
        let app = self.plan.pods[pod as usize].app;
        let limits = self.limits_of(pod, app);
        if self.pods[pod as usize].busy > limits.concurrency {
            // Slots have been taken away: this one is not filled again.
            let goes_on = self.pods[pod as usize].leave_within(now, limits);
            debug_assert!(!goes_on);
            return;
        }
        let next = self.side.pods[pod as usize].next(now, rare.discipline);
        for _ in &next.dropped {
            self.pods[pod as usize].drop_waiting(now);
        }
        let goes_on = self.pods[pod as usize].leave_within(now, limits);
        debug_assert_eq!(goes_on, next.served.is_some(), "one count of who waits");
        if let Some(id) = next.served {
            self.start_waiting(now, id, queue);
        }
        self.refuse_dropped(now, next.dropped, queue);
    }

    /// Who waits in such a pod.
    pub(super) fn waiting_rarely(&self, pod: u32) -> Vec<u32> {
        let pods = self.side.pods.get(pod as usize);
        let lines = pods.into_iter().flat_map(|pod| &pod.waiting);
        lines.flat_map(Waiting::requests).collect()
    }

    /// The pod is gone, with its line and all it remembered.
    pub(super) fn empty_rare_pod(&mut self, pod: u32, ready_at: Option<SimTime>) {
        if let Some(pod) = self.side.pods.get_mut(pod as usize) {
            *pod = RarePod {
                ready_at,
                key: pod.key,
                ..RarePod::default()
            };
        }
    }

    /// A slot came back: the next one of a rare pod's line takes it; false when nobody waits.
    pub(super) fn fill_rare_slot(
        &mut self,
        now: SimTime,
        pod: u32,
        rare: &RareApp,
        queue: &mut Queue<Event>,
    ) -> bool {
        let next = self.side.pods[pod as usize].next(now, rare.discipline);
        for _ in &next.dropped {
            self.pods[pod as usize].drop_waiting(now);
        }
        if let Some(id) = next.served {
            self.pods[pod as usize].fill(now);
            self.start_waiting(now, id, queue);
        }
        self.refuse_dropped(now, next.dropped, queue);
        next.served.is_some()
    }

    fn refuse_dropped(&mut self, now: SimTime, dropped: Vec<u32>, queue: &mut Queue<Event>) {
        for id in dropped {
            self.refuse_waiting(now, id, AppStat::QueueDrops, queue);
        }
    }

    /// One that waited is refused after all.
    pub(super) fn refuse_waiting(
        &mut self,
        now: SimTime,
        id: u32,
        why: AppStat,
        queue: &mut Queue<Event>,
    ) {
        let attempt = &mut self.attempts[id as usize];
        attempt.status = 503;
        let counts = &mut self.record.apps[attempt.app as usize];
        counts.rare.inc(why);
        counts.errors += 1;
        counts.latency.record(now.since(attempt.arrived));
        counts.queue_time.record(now.since(attempt.arrived));
        self.leave_gate(now, id, 503, queue);
        self.send_back(now, id, queue);
    }
}
