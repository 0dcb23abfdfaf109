//! `TT-IMBALANCE`: pods of a workload get very different shares, beyond what chance explains.
//!
//! Names the stage that made it. Envoy chooses a priority, then a locality, then a host; a stage
//! that leaves one host leaves nothing to balance (`envoy-runtime.md` §7.3).

use std::collections::BTreeMap;

use super::{Context, percent};
use crate::observe::record::{EndpointRecord, Finding, Severity, proxy_of};
use crate::xds::endpoint::LocalityKind;
use crate::xds::{Cluster, LbPolicy};

/// Times the mean from which the busiest pod is named.
const FACTOR: f64 = 1.5;
/// Standard deviations that chance is granted.
const SIGMAS: f64 = 6.0;
/// Turns for each pod below which a round of a worker thread makes nothing even.
const TURNS: f64 = 4.0;
/// Times the mean of its own place above which it is not the place that decides.
const SAME: f64 = 1.25;

pub(super) fn judge(context: &Context<'_>, findings: &mut Vec<Finding>) {
    if !context.record.happenings.is_empty() {
        // Pods that came and went had their reasons.
        return;
    }
    let mut pods: BTreeMap<&str, Vec<&EndpointRecord>> = BTreeMap::new();
    for endpoint in &context.record.endpoints {
        pods.entry(&endpoint.workload).or_default().push(endpoint);
    }
    for (workload, pods) in pods {
        let total: u64 = pods.iter().map(|p| p.requests).sum();
        let mean = total as f64 / pods.len() as f64;
        let Some(most) = pods.iter().max_by_key(|p| p.requests) else {
            continue;
        };
        let busiest = most.requests as f64;
        let chance = mean + SIGMAS * mean.sqrt();
        if total == 0 || pods.len() < 2 || busiest < FACTOR * mean {
            continue;
        }
        let stage = if busiest < chance {
            Stage::workers(context, workload, pods.len())
        } else {
            Some(Stage::of(context, workload, &pods, most))
        };
        let Some(stage) = stage else {
            continue;
        };
        let share = busiest / total as f64;
        let half = 1.96 * (share * (1.0 - share) / total as f64).sqrt();
        let mut chain = vec![
            format!(
                "{} requests of {total}; chance explains up to {chance:.0}",
                most.requests
            ),
            format!(
                "{}: {:.1} % ± {:.1} % of the requests (95 %), even would be {:.1} %",
                most.pod,
                share * 100.0,
                half * 100.0,
                100.0 / pods.len() as f64
            ),
        ];
        chain.extend(stage.evidence);
        findings.push(Finding {
            code: "TT-IMBALANCE",
            severity: Severity::Warning,
            what: format!(
                "{} gets {:.1} times the mean of the {} pods of {workload}: {}",
                most.pod,
                busiest / mean,
                pods.len(),
                stage.words
            ),
            chain,
            cause: stage.cause,
            help: stage.help.to_owned(),
            edges: stage.edge.into_iter().collect(),
            counterfactual: None,
        });
    }
}

/// What decided before balancing could.
struct Stage {
    words: &'static str,
    evidence: Vec<String>,
    cause: Option<String>,
    help: &'static str,
    /// Whose calls make most of it.
    edge: Option<(String, String)>,
}

impl Stage {
    fn of(
        context: &Context<'_>,
        workload: &str,
        pods: &[&EndpointRecord],
        most: &EndpointRecord,
    ) -> Self {
        let main = context.record.main_edge_to(workload);
        Self {
            edge: main.map(|e| (proxy_of(&e.from).to_owned(), e.cluster.clone())),
            ..Self::named(context, workload, pods, most)
        }
    }

    /// Round robin promises more than chance, but each worker thread goes round by itself.
    fn workers(context: &Context<'_>, workload: &str, pods: usize) -> Option<Self> {
        let main = context.record.main_edge_to(workload)?;
        let client = proxy_of(&main.from);
        let cluster = context.cluster(client, &main.cluster)?;
        let threads = context.record.workers_of(client);
        let proxies = context.pods_of(client);
        let rounds = threads * proxies * context.record.replications.max(1) as usize;
        let turns = main.attempts as f64 / rounds.max(1) as f64;
        if cluster.lb != LbPolicy::RoundRobin || threads < 2 || turns >= TURNS * pods as f64 {
            return None;
        }
        let policy = context.place(cluster.policy_origin);
        Some(Self {
            words: "every worker thread goes round by itself and begins where it likes",
            evidence: vec![format!(
                "{proxies} × {threads} threads of {client} have {turns:.1} turns each for {pods} pods: so few are no more even than chance"
            )],
            cause: policy.map(|place| format!("`loadBalancer` in {place}")),
            help: "more requests make it even; `concurrency: 1` of the clients leaves one round per proxy; LEAST_REQUEST looks at what all threads of a proxy have on their way",
            edge: Some((client.to_owned(), main.cluster.clone())),
        })
    }

