//! Where a request goes, as the tables alone decide it: no clock, no luck, no pods.
//!
//! The same resolver and the same rewrites as in a run. What filters, authorization and faults
//! do to a request is not decided here.

use super::resolve::{RequestClass, Resolved, Resolver};
use crate::data_plane::mutate::{redirect, upstream_request};
use crate::data_plane::{NoTrail, envoy_headers};
use crate::units::{Fraction, Origin};
use crate::xds::route::Action;
use crate::xds::{Name, ProxyKind, Snapshot, WorkloadId};

/// What the proxy does with a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It sends it to one of these.
    Forward {
        /// In the route's order.
        destinations: Vec<Destination>,
        /// Clusters that get a copy, with the share of requests.
        mirrors: Vec<(Name, Fraction)>,
    },
    /// It answers with a redirect.
    Redirect {
        /// Status.
        status: u16,
        /// `location`.
        location: String,
    },
    /// It answers itself.
    Direct(u16),
    /// No virtual host or no route: 404.
    NoRoute,
    /// It passes bytes on to clusters by weight.
    Tcp(Vec<(Name, u32)>),
    /// It closes the connection.
    Closed,
    /// There is no proxy: plain Kubernetes.
    NoProxy,
}

/// A cluster of a route.
#[derive(Clone, Debug, PartialEq)]
pub struct Destination {
    /// Its name.
    pub cluster: Name,
    /// Its weight.
    pub weight: u32,
    /// False: the proxy has no such cluster, and requests are answered 503 `NC`.
    pub is_known: bool,
    /// Path as the upstream sees it.
    pub path: String,
    /// `:authority` as the upstream sees it.
    pub authority: String,
}

/// Where a request goes, and the line that says so.
#[derive(Clone, Debug, PartialEq)]
pub struct Routed {
    /// What is done.
    pub answer: Answer,
    /// The route; `None` where none matched.
    pub origin: Option<Origin>,
}

/// Asks the proxy of a workload.
pub fn routed(snapshot: &Snapshot, caller: WorkloadId, class: &RequestClass) -> Routed {
    let workload = &snapshot.workloads[caller];
    let alone = |answer| Routed {
        answer,
        origin: None,
    };
    let tables = workload
        .tables
        .filter(|_| workload.proxy != ProxyKind::None);
    let Some(tables) = tables.map(|id| &snapshot.tables[id]) else {
        return alone(Answer::NoProxy);
    };
    let mut resolver = Resolver::new(snapshot);
    let (route, at) = match resolver.resolve(tables, class, &mut NoTrail) {
        Resolved::Http { route, at, .. } => (route, at),
        Resolved::NoRoute => return alone(Answer::NoRoute),
        Resolved::Tcp(clusters) => return alone(Answer::Tcp(clusters)),
        Resolved::Closed => return alone(Answer::Closed),
    };
    let mut sent = class.clone();
    envoy_headers::remove(&mut sent.headers);
    let view = sent.view();
    let answer = match &route.action {
        Action::Unusable => Answer::NoRoute,
        Action::Direct(direct) => Answer::Direct(direct.status),
        Action::Redirect(to) => {
            let (status, location) = redirect(route, to, &view);
            Answer::Redirect { status, location }
        }
        Action::Forward(forward) => {
            let pattern = resolver
                .router(at.0)
                .and_then(|r| r.rewrite_pattern(at.1, at.2));
            let destination = |(number, cluster): (usize, &crate::xds::route::WeightedCluster)| {
                let request = upstream_request(route, forward, number, &view, pattern);
                Destination {
                    cluster: cluster.name.clone(),
                    weight: cluster.weight,
                    is_known: snapshot.cluster_named(tables, &cluster.name).is_some(),
                    path: request.path,
                    authority: request.authority,
                }
            };
            let mirrors = forward
                .mirrors
                .iter()
                .map(|m| (m.cluster.clone(), m.fraction));
            Answer::Forward {
                destinations: forward
                    .clusters
                    .iter()
                    .enumerate()
                    .map(destination)
                    .collect(),
                mirrors: mirrors.collect(),
            }
        }
    };
    Routed {
        answer,
        origin: Some(route.origin),
    }
}
