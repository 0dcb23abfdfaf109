//! What a run means: findings with a stable code, their evidence, and the configuration behind them.
//!
//! Every finding reads a finished [`Record`] and the tables that were simulated; none can change
//! either. One file each. A finding says what was seen, with numbers and a span of time, what led
//! to what, and what to try; where one line of the manifests is responsible it is named.

mod breaker;
mod cascade;
mod causes;
mod cold;
mod collapse;
mod connections;
mod course;
mod ejection;
mod failover;
mod fault;
mod headroom;
mod imbalance;
mod in_flight;
mod meanings;
mod mirror;
mod nc_window;
mod recovery;
mod retry_layers;
mod retry_storm;
mod rollout;
mod timeouts;
mod workers;

use crate::observe::record::{Finding, Record, proxy_of};
use crate::units::{Origin, SimDuration};
use crate::xds::route::{Forward, RetryPolicy};
use crate::xds::snapshot::Workload;
use crate::xds::{Action, Cluster, ProxyTables, Route, Snapshot};

pub use cascade::{Cascade, cascade};
pub use causes::AMPLIFIED;
pub use cold::worst_after_start;
pub use collapse::Hazard;
pub use meanings::{MEANINGS, meaning};
pub use recovery::recovered_after;

/// Every code that a finding may have.
pub const CODES: &[&str] = &[
    "TT-BREAKER-EXCEEDED",
    "TT-BREAKER-NEVER",
    "TT-BREAKER-OPEN",
    "TT-CASCADE",
    "TT-COLD-PODS",
    "TT-COLLAPSE",
    "TT-EJECTION-COLLAPSE",
    "TT-EJECTION-REFUSED",
    "TT-FAILOVER-NEVER",
    "TT-FAILOVER-OVERLOAD",
    "TT-FAULT-RETRIED",
    "TT-IMBALANCE",
    "TT-METASTABLE",
    "TT-MIRROR-LOAD",
    "TT-NC-WINDOW",
    "TT-NO-HEADROOM",
    "TT-RETRY-LAYERS",
    "TT-RETRY-STORM",
    "TT-ROLLOUT-LOSS",
    "TT-SLOW-RECOVERY",
    "TT-TIMEOUTS-INVERTED",
    "TT-TOO-MUCH-IN-FLIGHT",
    "TT-WORKER-SKEW",
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
    in_flight::judge(&context, &mut findings);
    collapse::judge(&context, &mut findings);
    recovery::judge(&context, &mut findings);
    retry_storm::judge(&context, &mut findings);
    cascade::judge(&context, &mut findings);
    breaker::judge(&context, &mut findings);
    connections::judge(&context, &mut findings);
    ejection::judge(&context, &mut findings);
    headroom::judge(&context, &mut findings);
    imbalance::judge(&context, &mut findings);
    workers::judge(&context, &mut findings);
    timeouts::judge(&context, &mut findings);
    retry_layers::judge(&context, &mut findings);
    rollout::judge(&context, &mut findings);
    cold::judge(&context, &mut findings);
    nc_window::judge(&context, &mut findings);
    failover::judge(&context, &mut findings);
    mirror::judge(&context, &mut findings);
    fault::judge(&context, &mut findings);
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
    /// Counted time of one replication.
    fn counted_seconds(&self) -> f64 {
        self.record.duration.as_secs_f64() - self.record.warm_up.as_secs_f64()
    }

    /// `file:line` of the policy of a workload's cluster; `None` where nobody wrote one.
    fn policy_of(&self, workload: &str, cluster: &str) -> Option<String> {
        self.place(self.cluster(workload, cluster)?.policy_origin)
    }

    /// A cluster as the proxies of a workload have it, those of its own ports included.
    fn cluster(&self, workload: &str, cluster: &str) -> Option<&Cluster> {
        let mut own = self.workload(workload)?.inbound.iter().map(|i| &i.cluster);
        own.find(|own| *own.name == *cluster).or_else(|| {
            let id = (self.snapshot).cluster_named(self.tables(workload)?, cluster)?;
            Some(&self.snapshot.clusters[id])
        })
    }

    /// A workload by its name, or by what an edge calls it: `outside via ns/gateway`, `ns/web (mirror)`.
    fn workload(&self, name: &str) -> Option<&Workload> {
        let id = self.snapshot.workload_of(proxy_of(name))?;
        Some(&self.snapshot.workloads[id])
    }

    /// How many pods a workload has at the start.
    fn pods_of(&self, workload: &str) -> usize {
        let pods = self.workload(workload).map_or(&[][..], |w| &w.pods);
        let exist = pods.iter().filter(|pod| !self.snapshot.pods[**pod].spare);
        exist.count()
    }

    /// `file:line` of the retry policy that a workload's requests to a cluster come with.
    fn retries_of(&self, workload: &str, cluster: &str) -> Option<(u32, Option<String>)> {
        let retry = self.retry_policy(workload, cluster)?;
        Some((retry.retries, self.place(retry.origin)))
    }

    /// The retry policy that a workload's requests to a cluster come with.
    fn retry_policy(&self, workload: &str, cluster: &str) -> Option<&RetryPolicy> {
        let mut forwards = self.forwards(workload, cluster);
        forwards.find_map(|forward| forward.retry.as_ref())
    }

    /// How long a workload's requests to a cluster are waited for (`None`: without end), and
    /// `file:line` of that; `None` when no route goes there.
    fn timeout_of(
        &self,
        workload: &str,
        cluster: &str,
    ) -> Option<(Option<SimDuration>, Option<String>)> {
        let forward = self.forwards(workload, cluster).next()?;
        Some((forward.patience(), self.place(forward.timeout_origin)))
    }

    /// True when a retry budget bounds a workload's retries towards a cluster.
    fn has_budget(&self, workload: &str, cluster: &str) -> bool {
        let cluster = self.cluster(workload, cluster);
        cluster.is_some_and(|cluster| cluster.breakers.retry_budget.is_some())
    }

    fn tables(&self, workload: &str) -> Option<&ProxyTables> {
        Some(&self.snapshot.tables[self.workload(workload)?.tables?])
    }

    /// What routes of a workload that lead to a cluster do.
    fn forwards(&self, workload: &str, cluster: &str) -> impl Iterator<Item = &Forward> {
        self.routes(workload)
            .filter_map(move |route| match &route.action {
                Action::Forward(forward) => {
                    let mut clusters = forward.clusters.iter();
                    clusters.any(|c| *c.name == *cluster).then_some(&**forward)
                }
                _ => None,
            })
    }

    /// `file:line` of the mirror of a workload's routes that copies to a cluster.
    fn mirror_of(&self, workload: &str, cluster: &str) -> Option<String> {
        let mut mirrors = self
            .routes(workload)
            .filter_map(|route| match &route.action {
                Action::Forward(forward) => forward.mirrors.iter().find(|m| *m.cluster == *cluster),
                _ => None,
            });
        mirrors.next().and_then(|mirror| self.place(mirror.origin))
    }

    /// `file:line` of a fault among the routes of a workload to a host and port.
    fn fault_of(&self, workload: &str, service: &str) -> Option<String> {
        let (host, port) = service.rsplit_once(':')?;
        let ends = format!("|{host}");
        let begins = format!("outbound|{port}|");
        let leads = |name: &str| name.starts_with(&begins) && name.ends_with(&ends);
        let mut faults = self
            .routes(workload)
            .filter_map(|route| match &route.action {
                Action::Forward(forward) if forward.clusters.iter().any(|c| leads(&c.name)) => {
                    route.fault.as_ref()
                }
                _ => None,
            });
        faults.next().and_then(|fault| self.place(fault.origin))
    }

    fn routes(&self, workload: &str) -> impl Iterator<Item = &Route> {
        let tables = self.tables(workload).into_iter();
        let configs = tables.flat_map(|tables| tables.routes.iter());
        let configs = configs.map(|id| &self.snapshot.route_configs[*id]);
        configs
            .flat_map(|c| &c.virtual_hosts)
            .flat_map(|v| v.routes.iter())
    }

    fn place(&self, origin: Origin) -> Option<String> {
        self.snapshot.origins.written(origin)
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
