//! The text report: what an engineer wants to know first, first.
//!
//! What it means in words (expectations, findings), one block per load, then who called whom, clusters where something happened, workloads,
//! and what the numbers rest on (assumed, warnings, not simulated). Lines are at most 100
//! characters; headings are bold (the caller strips styles where they are not wanted).

mod clients;
mod course;
mod ejections;
mod findings;
mod joined;
mod mesh;

use anstyle::{AnsiColor, Style};

use super::expectation;
use super::format::{count, duration, wrap};
use super::json::digest;
use super::table::PAGE;
use crate::observe::record::{Ended, Record};

const BOLD: Style = Style::new().bold();
const ALERT: Style = AnsiColor::Yellow.on_default().bold();
const FAINT: Style = Style::new().dimmed();
/// More notes of one kind than this are counted instead of listed.
const NOTES_MAX: usize = 25;

/// The whole report.
pub fn render(record: &Record) -> String {
    let mut out = String::new();
    head(&mut out, record);
    expectation::block(&mut out, &record.expectations);
    findings::block(&mut out, record);
    for client in &record.clients {
        out.push('\n');
        clients::block(&mut out, record, client);
    }
    course::block(&mut out, record);
    joined::block(&mut out, record);
    ejections::block(&mut out, record);
    mesh::edges(&mut out, record);
    mesh::clusters(&mut out, record);
    mesh::workloads(&mut out, record);
    mesh::applications(&mut out, record);
    mesh::pods(&mut out, record);
    notes(&mut out, "Assumed", &record.assumed);
    notes(&mut out, "Warnings", &record.warnings);
    notes(&mut out, "Read and not simulated", &record.not_simulated);
    foot(&mut out, record);
    out
}

fn head(out: &mut String, record: &Record) {
    let mut facts = vec![format!("{} of load", duration(record.duration))];
    if !record.warm_up.is_zero() {
        facts.push(format!("{} warm-up not counted", duration(record.warm_up)));
    }
    facts.push(format!("seed {}", record.seed));
    if record.replications > 1 {
        facts.push(format!(
            "{} replications: counts are sums, ± is a 95 % confidence interval",
            record.replications
        ));
    }
    let name = if record.scenario.is_empty() {
        "run"
    } else {
        &record.scenario
    };
    let facts = wrap(&facts.join(", "), "", 2, PAGE - name.chars().count() - 2);
    out.push_str(&format!("{BOLD}{name}{BOLD:#}  {facts}"));
    let sentence = match record.ended {
        Ended::Complete => return,
        Ended::InFlight => {
            "Some requests had no answer when the drain time was over; they are counted as in flight."
        }
        Ended::Interrupted => "Interrupted: this is what was simulated so far.",
        Ended::TooMuchInFlight => {
            "Ended early: more work was in flight than one run may hold. The load is far above what \
             the mesh can serve; lower the rate, add pods, bound queues with `queue` in the Model, or raise \
             `maxInFlight` in the Scenario."
        }
    };
    let when = format!(
        "({} of virtual time)",
        duration(crate::units::SimDuration::from_ns(record.ended_at.ns()))
    );
    let text = wrap(&format!("{sentence} {when}"), "", 0, PAGE);
    out.push_str(&format!("{ALERT}{}{ALERT:#}\n", text.trim_end()));
}

/// A heading line with a free line above it.
pub(super) fn heading(out: &mut String, title: &str) {
    out.push_str(&format!("\n{BOLD}{title}{BOLD:#}\n"));
}

/// What the words of a table mean, in small print below its heading.
fn legend(out: &mut String, words: &str) {
    for line in wrap(words, "  ", 2, PAGE).lines() {
        out.push_str(&format!("{FAINT}{line}{FAINT:#}\n"));
    }
}

pub(super) fn notes(out: &mut String, title: &str, sentences: &[String]) {
    if sentences.is_empty() {
        return;
    }
    heading(out, title);
    for sentence in sentences.iter().take(NOTES_MAX) {
        out.push_str(&wrap(sentence, "  - ", 4, PAGE));
    }
    let rest = sentences.len().saturating_sub(NOTES_MAX);
    if rest > 0 {
        out.push_str(&format!("  … and {rest} more (-o json lists all)\n"));
    }
}

fn foot(out: &mut String, record: &Record) {
    out.push_str(&format!(
        "\n{FAINT}digest {}  {} attempts, {} events simulated{FAINT:#}\n",
        digest(record.digest),
        count(record.hops),
        count(record.events)
    ));
}
