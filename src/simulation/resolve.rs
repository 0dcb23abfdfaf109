//! From a URL to the route that takes it: name, address, listener, filter chain, virtual host.
//!
//! What happens between an application's `connect()` and the router of its sidecar
//! (`istio-config.md` §1.7–1.8). `run` and `curl` both come through here.

use std::collections::BTreeMap;

use crate::data_plane::envoy_headers::{self, in_block};
use crate::data_plane::{RequestView, RouteDecision, Router, Trail};
use crate::http::{Headers, Url};
use crate::xds::listener::{ChainKind, ChainMatch, HttpConnectionManager};
use crate::xds::snapshot::{RouteConfigId, ServiceId};
use crate::xds::{Listener, Name, PodId, ProxyKind, ProxyTables, Route, Snapshot, VirtualHost};

/// DNS domain of the cluster in search paths.
const DOMAIN: &str = "cluster.local";

/// One kind of request: everything that routing can depend on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestClass {
    /// Scheme, host, port and path as the client wrote them.
    pub url: Url,
    /// `:authority`.
    pub authority: String,
    /// Method.
    pub method: Name,
    /// Headers.
    pub headers: Headers,
}

impl RequestClass {
    /// A request to a URL.
    pub fn new(url: Url, method: &str, headers: Headers) -> Self {
        let authority = headers
            .get("host")
            .map_or_else(|| url.authority(), str::to_owned);
        Self {
            url,
            authority,
            method: method.into(),
            headers,
        }
    }

    /// What the router looks at.
    pub fn view(&self) -> RequestView<'_> {
        RequestView {
            method: &self.method,
            scheme: if &*self.url.scheme == "https" {
                "https"
            } else {
                "http"
            },
            authority: &self.authority,
            path: &self.url.path,
            headers: &self.headers,
        }
    }
}

/// Where a request's connection ends up in the client's proxy.
#[derive(Clone, Debug)]
pub enum Resolved<'a> {
    /// An HTTP route.
    Http {
        /// The virtual host.
        vhost: &'a VirtualHost,
        /// The route.
        route: &'a Route,
        /// Settings of the connection manager.
        hcm: &'a HttpConnectionManager,
        /// Route configuration and indexes, for compiled patterns.
        at: (RouteConfigId, usize, usize),
    },
    /// HTTP, but no virtual host or no route: 404 NR.
    NoRoute,
    /// Opaque bytes to weighted clusters.
    Tcp(Vec<(Name, u32)>),
    /// No listener and nothing is passed through: the connection is closed.
    Closed,
}

/// Resolves requests against a snapshot; compiles each route configuration once.
#[derive(Debug)]
pub struct Resolver<'a> {
    snapshot: &'a Snapshot,
    services: BTreeMap<&'a str, ServiceId>,
    routers: BTreeMap<RouteConfigId, Router>,
    /// Patterns that are not RE2, in words.
    pub bad_patterns: Vec<String>,
}

impl<'a> Resolver<'a> {
    /// A resolver over a snapshot.
    pub fn new(snapshot: &'a Snapshot) -> Self {
        let services = snapshot
            .services
            .iter_ids()
            .map(|(id, s)| (&*s.host, id))
            .collect();
        Self {
            snapshot,
            services,
            routers: BTreeMap::new(),
            bad_patterns: Vec::new(),
        }
    }

    /// The service a name means to a pod of `namespace`, by the DNS search path.
    pub fn service(&self, host: &str, namespace: &str) -> Option<ServiceId> {
        let host = host.trim_end_matches('.');
        let candidates = [
            format!("{host}.{namespace}.svc.{DOMAIN}"),
            format!("{host}.svc.{DOMAIN}"),
            format!("{host}.{DOMAIN}"),
            host.to_owned(),
        ];
        let mut found = candidates
            .iter()
            .find_map(|name| self.services.get(name.as_str()).copied());
        // ExternalName chains end after as many steps as there are services.
        for _ in 0..self.services.len() {
            let Some(alias) = found.and_then(|id| self.snapshot.services[id].alias_of.clone())
            else {
                break;
            };
            found = self.services.get(&*alias).copied();
        }
        found
    }

