//! Findings of an analysis for tools: JSON, SARIF, JUnit, GitHub annotations.

use schemars::JsonSchema;
use serde::Serialize;

use super::json::pretty;
use super::notice::{Level as NoticeLevel, Notice};
use super::{github, junit, sarif};
use crate::analyze::{self, CODES, Level};
use crate::diagnostic::{Diagnostic, Place};

/// Result of `analyze -o json`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalyzeReport {
    /// Name and version of this format, `towtank.analyze/v1`.
    pub schema: String,
    /// Version of towtank that made it.
    pub version: String,
    /// What was found, in the order of files and lines.
    pub findings: Vec<Finding>,
}

/// One thing that was found.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Istio's code where Istio has one, else ours (`TT-…`).
    pub code: String,
    /// `error`, `warning` or `info`.
    pub level: String,
    /// What is wrong, and what happens to traffic.
    pub message: String,
    /// The object: `VirtualService production/reviews`; null for what is no object.
    pub object: Option<String>,
    /// File; null where there is no place.
    pub file: Option<String>,
    /// Line from 1; null where only the file is known.
    pub line: Option<u32>,
    /// Column from 1; null where only the line is known.
    pub column: Option<u32>,
    /// What to do; null where the message says it.
    pub help: Option<String>,
    /// Other places that belong to it.
    pub related: Vec<Related>,
}

/// Another place that belongs to a finding.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Related {
    /// File.
    pub file: String,
    /// Line from 1; null where only the file is known.
    pub line: Option<u32>,
    /// What it has to do with it.
    pub why: String,
}

/// How grave a finding is.
pub fn level_of(d: &Diagnostic) -> Level {
    let known = analyze::level(d.code);
    if d.is_error() {
        Level::Error
    } else {
        known.min(Level::Warning)
    }
}

/// `error`, `warning`, `info`.
pub const fn level_word(level: Level) -> &'static str {
    match level {
        Level::Info => "info",
        Level::Warning => "warning",
        Level::Error => "error",
    }
}

/// As JSON.
pub fn json(found: &[Diagnostic]) -> String {
    pretty(&AnalyzeReport {
        schema: "towtank.analyze/v1".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        findings: found.iter().map(finding).collect(),
    })
}

/// The JSON Schema, pretty-printed.
pub fn schema() -> String {
    pretty(&schemars::schema_for!(AnalyzeReport))
}

fn finding(d: &Diagnostic) -> Finding {
    let place = d.place.as_ref();
    Finding {
        code: d.code.to_owned(),
        level: level_word(level_of(d)).to_owned(),
        message: d.message.clone(),
        object: d.object.clone(),
        file: place.map(|p| p.file.to_string()),
        line: place.map(|p| p.line).filter(|line| *line > 0),
        column: place.map(|p| p.column).filter(|column| *column > 0),
        help: d.help.clone(),
        related: d.related.iter().map(related).collect(),
    }
}

fn related((place, why): &(Place, String)) -> Related {
    Related {
        file: place.file.to_string(),
        line: Some(place.line).filter(|line| *line > 0),
        why: why.clone(),
    }
}

fn notices(found: &[Diagnostic]) -> Vec<Notice> {
    let notice = |d: &Diagnostic| Notice {
        level: match level_of(d) {
            Level::Info => NoticeLevel::Note,
            Level::Warning => NoticeLevel::Warning,
            Level::Error => NoticeLevel::Error,
        },
        ..Notice::from(d)
    };
    found.iter().map(notice).collect()
}

/// As SARIF, with the texts of the codes.
pub fn sarif(found: &[Diagnostic]) -> String {
    let rules: Vec<sarif::Rule<'_>> = (CODES.iter())
        .map(|known| sarif::Rule {
            code: known.code,
            title: known.title,
            help: known.text,
        })
        .collect();
    sarif::render(&notices(found), &rules)
}

/// As annotations of a GitHub workflow.
pub fn github(found: &[Diagnostic]) -> String {
    github::render(&notices(found))
}

/// As JUnit: files without findings pass, every finding is a case that fails.
pub fn junit(found: &[Diagnostic], files: &[&str]) -> String {
    let named = |file: &str| {
        let mut places = found.iter().filter_map(|d| d.place.as_ref());
        places.any(|place| *place.file == *file)
    };
    let clean: Vec<&str> = files.iter().copied().filter(|file| !named(file)).collect();
    junit::render(&[junit::of_notices("analyze", &notices(found), &clean)])
}
