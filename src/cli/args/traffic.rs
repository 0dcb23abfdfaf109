//! Arguments of the commands that send requests: `run`, `curl`, `load`.

use std::path::PathBuf;

use clap::Args;

use super::values::{HeaderArg, duration, method, namespace, rate, seed};
use super::{InputArgs, NamespaceArgs, PlainFormat, ReportFormat};
use crate::config::scenario::{CONNECTIONS_MAX, REPLICATIONS_MAX, REQUESTS_MAX};
use crate::http::Url;
use crate::units::{Rate, SimDuration};

const RUN_EXAMPLES: &str = "\
Examples:
  towtank run examples/03-traffic-splitting
  towtank run scenario.yaml --seed 7 --replications 10 --threads 4
  towtank run -f manifests/ --to http://reviews:9080/ --rate 50/s --duration 2m
  towtank run scenario.yaml -o json | jq '.clients[].latencyMs'
  towtank run scenario.yaml --out-dir results/";

/// `towtank run`.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = RUN_EXAMPLES)]
pub struct RunArgs {
    /// A Scenario file, or a folder that holds one.
    ///
    /// Its `manifests:` and `model:` are relative to its own folder. Without it, a Scenario
    /// among the -f files is taken, or --to describes the load.
    #[arg(value_name = "SCENARIO", conflicts_with = "to")]
    pub scenario: Option<PathBuf>,
    /// The configuration.
    #[command(flatten)]
    pub input: InputArgs,
    /// The namespace.
    #[command(flatten)]
    pub namespace: NamespaceArgs,
    /// Call this URL instead of playing a scenario.
    #[arg(long, value_name = "URL", value_parser = Url::parse, help_heading = "Load")]
    pub to: Option<Url>,
    /// Who calls: a workload, `outside` or `outside:region/zone` [default: an injected client].
    ///
    /// WORKLOAD is `namespace/name`, `name.namespace`, `name` (with -n) or `deploy/name`.
    #[arg(long, value_name = "WORKLOAD", requires = "to", help_heading = "Load")]
    pub from: Option<String>,
    /// Requests per second, Poisson [default: 100/s].
    #[arg(long, value_name = "RATE", value_parser = rate, requires = "to", allow_hyphen_values = true, help_heading = "Load")]
    pub rate: Option<Rate>,
    /// Request header of --to, `name: value`. Repeatable.
    #[arg(
        short = 'H',
        long = "header",
        value_name = "HEADER",
        requires = "to",
        help_heading = "Load"
    )]
    pub headers: Vec<HeaderArg>,
    /// Method of --to.
    #[arg(
        short = 'X',
        long = "request",
        value_name = "METHOD",
        value_parser = method,
        default_value = "GET",
        help_heading = "Load"
    )]
    pub method: String,
    /// How long load is offered, in virtual time [default: the scenario's, or 60s with --to].
    #[arg(long, value_name = "DURATION", value_parser = duration, allow_hyphen_values = true, help_heading = "Load")]
    pub duration: Option<SimDuration>,
    /// Virtual time before counting begins [default: the scenario's, or 0s with --to].
    #[arg(
        long,
        value_name = "DURATION",
        allow_hyphen_values = true,
        help_heading = "Load"
    )]
    pub warm_up: Option<SimDuration>,
    /// Luck and repetition.
    #[command(flatten)]
    pub repeat: Repeat,
    /// Output format.
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        value_enum,
        default_value_t,
        help_heading = "Output"
    )]
    pub output: ReportFormat,
    /// Also write report.json and CSV files to this folder, all of them or none.
    ///
    /// series.csv, clients.csv, edges.csv, workloads.csv, workload-series.csv, applications.csv, clusters.csv, endpoints.csv and
    /// requests.csv (the first 100,000 requests). Files are written aside and renamed.
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub out_dir: Option<PathBuf>,
}

/// Luck and repetition.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Luck")]
pub struct Repeat {
    /// Seed of all randomness [default: the scenario's, else 1].
    #[arg(long, value_name = "N", value_parser = seed, allow_hyphen_values = true)]
    pub seed: Option<u64>,
    /// Independent repetitions; figures then carry 95 % confidence intervals
    /// [default: the scenario's, else 1].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(REPLICATIONS_MAX)), allow_hyphen_values = true)]
    pub replications: Option<u32>,
    /// Threads for replications; the result does not depend on it [default: all cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), allow_hyphen_values = true)]
    pub threads: Option<u16>,
}

