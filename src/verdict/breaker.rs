//! `TT-BREAKER-OPEN`: a circuit breaker refuses a share of the requests that matters.

use super::{Context, percent};
use crate::observe::record::{Finding, Severity};

/// Share of refused requests from which it is named.
const SHARE: f64 = 0.01;

pub(super) fn judge(context: &Context<'_>, findings: &mut Vec<Finding>) {
    const LIMITS: [(&str, &str); 3] = [
        (
            "upstream_rq_pending_overflow",
            "`http1MaxPendingRequests` (requests waiting for a connection, with `maxConnections`)",
        ),
        ("upstream_rq_active_overflow", "`http2MaxRequests`"),
        ("upstream_rq_retry_overflow", "`maxRetries`"),
    ];
    for cluster in &context.record.clusters {
        let stat = |name: &str| cluster.stats.get(name).copied().unwrap_or(0);
        let sent = stat("upstream_rq_total");
        for (name, limit) in LIMITS {
            let refused = stat(name);
            let share = refused as f64 / (sent + refused).max(1) as f64;
            if share < SHARE {
                continue;
            }
            let workload = &cluster.workload;
            let retries = name == "upstream_rq_retry_overflow";
            let place = context.policy_of(workload, &cluster.cluster);
            findings.push(Finding {
                code: "TT-BREAKER-OPEN",
                severity: Severity::Warning,
                what: format!(
                    "a limit of {workload} towards {} refuses {} of {}",
                    cluster.cluster,
                    percent(share),
                    if retries { "what would be retried" } else { "its tries" }
                ),
                chain: vec![format!("{name}: {refused} of {}", sent + refused)],
                cause: Some(match place {
                    Some(place) => format!("{limit} in {place}"),
                    None => format!("{limit}, which nobody wrote: Istio's or Envoy's default"),
                }),
                help: "is the limit meant to protect the servers? then callers need an answer to 503 UO; else raise it: limits count for each client proxy by itself".to_owned(),
                counterfactual: None,
            });
        }
    }
}
