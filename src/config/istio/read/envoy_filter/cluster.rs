//! Fields of a cluster (`envoy.config.cluster.v3.Cluster`).
//!
//! istiod merges as protobuf does (`pkg/proto/merge`): values that are zero are absent, lists are
//! appended to, entries of maps are replaced whole, durations too. Two things follow that surprise
//! people and are said here: `lb_policy: ROUND_ROBIN` is zero and changes nothing, and thresholds
//! of circuit breakers land behind istiod's own, of which Envoy takes the first per priority.

use super::super::super::{
    ClusterField, HttpOptions, LbPolicyWord, OutlierField, OutlierNumber, ThresholdsPatch,
    UpstreamProtocol,
};
use super::health_check;
use super::message::{Message, not_simulated};
use crate::config::decode::At;
use crate::diagnostic::{Class, Diagnostic};
use crate::units::Fraction;
use crate::xds::cluster::{Warmup, ZoneAware};

const HTTP_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// What a patch of a cluster changes; lists are replaced by `MERGE_AND_REPLACE_LIST`.
pub(super) fn fields(value: &At<'_>, replaces_lists: bool) -> Vec<ClusterField> {
    Message::read(value, |m| {
        let mut fields = Vec::new();
        let found = &mut fields;
        found.extend(
            m.duration("connect_timeout")
                .map(ClusterField::ConnectTimeout),
        );
        balancer(m, found);
        m.message("common_lb_config", |m| common_lb(m, found));
        m.message("circuit_breakers", |m| breakers(m, replaces_lists, found));
        m.message("outlier_detection", |m| outlier(m, found));
        let checks = m.messages("health_checks", health_check::health_check);
        let checks: Vec<_> = checks.into_iter().flatten().collect();
        if !checks.is_empty() {
            found.push(ClusterField::HealthChecks(checks));
        }
        for (name, at) in m.map("typed_extension_protocol_options") {
            if &*name == HTTP_OPTIONS {
                let options = Message::any(&at, |_, m| http_options(m));
                found.extend(options.map(ClusterField::HttpOptions));
            } else {
                not_simulated(&at, "this extension of Envoy");
            }
        }
        fields
    })
}

fn balancer(m: &Message<'_>, found: &mut Vec<ClusterField>) {
    let words = [
        ("ROUND_ROBIN", None),
        ("LEAST_REQUEST", Some(LbPolicyWord::LeastRequest)),
        ("RING_HASH", Some(LbPolicyWord::RingHash)),
        ("RANDOM", Some(LbPolicyWord::Random)),
        ("MAGLEV", Some(LbPolicyWord::Maglev)),
        ("CLUSTER_PROVIDED", Some(LbPolicyWord::ClusterProvided)),
    ];
    match m.choice("lb_policy", &words) {
        Some(Some(word)) => found.push(ClusterField::LbPolicy(word)),
        Some(None) => {
            if let Some(at) = m.get("lb_policy") {
                let message = "`lb_policy: ROUND_ROBIN` is zero for protobuf and changes nothing \
                               when it is merged; write `simple: ROUND_ROBIN` in a DestinationRule";
                no_effect(&at, message);
            }
        }
        None => {}
    }
    m.message("round_robin_lb_config", |m| slow_start(m, found));
    m.message("least_request_lb_config", |m| {
        slow_start(m, found);
        found.extend(m.number("choice_count").map(ClusterField::ChoiceCount));
        let bias = m.runtime::<f64>("active_request_bias");
        found.extend(bias.map(|b| ClusterField::ActiveRequestBias(thousandths(b))));
    });
    m.message("ring_hash_lb_config", |m| {
        let size = m.number("minimum_ring_size");
        found.extend(size.map(ClusterField::MinimumRingSize));
    });
    m.message("maglev_lb_config", |m| {
        found.extend(m.number("table_size").map(ClusterField::TableSize));
    });
}

fn thousandths(number: f64) -> u32 {
    (number * 1000.0 + 0.5) as u32
}

