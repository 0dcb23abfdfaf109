//! Connections of a pool and the requests that wait for them.

use super::event::{Event, Kind};
use super::plan::{Connect, NIL};
use super::world::{State, World};
use crate::data_plane::Trail;
use crate::data_plane::conn_pool::{Expired, Pool};
use crate::data_plane::outlier_detection::TryResult;
use crate::data_plane::retry::{ResetReason, TryOutcome};
use crate::engine::Queue;
use crate::observe::Stat;
use crate::units::{SimDuration, SimTime};
use crate::xds::cluster::UNLIMITED;

impl<T: Trail> World<'_, T> {
    /// Opens what the pool needs: at most three connections at a time, as Envoy tries.
    pub(super) fn open_connections(
        &mut self,
        now: SimTime,
        pool_id: u32,
        cause: u32,
        queue: &mut Queue<Event>,
    ) {
        for round in 0..3 {
            if !self.pools[pool_id as usize].needs_connection() {
                return;
            }
            let (edge_id, host) = self.pool_owner[pool_id as usize];
            let full = self.is_full(now, edge_id, host);
            if full {
                let slot = self.edges[edge_id as usize].slot;
                self.record.slots[slot as usize].stats.inc(Stat::CxOverflow);
                if !self.pools[pool_id as usize].is_empty() {
                    return;
                }
            }
            self.open_connection(now, pool_id, cause, round, queue);
            if full {
                return;
            }
        }
    }

    /// True when the cluster's limit, or the host's, forbids another connection. Idle ones count
    /// until their time is over, which is looked at here because it decides something.
    fn is_full(&mut self, now: SimTime, edge_id: u32, host: u32) -> bool {
        if self.allows_connection(edge_id, host) {
            return false;
        }
        if now >= self.edges[edge_id as usize].next_expiry {
            self.expire_connections(now, edge_id);
        }
        !self.allows_connection(edge_id, host)
    }

    fn allows_connection(&self, edge_id: u32, host: u32) -> bool {
        let edge = &self.edges[edge_id as usize];
        let limits = &self.plan.clusters[edge.cluster as usize].thresholds;
        if !edge.breakers.allows_connection(limits) {
            return false;
        }
        let most = limits.max_connections_per_host;
        let of_host = |worker: u32| {
            let pool = edge.pools + worker * edge.host_count + host;
            self.pools[pool as usize].connections
        };
        most == UNLIMITED || (0..edge.balancers.len() as u32).map(of_host).sum::<u32>() < most
    }

    /// True when `max_connection_pools` forbids the pool that a request needs. A pool exists
    /// while it has connections or requests.
    pub(super) fn has_no_pool(&mut self, now: SimTime, edge_id: u32, pool_id: u32) -> bool {
        let in_use = |pool: &Pool| !pool.is_empty() || pool.waiting > 0;
        if in_use(&self.pools[pool_id as usize]) {
            return false;
        }
        self.expire_connections(now, edge_id);
        let edge = &self.edges[edge_id as usize];
        let limits = &self.plan.clusters[edge.cluster as usize].thresholds;
        let count = edge.balancers.len() * edge.host_count as usize;
        let pools = self.pools[edge.pools as usize..][..count].iter();
        pools.filter(|pool| in_use(pool)).count() >= limits.max_connection_pools as usize
    }

    /// Closes every connection of an edge that has been idle for too long or is too old.
    #[cold]
    pub(super) fn expire_connections(&mut self, now: SimTime, edge_id: u32) {
        let plan = self.plan;
        let edge = &self.edges[edge_id as usize];
        let settings = &plan.clusters[edge.cluster as usize].pool;
        let first = edge.pools as usize;
        let last = first + edge.balancers.len() * edge.host_count as usize;
        let mut expired = Expired::default();
        let mut next = SimTime::MAX;
        for pool in &mut self.pools[first..last] {
            let soonest = self.connections.expire(now, pool, settings, &mut expired);
            next = next.min(soonest);
        }
        self.edges[edge_id as usize].next_expiry = next;
        self.count_expired(edge_id, expired);
    }

    fn open_connection(
        &mut self,
        now: SimTime,
        pool_id: u32,
        cause: u32,
        round: u64,
        queue: &mut Queue<Event>,
    ) {
        let plan = self.plan;
        let (edge_id, host) = self.pool_owner[pool_id as usize];
        let edge = &mut self.edges[edge_id as usize];
        let cluster = &plan.clusters[edge.cluster as usize];
        let pool = &mut self.pools[pool_id as usize];
        let id = self
            .connections
            .open(now, pool_id, pool, &cluster.pool, cluster.http2);
        edge.breakers.connections += 1;
        edge.had_connection = true;
        let counts = &mut self.record.slots[edge.slot as usize];
        counts.most_connections = counts.most_connections.max(edge.breakers.connections);
        let stats = &mut counts.stats;
        stats.inc(Stat::CxTotal);
        match (cluster.tcp, cluster.http2) {
            (true, _) => {}
            (false, true) => stats.inc(Stat::CxHttp2Total),
            (false, false) => stats.inc(Stat::CxHttp1Total),
        }
        let host = cluster.hosts[host as usize];
        let (round_trips, kind) = match host.connect {
            Connect::Made(round_trips) => (round_trips, Kind::ConnectionReady),
            Connect::Refused => (1, Kind::ConnectionRefused),
            Connect::TlsFails => (2, Kind::ConnectionRefused),
            Connect::Blackhole => (0, Kind::ConnectionTimedOut),
        };
        let (round_trips, kind) = match self
            .is_dynamic()
            .then(|| self.connect_now(host.pod))
            .flatten()
        {
            Some(Kind::ConnectionTimedOut) => (0, Kind::ConnectionTimedOut),
            Some(kind) => (1, kind),
            None => (round_trips, kind),
        };
        // Luck of the request that made the connection necessary.
        let call = &self.calls[cause as usize];
        let mut draws = Self::draws(
            call.key ^ u64::from(call.tries) ^ (round << 32),
            self.keys.connect,
        );
        let sampler = plan.distances.sampler(host.link);
        let mut takes = SimDuration::ZERO;
        for _ in 0..2 * round_trips {
            takes = takes.plus(sampler.sample(&mut draws));
        }
        if self.is_dynamic() {
            let way = self.disturbed_way(now, host.link, u64::from(id), takes);
            takes = way.unwrap_or(cluster.pool.connect_timeout);
        }
        let limit = cluster.pool.connect_timeout;
        let (takes, kind) = if kind == Kind::ConnectionTimedOut || takes >= limit {
            (limit, Kind::ConnectionTimedOut)
        } else {
            (takes, kind)
        };
        let generation = self.connections.get(id).generation;
        queue.push(now.after(takes), Event::stamped(kind, id, generation));
    }

    pub(super) fn on_connection_ready(
        &mut self,
        now: SimTime,
        id: u32,
        generation: u32,
        queue: &mut Queue<Event>,
    ) {
        let connection = self.connections.get(id);
        if connection.generation != generation {
            return;
        }
        let pool_id = connection.pool;
        if self.is_dynamic() {
            let (edge, host) = self.pool_owner[pool_id as usize];
            if let Some(kind) = self.connect_now(self.host_pod(edge, host)) {
                // Its server has gone meanwhile.
                let timed_out = kind == Kind::ConnectionTimedOut;
                self.on_connection_failed(now, id, generation, timed_out, queue);
                return;
            }
        }
        self.connections
            .connected(now, id, &mut self.pools[pool_id as usize]);
        self.serve_pending(now, pool_id, queue);
    }

    /// A failed connection fails every request that waits in its pool.
    pub(super) fn on_connection_failed(
        &mut self,
        now: SimTime,
        id: u32,
        generation: u32,
        timed_out: bool,
        queue: &mut Queue<Event>,
    ) {
        let connection = self.connections.get(id);
        if connection.generation != generation {
            return;
        }
        let pool_id = connection.pool;
        let (edge_id, host) = self.pool_owner[pool_id as usize];
        self.connections
            .close(id, &mut self.pools[pool_id as usize]);
        let edge = &mut self.edges[edge_id as usize];
        edge.breakers.connections -= 1;
        let tls = self.plan.clusters[edge.cluster as usize].hosts[host as usize].connect
            == Connect::TlsFails;
        let slot = edge.slot as usize;
        let stats = &mut self.record.slots[slot].stats;
        stats.inc(Stat::CxConnectFail);
        stats.inc(Stat::CxDestroy);
        let reason = match (timed_out, tls) {
            (true, _) => ResetReason::ConnectionTimeout,
            (false, true) => ResetReason::TlsFailure,
            (false, false) => ResetReason::ConnectionRefused,
        };
        if timed_out {
            stats.inc(Stat::CxConnectTimeout);
        }
        let mut failed = std::mem::take(&mut self.failed);
        while self.pools[pool_id as usize].first != NIL {
            let first = self.pools[pool_id as usize].first;
            self.unlink_pending(first);
            failed.push_back(first);
        }
        // They leave one by one: a retry budget still counts those whose turn has not come.
        self.edges[edge_id as usize].breakers.pending += failed.len() as u32;
        while let Some(call) = failed.pop_front() {
            self.edges[edge_id as usize].breakers.pending -= 1;
            self.record.slots[slot]
                .stats
                .inc(Stat::RqPendingFailureEject);
            self.on_try_result(now, edge_id, host, TryResult::LocalFailure, queue);
            self.end_try(now, call, TryOutcome::Reset(reason), queue);
        }
        self.failed = failed;
    }

    /// Ready connections take waiting requests, the oldest first; more are opened when that is not enough.
    pub(super) fn serve_pending(&mut self, now: SimTime, pool_id: u32, queue: &mut Queue<Event>) {
        let plan = self.plan;
        loop {
            let pool = &mut self.pools[pool_id as usize];
            let first = pool.first;
            if first == NIL {
                return;
            }
            let (edge_id, _) = self.pool_owner[pool_id as usize];
            let settings = &plan.clusters[self.edges[edge_id as usize].cluster as usize].pool;
            let mut expired = Expired::default();
            let ready = self.connections.ready(now, pool, settings, &mut expired);
            if expired != Expired::default() {
                self.count_expired(edge_id, expired);
            }
            let Some(connection) = ready else {
                self.open_connections(now, pool_id, first, queue);
                return;
            };
            self.unlink_pending(first);
            self.attach_waiting(now, first, connection, pool_id, queue);
        }
    }

    /// Connections whose time was over when a request asked for one are closed.
    #[cold]
    pub(super) fn count_expired(&mut self, edge_id: u32, expired: Expired) {
        let edge = &mut self.edges[edge_id as usize];
        edge.breakers.connections -= expired.idle + expired.aged;
        let stats = &mut self.record.slots[edge.slot as usize].stats;
        stats.add(Stat::CxIdleTimeout, u64::from(expired.idle));
        stats.add(Stat::CxMaxDurationReached, u64::from(expired.aged));
        stats.add(Stat::CxDestroy, u64::from(expired.idle + expired.aged));
    }

    /// Appends a call to its pool's waiting list.
    pub(super) fn append_pending(&mut self, id: u32, pool_id: u32) {
        let pool = &mut self.pools[pool_id as usize];
        let last = pool.last;
        pool.last = id;
        pool.waiting += 1;
        if last == NIL {
            pool.first = id;
        } else {
            self.calls[last as usize].next = id;
        }
        let call = &mut self.calls[id as usize];
        call.previous = last;
        call.next = NIL;
    }

    /// Takes a call out of its pool's waiting list.
    fn unlink_pending(&mut self, id: u32) {
        let call = self.calls[id as usize];
        let edge = &mut self.edges[call.edge as usize];
        edge.breakers.pending -= 1;
        let pool_id = edge.pools + call.worker * edge.host_count + call.host;
        let pool = &mut self.pools[pool_id as usize];
        pool.waiting -= 1;
        if call.previous == NIL {
            pool.first = call.next;
        } else {
            self.calls[call.previous as usize].next = call.next;
        }
        if call.next == NIL {
            pool.last = call.previous;
        } else {
            self.calls[call.next as usize].previous = call.previous;
        }
    }

    /// A waiting call gives up.
    pub(super) fn leave_pending(&mut self, id: u32) {
        debug_assert_eq!(self.calls[id as usize].state, State::Pending);
        self.unlink_pending(id);
        let edge = &self.edges[self.calls[id as usize].edge as usize];
        let tcp = self.plan.clusters[edge.cluster as usize].tcp;
        self.record.slots[edge.slot as usize]
            .stats
            .inc(Stat::RqCancelled);
        if tcp {
            self.close_excess(id);
        }
    }
}
