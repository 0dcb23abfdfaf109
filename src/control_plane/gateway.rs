//! Listeners and routes of gateways (`core/gateway.go`).
//!
//! Unlike at sidecars, VirtualServices of one host *are* merged here, and a request that no
//! virtual host or route takes gets 404: there is no fallback to services.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::gateway_servers::{MergedServer, ServerKind, merge};
use super::listener::chain;
use super::proxy::Proxy;
use super::push_context::PushContext;
use super::route::RouteBuilder;
use super::tables::Tables;
use super::tcp_route::tcp_proxy;
use super::virtual_service::visible_to;
use crate::config::host::{overlaps, subset_of};
use crate::config::istio::{L4Match, L4Route};
use crate::units::Origin;
use crate::xds::listener::{ChainKind, ChainMatch};
use crate::xds::route::{HeaderOps, Redirect, RouteMatch};
use crate::xds::snapshot::RouteConfigId;
use crate::xds::{Action, FilterChain, Listener, Name, Route, RouteConfig, VirtualHost};

/// Listeners and route configurations of one gateway workload.
pub(super) fn listeners(
    push: &PushContext<'_>,
    proxy: &Proxy<'_>,
    tables: &mut Tables,
) -> (Vec<Listener>, Vec<RouteConfigId>) {
    let gateway = Gateway {
        push,
        proxy,
        seen: visible_to(&push.virtual_services, proxy.namespace),
    };
    let mut listeners = Vec::new();
    let mut routes: BTreeMap<Name, RouteConfigId> = BTreeMap::new();
    for ((port, bind), servers) in merge(push, proxy) {
        let mut by_route: BTreeMap<Name, Vec<&MergedServer<'_>>> = BTreeMap::new();
        for server in servers.iter().filter(|s| !s.route_name.is_empty()) {
            by_route
                .entry(server.route_name.clone())
                .or_default()
                .push(server);
        }
        for (name, servers) in by_route {
            let config = gateway.route_config(&name, &servers, tables);
            routes.insert(name, tables.intern(config));
        }
        let chains = gateway.chains(&servers, &routes);
        // A port where nothing takes a connection is not even opened.
        if chains.is_empty() {
            continue;
        }
        let address: Name = if bind.is_empty() {
            "0.0.0.0".into()
        } else {
            bind
        };
        listeners.push(Listener {
            name: format!("{address}_{port}").into(),
            address,
            port,
            chains,
            origin: servers[0].server.origin,
        });
    }
    listeners.sort_by(|a, b| (&a.address, a.port).cmp(&(&b.address, b.port)));
    (listeners, routes.into_values().collect())
}

struct Gateway<'a> {
    push: &'a PushContext<'a>,
    proxy: &'a Proxy<'a>,
    /// VirtualServices its namespace sees, in order.
    seen: Vec<usize>,
}

/// A virtual host while servers and VirtualServices add to it.
struct Host {
    /// Port of the server that brought the host: the one people write, whatever the pod listens on.
    port: u16,
    routes: Vec<Route>,
    /// `httpsRedirect`: every request is sent to https.
    redirect: bool,
    origin: Origin,
}