fn slow_start(m: &Message<'_>, found: &mut Vec<ClusterField>) {
    let warmup = m.message("slow_start_config", |m| Warmup {
        duration: m.duration("slow_start_window").unwrap_or_default(),
        minimum: m
            .percent("min_weight_percent")
            .unwrap_or(Fraction::from_ppm(100_000)),
        aggression: m.runtime("aggression").unwrap_or(1.0),
    });
    found.extend(warmup.map(ClusterField::SlowStart));
}

fn common_lb(m: &Message<'_>, found: &mut Vec<ClusterField>) {
    let panic = m.percent("healthy_panic_threshold");
    found.extend(panic.map(ClusterField::PanicThreshold));
    let window = m.duration("update_merge_window");
    found.extend(window.map(ClusterField::UpdateMergeWindow));
    m.message("consistent_hashing_lb_config", |m| {
        let factor: Option<u32> = m.number("hash_balance_factor");
        if factor.is_some_and(|factor| factor < 100) {
            m.here()
                .refuse("`hash_balance_factor` must be 100 at least");
        }
        found.extend(factor.map(|f| ClusterField::HashBalanceFactor(f.max(100))));
    });
    let zone = m.message("zone_aware_lb_config", |m| ZoneAware {
        routing_enabled: m.percent("routing_enabled").unwrap_or(Fraction::ONE),
        min_cluster_size: m.number("min_cluster_size").unwrap_or(6),
        fail_traffic_on_panic: m.bool("fail_traffic_on_panic").unwrap_or(false),
    });
    found.extend(zone.map(ClusterField::ZoneAware));
}

/// Accepted by istiod and Envoy, and without the effect its author expected.
fn no_effect(at: &At<'_>, message: &str) {
    let warning = Diagnostic::warning("TT-NO-EFFECT", Class::Advice, message.to_owned());
    at.push(warning);
}

fn breakers(m: &Message<'_>, replaces_lists: bool, found: &mut Vec<ClusterField>) {
    let all = m.messages("thresholds", |m| {
        let priority = m.text("priority");
        if priority.is_some_and(|p| &*p == "HIGH") {
            not_simulated(m.here(), "the high priority");
            m.known(&ALL_THRESHOLDS);
            return None;
        }
        if !replaces_lists {
            m.known(&ALL_THRESHOLDS);
            let message = "MERGE appends to the list, and of two thresholds of one priority Envoy \
                           takes the first, which is istiod's: this one changes nothing. Write \
                           `connectionPool` in a DestinationRule";
            no_effect(m.here(), message);
            return None;
        }
        Some(thresholds(m))
    });
    // Nothing of istiod's stands before these.
    let per_host = m.messages("per_host_thresholds", |m| {
        m.known(&["priority"]);
        m.number("max_connections")
    });
    found.extend(
        per_host
            .into_iter()
            .flatten()
            .next()
            .map(ClusterField::ConnectionsPerHost),
    );
    // Envoy takes the first of a priority.
    let first = all.into_iter().flatten().next();
    found.extend(first.map(ClusterField::Thresholds));
}

const ALL_THRESHOLDS: [&str; 7] = [
    "max_connections",
    "max_pending_requests",
    "max_requests",
    "max_retries",
    "max_connection_pools",
    "retry_budget",
    "track_remaining",
];

fn thresholds(m: &Message<'_>) -> ThresholdsPatch {
    m.known(&["track_remaining"]);
    ThresholdsPatch {
        max_connections: m.number("max_connections"),
        max_pending_requests: m.number("max_pending_requests"),
        max_requests: m.number("max_requests"),
        max_retries: m.number("max_retries"),
        max_connection_pools: m.number("max_connection_pools"),
        retry_budget: m.message("retry_budget", |m| {
            let share = m.percent("budget_percent");
            let share = share.unwrap_or(Fraction::from_ppm(200_000));
            (share, m.number("min_retry_concurrency").unwrap_or(3))
        }),
        origin: m.origin(),
    }
}

