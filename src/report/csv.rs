//! CSV files for spreadsheets. Column names carry their unit.
//!
//! | File | One row per | Columns |
//! |---|---|---|
//! | `series.csv` | window and load (replication 0) | `at_s`, `client`, `started`, `requests`, `errors`, `attempts`, `p50_ms`, `p99_ms`, `in_flight` |
//! | `clients.csv` | load | `client`, `from`, `url`, `started`, `requests`, `errors`, `in_flight`, `requests_per_s`, `error_share` (0–1), `attempts_per_request`, `p50_ms` … `mean_ms`, then half widths of 95 % confidence intervals over replications: `requests_per_s_ci95`, `error_share_ci95`, `attempts_per_request_ci95`, `p50_ms_ci95` … `p999_ms_ci95`, `mean_ms_ci95` |
//! | `edges.csv` | caller and called | `from`, `service`, `cluster`, `to`, `requests`, `errors`, `attempts`, `p50_ms` … `mean_ms` |
//! | `workloads.csv` | workload as a server | `workload`, `pods`, `requests`, `rejected`, `errors`, `utilisation` (0–1), `busy_mean`, `queue_mean`, `queue_max`, `queue_p99_ms`, `p50_ms` … `mean_ms` |
//! | `workload-series.csv` | window and workload as a server (replication 0) | `at_s`, `workload`, `places` (empty: no limit), `busy_mean`, `queue_mean`, `requests`, `rejected`, `answered`, `errors` |
//! | `applications.csv` | workload and what few applications do (`cache_hits`, `queue_drops`, …) | `workload`, `count`, `value` |
//! | `clusters.csv` | client workload, cluster and stat | `workload`, `cluster`, `stat`, `value` |
//! | `endpoints.csv` | pod | `workload`, `pod`, `locality`, `requests`, `ejections` |
//! | `requests.csv` | request | `replication`, `client`, `number`, `at_s`, `duration_ms`, `status`, `flags`, `details`, `cluster`, `workload`, `pod`, `path`, `attempts` |
//!
//! Absent values are empty cells; the first line names the columns. Cells are quoted as RFC 4180
//! says; lines end in a bare line feed, which spreadsheets take as well and `awk` does not trip over.

use std::collections::BTreeMap;

use super::json::{client_name, present};
use crate::observe::Histogram;
use crate::observe::Interval;
use crate::observe::record::{ClientRecord, Headline, Record};
use crate::units::SimDuration;

/// Quantile columns that several files share.
const LATENCY: [&str; 6] = ["p50_ms", "p90_ms", "p99_ms", "p999_ms", "max_ms", "mean_ms"];

/// Headline figures that carry a confidence interval.
const INTERVALS: [&str; 8] = [
    "requests_per_s_ci95",
    "error_share_ci95",
    "attempts_per_request_ci95",
    "p50_ms_ci95",
    "p90_ms_ci95",
    "p99_ms_ci95",
    "p999_ms_ci95",
    "mean_ms_ci95",
];

/// Every file of a record: (name, text), in a fixed order.
pub fn files(record: &Record) -> Vec<(&'static str, String)> {
    vec![
        ("series.csv", series(record)),
        ("clients.csv", clients(record)),
        ("edges.csv", edges(record)),
        ("workloads.csv", workloads(record)),
        ("workload-series.csv", workload_series(record)),
        ("applications.csv", applications(record)),
        ("clusters.csv", clusters(record)),
        ("endpoints.csv", endpoints(record)),
        ("requests.csv", requests(record)),
    ]
}

/// What `-o csv` prints: the series, or the clients where a run was too short to have one.
pub fn main_table(record: &Record) -> String {
    if record.series.points.is_empty() {
        clients(record)
    } else {
        series(record)
    }
}

