//! `TT-ROUTE-NOWHERE`: rules that are in no proxy's tables.
//!
//! Asked of the compiled tables, and said only where the reason is known: a host that is no
//! service, ports that speak no HTTP, a port or a client that does not exist.

use std::collections::BTreeSet;

use super::known::Host;
use super::references::destinations;
use super::{Context, selects};
use crate::config::istio::{HttpMatch, VirtualService};
use crate::config::k8s;
use crate::diagnostic::Diagnostic;
use crate::units::Origin;
use crate::xds::ProxyKind;

const MESH: &str = "mesh";

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    let configs = context.snapshot.route_configs.iter();
    let routes = configs
        .flat_map(|config| &config.virtual_hosts)
        .flat_map(|host| host.routes.iter());
    let there: BTreeSet<Origin> = routes.map(|route| route.origin).collect();
    let objects: BTreeSet<_> = there.iter().map(|origin| origin.object).collect();
    for service in &context.config.virtual_services {
        let only_mesh = service.gateways.iter().all(|g| &**g == MESH);
        if !only_mesh || service.http.is_empty() || service.hosts.is_empty() {
            continue;
        }
        if !has_clients(context, service) {
            continue;
        }
        if !objects.contains(&service.meta.origin.object) {
            found.extend(whole(context, service));
            continue;
        }
        let blocks = service.http.iter().flat_map(|rule| &rule.matches);
        for block in blocks.filter(|block| !there.contains(&block.origin)) {
            found.extend(one(context, service, block));
        }
    }
}

/// Somebody with a sidecar could have these routes.
fn has_clients(context: &Context<'_>, service: &VirtualService) -> bool {
    let to = &service.export_to;
    let mut workloads = context.snapshot.workloads.iter();
    workloads.any(|w| {
        let shown = to.is_empty()
            || to.iter().any(|e| match &**e {
                "*" => true,
                "." => w.namespace == service.meta.namespace,
                named => *named == *w.namespace,
            });
        shown && w.proxy == ProxyKind::Sidecar
    })
}

/// None of its rules is anywhere.
fn whole(context: &Context<'_>, service: &VirtualService) -> Option<Diagnostic> {
    let full = |host: &str| context.known.full_name(host, &service.meta.namespace);
    if service.hosts.iter().any(|host| host.starts_with('*')) {
        return None;
    }
    let hosts: Vec<Option<Host<'_>>> = (service.hosts.iter())
        .map(|host| context.known.find(&full(host)))
        .collect();
    let named = full(&service.hosts[0]);
    if hosts.iter().all(Option::is_none) {
        // That a destination does not exist is said where it stands (`IST0101`).
        let mut to = destinations(service).into_iter();
        if to.any(|(to, _)| {
            service
                .hosts
                .iter()
                .any(|host| full(host) == full(&to.host))
        }) {
            return None;
        }
        let message = format!(
            "no proxy has these routes: `{named}` is no Service and no ServiceEntry, and for such hosts sidecars have routes on port 80 only, which nobody uses here"
        );
        let help = "add the Service or ServiceEntry, correct the host, or bind it to a gateway (`gateways`)";
        return Some(context.say("TT-ROUTE-NOWHERE", service.meta.origin, message, help));
    }
    let opaque = hosts.iter().flatten().all(|host| match host {
        Host::Service(service) => !service.ports.is_empty() && service.ports.iter().all(is_opaque),
        Host::Entry(entry) => {
            let words = entry.ports.iter().map(|p| p.protocol.to_ascii_uppercase());
            let mut words = words.peekable();
            words.peek().is_some()
                && words.all(|w| matches!(w.as_str(), "TCP" | "TLS" | "HTTPS" | "MONGO"))
        }
    });
    opaque.then(|| {
        let message = format!(
            "no proxy has these routes: no port of `{named}` speaks HTTP, and `http` rules hold for HTTP only"
        );
        let help = "name the port `http-…` or set `appProtocol: http` if it speaks HTTP; else write `tcp` or `tls` rules";
        context.say("TT-ROUTE-NOWHERE", service.meta.origin, message, help)
    })
}

/// A port that is told to speak something else.
fn is_opaque(port: &k8s::ServicePort) -> bool {
    let said = port.app_protocol.as_deref().unwrap_or(&port.name);
    let word = said.split('-').next().unwrap_or_default();
    matches!(
        word.to_ascii_lowercase().as_str(),
        "tcp" | "tls" | "https" | "mongo" | "mysql" | "redis" | "udp"
    )
}

/// One match block that nobody has.
fn one(context: &Context<'_>, service: &VirtualService, block: &HttpMatch) -> Option<Diagnostic> {
    let known = service.hosts.iter().filter_map(|host| {
        let full = (context.known).full_name(host, &service.meta.namespace);
        context.known.find(&full)
    });
    let ports: BTreeSet<u16> = known.flat_map(|host| host.ports()).collect();
    if block.port != 0 && !ports.is_empty() && !ports.contains(&block.port) {
        let has: Vec<String> = ports.iter().map(u16::to_string).collect();
        let message = format!(
            "no proxy has this match: its hosts have no port {}",
            block.port
        );
        let help = format!(
            "they have {}; `port` is that of the Service, not of the pods",
            has.join(", ")
        );
        return Some(context.say("TT-ROUTE-NOWHERE", block.origin, message, &help));
    }
    let mut workloads = context.snapshot.workloads.iter();
    let client = workloads.any(|w| {
        let here = block.source_namespace.is_empty() || block.source_namespace == w.namespace;
        here && w.proxy != ProxyKind::None && selects(&block.source_labels, &w.labels)
    });
    (!client).then(|| {
        let labels = block.source_labels.iter().map(|(k, v)| format!("{k}={v}"));
        let labels: Vec<String> = labels.collect();
        let place = match &*block.source_namespace {
            "" => String::new(),
            namespace => format!(" of `{namespace}`"),
        };
        let whom = match labels.as_slice() {
            [] => String::new(),
            labels => format!(" has the labels {}", labels.join(",")),
        };
        let message = format!("no proxy has this match: no client{place} with a sidecar{whom}");
        let help = "compare `sourceLabels` and `sourceNamespace` with the pods that call";
        context.say("TT-ROUTE-NOWHERE", block.origin, message, help)
    })
}