    /// Finds the route for a request of a proxy with these tables.
    pub fn resolve<T: Trail>(
        &mut self,
        tables: &'a ProxyTables,
        class: &RequestClass,
        trail: &mut T,
    ) -> Resolved<'a> {
        let tls = &*class.url.scheme == "https";
        let addresses = self.addresses(tables, class);
        let ports = self.listening_ports(tables, class);
        let Some((listener, chain)) = find_chain(tables, &addresses, &ports, class, tls) else {
            return if tables.allow_any && tables.kind != ProxyKind::Gateway {
                Resolved::Tcp(vec![("PassthroughCluster".into(), 1)])
            } else {
                Resolved::Closed
            };
        };
        let chain = &listener.chains[chain];
        match &chain.kind {
            ChainKind::Tcp(clusters) => Resolved::Tcp(clusters.clone()),
            ChainKind::Http(config) | ChainKind::HttpsTerminate(config) => {
                self.route(*config, &chain.hcm, class, trail)
            }
        }
    }

    /// The listener and the position of the filter chain that take a request.
    pub fn chain_of(
        &self,
        tables: &'a ProxyTables,
        class: &RequestClass,
    ) -> Option<(&'a Listener, usize)> {
        let tls = &*class.url.scheme == "https";
        let ports = self.listening_ports(tables, class);
        find_chain(tables, &self.addresses(tables, class), &ports, class, tls)
    }

    /// The route configuration a request would be looked up in, matching or not.
    pub fn config_of(
        &self,
        tables: &'a ProxyTables,
        class: &RequestClass,
    ) -> Option<RouteConfigId> {
        let tls = &*class.url.scheme == "https";
        let ports = self.listening_ports(tables, class);
        let addresses = self.addresses(tables, class);
        let (listener, chain) = find_chain(tables, &addresses, &ports, class, tls)?;
        match &listener.chains[chain].kind {
            ChainKind::Http(config) | ChainKind::HttpsTerminate(config) => Some(*config),
            ChainKind::Tcp(_) => None,
        }
    }

    fn route<T: Trail>(
        &mut self,
        id: RouteConfigId,
        hcm: &'a HttpConnectionManager,
        class: &RequestClass,
        trail: &mut T,
    ) -> Resolved<'a> {
        let snapshot = self.snapshot;
        let config = &snapshot.route_configs[id];
        let bad_patterns = &mut self.bad_patterns;
        let router = self.routers.entry(id).or_insert_with(|| {
            let (router, bad) = Router::new(config);
            bad_patterns.extend(bad);
            router
        });
        // Headers that only internal requests may send are gone before routes are matched.
        let mut stripped;
        let mut seen = class;
        if envoy_headers::are_there(&class.headers)
            && !envoy_headers::is_internal(hcm, &class.headers, None)
        {
            stripped = class.clone();
            envoy_headers::remove(&mut stripped.headers);
            seen = &stripped;
        }
        match router.route(config, &seen.view(), trail) {
            RouteDecision::Route { vhost, route } => {
                let host = &config.virtual_hosts[vhost];
                Resolved::Http {
                    vhost: host,
                    route: &host.routes[route],
                    hcm,
                    at: (id, vhost, route),
                }
            }
            RouteDecision::NoVirtualHost | RouteDecision::NoRoute { .. } => Resolved::NoRoute,
        }
    }

    /// The compiled router of a configuration that was resolved before.
    pub fn router(&self, id: RouteConfigId) -> Option<&Router> {
        self.routers.get(&id)
    }

    /// Ports a proxy may take the request on: the URL's, and at a gateway what the gateway's own
    /// Service makes of it (`istio-config.md` §5.1).
    fn listening_ports(&self, tables: &ProxyTables, class: &RequestClass) -> Vec<u16> {
        let asked = class.url.port;
        let mut ports = vec![asked];
        if tables.kind == ProxyKind::Gateway {
            let is_gateway = |pod: PodId| {
                let workload = &self.snapshot.workloads[self.snapshot.pods[pod].workload];
                workload.proxy == ProxyKind::Gateway
            };
            let services = self.snapshot.services.iter();
            let behind = services
                .flat_map(|s| &s.ports)
                .filter(|p| p.port == asked)
                .flat_map(|p| &p.endpoints)
                .filter(|e| e.pod.is_some_and(is_gateway))
                .map(|e| e.port);
            ports.extend(behind);
        }
        ports
    }

    /// Addresses the name may resolve to; none for names outside the registry.
    fn addresses(&self, tables: &ProxyTables, class: &RequestClass) -> Vec<Name> {
        if class.url.host.parse::<std::net::IpAddr>().is_ok() {
            return vec![class.url.host.clone()];
        }
        match self.service(&class.url.host, &tables.namespace) {
            Some(id) => self.snapshot.services[id].addresses.clone(),
            None => Vec::new(),
        }
    }
}

/// The exact listener of the address, else the wildcard one of the port.
fn find_chain<'a>(
    tables: &'a ProxyTables,
    addresses: &[Name],
    ports: &[u16],
    class: &RequestClass,
    tls: bool,
) -> Option<(&'a Listener, usize)> {
    let on_port = |l: &&Listener| ports.contains(&l.port);
    let exact = tables
        .listeners
        .iter()
        .filter(on_port)
        .find(|l| addresses.contains(&l.address));
    let listener = exact.or_else(|| {
        tables
            .listeners
            .iter()
            .filter(on_port)
            .find(|l| &*l.address == "0.0.0.0")
    })?;
    let takes = |m: &ChainMatch, kind: &ChainKind| match m {
        ChainMatch::Any => !(tls && matches!(kind, ChainKind::Http(_))),
        ChainMatch::PlaintextHttp => !tls,
        ChainMatch::Sni(names) => {
            tls && names.iter().any(|name| sni_matches(name, &class.url.host))
        }
        ChainMatch::Destination(blocks) => addresses
            .iter()
            .any(|a| blocks.iter().any(|b| in_block(b, a))),
    };
    let mut chains = listener.chains.iter();
    let chain = chains.position(|chain| takes(&chain.matches, &chain.kind))?;
    Some((listener, chain))
}

fn sni_matches(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some(suffix) => host.ends_with(suffix),
        None => pattern.eq_ignore_ascii_case(host),
    }
}
