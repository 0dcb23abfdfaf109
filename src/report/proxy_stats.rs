//! One proxy at one moment as its admin interface would show it: `/stats`, `/clusters`,
//! `/stats/prometheus` (`source/server/admin`).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::observe::proxy_view::{HostView, ProxyView};

/// Names of statistics that are gauges; all others are counters.
const GAUGES: [&str; 5] = [
    "_active",
    "_open",
    "membership_total",
    "membership_healthy",
    "concurrency_limit",
];

/// `/stats`: a line per statistic, sorted by name.
pub fn stats(view: &ProxyView) -> String {
    let mut out = String::new();
    for (name, value) in all(view) {
        let _ = writeln!(out, "{name}: {value}");
    }
    out
}

/// Every statistic by its full name.
fn all(view: &ProxyView) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for cluster in &view.record.clusters {
        if cluster.workload == view.marker {
            for (stat, value) in &cluster.stats {
                all.insert(format!("cluster.{}.{stat}", cluster.cluster), *value);
            }
        }
    }
    let proxies = view.record.proxies.iter();
    let own = proxies.filter(|p| p.workload == view.marker);
    all.extend(own.flat_map(|p| p.stats.clone()));
    all
}

/// `/clusters`: a line per figure of every host. Figures that are not simulated are left out.
pub fn clusters(view: &ProxyView) -> String {
    let mut out = String::new();
    for cluster in &view.clusters {
        let name = &cluster.name;
        let limits = [
            "max_connections",
            "max_pending_requests",
            "max_requests",
            "max_retries",
        ];
        for (limit, value) in limits.iter().zip(cluster.limits) {
            let _ = writeln!(out, "{name}::default_priority::{limit}::{value}");
        }
        for host in &cluster.hosts {
            for (figure, value) in figures(host) {
                let _ = writeln!(out, "{name}::{}::{figure}::{value}", host.address);
            }
        }
    }
    out
}

fn figures(host: &HostView) -> Vec<(&'static str, String)> {
    let counts = &host.counts;
    let mut flags = String::new();
    if host.failed_check {
        flags.push_str("/failed_active_hc");
    }
    if host.ejected {
        flags.push_str("/failed_outlier_check");
    }
    if flags.is_empty() {
        flags.push_str("healthy");
    }
    vec![
        ("cx_active", host.cx_active.to_string()),
        ("rq_active", host.rq_active.to_string()),
        ("rq_error", counts.error.to_string()),
        ("rq_success", counts.success.to_string()),
        ("rq_timeout", counts.timeout.to_string()),
        ("rq_total", counts.total.to_string()),
        ("hostname", host.pod.clone()),
        ("health_flags", flags),
        ("region", host.locality[0].clone()),
        ("zone", host.locality[1].clone()),
        ("sub_zone", host.locality[2].clone()),
        ("priority", host.priority.to_string()),
    ]
}

/// `/stats/prometheus`: names with underscores, the cluster and the response code as labels.
pub fn prometheus(view: &ProxyView) -> String {
    let mut families: BTreeMap<String, (bool, Vec<String>)> = BTreeMap::new();
    for (name, value) in all(view) {
        let (family, labels) = family(&name);
        let gauge = GAUGES.iter().any(|end| name.ends_with(end));
        let entry = families
            .entry(family.clone())
            .or_insert((gauge, Vec::new()));
        let labels: Vec<String> = (labels.iter())
            .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
            .collect();
        entry
            .1
            .push(format!("{family}{{{}}} {value}", labels.join(",")));
    }
    let mut out = String::new();
    for (family, (gauge, lines)) in families {
        let kind = if gauge { "gauge" } else { "counter" };
        let _ = writeln!(out, "# TYPE {family} {kind}");
        for line in lines {
            out.push_str(&line);
            out.push('\n');
        }
    }
    out
}

/// The family of a statistic, and what becomes a label (`source/common/config/well_known_names.cc`).
fn family(name: &str) -> (String, Vec<(&'static str, String)>) {
    let Some((cluster, stat)) = name
        .strip_prefix("cluster.")
        .and_then(|rest| split_cluster(rest))
    else {
        return (format!("envoy_{}", plain(name)), Vec::new());
    };
    let mut labels = Vec::new();
    let mut stat = stat.to_owned();
    if let Some((before, code)) = stat.clone().rsplit_once("upstream_rq_") {
        let class = code.strip_suffix("xx").filter(|c| c.len() == 1);
        let is_code = code.len() == 3 && code.bytes().all(|b| b.is_ascii_digit());
        if let Some(class) = class {
            labels.push(("envoy_response_code_class", class.to_owned()));
            stat = format!("{before}upstream_rq_xx");
        } else if is_code {
            labels.push(("envoy_response_code", code.to_owned()));
            stat = format!("{before}upstream_rq");
        }
    }
    labels.push(("envoy_cluster_name", cluster.to_owned()));
    (format!("envoy_cluster_{}", plain(&stat)), labels)
}

/// Names of clusters have dots of their own: the statistic begins at a known first word.
fn split_cluster(rest: &str) -> Option<(&str, &str)> {
    const FIRST: [&str; 9] = [
        "upstream_",
        "membership_",
        "circuit_breakers.",
        "outlier_detection.",
        "retry.",
        "internal.",
        "lb_",
        "health_check.",
        "bind_",
    ];
    let dots = rest.match_indices('.');
    dots.map(|(at, _)| (&rest[..at], &rest[at + 1..]))
        .find(|(_, stat)| FIRST.iter().any(|first| stat.starts_with(first)))
}

fn plain(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars()
        .map(|c| if fits(c) { c } else { '_' })
        .collect()
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"")
}
