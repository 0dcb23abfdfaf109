//! The weighted clusters of a route, with the workloads behind each.

use super::build::Builder;
use super::build_cluster::SlotKey;
use super::build_route::{Routes, Sender, forward_action, placeholder};
use super::filter_plan::Manager;
use super::plan::{Guard, Inbound, NIL, Rare, RbacCounts, RoutePlan, Target, WeightedPlan};
use super::resolve::RequestClass;
use super::upstream::{HostRef, Upstream};
use crate::data_plane::authorization::asks_for_addresses;
use crate::units::Origin;
use crate::xds::cluster::ClusterKind;
use crate::xds::route::WeightedCluster;
use crate::xds::{Name, WorkloadId};

/// What the server's sidecar does, by the number of the client's pod where rules ask for
/// addresses; else once for all.
fn decisions(
    builder: &Builder<'_>,
    upstream: &Upstream,
    client: u32,
    server: u32,
    host: &HostRef,
    class: &RequestClass,
) -> Vec<(Inbound, RbacCounts)> {
    let workload = (builder.snapshot.workloads).get(WorkloadId::new(server as usize));
    let mut ports = workload.into_iter().flat_map(|w| &w.inbound);
    let asked = ports.any(|i| i.port == host.port && asks_for_addresses(&i.authorization));
    let pods = &builder.apps[client as usize].pods;
    let ask = |ip: &Name| upstream.inbound(builder, (client, ip), server, host, class);
    if asked {
        let addresses = pods.iter().map(|p| &builder.pods[*p as usize].ip);
        addresses.map(ask).collect()
    } else {
        vec![ask(&"".into())]
    }
}

/// The cluster of that name in the tables of the version at hand, as pods of the run.
fn upstream_of(builder: &mut Builder<'_>, sender: &Sender<'_>, name: &Name) -> Option<Upstream> {
    let snapshot = builder.snapshot;
    let tables = snapshot.workloads[WorkloadId::new(sender.app as usize)]
        .tables
        .map(|id| &snapshot.tables[id]);
    let cluster = tables
        .and_then(|t| snapshot.cluster_named(t, name))
        .map(|id| &snapshot.clusters[id]);
    let passthrough = &**name == "PassthroughCluster";
    let own_choice =
        |c: &crate::xds::Cluster| c.kind == ClusterKind::OriginalDst && c.endpoints.is_empty();
    match cluster {
        None if passthrough => Some(Upstream::passthrough(builder, sender.app, sender.class)),
        None => None,
        Some(cluster) if passthrough || own_choice(cluster) => {
            Some(Upstream::passthrough(builder, sender.app, sender.class).renamed(cluster))
        }
        Some(cluster) => Some(Upstream::of_cluster(builder, cluster)),
    }
}

impl Routes {
    pub(super) fn tcp(
        &mut self,
        builder: &mut Builder<'_>,
        id: u32,
        sender: &Sender<'_>,
        clusters: &[(Name, u32)],
    ) -> RoutePlan {
        let plans = clusters
            .iter()
            .enumerate()
            .map(|(index, (name, weight))| {
                let weighted = WeightedCluster {
                    name: name.clone(),
                    weight: *weight,
                    request_headers: crate::xds::route::HeaderOps::default(),
                    response_headers: crate::xds::route::HeaderOps::default(),
                    origin: Origin::BUILT_IN,
                };
                self.weighted(
                    builder,
                    id,
                    sender,
                    &weighted,
                    0,
                    sender.class.clone(),
                    index,
                    true,
                )
            })
            .collect();
        RoutePlan {
            row: self.row(sender, "-", "-"),
            path: sender.class.url.path.to_string(),
            action: forward_action(plans),
            rare: Some(Box::new(Rare {
                tcp: true,
                ..Rare::default()
            })),
            success_passes: false,
            ..placeholder()
        }
    }

    /// What Kubernetes alone does: a random ready endpoint of the Service.
    pub(super) fn without_proxy(
        &mut self,
        builder: &mut Builder<'_>,
        id: u32,
        sender: &Sender<'_>,
    ) -> RoutePlan {
        let upstreams = builder.in_all_versions(|builder| {
            Some(Upstream::of_service(builder, sender.app, sender.class))
        });
        // The name says host and port, which are those of every version.
        let name = upstreams
            .iter()
            .flatten()
            .next()
            .map(|u| u.name.to_string());
        let key = SlotKey {
            app: sender.app,
            cluster: name.unwrap_or_default(),
            host: sender.class.url.host.to_string(),
            tcp: false,
            version: 0,
        };
        let plan = self.targets(
            builder,
            id,
            sender,
            &key,
            &upstreams,
            1,
            sender.class.clone(),
            0,
        );
        RoutePlan {
            row: self.row(sender, "-", "-"),
            path: sender.class.url.path.to_string(),
            action: forward_action(vec![plan]),
            has_proxy: false,
            ..placeholder()
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one weighted cluster with everything it is made from"
    )]
    pub(super) fn weighted(
        &mut self,
        builder: &mut Builder<'_>,
        id: u32,
        sender: &Sender<'_>,
        weighted: &WeightedCluster,
        not_found: u16,
        class: RequestClass,
        index: usize,
        tcp: bool,
    ) -> WeightedPlan {
        let upstreams =
            builder.in_all_versions(|builder| upstream_of(builder, sender, &weighted.name));
        let Some(upstream) = upstreams.iter().flatten().next() else {
            return WeightedPlan {
                weight: u64::from(weighted.weight),
                name: weighted.name.clone(),
                slot: NIL,
                position: NIL,
                by_version: Box::default(),
                not_found_status: not_found,
                path: class.url.path.to_string(),
                hash: Vec::new(),
                targets: Vec::new(),
                first_target: NIL,
                row: self.row(sender, &weighted.name, "-"),
            };
        };
        let host = if upstream.by_host {
            sender.class.url.host.to_string()
        } else {
            String::new()
        };
        let key = SlotKey {
            app: sender.app,
            cluster: weighted.name.to_string(),
            host,
            tcp,
            version: 0,
        };
        let plan = self.targets(
            builder,
            id,
            sender,
            &key,
            &upstreams,
            u64::from(weighted.weight),
            class,
            index,
        );
        WeightedPlan {
            not_found_status: not_found,
            ..plan
        }
    }

