//! Reasons without cost.
//!
//! Code that decides takes a `&mut impl Trail` and builds a reason only `if T::ON`; with
//! [`NoTrail`] nothing is left of it after compilation. Runs pass `NoTrail`; `curl` and
//! `explain` pass a [`Recorder`] and turn the reasons into sentences.

use super::circuit_breaker::Resource;
use super::load_balancer::{ZonePick, ZonesOff};
use super::outlier_detection::Ejection;
use super::retry::{RetryDecision, TryOutcome};
use crate::http::{Details, Flags};
use crate::units::{SimDuration, SimTime};
use crate::xds::route::{AbortStatus, PathMatch, TextMatch, WeightedCluster};
use crate::xds::{LbPolicy, Name};

/// Takes reasons, or does not want any.
pub trait Trail {
    /// False when reasons are thrown away; they are then not even built.
    const ON: bool;
    /// False for runs in which no pod, way or application does what few do (events, deadlines,
    /// unusual queues): what would look after that is then not even compiled into their loop.
    const LIVELY: bool = true;
    /// True for a trail that follows requests through their whole lives: it takes marks, and
    /// reasons about any call. Others take reasons about root requests only.
    const FOLLOWS: bool = false;
    /// Takes a reason.
    fn note(&mut self, reason: Reason);
    /// The time of what comes next; told when [`Self::FOLLOWS`].
    fn at(&mut self, _: SimTime) {}
    /// Takes a mark; called when [`Self::FOLLOWS`].
    fn mark(&mut self, _: Mark) {}
    /// Wants reasons about this call; asked when [`Self::FOLLOWS`].
    fn follows(&self, _: u32) -> bool {
        false
    }
}

/// Wants no reasons.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTrail;

impl Trail for NoTrail {
    const ON: bool = false;
    const LIVELY: bool = false;
    #[inline(always)]
    fn note(&mut self, _: Reason) {}
}

/// Wants no reasons either; for runs in which rare things happen.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTrailLively;

impl Trail for NoTrailLively {
    const ON: bool = false;
    #[inline(always)]
    fn note(&mut self, _: Reason) {}
}

/// Keeps every reason in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recorder(pub Vec<Reason>);

impl Trail for Recorder {
    const ON: bool = true;
    fn note(&mut self, reason: Reason) {
        self.0.push(reason);
    }
}

/// A moment in the life of a call (a request at its client's proxy) or of a try (the same at one
/// pod). Both are named by slots, which are used again: a later `Opened` or `Sent` is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Reasons that follow are about this call.
    About(u32),
    /// A call begins.
    Opened {
        /// Its slot.
        call: u32,
        /// The pod that calls.
        pod: u32,
        /// Its route plan.
        route: u32,
        /// The try whose application calls, and the number of the call; `None` for loads and copies.
        by: Option<(u32, u32)>,
    },
    /// The call is a load's request.
    Root {
        /// Its slot.
        call: u32,
        /// The load.
        load: u32,
        /// The request's number in it.
        number: u64,
    },
    /// The call is a mirrored copy of another.
    Copied {
        /// The copy's slot.
        call: u32,
        /// The other's.
        of: u32,
    },
    /// The next call that nobody waits for is made by the application of this try.
    Causes(u32),
    /// A try begins at the proxy: its host is picked next.
    Tries {
        /// Slot of the call.
        call: u32,
    },
    /// The try is on its way.
    Sent {
        /// Slot of the call.
        call: u32,
        /// Slot of the try.
        attempt: u32,
        /// The pod it goes to.
        pod: u32,
    },
    /// It is at its pod.
    Reached(u32),
    /// Its application works on it.
    Serves(u32),
    /// The application's own work is done.
    Worked(u32),
    /// The pod answers: status, 0 for a reset.
    Answers(u32, u16),
    /// Its pod is gone; nothing more is done for it.
    Lost(u32),
    /// The news of its end travel under another slot.
    Moved {
        /// Slot of the try.
        from: u32,
        /// Slot of the news.
        to: u32,
    },
    /// The answer is back at the proxy.
    Returned(u32),
    /// The proxy has given it up; its pod may go on.
    Abandoned(u32),
    /// The call is over at its proxy.
    Closed {
        /// Slot of the call.
        call: u32,
        /// Status, 0 for none.
        status: u16,
        /// Flags.
        flags: Flags,
        /// Details.
        details: Details,
        /// Weighted cluster of the route, `u32::MAX` for none.
        weighted: u32,
    },
    /// A load's request is answered, or given up.
    Done {
        /// Slot of the call.
        call: u32,
    },
}

