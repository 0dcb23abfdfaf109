//! The inbound cluster of a server's sidecar: one host, the application beside it.
//!
//! The `connectionPool` of a DestinationRule is applied here too, so every server pod limits what
//! all of its clients together may have in its application. Connections over loopback are made
//! in no time; what is left of the pool is who passes, who waits and who is refused
//! (`source/common/conn_pool/conn_pool_base.cc`). Ejection, balancing and mirroring do not exist
//! here. Not modelled: retries of the inbound route (they need an application that refuses its
//! own sidecar's connections).

use super::circuit_breaker::Resource;
use crate::xds::cluster::Thresholds;

/// Counts of one pod's inbound cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InboundPool {
    connections: u32,
    active: u32,
    waiting: u32,
}

/// What happens to a request that arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admit {
    /// It goes to the application, over a connection made for it when `opened`.
    Forward {
        /// No open connection had a place for it.
        opened: bool,
    },
    /// It waits for a connection; the caller appends it to a FIFO.
    Wait,
    /// 503 UO; the client's proxy sees an ordinary answer.
    Overflow(Resource),
}

impl InboundPool {
    /// A request arrives; a connection carries so many `streams` at once.
    #[inline]
    pub fn arrive(&mut self, limits: &Thresholds, streams: u32) -> Admit {
        let places = u64::from(self.connections) * u64::from(streams);
        let opened = u64::from(self.active) >= places;
        if opened {
            // It counts as waiting while its connection is made.
            if self.waiting >= limits.max_pending_requests {
                return Admit::Overflow(Resource::Pending);
            }
            // A pool without a connection may always open one.
            if self.connections > 0 && self.connections >= limits.max_connections {
                self.waiting += 1;
                return Admit::Wait;
            }
            self.connections += 1;
        }
        if self.active >= limits.max_requests {
            return Admit::Overflow(Resource::Requests);
        }
        self.active += 1;
        Admit::Forward { opened }
    }

    /// A request that was forwarded ended; true when the head of the FIFO goes in its place.
    #[inline]
    #[must_use]
    pub fn leave(&mut self) -> bool {
        if self.waiting > 0 {
            self.waiting -= 1;
            true
        } else {
            self.active = self.active.saturating_sub(1);
            false
        }
    }

    /// Open connections, requests inside, and requests that wait.
    pub const fn standing(&self) -> [u32; 3] {
        [self.connections, self.active, self.waiting]
    }

    /// A waiting request's client is gone.
    pub fn cancel(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: Admit = Admit::Forward { opened: true };
    const REUSED: Admit = Admit::Forward { opened: false };

    fn limits(connections: u32, pending: u32, requests: u32) -> Thresholds {
        Thresholds {
            max_connections: connections,
            max_pending_requests: pending,
            max_requests: requests,
            ..Thresholds::default()
        }
    }

    #[test]
    fn connections_fill_then_requests_wait_then_they_are_refused() {
        let (mut pool, limits) = (InboundPool::default(), limits(2, 1, 100));
        assert_eq!(pool.arrive(&limits, 1), NEW);
        assert_eq!(pool.arrive(&limits, 1), NEW);
        assert_eq!(pool.arrive(&limits, 1), Admit::Wait);
        let refused = Admit::Overflow(Resource::Pending);
        assert_eq!(pool.arrive(&limits, 1), refused);
        assert!(pool.leave(), "the waiting one takes the place");
        assert!(!pool.leave());
        assert_eq!(pool.arrive(&limits, 1), REUSED);
    }

    #[test]
    fn a_waiting_request_may_give_up() {
        let (mut pool, limits) = (InboundPool::default(), limits(1, 1, 100));
        assert_eq!(pool.arrive(&limits, 1), NEW);
        assert_eq!(pool.arrive(&limits, 1), Admit::Wait);
        pool.cancel();
        assert_eq!(pool.arrive(&limits, 1), Admit::Wait);
    }

    #[test]
    fn streams_share_connections_up_to_the_limit_of_requests() {
        let (mut pool, limits) = (InboundPool::default(), limits(1, 5, 3));
        assert_eq!(pool.arrive(&limits, 10), NEW);
        assert_eq!(pool.arrive(&limits, 10), REUSED);
        assert_eq!(pool.arrive(&limits, 10), REUSED);
        assert_eq!(
            pool.arrive(&limits, 10),
            Admit::Overflow(Resource::Requests)
        );
    }

    #[test]
    fn no_connection_allowed_is_still_one() {
        let (mut pool, limits) = (InboundPool::default(), limits(0, 1, 100));
        assert_eq!(pool.arrive(&limits, 1), NEW);
        assert_eq!(pool.arrive(&limits, 1), Admit::Wait);
    }
}
