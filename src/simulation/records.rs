//! What a run keeps records of: calls, tries, what a proxy knows of a cluster, users.

use std::sync::Arc;

use super::plan::NIL;
use crate::data_plane::circuit_breaker::Breakers;
use crate::data_plane::merge_window::MergeWindow;
use crate::data_plane::outlier_detection::Monitor;
use crate::data_plane::retry::RetryState;
use crate::data_plane::{HostSet, LbState, LbView};
use crate::engine::rng::Seed;
use crate::engine::{LaneId, TimerId};
use crate::http::{Details, Flags};
use crate::network::Link;
use crate::units::SimTime;

/// Hosts of earlier tries that are remembered for `previous_hosts`; of more tries than that, the
/// latest replaces the last one.
pub(super) const TRIED_MAX: usize = 16;

/// Who waits for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parent {
    /// A load; `user` is `NIL` for open loops.
    Root { load: u32, user: u32 },
    /// The application of an attempt (`NIL`: it does not wait), with the number of the call and
    /// which of the application's own tries it is (`app_retry.rs`).
    Attempt { attempt: u32, call: u32 },
    /// Nobody: a mirrored copy.
    Shadow,
}

/// Where a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Slot is free.
    Free,
    /// On its way to a gateway, or held by the fault filter.
    Held,
    /// Waits for a connection.
    Pending,
    /// A try is out.
    InFlight,
    /// Between two tries.
    Backoff,
    /// Answered; the answer travels to a client outside.
    Returning,
}

/// One logical request at a client's proxy: made of one or more tries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) generation: u32,
    pub(super) state: State,
    pub(super) parent: Parent,
    pub(super) route: u32,
    pub(super) weighted: u32,
    pub(super) pod: u32,
    pub(super) worker: u32,
    pub(super) edge: u32,
    pub(super) host: u32,
    /// The host's workload, in the plan's list of targets.
    pub(super) target: u32,
    pub(super) attempt: u32,
    /// Key of its draws: root and position.
    pub(super) key: u64,
    /// Number drawn for the root's drawn header.
    pub(super) drawn: u64,
    /// Index of the text before that number.
    pub(super) prefix: u32,
    /// Number of the root request within its load.
    pub(super) number: u64,
    pub(super) started: SimTime,
    pub(super) hash: Option<u64>,
    pub(super) tries: u32,
    pub(super) retry: RetryState,
    pub(super) request_sent: bool,
    pub(super) flags: Flags,
    pub(super) status: u16,
    pub(super) details: Details,
    pub(super) route_timer: TimerId,
    pub(super) try_timer: TimerId,
    pub(super) app_timer: TimerId,
    /// Neighbours in the list of requests that wait for a connection.
    pub(super) previous: u32,
    pub(super) next: u32,
}

impl Call {
    /// One that nobody has taken yet.
    pub(super) const FREE: Self = Self {
        generation: 0,
        state: State::Free,
        parent: Parent::Shadow,
        route: NIL,
        weighted: NIL,
        pod: NIL,
        worker: 0,
        edge: NIL,
        host: NIL,
        target: NIL,
        attempt: NIL,
        key: 0,
        drawn: 0,
        prefix: NIL,
        number: 0,
        started: SimTime::ZERO,
        hash: None,
        tries: 0,
        retry: RetryState::IDLE,
        request_sent: false,
        flags: Flags::NONE,
        status: 0,
        details: Details::ViaUpstream,
        route_timer: TimerId::NONE,
        try_timer: TimerId::NONE,
        app_timer: TimerId::NONE,
        previous: NIL,
        next: NIL,
    };
}

/// What an attempt's application will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Answer; `None` is the ordinary status after the calls.
    Answer(Option<u16>),
    /// Answer as this entry of the application's errors says: it has headers.
    Listed(u16),
    /// Close the connection.
    Reset,
    /// Refuse the stream (HTTP/2), else close the connection.
    Refuse,
    /// Never answer.
    Hang,
    /// Its pod is gone, the end of its work is still in the queue.
    Dead,
    /// Its pod is gone with its packets; nothing in the queue speaks of it.
    Lost,
}

impl Fate {
    /// No answer, but an end.
    pub(super) const fn is_reset(self) -> bool {
        matches!(self, Self::Reset | Self::Refuse)
    }
}

/// One try at one pod. Lives on when its call gave up: servers keep working.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    /// Its call, `NIL` once the call gave it up.
    pub(super) call: u32,
    pub(super) pod: u32,
    /// The pod's workload.
    pub(super) app: u32,
    pub(super) edge: u32,
    pub(super) host: u32,
    pub(super) pool: u32,
    pub(super) connection: u32,
    /// What it is to its pod, in the plan's list of targets.
    pub(super) target: u32,
    /// The way between the two pods.
    pub(super) link: Link,
    pub(super) key: u64,
    pub(super) drawn: u64,
    pub(super) prefix: u32,
    pub(super) arrived: SimTime,
    pub(super) step: u32,
    pub(super) outstanding: u32,
    pub(super) fate: Fate,
    /// Status to answer with; 0 while undecided.
    pub(super) status: u16,
    /// Holds a slot of its pod.
    pub(super) serving: bool,
    /// Arrived at the pod's application (for its statistics).
    pub(super) admitted: bool,
    /// The server has a sidecar.
    pub(super) behind_sidecar: bool,
    /// Waits in that sidecar for a connection to the application.
    pub(super) waits_at_gate: bool,
    /// Gate it passed or waits at, `NIL` for none.
    pub(super) gate: u32,
    /// Next in the gate's or the pod's queue.
    pub(super) next: u32,
}

