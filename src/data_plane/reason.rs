//! Why something was decided: what trails take, and `curl` and `explain` put into words.

use super::circuit_breaker::Resource;
use super::load_balancer::{ZonePick, ZonesOff};
use super::outlier_detection::Ejection;
use super::retry::{RetryDecision, TryOutcome};
use crate::http::Details;
use crate::units::{SimDuration, SimTime};
use crate::xds::route::{AbortStatus, PathMatch, TextMatch, WeightedCluster};
use crate::xds::{LbPolicy, Name};

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
