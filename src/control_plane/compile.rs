//! The four steps in order.

use super::authorization;
use super::envoy_filter;
use super::gateway;
use super::inbound;
use super::listener;
use super::proxy::{self, Proxy};
use super::push_context::PushContext;
use super::self_discovery;
use super::sidecar_scope::{self, Scope};
use super::tables::Tables;
use crate::config::MeshConfig;
use crate::config::selector::selects;
use crate::units::IdVec;
use crate::xds::{Inbound, ProxyKind, ProxyTables, Snapshot, TableId, WorkloadId};

/// Compiles everything, for all workloads.
///
/// A pure function of its input; what it had to take for granted is in [`Snapshot::assumed`].
pub fn compile(config: &MeshConfig) -> Snapshot {
    let push = PushContext::new(config);
    let mut tables = Tables::default();
    let mut proxies: IdVec<ProxyTables> = IdVec::new();
    let mut assigned: Vec<(WorkloadId, TableId)> = Vec::new();
    for (proxy, members) in proxy::classes(&push) {
        let made = proxy_tables(&push, &proxy, &mut tables);
        let id = proxies.push(made);
        assigned.extend(members.into_iter().map(|w| (w, id)));
    }
    let inbound = all_inbound(&push, &mut tables);
    let local_clusters = self_discovery::local_clusters(&push);
    let services = push.registry.snapshot_services().collect();
    let mut assumed = push.fleet.assumed.clone();
    assumed.extend(push.registry.assumed.iter().cloned());
    assumed.extend(unopened_gateways(&push));
    assumed.extend(authorization::unenforced(config, &push.fleet.workloads));
    assumed.extend(push.envoy_filters.unused(config, &tables.patched));
    let mut workloads = push.fleet.workloads;
    for (id, ports) in inbound {
        workloads[id].inbound = ports;
    }
    for (id, table) in assigned {
        workloads[id].tables = Some(table);
    }
    let mut snapshot = Snapshot {
        istio_version: config.version.to_string().into(),
        origins: config.origins.clone(),
        workloads,
        pods: push.fleet.pods,
        services,
        tables: proxies,
        route_configs: tables.route_configs,
        clusters: tables.clusters,
        local_clusters,
        assumed,
        later: Vec::new(),
    };
    snapshot
        .assumed
        .extend(self_discovery::without_local_cluster(&snapshot));
    snapshot
}

/// Gateways nobody serves: their author sees no table of them anywhere.
fn unopened_gateways(push: &PushContext<'_>) -> Option<String> {
    let served = |gateway: &&crate::config::istio::Gateway| {
        let mut workloads = push.fleet.workloads.iter();
        workloads.any(|w| w.proxy == ProxyKind::Gateway && selects(&gateway.selector, &w.labels))
    };
    let names: Vec<String> = (push.config.gateways.iter())
        .filter(|gateway| !served(gateway))
        .map(|gateway| gateway.meta.full_name())
        .collect();
    (!names.is_empty()).then(|| {
        format!(
            "no gateway workload has the labels Gateway {} selects, so nobody opens its ports",
            names.join(", ")
        )
    })
}

fn proxy_tables(push: &PushContext<'_>, proxy: &Proxy<'_>, tables: &mut Tables) -> ProxyTables {
    let scope = Scope::new(push, proxy);
    let clusters = tables.clusters_of(push, proxy, &scope);
    let (listeners, routes) = if proxy.is_gateway() {
        gateway::listeners(push, proxy, tables)
    } else {
        listener::outbound(push, proxy, &scope, tables)
    };
    let mut made = ProxyTables {
        representative: push.fleet.workloads[proxy.workload].full_name().into(),
        kind: proxy.kind,
        namespace: proxy.namespace.clone(),
        listeners,
        routes,
        clusters,
        allow_any: scope.allow_any && proxy.kind != ProxyKind::Gateway,
    };
    envoy_filter::apply(&push.envoy_filters, proxy, tables, &mut made);
    made
}

/// Inbound ports of every workload with a sidecar.
fn all_inbound(push: &PushContext<'_>, tables: &mut Tables) -> Vec<(WorkloadId, Vec<Inbound>)> {
    let sidecars = push.fleet.workloads.iter_ids();
    (sidecars.filter(|(_, w)| w.proxy == ProxyKind::Sidecar))
        .map(|(id, w)| {
            let sidecar = sidecar_scope::pick(push.config, &w.namespace, &w.labels);
            let mut ports = inbound::ports(push, id, sidecar);
            let filters = push.envoy_filters.of_proxy(&w.namespace, &w.labels);
            envoy_filter::apply_inbound(
                &push.envoy_filters,
                &filters,
                &mut tables.patched,
                &mut ports,
            );
            (id, ports)
        })
        .collect()
}
