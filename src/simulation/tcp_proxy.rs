//! The TCP proxy (`source/common/tcp_proxy/tcp_proxy.cc`): ports of opaque bytes.
//!
//! A request on such a port is modelled as a connection that lasts one exchange. It gets an
//! upstream connection of its own: the weighted cluster and the host are picked once, nothing is
//! pooled, and what it carries is nothing to Envoy: no status is counted, and outlier detection
//! hears only whether connections were made. `max_connections` closes what is too much before a
//! host is picked; those that wait for a handshake count as pending. All of it measured on 1.40.

use super::attempt::StreamEnd;
use super::event::Event;
use super::plan::NIL;
use super::retrying::Decided;
use super::world::{Attempt, World};
use crate::data_plane::circuit_breaker::Resource;
use crate::data_plane::{Reason, Trail};
use crate::engine::Queue;
use crate::http::{Details, Flags};
use crate::observe::Stat;
use crate::units::SimTime;

impl<T: Trail> World<'_, T> {
    /// True when a route is the TCP proxy's and `max_connections` closed the connection.
    #[inline(never)]
    pub(super) fn is_tcp_full(&mut self, now: SimTime, id: u32, queue: &mut Queue<Event>) -> bool {
        let call = &self.calls[id as usize];
        let rare = self.plan.routes[call.route as usize].rare.as_deref();
        if !rare.is_some_and(|r| r.tcp) {
            return false;
        }
        let edge = &self.edges[call.edge as usize];
        let limits = &self.plan.clusters[edge.cluster as usize].thresholds;
        if edge.breakers.allows_connection(limits) {
            return false;
        }
        let slot = edge.slot as usize;
        self.record.slots[slot].stats.inc(Stat::CxOverflow);
        self.calls[id as usize].host = NIL;
        let which = Resource::Connections;
        self.note(id, || Reason::Overflow { which });
        self.finish(now, id, 0, Flags::UO, Details::NoProxy, queue);
        true
    }

    /// The exchange is over: both connections are closed, whoever began.
    pub(super) fn on_tcp_end(
        &mut self,
        now: SimTime,
        id: u32,
        attempt: &Attempt,
        queue: &mut Queue<Event>,
    ) {
        let outcome = self.outcome_of(attempt);
        // Who closes the upstream connection: the one that did not begin (measured on 1.40).
        let end = if attempt.fate.is_reset() {
            StreamEnd::ResetByUs
        } else {
            StreamEnd::ResetByPeer
        };
        self.leave_connection(now, attempt, end, queue);
        self.conclude(now, id, outcome, Decided::End(Flags::NONE), queue);
    }

    /// What the access log says of a connection. Its client sees the application's bytes, or that
    /// it is closed.
    pub(super) fn tcp_reply(&mut self, id: u32) {
        let call = &mut self.calls[id as usize];
        call.flags = match call.details {
            Details::RemoteConnectionFailure | Details::ConnectionTimeout | Details::TlsFailure => {
                Flags::UF.with(Flags::URX_TCP)
            }
            Details::Overflow => Flags::URX_TCP,
            Details::ConnectionTermination | Details::DownstreamRemoteDisconnect => Flags::NONE,
            _ => call.flags,
        };
        match call.details {
            Details::NoHealthyUpstream => call.tries = 0,
            Details::Overflow => call.host = NIL,
            _ => {}
        }
        if call.details != Details::ViaUpstream {
            call.status = 0;
        }
        call.details = Details::NoProxy;
    }

    /// A client left while its connection was being made: nobody else waits for that one.
    #[cold]
    pub(super) fn close_excess(&mut self, id: u32) {
        let call = &self.calls[id as usize];
        let edge = &mut self.edges[call.edge as usize];
        let pool_id = edge.pools + call.worker * edge.host_count + call.host;
        let pool = &mut self.pools[pool_id as usize];
        if self.connections.close_excess(pool, pool_id) {
            edge.breakers.connections -= 1;
            self.record.slots[edge.slot as usize]
                .stats
                .inc(Stat::CxDestroy);
        }
    }
}
