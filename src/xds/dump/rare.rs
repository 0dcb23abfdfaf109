//! Settings of a cluster that istiod leaves at Envoy's defaults: shown where they are something else.

use crate::xds::Cluster;
use crate::xds::cluster::{
    CommonLb, HealthCheck, HealthCheckKind, OutlierDetection, SuccessRate, Thresholds, ZoneAware,
};

/// (Envoy's field, its value) of everything unusual, in a fixed order.
pub(super) fn rare(cluster: &Cluster) -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    let (limits, usual) = (&cluster.breakers, Thresholds::default());
    let numbers = [
        (
            "max_connection_pools",
            limits.max_connection_pools,
            usual.max_connection_pools,
        ),
        (
            "per_host_thresholds.max_connections",
            limits.max_connections_per_host,
            usual.max_connections_per_host,
        ),
    ];
    number(&mut all, &numbers);
    common(&mut all, &cluster.common_lb);
    if let Some(outlier) = &cluster.outlier {
        outlier_detection(&mut all, outlier);
    }
    if let Some(check) = cluster.health_checks.first() {
        all.push(("health_check", health_check(check)));
    }
    all
}

fn number(all: &mut Vec<(&'static str, String)>, rows: &[(&'static str, u32, u32)]) {
    for (name, value, usual) in rows {
        if value != usual {
            all.push((name, value.to_string()));
        }
    }
}

fn common(all: &mut Vec<(&'static str, String)>, common: &CommonLb) {
    let usual = CommonLb::default();
    if common.update_merge_window != usual.update_merge_window {
        all.push((
            "update_merge_window",
            common.update_merge_window.to_string(),
        ));
    }
    if let Some(factor) = common.hash_balance_factor {
        all.push(("hash_balance_factor", factor.to_string()));
    }
    let Some(zone_aware) = common.zone_aware else {
        return;
    };
    let usual = ZoneAware::default();
    if zone_aware.fail_traffic_on_panic {
        all.push(("fail_traffic_on_panic", "true".to_owned()));
    }
    if zone_aware.routing_enabled != usual.routing_enabled {
        all.push((
            "zone_aware.routing_enabled",
            zone_aware.routing_enabled.to_string(),
        ));
    }
    if zone_aware.min_cluster_size != usual.min_cluster_size {
        all.push((
            "zone_aware.min_cluster_size",
            zone_aware.min_cluster_size.to_string(),
        ));
    }
}

/// istiod writes enforcement of 0 for success rates, which is no news; anything else is.
fn outlier_detection(all: &mut Vec<(&'static str, String)>, outlier: &OutlierDetection) {
    let usual = OutlierDetection::default();
    let (rate, usual_rate) = (outlier.success_rate, usual.success_rate);
    let (share, usual_share) = (outlier.failure_percentage, usual.failure_percentage);
    let istio = SuccessRate {
        enforcing: 0,
        ..rate
    };
    let numbers = [
        ("enforcing_success_rate", rate.enforcing, istio.enforcing),
        (
            "success_rate_minimum_hosts",
            rate.minimum_hosts,
            usual_rate.minimum_hosts,
        ),
        (
            "success_rate_request_volume",
            rate.request_volume,
            usual_rate.request_volume,
        ),
        (
            "success_rate_stdev_factor",
            rate.stdev_factor,
            usual_rate.stdev_factor,
        ),
        ("enforcing_failure_percentage", share.enforcing, 0),
        (
            "enforcing_failure_percentage_local_origin",
            share.enforcing_local_origin,
            0,
        ),
        (
            "failure_percentage_threshold",
            share.threshold,
            usual_share.threshold,
        ),
        (
            "failure_percentage_minimum_hosts",
            share.minimum_hosts,
            usual_share.minimum_hosts,
        ),
        (
            "failure_percentage_request_volume",
            share.request_volume,
            usual_share.request_volume,
        ),
    ];
    number(all, &numbers);
    let jitter = outlier.max_ejection_time_jitter;
    if !jitter.is_zero() {
        all.push(("max_ejection_time_jitter", jitter.to_string()));
    }
    if outlier.always_eject_one_host {
        all.push(("always_eject_one_host", "true".to_owned()));
    }
    if !outlier.uneject_on_health_check {
        let name = "successful_active_health_check_uneject_host";
        all.push((name, "false".to_owned()));
    }
}

fn health_check(check: &HealthCheck) -> String {
    let what = match &check.kind {
        HealthCheckKind::Http { path, .. } => format!("HTTP {path}"),
        HealthCheckKind::Tcp => "TCP".to_owned(),
        HealthCheckKind::Grpc { service } if service.is_empty() => "gRPC".to_owned(),
        HealthCheckKind::Grpc { service } => format!("gRPC {service}"),
    };
    format!(
        "{what} every {} within {}, unhealthy after {}, healthy after {}",
        check.interval, check.timeout, check.unhealthy_threshold, check.healthy_threshold
    )
}
