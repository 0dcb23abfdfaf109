//! Lengths of time, written or drawn.

use schemars::{JsonSchema, Schema, json_schema};

/// A length such as `12ms`, or exactly one named distribution.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Distribution {
    Constant(Duration),
    Named(NamedDistribution),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum NamedDistribution {
    /// Always the same.
    Constant(Duration),
    /// Everything from min to max is equally likely.
    Uniform { min: Duration, max: Duration },
    /// `{exponential: {mean: 5ms}}` or `{exponential: 5ms}`.
    Exponential(Exponential),
    /// Cut at zero.
    Normal {
        mean: Duration,
        #[schemars(rename = "stdDev")]
        std_dev: Duration,
    },
    /// By median and either p99 or sigma.
    Lognormal {
        median: Duration,
        p99: Option<Duration>,
        sigma: Option<f64>,
    },
    /// By mean and shape.
    Gamma { mean: Duration, shape: f64 },
    /// A sum of k equal exponential stages.
    Erlang { mean: Duration, k: u32 },
    /// 63.2 % of the values are below scale.
    Weibull { scale: Duration, shape: f64 },
    /// A power-law tail from minimum on.
    Pareto { minimum: Duration, alpha: f64 },
    /// Recorded values: a list of lengths or a column of a CSV file.
    Empirical(Empirical),
}

#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Exponential {
    Mean(Duration),
    Named(Mean),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Mean {
    mean: Duration,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Empirical {
    Values(Vec<Duration>),
    Column(Column),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "what people write")]
pub(super) struct Column {
    /// CSV file with a header line, beside this document.
    file: String,
    /// Name of the column.
    column: String,
    /// ms when not written.
    unit: Option<Unit>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(super) enum Unit {
    Ns,
    Us,
    Ms,
    S,
}

/// A length of time in Go's notation: `250ms`, `1.5s`, `1h30m`.
pub(super) struct Duration;

impl JsonSchema for Duration {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A length of time in Go's notation: 250ms, 1.5s, 1h30m.",
            "type": ["string", "integer"],
            "pattern": "^(0|([0-9]+(\\.[0-9]*)?|\\.[0-9]+)(ns|us|µs|ms|s|m|h|d)(([0-9]+(\\.[0-9]*)?|\\.[0-9]+)(ns|us|µs|ms|s|m|h|d))*)$",
            "minimum": 0,
            "maximum": 0
        })
    }
}
