//! One consistent set of tables, and the workloads, pods and services they speak of.

use std::collections::BTreeMap;

use super::autoscaler::Autoscaler;
use super::endpoint::Locality;
use super::route::Forward;
use super::{Action, Cluster, Inbound, Listener, Name, RouteConfig};
use crate::units::{Id, IdVec, Origin, Origins, SimDuration};

/// Names a [`Workload`].
pub type WorkloadId = Id<Workload>;
/// Names a [`Pod`].
pub type PodId = Id<Pod>;
/// Names a [`Service`].
pub type ServiceId = Id<Service>;
/// Names a [`ProxyTables`].
pub type TableId = Id<ProxyTables>;
/// Names a [`Cluster`].
pub type ClusterId = Id<Cluster>;
/// Names a [`RouteConfig`].
pub type RouteConfigId = Id<RouteConfig>;

/// Everything the data plane needs to know.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// `1.30`: the Istio release whose control plane made the tables.
    pub istio_version: Name,
    /// Resolves every [`Origin`] in the tables.
    pub origins: Origins,
    /// Workloads ordered by (namespace, name).
    pub workloads: IdVec<Workload>,
    /// Pods ordered by (namespace, workload, ordinal).
    pub pods: IdVec<Pod>,
    /// Services ordered by hostname, as Kubernetes alone would route to them.
    pub services: IdVec<Service>,
    /// Tables, one per visibility class.
    pub tables: IdVec<ProxyTables>,
    /// Route configurations, shared between tables.
    pub route_configs: IdVec<RouteConfig>,
    /// Clusters, shared between tables.
    pub clusters: IdVec<Cluster>,
    /// The proxies' own clusters, by workload; none where self-discovery is off.
    pub local_clusters: BTreeMap<WorkloadId, LocalCluster>,
    /// What was taken for granted while compiling (placement, injection, addresses): sentences for the report.
    pub assumed: Vec<String>,
    /// What the tables are after each change of configuration during a run, in order.
    pub later: Vec<Later>,
}

/// Tables after a change of configuration. Workloads and pods are those of the first snapshot, with
/// the same ids: what a change brings or takes is there all the time, without running pods.
#[derive(Clone, Debug, Default)]
pub struct Later {
    /// The tables.
    pub tables: Snapshot,
    /// Workloads that get another number of pods by it.
    pub scaled: Vec<(WorkloadId, u32)>,
    /// Workloads whose pods are replaced.
    pub rolled: Vec<WorkloadId>,
}

/// The cluster `local_cluster` of a workload's proxies: what they know of each other
/// (`ISTIO_META_ENABLE_SELF_DISCOVERY`, Istio 1.31+).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalCluster {
    /// Pods of the workload; empty when no Service has them.
    pub pods: Vec<PodId>,
    /// Port of their first Service at the pods.
    pub port: u16,
}

/// What stands in front of a workload's application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProxyKind {
    /// An injected sidecar.
    Sidecar,
    /// A gateway: the pod *is* the proxy.
    Gateway,
    /// No proxy: plain Kubernetes routing, no policies.
    None,
}

/// A Deployment, StatefulSet, DaemonSet, ReplicaSet, bare Pod or WorkloadEntry.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Kubernetes namespace.
    pub namespace: Name,
    /// Name of the controller, or of the pod when it has none.
    pub name: Name,
    /// `Deployment`, `StatefulSet`, `Pod`, `External` (a ServiceEntry endpoint) …
    pub kind: Name,
    /// What proxy its pods have.
    pub proxy: ProxyKind,
    /// Worker threads of its proxies as written; 0 means every core, `None` that nobody says.
    pub concurrency: Option<u32>,
    /// Its tables, when it has a proxy.
    pub tables: Option<TableId>,
    /// Server side: what its sidecar does with arriving connections.
    pub inbound: Vec<Inbound>,
    /// Its pods, in ordinal order.
    pub pods: Vec<PodId>,
    /// Pod labels, injected ones included.
    pub labels: BTreeMap<Name, Name>,
    /// `default` unless the pod template says otherwise.
    pub service_account: Name,
    /// How its pods come and go.
    pub lifecycle: Lifecycle,
    /// Processor time that one of its pods may use and asks for.
    pub cpu: Cpu,
    /// Who changes the number of its pods.
    pub autoscaler: Option<Autoscaler>,
    /// Where it was declared.
    pub origin: Origin,
}

