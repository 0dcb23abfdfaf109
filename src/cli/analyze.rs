//! `analyze`: what is wrong with manifests, without running anything.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::args::{AnalyzeArgs, AnalyzeFormat, FailOn, InputArgs};
use super::exit_code::{ExitCode, Failure};
use super::input::{self, Reader};
use super::output::Console;
use super::pipeline::{self, Diagnosed, Inputs};
use super::texts::Texts;
use super::traffic::data;
use crate::analyze::suppress::{self, By, Entry, Suppressed};
use crate::analyze::{self, CODES, Input, Level, READING};
use crate::control_plane;
use crate::diagnostic::{Class, Diagnostic, nearest, render};
use crate::report::analyze as report;
use crate::report::format::{plural, wrap};
use crate::verdict::{MEANINGS, meaning};

/// What people may expect to be read by itself.
const USUAL_CONFIG: &str = ".towtank.yaml";

/// `towtank analyze`.
pub(super) fn analyze(args: &AnalyzeArgs, console: Console) -> Result<ExitCode, Failure> {
    if let Some(code) = &args.explain {
        return explain(code);
    }
    let file = args.config.as_deref().map(config_file).transpose()?;
    let (input, scenario) = sorted(args)?;
    let inputs = Inputs {
        args: &input,
        namespace: args.namespace.namespace.as_deref(),
        scenario: scenario.as_deref(),
        tolerant: true,
    };
    let mut read = pipeline::gather(&inputs)?.diagnosed();
    let mut entries = suppress::annotations(&read.config);
    for text in &args.suppress {
        entries.push(Entry::flag(text).map_err(Failure::Usage)?);
    }
    if let Some((source, of_file)) = file {
        entries.extend(of_file);
        // For excerpts of its own entries.
        read.texts.sources = read.texts.sources.iter().cloned().chain([source]).collect();
    }
    let (suppressed, unreadable) = judged(&mut read, &entries);
    let mut found = suppressed.kept;
    found.extend(suppressed.unused);
    found.sort_by(|a, b| (&a.place, a.code).cmp(&(&b.place, b.code)));
    let text = match args.output {
        AnalyzeFormat::Text => {
            (read.texts).excerpts(&found, |d| report::level_of(d) == Level::Info)
        }
        AnalyzeFormat::Json => report::json(&found),
        AnalyzeFormat::Sarif => report::sarif(&found),
        AnalyzeFormat::Junit => report::junit(&found, &read.texts.files().collect::<Vec<_>>()),
        AnalyzeFormat::Github => report::github(&found),
    };
    data(&text)?;
    summary(&found, &suppressed.counts, console);
    if args.config.is_none() && Path::new(USUAL_CONFIG).is_file() {
        console.note(&format!(
            "{USUAL_CONFIG} is here and was not read: --config {USUAL_CONFIG} does"
        ));
    }
    if unreadable {
        return Ok(ExitCode::Input);
    }
    let worst = found.iter().map(report::level_of).max();
    let fails = match args.fail_on {
        FailOn::Never => false,
        FailOn::Error => worst >= Some(Level::Error),
        FailOn::Warning => worst >= Some(Level::Warning),
        FailOn::Info => worst.is_some(),
    };
    Ok(if fails {
        ExitCode::Found
    } else {
        ExitCode::Done
    })
}

/// The paths without a flag: manifests beside those of `-f`, and the Scenario among them.
fn sorted(args: &AnalyzeArgs) -> Result<(InputArgs, Option<PathBuf>), Failure> {
    let mut input = args.input.clone();
    let mut scenario: Option<PathBuf> = None;
    for path in &args.paths {
        match (input::scenario_in(path), &scenario) {
            (None, _) => input.filename.push(path.clone()),
            (Some(_), None) => scenario = Some(path.clone()),
            (Some(_), Some(first)) => {
                return Err(Failure::Usage(format!(
                    "`{}` and `{}` both hold a Scenario; analyze one at a time",
                    first.display(),
                    path.display()
                )));
            }
        }
    }
    Ok((input, scenario))
}

