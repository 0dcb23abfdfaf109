//! Active health checks in Envoy's words.

use serde_json::{Value, json};

use super::duration;
use crate::xds::cluster::{HealthCheck, HealthCheckKind};

pub(super) fn health_check(check: &HealthCheck) -> Value {
    let mut value = json!({
        "timeout": duration(check.timeout),
        "interval": duration(check.interval),
        "unhealthy_threshold": check.unhealthy_threshold,
        "healthy_threshold": check.healthy_threshold,
        "no_traffic_interval": duration(check.no_traffic_interval),
        "reuse_connection": check.reuse_connection,
    });
    let optional = [
        (
            "interval_jitter",
            Some(check.interval_jitter).filter(|d| !d.is_zero()),
        ),
        (
            "initial_jitter",
            Some(check.initial_jitter).filter(|d| !d.is_zero()),
        ),
        (
            "no_traffic_healthy_interval",
            check.no_traffic_healthy_interval,
        ),
        ("unhealthy_interval", check.unhealthy_interval),
        ("unhealthy_edge_interval", check.unhealthy_edge_interval),
        ("healthy_edge_interval", check.healthy_edge_interval),
    ];
    for (name, length) in optional {
        if let Some(length) = length {
            value[name] = json!(duration(length));
        }
    }
    if check.interval_jitter_percent > 0 {
        value["interval_jitter_percent"] = json!(check.interval_jitter_percent);
    }
    match &check.kind {
        HealthCheckKind::Http {
            path,
            host,
            expected,
            retriable,
            http2,
        } => {
            let mut http = json!({"path": &**path});
            if !host.is_empty() {
                http["host"] = json!(&**host);
            }
            for (name, list) in [
                ("expected_statuses", expected),
                ("retriable_statuses", retriable),
            ] {
                if !list.is_empty() {
                    let range = |(start, end): &(u16, u16)| json!({"start": start, "end": end});
                    http[name] = list.iter().map(range).collect();
                }
            }
            if *http2 {
                http["codec_client_type"] = json!("HTTP2");
            }
            value["http_health_check"] = http;
        }
        HealthCheckKind::Tcp => value["tcp_health_check"] = json!({}),
        HealthCheckKind::Grpc { service } => {
            value["grpc_health_check"] = json!({"service_name": &**service});
        }
    }
    value
}
