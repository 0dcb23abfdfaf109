//! The server's sidecar: policy first, then the inbound cluster's limits.
//!
//! Its own answers (403, 503) reach the client's proxy as ordinary responses of the upstream. A
//! sidecar whose inbound cluster nothing limits costs no state: it only changes what a client
//! sees of an application that closes its connection.

use super::event::Event;
use super::plan::{Inbound, NIL};
use super::world::{Attempt, Fate, World};
use crate::data_plane::circuit_breaker::Resource;
use crate::data_plane::inbound::{Admit, InboundPool};
use crate::data_plane::retry::ResetReason;
use crate::data_plane::{Mark, Trail};
use crate::engine::Queue;
use crate::observe::Stat;
use crate::units::SimTime;

/// One pod's inbound cluster, and the requests that wait in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gate {
    /// Slot its statistics are kept under.
    pub(super) slot: u32,
    pub(super) pool: InboundPool,
    head: u32,
    tail: u32,
}

impl Gate {
    /// An idle one.
    pub(super) fn new(slot: u32) -> Self {
        Self {
            slot,
            pool: InboundPool::default(),
            head: NIL,
            tail: NIL,
        }
    }

    /// First of the requests that wait.
    pub(super) fn head(&self) -> u32 {
        self.head
    }

    /// Nobody is inside, nobody waits.
    pub(super) fn empty(&mut self) {
        *self = Self::new(self.slot);
    }
}

