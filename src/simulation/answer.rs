//! The end of a call: statistics, then whoever waits for it (a load, an application, nobody).

use super::app_retry::{is_failure, number_of};
use super::event::{Event, Kind};
use super::plan::{ActionPlan, NIL, Rare, RoutePlan};
use super::world::{Call, Parent, State, World};
use crate::config::scenario::OnError;
use crate::data_plane::{Mark, Trail};
use crate::engine::Queue;
use crate::http::{Details, Flags, grpc};
use crate::observe::Stat;
use crate::observe::recorder::RootEnd;
use crate::units::SimTime;

/// gRPC status of a stream that lasted too long.
const DEADLINE_EXCEEDED: u8 = 4;

impl<T: Trail> World<'_, T> {
    /// The call is over: statistics, then whoever waits for it.
    pub(super) fn finish(
        &mut self,
        now: SimTime,
        id: u32,
        status: u16,
        flags: Flags,
        details: Details,
        queue: &mut Queue<Event>,
    ) {
        let plan = self.plan;
        let call = &mut self.calls[id as usize];
        queue.cancel(std::mem::take(&mut call.route_timer));
        queue.cancel(std::mem::take(&mut call.try_timer));
        call.status = status;
        call.flags = call.flags.with(flags);
        call.details = details;
        let route = &plan.routes[call.route as usize];
        let mut charged = Some(status);
        let mut is_charged = false;
        if !route.has_proxy {
            // Nobody writes flags where no Envoy is: connection failures are all a client sees.
            call.flags = Flags::NONE;
            if status >= 500 && details != Details::ViaUpstream {
                call.status = 0;
            }
            call.details = Details::NoProxy;
            charged = Some(call.status);
        } else if let Some(rare) = route.rare.as_deref() {
            charged = self.finish_rare(now, id, rare, queue);
        }
        let call = &mut self.calls[id as usize];
        if call.edge != NIL {
            let edge = &mut self.edges[call.edge as usize];
            call.retry.release(&mut edge.breakers);
            let stats = &mut self.record.slots[edge.slot as usize].stats;
            // A timeout during a back-off finds no try to charge (measured on 1.40).
            let in_backoff = call.state == State::Backoff && details == Details::ResponseTimeout;
            if let Some(status) = charged.filter(|_| !call.flags.has(Flags::DC) && !in_backoff) {
                stats.complete(status);
                is_charged = true;
            }
            if route.is_shadow {
                stats.inc(Stat::InternalRq);
            }
        }
        let call = &self.calls[id as usize];
        let (parent, status) = (call.parent, call.status);
        let row = self.row_of(call, route);
        self.record.call_ended(
            row,
            call.tries,
            status,
            call.flags,
            now.since(call.started),
            is_charged,
        );
        if route.has_filters {
            self.leave_filters(now, id);
        }
        if T::FOLLOWS {
            let call = &self.calls[id as usize];
            self.trail.mark(Mark::Closed {
                call: id,
                status,
                flags: call.flags,
                details: call.details,
                weighted: call.weighted,
            });
        }
        match parent {
            Parent::Root { load, .. } => self.answer_root(now, id, load, queue),
            Parent::Attempt {
                attempt,
                call: number,
            } => {
                let Call { pod, app_timer, .. } = self.calls[id as usize];
                queue.cancel(app_timer);
                self.free_call(id);
                if T::LIVELY && self.plan.has_throttles && !is_failure(status) {
                    self.call_succeeded(pod, number);
                }
                let again = is_failure(status) && self.call_again(now, id, attempt, number, queue);
                if T::LIVELY && !again {
                    self.give_back(now, pod, number_of(number), queue);
                }
                // Nobody waits for an asynchronous call.
                if !again && attempt != NIL {
                    self.call_returned(now, attempt, number_of(number), status, queue);
                }
            }
            Parent::Shadow => self.free_call(id),
        }
    }

    /// A root request is answered; to a client outside the answer still travels.
    fn answer_root(&mut self, now: SimTime, id: u32, load: u32, queue: &mut Queue<Event>) {
        let plan = self.plan;
        let call = &mut self.calls[id as usize];
        match plan.loads[load as usize].link_to(call.pod) {
            // A client that left is not waiting for the answer.
            Some(link) if !call.flags.has(Flags::DC) => {
                let delay = plan
                    .distances
                    .sampler(link)
                    .sample(&mut Self::draws(call.key, self.keys.back));
                call.state = State::Returning;
                let event = Event::stamped(Kind::ReachedOutside, id, call.generation);
                queue.push(now.after(delay), event);
            }
            _ => self.end_root(now, id, queue),
        }
    }

    /// What few routes do at the end of a request; gives the status that the cluster is charged.
    #[cold]
    fn finish_rare(
        &mut self,
        now: SimTime,
        id: u32,
        rare: &Rare,
        queue: &mut Queue<Event>,
    ) -> Option<u16> {
        if rare.tcp {
            self.tcp_reply(id);
            return None;
        }
        if rare.hedges {
            self.abandon_hedged(now, id, false, queue);
        }
        let call = &mut self.calls[id as usize];
        let timed_out = matches!(
            call.details,
            Details::ResponseTimeout | Details::PerTryTimeout | Details::PerTryIdleTimeout
        );
        if rare.alt_response && timed_out {
            call.status = 204;
        }
        let charged = call.status;
        // An Envoy's own answer to a gRPC request is an HTTP 200 with a gRPC status.
        let own = !matches!(
            call.details,
            Details::ViaUpstream | Details::DownstreamRemoteDisconnect
        );
        if rare.grpc && own && charged != 0 && grpc::kept(charged).is_none() {
            let status = match call.details {
                Details::MaxDurationTimeout => DEADLINE_EXCEEDED,
                _ => grpc::of_local_reply(charged),
            };
            call.status = grpc::in_headers(status);
        }
        // The limit of a cluster charges it nothing (measured on 1.40).
        let by_router = !matches!(
            call.details,
            Details::StreamIdleTimeout
                | Details::MaxDurationTimeout
                | Details::UpstreamMaxStreamDuration
        );
        by_router.then_some(charged)
    }

    pub(super) fn on_reached_outside(
        &mut self,
        now: SimTime,
        id: u32,
        generation: u32,
        queue: &mut Queue<Event>,
    ) {
        if self.calls[id as usize].generation == generation {
            self.end_root(now, id, queue);
        }
    }

    pub(super) fn end_root(&mut self, now: SimTime, id: u32, queue: &mut Queue<Event>) {
        let call = self.calls[id as usize];
        queue.cancel(call.app_timer);
        let Parent::Root { load, user } = call.parent else {
            return;
        };
        self.mark(|| Mark::Done { call: id });
        let (mut started, mut attempts) = (call.started, call.tries);
        if self.plan.loads[load as usize].retries.is_some() {
            let Some(so_far) = self.root_again(now, id, load, queue) else {
                return;
            };
            (started, attempts) = (so_far.started, so_far.attempts);
        }
        let pod = if call.host == NIL || call.edge == NIL {
            NIL
        } else {
            self.host_pod(call.edge, call.host)
        };
        self.record.root_ended(
            now,
            &RootEnd {
                client: load,
                number: call.number,
                at: started,
                duration: now.since(started),
                status: call.status,
                flags: call.flags,
                details: call.details,
                attempts,
                route: call.route,
                weighted: call.weighted,
                pod,
                answered: call.details == Details::ViaUpstream
                    || (call.details == Details::NoProxy && call.status != 0),
            },
        );
        self.roots_open -= 1;
        self.free_call(id);
        if user != NIL {
            self.user_done(now, user, queue);
        }
    }

    /// Pod behind a host of an edge.
    pub(super) fn host_pod(&self, edge: u32, host: u32) -> u32 {
        let cluster = self.edges[edge as usize].cluster;
        self.plan.clusters[cluster as usize].hosts[host as usize].pod
    }

    /// The row a call is counted under.
    fn row_of(&self, call: &Call, route: &RoutePlan) -> u32 {
        // A full breaker refuses after the pick: the picked pod never saw the request.
        if call.host != NIL && call.details != Details::Overflow {
            return self.plan.targets[call.target as usize].row;
        }
        match &route.action {
            ActionPlan::Forward { clusters, .. } if call.weighted != NIL => {
                clusters[call.weighted as usize].row
            }
            _ => route.row,
        }
    }

    /// A call of an application came back.
    pub(super) fn call_returned(
        &mut self,
        now: SimTime,
        attempt: u32,
        number: u32,
        status: u16,
        queue: &mut Queue<Event>,
    ) {
        let plan = self.plan;
        let server = &mut self.attempts[attempt as usize];
        server.outstanding -= 1;
        if status == 0 || status >= 500 {
            let app = server.app;
            if let OnError::Fail(answer) = plan.apps[app as usize].calls[number as usize].on_error
                && server.status == 0
            {
                server.status = answer;
            }
        }
        if server.outstanding == 0 {
            self.next_step(now, attempt, queue);
        }
    }
}
