//! Changes of what one workload's calls to a service come with: limits, ejections, timeouts, copies.

use super::storms::{change_routes, set_retries};
use super::waiting::{round, set_timeout};
use super::{Candidate, Edge, Usual, hosts, towards};
use crate::observe::Record;
use crate::units::{Fraction, SimDuration};
use crate::xds::cluster::UNLIMITED;
use crate::xds::endpoint::LocalityKind;
use crate::xds::outlier_detection::OutlierDetection;
use crate::xds::route::Forward;
use crate::xds::{Cluster, Snapshot};

/// Limits are tried in times of what they are.
const LIMITS: [u32; 5] = [2, 4, 8, 16, 64];
/// Times over that the places of pods may be taken by requests in flight.
const TAKEN: [u64; 3] = [4, 2, 1];
/// `maxEjectionPercent` that is tried where too many are ejected, and where too few are.
const FEWER: [u32; 3] = [50, 30, 10];
const MORE: [u32; 4] = [20, 34, 50, 100];
/// Shares of what is copied that are tried.
const COPIES: [u64; 3] = [50, 10, 1];
/// Of the outer timeout, for what lies behind it.
const INNER: [f64; 2] = [0.8, 0.5];

/// Changes a cluster as the proxies of a workload have it, those of its own ports included.
pub(super) fn change_cluster(
    snapshot: &mut Snapshot,
    (workload, name): &Edge,
    change: impl Fn(&mut Cluster),
) {
    if name.starts_with("inbound|") {
        let id = snapshot.workload_of(workload);
        let own = id.map(|id| &mut snapshot.workloads[id].inbound);
        let clusters = own
            .into_iter()
            .flatten()
            .map(|inbound| &mut inbound.cluster);
        clusters.filter(|c| *c.name == **name).for_each(&change);
        return;
    }
    for id in snapshot.clusters.ids() {
        let cluster = &mut snapshot.clusters[id];
        if *cluster.name == **name {
            change(cluster);
        }
    }
}

/// No more than so many requests in flight in each proxy.
pub(super) fn limit_requests(snapshot: &mut Snapshot, edge: &Edge, limit: u32) {
    change_cluster(snapshot, edge, |cluster| {
        cluster.breakers.max_requests = cluster.breakers.max_requests.min(limit);
    });
}

/// The cluster of some calls, in the tables that were applied last.
pub(super) fn cluster_of<'s>(
    (workload, name): &Edge,
    snapshot: &'s Snapshot,
) -> Option<&'s Cluster> {
    let tables = snapshot.last();
    let id = tables.workload_of(workload);
    let mut own = id.into_iter().flat_map(|id| &tables.workloads[id].inbound);
    if let Some(inbound) = own.find(|inbound| *inbound.cluster.name == **name) {
        return Some(&inbound.cluster);
    }
    let mut ids = tables.clusters.ids();
    let id = ids.find(|id| *tables.clusters[*id].name == **name)?;
    Some(&tables.clusters[id])
}

/// The limits that refuse, so many times as high.
pub(super) fn higher_limits<'c>(
    record: &Record,
    edge: &Edge,
    usual: Usual<'_>,
) -> Vec<Candidate<'c>> {
    let Some(cluster) = cluster_of(edge, usual.snapshot) else {
        return Vec::new();
    };
    let counted =
        (record.clusters.iter()).find(|c| (&c.workload, &c.cluster) == (&edge.0, &edge.1));
    let refuses = |name: &str| counted.is_some_and(|c| c.stats.get(name).is_some_and(|n| *n > 0));
    let own = cluster.breakers.clone();
    let towards = towards(edge);
    let one = |times: u32| {
        let raised = |limit: u32| {
            if limit == UNLIMITED {
                limit
            } else {
                limit.saturating_mul(times)
            }
        };
        let mut limits = own.clone();
        let mut words = Vec::new();
        if refuses("upstream_rq_pending_overflow") {
            limits.max_pending_requests = raised(own.max_pending_requests);
            words.push(format!(
                "http1MaxPendingRequests: {}",
                limits.max_pending_requests
            ));
            if own.max_connections != UNLIMITED {
                limits.max_connections = raised(own.max_connections);
                words.push(format!("maxConnections: {}", limits.max_connections));
            }
        }
        if refuses("upstream_rq_active_overflow") {
            limits.max_requests = raised(own.max_requests);
            words.push(format!("http2MaxRequests: {}", limits.max_requests));
        }
        if refuses("upstream_rq_retry_overflow") && own.retry_budget.is_none() {
            limits.max_retries = raised(own.max_retries);
            words.push(format!("maxRetries: {}", limits.max_retries));
        }
        let edge = edge.clone();
        (limits != own).then(|| {
            let what = format!("`{}` {towards}", words.join(", "));
            Candidate::of_tables(what, move |tables| {
                change_cluster(tables, &edge, |cluster| cluster.breakers = limits.clone());
            })
        })
    };
    LIMITS.into_iter().filter_map(one).collect()
}

