//! What `towtank test` found: for people as test runners write it, for machines as suites and notices.

mod machine;

pub use machine::{RULES, notices, suites};

use anstyle::{AnsiColor, Style};

use super::expectation::{explained, measured};
use super::format::{plural, wrap};
use super::snapshot::{self, Change};
use super::table::PAGE;
use crate::observe::record::{ExpectationRecord, Verdict};

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const DOUBT: Style = AnsiColor::Yellow.on_default().bold();
/// Changes of a snapshot that are listed.
const CHANGES_MAX: usize = 12;

/// One scenario that was tested.
#[derive(Clone, Debug)]
pub struct Tested {
    /// Its folder or file.
    pub path: String,
    /// Its file.
    pub file: String,
    /// Its name; empty when it could not be read.
    pub name: String,
    /// What came of it.
    pub result: Outcomes,
}

/// What came of a scenario.
#[derive(Clone, Debug)]
pub enum Outcomes {
    /// Its input cannot be used: why.
    Unusable(String),
    /// It was left out: why.
    Skipped(String),
    /// It was judged.
    Judged {
        /// `expect`.
        expectations: Vec<ExpectationRecord>,
        /// `routes`.
        routes: Vec<ExpectationRecord>,
        /// The snapshot beside it.
        snapshot: Snapshot,
    },
}

/// How a result stands to the snapshot beside its scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Snapshot {
    /// Not asked for.
    Off,
    /// As recorded.
    Same,
    /// Recorded now.
    Accepted,
    /// There was none; it waits to be accepted.
    New,
    /// There is none, and nothing may be written.
    Missing,
    /// It is another; the new one waits to be accepted, unless nothing may be written.
    Differs(Vec<Change>),
    /// The new one was thrown away in a review; what differs, where there was one before.
    Rejected(Vec<Change>),
}

/// How a scenario did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Left out.
    Skip,
    /// Everything holds.
    Pass,
    /// Everything holds; there was no snapshot before.
    New,
    /// Something is undecided.
    Undecided,
    /// Something does not hold.
    Fail,
    /// The input cannot be used.
    Error,
}

impl Tested {
    /// How it did.
    pub fn status(&self) -> Status {
        let Outcomes::Judged {
            expectations,
            routes,
            snapshot,
        } = &self.result
        else {
            return match self.result {
                Outcomes::Skipped(_) => Status::Skip,
                _ => Status::Error,
            };
        };
        let any = |verdict| {
            expectations
                .iter()
                .chain(routes)
                .any(|e| e.verdict == verdict)
        };
        match snapshot {
            _ if any(Verdict::Fail) => Status::Fail,
            Snapshot::Differs(_) | Snapshot::Missing => Status::Fail,
            Snapshot::Rejected(changes) if !changes.is_empty() => Status::Fail,
            _ if any(Verdict::Undecided) => Status::Undecided,
            Snapshot::New => Status::New,
            _ => Status::Pass,
        }
    }
}

/// The report for people; no times, so that two of them can be compared.
pub fn text(all: &[Tested]) -> String {
    let mut out = String::new();
    for tested in all {
        one(&mut out, tested);
    }
    out.push_str(&summary(all));
    out
}

fn one(out: &mut String, tested: &Tested) {
    let (word, style) = match tested.status() {
        Status::Pass => ("PASS", GOOD),
        Status::New => ("NEW ", GOOD),
        Status::Skip => ("SKIP", DOUBT),
        Status::Undecided => ("OPEN", DOUBT),
        Status::Fail => ("FAIL", BAD),
        Status::Error => ("ERR ", BAD),
    };
    out.push_str(&format!("{style}{word}{style:#}  {}", tested.path));
    match &tested.result {
        Outcomes::Unusable(why) => {
            out.push_str(&format!("\n{}\n", indented(why.trim_end(), "      ")));
        }
        Outcomes::Skipped(why) => out.push_str(&format!(": {why}\n")),
        Outcomes::Judged {
            expectations,
            routes,
            snapshot,
        } => {
            out.push_str(&format!(": {}\n", parts(expectations, routes, snapshot)));
            for route in routes {
                broken(out, "route", route);
            }
            for expectation in expectations {
                broken(out, "expect", expectation);
            }
            changes(out, snapshot);
        }
    }
}

