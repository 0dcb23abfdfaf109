//! Which policy blocks are in force, and what Envoy is told for them
//! (`networking/util/util.go`, `pilot/pkg/model/destination_rule.go`, `core/cluster_traffic_policy.go`).

use super::defaults;
use super::push_context::PushContext;
use super::registry::{Discovery, ServiceModel};
use crate::config::istio::{
    ConnectionPool, LoadBalancer, OutlierDetection, RetryBudget, SimpleLb, TlsSettings,
    TrafficPolicy, UpgradePolicy,
};
use crate::units::{Fraction, Origin, SimDuration};
use crate::xds::LbPolicy;
use crate::xds::cluster::{
    Consecutive, OutlierDetection as Outlier, PoolSettings, SuccessRate, Thresholds, UNLIMITED,
    Upstream, Warmup,
};
use crate::xds::snapshot::Protocol;

/// The blocks in force for one port and subset. Blocks are replaced whole, never field by field.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Effective<'a> {
    pub(super) connection_pool: Option<&'a ConnectionPool>,
    pub(super) load_balancer: Option<&'a LoadBalancer>,
    /// Of the DestinationRule alone: what decides about locality failover.
    pub(super) own_outlier: Option<&'a OutlierDetection>,
    /// Of the DestinationRule, else of the mesh (1.31+).
    pub(super) outlier: Option<&'a OutlierDetection>,
    pub(super) tls: Option<&'a TlsSettings>,
    /// The `tls` endpoint marks follow: that above a port entry without one.
    pub(super) mark_tls: Option<&'a TlsSettings>,
    pub(super) retry_budget: Option<RetryBudget>,
    pub(super) origin: Origin,
}

/// The policy of a port: its entry with nothing inherited, or the whole one.
fn of_port(policy: &TrafficPolicy, port: u16) -> (Effective<'_>, bool) {
    let entry = policy.ports.iter().find(|p| p.port == port);
    let from = entry.map_or(policy, |e| &e.policy);
    let effective = Effective {
        connection_pool: from.connection_pool.as_ref(),
        load_balancer: from.load_balancer.as_ref(),
        own_outlier: from.outlier_detection.as_ref(),
        outlier: from.outlier_detection.as_ref(),
        tls: from.tls.as_ref(),
        mark_tls: from.tls.as_ref().or(policy.tls.as_ref()),
        retry_budget: policy.retry_budget.filter(|_| entry.is_none()),
        origin: from.origin,
    };
    (effective, entry.is_some())
}

/// Resolves the blocks for a port and subset.
pub(super) fn resolve<'a>(
    push: &PushContext<'a>,
    policy: Option<&'a TrafficPolicy>,
    subset: Option<&'a TrafficPolicy>,
    port: u16,
) -> Effective<'a> {
    let mesh = &push.config.mesh;
    let base = policy.map(|p| of_port(p, port).0);
    let with_defaults = |mut e: Effective<'a>| {
        if push.at_least(31) {
            e.connection_pool = (e.connection_pool).or(mesh.default_connection_pool.as_ref());
            e.outlier = e.outlier.or(mesh.default_outlier_detection.as_ref());
        }
        e
    };
    let Some(subset) = subset else {
        return with_defaults(base.unwrap_or_default());
    };
    let (own, is_port) = of_port(subset, port);
    let Some(mut merged) = base.map(with_defaults) else {
        return with_defaults(own);
    };
    // A port entry of the subset erases what it does not set.
    if own.connection_pool.is_some() || is_port {
        merged.connection_pool = own.connection_pool;
    }
    if own.outlier.is_some() || is_port {
        merged.outlier = own.outlier;
        merged.own_outlier = own.own_outlier;
    }
    if own.load_balancer.is_some() || is_port {
        merged.load_balancer = own.load_balancer;
    }
    if own.tls.is_some() || is_port {
        merged.tls = own.tls;
        let inherited = merged.mark_tls.filter(|_| push.at_least(31) || !is_port);
        merged.mark_tls = own.mark_tls.or(inherited);
    }
    merged.retry_budget = match own.retry_budget {
        Some(budget) => Some(budget),
        // 1.27 and 1.28 lost the budget when a subset had a policy.
        None if !push.at_least(29) => None,
        None => merged.retry_budget,
    };
    merged.origin = own.origin;
    merged
}

