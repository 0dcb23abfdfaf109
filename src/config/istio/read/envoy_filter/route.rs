//! Virtual hosts and routes (`envoy.config.route.v3.VirtualHost`, `Route`).

use super::super::super::{RetryField, RouteField};
use super::http_filter;
use super::message::{Message, not_simulated};
use crate::config::decode::At;
use crate::xds::Name;
use crate::xds::route::{HeaderMatch, MaxStreamDuration, RateLimitedBackoff, ResetHeader};

/// What a patch of a virtual host changes.
pub(super) fn virtual_host(value: &At<'_>) -> Vec<RouteField> {
    Message::read(value, |m| {
        let mut fields = Vec::new();
        shared(m, &mut fields);
        policies(m, &mut fields);
        let count = m.bool("include_request_attempt_count");
        fields.extend(
            count
                .filter(|on| *on)
                .map(|_| RouteField::IncludeAttemptCount),
        );
        fields
    })
}

/// What a patch of a route changes.
pub(super) fn route(value: &At<'_>) -> Vec<RouteField> {
    Message::read(value, |m| {
        let mut fields = Vec::new();
        shared(m, &mut fields);
        m.message("route", |m| action(m, &mut fields));
        fields
    })
}

/// What virtual hosts and routes both have.
fn shared(m: &Message<'_>, found: &mut Vec<RouteField>) {
    m.known(&["metadata", "stat_prefix", "decorator"]);
    for (name, at) in m.map("typed_per_filter_config") {
        found.extend(http_filter::per_route(&name, &at));
    }
}

/// Policies of a virtual host or a route action.
fn policies(m: &Message<'_>, found: &mut Vec<RouteField>) {
    m.message("retry_policy", |m| {
        let origin = m.origin();
        let mut fields = Vec::new();
        retry_policy(m, &mut fields);
        found.extend(
            fields
                .into_iter()
                .map(|field| RouteField::Retry(field, origin)),
        );
    });
    m.message("hedge_policy", |m| {
        let hedge = m.bool("hedge_on_per_try_timeout");
        found.extend(
            hedge
                .filter(|on| *on)
                .map(|_| RouteField::HedgeOnPerTryTimeout),
        );
    });
    let limits = m.messages("rate_limits", http_filter::rate_limit);
    let limits: Vec<_> = limits.into_iter().flatten().collect();
    if !limits.is_empty() {
        found.push(RouteField::RateLimits(limits));
    }
}

fn action(m: &Message<'_>, found: &mut Vec<RouteField>) {
    policies(m, found);
    let origin = m.origin();
    found.extend(
        m.duration("timeout")
            .map(|t| RouteField::Timeout(t, origin)),
    );
    found.extend(m.duration("idle_timeout").map(RouteField::IdleTimeout));
    found.extend(
        m.duration("max_grpc_timeout")
            .map(RouteField::MaxGrpcTimeout),
    );
    let stream = m.message("max_stream_duration", |m| MaxStreamDuration {
        limit: m.duration("max_stream_duration"),
        grpc_max: m.duration("grpc_timeout_header_max"),
        grpc_offset: m.duration("grpc_timeout_header_offset"),
    });
    found.extend(stream.map(RouteField::MaxStreamDuration));
}

fn retry_policy(m: &Message<'_>, found: &mut Vec<RetryField>) {
    found.extend(m.text("retry_on").map(RetryField::On));
    found.extend(m.number("num_retries").map(RetryField::Retries));
    found.extend(m.duration("per_try_timeout").map(RetryField::PerTryTimeout));
    found.extend(
        m.duration("per_try_idle_timeout")
            .map(RetryField::PerTryIdleTimeout),
    );
    found.extend(
        m.positive("host_selection_retry_max_attempts")
            .map(RetryField::HostReselects),
    );
    m.message("retry_back_off", |m| {
        found.extend(m.duration("base_interval").map(RetryField::BackoffBase));
        found.extend(m.duration("max_interval").map(RetryField::BackoffMax));
    });
    let codes = m.list("retriable_status_codes");
    let codes: Vec<u16> = codes.iter().filter_map(At::integer).collect();
    if !codes.is_empty() {
        found.push(RetryField::StatusCodes(codes));
    }
    let headers = |name| -> Vec<HeaderMatch> {
        let all = m.messages(name, http_filter::header_match);
        all.into_iter().flatten().collect()
    };
    let (answer, request) = (
        headers("retriable_headers"),
        headers("retriable_request_headers"),
    );
    if !answer.is_empty() {
        found.push(RetryField::Headers(answer));
    }
    if !request.is_empty() {
        found.push(RetryField::RequestHeaders(request));
    }
    let limited = m.message("rate_limited_retry_back_off", rate_limited_backoff);
    found.extend(limited.map(RetryField::RateLimitedBackoff));
    for at in m.list("retry_host_predicate") {
        Message::read(&at, |m| {
            m.known(&["typed_config"]);
            match m.text("name").as_deref() {
                Some("envoy.retry_host_predicates.previous_hosts") => {
                    found.push(RetryField::SkipPreviousHosts);
                }
                _ => not_simulated(m.here(), "this predicate of hosts"),
            }
        });
    }
}

fn rate_limited_backoff(m: &Message<'_>) -> RateLimitedBackoff {
    let header = |m: &Message<'_>| ResetHeader {
        name: lower(m.text("name")),
        unix_timestamp: m.text("format").is_some_and(|f| &*f == "UNIX_TIMESTAMP"),
    };
    RateLimitedBackoff {
        reset_headers: m.messages("reset_headers", header),
        max_interval: (m.duration("max_interval"))
            .unwrap_or(crate::units::SimDuration::from_secs(300)),
    }
}

fn lower(name: Option<Name>) -> Name {
    name.unwrap_or_default().to_ascii_lowercase().into()
}
