//! Who can see what: Sidecar egress and visibility (`pilot/pkg/model/sidecar.go`).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::proxy::Proxy;
use super::push_context::PushContext;
use super::virtual_service::{RootVirtualService, visible_to};
use super::visibility::Visibility;
use crate::config::MeshConfig;
use crate::config::host::{is_wildcard, overlaps, subset_of};
use crate::config::istio::{OutboundMode, Sidecar};
use crate::config::selector::{is_everything, selects};
use crate::xds::Name;

/// What a class of proxies sees.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// Egress listeners: those with a port first, then the one for all other ports.
    pub(super) egress: Vec<Egress>,
    /// Services that get clusters, with the ports they get them for (`None`: all), by index.
    pub(super) clusters: BTreeMap<usize, Option<BTreeSet<u16>>>,
    pub(super) allow_any: bool,
}

/// What one egress listener imports.
#[derive(Debug, Default)]
pub(super) struct Egress {
    /// The only port it serves.
    pub(super) port: Option<u16>,
    /// One service per host, in host order.
    pub(super) services: Vec<usize>,
    /// VirtualServices, in istiod's order, whatever gateway they are bound to.
    pub(super) virtual_services: Vec<usize>,
    /// Those of them that have TCP or TLS rules for `mesh`.
    pub(super) l4_virtual_services: Vec<usize>,
}

impl Egress {
    fn new(
        push: &PushContext<'_>,
        port: Option<u16>,
        services: Vec<usize>,
        virtual_services: Vec<usize>,
    ) -> Self {
        let l4 = |index: &usize| {
            let vs = &push.virtual_services[*index];
            vs.is_bound_to("mesh") && !(vs.tcp.is_empty() && vs.tls.is_empty())
        };
        Self {
            port,
            services,
            l4_virtual_services: virtual_services.iter().copied().filter(l4).collect(),
            virtual_services,
        }
    }
}

/// The Sidecar object for pods with these labels.
pub(super) fn pick(
    config: &MeshConfig,
    namespace: &Name,
    labels: &BTreeMap<Name, Name>,
) -> Option<usize> {
    let oldest = |ns: &Name, fits: &dyn Fn(&Sidecar) -> bool| {
        let found = (config.sidecars.iter().enumerate())
            .filter(|(_, s)| s.meta.namespace == *ns && fits(s));
        found
            .min_by(|(_, a), (_, b)| a.meta.age_key().cmp(&b.meta.age_key()))
            .map(|(i, _)| i)
    };
    let plain = |s: &Sidecar| is_everything(s.workload_selector.as_ref());
    let selected = |s: &Sidecar| {
        !plain(s)
            && s.workload_selector
                .as_ref()
                .is_some_and(|l| selects(l, labels))
    };
    oldest(namespace, &selected)
        .or_else(|| oldest(namespace, &plain))
        .or_else(|| oldest(&config.mesh.root_namespace, &plain))
}

impl Scope {
    /// The scope of a class of sidecars, or of a gateway (which ignores Sidecar objects).
    pub(super) fn new(push: &PushContext<'_>, proxy: &Proxy<'_>) -> Self {
        let sidecar = proxy.sidecar.map(|i| &push.config.sidecars[i]);
        let seen = visible_to(&push.virtual_services, proxy.namespace);
        let mode = (sidecar.and_then(|s| s.outbound)).unwrap_or(push.config.mesh.outbound);
        let mut scope = Self {
            allow_any: mode == OutboundMode::AllowAny,
            ..Self::default()
        };
        let listeners = sidecar.map_or(&[][..], |s| &s.egress);
        if listeners.is_empty() {
            let services = all_services(push, proxy.namespace);
            scope.egress.push(Egress::new(push, None, services, seen));
        } else {
            for listener in listeners {
                let imports = Imports::new(push, proxy.namespace, &listener.hosts);
                let port = listener.port.as_ref().map(|p| p.number);
                scope
                    .egress
                    .push(imports.egress(push, proxy.namespace, port, &seen));
            }
            // The listener without a port is the last one.
            scope.egress.sort_by_key(|e| e.port.is_none());
        }
        for egress in &scope.egress {
            for service in &egress.services {
                let ports = egress.port.map(|p| BTreeSet::from([p]));
                unite(&mut scope.clusters, *service, ports);
            }
        }
        if !listeners.is_empty() {
            scope.import_destinations(push, proxy);
        }
        scope
    }

    /// A VirtualService in scope pulls in the services it names, for clusters only.
    fn import_destinations(&mut self, push: &PushContext<'_>, proxy: &Proxy<'_>) {
        let imported: BTreeSet<usize> = (self.egress.iter())
            .flat_map(|e| e.virtual_services.iter().copied())
            .collect();
        for index in imported {
            let vs = &push.virtual_services[index];
            if !vs.is_bound_to("mesh") {
                continue;
            }
            for (host, ports) in destinations(vs, proxy.namespace) {
                let same = |i: &&usize| push.registry.services[**i].namespace == *proxy.namespace;
                let candidates = push.registry.of_host(&host);
                let known = candidates.iter().find(same).copied();
                let best = push.at_least(30);
                let elsewhere = || push.registry.of_destination(&host, proxy.namespace, best);
                let Some(service) = known.or_else(elsewhere) else {
                    continue;
                };
                unite(&mut self.clusters, service, ports);
            }
        }
    }
}

