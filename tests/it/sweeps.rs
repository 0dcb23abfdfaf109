//! `towtank sweep` and `merge`: one table, whatever interrupts it and however it is split.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::program::{self, root};

const VARY: &str = "Scenario:load[0].connections=[5, 10, 20, 40]";

fn sweep(out: &Path, more: &[&str]) -> Vec<String> {
    let out = out.display().to_string();
    let mut args = vec![
        "sweep",
        "examples/07-circuit-breaking",
        "--duration",
        "5s",
        "--replications",
        "3",
        "--vary",
        VARY,
        "--out",
        &out,
    ];
    args.extend(more);
    args.into_iter().map(str::to_owned).collect()
}

#[test]
fn a_row_per_point_and_replication_with_named_columns() {
    let dir = tempfile::tempdir().expect("a folder");
    let out = dir.path().join("all.csv");
    program::text(&sweep(&out, &[]));
    let mut rows = csv::Reader::from_path(&out).expect("readable");
    let header = rows.headers().expect("a header").clone();
    let at = |name: &str| {
        let found = header.iter().position(|h| h == name);
        found.unwrap_or_else(|| panic!("no column {name}: {header:?}"))
    };
    let rows: Vec<_> = rows.records().map(|r| r.expect("a row")).collect();
    assert_eq!(rows.len(), 12);
    let keys: Vec<(String, String)> = (rows.iter())
        .map(|r| (r[at("point")].to_owned(), r[at("replication")].to_owned()))
        .collect();
    let mut sorted = keys.clone();
    sorted.sort_by_key(|(p, r)| (p.parse::<u32>().ok(), r.parse::<u32>().ok()));
    sorted.dedup();
    assert_eq!(keys, sorted, "in order, none twice");
    assert_eq!(&rows[3][at("Scenario:load[0].connections")], "10");
    for unit in [
        "p99_ms",
        "rate_per_second",
        "error_share",
        "simulated_seconds",
    ] {
        assert!(rows[0][at(unit)].parse::<f64>().is_ok(), "{unit}");
    }
    // A replication of a sweep is the same run as `run` makes.
    let one = "Scenario:load[0].connections=10";
    let run = program::json(&[
        "run",
        "examples/07-circuit-breaking",
        "--duration",
        "5s",
        "--replications",
        "1",
        "--set",
        one,
        // What the example expects takes it longer.
        "--set",
        "Scenario:spec.expect=null",
    ]);
    assert_eq!(run["digest"].as_str(), Some(&rows[3][at("digest")]));
}

#[test]
fn threads_shards_and_a_torn_end_change_no_byte() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = |name: &str| dir.path().join(name);
    program::text(&sweep(&file("all.csv"), &[]));
    let all = fs::read_to_string(file("all.csv")).expect("written");
    program::text(&sweep(&file("one.csv"), &["--threads", "1"]));
    assert_eq!(fs::read_to_string(file("one.csv")).expect("written"), all);
    // Half a row, as a machine that loses power leaves it.
    let torn: String = all.chars().take(all.len() * 2 / 3).collect();
    fs::write(file("torn.csv"), torn).expect("written");
    program::text(&sweep(&file("torn.csv"), &[]));
    assert_eq!(fs::read_to_string(file("torn.csv")).expect("written"), all);
    for shard in ["1/3", "2/3", "3/3"] {
        let name = format!("part-{}.csv", &shard[..1]);
        program::text(&sweep(&file(&name), &["--shard", shard]));
    }
    let parts: Vec<String> = [3, 1, 2]
        .map(|n| file(&format!("part-{n}.csv")).display().to_string())
        .into();
    let merged = program::text(&["merge", &parts[0], &parts[1], &parts[2]]);
    assert_eq!(merged, all);
    let output = program::run(&["merge", &parts[0], &parts[1]]);
    assert!(!output.status.success(), "a part is missing");
}

/// Starts a sweep and kills it (SIGKILL: nothing can be tidied up) once its file has so many lines.
/// True when that was before its end.
fn kill_at(lines: usize, out: &Path, args: &[String]) -> bool {
    let mut child = Command::new(env!("CARGO_BIN_EXE_towtank"))
        .current_dir(root())
        .args(args)
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let there = || fs::read(out).map_or(0, |text| text.split(|b| *b == b'\n').count() - 1);
    while there() < lines && child.try_wait().expect("it can be asked").is_none() {
        std::thread::sleep(Duration::from_micros(200));
    }
    let _ = child.kill();
    !child.wait().expect("it can be asked").success()
}

#[test]
fn a_sweep_that_is_killed_again_and_again_goes_on_where_it_was() {
    let dir = tempfile::tempdir().expect("a folder");
    let whole = dir.path().join("whole.csv");
    // Long enough that the moments below come before the end.
    let args = |out: &Path, threads: &str| -> Vec<String> {
        let mut args = sweep(out, &["--threads", threads]);
        args[3] = "20s".to_owned();
        args[5] = "12".to_owned();
        args
    };
    program::text(&args(&whole, "2"));
    let whole = fs::read(&whole).expect("written");
    assert_eq!(whole.split(|b| *b == b'\n').count(), 50, "header, 48 rows");
    for threads in ["1", "2"] {
        let out = dir.path().join(format!("killed-{threads}.csv"));
        // Before the file is there, with its header, after the first row, then anywhere.
        let (mut before, mut cuts) = (0, 0);
        for lines in [0, 1, 2, 3, 7, 20] {
            cuts += u32::from(kill_at(lines, &out, &args(&out, threads)));
            let text = fs::read(&out).unwrap_or_default();
            assert!(
                whole.starts_with(&text),
                "{threads} threads, killed at {lines} lines: not the beginning of the whole"
            );
            assert!(
                before <= text.len(),
                "killed at {lines} lines: rows are lost"
            );
            before = text.len();
        }
        // A busy machine may come too late for one of them.
        assert!(cuts >= 4, "{threads} threads: cut {cuts} times");
        program::text(&args(&out, threads));
        assert!(
            fs::read(&out).expect("written") == whole,
            "{threads} threads"
        );
    }
}

#[test]
fn another_grid_and_a_path_that_leads_nowhere_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let out = dir.path().join("all.csv");
    program::text(&sweep(&out, &[]));
    let before = fs::read(&out).expect("written");
    let other = program::run(&sweep(&out, &["--seed", "9"]));
    assert!(!other.status.success());
    let text = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(
        text.contains("made from other inputs, another grid or another version"),
        "{text}"
    );
    assert_eq!(
        fs::read(&out).expect("still there"),
        before,
        "nothing is touched"
    );
    let wrong = program::run(&[
        "sweep",
        "examples/07-circuit-breaking",
        "--vary",
        "Scenario:load[0].connectoins=[1, 2]",
    ]);
    assert!(!wrong.status.success());
    let text = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(text.contains("connections"), "{text}");
    assert!(text.contains("--> --vary:1:"), "{text}");
}

#[test]
fn a_value_that_is_wrong_is_named_by_its_flag() {
    let said = program::fails(
        &[
            "sweep",
            "examples/07-circuit-breaking",
            "--set",
            "Scenario:duration=5s",
            "--vary",
            "seed=[1, 2]",
            "--vary",
            "Scenario:load[0].connections=[5, many]",
        ],
        1,
    );
    assert!(said.contains("--> --vary:2:30"), "{said}");
    assert!(said.contains("Scenario:load[0].connections=many"), "{said}");
    assert!(!said.contains("--set"), "{said}");
}
