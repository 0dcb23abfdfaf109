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
use crate::workload::{CpuQuota, Pauses, Waiting};

/// What such a pod remembers.
#[derive(Debug, Default)]
pub(super) struct RarePod {
    waiting: Waiting,
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
        self.side.pods[pod as usize].waiting.push(now, id);
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
        let next = self.side.pods[pod as usize]
            .waiting
            .next(now, rare.discipline);
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
        pods.map_or_else(Vec::new, |p| p.waiting.requests().collect())
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
        let next = self.side.pods[pod as usize]
            .waiting
            .next(now, rare.discipline);
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
            let attempt = &mut self.attempts[id as usize];
            attempt.status = 503;
            let counts = &mut self.record.apps[attempt.app as usize];
            counts.rare.inc(AppStat::QueueDrops);
            counts.errors += 1;
            counts.latency.record(now.since(attempt.arrived));
            counts.queue_time.record(now.since(attempt.arrived));
            self.leave_gate(now, id, 503, queue);
            self.send_back(now, id, queue);
        }
    }
}
