//! Clusters: a named group of endpoints with the policies that apply to it.

use std::sync::Arc;

use super::endpoint::LocalityPolicy;
use super::snapshot::Protocol;
use super::{Endpoint, Name};
use crate::units::{Fraction, Origin, SimDuration};

pub use super::health_check::{HealthCheck, HealthCheckKind};
pub use super::outlier_detection::{Consecutive, FailurePercentage, OutlierDetection, SuccessRate};

/// "No limit" of a circuit breaker, as Istio writes it.
pub const UNLIMITED: u32 = u32::MAX;

/// One cluster of a proxy.
#[derive(Clone, Debug, PartialEq)]
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
    /// The rest of `common_lb_config`.
    pub common_lb: CommonLb,
    /// Active health checks.
    pub health_checks: Vec<HealthCheck>,
    /// Client-side TLS.
    pub tls: Tls,
    /// The Service or ServiceEntry.
    pub origin: Origin,
    /// The DestinationRule (and subset) whose policy applies; built in when there is none.
    pub policy_origin: Origin,
}

impl Cluster {
    /// True when a proxy that has one of them takes the other for no change: everything is the
    /// same but the places it was written at.
    pub fn behaves_as(&self, other: &Self) -> bool {
        self.without_places() == other.without_places()
    }

    fn without_places(&self) -> Self {
        let mut bare = self.clone();
        let nowhere = Origin::BUILT_IN;
        (bare.origin, bare.policy_origin, bare.breakers.origin) = (nowhere, nowhere, nowhere);
        bare.outlier.iter_mut().for_each(|o| o.origin = nowhere);
        (bare.health_checks.iter_mut()).for_each(|check| check.origin = nowhere);
        bare
    }
}

/// The host in a cluster's name: `reviews.default.svc.cluster.local` in `outbound|9080|v1|reviews.…`.
pub fn service_host(name: &str) -> &str {
    name.rsplit('|').next().unwrap_or(name)
}

/// A host without the domain of the cluster, as people say it: `reviews.default`.
pub fn short_host(host: &str) -> &str {
    host.strip_suffix(".svc.cluster.local").unwrap_or(host)
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
        /// `selection_method: FULL_SCAN`: the least loaded of all.
        full_scan: bool,
        /// `active_request_bias` in thousandths, 1000: how much active requests take from
        /// unequal weights.
        bias: u32,
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

impl LbPolicy {
    /// LEAST_REQUEST as istiod writes it.
    pub const LEAST_REQUEST: Self = Self::LeastRequest {
        choice_count: 2,
        full_scan: false,
        bias: 1000,
    };
}

/// `common_lb_config` beside the panic threshold and the locality weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommonLb {
    /// How long changes of health are collected; see
    /// [`merge_window`](crate::data_plane::merge_window).
    pub update_merge_window: SimDuration,
    /// `consistent_hashing_lb_config.hash_balance_factor`, at least 100: a host takes at most this
    /// percentage of the average load.
    pub hash_balance_factor: Option<u32>,
    /// `zone_aware_lb_config`; excludes locality weights.
    pub zone_aware: Option<ZoneAware>,
}

/// Routing to the client's own zone first (`zone_aware_lb_config`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZoneAware {
    /// Share of requests it applies to.
    pub routing_enabled: Fraction,
    /// Healthy hosts the cluster needs (Envoy 6).
    pub min_cluster_size: u64,
    /// In panic nobody is picked (503 UH) instead of everybody, also where no zone matters.
    pub fail_traffic_on_panic: bool,
}

impl Default for ZoneAware {
    fn default() -> Self {
        Self {
            routing_enabled: Fraction::ONE,
            min_cluster_size: 6,
            fail_traffic_on_panic: false,
        }
    }
}

impl Default for CommonLb {
    fn default() -> Self {
        Self {
            update_merge_window: SimDuration::from_secs(1),
            hash_balance_factor: None,
            zone_aware: None,
        }
    }
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
    /// Connection pools: of a worker, one per host with requests or connections.
    pub max_connection_pools: u32,
    /// Connections to one host (`per_host_thresholds`).
    pub max_connections_per_host: u32,
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
            max_connection_pools: UNLIMITED,
            max_connections_per_host: UNLIMITED,
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
    /// Greatest length of a try (`common_http_protocol_options.max_stream_duration`).
    pub max_stream_duration: Option<SimDuration>,
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
            max_stream_duration: None,
            max_concurrent_streams: 1024,
        }
    }
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
