//! Active health checks (`api/envoy/config/core/v3/health_check.proto`). istiod writes none: they
//! come from an EnvoyFilter.

use super::Name;
use crate::units::{Origin, SimDuration};

/// One health check of a cluster, made by every client proxy on every host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is sent, and what counts as passed.
    pub kind: HealthCheckKind,
    /// An answer that takes longer is a failure.
    pub timeout: SimDuration,
    /// From the end of one check to the next.
    pub interval: SimDuration,
    /// Each interval is up to this much longer, in whole milliseconds.
    pub interval_jitter: SimDuration,
    /// Each interval is up to this share (whole percent) longer.
    pub interval_jitter_percent: u32,
    /// The first check waits up to this long.
    pub initial_jitter: SimDuration,
    /// Failures in a row that make a host unhealthy; a wrong status does so at once.
    pub unhealthy_threshold: u32,
    /// Successes in a row that make it healthy again; the very first check needs one.
    pub healthy_threshold: u32,
    /// Interval while the cluster has had no request (Envoy 60 s).
    pub no_traffic_interval: SimDuration,
    /// The same after a passed check; `no_traffic_interval` where it is not written.
    pub no_traffic_healthy_interval: Option<SimDuration>,
    /// Interval after a failed check; `interval` where it is not written.
    pub unhealthy_interval: Option<SimDuration>,
    /// Interval after a failure that leaves the host healthy for now; the interval above where it
    /// is not written.
    pub unhealthy_edge_interval: Option<SimDuration>,
    /// Interval after a success that leaves the host unhealthy for now; `interval` where it is
    /// not written.
    pub healthy_edge_interval: Option<SimDuration>,
    /// The connection is kept between checks.
    pub reuse_connection: bool,
    /// Where it was written.
    pub origin: Origin,
}

/// What a health check sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthCheckKind {
    /// A `GET` (or another method) that a request of the run's own kind would answer.
    Http {
        /// Path and query.
        path: Name,
        /// `Host`; empty: the cluster's name.
        host: Name,
        /// Expected statuses as half-open ranges; empty: 200 alone.
        expected: Vec<(u16, u16)>,
        /// Statuses that count as failures without making a host unhealthy at once.
        retriable: Vec<(u16, u16)>,
        /// HTTP/2.
        http2: bool,
    },
    /// A connection is made; nothing is sent.
    Tcp,
    /// `grpc.health.v1.Health/Check`.
    Grpc {
        /// Service asked about.
        service: Name,
    },
}
