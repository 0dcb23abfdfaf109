//! What sweeps of the repository's own folders give is recorded, and the record is part of every
//! sweep's fingerprint: a build with other results does not continue a table of this one.

use towtank::experiment::sweep::results::{RECORDED, entries};
use towtank::units::hash::xxhash64;

use crate::program;

/// The line of a folder: its name and the hash of its table.
fn made(folder: &str) -> String {
    let table = program::text(&["sweep", folder, "--replications", "1", "--quiet"]);
    format!("{folder} {:016x}", xxhash64(unsigned(&table).as_bytes()))
}

/// A table without its first column, which depends on what is recorded.
fn unsigned(table: &str) -> String {
    let lines: Vec<&str> = table
        .lines()
        .map(|line| line.split_once(',').expect("several columns").1)
        .collect();
    assert_eq!(lines.len(), 2, "{table}");
    lines.join("\n")
}

#[test]
fn the_results_of_this_build_are_those_that_are_recorded() {
    let recorded: Vec<&str> = entries(RECORDED).collect();
    let (edition, recorded) = recorded.split_first().expect("an edition");
    assert!(edition.starts_with("edition "), "{edition}");
    assert!(recorded.len() > 30, "enough to tell builds apart by");
    let folders = recorded.iter().filter_map(|line| line.split(' ').next());
    let made: Vec<String> = folders.map(made).collect();
    assert!(
        made == recorded,
        "sweeps give other results than src/experiment/sweep/results.txt has. If that is meant, say why in\n\
         CHANGELOG.md under `Results that changed` and write this into the file, below its comment:\n\n\
         {edition}\n{}\n",
        made.join("\n")
    );
}