fn series(record: &Record) -> String {
    let heading = [
        "at_s",
        "client",
        "started",
        "requests",
        "errors",
        "attempts",
        "p50_ms",
        "p99_ms",
        "in_flight",
    ];
    let rows = record.series.points.iter().map(|p| {
        let quantile = |d: SimDuration| optional((p.requests > 0).then(|| d.as_millis_f64()));
        vec![
            p.at.as_secs_f64().to_string(),
            client_name(record, p.client),
            p.started.to_string(),
            p.requests.to_string(),
            p.errors.to_string(),
            p.attempts.to_string(),
            quantile(p.p50),
            quantile(p.p99),
            p.in_flight.to_string(),
        ]
    });
    write(heading.iter().copied(), rows)
}

fn clients(record: &Record) -> String {
    let heading = [
        "client",
        "from",
        "url",
        "started",
        "requests",
        "errors",
        "in_flight",
        "requests_per_s",
        "error_share",
        "attempts_per_request",
    ];
    let rows = record.clients.iter().map(|c| {
        let attempts: u64 = c
            .attempts
            .iter()
            .map(|(n, count)| u64::from(*n) * count)
            .sum();
        let mut row = vec![
            c.name.clone(),
            c.from.clone(),
            c.url.clone(),
            c.started.to_string(),
            c.requests.to_string(),
            errors(&c.statuses).to_string(),
            c.in_flight.to_string(),
            optional(rate(c)),
            optional(per_request(errors(&c.statuses), c)),
            optional(per_request(attempts, c)),
        ];
        row.extend(latency(&c.latency));
        row.extend(intervals(c));
        row
    });
    write(heading.into_iter().chain(LATENCY).chain(INTERVALS), rows)
}

/// Mean over replications.
fn rate(client: &ClientRecord) -> Option<f64> {
    let rates = client.per_replication.iter().map(|h| h.requests_per_second);
    let count = client.per_replication.len();
    (count > 0).then(|| rates.sum::<f64>() / count as f64)
}

fn per_request(part: u64, client: &ClientRecord) -> Option<f64> {
    (client.requests > 0).then(|| part as f64 / client.requests as f64)
}

/// Half widths in the order of [`INTERVALS`]; empty with one replication.
fn intervals(client: &ClientRecord) -> Vec<String> {
    let figures: [fn(&Headline) -> f64; INTERVALS.len()] = [
        |h| h.requests_per_second,
        |h| h.error_share,
        |h| h.attempts_per_request,
        |h| h.p50_ms,
        |h| h.p90_ms,
        |h| h.p99_ms,
        |h| h.p999_ms,
        |h| h.mean_ms,
    ];
    let half = |figure| Interval::of_headline(&client.per_replication, figure).map(|i| i.half);
    figures.into_iter().map(|f| optional(half(f))).collect()
}

fn edges(record: &Record) -> String {
    let heading = [
        "from", "service", "cluster", "to", "requests", "errors", "attempts",
    ];
    let rows = record.edges.iter().map(|e| {
        let mut row = vec![
            e.from.clone(),
            e.service.clone(),
            present(&e.cluster).unwrap_or_default(),
            present(&e.to).unwrap_or_default(),
            e.requests.to_string(),
            errors(&e.statuses).to_string(),
            e.attempts.to_string(),
        ];
        row.extend(latency(&e.latency));
        row
    });
    write(heading.into_iter().chain(LATENCY), rows)
}

fn workloads(record: &Record) -> String {
    let heading = [
        "workload",
        "pods",
        "requests",
        "rejected",
        "errors",
        "utilisation",
        "busy_mean",
        "queue_mean",
        "queue_max",
        "queue_p99_ms",
    ];
    let rows = record.workloads.iter().map(|w| {
        let queue = (!w.queue_time.is_empty()).then(|| w.queue_time.quantile(0.99).as_millis_f64());
        let mut row = vec![
            w.name.clone(),
            w.pods.to_string(),
            w.requests.to_string(),
            w.rejected.to_string(),
            w.errors.to_string(),
            optional(w.utilisation),
            w.busy_mean.to_string(),
            w.queue_mean.to_string(),
            w.queue_max.to_string(),
            optional(queue),
        ];
        row.extend(latency(&w.latency));
        row
    });
    write(heading.into_iter().chain(LATENCY), rows)
}

