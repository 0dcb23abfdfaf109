//! Everything that was read, ordered and typed.

use std::collections::BTreeMap;

use super::aside::Aside;
use super::istio::{
    AuthorizationPolicy, DestinationRule, EnvoyFilter, Gateway, IstioMeshConfig,
    PeerAuthentication, ProxyConfig, ServiceEntry, Sidecar, VirtualService, WorkloadEntry,
};
use super::k8s::{
    EndpointSlice, HorizontalPodAutoscaler, Namespace, Node, PodTemplateOwner, Service,
};
use crate::units::{Origin, Origins};
use crate::xds::Name;

/// Metadata every object has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Name.
    pub name: Name,
    /// Namespace; empty for cluster-scoped kinds. Objects without one get the default namespace on loading.
    pub namespace: Name,
    /// Labels.
    pub labels: BTreeMap<Name, Name>,
    /// Annotations.
    pub annotations: BTreeMap<Name, Name>,
    /// `creationTimestamp` text; empty when absent. "Oldest first" compares it, then name, then namespace.
    pub created: Name,
    /// Where the object starts.
    pub origin: Origin,
}

impl Meta {
    /// `namespace/name`.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Sort key of "oldest first" (`pilot/pkg/model/config_compare.go`).
    pub fn age_key(&self) -> (&str, &str, &str) {
        (&self.created, &self.name, &self.namespace)
    }
}

/// All objects of the input that take part, each list ordered by (namespace, name).
#[derive(Clone, Debug, Default)]
pub struct MeshConfig {
    /// Resolves every origin.
    pub origins: Origins,
    /// Istio's behaviour switches.
    pub version: IstioVersion,
    /// The `istio` ConfigMap or a MeshConfig file; defaults otherwise.
    pub mesh: IstioMeshConfig,
    /// Namespaces that have an object.
    pub namespaces: Vec<Namespace>,
    /// Nodes.
    pub nodes: Vec<Node>,
    /// Services.
    pub services: Vec<Service>,
    /// Deployments, StatefulSets, DaemonSets, ReplicaSets and Pods.
    pub workloads: Vec<PodTemplateOwner>,
    /// EndpointSlices and Endpoints.
    pub endpoint_slices: Vec<EndpointSlice>,
    /// HorizontalPodAutoscalers (read, not simulated yet).
    pub autoscalers: Vec<HorizontalPodAutoscaler>,
    /// VirtualServices.
    pub virtual_services: Vec<VirtualService>,
    /// DestinationRules.
    pub destination_rules: Vec<DestinationRule>,
    /// Gateways (Istio's kind).
    pub gateways: Vec<Gateway>,
    /// ServiceEntries.
    pub service_entries: Vec<ServiceEntry>,
    /// WorkloadEntries.
    pub workload_entries: Vec<WorkloadEntry>,
    /// Sidecars.
    pub sidecars: Vec<Sidecar>,
    /// ProxyConfigs.
    pub proxy_configs: Vec<ProxyConfig>,
    /// PeerAuthentications.
    pub peer_authentications: Vec<PeerAuthentication>,
    /// AuthorizationPolicies.
    pub authorization_policies: Vec<AuthorizationPolicy>,
    /// EnvoyFilters.
    pub envoy_filters: Vec<EnvoyFilter>,
    /// What takes no part, and analysis asks for.
    pub aside: Aside,
    /// Zones per workload (`namespace/name`) from the Model's `placement`, in order of pods, repeated.
    pub placement: BTreeMap<Name, Vec<Name>>,
    /// Pods beyond those that manifests ask for, per workload (`namespace/name`): what events of a
    /// scenario and autoscalers may start. Endpoints list them, see [`crate::xds::snapshot::Pod::spare`].
    pub spare_pods: BTreeMap<Name, u32>,
}

impl MeshConfig {
    /// Metadata of every object of Kubernetes and Istio that takes part.
    pub fn metas(&self) -> impl Iterator<Item = &Meta> {
        let istio = (self.virtual_services.iter().map(|o| &o.meta))
            .chain(self.destination_rules.iter().map(|o| &o.meta))
            .chain(self.gateways.iter().map(|o| &o.meta))
            .chain(self.service_entries.iter().map(|o| &o.meta))
            .chain(self.workload_entries.iter().map(|o| &o.meta))
            .chain(self.sidecars.iter().map(|o| &o.meta))
            .chain(self.peer_authentications.iter().map(|o| &o.meta))
            .chain(self.authorization_policies.iter().map(|o| &o.meta))
            .chain(self.envoy_filters.iter().map(|o| &o.meta));
        (self.namespaces.iter().map(|o| &o.meta))
            .chain(self.services.iter().map(|o| &o.meta))
            .chain(self.workloads.iter().map(|o| &o.meta))
            .chain(istio)
            .chain(self.aside.secrets.iter().map(|o| &o.meta))
            .chain(self.aside.policies.iter().map(|o| &o.meta))
            .chain(self.aside.gateways.iter().map(|o| &o.meta))
            .chain(self.aside.pods.iter().map(|o| &o.meta))
    }

    /// The autoscaler of a workload.
    pub fn autoscaler(&self, owner: &PodTemplateOwner) -> Option<&HorizontalPodAutoscaler> {
        self.autoscalers.iter().find(|scaler| {
            let (kind, name) = &scaler.target;
            (&*scaler.meta.namespace, &**kind, &**name)
                == (&*owner.meta.namespace, &*owner.kind, &*owner.meta.name)
        })
    }

    /// Pods of a workload: what it says, or 1, within the bounds of its autoscaler.
    pub fn replicas(&self, owner: &PodTemplateOwner) -> u32 {
        let written = owner.replicas.unwrap_or(1);
        self.autoscaler(owner).map_or(written, |s| {
            let most = s.max_replicas.max(s.min_replicas);
            written.max(s.min_replicas).min(most)
        })
    }
}

/// An Istio minor release; decides behaviour switches (`istio-config.md` §0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IstioVersion {
    /// 1.
    pub major: u16,
    /// 30.
    pub minor: u16,
}

impl Default for IstioVersion {
    /// The newest release of the reference: 1.30.
    fn default() -> Self {
        Self {
            major: 1,
            minor: 30,
        }
    }
}

impl IstioVersion {
    /// Oldest release whose switches are known.
    pub const OLDEST: Self = Self {
        major: 1,
        minor: 20,
    };
    /// Newest development head whose switches are known.
    pub const NEWEST: Self = Self {
        major: 1,
        minor: 32,
    };

    /// True from release 1.`minor` on.
    pub const fn at_least(self, minor: u16) -> bool {
        self.major > 1 || (self.major == 1 && self.minor >= minor)
    }

    /// Reads `1.24` or `1.24.3` (the patch level is dropped).
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = text.trim().trim_start_matches('v').split('.');
        let number = |part: Option<&str>| {
            part.and_then(|p| p.split('-').next())
                .and_then(|p| p.parse::<u16>().ok())
        };
        match (number(parts.next()), number(parts.next())) {
            (Some(major), Some(minor)) => {
                let version = Self { major, minor };
                if version < Self::OLDEST || version > Self::NEWEST {
                    return Err(format!(
                        "Istio `{text}` is not known here; use {} to {}",
                        Self::OLDEST,
                        Self::NEWEST
                    ));
                }
                Ok(version)
            }
            _ => Err(format!(
                "`{text}` is not an Istio version; write for example `1.30`"
            )),
        }
    }
}

impl std::fmt::Display for IstioVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}
