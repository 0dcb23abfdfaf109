//! Life of a try: host, connection, answer or reset, retry decision.

#![expect(
    clippy::inline_always,
    reason = "every request comes by here; the calls alone were a tenth of all instructions"
)]

use super::event::{Event, Kind};
use super::plan::{ActionPlan, NIL, RoutePlan};
use super::retrying::Decided;
use super::world::{Attempt, Fate, State, TRIED_MAX, World};
use crate::data_plane::circuit_breaker::Resource;
use crate::data_plane::conn_pool::{AfterStream, Expired, Retired};
use crate::data_plane::outlier_detection::TryResult;
use crate::data_plane::retry::{ResetReason, TryOutcome, asked_wait};
use crate::data_plane::{Mark, NoTrail, PickContext, Reason, Trail, ZonePick, pick, pick_simply};
use crate::engine::Queue;
use crate::http::{Details, Flags, grpc};
use crate::observe::Stat;
use crate::units::SimTime;
use crate::xds::cluster::UNLIMITED;

impl<T: Trail> World<'_, T> {
    /// Picks a host and asks its pool for a connection.
    #[inline(always)]
    pub(super) fn begin_try(
        &mut self,
        now: SimTime,
        id: u32,
        route: &RoutePlan,
        queue: &mut Queue<Event>,
    ) {
        if route.rare.is_some() && self.is_tcp_full(now, id, queue) {
            return;
        }
        let call = &self.calls[id as usize];
        if call.tries > 0 {
            self.tried[id as usize][(call.tries as usize).min(TRIED_MAX) - 1] = call.host;
        }
        self.mark(|| Mark::Tries { call: id });
        let host = self.pick_host(now, id);
        let call = &mut self.calls[id as usize];
        call.tries += 1;
        let Some(host) = host else {
            self.no_host(now, id, Stat::CxNoneHealthy, queue);
            return;
        };
        call.host = host;
        if route.several_targets {
            self.find_target(id);
        }
        self.ask_pool(now, id, queue);
    }

    /// The balancer has nobody, or the host may have no pool, which is as good as none: 503 UH.
    #[cold]
    fn no_host(&mut self, now: SimTime, id: u32, why: Stat, queue: &mut Queue<Event>) {
        let call = &mut self.calls[id as usize];
        call.host = NIL;
        let slot = self.edges[call.edge as usize].slot;
        self.record.slots[slot as usize].stats.inc(why);
        self.finish(now, id, 503, Flags::UH, Details::NoHealthyUpstream, queue);
    }

    #[inline(always)]
    fn pick_host(&mut self, now: SimTime, id: u32) -> Option<u32> {
        let plan = self.plan;
        let call = &self.calls[id as usize];
        let edge = &mut self.edges[call.edge as usize];
        let cluster = &plan.clusters[edge.cluster as usize];
        let own = edge.set.as_deref().filter(|_| T::LIVELY);
        let set = own.unwrap_or(&cluster.set);
        let view = edge.view.as_deref().unwrap_or(&cluster.view);
        let active = &self.active[edge.hosts as usize..(edge.hosts + edge.host_count) as usize];
        let mut draws = Self::draws(call.key ^ u64::from(call.tries), self.keys.pick);
        if call.tries == 0 && view.is_simple() && !T::ON {
            let state = &mut edge.balancers[call.worker as usize];
            let mut draw = || draws.next_u64();
            let load = |host: u32| active[host as usize];
            return pick_simply(set, view, state, &mut draw, load);
        }
        self.pick_in_context(now, id)
    }

    /// The general case: what the request says, and where its earlier tries went.
    #[inline(never)]
    fn pick_in_context(&mut self, now: SimTime, id: u32) -> Option<u32> {
        let plan = self.plan;
        let told = self.tells(id);
        let call = &self.calls[id as usize];
        let edge = &mut self.edges[call.edge as usize];
        let cluster = &plan.clusters[edge.cluster as usize];
        let own = edge.set.as_deref().filter(|_| T::LIVELY);
        let set = own.unwrap_or(&cluster.set);
        let view = edge.view.as_deref().unwrap_or(&cluster.view);
        let active = &self.active[edge.hosts as usize..(edge.hosts + edge.host_count) as usize];
        let mut draws = Self::draws(call.key ^ u64::from(call.tries), self.keys.pick);
        let policy = plan.routes[call.route as usize].retry.as_deref();
        let mut context = PickContext {
            draw: || draws.next_u64(),
            hash: call.hash,
            attempt: call.tries,
            tried: &self.tried[id as usize][..(call.tries as usize).min(TRIED_MAX)],
            skip_previous_hosts: policy.is_some_and(|p| p.skip_previous_hosts),
            reselects: policy.map_or(0, |p| p.host_reselects),
            skip_priorities: policy.and_then(|p| p.skip_previous_priorities),
            now,
        };
        let state = &mut edge.balancers[call.worker as usize];
        let load = |host: u32| active[host as usize];
        let chosen = if told {
            pick(set, view, state, &mut context, load, &mut self.trail)
        } else {
            pick(set, view, state, &mut context, load, &mut NoTrail)
        };
        if chosen.panic {
            self.record.slots[edge.slot as usize]
                .stats
                .inc(Stat::LbHealthyPanic);
        }
        if chosen.zone != ZonePick::None {
            let slot = edge.slot;
            self.count_zone(slot, chosen.zone);
        }
        chosen.host
    }

    /// The statistics of routing by zone.
    #[cold]
    fn count_zone(&mut self, slot: u32, zone: ZonePick) {
        let stats = &mut self.record.slots[slot as usize].stats;
        match zone {
            ZonePick::None => {}
            ZonePick::AllDirectly => stats.inc(Stat::LbZoneRoutingAllDirectly),
            ZonePick::Sampled => stats.inc(Stat::LbZoneRoutingSampled),
            ZonePick::CrossZone => stats.inc(Stat::LbZoneRoutingCrossZone),
            ZonePick::NoCapacityLeft => {
                stats.inc(Stat::LbZoneRoutingCrossZone);
                stats.inc(Stat::LbZoneNoCapacityLeft);
            }
            ZonePick::LocalClusterNotOk => stats.inc(Stat::LbLocalClusterNotOk),
        }
    }

    /// A ready connection takes the request, or it waits, or a breaker refuses it.
    #[inline(always)]
    fn ask_pool(&mut self, now: SimTime, id: u32, queue: &mut Queue<Event>) {
        let plan = self.plan;
        let (edge_id, host, worker) = {
            let call = &self.calls[id as usize];
            (call.edge, call.host, call.worker)
        };
        let edge = &self.edges[edge_id as usize];
        let cluster = &plan.clusters[edge.cluster as usize];
        let pool_id = edge.pools + worker * edge.host_count + host;
        let pool = &self.pools[pool_id as usize];
        if let Some(connection) = self.connections.ready_at_once(now, pool, &cluster.pool) {
            self.attach(now, id, connection, pool_id, queue);
            return;
        }
        self.ask_cold_pool(now, id, pool_id, queue);
    }

    /// The pool has no connection in front that could be taken unseen.
    #[inline(never)]
    fn ask_cold_pool(&mut self, now: SimTime, id: u32, pool_id: u32, queue: &mut Queue<Event>) {
        let plan = self.plan;
        let edge_id = self.calls[id as usize].edge;
        let edge = &self.edges[edge_id as usize];
        let cluster = &plan.clusters[edge.cluster as usize];
        let pool = &mut self.pools[pool_id as usize];
        let mut expired = Expired::default();
        let ready = self
            .connections
            .ready(now, pool, &cluster.pool, &mut expired);
        if expired != Expired::default() {
            self.count_expired(edge_id, expired);
        }
        if let Some(connection) = ready {
            self.attach_waiting(now, id, connection, pool_id, queue);
            return;
        }
        let limited = cluster.thresholds.max_connection_pools != UNLIMITED;
        if limited && self.has_no_pool(now, edge_id, pool_id) {
            self.no_host(now, id, Stat::CxPoolOverflow, queue);
            return;
        }
        let edge = &mut self.edges[edge_id as usize];
        let stats = &mut self.record.slots[edge.slot as usize].stats;
        if !edge.breakers.allows_pending(&cluster.thresholds) {
            stats.inc(Stat::RqPendingOverflow);
            self.note(id, || Reason::Overflow {
                which: Resource::Pending,
            });
            self.end_try(now, id, TryOutcome::Reset(ResetReason::Overflow), queue);
            return;
        }
        stats.inc(Stat::RqPendingTotal);
        edge.breakers.pending += 1;
        self.append_pending(id, pool_id);
        self.calls[id as usize].state = State::Pending;
        self.open_connections(now, pool_id, id, queue);
    }

    /// [`Self::attach`] out of line, for the few that have waited.
    #[inline(never)]
    pub(super) fn attach_waiting(
        &mut self,
        now: SimTime,
        id: u32,
        connection: u32,
        pool_id: u32,
        queue: &mut Queue<Event>,
    ) {
        self.attach(now, id, connection, pool_id, queue);
    }

    /// A connection takes the request: it is on its way.
    #[inline(always)]
    fn attach(
        &mut self,
        now: SimTime,
        id: u32,
        connection: u32,
        pool_id: u32,
        queue: &mut Queue<Event>,
    ) {
        let plan = self.plan;
        let call = &mut self.calls[id as usize];
        let edge = &mut self.edges[call.edge as usize];
        let cluster = &plan.clusters[edge.cluster as usize];
        let stats = &mut self.record.slots[edge.slot as usize].stats;
        if !edge.breakers.allows_request(&cluster.thresholds) {
            stats.inc(Stat::RqActiveOverflow);
            self.note(id, || Reason::Overflow {
                which: Resource::Requests,
            });
            self.end_try(now, id, TryOutcome::Reset(ResetReason::Overflow), queue);
            return;
        }
        stats.inc(Stat::RqTotal);
        self.record.hops += 1;
        self.connections
            .attach(connection, &mut self.pools[pool_id as usize]);
        edge.breakers.requests += 1;
        self.active[(edge.hosts + call.host) as usize] += 1;
        call.state = State::InFlight;
        call.request_sent = true;
        let host = cluster.hosts[call.host as usize];
        let key = Self::draws(call.key ^ u64::from(call.tries), self.keys.attempt).next_u64();
        if let Some(lane) = self.lanes[call.route as usize].per_try {
            call.try_timer = queue.arm(lane, Event::new(Kind::AttemptTimedOut, id));
        }
        let connected = cluster.on_connected;
        let (edge_id, host_index) = (call.edge, call.host);
        let attempt_id = self.attempt_slot();
        let call = &mut self.calls[id as usize];
        call.attempt = attempt_id;
        self.attempts[attempt_id as usize] = Attempt {
            call: id,
            pod: host.pod,
            app: host.app,
            edge: call.edge,
            host: call.host,
            pool: pool_id,
            connection,
            target: call.target,
            link: host.link,
            key,
            drawn: call.drawn,
            prefix: call.prefix,
            arrived: now,
            ..Attempt::FREE
        };
        self.mark(|| Mark::Sent {
            call: id,
            attempt: attempt_id,
            pod: host.pod,
        });
        if T::LIVELY && plan.has_deadlines {
            self.carry_deadline(id, attempt_id);
        }
        let delay = plan
            .distances
            .sampler(host.link)
            .sample(&mut Self::draws(key, self.keys.there));
        if self.is_dynamic() {
            self.send_disturbed(now, attempt_id, delay, queue);
        } else {
            queue.push(
                now.after(delay),
                Event::new(Kind::AttemptReachedServer, attempt_id),
            );
        }
        if let Some(result) = connected {
            self.on_try_result(now, edge_id, host_index, result, queue);
        }
    }

    /// The answer (or the server's reset) reached the proxy.
    pub(super) fn on_response(&mut self, now: SimTime, attempt_id: u32, queue: &mut Queue<Event>) {
        self.mark(|| Mark::Returned(attempt_id));
        let attempt = self.attempts[attempt_id as usize];
        self.free_attempts.push(attempt_id);
        let id = attempt.call;
        if id == NIL {
            return;
        }
        let call = &mut self.calls[id as usize];
        if call.attempt != attempt_id {
            self.on_late_response(now, attempt_id, &attempt, queue);
            return;
        }
        call.attempt = NIL;
        queue.cancel(std::mem::take(&mut call.try_timer));
        let (call_route, holds_slot) = (call.route, call.retry.holds_slot);
        self.release_stream(attempt.edge, attempt.host);
        let answered = matches!(attempt.fate, Fate::Answer(_)) && attempt.status < 400;
        if answered && self.plan.routes[call_route as usize].success_passes && !holds_slot {
            // Nearly all: a success that nobody has a question about.
            let status = attempt.status;
            let result = TryResult::Status(status);
            self.on_try_result(now, attempt.edge, attempt.host, result, queue);
            self.leave_connection(now, &attempt, StreamEnd::Complete, queue);
            let details = Details::ViaUpstream;
            self.finish(now, id, status, Flags::NONE, details, queue);
            return;
        }
        self.on_other_response(now, id, &attempt, queue);
    }

    /// An answer that a retry policy may have a word for, or a reset.
    #[inline(never)]
    fn on_other_response(
        &mut self,
        now: SimTime,
        id: u32,
        attempt: &Attempt,
        queue: &mut Queue<Event>,
    ) {
        let cluster = self.edges[attempt.edge as usize].cluster;
        if self.plan.clusters[cluster as usize].tcp {
            self.on_tcp_end(now, id, attempt, queue);
            return;
        }
        let reset = attempt.fate.is_reset();
        let outcome = self.outcome_of(attempt);
        let result = Self::try_result(attempt);
        self.on_try_result(now, attempt.edge, attempt.host, result, queue);
        let decided = self.decide(now, id, outcome, queue);
        // A discarded answer has a body: it can only be ended by a reset. A gRPC status in the
        // headers comes without one.
        let end = match (reset, decided) {
            (true, _) if attempt.fate == Fate::Refuse => StreamEnd::RefusedByPeer,
            (true, _) => StreamEnd::ResetByPeer,
            (false, Decided::Retry) if grpc::kept(attempt.status).is_none() => StreamEnd::ResetByUs,
            (false, _) => StreamEnd::Complete,
        };
        self.leave_connection(now, attempt, end, queue);
        self.conclude(now, id, outcome, decided, queue);
    }

    /// How a try ended that came back.
    #[inline]
    pub(super) fn outcome_of(&self, attempt: &Attempt) -> TryOutcome {
        match attempt.fate {
            Fate::Reset | Fate::Refuse => {
                let cluster = self.edges[attempt.edge as usize].cluster;
                let http2 = self.plan.clusters[cluster as usize].http2;
                TryOutcome::Reset(match (attempt.fate, http2) {
                    (_, false) => ResetReason::ConnectionTermination,
                    (Fate::Refuse, true) => ResetReason::RemoteRefusedStream,
                    (_, true) => ResetReason::RemoteReset,
                })
            }
            Fate::Listed(entry) => self.listed_outcome(attempt, entry),
            _ => match grpc::kept(attempt.status) {
                None => TryOutcome::status(attempt.status),
                grpc_status => TryOutcome::Response {
                    status: 200,
                    grpc_status,
                    rate_limited: false,
                    named_header: false,
                    asked: None,
                },
            },
        }
    }

    /// An answer with headers: what the retry policy reads in them.
    #[cold]
    fn listed_outcome(&self, attempt: &Attempt, entry: u16) -> TryOutcome {
        let app = self.plan.pods[attempt.pod as usize].app;
        let headers = &self.plan.apps[app as usize].error_headers[entry as usize];
        let route = &self.plan.routes[self.calls[attempt.call as usize].route as usize];
        let status = grpc::http(attempt.status);
        let rare = route.rare.as_deref();
        TryOutcome::Response {
            status,
            grpc_status: grpc::kept(attempt.status),
            rate_limited: headers.get("x-envoy-ratelimited").is_some(),
            named_header: rare.is_some_and(|r| r.retriable.any_of_response(status, headers)),
            asked: (route.retry.as_deref()).and_then(|policy| asked_wait(policy, headers)),
        }
    }

    /// What outlier detection makes of it.
    #[inline]
    pub(super) fn try_result(attempt: &Attempt) -> TryResult {
        match (attempt.fate, grpc::kept(attempt.status)) {
            (Fate::Reset | Fate::Refuse, _) => TryResult::LocalFailure,
            (_, None) => TryResult::Status(attempt.status),
            (_, Some(status)) => TryResult::Status(grpc::to_http(status)),
        }
    }

    /// Breaker and balancer forget the stream.
    #[inline(always)]
    pub(super) fn release_stream(&mut self, edge: u32, host: u32) {
        let edge = &mut self.edges[edge as usize];
        edge.breakers.requests -= 1;
        self.active[(edge.hosts + host) as usize] -= 1;
    }

    /// The connection is free again, or closed: HTTP/1.1 has no other way to end a stream early.
    #[inline(always)]
    pub(super) fn leave_connection(
        &mut self,
        now: SimTime,
        attempt: &Attempt,
        end: StreamEnd,
        queue: &mut Queue<Event>,
    ) {
        let plan = self.plan;
        let edge = &mut self.edges[attempt.edge as usize];
        let cluster = &plan.clusters[edge.cluster as usize];
        let pool_id = attempt.pool;
        let pool = &mut self.pools[pool_id as usize];
        let stats = &mut self.record.slots[edge.slot as usize].stats;
        match (end, cluster.http2) {
            (StreamEnd::Complete, _) | (StreamEnd::RefusedByPeer, true) => {}
            (StreamEnd::ResetByUs, true) => stats.inc(Stat::RqTxReset),
            (StreamEnd::ResetByPeer, true) => stats.inc(Stat::RqRxReset),
            (StreamEnd::ResetByUs, false) => stats.inc(Stat::CxDestroyLocalWithActiveRq),
            (StreamEnd::ResetByPeer | StreamEnd::RefusedByPeer, false) => {
                stats.inc(Stat::CxDestroyRemoteWithActiveRq);
            }
        }
        if end != StreamEnd::Complete && !cluster.http2 {
            self.connections.close(attempt.connection, pool);
            edge.breakers.connections -= 1;
            stats.inc(Stat::CxDestroy);
        } else if let AfterStream::Closed(why) =
            self.connections
                .end_stream(now, attempt.connection, pool, &cluster.pool)
        {
            edge.breakers.connections -= 1;
            stats.inc(Stat::CxDestroy);
            match why {
                Retired::UsedUp => stats.inc(Stat::CxMaxRequests),
                Retired::TooOld => stats.inc(Stat::CxMaxDurationReached),
                Retired::HostUnhealthy => {}
            }
        }
        if self.pools[pool_id as usize].waiting > 0 {
            self.serve_pending(now, pool_id, queue);
        }
    }

    /// Which of its cluster's workloads the picked host belongs to.
    #[inline(never)]
    fn find_target(&mut self, id: u32) {
        let plan = self.plan;
        let call = &mut self.calls[id as usize];
        let ActionPlan::Forward { clusters, .. } = &plan.routes[call.route as usize].action else {
            return;
        };
        let chosen = &clusters[call.weighted as usize];
        let cluster = self.edges[call.edge as usize].cluster;
        let host = &plan.clusters[cluster as usize].hosts[call.host as usize];
        let mut targets = chosen.targets.iter();
        let at = targets.position(|t| t.app == host.app && t.port == host.port);
        call.target = chosen.first_target + at.unwrap_or(0) as u32;
    }
}

/// How a stream on a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamEnd {
    /// The whole answer came.
    Complete,
    /// This proxy gave it up.
    ResetByUs,
    /// The server gave it up.
    ResetByPeer,
    /// The server would not begin it.
    RefusedByPeer,
}
