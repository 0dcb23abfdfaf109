//! Connection pools: which connection takes a request, and when another one is opened
//! (`source/common/conn_pool/conn_pool_base.cc`).
//!
//! One pool per (client proxy, worker, host). Knows connections and counts; the requests that
//! wait are threaded through the caller's records, and circuit breakers are asked by the caller.
//! HTTP/1.1 and HTTP/2 differ only in the capacity of a connection. Reuse is last in, first out.
//! Idle and lifetime limits cost no event: they are looked at when a connection is touched, and
//! [`Connections::expire`] looks at all of a pool whenever their number decides something.

mod connection;

pub use connection::{AfterStream, Connection, Expired, Phase, Retired};

use crate::units::SimTime;
use crate::xds::cluster::PoolSettings;

/// No connection, no request.
pub const NIL: u32 = u32::MAX;

/// The connections of one host in one worker.
#[derive(Clone, Copy, Debug)]
pub struct Pool {
    ready: u32,
    /// Streams that connecting connections will carry.
    connecting_capacity: u64,
    /// Free places on ready connections.
    free_places: u64,
    /// Connections of any phase.
    pub connections: u32,
    /// Requests waiting; `first` and `last` are the ends of their list.
    pub waiting: u32,
    /// First waiting request.
    pub first: u32,
    /// Last waiting request.
    pub last: u32,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            ready: NIL,
            connecting_capacity: 0,
            free_places: 0,
            connections: 0,
            waiting: 0,
            first: NIL,
            last: NIL,
        }
    }
}

/// All connections of a run.
#[derive(Clone, Debug, Default)]
pub struct Connections {
    slots: Vec<Connection>,
    free: Vec<u32>,
}

impl Connections {
    /// The connection behind an id.
    #[inline]
    pub fn get(&self, id: u32) -> &Connection {
        &self.slots[id as usize]
    }

