//! Runs the commands of a lesson on its texts: nothing is read from disk, so that a lesson gives the same
//! wherever it is told.

use std::path::Path;

use clap::Parser as _;

use super::args::{Cli, Command, InputArgs};
use super::decode;
use super::exit_code::Failure;
use super::input::Reader;
use super::output::Console;
use super::pipeline::{Gathered, How, Mesh};
use super::traffic::{scenario_of_curl, scenario_of_load, scenario_of_run};
use crate::config::scenario::{Expectation, Scenario, expectation};
use crate::lesson::{self, Lesson};
use crate::manifest::Source;
use crate::report::curl::CurlReport;
use crate::report::lesson::{Ran, Results};

/// Runs everything that settles a lesson.
pub(super) fn run(lesson: &Lesson, console: Console) -> Result<Results, Failure> {
    let files: Vec<Source> = lesson.inputs().cloned().collect();
    let one = |(index, run): (usize, &lesson::Run)| {
        let own = lesson.expectations(index).into_iter().map(|(_, text)| text);
        let choices = lesson.choices.iter().flat_map(|choice| &choice.when);
        let of_it = choices.filter(|(of, _)| *of == index);
        let wanted: Vec<String> = own.chain(of_it.map(|(_, text)| text.clone())).collect();
        play(&run.command, &files, &wanted, console).map_err(|failure| about(lesson, run, failure))
    };
    let runs = lesson.runs.iter().enumerate().map(one);
    Ok(Results {
        runs: runs.collect::<Result<_, _>>()?,
        look: Vec::new(),
    })
}

/// The same, and what holds after the change that the lesson invites to.
pub(super) fn run_with_change(lesson: &Lesson, console: Console) -> Result<Results, Failure> {
    let mut results = run(lesson, console)?;
    let wanted: Vec<String> = lesson.look.iter().map(|l| l.expectation.clone()).collect();
    let changed = lesson.changed().map_err(Failure::Input)?;
    results.look = play(&lesson.again, &changed, &wanted, console)?
        .record
        .expectations;
    Ok(results)
}

/// Says which run of which lesson cannot be made.
fn about(lesson: &Lesson, run: &lesson::Run, failure: Failure) -> Failure {
    let first = format!("lesson `{}`, `{}`: ", lesson.folder, run.command.line());
    match failure {
        Failure::Input(text) => Failure::Input(format!("{first}\n{text}")),
        Failure::Usage(text) => Failure::Usage(first + &text),
        Failure::Output(text) => Failure::Output(text),
    }
}

/// Plays one command on texts, and judges what is wanted of it.
fn play(
    command: &lesson::Command,
    files: &[Source],
    wanted: &[String],
    console: Console,
) -> Result<Ran, Failure> {
    let parsed = Cli::try_parse_from(&command.words);
    let parsed = parsed.map_err(|error| Failure::Usage(error.to_string()))?;
    let (mut mesh, mut scenario, how);
    let mut is_curl = false;
    match &parsed.command {
        Command::Run(args) => {
            let named = args.scenario.as_deref();
            mesh = read(
                &args.input,
                args.namespace.namespace.as_deref(),
                named,
                files,
            )?;
            scenario = scenario_of_run(args, &mut mesh)?;
            how = How {
                // What would remove a finding is not part of a lesson.
                is_test: true,
                ..How::new(&args.repeat, &scenario)
            };
        }
        Command::Load(args) => {
            mesh = read(&args.input, args.namespace.as_deref(), None, files)?;
            scenario = scenario_of_load(args, &mut mesh)?;
            how = How {
                is_test: true,
                ..How::new(&args.repeat, &scenario)
            };
        }
        Command::Curl(args) => {
            mesh = read(
                &args.input,
                args.namespace.namespace.as_deref(),
                None,
                files,
            )?;
            (scenario, how) = scenario_of_curl(args, &mut mesh)?;
            is_curl = true;
        }
        _ => {
            let what = "a lesson runs `towtank run`, `load` or `curl`";
            return Err(Failure::Usage(what.to_owned()));
        }
    }
    scenario.expect = expectations(wanted, &scenario)?;
    let run = mesh.run(&scenario, &how, console)?;
    let shown = is_curl.then(|| {
        let mut report = CurlReport::new(&run.record, run.trail);
        // The same in every lesson; the command shows it.
        report.assumed.clear();
        report.text()
    });
    Ok(Ran {
        record: run.record,
        shown,
    })
}

fn expectations(wanted: &[String], scenario: &Scenario) -> Result<Vec<Expectation>, Failure> {
    let one = |text: &String| {
        expectation(text, scenario).map_err(|why| Failure::Usage(format!("`{text}`: {why}")))
    };
    wanted.iter().map(one).collect()
}

/// The mesh of those files that a command names: `.` is all of them.
fn read(
    input: &InputArgs,
    namespace: Option<&str>,
    scenario: Option<&Path>,
    files: &[Source],
) -> Result<Mesh, Failure> {
    let mut named: Vec<&Path> = input.filename.iter().map(AsRef::as_ref).collect();
    named.extend(scenario);
    let mut reader = Reader::default();
    let is_all = named.contains(&Path::new("."));
    for file in files {
        let name = Path::new(&*file.path);
        if is_all || named.contains(&name) {
            reader.sources.push(file.clone());
        }
    }
    let known = |path: &&Path| {
        let is_file = files.iter().any(|file| Path::new(&*file.path) == *path);
        is_file || *path == Path::new(".")
    };
    if let Some(path) = named.iter().find(|path| !known(path)) {
        let names: Vec<&str> = files.iter().map(|file| &*file.path).collect();
        return Err(Failure::Usage(format!(
            "the lesson has no file `{}`; it has {}, and `.` is all of them",
            path.display(),
            names.join(", ")
        )));
    }
    let options = decode::Options {
        namespace: namespace.map(str::to_owned),
        version: input.istio_version,
        edits: input.set.clone(),
        ..decode::Options::default()
    };
    Gathered::new(reader, options, input.force).mesh(&[], Console::SILENT)
}
