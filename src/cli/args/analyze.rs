//! Arguments of `analyze`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{InputArgs, NamespaceArgs};

const EXAMPLES: &str = "\
Examples:
  What is wrong with these manifests?
    towtank analyze -f manifests/
  Before they are applied, straight from Helm:
    helm template shop ./chart | towtank analyze -f -
  With who calls whom: retries that multiply, timeouts that are inverted, hashes without a key
    towtank analyze examples/17-timeouts-inverted
  What does a code mean? Which are there?
    towtank analyze --explain IST0173
    towtank analyze --explain
  In CI, with annotations beside the lines, failing on warnings too:
    towtank analyze -f manifests/ -o github --fail-on warning --config .towtank.yaml

An object's annotation `galley.istio.io/analyze-suppress: IST0118,TT-FAULT-LEFT` (or `*`) silences
those codes for it, as istioctl analyze has it; --suppress CODE silences one everywhere, and
--suppress 'CODE=Kind ns/name' for some objects. A file of --config says why:

  # .towtank.yaml
  analyze:
    suppress:
    - code: TT-FAULT-LEFT
      object: VirtualService staging/*
      reason: staging is where faults are tried

Such a file is read only where it is named, so that a command says the same in every folder. An
entry that silences nothing is a remark (TT-SUPPRESS-UNUSED); `towtank schema config` has its form.";

/// `towtank analyze`.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = EXAMPLES)]
pub struct AnalyzeArgs {
    /// A Scenario file or a folder that holds one, or manifests as with -f. Repeatable.
    ///
    /// A Scenario brings its `manifests:` and `model:` with it. With them, or with a Model among
    /// the -f files, the rules that ask who calls whom are judged too.
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// The configuration.
    #[command(flatten)]
    pub input: InputArgs,
    /// The namespace.
    #[command(flatten)]
    pub namespace: NamespaceArgs,
    /// Say what a code means for traffic and what to do; without a code, list all.
    #[arg(long, value_name = "CODE", num_args = 0..=1, default_missing_value = "", conflicts_with_all = ["filename", "paths"])]
    pub explain: Option<String>,
    /// Silence a code, or a code for some objects: CODE or 'CODE=Kind ns/name'. Repeatable.
    ///
    /// `*` in the object stands for any text, `?` for one character.
    #[arg(long, value_name = "CODE", help_heading = "Judgement")]
    pub suppress: Vec<String>,
    /// Silence what this file lists, each entry with its reason (see the example below).
    #[arg(long, value_name = "FILE", help_heading = "Judgement")]
    pub config: Option<PathBuf>,
    /// End with exit code 8 when something as grave as this was found.
    #[arg(
        long,
        value_name = "LEVEL",
        value_enum,
        default_value_t,
        help_heading = "Judgement"
    )]
    pub fail_on: FailOn,
    /// Output format.
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        value_enum,
        default_value_t,
        help_heading = "Output"
    )]
    pub output: AnalyzeFormat,
}

/// What makes a failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Anything.
    Info,
    /// Warnings and errors.
    Warning,
    /// Errors.
    #[default]
    Error,
    /// Nothing.
    Never,
}

/// Format of an analysis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum AnalyzeFormat {
    /// For people: excerpts with a caret.
    #[default]
    Text,
    /// A list of findings.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// JUnit XML.
    Junit,
    /// Annotations of a GitHub workflow.
    Github,
}
