//! The answer in sentences, and the words that text and Markdown share.

use super::{Behaviour, DiffReport, Expected, Figure, Row, TableEntry};
use crate::observe::record::Quantity;
use crate::report::expectation::shown;
use crate::report::format::{digits, millis, plural, rate};
use crate::report::json::Finding;

/// Sentences, the most important first.
pub(super) fn summary(report: &DiffReport) -> Vec<String> {
    let mut all = vec![of_tables(report)];
    let Some(behaviour) = &report.behaviour else {
        return all;
    };
    if behaviour.identical {
        all.push(
            "Nothing behaves differently: both runs are the same to the last event.".to_owned(),
        );
    } else {
        let loads = behaviour.rows.iter().filter(|row| row.load.is_some());
        all.extend(loads.map(of_row));
        let edges = behaviour.rows.iter().filter(|row| row.load.is_none());
        let apart: Vec<String> = edges.filter(|row| row.differs).map(subject).collect();
        if !apart.is_empty() {
            let shown = apart.iter().take(4).cloned().collect::<Vec<_>>().join(", ");
            let more = apart.len().saturating_sub(4);
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            all.push(format!("Calls that differ: {shown}{more}."));
        }
    }
    all.extend(of_findings("New finding", &behaviour.new_findings));
    all.extend(of_findings("Gone", &behaviour.gone_findings));
    all.extend(
        behaviour
            .expectations
            .iter()
            .filter(|e| e.differs)
            .map(of_expectation),
    );
    all
}

fn of_tables(report: &DiffReport) -> String {
    let tables = &report.tables;
    if tables.entries.is_empty() {
        return "Proxies are told the same as before.".to_owned();
    }
    let mut parts = Vec::new();
    for (table, one) in [
        ("workloads", "workload"),
        ("listeners", "listener"),
        ("routes", "virtual host"),
        ("clusters", "cluster"),
        ("endpoints", "cluster's endpoints"),
        ("inbound", "inbound port"),
    ] {
        let of_table: Vec<&TableEntry> =
            tables.entries.iter().filter(|e| e.table == table).collect();
        let mut names: Vec<&str> = of_table.iter().map(|e| e.name.as_str()).collect();
        names.dedup();
        if !names.is_empty() {
            let many = if one.ends_with('s') {
                "clusters' endpoints".to_owned()
            } else {
                format!("{one}s")
            };
            parts.push(plural(names.len() as u64, one, &many));
        }
    }
    let reached = match tables.proxies_reached {
        0 => String::new(),
        n => format!(
            ", as told to {n} of {}",
            plural(tables.proxies as u64, "proxy", "proxies")
        ),
    };
    format!("What changes: {}{reached}.", parts.join(", "))
}

/// `a → b`, or the load.
pub(super) fn subject(row: &Row) -> String {
    match (&row.load, &row.from, &row.to) {
        (Some(load), ..) => format!("`{load}`"),
        (None, from, to) => format!(
            "{} → {}",
            from.as_deref().unwrap_or("-"),
            to.as_deref().unwrap_or("-")
        ),
    }
}

fn of_row(row: &Row) -> String {
    let name = subject(row);
    let of = |seen: &str| {
        row.figures
            .iter()
            .filter(|f| f.seen == seen)
            .collect::<Vec<_>>()
    };
    let (apart, noise, unknown) = (of("difference"), of("noise"), of("unknown"));
    let mut parts: Vec<String> = apart
        .iter()
        .map(|figure| {
            format!(
                "{} {} ({})",
                figure_name(figure),
                change(figure),
                steps(figure)
            )
        })
        .collect();
    if !noise.is_empty() {
        let sizes: Vec<String> = noise
            .iter()
            .map(|figure| match visible(figure) {
                Some(size) => format!("{} (one of {size} would have been)", figure_name(figure)),
                None => figure_name(figure).to_owned(),
            })
            .collect();
        parts.push(format!("no difference seen in {}", sizes.join(", ")));
    }
    if apart.is_empty() && noise.is_empty() && !unknown.is_empty() {
        let steps: Vec<String> = unknown
            .iter()
            .filter(|f| f.before != f.after)
            .map(|f| format!("{} {}", figure_name(f), steps(f)))
            .collect();
        parts.push(format!(
            "{}; one pair does not tell a difference from luck (--replications 10)",
            steps.join(", ")
        ));
    }
    if parts.is_empty() {
        return format!("{name}: the same in every replication.");
    }
    format!("{name}: {}.", parts.join("; "))
}

