//! Deadlines that travel, as gRPC's do: the timeout of a load or a call is a moment by which its
//! answer is wanted; a server that heeds it begins no work after it, and its own calls end by it.
//!
//! Work that is going on is not interrupted: it is looked at when it begins, when it ends, and
//! between the steps of `calls`. Without an application that heeds deadlines nothing here runs.

use super::event::{Event, Kind};
use super::plan::NIL;
use super::world::{Parent, State, World};
use crate::data_plane::Trail;
use crate::engine::Queue;
use crate::http::grpc;
use crate::observe::AppStat;
use crate::units::{SimDuration, SimTime};

/// What a server answers to what is too late.
const GATEWAY_TIMEOUT: u16 = 504;
/// The same of gRPC.
const DEADLINE_EXCEEDED: u8 = 4;

impl<T: Trail> World<'_, T> {
    /// A call begins: by when its answer is wanted, from its own timeout and from the request for
    /// which an application makes it.
    #[cold]
    pub(super) fn begin_deadline(
        &mut self,
        now: SimTime,
        id: u32,
        timeout: Option<SimDuration>,
        queue: &mut Queue<Event>,
    ) {
        let own = timeout.map_or(SimTime::MAX, |timeout| now.after(timeout));
        let call = &self.calls[id as usize];
        let generation = call.generation;
        let inherited = match call.parent {
            Parent::Attempt { attempt, .. } if attempt != NIL => self.inherited(attempt),
            _ => SimTime::MAX,
        };
        set(&mut self.side.call_deadlines, id, own.min(inherited));
        if inherited < own {
            let event = Event::stamped(Kind::DeadlineExceeded, id, generation);
            queue.push(inherited.max(now), event);
        }
    }

    /// The deadline that an application passes on.
    fn inherited(&self, attempt: u32) -> SimTime {
        let app = self.attempts[attempt as usize].app;
        let rare = self.plan.apps[app as usize].rare.as_deref();
        if rare.is_some_and(|rare| rare.propagates) {
            get(&self.side.try_deadlines, attempt)
        } else {
            SimTime::MAX
        }
    }

    /// A try carries the deadline of its call.
    #[cold]
    pub(super) fn carry_deadline(&mut self, call: u32, attempt: u32) {
        let deadline = get(&self.side.call_deadlines, call);
        set(&mut self.side.try_deadlines, attempt, deadline);
    }

    /// Is it too late for this request? What its server answers then.
    pub(super) fn too_late(&mut self, now: SimTime, id: u32) -> Option<u16> {
        if now < self.inherited(id) {
            return None;
        }
        let attempt = &self.attempts[id as usize];
        let stats = &mut self.record.apps[attempt.app as usize].rare;
        stats.inc(AppStat::DeadlinesExceeded);
        let route = (attempt.call != NIL)
            .then(|| &self.plan.routes[self.calls[attempt.call as usize].route as usize]);
        let rare = route.and_then(|route| route.rare.as_deref());
        Some(if rare.is_some_and(|rare| rare.grpc) {
            grpc::in_headers(DEADLINE_EXCEEDED)
        } else {
            GATEWAY_TIMEOUT
        })
    }

    /// The application gives a call up because its own answer would come too late.
    pub(super) fn on_deadline_exceeded(
        &mut self,
        now: SimTime,
        id: u32,
        generation: u32,
        queue: &mut Queue<Event>,
    ) {
        let call = &mut self.calls[id as usize];
        if call.generation == generation && call.state != State::Free {
            queue.cancel(std::mem::take(&mut call.app_timer));
            self.on_application_timed_out(now, id, queue);
        }
    }
}

fn get(deadlines: &[SimTime], slot: u32) -> SimTime {
    let known = deadlines.get(slot as usize).copied();
    known.unwrap_or(SimTime::MAX)
}

fn set(deadlines: &mut Vec<SimTime>, slot: u32, deadline: SimTime) {
    if deadlines.len() <= slot as usize {
        deadlines.resize(slot as usize + 1, SimTime::MAX);
    }
    deadlines[slot as usize] = deadline;
}
