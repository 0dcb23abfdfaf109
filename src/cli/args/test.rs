//! Arguments of `test`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

const TEST_EXAMPLES: &str = "\
Examples:
  Every scenario below the current folder:
    towtank test
  Look at what changed, and accept or reject each change:
    towtank test --review
  In a pipeline, where nothing is written:
    towtank test mesh/ --ci -o github
    towtank test mesh/ --ci -o junit > towtank.xml
  Only what a branch touches:
    towtank test --ci --changed-only=origin/main

Judged are `expect` and `routes` of every Scenario, and its snapshot: `scenario.snap` beside
`scenario.yaml`, few rounded lines that are committed and reviewed. What differs is written to
`scenario.snap.new` until it is accepted. Ends with 5 when something does not hold, 6 when
something is undecided and nothing else is wrong, 1 when a scenario cannot be read.";

/// `towtank test`.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = TEST_EXAMPLES)]
pub struct TestArgs {
    /// Scenario files, and folders that are searched for them [default: `.`].
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Only scenarios whose files changed since REV, in commits or not [default REV: HEAD].
    ///
    /// A scenario's files are its own, what it names (`manifests`, `model`), and tables beside it.
    #[arg(long, value_name = "REV", num_args = 0..=1, require_equals = true, default_missing_value = "HEAD")]
    pub changed_only: Option<String>,
    /// Threads; the result does not depend on it [default: all cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), allow_hyphen_values = true)]
    pub threads: Option<u16>,
    /// Write nothing: a missing snapshot is a failure.
    #[arg(long, visible_alias = "check", conflicts_with_all = ["accept", "reject", "review"], help_heading = "Snapshots")]
    pub ci: bool,
    /// Accept every snapshot that is new or differs.
    #[arg(long, conflicts_with_all = ["reject", "review"], help_heading = "Snapshots")]
    pub accept: bool,
    /// Throw away what waits to be accepted; nothing is run.
    #[arg(long, conflicts_with = "review", help_heading = "Snapshots")]
    pub reject: bool,
    /// Show each change and ask: accept (a), reject (r), skip (s) or quit (q).
    #[arg(long, help_heading = "Snapshots")]
    pub review: bool,
    /// Leave snapshots alone.
    #[arg(long, conflicts_with_all = ["accept", "reject", "review"], help_heading = "Snapshots")]
    pub no_snapshot: bool,
    /// Output format.
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        value_enum,
        default_value_t,
        help_heading = "Output"
    )]
    pub output: TestFormat,
}

/// Formats of test results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum TestFormat {
    /// For people.
    #[default]
    Text,
    /// JUnit XML, for build servers.
    Junit,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// The text, and annotations of a GitHub workflow.
    Github,
}