fn workload_series(record: &Record) -> String {
    let heading = [
        "at_s",
        "workload",
        "places",
        "busy_mean",
        "queue_mean",
        "requests",
        "rejected",
        "answered",
        "errors",
    ];
    let rows = record.courses.iter().flat_map(|course| {
        course.windows.iter().map(|w| {
            vec![
                w.at.as_secs_f64().to_string(),
                course.name.clone(),
                w.places.map(|n| n.to_string()).unwrap_or_default(),
                w.busy.to_string(),
                w.waiting.to_string(),
                w.requests.to_string(),
                w.rejected.to_string(),
                w.answered.to_string(),
                w.errors.to_string(),
            ]
        })
    });
    write(heading.into_iter(), rows)
}

fn applications(record: &Record) -> String {
    let rows = record.workloads.iter().flat_map(|w| {
        let counts = w.counts.iter();
        counts.map(|(name, value)| vec![w.name.clone(), name.clone(), value.to_string()])
    });
    write(["workload", "count", "value"].into_iter(), rows)
}

fn clusters(record: &Record) -> String {
    let rows = record.clusters.iter().flat_map(|c| {
        c.stats.iter().map(|(stat, value)| {
            vec![
                c.workload.clone(),
                c.cluster.clone(),
                stat.clone(),
                value.to_string(),
            ]
        })
    });
    write(["workload", "cluster", "stat", "value"].into_iter(), rows)
}

fn endpoints(record: &Record) -> String {
    let rows = record.endpoints.iter().map(|e| {
        vec![
            e.workload.clone(),
            e.pod.clone(),
            e.locality.clone(),
            e.requests.to_string(),
            e.ejections.to_string(),
        ]
    });
    write(
        ["workload", "pod", "locality", "requests", "ejections"].into_iter(),
        rows,
    )
}

fn requests(record: &Record) -> String {
    let heading = [
        "replication",
        "client",
        "number",
        "at_s",
        "duration_ms",
        "status",
        "flags",
        "details",
        "cluster",
        "workload",
        "pod",
        "path",
        "attempts",
    ];
    let rows = record.requests.iter().map(|r| {
        vec![
            r.replication.to_string(),
            client_name(record, r.client),
            r.number.to_string(),
            r.at.as_secs_f64().to_string(),
            r.duration.as_millis_f64().to_string(),
            r.status.to_string(),
            r.flags.clone(),
            r.details.clone(),
            r.cluster.clone(),
            r.workload.clone(),
            r.pod.clone(),
            r.path.clone(),
            r.attempts.to_string(),
        ]
    });
    write(heading.into_iter(), rows)
}

/// Requests with status 5xx or none.
pub(super) fn errors(statuses: &BTreeMap<String, u64>) -> u64 {
    statuses
        .iter()
        .filter(|(status, _)| is_error(status))
        .map(|(_, count)| count)
        .sum()
}

/// True for 5xx, for a gRPC status other than OK, and for `0`: no status at all.
pub(super) fn is_error(status: &str) -> bool {
    status == "0" || status.starts_with('5') || status.starts_with("grpc")
}

pub(super) fn optional(value: Option<f64>) -> String {
    value.map(|v| v.to_string()).unwrap_or_default()
}

pub(super) fn latency(h: &Histogram) -> Vec<String> {
    if h.is_empty() {
        return vec![String::new(); LATENCY.len()];
    }
    let mut cells: Vec<String> = [0.5, 0.9, 0.99, 0.999]
        .iter()
        .map(|q| h.quantile(*q).as_millis_f64().to_string())
        .collect();
    cells.push(h.max().as_millis_f64().to_string());
    cells.push(h.mean().as_millis_f64().to_string());
    cells
}

fn write<'a>(
    heading: impl Iterator<Item = &'a str>,
    rows: impl Iterator<Item = Vec<String>>,
) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let written = writer.write_record(heading).and_then(|()| {
        rows.into_iter()
            .try_for_each(|row| writer.write_record(row))
    });
    written.expect("memory takes every row, and rows are as long as their heading");
    let bytes = writer.into_inner().expect("memory takes every row");
    String::from_utf8(bytes).expect("cells are UTF-8")
}
