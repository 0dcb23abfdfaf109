//! Arguments of `capacity`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::values::{duration, seed};
use super::{InputArgs, NamespaceArgs};
use crate::experiment::along::Along;
use crate::units::{Rate, SimDuration};

const EXAMPLES: &str = "\
Examples:
  How much load does it carry, what gives way first, how much room is there now?
    towtank capacity examples/12-one-run-lies
  How many replicas for three times the load, and for that with a zone lost?
    towtank capacity scenario.yaml --target 3x
  For 500 requests per second, all loads together:
    towtank capacity scenario.yaml --target 500/s
  By what of your own (instead of the scenario's `expect`):
    towtank capacity scenario.yaml --expect 'p99(latency) < 200ms' --expect 'error_rate < 0.1%'
  How much slower may applications become before it breaks?
    towtank capacity scenario.yaml --along service-time
  Which timeout tips it?
    towtank capacity examples/12-one-run-lies --along 'Scenario:spec.load[0].timeout=20ms..1s'";

/// `towtank capacity`.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = EXAMPLES)]
pub struct CapacityArgs {
    /// A Scenario file, or a folder that holds one.
    #[arg(value_name = "SCENARIO")]
    pub scenario: Option<PathBuf>,
    /// The configuration.
    #[command(flatten)]
    pub input: InputArgs,
    /// The namespace.
    #[command(flatten)]
    pub namespace: NamespaceArgs,
    /// What has to hold, instead of the scenario's `expect`. Repeatable.
    #[arg(long, value_name = "EXPECTATION", help_heading = "Search")]
    pub expect: Vec<String>,
    /// What changes until it breaks: `load` (rates and users), `service-time` (of all applications), or
    /// PATH=LOW..HIGH, a value of a manifest, Model or Scenario between two ends.
    #[arg(
        long,
        value_name = "WHAT",
        default_value = "load",
        help_heading = "Search"
    )]
    pub along: Along,
    /// Also find the replicas each workload needs for this load: 3x, or 500/s of all loads together.
    #[arg(long, value_name = "LOAD", value_parser = Target::parse, help_heading = "Search")]
    pub target: Option<Target>,
    /// The answer lies between two loads that are no further apart than this.
    #[arg(long, value_name = "PERCENT", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100), help_heading = "Search")]
    pub precision: u32,
    /// How long load is offered, in virtual time [default: the scenario's].
    #[arg(long, value_name = "DURATION", value_parser = duration, allow_hyphen_values = true, help_heading = "Search")]
    pub duration: Option<SimDuration>,
    /// Seed of all randomness [default: the scenario's, else 1].
    #[arg(long, value_name = "N", value_parser = seed, allow_hyphen_values = true, help_heading = "Luck")]
    pub seed: Option<u64>,
    /// Repetitions of every load; up to four times as many where they do not tell
    /// [default: the scenario's, at least 5].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=1000), help_heading = "Luck")]
    pub replications: Option<u32>,
    /// Threads for repetitions; the result does not depend on it [default: all cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Luck")]
    pub threads: Option<u16>,
    /// Output format.
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        value_enum,
        default_value_t,
        help_heading = "Output"
    )]
    pub output: CapacityFormat,
}

/// Format of a survey of capacity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum CapacityFormat {
    /// For people.
    #[default]
    Text,
    /// `towtank.capacity/v1`; `towtank schema capacity` describes it.
    Json,
    /// A row per load that was tried.
    Csv,
}

/// A load to plan for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// So many times what the scenario says.
    Times(f64),
    /// So many requests per second, all loads together.
    Rate(Rate),
}

impl Target {
    fn parse(text: &str) -> Result<Self, String> {
        let times = text.trim().strip_suffix(['x', '×']);
        let Some(times) = times else {
            return text.parse().map(Self::Rate);
        };
        let times: f64 = times.trim().parse().map_err(|_| {
            format!("`{text}` is neither a multiple such as 3x nor a rate such as 500/s")
        })?;
        if times > 0.0 && times <= 10_000.0 {
            Ok(Self::Times(times))
        } else {
            Err(format!(
                "`{text}` is not between 0 and 10,000 times the load"
            ))
        }
    }
}
