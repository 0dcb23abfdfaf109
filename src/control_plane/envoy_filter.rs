//! EnvoyFilters laid over finished tables (`pilot/pkg/model/push_context.go`,
//! `pilot/pkg/networking/core/envoyfilter`).
//!
//! Tables are made without them and patched afterwards, as istiod does. A changed entry is a new
//! one: proxies that no patch touches keep sharing the old, and proxies with the same patches
//! share the new.

mod cluster;
mod listener;
mod route;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::protocol::is_http_or_sniffed;
use super::proxy::Proxy;
use super::tables::Tables;
use crate::config::MeshConfig;
use crate::config::istio::{Change, ClusterMatch, ConfigPatch, EnvoyFilter, PatchContext};
use crate::config::selector::{is_everything, selects};
use crate::xds::listener::ChainKind;
use crate::xds::snapshot::{ClusterId, RouteConfigId};
use crate::xds::{Cluster, Inbound, Name, ProxyKind, ProxyTables};

/// All EnvoyFilters in the order of application: by priority, the root namespace first, oldest
/// first, then by name.
#[derive(Debug)]
pub(super) struct EnvoyFilters<'a> {
    ordered: Vec<&'a EnvoyFilter>,
    root: &'a Name,
}

/// Filter and patch, by position.
type PatchId = (usize, usize);

impl<'a> EnvoyFilters<'a> {
    pub(super) fn new(config: &'a MeshConfig) -> Self {
        let root = &config.mesh.root_namespace;
        let mut ordered: Vec<&EnvoyFilter> = config
            .envoy_filters
            .iter()
            .filter(|f| !f.has_target)
            .collect();
        ordered.sort_by_cached_key(|f| {
            let meta = &f.meta;
            let name = format!("{}.{}", meta.name, meta.namespace);
            (
                f.priority,
                meta.namespace != *root,
                meta.created.clone(),
                name,
            )
        });
        Self { ordered, root }
    }

    /// Positions of the filters for proxies with these labels.
    pub(super) fn of_proxy(&self, namespace: &Name, labels: &BTreeMap<Name, Name>) -> Vec<usize> {
        let fits = |f: &EnvoyFilter| {
            let here = f.meta.namespace == *namespace || f.meta.namespace == *self.root;
            let selector = f.workload_selector.as_ref();
            here && (is_everything(selector) || selector.is_some_and(|s| selects(s, labels)))
        };
        let all = self.ordered.iter().enumerate();
        all.filter(|(_, f)| fits(f)).map(|(at, _)| at).collect()
    }

    /// The patches of some filters in one direction, in order.
    fn patches(&self, filters: &[usize], context: PatchContext) -> Vec<(PatchId, &'a ConfigPatch)> {
        let of = |at: &usize| {
            let patches = self.ordered[*at].patches.iter().enumerate();
            let at = *at;
            patches.map(move |(number, patch)| ((at, number), patch))
        };
        let all = filters.iter().flat_map(of);
        all.filter(|(_, p)| p.context == context || p.context == PatchContext::Any)
            .collect()
    }

    /// Patches that found nothing, in words.
    pub(super) fn unused(&self, config: &MeshConfig, patched: &Patched) -> Vec<String> {
        let mut said = Vec::new();
        for (at, filter) in self.ordered.iter().enumerate() {
            for (number, patch) in filter.patches.iter().enumerate() {
                if !patched.used.contains(&(at, number)) {
                    let who = config.origins.describe(patch.origin);
                    said.push(format!(
                        "the patch of {who} changes nothing: no proxy has what it matches"
                    ));
                }
            }
        }
        said
    }
}

/// Entries that were changed, and by whom.
#[derive(Debug, Default)]
pub(super) struct Patched {
    used: BTreeSet<PatchId>,
    // Looked up, never iterated.
    clusters: HashMap<(ClusterId, Vec<PatchId>), Option<ClusterId>>,
    configs: HashMap<(RouteConfigId, Vec<PatchId>), RouteConfigId>,
}

