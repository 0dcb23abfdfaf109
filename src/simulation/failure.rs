//! Pods that fail without notice, and what becomes of the requests they had.
//!
//! What a server had is reset towards its clients, or lost when its packets vanish. What a
//! client's pod was doing ends with it: servers go on with work that nobody waits for.

use super::event::{Event, Kind};
use super::plan::{Inbound, NIL};
use super::timeline::{Phase, StepKind};
use super::world::{Attempt, Fate, Parent, State, World};
use crate::config::scenario::FailureKind;
use crate::data_plane::{Mark, Trail};
use crate::engine::Queue;
use crate::http::{Details, Flags};
use crate::observe::Stat;
use crate::units::{SimDuration, SimTime};

/// What becomes of a try that comes to a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// As always.
    Served,
    /// The sidecar answers 503 for an application that is gone.
    Answered,
    /// Its connection is reset.
    Reset,
    /// Nothing comes back.
    Lost,
}

impl<T: Trail> World<'_, T> {
    pub(super) fn fail_pods(
        &mut self,
        now: SimTime,
        pods: &[u32],
        how: FailureKind,
        noticed: Option<SimDuration>,
        queue: &mut Queue<Event>,
    ) {
        let exists = |pod: &u32| {
            !matches!(
                self.dynamics.pods[*pod as usize].phase,
                Phase::Absent | Phase::Down | Phase::Dark
            )
        };
        let pods: Vec<u32> = pods.iter().copied().filter(exists).collect();
        let phase = match how {
            FailureKind::Kill => Phase::Down,
            FailureKind::Crash => Phase::Crashed,
            FailureKind::Hang => Phase::Hung,
            FailureKind::Blackhole => Phase::Dark,
        };
        match how {
            FailureKind::Kill | FailureKind::Blackhole => self.lose_pods(now, &pods, how, queue),
            FailureKind::Crash => self.crash_pods(now, &pods, queue),
            FailureKind::Hang => {}
        }
        for pod in pods {
            self.set_phase(now, pod, phase);
            if let Some(after) = noticed.or_else(|| self.noticed_after(pod, how)) {
                self.later(now.after(after), pod, StepKind::Listed(false), queue);
            }
        }
    }

    pub(super) fn restore_pods(&mut self, now: SimTime, pods: &[u32], queue: &mut Queue<Event>) {
        for pod in pods {
            match self.dynamics.pods[*pod as usize].phase {
                Phase::Down | Phase::Crashed => self.start_pod(now, *pod, queue),
                Phase::Dark => {
                    // Whoever still waits for it, or kept a connection to it, hears of it now.
                    self.reset_lost(now, *pod, queue);
                    self.drain_clients_of(*pod);
                    self.start_pod(now, *pod, queue);
                }
                Phase::Hung => {
                    self.set_phase(now, *pod, Phase::Serving);
                    self.resume(now, *pod, queue);
                    self.later(now, *pod, StepKind::Listed(true), queue);
                }
                Phase::Absent | Phase::Starting | Phase::Serving | Phase::Closing => {}
            }
        }
    }

    /// Pods are gone, as servers and as clients.
    pub(super) fn lose_pods(
        &mut self,
        now: SimTime,
        pods: &[u32],
        how: FailureKind,
        queue: &mut Queue<Event>,
    ) {
        let mut gone = vec![false; self.plan.pods.len()];
        for pod in pods {
            gone[*pod as usize] = true;
        }
        self.end_calls_from(now, &gone, queue);
        self.end_work_in(now, &gone, how, queue);
        if how != FailureKind::Blackhole {
            // Of a machine that vanished nobody hears: what is sent on its connections is lost.
            self.close_idle_to(&gone);
        }
        for pod in pods {
            self.forget_proxy(*pod);
            self.empty_pod(now, *pod);
        }
    }

    /// The applications are gone, their sidecars live: what they had is answered 503.
    fn crash_pods(&mut self, now: SimTime, pods: &[u32], queue: &mut Queue<Event>) {
        let mut gone = vec![false; self.plan.pods.len()];
        for pod in pods {
            gone[*pod as usize] = true;
        }
        self.end_calls_from(now, &gone, queue);
        self.end_work_in(now, &gone, FailureKind::Crash, queue);
        for pod in pods {
            self.empty_pod(now, *pod);
        }
    }

    /// A pod is as new: nobody is served, nobody waits.
    fn empty_pod(&mut self, now: SimTime, pod: u32) {
        let entry = &mut self.pods[pod as usize];
        entry.empty(now);
        self.empty_rare_pod(pod, None);
        let ordinal = self.plan.pods[pod as usize].ordinal;
        let app = self.plan.pods[pod as usize].app;
        for inbound in self.plan.inbounds.iter().filter(|i| i.app == app) {
            let gate = &mut self.gates[(inbound.gates + ordinal) as usize];
            gate.empty();
        }
    }

    /// Calls that these pods made: nobody waits for them any more.
    fn end_calls_from(&mut self, now: SimTime, gone: &[bool], queue: &mut Queue<Event>) {
        for id in 0..self.calls.len() as u32 {
            let call = self.calls[id as usize];
            if call.state == State::Free || !gone[call.pod as usize] {
                continue;
            }
            if !self.side.hedged.is_empty() {
                self.abandon_hedged(now, id, false, queue);
            }
            self.leave_newest(now, id, queue);
            if self.plan.routes[call.route as usize].has_filters {
                self.leave_filters(now, id);
            }
            queue.cancel(std::mem::take(&mut self.calls[id as usize].route_timer));
            queue.cancel(std::mem::take(&mut self.calls[id as usize].try_timer));
            if call.edge != NIL {
                let edge = &mut self.edges[call.edge as usize];
                let mut retry = call.retry;
                retry.release(&mut edge.breakers);
                self.calls[id as usize].retry = retry;
            }
            match call.parent {
                Parent::Root { .. } => {
                    let call = &mut self.calls[id as usize];
                    call.status = 0;
                    call.flags = Flags::DC;
                    call.details = Details::DownstreamRemoteDisconnect;
                    self.end_root(now, id, queue);
                }
                Parent::Attempt { .. } => {
                    queue.cancel(self.calls[id as usize].app_timer);
                    self.free_call(id);
                }
                Parent::Shadow => self.free_call(id),
            }
        }
        self.empty_call_pools(gone);
        for repeat in &mut self.side.repeats {
            if gone[repeat.pod as usize] {
                // Found again when its pause is over.
                repeat.parent = match repeat.parent {
                    Parent::Attempt { .. } => Parent::Shadow,
                    other => other,
                };
            }
        }
    }

    /// Tries that these pods have: reset, answered by a sidecar, or lost.
    fn end_work_in(
        &mut self,
        now: SimTime,
        gone: &[bool],
        how: FailureKind,
        queue: &mut Queue<Event>,
    ) {
        let waiting = self.waiting_in(gone);
        for id in 0..self.attempts.len() as u32 {
            let attempt = self.attempts[id as usize];
            if attempt.pod == NIL || !gone[attempt.pod as usize] {
                continue;
            }
            let works = attempt.serving && attempt.outstanding == 0 && attempt.fate != Fate::Hang;
            if attempt.serving && works {
                self.end_under_work(now, id, how, queue);
            } else if attempt.serving || waiting.contains(&id) {
                self.attempts[id as usize].serving = false;
                self.attempts[id as usize].gate = NIL;
                self.end_at_rest(now, id, how, queue);
            }
        }
    }

    /// Tries in the queues of these pods and at their gates.
    fn waiting_in(&self, gone: &[bool]) -> std::collections::BTreeSet<u32> {
        let mut found = std::collections::BTreeSet::new();
        let mut follow = |mut id: u32| {
            while id != NIL {
                found.insert(id);
                id = self.attempts[id as usize].next;
            }
        };
        for (pod, entry) in self.plan.pods.iter().enumerate().filter(|(p, _)| gone[*p]) {
            follow(self.pods[pod].head);
            for inbound in self.plan.inbounds.iter().filter(|i| i.app == entry.app) {
                follow(self.gates[(inbound.gates + entry.ordinal) as usize].head());
            }
        }
        for pod in (0..self.plan.pods.len() as u32).filter(|p| gone[*p as usize]) {
            found.extend(self.waiting_rarely(pod));
        }
        found
    }

    /// The end of its work is in the queue: another record carries the news to the client.
    fn end_under_work(
        &mut self,
        now: SimTime,
        id: u32,
        how: FailureKind,
        queue: &mut Queue<Event>,
    ) {
        self.mark(|| Mark::Lost(id));
        let old = self.attempts[id as usize];
        let entry = &mut self.attempts[id as usize];
        entry.serving = false;
        entry.fate = Fate::Dead;
        entry.gate = NIL;
        if old.call == NIL || how == FailureKind::Blackhole {
            return;
        }
        entry.call = NIL;
        let news = self.attempt_slot();
        self.mark(|| Mark::Moved { from: id, to: news });
        self.attempts[news as usize] = Attempt {
            serving: false,
            gate: NIL,
            next: NIL,
            ..old
        };
        let call = old.call;
        if self.calls[call as usize].attempt == id {
            self.calls[call as usize].attempt = news;
        }
        if let Some(hedged) = self.side.hedged.get_mut(&call) {
            for attempt in hedged.iter_mut().filter(|a| **a == id) {
                *attempt = news;
            }
        }
        self.end_at_rest(now, news, how, queue);
    }

    /// Nothing in the queue speaks of it: it goes back, or nowhere.
    fn end_at_rest(&mut self, now: SimTime, id: u32, how: FailureKind, queue: &mut Queue<Event>) {
        self.mark(|| Mark::Lost(id));
        let attempt = &mut self.attempts[id as usize];
        attempt.outstanding = 0;
        attempt.next = NIL;
        attempt.waits_at_gate = false;
        if attempt.call == NIL {
            attempt.fate = Fate::Answer(None);
            attempt.pod = NIL;
            self.free_attempts.push(id);
            return;
        }
        if how == FailureKind::Blackhole {
            attempt.fate = Fate::Lost;
            return;
        }
        if how == FailureKind::Crash && attempt.behind_sidecar {
            attempt.fate = Fate::Answer(None);
            let status = self.sidecar_status(id, 503);
            self.attempts[id as usize].status = status;
        } else {
            attempt.fate = Fate::Reset;
            attempt.status = 0;
        }
        self.send_back(now, id, queue);
    }

    /// Clients of a machine that is back find their connections reset.
    fn reset_lost(&mut self, now: SimTime, pod: u32, queue: &mut Queue<Event>) {
        for id in 0..self.attempts.len() as u32 {
            let attempt = &mut self.attempts[id as usize];
            if attempt.pod == pod && attempt.fate == Fate::Lost && attempt.call != NIL {
                attempt.fate = Fate::Reset;
                attempt.status = 0;
                self.send_back(now, id, queue);
            }
        }
    }

    /// Idle connections to these pods end; busy ones end with their requests.
    fn close_idle_to(&mut self, gone: &[bool]) {
        let (edges, plan, owner) = (&self.edges, self.plan, &self.pool_owner);
        let affected = |pool: u32| {
            let (edge, host) = owner[pool as usize];
            let cluster = &plan.clusters[edges[edge as usize].cluster as usize];
            gone[cluster.hosts[host as usize].pod as usize]
        };
        for (pool, closed) in self.connections.retire_where(&mut self.pools, affected) {
            let edge = &mut self.edges[self.pool_owner[pool as usize].0 as usize];
            edge.breakers.connections -= closed;
            self.record.slots[edge.slot as usize]
                .stats
                .add(Stat::CxDestroy, u64::from(closed));
        }
    }

    /// Connections to a pod whose sidecar drains close after what they carry.
    pub(super) fn drain_clients_of(&mut self, pod: u32) {
        let mut gone = vec![false; self.plan.pods.len()];
        gone[pod as usize] = true;
        self.close_idle_to(&gone);
    }

    /// A proxy is gone with everything it knew; a new one begins afresh.
    fn forget_proxy(&mut self, pod: u32) {
        let bases = &self.plan.edge_bases;
        let begin = bases[pod as usize] as usize;
        let end = (bases.get(pod as usize + 1)).map_or(self.edge_of.len(), |base| *base as usize);
        for edge in self.edges_of(pod) {
            let entry = &self.edges[edge as usize];
            let count = entry.balancers.len() as u32 * entry.host_count;
            let pools = entry.pools..entry.pools + count;
            let own = |pool: u32| pools.contains(&pool);
            for (_, closed) in self.connections.close_where(&mut self.pools, own) {
                self.edges[edge as usize].breakers.connections -= closed;
            }
        }
        self.edge_of[begin..end].fill(NIL);
    }

    /// What a try finds where it arrives.
    #[cold]
    pub(super) fn reach(&self, id: u32) -> Reach {
        let attempt = &self.attempts[id as usize];
        let behind_sidecar = !matches!(
            self.plan.targets[attempt.target as usize].inbound,
            Inbound::Direct
        );
        match self.dynamics.pods[attempt.pod as usize].phase {
            Phase::Serving | Phase::Hung => Reach::Served,
            Phase::Closing | Phase::Crashed if behind_sidecar => Reach::Answered,
            Phase::Dark => Reach::Lost,
            Phase::Closing | Phase::Crashed | Phase::Absent | Phase::Starting | Phase::Down => {
                Reach::Reset
            }
        }
    }

    /// A try that came to a pod which does not serve; true when it has been dealt with.
    #[cold]
    pub(super) fn is_unreachable(
        &mut self,
        now: SimTime,
        id: u32,
        queue: &mut Queue<Event>,
    ) -> bool {
        let reach = self.reach(id);
        let attempt = &mut self.attempts[id as usize];
        match reach {
            Reach::Served => return false,
            Reach::Answered => {
                attempt.behind_sidecar = true;
                self.attempts[id as usize].status = self.sidecar_status(id, 503);
                self.send_back(now, id, queue);
            }
            Reach::Reset => {
                attempt.fate = Fate::Reset;
                self.send_back(now, id, queue);
            }
            Reach::Lost => self.lose_attempt(id),
        }
        true
    }

    /// Nothing will ever be heard of it.
    pub(super) fn lose_attempt(&mut self, id: u32) {
        self.mark(|| Mark::Lost(id));
        let attempt = &mut self.attempts[id as usize];
        attempt.fate = Fate::Lost;
        if attempt.call == NIL {
            self.free_attempts.push(id);
        }
    }

    /// How connecting to a pod goes at the moment; `None`: as its application says.
    #[cold]
    pub(super) fn connect_now(&self, pod: u32) -> Option<Kind> {
        let has_sidecar = self.plan.pods[pod as usize].proxy != crate::xds::ProxyKind::None;
        match self.dynamics.pods[pod as usize].phase {
            Phase::Serving | Phase::Hung => None,
            Phase::Closing | Phase::Crashed if has_sidecar => None,
            Phase::Dark => Some(Kind::ConnectionTimedOut),
            _ => Some(Kind::ConnectionRefused),
        }
    }

    /// The pod that a load's next request comes from: the one whose turn it is, or the next that
    /// serves. `None`: none does.
    #[cold]
    pub(super) fn serving_client(&self, load: u32, pod: u32) -> Option<u32> {
        let pods = &self.plan.loads[load as usize].pods;
        let at = pods.iter().position(|p| *p == pod).unwrap_or(0);
        let serves = |pod: &u32| {
            matches!(
                self.dynamics.pods[*pod as usize].phase,
                Phase::Serving | Phase::Hung
            )
        };
        let in_turn = pods[at..].iter().chain(&pods[..at]);
        in_turn.copied().find(serves)
    }

    /// No pod is there that the request could start from.
    #[cold]
    pub(super) fn refuse_root(&mut self, now: SimTime, id: u32, queue: &mut Queue<Event>) {
        let call = &mut self.calls[id as usize];
        call.status = 0;
        call.details = Details::NoProxy;
        self.end_root(now, id, queue);
    }
}