const CURL_EXAMPLES: &str = "\
Examples:
  towtank curl -f manifests/ http://product-service:8080/version
  towtank curl -f manifests/ -H 'user-group: beta-testers' http://product-service:8080/version
  towtank curl -f manifests/ --repeat 100 http://product-service:8080/version
  towtank curl -f manifests/ --from production/frontend -o json http://reviews:9080/";

/// `towtank curl`.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = CURL_EXAMPLES)]
pub struct CurlArgs {
    /// The URL to call; `http` is meant when no scheme is written.
    #[arg(value_name = "URL", value_parser = Url::parse)]
    pub url: Url,
    /// The configuration.
    #[command(flatten)]
    pub input: InputArgs,
    /// The namespace.
    #[command(flatten)]
    pub namespace: NamespaceArgs,
    /// Who calls: a workload, `outside` or `outside:region/zone` [default: an injected client].
    ///
    /// WORKLOAD is `namespace/name`, `name.namespace`, `name` (with -n) or `deploy/name`.
    #[arg(long, value_name = "WORKLOAD", help_heading = "Request")]
    pub from: Option<String>,
    /// Request header, `name: value`. Repeatable.
    #[arg(
        short = 'H',
        long = "header",
        value_name = "HEADER",
        help_heading = "Request"
    )]
    pub headers: Vec<HeaderArg>,
    /// Method.
    #[arg(
        short = 'X',
        long = "request",
        value_name = "METHOD",
        value_parser = method,
        default_value = "GET",
        help_heading = "Request"
    )]
    pub method: String,
    /// Send it N times, one after the other, and count the outcomes.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000_000), allow_hyphen_values = true, help_heading = "Request")]
    pub repeat: u64,
    /// Seed of all randomness.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = seed, allow_hyphen_values = true, help_heading = "Luck")]
    pub seed: u64,
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

const LOAD_EXAMPLES: &str = "\
Examples:
  towtank load -f manifests/ -c 5 --qps 0 -n 100 http://product-service:8080/version
  towtank load -f manifests/ -c 20 --qps 200 -t 30s http://reviews:9080/

Without -n and -t, load runs for 5 s of virtual time; defaults of -c and --qps are fortio's.";

/// `towtank load`: fortio's words and defaults.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = LOAD_EXAMPLES)]
pub struct LoadArgs {
    /// The URL to call; `http` is meant when no scheme is written.
    #[arg(value_name = "URL", value_parser = Url::parse)]
    pub url: Url,
    /// The configuration.
    #[command(flatten)]
    pub input: InputArgs,
    /// Namespace of the client, of short workload names, and of objects without one.
    ///
    /// Spelled out here because -n counts requests, as fortio's does.
    /// Default: the only namespace that has workloads, else `default`.
    #[arg(long, value_name = "NS", value_parser = namespace, help_heading = "Input")]
    pub namespace: Option<String>,
    /// Connections that call at once.
    #[arg(short, long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=i64::from(CONNECTIONS_MAX)), allow_hyphen_values = true, help_heading = "Load")]
    pub connections: u32,
    /// Requests per second over all connections; 0 is as fast as it goes.
    #[arg(
        long,
        value_name = "RATE",
        default_value = "8",
        allow_hyphen_values = true,
        help_heading = "Load"
    )]
    pub qps: Rate,
    /// Stop after this many requests.
    #[arg(short = 'n', long = "requests", value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=REQUESTS_MAX), allow_hyphen_values = true, help_heading = "Load")]
    pub requests: Option<u64>,
    /// Stop after this much virtual time [default: 5s, or none with -n].
    #[arg(
        short = 't',
        long = "duration",
        value_name = "DURATION",
        value_parser = duration,
        allow_hyphen_values = true,
        help_heading = "Load"
    )]
    pub duration: Option<SimDuration>,
    /// Who calls: a workload, `outside` or `outside:region/zone` [default: an injected client].
    #[arg(long, value_name = "WORKLOAD", help_heading = "Load")]
    pub from: Option<String>,
    /// Request header, `name: value`. Repeatable.
    #[arg(
        short = 'H',
        long = "header",
        value_name = "HEADER",
        help_heading = "Load"
    )]
    pub headers: Vec<HeaderArg>,
    /// Method.
    #[arg(
        short = 'X',
        long = "request",
        value_name = "METHOD",
        value_parser = method,
        default_value = "GET",
        help_heading = "Load"
    )]
    pub method: String,
    /// Luck and repetition.
    #[command(flatten)]
    pub repeat: Repeat,
    /// Output format.
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        value_enum,
        default_value_t,
        help_heading = "Output"
    )]
    pub output: ReportFormat,
}