/// Patches the tables of a class of proxies.
pub(super) fn apply(
    filters: &EnvoyFilters<'_>,
    proxy: &Proxy<'_>,
    tables: &mut Tables,
    made: &mut ProxyTables,
) {
    if proxy.filters.is_empty() {
        return;
    }
    let context = match proxy.kind {
        ProxyKind::Gateway => PatchContext::Gateway,
        ProxyKind::Sidecar | ProxyKind::None => PatchContext::SidecarOutbound,
    };
    let patches = filters.patches(&proxy.filters, context);
    let clusters = std::mem::take(&mut made.clusters);
    let kept = clusters
        .into_iter()
        .filter_map(|id| patch_cluster(tables, &patches, id));
    made.clusters = kept.collect();
    let configs = patch_configs(tables, &patches, &made.routes);
    let new = |id: RouteConfigId| configs.get(&id).copied().unwrap_or(id);
    made.routes = made.routes.iter().map(|id| new(*id)).collect();
    let is_gateway = proxy.kind == ProxyKind::Gateway;
    let mut used = Vec::new();
    for listener in &mut made.listeners {
        for chain in &mut listener.chains {
            if let ChainKind::Http(id) | ChainKind::HttpsTerminate(id) = &mut chain.kind {
                *id = new(*id);
            }
        }
        listener::patch(listener, &patches, is_gateway, &mut used);
    }
    tables.patched.used.extend(used);
}

/// The patched route configurations by the old ones.
fn patch_configs(
    tables: &mut Tables,
    patches: &[(PatchId, &ConfigPatch)],
    ids: &[RouteConfigId],
) -> BTreeMap<RouteConfigId, RouteConfigId> {
    let all: Vec<PatchId> = patches.iter().map(|(id, _)| *id).collect();
    let mut found = BTreeMap::new();
    for id in ids {
        let key = (*id, all.clone());
        let known = tables.patched.configs.get(&key).copied();
        let new = known.unwrap_or_else(|| {
            let mut used = Vec::new();
            let patched = route::patched(&tables.route_configs[*id], patches, &mut used);
            tables.patched.used.extend(used);
            let new = patched.map_or(*id, |config| tables.route_configs.push(config));
            tables.patched.configs.insert(key, new);
            new
        });
        found.insert(*id, new);
    }
    found
}

/// Patches what arrives at the pods of a workload.
pub(super) fn apply_inbound(
    filters: &EnvoyFilters<'_>,
    of_proxy: &[usize],
    patched: &mut Patched,
    inbound: &mut [Inbound],
) {
    if of_proxy.is_empty() {
        return;
    }
    let patches = filters.patches(of_proxy, PatchContext::SidecarInbound);
    let mut used = Vec::new();
    for port in inbound {
        for (id, patch) in &patches {
            if let Change::MergeCluster(matches, fields) = &patch.change
                && cluster_matches(&port.cluster, matches)
            {
                used.push(*id);
                cluster::merge(&mut port.cluster, fields);
            }
        }
        if is_http_or_sniffed(port.protocol) {
            listener::patch_inbound(port, &patches, &mut used);
            route::patch_inbound(port, &patches, &mut used);
        }
    }
    patched.used.extend(used);
}

/// The patched cluster; `None` when it is removed.
fn patch_cluster(
    tables: &mut Tables,
    patches: &[(PatchId, &ConfigPatch)],
    id: ClusterId,
) -> Option<ClusterId> {
    let cluster = &tables.clusters[id];
    let hits: Vec<(PatchId, &Change)> = (patches.iter())
        .filter(|(_, patch)| match &patch.change {
            Change::MergeCluster(matches, _) | Change::RemoveCluster(matches) => {
                cluster_matches(cluster, matches)
            }
            _ => false,
        })
        .map(|(id, patch)| (*id, &patch.change))
        .collect();
    if hits.is_empty() {
        return Some(id);
    }
    let ids: Vec<PatchId> = hits.iter().map(|(id, _)| *id).collect();
    tables.patched.used.extend(&ids);
    let clusters = &mut tables.clusters;
    let known = tables.patched.clusters.entry((id, ids));
    *known.or_insert_with(|| {
        let mut patched: Cluster = clusters[id].clone();
        for (_, change) in hits {
            match change {
                Change::RemoveCluster(_) => return None,
                Change::MergeCluster(_, fields) => cluster::merge(&mut patched, fields),
                _ => {}
            }
        }
        Some(clusters.push(patched))
    })
}

/// `clusterMatch`: a name excludes the rest. What an inbound cluster is called after, its service,
/// is not known here, so a service never matches one.
fn cluster_matches(cluster: &Cluster, wanted: &ClusterMatch) -> bool {
    if let Some(name) = &wanted.name {
        return *name == cluster.name;
    }
    let same = |wanted: &Option<Name>, is: &Name| wanted.as_ref().is_none_or(|w| w == is);
    same(&wanted.subset, &cluster.subset)
        && same(&wanted.service, &cluster.host)
        && wanted.port.is_none_or(|port| port == cluster.port)
}
