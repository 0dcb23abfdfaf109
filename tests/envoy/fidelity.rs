//! Recorded and live comparison, and the table that shows both columns.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::case::{self, Case};
use crate::figures::{Figures, Spread, figures};
use crate::sides::{real, simulated};

/// Runs of the simulator behind a figure with a spread.
const SEEDS: u64 = 20;
/// Runs of a real Envoy before a difference is believed.
const ATTEMPTS: usize = 6;
/// Case and load whose times are Envoy's own and the machine's.
const OVERHEAD: (&str, &str) = ("overhead", "plain");

/// What real Envoy did, several times.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Recorded {
    envoy: String,
    repeats: Vec<Figures>,
}

impl Recorded {
    fn read(case: &Case) -> Option<Self> {
        let text = fs::read_to_string(case.recorded()).ok()?;
        Some(serde_json::from_str(&text).unwrap_or_else(|why| panic!("{}: {why}", case.name)))
    }

    fn write(&self, case: &Case) {
        let text = serde_json::to_string_pretty(self).expect("plain data");
        fs::write(case.recorded(), text + "\n").expect("the recording is written");
    }
}

/// One comparison: a load of a case, or one of its figures.
struct Line {
    load: String,
    real: String,
    simulated: String,
    agrees: bool,
}

fn loads(case: &Case) -> Vec<String> {
    let names = case.scenario.load.iter().map(|l| l.name.to_string());
    names.collect()
}

/// Compares repeats of the real thing with the simulator.
fn compare(case: &Case, repeats: &[Figures], slack_ms: f64) -> Vec<Line> {
    let loads = loads(case);
    let simulated = runs_of(case);
    let mut lines = Vec::new();
    for load in &loads {
        if !case.head.exact.is_empty() {
            lines.push(exact(load, repeats, &simulated[0]));
        }
        lines.extend(near(load, repeats, &simulated, slack_ms));
    }
    lines
}

/// The simulator's figures, seed by seed.
fn runs_of(case: &Case) -> Vec<Figures> {
    let loads = loads(case);
    let runs = if case.head.near.is_empty() { 1 } else { SEEDS };
    (1..=runs)
        .map(|seed| figures(&case.head, &simulated(case, seed), &loads))
        .collect()
}

/// One figure over several runs; what was not seen is none.
fn spread(runs: &[Figures], load: &str, name: &str) -> Spread {
    let values = runs.iter().map(|f| f.near[load].get(name).copied());
    Spread::of(&values.map(|v| v.unwrap_or(0.0)).collect::<Vec<_>>())
}

fn exact(load: &str, repeats: &[Figures], simulated: &Figures) -> Line {
    let all: BTreeSet<String> = repeats.iter().map(|r| counted(&r.exact[load])).collect();
    let simulated = counted(&simulated.exact[load]);
    Line {
        load: load.to_owned(),
        agrees: all.len() == 1 && all.contains(&simulated),
        real: all.into_iter().collect::<Vec<_>>().join(" **or** "),
        simulated,
    }
}