/// Circuit breaker thresholds; a written 0 means "not written".
pub(super) fn thresholds(push: &PushContext<'_>, policy: &Effective<'_>) -> Thresholds {
    let pool = policy.connection_pool;
    let limit = |value: fn(&ConnectionPool) -> Option<u32>| {
        pool.and_then(value).filter(|v| *v > 0).unwrap_or(UNLIMITED)
    };
    Thresholds {
        max_connections: limit(|p| p.max_connections),
        max_pending_requests: limit(|p| p.http1_max_pending_requests),
        max_requests: limit(|p| p.http2_max_requests),
        max_retries: limit(|p| p.max_retries),
        retry_budget: policy.retry_budget.and_then(|b| retry_budget(push, b)),
        max_connection_pools: UNLIMITED,
        max_connections_per_host: UNLIMITED,
        origin: pool.map_or(Origin::BUILT_IN, |p| p.origin),
    }
}

fn retry_budget(push: &PushContext<'_>, budget: RetryBudget) -> Option<(Fraction, u32)> {
    if !push.at_least(27) {
        return None;
    }
    let default = if push.at_least(28) {
        defaults::RETRY_BUDGET
    } else {
        defaults::RETRY_BUDGET_1_27
    };
    // Thousandths of a percent are hundredths of a thousandth: ten millionths each.
    let share =
        (budget.percent_milli).map_or(default, |p| Fraction::from_ppm(p.saturating_mul(10)));
    let least = budget.min_retry_concurrency.filter(|c| *c > 0);
    Some((
        share,
        least.unwrap_or(defaults::RETRY_BUDGET_MIN_CONCURRENCY),
    ))
}

/// Connection settings.
pub(super) fn pool_settings(push: &PushContext<'_>, pool: Option<&ConnectionPool>) -> PoolSettings {
    let mut settings = PoolSettings {
        connect_timeout: push.config.mesh.connect_timeout,
        ..PoolSettings::default()
    };
    let Some(pool) = pool else {
        return settings;
    };
    let written = |d: Option<SimDuration>| d.filter(|d| *d > SimDuration::ZERO);
    if let Some(timeout) = written(pool.connect_timeout) {
        settings.connect_timeout = timeout;
    }
    settings.max_requests_per_connection = pool.max_requests_per_connection.unwrap_or(0);
    // The TCP idle timeout serves HTTP too from 1.21 on.
    let tcp_idle = written(pool.tcp_idle_timeout).filter(|_| push.at_least(21));
    if let Some(idle) = written(pool.http_idle_timeout).or(tcp_idle) {
        settings.idle_timeout = idle;
    }
    settings.max_connection_duration = written(pool.max_connection_duration);
    if let Some(streams) = pool
        .max_concurrent_streams
        .filter(|s| *s > 0 && push.at_least(21))
    {
        settings.max_concurrent_streams = streams;
    }
    settings
}

/// Protocol spoken upstream.
pub(super) fn upstream(
    push: &PushContext<'_>,
    protocol: Protocol,
    pool: Option<&ConnectionPool>,
    is_gateway: bool,
) -> Upstream {
    let http = protocol.is_http();
    if !http && protocol != Protocol::Auto {
        return Upstream::Tcp;
    }
    if pool.is_some_and(|p| p.use_client_protocol) {
        return Upstream::Downstream;
    }
    let upgrade = match pool.map_or(UpgradePolicy::Default, |p| p.h2_upgrade) {
        UpgradePolicy::Upgrade => true,
        UpgradePolicy::DoNotUpgrade => false,
        UpgradePolicy::Default => push.config.mesh.h2_upgrade && http,
    };
    match protocol {
        _ if protocol.is_http2() || upgrade => Upstream::Http2,
        Protocol::Auto if !is_gateway => Upstream::Downstream,
        _ => Upstream::Http1,
    }
}

