//! Life of a call at its client's proxy, from the application's connect to its answer:
//! fault filter, route, timeout, end. Its tries are in `attempt.rs`.

use super::event::{Event, Kind};
use super::plan::{ActionPlan, HashPart, NIL, RoutePlan, WeightedPlan};
use super::world::{Call, Parent, State, TRIED_MAX, World};
use crate::config::scenario::OnError;
use crate::data_plane::fault::{decide_abort, decide_delay};
use crate::data_plane::retry::RetryState;
use crate::data_plane::{Reason, Trail};
use crate::engine::{Queue, TimerId};
use crate::http::{Details, Flags};
use crate::observe::Stat;
use crate::observe::recorder::RootEnd;
use crate::units::SimTime;
use crate::units::hash::xxhash64;
use crate::xds::route::AbortStatus;

impl<T: Trail> World<'_, T> {
    /// A call that has not entered its proxy yet.
    pub(super) fn create_call(
        &mut self,
        now: SimTime,
        route: u32,
        pod: u32,
        parent: Parent,
        key: u64,
        worker: Option<u32>,
    ) -> u32 {
        let workers = self.plan.workers;
        let worker = match worker {
            Some(worker) => worker,
            None if workers == 1 => 0,
            None => Self::draws(key, self.keys.worker).below(u64::from(workers)) as u32,
        };
        self.new_call(Call {
            generation: 0,
            state: State::Held,
            parent,
            route,
            weighted: NIL,
            pod,
            worker,
            edge: NIL,
            host: NIL,
            attempt: NIL,
            key,
            drawn: 0,
            prefix: NIL,
            number: 0,
            started: now,
            hash: None,
            tries: 0,
            tried: [NIL; TRIED_MAX],
            retry: RetryState {
                remaining: 0,
                window_ms: 0,
                holds_slot: false,
                retried: false,
            },
            request_sent: false,
            flags: Flags::NONE,
            status: 0,
            details: Details::ViaUpstream,
            route_timer: TimerId::NONE,
            try_timer: TimerId::NONE,
            app_timer: TimerId::NONE,
            previous: NIL,
            next: NIL,
        })
    }

    /// Takes a reason when this call's story is being told.
    #[inline]
    pub(super) fn note(&mut self, id: u32, reason: impl FnOnce() -> Reason) {
        if T::ON && matches!(self.calls[id as usize].parent, Parent::Root { .. }) {
            self.trail.note(reason());
        }
    }

    /// The request is in the proxy: the fault filter comes first.
    pub(super) fn enter_proxy(&mut self, now: SimTime, id: u32, queue: &mut Queue<Event>) {
        let plan = self.plan;
        let call = &self.calls[id as usize];
        let Some(fault) = &plan.routes[call.route as usize].fault else {
            self.route_request(now, id, queue);
            return;
        };
        let delay = decide_delay(fault, Self::draws(call.key, self.keys.delay).next_u64());
        if let Some(delay) = delay {
            self.note(id, || Reason::FaultDelay { delay });
            let call = &mut self.calls[id as usize];
            call.flags = call.flags.with(Flags::DI);
            call.state = State::Held;
            queue.push(
                now.after(delay),
                Event::stamped(Kind::FaultDelayElapsed, id, call.generation),
            );
        } else {
            if fault.delay.is_some() {
                self.note(id, || Reason::FaultNot { delay: true });
            }
            self.fault_abort(now, id, queue);
        }
    }

    pub(super) fn on_fault_delay_elapsed(
        &mut self,
        now: SimTime,
        id: u32,
        generation: u32,
        queue: &mut Queue<Event>,
    ) {
        if self.calls[id as usize].generation == generation {
            self.fault_abort(now, id, queue);
        }
    }

    fn fault_abort(&mut self, now: SimTime, id: u32, queue: &mut Queue<Event>) {
        let plan = self.plan;
        let call = &self.calls[id as usize];
        let fault = plan.routes[call.route as usize]
            .fault
            .as_ref()
            .expect("only called for routes with a fault");
        if let Some(status) = decide_abort(fault, Self::draws(call.key, self.keys.abort).next_u64())
        {
            self.note(id, || Reason::FaultAbort { status });
            let http = match status {
                AbortStatus::Http(status) => status,
                AbortStatus::Grpc(_) => 200,
            };
            self.finish(now, id, http, Flags::FI, Details::FaultFilterAbort, queue);
        } else {
            if fault.abort.is_some() {
                self.note(id, || Reason::FaultNot { delay: false });
            }
            self.route_request(now, id, queue);
        }
    }

    /// The router: weighted pick, hash, route timeout, first try, mirrors.
    fn route_request(&mut self, now: SimTime, id: u32, queue: &mut Queue<Event>) {
        let plan = self.plan;
        let (key, pod, route_id) = {
            let call = &self.calls[id as usize];
            (call.key, call.pod, call.route)
        };
        let route = &plan.routes[route_id as usize];
        let (clusters, total) = match &route.action {
            ActionPlan::Local {
                status,
                flags,
                details,
            } => {
                self.finish(now, id, *status, *flags, *details, queue);
                return;
            }
            ActionPlan::Forward { clusters, total } => (clusters, *total),
        };
        // One random number per stream: weighted clusters and mirrors read the same one.
        let needs_random = clusters.len() > 1 || !route.mirrors.is_empty();
        let random = if needs_random {
            Self::draws(key, self.keys.stream).next_u64()
        } else {
            0
        };
        let weighted = pick_weighted(clusters, total, random);
        if clusters.len() > 1 {
            self.note(id, || Reason::WeightedPick {
                index: weighted,
                draw_mod: random % total.max(1),
                total,
            });
        }
        let chosen = &clusters[weighted];
        self.calls[id as usize].weighted = weighted as u32;
        if chosen.slot == NIL {
            self.note(id, || Reason::ClusterMissing {
                cluster: chosen.name.clone(),
                status: chosen.not_found_status,
            });
            self.finish(
                now,
                id,
                chosen.not_found_status,
                Flags::NC,
                Details::ClusterNotFound,
                queue,
            );
            return;
        }
        if !chosen.hash.is_empty() {
            self.calls[id as usize].hash = self.request_hash(id, &chosen.hash, pod);
        }
        if let Some(policy) = &route.retry {
            self.calls[id as usize].retry = RetryState::new(policy);
        }
        if let Some(lane) = self.lanes[route_id as usize].route {
            self.calls[id as usize].route_timer =
                queue.arm(lane, Event::new(Kind::RequestTimedOut, id));
        }
        let edge = self.edge(pod, chosen.slot, chosen.position);
        self.calls[id as usize].edge = edge;
        let copied = (!route.mirrors.is_empty()).then(|| self.calls[id as usize]);
        self.begin_try(now, id, queue);
        if let Some(before) = copied {
            let call = &self.calls[id as usize];
            // Only a request whose first try got as far as the pool is copied.
            if call.generation == before.generation
                && matches!(call.state, State::Pending | State::InFlight)
            {
                self.start_mirrors(now, route, random, &before, queue);
            }
        }
    }

    fn start_mirrors(
        &mut self,
        now: SimTime,
        route: &RoutePlan,
        random: u64,
        call: &Call,
        queue: &mut Queue<Event>,
    ) {
        for (index, mirror) in route.mirrors.iter().enumerate() {
            if mirror.fraction.hit(random) {
                let purpose = self.keys.child ^ (1 << 32 | index as u64);
                let key = Self::draws(call.key, purpose).next_u64();
                let shadow = mirror.shadows[call.weighted as usize];
                // An Envoy sends the copy from the same worker.
                let worker = Some(call.worker);
                let id = self.create_call(now, shadow, call.pod, Parent::Shadow, key, worker);
                let copy = &mut self.calls[id as usize];
                (copy.drawn, copy.prefix) = (call.drawn, call.prefix);
                self.route_request(now, id, queue);
            }
        }
    }

    /// The request's hash from what is known of it.
    fn request_hash(&self, id: u32, parts: &[HashPart], pod: u32) -> Option<u64> {
        let mut hash: Option<u64> = None;
        for part in parts {
            let value = match part {
                HashPart::Fixed(value) => *value,
                HashPart::SourceIp => xxhash64(self.plan.pods[pod as usize].ip.as_bytes()),
                HashPart::Drawn => self.drawn_hash(id),
            };
            hash = Some(hash.map_or(0, |h| h.rotate_left(1)) ^ value);
        }
        hash
    }

    /// xxHash64 of a drawn header's text, put together without a string.
    fn drawn_hash(&self, id: u32) -> u64 {
        let mut text = [0_u8; 276];
        let call = &self.calls[id as usize];
        let prefix = self.plan.prefixes.get(call.prefix as usize);
        let prefix = prefix.map_or("", |prefix| &**prefix).as_bytes();
        let prefix = &prefix[..prefix.len().min(256)];
        text[..prefix.len()].copy_from_slice(prefix);
        let mut digits = [0_u8; 20];
        let mut at = digits.len();
        let mut rest = call.drawn;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        let len = prefix.len() + digits.len() - at;
        text[prefix.len()..len].copy_from_slice(&digits[at..]);
        xxhash64(&text[..len])
    }

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
        if !route.has_proxy {
            // Nobody writes flags where no Envoy is: connection failures are all a client sees.
            call.flags = Flags::NONE;
            if status >= 500 && details != Details::ViaUpstream {
                call.status = 0;
            }
            call.details = Details::NoProxy;
        }
        let call = *call;
        if call.edge != NIL {
            let edge = &mut self.edges[call.edge as usize];
            self.calls[id as usize].retry.release(&mut edge.breakers);
            let slot = &mut self.record.slots[edge.slot as usize];
            if !call.flags.has(Flags::DC) {
                slot.stats.complete(call.status);
                slot.latency.record(now.since(call.started));
            }
            if route.is_shadow {
                slot.stats.inc(Stat::InternalRq);
            }
        }
        let row = self.row_of(&call, route);
        self.record.call_ended(
            row,
            call.tries,
            call.status,
            call.flags,
            now.since(call.started),
        );
        match call.parent {
            Parent::Root { load, .. } => match plan.loads[load as usize].link_to(call.pod) {
                // A client that left is not waiting for the answer.
                Some(link) if !call.flags.has(Flags::DC) => {
                    let delay = plan
                        .distances
                        .sampler(link)
                        .sample(&mut Self::draws(call.key, self.keys.back));
                    self.calls[id as usize].state = State::Returning;
                    let event = Event::stamped(Kind::ReachedOutside, id, call.generation);
                    queue.push(now.after(delay), event);
                }
                _ => self.end_root(now, id, queue),
            },
            Parent::Attempt {
                attempt,
                call: number,
            } => {
                queue.cancel(call.app_timer);
                self.free_call(id);
                self.call_returned(now, attempt, number, call.status, queue);
            }
            Parent::Shadow => self.free_call(id),
        }
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

    fn end_root(&mut self, now: SimTime, id: u32, queue: &mut Queue<Event>) {
        let call = self.calls[id as usize];
        queue.cancel(call.app_timer);
        let Parent::Root { load, user } = call.parent else {
            return;
        };
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
                at: call.started,
                duration: now.since(call.started),
                status: call.status,
                flags: call.flags,
                details: call.details,
                attempts: call.tries,
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
        let ActionPlan::Forward { clusters, .. } = &route.action else {
            return route.row;
        };
        if call.weighted == NIL {
            return route.row;
        }
        let chosen = &clusters[call.weighted as usize];
        if call.host == NIL || call.edge == NIL {
            return chosen.row;
        }
        let app = self.plan.pods[self.host_pod(call.edge, call.host) as usize].app;
        chosen
            .targets
            .iter()
            .find(|t| t.app == app)
            .map_or(chosen.row, |t| t.row)
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
            let app = plan.pods[server.pod as usize].app;
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

/// Envoy's interval search on `stream_random % total`.
fn pick_weighted(clusters: &[WeightedPlan], total: u64, random: u64) -> usize {
    if clusters.len() == 1 || total == 0 {
        return 0;
    }
    let mut rest = random % total;
    for (index, cluster) in clusters.iter().enumerate() {
        if rest < cluster.weight {
            return index;
        }
        rest -= cluster.weight;
    }
    0
}
