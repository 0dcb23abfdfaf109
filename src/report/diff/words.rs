//! The answer in sentences, and the words that text and Markdown share.

use super::{Behaviour, DiffReport, Expected, Figure, Row, TableEntry};
use crate::observe::record::Quantity;
use crate::report::expectation::shown;
use crate::report::format::{digits, millis, plural, rate};
use crate::report::json::Finding;

/// Said of a figure whose interval is too wide to say anything.
const WIDE: &str = "cannot be told from luck";
/// Said of one whose interval leaves zero out, and that is none against all figures together.
const APART: &str = "seems to differ";

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
    let (open, noise): (Vec<&Figure>, Vec<&Figure>) = noise.into_iter().partition(|f| f.open);
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
    if !open.is_empty() {
        parts.push(undecided(open, row.pairs));
    }
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
    if parts.is_empty() && !unknown.is_empty() {
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

/// An interval that holds zero is no proof of no difference when it is wide; one that leaves zero
/// out is no difference yet among so many.
fn undecided(open: Vec<&Figure>, pairs: usize) -> String {
    let (apart, wide): (Vec<&Figure>, Vec<&Figure>) = open.into_iter().partition(|f| is_apart(f));
    let listed = |figures: &[&Figure]| {
        let one = |f: &&Figure| format!("{} {} ({})", figure_name(f), steps(f), span(f));
        figures.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    let pairs = plural(pairs as u64, "pair", "pairs");
    let mut parts = Vec::new();
    if !apart.is_empty() {
        parts.push(format!(
            "{APART}, though luck among so many figures is not ruled out with {pairs}: {}",
            listed(&apart)
        ));
    }
    if !wide.is_empty() {
        parts.push(format!("{WIDE} with {pairs}: {}", listed(&wide)));
    }
    parts.push("more --replications would tell".to_owned());
    parts.join("; ")
}

/// What the table says of a figure that is open.
pub(super) fn open_word(figure: &Figure) -> &'static str {
    if is_apart(figure) { APART } else { WIDE }
}

/// By itself it would be a difference.
fn is_apart(figure: &Figure) -> bool {
    (figure.difference.as_ref()).is_some_and(|bounds| bounds.low > 0.0 || bounds.high < 0.0)
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

/// One side of a field: an empty text has to be seen.
pub(super) fn side(text: Option<&str>) -> String {
    match text {
        None => "none".to_owned(),
        Some("") => "\"\"".to_owned(),
        Some(text) => text.to_owned(),
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

/// `-62.8 to +1.6 points`: both ends of the interval.
fn span(figure: &Figure) -> String {
    let Some(bounds) = figure.difference else {
        return "-".to_owned();
    };
    let end = |x: f64| {
        // Few pairs have intervals that no share can have.
        let x = match figure.quantity {
            Quantity::Share => x.clamp(-1.0, 1.0),
            _ => x,
        };
        let sign = if x < 0.0 { '-' } else { '+' };
        format!("{sign}{}", size(figure, x.abs()))
    };
    let (low, high) = (end(bounds.low), end(bounds.high));
    // The unit once is enough.
    let low = low.strip_suffix(" points").unwrap_or(&low);
    format!("{low} to {high}")
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
        .filter(|row| row.load.is_none() && !row.differs && !row.is_open());
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

#[cfg(test)]
mod tests {
    use super::side;

    #[test]
    fn an_empty_value_is_seen() {
        let texts = [None, Some(String::new()), Some("/".to_owned())];
        assert_eq!(
            texts.map(|text| side(text.as_deref())),
            ["none", "\"\"", "/"]
        );
    }
}
