//! What has to hold of a run.

use std::collections::BTreeMap;

use schemars::JsonSchema;

/// What has to hold, for example `p99(latency, to: reviews) < 250ms`, `error_rate < 0.1%`,
/// `recovers_within: 30s`, `no finding TT-RETRY-STORM` or `finding TT-IMBALANCE`.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Expectation {
    /// As a text.
    Text(String),
    /// What YAML makes of a text with a colon in it.
    Pair(#[schemars(extend("minProperties" = 1, "maxProperties" = 1))] BTreeMap<String, String>),
}
