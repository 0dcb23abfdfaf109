//! `towtank test`: every scenario is run, judged, and compared with its snapshot.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

use anstream::adapter::strip_str;
use rayon::prelude::*;

use super::args::{InputArgs, Repeat, TestArgs, TestFormat};
use super::exit_code::{ExitCode, Failure};
use super::git;
use super::input;
use super::interrupt;
use super::output::Console;
use super::pipeline::{self, How, Inputs};
use super::review::review;
use super::snapshot_file::SnapshotFile;
use super::traffic::{check, data, only_scenario};
use crate::experiment::judge_routes;
use crate::report::test::{self as report, Outcomes, Snapshot, Status, Tested};
use crate::report::{github, junit, sarif, snapshot};

/// Files whose change may change a result.
const INPUTS: [&str; 5] = ["yaml", "yml", "json", "csv", "snap"];

/// `towtank test`.
pub(super) fn test(args: &TestArgs, console: Console) -> Result<ExitCode, Failure> {
    let files = find(&args.paths)?;
    if args.reject {
        return reject(&files, console);
    }
    let changed = args
        .changed_only
        .as_deref()
        .map(git::changed_since)
        .transpose()?;
    let begin = Instant::now();
    let mut all = run_all(args, &files, changed.as_deref(), console);
    if interrupt::watch().load(Ordering::Relaxed) {
        return Ok(ExitCode::Interrupted);
    }
    if args.accept {
        for (tested, file) in all.iter_mut().zip(&files) {
            accept(tested, file)?;
        }
    }
    if args.review {
        review(&mut all, &files, io::stdin().lock())?;
    }
    data(&match args.output {
        TestFormat::Text => report::text(&all),
        TestFormat::Junit => junit::render(&report::suites(&all)),
        TestFormat::Sarif => sarif::render(&report::notices(&all), report::RULES),
        TestFormat::Github => report::text(&all) + &github::render(&report::notices(&all)),
    })?;
    let ran = all
        .iter()
        .filter(|tested| tested.status() != Status::Skip)
        .count();
    console.note(&format!(
        "ran {ran} in {:.1} s",
        begin.elapsed().as_secs_f64()
    ));
    Ok(code(&all))
}

fn code(all: &[Tested]) -> ExitCode {
    let worst = all.iter().map(Tested::status).max().unwrap_or(Status::Pass);
    match worst {
        Status::Error => ExitCode::Input,
        Status::Fail => ExitCode::Expectation,
        Status::Undecided => ExitCode::Undecided,
        Status::Skip | Status::Pass | Status::New => ExitCode::Done,
    }
}

/// All scenario files below some paths.
fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let current = [PathBuf::from(".")];
    let paths = if paths.is_empty() { &current } else { paths };
    let mut files = Vec::new();
    for path in paths {
        let found = input::scenarios_below(path).map_err(Failure::Usage)?;
        if found.is_empty() {
            return Err(Failure::Usage(format!(
                "no Scenario is in `{}`; `towtank schema scenario` shows its form",
                path.display()
            )));
        }
        // What is found from `.` is named as people would.
        let short = |file: PathBuf| file.strip_prefix("./").map_or(file.clone(), Path::to_owned);
        files.extend(found.into_iter().map(short));
    }
    files.sort();
    files.dedup();
    Ok(files)
}

fn reject(files: &[PathBuf], console: Console) -> Result<ExitCode, Failure> {
    let pending = files.iter().map(|file| SnapshotFile::of(file));
    let pending: Vec<SnapshotFile> = pending.filter(SnapshotFile::is_pending).collect();
    pending.iter().try_for_each(SnapshotFile::reject)?;
    console.note(&format!(
        "rejected {}",
        crate::report::format::plural(pending.len() as u64, "snapshot", "snapshots")
    ));
    Ok(ExitCode::Done)
}

fn accept(tested: &mut Tested, file: &Path) -> Result<(), Failure> {
    let Outcomes::Judged { snapshot, .. } = &mut tested.result else {
        return Ok(());
    };
    if matches!(snapshot, Snapshot::New | Snapshot::Differs(_)) {
        SnapshotFile::of(file).accept()?;
        *snapshot = Snapshot::Accepted;
    }
    Ok(())
}

