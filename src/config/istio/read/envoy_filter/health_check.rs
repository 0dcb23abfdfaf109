//! Active health checks (`envoy.config.core.v3.HealthCheck`).

use super::http_filter::int_range;
use super::message::{Message, not_simulated};
use crate::units::SimDuration;
use crate::xds::cluster::{HealthCheck, HealthCheckKind};

/// Envoy's interval while a cluster has had no request.
const NO_TRAFFIC: SimDuration = SimDuration::from_secs(60);

/// One check; `None` for a kind that is not simulated.
pub(super) fn health_check(m: &Message<'_>) -> Option<HealthCheck> {
    for name in [
        "timeout",
        "interval",
        "unhealthy_threshold",
        "healthy_threshold",
    ] {
        if m.get(name).is_none() {
            m.here().refuse(format!("`{name}` is required"));
        }
    }
    // Where outcomes are written down.
    m.known(&[
        "event_log_path",
        "event_logger",
        "always_log_health_check_failures",
    ]);
    let count = |name| m.number::<u32>(name);
    Some(HealthCheck {
        kind: kind(m)?,
        timeout: m.duration("timeout").unwrap_or_default(),
        interval: m.duration("interval").unwrap_or_default(),
        interval_jitter: m.duration("interval_jitter").unwrap_or_default(),
        interval_jitter_percent: count("interval_jitter_percent").unwrap_or(0),
        initial_jitter: m.duration("initial_jitter").unwrap_or_default(),
        unhealthy_threshold: count("unhealthy_threshold").unwrap_or(1),
        healthy_threshold: count("healthy_threshold").unwrap_or(1),
        no_traffic_interval: m.duration("no_traffic_interval").unwrap_or(NO_TRAFFIC),
        no_traffic_healthy_interval: m.duration("no_traffic_healthy_interval"),
        unhealthy_interval: m.duration("unhealthy_interval"),
        unhealthy_edge_interval: m.duration("unhealthy_edge_interval"),
        healthy_edge_interval: m.duration("healthy_edge_interval"),
        reuse_connection: m.bool("reuse_connection").unwrap_or(true),
        origin: m.origin(),
    })
}

fn kind(m: &Message<'_>) -> Option<HealthCheckKind> {
    let http = m.message("http_health_check", |m| HealthCheckKind::Http {
        path: m.text("path").unwrap_or_default(),
        host: m.text("host").unwrap_or_default(),
        expected: m.messages("expected_statuses", int_range),
        retriable: m.messages("retriable_statuses", int_range),
        http2: m.text("codec_client_type").is_some_and(|t| &*t == "HTTP2"),
    });
    let tcp = m.message("tcp_health_check", |_| HealthCheckKind::Tcp);
    let grpc = m.message("grpc_health_check", |m| HealthCheckKind::Grpc {
        service: m.text("service_name").unwrap_or_default(),
    });
    let found = http.or(tcp).or(grpc);
    if found.is_none() {
        not_simulated(m.here(), "this kind of health check");
    }
    found
}
