//! `TT-EJECTION-COLLAPSE`: outlier detection takes so many hosts that nobody is left, or that all
//! are used again. `TT-EJECTION-REFUSED`: it finds bad hosts and may not take them.

use std::collections::BTreeSet;

use super::{Context, percent};
use crate::observe::record::proxy_of;
use crate::observe::record::{ClusterRecord, Finding, Severity, failed};
use crate::units::Fraction;

/// Share of failed calls from which a refused ejection matters.
const FAILED: f64 = 0.01;

pub(super) fn judge(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for cluster in &context.record.clusters {
        findings.extend(refused(context, cluster));
    }
    for cluster in &context.record.clusters {
        let stat = |name: &str| cluster.stats.get(name).copied().unwrap_or(0);
        let ejections = stat("outlier_detection.ejections_enforced_total");
        let (panics, nobody) = (stat("lb_healthy_panic"), stat("upstream_cx_none_healthy"));
        let tries = stat("upstream_rq_total").max(1);
        if ejections == 0 || (panics + nobody) * 100 < tries {
            continue;
        }
        let what = if nobody > 0 {
            format!(
                "outlier detection leaves {} no host of {}: {nobody} requests are answered 503 UH",
                cluster.workload, cluster.cluster
            )
        } else {
            format!(
                "outlier detection puts {} into panic towards {}: {panics} picks go to all hosts, ejected ones too",
                cluster.workload, cluster.cluster
            )
        };
        findings.push(Finding {
            code: "TT-EJECTION-COLLAPSE",
            severity: Severity::Error,
            what,
            chain: [
                format!("{ejections} ejections"),
                format!("{nobody} requests without a host, {panics} picks in panic"),
            ]
            .into_iter()
            .chain(threshold(context, cluster))
            .collect(),
            cause: context
                .policy_of(&cluster.workload, &cluster.cluster)
                .map(|place| format!("`outlierDetection` in {place}")),
            help: help(context, cluster),
            edges: vec![(cluster.workload.clone(), cluster.cluster.clone())],
            counterfactual: None,
        });
    }
}

/// A panic that `minHealthPercent` brings about is not helped by it.
fn help(context: &Context<'_>, cluster: &ClusterRecord) -> String {
    let shared = "errors that all hosts share are no reason to eject any";
    let tables = context.cluster(&cluster.workload, &cluster.cluster);
    let panic = tables.map_or(Fraction::ZERO, |tables| tables.panic_threshold);
    if panic == Fraction::ZERO {
        return format!("a lower `maxEjectionPercent`, or `minHealthPercent` above zero; {shared}");
    }
    format!(
        "a lower `maxEjectionPercent`: `minHealthPercent` is {panic} here, and with a smaller healthy share all hosts are used, bad ones too; {shared}"
    )
}

/// How many failures it takes until every proxy has taken out every host.
fn threshold(context: &Context<'_>, cluster: &ClusterRecord) -> Option<String> {
    let tables = context.cluster(&cluster.workload, &cluster.cluster)?;
    let outlier = tables.outlier.as_ref()?;
    let counts = [outlier.consecutive_5xx, outlier.consecutive_gateway_failure];
    let enforced = counts.iter().filter(|c| c.enforcing > 0 && c.threshold > 0);
    let count = enforced.map(|c| u64::from(c.threshold)).min()?;
    let own = (context.record.ejections.iter())
        .filter(|e| e.workload == cluster.workload && e.cluster == cluster.cluster);
    // As many as the proxies know of: `distribute` may leave some out.
    let hosts = u64::from(own.map(|e| e.hosts).max()?);
    let proxies = context.pods_of(&cluster.workload) as u64;
    Some(format!(
        "every proxy counts for every host by itself: {proxies} {} × {hosts} hosts × {count} in a row = {} failures before all are out",
        if proxies == 1 { "proxy" } else { "proxies" },
        proxies * hosts * count
    ))
}

/// `maxEjectionPercent` of the hosts, rounded down, is how many may be out at once.
fn refused(context: &Context<'_>, cluster: &ClusterRecord) -> Option<Finding> {
    let stat = |name: &str| cluster.stats.get(name).copied().unwrap_or(0);
    let (calls, failed) = outcome(context, cluster);
    let share = failed as f64 / calls.max(1) as f64;
    if stat("outlier_detection.ejections_overflow") == 0 || share < FAILED {
        return None;
    }
    let tables = context.cluster(&cluster.workload, &cluster.cluster)?;
    let outlier = tables.outlier.as_ref()?;
    let own = (context.record.ejections.iter())
        .filter(|e| e.workload == cluster.workload && e.cluster == cluster.cluster);
    let (taken, kept): (Vec<_>, Vec<_>) = own.partition(|e| e.lasts.is_some());
    let pods = |of: &[&crate::observe::record::EjectionRecord]| {
        let names: BTreeSet<&str> = of.iter().map(|e| e.pod.as_str()).collect();
        names.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let (hosts, most) = (tables.endpoints.len(), outlier.max_ejection_percent);
    let may = outlier.may_eject(hosts);
    let (taken, kept) = (pods(&taken), pods(&kept));
    let chain = vec![
        format!("bad enough and kept: {}", listed(&kept)),
        format!("ejected at some time: {}", listed(&taken)),
        format!("{} of the calls fail", percent(share)),
        "since Envoy 1.28 (Istio 1.20) no host is ejected beyond the limit; before, the first one always was, and `always_eject_one_host` (Envoy 1.31, by EnvoyFilter) brings that back".to_owned(),
    ];
    let place = context.policy_of(&cluster.workload, &cluster.cluster);
    let needed = (100 * (may + 1)).div_ceil(hosts.max(1));
    Some(Finding {
        code: "TT-EJECTION-REFUSED",
        severity: Severity::Warning,
        what: format!(
            "outlier detection of {} towards {} may eject {may} of {hosts} hosts: {most} % of {hosts} is {:.1}",
            cluster.workload,
            cluster.cluster,
            hosts as f64 * f64::from(most) / 100.0
        ),
        chain,
        cause: Some(match place {
            Some(place) => {
                format!("`maxEjectionPercent: {most}` in {place} (10 where it is not written)")
            }
            None => format!("`maxEjectionPercent: {most}`"),
        }),
        help: format!("`maxEjectionPercent: {needed}` lets one more be ejected"),
        edges: vec![(cluster.workload.clone(), cluster.cluster.clone())],
        counterfactual: None,
    })
}

/// Calls of a workload to a cluster, and how many of them failed.
fn outcome(context: &Context<'_>, cluster: &ClusterRecord) -> (u64, u64) {
    let edges = context.record.edges.iter();
    let own =
        edges.filter(|e| proxy_of(&e.from) == cluster.workload && e.cluster == cluster.cluster);
    own.fold((0, 0), |(calls, bad), edge| {
        (calls + edge.requests, bad + failed(&edge.statuses))
    })
}

fn listed(pods: &[String]) -> String {
    match pods {
        [] => "none".to_owned(),
        [.., _] if pods.len() > 6 => {
            format!("{} and {} more", pods[..5].join(", "), pods.len() - 5)
        }
        _ => pods.join(", "),
    }
}
