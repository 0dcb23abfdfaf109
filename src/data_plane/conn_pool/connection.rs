//! One connection, and what can become of it.

use crate::units::SimTime;
use crate::xds::cluster::PoolSettings;

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Slot is free.
    Closed,
    /// Handshake under way.
    Connecting,
    /// Has capacity: in its pool's ready list.
    Ready,
    /// No capacity left for now.
    Busy,
    /// Closes when its last request ends.
    Draining,
}

/// One connection.
#[derive(Clone, Copy, Debug)]
pub struct Connection {
    /// Its pool.
    pub pool: u32,
    /// Phase.
    pub phase: Phase,
    /// Requests on it now.
    pub streams: u32,
    /// Requests it may carry at once.
    pub(super) capacity: u32,
    /// Requests it may still carry in its life.
    pub(super) remaining: u32,
    pub(super) opened: SimTime,
    pub(super) idle_since: SimTime,
    /// Why it drains, once it does.
    pub(super) retired: Retired,
    pub(super) previous: u32,
    pub(super) next: u32,
    /// Counts how often the slot was used, so that a late event finds nothing.
    pub generation: u32,
}

impl Connection {
    /// True when its `max_connection_duration` is over.
    #[inline]
    pub(super) fn is_too_old(&self, now: SimTime, settings: &PoolSettings) -> bool {
        settings
            .max_connection_duration
            .is_some_and(|limit| now.since(self.opened) >= limit)
    }

    /// Requests it could take now.
    #[inline]
    pub(super) fn places(&self) -> u64 {
        u64::from(
            self.capacity
                .min(self.remaining.saturating_add(self.streams))
                - self.streams,
        )
    }
}

/// Why a connection was closed while it was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Idle for too long.
    pub idle: u32,
    /// Too old.
    pub aged: u32,
}

/// Why a connection takes no more requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retired {
    /// `max_requests_per_connection`.
    UsedUp,
    /// `max_connection_duration`.
    TooOld,
    /// Its host turned unhealthy.
    HostUnhealthy,
}

/// What became of a connection when one of its requests ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterStream {
    /// It is ready for the next request.
    Ready,
    /// It was closed.
    Closed(Retired),
    /// It still carries other requests and takes no more.
    Draining,
}