impl Workload {
    /// `namespace/name`.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

/// `resources` of a pod's containers, the proxy left out, in thousandths of a core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    /// `limits.cpu` of all of them together; `None`: one has none.
    pub limit: Option<u32>,
    /// `requests.cpu`, the limit where none is written.
    pub request: Option<u32>,
}

/// How pods of a workload come and go, as far as manifests say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lifecycle {
    /// `terminationGracePeriodSeconds`.
    pub grace_seconds: Option<u32>,
    /// `lifecycle.preStop` that sleeps, the longest of its containers, in seconds.
    pub pre_stop_seconds: Option<u32>,
    /// A `readinessProbe` of its containers.
    pub readiness: Option<Probe>,
    /// `terminationDrainDuration` of its proxy configuration.
    pub termination_drain: Option<SimDuration>,
    /// `EXIT_ON_ZERO_ACTIVE_CONNECTIONS` of its proxy's metadata: the sidecar goes when it has
    /// nothing left to do, not after a fixed time.
    pub exit_on_zero: bool,
    /// `strategy.rollingUpdate.maxSurge` as written: `25%` or `1`.
    pub max_surge: Option<Name>,
    /// `strategy.rollingUpdate.maxUnavailable` as written.
    pub max_unavailable: Option<Name>,
}

impl Lifecycle {
    /// How long a pod that is told to end has in all: Kubernetes' own 30 s where nobody says.
    pub fn grace(&self) -> SimDuration {
        SimDuration::from_secs(u64::from(self.grace_seconds.unwrap_or(30)))
    }

    /// How long it serves on before its containers are told, within its grace.
    pub fn pre_stop(&self) -> SimDuration {
        let written = SimDuration::from_secs(u64::from(self.pre_stop_seconds.unwrap_or(0)));
        written.min(self.grace())
    }

    /// How long its sidecar drains then: Istio's own 5 s where nobody says.
    pub fn drain(&self) -> SimDuration {
        self.termination_drain.unwrap_or(SimDuration::from_secs(5))
    }
}

/// A probe's timing, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// `initialDelaySeconds`.
    pub initial_delay: u32,
    /// `periodSeconds`.
    pub period: u32,
    /// `failureThreshold`.
    pub failures: u32,
}

/// One replica.
#[derive(Clone, Debug)]
pub struct Pod {
    /// `reviews-v1-0`: workload name and ordinal, or the Pod's own name.
    pub name: Name,
    /// Its workload.
    pub workload: WorkloadId,
    /// Pod IP; derived from namespace and name where none is written.
    pub ip: Name,
    /// Where it runs.
    pub locality: Locality,
    /// Node name, empty when unknown.
    pub node: Name,
    /// False: the pod exists and its readiness probe fails.
    pub ready: bool,
    /// It does not exist yet: events of a scenario or an autoscaler may start it.
    pub spare: bool,
}

/// A service as Kubernetes (kube-proxy, cluster DNS) sees it.
#[derive(Clone, Debug)]
pub struct Service {
    /// FQDN: `reviews.default.svc.cluster.local`, or a ServiceEntry host.
    pub host: Name,
    /// Namespace of the object.
    pub namespace: Name,
    /// Virtual IPs; empty for headless services.
    pub addresses: Vec<Name>,
    /// Headless: clients reach pods by their own IP.
    pub headless: bool,
    /// ExternalName or alias target.
    pub alias_of: Option<Name>,
    /// True for MESH_EXTERNAL ServiceEntries.
    pub external: bool,
    /// Service ports.
    pub ports: Vec<ServicePort>,
    /// Where it was declared.
    pub origin: Origin,
}

/// A port of a service and what is behind it.
#[derive(Clone, Debug)]
pub struct ServicePort {
    /// Service port number.
    pub port: u16,
    /// Port name, possibly empty.
    pub name: Name,
    /// Istio's word for the protocol.
    pub protocol: Protocol,
    /// All endpoints, whatever their labels.
    pub endpoints: Vec<super::Endpoint>,
}

/// Protocol of a service port as Istio selects it (`pkg/config/kube/conversion.go`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// HTTP/1.1.
    Http,
    /// HTTP/2 with prior knowledge.
    Http2,
    /// gRPC.
    Grpc,
    /// gRPC-Web.
    GrpcWeb,
    /// HTTP CONNECT proxy.
    HttpProxy,
    /// TLS bytes, routed by SNI.
    Https,
    /// TLS bytes, routed by SNI.
    Tls,
    /// Opaque bytes.
    Tcp,
    /// MongoDB: opaque here.
    Mongo,
    /// Redis: opaque here.
    Redis,
    /// MySQL: opaque here.
    MySql,
    /// Ignored by Istio.
    Udp,
    /// Unnamed or unknown: sniffed.
    Auto,
}

