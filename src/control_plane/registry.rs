//! Services and ServiceEntries as one model (`pilot/pkg/model/service.go`,
//! `serviceregistry/kube/conversion.go`, `serviceregistry/serviceentry/conversion.go`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::address::Addresses;
use super::domains::Domains;
use super::endpoint::{self, Binding};
use super::fleet::Fleet;
use super::mtls::Authentication;
use super::visibility::Visibility;
use crate::config::istio::{Resolution, ServiceEntry};
use crate::config::k8s;
use crate::config::{MeshConfig, Meta};
use crate::units::Origin;
use crate::xds::snapshot::{Protocol, ServicePort};
use crate::xds::{Endpoint, Health, Name, Service};

/// How endpoints of a service are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Discovery {
    /// The control plane knows them.
    Eds,
    /// Headless, or `resolution: NONE`: the client picks the address.
    Passthrough,
    /// All addresses of DNS names.
    Dns,
    /// The newest address of one DNS name.
    DnsRoundRobin,
    /// ExternalName: no cluster of its own.
    Alias,
}

/// Forced locality failover of `trafficDistribution`.
pub(super) type ForcedFailover = &'static [&'static str];

/// A service as istiod models it.
#[derive(Debug)]
pub(super) struct ServiceModel {
    pub(super) host: Name,
    pub(super) namespace: Name,
    pub(super) age: (Name, Name, Name),
    /// A Kubernetes Service, not a ServiceEntry.
    pub(super) kube: bool,
    pub(super) discovery: Discovery,
    pub(super) external: bool,
    /// IPs, or CIDRs of a ServiceEntry; empty means 0.0.0.0.
    pub(super) addresses: Vec<Name>,
    pub(super) ports: Vec<PortModel>,
    pub(super) export_to: Visibility,
    /// ExternalName target as written.
    pub(super) alias_of: Option<Name>,
    /// Hosts of ExternalName services that end here, in name order.
    pub(super) aliases: Vec<Name>,
    pub(super) forced_failover: Option<ForcedFailover>,
    pub(super) domains: Domains,
    pub(super) origin: Origin,
}

/// A port of a service.
#[derive(Clone, Debug)]
pub(super) struct PortModel {
    pub(super) port: u16,
    pub(super) name: Name,
    pub(super) protocol: Protocol,
    /// Members, healthy or not.
    pub(super) endpoints: Arc<[Endpoint]>,
}

impl ServiceModel {
    /// The port of that number.
    pub(super) fn port(&self, number: u16) -> Option<&PortModel> {
        self.ports.iter().find(|p| p.port == number)
    }

    /// Headless, as Kubernetes writes it.
    pub(super) fn is_headless(&self) -> bool {
        self.kube && self.discovery == Discovery::Passthrough
    }
}

/// A service before its index is known.
struct Draft<'a> {
    model: ServiceModel,
    bindings: Vec<Binding>,
    /// The ServiceEntry it comes from; `None` for a Kubernetes Service.
    entry: Option<&'a ServiceEntry>,
}

/// All services, ordered by (host, namespace), and how to find them.
#[derive(Debug, Default)]
pub(super) struct Registry {
    pub(super) services: Vec<ServiceModel>,
    // Looked up, never iterated.
    by_host: HashMap<Name, Vec<usize>>,
    /// Pod ports that are behind a service port, ordered by workload.
    pub(super) bindings: Vec<Binding>,
    pub(super) assumed: Vec<String>,
}

