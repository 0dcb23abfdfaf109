//! The cluster of their own that proxies have when self-discovery is on (1.31+).
//!
//! It is part of the bootstrap (`tools/packaging/common/envoy_bootstrap.json`), so a variable of
//! the proxy switches it on; its members come from istiod (`xds/endpoints/endpoint_builder.go`):
//! the pods of the same workload behind the workload's first Service.

use std::collections::BTreeMap;

use super::concurrency::{is_selected, oldest};
use super::push_context::PushContext;
use crate::config::MeshConfig;
use crate::config::k8s::PodTemplateOwner;
use crate::config::selector::is_everything;
use crate::units::Fraction;
use crate::xds::cluster::ZoneAware;
use crate::xds::endpoint::LocalityKind;
use crate::xds::snapshot::LocalCluster;
use crate::xds::{Name, ProxyKind, ProxyTables, Snapshot, WorkloadId};

/// The clusters, by workload.
pub(super) fn local_clusters(push: &PushContext<'_>) -> BTreeMap<WorkloadId, LocalCluster> {
    let mut clusters = BTreeMap::new();
    if !push.at_least(31) {
        return clusters;
    }
    let on: BTreeMap<(&str, &str), bool> = (push.config.workloads.iter())
        .map(|owner| {
            let key = (&*owner.meta.namespace, &*owner.meta.name);
            (key, is_on(push.config, owner))
        })
        .collect();
    for (id, workload) in push.fleet.workloads.iter_ids() {
        let key = (&*workload.namespace, &*workload.name);
        if workload.proxy == ProxyKind::None || on.get(&key) != Some(&true) {
            continue;
        }
        let services = &push.registry.services;
        let bound = push.registry.bindings.iter().filter(|b| b.workload == id);
        let first = bound.min_by_key(|b| &services[b.service].age);
        let cluster = LocalCluster {
            pods: first.map_or_else(Vec::new, |_| workload.pods.clone()),
            port: first.map_or(0, |b| b.target),
        };
        clusters.insert(id, cluster);
    }
    clusters
}

/// The nearest word counts, as with the number of worker threads.
fn is_on(config: &MeshConfig, owner: &PodTemplateOwner) -> bool {
    let namespace = &owner.meta.namespace;
    let all = &config.proxy_configs;
    let of = |ns: &Name, selected: bool| {
        let fits = |c: &crate::config::istio::ProxyConfig| {
            if selected {
                is_selected(c, &owner.labels)
            } else {
                is_everything(c.selector.as_ref())
            }
        };
        oldest(all, ns, fits, |c| c.self_discovery)
    };
    of(namespace, true)
        .or(owner.proxy.self_discovery)
        .or_else(|| of(namespace, false))
        .or_else(|| of(&config.mesh.root_namespace, false))
        .or(config.mesh.self_discovery)
        .unwrap_or(false)
}

/// Zone-aware routing that was asked for where no proxy can do it: a sentence for each table,
/// and one for those whose own cluster is empty.
pub(super) fn without_local_cluster(snapshot: &Snapshot) -> Vec<String> {
    let mut said = Vec::new();
    let alone = snapshot
        .local_clusters
        .iter()
        .filter(|(_, c)| c.pods.is_empty());
    let alone: Vec<String> = alone
        .map(|(w, _)| snapshot.workloads[*w].full_name())
        .collect();
    if !alone.is_empty() {
        said.push(format!(
            "no zone-aware routing for {}: no Service selects these pods, so their proxies do not know each other",
            alone.join(", ")
        ));
    }
    for (id, tables) in snapshot.tables.iter_ids() {
        let clusters = asked_for(snapshot, tables);
        let users = snapshot
            .workloads
            .iter_ids()
            .filter(|(_, w)| w.tables == Some(id));
        let missing: Vec<String> = users
            .filter(|(w, _)| !snapshot.local_clusters.contains_key(w))
            .map(|(_, w)| w.full_name())
            .collect();
        if clusters.is_empty() || missing.is_empty() {
            continue;
        }
        said.push(format!(
            "zone-aware routing of {} does nothing for {}: its proxies have no cluster of their own; Istio 1.31 gives them one with `ISTIO_META_ENABLE_SELF_DISCOVERY: \"true\"` in `meshConfig.defaultConfig.proxyMetadata`",
            clusters.join(", "),
            missing.join(", "),
        ));
    }
    said
}

/// Clusters whose configuration speaks of routing by zone.
fn asked_for<'s>(snapshot: &'s Snapshot, tables: &ProxyTables) -> Vec<&'s str> {
    let clusters = tables.clusters.iter().map(|id| &snapshot.clusters[*id]);
    let asked = clusters.filter(|cluster| {
        let usual = ZoneAware::default();
        let of_filter = |z: &ZoneAware| {
            z.min_cluster_size != usual.min_cluster_size || z.routing_enabled < Fraction::ONE
        };
        let by_istio = matches!(cluster.locality.kind, LocalityKind::ZoneAware { .. });
        let zones = cluster.common_lb.zone_aware;
        zones.is_some_and(|z| z.routing_enabled > Fraction::ZERO && (by_istio || of_filter(&z)))
    });
    asked.map(|cluster| &*cluster.name).collect()
}
