//! Changes of what one workload's calls to a service come with: limits, ejections, timeouts, copies.

use super::storms::{change_routes, set_retries};
use super::waiting::{round, set_timeout};
use super::{Candidate, Trial, hosts, towards};
use crate::observe::Record;
use crate::observe::record::Finding;
use crate::units::Fraction;
use crate::xds::cluster::UNLIMITED;
use crate::xds::endpoint::LocalityKind;
use crate::xds::outlier_detection::OutlierDetection;
use crate::xds::route::Action;
use crate::xds::{Cluster, Snapshot};

/// Limits are tried in times of what they are.
const LIMITS: [u32; 5] = [2, 4, 8, 16, 64];
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
    (workload, name): &(String, String),
    change: impl Fn(&mut Cluster),
) {
    if name.starts_with("inbound|") {
        let parts = workload.split_once('/');
        let id = parts.and_then(|(namespace, name)| snapshot.workload_named(namespace, name));
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

/// The cluster that a finding is about, in the tables that were applied last.
pub(super) fn cluster_of<'s>(finding: &Finding, snapshot: &'s Snapshot) -> Option<&'s Cluster> {
    let (workload, name) = finding.edges.last()?;
    let tables = snapshot.last();
    let parts = workload.split_once('/');
    let id = parts.and_then(|(namespace, name)| tables.workload_named(namespace, name));
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
    finding: &Finding,
    usual: &Trial,
) -> Vec<Candidate<'c>> {
    let Some(edge) = finding.edges.first().cloned() else {
        return Vec::new();
    };
    let Some(cluster) = cluster_of(finding, &usual.snapshot) else {
        return Vec::new();
    };
    let counted =
        (record.clusters.iter()).find(|c| (&c.workload, &c.cluster) == (&edge.0, &edge.1));
    let refuses = |name: &str| counted.is_some_and(|c| c.stats.get(name).is_some_and(|n| *n > 0));
    let own = cluster.breakers.clone();
    let towards = towards(&edge);
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

/// As many requests in flight as the pods behind take at once, twice and once, shared by the proxies.
pub(super) fn lower_limits<'c>(
    record: &Record,
    finding: &Finding,
    usual: &Trial,
) -> Vec<Candidate<'c>> {
    let Some(edge) = finding.edges.first().cloned() else {
        return Vec::new();
    };
    let tables = usual.snapshot.last();
    let proxies = edge.0.split_once('/').and_then(|(namespace, name)| {
        let id = tables.workload_named(namespace, name)?;
        Some(tables.workloads[id].pods.len().max(1))
    });
    let mut behind = record.edges.iter();
    let behind = behind.find(|e| e.cluster == edge.1 && e.to != "-");
    let places = behind.and_then(|e| {
        let course = record.courses.iter().find(|course| course.name == e.to)?;
        course.windows.first()?.places
    });
    let (Some(proxies), Some(places)) = (proxies, places) else {
        return Vec::new();
    };
    let one = |times: u64| {
        let limit = ((times * places).div_ceil(proxies as u64) as u32).max(1);
        let what = format!("`http2MaxRequests: {limit}` {}", towards(&edge));
        let edge = edge.clone();
        Candidate::of_tables(what, move |tables| {
            change_cluster(tables, &edge, |cluster| {
                cluster.breakers.max_requests = cluster.breakers.max_requests.min(limit);
            });
        })
    };
    [4, 2, 1].map(one).into()
}

/// Fewer hosts may be out at once.
pub(super) fn fewer_ejections<'c>(finding: &Finding, usual: &Trial) -> Vec<Candidate<'c>> {
    let most = cluster_of(finding, &usual.snapshot)
        .and_then(|cluster| cluster.outlier.as_ref())
        .map_or(0, |outlier| outlier.max_ejection_percent);
    ejection_percents(finding, FEWER.into_iter().filter(|percent| *percent < most))
}

/// More hosts may be out at once.
pub(super) fn more_ejections<'c>(finding: &Finding, usual: &Trial) -> Vec<Candidate<'c>> {
    let most = cluster_of(finding, &usual.snapshot)
        .and_then(|cluster| cluster.outlier.as_ref())
        .map_or(100, |outlier| outlier.max_ejection_percent);
    ejection_percents(finding, MORE.into_iter().filter(|percent| *percent > most))
}