/// Why something was decided. Routes, virtual hosts and hosts are indexes into their tables.
#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    /// A virtual host was found by `:authority`.
    VirtualHostMatched {
        /// Index in the route configuration.
        vhost: usize,
        /// The domain that matched.
        domain: Name,
        /// How it matched.
        how: DomainMatch,
    },
    /// No virtual host has a matching domain: 404 NR.
    NoVirtualHost,
    /// A route was looked at and does not match.
    RouteSkipped {
        /// Index in the virtual host.
        route: usize,
        /// The first condition that failed.
        why: Mismatch,
    },
    /// The first route whose conditions hold.
    RouteMatched {
        /// Index in the virtual host.
        route: usize,
    },
    /// No route matches: 404 NR.
    NoRoute {
        /// The virtual host.
        vhost: usize,
    },
    /// The share of the route's clusters into which the stream's random number fell.
    WeightedPick {
        /// Index of the cluster.
        index: usize,
        /// Random number modulo the total.
        draw_mod: u64,
        /// Sum of weights.
        total: u64,
    },
    /// The path was rewritten.
    PathRewritten {
        /// Before.
        from: Name,
        /// After.
        to: Name,
    },
    /// `:authority` was rewritten.
    AuthorityRewritten {
        /// After.
        to: Name,
    },
    /// The route answers with a redirect.
    Redirect {
        /// Status code.
        status: u16,
    },
    /// The route answers itself.
    DirectResponse {
        /// Status code.
        status: u16,
    },
    /// The fault filter holds the request.
    FaultDelay {
        /// How long.
        delay: SimDuration,
    },
    /// The fault filter answers.
    FaultAbort {
        /// With what.
        status: AbortStatus,
    },
    /// A fault is configured, and this request escaped it.
    FaultNot {
        /// True for the delay, false for the abort.
        delay: bool,
    },
    /// A filter that somebody added answers.
    FilterRefused {
        /// `local_rate_limited` and the like.
        details: Details,
    },
    /// The route names a cluster the proxy does not know.
    ClusterMissing {
        /// Name of the cluster.
        cluster: Name,
        /// Status of the answer.
        status: u16,
    },
    /// The balancer chose a host.
    HostPicked {
        /// Index of the endpoint.
        host: u32,
        /// Hosts it was chosen from.
        candidates: u32,
        /// Their priority.
        priority: u32,
        /// The policy that chose.
        policy: LbPolicy,
        /// How it came to it.
        why: PickWhy,
    },
    /// A retry's pick was refused because the host was tried before (`previous_hosts`).
    HostRejected {
        /// Index of the endpoint.
        host: u32,
    },
    /// Too few hosts of the priority are healthy: all of them are used.
    Panic {
        /// The priority.
        priority: u32,
    },
    /// Routing by zone looked at the request.
    Zone {
        /// What it said.
        zone: ZonePick,
    },
    /// The cluster is not routed by zone although the proxy knows its own kind.
    NoZones {
        /// Why.
        why: ZonesOff,
    },
    /// The balancer has no host: 503 UH.
    NoHost,
    /// A circuit breaker is full.
    Overflow {
        /// Which limit.
        which: Resource,
    },
    /// A try ended and a retry was considered.
    Retry {
        /// How the try ended.
        outcome: TryOutcome,
        /// What was decided.
        decision: RetryDecision,
    },
    /// A host was ejected.
    Ejected {
        /// Index of the endpoint.
        host: u32,
        /// Why.
        kind: Ejection,
        /// Earliest return.
        until: SimTime,
    },
    /// A timeout fired.
    Timeout {
        /// Which one.
        which: Timer,
        /// Its length.
        after: SimDuration,
    },
    /// An AuthorizationPolicy refused; `None`: no ALLOW policy matched.
    Denied {
        /// The policy.
        policy: Option<Name>,
    },
}

