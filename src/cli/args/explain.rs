//! Arguments of `explain`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::values::{duration, seed};
use super::{InputArgs, NamespaceArgs};
use crate::units::SimDuration;

const EXAMPLES: &str = "\
Examples:
  The slowest request of a run:
    towtank explain examples/11-retry-storm
  The first one that failed, and the third:
    towtank explain examples/11-retry-storm --failed
    towtank explain examples/11-retry-storm --failed 3
  One that shows what a finding means:
    towtank explain examples/11-retry-storm --finding TT-RETRY-STORM
  One of requests.csv (`run --out-dir`), for Jaeger's upload button:
    towtank explain examples/11-retry-storm --request shoppers:1204 -o jaeger > trace.json";

/// `towtank explain`.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = EXAMPLES)]
pub struct ExplainArgs {
    /// A Scenario file, or a folder that holds one.
    #[arg(value_name = "SCENARIO")]
    pub scenario: Option<PathBuf>,
    /// The configuration.
    #[command(flatten)]
    pub input: InputArgs,
    /// The namespace.
    #[command(flatten)]
    pub namespace: NamespaceArgs,
    /// The slowest request, or the N-th slowest; this is the default.
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "1", value_parser = clap::value_parser!(u32).range(1..), group = "which", help_heading = "Which request")]
    pub slowest: Option<u32>,
    /// The first request that failed (5xx or no answer), or the N-th, by the time they were sent.
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "1", value_parser = clap::value_parser!(u32).range(1..), group = "which", help_heading = "Which request")]
    pub failed: Option<u32>,
    /// The request that its proxy tried most often.
    #[arg(long, group = "which", help_heading = "Which request")]
    pub most_tries: bool,
    /// A request that shows what a finding of the run means, for example TT-RETRY-STORM.
    #[arg(
        long,
        value_name = "CODE",
        group = "which",
        help_heading = "Which request"
    )]
    pub finding: Option<String>,
    /// This request: name of the load and its number in it, as requests.csv has them.
    #[arg(
        long,
        value_name = "LOAD:NUMBER",
        group = "which",
        help_heading = "Which request"
    )]
    pub request: Option<String>,
    /// Among those of this load only.
    #[arg(long, value_name = "LOAD", help_heading = "Which request")]
    pub load: Option<String>,
    /// Among those with this status only; 0 is no answer.
    #[arg(long, value_name = "STATUS", help_heading = "Which request")]
    pub status: Option<u16>,
    /// Among those with this response flag only, for example UH.
    #[arg(long, value_name = "FLAG", help_heading = "Which request")]
    pub flag: Option<String>,
    /// Among those sent at this time of the run or later.
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = "Which request")]
    pub after: Option<SimDuration>,
    /// Seed of all randomness [default: the scenario's, else 1].
    #[arg(long, value_name = "N", value_parser = seed, allow_hyphen_values = true, help_heading = "Luck")]
    pub seed: Option<u64>,
    /// Which repetition of the run (requests.csv names it).
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Luck")]
    pub replication: u32,
    /// How long load is offered, in virtual time [default: the scenario's].
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Load")]
    pub duration: Option<SimDuration>,
    /// Tell the decisions of every call, not only of those where something happened.
    #[arg(long, help_heading = "Output")]
    pub all: bool,
    /// Output format.
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        value_enum,
        default_value_t,
        help_heading = "Output"
    )]
    pub output: ExplainFormat,
}

/// Format of an explanation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ExplainFormat {
    /// For people: a time line and the decisions.
    #[default]
    Text,
    /// `towtank.explain/v1`; `towtank schema explain` describes it.
    Json,
    /// OTLP/JSON, for OpenTelemetry collectors, Grafana and Jaeger.
    Otlp,
    /// Jaeger's JSON, for the upload button of its UI.
    Jaeger,
    /// Trace events, for ui.perfetto.dev and chrome://tracing.
    Chrome,
    /// Envoy's access log lines in Istio's default format.
    AccessLog,
}
