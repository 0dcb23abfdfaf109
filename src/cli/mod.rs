//! The command line: reads, wires the rooms together, prints.
//!
//! The only room that touches disk, terminal, environment and signals; everything below is a
//! function of its input. `args` defines every flag once, `pipeline` goes from paths to a
//! record, `input` reads, `output` writes, `exit_code` names the numbers. Data goes to
//! standard output, everything else to standard error.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the one room that touches disk, terminal, environment and clock"
)]

mod analyze;
pub mod args;
mod bench;
mod capacity;
mod client;
mod decode;
mod diff;
mod doubt;
pub mod exit_code;
mod explain;
mod export;
mod git;
mod input;
mod inspect;
mod interrupt;
mod learn;
mod lesson_files;
mod lesson_run;
mod merge;
mod mesh;
mod names;
mod output;
mod pipeline;
mod proxy_stats;
mod review;
mod side;
mod snapshot_file;
mod sweep;
mod sweep_file;
mod test;
mod texts;
mod traffic;

use std::process;

use clap::Parser;

use args::{Cli, Command};
use exit_code::{ExitCode, Failure};
use output::Console;

/// Runs the program with the arguments of the process.
pub fn main() -> process::ExitCode {
    // Wrong arguments end here, with exit code 2 (0 for --help and --version).
    let cli = Cli::parse();
    let console = Console::new(&cli.global);
    let code = match command(&cli.command, console) {
        Ok(code) => code,
        Err(failure) => {
            match &failure {
                Failure::Usage(message) | Failure::Output(message) => Console::error(message),
                Failure::Input(rendered) => Console::say(rendered),
            }
            failure.code()
        }
    };
    code.into()
}

fn command(command: &Command, console: Console) -> Result<ExitCode, Failure> {
    match command {
        Command::Run(args) => traffic::run(args, console),
        Command::Curl(args) => traffic::curl(args, console),
        Command::Load(args) => traffic::load(args, console),
        Command::Explain(args) => explain::explain(args, console),
        Command::Diff(args) => diff::diff(args, console),
        Command::Analyze(args) => analyze::analyze(args, console),
        Command::Capacity(args) => capacity::capacity(args, console),
        Command::Test(args) => test::test(args, console),
        Command::Sweep(args) => sweep::sweep(args, console),
        Command::Merge(args) => merge::merge(args, console),
        Command::Learn(args) => learn::learn(args, console),
        Command::ProxyConfig(args) => inspect::proxy_config(args, console),
        Command::ProxyStats(args) => proxy_stats::proxy_stats(args, console),
        Command::Export(args) => export::export(args, console),
        Command::Bench(args) => bench::bench(args),
        Command::Schema(args) => inspect::schema(args),
        Command::Completions(args) => inspect::completions(args),
        Command::Man => inspect::man(),
    }
}
