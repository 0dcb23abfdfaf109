//! Arguments of `sweep` and `merge`.

use std::path::PathBuf;

use clap::Args;

use super::{InputArgs, NamespaceArgs, Repeat};
use crate::experiment::sweep::{Axis, Shard};
use crate::units::SimDuration;

use super::values::duration;

const SWEEP_EXAMPLES: &str = "\
Examples:
  Which limit protects the backend? Three limits, four loads, ten replications:
    towtank sweep examples/07-circuit-breaking --out limits.csv --replications 10 \\
      --vary 'dr/backend-service:trafficPolicy.connectionPool.tcp.maxConnections=[10, 50, 100]' \\
      --vary 'Scenario:load[0].connections=log(5..500, 4)'
  Half to double load, in twentieths:
    towtank sweep scenario.yaml --vary 'load=0.5..2 step 0.05' --out load.csv
  On four machines (or as an array job), then put together:
    towtank sweep scenario.yaml --vary … --shard 2/4 --out part-2.csv
    towtank merge part-*.csv --out all.csv

Killed, interrupted or out of power, the same command goes on where the file ends; a file that
was made from other inputs, another grid or another version is refused. The columns are described
in models/schema/README.md.";

/// `towtank sweep`.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = SWEEP_EXAMPLES)]
pub struct SweepArgs {
    /// A Scenario file, or a folder that holds one.
    ///
    /// Its `manifests:` and `model:` are relative to its own folder. Without it, the Scenario
    /// among the -f files is taken.
    #[arg(value_name = "SCENARIO")]
    pub scenario: Option<PathBuf>,
    /// The configuration.
    #[command(flatten)]
    pub input: InputArgs,
    /// The namespace.
    #[command(flatten)]
    pub namespace: NamespaceArgs,
    /// What varies and over which values. Repeatable: every combination is run.
    ///
    /// PATH is written as for --set. VALUES is a list `[10, 50, 100]` (each value YAML), a range
    /// `10..100 step 10`, or `log(10..1000, 4)` for four values at equal ratios; ranges may have
    /// a unit, `5ms..50ms step 5ms`. `load=…` multiplies the rates of all open loads, `seed=…`
    /// takes each seed. The first one varies slowest.
    #[arg(long, value_name = "PATH=VALUES", value_parser = Axis::parse, help_heading = "Grid")]
    pub vary: Vec<Axis>,
    /// How long load is offered, in virtual time [default: the scenario's].
    #[arg(long, value_name = "DURATION", value_parser = duration, allow_hyphen_values = true, help_heading = "Grid")]
    pub duration: Option<SimDuration>,
    /// Make only this part of the rows, for example 2/8: the second of eight.
    ///
    /// `towtank merge` puts the parts together. Which rows a part has depends on the grid
    /// alone, so parts may be made anywhere, in any order, and again.
    #[arg(long, value_name = "I/N", default_value_t = Shard::WHOLE, hide_default_value = true, help_heading = "Grid")]
    pub shard: Shard,
    /// Luck and repetition.
    #[command(flatten)]
    pub repeat: Repeat,
    /// Append rows to this file, and go on where it ends [default: standard output].
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub out: Option<PathBuf>,
}

/// `towtank merge`.
#[derive(Args, Clone, Debug)]
pub struct MergeArgs {
    /// Files of all parts of one sweep, in any order.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Write to this file, aside and renamed [default: standard output].
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub out: Option<PathBuf>,
}
