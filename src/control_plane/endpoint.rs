//! Endpoints of service ports: what Kubernetes would put in EndpointSlices, and what ServiceEntries list.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use super::defaults::TLS_MODE_LABEL;
use super::external::{add_tls_mode, endpoint_locality};
use super::fleet::{Fleet, Labels, endpoint_labels};
use super::mtls::Authentication;
use super::protocol;
use super::registry::PortModel;
use crate::config::MeshConfig;
use crate::config::istio::{EndpointSpec, PortSpec, Resolution, ServiceEntry};
use crate::config::k8s::{EndpointSlice, Service, ServicePort, SliceEndpoint, TargetPort};
use crate::xds::listener::MtlsMode;
use crate::xds::snapshot::Protocol;
use crate::xds::{Endpoint, Health, Name, PodId, WorkloadId};

/// A pod port that a service port targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Binding {
    pub(super) workload: WorkloadId,
    /// Index of the service in the registry.
    pub(super) service: usize,
    /// Service port.
    pub(super) port: u16,
    /// Port of the pods.
    pub(super) target: u16,
}

/// Slices by (namespace, service), each list in the order of the input; looked up only.
pub(super) type Slices<'a> = HashMap<(&'a str, &'a str), Vec<&'a EndpointSlice>>;

/// Indexes the slices.
pub(super) fn slices_by_service(config: &MeshConfig) -> Slices<'_> {
    let mut slices = Slices::new();
    for slice in &config.endpoint_slices {
        let key = (&*slice.meta.namespace, &*slice.service);
        slices.entry(key).or_default().push(slice);
    }
    slices
}

/// Ports of a Kubernetes Service with their members.
pub(super) fn kube_ports(
    config: &MeshConfig,
    fleet: &Fleet,
    authn: &Authentication<'_>,
    service: &Service,
    slices: &Slices<'_>,
) -> (Vec<PortModel>, Vec<Binding>) {
    let namespace = &service.meta.namespace;
    let workloads = if service.selector.is_empty() || &*service.kind == "ExternalName" {
        Vec::new()
    } else {
        fleet.select(namespace, &service.selector)
    };
    let slices = slices.get(&(&**namespace, &*service.meta.name));
    let mut bindings = Vec::new();
    let mut ports = Vec::new();
    for port in &service.ports {
        let mut endpoints = Vec::new();
        for id in &workloads {
            let Some(target) = target_port(fleet, *id, port) else {
                continue;
            };
            bindings.push(Binding {
                workload: *id,
                service: 0,
                port: port.port,
                target,
            });
            add_pods(
                &mut endpoints,
                fleet,
                authn,
                *id,
                target,
                service.publish_not_ready,
            );
        }
        // Slices of a live cluster repeat the pods; they count where no pod template is known.
        if workloads.is_empty() {
            for slice in slices.into_iter().flatten() {
                add_slice(&mut endpoints, config, fleet, authn, slice, port);
            }
        }
        ports.push(PortModel {
            port: port.port,
            name: port.name.clone(),
            protocol: protocol::of_service_port(port),
            endpoints: endpoints.into(),
        });
    }
    (ports, bindings)
}

/// The pod port behind a service port; a name is looked up in that pod, and may be missing there.
fn target_port(fleet: &Fleet, workload: WorkloadId, port: &ServicePort) -> Option<u16> {
    match &port.target {
        TargetPort::Same => Some(port.port),
        TargetPort::Number(number) => Some(*number),
        TargetPort::Name(name) => fleet.named_ports[workload.index()].get(name).copied(),
    }
}

fn add_pods(
    endpoints: &mut Vec<Endpoint>,
    fleet: &Fleet,
    authn: &Authentication<'_>,
    id: WorkloadId,
    target: u16,
    publish_not_ready: bool,
) {
    let workload = &fleet.workloads[id];
    let accepts_mtls =
        authn.mode(&workload.namespace, &workload.labels, target) != MtlsMode::Disable;
    for pod_id in &workload.pods {
        let pod = &fleet.pods[*pod_id];
        let labels = &fleet.pod_labels[pod_id.index()];
        endpoints.push(Endpoint {
            address: pod.ip.clone(),
            port: target,
            pod: Some(*pod_id),
            weight: 1,
            health: if pod.ready || publish_not_ready {
                Health::Healthy
            } else {
                Health::Unhealthy
            },
            locality: pod.locality.clone(),
            mtls: accepts_mtls && has_sidecar(labels),
            labels: labels.clone(),
        });
    }
}

/// True for endpoints that auto mTLS takes for mesh members.
pub(super) fn has_sidecar(labels: &BTreeMap<Name, Name>) -> bool {
    labels.get(TLS_MODE_LABEL).is_some_and(|m| &**m == "istio")
}

