//! HTTP filters (`envoy.extensions.filters.http.*`).

use std::sync::Arc;

use super::super::super::RouteField;
use super::message::{Message, not_simulated};
use crate::config::decode::At;
use crate::units::{Fraction, SimDuration};
use crate::xds::Name;
use crate::xds::filter::{
    AdaptiveConcurrency, AdmissionControl, FilterKind, LimitDescriptor, LocalRateLimit, MinRtt,
    RateLimitAction, RateLimitActions, TokenBucket,
};
use crate::xds::route::{AbortStatus, Fault, HeaderMatch, TextMatch};

const LOCAL_RATE_LIMIT: &str = "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit";
const ADMISSION_CONTROL: &str =
    "envoy.extensions.filters.http.admission_control.v3.AdmissionControl";
const ADAPTIVE_CONCURRENCY: &str =
    "envoy.extensions.filters.http.adaptive_concurrency.v3.AdaptiveConcurrency";

const FAULT: &str = "envoy.extensions.filters.http.fault.v3.HTTPFault";
/// The name of istiod's fault filter.
const FAULT_FILTER: &str = "envoy.filters.http.fault";

/// Envoy's least interval of a token bucket.
const FILL_INTERVAL_MIN: SimDuration = SimDuration::from_ms(50);

/// A filter with its name; `None` when it is one that is not simulated.
pub(super) fn http_filter(value: &At<'_>) -> Option<(Name, FilterKind)> {
    Message::read(value, |m| {
        let name = m.text("name").unwrap_or_default();
        let config = m.get("typed_config");
        let kind = config.and_then(|at| Message::any(&at, |kind, m| filter_kind(kind, m)));
        if kind.is_none() {
            not_simulated(m.here(), "an HTTP filter without `typed_config`");
        }
        kind.flatten().map(|kind| (name, kind))
    })
}

fn filter_kind(kind: &str, m: &Message<'_>) -> Option<FilterKind> {
    match kind {
        LOCAL_RATE_LIMIT => Some(FilterKind::LocalRateLimit(Arc::new(local_rate_limit(m)))),
        ADMISSION_CONTROL => admission_control(m).map(FilterKind::AdmissionControl),
        ADAPTIVE_CONCURRENCY => adaptive_concurrency(m).map(FilterKind::AdaptiveConcurrency),
        _ => {
            m.know_all();
            not_simulated(m.here(), &format!("the filter `{kind}`"));
            None
        }
    }
}

/// The configuration of a filter for a route or a virtual host.
pub(super) fn per_route(name: &Name, at: &At<'_>) -> Option<RouteField> {
    let read = |kind: &str, m: &Message<'_>| match kind {
        LOCAL_RATE_LIMIT => {
            let limit = local_rate_limit(m);
            if limit.bucket.is_none() {
                m.here()
                    .refuse("a route's rate limit needs a `token_bucket`");
            }
            Some(RouteField::RateLimit(name.clone(), Arc::new(limit)))
        }
        FAULT if &**name == FAULT_FILTER => Some(RouteField::Fault(fault(m))),
        _ => {
            m.know_all();
            not_simulated(m.here(), &format!("`{kind}` of a route"));
            None
        }
    };
    Message::any(at, read).flatten()
}

/// `envoy.extensions.filters.http.fault.v3.HTTPFault`.
fn fault(m: &Message<'_>) -> Fault {
    let delay = m.message("delay", |m| {
        let length = m.duration("fixed_delay").unwrap_or_default();
        let share = m.fractional_percent("percentage");
        (share.unwrap_or(Fraction::ZERO), length)
    });
    let abort = m.message("abort", |m| {
        let http = m.number("http_status").map(AbortStatus::Http);
        let status = http.or_else(|| m.number("grpc_status").map(AbortStatus::Grpc));
        let share = m.fractional_percent("percentage");
        status.map(|status| (share.unwrap_or(Fraction::ZERO), status))
    });
    Fault {
        delay: delay.filter(|(share, _)| *share != Fraction::ZERO),
        abort: abort
            .flatten()
            .filter(|(share, _)| *share != Fraction::ZERO),
        max_active: m.number("max_active_faults"),
        origin: m.origin(),
    }
}

fn local_rate_limit(m: &Message<'_>) -> LocalRateLimit {
    if m.text("stat_prefix").unwrap_or_default().is_empty() {
        m.here().refuse("`stat_prefix` is required");
    }
    // How answers look, and what later proxies are told.
    m.known(&[
        "response_headers_to_add",
        "request_headers_to_add_when_not_enforced",
        "enable_x_ratelimit_headers",
        "rate_limited_as_resource_exhausted",
    ]);
    if let Some(at) = m.get("local_rate_limit_per_downstream_connection")
        && at.bool() == Some(true)
    {
        not_simulated(&at, "a bucket per connection (there is one per proxy)");
    }
    let status = m.message("status", |m| status_code(m)).flatten();
    LocalRateLimit {
        stat_prefix: m.text("stat_prefix").unwrap_or_default(),
        bucket: m.message("token_bucket", token_bucket),
        enabled: m
            .runtime_fraction("filter_enabled")
            .unwrap_or(Fraction::ZERO),
        enforced: m
            .runtime_fraction("filter_enforced")
            .unwrap_or(Fraction::ZERO),
        // A status below 400 is taken for 429.
        status: status.filter(|code| *code >= 400).unwrap_or(429),
        descriptors: m.messages("descriptors", descriptor),
        rate_limits: m
            .messages("rate_limits", rate_limit)
            .into_iter()
            .flatten()
            .collect(),
        always_consume_default: m
            .bool("always_consume_default_token_bucket")
            .unwrap_or(true),
        origin: m.origin(),
    }
}

