//! `TT-BREAKER-EXCEEDED`: a proxy has more connections than `maxConnections` says.
//!
//! The limit is a count over the cluster, yet a pool that has no connection may always open one,
//! and there is a pool for every pod and worker thread (`envoy-runtime.md` §6, `measured.md` 6;
//! `source/common/conn_pool/conn_pool_base.cc`, tryCreateNewConnection).

use super::Context;
use crate::observe::record::{ClusterRecord, Finding, Severity};
use crate::xds::cluster::UNLIMITED;

pub(super) fn judge(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let clusters = context.record.clusters.iter();
    findings.extend(clusters.filter_map(|cluster| exceeded(context, cluster)));
}

fn exceeded(context: &Context<'_>, counted: &ClusterRecord) -> Option<Finding> {
    let client = &counted.workload;
    if counted.cluster.starts_with("inbound|") {
        return None;
    }
    let cluster = context.cluster(client, &counted.cluster)?;
    let limit = cluster.breakers.max_connections;
    let place = context.place(cluster.breakers.origin)?;
    let most = counted.most_connections;
    if limit == UNLIMITED || most <= limit {
        return None;
    }
    let pods = cluster.endpoints.len();
    let workers = context.record.workers_of(client);
    let proxies = context.pods_of(client);
    let mut chain = vec![format!(
        "a pool without a connection may always open one, and {} in each proxy, whatever the limit",
        if workers > 1 {
            format!(
                "every worker thread has a pool for every pod: {workers} × {pods} = {}",
                workers * pods
            )
        } else {
            format!("there is a pool for every pod: {pods}")
        }
    )];
    if proxies > 1 {
        chain.push(format!(
            "{client} has {proxies} proxies, and none knows of the others: up to {} connections in all",
            proxies * workers * pods
        ));
    }
    Some(Finding {
        code: "TT-BREAKER-EXCEEDED",
        severity: Severity::Warning,
        what: format!(
            "a proxy of {client} had {most} connections towards {} under `maxConnections: {limit}`",
            counted.cluster
        ),
        chain,
        cause: Some(format!("`maxConnections` in {place}")),
        help: format!(
            "limits on requests (`http2MaxRequests`, `http1MaxPendingRequests`), or one on connections at the server itself, where that is to be protected: this one never goes below a connection per pod{}",
            if workers > 1 {
                ", and `concurrency: 1` of the clients brings it down to that"
            } else {
                ""
            }
        ),
        edges: vec![(client.clone(), counted.cluster.clone())],
        counterfactual: None,
    })
}
