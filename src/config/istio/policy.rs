//! DestinationRule as written (`networking/v1alpha3/destination_rule.proto`).
//!
//! Numbers keep "not written" (`None`) apart from a written zero, because Istio does.

use std::collections::BTreeMap;

use super::mesh::{LocalityLbSetting, ZoneAwareLbSetting};
use crate::config::Meta;
use crate::units::{Origin, SimDuration};
use crate::xds::Name;

/// `DestinationRule`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationRule {
    /// Metadata.
    pub meta: Meta,
    /// Host as written.
    pub host: Name,
    /// Policy of every subset that has none of its own.
    pub policy: Option<TrafficPolicy>,
    /// Subsets.
    pub subsets: Vec<Subset>,
    /// As written; empty means the mesh default.
    pub export_to: Vec<Name>,
    /// `workloadSelector.matchLabels`.
    pub workload_selector: Option<BTreeMap<Name, Name>>,
}

/// One subset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subset {
    /// Name.
    pub name: Name,
    /// Labels an endpoint must have.
    pub labels: BTreeMap<Name, Name>,
    /// Policy that replaces blocks of the rule's.
    pub policy: Option<TrafficPolicy>,
    /// Where it was written.
    pub origin: Origin,
}

/// `trafficPolicy`, or the policy part of a `portLevelSettings` entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrafficPolicy {
    /// `connectionPool`.
    pub connection_pool: Option<ConnectionPool>,
    /// `loadBalancer`.
    pub load_balancer: Option<LoadBalancer>,
    /// `outlierDetection`.
    pub outlier_detection: Option<OutlierDetection>,
    /// `tls`.
    pub tls: Option<TlsSettings>,
    /// `portLevelSettings`.
    pub ports: Vec<PortPolicy>,
    /// `retryBudget`.
    pub retry_budget: Option<RetryBudget>,
    /// `tunnel` is set (named as not simulated).
    pub has_tunnel: bool,
    /// `proxyProtocol` is set (no effect on simulated behaviour).
    pub has_proxy_protocol: bool,
    /// Where it was written.
    pub origin: Origin,
}

/// One entry of `portLevelSettings`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortPolicy {
    /// Service port.
    pub port: u16,
    /// Its policy (never has ports, tunnel, budget).
    pub policy: TrafficPolicy,
}

/// `connectionPool`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionPool {
    /// `tcp.maxConnections`.
    pub max_connections: Option<u32>,
    /// `tcp.connectTimeout`.
    pub connect_timeout: Option<SimDuration>,
    /// `tcp.idleTimeout`.
    pub tcp_idle_timeout: Option<SimDuration>,
    /// `tcp.maxConnectionDuration`.
    pub max_connection_duration: Option<SimDuration>,
    /// `http.http1MaxPendingRequests`.
    pub http1_max_pending_requests: Option<u32>,
    /// `http.http2MaxRequests`.
    pub http2_max_requests: Option<u32>,
    /// `http.maxRequestsPerConnection`.
    pub max_requests_per_connection: Option<u32>,
    /// `http.maxRetries`.
    pub max_retries: Option<u32>,
    /// `http.idleTimeout`.
    pub http_idle_timeout: Option<SimDuration>,
    /// `http.maxConcurrentStreams`.
    pub max_concurrent_streams: Option<u32>,
    /// `http.h2UpgradePolicy`.
    pub h2_upgrade: UpgradePolicy,
    /// `http.useClientProtocol`.
    pub use_client_protocol: bool,
    /// Where it was written.
    pub origin: Origin,
}

/// `h2UpgradePolicy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpgradePolicy {
    /// The mesh's.
    #[default]
    Default,
    /// Keep HTTP/1.1.
    DoNotUpgrade,
    /// HTTP/2 upstream.
    Upgrade,
}

/// `outlierDetection`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutlierDetection {
    /// `consecutive5xxErrors`.
    pub consecutive_5xx: Option<u32>,
    /// `consecutiveGatewayErrors`.
    pub consecutive_gateway: Option<u32>,
    /// `consecutiveLocalOriginFailures`.
    pub consecutive_local_origin: Option<u32>,
    /// `splitExternalLocalOriginErrors`.
    pub split_local_origin: bool,
    /// `interval`.
    pub interval: Option<SimDuration>,
    /// `baseEjectionTime`.
    pub base_ejection_time: Option<SimDuration>,
    /// `maxEjectionPercent`; 0 counts as not written.
    pub max_ejection_percent: Option<u32>,
    /// `minHealthPercent`.
    pub min_health_percent: u32,
    /// Where it was written.
    pub origin: Origin,
}

/// `loadBalancer`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadBalancer {
    /// `simple`.
    pub simple: SimpleLb,
    /// `consistentHash`.
    pub consistent_hash: Option<ConsistentHash>,
    /// `localityLbSetting`.
    pub locality: Option<LocalityLbSetting>,
    /// `warmup` or `warmupDurationSecs`.
    pub warmup: Option<Warmup>,
    /// `zoneAwareLbSetting` (1.31+).
    pub zone_aware: Option<ZoneAwareLbSetting>,
    /// Where it was written.
    pub origin: Origin,
}

/// `simple`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SimpleLb {
    /// Not written, UNSPECIFIED, LEAST_REQUEST or LEAST_CONN.
    #[default]
    LeastRequest,
    /// ROUND_ROBIN.
    RoundRobin,
    /// RANDOM.
    Random,
    /// PASSTHROUGH.
    Passthrough,
}

/// `consistentHash`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistentHash {
    /// What is hashed; `None`: nothing was given.
    pub key: Option<HashKey>,
    /// `ringHash.minimumRingSize` or the deprecated `minimumRingSize`; 0 when not written.
    pub minimum_ring_size: u64,
    /// `maglev`: table size (0 when not written).
    pub maglev: Option<u64>,
}

/// What a consistent hash reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashKey {
    /// `httpHeaderName`.
    Header(Name),
    /// `httpCookie`.
    Cookie {
        /// Name.
        name: Name,
        /// Path.
        path: Name,
        /// `ttl`; `None` when not written.
        ttl: Option<SimDuration>,
    },
    /// `useSourceIp`.
    SourceIp,
    /// `httpQueryParameterName`.
    Query(Name),
}

/// `warmup`; thousandths keep it comparable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warmup {
    /// `duration`.
    pub duration: SimDuration,
    /// `minimumPercent` in thousandths of a percent (default 10 %).
    pub minimum_percent_milli: u32,
    /// `aggression` in thousandths (default 1.0).
    pub aggression_milli: u32,
}

/// `retryBudget`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryBudget {
    /// `percent` in thousandths of a percent; `None` when not written.
    pub percent_milli: Option<u32>,
    /// `minRetryConcurrency`; `None` when not written.
    pub min_retry_concurrency: Option<u32>,
}

/// `tls.mode` of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsMode {
    /// Plaintext.
    #[default]
    Disable,
    /// TLS.
    Simple,
    /// TLS with own client certificate.
    Mutual,
    /// Mesh mTLS.
    IstioMutual,
}

/// `tls`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// Mode.
    pub mode: TlsMode,
    /// Server name, possibly empty.
    pub sni: Name,
    /// `credentialName` is set.
    pub has_credential_name: bool,
    /// `caCertificates` is set.
    pub has_ca: bool,
    /// Where it was written.
    pub origin: Origin,
}
