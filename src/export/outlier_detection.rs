//! Outlier detection in Envoy's words: what istiod always writes, and what differs from Envoy's
//! own defaults (`core/cluster_traffic_policy.go`).

use serde_json::{Value, json};

use super::duration;
use crate::xds::cluster::{Consecutive, OutlierDetection};

pub(super) fn outlier_detection(outlier: &OutlierDetection) -> Value {
    let mut value = json!({
        "interval": duration(outlier.interval),
        "base_ejection_time": duration(outlier.base_ejection_time),
        "max_ejection_time": duration(outlier.max_ejection_time),
        "max_ejection_percent": outlier.max_ejection_percent,
        "enforcing_success_rate": outlier.success_rate.enforcing,
    });
    let mut consecutive = |name: &str, limit: Consecutive| {
        value[format!("enforcing_{name}")] = json!(limit.enforcing);
        if limit.enforcing > 0 || limit.threshold != 5 {
            value[name] = json!(limit.threshold);
        }
    };
    consecutive("consecutive_5xx", outlier.consecutive_5xx);
    consecutive(
        "consecutive_gateway_failure",
        outlier.consecutive_gateway_failure,
    );
    if outlier.split_local_origin {
        consecutive(
            "consecutive_local_origin_failure",
            outlier.consecutive_local_origin_failure,
        );
        value["split_external_local_origin_errors"] = json!(true);
        value["enforcing_local_origin_success_rate"] =
            json!(outlier.success_rate.enforcing_local_origin);
    }
    statistical(&mut value, outlier);
    if !outlier.max_ejection_time_jitter.is_zero() {
        value["max_ejection_time_jitter"] = json!(duration(outlier.max_ejection_time_jitter));
    }
    if outlier.always_eject_one_host {
        value["always_eject_one_host"] = json!(true);
    }
    if !outlier.uneject_on_health_check {
        value["successful_active_health_check_uneject_host"] = json!(false);
    }
    value
}

/// Success rate and failure percentage.
fn statistical(value: &mut Value, outlier: &OutlierDetection) {
    let usual = OutlierDetection::default();
    let (rate, usual_rate) = (outlier.success_rate, usual.success_rate);
    let (share, usual_share) = (outlier.failure_percentage, usual.failure_percentage);
    let rows = [
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
        ("enforcing_failure_percentage", share.enforcing, 0),
        (
            "enforcing_failure_percentage_local_origin",
            share.enforcing_local_origin,
            0,
        ),
    ];
    for (name, written, usual) in rows {
        if written != usual {
            value[name] = json!(written);
        }
    }
}