impl Protocol {
    /// True for ports with HTTP features (an `Auto` port has them when plaintext HTTP is sniffed).
    pub const fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Http2 | Self::Grpc | Self::GrpcWeb)
    }

    /// True for ports whose upstream connections are HTTP/2.
    pub const fn is_http2(self) -> bool {
        matches!(self, Self::Http2 | Self::Grpc | Self::GrpcWeb)
    }
}

/// What one class of proxies was told.
#[derive(Clone, Debug)]
pub struct ProxyTables {
    /// A name for snapshots: the first workload of the class, `namespace/name`.
    pub representative: Name,
    /// Sidecar or gateway.
    pub kind: ProxyKind,
    /// Namespace of the proxies, for short host names.
    pub namespace: Name,
    /// Outbound listeners (a gateway's: its servers), ordered by (address, port).
    pub listeners: Vec<Listener>,
    /// Route configurations by name (`8080`, `http.80`), in name order.
    pub routes: Vec<RouteConfigId>,
    /// Clusters in name order; look up with [`Snapshot::cluster_named`].
    pub clusters: Vec<ClusterId>,
    /// `ALLOW_ANY`: unknown destinations are passed through.
    pub allow_any: bool,
}

impl Snapshot {
    /// The tables after so many changes of configuration; 0: those of the start.
    pub fn at(&self, version: usize) -> &Self {
        let later = version.checked_sub(1).and_then(|at| self.later.get(at));
        later.map_or(self, |later| &later.tables)
    }

    /// Changes the tables of the start and all later ones alike.
    pub fn change_all(&mut self, mut change: impl FnMut(&mut Self)) {
        change(self);
        for later in &mut self.later {
            change(&mut later.tables);
        }
    }

    /// The workload of that name, `namespace/name`.
    pub fn workload_of(&self, full_name: &str) -> Option<WorkloadId> {
        let (namespace, name) = full_name.split_once('/')?;
        self.workload_named(namespace, name)
    }

    /// What every route does that leads to clusters, whoever has it.
    pub fn forwards(&self) -> impl Iterator<Item = &Forward> {
        let configs = self.route_configs.ids().map(|id| &self.route_configs[id]);
        let hosts = configs.flat_map(|config| &config.virtual_hosts);
        let routes = hosts.flat_map(|host| host.routes.iter());
        routes.filter_map(|route| match &route.action {
            Action::Forward(forward) => Some(&**forward),
            _ => None,
        })
    }

    /// The tables after the last change.
    pub fn last(&self) -> &Self {
        self.at(self.later.len())
    }

    /// The cluster of that name which these tables know.
    pub fn cluster_named(&self, tables: &ProxyTables, name: &str) -> Option<ClusterId> {
        let at = tables
            .clusters
            .binary_search_by(|id| (*self.clusters[*id].name).cmp(name))
            .ok()?;
        Some(tables.clusters[at])
    }

    /// The route configuration of that name which these tables know.
    pub fn route_config_named(&self, tables: &ProxyTables, name: &str) -> Option<RouteConfigId> {
        tables
            .routes
            .iter()
            .copied()
            .find(|id| *self.route_configs[*id].name == *name)
    }

    /// The pods that a proxy of this workload at this place has in its own cluster, which is
    /// those of its region; `None` when it has no such cluster.
    pub fn peers(&self, workload: WorkloadId, here: &Locality) -> Option<Vec<&Pod>> {
        let cluster = self.local_clusters.get(&workload)?;
        let pods = cluster.pods.iter().map(|pod| &self.pods[*pod]);
        Some(
            pods.filter(|pod| !pod.spare && pod.locality.region == here.region)
                .collect(),
        )
    }

    /// All pods of a workload's local cluster that may ever be in it, in the region of `here`.
    pub fn peers_ever(&self, workload: WorkloadId, here: &Locality) -> Vec<PodId> {
        let cluster = self.local_clusters.get(&workload);
        let pods = cluster.map_or(&[][..], |cluster| &cluster.pods);
        let near = |pod: &&PodId| self.pods[**pod].locality.region == here.region;
        pods.iter().filter(near).copied().collect()
    }

    /// The workload `namespace/name`.
    pub fn workload_named(&self, namespace: &str, name: &str) -> Option<WorkloadId> {
        self.workloads
            .iter_ids()
            .find(|(_, w)| *w.namespace == *namespace && *w.name == *name)
            .map(|(id, _)| id)
    }
}
