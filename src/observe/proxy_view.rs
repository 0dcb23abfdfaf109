//! One proxy at one moment of a run: its statistics, and what it thinks of every host.

use super::record::Record;

/// What a proxy would show at a moment.
#[derive(Clone, Debug)]
pub struct ProxyView {
    /// Name of the pod.
    pub pod: String,
    /// Its workload, `namespace/name`.
    pub workload: String,
    /// The record of the run so far; its clusters and proxies of workload [`Self::marker`] are the pod's.
    pub record: Record,
    /// `workload` of the pod's own clusters.
    pub marker: String,
    /// Hosts of every cluster that it has used.
    pub clusters: Vec<ClusterView>,
}

/// A cluster as the proxy has it.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterView {
    /// Its name.
    pub name: String,
    /// `max_connections`, `max_pending_requests`, `max_requests`, `max_retries`; Envoy's largest
    /// number for what has no limit.
    pub limits: [u32; 4],
    /// Its hosts, in the order of the assignment.
    pub hosts: Vec<HostView>,
}

/// A host as the proxy has it.
#[derive(Clone, Debug, PartialEq)]
pub struct HostView {
    /// `ip:port`.
    pub address: String,
    /// Pod behind it; empty for the proxy's own.
    pub pod: String,
    /// Open connections.
    pub cx_active: u32,
    /// Requests under way.
    pub rq_active: u32,
    /// Requests sent, answered below 500, answered 5xx or reset, given up.
    pub counts: HostCounts,
    /// Ejected by outlier detection.
    pub ejected: bool,
    /// Failed by active health checks.
    pub failed_check: bool,
    /// Region, zone and sub-zone.
    pub locality: [String; 3],
    /// Priority for this proxy.
    pub priority: u32,
}

/// Requests of one proxy to one host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostCounts {
    /// Sent.
    pub total: u64,
    /// Answered below 500.
    pub success: u64,
    /// Answered 5xx, or reset.
    pub error: u64,
    /// Given up.
    pub timeout: u64,
}