/// Some times as many requests in flight as the pods behind take at once, shared by the proxies.
pub(super) fn lower_limits<'c>(
    record: &Record,
    edge: &Edge,
    usual: Usual<'_>,
) -> Vec<Candidate<'c>> {
    let tables = usual.snapshot.last();
    let id = tables.workload_of(&edge.0);
    let proxies = id.map(|id| tables.workloads[id].pods.len().max(1));
    let mut behind = record.edges.iter();
    let behind = behind.find(|e| e.cluster == edge.1 && e.to != "-");
    let places = behind.and_then(|e| record.places_of(&e.to));
    let (Some(proxies), Some(places)) = (proxies, places) else {
        return Vec::new();
    };
    let one = |times: u64| {
        let limit = ((times * places).div_ceil(proxies as u64) as u32).max(1);
        let what = format!("`http2MaxRequests: {limit}` {}", towards(edge));
        let edge = edge.clone();
        Candidate::of_tables(what, move |tables| limit_requests(tables, &edge, limit))
    };
    TAKEN.map(one).into()
}

/// Fewer hosts may be out at once.
pub(super) fn fewer_ejections<'c>(edge: &Edge, usual: Usual<'_>) -> Vec<Candidate<'c>> {
    let most = ejected_at_most(edge, usual).unwrap_or(0);
    ejection_percents(edge, FEWER.into_iter().filter(|percent| *percent < most))
}

/// More hosts may be out at once.
pub(super) fn more_ejections<'c>(edge: &Edge, usual: Usual<'_>) -> Vec<Candidate<'c>> {
    let most = ejected_at_most(edge, usual).unwrap_or(100);
    ejection_percents(edge, MORE.into_iter().filter(|percent| *percent > most))
}

fn ejected_at_most(edge: &Edge, usual: Usual<'_>) -> Option<u32> {
    let outlier = cluster_of(edge, usual.snapshot)?.outlier.as_ref()?;
    Some(outlier.max_ejection_percent)
}

fn ejection_percents<'c>(edge: &Edge, percents: impl Iterator<Item = u32>) -> Vec<Candidate<'c>> {
    let towards = towards(edge);
    percents
        .map(|percent| {
            let what = format!("`maxEjectionPercent: {percent}` {towards}");
            let edge = edge.clone();
            Candidate::of_tables(what, move |tables| {
                change_cluster(tables, &edge, |cluster| {
                    if let Some(outlier) = &mut cluster.outlier {
                        outlier.max_ejection_percent = percent;
                    }
                });
            })
        })
        .collect()
}

/// Outlier detection where there is none: priorities by place come with it.
pub(super) fn outlier_detection<'c>(edge: &Edge, usual: Usual<'_>) -> Vec<Candidate<'c>> {
    let Some(cluster) = cluster_of(edge, usual.snapshot) else {
        return Vec::new();
    };
    if cluster.outlier.is_some() || cluster.locality.kind != LocalityKind::Off {
        return Vec::new();
    }
    let what = format!(
        "`outlierDetection: {{maxEjectionPercent: 100}}` (five 5xx in a row, looked at every 10 s) towards {}",
        hosts(&[&edge.1])
    );
    let edge = edge.clone();
    vec![Candidate::of_tables(what, move |tables| {
        change_cluster(tables, &edge, eject_and_fail_over);
    })]
}

