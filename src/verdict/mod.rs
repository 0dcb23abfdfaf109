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
mod nc_window;
mod recovery;
mod retry_layers;
mod retry_storm;
mod rollout;
mod timeouts;

use crate::observe::record::{Finding, Record};
use crate::units::{Origin, SimDuration};
use crate::xds::route::Forward;
use crate::xds::{Action, ProxyTables, Snapshot};

pub use collapse::Hazard;
pub use recovery::recovered_after;

/// Every code that a finding may have.
pub const CODES: &[&str] = &[
    "TT-BREAKER-OPEN",
    "TT-COLLAPSE",
    "TT-EJECTION-COLLAPSE",
    "TT-FAILOVER-OVERLOAD",
    "TT-IMBALANCE",
    "TT-METASTABLE",
    "TT-NC-WINDOW",
    "TT-NO-HEADROOM",
    "TT-RETRY-LAYERS",
    "TT-RETRY-STORM",
    "TT-ROLLOUT-LOSS",
    "TT-SLOW-RECOVERY",
    "TT-TIMEOUTS-INVERTED",
];

/// Everything that is to be said about a run, the gravest first; of equals in the order of codes.
pub fn judge(record: &Record, snapshot: &Snapshot) -> Vec<Finding> {
    // What was applied last is what somebody can still change.
    let context = Context {
        record,
        snapshot: snapshot.last(),
        versions: snapshot,
    };
    let mut findings = Vec::new();
    collapse::judge(&context, &mut findings);
    recovery::judge(&context, &mut findings);
    retry_storm::judge(&context, &mut findings);
    breaker::judge(&context, &mut findings);
    ejection::judge(&context, &mut findings);
    headroom::judge(&context, &mut findings);
    imbalance::judge(&context, &mut findings);
    timeouts::judge(&context, &mut findings);
    retry_layers::judge(&context, &mut findings);
    rollout::judge(&context, &mut findings);
    nc_window::judge(&context, &mut findings);
    findings.sort_by(|a, b| (b.severity, a.code).cmp(&(a.severity, b.code)));
    findings
}

/// What findings are made from.
struct Context<'a> {
    record: &'a Record,
    snapshot: &'a Snapshot,
    /// The tables of the start, with all that come later.
    versions: &'a Snapshot,
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
        let mut forwards = self.forwards(workload, cluster);
        let retry = forwards.find_map(|forward| forward.retry.as_ref())?;
        Some((retry.retries, self.place(retry.origin)))
    }

    /// How long a workload's requests to a cluster are waited for (`None`: without end), and
    /// `file:line` of that; `None` when no route goes there.
    fn timeout_of(
        &self,
        workload: &str,
        cluster: &str,
    ) -> Option<(Option<SimDuration>, Option<String>)> {
        let forward = self.forwards(workload, cluster).next()?;
        let timeout = forward.timeout.filter(|t| !t.is_zero());
        Some((timeout, self.place(forward.timeout_origin)))
    }

    /// True when a retry budget bounds a workload's retries towards a cluster.
    fn has_budget(&self, workload: &str, cluster: &str) -> bool {
        let cluster = self.tables(workload).and_then(|tables| {
            let id = self.snapshot.cluster_named(tables, cluster)?;
            Some(&self.snapshot.clusters[id])
        });
        cluster.is_some_and(|cluster| cluster.breakers.retry_budget.is_some())
    }

    fn tables(&self, workload: &str) -> Option<&ProxyTables> {
        let (namespace, name) = workload.split_once('/')?;
        let id = self.snapshot.workload_named(namespace, name)?;
        Some(&self.snapshot.tables[self.snapshot.workloads[id].tables?])
    }

    /// What routes of a workload that lead to a cluster do.
    fn forwards(&self, workload: &str, cluster: &str) -> impl Iterator<Item = &Forward> {
        let tables = self.tables(workload).into_iter();
        let configs = tables.flat_map(|tables| tables.routes.iter());
        let configs = configs.map(|id| &self.snapshot.route_configs[*id]);
        let routes = configs
            .flat_map(|c| &c.virtual_hosts)
            .flat_map(|v| v.routes.iter());
        routes.filter_map(move |route| match &route.action {
            Action::Forward(forward) => {
                let mut clusters = forward.clusters.iter();
                clusters.any(|c| *c.name == *cluster).then_some(&**forward)
            }
            _ => None,
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
