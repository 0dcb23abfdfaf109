//! Arguments of `proxy-stats`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::values::{duration, seed};
use super::{InputArgs, NamespaceArgs};
use crate::units::SimDuration;

const EXAMPLES: &str = "\
Examples:
  What does pilot-agent request GET stats show 25 s into an outage?
    towtank proxy-stats shop/web-0 examples/14-zone-outage --at 25s
    towtank proxy-stats web-0 examples/14-zone-outage --at 25s | grep outlier
  Which hosts does it think are sick?
    towtank proxy-stats web-0 examples/14-zone-outage --at 25s --clusters | grep health_flags";

/// `towtank proxy-stats`.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = EXAMPLES)]
pub struct ProxyStatsArgs {
    /// The pod whose proxy is asked: `namespace/pod` or `pod`.
    #[arg(value_name = "POD")]
    pub pod: String,
    /// A Scenario file, or a folder that holds one.
    #[arg(value_name = "SCENARIO")]
    pub scenario: Option<PathBuf>,
    /// The configuration.
    #[command(flatten)]
    pub input: InputArgs,
    /// The namespace.
    #[command(flatten)]
    pub namespace: NamespaceArgs,
    /// When, in virtual time from the start of the run [default: when load ends].
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub at: Option<SimDuration>,
    /// Seed of all randomness [default: the scenario's, else 1].
    #[arg(long, value_name = "N", value_parser = seed, allow_hyphen_values = true, help_heading = "Luck")]
    pub seed: Option<u64>,
    /// Show /clusters (every host, its health and counts) instead of /stats.
    #[arg(long, conflicts_with = "output", help_heading = "Output")]
    pub clusters: bool,
    /// Output format.
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        value_enum,
        default_value_t,
        help_heading = "Output"
    )]
    pub output: StatsFormat,
}

/// Format of statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum StatsFormat {
    /// As Envoy's /stats.
    #[default]
    Text,
    /// As Envoy's /stats/prometheus.
    Prometheus,
}
