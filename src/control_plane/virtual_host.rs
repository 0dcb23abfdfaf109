//! Virtual hosts of a sidecar's outbound port (`core/httproute.go`, `core/route/route.go`).
//!
//! VirtualServices of one mesh host are never merged: the first in order supplies all routes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::protocol::is_http_or_sniffed;
use super::proxy::Proxy;
use super::push_context::PushContext;
use super::registry::{Discovery, ServiceModel};
use super::route::{RouteBuilder, direct_route, passthrough_route};
use super::sidecar_scope::Egress;
use super::tables::RouteCache;
use crate::config::host::{HostMap, is_wildcard, overlaps};
use crate::units::Origin;
use crate::xds::{Name, Route, RouteConfig, VirtualHost};

/// Indexes of one egress listener, made once per class.
pub(super) struct OutboundHttp<'a> {
    push: &'a PushContext<'a>,
    proxy: &'a Proxy<'a>,
    allow_any: bool,
    /// HTTP and sniffed ports with their services.
    pub(super) ports: BTreeMap<u16, Vec<usize>>,
    /// VirtualServices bound to mesh, in order.
    bound: Vec<usize>,
    /// Positions in `bound` by host; looked up, never iterated.
    by_host: HashMap<&'a str, Vec<usize>>,
    /// Positions that have a wildcard host.
    wild: Vec<usize>,
    /// The first VirtualService of each host, by specificity.
    best: HostMap<usize>,
    /// Hosts with ports that have no routes: known all the same; looked up by (port, host).
    opaque: BTreeSet<(u16, &'a str)>,
}

impl<'a> OutboundHttp<'a> {
    /// Indexes services by port and VirtualServices by host.
    pub(super) fn new(
        push: &'a PushContext<'a>,
        proxy: &'a Proxy<'a>,
        egress: &Egress,
        allow_any: bool,
    ) -> Self {
        let mut ports: BTreeMap<u16, Vec<usize>> = BTreeMap::new();
        let mut opaque = BTreeSet::new();
        for index in &egress.services {
            let model = &push.registry.services[*index];
            // A rule for an alias reaches its short names from 1.24 on.
            if model.discovery == Discovery::Alias && !push.at_least(24) {
                continue;
            }
            for port in &model.ports {
                if egress.port.is_some_and(|p| p != port.port) {
                    continue;
                }
                if is_http_or_sniffed(port.protocol) {
                    ports.entry(port.port).or_default().push(*index);
                } else {
                    opaque.insert((port.port, &*model.host));
                }
            }
        }
        let bound: Vec<usize> = (egress.virtual_services.iter().copied())
            .filter(|i| push.virtual_services[*i].is_bound_to("mesh"))
            .collect();
        let mut by_host: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut wild = Vec::new();
        let mut best: HostMap<Option<usize>> = HostMap::default();
        for (position, index) in bound.iter().enumerate() {
            let vs = &push.virtual_services[*index];
            for host in &vs.hosts {
                if is_wildcard(host) {
                    wild.push(position);
                } else {
                    by_host.entry(host).or_default().push(position);
                }
                best.entry(host).get_or_insert(position);
            }
        }
        wild.dedup();
        Self {
            push,
            proxy,
            allow_any,
            ports,
            bound,
            by_host,
            wild,
            best: best.map(|p| p.expect("every entry was filled")),
            opaque,
        }
    }

