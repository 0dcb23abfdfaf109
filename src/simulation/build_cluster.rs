//! Slots and cluster plans: the clusters a workload uses, as each of its localities sees them.

use std::collections::{BTreeMap, BTreeSet};

use super::build::Builder;
use super::plan::{ClusterPlan, ClusterSource, Connect, HostPlan, InboundPlan, NIL, Slot};
use super::upstream::{Address, HostRef, Upstream};
use crate::config::scenario::{Connections, ErrorKind};
use crate::data_plane::outlier_detection::TryResult;
use crate::data_plane::{HostSet, LbView};
use crate::xds::cluster::{OutlierDetection, Thresholds, UNLIMITED, Upstream as Protocol};
use crate::xds::endpoint::localize;
use crate::xds::listener::MtlsMode;
use crate::xds::route::RetryOn;
use crate::xds::{Locality, Name, ProxyKind, WorkloadId};

/// Identifies a slot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SlotKey {
    pub(super) app: u32,
    pub(super) cluster: String,
    /// Only for clusters whose endpoints depend on the host that was called.
    pub(super) host: String,
    /// Connections of the TCP proxy; they share no pool with requests.
    pub(super) tcp: bool,
    /// The first version of the tables with this cluster as it is.
    pub(super) version: u32,
}

/// Slots while they are made.
#[derive(Default)]
pub(super) struct Slots {
    ids: BTreeMap<SlotKey, u32>,
    entries: Vec<(SlotKey, Upstream, u32)>,
    per_app: BTreeMap<u32, u32>,
    /// Number of calls per app, filled when clusters are made.
    pub(super) calls: Vec<usize>,
    /// (version, slot): proxies with that version of the tables have the slot.
    pub(super) live: BTreeSet<(u32, u32)>,
}

impl Slots {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// (slot, position among the client's slots).
    pub(super) fn slot(&mut self, key: SlotKey, upstream: &Upstream) -> (u32, u32) {
        if let Some(id) = self.ids.get(&key) {
            return (*id, self.entries[*id as usize].2);
        }
        let id = self.entries.len() as u32;
        let next = self.per_app.entry(key.app).or_insert(0);
        let position = *next;
        *next += 1;
        self.ids.insert(key.clone(), id);
        self.entries.push((key, upstream.clone(), position));
        (id, position)
    }
}

impl super::build_route::Routes {
    /// Slots and cluster plans, now that every route is known.
    pub(super) fn clusters(
        &self,
        builder: &mut Builder<'_>,
        places: usize,
    ) -> (Vec<Slot>, Vec<ClusterPlan>) {
        let mut slots = Vec::new();
        let mut clusters = Vec::new();
        for (key, upstream, _) in &self.slots.entries {
            builder.turn_to(key.version);
            let app = &builder.apps[key.app as usize];
            let mut used: Vec<u32> = app
                .pods
                .iter()
                .map(|p| builder.pods[*p as usize].place)
                .collect();
            used.sort_unstable();
            used.dedup();
            let mut by_place = vec![NIL; places];
            for place in used {
                by_place[place as usize] = clusters.len() as u32;
                clusters.push(cluster_plan(builder, key, place, upstream));
            }
            slots.push(Slot {
                workload: app.name.clone(),
                cluster: key.cluster.clone(),
                by_place,
                synthetic: upstream.synthetic,
            });
        }
        builder.turn_to(0);
        (slots, clusters)
    }

    /// The inbound plan for a port of a server, `NIL` when nothing limits it.
    pub(super) fn inbound_plan(
        &mut self,
        builder: &Builder<'_>,
        app: u32,
        port: u16,
        http2: bool,
    ) -> u32 {
        let workload = &builder.snapshot.workloads[WorkloadId::new(app as usize)];
        let Some(inbound) = workload.inbound.iter().find(|i| i.port == port) else {
            return NIL;
        };
        let limits = &inbound.cluster.breakers;
        let none = Thresholds::default();
        let unlimited = limits.max_connections == none.max_connections
            && limits.max_pending_requests == none.max_pending_requests
            && limits.max_requests == none.max_requests;
        let server = &builder.apps[app as usize];
        let has = |kind: ErrorKind| server.errors.iter().any(|(_, k)| *k == kind);
        let refuses = has(ErrorKind::Refuse);
        let resets = RetryOn::RESET
            .with(RetryOn::SERVER_ERROR)
            .with(RetryOn::GATEWAY_ERROR);
        let retries = inbound.retry.as_ref().is_some_and(|r| r.on.any_of(resets));
        if unlimited && !refuses && !(retries && has(ErrorKind::Reset)) {
            return NIL;
        }
        let streams = if http2 {
            inbound.cluster.pool.max_concurrent_streams.max(1)
        } else {
            1
        };
        let cluster = &inbound.cluster.name;
        let known = |plan: &InboundPlan| {
            plan.app == app
                && plan.cluster == *cluster
                && plan.streams == streams
                && (plan.thresholds == *limits && plan.retry.as_deref() == inbound.retry.as_ref())
        };
        if let Some(at) = self.inbounds.iter().position(known) {
            return at as u32;
        }
        self.inbounds.push(InboundPlan {
            app,
            cluster: cluster.clone(),
            thresholds: limits.clone(),
            retry: inbound.retry.clone().map(Box::new),
            refuses,
            streams,
            slot: NIL,
            gates: NIL,
        });
        (self.inbounds.len() - 1) as u32
    }

