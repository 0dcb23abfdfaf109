//! Small charts of characters: one row per run over time, or one bar per pod.

use super::Results;
use crate::lesson::{Chart, Lesson, Quantity};
use crate::observe::Record;
use crate::observe::record::SeriesPoint;
use crate::report::format::{count, digits, millis, percent, rate};
use crate::report::table::PAGE;
use crate::units::SimDuration;

/// Most columns of a course.
const COLUMNS: usize = 60;
/// What a row has beside its name and its columns: indentation, gaps, the greatest value.
const BESIDE: usize = 24;
/// Longest bar.
const BAR: usize = 40;
/// Eighths of a character; what is zero has a mark of its own.
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const ZERO: char = '·';

/// The chart, as lines.
pub(super) fn draw(chart: &Chart, lesson: &Lesson, results: &Results) -> String {
    match chart {
        Chart::Course { quantity, load } => course(*quantity, load.as_deref(), lesson, results),
        Chart::Pods(workload) => pods(workload, lesson, results),
    }
}

fn course(quantity: Quantity, load: Option<&str>, lesson: &Lesson, results: &Results) -> String {
    let of = |load: &str| format!(" of `{load}`");
    let mut out = format!("{}{}\n", words(quantity), load.map(of).unwrap_or_default());
    let records = || results.runs.iter().map(|ran| &ran.record);
    let longest = records().map(|record| record.duration).max();
    let longest = longest.unwrap_or_default();
    let windows = |record: &Record| own(load, record).len();
    let of_longest = records().filter(|record| record.duration == longest);
    // No more columns than windows, or some would be empty.
    let columns = of_longest.map(windows).max().unwrap_or(0);
    let name = name_width(lesson);
    let room = PAGE.saturating_sub(name + BESIDE);
    let columns = columns.min(COLUMNS).min(room).max(1);
    let column = longest.ns().div_ceil(columns as u64).max(1);
    let rows: Vec<Vec<Option<f64>>> = records()
        .map(|record| values(quantity, load, record, column))
        .collect();
    // One scale for all runs: they are to be compared.
    let top = rows.iter().flatten().flatten().copied().fold(0.0, f64::max);
    for (run, row) in lesson.runs.iter().zip(&rows) {
        let most = row.iter().flatten().copied().fold(0.0, f64::max);
        let line: String = row.iter().map(|value| mark(*value, top)).collect();
        let line = format!("{line:<columns$}");
        let most = shown(quantity, most);
        out.push_str(&format!("{:<name$}  {line}  at most {most}\n", run.name));
    }
    let end = format!("{} s", digits(longest.as_secs_f64()));
    out.push_str(&format!(
        "{:name$}  0 s{end:>1$}\n",
        "",
        columns.saturating_sub(3)
    ));
    out
}

fn name_width(lesson: &Lesson) -> usize {
    let names = lesson.runs.iter().map(|run| run.name.chars().count());
    names.max().unwrap_or(0)
}

const fn words(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Failed => "share of requests that failed",
        Quantity::Succeeded => "requests per second that succeeded",
        Quantity::Tries => "tries per request",
        Quantity::P50 => "median latency",
        Quantity::P99 => "99th percentile of latency",
        Quantity::InFlight => "requests in flight",
    }
}

fn shown(quantity: Quantity, value: f64) -> String {
    match quantity {
        Quantity::Failed if value >= 1.0 => "100 %".to_owned(),
        Quantity::Failed => percent(value),
        Quantity::Succeeded => rate(value),
        Quantity::Tries => digits(value),
        Quantity::P50 | Quantity::P99 => millis(value),
        Quantity::InFlight => count(value as u64),
    }
}

fn mark(value: Option<f64>, top: f64) -> char {
    let Some(value) = value else { return ' ' };
    if value <= 0.0 || top <= 0.0 {
        return ZERO;
    }
    let level = (value / top * LEVELS.len() as f64).ceil() as usize;
    LEVELS[level.clamp(1, LEVELS.len()) - 1]
}

/// Windows of a load while it was offered: what drains after that is no part of the picture.
fn own<'a>(load: Option<&str>, record: &'a Record) -> Vec<&'a SeriesPoint> {
    let client = match load {
        Some(name) => record.clients.iter().position(|client| client.name == name),
        None => Some(0),
    };
    let end = record.duration.ns();
    let is_own = |p: &&SeriesPoint| Some(p.client as usize) == client && p.at.ns() < end;
    record.series.points.iter().filter(is_own).collect()
}

/// A value for each column of so many nanoseconds; nothing where nothing ended.
fn values(
    quantity: Quantity,
    load: Option<&str>,
    record: &Record,
    column: u64,
) -> Vec<Option<f64>> {
    let points = own(load, record);
    let seconds = record.series.window.as_secs_f64();
    points
        .chunk_by(|a, b| a.at.ns() / column == b.at.ns() / column)
        .map(|points| value(quantity, points, seconds))
        .collect()
}

fn value(quantity: Quantity, column: &[&SeriesPoint], window: f64) -> Option<f64> {
    let sum = |of: fn(&SeriesPoint) -> u64| column.iter().map(|p| of(p)).sum::<u64>() as f64;
    let longest = |of: fn(&SeriesPoint) -> SimDuration| {
        let all = column.iter().map(|p| of(p).as_millis_f64());
        all.fold(0.0, f64::max)
    };
    let (ended, errors) = (sum(|p| p.requests), sum(|p| p.errors));
    let per_request = |x: f64| (ended > 0.0).then_some(x / ended);
    match quantity {
        Quantity::Failed => per_request(errors),
        Quantity::Tries => per_request(sum(|p| p.attempts)),
        Quantity::Succeeded => Some((ended - errors) / (window * column.len() as f64)),
        Quantity::P50 => (ended > 0.0).then(|| longest(|p| p.p50)),
        Quantity::P99 => (ended > 0.0).then(|| longest(|p| p.p99)),
        Quantity::InFlight => column.iter().map(|p| p.in_flight as f64).reduce(f64::max),
    }
}

fn pods(workload: &str, lesson: &Lesson, results: &Results) -> String {
    let mut out = format!("requests per pod of {workload}\n");
    let of = |record: &Record| -> Vec<(String, u64)> {
        let own = record.endpoints.iter().filter(|e| e.workload == workload);
        own.map(|e| (e.pod.clone(), e.requests)).collect()
    };
    let runs: Vec<Vec<(String, u64)>> = results.runs.iter().map(|ran| of(&ran.record)).collect();
    let all = || runs.iter().flatten();
    let top = all().map(|(_, n)| *n).max().unwrap_or(0).max(1);
    let pod = all().map(|(pod, _)| pod.chars().count()).max().unwrap_or(0);
    let name = name_width(lesson);
    for (run, pods) in lesson.runs.iter().zip(&runs) {
        for (index, (of, requests)) in pods.iter().enumerate() {
            let first = if index == 0 { run.name.as_str() } else { "" };
            // Whoever got any request gets a mark.
            let length = (*requests as usize * BAR).div_ceil(top as usize);
            let bar = "█".repeat(length);
            let requests = count(*requests);
            out.push_str(&format!("{first:<name$}  {of:<pod$}  {bar} {requests}\n"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_height_of_a_mark_is_its_share_of_the_top() {
        let row = [None, Some(0.0), Some(0.01), Some(0.5), Some(1.0)];
        let line: String = row.iter().map(|value| mark(*value, 1.0)).collect();
        assert_eq!(line, " ·▁▄█");
        assert_eq!(mark(Some(0.0), 0.0), '·', "nothing happened at all");
    }
}
