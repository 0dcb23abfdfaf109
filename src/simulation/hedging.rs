//! Hedged requests: tries that timed out softly stay out while others are made.
//!
//! The newest try is the call's own; replaced ones wait in a table beside it.

use super::attempt::StreamEnd;
use super::event::Event;
use super::plan::NIL;
use super::retrying::Decided;
use super::world::{Attempt, Call, State, World};
use crate::data_plane::Trail;
use crate::data_plane::hedge::{Late, late};
use crate::data_plane::outlier_detection::TryResult;
use crate::data_plane::retry::{ResetReason, TryOutcome};
use crate::engine::Queue;
use crate::http::{Details, Flags};
use crate::observe::{ClusterStats, Stat};
use crate::units::SimTime;

impl<T: Trail> World<'_, T> {
    /// A per-try timeout that hedges: the host is charged, the try goes on, another one follows.
    #[cold]
    pub(super) fn on_soft_timeout(&mut self, now: SimTime, id: u32, queue: &mut Queue<Event>) {
        let call = &self.calls[id as usize];
        let (edge, host, attempt) = (call.edge, call.host, call.attempt);
        self.on_try_result(now, edge, host, TryResult::Timeout, queue);
        if call_is_spent(&self.calls[id as usize]) {
            // The flag stands at once, whatever the try still brings; a retry that this try is
            // may still be a success (measured on 1.40).
            self.stats_of(edge).inc(Stat::RqRetryLimitExceeded);
            let call = &mut self.calls[id as usize];
            call.flags = call.flags.with(Flags::URX);
            return;
        }
        let outcome = TryOutcome::Reset(ResetReason::LocalReset);
        let route = &self.plan.routes[self.calls[id as usize].route as usize];
        let Some(policy) = route.retry.as_deref() else {
            return;
        };
        match self.settle(now, id, policy, outcome, true, queue) {
            Decided::Retry => {
                self.calls[id as usize].attempt = NIL;
                self.side.hedged.entry(id).or_default().push(attempt);
            }
            Decided::End(flags) => {
                let call = &mut self.calls[id as usize];
                call.flags = call.flags.with(flags);
            }
        }
    }

    /// The end of the newest try is held back while a replaced one may still bring an answer.
    #[cold]
    pub(super) fn is_held_back(&mut self, id: u32, outcome: TryOutcome, extra: Flags) -> bool {
        let unwelcome = matches!(outcome, TryOutcome::Reset(_)) || extra != Flags::NONE;
        if !unwelcome || !self.side.hedged.contains_key(&id) {
            return false;
        }
        let call = &mut self.calls[id as usize];
        call.flags = call.flags.with(extra);
        call.attempt = NIL;
        call.state = State::Held;
        let edge = call.edge;
        self.charge_reset(edge, outcome);
        true
    }

    /// An answer (or reset) of a try that was replaced.
    #[cold]
    pub(super) fn on_late_response(
        &mut self,
        now: SimTime,
        attempt_id: u32,
        attempt: &Attempt,
        queue: &mut Queue<Event>,
    ) {
        let plan = self.plan;
        let id = attempt.call;
        let rest = {
            let others = self.side.hedged.entry(id).or_default();
            others.retain(|other| *other != attempt_id);
            others.len()
        };
        if rest == 0 {
            self.side.hedged.remove(&id);
        }
        let outcome = self.outcome_of(attempt);
        self.release_stream(attempt.edge, attempt.host);
        let reset = attempt.fate.is_reset();
        if !reset {
            // Its timeout was charged before, a reset is not charged again.
            let result = Self::try_result(attempt);
            self.on_try_result(now, attempt.edge, attempt.host, result, queue);
        }
        let call = &self.calls[id as usize];
        let newest = matches!(
            call.state,
            State::Pending | State::InFlight | State::Backoff
        );
        let policy = plan.routes[call.route as usize].retry.as_deref();
        let late = policy.map_or(Late::Answers, |p| late(p, &outcome, newest || rest > 0));
        let end = match (reset, late) {
            (true, _) => StreamEnd::ResetByPeer,
            (false, Late::Dropped) => StreamEnd::ResetByUs,
            (false, Late::Answers) => StreamEnd::Complete,
        };
        self.leave_connection(now, attempt, end, queue);
        if late == Late::Dropped {
            self.charge_reset(attempt.edge, outcome);
            return;
        }
        self.leave_newest(now, id, queue);
        let call = &mut self.calls[id as usize];
        (call.host, call.target) = (attempt.host, attempt.target);
        let (status, flags, details) = match outcome {
            TryOutcome::Response { .. } => (attempt.status, Flags::NONE, Details::ViaUpstream),
            TryOutcome::Reset(reason) => reason.reply(),
        };
        self.finish(now, id, status, flags, details, queue);
    }

    /// The newest try is given up, wherever it is.
    pub(super) fn leave_newest(&mut self, now: SimTime, id: u32, queue: &mut Queue<Event>) {
        match self.calls[id as usize].state {
            State::InFlight => self.abandon_attempt(now, id, queue),
            State::Pending => self.leave_pending(id),
            State::Free | State::Held | State::Backoff | State::Returning => {}
        }
    }

    /// Replaced tries are reset: the request is over. Those that a route timeout ends are charged.
    #[cold]
    pub(super) fn abandon_hedged(
        &mut self,
        now: SimTime,
        id: u32,
        timed_out: bool,
        queue: &mut Queue<Event>,
    ) {
        for attempt in self.side.hedged.remove(&id).unwrap_or_default() {
            let edge = self.attempts[attempt as usize].edge;
            self.abandon(now, attempt, queue);
            if timed_out {
                // Every try that is out is charged with the timeout, and its status.
                let stats = self.stats_of(edge);
                stats.inc(Stat::RqTimeout);
                stats.complete(504);
            }
        }
    }

    /// A reset is charged to the cluster although nobody sees it (measured on 1.40).
    fn charge_reset(&mut self, edge: u32, outcome: TryOutcome) {
        if let TryOutcome::Reset(reason) = outcome {
            self.stats_of(edge).complete(reason.reply().0);
        }
    }

    fn stats_of(&mut self, edge: u32) -> &mut ClusterStats {
        let slot = self.edges[edge as usize].slot;
        &mut self.record.slots[slot as usize].stats
    }
}

/// No retry is left.
const fn call_is_spent(call: &Call) -> bool {
    call.retry.has_begun() && call.retry.remaining == 0
}