    /// The inbound plans with gates for every pod and slots for their statistics.
    pub(super) fn inbounds(
        &self,
        builder: &Builder<'_>,
        slots: &mut Vec<Slot>,
    ) -> Vec<InboundPlan> {
        let mut plans = self.inbounds.clone();
        let mut gates = 0;
        for plan in &mut plans {
            let app = &builder.apps[plan.app as usize];
            plan.gates = gates;
            gates += app.pods.len() as u32;
            let same = |slot: &Slot| slot.workload == app.name && *slot.cluster == *plan.cluster;
            let known = slots.iter().position(same);
            plan.slot = known.unwrap_or_else(|| {
                slots.push(Slot {
                    workload: app.name.clone(),
                    cluster: plan.cluster.to_string(),
                    by_place: Vec::new(),
                    synthetic: false,
                });
                slots.len() - 1
            }) as u32;
        }
        plans
    }

    /// Number of slots of an app's pods.
    pub(super) fn slots_of(&self, app: u32) -> usize {
        self.slots.per_app.get(&app).map_or(0, |n| *n as usize)
    }
}

fn cluster_plan(
    builder: &Builder<'_>,
    key: &SlotKey,
    place: u32,
    upstream: &Upstream,
) -> ClusterPlan {
    let SlotKey { app, tcp, .. } = *key;
    let cluster = &upstream.cluster;
    let mut thresholds = cluster.breakers.clone();
    if tcp {
        // No limit of connections (measured on 1.40).
        thresholds.max_requests = UNLIMITED;
    }
    let splits = |o: &OutlierDetection| o.split_local_origin;
    let on_connected = match cluster.outlier.as_ref().map(splits) {
        Some(true) => Some(TryResult::ConnectSuccess),
        Some(false) if tcp => Some(TryResult::Status(200)),
        _ => None,
    };
    let here = &builder.places[place as usize];
    let labels = client_labels(builder, app, here);
    let assignment = localize(&cluster.endpoints, &cluster.locality, here, &labels);
    let mut set = HostSet::new(cluster, &assignment);
    let client = WorkloadId::new(app as usize);
    if let Some(peers) = builder.snapshot.peers(client, here) {
        let peers = peers.into_iter().map(|pod| (&pod.locality, pod.ready));
        set = set.with_local_cluster(cluster, &assignment, here, peers);
    }
    let source = builder.is_dynamic.then(|| {
        Box::new(ClusterSource {
            endpoints: cluster.endpoints.iter().cloned().collect(),
            policy: cluster.locality.clone(),
            here: here.clone(),
            labels,
            peers: if set.zones.is_some() {
                builder.peers(client, here)
            } else {
                Vec::new()
            },
        })
    });
    if let Some(source) = &source {
        let pod = |host: usize| &builder.pods[upstream.hosts[host].pod as usize];
        if (0..upstream.hosts.len()).any(|host| pod(host).spare) {
            set = source.set(&set, |host| !pod(host).spare);
        }
    }
    let view = LbView::build(&set, |_| true);
    let hosts = upstream.hosts.iter().map(|host| {
        let pod = &builder.pods[host.pod as usize];
        HostPlan {
            pod: host.pod,
            app: pod.app,
            link: builder.distances.link(here, &pod.locality),
            connect: connect(builder, app, pod.app, host),
            port: host.port,
        }
    });
    ClusterPlan {
        hosts: hosts.collect(),
        view,
        set,
        thresholds,
        pool: cluster.pool.clone(),
        outlier: cluster.outlier.clone(),
        // Envoy takes one.
        health_check: cluster.health_checks.first().cloned(),
        merge_window: cluster.common_lb.update_merge_window,
        http2: cluster.upstream == Protocol::Http2 && !tcp,
        tcp,
        on_connected,
        source,
    }
}

/// Labels of a client proxy for `failoverPriority`: its pod's and its place's (`istio-config.md` §4.2).
fn client_labels(builder: &Builder<'_>, app: u32, here: &Locality) -> BTreeMap<Name, Name> {
    let workload = builder
        .snapshot
        .workloads
        .get(WorkloadId::new(app as usize));
    let mut labels = workload.map(|w| w.labels.clone()).unwrap_or_default();
    let topology = [
        ("topology.kubernetes.io/region", &here.region),
        ("topology.kubernetes.io/zone", &here.zone),
        ("topology.istio.io/subzone", &here.subzone),
    ];
    for (key, value) in topology {
        if !value.is_empty() {
            labels.insert(key.into(), value.clone());
        }
    }
    labels
}

/// How a connection goes: the application's own state first, then TLS (`istio-config.md` §6.1).
fn connect(builder: &Builder<'_>, client: u32, server: u32, host: &HostRef) -> Connect {
    match host.connect.address {
        Address::Refuses => return Connect::Refused,
        Address::Silent => return Connect::Blackhole,
        Address::Pod => {}
    }
    let app = &builder.apps[server as usize];
    match app.connections {
        Connections::Refuse => return Connect::Refused,
        Connections::Blackhole => return Connect::Blackhole,
        Connections::Accept => {}
    }
    let workloads = &builder.snapshot.workloads;
    let client_has_proxy = workloads
        .get(WorkloadId::new(client as usize))
        .is_some_and(|w| w.proxy != ProxyKind::None);
    let server_workload = workloads
        .get(WorkloadId::new(server as usize))
        .filter(|w| w.proxy == ProxyKind::Sidecar);
    let mode = server_workload.map(|w| {
        w.inbound
            .iter()
            .find(|i| i.port == host.port)
            .map_or(MtlsMode::Permissive, |i| i.mtls)
    });
    if host.connect.mtls && client_has_proxy {
        return match mode {
            None if !app.is_external => Connect::TlsFails,
            Some(MtlsMode::Disable) => Connect::TlsFails,
            _ => Connect::Made(2),
        };
    }
    if host.connect.tls {
        // One-way TLS to a port behind a sidecar fits no filter chain.
        return if server_workload.is_some() && client_has_proxy {
            Connect::TlsFails
        } else {
            Connect::Made(2)
        };
    }
    Connect::Made(1)
}
