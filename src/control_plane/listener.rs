//! Outbound listeners of sidecars (`core/listener.go`, `core/listener_builder.go`).

use std::collections::BTreeMap;

use super::cluster::outbound_name;
use super::defaults::{BLACK_HOLE, PASSTHROUGH};
use super::protocol;
use super::proxy::Proxy;
use super::push_context::PushContext;
use super::sidecar_scope::{Egress, Scope};
use super::tables::Tables;
use super::tcp_route;
use super::virtual_host::OutboundHttp;
use crate::units::Origin;
use crate::xds::listener::{ChainKind, ChainMatch, HttpConnectionManager};
use crate::xds::snapshot::RouteConfigId;
use crate::xds::{FilterChain, Listener, Name};

const ANY: &str = "0.0.0.0";

/// Listeners and route configurations of a class of sidecars.
pub(super) struct Outbound<'a> {
    push: &'a PushContext<'a>,
    proxy: &'a Proxy<'a>,
    allow_any: bool,
    /// By (port, address).
    listeners: BTreeMap<(u16, Name), Listener>,
    routes: BTreeMap<Name, RouteConfigId>,
}

/// Builds them, egress listener by egress listener; the one without a port leaves ports of the others alone.
pub(super) fn outbound<'a>(
    push: &'a PushContext<'a>,
    proxy: &'a Proxy<'a>,
    scope: &Scope,
    tables: &mut Tables,
) -> (Vec<Listener>, Vec<RouteConfigId>) {
    let mut out = Outbound {
        push,
        proxy,
        allow_any: scope.allow_any,
        listeners: BTreeMap::new(),
        routes: BTreeMap::new(),
    };
    let locked: Vec<u16> = scope.egress.iter().filter_map(|e| e.port).collect();
    for egress in &scope.egress {
        out.add(egress, &locked, tables);
    }
    let mut listeners: Vec<Listener> = out.listeners.into_values().collect();
    listeners.push(virtual_outbound(scope.allow_any));
    listeners.sort_by(|a, b| (&a.address, a.port).cmp(&(&b.address, b.port)));
    (listeners, out.routes.into_values().collect())
}

