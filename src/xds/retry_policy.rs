//! Retry policies of routes, as Envoy's RDS carries them.

use super::Name;
use super::route::HeaderMatch;
use crate::units::{Origin, SimDuration};

/// Retry policy (`envoy.config.route.v3.RetryPolicy`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries beyond the first.
    pub retries: u32,
    /// Conditions.
    pub on: RetryOn,
    /// The words as they would be sent, for display: `connect-failure,refused-stream,…`.
    pub on_text: Name,
    /// Codes of `retriable-status-codes`.
    pub status_codes: Vec<u16>,
    /// `retriable_headers`: response headers that `retriable-headers` retries; any matches.
    pub retriable_headers: Vec<HeaderMatch>,
    /// `retriable_request_headers`: when not empty, only requests that match one are retried.
    pub retriable_request_headers: Vec<HeaderMatch>,
    /// Time a try may take once it has a connection.
    pub per_try_timeout: Option<SimDuration>,
    /// Time a try may stay silent once it has a connection.
    pub per_try_idle_timeout: Option<SimDuration>,
    /// First back-off window (Envoy 25 ms).
    pub backoff_base: SimDuration,
    /// Largest back-off window (Envoy: ten times the base).
    pub backoff_max: SimDuration,
    /// Waits that the response asks for.
    pub rate_limited_backoff: Option<RateLimitedBackoff>,
    /// Skip hosts that were tried (`previous_hosts`).
    pub skip_previous_hosts: bool,
    /// `previous_priorities` with this update frequency (`retryRemoteLocalities`).
    pub skip_previous_priorities: Option<u32>,
    /// Picks beyond the first while the predicate rejects.
    pub host_reselects: u32,
    /// Where it was written; built in for the default.
    pub origin: Origin,
}

impl RetryPolicy {
    /// Tries that one request may become, the first among them.
    pub const fn tries(&self) -> u32 {
        self.retries.saturating_add(1)
    }

    /// Envoy's defaults, before any condition: what a request's own `x-envoy-retry-on` starts from.
    pub fn of_headers() -> Self {
        Self {
            retries: 1,
            on: RetryOn::NONE,
            on_text: "".into(),
            status_codes: Vec::new(),
            retriable_headers: Vec::new(),
            retriable_request_headers: Vec::new(),
            per_try_timeout: None,
            per_try_idle_timeout: None,
            backoff_base: SimDuration::from_ms(25),
            backoff_max: SimDuration::from_ms(250),
            rate_limited_backoff: None,
            skip_previous_hosts: false,
            skip_previous_priorities: None,
            host_reselects: 0,
            origin: Origin::BUILT_IN,
        }
    }
}

/// Back-off as a response header says (`RetryPolicy.RateLimitedRetryBackOff`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimitedBackoff {
    /// Tried in order; the first that can be read and is not too long counts.
    pub reset_headers: Vec<ResetHeader>,
    /// Longer waits are ignored (Envoy 300 s).
    pub max_interval: SimDuration,
}

/// A response header that says when to come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResetHeader {
    /// Lower case: `retry-after`.
    pub name: Name,
    /// Its number is a time since 1970 in seconds; else a number of seconds.
    pub unix_timestamp: bool,
}

/// Set of retry conditions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RetryOn(u32);

impl RetryOn {
    /// Nothing.
    pub const NONE: Self = Self(0);

    /// Every word with its bit.
    const WORDS: &'static [&'static str] = &[
        "5xx",
        "gateway-error",
        "reset",
        "reset-before-request",
        "connect-failure",
        "retriable-4xx",
        "refused-stream",
        "retriable-status-codes",
        "retriable-headers",
        "envoy-ratelimited",
        "http3-post-connect-failure",
        "cancelled",
        "deadline-exceeded",
        "internal",
        "resource-exhausted",
        "unavailable",
    ];

    /// 500–599 and every reset.
    pub const SERVER_ERROR: Self = Self(1);
    /// 502, 503, 504 and every reset.
    pub const GATEWAY_ERROR: Self = Self(1 << 1);
    /// Every reset but overflow.
    pub const RESET: Self = Self(1 << 2);
    /// Resets before a request byte was sent.
    pub const RESET_BEFORE_REQUEST: Self = Self(1 << 3);
    /// Failed connects.
    pub const CONNECT_FAILURE: Self = Self(1 << 4);
    /// 409.
    pub const RETRIABLE_4XX: Self = Self(1 << 5);
    /// HTTP/2 REFUSED_STREAM.
    pub const REFUSED_STREAM: Self = Self(1 << 6);
    /// The listed codes.
    pub const STATUS_CODES: Self = Self(1 << 7);
    /// Listed response headers.
    pub const HEADERS: Self = Self(1 << 8);
    /// `x-envoy-ratelimited` responses.
    pub const RATELIMITED: Self = Self(1 << 9);
    /// gRPC status 1.
    pub const CANCELLED: Self = Self(1 << 11);
    /// gRPC status 4.
    pub const DEADLINE_EXCEEDED: Self = Self(1 << 12);
    /// gRPC status 13.
    pub const INTERNAL: Self = Self(1 << 13);
    /// gRPC status 8.
    pub const RESOURCE_EXHAUSTED: Self = Self(1 << 14);
    /// gRPC status 14.
    pub const UNAVAILABLE: Self = Self(1 << 15);

    /// The condition a word stands for; `None` for unknown words, which Envoy ignores.
    pub fn word(word: &str) -> Option<Self> {
        Self::WORDS
            .iter()
            .position(|w| *w == word)
            .map(|bit| Self(1 << bit))
    }

    /// Both together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True when any condition of `other` is in the set.
    pub const fn any_of(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}
