//! `towtank learn`: what every lesson claims holds. `lessons_read.rs` has the ways to read them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use towtank::lesson::{self, Lesson, Part};

use crate::program::{root, text};

/// Runs `towtank learn` in a folder, so that nothing is written to the repository.
fn learn(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_towtank"));
    command.current_dir(folder).arg("learn").args(args);
    command.output().expect("the program starts")
}

/// Standard output of a call that has to end with this code, and standard error.
pub(crate) fn ends(folder: &Path, args: &[&str], code: i32) -> (String, String) {
    let output = learn(folder, args);
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(code), "{args:?}\n{said}");
    (String::from_utf8(output.stdout).expect("UTF-8"), said)
}

pub(crate) fn temporary() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

#[test]
fn the_lessons_of_the_program_are_those_on_disk_in_their_order() {
    let entries = fs::read_dir(root().join("models/lessons")).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("readable").path());
    let folders = paths.filter(|path| path.is_dir());
    let on_disk: BTreeSet<String> = folders
        .map(|path| {
            path.file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    let ours: Vec<&str> = lesson::FILES.iter().map(|(folder, _)| *folder).collect();
    assert!(ours.len() >= 12, "{ours:?}");
    assert_eq!(ours, on_disk.iter().collect::<Vec<_>>());
    for (number, folder) in (1..).zip(&ours) {
        let number = format!("{number:02}-");
        assert!(folder.starts_with(&number), "{folder} has number {number}");
    }
}

#[test]
fn what_the_scenario_of_a_lesson_expects_holds() {
    let shown = text(&["test", "models/lessons", "--no-snapshot", "--quiet"]);
    for (folder, _) in lesson::FILES {
        let line = shown.lines().find(|line| line.contains(folder));
        let line = line.unwrap_or_else(|| panic!("{folder} was not run:\n{shown}"));
        assert!(
            line.starts_with("PASS") && line.contains("expectation"),
            "{line}"
        );
    }
}

/// Lines of a scenario's `expect`.
fn expected(lesson: &Lesson) -> Vec<String> {
    let files = lesson.inputs();
    let mut scenario = files.filter(|file| &*file.path == "scenario.yaml");
    let text = &scenario.next().expect("a scenario").text;
    let (_, list) = text
        .split_once("  expect:\n")
        .expect("it expects something");
    let lines = list.lines().filter_map(|line| line.strip_prefix("  - "));
    lines
        .map(|line| line.trim_matches('"').to_owned())
        .collect()
}

#[test]
fn the_meshes_of_lessons_are_admitted_without_complaint_and_help_names_every_way_to_read() {
    for (folder, _) in lesson::FILES {
        let shown = text(&["run", &format!("models/lessons/{folder}")]);
        // The warning is what this one is about.
        let warns = *folder == "12-zone-failover";
        assert_eq!(shown.contains("\nWarnings\n"), warns, "{folder}: {shown}");
        let left_out = shown.contains("\nRead and not simulated\n");
        assert!(!left_out, "{folder}: {shown}");
    }
    let help = text(&["help", "learn"]);
    for flag in ["--into", "--force", "--predict", "--book"] {
        assert!(help.contains(flag), "{help}");
    }
}

#[test]
fn what_the_table_says_of_the_unchanged_files_is_what_their_scenario_expects() {
    for lesson in lesson::all() {
        let run = lesson
            .runs
            .iter()
            .position(|run| run.command.text == "towtank run .");
        let run = run.unwrap_or_else(|| panic!("{}: no plain run", lesson.folder));
        let of_table: BTreeSet<String> = lesson
            .rows
            .iter()
            .flat_map(|row| {
                row.bounds[run]
                    .iter()
                    .map(|bound| format!("{} {bound}", row.figure))
            })
            .collect();
        let of_scenario: BTreeSet<String> = expected(&lesson).into_iter().collect();
        assert_eq!(of_table, of_scenario, "{}", lesson.folder);
    }
}

#[test]
fn every_lesson_holds_when_told_in_a_pipe_and_its_answer_is_what_the_runs_say() {
    let folder = temporary();
    for lesson in lesson::all() {
        // Ends with 5 where a bound does not hold, or another answer than the marked one does.
        let (told, said) = ends(folder.path(), &[lesson.name()], 0);
        assert_eq!(said, "", "{}", lesson.folder);
        for part in ["Predict", "Run", "What settles it", "Try"] {
            let heading = format!("\n{part}\n");
            assert!(told.contains(&heading), "{}: no {part}", lesson.folder);
        }
        let right = lesson.choices.iter().position(|choice| choice.is_right);
        let right = char::from(b'a' + right.expect("one is right") as u8);
        let answer = format!("\nIt is {right}: ");
        assert!(told.contains(&answer), "{}: {answer}", lesson.folder);
        let widest = told.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(100), "{}: {widest:?} columns", lesson.folder);
    }
}

#[test]
fn every_lesson_asks_about_its_runs_and_shows_few_numbers() {
    for lesson in lesson::all() {
        let folder = &lesson.folder;
        assert!(
            lesson.claim.ends_with('.'),
            "{folder}: a claim is a sentence"
        );
        assert!((2..=4).contains(&lesson.choices.len()), "{folder}");
        assert!(
            (1..=6).contains(&lesson.rows.len()),
            "{folder}: few numbers"
        );
        let bounds = lesson.rows.iter().flat_map(|row| &row.bounds);
        assert!(bounds.flatten().count() >= 3, "{folder}: they are held");
        let words = |parts: &[Part]| {
            let texts = parts.iter().map(|part| match part {
                Part::Prose(text) => text.split_whitespace().count(),
                _ => 0,
            });
            texts.sum::<usize>()
        };
        let parts = [&lesson.argument, &lesson.question, &lesson.running];
        let more = [&lesson.settling, &lesson.trying];
        let all: usize = parts.iter().chain(&more).map(|parts| words(parts)).sum();
        assert!(all < 320, "{folder}: {all} words are no short lesson");
    }
}
