//! What a run means: findings with a stable code, their evidence, and the configuration behind them.
//!
//! Every finding reads a finished [`Record`] and the tables that were simulated; none can change
//! either. One file each. A finding says what was seen, with numbers and a span of time, what led
//! to what, and what to try; where one line of the manifests is responsible it is named.

mod breaker;
mod collapse;
mod course;
mod ejection;
mod headroom;
mod imbalance;
mod recovery;
mod retry_storm;

use crate::observe::record::{Finding, Record};
use crate::units::Origin;
use crate::xds::Snapshot;

pub use collapse::Hazard;
pub use recovery::recovered_after;

/// Every code that a finding may have.
pub const CODES: &[&str] = &[
    "TT-BREAKER-OPEN",
    "TT-COLLAPSE",
    "TT-EJECTION-COLLAPSE",
    "TT-IMBALANCE",
    "TT-METASTABLE",
    "TT-NO-HEADROOM",
    "TT-RETRY-STORM",
    "TT-SLOW-RECOVERY",
];

/// Everything that is to be said about a run, the gravest first; of equals in the order of codes.
pub fn judge(record: &Record, snapshot: &Snapshot) -> Vec<Finding> {
    let context = Context { record, snapshot };
    let mut findings = Vec::new();
    collapse::judge(&context, &mut findings);
    recovery::judge(&context, &mut findings);
    retry_storm::judge(&context, &mut findings);
    breaker::judge(&context, &mut findings);
    ejection::judge(&context, &mut findings);
    headroom::judge(&context, &mut findings);
    imbalance::judge(&context, &mut findings);
    findings.sort_by(|a, b| (b.severity, a.code).cmp(&(a.severity, b.code)));
    findings
}

/// What findings are made from.
struct Context<'a> {
    record: &'a Record,
    snapshot: &'a Snapshot,
}

impl Context<'_> {
    /// `file:line` of the policy of a workload's cluster; `None` where nobody wrote one.
    fn policy_of(&self, workload: &str, cluster: &str) -> Option<String> {
        let (namespace, name) = workload.split_once('/')?;
        let id = self.snapshot.workload_named(namespace, name)?;
        let tables = &self.snapshot.tables[self.snapshot.workloads[id].tables?];
        let cluster = &self.snapshot.clusters[self.snapshot.cluster_named(tables, cluster)?];
        self.place(cluster.policy_origin)
    }

    /// `file:line` of the retry policy that a workload's requests to a cluster come with.
    fn retries_of(&self, workload: &str, cluster: &str) -> Option<(u32, Option<String>)> {
        use crate::xds::route::Action;
        let (namespace, name) = workload.split_once('/')?;
        let id = self.snapshot.workload_named(namespace, name)?;
        let tables = &self.snapshot.tables[self.snapshot.workloads[id].tables?];
        let configs = tables
            .routes
            .iter()
            .map(|id| &self.snapshot.route_configs[*id]);
        let mut routes = configs
            .flat_map(|c| &c.virtual_hosts)
            .flat_map(|v| v.routes.iter());
        routes.find_map(|route| {
            let Action::Forward(forward) = &route.action else {
                return None;
            };
            let goes = forward.clusters.iter().any(|c| *c.name == *cluster);
            let retry = forward.retry.as_ref().filter(|_| goes)?;
            Some((retry.retries, self.place(retry.origin)))
        })
    }

    fn place(&self, origin: Origin) -> Option<String> {
        (!origin.is_built_in()).then(|| self.snapshot.origins.place(origin))
    }
}

/// A share in percent, with as many digits as it needs.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent >= 10.0 || percent == 0.0 {
        format!("{percent:.0} %")
    } else {
        format!("{percent:.1} %")
    }
}
