//! Expectations and their verdicts as text and JSON.

use anstyle::{AnsiColor, Style};
use schemars::JsonSchema;
use serde::Serialize;

use super::format::{digits, millis, percent, plural, rate, wrap};
use super::table::PAGE;
use crate::observe::record::{ExpectationRecord, Quantity, Verdict};

const BOLD: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const DOUBT: Style = AnsiColor::Yellow.on_default().bold();

/// Whether something that the scenario expects holds.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Expectation {
    /// As it was written.
    pub text: String,
    /// `file:line`.
    pub place: String,
    /// `pass`, `fail` or `undecided`: the interval over replications holds the bound, or nothing was counted to judge by.
    pub verdict: String,
    /// Of `value`, `low`, `high` and `bound`: `ms`, `share` (1 is all), `perSecond` or `number`; null for findings.
    pub unit: Option<String>,
    /// The figure: mean over replications, or that of the replication furthest on the wrong side where each has to hold. Null when nothing was counted or it never came about.
    pub value: Option<f64>,
    /// Low end of the 95 % confidence interval; null where none was needed.
    pub low: Option<f64>,
    /// High end of it.
    pub high: Option<f64>,
    /// The bound; null for findings.
    pub bound: Option<f64>,
    /// Why, where the numbers do not say it.
    pub why: Option<String>,
}

impl From<&ExpectationRecord> for Expectation {
    fn from(record: &ExpectationRecord) -> Self {
        let unit = record.unit.map(|unit| match unit {
            Quantity::Milliseconds => "ms",
            Quantity::Share => "share",
            Quantity::PerSecond => "perSecond",
            Quantity::Number => "number",
        });
        Self {
            text: record.text.clone(),
            place: record.place.clone(),
            verdict: word(record.verdict).to_owned(),
            unit: unit.map(str::to_owned),
            value: record.value.filter(|value| value.is_finite()),
            low: record.interval.map(|(low, _)| low),
            high: record.interval.map(|(_, high)| high),
            bound: record.bound,
            why: reason(record),
        }
    }
}

/// `pass`, `fail`, `undecided`.
pub fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Undecided => "undecided",
    }
}

/// A value of a figure as people write it.
pub fn shown(value: f64, unit: Quantity) -> String {
    match unit {
        _ if value.is_infinite() => "never".to_owned(),
        Quantity::Milliseconds => millis(value),
        Quantity::Share => percent(value),
        Quantity::PerSecond => rate(value),
        Quantity::Number => digits(value),
    }
}

fn reason(record: &ExpectationRecord) -> Option<String> {
    let never = record.value.is_some_and(f64::is_infinite);
    match &record.why {
        Some(why) if never => Some(format!("it does not recover before the end {why}")),
        None if never => Some("it does not recover before the end".to_owned()),
        why => why.clone(),
    }
}

/// What was measured, in words: `312 ms (303 ms to 321 ms)`; nothing for findings.
pub fn measured(record: &ExpectationRecord) -> String {
    let (Some(value), Some(unit)) = (record.value, record.unit) else {
        return String::new();
    };
    let mut text = shown(value, unit);
    if let Some((low, high)) = record.interval {
        text.push_str(&format!(" ({} to {})", shown(low, unit), shown(high, unit)));
    }
    text
}

/// Why and where, for what does not hold.
pub fn explained(record: &ExpectationRecord) -> String {
    match reason(record) {
        Some(why) => format!("{why}; expected at {}", record.place),
        None => format!("expected at {}", record.place),
    }
}

/// The block of the text report; nothing where nothing is expected.
pub(super) fn block(out: &mut String, all: &[ExpectationRecord]) {
    if all.is_empty() {
        return;
    }
    let count = |verdict| all.iter().filter(|e| e.verdict == verdict).count() as u64;
    let (failed, undecided) = (count(Verdict::Fail), count(Verdict::Undecided));
    let mut sum = plural(all.len() as u64, "expectation", "expectations");
    if failed + undecided == 0 {
        sum.push_str(": all hold");
    }
    if failed > 0 {
        sum.push_str(&format!(", {failed} broken"));
    }
    if undecided > 0 {
        sum.push_str(&format!(", {undecided} undecided"));
    }
    out.push_str(&format!("\n{BOLD}{sum}{BOLD:#}\n"));
    lines(out, all);
}

/// One line each; where one does not hold, why and where it was written.
pub fn lines(out: &mut String, all: &[ExpectationRecord]) {
    const INDENT: usize = 13;
    let texts = all.iter().map(|e| e.text.chars().count());
    let widest = texts.max().unwrap_or(0).min(PAGE / 2);
    for record in all {
        let style = match record.verdict {
            Verdict::Pass => GOOD,
            Verdict::Fail => BAD,
            Verdict::Undecided => DOUBT,
        };
        let (verdict, measured) = (word(record.verdict), measured(record));
        let length = record.text.chars().count().max(widest) + measured.chars().count();
        let line = format!("  {style}{verdict:<9}{style:#}  {:<widest$}", record.text);
        if INDENT + length + 2 <= PAGE {
            out.push_str(format!("{line}  {measured}").trim_end());
            out.push('\n');
        } else {
            out.push_str(line.trim_end());
            out.push_str(&format!("\n{:INDENT$}{measured}\n", ""));
        }
        if record.verdict != Verdict::Pass {
            let first = " ".repeat(INDENT);
            out.push_str(&wrap(&explained(record), &first, INDENT, PAGE));
        }
    }
}
