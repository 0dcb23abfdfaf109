//! The one table of a sweep: a row per point and replication, in CSV.
//!
//! | Column | Meaning |
//! |---|---|
//! | `sweep` | fingerprint of inputs, grid, version and what that version's results are, a dash, and the number of rows of the whole sweep: the same in every row |
//! | `point`, `replication` | which combination and which repetition, from 0 |
//! | `seed` | seed of the run; with the replication it decides all luck |
//! | the varied paths, `load` | the value at this point, as it was written; `load` is a factor on the rates of open loads |
//! | `ended` | `complete`; `in_flight`: requests were still open 60 s after load ended; `too_much_in_flight`: stopped early |
//! | `digest` | of the run: equal digests, equal runs |
//! | `started`, `requests`, `errors`, `in_flight` | requests of all loads after the warm-up: begun, ended, ended with 5xx or none, still open |
//! | `rate_per_second`, `goodput_per_second` | ended requests per second, and those of them without error |
//! | `error_share` | 0 to 1 |
//! | `mean_ms`, `p50_ms`, `p90_ms`, `p99_ms`, `p999_ms`, `max_ms` | latency of ended requests, as clients see it |
//! | `attempts_per_request` | tries of the clients' own proxies |
//! | `hops_per_request` | tries of all callers in the mesh: work amplification |
//! | `retries`, `timeouts`, `breaker_overflows`, `ejections` | Envoy's `upstream_rq_retry`, `upstream_rq_timeout` and `…per_try_timeout`, `upstream_rq_pending_overflow`, and ejections, over the mesh |
//! | `rejected` | refused by full queues of pods |
//! | `busiest_workload`, `busiest_utilisation` | the workload with the largest share (0 to 1) of busy places |
//! | `queue_max` | most requests waiting at one pod |
//! | `simulated_seconds` | virtual time at the last event |
//!
//! With several loads, `LOAD.rate_per_second`, `LOAD.error_share`, `LOAD.p50_ms` and `LOAD.p99_ms`
//! follow for each. A value that does not exist is an empty cell.

use super::csv::{errors, latency, optional};
use crate::observe::Histogram;
use crate::observe::record::{ClientRecord, ClusterRecord, Ended, Record, WorkloadRecord};

/// Columns before the varied paths.
pub const BEFORE: [&str; 4] = ["sweep", "point", "replication", "seed"];

/// Columns behind the varied paths, for every sweep.
pub const BEHIND: [&str; 26] = [
    "ended",
    "digest",
    "started",
    "requests",
    "errors",
    "in_flight",
    "rate_per_second",
    "goodput_per_second",
    "error_share",
    "p50_ms",
    "p90_ms",
    "p99_ms",
    "p999_ms",
    "max_ms",
    "mean_ms",
    "attempts_per_request",
    "hops_per_request",
    "retries",
    "timeouts",
    "breaker_overflows",
    "ejections",
    "rejected",
    "busiest_workload",
    "busiest_utilisation",
    "queue_max",
    "simulated_seconds",
];

/// Columns per load, behind its name and a dot, where there are several.
const PER_LOAD: [&str; 4] = ["rate_per_second", "error_share", "p50_ms", "p99_ms"];

/// Columns of loads, in the scenario's order.
pub fn load_columns(loads: &[&str]) -> Vec<String> {
    if loads.len() < 2 {
        return Vec::new();
    }
    let of = |load: &&str| PER_LOAD.map(|column| format!("{load}.{column}"));
    loads.iter().flat_map(of).collect()
}