fn add_slice(
    endpoints: &mut Vec<Endpoint>,
    config: &MeshConfig,
    fleet: &Fleet,
    authn: &Authentication<'_>,
    slice: &EndpointSlice,
    port: &ServicePort,
) {
    // Istio joins slices to services by the port's name, whatever its number.
    let Some((_, target)) = slice.ports.iter().find(|(name, _)| *name == port.name) else {
        return;
    };
    for endpoint in &slice.endpoints {
        // An unset `terminating` counts as true from 1.25 on.
        let terminating = endpoint.terminating.unwrap_or(config.version.at_least(25));
        if (!endpoint.ready && terminating) || is_held_back(fleet, endpoint) {
            continue;
        }
        for address in &endpoint.addresses {
            if address.parse::<IpAddr>().is_err() {
                continue;
            }
            let pod = fleet.pod_at(address);
            let mut locality =
                pod.map_or_else(Default::default, |p| fleet.pods[p].locality.clone());
            if let Some(zone) = endpoint.zone.as_ref().filter(|_| locality.zone.is_empty()) {
                locality.zone = zone.clone();
            }
            endpoints.push(Endpoint {
                address: address.clone(),
                port: *target,
                pod,
                weight: 1,
                health: if endpoint.ready {
                    Health::Healthy
                } else {
                    Health::Unhealthy
                },
                mtls: pod.is_some_and(|p| pod_accepts_mtls(fleet, authn, p, *target)),
                labels: pod_labels(fleet, pod),
                locality,
            });
        }
    }
}

/// An address of a pod nobody has seen yet waits for the pod (`serviceregistry/kube/controller`).
fn is_held_back(fleet: &Fleet, endpoint: &SliceEndpoint) -> bool {
    let unknown = |address: &Name| fleet.pod_at(address).is_none();
    endpoint.pod.is_some() && endpoint.addresses.iter().all(unknown)
}

/// True for a Service whose only members are addresses that are held back.
pub(super) fn waits_for_pods(
    fleet: &Fleet,
    service: &Service,
    slices: &Slices<'_>,
    ports: &[PortModel],
) -> bool {
    let key = (&*service.meta.namespace, &*service.meta.name);
    let mut endpoints = (slices.get(&key).into_iter().flatten()).flat_map(|s| &s.endpoints);
    ports.iter().all(|p| p.endpoints.is_empty()) && endpoints.any(|e| is_held_back(fleet, e))
}

fn pod_labels(fleet: &Fleet, pod: Option<PodId>) -> Labels {
    pod.map_or_else(Labels::default, |p| fleet.pod_labels[p.index()].clone())
}

fn pod_accepts_mtls(fleet: &Fleet, authn: &Authentication<'_>, pod: PodId, port: u16) -> bool {
    let workload = &fleet.workloads[fleet.pods[pod].workload];
    has_sidecar(&workload.labels)
        && authn.mode(&workload.namespace, &workload.labels, port) != MtlsMode::Disable
}

/// Ports of one host of a ServiceEntry with their members.
pub(super) fn entry_ports(
    config: &MeshConfig,
    fleet: &Fleet,
    authn: &Authentication<'_>,
    entry: &ServiceEntry,
    host: &Name,
) -> (Vec<PortModel>, Vec<Binding>) {
    let mut bindings = Vec::new();
    let mut ports = Vec::new();
    let workloads = (entry.workload_selector.as_ref())
        .map_or_else(Vec::new, |s| fleet.select(&entry.meta.namespace, s));
    for port in &entry.ports {
        let default_target = if port.target_port == 0 {
            port.number
        } else {
            port.target_port
        };
        let mut endpoints = Vec::new();
        for spec in &entry.endpoints {
            endpoints.extend(written_endpoint(config, fleet, authn, entry, spec, port));
        }
        for id in &workloads {
            let named = fleet.named_ports[id.index()].get(&port.name);
            let target = named.copied().unwrap_or(default_target);
            bindings.push(Binding {
                workload: *id,
                service: 0,
                port: port.number,
                target,
            });
            add_pods(&mut endpoints, fleet, authn, *id, target, false);
        }
        if entry.endpoints.is_empty() && entry.workload_selector.is_none() {
            endpoints.push(host_endpoint(fleet, host, default_target));
        }
        if entry.resolution == Resolution::DnsRoundRobin {
            endpoints.truncate(1);
        }
        ports.push(PortModel {
            port: port.number,
            name: port.name.clone(),
            protocol: protocol::parse(&port.protocol),
            endpoints: endpoints.into(),
        });
    }
    (ports, bindings)
}

/// A DNS cluster without endpoints resolves its own host; so does whoever calls a NONE entry.
fn host_endpoint(fleet: &Fleet, host: &Name, port: u16) -> Endpoint {
    Endpoint {
        address: host.clone(),
        port,
        pod: fleet.pod_at(host),
        weight: 1,
        health: Health::Healthy,
        locality: crate::xds::Locality::default(),
        mtls: false,
        labels: Arc::default(),
    }
}

fn written_endpoint(
    config: &MeshConfig,
    fleet: &Fleet,
    authn: &Authentication<'_>,
    entry: &ServiceEntry,
    spec: &EndpointSpec,
    port: &PortSpec,
) -> Option<Endpoint> {
    let is_name = spec.address.parse::<IpAddr>().is_err();
    if entry.resolution == Resolution::Static && is_name {
        return None;
    }
    let written = spec.ports.get(&port.name).copied();
    let target = written.unwrap_or(if port.target_port == 0 {
        port.number
    } else {
        port.target_port
    });
    let mut labels = spec.labels.clone();
    add_tls_mode(&mut labels, spec);
    let locality = endpoint_locality(config, spec, &labels);
    let mode = authn.mode(&entry.meta.namespace, &labels, target);
    Some(Endpoint {
        address: spec.address.clone(),
        port: target,
        pod: fleet.pod_at(&spec.address),
        weight: spec.weight.max(1),
        health: Health::Healthy,
        mtls: has_sidecar(&labels) && mode != MtlsMode::Disable,
        labels: Arc::new(endpoint_labels(&labels, &locality, &"".into())),
        locality,
    })
}

/// True for ports Istio ignores.
pub(super) const fn is_ignored(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Udp)
}
