//! Retries of a server's sidecar towards its own application.
//!
//! Istio retries `reset-before-request` twice there from 1.24 on: connections that the
//! application refuses. What is left of a failure is an ordinary answer for the client's proxy
//! (503 with `via_upstream` there, gRPC status 14 for gRPC requests).

use super::event::{Event, Kind};
use super::plan::{InboundPlan, NIL};
use super::side::InboundRetries;
use super::sidecar::Gate;
use super::world::World;
use crate::config::scenario::ErrorKind;
use crate::data_plane::Trail;
use crate::data_plane::circuit_breaker::Breakers;
use crate::data_plane::retry::{
    ResetReason, RetryDecision, RetryState, TryOutcome, Wait, would_retry,
};
use crate::data_plane::timeout::lateness;
use crate::engine::Queue;
use crate::http::grpc;
use crate::observe::Stat;
use crate::units::SimTime;
use crate::xds::cluster::Thresholds;

impl<T: Trail> World<'_, T> {
    /// Does the application refuse the sidecar's connection for this request? Drawn with the same
    /// number as its other failures.
    pub(super) fn is_refused(&self, inbound: u32, id: u32) -> bool {
        let plan = &self.plan.inbounds[inbound as usize];
        plan.refuses && {
            let random = Self::draws(self.attempts[id as usize].key, self.keys.error).next_u64();
            let errors = &self.plan.apps[plan.app as usize].errors;
            let hit = errors.iter().find(|(share, _)| share.hit(random));
            hit.is_some_and(|(_, kind)| *kind == ErrorKind::Refuse)
        }
    }

    /// The sidecar's try failed: again after a back-off, or its own answer.
    #[cold]
    pub(super) fn on_inbound_failure(
        &mut self,
        now: SimTime,
        id: u32,
        inbound: u32,
        reason: ResetReason,
        queue: &mut Queue<Event>,
    ) {
        let plan: &InboundPlan = &self.plan.inbounds[inbound as usize];
        let decision = self.decide_inbound(plan, id, reason);
        let slot = self.gate_at(inbound, id).slot;
        let stats = &mut self.record.slots[slot as usize].stats;
        match decision {
            RetryDecision::After(delay) => {
                // The next try has luck of its own.
                let attempt = &mut self.attempts[id as usize];
                attempt.key = Self::draws(attempt.key, self.keys.backoff).next_u64();
                self.leave_gate(now, id, 0, queue);
                let late = lateness(now, delay, self.plan.tick);
                queue.push(
                    now.after(delay).after(late),
                    Event::new(Kind::InboundBackoffElapsed, id),
                );
                return;
            }
            RetryDecision::LimitExceeded => stats.inc(Stat::RqRetryLimitExceeded),
            RetryDecision::Overflow => stats.inc(Stat::RqRetryOverflow),
            RetryDecision::No { .. } => {}
        }
        let (status, ..) = reason.reply();
        let app = self.plan.pods[self.attempts[id as usize].pod as usize].app;
        if reason.is_connect_failure() {
            self.record.apps[app as usize].rejected += 1;
        }
        self.attempts[id as usize].status = self.sidecar_status(id, status);
        self.leave_gate(now, id, status, queue);
        self.send_back(now, id, queue);
    }

    /// The gate of the pod that a try goes to.
    fn gate_at(&self, inbound: u32, id: u32) -> &Gate {
        let pod = &self.plan.pods[self.attempts[id as usize].pod as usize];
        let first = self.plan.inbounds[inbound as usize].gates;
        &self.gates[(first + pod.ordinal) as usize]
    }

    fn decide_inbound(
        &mut self,
        plan: &InboundPlan,
        id: u32,
        reason: ResetReason,
    ) -> RetryDecision {
        let Some(policy) = plan.retry.as_deref() else {
            return RetryDecision::No { was_success: false };
        };
        let attempt = &self.attempts[id as usize];
        let fresh = InboundRetries {
            arrived: attempt.arrived,
            state: RetryState::new(policy),
            sent: false,
        };
        let known = self.side.inbound.entry(id).or_insert(fresh);
        if known.arrived != attempt.arrived {
            *known = fresh;
        }
        known.sent |= !reason.is_connect_failure();
        let wanted = would_retry(policy, &TryOutcome::Reset(reason), known.sent);
        let draw = Self::draws(attempt.key, self.keys.backoff).next_u64();
        // Nothing limits how many of them run at once (`max_retries` of inbound clusters).
        let (mut breakers, limits) = (Breakers::default(), Thresholds::default());
        let decision =
            (known.state).decide(policy, wanted, &mut breakers, &limits, Wait::Backoff, draw);
        known.state.holds_slot = false;
        decision
    }

    /// The back-off is over: the request comes to the inbound cluster again.
    pub(super) fn on_inbound_backoff_elapsed(
        &mut self,
        now: SimTime,
        id: u32,
        queue: &mut Queue<Event>,
    ) {
        let attempt = &self.attempts[id as usize];
        if attempt.call == NIL {
            self.free_attempts.push(id);
            return;
        }
        let inbound = self.inbound_of(attempt);
        let slot = self.gate_at(inbound, id).slot;
        let stats = &mut self.record.slots[slot as usize].stats;
        stats.inc(Stat::RqRetry);
        stats.inc(Stat::RqRetryBackoffExponential);
        if self.enter_gate(now, id, inbound, queue) {
            self.enter_pod(now, id, queue);
        }
    }

    /// What the sidecar's own answer with this status is for this request.
    pub(super) fn sidecar_status(&self, id: u32, status: u16) -> u16 {
        let call = self.attempts[id as usize].call;
        if call == NIL {
            // Nobody waits for it.
            return status;
        }
        let route = &self.plan.routes[self.calls[call as usize].route as usize];
        match &route.rare {
            Some(rare) if rare.grpc => grpc::in_headers(grpc::of_local_reply(status)),
            // A TCP proxy has no words: it closes.
            Some(rare) if rare.tcp => 0,
            _ => status,
        }
    }
}