fn ejection_percents<'c>(
    finding: &Finding,
    percents: impl Iterator<Item = u32>,
) -> Vec<Candidate<'c>> {
    let Some(edge) = finding.edges.first() else {
        return Vec::new();
    };
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
pub(super) fn outlier_detection<'c>(finding: &Finding, usual: &Trial) -> Vec<Candidate<'c>> {
    let cluster = cluster_of(finding, &usual.snapshot);
    let (Some(edge), Some(cluster)) = (finding.edges.first().cloned(), cluster) else {
        return Vec::new();
    };
    if cluster.outlier.is_some() || cluster.locality.kind != LocalityKind::Off {
        return Vec::new();
    }
    let what = format!(
        "`outlierDetection: {{maxEjectionPercent: 100}}` (five 5xx in a row, looked at every 10 s) towards {}",
        hosts(&[&edge.1])
    );
    vec![Candidate::of_tables(what, move |tables| {
        change_cluster(tables, &edge, |cluster| {
            cluster.outlier = Some(OutlierDetection {
                max_ejection_percent: 100,
                ..OutlierDetection::default()
            });
            cluster.panic_threshold = Fraction::ZERO;
            cluster.locality.kind = LocalityKind::Failover {
                regions: Vec::new(),
                labels: Vec::new(),
            };
        });
    })]
}

/// Fewer copies.
pub(super) fn fewer_copies<'c>(finding: &Finding, usual: &Trial) -> Vec<Candidate<'c>> {
    let Some((_, cluster)) = finding.edges.first() else {
        return Vec::new();
    };
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
            let (cluster, share) = (cluster.clone(), Fraction::from_ppm(percent as u32 * 10_000));
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
    let mut most = Fraction::ZERO;
    for id in tables.route_configs.ids() {
        let hosts = tables.route_configs[id].virtual_hosts.iter();
        for route in hosts.flat_map(|host| host.routes.iter()) {
            if let Action::Forward(forward) = &route.action {
                let own = forward.mirrors.iter().filter(|m| *m.cluster == *cluster);
                most = own.map(|m| m.fraction).fold(most, Fraction::max);
            }
        }
    }
    most
}

/// Retries at one of the two layers only.
pub(super) fn one_layer<'c>(finding: &Finding) -> Vec<Candidate<'c>> {
    // The layer next to what fails sees failures soonest: the others go first.
    let layers = finding.edges.iter();
    layers
        .map(|(from, cluster)| {
            let what = format!("`attempts: 0` of {from} towards {}", hosts(&[cluster]));
            let clusters = vec![cluster.clone()];
            Candidate::of_tables(what, move |tables| set_retries(tables, &clusters, 0))
        })
        .collect()
}

/// What lies behind waits for less long than whoever calls.
pub(super) fn shorter_timeouts<'c>(finding: &Finding, usual: &Trial) -> Vec<Candidate<'c>> {
    let [(_, outer), (from, inner)] = finding.edges.as_slice() else {
        return Vec::new();
    };
    let Some(patience) = timeout(usual.snapshot.last(), outer) else {
        return Vec::new();
    };
    INNER
        .map(|part| {
            let timeout = round(patience * part);
            let what = format!("`timeout: {timeout}` of {from} towards {}", hosts(&[inner]));
            let inner = inner.clone();
            Candidate::of_tables(what, move |tables| set_timeout(tables, &inner, timeout))
        })
        .into()
}

/// The longest timeout of routes to a cluster, in seconds.
fn timeout(tables: &Snapshot, cluster: &str) -> Option<f64> {
    let mut longest: Option<f64> = None;
    for id in tables.route_configs.ids() {
        let hosts = tables.route_configs[id].virtual_hosts.iter();
        for route in hosts.flat_map(|host| host.routes.iter()) {
            if let Action::Forward(forward) = &route.action
                && forward.clusters.iter().any(|c| *c.name == *cluster)
            {
                let own = forward.timeout.filter(|t| !t.is_zero())?.as_secs_f64();
                longest = Some(longest.map_or(own, |known| known.max(own)));
            }
        }
    }
    longest
}
