//! What is called and has no pod template: WorkloadEntries, ServiceEntry endpoints, slice addresses.
//!
//! Each becomes a workload of its own, so that something can answer in a simulation.

use std::collections::{BTreeMap, BTreeSet};

use super::defaults::TLS_MODE_LABEL;
use super::fleet::{Draft, DraftPod, label_locality};
use crate::config::MeshConfig;
use crate::config::istio::{EndpointSpec, ServiceEntry};
use crate::xds::snapshot::{Cpu, Lifecycle};
use crate::xds::{Locality, Name, ProxyKind};

/// Adds a draft per WorkloadEntry, ServiceEntry with own members, and slice of unknown addresses.
pub(super) fn add_drafts(config: &MeshConfig, drafts: &mut Vec<Draft>) {
    let known: BTreeSet<Name> = (drafts.iter().flat_map(|d| &d.pods))
        .filter_map(|p| p.ip.clone())
        .collect();
    let mut names: BTreeSet<(Name, Name)> = (drafts.iter())
        .map(|d| (d.namespace.clone(), d.name.clone()))
        .collect();
    let mut push = |mut draft: Draft| {
        if draft.pods.is_empty() {
            return;
        }
        while !names.insert((draft.namespace.clone(), draft.name.clone())) {
            draft.name = format!("{}-external", draft.name).into();
        }
        drafts.push(draft);
    };
    for entry in &config.workload_entries {
        push(workload_entry_draft(config, entry));
    }
    for entry in &config.service_entries {
        push(service_entry_draft(config, entry, &known));
    }
    for slice in &config.endpoint_slices {
        let mut pods: Vec<DraftPod> = Vec::new();
        for endpoint in slice.endpoints.iter().filter(|e| e.pod.is_none()) {
            for address in endpoint.addresses.iter().filter(|a| !known.contains(*a)) {
                let locality = Locality {
                    zone: endpoint.zone.clone().unwrap_or_else(|| "".into()),
                    ..Locality::default()
                };
                pods.push(outside_pod(&slice.service, pods.len(), address, locality));
            }
        }
        push(Draft {
            pods,
            ..bare_draft(&slice.meta.namespace, &slice.service, slice.meta.origin)
        });
    }
}

fn bare_draft(namespace: &Name, name: &Name, origin: crate::units::Origin) -> Draft {
    Draft {
        namespace: namespace.clone(),
        name: name.clone(),
        kind: "External".into(),
        proxy: ProxyKind::None,
        concurrency: None,
        labels: BTreeMap::new(),
        service_account: "".into(),
        lifecycle: Lifecycle::default(),
        cpu: Cpu::default(),
        autoscaler: None,
        named_ports: BTreeMap::new(),
        container_ports: Vec::new(),
        pods: Vec::new(),
        origin,
    }
}

fn outside_pod(name: &str, ordinal: usize, address: &Name, locality: Locality) -> DraftPod {
    DraftPod {
        name: format!("{name}-{ordinal}"),
        ip: Some(address.clone()),
        node: None,
        locality: Some(locality),
        ready: true,
        outside: true,
        spare: false,
    }
}

fn workload_entry_draft(config: &MeshConfig, entry: &crate::config::istio::WorkloadEntry) -> Draft {
    let mut labels = entry.endpoint.labels.clone();
    labels.extend(entry.meta.labels.clone());
    add_tls_mode(&mut labels, &entry.endpoint);
    let in_mesh = labels.get(TLS_MODE_LABEL).is_some_and(|m| &**m == "istio");
    let locality = endpoint_locality(config, &entry.endpoint, &labels);
    let mut pod = outside_pod(&entry.meta.name, 0, &entry.endpoint.address, locality);
    pod.name = entry.meta.name.to_string();
    Draft {
        kind: "WorkloadEntry".into(),
        // A virtual machine with the mesh's certificates runs the mesh's proxy.
        proxy: if in_mesh {
            ProxyKind::Sidecar
        } else {
            ProxyKind::None
        },
        labels,
        service_account: entry.endpoint.service_account.clone(),
        lifecycle: Lifecycle::default(),
        cpu: Cpu::default(),
        autoscaler: None,
        named_ports: entry.endpoint.ports.clone(),
        pods: vec![pod],
        ..bare_draft(&entry.meta.namespace, &entry.meta.name, entry.meta.origin)
    }
}

fn service_entry_draft(config: &MeshConfig, entry: &ServiceEntry, known: &BTreeSet<Name>) -> Draft {
    let mut pods: Vec<DraftPod> = Vec::new();
    let mut seen = BTreeSet::new();
    for endpoint in &entry.endpoints {
        let address = &endpoint.address;
        if known.contains(address) || !seen.insert(address) {
            continue;
        }
        let locality = endpoint_locality(config, endpoint, &endpoint.labels);
        pods.push(outside_pod(&entry.meta.name, pods.len(), address, locality));
    }
    if entry.endpoints.is_empty() && entry.workload_selector.is_none() {
        for host in &entry.hosts {
            pods.push(outside_pod(
                &entry.meta.name,
                pods.len(),
                host,
                Locality::default(),
            ));
        }
    }
    Draft {
        pods,
        ..bare_draft(&entry.meta.namespace, &entry.meta.name, entry.meta.origin)
    }
}

/// Locality of a written endpoint: its field, else its label.
pub(super) fn endpoint_locality(
    config: &MeshConfig,
    endpoint: &EndpointSpec,
    labels: &BTreeMap<Name, Name>,
) -> Locality {
    if endpoint.locality.is_empty() {
        label_locality(labels, config.version.at_least(29)).unwrap_or_default()
    } else {
        Locality::parse(&endpoint.locality)
    }
}

/// A service account makes an endpoint a mesh member unless a label says otherwise.
pub(super) fn add_tls_mode(labels: &mut BTreeMap<Name, Name>, endpoint: &EndpointSpec) {
    if !endpoint.service_account.is_empty() {
        labels
            .entry(TLS_MODE_LABEL.into())
            .or_insert_with(|| "istio".into());
    }
}
