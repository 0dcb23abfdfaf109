//! Words for filters that people added.

use std::fmt::Write as _;

use crate::xds::filter::{
    FilterKind, FilterPlace, HttpFilter, LocalRateLimit, MinRtt, RouteFilters, TokenBucket,
};

/// One line for a filter of a chain.
pub(super) fn added(filter: &HttpFilter) -> String {
    let place = match filter.place {
        FilterPlace::First => "first",
        FilterPlace::BeforeFault => "before the fault filter",
        FilterPlace::BeforeRouter => "before the router",
    };
    let what = match &filter.kind {
        FilterKind::LocalRateLimit(limit) => rate_limit(limit),
        FilterKind::AdmissionControl(a) => format!(
            "admission control below {} of successes in {}, at most {}",
            a.success_threshold, a.sampling_window, a.max_rejection
        ),
        FilterKind::AdaptiveConcurrency(a) => {
            let rtt = match a.min_rtt {
                MinRtt::Fixed(length) => format!("least round trip {length}"),
                MinRtt::Measured { interval, .. } => format!("measured every {interval}"),
            };
            format!(
                "adaptive concurrency {} to {}, {rtt}",
                a.min_concurrency, a.max_limit
            )
        }
    };
    format!("{} {place}: {what}", filter.name)
}

/// One line for each thing a route says of such filters.
pub(super) fn of_route(filters: &RouteFilters) -> Vec<String> {
    let limits = filters.limits().iter();
    let mut lines: Vec<String> = limits
        .map(|(name, limit)| format!("{name}: {}", rate_limit(limit)))
        .collect();
    if !filters.rate_limits.is_empty() {
        lines.push(format!(
            "rate limit descriptors: {}",
            filters.rate_limits.len()
        ));
    }
    lines
}

fn rate_limit(limit: &LocalRateLimit) -> String {
    let mut text = limit.bucket.as_ref().map_or("no bucket".to_owned(), bucket);
    for descriptor in &limit.descriptors {
        let pairs = descriptor.entries.iter();
        let pairs: Vec<String> = pairs.map(|(key, value)| format!("{key}={value}")).collect();
        let _ = write!(
            text,
            "; {}: {}",
            pairs.join(" "),
            bucket(&descriptor.bucket)
        );
    }
    let _ = write!(
        text,
        "; enabled {}, enforced {}",
        limit.enabled, limit.enforced
    );
    text
}

fn bucket(bucket: &TokenBucket) -> String {
    format!(
        "{} tokens, {} per {}",
        bucket.max_tokens, bucket.tokens_per_fill, bucket.fill_interval
    )
}