    fn named(
        context: &Context<'_>,
        workload: &str,
        pods: &[&EndpointRecord],
        most: &EndpointRecord,
    ) -> Self {
        let main = context.record.main_edge_to(workload);
        let cluster = main.and_then(|e| context.cluster(&e.from, &e.cluster));
        let policy = cluster.and_then(|c| context.place(c.policy_origin));
        let evidence = places(pods);
        if by_place(pods, most) {
            return Self::place(cluster, evidence, policy);
        }
        let hashes =
            |c: &Cluster| matches!(c.lb, LbPolicy::RingHash { .. } | LbPolicy::Maglev { .. });
        if cluster.is_some_and(hashes) {
            return Self {
                words: "the hash decides, load plays no part",
                evidence,
                cause: policy.map(|place| format!("`consistentHash` in {place}")),
                help: "a hash key that few values do not dominate; more pods do not help, the same value stays on one pod",
                edge: None,
            };
        }
        let is_other = |name: &str| name != most.pod && pods.iter().any(|pod| pod.pod == name);
        let mut ejections = context.record.ejections.iter();
        if ejections.any(|e| e.lasts.is_some() && is_other(&e.pod)) {
            return Self {
                words: "others are ejected for a while",
                evidence,
                cause: policy.map(|place| format!("`outlierDetection` in {place}")),
                help: "look at why they fail; `Ejections` in the report says when and for how long",
                edge: None,
            };
        }
        let help = "few connections of HTTP/2 clients without a proxy, few requests per proxy worker, or a pod that answers errors quickly and so looks idle";
        match cluster {
            Some(_) => Self {
                words: "the policy of the last stage, with what it knows of load",
                evidence,
                cause: policy.map(|place| format!("`loadBalancer` in {place}")),
                help,
                edge: None,
            },
            None => Self {
                words: "the caller has no proxy, so connections are spread and not requests",
                evidence,
                cause: None,
                help,
                edge: None,
            },
        }
    }

    /// Priorities and weights of places come before any policy.
    fn place(cluster: Option<&Cluster>, evidence: Vec<String>, policy: Option<String>) -> Self {
        let (words, what) = match cluster.map(|c| &c.locality.kind) {
            Some(LocalityKind::Distribute(_)) => ("the weights of places decide", "`distribute`"),
            Some(LocalityKind::Failover { .. }) => (
                "the priority decides, before any balancing: clients use the nearest place alone",
                "locality failover (on wherever there is `outlierDetection`)",
            ),
            _ => ("the place decides, before any balancing", "locality"),
        };
        Self {
            words,
            evidence,
            cause: policy.map(|place| format!("{what} in {place}")),
            help: "as many pods as clients in each place, `distribute` with the shares you want, or `localityLbSetting: {enabled: false}` to use all pods alike; with one pod in a place any policy has no choice",
            edge: None,
        }
    }
}

/// True when the busiest pod gets no more than the others of its place, and its place more than others.
fn by_place(pods: &[&EndpointRecord], most: &EndpointRecord) -> bool {
    let of = |pods: &[&EndpointRecord]| {
        let sum: u64 = pods.iter().map(|p| p.requests).sum();
        sum as f64 / pods.len().max(1) as f64
    };
    let own: Vec<&EndpointRecord> = (pods.iter().copied())
        .filter(|p| p.locality == most.locality)
        .collect();
    let several = own.len() < pods.len();
    several && most.requests as f64 <= SAME * of(&own) && of(&own) >= SAME * of(pods)
}

/// Requests and pods of each place, where there are several.
fn places(pods: &[&EndpointRecord]) -> Vec<String> {
    let total: u64 = pods.iter().map(|p| p.requests).sum();
    let mut places: BTreeMap<&str, (usize, u64)> = BTreeMap::new();
    for pod in pods {
        let sum = places.entry(&pod.locality).or_default();
        (sum.0, sum.1) = (sum.0 + 1, sum.1 + pod.requests);
    }
    if places.len() < 2 {
        return Vec::new();
    }
    let line = |(place, (count, requests)): (&str, (usize, u64))| {
        format!(
            "{place}: {count} of {} pods, {} of the requests",
            pods.len(),
            percent(requests as f64 / total.max(1) as f64)
        )
    };
    places.into_iter().map(line).collect()
}