/// `envoy.type.v3.HttpStatus`: a number, or a word such as `ServiceUnavailable`.
fn status_code(m: &Message<'_>) -> Option<u16> {
    let at = m.get("code")?;
    let words = [
        ("BadRequest", 400),
        ("Forbidden", 403),
        ("NotFound", 404),
        ("TooManyRequests", 429),
        ("InternalServerError", 500),
        ("BadGateway", 502),
        ("ServiceUnavailable", 503),
        ("GatewayTimeout", 504),
    ];
    match at.node().as_text() {
        Some(_) => at.choice(&words),
        None => at.integer(),
    }
}

fn token_bucket(m: &Message<'_>) -> TokenBucket {
    let fill_interval = m.duration("fill_interval").unwrap_or_default();
    if fill_interval < FILL_INTERVAL_MIN {
        m.here().refuse("`fill_interval` must be 50 ms at least");
    }
    TokenBucket {
        max_tokens: m.number("max_tokens").unwrap_or(0),
        tokens_per_fill: m.number("tokens_per_fill").unwrap_or(1),
        fill_interval: fill_interval.max(FILL_INTERVAL_MIN),
    }
}

fn descriptor(m: &Message<'_>) -> LimitDescriptor {
    let entries = m.messages("entries", |m| {
        let text = |name| m.text(name).unwrap_or_default();
        (text("key"), text("value"))
    });
    let bucket = m.message("token_bucket", token_bucket);
    if bucket.is_none() {
        m.here().refuse("a descriptor needs a `token_bucket`");
    }
    LimitDescriptor {
        entries,
        bucket: bucket.unwrap_or(TokenBucket {
            max_tokens: 0,
            tokens_per_fill: 1,
            fill_interval: FILL_INTERVAL_MIN,
        }),
    }
}

/// One of `rate_limits`; `None` when an action is not simulated, which leaves it out.
pub(super) fn rate_limit(m: &Message<'_>) -> Option<RateLimitActions> {
    let stage: u32 = m.number("stage").unwrap_or(0);
    let disabled = m.text("disable_key").is_some_and(|key| !key.is_empty());
    let actions = m.messages("actions", action);
    let wanted = stage == 0 && !disabled;
    let all: Option<Vec<RateLimitAction>> = actions.into_iter().collect();
    all.filter(|_| wanted).map(RateLimitActions)
}

fn action(m: &Message<'_>) -> Option<RateLimitAction> {
    let text = |m: &Message<'_>, name| m.text(name).unwrap_or_default();
    let key_or = |m: &Message<'_>, default: &str| {
        let key = m.text("descriptor_key").filter(|key| !key.is_empty());
        key.unwrap_or_else(|| default.into())
    };
    let generic = m.message("generic_key", |m| RateLimitAction::GenericKey {
        key: key_or(m, "generic_key"),
        value: text(m, "descriptor_value"),
    });
    let header = m.message("request_headers", |m| RateLimitAction::RequestHeader {
        header: text(m, "header_name").to_ascii_lowercase().into(),
        key: text(m, "descriptor_key"),
        skip_if_absent: m.bool("skip_if_absent").unwrap_or(false),
    });
    let matched = m.message("header_value_match", |m| {
        let headers: Option<Vec<_>> = m.messages("headers", header_match).into_iter().collect();
        Some(RateLimitAction::HeaderValueMatch {
            key: key_or(m, "header_match"),
            value: text(m, "descriptor_value"),
            expect: m.bool("expect_match").unwrap_or(true),
            headers: headers?,
        })
    });
    generic.or(header).or(matched.flatten())
}

/// `envoy.config.route.v3.HeaderMatcher`; `None` for what is not simulated, which was named.
pub(super) fn header_match(m: &Message<'_>) -> Option<HeaderMatch> {
    let name = m.text("name").unwrap_or_default();
    let old = [("exact_match", 0), ("prefix_match", 1)];
    let mut value = old.iter().find_map(|(field, kind)| {
        let text = m.text(field)?;
        Some(text_match(*kind, text))
    });
    m.message("string_match", |m| {
        let text = m.text("exact").map(|t| text_match(0, t));
        value = text.or_else(|| m.text("prefix").map(|t| text_match(1, t)));
    });
    if m.bool("present_match") == Some(true) {
        value = Some(TextMatch::Present);
    }
    Some(HeaderMatch {
        name: name.to_ascii_lowercase().into(),
        value: value?,
        invert: m.bool("invert_match").unwrap_or(false),
        missing_as_empty: false,
    })
}

