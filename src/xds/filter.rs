//! HTTP filters that people add by EnvoyFilter (`envoy.filters.http.*`).

use std::sync::Arc;

use super::Name;
use crate::units::{Fraction, Origin, SimDuration};

/// A filter in the chain of a connection manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpFilter {
    /// `name`: what per-route configuration refers to.
    pub name: Name,
    /// Where it stands among istiod's own.
    pub place: FilterPlace,
    /// What it does.
    pub kind: FilterKind,
    /// The patch that added it.
    pub origin: Origin,
}

/// Places in istiod's chain: authorization (where something arrives), fault, router. Filters of
/// one place stand in the order of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FilterPlace {
    /// Before everything.
    First,
    /// After authorization and before the fault filter.
    BeforeFault,
    /// Between the fault filter and the router.
    BeforeRouter,
}

/// What a filter does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilterKind {
    /// `envoy.filters.http.local_ratelimit`.
    LocalRateLimit(Arc<LocalRateLimit>),
    /// `envoy.filters.http.admission_control`.
    AdmissionControl(AdmissionControl),
    /// `envoy.filters.http.adaptive_concurrency`.
    AdaptiveConcurrency(AdaptiveConcurrency),
}

/// What a route says of such filters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteFilters {
    /// `typed_per_filter_config` of local rate limit filters, by the filter's name.
    limits: Vec<(Name, Arc<LocalRateLimit>)>,
    /// `rate_limits`.
    pub rate_limits: Vec<RateLimitActions>,
}

impl RouteFilters {
    /// The configuration of the filter of that name.
    pub fn of(&self, name: &str) -> Option<&Arc<LocalRateLimit>> {
        let mut limits = self.limits.iter();
        limits.find(|(n, _)| **n == *name).map(|(_, limit)| limit)
    }

    /// Sets the configuration of the filter of that name.
    pub fn set(&mut self, name: Name, limit: Arc<LocalRateLimit>) {
        self.limits.retain(|(n, _)| *n != name);
        self.limits.push((name, limit));
    }

    /// All configurations, by filter name.
    pub fn limits(&self) -> &[(Name, Arc<LocalRateLimit>)] {
        &self.limits
    }
}

/// Tokens that requests take and time brings back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenBucket {
    /// `max_tokens`: what it holds at most, and at the start.
    pub max_tokens: u32,
    /// `tokens_per_fill`, 1 when not written.
    pub tokens_per_fill: u32,
    /// `fill_interval`: at least 50 ms.
    pub fill_interval: SimDuration,
}

/// `envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalRateLimit {
    /// `stat_prefix`.
    pub stat_prefix: Name,
    /// `token_bucket`; `None`: this configuration limits nothing by itself.
    pub bucket: Option<TokenBucket>,
    /// `filter_enabled`: share of requests that are looked at; nothing when not written.
    pub enabled: Fraction,
    /// `filter_enforced`: share of limited requests that are refused; nothing when not written.
    pub enforced: Fraction,
    /// `status`: 429.
    pub status: u16,
    /// `descriptors`: buckets for requests that carry all these pairs.
    pub descriptors: Vec<LimitDescriptor>,
    /// `rate_limits`: pairs that requests carry, in place of the route's.
    pub rate_limits: Vec<RateLimitActions>,
    /// `always_consume_default_token_bucket`: also after a descriptor matched.
    pub always_consume_default: bool,
    /// Where it was written.
    pub origin: Origin,
}

/// A bucket of its own for some requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitDescriptor {
    /// `entries`: key and value; no value fits any.
    pub entries: Vec<(Name, Name)>,
    /// `token_bucket`.
    pub bucket: TokenBucket,
}

/// One of `rate_limits`: its actions make one descriptor, or none when one of them cannot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimitActions(pub Vec<RateLimitAction>);

/// What a descriptor's pair is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RateLimitAction {
    /// `generic_key`.
    GenericKey {
        /// `descriptor_key`, `generic_key`.
        key: Name,
        /// `descriptor_value`.
        value: Name,
    },
    /// `request_headers`.
    RequestHeader {
        /// `header_name`, lower case.
        header: Name,
        /// `descriptor_key`.
        key: Name,
        /// `skip_if_absent`: the rest of the descriptor still counts.
        skip_if_absent: bool,
    },
    /// `header_value_match`.
    HeaderValueMatch {
        /// `descriptor_key`, `header_match`.
        key: Name,
        /// `descriptor_value`.
        value: Name,
        /// `headers`.
        headers: Vec<super::route::HeaderMatch>,
        /// `expect_match`.
        expect: bool,
    },
}

/// `envoy.extensions.filters.http.admission_control.v3.AdmissionControl`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmissionControl {
    /// `sampling_window`: 30 s, whole seconds.
    pub sampling_window: SimDuration,
    /// `aggression` in thousandths: 1.0, at least that.
    pub aggression: u32,
    /// `sr_threshold`: 95 %.
    pub success_threshold: Fraction,
    /// `rps_threshold`: 0.
    pub rps_threshold: u32,
    /// `max_rejection_probability`: 80 %.
    pub max_rejection: Fraction,
    /// `success_criteria.http_criteria`: half-open ranges; 100 to 499 when not written.
    pub success: Vec<(u16, u16)>,
}

/// `envoy.extensions.filters.http.adaptive_concurrency.v3.AdaptiveConcurrency`, the gradient
/// controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdaptiveConcurrency {
    /// `sample_aggregate_percentile`: 50 %.
    pub percentile: Fraction,
    /// `max_concurrency_limit`: 1000.
    pub max_limit: u32,
    /// `concurrency_update_interval`.
    pub update_interval: SimDuration,
    /// How the least round-trip time is found.
    pub min_rtt: MinRtt,
    /// `min_rtt_calc_params.min_concurrency`: 3.
    pub min_concurrency: u32,
    /// `min_rtt_calc_params.buffer`: 25 %.
    pub buffer: Fraction,
    /// `concurrency_limit_exceeded_status`: 503.
    pub status: u16,
}

/// How the least round-trip time is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MinRtt {
    /// It is known.
    Fixed(SimDuration),
    /// Measured now and then with as few requests as possible at once.
    Measured {
        /// `interval`.
        interval: SimDuration,
        /// `request_count`: 50.
        request_count: u32,
        /// `jitter`: 15 % of the interval.
        jitter: Fraction,
    },
}