fn counted(figures: &BTreeMap<String, u64>) -> String {
    let one = |(name, count): (&String, &u64)| format!("{count} × {name}");
    figures.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn near(load: &str, repeats: &[Figures], simulated: &[Figures], slack_ms: f64) -> Vec<Line> {
    let names: BTreeSet<&String> = (repeats.iter().chain(simulated))
        .flat_map(|f| f.near[load].keys())
        .collect();
    let line = |name: &String| {
        let (real, simulated) = (spread(repeats, load, name), spread(simulated, load, name));
        let slack = if name == "ms" { slack_ms } else { 0.0 };
        let shown = |s: Spread| format!("{name} {:.2} ± {:.2}", s.mean, s.deviation);
        Line {
            load: load.to_owned(),
            agrees: real.agrees(simulated, slack),
            real: shown(real),
            simulated: shown(simulated),
        }
    };
    names.into_iter().map(line).collect()
}

/// What a clock of whole milliseconds on a shared machine cannot see: its step, and the time
/// that an answer without any work took when this was recorded.
fn slack(cases: &[Case]) -> f64 {
    let case = cases.iter().find(|c| c.name == OVERHEAD.0);
    let recorded = case
        .and_then(Recorded::read)
        .map_or(Vec::new(), |r| r.repeats);
    let times: Vec<f64> = recorded.iter().map(|f| f.near[OVERHEAD.1]["ms"]).collect();
    let spread = Spread::of(&times);
    1.0 + spread.mean + 3.0 * spread.deviation
}

/// Cases that do not say what they should say.
fn faults(case: &Case, lines: &[Line]) -> Vec<String> {
    let differing = lines.iter().filter(|l| !l.agrees);
    let shown = differing.map(|l| {
        format!(
            "{} {}:\n  envoy     {}\n  simulated {}",
            case.name, l.load, l.real, l.simulated
        )
    });
    match &case.head.differs {
        None => shown.collect(),
        Some(why) if lines.iter().all(|l| l.agrees) => {
            vec![format!(
                "{} agrees now; take out `differs: {why}`",
                case.name
            )]
        }
        Some(_) => Vec::new(),
    }
}

#[test]
fn the_simulator_does_what_real_envoy_did() {
    if std::env::var_os("TOWTANK_RECORD").is_some() {
        return;
    }
    let cases = case::all();
    let slack = slack(&cases);
    let mut found = Vec::new();
    for case in &cases {
        let section = case.head.section.as_str();
        if SECTIONS.iter().all(|(known, _)| *known != section) {
            found.push(format!("{}: there is no section {section}", case.name));
        }
        let Some(recorded) = Recorded::read(case) else {
            found.push(format!("{} was never recorded", case.name));
            continue;
        };
        found.extend(faults(case, &compare(case, &recorded.repeats, slack)));
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
    if std::env::var_os("TOWTANK_CASE").is_none() {
        table_is_fresh(&cases, slack);
    }
}

/// Every case through a real Envoy: once, or as often as it is to be recorded.
#[test]
fn a_real_envoy_does_what_is_recorded() {
    let Some(binary) = crate::envoy_or_skip("every case beside a real Envoy") else {
        return;
    };
    let _alone = crate::alone();
    let cases = case::all();
    let record = std::env::var("TOWTANK_RECORD").ok();
    let record = record.map(|n| n.parse::<usize>().expect("TOWTANK_RECORD is a number"));
    let mut found = Vec::new();
    for case in &cases {
        let loads = loads(case);
        let once = || figures(&case.head, &real(case, &binary), &loads);
        match record {
            Some(repeats) => {
                let repeats: Vec<Figures> = (0..repeats.max(5)).map(|_| once()).collect();
                let envoy = "1.40.0".to_owned();
                Recorded { envoy, repeats }.write(case);
            }
            None => found.extend(live(case, once)),
        }
    }
    if record.is_some() {
        report(&cases);
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// Fresh runs: the machine may have stumbled in one, hardly in six.
fn live(case: &Case, once: impl Fn() -> Figures) -> Vec<String> {
    let mut found = again(case, &once());
    for _ in 1..ATTEMPTS {
        if found.is_empty() {
            break;
        }
        found = again(case, &once());
    }
    found
}

/// A fresh run beside the recorded ones: exact figures are the same, others within their range.
fn again(case: &Case, fresh: &Figures) -> Vec<String> {
    let Some(recorded) = Recorded::read(case) else {
        return vec![format!("{} was never recorded", case.name)];
    };
    let known = recorded.repeats.iter().any(|r| r.exact == fresh.exact);
    let mut found = Vec::new();
    if !known {
        let before = &recorded.repeats[0].exact;
        let name = &case.name;
        found.push(format!(
            "{name}:\n  recorded {before:?}\n  now      {:?}",
            fresh.exact
        ));
    }
    let simulated = runs_of(case);
    for (load, figures) in &fresh.near {
        for (name, value) in figures.iter().filter(|(name, _)| *name != "ms") {
            let before = spread(&recorded.repeats, load, name);
            // Something discrete may have been equal five times; the simulator knows its spread.
            let deviation = (before.deviation).max(spread(&simulated, load, name).deviation);
            // A single new value: six deviations are hardly ever left by chance.
            if (value - before.mean).abs() > 6.0 * deviation + 1e-9 {
                let said = format!("{} {load} {name}: {value} is not {before:?}", case.name);
                found.push(said);
            }
        }
    }
    found
}

fn report(cases: &[Case]) {
    let slack = slack(cases);
    for case in cases {
        let recorded = Recorded::read(case).expect("it was just recorded");
        for fault in faults(case, &compare(case, &recorded.repeats, slack)) {
            eprintln!("DIFFERS {fault}");
        }
    }
    if std::env::var_os("TOWTANK_CASE").is_none() {
        fs::write(table_path(), table(cases, slack)).expect("the table is written");
    }
}

fn table_path() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/FIDELITY.md")
}

fn table_is_fresh(cases: &[Case], slack: f64) {
    let fresh = table(cases, slack);
    if std::env::var("INSTA_UPDATE").is_ok_and(|v| v == "always") {
        fs::write(table_path(), &fresh).expect("the table is written");
    }
    let known = fs::read_to_string(table_path()).unwrap_or_default();
    assert!(
        known == fresh,
        "models/FIDELITY.md is not what the recordings and the simulator say; INSTA_UPDATE=always writes it"
    );
}

const INTRODUCTION: &str = "\
# Beside a real Envoy

The same manifests, applications and load through Envoy 1.40 on loopback and through towtank. Both columns come from
one description, a file in `tests/envoy/cases/`; Envoy runs the bootstrap that `towtank export envoy` writes, with one worker
where a case does not say more. Where the server has a sidecar, a second Envoy is it. Round trips
cannot be timed on loopback; that every handshake in the mesh is one of TLS 1.3, which takes one, is looked at in every live run.
What neither a manifest nor the Model can cause is not played: a server that sends GOAWAY or changes its SETTINGS.
What is exact is counted and must be the same in every repeat; what is a matter of chance is compared as means (t test,
99 %) over at least five real repeats and twenty seeds. Times have a margin on top: the millisecond that Envoy's timers have,
and what an answer without any work took.

This page is written by `tests/envoy/fidelity.rs` from `tests/envoy/recorded/`; an ordinary `cargo test` holds it.
";

/// Rules of the data plane by section of the reference they are described in.
const SECTIONS: &[(&str, &str)] = &[
    ("1.1", "order of one request"),
    ("1.2", "virtual hosts"),
    ("1.3", "route matches"),
    ("1.4", "weighted clusters"),
    ("1.5", "rewrites"),
    ("1.6", "redirects and direct responses"),
    ("1.7", "mirroring"),
    ("1.8", "attempt counts and response headers"),
    ("1.9", "headers of clients that are obeyed"),
    ("2", "injected faults"),
    ("3.1", "route timeout"),
    ("3.2", "per-try timeout"),
    ("3.3", "per-try idle timeout"),
    ("3.4", "hedging"),
    ("3.5", "gRPC deadlines"),
    ("3.6", "other timers"),
    ("4.1", "the decision to retry"),
    ("4.2", "answers that are retried"),
    ("4.3", "resets that are retried"),
    ("4.4", "every outcome under every word"),
    ("4.5", "back-off"),
    ("4.6", "hosts of retries"),
    ("4.7", "side effects of retries"),
    ("4.8", "limits of retries"),
    ("5", "circuit breakers"),
    ("6.1", "whose pool it is"),
    ("6.2", "streams of a connection"),
    ("6.3", "which connection, and when another"),
    ("6.4", "making a connection"),
    ("6.5", "the life of a connection"),
    ("6.6", "connections that fail"),
    ("6.7", "protocols"),
    ("7.1", "health of hosts"),
    ("7.2", "the merge window"),
    ("7.3", "one pick"),
    ("7.4", "round robin"),
    ("7.5", "least request"),
    ("7.6", "random and consistent hashing"),
    ("7.7", "priorities and panic"),
    ("7.8", "weighted localities"),
    ("7.9", "zones of the caller"),
    (
        "7.10",
        "subsets inside a cluster (istiod makes a cluster of each)",
    ),
    ("7.11", "slow start"),
    ("8.1", "what outlier detection remembers"),
    ("8.2", "events that count"),
    ("8.3", "thresholds and enforcement"),
    ("8.4", "the interval"),
    ("8.5", "success rates and failure percentages"),
    ("8.6", "ejections and panic"),
    ("8.7", "counters of outlier detection"),
    ("9", "response flags"),
    ("10", "statistics"),
    ("11.1", "local rate limits"),
    ("11.2", "admission control"),
    ("11.3", "adaptive concurrency"),
    ("12", "the access log"),
    ("13", "two proxies on the way"),
    ("13.1", "TCP proxies"),
];

/// Which cases show a section.
fn contents(cases: &[Case]) -> String {
    let mut text = String::from("\n| section | rules | cases |\n|---|---|---|\n");
    for (section, what) in SECTIONS {
        let names: Vec<String> = (cases.iter().filter(|c| c.head.section == *section))
            .map(|c| format!("`{}`", c.name))
            .collect();
        let names = if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        };
        let _ = writeln!(text, "| {section} | {what} | {names} |");
    }
    text
}

fn table(cases: &[Case], slack: f64) -> String {
    let mut rows = String::new();
    let (mut agreeing, mut lines_all) = (0, 0);
    let mut differing = String::new();
    let mut ordered: Vec<&Case> = cases.iter().collect();
    ordered.sort_by(|a, b| (&a.head.section, &a.name).cmp(&(&b.head.section, &b.name)));
    for case in ordered {
        let Some(recorded) = Recorded::read(case) else {
            continue;
        };
        let lines = compare(case, &recorded.repeats, slack);
        let head = &case.head;
        let _ = writeln!(
            rows,
            "\n## {} {}\n\n`{}`\n",
            head.section, head.feature, case.name
        );
        rows.push_str("| load | Envoy | towtank | |\n|---|---|---|---|\n");
        for line in &lines {
            let cell = |text: &str| text.replace('|', "\\|");
            let verdict = if line.agrees { "same" } else { "**differs**" };
            let (real, simulated) = (cell(&line.real), cell(&line.simulated));
            let _ = writeln!(rows, "| {} | {real} | {simulated} | {verdict} |", line.load);
            agreeing += usize::from(line.agrees);
            lines_all += 1;
        }
        if let Some(why) = &case.head.differs {
            let _ = writeln!(rows, "\nDiffers: {why}");
            let _ = writeln!(differing, "* `{}`: {why}", case.name);
        }
    }
    let mut page = INTRODUCTION.to_owned();
    let _ = writeln!(
        page,
        "\n{agreeing} of {lines_all} comparisons in {} cases agree.",
        cases.len()
    );
    page.push_str(&contents(cases));
    if !differing.is_empty() {
        let _ = writeln!(page, "\nKnown to differ:\n\n{}", differing.trim_end());
    }
    page + &rows
}
