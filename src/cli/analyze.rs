//! `analyze`: what is wrong with manifests, without running anything.

use super::args::{AnalyzeArgs, AnalyzeFormat, FailOn};
use super::exit_code::{ExitCode, Failure};
use super::output::Console;
use super::pipeline::{self, Inputs};
use super::traffic::data;
use crate::analyze::{self, CODES, Level};
use crate::config::MeshConfig;
use crate::control_plane;
use crate::diagnostic::{Class, Diagnostic, nearest};
use crate::report::analyze as report;
use crate::report::format::{plural, wrap};

/// Annotation that silences codes for its object; a list, or `*`.
const SUPPRESS: &str = "galley.istio.io/analyze-suppress";

/// `towtank analyze`.
pub(super) fn analyze(args: &AnalyzeArgs, console: Console) -> Result<ExitCode, Failure> {
    if let Some(code) = &args.explain {
        return explain(code);
    }
    let inputs = Inputs {
        args: &args.input,
        namespace: args.namespace.namespace.as_deref(),
        scenario: None,
        tolerant: true,
    };
    let read = pipeline::gather(&inputs)?.diagnosed();
    let silenced = Silenced::new(args, &read.config)?;
    let mut found: Vec<Diagnostic> = read
        .diagnostics
        .into_iter()
        .filter(|d| d.class != Class::NotSimulated)
        .collect();
    let unreadable = found
        .iter()
        .any(|d| d.is_error() && d.class != Class::Admission);
    if !unreadable {
        let snapshot = control_plane::compile(&read.config);
        found.extend(analyze::analyze(&read.config, &snapshot));
    }
    let before = found.len();
    found.retain(|d| !silenced.covers(d));
    found.sort_by(|a, b| (&a.place, a.code).cmp(&(&b.place, b.code)));
    let text = match args.output {
        AnalyzeFormat::Text => read.texts.excerpts(&found),
        AnalyzeFormat::Json => report::json(&found),
        AnalyzeFormat::Sarif => report::sarif(&found),
        AnalyzeFormat::Junit => report::junit(&found, &read.texts.files().collect::<Vec<_>>()),
        AnalyzeFormat::Github => report::github(&found),
    };
    data(&text)?;
    summary(&found, before - found.len(), console);
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

/// Counts on standard error: standard output is for what was found.
fn summary(found: &[Diagnostic], silenced: usize, console: Console) {
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
    if silenced > 0 {
        text.push_str(&format!("; {silenced} suppressed"));
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
        data(&text)?;
        return Ok(ExitCode::Done);
    }
    let wanted = code.to_ascii_uppercase();
    let Some(known) = analyze::code(&wanted) else {
        let near = nearest(&wanted, CODES.iter().map(|known| known.code));
        let help = near.map_or_else(
            || "--explain without a code lists all".to_owned(),
            |near| format!("did you mean {near}?"),
        );
        return Err(Failure::Usage(format!(
            "`{code}` is no code of analysis; {help}"
        )));
    };
    let level = report::level_word(known.level);
    let mut text = format!("{} ({level}): {}\n\n", known.code, known.title);
    text.push_str(&wrap(known.text, "", 0, 100));
    data(&text)?;
    Ok(ExitCode::Done)
}

/// Codes that nobody wants to hear of.
struct Silenced {
    /// (code or `*`, object or `None` for all).
    rules: Vec<(String, Option<String>)>,
}

impl Silenced {
    fn new(args: &AnalyzeArgs, config: &MeshConfig) -> Result<Self, Failure> {
        let mut rules = Vec::new();
        for text in &args.suppress {
            let (code, object) = match text.split_once('=') {
                Some((code, object)) => (code, Some(object.to_owned())),
                None => (text.as_str(), None),
            };
            if code != "*" && analyze::code(code).is_none() && !code.starts_with("TT-") {
                return Err(Failure::Usage(format!(
                    "--suppress `{code}` is no code of analysis; --explain lists all"
                )));
            }
            rules.push((code.to_owned(), object));
        }
        for meta in config.metas() {
            let Some(list) = meta.annotations.get(SUPPRESS) else {
                continue;
            };
            let object = config.origins.object(meta.origin.object).to_string();
            let codes = list.split(',').map(|code| code.trim().to_owned());
            rules.extend(codes.map(|code| (code, Some(object.clone()))));
        }
        Ok(Self { rules })
    }

    fn covers(&self, d: &Diagnostic) -> bool {
        self.rules.iter().any(|(code, object)| {
            let of_code = code == "*" || code == d.code;
            of_code
                && object
                    .as_ref()
                    .is_none_or(|object| d.object.as_ref() == Some(object))
        })
    }
}
