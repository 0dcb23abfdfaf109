//! Servers of all Gateways that select one gateway, merged by port (`pilot/pkg/model/gateway.go`).

use std::collections::{BTreeMap, BTreeSet};

use super::protocol;
use super::proxy::Proxy;
use super::push_context::PushContext;
use crate::config::istio::{Gateway, Server};
use crate::config::selector::selects;
use crate::xds::Name;
use crate::xds::snapshot::Protocol;

/// What a server does with connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerKind {
    /// Plaintext HTTP.
    Http,
    /// Terminates TLS, then HTTP.
    Https,
    /// Hands TLS bytes on by server name.
    Passthrough,
    /// Terminates TLS, then opaque bytes.
    TlsTcp,
    /// Opaque bytes.
    Tcp,
}

/// A server with its Gateway and route configuration.
#[derive(Clone, Debug)]
pub(super) struct MergedServer<'a> {
    pub(super) server: &'a Server,
    pub(super) kind: ServerKind,
    /// `namespace/name`.
    pub(super) gateway: Name,
    pub(super) namespace: &'a Name,
    /// Route configuration; empty for TCP.
    pub(super) route_name: Name,
}

impl MergedServer<'_> {
    /// Server hosts that VirtualServices of a namespace may use.
    pub(super) fn hosts_for(&self, namespace: &Name) -> Vec<Name> {
        let usable = |host: &Name| match host.split_once('/') {
            None => Some(host.clone()),
            Some(("*", dns)) => Some(dns.into()),
            Some((".", dns)) => (namespace == self.namespace).then(|| dns.into()),
            Some((ns, dns)) => (*ns == **namespace).then(|| dns.into()),
        };
        (self.server.hosts.iter().filter_map(usable))
            .map(|h| h.to_lowercase().into())
            .collect()
    }

    /// Server hosts without namespaces.
    pub(super) fn dns_hosts(&self) -> Vec<Name> {
        let hosts = self.server.hosts.iter();
        hosts
            .map(|h| h.split_once('/').map_or(&**h, |(_, dns)| dns))
            .map(|h| h.to_lowercase().into())
            .collect()
    }
}

/// Servers by (port of the pod, bind), in the order of their Gateways, oldest first.
pub(super) type Ports<'a> = BTreeMap<(u16, Name), Vec<MergedServer<'a>>>;

/// Merges the servers of every Gateway whose selector fits, in any namespace.
pub(super) fn merge<'a>(push: &'a PushContext<'_>, proxy: &Proxy<'_>) -> Ports<'a> {
    let mut gateways: Vec<&Gateway> = (push.config.gateways.iter())
        .filter(|g| selects(&g.selector, proxy.labels))
        .collect();
    gateways.sort_by(|a, b| a.meta.age_key().cmp(&b.meta.age_key()));
    let mut ports = Ports::new();
    let mut tls_hosts: BTreeSet<(u16, &Name, &Name)> = BTreeSet::new();
    let mut route_names: BTreeSet<Name> = BTreeSet::new();
    for gateway in gateways {
        for server in &gateway.servers {
            for port in target_ports(push, proxy, server.port.number) {
                // A whole server goes when one of its TLS hosts is taken; redirects count as TLS.
                if server.tls.is_some() {
                    let keys = server.hosts.iter().map(|h| (port, &server.bind, h));
                    if keys.clone().any(|k| tls_hosts.contains(&k)) {
                        continue;
                    }
                    tls_hosts.extend(keys);
                }
                let merged = describe(gateway, server, port);
                let present = ports.entry((port, server.bind.clone())).or_default();
                if !is_compatible(push, present, merged.kind) {
                    continue;
                }
                let taken = merged.kind == ServerKind::Https
                    && !route_names.insert(merged.route_name.clone());
                if !taken {
                    present.push(merged);
                }
            }
        }
    }
    ports.retain(|_, servers| !servers.is_empty());
    ports
}

/// The pod's ports behind the gateway's Services, else the number itself.
fn target_ports(push: &PushContext<'_>, proxy: &Proxy<'_>, number: u16) -> BTreeSet<u16> {
    let bound = push.registry.bindings.iter();
    let mut ports: BTreeSet<u16> = bound
        .filter(|b| b.workload == proxy.workload && b.port == number)
        .map(|b| b.target)
        .collect();
    if ports.is_empty() {
        ports.insert(number);
    }
    ports
}

fn describe<'a>(gateway: &'a Gateway, server: &'a Server, port: u16) -> MergedServer<'a> {
    let meta = &gateway.meta;
    let kind = kind(server);
    let bind = if server.bind.is_empty() {
        String::new()
    } else {
        format!(".{}", server.bind)
    };
    let route_name: Name = match kind {
        ServerKind::Http => format!("http.{port}{bind}").into(),
        ServerKind::Https => {
            let p = &server.port;
            format!(
                "https.{}.{}.{}.{}{bind}",
                p.number, p.name, meta.name, meta.namespace
            )
            .into()
        }
        _ => "".into(),
    };
    MergedServer {
        server,
        kind,
        gateway: meta.full_name().into(),
        namespace: &meta.namespace,
        route_name,
    }
}

fn kind(server: &Server) -> ServerKind {
    let mode = server.tls.as_ref().map(|t| &*t.mode);
    let terminates = matches!(
        mode,
        Some("SIMPLE" | "MUTUAL" | "OPTIONAL_MUTUAL" | "ISTIO_MUTUAL")
    );
    match protocol::parse(&server.port.protocol) {
        p if p.is_http() => ServerKind::Http,
        Protocol::Https if terminates => ServerKind::Https,
        Protocol::Tls if terminates => ServerKind::TlsTcp,
        Protocol::Https | Protocol::Tls => ServerKind::Passthrough,
        _ => ServerKind::Tcp,
    }
}

/// Plain HTTP goes with plain HTTP, TLS with TLS, TCP with nothing.
fn is_compatible(push: &PushContext<'_>, present: &[MergedServer<'_>], new: ServerKind) -> bool {
    let is_tls = |k: ServerKind| {
        matches!(
            k,
            ServerKind::Https | ServerKind::Passthrough | ServerKind::TlsTcp
        )
    };
    let Some(first) = present.first() else {
        return true;
    };
    let plain_before = present.iter().any(|s| s.kind == ServerKind::Http);
    match first.kind {
        ServerKind::Tcp => false,
        ServerKind::Http => new == ServerKind::Http,
        // A plain server behind TLS ones is usable from 1.29 on.
        _ if new == ServerKind::Http => push.at_least(29),
        _ => is_tls(new) && !plain_before,
    }
}