/// Cells behind the varied paths: of one run, in the order of [`BEHIND`] and [`load_columns`].
pub fn cells(record: &Record) -> Vec<String> {
    let total = |of: fn(&ClientRecord) -> u64| record.clients.iter().map(of).sum::<u64>();
    let requests = total(|c| c.requests);
    let failed = total(|c| errors(&c.statuses));
    let tries = total(|c| {
        c.attempts
            .iter()
            .map(|(n, count)| u64::from(*n) * count)
            .sum()
    });
    let hops: u64 = record.edges.iter().map(|edge| edge.attempts).sum();
    let share = |part: u64| (requests > 0).then(|| part as f64 / requests as f64);
    let rate: f64 = record.clients.iter().filter_map(rate).sum();
    let goodput = share(requests - failed.min(requests)).map(|good| rate * good);
    let mut together = Histogram::default();
    for client in &record.clients {
        together.merge(&client.latency);
    }
    let busiest = busiest(&record.workloads);
    let mut cells = vec![
        ended(record.ended).to_owned(),
        format!("{:016x}", record.digest),
        total(|c| c.started).to_string(),
        requests.to_string(),
        failed.to_string(),
        total(|c| c.in_flight).to_string(),
        rate.to_string(),
        optional(goodput),
        optional(share(failed)),
    ];
    cells.extend(latency(&together));
    cells.extend([
        optional(share(tries)),
        optional(share(hops)),
        stat(&record.clusters, &["upstream_rq_retry"]),
        stat(
            &record.clusters,
            &["upstream_rq_timeout", "upstream_rq_per_try_timeout"],
        ),
        stat(&record.clusters, &["upstream_rq_pending_overflow"]),
        record
            .endpoints
            .iter()
            .map(|e| e.ejections)
            .sum::<u64>()
            .to_string(),
        record
            .workloads
            .iter()
            .map(|w| w.rejected)
            .sum::<u64>()
            .to_string(),
        busiest
            .map(|(workload, _)| workload.name.clone())
            .unwrap_or_default(),
        optional(busiest.map(|(_, utilisation)| utilisation)),
        record
            .workloads
            .iter()
            .map(|w| w.queue_max)
            .max()
            .unwrap_or(0)
            .to_string(),
        record.ended_at.as_secs_f64().to_string(),
    ]);
    debug_assert_eq!(cells.len(), BEHIND.len(), "a cell for every column");
    if record.clients.len() > 1 {
        cells.extend(record.clients.iter().flat_map(per_load));
    }
    cells
}

/// One line of the table, with its line feed.
pub fn line<'c>(cells: impl IntoIterator<Item = &'c str>) -> String {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    let written = writer.write_record(cells);
    written.expect("memory takes every row");
    let bytes = writer.into_inner().expect("memory takes every row");
    String::from_utf8(bytes).expect("cells are UTF-8")
}

fn per_load(client: &ClientRecord) -> [String; PER_LOAD.len()] {
    let failed = errors(&client.statuses);
    let share = (client.requests > 0).then(|| failed as f64 / client.requests as f64);
    let quantile = |q: f64| {
        let some = !client.latency.is_empty();
        optional(some.then(|| client.latency.quantile(q).as_millis_f64()))
    };
    [
        optional(rate(client)),
        optional(share),
        quantile(0.5),
        quantile(0.99),
    ]
}

/// Ended requests per second of counted time.
fn rate(client: &ClientRecord) -> Option<f64> {
    client
        .per_replication
        .first()
        .map(|h| h.requests_per_second)
}

fn stat(clusters: &[ClusterRecord], names: &[&str]) -> String {
    let values = clusters
        .iter()
        .flat_map(|c| names.iter().filter_map(|n| c.stats.get(*n)));
    values.sum::<u64>().to_string()
}

/// The workload with the largest share of busy places; the first of equals.
fn busiest(workloads: &[WorkloadRecord]) -> Option<(&WorkloadRecord, f64)> {
    let used = workloads.iter().filter_map(|w| Some((w, w.utilisation?)));
    used.reduce(|best, next| if next.1 > best.1 { next } else { best })
}

fn ended(ended: Ended) -> &'static str {
    match ended {
        Ended::Complete => "complete",
        Ended::InFlight => "in_flight",
        Ended::Interrupted => "interrupted",
        Ended::TooMuchInFlight => "too_much_in_flight",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_a_cell_for_every_column() {
        let mut record = Record::default();
        assert_eq!(cells(&record).len(), BEHIND.len());
        for name in ["a", "b"] {
            record.clients.push(ClientRecord {
                name: name.to_owned(),
                ..ClientRecord::default()
            });
        }
        let columns = load_columns(&["a", "b"]);
        assert_eq!(columns[0], "a.rate_per_second");
        assert_eq!(cells(&record).len(), BEHIND.len() + columns.len());
    }

    #[test]
    fn cells_with_commas_and_quotes_are_one_cell() {
        assert_eq!(
            line(["a", "{b: [1, 2]}", "\"x\""]),
            "a,\"{b: [1, 2]}\",\"\"\"x\"\"\"\n"
        );
    }
}