impl Reason {
    /// The reason for [`super::pick_weighted`]'s answer.
    pub fn weighted(clusters: &[WeightedCluster], stream_random: u64) -> Self {
        let total: u64 = clusters.iter().map(|c| u64::from(c.weight)).sum();
        Self::WeightedPick {
            index: super::pick_weighted(clusters, stream_random),
            draw_mod: stream_random.checked_rem(total).unwrap_or(0),
            total,
        }
    }
}

/// A timer of a request at a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// Of one try.
    PerTry,
    /// Of the silence of one try.
    PerTryIdle,
    /// Of one try, as its cluster says.
    TryDuration,
    /// Of all tries.
    Route,
    /// Of the silence of the stream.
    StreamIdle,
    /// Of the whole stream.
    StreamDuration,
}

/// How a domain matched `:authority`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DomainMatch {
    /// Equal.
    Exact,
    /// `*.suffix`.
    Suffix,
    /// `prefix.*`.
    Prefix,
    /// `*`.
    Any,
}

/// How a balancer came to its choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PickWhy {
    /// Round robin: its turn.
    Turn,
    /// EDF schedule of unequal weights.
    Schedule,
    /// Least request: the fewest active requests among the random choices.
    FewestActive {
        /// Active requests of the chosen host.
        active: u32,
        /// Random choices made.
        choices: u32,
    },
    /// Uniform.
    Random,
    /// By hash of the request.
    Hash {
        /// The hash.
        hash: u64,
    },
    /// By a random hash: the request has none.
    RandomHash,
}

/// Which condition of a route failed first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// The path.
    Path {
        /// What was asked for.
        expected: PathMatch,
        /// The normalised path without query.
        got: Name,
    },
    /// A header that must be there is missing.
    HeaderMissing {
        /// Its name.
        name: Name,
    },
    /// A header that must not be there is.
    HeaderPresent {
        /// Its name.
        name: Name,
    },
    /// No value of a header fits (`inverted`: a value fits that must not).
    HeaderValue {
        /// Its name.
        name: Name,
        /// The condition.
        expected: TextMatch,
        /// True for `withoutHeaders`.
        inverted: bool,
        /// Its first value.
        got: Name,
    },
    /// A query parameter is missing.
    QueryMissing {
        /// Its name.
        name: Name,
    },
    /// A query parameter has another value.
    QueryValue {
        /// Its name.
        name: Name,
        /// The condition.
        expected: TextMatch,
        /// Its first value.
        got: Name,
    },
}

impl Mismatch {
    /// The failed condition in words: ``header `user-group` is missing``.
    pub fn describe(&self) -> String {
        match self {
            Self::Path { expected, got } => match expected {
                PathMatch::Prefix(p) => format!("path `{got}` does not begin with `{p}`"),
                PathMatch::Exact(p) => format!("path `{got}` is not `{p}`"),
                PathMatch::Regex(p) => {
                    format!("path `{got}` does not match the regular expression `{p}`")
                }
                PathMatch::SegmentPrefix(p) => {
                    format!("path `{got}` is neither `{p}` nor below `{p}/`")
                }
            },
            Self::HeaderMissing { name } => format!("header `{name}` is missing"),
            Self::HeaderPresent { name } => {
                format!("header `{name}` is there, and must be absent")
            }
            Self::HeaderValue {
                name,
                expected,
                inverted,
                got,
            } => {
                let failed = failed(expected, *inverted);
                format!("header `{name}` is `{got}`{failed}")
            }
            Self::QueryMissing { name } => format!("query parameter `{name}` is missing"),
            Self::QueryValue {
                name,
                expected,
                got,
            } => {
                let failed = failed(expected, false);
                format!("query parameter `{name}` is `{got}`{failed}")
            }
        }
    }
}

/// The failed condition, after "is `value`".
fn failed(expected: &TextMatch, inverted: bool) -> String {
    let verb = if inverted { "must not" } else { "does not" };
    match expected {
        TextMatch::Exact(text) if inverted => format!(", and must not be `{text}`"),
        TextMatch::Exact(text) => format!(", not `{text}`"),
        TextMatch::Prefix(text) => format!(", and {verb} begin with `{text}`"),
        TextMatch::Regex(text) => {
            format!(", and {verb} match the regular expression `{text}`")
        }
        TextMatch::Present => ", and must be absent".to_owned(),
    }
}
