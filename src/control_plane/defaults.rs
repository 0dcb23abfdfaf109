//! Every value that nobody wrote, with the source it comes from.

use crate::units::{Fraction, SimDuration};

/// Retries beyond the first try (`pilot/pkg/networking/core/route/retry/retry.go`).
pub const RETRIES: u32 = 2;
/// Conditions of the default retry policy (same file).
pub const RETRY_ON: &str =
    "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes";
/// Picks beyond the first while a host was tried before (same file).
pub const RETRY_HOST_RESELECTS: u32 = 5;
/// `previous_priorities` update frequency of `retryRemoteLocalities` (same file).
pub const RETRY_PRIORITY_FREQUENCY: u32 = 2;
/// First back-off window (Envoy, `source/common/router/retry_state_impl.cc`).
pub const RETRY_BACKOFF_BASE: SimDuration = SimDuration::from_ms(25);
/// The largest back-off window is this many times the base (Envoy, same file).
pub const RETRY_BACKOFF_FACTOR: u64 = 10;
/// Condition of the inbound route's retries, Istio 1.24+ (`pilot/pkg/networking/core/httproute.go`).
pub const INBOUND_RETRY_ON: &str = "reset-before-request";
/// Retries of the inbound route, Istio 1.24+ (same file).
pub const INBOUND_RETRIES: u32 = 2;

/// `consecutive_5xx` (Envoy, `api/envoy/config/cluster/v3/outlier_detection.proto`).
pub const OUTLIER_CONSECUTIVE_5XX: u32 = 5;
/// `consecutive_local_origin_failure` (Envoy, same file).
pub const OUTLIER_CONSECUTIVE_LOCAL: u32 = 5;
/// `interval` (Envoy, same file).
pub const OUTLIER_INTERVAL: SimDuration = SimDuration::from_secs(10);
/// `base_ejection_time` (Envoy, same file).
pub const OUTLIER_BASE_EJECTION: SimDuration = SimDuration::from_secs(30);
/// `max_ejection_time` unless the base is longer (Envoy, same file).
pub const OUTLIER_MAX_EJECTION: SimDuration = SimDuration::from_secs(300);
/// `max_ejection_percent` (Envoy, same file).
pub const OUTLIER_MAX_PERCENT: u32 = 10;
/// Panic threshold without an `outlierDetection` block (Envoy, `common_lb_config`).
pub const PANIC_THRESHOLD: Fraction = Fraction::from_ppm(500_000);

/// Minimum ring size (Istio 1024, `core/loadbalancer`).
pub const RING_SIZE_MIN: u64 = 1024;
/// Maglev table size (Envoy).
pub const MAGLEV_TABLE_SIZE: u64 = 65_537;

/// Retry budget share, Istio 1.28+ (`networking/v1alpha3/destination_rule.proto`).
pub const RETRY_BUDGET: Fraction = Fraction::from_ppm(200_000);
/// Retry budget share of 1.27, where 20 was written as 0.2 by mistake.
pub const RETRY_BUDGET_1_27: Fraction = Fraction::from_ppm(2_000);
/// Least number of concurrent retries of a budget.
pub const RETRY_BUDGET_MIN_CONCURRENCY: u32 = 3;

/// Name of the cluster of unknown destinations that are passed through.
pub const PASSTHROUGH: &str = "PassthroughCluster";
/// Name of the cluster without members.
pub const BLACK_HOLE: &str = "BlackHoleCluster";
/// Name of the inbound cluster of ports that belong to no service.
pub const INBOUND_PASSTHROUGH: &str = "InboundPassthroughCluster";

/// The label auto mTLS looks at.
pub const TLS_MODE_LABEL: &str = "security.istio.io/tlsMode";
/// Region of a node or endpoint.
pub const REGION_LABEL: &str = "topology.kubernetes.io/region";
/// Zone of a node or endpoint.
pub const ZONE_LABEL: &str = "topology.kubernetes.io/zone";
/// Subzone of a node or endpoint.
pub const SUBZONE_LABEL: &str = "topology.istio.io/subzone";
/// Node name of an endpoint.
pub const HOSTNAME_LABEL: &str = "kubernetes.io/hostname";
/// Cluster name of an endpoint.
pub const CLUSTER_LABEL: &str = "topology.istio.io/cluster";
/// Network of an endpoint.
pub const NETWORK_LABEL: &str = "topology.istio.io/network";
/// Name of the only Kubernetes cluster (`pilot` flag `--clusterID`).
pub const CLUSTER_ID: &str = "Kubernetes";
