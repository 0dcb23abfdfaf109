//! Life of a call at its client's proxy, from the application's connect to its answer:
//! route, timeout, end. The filters before the router are in `fault.rs`, its tries in `attempt.rs`.

#![expect(
    clippy::inline_always,
    reason = "every request comes by here; the calls alone were a tenth of all instructions"
)]

use super::event::{Event, Kind};
use super::plan::{ActionPlan, HashPart, NIL, RoutePlan, WeightedPlan};
use super::world::{Call, Parent, State, World};
use crate::data_plane::{Mark, Reason, Trail};
use crate::engine::Queue;
use crate::http::{Details, Flags};
use crate::units::SimTime;
use crate::units::hash::xxhash64;

impl<T: Trail> World<'_, T> {
    /// A call that has not entered its proxy yet.
    #[inline(always)]
    pub(super) fn create_call(
        &mut self,
        now: SimTime,
        route: u32,
        pod: u32,
        parent: Parent,
        key: u64,
        worker: Option<u32>,
    ) -> u32 {
        let workers = self.plan.pods[pod as usize].workers;
        let worker = if workers == 1 {
            0
        } else {
            self.worker_of_call(pod, key, worker)
        };
        let id = self.call_slot();
        let call = &mut self.calls[id as usize];
        *call = Call {
            generation: call.generation,
            state: State::Held,
            parent,
            route,
            pod,
            worker,
            key,
            started: now,
            ..Call::FREE
        };
        self.mark(|| Mark::Opened {
            call: id,
            pod,
            route,
            by: match parent {
                Parent::Attempt { attempt, call } => Some((attempt, call)),
                Parent::Root { .. } | Parent::Shadow => None,
            },
        });
        id
    }

    /// Takes a reason when this call's story is being told.
    #[inline]
    pub(super) fn note(&mut self, id: u32, reason: impl FnOnce() -> Reason) {
        if self.tells(id) {
            self.trail.note(reason());
        }
    }

    /// True when this call's story is being told: what is noted next is about it.
    #[inline]
    pub(super) fn tells(&mut self, id: u32) -> bool {
        if T::FOLLOWS {
            self.trail.mark(Mark::About(id));
            return self.trail.follows(id);
        }
        T::ON && matches!(self.calls[id as usize].parent, Parent::Root { .. })
    }

    /// Takes a mark when requests are followed.
    #[expect(clippy::inline_always, reason = "nothing is left of it in runs")]
    #[inline(always)]
    pub(super) fn mark(&mut self, mark: impl FnOnce() -> Mark) {
        if T::FOLLOWS {
            self.trail.mark(mark());
        }
    }

    /// The request is in the proxy: filters come first, where there are any that do something.
    #[inline(always)]
    pub(super) fn enter_proxy(&mut self, now: SimTime, id: u32, queue: &mut Queue<Event>) {
        let call = &self.calls[id as usize];
        let route = &self.plan.routes[call.route as usize];
        if route.rare.is_some() {
            self.limit_stream(id, queue);
        }
        if route.has_filters {
            self.enter_filters(now, id, queue);
        } else {
            self.route_request(now, id, queue);
        }
    }

    /// Starts the connection manager's own timer of the stream.
    #[cold]
    fn limit_stream(&mut self, id: u32, queue: &mut Queue<Event>) {
        let call = &self.calls[id as usize];
        let lanes = &self.side.stream_lanes;
        if let Some(lane) = lanes.get(call.route as usize).copied().flatten() {
            // Never cancelled: one that comes late finds another generation.
            queue.arm(
                lane,
                Event::stamped(Kind::StreamTimedOut, id, call.generation),
            );
        }
    }

    /// The router: weighted pick, hash, route timeout, first try, mirrors.
    pub(super) fn route_request(&mut self, now: SimTime, id: u32, queue: &mut Queue<Event>) {
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
        let call = &mut self.calls[id as usize];
        call.weighted = weighted as u32;
        call.target = chosen.first_target;
        let (slot, position) = self.cluster_now(pod, chosen);
        if slot == NIL {
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
        if let Some(lane) = self.lanes[route_id as usize].route {
            self.calls[id as usize].route_timer =
                queue.arm(lane, Event::new(Kind::RequestTimedOut, id));
        }
        let edge = self.edge(pod, slot, position);
        self.calls[id as usize].edge = edge;
        let copied = (!route.mirrors.is_empty()).then(|| self.calls[id as usize]);
        self.begin_try(now, id, route, queue);
        if let Some(before) = copied {
            let call = &self.calls[id as usize];
            // Only a request whose first try got as far as the pool is copied.
            if call.generation == before.generation
                && matches!(call.state, State::Pending | State::InFlight)
            {
                self.start_mirrors(now, route, random, (id, &before), queue);
            }
        }
    }

    fn start_mirrors(
        &mut self,
        now: SimTime,
        route: &RoutePlan,
        random: u64,
        (of, call): (u32, &Call),
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
                self.mark(|| Mark::Copied { call: id, of });
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
