//! The command line: one definition gives parsing, help, man page and completions.
//!
//! Flags follow kubectl and istioctl (`-f`, `-n`, `-o`); `load` follows fortio, where `-n`
//! counts requests. The first line of each text is the short help; the rest is shown by
//! `--help` and in the man page.

mod analyze;
mod capacity;
mod diff;
mod explain;
mod export;
mod inspect;
mod learn;
mod proxy_stats;
mod sweep;
mod test;
mod traffic;
mod values;

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::store::IstioVersion;
use crate::manifest::Edit;
pub use analyze::{AnalyzeArgs, AnalyzeFormat, FailOn};
pub use capacity::{CapacityArgs, CapacityFormat, Target};
pub use diff::{DiffArgs, DiffFormat};
pub use explain::{ExplainArgs, ExplainFormat};
pub use export::{EnvoyArgs, ExportArgs, ExportFormat, ExportTo};
pub use inspect::{
    BenchArgs, BenchModel, CompletionArgs, ProxyConfigArgs, SchemaArgs, SchemaOf, Table,
};
pub use learn::LearnArgs;
pub use proxy_stats::{ProxyStatsArgs, StatsFormat};
pub use sweep::{MergeArgs, SweepArgs};
pub use test::{TestArgs, TestFormat};
pub use traffic::{CurlArgs, LoadArgs, Repeat, RunArgs};
pub use values::HeaderArg;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Shown below the long help of the program and in the man page.
const AFTER: &str = "\
Exit codes:
  0    done
  1    the input cannot be used: unreadable, malformed, or refused by Istio's admission
  2    the command line is wrong: unknown flag, value or workload
  3    the run ended early because too much work was in flight; what was simulated is reported
  4    the output could not be written
  5    something in the scenario's `expect` does not hold; in `test`, a route or snapshot either
  6    nothing in `expect` is broken, but something is undecided: the 95 % confidence interval over
       replications holds the bound (run more of them), or nothing was counted to judge it by
  7    `diff --exit-code`: something differs
  8    analyze found something as grave as --fail-on says
  130  interrupted (Ctrl-C); what was simulated so far is reported

Data goes to standard output and everything else to standard error. Colour is used on
terminals only; NO_COLOR and --color switch it off.

Examples:
  Run a folder that holds a scenario:
    towtank run examples/03-traffic-splitting
  Your own manifests, a load from flags:
    towtank run -f manifests/ --to http://product-service:8080/version --rate 200/s
  Where do 100 requests go?
    towtank curl -f manifests/ --repeat 100 http://product-service:8080/version
  What would be deployed, straight from Helm or kustomize:
    helm template shop ./chart | towtank curl -f - http://cart:8080/
  What a proxy is told:
    towtank proxy-config routes -f manifests/ product-service-v1 -n production";

/// Simulates what an Istio mesh does with traffic, from its own manifests.
///
/// Reads Kubernetes and Istio YAML as it is, compiles it to the tables istiod would send,
/// and runs requests through them in virtual time. Nothing is deployed and no cluster is
/// needed. The same input, seed and version give the same result on any machine.
#[derive(Clone, Debug, Parser)]
#[command(name = "towtank", version, styles = STYLES, after_long_help = AFTER, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Settings that every command takes.
    #[command(flatten)]
    pub global: GlobalArgs,
}

/// Settings that every command takes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Everywhere")]
pub struct GlobalArgs {
    /// When to use colour.
    ///
    /// `auto` colours terminals only and respects NO_COLOR and CLICOLOR_FORCE.
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = ColorWhen::Auto, global = true, hide_possible_values = false)]
    pub color: ColorWhen,
    /// Print no progress, notes or warnings on standard error; errors stay.
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