impl Registry {
    /// Converts Services and ServiceEntries.
    pub(super) fn new(config: &MeshConfig, fleet: &Fleet, authn: &Authentication<'_>) -> Self {
        let mut registry = Self::default();
        let mut addresses = Addresses::default();
        fleet.pods.iter().for_each(|p| addresses.reserve(&p.ip));
        for ip in config.services.iter().flat_map(|s| &s.cluster_ips) {
            addresses.reserve(ip);
        }
        let slices = endpoint::slices_by_service(config);
        let mut derived = 0_usize;
        let mut waiting: Vec<&str> = Vec::new();
        let mut drafts: Vec<Draft<'_>> = Vec::new();
        for service in &config.services {
            let (ports, bindings) = endpoint::kube_ports(config, fleet, authn, service, &slices);
            if endpoint::waits_for_pods(fleet, service, &slices, &ports) {
                waiting.push(&service.meta.name);
            }
            let mut model = kube_service(config, service, ports);
            let discovered = model.discovery == Discovery::Eds;
            if discovered && model.addresses.is_empty() {
                derived += 1;
                let meta = &service.meta;
                model
                    .addresses
                    .push(addresses.service(&meta.namespace, &meta.name));
            }
            drafts.push(Draft {
                model,
                bindings,
                entry: None,
            });
        }
        let mut entries: Vec<&ServiceEntry> = config.service_entries.iter().collect();
        entries.sort_by(|a, b| a.meta.age_key().cmp(&b.meta.age_key()));
        for entry in entries {
            for host in &entry.hosts {
                let (ports, bindings) = endpoint::entry_ports(config, fleet, authn, entry, host);
                let new = Draft {
                    model: service_entry(config, entry, host, ports),
                    bindings,
                    entry: Some(entry),
                };
                merge_entry(config, &mut drafts, new);
            }
        }
        drafts.sort_by(|a, b| {
            let (a, b) = (&a.model, &b.model);
            (&a.host, &a.namespace, &a.age).cmp(&(&b.host, &b.namespace, &b.age))
        });
        for (index, draft) in drafts.into_iter().enumerate() {
            let service = draft.model;
            let bound = draft.bindings.into_iter().map(|b| Binding {
                service: index,
                ..b
            });
            registry.bindings.extend(bound);
            registry
                .by_host
                .entry(service.host.clone())
                .or_default()
                .push(index);
            registry.services.push(service);
        }
        let local: Vec<&str> = (config.services.iter())
            .filter(|s| s.internal_traffic_local)
            .map(|s| &*s.meta.name)
            .collect();
        if !local.is_empty() {
            registry.assumed.push(format!(
                "`internalTrafficPolicy: Local` of {} is ignored: every node's pods are used",
                local.join(", ")
            ));
        }
        if !waiting.is_empty() {
            registry.assumed.push(format!(
                "endpoints of {} name pods that are not here, and are held back until they are",
                waiting.join(", ")
            ));
        }
        registry.bindings.sort_by_key(|b| b.workload);
        registry.find_aliases();
        if derived > 0 {
            registry.assumed.push(match derived {
                1 => "the cluster IP of 1 Service derives from its name".to_owned(),
                n => format!("the cluster IPs of {n} Services derive from their names"),
            });
        }
        registry
    }

    /// Services of that host, one per namespace, in namespace order.
    pub(super) fn of_host(&self, host: &str) -> &[usize] {
        self.by_host.get(host).map_or(&[], Vec::as_slice)
    }

    /// The service of that host a proxy in `namespace` gets: its own, else a Kubernetes
    /// Service, else the oldest (`pilot/pkg/model/sidecar.go`).
    pub(super) fn visible(&self, host: &str, namespace: &str) -> Option<usize> {
        let candidates = self.of_host(host).iter().copied();
        let seen = candidates.filter(|i| self.services[*i].export_to.includes(namespace));
        seen.min_by_key(|i| {
            let s = &self.services[*i];
            let public = s.export_to == Visibility::Public;
            (*s.namespace != *namespace, !s.kube, public, &s.age)
        })
    }

    /// The service a VirtualService's destination brings into scope when the namespace has none
    /// of that host: the first namespace by alphabet up to 1.29, then the best (`sidecar.go`,
    /// pickFirstVisibleNamespace, pickBestVisibleNamespace).
    pub(super) fn of_destination(
        &self,
        host: &str,
        namespace: &str,
        pick_best: bool,
    ) -> Option<usize> {
        if pick_best {
            return self.visible(host, namespace);
        }
        let candidates = self.of_host(host).iter().copied();
        // The list is in namespace order.
        let mut seen = candidates.filter(|i| self.services[*i].export_to.includes(namespace));
        seen.next()
    }

