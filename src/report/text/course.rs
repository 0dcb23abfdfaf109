//! The course of a run in which something happens: what, and what its clients saw meanwhile.

use super::{heading, legend};
use crate::observe::record::{Record, SeriesPoint};
use crate::report::format::{count, duration, rate, share, wrap};
use crate::report::table::{Align, PAGE, Table};
use crate::units::{SimDuration, SimTime};

/// Rows of a client's course.
const ROWS_MAX: usize = 30;
/// Sentences about what happened.
const SENTENCES_MAX: usize = 40;

/// Nothing where nothing happens apart from requests.
pub(super) fn block(out: &mut String, record: &Record) {
    if record.happenings.is_empty() {
        return;
    }
    heading(out, "What happened");
    for happening in record.happenings.iter().take(SENTENCES_MAX) {
        let at = format!("  {:>8}  ", moment(happening.at));
        out.push_str(&wrap(&happening.what, &at, 12, PAGE));
    }
    let rest = record.happenings.len().saturating_sub(SENTENCES_MAX);
    if rest > 0 {
        out.push_str(&format!("  … and {rest} more (-o json lists all)\n"));
    }
    heading(out, "Course");
    let mut words =
        "from each moment on; failed: 5xx or no answer; in flight: at the end".to_owned();
    if record.replications > 1 {
        words.push_str(". Both lists are of the first replication");
    }
    legend(out, &words);
    for (index, client) in (0..).zip(&record.clients) {
        course(out, record, index, &client.name);
    }
}

fn course(out: &mut String, record: &Record, client: u32, name: &str) {
    let points: Vec<&SeriesPoint> = (record.series.points.iter())
        .filter(|p| p.client == client)
        .collect();
    let step = points.len().div_ceil(ROWS_MAX).max(1);
    let window = SimDuration::from_ns(record.series.window.ns() * step as u64);
    let mut table = Table::new(&[
        ("FROM", Align::Right),
        ("ENDED", Align::Right),
        ("FAILED", Align::Right),
        ("TRIES", Align::Right),
        ("WORST P50", Align::Right),
        ("WORST P99", Align::Right),
        ("IN FLIGHT", Align::Right),
    ]);
    if record.clients.len() > 1 {
        table.title(name);
    }
    for rows in points.chunks(step) {
        let sum = |of: fn(&SeriesPoint) -> u64| rows.iter().map(|p| of(p)).sum::<u64>();
        let (ended, errors) = (sum(|p| p.requests), sum(|p| p.errors));
        let longest = |of: fn(&SeriesPoint) -> SimDuration| rows.iter().map(|p| of(p)).max();
        let length = |d: Option<SimDuration>| match d {
            Some(d) if ended > 0 => duration(d),
            _ => "-".to_owned(),
        };
        table.row([
            moment(rows[0].at),
            rate(ended as f64 / window.as_secs_f64()),
            share(errors, ended),
            if ended == 0 {
                "-".to_owned()
            } else {
                format!("{:.2}", sum(|p| p.attempts) as f64 / ended as f64)
            },
            length(longest(|p| p.p50)),
            length(longest(|p| p.p99)),
            count(rows.last().map_or(0, |p| p.in_flight)),
        ]);
    }
    out.push_str(&table.render(2));
}

/// A moment of virtual time with a tenth of a second, or more where it matters.
fn moment(at: SimTime) -> String {
    let seconds = at.as_secs_f64();
    if (seconds * 10.0 - (seconds * 10.0).round()).abs() < 1e-6 {
        format!("{seconds:.1}s")
    } else {
        format!("{seconds:.2}s")
    }
}
