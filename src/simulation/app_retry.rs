//! Retries that applications make themselves, above those of their proxies: each of them is a new
//! request for the proxy, with all its tries.

use super::event::{Event, Kind};
use super::plan::RepeatPlan;
use super::side::{Repeat, RootSoFar};
use super::world::{Call, Parent, World};
use crate::data_plane::{Mark, Trail};
use crate::engine::Queue;
use crate::units::SimTime;

/// Bits of a call's number in [`Parent::Attempt`]; above them is which of the application's own
/// tries it is.
const NUMBER_BITS: u32 = 16;

/// The call's number.
#[inline]
pub(super) const fn number_of(call: u32) -> u32 {
    call & ((1 << NUMBER_BITS) - 1)
}

/// No answer, 5xx, or a gRPC status other than OK.
pub(super) const fn is_failure(status: u16) -> bool {
    status == 0 || status >= 500
}

impl<'p, T: Trail> World<'p, T> {
    /// A call of an application failed, its slot is free already: is it made again?
    #[cold]
    pub(super) fn call_again(
        &mut self,
        now: SimTime,
        id: u32,
        attempt: u32,
        packed: u32,
        queue: &mut Queue<Event>,
    ) -> bool {
        let call = self.calls[id as usize];
        let Some(plan) = self.call_retries(call.pod, packed) else {
            return false;
        };
        let wanted = packed >> NUMBER_BITS < plan.attempts;
        if !self.side.throttles.failed(call.pod, plan, wanted) {
            return false;
        }
        let parent = Parent::Attempt {
            attempt,
            call: packed + (1 << NUMBER_BITS),
        };
        self.repeat(now, plan, &call, parent, RootSoFar::default(), queue);
        true
    }

    /// What an application does about a call of its own that fails.
    fn call_retries(&self, pod: u32, packed: u32) -> Option<&'p RepeatPlan> {
        let plan = self.plan;
        let app = plan.pods[pod as usize].app as usize;
        let retries = plan.apps[app].call_retries.get(number_of(packed) as usize);
        retries.and_then(Option::as_ref)
    }

    /// A call of an application succeeded, which pays for retries.
    #[cold]
    pub(super) fn call_succeeded(&mut self, pod: u32, packed: u32) {
        let plan = self.call_retries(pod, packed);
        self.side.throttles.succeeded(pod, plan);
    }

    /// A root request ended: is it sent again? What its record needs comes back when it is not.
    #[cold]
    pub(super) fn root_again(
        &mut self,
        now: SimTime,
        id: u32,
        load: u32,
        queue: &mut Queue<Event>,
    ) -> Option<RootSoFar> {
        let plan = self.plan;
        let call = self.calls[id as usize];
        let fresh = RootSoFar {
            started: call.started,
            number: call.number,
            ..RootSoFar::default()
        };
        let mut so_far = self.side.roots.remove(&id).unwrap_or(fresh);
        so_far.attempts += call.tries;
        let retries = plan.loads[load as usize].retries.as_ref();
        let throttles = &mut self.side.throttles;
        let again = if is_failure(call.status) {
            retries.filter(|r| throttles.failed(call.pod, r, so_far.tries < r.attempts))
        } else {
            throttles.succeeded(call.pod, retries);
            None
        };
        match again {
            Some(retries) => {
                so_far.tries += 1;
                self.free_call(id);
                self.repeat(now, retries, &call, call.parent, so_far, queue);
                None
            }
            None => Some(so_far),
        }
    }

    fn repeat(
        &mut self,
        now: SimTime,
        plan: &RepeatPlan,
        call: &Call,
        parent: Parent,
        root: RootSoFar,
        queue: &mut Queue<Event>,
    ) {
        let key = Self::draws(call.key, self.keys.again).next_u64();
        let pause = (plan.backoff).sample(&mut Self::draws(key, self.keys.backoff));
        let slot = self.side.keep(Repeat {
            parent,
            route: call.route,
            pod: call.pod,
            worker: call.worker,
            key,
            drawn: call.drawn,
            prefix: call.prefix,
            root,
        });
        queue.push(
            now.after(pause),
            Event::new(Kind::ApplicationTriesAgain, slot),
        );
    }

    /// The pause is over.
    pub(super) fn on_application_tries_again(
        &mut self,
        now: SimTime,
        slot: u32,
        queue: &mut Queue<Event>,
    ) {
        let repeat = self.side.repeats[slot as usize];
        self.side.free_repeats.push(slot);
        let Repeat {
            parent, route, pod, ..
        } = repeat;
        let route = self.route_now(pod, route);
        let id = self.create_call(now, route, pod, parent, repeat.key, Some(repeat.worker));
        let call = &mut self.calls[id as usize];
        (call.drawn, call.prefix) = (repeat.drawn, repeat.prefix);
        match parent {
            Parent::Root { load, .. } => {
                let number = repeat.root.number;
                call.number = number;
                self.mark(|| Mark::Root {
                    call: id,
                    load,
                    number,
                });
                self.side.roots.insert(id, repeat.root);
                self.send_root(now, id, load, queue);
            }
            Parent::Attempt { call: packed, .. } => {
                let app = self.plan.pods[pod as usize].app as usize;
                if let Some(lane) = self.call_lanes[app][number_of(packed) as usize] {
                    let event = Event::new(Kind::ApplicationTimedOut, id);
                    self.calls[id as usize].app_timer = queue.arm(lane, event);
                }
                if T::LIVELY && self.plan.has_deadlines {
                    let call = &self.plan.apps[app].calls[number_of(packed) as usize];
                    self.begin_deadline(now, id, call.timeout, queue);
                }
                self.enter_proxy(now, id, queue);
            }
            // The pod that wanted to is gone.
            Parent::Shadow => self.free_call(id),
        }
    }
}