/// Scenarios side by side, each on one thread; a single one has all threads for itself.
fn run_all(
    args: &TestArgs,
    files: &[PathBuf],
    changed: Option<&[PathBuf]>,
    console: Console,
) -> Vec<Tested> {
    let interrupted = interrupt::watch_saying("stopping");
    let progress = console.progress();
    let done = std::sync::atomic::AtomicUsize::new(0);
    let threads = args.threads.map(usize::from);
    let inner = if files.len() > 1 {
        Some(1)
    } else {
        args.threads
    };
    let one = |file: &PathBuf| {
        if interrupted.load(Ordering::Relaxed) {
            return skipped(file, "interrupted");
        }
        let tested = match changed {
            Some(changed) if !touches(file, changed) => skipped(file, "not changed"),
            _ => run(args, file, inner),
        };
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        progress.at(done as f64 / files.len() as f64);
        tested
    };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads.unwrap_or(0))
        .build();
    let all: Vec<Tested> = match pool {
        Ok(pool) => pool.install(|| files.par_iter().map(one).collect()),
        Err(_) => files.iter().map(one).collect(),
    };
    drop(progress);
    all
}

fn tested(file: &Path, name: &str, result: Outcomes) -> Tested {
    let is_usual = file.file_stem().is_some_and(|stem| stem == "scenario");
    let folder = file
        .parent()
        .filter(|folder| is_usual && *folder != Path::new(""));
    let shown = |path: &Path| path.display().to_string();
    Tested {
        path: shown(folder.unwrap_or(file)),
        file: shown(file),
        name: name.to_owned(),
        result,
    }
}

fn skipped(file: &Path, why: &str) -> Tested {
    tested(file, "", Outcomes::Skipped(why.to_owned()))
}

fn run(args: &TestArgs, file: &Path, threads: Option<u16>) -> Tested {
    let unusable = |failure: Failure| match failure {
        Failure::Input(text) | Failure::Usage(text) | Failure::Output(text) => {
            tested(file, "", Outcomes::Unusable(strip_str(&text).to_string()))
        }
    };
    judged(args, file, threads).unwrap_or_else(unusable)
}

fn judged(args: &TestArgs, file: &Path, threads: Option<u16>) -> Result<Tested, Failure> {
    let inputs = Inputs {
        args: &InputArgs::default(),
        namespace: None,
        scenario: Some(file),
        tolerant: false,
    };
    let mesh = pipeline::read(&inputs, Console::SILENT)?;
    let scenario = only_scenario(&mesh)?;
    check(&scenario)?;
    let repeat = Repeat {
        threads,
        ..Repeat::default()
    };
    let how = How {
        is_test: true,
        ..How::new(&repeat, &scenario)
    };
    let record = mesh.run(&scenario, &how, Console::SILENT)?.record;
    let routes = judge_routes(&scenario, &mesh.compile(), &mesh.config.origins);
    let snapshot = if args.no_snapshot || interrupt::watch().load(Ordering::Relaxed) {
        Snapshot::Off
    } else {
        SnapshotFile::of(file).judge(&snapshot::render(&record), !args.ci)?
    };
    let result = Outcomes::Judged {
        expectations: record.expectations,
        routes,
        snapshot,
    };
    Ok(tested(file, &scenario.name, result))
}

/// True when a file of this scenario is among those that changed.
fn touches(file: &Path, changed: &[PathBuf]) -> bool {
    let whole = |path: &Path| std::path::absolute(path).map_or(path.to_owned(), |p| tidy(&p));
    let own = whole(file);
    let mut named: Vec<PathBuf> = vec![own.clone(), own.with_extension("snap")];
    // One that cannot be read is run, and says why.
    let Ok(paths) = pipeline::named_by(file) else {
        return true;
    };
    named.extend(paths.iter().map(|path| whole(path)));
    let is_input = |path: &Path| {
        let ending = path
            .extension()
            .and_then(|ending| ending.to_str())
            .unwrap_or_default();
        INPUTS.contains(&ending)
    };
    changed
        .iter()
        .map(|path| tidy(path))
        .filter(|path| is_input(path))
        .any(|path| {
            let beside =
                path.extension().is_some_and(|e| e == "csv") && path.parent() == own.parent();
            beside || named.iter().any(|named| path.starts_with(named))
        })
}

/// Links followed and `..` taken out, where that can be done.
fn tidy(path: &Path) -> PathBuf {
    if let Ok(real) = std::fs::canonicalize(path) {
        return real;
    }
    // A file that is gone: its folder may still be there.
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) if parent != Path::new("") => tidy(parent).join(name),
        _ => path.to_owned(),
    }
}