const OUTLIER_NUMBERS: [(&str, OutlierNumber); 17] = [
    ("consecutive_5xx", OutlierNumber::Consecutive5xx),
    (
        "enforcing_consecutive_5xx",
        OutlierNumber::EnforcingConsecutive5xx,
    ),
    (
        "consecutive_gateway_failure",
        OutlierNumber::ConsecutiveGateway,
    ),
    (
        "enforcing_consecutive_gateway_failure",
        OutlierNumber::EnforcingConsecutiveGateway,
    ),
    (
        "consecutive_local_origin_failure",
        OutlierNumber::ConsecutiveLocal,
    ),
    (
        "enforcing_consecutive_local_origin_failure",
        OutlierNumber::EnforcingConsecutiveLocal,
    ),
    ("max_ejection_percent", OutlierNumber::MaxEjectionPercent),
    (
        "success_rate_minimum_hosts",
        OutlierNumber::SuccessRateMinimumHosts,
    ),
    (
        "success_rate_request_volume",
        OutlierNumber::SuccessRateRequestVolume,
    ),
    (
        "success_rate_stdev_factor",
        OutlierNumber::SuccessRateStdevFactor,
    ),
    (
        "enforcing_success_rate",
        OutlierNumber::EnforcingSuccessRate,
    ),
    (
        "enforcing_local_origin_success_rate",
        OutlierNumber::EnforcingLocalSuccessRate,
    ),
    (
        "failure_percentage_threshold",
        OutlierNumber::FailurePercentageThreshold,
    ),
    (
        "failure_percentage_minimum_hosts",
        OutlierNumber::FailurePercentageMinimumHosts,
    ),
    (
        "failure_percentage_request_volume",
        OutlierNumber::FailurePercentageRequestVolume,
    ),
    (
        "enforcing_failure_percentage",
        OutlierNumber::EnforcingFailurePercentage,
    ),
    (
        "enforcing_failure_percentage_local_origin",
        OutlierNumber::EnforcingLocalFailurePercentage,
    ),
];

fn outlier(m: &Message<'_>, found: &mut Vec<ClusterField>) {
    let origin = m.origin();
    let mut add = |field: Option<OutlierField>| {
        found.extend(field.map(|field| ClusterField::Outlier(field, origin)));
    };
    for (name, number) in OUTLIER_NUMBERS {
        add(m
            .number(name)
            .map(|value| OutlierField::Number(number, value)));
    }
    let split = m.bool("split_external_local_origin_errors");
    add(split.filter(|split| *split).map(|_| OutlierField::Split));
    add(m.duration("interval").map(OutlierField::Interval));
    add(m
        .duration("base_ejection_time")
        .map(OutlierField::BaseEjectionTime));
    add(m
        .duration("max_ejection_time")
        .map(OutlierField::MaxEjectionTime));
    add(m
        .duration("max_ejection_time_jitter")
        .map(OutlierField::MaxEjectionTimeJitter));
    add(m
        .bool("always_eject_one_host")
        .map(OutlierField::AlwaysEjectOneHost));
    let uneject = m.bool("successful_active_health_check_uneject_host");
    add(uneject.map(OutlierField::UnejectOnHealthCheck));
}

fn http_options(m: &Message<'_>) -> HttpOptions {
    let mut options = HttpOptions::default();
    m.message("common_http_protocol_options", |m| {
        options.idle_timeout = m.duration("idle_timeout");
        options.max_connection_duration = m.duration("max_connection_duration");
        options.max_stream_duration = m.duration("max_stream_duration");
        options.max_requests_per_connection = m.number("max_requests_per_connection");
    });
    m.message("explicit_http_config", |m| {
        if m.message("http_protocol_options", |_| ()).is_some() {
            options.upstream = Some(UpstreamProtocol::Http1);
        }
        if let Some(streams) = m.message("http2_protocol_options", streams) {
            options.upstream = Some(UpstreamProtocol::Http2);
            options.max_concurrent_streams = streams;
        }
    });
    m.message("use_downstream_protocol_config", |m| {
        options.upstream = Some(UpstreamProtocol::Downstream);
        m.message("http_protocol_options", |_| ());
        let streams = m.message("http2_protocol_options", streams);
        options.max_concurrent_streams = streams.flatten();
    });
    if options.upstream.is_none() {
        let message = "replaces istiod's options and says no protocol, which Envoy refuses: add \
                       `explicit_http_config` or `use_downstream_protocol_config`";
        m.here().refuse(message);
    }
    options
}

fn streams(m: &Message<'_>) -> Option<u32> {
    m.number("max_concurrent_streams")
}
