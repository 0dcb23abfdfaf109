//! Which results this build gives: the same inputs give the same rows in every build that has the
//! same identity.
//!
//! Why not the version alone: between two releases every build carries the same one, and a table
//! that was begun by one of them and continued by the next would hold rows of both. Why not a hash
//! of the program: parts of one sweep may be made on machines of different kinds, whose programs
//! differ and whose rows do not.
//!
//! So the identity is what sweeps give: `results.txt` has a hash of the table of each of some
//! folders. `tests/it/sweeps_results.rs` makes the tables and fails where they differ, so the file
//! cannot stay behind a build that was tested. Two builds that differ only where none of these
//! runs shows it are told apart by the file's `edition`, which is raised by hand.

use crate::units::hash::xxhash64;

/// What sweeps gave when somebody looked last.
pub const RECORDED: &str = include_str!("results.txt");

/// The version with a hash of its results, for example `0.1.0 4f2c98d15a03be77`.
pub fn identity() -> String {
    identity_of(env!("CARGO_PKG_VERSION"), RECORDED)
}

fn identity_of(version: &str, recorded: &str) -> String {
    // By line, since a checkout may end its lines in two ways.
    let lines: Vec<&str> = entries(recorded).collect();
    format!("{version} {:016x}", xxhash64(lines.join("\n").as_bytes()))
}

/// The lines that say something: `edition N`, then `FOLDER HASH`.
pub fn entries(recorded: &str) -> impl Iterator<Item = &str> {
    let lines = recorded.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_and_version_decide_and_nothing_else_does() {
        let known = identity_of("0.1.0", "edition 1\na 00\n");
        assert!(known.starts_with("0.1.0 "), "{known}");
        for same in ["edition 1\r\na 00\r\n", "# why\nedition 1\n\na 00"] {
            assert_eq!(identity_of("0.1.0", same), known, "{same:?}");
        }
        for other in ["edition 2\na 00\n", "edition 1\na 01\n", "edition 1\n"] {
            assert_ne!(identity_of("0.1.0", other), known, "{other:?}");
        }
        assert_ne!(identity_of("0.1.1", "edition 1\na 00\n"), known);
    }
}