impl Outbound<'_> {
    fn add(&mut self, egress: &Egress, locked: &[u16], tables: &mut Tables) {
        let http = OutboundHttp::new(self.push, self.proxy, egress, self.allow_any);
        let serves = |port: u16| egress.port.map_or(!locked.contains(&port), |p| p == port);
        let ports: Vec<u16> = http.ports.keys().copied().filter(|p| serves(*p)).collect();
        for port in ports {
            self.add_http(egress, &http, port, tables);
        }
        for service in tcp_route::by_age(self.push, &egress.services) {
            let model = &self.push.registry.services[service];
            for port in &model.ports {
                let tcp = !protocol::is_http_or_sniffed(port.protocol)
                    && !super::endpoint::is_ignored(port.protocol);
                if tcp && serves(port.port) && model.alias_of.is_none() {
                    self.add_tcp(egress, service, port.port);
                }
            }
        }
    }

    /// The shared listener of a port, and one per address for its sniffed services.
    fn add_http(
        &mut self,
        egress: &Egress,
        http: &OutboundHttp<'_>,
        port: u16,
        tables: &mut Tables,
    ) {
        let services = &http.ports[&port];
        let named = |i: &&usize| {
            let model = &self.push.registry.services[**i];
            model.alias_of.is_none() && model.port(port).is_some_and(|p| p.protocol.is_http())
        };
        if let Some(first) = services.iter().find(named) {
            let config = http.route_config(port, &mut tables.cache);
            let id = tables.intern(config);
            self.routes.insert(port.to_string().into(), id);
            let origin = self.push.registry.services[*first].origin;
            let chains = vec![
                chain(ChainMatch::PlaintextHttp, ChainKind::Http(id), origin),
                unknown(self.allow_any),
            ];
            self.insert(ANY.into(), port, chains, origin);
        }
        for service in services {
            let model = &self.push.registry.services[*service];
            let sniffed = model.port(port).is_some_and(|p| !p.protocol.is_http());
            if !sniffed || model.alias_of.is_some() {
                continue;
            }
            let config = http.sniffed(*service, port, &mut tables.cache);
            let name = config.name.clone();
            let id = tables.intern(config);
            self.routes.insert(name, id);
            let mut chains = vec![chain(
                ChainMatch::PlaintextHttp,
                ChainKind::Http(id),
                model.origin,
            )];
            chains.extend(tcp_route::chains(
                self.push,
                self.proxy,
                (*service, port),
                &egress.l4_virtual_services,
                self.allow_any,
            ));
            for address in self.addresses(*service, port) {
                self.insert(address, port, chains.clone(), model.origin);
            }
        }
    }

    fn add_tcp(&mut self, egress: &Egress, service: usize, port: u16) {
        let origin = self.push.registry.services[service].origin;
        let chains = tcp_route::chains(
            self.push,
            self.proxy,
            (service, port),
            &egress.l4_virtual_services,
            self.allow_any,
        );
        for address in self.addresses(service, port) {
            self.insert(address, port, chains.clone(), origin);
        }
    }

    /// Where a TCP service listens: its virtual IPs, pod IPs of a headless one, else everywhere.
    fn addresses(&self, service: usize, port: u16) -> Vec<Name> {
        let model = &self.push.registry.services[service];
        if model.is_headless() {
            let members = model.port(port).map(|p| p.endpoints.clone());
            return (members.iter().flat_map(|m| m.iter()))
                .map(|e| e.address.clone())
                .collect();
        }
        let plain = |a: &&Name| !a.contains('/') && &***a != ANY;
        let own: Vec<Name> = model.addresses.iter().filter(plain).cloned().collect();
        if own.is_empty() {
            vec![ANY.into()]
        } else {
            own
        }
    }

    /// Adds a listener, or its chains to the one that is there: chains that are already matched
    /// are dropped (first wins), the catch-all stays last.
    fn insert(&mut self, address: Name, port: u16, chains: Vec<FilterChain>, origin: Origin) {
        let name: Name = format!("{address}_{port}").into();
        let listener = (self.listeners)
            .entry((port, address.clone()))
            .or_insert_with(|| Listener {
                name,
                address,
                port,
                chains: Vec::new(),
                origin,
            });
        for new in chains {
            let taken = listener
                .chains
                .iter_mut()
                .find(|c| c.matches == new.matches);
            match taken {
                // What a service says beats the fallback of an HTTP listener.
                Some(old) if old.origin.is_built_in() && !new.origin.is_built_in() => *old = new,
                Some(_) => {}
                None => listener.chains.push(new),
            }
        }
        listener.chains.sort_by_key(|c| match c.matches {
            ChainMatch::PlaintextHttp => 0,
            ChainMatch::Sni(_) => 1,
            ChainMatch::Destination(_) => 2,
            ChainMatch::Any => 3,
        });
    }
}

/// A filter chain.
pub(super) const fn chain(matches: ChainMatch, kind: ChainKind, origin: Origin) -> FilterChain {
    FilterChain {
        matches,
        kind,
        hcm: HttpConnectionManager::of_istiod(),
        origin,
    }
}

/// A chain to the default cluster of a service port.
pub(super) fn to_service(
    host: &str,
    port: u16,
    matches: ChainMatch,
    origin: Origin,
) -> FilterChain {
    let cluster = outbound_name(port, "", host);
    chain(matches, ChainKind::Tcp(vec![(cluster, 1)]), origin)
}

/// What happens to connections nothing else takes.
pub(super) fn unknown(allow_any: bool) -> FilterChain {
    let cluster = if allow_any { PASSTHROUGH } else { BLACK_HOLE };
    let kind = ChainKind::Tcp(vec![(cluster.into(), 1)]);
    chain(ChainMatch::Any, kind, Origin::BUILT_IN)
}

/// The listener of ports without a listener.
fn virtual_outbound(allow_any: bool) -> Listener {
    Listener {
        name: "virtualOutbound".into(),
        address: ANY.into(),
        port: 15001,
        chains: vec![unknown(allow_any)],
        origin: Origin::BUILT_IN,
    }
}
