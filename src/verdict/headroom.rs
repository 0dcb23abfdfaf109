//! `TT-NO-HEADROOM`: a workload is busy nearly all the time.

use super::{Context, causes, percent};
use crate::observe::record::{Finding, Severity};

/// Busy share from which queues grow out of proportion.
const BUSY: f64 = 0.8;
/// From here on every disturbance is a queue.
const FULL: f64 = 0.95;

pub(super) fn judge(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for workload in &context.record.workloads {
        let Some(busy) = workload.utilisation.filter(|u| *u >= BUSY) else {
            continue;
        };
        let p99 = workload.queue_time.quantile(0.99).as_millis_f64();
        findings.push(Finding {
            code: "TT-NO-HEADROOM",
            severity: if busy >= FULL {
                Severity::Error
            } else {
                Severity::Warning
            },
            what: format!(
                "{} is busy {} of the time: a slower dependency, a lost pod or more load has no room",
                workload.name,
                percent(busy)
            ),
            chain: vec![format!(
                "{} pods, {:.1} requests wait on average, the 99th percentile waits {p99:.1} ms",
                workload.pods, workload.queue_mean
            )],
            cause: causes::declared(context, &workload.name),
            help: "more `replicas`, or more `concurrency` where the machine allows it".to_owned(),
            edges: vec![(workload.name.clone(), String::new())],
            counterfactual: None,
        });
    }
}
