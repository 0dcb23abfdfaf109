//! Changes of how requests are spread over pods, from what decides last to what decides first.

use super::calls::{change_cluster, cluster_of};
use super::{Candidate, Edge, Usual, towards};
use crate::xds::LbPolicy;
use crate::xds::endpoint::LocalityKind;

/// One worker thread, where each of several balances for itself; another policy; places alike.
pub(super) fn candidates<'c>(edge: Option<&Edge>, usual: Usual<'_>) -> Vec<Candidate<'c>> {
    let mut all = Vec::new();
    if workers(usual) > 1 {
        let what = "`concurrency: 1` of every proxy (each worker thread balances for itself)";
        all.push(Candidate::new(what.to_owned(), |trial| {
            trial.model.proxy_concurrency = Some(1);
        }));
    }
    let cluster = edge.and_then(|edge| cluster_of(edge, usual.snapshot));
    let (Some(edge), Some(cluster)) = (edge.cloned(), cluster) else {
        return all;
    };
    // As Istio has it where nobody says more.
    let least = LbPolicy::LeastRequest {
        choice_count: 2,
        full_scan: false,
        bias: 1000,
    };
    if std::mem::discriminant(&cluster.lb) != std::mem::discriminant(&least) {
        let (what, edge) = (
            format!("`simple: LEAST_REQUEST` {}", towards(&edge)),
            edge.clone(),
        );
        all.push(Candidate::of_tables(what, move |tables| {
            change_cluster(tables, &edge, |cluster| cluster.lb = least);
        }));
    }
    if cluster.locality.kind != LocalityKind::Off {
        let what = format!("`localityLbSetting: {{enabled: false}}` {}", towards(&edge));
        all.push(Candidate::of_tables(what, move |tables| {
            change_cluster(tables, &edge, |cluster| {
                cluster.locality.kind = LocalityKind::Off;
            });
        }));
    }
    all
}

/// Most worker threads of any proxy, as far as somebody says.
fn workers(usual: Usual<'_>) -> u32 {
    let written = usual.snapshot.workloads.iter();
    let written = written.filter_map(|workload| workload.concurrency).max();
    usual.model.proxy_concurrency.or(written).unwrap_or(1)
}