fn parts(
    expectations: &[ExpectationRecord],
    routes: &[ExpectationRecord],
    snapshot: &Snapshot,
) -> String {
    let mut parts = Vec::new();
    if !expectations.is_empty() {
        parts.push(plural(
            expectations.len() as u64,
            "expectation",
            "expectations",
        ));
    }
    if !routes.is_empty() {
        parts.push(plural(routes.len() as u64, "route", "routes"));
    }
    match snapshot {
        Snapshot::Off => {}
        Snapshot::Same => parts.push("snapshot".to_owned()),
        Snapshot::Accepted => parts.push("snapshot accepted".to_owned()),
        Snapshot::New => parts.push("snapshot recorded, to be reviewed".to_owned()),
        Snapshot::Missing => parts.push("no snapshot".to_owned()),
        Snapshot::Differs(_) => parts.push("snapshot differs".to_owned()),
        Snapshot::Rejected(_) => parts.push("new snapshot rejected".to_owned()),
    }
    if parts.is_empty() {
        return "nothing to judge".to_owned();
    }
    parts.join(", ")
}

fn broken(out: &mut String, what: &str, record: &ExpectationRecord) {
    let verb = match record.verdict {
        Verdict::Pass => return,
        Verdict::Fail => "",
        Verdict::Undecided => " is undecided",
    };
    let value = measured(record);
    let value = if value.is_empty() {
        value
    } else {
        format!(" {value};")
    };
    let sentence = format!(
        "{what} `{}`{verb}:{value} {}",
        record.text,
        explained(record)
    );
    out.push_str(&wrap(&sentence, "      ", 8, PAGE));
}

fn changes(out: &mut String, snapshot: &Snapshot) {
    match snapshot {
        Snapshot::Missing => {
            out.push_str("      no snapshot is beside it; `towtank test --accept` records one\n");
        }
        Snapshot::Differs(all) | Snapshot::Rejected(all) if !all.is_empty() => {
            let shown = &all[..all.len().min(CHANGES_MAX)];
            out.push_str(&format!(
                "{}\n",
                indented(snapshot::shown(shown).trim_end(), "      ")
            ));
            let more = all.len() - shown.len();
            if more > 0 {
                out.push_str(&format!(
                    "      … and {more} more (towtank test --review)\n"
                ));
            }
        }
        _ => {}
    }
}

fn indented(text: &str, by: &str) -> String {
    let lines = text.lines().map(|line| format!("{by}{line}"));
    lines
        .map(|line| line.trim_end().to_owned())
        .collect::<Vec<_>>()
        .join("\n")
}

fn summary(all: &[Tested]) -> String {
    let count = |status| {
        all.iter()
            .filter(|tested| tested.status() == status)
            .count()
    };
    let mut parts = vec![format!(
        "{} passed",
        count(Status::Pass) + count(Status::New)
    )];
    for (status, word) in [
        (Status::Fail, "failed"),
        (Status::Undecided, "undecided"),
        (Status::Error, "cannot be used"),
        (Status::Skip, "skipped"),
    ] {
        if count(status) > 0 {
            parts.push(format!("{} {word}", count(status)));
        }
    }
    let scenarios = plural(all.len() as u64, "scenario", "scenarios");
    let mut text = format!("\n{scenarios}: {}\n", parts.join(", "));
    let waiting = |tested: &&Tested| {
        matches!(
            &tested.result,
            Outcomes::Judged {
                snapshot: Snapshot::New | Snapshot::Differs(_),
                ..
            }
        )
    };
    let waiting = all.iter().filter(waiting).count() as u64;
    if waiting > 0 {
        let what = plural(waiting, "snapshot waits", "snapshots wait");
        text.push_str(&format!(
            "{what}: `towtank test --review` shows and accepts\n"
        ));
    }
    text
}
