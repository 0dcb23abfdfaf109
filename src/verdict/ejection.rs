//! `TT-EJECTION-COLLAPSE`: outlier detection takes so many hosts that nobody is left, or that all
//! are used again.

use super::Context;
use crate::observe::record::{Finding, Severity};

pub(super) fn judge(context: &Context<'_>, findings: &mut Vec<Finding>) {
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
            chain: vec![
                format!("{ejections} ejections"),
                format!("{nobody} requests without a host, {panics} picks in panic"),
            ],
            cause: context
                .policy_of(&cluster.workload, &cluster.cluster)
                .map(|place| format!("`outlierDetection` in {place}")),
            help: "a lower `maxEjectionPercent`, or `minHealthPercent` above zero; errors that all hosts share are no reason to eject any".to_owned(),
            counterfactual: None,
        });
    }
}
