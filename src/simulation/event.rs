//! The closed list of events, packed into eight bytes: kind, generation, index.

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A load's next open-loop request (index: load).
    Arrival,
    /// A closed-loop user sends its next request (index: user).
    UserReady,
    /// A request reaches a gateway from outside (index: call).
    ReachedGateway,
    /// An injected delay is over (index: call).
    FaultDelayElapsed,
    /// A connection is made (index: connection).
    ConnectionReady,
    /// A connection was refused or its handshake failed (index: connection).
    ConnectionRefused,
    /// A connection was not made in time (index: connection).
    ConnectionTimedOut,
    /// A try reaches its pod (index: attempt).
    AttemptReachedServer,
    /// A pod's own work is done (index: attempt).
    WorkDone,
    /// A response (or reset) reaches the client's proxy (index: attempt).
    ResponseReachedClient,
    /// A per-try timeout (index: call).
    AttemptTimedOut,
    /// A route timeout (index: call).
    RequestTimedOut,
    /// The application's own timeout (index: call).
    ApplicationTimedOut,
    /// A back-off is over (index: call).
    BackoffElapsed,
    /// An outlier sweep of a proxy's cluster (index: edge).
    OutlierSweep,
    /// Put-off health changes become effective (index: edge).
    HealthMerged,
    /// A response leaves a gateway for a client outside (index: call).
    ReachedOutside,
    /// Counting begins.
    WarmUpOver,
    /// A limit on a stream (index: call).
    StreamTimedOut,
    /// A server's sidecar's back-off is over (index: attempt).
    InboundBackoffElapsed,
    /// An application repeats a request (index: repeat).
    ApplicationTriesAgain,
    /// A health check begins or ends (index: checked host).
    HealthCheck,
    /// Something that the scenario wants to happen (index: action).
    TimelineAction,
    /// A pod's life goes on (index: step).
    PodChanged,
    /// The control plane asks itself whether to push.
    PushDue,
    /// A push has reached a proxy (index: pod; generation: number of the push).
    ProxyUpdated,
    /// The deadline of a call is over that its caller's caller set (index: call).
    DeadlineExceeded,
    /// An autoscaler looks at its pods (index: autoscaler).
    AutoscalerTick,
    /// A call has waited for its pool for too long (index: wait).
    PoolTimedOut,
}

const KINDS: [Kind; 29] = [
    Kind::Arrival,
    Kind::UserReady,
    Kind::ReachedGateway,
    Kind::FaultDelayElapsed,
    Kind::ConnectionReady,
    Kind::ConnectionRefused,
    Kind::ConnectionTimedOut,
    Kind::AttemptReachedServer,
    Kind::WorkDone,
    Kind::ResponseReachedClient,
    Kind::AttemptTimedOut,
    Kind::RequestTimedOut,
    Kind::ApplicationTimedOut,
    Kind::BackoffElapsed,
    Kind::OutlierSweep,
    Kind::HealthMerged,
    Kind::ReachedOutside,
    Kind::WarmUpOver,
    Kind::StreamTimedOut,
    Kind::InboundBackoffElapsed,
    Kind::ApplicationTriesAgain,
    Kind::HealthCheck,
    Kind::TimelineAction,
    Kind::PodChanged,
    Kind::PushDue,
    Kind::ProxyUpdated,
    Kind::DeadlineExceeded,
    Kind::AutoscalerTick,
    Kind::PoolTimedOut,
];

/// Bits of a generation.
pub(crate) const GENERATION_MASK: u32 = 0x07ff_ffff;

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event(u64);

const _: () = assert!(
    size_of::<Event>() == 8,
    "events are copied on every heap move"
);

impl Event {
    /// An event about something that cannot be gone by then.
    #[inline]
    pub(crate) const fn new(kind: Kind, index: u32) -> Self {
        Self::stamped(kind, index, 0)
    }

    /// An event that finds nothing when the slot was used again meanwhile.
    #[inline]
    pub(crate) const fn stamped(kind: Kind, index: u32, generation: u32) -> Self {
        Self(((kind as u64) << 59) | (((generation & GENERATION_MASK) as u64) << 32) | index as u64)
    }

    /// What happens.
    #[inline]
    pub(crate) const fn kind(self) -> Kind {
        KINDS[(self.0 >> 59) as usize]
    }

    /// To whom.
    #[inline]
    pub(crate) const fn index(self) -> u32 {
        self.0 as u32
    }

    /// Which use of the slot.
    #[inline]
    pub(crate) const fn generation(self) -> u32 {
        ((self.0 >> 32) as u32) & GENERATION_MASK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_keeps_every_part() {
        for (at, kind) in KINDS.iter().enumerate() {
            let event = Event::stamped(*kind, u32::MAX - 1, 12_345);
            assert_eq!(
                (event.kind(), event.index(), event.generation()),
                (*kind, u32::MAX - 1, 12_345)
            );
            assert_eq!(*kind as usize, at, "the table is in declaration order");
        }
    }
}
