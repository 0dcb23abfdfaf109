//! A try has ended: tried again after a back-off, or the call's answer.

use super::event::{Event, Kind};
use super::plan::NIL;
use super::world::{State, World};
use crate::data_plane::retry::{RetryDecision, RetryState, TryOutcome, Wait, Waits, would_retry};
use crate::data_plane::timeout::lateness;
use crate::data_plane::{Reason, Trail};
use crate::engine::Queue;
use crate::http::{Details, Flags, grpc};
use crate::observe::Stat;
use crate::units::SimTime;
use crate::xds::route::RetryPolicy;

/// What was decided about a try that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decided {
    /// Tried again after a back-off that is scheduled.
    Retry,
    /// The call ends, with these flags beside the outcome's own.
    End(Flags),
}

impl<T: Trail> World<'_, T> {
    /// A try ended without an answer of its pod.
    pub(super) fn end_try(
        &mut self,
        now: SimTime,
        id: u32,
        outcome: TryOutcome,
        queue: &mut Queue<Event>,
    ) {
        let decided = self.decide(now, id, outcome, queue);
        self.conclude(now, id, outcome, decided, queue);
    }

    /// Retry or not; a back-off is scheduled here.
    #[inline]
    pub(super) fn decide(
        &mut self,
        now: SimTime,
        id: u32,
        outcome: TryOutcome,
        queue: &mut Queue<Event>,
    ) -> Decided {
        let call = &self.calls[id as usize];
        let route = &self.plan.routes[call.route as usize];
        match route.retry.as_deref() {
            None => Decided::End(Flags::NONE),
            Some(policy) => {
                let wanted = would_retry(policy, &outcome, call.request_sent);
                self.settle(now, id, policy, outcome, wanted, queue)
            }
        }
    }

    /// A retry is wanted or not: is it made?
    #[inline(never)]
    pub(super) fn settle(
        &mut self,
        now: SimTime,
        id: u32,
        policy: &RetryPolicy,
        outcome: TryOutcome,
        wanted: bool,
        queue: &mut Queue<Event>,
    ) -> Decided {
        let plan = self.plan;
        let call = &mut self.calls[id as usize];
        if !call.retry.has_begun() {
            call.retry = RetryState::new(policy);
        }
        let edge = &mut self.edges[call.edge as usize];
        let thresholds = &plan.clusters[edge.cluster as usize].thresholds;
        let stats = &mut self.record.slots[edge.slot as usize].stats;
        let draw = if wanted {
            Self::draws(call.key ^ u64::from(call.tries), self.keys.backoff).next_u64()
        } else {
            0
        };
        let wait = Wait::of(&outcome);
        // A try that has left its connection still counts for a retry budget.
        let gone = u32::from(call.attempt == NIL);
        edge.breakers.requests += gone;
        let decision =
            (call.retry).decide(policy, wanted, &mut edge.breakers, thresholds, wait, draw);
        edge.breakers.requests -= gone;
        let decided = match decision {
            RetryDecision::No { was_success } => {
                if was_success {
                    stats.inc(Stat::RqRetrySuccess);
                }
                Decided::End(Flags::NONE)
            }
            RetryDecision::LimitExceeded => {
                stats.inc(Stat::RqRetryLimitExceeded);
                Decided::End(Flags::URX)
            }
            RetryDecision::Overflow => {
                stats.inc(Stat::RqRetryOverflow);
                Decided::End(Flags::UO)
            }
            RetryDecision::After(delay) => {
                if let TryOutcome::Response { status, .. } = outcome {
                    stats.discard(status);
                }
                call.state = State::Backoff;
                let late = lateness(now, delay, plan.tick);
                queue.push(
                    now.after(delay).after(late),
                    Event::stamped(Kind::BackoffElapsed, id, call.generation),
                );
                Decided::Retry
            }
        };
        if wanted || decision != (RetryDecision::No { was_success: false }) {
            self.note(id, || Reason::Retry { outcome, decision });
        }
        decided
    }

    /// Answers the call when nothing is tried again.
    pub(super) fn conclude(
        &mut self,
        now: SimTime,
        id: u32,
        outcome: TryOutcome,
        decided: Decided,
        queue: &mut Queue<Event>,
    ) {
        let Decided::End(extra) = decided else { return };
        if !self.side.hedged.is_empty() && self.is_held_back(id, outcome, extra) {
            return;
        }
        let (status, flags, details) = match outcome {
            TryOutcome::Response {
                status,
                grpc_status,
                ..
            } => {
                let kept = grpc_status.map_or(status, grpc::in_headers);
                (kept, Flags::NONE, Details::ViaUpstream)
            }
            TryOutcome::Reset(reason) => reason.reply(),
        };
        self.finish(now, id, status, flags.with(extra), details, queue);
    }

    pub(super) fn on_backoff_elapsed(
        &mut self,
        now: SimTime,
        id: u32,
        generation: u32,
        queue: &mut Queue<Event>,
    ) {
        let call = &self.calls[id as usize];
        if call.generation == generation && call.state == State::Backoff {
            // Counted when the back-off is over: one that is left is none (measured on 1.40).
            let slot = self.edges[call.edge as usize].slot as usize;
            let stats = &mut self.record.slots[slot].stats;
            stats.inc(Stat::RqRetry);
            match call.retry.waits {
                Waits::Exponential => stats.inc(Stat::RqRetryBackoffExponential),
                Waits::RateLimited => stats.inc(Stat::RqRetryBackoffRatelimited),
                Waits::NotAtAll => {}
            }
            let plan = self.plan;
            let route = &plan.routes[self.calls[id as usize].route as usize];
            self.begin_try(now, id, route, queue);
        }
    }
}
