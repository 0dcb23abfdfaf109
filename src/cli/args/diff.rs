//! Arguments of `diff`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::values::duration;
use super::{InputArgs, NamespaceArgs, Repeat};
use crate::manifest::Edit;
use crate::units::SimDuration;

const DIFF_EXAMPLES: &str = "\
Examples:
  What would this change do?
    towtank diff manifests/ manifests-new/ --scenario scenario.yaml
  A branch, for a comment on its pull request:
    towtank diff --git origin/main...HEAD mesh/ --scenario mesh/scenario.yaml -o markdown
  What would one value do?
    towtank diff examples/16-canary-slow \
      --set-after 'vs/checkout:http[0].route[1].weight=30' --set-after 'vs/checkout:http[0].route[0].weight=70'
  What is not committed yet:
    towtank diff --git HEAD examples/16-canary-slow
  Only what proxies are told, without running anything:
    towtank diff --plan-only manifests/ manifests-new/

Both sides have the same luck: the same requests at the same moments, the same service times
wherever the change does not reach. A difference is said to be one only where it stands against
all figures of the report together; of the others it is said how large a difference would have
been seen, or that so few runs cannot tell.";

/// Other than elsewhere.
const PAIRS_HELP: &str = "Pairs of runs; differences then carry 95 % confidence intervals [default: the scenario's, at least 10]";

/// `towtank diff`.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = DIFF_EXAMPLES)]
#[command(mut_arg("replications", |arg| arg.help(PAIRS_HELP)))]
pub struct DiffArgs {
    /// BEFORE and AFTER: manifests, or folders that hold a scenario; with --git paths of both.
    ///
    /// A folder with a scenario.yaml stands for the manifests and the model that it names.
    /// Scenario: --scenario, else that of AFTER; both sides are run under it. Model: each side's
    /// own, else that of the scenario. Without a scenario only the tables are compared.
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Compare two revisions: `main..HEAD`, `main...HEAD` (since it left main), or `main`
    /// (with the working tree). PATHs are then files and folders of both [default: `.`].
    #[arg(long, value_name = "RANGE", allow_hyphen_values = false)]
    pub git: Option<String>,
    /// Run both sides under this Scenario: a file, or a folder that holds one.
    #[arg(long, value_name = "SCENARIO")]
    pub scenario: Option<PathBuf>,
    /// Set a value by its path, as --set does, in AFTER alone. Repeatable.
    ///
    /// With one PATH that is both sides: what would this one value do?
    #[arg(long, value_name = "PATH=VALUE", value_parser = Edit::parse)]
    pub set_after: Vec<Edit>,
    /// Compare what proxies are told and run nothing.
    #[arg(long)]
    pub plan_only: bool,
    /// The configuration. Manifests of -f belong to both sides.
    #[command(flatten)]
    pub input: InputArgs,
    /// The namespace.
    #[command(flatten)]
    pub namespace: NamespaceArgs,
    /// How long load is offered, in virtual time [default: the scenario's].
    #[arg(long, value_name = "DURATION", value_parser = duration, allow_hyphen_values = true, help_heading = "Load")]
    pub duration: Option<SimDuration>,
    /// Luck and repetition: pairs of runs, ten unless the scenario asks for more.
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
    pub output: DiffFormat,
    /// End with 7 when something differs, as `git diff --exit-code` ends with 1.
    #[arg(long, help_heading = "Output")]
    pub exit_code: bool,
}

/// Formats of a comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DiffFormat {
    /// For people.
    #[default]
    Text,
    /// The versioned contract; see `towtank schema diff`.
    Json,
    /// For a comment on a pull request.
    Markdown,
}
