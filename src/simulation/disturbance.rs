//! Pods that are slow, fail or have fewer slots for a time, and ways that are cut or long.

use super::event::{Event, Kind};
use super::plan::NIL;
use super::timeline::{LinkState, Phase};
use super::world::{Fate, World};
use crate::config::scenario::ErrorKind;
use crate::data_plane::Trail;
use crate::engine::Queue;
use crate::http::grpc;
use crate::network::Link;
use crate::units::{Fraction, SimDuration, SimTime};
use crate::workload::Limits;

/// First of TCP's waits for an answer; each is twice the one before.
const RETRANSMIT: SimDuration = SimDuration::from_ms(200);

/// Purposes of draws that disturbances make; an undisturbed run makes none.
const SLOWED: u64 = 0x7377_6565_7400_0001;
const DELAYED: u64 = 0x7377_6565_7400_0002;
const FAILED: u64 = 0x7377_6565_7400_0003;

impl<T: Trail> World<'_, T> {
    pub(super) fn each_link(&mut self, area: usize, change: impl Fn(&mut LinkState)) {
        for index in 0..self.dynamics.links.len() {
            if self.plan.distances.lies_in(Link(index as u16), area) {
                change(&mut self.dynamics.links[index]);
            }
        }
    }

    /// A pod's limits as they are now.
    #[inline]
    pub(super) fn limits_of(&self, pod: u32, app: u32) -> Limits {
        if self.is_dynamic() {
            self.dynamics.pods[pod as usize].limits
        } else {
            self.plan.apps[app as usize].limits
        }
    }

    /// At least one slot stays; waiting requests get the slots that come back.
    pub(super) fn set_capacity(
        &mut self,
        now: SimTime,
        pods: &[u32],
        share: Fraction,
        queue: &mut Queue<Event>,
    ) {
        for pod in pods {
            let full = self.plan.apps[self.plan.pods[*pod as usize].app as usize].limits;
            let slots = u64::from(full.concurrency) * u64::from(share.ppm()) / 1_000_000;
            let concurrency = if full.concurrency == u32::MAX {
                u32::MAX
            } else {
                (slots as u32).max(1)
            };
            self.dynamics.pods[*pod as usize].limits.concurrency = concurrency;
            self.fill_slots(now, *pod, queue);
        }
    }

    /// The time some work takes in a disturbed pod.
    #[cold]
    pub(super) fn disturbed_work(&self, pod: u32, key: u64, takes: SimDuration) -> SimDuration {
        let slow = self.dynamics.pods[pod as usize].slow;
        let Some((factor, more)) = (self.plan.timeline.as_ref())
            .and_then(|timeline| timeline.slowdowns.get(slow as usize))
        else {
            return takes;
        };
        let longer = SimDuration::from_ns((takes.ns() as f64 * factor) as u64);
        match more {
            Some(more) => longer.plus(more.sample(&mut Self::draws(key, SLOWED))),
            None => longer,
        }
    }

    /// What a disturbed pod does with a request, where it is not what its application would do.
    #[cold]
    pub(super) fn disturbed_fate(&self, pod: u32, key: u64) -> Option<Fate> {
        let state = &self.dynamics.pods[pod as usize];
        if state.phase == Phase::Hung {
            return Some(Fate::Hang);
        }
        let errors = (self.plan.timeline.as_ref())
            .and_then(|timeline| timeline.errors.get(state.errors as usize))?;
        let random = Self::draws(key, FAILED).next_u64();
        let (_, kind) = errors.iter().find(|(share, _)| share.hit(random))?;
        Some(match kind {
            ErrorKind::Status(status) => Fate::Answer(Some(*status)),
            ErrorKind::Grpc(status) => Fate::Answer(Some(grpc::in_headers(*status))),
            ErrorKind::Reset => Fate::Reset,
            ErrorKind::Refuse => Fate::Refuse,
            ErrorKind::Hang => Fate::Hang,
        })
    }

    /// How long something is on its way over a link that may be disturbed; `None`: it never arrives.
    #[cold]
    pub(super) fn disturbed_way(
        &self,
        now: SimTime,
        link: Link,
        key: u64,
        takes: SimDuration,
    ) -> Option<SimDuration> {
        let state = self.dynamics.links[link.0 as usize];
        let mut takes = takes;
        if state.delay != NIL
            && let Some(timeline) = &self.plan.timeline
        {
            let more = &timeline.delays[state.delay as usize];
            takes = takes.plus(more.sample(&mut Self::draws(key, DELAYED)));
        }
        if state.cut_until <= now {
            return Some(takes);
        }
        if state.cut_until == SimTime::MAX {
            return None;
        }
        // TCP tries again after 0.2 s, 0.6 s, 1.4 s and so on.
        let mut wait = RETRANSMIT;
        let mut sent = now.after(wait);
        while sent < state.cut_until {
            wait = wait.plus(wait);
            sent = sent.after(wait);
        }
        Some(sent.since(now).plus(takes))
    }

    /// A try goes out over a link that may be disturbed.
    #[cold]
    pub(super) fn send_disturbed(
        &mut self,
        now: SimTime,
        id: u32,
        takes: SimDuration,
        queue: &mut Queue<Event>,
    ) {
        let attempt = &self.attempts[id as usize];
        match self.disturbed_way(now, attempt.link, attempt.key, takes) {
            Some(takes) => queue.push(now.after(takes), Event::new(Kind::AttemptReachedServer, id)),
            None => self.lose_attempt(id),
        }
    }

    /// An answer goes back over a link that may be disturbed, from a pod that may be gone.
    #[cold]
    pub(super) fn answer_disturbed(
        &mut self,
        now: SimTime,
        id: u32,
        takes: SimDuration,
        queue: &mut Queue<Event>,
    ) {
        let attempt = &self.attempts[id as usize];
        let dark = self.dynamics.pods[attempt.pod as usize].phase == Phase::Dark;
        match self.disturbed_way(now, attempt.link, !attempt.key, takes) {
            Some(takes) if !dark => {
                queue.push(
                    now.after(takes),
                    Event::new(Kind::ResponseReachedClient, id),
                );
            }
            _ => self.lose_attempt(id),
        }
    }

    /// Work that ends in a pod which is gone, or hangs; true when that is all there is to say.
    #[cold]
    pub(super) fn is_interrupted(&mut self, id: u32) -> bool {
        let attempt = &mut self.attempts[id as usize];
        if attempt.fate == Fate::Dead {
            self.lose_attempt(id);
            return true;
        }
        if self.dynamics.pods[attempt.pod as usize].phase == Phase::Hung {
            attempt.fate = Fate::Hang;
            return true;
        }
        false
    }

    /// A process that hung goes on: what it had is answered now.
    pub(super) fn resume(&mut self, now: SimTime, pod: u32, queue: &mut Queue<Event>) {
        for id in 0..self.attempts.len() as u32 {
            let attempt = &mut self.attempts[id as usize];
            if attempt.pod == pod && attempt.serving && attempt.fate == Fate::Hang {
                attempt.fate = Fate::Answer(None);
                queue.push(now, Event::new(Kind::WorkDone, id));
            }
        }
    }
}