impl Gateway<'_> {
    fn route_config(
        &self,
        name: &Name,
        servers: &[&MergedServer<'_>],
        tables: &mut Tables,
    ) -> RouteConfig {
        let mut hosts: BTreeMap<Name, Host> = BTreeMap::new();
        for server in servers {
            self.add_server(server, &mut hosts, tables);
        }
        let virtual_host = |(host, mut built): (Name, Host)| {
            if built.redirect {
                built.routes = vec![to_https(built.origin)];
            }
            // Catch-all routes of one VirtualService must not hide routes of the next.
            built.routes.sort_by_key(|r| r.matches.is_catch_all());
            VirtualHost {
                name: format!("{host}:{}", built.port).into(),
                domains: vec![host],
                routes: built.routes.into(),
                include_attempt_count: true,
                origin: built.origin,
            }
        };
        let mut virtual_hosts: Vec<VirtualHost> = hosts.into_iter().map(virtual_host).collect();
        if virtual_hosts.is_empty() {
            let port = servers[0].server.port.number;
            virtual_hosts.push(VirtualHost {
                name: format!("blackhole:{port}").into(),
                domains: vec!["*".into()],
                routes: Arc::new([]),
                include_attempt_count: true,
                origin: Origin::BUILT_IN,
            });
        }
        virtual_hosts.sort_by(|a, b| a.name.cmp(&b.name));
        RouteConfig {
            name: name.clone(),
            virtual_hosts,
        }
    }

    fn add_server(
        &self,
        server: &MergedServer<'_>,
        hosts: &mut BTreeMap<Name, Host>,
        tables: &mut Tables,
    ) {
        // Who comes by TLS has nowhere to be sent.
        let redirect = server.kind == ServerKind::Http
            && (server.server.tls.as_ref()).is_some_and(|t| t.https_redirect);
        let builder = RouteBuilder {
            push: self.push,
            proxy: self.proxy,
            listen_port: server.server.port.number,
            gateway: &server.gateway,
        };
        for index in &self.seen {
            let vs = &self.push.virtual_services[*index];
            if !vs.is_bound_to(&server.gateway) {
                continue;
            }
            let common = intersection(&server.hosts_for(&vs.namespace), &vs.hosts);
            if common.is_empty() {
                continue;
            }
            let Some(routes) = tables.cache.of_virtual_service(&builder, *index) else {
                continue;
            };
            for host in common {
                let host = hosts.entry(host).or_insert_with(|| Host {
                    port: server.server.port.number,
                    routes: Vec::new(),
                    redirect: false,
                    origin: vs.origin,
                });
                host.redirect |= redirect;
                host.routes.extend(routes.iter().cloned());
            }
        }
        if redirect {
            for host in server.dns_hosts() {
                let host = hosts.entry(host).or_insert_with(|| Host {
                    port: server.server.port.number,
                    routes: Vec::new(),
                    redirect: true,
                    origin: server.server.origin,
                });
                host.redirect = true;
            }
        }
    }

    fn chains(
        &self,
        servers: &[MergedServer<'_>],
        routes: &BTreeMap<Name, RouteConfigId>,
    ) -> Vec<FilterChain> {
        let mut chains: Vec<FilterChain> = Vec::new();
        let mut used: BTreeSet<Name> = BTreeSet::new();
        for server in servers {
            let origin = server.server.origin;
            match server.kind {
                ServerKind::Http => {
                    let kind = ChainKind::Http(routes[&server.route_name]);
                    let matches = if servers[0].kind == ServerKind::Http {
                        ChainMatch::Any
                    } else {
                        ChainMatch::PlaintextHttp
                    };
                    if chains.iter().all(|c| c.kind != kind) {
                        chains.push(chain(matches, kind, origin));
                    }
                }
                ServerKind::Https => {
                    let kind = ChainKind::HttpsTerminate(routes[&server.route_name]);
                    chains.push(chain(by_name(server), kind, origin));
                }
                ServerKind::Passthrough => self.add_passthrough(server, &mut used, &mut chains),
                ServerKind::TlsTcp => chains.extend(self.tcp_chain(server, by_name(server))),
                ServerKind::Tcp => chains.extend(self.tcp_chain(server, ChainMatch::Any)),
            }
        }
        chains.sort_by_key(|c| c.matches == ChainMatch::Any);
        chains
    }

    /// The first VirtualService with a matching rule takes the whole server.
    fn tcp_chain(&self, server: &MergedServer<'_>, matches: ChainMatch) -> Option<FilterChain> {
        let port = server.server.port.number;
        let rule = self.bound(server).find_map(|i| {
            let mut rules = self.push.virtual_services[i].tcp.iter();
            rules.find(|r| r.matches.is_empty() || r.matches.iter().any(|m| fits(m, server)))
        })?;
        let kind = tcp_proxy(self.push, self.proxy, port, rule);
        Some(chain(matches, kind, rule.origin))
    }

    /// One chain per match block of `tls` rules; names already taken on the port are skipped.
    fn add_passthrough(
        &self,
        server: &MergedServer<'_>,
        used: &mut BTreeSet<Name>,
        chains: &mut Vec<FilterChain>,
    ) {
        let port = server.server.port.number;
        for index in self.bound(server) {
            let rules: &[L4Route] = &self.push.virtual_services[index].tls;
            for rule in rules {
                for block in rule.matches.iter().filter(|m| fits(m, server)) {
                    if block.sni_hosts.iter().any(|h| used.contains(h)) {
                        continue;
                    }
                    used.extend(block.sni_hosts.iter().cloned());
                    let matches = ChainMatch::Sni(block.sni_hosts.clone());
                    let kind = tcp_proxy(self.push, self.proxy, port, rule);
                    chains.push(chain(matches, kind, block.origin));
                }
            }
        }
    }

    /// VirtualServices bound to the server's Gateway whose hosts overlap the server's.
    fn bound(&self, server: &MergedServer<'_>) -> impl Iterator<Item = usize> {
        self.seen.iter().copied().filter(|i| {
            let vs = &self.push.virtual_services[*i];
            let hosts = server.hosts_for(&vs.namespace);
            vs.is_bound_to(&server.gateway)
                && (vs.hosts.iter()).any(|h| hosts.iter().any(|s| overlaps(h, s)))
        })
    }
}

/// Of a TCP or TLS match only port and gateways count here.
fn fits(block: &L4Match, server: &MergedServer<'_>) -> bool {
    (block.port == 0 || block.port == server.server.port.number)
        && (block.gateways.is_empty() || block.gateways.contains(&server.gateway))
}

/// TLS servers are told apart by server name.
fn by_name(server: &MergedServer<'_>) -> ChainMatch {
    let hosts = server.dns_hosts();
    if hosts.iter().any(|h| &**h == "*") {
        ChainMatch::Any
    } else {
        ChainMatch::Sni(hosts)
    }
}

/// Hosts both sides cover, the narrower of each pair.
fn intersection(server: &[Name], own: &[Name]) -> Vec<Name> {
    let mut common: Vec<Name> = Vec::new();
    for a in server {
        for b in own {
            let narrower = if subset_of(a, b) {
                a
            } else if subset_of(b, a) {
                b
            } else {
                continue;
            };
            if !common.contains(narrower) {
                common.push(narrower.clone());
            }
        }
    }
    common
}

fn to_https(origin: Origin) -> Route {
    Route {
        name: "https-redirect".into(),
        matches: RouteMatch::any(),
        action: Action::Redirect(Redirect {
            status: 301,
            scheme: Some("https".into()),
            ..Redirect::default()
        }),
        fault: None,
        filters: None,
        request_headers: HeaderOps::default(),
        response_headers: HeaderOps::default(),
        origin,
    }
}
