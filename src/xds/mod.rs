//! The waist: what a control plane tells its proxies. Data only, no behaviour.
//!
//! Left of it nothing knows time; right of it nothing knows YAML. A [`Snapshot`] holds the
//! tables once; proxies that see the same configuration (same namespace, same
//! selector-relevant labels, same kind) share one [`ProxyTables`] and hold its id. Endpoint
//! priorities depend on where the client stands, so they are not stored: the pure function
//! [`endpoint::localize`] computes them for a client locality when it is first needed.

pub mod autoscaler;
pub mod cluster;
pub mod dump;
pub mod endpoint;
pub mod filter;
pub mod health_check;
pub mod layers;
pub mod listener;
mod localize;
pub mod outlier_detection;
mod retry_policy;
pub mod route;
pub mod snapshot;

pub use cluster::{Cluster, ClusterKind, LbPolicy, Tls};
pub use endpoint::{Endpoint, Health, LoadAssignment, Locality};
pub use listener::{FilterChain, Inbound, Listener};
pub use route::{Action, Route, RouteConfig, VirtualHost};
pub use snapshot::{
    LocalCluster, Pod, PodId, ProxyKind, ProxyTables, Service, ServiceId, Snapshot, TableId,
    Workload, WorkloadId,
};

/// A shared name.
pub type Name = std::sync::Arc<str>;
