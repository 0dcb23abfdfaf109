//! Timers that fire: of a try, of a route, of the application that waits.

use super::attempt::StreamEnd;
use super::event::Event;
use super::plan::{NIL, TryLimit};
use super::world::{Fate, State, World};
use crate::data_plane::outlier_detection::TryResult;
use crate::data_plane::retry::{ResetReason, TryOutcome};
use crate::data_plane::timeout::lateness;
use crate::data_plane::trail::Timer;
use crate::data_plane::{Mark, Reason, Trail};
use crate::engine::{Queue, TimerId};
use crate::http::{Details, Flags};
use crate::observe::Stat;
use crate::units::{SimDuration, SimTime};

impl<T: Trail> World<'_, T> {
    pub(super) fn on_attempt_timed_out(
        &mut self,
        now: SimTime,
        event: Event,
        queue: &mut Queue<Event>,
    ) {
        let plan = self.plan;
        let id = event.index();
        let call = &mut self.calls[id as usize];
        let after = plan.routes[call.route as usize].per_try_timeout;
        call.try_timer = put_off(now, event, after, plan.tick, queue);
        if !call.try_timer.is_none() {
            return;
        }
        let (edge, host) = (call.edge, call.host);
        let route = &plan.routes[call.route as usize];
        let after = route.per_try_timeout.unwrap_or_default();
        let rare = route.rare.as_deref();
        let limit = rare.map_or(TryLimit::PerTry, |r| r.try_limit);
        let (which, stat, reason) = match limit {
            TryLimit::PerTry => {
                let stat = Stat::RqPerTryTimeout;
                (Timer::PerTry, stat, ResetReason::LocalReset)
            }
            TryLimit::PerTryIdle => {
                let stat = Stat::RqPerTryIdleTimeout;
                (Timer::PerTryIdle, stat, ResetReason::LocalIdleReset)
            }
            TryLimit::Stream => {
                let stat = Stat::RqMaxDurationReached;
                (Timer::TryDuration, stat, ResetReason::MaxStreamDuration)
            }
        };
        self.note(id, || Reason::Timeout { which, after });
        if limit == TryLimit::PerTry && rare.is_some_and(|r| r.hedges) {
            self.on_soft_timeout(now, id, queue);
            return;
        }
        let slot = self.edges[edge as usize].slot;
        self.record.slots[slot as usize].stats.inc(stat);
        self.abandon_attempt(now, id, queue);
        if limit != TryLimit::Stream {
            self.on_try_result(now, edge, host, TryResult::Timeout, queue);
        }
        self.end_try(now, id, TryOutcome::Reset(reason), queue);
    }

    pub(super) fn on_request_timed_out(
        &mut self,
        now: SimTime,
        event: Event,
        queue: &mut Queue<Event>,
    ) {
        let plan = self.plan;
        let id = event.index();
        let call = &mut self.calls[id as usize];
        let after = plan.routes[call.route as usize].timeout;
        call.route_timer = put_off(now, event, after, plan.tick, queue);
        if !call.route_timer.is_none() {
            return;
        }
        let (edge, host, state) = (call.edge, call.host, call.state);
        let after = after.unwrap_or_default();
        let which = Timer::Route;
        self.note(id, || Reason::Timeout { which, after });
        if !self.side.hedged.is_empty() {
            self.abandon_hedged(now, id, true, queue);
        }
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
        self.abandon(now, attempt_id, queue);
    }

    /// A try that is nobody's newest any more.
    pub(super) fn abandon(&mut self, now: SimTime, attempt_id: u32, queue: &mut Queue<Event>) {
        self.mark(|| Mark::Abandoned(attempt_id));
        let attempt = self.attempts[attempt_id as usize];
        self.attempts[attempt_id as usize].call = NIL;
        self.release_stream(attempt.edge, attempt.host);
        let cluster = self.edges[attempt.edge as usize].cluster;
        let end = if self.plan.clusters[cluster as usize].tcp {
            StreamEnd::ResetByPeer
        } else {
            StreamEnd::ResetByUs
        };
        self.leave_connection(now, &attempt, end, queue);
        self.abandon_gate(now, attempt_id, queue);
        if attempt.fate == Fate::Hang && attempt.serving {
            // Nothing would ever end it: the pod notices that its peer is gone.
            self.leave_pod(now, attempt_id, queue);
            self.free_attempts.push(attempt_id);
        } else if attempt.fate == Fate::Lost {
            self.free_attempts.push(attempt_id);
        }
    }

    /// The connection manager ends the stream: nothing moved for too long, or it lasted too long.
    /// The router learns of it like of a client that left: nothing is charged to the cluster.
    #[cold]
    pub(super) fn on_stream_timed_out(
        &mut self,
        now: SimTime,
        id: u32,
        generation: u32,
        queue: &mut Queue<Event>,
    ) {
        let call = &self.calls[id as usize];
        let rare = self.plan.routes[call.route as usize].rare.as_deref();
        let Some(limit) = rare.and_then(|r| r.stream) else {
            return;
        };
        if call.generation != generation || matches!(call.state, State::Free | State::Returning) {
            return;
        }
        let (which, flags, details) = if limit.idle {
            (Timer::StreamIdle, Flags::SI, Details::StreamIdleTimeout)
        } else {
            (
                Timer::StreamDuration,
                Flags::NONE,
                Details::MaxDurationTimeout,
            )
        };
        let after = limit.after;
        self.note(id, || Reason::Timeout { which, after });
        self.leave_newest(now, id, queue);
        self.finish(now, id, 504, flags, details, queue);
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

/// Where the proxies' clock is coarse a timer may have to wait for a tick; it does so once.
fn put_off(
    now: SimTime,
    event: Event,
    after: Option<SimDuration>,
    tick: SimDuration,
    queue: &mut Queue<Event>,
) -> TimerId {
    const WAITED: u32 = 1;
    let after = after.unwrap_or_default();
    if tick.is_zero() || event.generation() == WAITED || now.ns() < after.ns() {
        return TimerId::NONE;
    }
    let armed = SimTime::from_ns(now.ns() - after.ns());
    let late = lateness(armed, after, tick);
    if late.is_zero() {
        return TimerId::NONE;
    }
    let lane = queue.lane(late);
    queue.arm(lane, Event::stamped(event.kind(), event.index(), WAITED))
}