/// Outlier detection as Envoy is told.
pub(super) fn outlier(block: &OutlierDetection) -> Outlier {
    let base = block
        .base_ejection_time
        .unwrap_or(defaults::OUTLIER_BASE_EJECTION);
    // Istio's zero, and a gateway count that nobody wrote, are only counted: at Envoy's own
    // threshold, which stays.
    let consecutive = |written: u32, envoy: Consecutive| match written {
        0 => Consecutive {
            enforcing: 0,
            ..envoy
        },
        threshold => Consecutive {
            threshold,
            enforcing: 100,
        },
    };
    let envoy = Outlier::default();
    let five_hundreds = block.consecutive_5xx;
    let local = block.consecutive_local_origin.filter(|v| *v > 0);
    Outlier {
        consecutive_5xx: consecutive(
            five_hundreds.unwrap_or(defaults::OUTLIER_CONSECUTIVE_5XX),
            envoy.consecutive_5xx,
        ),
        consecutive_gateway_failure: consecutive(
            block.consecutive_gateway.unwrap_or(0),
            envoy.consecutive_gateway_failure,
        ),
        consecutive_local_origin_failure: consecutive(
            local.unwrap_or(defaults::OUTLIER_CONSECUTIVE_LOCAL),
            envoy.consecutive_local_origin_failure,
        ),
        // istiod switches the statistical kind off; failure percentage is off in Envoy itself.
        success_rate: SuccessRate {
            enforcing: 0,
            enforcing_local_origin: if block.split_local_origin { 0 } else { 100 },
            ..envoy.success_rate
        },
        split_local_origin: block.split_local_origin,
        interval: block.interval.unwrap_or(defaults::OUTLIER_INTERVAL),
        base_ejection_time: base,
        max_ejection_time: base.max(defaults::OUTLIER_MAX_EJECTION),
        max_ejection_percent: (block.max_ejection_percent.filter(|p| *p > 0))
            .unwrap_or(defaults::OUTLIER_MAX_PERCENT),
        origin: block.origin,
        ..envoy
    }
}

/// Panic threshold: written by the presence of the block, whatever it says.
pub(super) fn panic_threshold(
    push: &PushContext<'_>,
    policy: &Effective<'_>,
    service: &ServiceModel,
) -> Fraction {
    let percent = |p: u32| Fraction::from_ppm(p.saturating_mul(10_000));
    if service.forced_failover.is_some() {
        return Fraction::ZERO;
    }
    match policy.outlier {
        Some(block) => percent(block.min_health_percent),
        // Unhealthy endpoints are sent from 1.31 on; panic would use them.
        None if push.at_least(31) && service.discovery == Discovery::Eds => Fraction::ZERO,
        None => defaults::PANIC_THRESHOLD,
    }
}

/// Balancing policy and slow start.
pub(super) fn load_balancer(block: Option<&LoadBalancer>) -> (LbPolicy, Option<Warmup>) {
    let least = LbPolicy::LEAST_REQUEST;
    let Some(block) = block else {
        return (least, None);
    };
    let written = |value: u64, default: u64| if value == 0 { default } else { value };
    let policy = match (&block.consistent_hash, block.simple) {
        (Some(hash), _) => match hash.maglev {
            Some(size) => LbPolicy::Maglev {
                table_size: written(size, defaults::MAGLEV_TABLE_SIZE),
            },
            None => LbPolicy::RingHash {
                minimum_ring_size: written(hash.minimum_ring_size, defaults::RING_SIZE_MIN),
            },
        },
        (None, SimpleLb::LeastRequest) => least,
        (None, SimpleLb::RoundRobin) => LbPolicy::RoundRobin,
        (None, SimpleLb::Random) => LbPolicy::Random,
        (None, SimpleLb::Passthrough) => LbPolicy::ClusterProvided,
    };
    let slow = matches!(policy, LbPolicy::RoundRobin | LbPolicy::LeastRequest { .. });
    let warmup = block.warmup.filter(|_| slow).map(|w| Warmup {
        duration: w.duration,
        minimum: Fraction::from_ppm(w.minimum_percent_milli.saturating_mul(10)),
        aggression: f64::from(w.aggression_milli) / 1000.0,
    });
    (policy, warmup)
}
