//! Tables shared between classes: equal clusters, route lists and route configurations exist once.

use std::collections::HashMap;
use std::sync::Arc;

use super::cluster;
use super::envoy_filter::Patched;
use super::proxy::Proxy;
use super::push_context::PushContext;
use super::route::RouteBuilder;
use super::sidecar_scope::Scope;
use crate::units::IdVec;
use crate::xds::snapshot::{ClusterId, RouteConfigId};
use crate::xds::{Cluster, Name, Route, RouteConfig};

/// Route lists that were built before. Keys hold whatever a route list depends on.
#[derive(Debug, Default)]
pub(super) struct RouteCache {
    // Looked up, never iterated.
    virtual_services: HashMap<VirtualServiceKey, Option<Arc<[Route]>>>,
    services: HashMap<(usize, u16, Option<usize>), Arc<[Route]>>,
}

/// A VirtualService as seen by a class of proxies at a port.
#[derive(Debug, PartialEq, Eq, Hash)]
struct VirtualServiceKey {
    index: usize,
    port: u16,
    gateway: Option<Name>,
    admitted: Vec<(usize, Option<usize>)>,
    /// Service and DestinationRule of each destination: they decide ports and hash keys.
    destinations: Vec<(Option<usize>, Option<usize>)>,
}

impl RouteCache {
    /// Routes of a VirtualService; `None` when it has none for this proxy and port.
    pub(super) fn of_virtual_service(
        &mut self,
        builder: &RouteBuilder<'_>,
        index: usize,
    ) -> Option<Arc<[Route]>> {
        let push = builder.push;
        let rules = &push.virtual_services[index].http;
        let admitted = builder.admitted(rules);
        if admitted.is_empty() {
            return None;
        }
        let namespace = builder.proxy.namespace;
        let of_host = |host: &Name| {
            let service = push.registry.visible(host, namespace);
            (
                service,
                service.and_then(|s| rule_of(push, builder.proxy, s)),
            )
        };
        let mut destinations = Vec::new();
        let mut last = None;
        for (rule, _) in &admitted {
            if last != Some(rule) {
                let hosts = rules[*rule].route.iter().map(|r| &r.destination.host);
                let mirrors = rules[*rule].mirrors.iter().map(|m| &m.destination.host);
                destinations.extend(hosts.chain(mirrors).map(of_host));
                last = Some(rule);
            }
        }
        let key = VirtualServiceKey {
            index,
            port: builder.listen_port,
            gateway: builder.proxy.is_gateway().then(|| builder.gateway.into()),
            admitted,
            destinations,
        };
        let routes = self.virtual_services.entry(key);
        routes
            .or_insert_with(|| Some(builder.routes(rules).into()))
            .clone()
    }

    /// The default route of a service.
    pub(super) fn of_service(
        &mut self,
        builder: &RouteBuilder<'_>,
        service: usize,
    ) -> Arc<[Route]> {
        let rule = rule_of(builder.push, builder.proxy, service);
        let routes = self.services.entry((service, builder.listen_port, rule));
        routes
            .or_insert_with(|| Arc::new([builder.default_route(service)]))
            .clone()
    }
}

/// The DestinationRule of a service for a class of proxies.
pub(super) fn rule_of(push: &PushContext<'_>, proxy: &Proxy<'_>, service: usize) -> Option<usize> {
    let model = &push.registry.services[service];
    (push.rules).find(proxy.namespace, proxy.labels, &model.host, &model.namespace)
}

/// A cluster: service, port, subset by position in its rule, rule, for a gateway or not.
type ClusterKey = (usize, u16, Option<usize>, Option<usize>, bool);
/// Name, and per virtual host its name, domains and the address of its shared routes.
type ConfigKey = (Name, Vec<(Name, Vec<Name>, usize)>);

/// Clusters and route configurations with their ids.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) clusters: IdVec<Cluster>,
    pub(super) route_configs: IdVec<RouteConfig>,
    pub(super) cache: RouteCache,
    pub(super) patched: Patched,
    // Looked up, never iterated.
    cluster_ids: HashMap<ClusterKey, Option<ClusterId>>,
    config_ids: HashMap<ConfigKey, RouteConfigId>,
    special: Option<[ClusterId; 2]>,
}

impl Tables {
    /// The id of a route configuration, which is kept when it is new.
    pub(super) fn intern(&mut self, config: RouteConfig) -> RouteConfigId {
        // Addresses of shared route lists only tell equal from different; no order comes of them.
        let hosts = config.virtual_hosts.iter().map(|h| {
            let routes = if h.routes.len() == 1 && h.origin.is_built_in() {
                0
            } else {
                Arc::as_ptr(&h.routes).cast::<Route>() as usize
            };
            (h.name.clone(), h.domains.clone(), routes)
        });
        let key = (config.name.clone(), hosts.collect());
        if let Some(id) = self.config_ids.get(&key) {
            return *id;
        }
        let id = self.route_configs.push(config);
        self.config_ids.insert(key, id);
        id
    }

    /// The clusters a class of proxies knows, in name order.
    pub(super) fn clusters_of(
        &mut self,
        push: &PushContext<'_>,
        proxy: &Proxy<'_>,
        scope: &Scope,
    ) -> Vec<ClusterId> {
        let mut ids = Vec::new();
        for (service, ports) in &scope.clusters {
            let model = &push.registry.services[*service];
            if model.discovery == super::registry::Discovery::Alias {
                continue;
            }
            let rule = rule_of(push, proxy, *service);
            for port in &model.ports {
                let wanted = ports.as_ref().is_none_or(|p| p.contains(&port.port));
                if wanted && !super::endpoint::is_ignored(port.protocol) {
                    self.add_port(push, proxy, (*service, port.port), rule, &mut ids);
                }
            }
        }
        let special = *self
            .special
            .get_or_insert_with(|| cluster::special(push).map(|c| self.clusters.push(c)));
        // Gateways have no passthrough cluster.
        ids.extend(&special[..if proxy.is_gateway() { 1 } else { 2 }]);
        let names = &self.clusters;
        ids.sort_by(|a, b| names[*a].name.cmp(&names[*b].name));
        ids
    }

    /// The default cluster of a port and, when there is one, its subsets.
    fn add_port(
        &mut self,
        push: &PushContext<'_>,
        proxy: &Proxy<'_>,
        (service, port): (usize, u16),
        rule: Option<usize>,
        ids: &mut Vec<ClusterId>,
    ) {
        let model = &push.registry.services[service];
        let Some(port) = model.port(port) else {
            return;
        };
        let merged = rule.map(|r| &push.rules.rules[r]);
        let subsets = merged.map_or(&[][..], |r| &r.subsets);
        let positions = std::iter::once(None).chain((0..subsets.len()).map(Some));
        for position in positions {
            let key = (service, port.port, position, rule, proxy.is_gateway());
            let clusters = &mut self.clusters;
            let id = *self.cluster_ids.entry(key).or_insert_with(|| {
                let subset = position.map(|p| subsets[p]);
                let made = cluster::outbound(push, model, port, merged, subset, proxy.is_gateway());
                made.map(|c| clusters.push(c))
            });
            match id {
                Some(id) => ids.push(id),
                // Without a default cluster there are no subset clusters either.
                None if position.is_none() => return,
                None => {}
            }
        }
    }
}
