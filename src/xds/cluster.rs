//! Clusters: a named group of endpoints with the policies that apply to it.

use std::sync::Arc;

use super::endpoint::LocalityPolicy;
use super::snapshot::Protocol;
use super::{Endpoint, Name};
use crate::units::{Fraction, Origin, SimDuration};

/// "No limit" of a circuit breaker, as Istio writes it.
pub const UNLIMITED: u32 = u32::MAX;

/// One cluster of a proxy.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// `outbound|9080|v1|reviews.default.svc.cluster.local`, `PassthroughCluster`, `inbound|8080||`.
    pub name: Name,
    /// FQDN of the service; empty for the special clusters.
    pub host: Name,
    /// Service port.
    pub port: u16,
    /// Subset name, empty for the default cluster.
    pub subset: Name,
    /// How endpoints are found.
    pub kind: ClusterKind,
    /// Protocol of the service port.
    pub protocol: Protocol,
    /// Protocol spoken upstream.
    pub upstream: Upstream,
    /// Members, before locality priorities.
    pub endpoints: Arc<[Endpoint]>,
    /// Locality load balancing settings; see [`super::endpoint::localize`].
    pub locality: LocalityPolicy,
    /// Balancing policy.
    pub lb: LbPolicy,
    /// Slow start of new endpoints (RR and LEAST_REQUEST only).
    pub warmup: Option<Warmup>,
    /// Circuit breaker thresholds.
    pub breakers: Thresholds,
    /// Connection settings.
    pub pool: PoolSettings,
    /// `None`: no ejection at all.
    pub outlier: Option<OutlierDetection>,
    /// Healthy share below which all endpoints are used; 0 switches panic mode off.
    pub panic_threshold: Fraction,
    /// Client-side TLS.
    pub tls: Tls,
    /// The Service or ServiceEntry.
    pub origin: Origin,
    /// The DestinationRule (and subset) whose policy applies; built in when there is none.
    pub policy_origin: Origin,
}

/// How a cluster finds its endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClusterKind {
    /// Endpoints are sent by the control plane.
    Eds,
    /// Endpoints are names resolved by DNS, all addresses used.
    StrictDns,
    /// One name; every new connection goes to the newest address.
    LogicalDns,
    /// The address the client itself chose.
    OriginalDst,
    /// Written in the bootstrap; `BlackHoleCluster` has none.
    Static,
}

/// Protocol spoken upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Upstream {
    /// HTTP/1.1: one request at a time per connection.
    Http1,
    /// HTTP/2: many streams per connection.
    Http2,
    /// Whatever the downstream spoke (`Auto` ports, `useClientProtocol`).
    Downstream,
    /// Opaque bytes.
    Tcp,
}

/// Load balancing policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LbPolicy {
    /// In turn, or EDF with unequal weights.
    RoundRobin,
    /// The less loaded of `choice_count` random hosts (Istio's default).
    LeastRequest {
        /// Random choices, 2.
        choice_count: u32,
    },
    /// Uniform, weights ignored.
    Random,
    /// Consistent hashing on a ring.
    RingHash {
        /// Minimum number of entries (Istio 1024).
        minimum_ring_size: u64,
    },
    /// Consistent hashing by table.
    Maglev {
        /// Table size, prime (65537).
        table_size: u64,
    },
    /// The original destination address; no choice is made.
    ClusterProvided,
}

/// Slow start (`slow_start_config`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Warmup {
    /// Length of the ramp.
    pub duration: SimDuration,
    /// Least share of the weight.
    pub minimum: Fraction,
    /// Exponent.
    pub aggression: f64,
}

/// Circuit breaker thresholds, per client proxy and cluster, over all hosts and workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Connections.
    pub max_connections: u32,
    /// Requests that wait for a connection.
    pub max_pending_requests: u32,
    /// Requests in flight, HTTP/1.1 and HTTP/2 alike.
    pub max_requests: u32,
    /// Concurrent retries.
    pub max_retries: u32,
    /// Replaces `max_retries`: (share of active and pending requests, minimum concurrency).
    pub retry_budget: Option<(Fraction, u32)>,
    /// Where `connectionPool` was written.
    pub origin: Origin,
}

impl Default for Thresholds {
    /// Istio's: everything unlimited.
    fn default() -> Self {
        Self {
            max_connections: UNLIMITED,
            max_pending_requests: UNLIMITED,
            max_requests: UNLIMITED,
            max_retries: UNLIMITED,
            retry_budget: None,
            origin: Origin::BUILT_IN,
        }
    }
}

/// Connection settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolSettings {
    /// TCP and TLS together (Istio 10 s).
    pub connect_timeout: SimDuration,
    /// Requests after which a connection is closed; 0 is unlimited.
    pub max_requests_per_connection: u32,
    /// A connection without requests is closed after this (Envoy 1 h).
    pub idle_timeout: SimDuration,
    /// Greatest age of a connection.
    pub max_connection_duration: Option<SimDuration>,
    /// HTTP/2 streams per connection (Envoy 1024).
    pub max_concurrent_streams: u32,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            connect_timeout: SimDuration::from_secs(10),
            max_requests_per_connection: 0,
            idle_timeout: SimDuration::from_secs(3600),
            max_connection_duration: None,
            max_concurrent_streams: 1024,
        }
    }
}

/// Outlier detection (`envoy.config.cluster.v3.OutlierDetection`), as Istio writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutlierDetection {
    /// Consecutive 5xx before ejection; `None`: not enforced.
    pub consecutive_5xx: Option<u32>,
    /// Consecutive 502, 503, 504 before ejection; `None`: not enforced.
    pub consecutive_gateway_failure: Option<u32>,
    /// Consecutive local-origin failures (with `split_local_origin` only).
    pub consecutive_local_origin_failure: Option<u32>,
    /// Connect failures and timeouts are counted apart from answers.
    pub split_local_origin: bool,
    /// Time between sweeps.
    pub interval: SimDuration,
    /// Ejection time, multiplied by the number of ejections.
    pub base_ejection_time: SimDuration,
    /// Cap of the ejection time.
    pub max_ejection_time: SimDuration,
    /// Greatest share of hosts ejected at once, in percent.
    pub max_ejection_percent: u32,
    /// Where `outlierDetection` was written.
    pub origin: Origin,
}

/// Client-side transport.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    /// Auto mTLS: mutual TLS to endpoints that have a sidecar, plaintext to the others.
    #[default]
    Auto,
    /// Plaintext.
    Disable,
    /// Mutual TLS with mesh certificates to every endpoint.
    IstioMutual,
    /// TLS origination with this server name.
    Simple {
        /// SNI; empty: from the Host header.
        sni: Name,
        /// True for MUTUAL.
        mutual: bool,
    },
}