/// Values of `--color`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// On terminals.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The commands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Run a scenario and report what happened.
    Run(Box<RunArgs>),
    /// Send one request (or many) and tell its way through the mesh.
    Curl(Box<CurlArgs>),
    /// Load a URL as fortio does.
    Load(Box<LoadArgs>),
    /// Tell one request of a run: its calls, tries and decisions on the time line.
    Explain(Box<ExplainArgs>),
    /// Run and judge every scenario: expectations, routes, snapshots.
    Test(Box<TestArgs>),
    /// Compare two meshes under the same scenario and the same luck.
    Diff(Box<DiffArgs>),
    /// Say what is wrong with manifests, without running anything.
    Analyze(Box<AnalyzeArgs>),
    /// Find the greatest load that meets what is expected, what gives way beyond it, and replicas.
    Capacity(Box<CapacityArgs>),
    /// Run every combination of some values, on all cores, into one table.
    Sweep(Box<SweepArgs>),
    /// Put the parts of a sweep together.
    Merge(MergeArgs),
    /// List lessons, or run one: a claim, a prediction, the numbers that settle it.
    Learn(LearnArgs),
    /// Print what a proxy is told: listeners, routes, clusters, endpoints.
    #[command(visible_alias = "pc", name = "proxy-config")]
    ProxyConfig(Box<ProxyConfigArgs>),
    /// Print what a proxy's admin interface would show at a moment of a run: /stats, /clusters.
    ProxyStats(Box<ProxyStatsArgs>),
    /// Write a proxy's configuration for another program.
    Export(ExportArgs),
    /// Measure the simulator's own speed on this machine.
    Bench(BenchArgs),
    /// Print a JSON Schema: of our input kinds, or of `-o json`.
    Schema(SchemaArgs),
    /// Print a shell completion script.
    Completions(CompletionArgs),
    /// Print the man page (roff).
    Man,
}

/// Where the configuration comes from.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Input")]
pub struct InputArgs {
    /// Manifests: a file, a folder, or `-` for standard input. Repeatable.
    ///
    /// Folders are read recursively (.yaml, .yml, .json). Files may hold many documents,
    /// `kind: List`, and our own kinds Model and Scenario beside the mesh's. Unknown kinds
    /// are kept and named in a warning.
    #[arg(short, long = "filename", value_name = "PATH")]
    pub filename: Vec<PathBuf>,
    /// Set a value of what was read, by its path. Repeatable; later ones win.
    ///
    /// PATH is OBJECT:FIELD.FIELD…, where OBJECT is [NAMESPACE/]KIND[/NAME] as far as one object
    /// is meant; kubectl's short names of kinds (dr, vs, deploy …) and our own kinds Model and
    /// Scenario count. Elements of lists are chosen by number or name: `http[0]`, `subsets[v1]`,
    /// `subsets[name=v1]`, `load[*]` for all. A backslash takes the meaning from a dot in a key:
    /// metadata.annotations.proxy\.istio\.io/config. A leading `spec.` may be left out. VALUE is
    /// YAML; `null` removes the value. Missing mappings on the way are made.
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = Edit::parse)]
    pub set: Vec<Edit>,
    /// Istio release whose rules apply, for example 1.24 [default: 1.30].
    #[arg(long, value_name = "VERSION", value_parser = IstioVersion::parse)]
    pub istio_version: Option<IstioVersion>,
    /// Go on with objects that Istio's admission would refuse.
    ///
    /// Simulates what Istio's runtime would do if the object were in the store all the same.
    #[arg(long)]
    pub force: bool,
}

/// The namespace, as kubectl spells it.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Input")]
pub struct NamespaceArgs {
    /// Namespace of the client, of short workload names, and of objects without one.
    ///
    /// Default: the only namespace that has workloads, else `default`.
    #[arg(short, long, value_name = "NS", value_parser = values::namespace)]
    pub namespace: Option<String>,
}

/// Formats of reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people.
    #[default]
    Text,
    /// The versioned contract; see `towtank schema run`.
    Json,
    /// The time series as comma-separated values.
    Csv,
}

/// Formats where there is no table to separate by commas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum PlainFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}
