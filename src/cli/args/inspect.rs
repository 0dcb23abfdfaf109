//! Arguments of the commands that send nothing.

use clap::{Args, ValueEnum};
use clap_complete::Shell;

use crate::units::SimDuration;

use super::values::duration;
use super::{InputArgs, NamespaceArgs, PlainFormat};

const PROXY_CONFIG_EXAMPLES: &str = "\
Examples:
  towtank proxy-config clusters -f manifests/ production/product-service-v1
  towtank pc routes -f manifests/ product-service-v1.production -o json
  towtank pc endpoints -f manifests/ deploy/reviews-v1 -n default";

/// `towtank proxy-config`.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = PROXY_CONFIG_EXAMPLES)]
pub struct ProxyConfigArgs {
    /// Which table.
    #[arg(value_name = "TABLE", value_enum, hide_possible_values = false)]
    pub table: Table,
    /// Whose proxy: `namespace/name`, `name.namespace`, `name` (with -n) or `deploy/name`.
    #[arg(value_name = "WORKLOAD")]
    pub workload: String,
    /// The configuration.
    #[command(flatten)]
    pub input: InputArgs,
    /// The namespace.
    #[command(flatten)]
    pub namespace: NamespaceArgs,
    /// Output format.
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        value_enum,
        default_value_t,
        help_heading = "Output"
    )]
    pub output: PlainFormat,
}

/// The tables of a proxy, in istioctl's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Table {
    /// Where it accepts connections.
    #[value(alias = "listener", alias = "l")]
    Listeners,
    /// What it does with requests.
    #[value(alias = "route", alias = "r")]
    Routes,
    /// Whom it can call, with which policy.
    #[value(alias = "cluster", alias = "c")]
    Clusters,
    /// Who is behind the clusters.
    #[value(alias = "endpoint", alias = "ep")]
    Endpoints,
}

/// `towtank bench`.
#[derive(Args, Clone, Debug)]
pub struct BenchArgs {
    /// Which reference workload.
    #[arg(value_name = "WORKLOAD", value_enum)]
    pub model: BenchModel,
    /// How long to measure, in seconds of real time.
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0, value_parser = seconds, allow_hyphen_values = true)]
    pub seconds: f64,
    /// Measure one run of so much virtual time instead.
    ///
    /// Its counts do not depend on the machine, so it suits instruction counters.
    #[arg(long, value_name = "DURATION", value_parser = duration, allow_hyphen_values = true)]
    pub duration: Option<SimDuration>,
    /// Output format.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: PlainFormat,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('s').parse::<f64>() {
        Ok(s) if s > 0.0 && s <= 3600.0 => Ok(s),
        _ => Err("write a number of seconds between 0 and 3600".to_owned()),
    }
}

/// Reference workloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BenchModel {
    /// Ten services in a call tree, ten pods each, 1,000 root requests per second.
    W1,
    /// Ten copies of w1: 100 services, 1,000 pods, 10,000 root requests per second.
    W2,
    /// 1,000 services, 20,000 pods, 100,000 root requests per second.
    W3,
    /// The mesh of w3 at a tenth of its load, 10,000 root requests per second.
    Wide,
}

/// `towtank schema`.
#[derive(Args, Clone, Debug)]
pub struct SchemaArgs {
    /// Which schema.
    #[arg(value_name = "OF", value_enum)]
    pub of: SchemaOf,
}

/// What has a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// Our kind Model: how applications behave.
    Model,
    /// Our kind Scenario: what happens in one experiment.
    Scenario,
    /// Output of `run -o json` and `load -o json`.
    Run,
    /// Output of `curl -o json`.
    Curl,
    /// Output of `explain -o json`.
    Explain,
    /// Output of `diff -o json`.
    Diff,
    /// Output of `capacity -o json`.
    Capacity,
    /// Output of `analyze -o json`.
    Analyze,
    /// A file of `analyze --config`.
    Config,
}

/// `towtank completions`.
#[derive(Args, Clone, Debug)]
pub struct CompletionArgs {
    /// For which shell.
    #[arg(value_name = "SHELL", value_enum)]
    pub shell: Shell,
}
