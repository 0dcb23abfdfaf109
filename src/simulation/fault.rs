//! A call before its client's router: the fault filter, with the filters people add around it.

use super::event::{Event, Kind};
use super::world::{State, World};
use crate::data_plane::fault::{decide_abort, decide_delay, has_room};
use crate::data_plane::{Reason, Trail};
use crate::engine::Queue;
use crate::http::{Details, Flags, grpc};
use crate::observe::ProxyStat;
use crate::units::SimTime;
use crate::xds::route::{AbortStatus, Fault};

impl<T: Trail> World<'_, T> {
    /// The request is in a proxy whose filters do something before the router.
    #[inline(never)]
    pub(super) fn enter_filters(&mut self, now: SimTime, id: u32, queue: &mut Queue<Event>) {
        let plan = self.plan;
        let route = &plan.routes[self.calls[id as usize].route as usize];
        if route.filters.is_some() && !self.pass_filters(now, id, false, queue) {
            return;
        }
        let Some(fault) = &route.fault else {
            self.leave_fault(now, id, queue);
            return;
        };
        let call = &self.calls[id as usize];
        let delay = decide_delay(fault, Self::draws(call.key, self.keys.delay).next_u64());
        let delay = delay.filter(|_| self.may_inject(id, fault, ProxyStat::DelaysInjected));
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
        let status = decide_abort(fault, Self::draws(call.key, self.keys.abort).next_u64());
        let status = status.filter(|_| self.may_inject(id, fault, ProxyStat::AbortsInjected));
        if let Some(status) = status {
            self.note(id, || Reason::FaultAbort { status });
            let http = match status {
                AbortStatus::Http(status) => status,
                AbortStatus::Grpc(status) => grpc::in_headers(status),
            };
            self.finish(now, id, http, Flags::FI, Details::FaultFilterAbort, queue);
        } else {
            if fault.abort.is_some() {
                self.note(id, || Reason::FaultNot { delay: false });
            }
            self.leave_fault(now, id, queue);
        }
    }

    /// Counts a fault that is about to be injected; false when there are too many at once.
    fn may_inject(&mut self, id: u32, fault: &Fault, stat: ProxyStat) -> bool {
        let call = &self.calls[id as usize];
        let scope = self.plan.routes[call.route as usize].fault_scope;
        let pod = call.pod;
        let room = self
            .filters
            .add_fault(id, (scope, pod), |active| has_room(fault, active));
        let scope = self.scope_of(scope, pod);
        let stats = &mut self.record.proxies[scope];
        stats.inc(if room {
            stat
        } else {
            ProxyStat::FaultsOverflow
        });
        room
    }

    /// Between the fault filter and the router.
    #[inline]
    fn leave_fault(&mut self, now: SimTime, id: u32, queue: &mut Queue<Event>) {
        let route = self.calls[id as usize].route;
        let added = self.plan.routes[route as usize].filters.is_some();
        if !added || self.pass_filters(now, id, true, queue) {
            self.route_request(now, id, queue);
        }
    }
}