/// Priorities by place, as istiod makes them with outlier detection and without `distribute`.
pub(super) fn eject_and_fail_over(cluster: &mut Cluster) {
    if cluster.outlier.is_none() {
        cluster.outlier = Some(OutlierDetection {
            max_ejection_percent: 100,
            ..OutlierDetection::default()
        });
        cluster.panic_threshold = Fraction::ZERO;
    }
    cluster.locality.kind = LocalityKind::Failover {
        regions: Vec::new(),
        labels: Vec::new(),
    };
}

/// Fewer copies.
pub(super) fn fewer_copies<'c>(cluster: &str, usual: Usual<'_>) -> Vec<Candidate<'c>> {
    let share = copied(usual.snapshot.last(), cluster);
    let fewer = COPIES
        .into_iter()
        .filter(|percent| percent * 10_000 < u64::from(share.ppm()));
    fewer
        .map(|percent| {
            let what = format!(
                "`mirrorPercentage: {{value: {percent}}}` towards {}",
                hosts(&[cluster])
            );
            let (cluster, share) = (
                cluster.to_owned(),
                Fraction::from_ppm(percent as u32 * 10_000),
            );
            Candidate::of_tables(what, move |tables| {
                change_routes(
                    tables,
                    |_| true,
                    |forward| {
                        let own = forward.mirrors.iter_mut();
                        for mirror in own.filter(|mirror| *mirror.cluster == *cluster) {
                            mirror.fraction = mirror.fraction.min(share);
                        }
                    },
                );
            })
        })
        .collect()
}

/// The greatest share that any route copies to a cluster.
fn copied(tables: &Snapshot, cluster: &str) -> Fraction {
    let mirrors = tables.forwards().flat_map(|forward| &forward.mirrors);
    let own = mirrors.filter(|mirror| *mirror.cluster == *cluster);
    own.map(|mirror| mirror.fraction)
        .fold(Fraction::ZERO, Fraction::max)
}

/// Retries at one of some layers only. The layer next to what fails sees failures soonest: the
/// others go first.
pub(super) fn one_layer<'c>(layers: &[Edge]) -> Vec<Candidate<'c>> {
    let one = |(from, cluster): &Edge| {
        let what = format!("`attempts: 0` of {from} towards {}", hosts(&[cluster]));
        let clusters = vec![cluster.clone()];
        Candidate::of_tables(what, move |tables| set_retries(tables, &clusters, 0))
    };
    layers.iter().map(one).collect()
}

/// No retries of what hides a fault; nor beside it, where they never see one.
pub(super) fn fewer_layers<'c>(edges: &[Edge]) -> Vec<Candidate<'c>> {
    let [_, _, ..] = edges else {
        return Vec::new();
    };
    let one = |count: usize| {
        let clusters: Vec<String> = edges[..count].iter().map(|e| e.1.clone()).collect();
        let names: Vec<&str> = clusters.iter().map(String::as_str).collect();
        let what = format!("`attempts: 0` towards {}", hosts(&names));
        Candidate::of_tables(what, move |tables| set_retries(tables, &clusters, 0))
    };
    (1..=edges.len()).map(one).collect()
}

/// What lies behind waits for less long than whoever calls.
pub(super) fn shorter_timeouts<'c>(
    record: &Record,
    (caller, outer): &Edge,
    (from, inner): &Edge,
    usual: Usual<'_>,
) -> Vec<Candidate<'c>> {
    let route = patience(usual.snapshot.last(), outer);
    let own = record.most_patient(caller).and_then(|load| load.timeout);
    let Some(patience) = route.into_iter().chain(own).min() else {
        return Vec::new();
    };
    INNER
        .map(|part| {
            let timeout = round(patience.as_secs_f64() * part);
            let what = format!("`timeout: {timeout}` of {from} towards {}", hosts(&[inner]));
            let inner = inner.clone();
            Candidate::of_tables(what, move |tables| set_timeout(tables, &inner, timeout))
        })
        .into()
}

/// The longest timeout of routes to a cluster; `None`: there is one without, or no route.
fn patience(tables: &Snapshot, cluster: &str) -> Option<SimDuration> {
    let leads = |forward: &&Forward| forward.clusters.iter().any(|c| *c.name == *cluster);
    let waits: Option<Vec<SimDuration>> = (tables.forwards().filter(leads))
        .map(Forward::patience)
        .collect();
    waits?.into_iter().max()
}
