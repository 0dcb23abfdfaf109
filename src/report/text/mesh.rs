//! What happened inside the mesh: edges, clusters, workloads, pods.

use super::{heading, legend};
use crate::observe::Histogram;
use crate::observe::record::{ClusterRecord, EdgeRecord, EndpointRecord, Record};
use crate::report::csv::errors;
use crate::report::format::{count, digits, duration, percent, plural, share, wrap};
use crate::report::table::{Align, PAGE, Table, shorten};
use crate::xds::cluster::short_host;

/// More rows of one kind than this are summed up instead of listed.
const ROWS_MAX: usize = 60;
/// Pods are listed one by one while a workload has at most this many.
const PODS_MAX: usize = 12;

/// Who called whom: a line per caller, below it one per service and the workload behind it.
pub(super) fn edges(out: &mut String, record: &Record) {
    if record.edges.is_empty() {
        return;
    }
    heading(out, "Who called whom");
    let mut words =
        "failed: 5xx or no answer; tries: attempts per request; latency as the caller sees it"
            .to_owned();
    if !record.warm_up.is_zero() {
        words.push_str(
            ". Loads count what was started after the warm-up, these tables what ended after it",
        );
    }
    legend(out, &words);
    let mut table = Table::new(&[
        ("CALLER, CALLED → SENT TO", Align::Flex),
        ("REQUESTS", Align::Right),
        ("FAILED", Align::Right),
        ("TRIES", Align::Right),
        ("P50", Align::Right),
        ("P99", Align::Right),
    ]);
    let mut caller = "";
    let shown = &record.edges[..record.edges.len().min(ROWS_MAX)];
    for (label, edge) in labels(shown).iter().zip(shown) {
        if edge.from != caller {
            table.title(&edge.from);
            caller = &edge.from;
        }
        table.row([
            format!("  {label}"),
            count(edge.requests),
            share(errors(&edge.statuses), edge.requests),
            digits(edge.attempts as f64 / edge.requests.max(1) as f64),
            quantile(&edge.latency, 0.5),
            quantile(&edge.latency, 0.99),
        ]);
    }
    out.push_str(&table.render(2));
    more(out, record.edges.len());
}

fn quantile(latency: &Histogram, q: f64) -> String {
    if latency.is_empty() {
        "-".to_owned()
    } else {
        duration(latency.quantile(q))
    }
}

fn more(out: &mut String, rows: usize) {
    if rows > ROWS_MAX {
        out.push_str(&format!(
            "  … and {} more (-o json lists all)\n",
            rows - ROWS_MAX
        ));
    }
}

/// What each row is called; where two of a caller would be called alike, their subsets tell them apart.
fn labels(edges: &[EdgeRecord]) -> Vec<String> {
    let plain: Vec<String> = edges.iter().map(target).collect();
    let row = |at: usize| (&edges[at].from, &plain[at]);
    let one = |at: usize| {
        let alike = (0..edges.len())
            .filter(|other| row(*other) == row(at))
            .count();
        let subset = edges[at].cluster.split('|').nth(2).unwrap_or_default();
        match plain[at].split_once(" → ") {
            Some((host, to)) if alike > 1 && !subset.is_empty() => {
                format!("{host}/{subset} → {to}")
            }
            _ => plain[at].clone(),
        }
    };
    (0..edges.len()).map(one).collect()
}

/// `reviews → reviews-v1`, or the service and why it was sent to nobody.
fn target(edge: &EdgeRecord) -> String {
    let service = short_host(&edge.service);
    let (host, port) = match service.rsplit_once(':') {
        Some((host, port)) => (host, port),
        None => (service, ""),
    };
    match edge.to.as_str() {
        "" | "-" => match edge.cluster.as_str() {
            "" | "-" => format!("{host} → nobody: answered by the proxy"),
            "PassthroughCluster" | "BlackHoleCluster" => {
                format!("{host}:{port} → {}", edge.cluster)
            }
            _ => format!("{host} → nobody: no pod or breaker full"),
        },
        to => {
            // The caller's own namespace goes without saying, and so does the port.
            let caller = edge.from.split_once('/').map_or("", |(ns, _)| ns);
            let namespace = service.rsplit_once('.').map_or(caller, |(_, ns)| ns);
            let to = match to.split_once('/') {
                Some((ns, name)) if ns == namespace => name,
                _ => to,
            };
            format!("{host} → {to}")
        }
    }
}

