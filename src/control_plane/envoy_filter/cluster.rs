//! Fields merged into a cluster.

use crate::config::istio::{
    ClusterField, HttpOptions, LbPolicyWord, OutlierField, OutlierNumber, ThresholdsPatch,
    UpstreamProtocol,
};
use crate::control_plane::defaults;
use crate::units::SimDuration;
use crate::xds::cluster::{OutlierDetection, PoolSettings, Thresholds, UNLIMITED, Upstream};
use crate::xds::{Cluster, LbPolicy};

/// Envoy's own limits of circuit breakers, where nobody wrote any (`circuit_breaker.proto`).
const ENVOY_LIMIT: u32 = 1024;
const ENVOY_RETRIES: u32 = 3;

/// Lays fields over a cluster, in the order written.
pub(super) fn merge(cluster: &mut Cluster, fields: &[ClusterField]) {
    for field in fields {
        match field {
            ClusterField::ConnectTimeout(length) => cluster.pool.connect_timeout = *length,
            ClusterField::LbPolicy(word) => cluster.lb = policy(*word, cluster.lb),
            ClusterField::ChoiceCount(count) => {
                if let LbPolicy::LeastRequest { choice_count, .. } = &mut cluster.lb {
                    *choice_count = *count;
                }
            }
            ClusterField::ActiveRequestBias(new) => {
                if let LbPolicy::LeastRequest { bias, .. } = &mut cluster.lb {
                    *bias = *new;
                }
            }
            ClusterField::SlowStart(warmup) => cluster.warmup = Some(*warmup),
            ClusterField::MinimumRingSize(size) => {
                if let LbPolicy::RingHash { minimum_ring_size } = &mut cluster.lb {
                    *minimum_ring_size = *size;
                }
            }
            ClusterField::TableSize(size) => {
                if let LbPolicy::Maglev { table_size } = &mut cluster.lb {
                    *table_size = *size;
                }
            }
            ClusterField::PanicThreshold(share) => cluster.panic_threshold = *share,
            ClusterField::UpdateMergeWindow(window) => {
                cluster.common_lb.update_merge_window = *window;
            }
            ClusterField::HashBalanceFactor(factor) => {
                cluster.common_lb.hash_balance_factor = Some(*factor);
            }
            ClusterField::ZoneAware(zone) => {
                // One of two: locality weights give way.
                cluster.locality.weighted = false;
                cluster.common_lb.zone_aware = Some(*zone);
            }
            ClusterField::Thresholds(patch) => {
                let per_host = cluster.breakers.max_connections_per_host;
                cluster.breakers = thresholds(patch, per_host);
            }
            ClusterField::ConnectionsPerHost(limit) => {
                cluster.breakers.max_connections_per_host = *limit;
            }
            ClusterField::Outlier(field, origin) => {
                let outlier = cluster.outlier.get_or_insert_with(|| OutlierDetection {
                    origin: *origin,
                    ..OutlierDetection::default()
                });
                set_outlier(outlier, *field);
            }
            ClusterField::HealthChecks(checks) => cluster.health_checks.extend(checks.clone()),
            ClusterField::HttpOptions(options) => http_options(cluster, options),
        }
    }
}

/// The policy of a word; settings of the same policy stay.
fn policy(word: LbPolicyWord, old: LbPolicy) -> LbPolicy {
    match (word, old) {
        (LbPolicyWord::LeastRequest, LbPolicy::LeastRequest { .. })
        | (LbPolicyWord::RingHash, LbPolicy::RingHash { .. })
        | (LbPolicyWord::Maglev, LbPolicy::Maglev { .. }) => old,
        (LbPolicyWord::LeastRequest, _) => LbPolicy::LEAST_REQUEST,
        (LbPolicyWord::RingHash, _) => LbPolicy::RingHash {
            minimum_ring_size: defaults::RING_SIZE_MIN,
        },
        (LbPolicyWord::Maglev, _) => LbPolicy::Maglev {
            table_size: defaults::MAGLEV_TABLE_SIZE,
        },
        (LbPolicyWord::Random, _) => LbPolicy::Random,
        (LbPolicyWord::ClusterProvided, _) => LbPolicy::ClusterProvided,
    }
}