impl<T: Trail> World<'_, T> {
    pub(super) fn on_reached_server(&mut self, now: SimTime, id: u32, queue: &mut Queue<Event>) {
        self.mark(|| Mark::Reached(id));
        let plan = self.plan;
        let attempt = &mut self.attempts[id as usize];
        attempt.arrived = now;
        self.record.pods[attempt.pod as usize].requests += 1;
        if self.is_dynamic() && self.is_unreachable(now, id, queue) {
            return;
        }
        if T::LIVELY && plan.has_workers {
            self.count_served(id);
        }
        let attempt = &mut self.attempts[id as usize];
        match plan.targets[attempt.target as usize].inbound {
            Inbound::Direct => {}
            Inbound::Forward(inbound) => {
                attempt.behind_sidecar = true;
                if inbound != NIL && !self.enter_gate(now, id, inbound, queue) {
                    return;
                }
            }
            Inbound::Guarded(guard) => {
                if !self.pass_guard(now, id, guard, queue) {
                    return;
                }
            }
            Inbound::NoFilterChain => {
                attempt.fate = Fate::Reset;
                self.send_back(now, id, queue);
                return;
            }
        }
        self.enter_pod(now, id, queue);
    }

    /// The limits of the inbound cluster; true when they let the request pass now.
    #[expect(
        clippy::inline_always,
        reason = "once per try; the other caller is rare"
    )]
    #[inline(always)]
    pub(super) fn enter_gate(
        &mut self,
        now: SimTime,
        id: u32,
        inbound: u32,
        queue: &mut Queue<Event>,
    ) -> bool {
        let plan = &self.plan.inbounds[inbound as usize];
        let refused = self.is_refused(inbound, id);
        let attempt = &mut self.attempts[id as usize];
        let pod = &self.plan.pods[attempt.pod as usize];
        let gate_id = plan.gates + pod.ordinal;
        let gate = &mut self.gates[gate_id as usize];
        let stats = &mut self.record.slots[gate.slot as usize].stats;
        match gate.pool.arrive(&plan.thresholds, plan.streams) {
            Admit::Forward { opened } => {
                if !refused {
                    stats.inc(Stat::RqTotal);
                }
                if opened {
                    stats.inc(Stat::RqPendingTotal);
                }
                attempt.gate = gate_id;
                if refused {
                    let reason = ResetReason::ConnectionRefused;
                    self.on_inbound_failure(now, id, inbound, reason, queue);
                    return false;
                }
                return true;
            }
            Admit::Wait => {
                stats.inc(Stat::RqPendingTotal);
                stats.inc(Stat::CxOverflow);
                if attempt.call == NIL {
                    // Its client has left on the way.
                    gate.pool.cancel();
                    stats.inc(Stat::RqCancelled);
                    self.record.apps[pod.app as usize].rejected += 1;
                    self.free_attempts.push(id);
                    return false;
                }
                attempt.gate = gate_id;
                attempt.waits_at_gate = true;
                let tail = std::mem::replace(&mut gate.tail, id);
                if tail == NIL {
                    gate.head = id;
                } else {
                    self.attempts[tail as usize].next = id;
                }
            }
            Admit::Overflow(which) => {
                stats.inc(match which {
                    Resource::Requests => Stat::RqActiveOverflow,
                    _ => Stat::RqPendingOverflow,
                });
                stats.complete(503);
                self.record.apps[pod.app as usize].rejected += 1;
                self.attempts[id as usize].status = self.sidecar_status(id, 503);
                self.send_back(now, id, queue);
            }
        }
        false
    }

    /// The inbound plan that a try came through.
    pub(super) fn inbound_of(&self, attempt: &Attempt) -> u32 {
        match self.plan.targets[attempt.target as usize].inbound {
            Inbound::Forward(inbound) => inbound,
            Inbound::Guarded(guard) => self.plan.guards[guard as usize].inbound,
            Inbound::Direct | Inbound::NoFilterChain => NIL,
        }
    }

    /// The answer with this status (0: none) passes the sidecar; whoever waits at its gate goes in.
    #[expect(
        clippy::inline_always,
        reason = "once per try; what is rare is out of line"
    )]
    #[inline(always)]
    pub(super) fn leave_gate(
        &mut self,
        now: SimTime,
        id: u32,
        status: u16,
        queue: &mut Queue<Event>,
    ) {
        let attempt = &mut self.attempts[id as usize];
        let gate_id = std::mem::replace(&mut attempt.gate, NIL);
        if gate_id == NIL {
            return;
        }
        let gate = &mut self.gates[gate_id as usize];
        let slot = gate.slot;
        if status != 0 {
            self.record.slots[slot as usize].stats.complete(status);
        }
        if gate.pool.leave() {
            self.let_next_in(now, gate_id, slot, queue);
        }
    }

    /// The head of the list goes in; when the pod has no place for it, the next one has its chance.
    #[inline(never)]
    fn let_next_in(&mut self, now: SimTime, gate_id: u32, slot: u32, queue: &mut Queue<Event>) {
        loop {
            let next = self.next_at_gate(gate_id);
            self.record.slots[slot as usize].stats.inc(Stat::RqTotal);
            let inbound = self.inbound_of(&self.attempts[next as usize]);
            if self.is_refused(inbound, next) {
                // It gives its place up again.
                self.on_inbound_failure(now, next, inbound, ResetReason::ConnectionRefused, queue);
                return;
            }
            if self.admit(now, next, queue) {
                return;
            }
            self.attempts[next as usize].gate = NIL;
            self.record.slots[slot as usize].stats.complete(503);
            self.send_back(now, next, queue);
            if !self.gates[gate_id as usize].pool.leave() {
                return;
            }
        }
    }

    /// The oldest request that still waits leaves the list.
    fn next_at_gate(&mut self, gate_id: u32) -> u32 {
        self.forget_leavers(gate_id);
        let first = self.pop_gate(gate_id);
        self.attempts[first as usize].waits_at_gate = false;
        first
    }

    /// Drops requests at the head of the list whose clients left.
    fn forget_leavers(&mut self, gate_id: u32) {
        loop {
            let first = self.gates[gate_id as usize].head;
            if first == NIL || self.attempts[first as usize].gate == gate_id {
                return;
            }
            self.pop_gate(gate_id);
            self.free_attempts.push(first);
        }
    }

    fn pop_gate(&mut self, gate_id: u32) -> u32 {
        let gate = &mut self.gates[gate_id as usize];
        let first = gate.head;
        let attempt = &mut self.attempts[first as usize];
        gate.head = std::mem::replace(&mut attempt.next, NIL);
        if gate.head == NIL {
            gate.tail = NIL;
        }
        first
    }

    /// The client's proxy reset its stream: the sidecar does the same towards the application,
    /// which goes on working.
    pub(super) fn abandon_gate(&mut self, now: SimTime, id: u32, queue: &mut Queue<Event>) {
        if !self.filters.no_attempts() {
            self.leave_server_filters(now, id, 0);
        }
        let attempt = &mut self.attempts[id as usize];
        if attempt.gate == NIL {
            return;
        }
        if !attempt.waits_at_gate {
            self.leave_gate(now, id, 0, queue);
            return;
        }
        // It keeps its place in the list until it stands at the head, and is dropped then.
        let gate_id = std::mem::replace(&mut attempt.gate, NIL);
        let gate = &mut self.gates[gate_id as usize];
        gate.pool.cancel();
        let slot = gate.slot;
        self.record.slots[slot as usize]
            .stats
            .inc(Stat::RqCancelled);
        let app = attempt.app;
        self.record.apps[app as usize].rejected += 1;
        self.forget_leavers(gate_id);
    }
}