/// Statistics worth a word, in the order in which they are told: name, one, many.
const TOLD: [(&str, &str, &str); 16] = [
    ("upstream_rq_retry", "retry", "retries"),
    (
        "upstream_rq_retry_success",
        "request saved by retries",
        "requests saved by retries",
    ),
    (
        "upstream_rq_retry_limit_exceeded",
        "request out of retries",
        "requests out of retries",
    ),
    (
        "upstream_rq_retry_overflow",
        "retry refused by maxRetries",
        "retries refused by maxRetries",
    ),
    ("upstream_rq_timeout", "timeout", "timeouts"),
    (
        "upstream_rq_per_try_timeout",
        "per-try timeout",
        "per-try timeouts",
    ),
    (
        "upstream_cx_overflow",
        "connection held back by maxConnections",
        "connections held back by maxConnections",
    ),
    (
        "upstream_rq_pending_overflow",
        "request refused by http1MaxPendingRequests",
        "requests refused by http1MaxPendingRequests",
    ),
    (
        "upstream_rq_active_overflow",
        "request refused by http2MaxRequests",
        "requests refused by http2MaxRequests",
    ),
    (
        "upstream_cx_connect_fail",
        "failed connect",
        "failed connects",
    ),
    (
        "upstream_cx_connect_timeout",
        "of them by connectTimeout",
        "of them by connectTimeout",
    ),
    (
        "upstream_cx_none_healthy",
        "pick without a healthy host",
        "picks without a healthy host",
    ),
    (
        "lb_healthy_panic",
        "pick in panic mode",
        "picks in panic mode",
    ),
    ("upstream_rq_rx_reset", "reset by a pod", "resets by pods"),
    (
        "outlier_detection.ejections_enforced_total",
        "ejection",
        "ejections",
    ),
    (
        "outlier_detection.ejections_overflow",
        "ejection refused by maxEjectionPercent",
        "ejections refused by maxEjectionPercent",
    ),
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
        "Retries, timeouts, refusals and ejections, per caller and cluster",
    );
    let mut caller = "";
    for (cluster, words) in told.iter().take(ROWS_MAX) {
        if cluster.workload != caller {
            caller = &cluster.workload;
            out.push_str(&format!("  {}\n", shorten(caller, PAGE - 2)));
        }
        let name = format!("    {}  ", shorten(&cluster.cluster, PAGE - 6));
        // One line where it fits; else the figures go below the name.
        if name.chars().count() + words.chars().count() <= PAGE {
            out.push_str(&format!("{name}{words}\n"));
        } else {
            out.push_str(&format!("{}\n", name.trim_end()));
            out.push_str(&wrap(words, "      ", 6, PAGE));
        }
    }
    more(out, told.len());
}

fn tell(cluster: &ClusterRecord) -> String {
    let words = TOLD.iter().filter_map(|(stat, one, many)| {
        let value = cluster.stats.get(*stat).copied().unwrap_or(0);
        (value > 0).then(|| plural(value, one, many))
    });
    words.collect::<Vec<_>>().join(", ")
}

/// Utilisation and queue per workload, a title per namespace.
pub(super) fn workloads(out: &mut String, record: &Record) {
    if record.workloads.is_empty() {
        return;
    }
    heading(out, "Workloads");
    legend(
        out,
        "failed: answered 5xx or not at all; refused: by a full queue or by the sidecar's limits; util: busy places of pods × \
         concurrency; queue: waiting on average, all pods together; max: at one pod; latency from \
         arrival at the pod to its answer",
    );
    let mut table = Table::new(&[
        ("NAMESPACE, WORKLOAD", Align::Flex),
        ("PODS", Align::Right),
        ("REQUESTS", Align::Right),
        ("FAILED", Align::Right),
        ("REFUSED", Align::Right),
        ("UTIL", Align::Right),
        ("QUEUE", Align::Right),
        ("MAX", Align::Right),
        ("P50", Align::Right),
        ("P99", Align::Right),
    ]);
    let mut namespace = None;
    for workload in record.workloads.iter().take(ROWS_MAX) {
        let (ns, name) = match workload.name.split_once('/') {
            Some((ns, name)) => (ns, name),
            None => ("outside the mesh", &*workload.name),
        };
        if namespace != Some(ns) {
            table.title(ns);
            namespace = Some(ns);
        }
        table.row([
            format!("  {name}"),
            workload.pods.to_string(),
            count(workload.requests),
            count(workload.errors),
            count(workload.rejected),
            workload.utilisation.map_or_else(|| "-".to_owned(), percent),
            digits(workload.queue_mean),
            count(workload.queue_max),
            quantile(&workload.latency, 0.5),
            quantile(&workload.latency, 0.99),
        ]);
    }
    out.push_str(&table.render(2));
    more(out, record.workloads.len());
}

/// What few applications do, where any does.
pub(super) fn applications(out: &mut String, record: &Record) {
    let doing = record.workloads.iter().filter(|w| !w.counts.is_empty());
    let doing: Vec<_> = doing.collect();
    if doing.is_empty() {
        return;
    }
    heading(out, "Applications");
    for workload in doing.iter().take(ROWS_MAX) {
        let counts = workload.counts.iter();
        let words =
            counts.map(|(name, n)| format!("{} {}", count(*n), name.replace('_', "\u{a0}")));
        let words = words.collect::<Vec<_>>().join(", ");
        let line = wrap(&words, &format!("  {}  ", workload.name), 4, PAGE);
        out.push_str(&line.replace('\u{a0}', " "));
    }
    more(out, doing.len());
}

/// Requests per pod, for workloads with several pods or an ejected one.
pub(super) fn pods(out: &mut String, record: &Record) {
    let mut groups: Vec<&[EndpointRecord]> = record
        .endpoints
        .chunk_by(|a, b| a.workload == b.workload)
        .collect();
    groups.retain(|pods| {
        (pods.len() > 1 && pods.iter().any(|pod| pod.requests > 0))
            || pods.iter().any(|pod| pod.ejections > 0)
    });
    if groups.is_empty() {
        return;
    }
    heading(out, "Requests per pod (ordinal: requests)");
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
        "{} pods, {} to {} each, {}",
        pods.len(),
        count(least),
        count(most),
        plural(ejected, "ejection", "ejections")
    )
}