/// A list that replaces istiod's: what is not in it has Envoy's defaults, not istiod's.
fn thresholds(patch: &ThresholdsPatch, max_connections_per_host: u32) -> Thresholds {
    let limit = |written: Option<u32>| written.unwrap_or(ENVOY_LIMIT);
    Thresholds {
        max_connections: limit(patch.max_connections),
        max_pending_requests: limit(patch.max_pending_requests),
        max_requests: limit(patch.max_requests),
        max_retries: patch.max_retries.unwrap_or(ENVOY_RETRIES),
        retry_budget: patch.retry_budget,
        max_connection_pools: patch.max_connection_pools.unwrap_or(UNLIMITED),
        max_connections_per_host,
        origin: patch.origin,
    }
}

fn set_outlier(outlier: &mut OutlierDetection, field: OutlierField) {
    match field {
        OutlierField::Number(number, value) => *number_of(outlier, number) = value,
        OutlierField::Split => outlier.split_local_origin = true,
        OutlierField::Interval(length) => outlier.interval = length,
        OutlierField::BaseEjectionTime(length) => {
            outlier.base_ejection_time = length;
            outlier.max_ejection_time = outlier.max_ejection_time.max(length);
        }
        OutlierField::MaxEjectionTime(length) => outlier.max_ejection_time = length,
        OutlierField::MaxEjectionTimeJitter(length) => outlier.max_ejection_time_jitter = length,
        OutlierField::AlwaysEjectOneHost(on) => outlier.always_eject_one_host = on,
        OutlierField::UnejectOnHealthCheck(on) => outlier.uneject_on_health_check = on,
    }
}

fn number_of(outlier: &mut OutlierDetection, number: OutlierNumber) -> &mut u32 {
    use OutlierNumber as N;
    match number {
        N::Consecutive5xx => &mut outlier.consecutive_5xx.threshold,
        N::EnforcingConsecutive5xx => &mut outlier.consecutive_5xx.enforcing,
        N::ConsecutiveGateway => &mut outlier.consecutive_gateway_failure.threshold,
        N::EnforcingConsecutiveGateway => &mut outlier.consecutive_gateway_failure.enforcing,
        N::ConsecutiveLocal => &mut outlier.consecutive_local_origin_failure.threshold,
        N::EnforcingConsecutiveLocal => &mut outlier.consecutive_local_origin_failure.enforcing,
        N::MaxEjectionPercent => &mut outlier.max_ejection_percent,
        N::SuccessRateMinimumHosts => &mut outlier.success_rate.minimum_hosts,
        N::SuccessRateRequestVolume => &mut outlier.success_rate.request_volume,
        N::SuccessRateStdevFactor => &mut outlier.success_rate.stdev_factor,
        N::EnforcingSuccessRate => &mut outlier.success_rate.enforcing,
        N::EnforcingLocalSuccessRate => &mut outlier.success_rate.enforcing_local_origin,
        N::FailurePercentageThreshold => &mut outlier.failure_percentage.threshold,
        N::FailurePercentageMinimumHosts => &mut outlier.failure_percentage.minimum_hosts,
        N::FailurePercentageRequestVolume => &mut outlier.failure_percentage.request_volume,
        N::EnforcingFailurePercentage => &mut outlier.failure_percentage.enforcing,
        N::EnforcingLocalFailurePercentage => {
            &mut outlier.failure_percentage.enforcing_local_origin
        }
    }
}

/// The whole entry replaces istiod's.
fn http_options(cluster: &mut Cluster, options: &HttpOptions) {
    cluster.upstream = match options.upstream {
        Some(UpstreamProtocol::Http1) => Upstream::Http1,
        Some(UpstreamProtocol::Http2) => Upstream::Http2,
        Some(UpstreamProtocol::Downstream) => Upstream::Downstream,
        None => cluster.upstream,
    };
    let default = PoolSettings::default();
    cluster.pool = PoolSettings {
        connect_timeout: cluster.pool.connect_timeout,
        idle_timeout: match options.idle_timeout {
            // Zero switches it off.
            Some(length) if length.is_zero() => SimDuration::MAX,
            Some(length) => length,
            None => default.idle_timeout,
        },
        max_connection_duration: options.max_connection_duration,
        max_stream_duration: options.max_stream_duration.filter(|t| !t.is_zero()),
        max_requests_per_connection: options.max_requests_per_connection.unwrap_or(0),
        max_concurrent_streams: (options.max_concurrent_streams)
            .unwrap_or(default.max_concurrent_streams),
    };
}
