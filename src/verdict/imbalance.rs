//! `TT-IMBALANCE`: pods of a workload get very different shares, beyond what chance explains.

use std::collections::BTreeMap;

use super::Context;
use crate::observe::record::{EndpointRecord, Finding, Severity};

/// Times the mean from which the busiest pod is named.
const FACTOR: f64 = 1.5;
/// Standard deviations that chance is granted.
const SIGMAS: f64 = 6.0;

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
        if total == 0 || pods.len() < 2 || busiest < FACTOR * mean || busiest < chance {
            continue;
        }
        findings.push(Finding {
            code: "TT-IMBALANCE",
            severity: Severity::Warning,
            what: format!(
                "{} gets {:.1} times the mean of the {} pods of {workload}",
                most.pod,
                busiest / mean,
                pods.len()
            ),
            chain: vec![format!(
                "{} requests of {total}; chance explains up to {chance:.0}",
                most.requests
            )],
            cause: None,
            help: "a hash key that few values share, locality (priorities come before balancing), ejections, or few connections of HTTP/2 clients without a proxy".to_owned(),
            counterfactual: None,
        });
    }
}
