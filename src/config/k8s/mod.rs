//! Kubernetes kinds that take part in traffic.

mod autoscaler;
mod certificate;
mod lifecycle;
mod notes;
mod proxy_settings;
mod resources;
mod secret;
mod services;
mod workloads;

pub(super) use autoscaler::autoscaler;
pub(super) use proxy_settings::{EXIT_ON_ZERO, SELF_DISCOVERY};
pub(in crate::config) use resources::milli_cores;
pub(super) use secret::secret_problem;
pub(super) use services::{SERVICE_LABEL, endpoint_slice, endpoints, service};
pub(super) use workloads::{PODS_MAX, too_many_pods, workload};

use std::collections::BTreeMap;

use super::Meta;
use crate::units::{Origin, SimDuration};
use crate::xds::Name;
use crate::xds::autoscaler::Autoscaler;

/// `Namespace`: injection and revision labels are in `meta.labels`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// Metadata.
    pub meta: Meta,
}

/// `Node`: topology labels are in `meta.labels`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Metadata.
    pub meta: Meta,
}

/// `Service`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Metadata.
    pub meta: Meta,
    /// `ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`.
    pub kind: Name,
    /// Pod selector; empty: endpoints are given by slices.
    pub selector: BTreeMap<Name, Name>,
    /// Written cluster IPs; `None` as text means headless. Empty: not written.
    pub cluster_ips: Vec<Name>,
    /// ExternalName target.
    pub external_name: Option<Name>,
    /// Ports.
    pub ports: Vec<ServicePort>,
    /// `publishNotReadyAddresses`.
    pub publish_not_ready: bool,
    /// `internalTrafficPolicy: Local`.
    pub internal_traffic_local: bool,
    /// `trafficDistribution`.
    pub traffic_distribution: Option<Name>,
}

impl Service {
    /// True for `clusterIP: None`.
    pub fn is_headless(&self) -> bool {
        self.cluster_ips.first().is_some_and(|ip| &**ip == "None")
    }
}

/// A port of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// Name, possibly empty.
    pub name: Name,
    /// Port number.
    pub port: u16,
    /// `TCP`, `UDP` or `SCTP`.
    pub transport: Name,
    /// `appProtocol`.
    pub app_protocol: Option<Name>,
    /// Where it goes in the pod.
    pub target: TargetPort,
    /// Where it was written.
    pub origin: Origin,
}

/// `targetPort`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetPort {
    /// Not written: equal to the port.
    Same,
    /// A number.
    Number(u16),
    /// A container port's name.
    Name(Name),
}

/// Deployment, StatefulSet, DaemonSet, ReplicaSet or Pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodTemplateOwner {
    /// Metadata of the owner.
    pub meta: Meta,
    /// `Deployment`, `StatefulSet`, `DaemonSet`, `ReplicaSet`, `Pod`.
    pub kind: Name,
    /// `spec.replicas`; `None`: 1 (a DaemonSet: one per node).
    pub replicas: Option<u32>,
    /// Labels of the pods.
    pub labels: BTreeMap<Name, Name>,
    /// Annotations of the pods.
    pub annotations: BTreeMap<Name, Name>,
    /// The proxy by annotation; see [`ProxySettings`].
    pub proxy: ProxySettings,
    /// Containers' ports.
    pub ports: Vec<ContainerPort>,
    /// `serviceAccountName`, `default` when absent.
    pub service_account: Name,
    /// `hostNetwork`.
    pub host_network: bool,
    /// `nodeName`.
    pub node_name: Option<Name>,
    /// Pod kind only: `status.podIP`.
    pub pod_ip: Option<Name>,
    /// Pod kind only: false when `status.conditions` says Ready is False.
    pub ready: bool,
    /// A container `istio-proxy` is already there (manual injection, output of a cluster).
    pub has_proxy_container: bool,
    /// An `istio-proxy` container started as `router`: a gateway.
    pub is_gateway: bool,
    /// What only analysis asks for.
    pub notes: PodNotes,
    /// How its pods come and go.
    pub lifecycle: crate::xds::snapshot::Lifecycle,
    /// Processor time of a pod, its proxy's left out.
    pub cpu: crate::xds::snapshot::Cpu,
}

/// What of a pod template has no influence on a simulation, and analysis speaks of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodNotes {
    /// Where `runAsUser: 1337`, the proxy's own user, is written for the application.
    pub runs_as_proxy: Option<Origin>,
    /// Where a container `istio-proxy` has the image `auto`.
    pub image_auto: Option<Origin>,
    /// Where each annotation of Istio's stands.
    pub annotations: BTreeMap<Name, Origin>,
}

/// What a pod template's annotations say of its proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProxySettings {
    /// `concurrency` in `proxy.istio.io/config`; 0 means every core.
    pub concurrency: Option<u32>,
    /// `sidecar.istio.io/proxyCPULimit` in whole CPUs, rounded up.
    pub cpu_limit: Option<u32>,
    /// `ISTIO_META_ENABLE_SELF_DISCOVERY` of `proxyMetadata` in `proxy.istio.io/config`.
    pub self_discovery: Option<bool>,
    /// `terminationDrainDuration` in `proxy.istio.io/config`.
    pub termination_drain: Option<SimDuration>,
    /// `EXIT_ON_ZERO_ACTIVE_CONNECTIONS` of `proxyMetadata` in `proxy.istio.io/config`.
    pub exit_on_zero: Option<bool>,
}

/// A container's port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerPort {
    /// Name, possibly empty.
    pub name: Name,
    /// Number.
    pub port: u16,
}

/// EndpointSlice, or Endpoints turned into one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSlice {
    /// Metadata.
    pub meta: Meta,
    /// Service it belongs to.
    pub service: Name,
    /// Ports by name.
    pub ports: Vec<(Name, u16)>,
    /// Addresses.
    pub endpoints: Vec<SliceEndpoint>,
}

/// One address of a slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SliceEndpoint {
    /// IPs.
    pub addresses: Vec<Name>,
    /// `conditions.ready`; unset counts as true.
    pub ready: bool,
    /// `conditions.terminating`.
    pub terminating: Option<bool>,
    /// `nodeName`.
    pub node: Option<Name>,
    /// `zone`.
    pub zone: Option<Name>,
    /// `targetRef` to a Pod.
    pub pod: Option<Name>,
}

/// HorizontalPodAutoscaler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HorizontalPodAutoscaler {
    /// Metadata.
    pub meta: Meta,
    /// Kind and name of the target.
    pub target: (Name, Name),
    /// `minReplicas`.
    pub min_replicas: u32,
    /// `maxReplicas`.
    pub max_replicas: u32,
    /// What it goes by; `None`: nothing that is simulated.
    pub rules: Option<Autoscaler>,
}
