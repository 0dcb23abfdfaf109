//! How the rate of a load changes.

use schemars::JsonSchema;

use super::length::Duration;
use super::value::TextOrNumber;

/// A rate over time: at most one of `stages`, `daily`, `csv`; `spikes` go with any of them.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Profile {
    /// One after the other, from the load's `rate` on (0 when not written); the last rate stays.
    #[schemars(length(min = 1))]
    stages: Option<Vec<Stage>>,
    /// A sine around the load's `rate`.
    daily: Option<Daily>,
    /// Rates from a file, instead of `rate`.
    csv: Option<Rates>,
    /// Short multiples of the rate.
    spikes: Option<Vec<Spike>>,
}

/// As k6's stages: with `target` a ramp, with `rate` a step, with neither the rate stays.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Stage {
    /// How long it takes; 0s with `target` is a jump.
    duration: Duration,
    /// The rate goes there in a straight line.
    target: Option<TextOrNumber>,
    /// The rate jumps there and stays.
    rate: Option<TextOrNumber>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Daily {
    /// How far the peak is above the mean (and the trough below), for example `60%`.
    amplitude: TextOrNumber,
    /// Length of a day; 24h when not written.
    period: Option<Duration>,
    /// When the peak is, after the start; half a period when not written.
    peak_at: Option<Duration>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Spike {
    /// When it begins, after the start.
    at: Duration,
    /// How long it lasts.
    duration: Duration,
    /// What the rate is multiplied by.
    #[schemars(range(min = 0, max = 1_000_000))]
    factor: f64,
}

/// Rates per second over time, in straight lines between the rows; times count from the first row.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Rates {
    /// CSV file with a header line, beside this document.
    file: String,
    /// Column of times; `time` when not written.
    time: Option<String>,
    /// Column of rates; `rate` when not written.
    rate: Option<String>,
    /// Unit of the times; s when not written.
    unit: Option<TimeUnit>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(super) enum TimeUnit {
    Ms,
    S,
    M,
    H,
}
