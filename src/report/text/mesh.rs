//! What happened inside the mesh: edges, clusters, workloads, pods.

use super::heading;
use crate::observe::record::{ClusterRecord, EdgeRecord, EndpointRecord, Record};
use crate::report::csv::errors;
use crate::report::format::{count, digits, duration, percent, share, wrap};
use crate::report::table::{Align, PAGE, Table, shorten};

/// More rows of one kind than this are summed up instead of listed.
const ROWS_MAX: usize = 60;
/// Pods are listed one by one while a workload has at most this many.
const PODS_MAX: usize = 12;

/// Who called whom.
pub(super) fn edges(out: &mut String, record: &Record) {
    if record.edges.is_empty() {
        return;
    }
    heading(out, "Who called whom");
    let mut table = Table::new(&[
        ("FROM", Align::Flex),
        ("TO", Align::Flex),
        ("REQUESTS", Align::Right),
        ("FAILED", Align::Right),
        ("TRIES", Align::Right),
        ("P50", Align::Right),
        ("P99", Align::Right),
    ]);
    let mut caller = "";
    for edge in record.edges.iter().take(ROWS_MAX) {
        let from = if edge.from == caller {
            String::new()
        } else {
            edge.from.clone()
        };
        caller = &edge.from;
        let (p50, p99) = if edge.latency.is_empty() {
            ("-".to_owned(), "-".to_owned())
        } else {
            (
                duration(edge.latency.quantile(0.5)),
                duration(edge.latency.quantile(0.99)),
            )
        };
        table.row([
            from,
            target(edge),
            count(edge.requests),
            share(errors(&edge.statuses), edge.requests),
            digits(edge.attempts as f64 / edge.requests.max(1) as f64),
            p50,
            p99,
        ]);
    }
    out.push_str(&table.render(2));
    more(out, record.edges.len());
}

fn more(out: &mut String, rows: usize) {
    if rows > ROWS_MAX {
        out.push_str(&format!(
            "  … and {} more (-o json lists all)\n",
            rows - ROWS_MAX
        ));
    }
}

/// `reviews.default → reviews-v1`, or the service and why nobody answered.
fn target(edge: &EdgeRecord) -> String {
    let service = short_host(&edge.service);
    match edge.to.as_str() {
        "" | "-" => {
            let unanswered = match edge.cluster.as_str() {
                "" | "-" => "answered by the proxy".to_owned(),
                "PassthroughCluster" | "BlackHoleCluster" => edge.cluster.clone(),
                _ => "no answer".to_owned(),
            };
            format!("{service} ({unanswered})")
        }
        to => {
            // The caller's own namespace goes without saying, and so does the port.
            let caller = edge.from.split_once('/').map_or("", |(ns, _)| ns);
            let namespace = service.rsplit_once('.').map_or(caller, |(_, ns)| ns);
            let to = match to.split_once('/') {
                Some((ns, name)) if ns == namespace => name,
                _ => to,
            };
            let service = service.rsplit_once(':').map_or(service, |(host, _)| host);
            format!("{service} → {to}")
        }
    }
}

fn short_host(host: &str) -> &str {
    host.strip_suffix(".svc.cluster.local").unwrap_or(host)
}

/// Statistics worth a word, in the order in which they are told.
const TOLD: [(&str, &str); 17] = [
    ("upstream_rq_retry", "retries"),
    ("upstream_rq_retry_success", "retries that helped"),
    ("upstream_rq_retry_limit_exceeded", "retry limit exceeded"),
    (
        "upstream_rq_retry_overflow",
        "retries refused by maxRetries",
    ),
    ("upstream_rq_timeout", "timeouts"),
    ("upstream_rq_per_try_timeout", "per-try timeouts"),
    (
        "upstream_cx_overflow",
        "connections refused by maxConnections",
    ),
    (
        "upstream_rq_pending_overflow",
        "requests refused by the pending limit",
    ),
    (
        "upstream_rq_active_overflow",
        "requests refused by the request limit",
    ),
    ("upstream_cx_connect_fail", "failed connects"),
    ("upstream_cx_connect_timeout", "connect timeouts"),
    ("upstream_cx_none_healthy", "picks without a healthy host"),
    ("lb_healthy_panic", "picks in panic mode"),
    ("upstream_rq_rx_reset", "resets by the pod"),
    ("outlier_detection.ejections_enforced_total", "ejections"),
    (
        "outlier_detection.ejections_overflow",
        "ejections refused by maxEjectionPercent",
    ),
    ("fault.aborts_injected", "injected aborts"),
];