fn of_findings(what: &str, findings: &[Finding]) -> Vec<String> {
    let one = |f: &Finding| format!("{what}: {}: {}", f.code, f.what);
    findings.iter().map(one).collect()
}

fn of_expectation(expected: &Expected) -> String {
    let verb = |verdict: &str, now: bool| match (verdict, now) {
        ("pass", false) => "held",
        ("fail", false) => "was broken",
        (_, false) => "was undecided",
        ("pass", true) => "holds now",
        ("fail", true) => "is broken now",
        (_, true) => "is undecided now",
    };
    let [before, after] = &expected.measured;
    format!(
        "Expectation `{}` {} ({before}) and {} ({after}); expected at {}.",
        expected.text,
        verb(&expected.before.verdict, false),
        verb(&expected.after.verdict, true),
        expected.after.place
    )
}

/// What people call a figure.
pub(super) fn figure_name(figure: &Figure) -> &str {
    match figure.name.as_str() {
        "requests_per_second" => "requests",
        "error_rate" => "errors",
        "amplification" => "tries per request",
        other => other,
    }
}

/// `45 ms → 69 ms`.
pub(super) fn steps(figure: &Figure) -> String {
    format!(
        "{} → {}",
        value(figure, figure.before),
        value(figure, figure.after)
    )
}

pub(super) fn value(figure: &Figure, value: Option<f64>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| shown(value, figure.quantity))
}

/// `+24 ms ± 2.1 ms`.
pub(super) fn change(figure: &Figure) -> String {
    let Some(bounds) = figure.difference else {
        return "-".to_owned();
    };
    if figure.seen == "equal" {
        return "0".to_owned();
    }
    let half = (bounds.high - bounds.low) / 2.0;
    let sign = if bounds.mean < 0.0 { '-' } else { '+' };
    format!(
        "{sign}{} ± {}",
        size(figure, bounds.mean.abs()),
        size(figure, half)
    )
}

/// The smallest difference that would have been seen.
pub(super) fn visible(figure: &Figure) -> Option<String> {
    figure.visible.map(|visible| size(figure, visible))
}

/// A difference's size: of shares in percentage points.
fn size(figure: &Figure, size: f64) -> String {
    match figure.quantity {
        Quantity::Milliseconds => millis(size),
        Quantity::Share => format!("{} points", digits(size * 100.0)),
        Quantity::PerSecond if size < 0.95 => format!("{}/s", digits(size)),
        Quantity::PerSecond => rate(size),
        Quantity::Number => digits(size),
    }
}

/// `10 pairs of 60 s, seed 1, the same luck on both sides`.
pub(super) fn luck(behaviour: &Behaviour) -> String {
    format!(
        "{} of {} each, seed {}, the same luck on both sides",
        plural(
            u64::from(behaviour.replications),
            "pair of runs",
            "pairs of runs"
        ),
        millis(behaviour.duration_seconds * 1e3),
        behaviour.seed
    )
}

/// Calls without a difference, in one sentence; `None` when there are none.
pub(super) fn quiet(behaviour: &Behaviour) -> Option<String> {
    let edges = behaviour
        .rows
        .iter()
        .filter(|row| row.load.is_none() && !row.differs);
    let edges: Vec<&Row> = edges.collect();
    let equal = |row: &&&Row| row.figures.iter().all(|f| f.seen == "equal");
    let same = edges.iter().filter(equal).count();
    if edges.is_empty() {
        return None;
    }
    let all = plural(
        edges.len() as u64,
        "kind of call shows",
        "kinds of calls show",
    );
    let same = match same {
        0 => String::new(),
        n if n == edges.len() => ", to the last request".to_owned(),
        n => format!(", {n} of them to the last request"),
    };
    Some(format!("{all} no difference{same}."))
}

/// What a change is reached by: `3 proxies: a, b, c`.
pub(super) fn reached(entry: &TableEntry) -> String {
    let shown = entry
        .proxies
        .iter()
        .take(4)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    match entry.proxies.len() {
        n if n > 4 => format!("{n} proxies: {shown}, …"),
        _ => shown,
    }
}
