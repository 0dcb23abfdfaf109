//! Where root requests come from: open loops, closed loops, clients outside.

use super::event::{Event, Kind};
use super::plan::{DrawnValue, NIL};
use super::world::{LoadState, Parent, State, World};
use crate::config::scenario::{ArrivalKind, LoadStyle};
use crate::data_plane::{Mark, Trail};
use crate::engine::{Draws, Queue, RateCurve};
use crate::units::{SimDuration, SimTime};

impl<T: Trail> World<'_, T> {
    /// When an open load's next request comes; `None` when it has sent all.
    pub(super) fn next_arrival(&mut self, load: u32, after: SimTime) -> Option<SimTime> {
        let state = &mut self.loads[load as usize];
        let plan = &self.plan.loads[load as usize];
        let LoadStyle::Open { rate, arrivals, .. } = &plan.style else {
            return None;
        };
        if state.sent >= state.limit {
            return None;
        }
        let gap = match arrivals {
            ArrivalKind::Constant => 1.0,
            ArrivalKind::Poisson => {
                let u = Draws::of(state.key ^ self.keys.gap, state.sent).unit();
                -libm::log(u)
            }
        };
        let at = match &plan.curve {
            Some(curve) => along(curve, plan.start, state, gap)?,
            None if rate.is_zero() => return None,
            None => {
                let mean_ns = 1e9 / rate.as_f64();
                after.after(SimDuration::from_ns((gap * mean_ns + 0.5) as u64))
            }
        };
        (at < self.load_end.min(plan.stop)).then_some(at)
    }

    pub(super) fn on_arrival(&mut self, now: SimTime, load: u32, queue: &mut Queue<Event>) {
        let plan = self.plan;
        let number = self.loads[load as usize].sent;
        if number >= self.loads[load as usize].limit {
            return;
        }
        self.loads[load as usize].sent += 1;
        if let Some(at) = self.next_arrival(load, now) {
            queue.push(at, Event::new(Kind::Arrival, load));
        }
        let pods = &plan.loads[load as usize].pods;
        let pod = pods[(number % pods.len() as u64) as usize];
        self.start_root(now, load, NIL, pod, None, number, queue);
    }

    pub(super) fn on_user_ready(&mut self, now: SimTime, user: u32, queue: &mut Queue<Event>) {
        let User {
            load,
            pod,
            worker,
            place,
            sent,
            share,
        } = self.users[user as usize];
        let state = &mut self.loads[load as usize];
        let end = self.load_end.min(self.plan.loads[load as usize].stop);
        if sent >= share || state.sent >= state.limit || now >= end {
            return;
        }
        state.sent += 1;
        self.users[user as usize].sent += 1;
        // A user's n-th request has the same luck whatever the others are kept waiting for.
        let LoadStyle::Closed { connections, .. } = self.plan.loads[load as usize].style else {
            return;
        };
        let number = sent * u64::from(connections) + u64::from(place);
        self.start_root(now, load, user, pod, Some(worker), number, queue);
    }

    /// A user got its answer: think, keep the pace, go on.
    pub(super) fn user_done(&mut self, now: SimTime, user: u32, queue: &mut Queue<Event>) {
        let plan = self.plan;
        let User {
            load, place, sent, ..
        } = self.users[user as usize];
        let LoadStyle::Closed {
            connections, qps, ..
        } = &plan.loads[load as usize].style
        else {
            return;
        };
        let mut at = now.after(Self::turnaround());
        if let Some(think) = &plan.loads[load as usize].think {
            let mut draws = Draws::of(
                self.loads[load as usize].key ^ self.keys.think,
                (u64::from(place) << 40) ^ sent,
            );
            at = at.after(think.sample(&mut draws));
        }
        if let Some(qps) = qps.filter(|q| !q.is_zero()) {
            // As fortio: each connection keeps its own even pace and catches up when it is late.
            let pace_ns = f64::from(*connections) * 1e9 / qps.as_f64();
            let paced = SimDuration::from_ns((pace_ns * sent as f64) as u64);
            at = at.max(plan.loads[load as usize].start.after(paced));
        }
        queue.push(at, Event::new(Kind::UserReady, user));
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "everything that tells one root request from another"
    )]
    fn start_root(
        &mut self,
        now: SimTime,
        load: u32,
        user: u32,
        pod: u32,
        worker: Option<u32>,
        number: u64,
        queue: &mut Queue<Event>,
    ) {
        let plan = self.plan;
        let load_plan = &plan.loads[load as usize];
        let key = Draws::of(self.loads[load as usize].key, number).next_u64();
        let mix = pick_mix(load_plan, Self::draws(key, self.keys.mix).next_u64());
        let drawn = mix.drawn.as_ref().map_or(0, |drawn| {
            draw_value(drawn, Self::draws(key, self.keys.drawn))
        });
        self.record.root_started(now, load);
        self.roots_open += 1;
        let client = if self.is_dynamic() {
            self.serving_client(load, pod)
        } else {
            Some(pod)
        };
        let pod = client.unwrap_or(pod);
        let id = self.create_call(
            now,
            self.route_now(pod, mix.route),
            pod,
            Parent::Root { load, user },
            key,
            worker,
        );
        let call = &mut self.calls[id as usize];
        call.drawn = drawn;
        call.prefix = mix.prefix;
        call.number = number;
        self.mark(|| Mark::Root {
            call: id,
            load,
            number,
        });
        if client.is_none() {
            self.refuse_root(now, id, queue);
            return;
        }
        self.send_root(now, id, load, queue);
    }

    /// The root request leaves its client.
    pub(super) fn send_root(&mut self, now: SimTime, id: u32, load: u32, queue: &mut Queue<Event>) {
        let plan = self.plan;
        let load_plan = &plan.loads[load as usize];
        let (pod, key) = {
            let call = &self.calls[id as usize];
            (call.pod, call.key)
        };
        if let Some(lane) = self.load_lanes[load as usize] {
            self.calls[id as usize].app_timer =
                queue.arm(lane, Event::new(Kind::ApplicationTimedOut, id));
        }
        if T::LIVELY && plan.has_deadlines {
            self.begin_deadline(now, id, load_plan.timeout, queue);
        }
        if let Some(link) = load_plan.link_to(pod) {
            let delay = plan
                .distances
                .sampler(link)
                .sample(&mut Self::draws(key, self.keys.there));
            let call = &mut self.calls[id as usize];
            call.state = State::Held;
            queue.push(
                now.after(delay),
                Event::stamped(Kind::ReachedGateway, id, call.generation),
            );
        } else {
            self.enter_proxy(now, id, queue);
        }
    }

    pub(super) fn on_reached_gateway(
        &mut self,
        now: SimTime,
        id: u32,
        generation: u32,
        queue: &mut Queue<Event>,
    ) {
        if self.calls[id as usize].generation == generation {
            self.enter_proxy(now, id, queue);
        }
    }

    pub(super) fn on_warm_up_over(&mut self, now: SimTime) {
        self.counting = true;
        self.record.reset();
        for pod in &mut self.pods {
            pod.reset(now);
        }
        for pod in &mut self.dynamics.pods {
            pod.served = 0;
        }
    }
}