/// Clusters with retries, overflow, timeouts or ejections.
pub(super) fn clusters(out: &mut String, record: &Record) {
    let told: Vec<(&ClusterRecord, String)> = record
        .clusters
        .iter()
        .map(|cluster| (cluster, tell(cluster)))
        .filter(|(_, words)| !words.is_empty())
        .collect();
    if told.is_empty() {
        return;
    }
    heading(
        out,
        "Retries, refusals and ejections, per client and cluster",
    );
    for (cluster, words) in told.iter().take(ROWS_MAX) {
        let name = format!("{} → {}", cluster.workload, cluster.cluster);
        out.push_str(&format!("  {}\n", shorten(&name, PAGE - 2)));
        out.push_str(&wrap(words, "    ", 4, PAGE));
    }
    more(out, told.len());
}

fn tell(cluster: &ClusterRecord) -> String {
    let words = TOLD.iter().filter_map(|(stat, word)| {
        let value = cluster.stats.get(*stat).copied().unwrap_or(0);
        (value > 0).then(|| format!("{} {word}", count(value)))
    });
    words.collect::<Vec<_>>().join(", ")
}

/// Utilisation and queue per workload.
pub(super) fn workloads(out: &mut String, record: &Record) {
    if record.workloads.is_empty() {
        return;
    }
    heading(out, "Workloads");
    let mut table = Table::new(&[
        ("NAME", Align::Flex),
        ("PODS", Align::Right),
        ("REQUESTS", Align::Right),
        ("5XX", Align::Right),
        ("REFUSED", Align::Right),
        ("BUSY", Align::Right),
        ("QUEUE", Align::Right),
        ("MOST", Align::Right),
        ("P50", Align::Right),
        ("P99", Align::Right),
    ]);
    for workload in record.workloads.iter().take(ROWS_MAX) {
        let quantile = |q| {
            if workload.latency.is_empty() {
                "-".to_owned()
            } else {
                duration(workload.latency.quantile(q))
            }
        };
        table.row([
            workload.name.clone(),
            workload.pods.to_string(),
            count(workload.requests),
            count(workload.errors),
            count(workload.rejected),
            workload.utilisation.map_or_else(|| "-".to_owned(), percent),
            digits(workload.queue_mean),
            count(workload.queue_max),
            quantile(0.5),
            quantile(0.99),
        ]);
    }
    out.push_str(&table.render(2));
    more(out, record.workloads.len());
}

/// Requests per pod, where they differ from an even share or pods were ejected.
pub(super) fn pods(out: &mut String, record: &Record) {
    let mut groups: Vec<&[EndpointRecord]> = record
        .endpoints
        .chunk_by(|a, b| a.workload == b.workload)
        .collect();
    groups.retain(|pods| pods.len() > 1 && pods.iter().any(|pod| pod.requests > 0));
    if groups.is_empty() {
        return;
    }
    heading(out, "Requests per pod");
    for pods in groups.iter().take(ROWS_MAX) {
        let words = if pods.len() <= PODS_MAX {
            each(pods)
        } else {
            spread(pods)
        };
        let name = format!("  {}  ", pods[0].workload);
        out.push_str(&wrap(&words, &name, 4, PAGE));
    }
    more(out, groups.len());
}

fn each(pods: &[EndpointRecord]) -> String {
    let workload = pods[0].workload.split('/').next_back().unwrap_or("");
    let words = pods.iter().map(|pod| {
        let name = pod
            .pod
            .strip_prefix(workload)
            .unwrap_or(&pod.pod)
            .trim_start_matches('-');
        let mut facts = Vec::new();
        if !pod.locality.is_empty() {
            facts.push(pod.locality.clone());
        }
        match pod.ejections {
            0 => {}
            1 => facts.push("ejected once".to_owned()),
            n => facts.push(format!("ejected {} times", count(n))),
        }
        let facts = if facts.is_empty() {
            String::new()
        } else {
            format!(" ({})", facts.join(", "))
        };
        format!("{name}: {}{facts}", count(pod.requests))
    });
    words.collect::<Vec<_>>().join(",  ")
}

fn spread(pods: &[EndpointRecord]) -> String {
    let most = pods.iter().map(|pod| pod.requests).max().unwrap_or(0);
    let least = pods.iter().map(|pod| pod.requests).min().unwrap_or(0);
    let ejected: u64 = pods.iter().map(|pod| pod.ejections).sum();
    format!(
        "{} pods, {} to {} each, {} ejections",
        pods.len(),
        count(least),
        count(most),
        count(ejected)
    )
}