    fn service(&self, index: usize) -> &'a ServiceModel {
        &self.push.registry.services[index]
    }

    /// The shared route configuration of a port.
    pub(super) fn route_config(&self, port: u16, cache: &mut RouteCache) -> RouteConfig {
        let services = self.ports.get(&port).map_or(&[][..], Vec::as_slice);
        let mut hosts = self.virtual_hosts(port, services, cache);
        hosts.sort_by(|a, b| a.name.cmp(&b.name));
        hosts.push(self.catch_all());
        RouteConfig {
            name: port.to_string().into(),
            virtual_hosts: hosts,
        }
    }

    /// The route configuration of a sniffed port on its own address: any Host goes to the service.
    pub(super) fn sniffed(&self, service: usize, port: u16, cache: &mut RouteCache) -> RouteConfig {
        let mut hosts = self.virtual_hosts(port, &[service], cache);
        let own: Name = format!("{}:{port}", self.service(service).host).into();
        hosts.retain(|h| h.name == own);
        for host in &mut hosts {
            host.domains = vec!["*".into()];
        }
        RouteConfig {
            name: own,
            virtual_hosts: hosts,
        }
    }

    fn virtual_hosts(
        &self,
        port: u16,
        services: &[usize],
        cache: &mut RouteCache,
    ) -> Vec<VirtualHost> {
        let known: HashMap<&str, usize> = (services.iter())
            .map(|i| (&*self.service(*i).host, *i))
            .collect();
        let mut emitted = Emitted::default();
        let mut left: BTreeSet<usize> = services.iter().copied().collect();
        for position in self.candidates(port, services, &known) {
            let index = self.bound[position];
            let builder = self.builder(port);
            let Some(routes) = cache.of_virtual_service(&builder, index) else {
                continue;
            };
            let (strangers, matched) = self.split(position, port, services, &known);
            if matched.is_empty() && port != 80 {
                // Only port 80 gets hosts that no service has.
                continue;
            }
            let origin = self.push.virtual_services[index].origin;
            for host in strangers {
                emitted.add(host, port, vec![host.clone()], &[], &routes, origin);
            }
            for service in matched {
                left.remove(&service);
                self.emit(&mut emitted, service, port, &routes, origin, &known);
            }
        }
        for service in left {
            let model = self.service(service);
            if model.discovery == Discovery::Alias {
                continue;
            }
            let routes = cache.of_service(&self.builder(port), service);
            self.emit(&mut emitted, service, port, &routes, model.origin, &known);
        }
        emitted.hosts
    }

    fn builder(&self, port: u16) -> RouteBuilder<'a> {
        RouteBuilder {
            push: self.push,
            proxy: self.proxy,
            listen_port: port,
            gateway: "mesh",
        }
    }

    /// Positions of VirtualServices that may speak of the port, in order.
    fn candidates(
        &self,
        port: u16,
        services: &[usize],
        known: &HashMap<&str, usize>,
    ) -> Vec<usize> {
        if port == 80 {
            return (0..self.bound.len()).collect();
        }
        let mut found: BTreeSet<usize> = BTreeSet::new();
        for index in services {
            let host = &*self.service(*index).host;
            found.extend(self.by_host.get(host).into_iter().flatten());
            if is_wildcard(host) {
                let covered = |p: &usize| self.hosts(*p).iter().any(|h| overlaps(h, host));
                found.extend((0..self.bound.len()).filter(covered));
            }
        }
        for position in &self.wild {
            let hosts = self.hosts(*position).iter().filter(|h| is_wildcard(h));
            let mut covered = hosts.flat_map(|h| services.iter().map(move |s| (h, s)));
            if covered.any(|(h, s)| overlaps(h, &self.service(*s).host)) {
                found.insert(*position);
            }
        }
        debug_assert!(known.len() <= services.len());
        found.into_iter().collect()
    }

    fn hosts(&self, position: usize) -> &'a [Name] {
        &self.push.virtual_services[self.bound[position]].hosts
    }

    /// Hosts without a service, and services this VirtualService speaks for.
    fn split(
        &self,
        position: usize,
        port: u16,
        services: &[usize],
        known: &HashMap<&str, usize>,
    ) -> (Vec<&'a Name>, Vec<usize>) {
        let opaque = |fits: &dyn Fn(&str) -> bool| {
            let of_port = self.opaque.range((port, "")..);
            (of_port.take_while(|(p, _)| *p == port)).any(|(_, host)| fits(host))
        };
        let mut strangers = Vec::new();
        let mut matched = Vec::new();
        for host in self.hosts(position) {
            if !is_wildcard(host) {
                match known.get(&**host) {
                    Some(index) => matched.push(*index),
                    None if self.opaque.contains(&(port, &**host)) => {}
                    None => strangers.push(host),
                }
                continue;
            }
            let mut any = false;
            for index in services {
                let service = &self.service(*index).host;
                if !overlaps(host, service) {
                    continue;
                }
                any = true;
                // The oldest won up to 1.20; since then the most specific does, even when it
                // has no route for this port.
                let best = self.best.most_specific(service) == Some(&position);
                if best || !self.push.at_least(21) {
                    matched.push(*index);
                }
            }
            if !any && !opaque(&|service| overlaps(host, service)) {
                strangers.push(host);
            }
        }
        (strangers, matched)
    }

    fn emit(
        &self,
        emitted: &mut Emitted,
        service: usize,
        port: u16,
        routes: &Arc<[Route]>,
        origin: Origin,
        known: &HashMap<&str, usize>,
    ) {
        let model = self.service(service);
        let mut alternates: Vec<Name> = Vec::new();
        let foreign = |name: &&Name| !known.contains_key(&***name);
        let own = model
            .domains
            .alternates_for(self.proxy.namespace)
            .filter(foreign);
        alternates.extend(own.cloned());
        for alias in &model.aliases {
            let Some(alias) = self.push.registry.of_host(alias).first() else {
                continue;
            };
            let alias = &self.service(*alias).domains;
            alternates.extend(alias.full.iter().cloned());
            alternates.extend(alias.alternates_for(self.proxy.namespace).cloned());
        }
        if model.is_headless() {
            let names = model.domains.full.iter().chain(&alternates);
            let pods: Vec<Name> = names.map(|n| format!("*.{n}").into()).collect();
            alternates.extend(pods);
        }
        let addresses = model.addresses.iter().filter(|a| &***a != "0.0.0.0");
        alternates.extend(addresses.map(in_host_header));
        emitted.add(
            &model.host,
            port,
            model.domains.full.clone(),
            &alternates,
            routes,
            origin,
        );
    }

    /// What happens to unknown hosts.
    fn catch_all(&self) -> VirtualHost {
        let (name, route) = if self.allow_any {
            ("allow_any", passthrough_route())
        } else {
            ("block_all", direct_route("block_all", 502))
        };
        VirtualHost {
            name: name.into(),
            domains: vec!["*".into()],
            routes: Arc::new([route]),
            include_attempt_count: true,
            origin: Origin::BUILT_IN,
        }
    }
}

/// An address as it stands in a Host header: IPv6 in brackets.
fn in_host_header(address: &Name) -> Name {
    match address.parse::<IpAddr>() {
        Ok(IpAddr::V6(_)) => format!("[{address}]").into(),
        _ => address.clone(),
    }
}

/// Virtual hosts so far; names and domains are taken once.
#[derive(Default)]
struct Emitted {
    hosts: Vec<VirtualHost>,
    names: HashSet<Name>,
    domains: HashSet<Name>,
}

impl Emitted {
    fn add(
        &mut self,
        host: &Name,
        port: u16,
        mut domains: Vec<Name>,
        alternates: &[Name],
        routes: &Arc<[Route]>,
        origin: Origin,
    ) {
        let name: Name = format!("{host}:{port}").into();
        if !self.names.insert(name.clone()) {
            return;
        }
        domains.extend(alternates.iter().cloned());
        domains.retain(|d| self.domains.insert(d.clone()));
        if domains.is_empty() {
            return;
        }
        self.hosts.push(VirtualHost {
            name,
            domains,
            routes: routes.clone(),
            include_attempt_count: true,
            origin,
        });
    }
}