    /// Follows ExternalName chains to a service that is not an alias; `None` for loops and strangers.
    pub(super) fn concrete(&self, alias: usize) -> Option<usize> {
        let mut at = alias;
        for _ in 0..=self.services.len() {
            let Some(target) = &self.services[at].alias_of else {
                return Some(at);
            };
            at = *self.of_host(target).first()?;
        }
        None
    }

    fn find_aliases(&mut self) {
        for index in 0..self.services.len() {
            if self.services[index].alias_of.is_none() {
                continue;
            }
            if let Some(target) = self.concrete(index) {
                let host = self.services[index].host.clone();
                self.services[target].aliases.push(host);
            }
        }
    }

    /// The services as Kubernetes alone would route to them.
    pub(super) fn snapshot_services(&self) -> impl Iterator<Item = Service> + '_ {
        self.services.iter().map(|s| Service {
            host: s.host.clone(),
            namespace: s.namespace.clone(),
            addresses: s.addresses.clone(),
            headless: s.is_headless(),
            alias_of: s.alias_of.clone(),
            external: s.external,
            ports: (s.ports.iter())
                .map(|p| ServicePort {
                    port: p.port,
                    name: p.name.clone(),
                    protocol: p.protocol,
                    endpoints: (p.endpoints.iter())
                        .filter(|e| e.health == Health::Healthy)
                        .cloned()
                        .collect(),
                })
                .collect(),
            origin: s.origin,
        })
    }
}

fn kube_service(
    config: &MeshConfig,
    service: &k8s::Service,
    ports: Vec<PortModel>,
) -> ServiceModel {
    let meta = &service.meta;
    let mesh = &config.mesh;
    let discovery = if &*service.kind == "ExternalName" {
        Discovery::Alias
    } else if service.is_headless() {
        Discovery::Passthrough
    } else {
        Discovery::Eds
    };
    let annotation: Vec<Name> = (meta
        .annotations
        .get("networking.istio.io/exportTo")
        .into_iter())
    .flat_map(|t| t.split(','))
    .map(|t| t.trim().into())
    .collect();
    let host: Name = format!("{}.{}.svc.{}", meta.name, meta.namespace, mesh.domain)
        .to_lowercase()
        .into();
    ServiceModel {
        domains: Domains::new(&host, config),
        namespace: meta.namespace.clone(),
        age: (
            meta.created.clone(),
            meta.name.clone(),
            meta.namespace.clone(),
        ),
        kube: true,
        discovery,
        external: false,
        addresses: (service.cluster_ips.iter())
            .filter(|ip| &***ip != "None" && !ip.is_empty())
            .cloned()
            .collect(),
        ports,
        export_to: Visibility::of(
            &annotation,
            &mesh.default_service_export_to,
            &meta.namespace,
        ),
        alias_of: (service.external_name.clone()).filter(|_| discovery == Discovery::Alias),
        aliases: Vec::new(),
        forced_failover: forced_failover(config, service.traffic_distribution.as_ref(), meta),
        origin: meta.origin,
        host,
    }
}

