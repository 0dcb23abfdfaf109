//! The server's side of a try behind its sidecar: the pod's queue, its own work, its calls.

#![expect(
    clippy::inline_always,
    reason = "every request comes by here; the calls alone were a tenth of all instructions"
)]

use super::event::{Event, Kind};
use super::plan::NIL;
use super::priority::Door;
use super::world::{Attempt, Fate, Parent, World};
use crate::config::scenario::ErrorKind;
use crate::data_plane::retry::ResetReason;
use crate::data_plane::{Mark, Trail};
use crate::engine::Queue;
use crate::http::grpc;
use crate::observe::AppStat;
use crate::units::SimTime;
use crate::workload::Admission;

impl<T: Trail> World<'_, T> {
    /// The request is at the pod's door; one that finds no place is answered with 503.
    #[inline(always)]
    pub(super) fn enter_pod(&mut self, now: SimTime, id: u32, queue: &mut Queue<Event>) {
        if !self.admit(now, id, queue) {
            self.leave_gate(now, id, 503, queue);
            self.send_back(now, id, queue);
        }
    }

    /// Gives the request a slot or a place in the queue; false when the pod has neither.
    #[inline(always)]
    pub(super) fn admit(&mut self, now: SimTime, id: u32, queue: &mut Queue<Event>) -> bool {
        let Attempt { pod, app, .. } = self.attempts[id as usize];
        let limits = self.limits_of(pod, app);
        let app = app as usize;
        let mut displaced = None;
        if T::LIVELY && self.plan.apps[app].rare.is_some() {
            match self.at_the_door(now, id, limits) {
                Door::Open => {}
                Door::Instead(other) => displaced = Some(other),
                Door::Shut => {
                    self.record.apps[app].rejected += 1;
                    self.attempts[id as usize].status = 503;
                    return false;
                }
            }
        }
        match self.pods[pod as usize].arrive(now, limits) {
            Admission::Serve => {
                self.record.apps[app].requests += 1;
                self.start_work(now, id, queue);
            }
            Admission::Wait => {
                self.record.apps[app].requests += 1;
                if T::LIVELY && self.plan.apps[app].rare.is_some() {
                    self.wait_rarely(now, id);
                    if let Some(other) = displaced {
                        self.refuse_waiting(now, other, AppStat::Displaced, queue);
                    }
                    return true;
                }
                let tail = std::mem::replace(&mut self.pods[pod as usize].tail, id);
                if tail == NIL {
                    self.pods[pod as usize].head = id;
                } else {
                    self.attempts[tail as usize].next = id;
                }
            }
            Admission::Reject => {
                self.record.apps[app].rejected += 1;
                self.attempts[id as usize].status = 503;
                return false;
            }
        }
        true
    }

    /// A waiting request gets the slot that another one left.
    #[inline(never)]
    pub(super) fn start_waiting(&mut self, now: SimTime, id: u32, queue: &mut Queue<Event>) {
        self.start_work(now, id, queue);
    }

    /// The request has a slot.
    #[inline(always)]
    fn start_work(&mut self, now: SimTime, id: u32, queue: &mut Queue<Event>) {
        self.mark(|| Mark::Serves(id));
        let plan = self.plan;
        let attempt = &mut self.attempts[id as usize];
        attempt.serving = true;
        attempt.admitted = true;
        let app_id = attempt.app as usize;
        let app = &plan.apps[app_id];
        let counts = &mut self.record.apps[app_id];
        if now == attempt.arrived {
            counts.served_at_once += 1;
        } else {
            counts.queue_time.record(now.since(attempt.arrived));
        }
        let key = attempt.key;
        if !app.errors.is_empty() {
            let random = Self::draws(key, self.keys.error).next_u64();
            // Rates are cumulated: the first entry that is hit is the one drawn.
            if let Some(entry) = app.errors.iter().position(|(share, _)| share.hit(random)) {
                attempt.fate = match app.errors[entry].1 {
                    _ if app.has_headers(entry) => Fate::Listed(entry as u16),
                    ErrorKind::Status(status) => Fate::Answer(Some(status)),
                    ErrorKind::Grpc(status) => Fate::Answer(Some(grpc::in_headers(status))),
                    ErrorKind::Reset => Fate::Reset,
                    // Nobody stands between the client's proxy and an application that refuses.
                    ErrorKind::Refuse => Fate::Refuse,
                    ErrorKind::Hang => Fate::Hang,
                };
            }
        }
        if self.is_dynamic()
            && let Some(fate) = self.disturbed_fate(self.attempts[id as usize].pod, key)
        {
            self.attempts[id as usize].fate = fate;
        }
        let attempt = &mut self.attempts[id as usize];
        if attempt.fate == Fate::Hang {
            if attempt.call == NIL {
                self.leave_pod(now, id, queue);
                self.leave_gate(now, id, 0, queue);
                self.free_attempts.push(id);
            }
            return;
        }
        let mut takes = app
            .service_time
            .sample(&mut Self::draws(key, self.keys.service));
        if T::LIVELY
            && let Some(rare) = &app.rare
        {
            takes = self.slow_work(now, id, rare, takes);
        }
        if self.is_dynamic() {
            let pod = self.attempts[id as usize].pod;
            takes = self.disturbed_work(pod, key, takes);
            self.note_work(pod, key, takes);
        }
        queue.push(now.after(takes), Event::new(Kind::WorkDone, id));
    }

    pub(super) fn on_work_done(&mut self, now: SimTime, id: u32, queue: &mut Queue<Event>) {
        if self.is_dynamic() && self.is_interrupted(id) {
            return;
        }
        self.mark(|| Mark::Worked(id));
        let attempt = &self.attempts[id as usize];
        let app = &self.plan.apps[attempt.app as usize];
        match attempt.fate {
            Fate::Answer(None) if app.steps.is_empty() => self.answer(now, id, app.status, queue),
            Fate::Answer(None) => self.next_step(now, id, queue),
            Fate::Answer(Some(status)) => self.answer(now, id, status, queue),
            Fate::Listed(entry) => {
                let app = self.plan.pods[self.attempts[id as usize].pod as usize].app;
                let status = match self.plan.apps[app as usize].errors[entry as usize].1 {
                    ErrorKind::Grpc(status) => grpc::in_headers(status),
                    ErrorKind::Status(status) => status,
                    ErrorKind::Reset | ErrorKind::Refuse | ErrorKind::Hang => 0,
                };
                self.answer(now, id, status, queue);
            }
            Fate::Reset | Fate::Refuse | Fate::Hang | Fate::Dead | Fate::Lost => {
                self.answer(now, id, 0, queue);
            }
        }
    }

    /// Starts the calls of the next step, or answers when there is none left (or one failed).
    pub(super) fn next_step(&mut self, now: SimTime, id: u32, queue: &mut Queue<Event>) {
        let plan = self.plan;
        loop {
            if T::LIVELY
                && plan.has_deadlines
                && let Some(status) = self.too_late(now, id)
            {
                self.answer(now, id, status, queue);
                return;
            }
            let attempt = &mut self.attempts[id as usize];
            let app = &plan.apps[attempt.app as usize];
            if attempt.status != 0 {
                let status = attempt.status;
                self.answer(now, id, status, queue);
                return;
            }
            let step = attempt.step as usize;
            if step >= app.steps.len() {
                self.answer(now, id, app.status, queue);
                return;
            }
            attempt.step += 1;
            let begin = if step == 0 { 0 } else { app.steps[step - 1] };
            let end = app.steps[step];
            if begin == end {
                continue;
            }
            if T::LIVELY && !app.rare_calls.is_empty() {
                if self.rare_step(now, id, (begin, end), queue) {
                    return;
                }
                continue;
            }
            attempt.outstanding = end - begin;
            let (server, luck) = attempt.caller();
            for call in begin..end {
                let parent = Parent::Attempt { attempt: id, call };
                self.start_call(now, server, luck, parent, queue);
            }
            return;
        }
    }

    /// One call of an application: `server` is its workload, its pod and what it is to that
    /// (`target`), `luck` the key of its request and the header that was drawn for it.
    #[inline(always)]
    pub(super) fn start_call(
        &mut self,
        now: SimTime,
        (app, pod, target): (u32, u32, u32),
        (key, drawn, prefix): (u64, u64, u32),
        parent: Parent,
        queue: &mut Queue<Event>,
    ) {
        let plan = self.plan;
        let Parent::Attempt { call: number, .. } = parent else {
            return;
        };
        let children = plan.targets[target as usize].children;
        let route = plan.children[(children + number) as usize];
        let key = Self::draws(key ^ u64::from(number + 1), self.keys.child).next_u64();
        let route = self.route_now(pod, route);
        let call = self.create_call(now, route, pod, parent, key, None);
        self.calls[call as usize].drawn = drawn;
        self.calls[call as usize].prefix = prefix;
        if let Some(lane) = self.call_lanes[app as usize][number as usize] {
            self.calls[call as usize].app_timer =
                queue.arm(lane, Event::new(Kind::ApplicationTimedOut, call));
        }
        if T::LIVELY && plan.has_deadlines {
            let timeout = plan.apps[app as usize].calls[number as usize].timeout;
            self.begin_deadline(now, call, timeout, queue);
        }
        self.enter_proxy(now, call, queue);
    }

    /// The application answers (or closes the connection): its slot is free.
    fn answer(&mut self, now: SimTime, id: u32, status: u16, queue: &mut Queue<Event>) {
        self.attempts[id as usize].status = status;
        self.leave_pod(now, id, queue);
        let attempt = &mut self.attempts[id as usize];
        if attempt.fate.is_reset() && attempt.behind_sidecar {
            // The sidecar answers for an application that closed its connection (UC there).
            attempt.fate = Fate::Answer(None);
            if attempt.gate != NIL {
                let inbound = self.inbound_of(&self.attempts[id as usize]);
                let reason = ResetReason::ConnectionTermination;
                self.on_inbound_failure(now, id, inbound, reason, queue);
                return;
            }
            attempt.status = 503;
            self.attempts[id as usize].status = self.sidecar_status(id, 503);
        }
        let attempt = &self.attempts[id as usize];
        let status = attempt.status;
        self.leave_gate(now, id, status, queue);
        self.send(now, id, queue);
    }

    /// Frees the slot of a served request; the next waiting one takes it.
    #[inline(always)]
    pub(super) fn leave_pod(&mut self, now: SimTime, id: u32, queue: &mut Queue<Event>) {
        let attempt = &mut self.attempts[id as usize];
        attempt.serving = false;
        let pod_id = attempt.pod as usize;
        let latency = now.since(attempt.arrived);
        let counts = &mut self.record.apps[attempt.app as usize];
        counts.latency.record(latency);
        if attempt.status == 0 || attempt.status >= 500 {
            counts.errors += 1;
        }
        let app = attempt.app as usize;
        let plan = self.plan;
        if self.is_dynamic() && self.joins.next.is_some() {
            self.note_beside_joined(pod_id as u32, app as u32, latency);
        }
        if T::LIVELY
            && let Some(rare) = &plan.apps[app].rare
        {
            self.leave_rare_pod(now, pod_id as u32, rare, queue);
            return;
        }
        let goes_on = if T::LIVELY {
            let limits = self.limits_of(pod_id as u32, self.attempts[id as usize].app);
            self.pods[pod_id].leave_within(now, limits)
        } else {
            self.pods[pod_id].leave(now)
        };
        let pod = &mut self.pods[pod_id];
        if goes_on {
            let next = pod.head;
            pod.head = self.attempts[next as usize].next;
            if pod.head == NIL {
                pod.tail = NIL;
            }
            self.attempts[next as usize].next = NIL;
            self.start_waiting(now, next, queue);
        }
    }

    /// The answer travels to the client, unless nobody waits for it.
    #[inline(never)]
    pub(super) fn send_back(&mut self, now: SimTime, id: u32, queue: &mut Queue<Event>) {
        self.send(now, id, queue);
    }

    #[inline(always)]
    fn send(&mut self, now: SimTime, id: u32, queue: &mut Queue<Event>) {
        let plan = self.plan;
        if !self.filters.no_attempts() {
            self.leave_server_filters(now, id, self.attempts[id as usize].status);
        }
        let attempt = &self.attempts[id as usize];
        if T::FOLLOWS {
            let reset = attempt.fate.is_reset();
            let status = if reset { 0 } else { attempt.status };
            self.trail.mark(Mark::Answers(id, status));
        }
        if attempt.call == NIL {
            self.free_attempts.push(id);
            return;
        }
        let delay = plan
            .distances
            .sampler(attempt.link)
            .sample(&mut Self::draws(attempt.key, self.keys.back));
        if self.is_dynamic() {
            self.answer_disturbed(now, id, delay, queue);
            return;
        }
        queue.push(
            now.after(delay),
            Event::new(Kind::ResponseReachedClient, id),
        );
    }

    /// Slots that came back are filled from the queue.
    pub(super) fn fill_slots(&mut self, now: SimTime, pod_id: u32, queue: &mut Queue<Event>) {
        let app = self.plan.pods[pod_id as usize].app;
        let limits = self.limits_of(pod_id, app);
        loop {
            let pod = &mut self.pods[pod_id as usize];
            if pod.waiting == 0 || pod.busy >= limits.concurrency {
                return;
            }
            let plan = self.plan;
            if let Some(rare) = &plan.apps[app as usize].rare {
                if !self.fill_rare_slot(now, pod_id, rare, queue) {
                    return;
                }
                continue;
            }
            pod.fill(now);
            let next = self.next_in_queue(pod_id);
            self.start_waiting(now, next, queue);
        }
    }

    /// Takes the head of a pod's queue.
    fn next_in_queue(&mut self, pod_id: u32) -> u32 {
        let pod = &mut self.pods[pod_id as usize];
        let next = pod.head;
        pod.head = std::mem::replace(&mut self.attempts[next as usize].next, NIL);
        if pod.head == NIL {
            pod.tail = NIL;
        }
        next
    }
}