/// Everything that is found and not silenced, and whether the input could not be read.
fn judged(read: &mut Diagnosed, entries: &[Entry]) -> (Suppressed, bool) {
    let mut found: Vec<Diagnostic> = std::mem::take(&mut read.diagnostics)
        .into_iter()
        .filter(|d| d.class != Class::NotSimulated)
        .collect();
    let unreadable = found
        .iter()
        .any(|d| d.is_error() && d.class != Class::Admission);
    if unreadable {
        // What was not looked for is nothing that an entry missed.
        let all: Vec<&str> = CODES.iter().map(|known| known.code).collect();
        let all = [&all, READING, &["*"]].concat();
        return (suppress::suppress(found, entries, &all), true);
    }
    let snapshot = control_plane::compile(&read.config);
    let input = Input {
        config: &read.config,
        snapshot: &snapshot,
        model: read.models.first(),
        scenarios: &read.scenarios,
        said: &found,
    };
    let unjudged = input.unjudged();
    let more = analyze::analyze(&input);
    found.extend(more);
    (suppress::suppress(found, entries, unjudged), false)
}

/// The entries of a file of `--config`, with its text.
fn config_file(path: &Path) -> Result<(crate::manifest::Source, Vec<Entry>), Failure> {
    let mut reader = Reader::default();
    if path.is_dir() {
        let what = format!("--config {}: it is a folder; name a file", path.display());
        return Err(Failure::Usage(what));
    }
    reader.read(path);
    let Some(source) = reader.sources.pop() else {
        return Err(Failure::Input(render(&reader.problems, &[], true)));
    };
    let (entries, said) = suppress::read(&source);
    if said.iter().any(Diagnostic::is_error) {
        let texts = Texts {
            sources: [source].into(),
            edits: Vec::new(),
        };
        return Err(texts.refuse(&said));
    }
    Ok((source, entries))
}

/// Counts on standard error: standard output is for what was found.
fn summary(found: &[Diagnostic], silenced: &BTreeMap<By, usize>, console: Console) {
    let count = |level| {
        found
            .iter()
            .filter(|d| report::level_of(d) == level)
            .count() as u64
    };
    let mut text = if found.is_empty() {
        "nothing found".to_owned()
    } else {
        format!(
            "{}, {}, {}",
            plural(count(Level::Error), "error", "errors"),
            plural(count(Level::Warning), "warning", "warnings"),
            plural(count(Level::Info), "remark", "remarks")
        )
    };
    let by: Vec<String> = silenced
        .iter()
        .map(|(by, count)| match by {
            By::Annotation => format!("{count} by annotation"),
            By::Flag => format!("{count} by --suppress"),
            By::File(name) => format!("{count} by {name}"),
        })
        .collect();
    if !by.is_empty() {
        text.push_str(&format!("; suppressed: {}", by.join(", ")));
    }
    if !found.is_empty() {
        text.push_str("; --explain CODE says more");
    }
    console.note(&text);
}

fn explain(code: &str) -> Result<ExitCode, Failure> {
    if code.is_empty() {
        let mut text = String::new();
        for known in CODES {
            let level = report::level_word(known.level);
            text.push_str(&format!("{:<22} {level:<8} {}\n", known.code, known.title));
        }
        text.push_str("\nFindings of runs\n");
        for (code, meaning) in MEANINGS
            .iter()
            .filter(|(code, _)| analyze::code(code).is_none())
        {
            let first = meaning
                .split_once(". ")
                .map_or(*meaning, |(first, _)| first);
            text.push_str(&format!("{code:<22} {}\n", first.trim_end_matches('.')));
        }
        data(&text)?;
        return Ok(ExitCode::Done);
    }
    let wanted = code.to_ascii_uppercase();
    if READING.contains(&wanted.as_str()) {
        data(&format!(
            "{wanted}: given while the input is read; its message says what is wrong and what to try\n"
        ))?;
        return Ok(ExitCode::Done);
    }
    let Some(known) = analyze::code(&wanted) else {
        if let Some(meaning) = meaning(&wanted) {
            let text = format!("{wanted}, a finding of runs: {meaning}");
            data(&wrap(&text, "", 0, 100))?;
            return Ok(ExitCode::Done);
        }
        let of_runs = MEANINGS.iter().map(|(code, _)| *code);
        let near = nearest(&wanted, CODES.iter().map(|known| known.code).chain(of_runs));
        let help = near.map_or_else(
            || "--explain without a code lists all".to_owned(),
            |near| format!("did you mean {near}?"),
        );
        return Err(Failure::Usage(format!(
            "`{code}` is no code of analysis or of a finding; {help}"
        )));
    };
    let level = report::level_word(known.level);
    let mut text = format!("{} ({level}): {}\n\n", known.code, known.title);
    text.push_str(&wrap(known.text, "", 0, 100));
    data(&text)?;
    Ok(ExitCode::Done)
}