    /// The filters people added before the application: of mutual TLS and of plaintext each a
    /// chain of its own, as istiod builds them.
    fn server_filters(
        &mut self,
        builder: &Builder<'_>,
        app: u32,
        host: &HostRef,
        inbound: Inbound,
        class: &RequestClass,
    ) -> u32 {
        let workload = builder
            .snapshot
            .workloads
            .get(WorkloadId::new(app as usize));
        let mut ports = workload.into_iter().flat_map(|w| &w.inbound);
        let port = ports.find(|i| i.port == host.port && !i.filters.is_empty());
        let (Some(port), Inbound::Forward(_)) = (port, inbound) else {
            return NIL;
        };
        let transport = if host.connect.mtls {
            "mtls"
        } else {
            "plaintext"
        };
        let manager = Manager {
            app,
            workload: &builder.apps[app as usize].name,
            place: &format!("inbound/{}/{transport}", port.port),
            prefix: &format!("http.inbound_0.0.0.0_{}", port.port),
        };
        let of_route = port.route_filters.as_deref();
        self.filters
            .at_server(manager, &port.filters, of_route, class)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one weighted cluster with everything it is made from"
    )]
    fn targets(
        &mut self,
        builder: &mut Builder<'_>,
        id: u32,
        sender: &Sender<'_>,
        key: &SlotKey,
        upstreams: &[Option<Upstream>],
        weight: u64,
        class: RequestClass,
        index: usize,
    ) -> WeightedPlan {
        let name: Name = (upstreams.iter().flatten().next())
            .map_or_else(|| key.cluster.as_str().into(), |u| u.name.clone());
        let mut targets: Vec<Target> = Vec::new();
        let known = upstreams.iter().flatten();
        for (upstream, endpoint) in known.flat_map(|u| u.hosts.iter().map(move |h| (u, h))) {
            let http2 = upstream.is_http2();
            let app = builder.pods[endpoint.pod as usize].app;
            if targets
                .iter()
                .any(|t| t.app == app && t.port == endpoint.port)
            {
                continue;
            }
            let decided = decisions(builder, upstream, sender.app, app, endpoint, &class);
            let mut inbound = decided
                .first()
                .map_or(Inbound::Direct, |(inbound, _)| *inbound);
            let has_policies = decided.iter().any(|(_, c)| *c != RbacCounts::default());
            let somebody_passes = decided.iter().any(|(_, c)| !c.denied);
            if inbound == Inbound::Forward(NIL) && somebody_passes {
                inbound = Inbound::Forward(self.inbound_plan(builder, app, endpoint.port, http2));
            }
            let steps = self.server_filters(builder, app, endpoint, inbound, &class);
            let to = builder.apps[app as usize].name.clone();
            let row = self.row(sender, &name, &to);
            if let Inbound::Forward(behind) = inbound
                && (steps != NIL || has_policies)
            {
                let prefix = if key.tcp {
                    "tcp".to_owned()
                } else {
                    format!("http.inbound_0.0.0.0_{}", endpoint.port)
                };
                let rbac = decided.iter().map(|(_, counts)| *counts);
                self.guards.push(Guard {
                    rbac: rbac.filter(|_| has_policies).collect(),
                    rbac_scope: if has_policies {
                        self.filters.scope(&to, &prefix)
                    } else {
                        NIL
                    },
                    steps,
                    inbound: behind,
                });
                inbound = Inbound::Guarded(self.guards.len() as u32 - 1);
            }
            targets.push(Target {
                level: 0,
                app,
                port: endpoint.port,
                children: NIL,
                inbound,
                row,
            });
            self.calls
                .entry((sender.app, app))
                .or_insert(Origin::BUILT_IN);
        }
        let path = class.url.path.to_string();
        let slots = self.slots_in_all_versions(key, upstreams);
        let (slot, position) = slots[builder.tables.now() as usize];
        self.open.push((id, index, class));
        WeightedPlan {
            weight,
            row: self.row(sender, &name, "-"),
            name,
            slot,
            position,
            by_version: if slots.len() > 1 {
                slots.into()
            } else {
                Box::default()
            },
            not_found_status: 503,
            path,
            hash: Vec::new(),
            targets,
            first_target: NIL,
        }
    }
}
