//! Pods start, are told to end and go: scaling and rolling updates as Kubernetes does them.
//!
//! A pod that is told to end leaves the endpoints at once and serves on for its `preStop`. Then
//! its containers are told: the application takes nothing new and finishes what it has, the
//! sidecar drains for `terminationDrainDuration` and goes. What a proxy that has not heard of it
//! sends meanwhile is answered by the sidecar with 503, and refused after that.

use super::event::Event;
use super::timeline::{Phase, Rolling, StepKind};
use super::world::World;
use crate::config::scenario::FailureKind;
use crate::data_plane::Trail;
use crate::engine::Queue;
use crate::observe::record::HappeningKind;
use crate::units::{SimDuration, SimTime};

/// Between two looks at what a sidecar still has to do (`pilot-agent`).
const AGAIN: SimDuration = SimDuration::from_secs(1);

impl<T: Trail> World<'_, T> {
    /// A pod changes its phase; the time it serves is kept.
    pub(super) fn set_phase(&mut self, now: SimTime, pod: u32, phase: Phase) {
        let counting_from = self.counting_from;
        let state = &mut self.dynamics.pods[pod as usize];
        match (state.phase.has_places(), phase.has_places()) {
            (true, false) => {
                let since = state.since.max(counting_from);
                state.served += u128::from(now.since(since.min(now)).ns());
            }
            (false, true) => state.since = now,
            _ => {}
        }
        state.phase = phase;
        state.generation += 1;
    }

    /// Time a pod has existed and served up to now.
    pub(super) fn served_until(&self, now: SimTime, pod: u32) -> u128 {
        let state = &self.dynamics.pods[pod as usize];
        if !state.phase.has_places() {
            return state.served;
        }
        let since = state.since.max(self.counting_from);
        state.served + u128::from(now.since(since.min(now)).ns())
    }

    /// A pod is created.
    pub(super) fn start_pod(&mut self, now: SimTime, pod: u32, queue: &mut Queue<Event>) {
        let Some(timeline) = &self.plan.timeline else {
            return;
        };
        let app = self.plan.pods[pod as usize].app as usize;
        let Some(life) = timeline.lives.get(app) else {
            return;
        };
        self.set_phase(now, pod, Phase::Starting);
        self.dynamics.pods[pod as usize].ending = false;
        let key = self.seed.key("startup", &self.plan.pods[pod as usize].name);
        let generation = self.dynamics.pods[pod as usize].generation;
        let mut draws = Self::draws(key, u64::from(generation));
        let takes = life.startup.sample(&mut draws);
        self.later(now.after(takes), pod, StepKind::Started, queue);
    }

    pub(super) fn pod_started(&mut self, now: SimTime, pod: u32, queue: &mut Queue<Event>) {
        let Some(timeline) = &self.plan.timeline else {
            return;
        };
        self.set_phase(now, pod, Phase::Serving);
        let app = self.plan.pods[pod as usize].app;
        self.dynamics.pods[pod as usize].limits = self.plan.apps[app as usize].limits;
        self.empty_rare_pod(pod, Some(now));
        // Its proxy asks for everything when it starts.
        self.dynamics.known[pod as usize] = self.dynamics.epochs.len() as u32 - 1;
        self.dynamics.routed[pod as usize] = self.dynamics.versions.last().copied().unwrap_or(0);
        let ready = timeline.lives[app as usize].ready_after;
        self.later(now.after(ready), pod, StepKind::Listed(true), queue);
    }

    /// A pod is deleted with grace.
    pub(super) fn end_pod(&mut self, now: SimTime, pod: u32, queue: &mut Queue<Event>) {
        let Some(timeline) = &self.plan.timeline else {
            return;
        };
        let state = &mut self.dynamics.pods[pod as usize];
        state.ending = true;
        state.generation += 1;
        let phase = state.phase;
        let life = &timeline.lives[self.plan.pods[pod as usize].app as usize];
        if phase == Phase::Serving {
            self.later(now.after(life.pre_stop), pod, StepKind::Told, queue);
        } else {
            self.later(now, pod, StepKind::Gone, queue);
        }
        self.list_pod(now, pod, false, queue);
    }

    /// `preStop` is over.
    pub(super) fn pod_told(&mut self, now: SimTime, pod: u32, queue: &mut Queue<Event>) {
        let Some(timeline) = &self.plan.timeline else {
            return;
        };
        self.set_phase(now, pod, Phase::Closing);
        let life = &timeline.lives[self.plan.pods[pod as usize].app as usize];
        // Without a sidecar the application has its whole grace to finish.
        let rest = SimDuration::from_ns(life.grace.ns().saturating_sub(life.pre_stop.ns()));
        let lasts = if life.drain.is_zero() {
            rest
        } else {
            life.drain.min(rest)
        };
        self.dynamics.pods[pod as usize].ends_by = now.after(rest);
        self.later(now.after(lasts), pod, StepKind::Gone, queue);
        self.drain_clients_of(pod);
    }

    pub(super) fn pod_gone(&mut self, now: SimTime, pod: u32, queue: &mut Queue<Event>) {
        if self.stays(now, pod) {
            self.later(now.after(AGAIN), pod, StepKind::Gone, queue);
            return;
        }
        self.lose_pods(now, &[pod], FailureKind::Kill, queue);
        self.set_phase(now, pod, Phase::Absent);
        self.dynamics.pods[pod as usize].ending = false;
        self.advance_rolling(now, pod, queue);
    }

    /// A sidecar that was told to wait for its connections looks again as long as there are any.
    fn stays(&self, now: SimTime, pod: u32) -> bool {
        let app = self.plan.pods[pod as usize].app as usize;
        let lives = self.plan.timeline.as_ref().map(|timeline| &timeline.lives);
        let waits = lives.is_some_and(|lives| lives[app].exit_on_zero);
        let state = &self.dynamics.pods[pod as usize];
        let work = &self.pods[pod as usize];
        waits
            && state.phase == Phase::Closing
            && work.busy + work.waiting > 0
            && now < state.ends_by
    }

    /// Pods that count as the workload's: created and not told to end, in order.
    pub(super) fn members(&self, app: u32) -> Vec<u32> {
        let pods = self.plan.apps[app as usize].pods.iter().copied();
        pods.filter(|pod| {
            let state = &self.dynamics.pods[*pod as usize];
            state.phase != Phase::Absent && !state.ending
        })
        .collect()
    }

    /// `spec.replicas`: what a workload is to have, also during a rolling update.
    pub(super) fn wanted_pods(&self, app: u32) -> u32 {
        let rolling = self.dynamics.rollings.iter().find(|r| r.app == app);
        rolling.map_or_else(|| self.members(app).len() as u32, |r| r.wanted)
    }

    /// Missing pods are created, the last ones are told to end.
    pub(super) fn scale(
        &mut self,
        now: SimTime,
        app: u32,
        replicas: u32,
        queue: &mut Queue<Event>,
    ) {
        if let Some(rolling) = self.dynamics.rollings.iter_mut().find(|r| r.app == app) {
            rolling.wanted = replicas;
        }
        let members = self.members(app);
        let wanted = replicas as usize;
        for pod in members.iter().skip(wanted) {
            self.end_pod(now, *pod, queue);
        }
        let missing = wanted.saturating_sub(members.len());
        for pod in self.absent(app, missing) {
            self.start_pod(now, pod, queue);
        }
    }

    /// Places for new pods.
    fn absent(&self, app: u32, count: usize) -> Vec<u32> {
        let pods = self.plan.apps[app as usize].pods.iter().copied();
        let absent = |pod: &u32| self.dynamics.pods[*pod as usize].phase == Phase::Absent;
        pods.filter(absent).take(count).collect()
    }

    /// Every pod is to be replaced.
    pub(super) fn roll_out(&mut self, now: SimTime, app: u32, queue: &mut Queue<Event>) {
        self.dynamics.rollings.retain(|r| r.app != app);
        let old = self.members(app);
        self.dynamics.rollings.push(Rolling {
            app,
            wanted: old.len() as u32,
            old,
            new: Vec::new(),
        });
        self.roll_on(now, app, queue);
    }

    /// A pod of a workload in a rolling update became ready or went.
    pub(super) fn advance_rolling(&mut self, now: SimTime, pod: u32, queue: &mut Queue<Event>) {
        let app = self.plan.pods[pod as usize].app;
        if self.dynamics.rollings.iter().any(|r| r.app == app) {
            self.roll_on(now, app, queue);
        }
    }

    /// As many new pods as `maxSurge` allows, as few old ones as `maxUnavailable` allows.
    fn roll_on(&mut self, now: SimTime, app: u32, queue: &mut Queue<Event>) {
        let Some(timeline) = &self.plan.timeline else {
            return;
        };
        let Some(at) = self.dynamics.rollings.iter().position(|r| r.app == app) else {
            return;
        };
        let mut rolling = self.dynamics.rollings.swap_remove(at);
        let life = &timeline.lives[app as usize];
        let wanted = rolling.wanted as usize;
        let members = self.members(app).len();
        let room = (wanted + life.max_surge as usize).saturating_sub(members);
        let fresh = self.absent(app, room.min(wanted.saturating_sub(rolling.new.len())));
        rolling.new.extend(&fresh);
        let available = |world: &Self| {
            let pods = world.members(app).into_iter();
            pods.filter(|pod| world.dynamics.listed[*pod as usize])
                .count()
        };
        let least = wanted.saturating_sub(life.max_unavailable as usize);
        let mut spare = available(self).saturating_sub(least);
        let mut ending = Vec::new();
        rolling.old.retain(|pod| {
            // One that does not serve is no loss.
            let listed = self.dynamics.listed[*pod as usize];
            let goes = !listed || spare > 0;
            if goes {
                spare -= usize::from(listed);
                ending.push(*pod);
            }
            !goes
        });
        let is_over = rolling.old.is_empty() && rolling.new.len() >= wanted;
        if is_over {
            let sentence = format!("every pod of {} is new", self.plan.apps[app as usize].name);
            self.dynamics.tell(now, HappeningKind::Passes, sentence);
        } else {
            self.dynamics.rollings.push(rolling);
        }
        for pod in fresh {
            self.start_pod(now, pod, queue);
        }
        for pod in ending {
            self.end_pod(now, pod, queue);
        }
    }
}
