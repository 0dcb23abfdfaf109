//! Changes of how requests are spread over pods, from what decides last to what decides first.

use super::calls::{change_cluster, cluster_of, eject_and_fail_over};
use super::{Candidate, Edge, Usual, towards};
use crate::config::scenario::{Load, LoadSource, LoadStyle};
use crate::xds::LbPolicy;
use crate::xds::endpoint::LocalityKind;

/// Requests of a connection that are tried before it is made anew.
const RENEWED: [u32; 3] = [1000, 100, 10];
/// Times as many connections that are tried.
const MORE: [u32; 2] = [4, 16];

/// One worker thread, where each of several balances for itself; another policy; places alike.
pub(super) fn candidates<'c>(edge: Option<&Edge>, usual: Usual<'_>) -> Vec<Candidate<'c>> {
    let mut all: Vec<Candidate<'c>> = one_thread(usual).into_iter().collect();
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

/// The near first and the others when those are ejected, instead of `distribute`.
pub(super) fn no_distribute<'c>(edge: &Edge, usual: Usual<'_>) -> Option<Candidate<'c>> {
    let cluster = cluster_of(edge, usual.snapshot)?;
    if !matches!(cluster.locality.kind, LocalityKind::Distribute(_)) {
        return None;
    }
    let with = if cluster.outlier.is_some() {
        ""
    } else {
        " and with `outlierDetection: {maxEjectionPercent: 100}`"
    };
    let what = format!(
        "`localityLbSetting` without `distribute`{with} {}",
        towards(edge)
    );
    let edge = edge.clone();
    Some(Candidate::of_tables(what, move |tables| {
        change_cluster(tables, &edge, eject_and_fail_over);
    }))
}

/// One worker thread in every proxy, where some have several.
pub(super) fn one_thread<'c>(usual: Usual<'_>) -> Option<Candidate<'c>> {
    let what = "`concurrency: 1` of every proxy (each worker thread balances for itself, with connections of its own)";
    (workers(usual) > 1).then(|| {
        Candidate::new(what.to_owned(), |trial| {
            trial.model.proxy_concurrency = Some(1);
        })
    })
}

/// Connections that are made anew after so many requests, and then fall to any thread.
pub(super) fn newer_connections<'c>(edge: &Edge, usual: Usual<'_>) -> Vec<Candidate<'c>> {
    let Some(cluster) = cluster_of(edge, usual.snapshot) else {
        return Vec::new();
    };
    let written = match cluster.pool.max_requests_per_connection {
        0 => u32::MAX,
        written => written,
    };
    let fewer = RENEWED.into_iter().filter(|count| *count < written);
    let one = |count: u32| {
        let what = format!("`maxRequestsPerConnection: {count}` {}", towards(edge));
        let edge = edge.clone();
        Candidate::of_tables(what, move |tables| {
            change_cluster(tables, &edge, |cluster| {
                cluster.pool.max_requests_per_connection = count;
            });
        })
    };
    fewer.map(one).collect()
}

/// The same load over more connections, where its rate does not depend on their number.
pub(super) fn more_connections<'c>(client: &str, usual: Usual<'_>) -> Vec<Candidate<'c>> {
    let own = |load: &&Load| match &load.from {
        LoadSource::Workload { name, .. } => **name == *client,
        LoadSource::Outside { via, .. } => via.as_ref().is_none_or(|via| **via == *client),
    };
    let Some((load, connections)) = usual.scenario.load.iter().filter(own).find_map(paced_by)
    else {
        return Vec::new();
    };
    let one = |times: u32| {
        let count = connections.saturating_mul(times);
        let (what, name) = (
            format!("`connections: {count}` of load {}", load.name),
            load.name.clone(),
        );
        Candidate::new(what, move |trial| {
            let mut loads = trial.scenario.load.iter_mut();
            let load = loads.find(|load| load.name == name).map(|l| &mut l.style);
            if let Some(LoadStyle::Closed { connections, .. }) = load {
                *connections = count;
            }
        })
    };
    MORE.map(one).into_iter().collect()
}

/// A closed loop whose rate is set, and its connections.
fn paced_by(load: &Load) -> Option<(&Load, u32)> {
    match load.style {
        LoadStyle::Closed {
            connections,
            qps: Some(_),
            ..
        } => Some((load, connections)),
        _ => None,
    }
}

/// Most worker threads of any proxy, as far as somebody says.
fn workers(usual: Usual<'_>) -> u32 {
    let written = usual.snapshot.workloads.iter();
    let written = written.filter_map(|workload| workload.concurrency).max();
    usual.model.proxy_concurrency.or(written).unwrap_or(1)
}
