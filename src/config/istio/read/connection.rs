//! `connectionPool` and `outlierDetection`.

use super::super::{ConnectionPool, OutlierDetection, UpgradePolicy, rules};
use super::{Level, PolicyContext, counter, duration, schema_warning};
use crate::config::IstioVersion;
use crate::config::decode::Fields;

/// `connectionPool` (`validateConnectionPool`).
pub(super) fn connection_pool(f: &Fields<'_>, version: IstioVersion) -> ConnectionPool {
    if f.get("tcp").is_none() && f.get("http").is_none() {
        f.refuse("a connection pool needs `tcp` or `http`");
    }
    let mut pool = ConnectionPool {
        origin: f.origin(),
        ..ConnectionPool::default()
    };
    f.object("tcp", |f| tcp(f, &mut pool, version));
    f.object("http", |f| http(f, &mut pool));
    pool
}

fn tcp(f: &Fields<'_>, pool: &mut ConnectionPool, version: IstioVersion) {
    pool.max_connections = counter(f, "maxConnections");
    pool.connect_timeout = duration(f, "connectTimeout");
    pool.tcp_idle_timeout = f.duration("idleTimeout");
    if let Some(idle) = pool.tcp_idle_timeout
        && !(idle.is_zero() && version.at_least(26))
        && let Some(error) = rules::duration_error(idle)
    {
        f.refuse_field("idleTimeout", format!("{idle} {error}"));
    }
    pool.max_connection_duration = duration(f, "maxConnectionDuration");
    f.object("tcpKeepalive", |f| {
        counter(f, "probes");
        duration(f, "time");
        duration(f, "interval");
    });
}

fn http(f: &Fields<'_>, pool: &mut ConnectionPool) {
    let upgrades = [
        ("DEFAULT", UpgradePolicy::Default),
        ("DO_NOT_UPGRADE", UpgradePolicy::DoNotUpgrade),
        ("UPGRADE", UpgradePolicy::Upgrade),
    ];
    pool.http1_max_pending_requests = counter(f, "http1MaxPendingRequests");
    pool.http2_max_requests = counter(f, "http2MaxRequests");
    pool.max_requests_per_connection = counter(f, "maxRequestsPerConnection");
    pool.max_retries = counter(f, "maxRetries");
    pool.http_idle_timeout = duration(f, "idleTimeout");
    pool.max_concurrent_streams = counter(f, "maxConcurrentStreams");
    pool.h2_upgrade = f.choice("h2UpgradePolicy", &upgrades).unwrap_or_default();
    pool.use_client_protocol = f.flag("useClientProtocol");
    if pool.h2_upgrade == UpgradePolicy::Upgrade && pool.use_client_protocol {
        f.refuse("`h2UpgradePolicy: UPGRADE` and `useClientProtocol` exclude each other");
    }
    f.object("http2KeepAlive", |f| {
        if f.get("interval").is_none() || f.get("timeout").is_none() {
            f.refuse("needs `interval` and `timeout`");
        }
        duration(f, "interval");
        duration(f, "timeout");
        f.known(&["connectionIdleInterval"]);
    });
}

/// `outlierDetection` (`validateOutlierDetection`).
pub(super) fn outlier_detection(f: &Fields<'_>, context: PolicyContext) -> OutlierDetection {
    let old: i64 = f.integer("consecutiveErrors").unwrap_or(0);
    if old != 0 && context.level == Level::Top {
        let message = "`consecutiveErrors` is deprecated and ignored by every proxy";
        let warning = schema_warning(message);
        let help = "write `consecutive5xxErrors` or `consecutiveGatewayErrors`; as it is, \
                    5 consecutive 5xx eject";
        f.push_at("consecutiveErrors", warning.help(help));
    }
    let percentage = |name| {
        let percent: Option<i64> = f.integer(name);
        if percent.is_some_and(|percent| !(0..=100).contains(&percent)) {
            f.refuse_field(name, "is not between 0 and 100");
        }
        percent.map(|percent| percent.clamp(0, 100) as u32)
    };
    let detection = OutlierDetection {
        consecutive_5xx: counter(f, "consecutive5xxErrors"),
        consecutive_gateway: counter(f, "consecutiveGatewayErrors"),
        consecutive_local_origin: counter(f, "consecutiveLocalOriginFailures"),
        split_local_origin: f.flag("splitExternalLocalOriginErrors"),
        interval: duration(f, "interval"),
        base_ejection_time: duration(f, "baseEjectionTime"),
        max_ejection_percent: percentage("maxEjectionPercent"),
        min_health_percent: percentage("minHealthPercent").unwrap_or(0),
        origin: f.origin(),
    };
    if !detection.split_local_origin && detection.consecutive_local_origin.is_some_and(|n| n > 0) {
        let message = "needs `splitExternalLocalOriginErrors: true`";
        f.refuse_field("consecutiveLocalOriginFailures", message);
    }
    for at in f.items("outlierDetectionHttpErrorCodes") {
        if at
            .integer::<u16>()
            .is_some_and(|code| !(100..=599).contains(&code))
        {
            at.refuse("a status is 100 to 599");
        }
    }
    let what = "counting only some statuses as errors";
    f.not_simulated("outlierDetectionHttpErrorCodes", what);
    detection
}
