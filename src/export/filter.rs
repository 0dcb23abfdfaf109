//! HTTP filters that people added, in Envoy's words.

use serde_json::{Value, json};

use super::{duration, fractional_percent, percent};
use crate::units::Fraction;
use crate::xds::filter::{
    AdaptiveConcurrency, AdmissionControl, FilterKind, FilterPlace, HttpFilter, LocalRateLimit,
    MinRtt, RateLimitAction, RateLimitActions, RouteFilters, TokenBucket,
};
use crate::xds::route::HeaderMatch;

const FILTERS: &str = "type.googleapis.com/envoy.extensions.filters.http";

/// A chain of istiod's filters (authorization where there is any, fault, cors, router) with the
/// added ones at their places.
pub(super) fn chain(
    added: &[HttpFilter],
    authorization: Vec<Value>,
    [fault, cors, router]: [Value; 3],
) -> Vec<Value> {
    let at = |place: FilterPlace| added.iter().filter(move |f| f.place == place).map(filter);
    let mut chain: Vec<Value> = at(FilterPlace::First).collect();
    chain.extend(authorization);
    chain.extend(at(FilterPlace::BeforeFault));
    chain.extend([fault, cors]);
    chain.extend(at(FilterPlace::BeforeRouter));
    chain.push(router);
    chain
}

fn filter(filter: &HttpFilter) -> Value {
    let config = match &filter.kind {
        FilterKind::LocalRateLimit(limit) => local_rate_limit(limit),
        FilterKind::AdmissionControl(settings) => admission_control(settings),
        FilterKind::AdaptiveConcurrency(settings) => adaptive_concurrency(settings),
    };
    json!({"name": &*filter.name, "typed_config": config})
}

/// What a route says of added filters: entries of `typed_per_filter_config`.
pub(super) fn per_route(value: &mut Value, filters: &RouteFilters) {
    for (name, limit) in filters.limits() {
        value["typed_per_filter_config"][&**name] = local_rate_limit(limit);
    }
    if !filters.rate_limits.is_empty() && value.get("route").is_some() {
        value["route"]["rate_limits"] = filters.rate_limits.iter().map(actions).collect();
    }
}

fn local_rate_limit(limit: &LocalRateLimit) -> Value {
    let mut value = json!({
        "@type": format!("{FILTERS}.local_ratelimit.v3.LocalRateLimit"),
        "stat_prefix": &*limit.stat_prefix,
        "filter_enabled": runtime_share(limit.enabled),
        "filter_enforced": runtime_share(limit.enforced),
        "status": {"code": limit.status},
    });
    if let Some(bucket) = &limit.bucket {
        value["token_bucket"] = token_bucket(bucket);
    }
    if !limit.descriptors.is_empty() {
        let descriptors = limit.descriptors.iter().map(|d| {
            let entries = d.entries.iter();
            let entries: Vec<Value> = entries
                .map(|(key, value)| json!({"key": &**key, "value": &**value}))
                .collect();
            json!({"entries": entries, "token_bucket": token_bucket(&d.bucket)})
        });
        value["descriptors"] = descriptors.collect();
        value["always_consume_default_token_bucket"] = json!(limit.always_consume_default);
    }
    if !limit.rate_limits.is_empty() {
        value["rate_limits"] = limit.rate_limits.iter().map(actions).collect();
    }
    value
}

fn runtime_share(share: Fraction) -> Value {
    json!({"default_value": fractional_percent(share)})
}

fn token_bucket(bucket: &TokenBucket) -> Value {
    json!({
        "max_tokens": bucket.max_tokens,
        "tokens_per_fill": bucket.tokens_per_fill,
        "fill_interval": duration(bucket.fill_interval),
    })
}

fn actions(RateLimitActions(actions): &RateLimitActions) -> Value {
    let actions: Vec<Value> = actions.iter().map(action).collect();
    json!({"actions": actions})
}

fn action(action: &RateLimitAction) -> Value {
    match action {
        RateLimitAction::GenericKey { key, value } => {
            json!({"generic_key": {"descriptor_key": &**key, "descriptor_value": &**value}})
        }
        RateLimitAction::RequestHeader {
            header,
            key,
            skip_if_absent,
        } => json!({"request_headers": {
            "header_name": &**header, "descriptor_key": &**key, "skip_if_absent": skip_if_absent,
        }}),
        RateLimitAction::HeaderValueMatch {
            key,
            value,
            headers,
            expect,
        } => {
            let headers: Vec<Value> = headers.iter().map(header_match).collect();
            json!({"header_value_match": {
                "descriptor_key": &**key, "descriptor_value": &**value,
                "headers": headers, "expect_match": expect,
            }})
        }
    }
}

fn header_match(header: &HeaderMatch) -> Value {
    super::route::header_match(header)
}

fn admission_control(settings: &AdmissionControl) -> Value {
    let ranges = settings.success.iter();
    let ranges: Vec<Value> = ranges
        .map(|(start, end)| json!({"start": start, "end": end}))
        .collect();
    json!({
        "@type": format!("{FILTERS}.admission_control.v3.AdmissionControl"),
        "sampling_window": duration(settings.sampling_window),
        "aggression": {"default_value": f64::from(settings.aggression) / 1000.0, "runtime_key": "a"},
        "sr_threshold": {"default_value": percent(settings.success_threshold), "runtime_key": "s"},
        "rps_threshold": {"default_value": settings.rps_threshold, "runtime_key": "r"},
        "max_rejection_probability":
            {"default_value": percent(settings.max_rejection), "runtime_key": "m"},
        "success_criteria": {
            "http_criteria": {"http_success_status": ranges},
        },
    })
}

fn adaptive_concurrency(settings: &AdaptiveConcurrency) -> Value {
    let mut min_rtt = match settings.min_rtt {
        MinRtt::Fixed(length) => json!({"fixed_value": duration(length)}),
        MinRtt::Measured {
            interval,
            request_count,
            jitter,
        } => json!({
            "interval": duration(interval),
            "request_count": request_count,
            "jitter": percent(jitter),
        }),
    };
    min_rtt["min_concurrency"] = json!(settings.min_concurrency);
    min_rtt["buffer"] = percent(settings.buffer);
    json!({
        "@type": format!("{FILTERS}.adaptive_concurrency.v3.AdaptiveConcurrency"),
        "gradient_controller_config": {
            "sample_aggregate_percentile": percent(settings.percentile),
            "concurrency_limit_params": {
                "max_concurrency_limit": settings.max_limit,
                "concurrency_update_interval": duration(settings.update_interval),
            },
            "min_rtt_calc_params": min_rtt,
        },
        "concurrency_limit_exceeded_status": {"code": settings.status},
    })
}
