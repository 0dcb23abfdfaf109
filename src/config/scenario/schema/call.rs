//! What applications call, and what they do when a call fails.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::length::{Distribution, Duration};
use super::value::{HeaderValue, TextOrNumber};

#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Step {
    Call(CallOrUrl),
    Parallel(Parallel),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Parallel {
    /// Calls at once; the step ends when all have ended.
    #[schemars(length(min = 1))]
    parallel: Vec<CallOrUrl>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum CallOrUrl {
    Url(String),
    Call(Box<Call>),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Call {
    /// Where to, as the application writes it.
    url: String,
    /// GET when not written.
    method: Option<String>,
    /// Own request headers.
    headers: Option<BTreeMap<String, HeaderValue>>,
    /// What a failed call (5xx or no answer) does to the caller; `fail` (with 500) when not written.
    on_error: Option<OnError>,
    /// The application's own timeout of each try.
    timeout: Option<Duration>,
    /// The application's own retries, above those of its proxy.
    retries: Option<Retries>,
    /// So many calls: one after the other, or at once within `parallel`.
    times: Option<Times>,
    /// Share of requests for which it is made; all when not written.
    probability: Option<TextOrNumber>,
    /// A cache in front of it.
    cache: Option<Cache>,
    /// The caller does not wait for it, and how it ends does not matter.
    #[schemars(rename = "async")]
    is_async: Option<bool>,
    /// Name of the workload's pool of which it takes one before it is made, and gives it back when it is over, its `retries` included.
    pool: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Times {
    Count(#[schemars(range(min = 1, max = 1000))] u32),
    Drawn(DrawnTimes),
}

/// Drawn for each request.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(super) enum DrawnTimes {
    /// Least and greatest number; each number between them is as frequent as any other.
    Uniform([u32; 2]),
    /// Share of requests by number of calls; the shares add up to 100%.
    Shares(BTreeMap<String, TextOrNumber>),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Cache {
    /// Share of calls that it answers at once: they are not made.
    hit_rate: TextOrNumber,
}

/// Retries that an application or client library makes itself, after a 5xx, a gRPC error or no answer.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Retries {
    /// Tries beyond the first.
    #[schemars(range(max = 1000))]
    attempts: u32,
    /// Pause before each of them; none when not written.
    backoff: Option<Distribution>,
    /// Bounds them where much fails.
    throttle: Option<Throttle>,
}

/// Tokens of each pod and host that it calls: successes give them, failures or retries take one.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Throttle {
    /// Tokens at most and at the beginning.
    #[schemars(range(min = 0.001, max = 1000.0))]
    max_tokens: f64,
    /// What each success gives.
    #[schemars(range(min = 0.001, max = 1000.0))]
    token_ratio: f64,
    /// What takes a token; `failures` when not written.
    counts: Option<ThrottleRule>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(super) enum ThrottleRule {
    /// Every failed try; retries while more than half of the tokens are left (gRPC's `retryThrottling`).
    Failures,
    /// Every retry; retries while there is a token.
    Retries,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum OnError {
    Word(OnErrorWord),
    Status(FailWith),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(super) enum OnErrorWord {
    Fail,
    Ignore,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct FailWith {
    /// Status of the caller's own answer.
    #[schemars(range(min = 200, max = 599))]
    fail: u16,
}