/// `None` stands for every port and absorbs the rest.
fn unite(
    clusters: &mut BTreeMap<usize, Option<BTreeSet<u16>>>,
    service: usize,
    ports: Option<BTreeSet<u16>>,
) {
    match clusters.get_mut(&service) {
        None => {
            clusters.insert(service, ports);
        }
        Some(known) => match (known.as_mut(), ports) {
            (Some(known), Some(ports)) => known.extend(ports),
            _ => *known = None,
        },
    }
}

/// Destination hosts of a VirtualService with their ports; `None` when one names no port.
fn destinations(
    vs: &RootVirtualService,
    namespace: &Name,
) -> BTreeMap<Name, Option<BTreeSet<u16>>> {
    let mut found: BTreeMap<Name, Option<BTreeSet<u16>>> = BTreeMap::new();
    let mut add = |d: &crate::config::istio::Destination| {
        let ports = found
            .entry(d.host.clone())
            .or_insert_with(|| Some(BTreeSet::new()));
        match (ports.as_mut(), d.port) {
            (_, 0) => *ports = None,
            (Some(ports), port) => {
                ports.insert(port);
            }
            (None, _) => {}
        }
    };
    for rule in &vs.http {
        let named: Vec<&Name> = (rule.matches.iter().map(|m| &m.source_namespace))
            .filter(|n| !n.is_empty())
            .collect();
        // Skipped even when another of its blocks names no namespace.
        if !named.is_empty() && !named.contains(&namespace) {
            continue;
        }
        rule.route.iter().for_each(|r| add(&r.destination));
        rule.mirrors.iter().for_each(|m| add(&m.destination));
    }
    for rule in vs.tcp.iter().chain(&vs.tls) {
        rule.route.iter().for_each(|r| add(&r.destination));
    }
    found
}

/// One service per host that is exported to the namespace.
fn all_services(push: &PushContext<'_>, namespace: &Name) -> Vec<usize> {
    let services = &push.registry.services;
    let mut found = Vec::with_capacity(services.len());
    let mut last: Option<&Name> = None;
    for service in services {
        if last == Some(&service.host) {
            continue;
        }
        last = Some(&service.host);
        found.extend(push.registry.visible(&service.host, namespace));
    }
    found
}

/// Egress hosts of one listener.
struct Imports<'a> {
    /// Hosts by namespace; `*` for any.
    included: BTreeMap<Name, Vec<&'a str>>,
    /// `~ns/host` (1.31+).
    excluded: Vec<(Name, &'a str)>,
}

impl<'a> Imports<'a> {
    fn new(push: &PushContext<'_>, namespace: &Name, hosts: &'a [Name]) -> Self {
        let mut imports = Self {
            included: BTreeMap::new(),
            excluded: Vec::new(),
        };
        for entry in hosts {
            let Some((ns, host)) = entry.split_once('/') else {
                continue;
            };
            let own = |ns: &str| -> Name {
                if ns == "." {
                    namespace.clone()
                } else {
                    ns.into()
                }
            };
            match ns.strip_prefix('~') {
                None => imports.included.entry(own(ns)).or_default().push(host),
                Some(ns) if push.at_least(31) && !ns.is_empty() => {
                    imports.excluded.push((own(ns), host));
                }
                // `~/*` imports nothing.
                Some(_) => {}
            }
        }
        imports
    }

    fn includes(&self, namespace: &Name, fits: impl Fn(&str) -> bool) -> bool {
        let lists = [self.included.get(namespace), self.included.get("*")];
        let included = lists.into_iter().flatten().flatten().any(|h| fits(h));
        let excluded =
            (self.excluded.iter()).any(|(ns, h)| (ns == namespace || &**ns == "*") && fits(h));
        included && !excluded
    }

    fn egress(
        &self,
        push: &PushContext<'_>,
        namespace: &Name,
        port: Option<u16>,
        seen: &[usize],
    ) -> Egress {
        let registry = &push.registry;
        let mut candidates: BTreeSet<usize> = BTreeSet::new();
        for host in self.included.values().flatten() {
            if is_wildcard(host) {
                candidates.extend(0..registry.services.len());
            } else {
                candidates.extend(registry.of_host(host));
            }
        }
        // Own namespace, then Kubernetes, then exported by name, then age; looked up, never iterated.
        let mut best: HashMap<&Name, usize> = HashMap::new();
        let mut order: Vec<&Name> = Vec::new();
        let rank = |i: usize| {
            let s = &registry.services[i];
            let public = s.export_to == Visibility::Public;
            (s.namespace != *namespace, !s.kube, public, &s.age)
        };
        for index in candidates {
            let service = &registry.services[index];
            let fits = |h: &str| subset_of(&service.host, h);
            let has_port = port.is_none_or(|p| service.port(p).is_some());
            if !has_port
                || !service.export_to.includes(namespace)
                || !self.includes(&service.namespace, fits)
            {
                continue;
            }
            if let Some(known) = best.get_mut(&service.host) {
                if rank(index) < rank(*known) {
                    *known = index;
                }
            } else {
                best.insert(&service.host, index);
                order.push(&service.host);
            }
        }
        let imported = |index: &usize| {
            let vs = &push.virtual_services[*index];
            (vs.hosts.iter()).any(|own| self.includes(&vs.namespace, |h| overlaps(own, h)))
        };
        let services = order.into_iter().map(|host| best[host]).collect();
        let virtual_services = seen.iter().copied().filter(imported).collect();
        Egress::new(push, port, services, virtual_services)
    }
}
