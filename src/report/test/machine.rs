//! Results as suites for JUnit, and as notices for annotations and code scanning.

use super::{Outcomes, Snapshot, Tested};
use crate::observe::record::{ExpectationRecord, Verdict};
use crate::report::expectation::{explained, measured};
use crate::report::format::plural;
use crate::report::junit::{Case, Outcome, Suite};
use crate::report::notice::{self, Level, Notice};
use crate::report::sarif::Rule;
use crate::report::snapshot;

/// A suite per scenario for JUnit.
pub fn suites(all: &[Tested]) -> Vec<Suite> {
    all.iter().map(suite).collect()
}

fn suite(tested: &Tested) -> Suite {
    let file = || Some((tested.file.clone(), 0));
    let cases = match &tested.result {
        Outcomes::Unusable(why) => {
            let line = why.lines().next().unwrap_or_default().to_owned();
            vec![Case {
                name: "input".to_owned(),
                file: file(),
                outcome: Outcome::Error("TT-INPUT".to_owned(), line, why.clone()),
            }]
        }
        Outcomes::Skipped(why) => vec![Case {
            name: "scenario".to_owned(),
            file: file(),
            outcome: Outcome::Skipped(why.clone()),
        }],
        Outcomes::Judged {
            expectations,
            routes,
            snapshot,
        } => {
            let of = |code: &'static str| move |record: &ExpectationRecord| case(code, record);
            let mut cases: Vec<Case> = routes.iter().map(of("TT-ROUTE")).collect();
            cases.extend(expectations.iter().map(of("TT-EXPECT")));
            if let Some(outcome) = of_snapshot(snapshot) {
                cases.push(Case {
                    name: "snapshot".to_owned(),
                    file: file(),
                    outcome,
                });
            }
            cases
        }
    };
    Suite {
        name: if tested.name.is_empty() {
            tested.path.clone()
        } else {
            format!("{} ({})", tested.path, tested.name)
        },
        seconds: None,
        cases,
    }
}

fn case(code: &str, record: &ExpectationRecord) -> Case {
    let place = notice::place(&record.place);
    let value = measured(record);
    let line = if value.is_empty() {
        explained(record)
    } else {
        format!("{value}; {}", explained(record))
    };
    let said = |outcome: fn(String, String, String) -> Outcome| {
        outcome(code.to_owned(), line.clone(), line.clone())
    };
    Case {
        name: record.text.clone(),
        file: Some((place.file.to_string(), place.line)),
        outcome: match record.verdict {
            Verdict::Pass => Outcome::Pass,
            Verdict::Fail => said(Outcome::Fail),
            Verdict::Undecided => said(Outcome::Error),
        },
    }
}

fn of_snapshot(snapshot: &Snapshot) -> Option<Outcome> {
    let fail = |line: String, text: String| Outcome::Fail("TT-SNAPSHOT".to_owned(), line, text);
    Some(match snapshot {
        Snapshot::Off => return None,
        Snapshot::Same | Snapshot::Accepted => Outcome::Pass,
        Snapshot::New => Outcome::Skipped("recorded now, to be reviewed".to_owned()),
        Snapshot::Missing => fail(
            "no snapshot is beside the scenario".to_owned(),
            String::new(),
        ),
        Snapshot::Rejected(changes) if changes.is_empty() => return None,
        Snapshot::Differs(changes) | Snapshot::Rejected(changes) => {
            let line = plural(changes.len() as u64, "figure differs", "figures differ");
            fail(line, snapshot::shown(changes))
        }
    })
}

/// Everything that does not hold, for annotations and code scanning.
pub fn notices(all: &[Tested]) -> Vec<Notice> {
    all.iter().flat_map(notices_of).collect()
}

fn notices_of(tested: &Tested) -> Vec<Notice> {
    let at_file = |mut notice: Notice| {
        notice.place = Some(notice::place(&tested.file));
        notice
    };
    match &tested.result {
        Outcomes::Skipped(_) => Vec::new(),
        Outcomes::Unusable(why) => vec![at_file(Notice::new(
            "TT-INPUT",
            Level::Error,
            why.trim_end(),
        ))],
        Outcomes::Judged {
            expectations,
            routes,
            snapshot,
        } => {
            let of = |code: &'static str| move |record: &ExpectationRecord| notice(code, record);
            let mut all: Vec<Notice> = routes.iter().filter_map(of("TT-ROUTE")).collect();
            all.extend(expectations.iter().filter_map(of("TT-EXPECT")));
            let what = match snapshot {
                Snapshot::Missing => "no snapshot is beside this scenario".to_owned(),
                Snapshot::Differs(changes) | Snapshot::Rejected(changes) if !changes.is_empty() => {
                    format!(
                        "the result is not that of the snapshot:\n{}",
                        snapshot::shown(changes).trim_end()
                    )
                }
                _ => return all,
            };
            let mut notice = Notice::new("TT-SNAPSHOT", Level::Error, what);
            notice.help = Some("`towtank test --review` shows and accepts changes".to_owned());
            all.push(at_file(notice));
            all
        }
    }
}

fn notice(code: &str, record: &ExpectationRecord) -> Option<Notice> {
    let level = match record.verdict {
        Verdict::Pass => return None,
        Verdict::Fail => Level::Error,
        Verdict::Undecided => Level::Warning,
    };
    let value = measured(record);
    let value = if value.is_empty() {
        String::new()
    } else {
        format!(" {value};")
    };
    let mut notice = Notice::new(
        code,
        level,
        format!("`{}`:{value} {}", record.text, explained(record)),
    );
    notice.place = Some(notice::place(&record.place));
    Some(notice)
}

/// What the codes stand for.
pub const RULES: &[Rule<'static>] = &[
    Rule {
        code: "TT-EXPECT",
        title: "An expectation of a scenario does not hold",
        help: "`towtank run SCENARIO` shows the whole run; change what it is about, or the expectation.",
    },
    Rule {
        code: "TT-ROUTE",
        title: "A request does not go where a scenario says",
        help: "`towtank curl URL -f MANIFESTS` tells the way of the request, rule by rule.",
    },
    Rule {
        code: "TT-SNAPSHOT",
        title: "A result is not what was recorded",
        help: "`towtank test --review` shows each change and accepts or rejects it.",
    },
    Rule {
        code: "TT-INPUT",
        title: "The input of a scenario cannot be used",
        help: "`towtank run SCENARIO` shows every mistake with its line.",
    },
];