/// When the next request of a rate that changes comes, `gap` events of a process with rate one
/// after the last.
#[inline(never)]
fn along(curve: &RateCurve, start: SimTime, state: &mut LoadState, gap: f64) -> Option<SimTime> {
    state.due += gap;
    let seconds = curve.when(state.due, &mut state.piece)?;
    Some(start.after(SimDuration::from_secs_f64(seconds)))
}

use super::plan::{LoadPlan, MixPlan};
use super::world::User;

/// How many of a load's requests one of its users sends. As fortio: each the same number, the
/// first also what is left over; fewer requests than users leave users without any.
///
/// A refused user comes back at once and burns its share, not that of the others, which is what
/// decides the outcome of `-c 2 -n 20` against a circuit breaker.
pub(super) fn share(user: u32, users: u32, requests: u64) -> u64 {
    let (user, users) = (u64::from(user), u64::from(users));
    if requests == u64::MAX {
        requests
    } else if requests < users {
        u64::from(user < requests)
    } else {
        requests / users + if user == 0 { requests % users } else { 0 }
    }
}

/// The kind of request that a random number falls on.
fn pick_mix(load: &LoadPlan, random: u64) -> &MixPlan {
    let mut rest = if load.mix_total == 0 {
        0
    } else {
        random % load.mix_total
    };
    for mix in &load.mix {
        if rest < mix.weight {
            return mix;
        }
        rest -= mix.weight;
    }
    &load.mix[0]
}

/// The number of a drawn header.
fn draw_value(drawn: &DrawnValue, mut draws: Draws) -> u64 {
    match drawn.cumulated.last() {
        None => draws.below(drawn.count),
        Some(total) => {
            let wanted = draws.unit() * total;
            drawn.cumulated.partition_point(|sum| *sum < wanted) as u64
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_share_the_requests_as_fortios_threads_do() {
        let check = |users: u32, requests: u64, expected: &[u64]| {
            let shares: Vec<u64> = (0..users).map(|u| share(u, users, requests)).collect();
            assert_eq!(shares, expected, "{requests} among {users}");
        };
        check(5, 100, &[20, 20, 20, 20, 20]);
        check(3, 32, &[12, 10, 10]);
        check(3, 2, &[1, 1, 0]);
        check(2, u64::MAX, &[u64::MAX, u64::MAX]);
    }
}