/// `trafficDistribution` as failover labels (`pilot/pkg/model/service.go`, GetTrafficDistribution).
fn forced_failover(
    config: &MeshConfig,
    written: Option<&Name>,
    meta: &Meta,
) -> Option<ForcedFailover> {
    let annotation = |annotations: &BTreeMap<Name, Name>| {
        let text = annotations.get("networking.istio.io/traffic-distribution");
        text.filter(|t| !t.is_empty()).cloned()
    };
    let of_namespace = || {
        let name = &meta.namespace;
        let namespace = config.namespaces.iter().find(|n| n.meta.name == *name);
        (namespace.filter(|_| config.version.at_least(30)))
            .and_then(|n| annotation(&n.meta.annotations))
    };
    let word = (written.cloned())
        .or_else(|| annotation(&meta.annotations))
        .or_else(of_namespace)?;
    match word.to_ascii_lowercase().as_str() {
        "preferclose" | "prefersamezone" if config.version.at_least(27) => Some(&PREFER_ZONE),
        "preferclose" if config.version.at_least(25) => Some(&PREFER_CLOSE_OLD),
        "prefersamenode" if config.version.at_least(27) => Some(&PREFER_NODE),
        _ => None,
    }
}

const PREFER_ZONE: [&str; 3] = [
    super::defaults::NETWORK_LABEL,
    super::defaults::REGION_LABEL,
    super::defaults::ZONE_LABEL,
];
const PREFER_CLOSE_OLD: [&str; 4] = [
    super::defaults::NETWORK_LABEL,
    super::defaults::REGION_LABEL,
    super::defaults::ZONE_LABEL,
    super::defaults::SUBZONE_LABEL,
];
const PREFER_NODE: [&str; 5] = [
    super::defaults::NETWORK_LABEL,
    super::defaults::REGION_LABEL,
    super::defaults::ZONE_LABEL,
    super::defaults::SUBZONE_LABEL,
    super::defaults::HOSTNAME_LABEL,
];

fn service_entry(
    config: &MeshConfig,
    entry: &ServiceEntry,
    host: &Name,
    ports: Vec<PortModel>,
) -> ServiceModel {
    let meta = &entry.meta;
    let host: Name = host.to_lowercase().into();
    ServiceModel {
        domains: Domains::new(&host, config),
        namespace: meta.namespace.clone(),
        age: (
            meta.created.clone(),
            meta.name.clone(),
            meta.namespace.clone(),
        ),
        kube: false,
        discovery: match entry.resolution {
            Resolution::Static => Discovery::Eds,
            Resolution::None => Discovery::Passthrough,
            Resolution::Dns | Resolution::DynamicDns => Discovery::Dns,
            Resolution::DnsRoundRobin => Discovery::DnsRoundRobin,
        },
        external: !entry.mesh_internal,
        addresses: entry.addresses.clone(),
        ports,
        export_to: Visibility::of(
            &entry.export_to,
            &config.mesh.default_service_export_to,
            &meta.namespace,
        ),
        alias_of: None,
        aliases: Vec::new(),
        forced_failover: forced_failover(config, None, meta),
        origin: meta.origin,
        host,
    }
}

/// Inside one namespace a Kubernetes Service beats a ServiceEntry of its host, and the ports of
/// several ServiceEntries of a host unite (`pilot/pkg/model/sidecar.go`, appendSidecarServices).
fn merge_entry<'a>(config: &MeshConfig, drafts: &mut Vec<Draft<'a>>, new: Draft<'a>) {
    let same = (drafts.iter_mut())
        .find(|d| d.model.host == new.model.host && d.model.namespace == new.model.namespace);
    let Some(old) = same else {
        drafts.push(new);
        return;
    };
    let (Some(a), Some(b)) = (old.entry, new.entry) else {
        return;
    };
    let equal = a.resolution == b.resolution
        && a.meta.labels == b.meta.labels
        && a.workload_selector == b.workload_selector
        && old.model.export_to == new.model.export_to;
    // Up to 1.21 whatever had the same host united.
    if !equal && config.version.at_least(22) {
        return;
    }
    let taken: BTreeSet<u16> = old.model.ports.iter().map(|p| p.port).collect();
    let fresh = |port: u16| !taken.contains(&port);
    let ports = new.model.ports.into_iter().filter(|p| fresh(p.port));
    old.model.ports.extend(ports);
    let bindings = new.bindings.into_iter().filter(|b| fresh(b.port));
    old.bindings.extend(bindings);
}