fn text_match(kind: u8, text: Name) -> TextMatch {
    if kind == 0 {
        TextMatch::Exact(text)
    } else {
        TextMatch::Prefix(text)
    }
}

fn admission_control(m: &Message<'_>) -> Option<AdmissionControl> {
    let criteria = m.message("success_criteria", |m| {
        m.message("grpc_criteria", |m| {
            // Statuses of gRPC are not told apart here: every answer is one of HTTP.
            if m.list("grpc_success_status").is_empty() {
                m.here().refuse("needs `grpc_success_status`");
            } else {
                not_simulated(m.here(), "success by gRPC status");
            }
        });
        m.message("http_criteria", |m| {
            let ranges = m.messages("http_success_status", int_range);
            if ranges.is_empty() {
                m.here().refuse("needs `http_success_status`");
            }
            ranges
        })
    });
    if criteria.is_none() {
        m.here().refuse("`success_criteria` is required");
    }
    let success = criteria.flatten().filter(|ranges| !ranges.is_empty());
    let threshold = m.runtime_percent("sr_threshold");
    let threshold = threshold.unwrap_or(Fraction::from_ppm(950_000));
    if threshold < Fraction::from_ppm(10_000) {
        m.here().refuse("`sr_threshold` must be 1 % at least");
    }
    let enabled = m.runtime::<bool>("enabled").unwrap_or(true);
    let settings = AdmissionControl {
        sampling_window: m
            .duration("sampling_window")
            .unwrap_or(SimDuration::from_secs(30)),
        aggression: (m.runtime::<f64>("aggression")).map_or(1000, |a| (a * 1000.0 + 0.5) as u32),
        success_threshold: threshold.max(Fraction::from_ppm(10_000)),
        rps_threshold: m.runtime("rps_threshold").unwrap_or(0),
        max_rejection: (m.runtime_percent("max_rejection_probability"))
            .unwrap_or(Fraction::from_ppm(800_000)),
        success: success.unwrap_or_else(|| vec![(100, 500)]),
    };
    enabled.then_some(settings)
}

/// `envoy.type.v3.Int32Range`: half open.
pub(super) fn int_range(m: &Message<'_>) -> (u16, u16) {
    (m.number("start").unwrap_or(0), m.number("end").unwrap_or(0))
}

fn adaptive_concurrency(m: &Message<'_>) -> Option<AdaptiveConcurrency> {
    let enabled = m.runtime::<bool>("enabled").unwrap_or(true);
    let status = m.message("concurrency_limit_exceeded_status", |m| status_code(m));
    let status = status.flatten().filter(|code| *code >= 400).unwrap_or(503);
    let controller = m.message("gradient_controller_config", |m| gradient(m, status));
    if controller.is_none() {
        m.here().refuse("`gradient_controller_config` is required");
    }
    controller.filter(|_| enabled)
}

fn gradient(m: &Message<'_>, status: u16) -> AdaptiveConcurrency {
    let percent = |p: u32| Fraction::from_ppm(p * 10_000);
    let limits = m.message("concurrency_limit_params", |m| {
        let interval = m.duration("concurrency_update_interval");
        if interval.is_none_or(SimDuration::is_zero) {
            m.here().refuse("`concurrency_update_interval` is required");
        }
        (m.number("max_concurrency_limit"), interval)
    });
    let (max_limit, update_interval) = limits.unwrap_or_default();
    let (mut min_rtt, mut least, mut buffer) = (None, None, None);
    let params = m.message("min_rtt_calc_params", |m| {
        least = m.number("min_concurrency");
        buffer = m.percent("buffer");
        let measured = m.duration("interval").map(|interval| MinRtt::Measured {
            interval,
            request_count: m.number("request_count").unwrap_or(50),
            jitter: m.percent("jitter").unwrap_or(percent(15)),
        });
        m.known(&["request_count", "jitter"]);
        min_rtt = m.duration("fixed_value").map(MinRtt::Fixed).or(measured);
    });
    if params.is_none() || min_rtt.is_none() {
        m.here()
            .refuse("`min_rtt_calc_params` needs `interval` or `fixed_value`");
    }
    AdaptiveConcurrency {
        percentile: m
            .percent("sample_aggregate_percentile")
            .unwrap_or(percent(50)),
        max_limit: max_limit.unwrap_or(1000),
        update_interval: update_interval.unwrap_or(SimDuration::from_secs(1)),
        min_rtt: min_rtt.unwrap_or(MinRtt::Fixed(SimDuration::from_secs(1))),
        min_concurrency: least.unwrap_or(3),
        buffer: buffer.unwrap_or(percent(25)),
        status,
    }
}
