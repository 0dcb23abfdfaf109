//! Timers that fire: of a try, of a route, of the application that waits.

use super::attempt::StreamEnd;
use super::event::Event;
use super::plan::NIL;
use super::world::{Fate, State, World};
use crate::data_plane::outlier_detection::TryResult;
use crate::data_plane::retry::{ResetReason, TryOutcome};
use crate::data_plane::{Reason, Trail};
use crate::engine::{Queue, TimerId};
use crate::http::{Details, Flags};
use crate::observe::Stat;
use crate::units::SimTime;

impl<T: Trail> World<'_, T> {
    pub(super) fn on_attempt_timed_out(&mut self, now: SimTime, id: u32, queue: &mut Queue<Event>) {
        let plan = self.plan;
        let call = &mut self.calls[id as usize];
        call.try_timer = TimerId::NONE;
        let (edge, host, route) = (call.edge, call.host, call.route);
        let slot = self.edges[edge as usize].slot;
        self.record.slots[slot as usize]
            .stats
            .inc(Stat::RqPerTryTimeout);
        let after = plan.routes[route as usize]
            .per_try_timeout
            .unwrap_or_default();
        self.note(id, || Reason::Timeout {
            per_try: true,
            after,
        });
        self.abandon_attempt(now, id, queue);
        self.on_try_result(now, edge, host, TryResult::Timeout, queue);
        self.end_try(now, id, TryOutcome::Reset(ResetReason::LocalReset), queue);
    }

    pub(super) fn on_request_timed_out(&mut self, now: SimTime, id: u32, queue: &mut Queue<Event>) {
        let plan = self.plan;
        let call = &mut self.calls[id as usize];
        call.route_timer = TimerId::NONE;
        let (edge, host, state, route) = (call.edge, call.host, call.state, call.route);
        let after = plan.routes[route as usize].timeout.unwrap_or_default();
        self.note(id, || Reason::Timeout {
            per_try: false,
            after,
        });
        let slot = self.edges[edge as usize].slot;
        match state {
            State::InFlight => {
                self.record.slots[slot as usize].stats.inc(Stat::RqTimeout);
                self.abandon_attempt(now, id, queue);
                self.on_try_result(now, edge, host, TryResult::Timeout, queue);
            }
            State::Pending => {
                self.record.slots[slot as usize].stats.inc(Stat::RqTimeout);
                self.leave_pending(id);
            }
            State::Free | State::Held | State::Backoff | State::Returning => {}
        }
        self.finish(now, id, 504, Flags::UT, Details::ResponseTimeout, queue);
    }

    /// The proxy gives its try up: the stream is reset, the pod goes on working.
    pub(super) fn abandon_attempt(&mut self, now: SimTime, id: u32, queue: &mut Queue<Event>) {
        let call = &mut self.calls[id as usize];
        let attempt_id = std::mem::replace(&mut call.attempt, NIL);
        queue.cancel(std::mem::take(&mut call.try_timer));
        let attempt = self.attempts[attempt_id as usize];
        self.attempts[attempt_id as usize].call = NIL;
        self.release_stream(attempt.edge, attempt.host);
        self.leave_connection(now, &attempt, StreamEnd::ResetByUs, queue);
        self.abandon_gate(now, attempt_id, queue);
        if attempt.fate == Fate::Hang && attempt.serving {
            // Nothing would ever end it: the pod notices that its peer is gone.
            self.leave_pod(now, attempt_id, queue);
            self.free_attempts.push(attempt_id);
        }
    }

    /// The application gave up waiting: the proxy sees its client leave.
    pub(super) fn on_application_timed_out(
        &mut self,
        now: SimTime,
        id: u32,
        queue: &mut Queue<Event>,
    ) {
        self.calls[id as usize].app_timer = TimerId::NONE;
        match self.calls[id as usize].state {
            State::InFlight => self.abandon_attempt(now, id, queue),
            State::Pending => self.leave_pending(id),
            State::Free | State::Held | State::Backoff | State::Returning => {}
        }
        if self.calls[id as usize].state == State::Returning {
            // The gateway has answered; the client has left before it could see that.
            let call = &mut self.calls[id as usize];
            call.status = 0;
            call.flags = call.flags.with(Flags::DC);
            call.details = Details::DownstreamRemoteDisconnect;
            self.end_root(now, id, queue);
            return;
        }
        self.finish(
            now,
            id,
            0,
            Flags::DC,
            Details::DownstreamRemoteDisconnect,
            queue,
        );
    }
}
