//! The `towtank` program: everything happens in [`towtank::cli`].
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    towtank::cli::main()
}