/// An application, its pod, and what a request is to it in the plan's list of targets.
pub(super) type Server = (u32, u32, u32);
/// Key of a request's draws, the number that was drawn for its header, and the text before that.
pub(super) type Luck = (u64, u64, u32);

impl Attempt {
    /// Who makes the calls of this request, and by which luck.
    #[inline]
    pub(super) const fn caller(&self) -> (Server, Luck) {
        let server = (self.app, self.pod, self.target);
        (server, (self.key, self.drawn, self.prefix))
    }

    /// One that nobody has taken yet.
    pub(super) const FREE: Self = Self {
        call: NIL,
        pod: NIL,
        app: NIL,
        edge: NIL,
        host: NIL,
        pool: NIL,
        connection: NIL,
        target: NIL,
        link: Link(0),
        key: 0,
        drawn: 0,
        prefix: NIL,
        arrived: SimTime::ZERO,
        step: 0,
        outstanding: 0,
        fate: Fate::Answer(None),
        status: 0,
        serving: false,
        admitted: false,
        behind_sidecar: false,
        waits_at_gate: false,
        gate: NIL,
        next: NIL,
    };
}

/// What one client pod's proxy knows of one cluster. Made on first use.
#[derive(Debug)]
pub(super) struct Edge {
    /// The pod whose proxy it is.
    pub(super) pod: u32,
    pub(super) slot: u32,
    pub(super) cluster: u32,
    pub(super) breakers: Breakers,
    pub(super) monitor: Monitor,
    /// The monitor as it was when its counts were last added to the statistics.
    pub(super) counted: Monitor,
    pub(super) merge: MergeWindow,
    pub(super) sweep_armed: bool,
    /// No idle connection expires before this.
    pub(super) next_expiry: SimTime,
    /// First of its hosts in `hosts` and `outliers`.
    pub(super) hosts: u32,
    /// First of its pools: worker × hosts + host.
    pub(super) pools: u32,
    pub(super) host_count: u32,
    /// First of its hosts in `checked`, where health is checked.
    pub(super) checked: Option<u32>,
    /// It has opened a connection.
    pub(super) had_connection: bool,
    /// Own hosts, once some have come or gone; else the cluster plan's.
    pub(super) set: Option<Arc<HostSet>>,
    /// Own view while somebody is out; else the cluster plan's.
    pub(super) view: Option<Box<LbView>>,
    /// Balancer memory per worker.
    pub(super) balancers: Box<[LbState]>,
}

/// A closed-loop user.
#[derive(Clone, Copy, Debug)]
pub(super) struct User {
    pub(super) load: u32,
    pub(super) pod: u32,
    pub(super) worker: u32,
    /// Which of the load's users it is: what its luck belongs to.
    pub(super) place: u32,
    /// Requests it has sent, for pacing.
    pub(super) sent: u64,
    /// Requests it sends in all.
    pub(super) share: u64,
}

/// Progress of a load.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LoadState {
    pub(super) key: u64,
    pub(super) sent: u64,
    pub(super) limit: u64,
    /// Where a rate that changes has got to: events of a process with rate one, and the piece of
    /// the curve.
    pub(super) due: f64,
    pub(super) piece: usize,
}

/// Keys of request-bound draws, one per purpose.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keys {
    pub(super) stream: u64,
    pub(super) delay: u64,
    pub(super) abort: u64,
    pub(super) pick: u64,
    pub(super) backoff: u64,
    pub(super) there: u64,
    pub(super) back: u64,
    pub(super) connect: u64,
    pub(super) service: u64,
    pub(super) error: u64,
    pub(super) worker: u64,
    pub(super) accept: u64,
    pub(super) mix: u64,
    pub(super) drawn: u64,
    pub(super) gap: u64,
    pub(super) think: u64,
    pub(super) child: u64,
    pub(super) attempt: u64,
    pub(super) again: u64,
    pub(super) filter: u64,
    pub(super) chance: u64,
    pub(super) cache: u64,
    pub(super) cpu: u64,
    pub(super) times: u64,
}

impl Keys {
    pub(super) fn new(seed: Seed) -> Self {
        let key = |purpose: &str| seed.key(purpose, "");
        Self {
            stream: key("stream"),
            delay: key("fault-delay"),
            abort: key("fault-abort"),
            pick: key("host-pick"),
            backoff: key("retry-backoff"),
            there: key("network-there"),
            back: key("network-back"),
            connect: key("connect"),
            service: key("service-time"),
            error: key("application-error"),
            worker: key("worker"),
            accept: key("accept"),
            mix: key("mix"),
            drawn: key("drawn-header"),
            gap: key("gap"),
            think: key("think"),
            child: key("call"),
            filter: key("http-filter"),
            chance: key("call-chance"),
            cache: key("cache"),
            cpu: key("cpu-time"),
            times: key("call-times"),
            attempt: key("try"),
            again: key("application-retry"),
        }
    }
}

/// Timer lanes of a route plan.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lanes {
    pub(super) route: Option<LaneId>,
    pub(super) per_try: Option<LaneId>,
}
