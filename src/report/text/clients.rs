//! One block per load: the headline figures.

use std::collections::BTreeMap;
use std::fmt::Display;

use super::BOLD;
use crate::observe::Interval;
use crate::observe::record::{ClientRecord, Headline, Record};
use crate::report::csv::errors;
use crate::report::format::{count, digits, duration, millis, percent, plural, rate, share, wrap};
use crate::report::table::{Align, PAGE, Table, shorten};

/// Width of the words at the left.
const LABEL: usize = 13;

pub(super) fn block(out: &mut String, record: &Record, client: &ClientRecord) {
    let calls = format!("{} → {}", client.from, client.url);
    let room = PAGE.saturating_sub(client.name.chars().count() + 2);
    out.push_str(&format!(
        "{BOLD}{}{BOLD:#}  {}\n",
        shorten(&client.name, PAGE / 2),
        shorten(&calls, room.max(PAGE / 2 - 2))
    ));
    line(out, "requests", &requests(record, client));
    if client.requests == 0 {
        return;
    }
    line(out, "failed", &failures(client));
    line(out, "statuses", &tally(&client.statuses, client.requests));
    let silent = client.flags.len() == 1 && client.flags.contains_key("-");
    if !silent {
        line(out, "flags", &tally(&client.flags, client.requests));
    }
    line(out, "attempts", &attempts(client));
    latency(out, client);
}

fn line(out: &mut String, label: &str, text: &str) {
    let label = format!("  {label:<width$}", width = LABEL - 2);
    out.push_str(&wrap(text, &label, LABEL, PAGE));
}

fn requests(record: &Record, client: &ClientRecord) -> String {
    let mut facts = vec![count(client.requests)];
    let interval = Interval::of_headline(&client.per_replication, |h| h.requests_per_second);
    match interval {
        Some(i) => facts.push(format!("{} ± {}", rate(i.mean), digits(i.half))),
        None => facts.push(rate(per_second(record, client))),
    }
    if client.in_flight > 0 {
        facts.push(format!("{} still in flight", count(client.in_flight)));
    }
    facts.join(", ")
}

/// How many failed, and what counts as failed: a 404 is an answer, and yet nobody's success.
fn failures(client: &ClientRecord) -> String {
    let failed = errors(&client.statuses);
    let refused: u64 = client
        .statuses
        .iter()
        .filter(|(status, _)| status.starts_with('4'))
        .map(|(_, n)| n)
        .sum();
    let share_of = |part| share(part, client.requests);
    let mut text = match Interval::of_headline(&client.per_replication, |h| h.error_share) {
        _ if failed == 0 => "none".to_owned(),
        Some(i) => format!(
            "{} ({} ± {} %) with 5xx or no answer",
            count(failed),
            percent(i.mean),
            digits(i.half * 100.0)
        ),
        None => format!(
            "{} ({}) with 5xx or no answer",
            count(failed),
            share_of(failed)
        ),
    };
    if refused > 0 {
        text.push_str(&format!(
            "; answered 4xx: {} ({})",
            count(refused),
            share_of(refused)
        ));
    }
    text
}

fn per_second(record: &Record, client: &ClientRecord) -> f64 {
    if let Some(only) = client.per_replication.first() {
        return only.requests_per_second;
    }
    let seconds = record.duration.as_secs_f64() * f64::from(record.replications.max(1));
    if seconds > 0.0 {
        client.requests as f64 / seconds
    } else {
        0.0
    }
}

/// `200 ×12,018 (99.9 %)`, most frequent first.
fn tally<K: Display + Ord>(counts: &BTreeMap<K, u64>, total: u64) -> String {
    let mut rows: Vec<(&K, u64)> = counts.iter().map(|(k, n)| (k, *n)).collect();
    rows.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let glued = |(key, n): &(&K, u64)| {
        let text = format!("{key} ×{} ({})", count(*n), share(*n, total));
        // Non-breaking while wrapping: one entry is one word.
        text.replace(' ', "\u{a0}")
    };
    let text = rows.iter().map(glued).collect::<Vec<_>>().join(",  ");
    text.replace('\u{a0}', " ")
}

fn attempts(client: &ClientRecord) -> String {
    let total: u64 = client
        .attempts
        .iter()
        .map(|(n, count)| u64::from(*n) * count)
        .sum();
    let mean = total as f64 / client.requests as f64;
    let mut text = format!("{} per request", digits(mean));
    let interval = Interval::of_headline(&client.per_replication, |h| h.attempts_per_request);
    if let Some(i) = interval.filter(|i| i.half > 0.0) {
        text.push_str(&format!(" ± {}", digits(i.half)));
    }
    if client.attempts.len() > 1 {
        let parts = client.attempts.iter().map(|(tries, n)| {
            let tries = plural(u64::from(*tries), "try", "tries");
            format!("{tries} ×{}", count(*n))
        });
        text.push_str(&format!(": {}", parts.collect::<Vec<_>>().join(", ")));
    }
    text
}

fn latency(out: &mut String, client: &ClientRecord) {
    let h = &client.latency;
    let names = ["latency", "p50", "p90", "p99", "p99.9", "max", "mean"];
    let mut table = Table::new(&names.map(|name| {
        (
            name,
            if name == "latency" {
                Align::Left
            } else {
                Align::Right
            },
        )
    }));
    let blank = " ".repeat(LABEL - 4);
    let mut row = vec![blank.clone()];
    row.extend([0.5, 0.9, 0.99, 0.999].map(|q| duration(h.quantile(q))));
    row.push(duration(h.max()));
    row.push(duration(h.mean()));
    table.row(row);
    let half = |figure: fn(&Headline) -> f64| {
        Interval::of_headline(&client.per_replication, figure)
            .map(|i| format!("± {}", millis(i.half)))
    };
    if let (Some(p50), Some(p90), Some(p99), Some(p999), Some(mean)) = (
        half(|h| h.p50_ms),
        half(|h| h.p90_ms),
        half(|h| h.p99_ms),
        half(|h| h.p999_ms),
        half(|h| h.mean_ms),
    ) {
        // The longest of all is no mean: an interval of it would say nothing.
        table.row([blank, p50, p90, p99, p999, String::new(), mean]);
    }
    out.push_str(&table.render(2));
}