    /// Begins a connection of a pool; `http2` decides its capacity.
    pub fn open(
        &mut self,
        now: SimTime,
        pool_id: u32,
        pool: &mut Pool,
        settings: &PoolSettings,
        http2: bool,
    ) -> u32 {
        let lifetime = if settings.max_requests_per_connection == 0 {
            u32::MAX
        } else {
            settings.max_requests_per_connection
        };
        let concurrent = if http2 {
            settings.max_concurrent_streams.max(1)
        } else {
            1
        };
        let id = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Connection {
                pool: NIL,
                phase: Phase::Closed,
                streams: 0,
                capacity: 0,
                remaining: 0,
                opened: now,
                idle_since: now,
                retired: Retired::UsedUp,
                previous: NIL,
                next: NIL,
                generation: 0,
            });
            (self.slots.len() - 1) as u32
        });
        let slot = &mut self.slots[id as usize];
        *slot = Connection {
            pool: pool_id,
            phase: Phase::Connecting,
            streams: 0,
            capacity: concurrent,
            remaining: lifetime,
            opened: now,
            idle_since: now,
            retired: Retired::UsedUp,
            previous: NIL,
            next: NIL,
            generation: slot.generation,
        };
        pool.connections += 1;
        pool.connecting_capacity += u64::from(concurrent.min(lifetime));
        id
    }

    /// The handshake is done: the connection goes to the front of the ready list.
    pub fn connected(&mut self, now: SimTime, id: u32, pool: &mut Pool) {
        let slot = &mut self.slots[id as usize];
        pool.connecting_capacity -= u64::from(slot.capacity.min(slot.remaining));
        slot.idle_since = now;
        self.push_front(id, pool);
    }

    /// The ready connection that takes the next request, unless it has to be looked at first:
    /// then, and when there is none, [`Self::ready`] knows.
    #[inline]
    pub fn ready_at_once(&self, now: SimTime, pool: &Pool, settings: &PoolSettings) -> Option<u32> {
        let slot = self.slots.get(pool.ready as usize)?;
        let idle = slot.streams == 0 && now.since(slot.idle_since) >= settings.idle_timeout;
        (!idle && settings.max_connection_duration.is_none()).then_some(pool.ready)
    }

    /// The ready connection that takes the next request; closes those whose time is over.
    pub fn ready(
        &mut self,
        now: SimTime,
        pool: &mut Pool,
        settings: &PoolSettings,
        expired: &mut Expired,
    ) -> Option<u32> {
        loop {
            let id = pool.ready;
            if id == NIL {
                return None;
            }
            let slot = &self.slots[id as usize];
            let aged = slot.is_too_old(now, settings);
            let idle = slot.streams == 0 && now.since(slot.idle_since) >= settings.idle_timeout;
            if !aged && !idle {
                return Some(id);
            }
            self.unlink(id, pool);
            let slot = &mut self.slots[id as usize];
            if slot.streams > 0 {
                slot.phase = Phase::Draining;
                slot.retired = Retired::TooOld;
                continue;
            }
            if aged {
                expired.aged += 1;
            } else {
                expired.idle += 1;
            }
            self.free_slot(id, pool);
        }
    }

    /// Closes every connection of the pool whose time is over, wherever it stands: the one in
    /// front is reused for ever while those behind it go idle. Nothing of what is left expires
    /// before the time that is returned.
    pub fn expire(
        &mut self,
        now: SimTime,
        pool: &mut Pool,
        settings: &PoolSettings,
        expired: &mut Expired,
    ) -> SimTime {
        let mut soonest = match settings.max_connection_duration {
            // One that is busy now may be old when it gets free.
            Some(_) if pool.connections > 0 => now,
            _ => now.after(settings.idle_timeout),
        };
        let mut id = pool.ready;
        while id != NIL {
            let slot = self.slots[id as usize];
            if slot.streams == 0 {
                let until = slot.idle_since.after(settings.idle_timeout);
                let aged = slot.is_too_old(now, settings);
                if aged || until <= now {
                    expired.aged += u32::from(aged);
                    expired.idle += u32::from(!aged);
                    self.unlink(id, pool);
                    self.free_slot(id, pool);
                } else {
                    soonest = soonest.min(until);
                }
            }
            id = slot.next;
        }
        soonest
    }

    /// Puts a request on a ready connection.
    #[inline]
    pub fn attach(&mut self, id: u32, pool: &mut Pool) {
        let slot = &mut self.slots[id as usize];
        if slot.capacity == 1 && slot.remaining == u32::MAX && slot.previous == NIL {
            // HTTP/1.1 without a limit on requests: the front of the list leaves it.
            let next = slot.next;
            slot.streams = 1;
            slot.phase = Phase::Busy;
            pool.free_places -= 1;
            pool.ready = next;
            if let Some(next) = self.slots.get_mut(next as usize) {
                next.previous = NIL;
            }
            return;
        }
        self.attach_in_general(id, pool);
    }

    fn attach_in_general(&mut self, id: u32, pool: &mut Pool) {
        self.unlink(id, pool);
        let slot = &mut self.slots[id as usize];
        slot.streams += 1;
        if slot.remaining != u32::MAX {
            slot.remaining -= 1;
        }
        if slot.remaining == 0 {
            slot.phase = Phase::Draining;
            slot.retired = Retired::UsedUp;
        } else if slot.streams >= slot.capacity {
            slot.phase = Phase::Busy;
        } else {
            self.push_front(id, pool);
        }
    }

    /// A request on the connection ended and the connection is still good.
    #[inline]
    pub fn end_stream(
        &mut self,
        now: SimTime,
        id: u32,
        pool: &mut Pool,
        settings: &PoolSettings,
    ) -> AfterStream {
        let slot = &mut self.slots[id as usize];
        let lasts = settings.max_connection_duration.is_none();
        if slot.capacity == 1 && slot.phase == Phase::Busy && lasts {
            let old = pool.ready;
            slot.streams = 0;
            slot.idle_since = now;
            slot.phase = Phase::Ready;
            slot.previous = NIL;
            slot.next = old;
            pool.free_places += 1;
            pool.ready = id;
            if let Some(old) = self.slots.get_mut(old as usize) {
                old.previous = id;
            }
            return AfterStream::Ready;
        }
        self.end_stream_in_general(now, id, pool, settings)
    }

    fn end_stream_in_general(
        &mut self,
        now: SimTime,
        id: u32,
        pool: &mut Pool,
        settings: &PoolSettings,
    ) -> AfterStream {
        let slot = &mut self.slots[id as usize];
        slot.streams -= 1;
        slot.idle_since = now;
        match slot.phase {
            Phase::Draining => {
                if slot.streams > 0 {
                    return AfterStream::Draining;
                }
                let why = slot.retired;
                self.free_slot(id, pool);
                AfterStream::Closed(why)
            }
            Phase::Busy => {
                if slot.is_too_old(now, settings) {
                    slot.phase = Phase::Draining;
                    slot.retired = Retired::TooOld;
                    if slot.streams == 0 {
                        self.free_slot(id, pool);
                        return AfterStream::Closed(Retired::TooOld);
                    }
                    return AfterStream::Draining;
                }
                self.push_front(id, pool);
                AfterStream::Ready
            }
            _ => {
                let before = Connection {
                    streams: slot.streams + 1,
                    ..*slot
                }
                .places();
                pool.free_places = pool.free_places - before + slot.places();
                AfterStream::Ready
            }
        }
    }

    /// Closes a connection whatever its phase; its requests are the caller's business.
    pub fn close(&mut self, id: u32, pool: &mut Pool) {
        match self.slots[id as usize].phase {
            Phase::Closed => return,
            Phase::Connecting => {
                let slot = &self.slots[id as usize];
                pool.connecting_capacity -= u64::from(slot.capacity.min(slot.remaining));
            }
            Phase::Ready => self.unlink(id, pool),
            Phase::Busy | Phase::Draining => {}
        }
        self.free_slot(id, pool);
    }

    /// The host turned unhealthy: idle connections close now (their number is returned), and
    /// those being made as well when nobody waits for them; busy ones close when they are done.
    pub fn drain(&mut self, pool: &mut Pool, pool_id: u32) -> u32 {
        let before = pool.connections;
        while pool.ready != NIL {
            let id = pool.ready;
            self.unlink(id, pool);
            if self.slots[id as usize].streams == 0 {
                self.free_slot(id, pool);
            } else {
                self.retire(id);
            }
        }
        // The others are in no list; an ejection is rare enough to look at them all.
        for id in 0..self.slots.len() as u32 {
            let slot = &self.slots[id as usize];
            match slot.phase {
                Phase::Busy if slot.pool == pool_id => self.retire(id),
                Phase::Connecting if slot.pool == pool_id && pool.waiting == 0 => {
                    self.close(id, pool);
                }
                _ => {}
            }
        }
        before - pool.connections
    }

    /// The servers behind these pools are going: idle connections close, busy ones close when
    /// they are done. Gives the pools with the number that closed.
    pub fn retire_where(
        &mut self,
        pools: &mut [Pool],
        affected: impl Fn(u32) -> bool,
    ) -> Vec<(u32, u32)> {
        self.each_where(pools, affected, |this, id, pool| {
            let slot = &this.slots[id as usize];
            match (slot.phase, slot.streams) {
                (Phase::Ready, 0) => {
                    this.close(id, pool);
                    return true;
                }
                (Phase::Ready, _) => {
                    this.unlink(id, pool);
                    this.retire(id);
                }
                (Phase::Busy, _) => this.retire(id),
                _ => {}
            }
            false
        })
    }

    /// The proxy that has these pools is gone: all of their connections close.
    pub fn close_where(
        &mut self,
        pools: &mut [Pool],
        affected: impl Fn(u32) -> bool,
    ) -> Vec<(u32, u32)> {
        self.each_where(pools, affected, |this, id, pool| {
            this.close(id, pool);
            true
        })
    }

    /// Looks at every connection of some pools; counts those that `closes` says are closed.
    fn each_where(
        &mut self,
        pools: &mut [Pool],
        affected: impl Fn(u32) -> bool,
        closes: impl Fn(&mut Self, u32, &mut Pool) -> bool,
    ) -> Vec<(u32, u32)> {
        let mut closed: std::collections::BTreeMap<u32, u32> = std::collections::BTreeMap::new();
        for id in 0..self.slots.len() as u32 {
            let slot = &self.slots[id as usize];
            let pool_id = slot.pool;
            if slot.phase == Phase::Closed || !affected(pool_id) {
                continue;
            }
            if closes(self, id, &mut pools[pool_id as usize]) {
                *closed.entry(pool_id).or_insert(0) += 1;
            }
        }
        closed.into_iter().collect()
    }

    /// Closes a connection of a pool that is still being made when more are made than requests
    /// wait; a look at all of them, for pools whose waiting requests leave rarely.
    pub fn close_excess(&mut self, pool: &mut Pool, pool_id: u32) -> bool {
        if pool.connecting_capacity <= u64::from(pool.waiting) {
            return false;
        }
        let connecting = |c: &Connection| c.pool == pool_id && c.phase == Phase::Connecting;
        let found = self.slots.iter().position(connecting);
        if let Some(id) = found {
            self.close(id as u32, pool);
        }
        found.is_some()
    }

    fn retire(&mut self, id: u32) {
        let slot = &mut self.slots[id as usize];
        slot.phase = Phase::Draining;
        slot.retired = Retired::HostUnhealthy;
    }

    #[inline]
    fn push_front(&mut self, id: u32, pool: &mut Pool) {
        let old = pool.ready;
        let slot = &mut self.slots[id as usize];
        slot.phase = Phase::Ready;
        slot.previous = NIL;
        slot.next = old;
        pool.free_places += slot.places();
        pool.ready = id;
        if old != NIL {
            self.slots[old as usize].previous = id;
        }
    }

    #[inline]
    fn unlink(&mut self, id: u32, pool: &mut Pool) {
        let slot = self.slots[id as usize];
        pool.free_places -= slot.places();
        if slot.previous == NIL {
            pool.ready = slot.next;
        } else {
            self.slots[slot.previous as usize].next = slot.next;
        }
        if slot.next != NIL {
            self.slots[slot.next as usize].previous = slot.previous;
        }
    }

    fn free_slot(&mut self, id: u32, pool: &mut Pool) {
        let slot = &mut self.slots[id as usize];
        slot.phase = Phase::Closed;
        slot.pool = NIL;
        slot.generation = slot.generation.wrapping_add(1) & 0x07ff_ffff;
        pool.connections -= 1;
        self.free.push(id);
    }
}

impl Pool {
    /// True when more requests wait than connections that are coming or free could take (preconnect ratio 1.0).
    #[inline]
    pub fn needs_connection(&self) -> bool {
        u64::from(self.waiting) > self.connecting_capacity + self.free_places
    }

    /// True when no connection exists, connecting ones included; such a pool may always open one.
    pub const fn is_empty(&self) -> bool {
        self.connections == 0
    }
}

#[cfg(test)]
mod tests;
