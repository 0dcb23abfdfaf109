//! Gateways and the VirtualServices that name them: `IST0132` none of whose hosts the gateway has,
//! `IST0165` a gateway that istiod generates, `IST0162` a port that no Service leads to
//! (`analyzers/virtualservice/gateways.go`, `analyzers/gateway/gateway.go`).

use std::collections::BTreeSet;

use super::references::{is_generated, place};
use super::{Context, selects};
use crate::config::istio::{Gateway, VirtualService};
use crate::config::k8s::TargetPort;
use crate::diagnostic::Diagnostic;
use crate::xds::Name;

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    for service in &context.config.virtual_services {
        for name in service.gateways.iter().filter(|g| &***g != "mesh") {
            if is_generated(name) {
                found.push(generated(context, service, name));
            } else {
                found.extend(without_hosts(context, service, name));
            }
        }
    }
    for gateway in &context.config.gateways {
        ports(context, gateway, found);
    }
}

/// `IST0165`.
fn generated(context: &Context<'_>, service: &VirtualService, name: &str) -> Diagnostic {
    let message = format!(
        "`{name}` is what istiod makes of a Gateway of the Gateway API: its name and its parts may change with any release, and these routes are gone then"
    );
    let help = "write an HTTPRoute with `parentRefs`, or name a Gateway of Istio's own";
    context.say("IST0165", service.meta.origin, message, help)
}

/// `IST0132`.
fn without_hosts(
    context: &Context<'_>,
    service: &VirtualService,
    name: &str,
) -> Option<Diagnostic> {
    let own = &*service.meta.namespace;
    let (namespace, gateway) = place(name, own);
    let hosts = hosts_of(context, namespace, gateway);
    let fits = |host: &Name| {
        let full = context.known.full_name(host, own);
        let mut patterns = hosts.iter();
        patterns.any(|pattern| covers(pattern, &full, own, namespace))
    };
    if service.hosts.iter().any(fits) {
        return None;
    }
    let message = format!(
        "none of its hosts is one of the gateway `{namespace}/{gateway}`, which answers 404 for them"
    );
    let help = if hosts.is_empty() {
        "the gateway does not exist or has no hosts".to_owned()
    } else {
        format!("the gateway has {}", hosts.join(", "))
    };
    Some(context.say("IST0132", service.meta.origin, message, &help))
}

/// Hosts of a gateway of either kind; none where it does not exist.
fn hosts_of<'a>(context: &Context<'a>, namespace: &str, name: &str) -> Vec<&'a str> {
    let mut gateways = context.config.gateways.iter();
    let known = gateways.find(|g| *g.meta.namespace == *namespace && *g.meta.name == *name);
    if let Some(gateway) = known {
        let hosts = gateway.servers.iter().flat_map(|server| &server.hosts);
        return hosts.map(|host| &**host).collect();
    }
    match context.api_gateway(namespace, name) {
        Some(gateway) if gateway.hosts.is_empty() => vec!["*"],
        Some(gateway) => gateway.hosts.iter().map(|host| &**host).collect(),
        None => Vec::new(),
    }
}

/// `IST0162`: whoever comes through the Service of the gateway's pods never reaches the port. Where
/// no pod is selected at all, `IST0101` has said so.
fn ports(context: &Context<'_>, gateway: &Gateway, found: &mut Vec<Diagnostic>) {
    let workloads = context.snapshot.workloads.iter();
    let pods: Vec<_> = workloads
        .filter(|w| selects(&gateway.selector, &w.labels))
        .collect();
    if pods.is_empty() {
        return;
    }
    let services = context.config.services.iter().filter(|service| {
        let mut pods = pods.iter();
        pods.any(|w| w.namespace == service.meta.namespace && selects(&service.selector, &w.labels))
    });
    let mut open: BTreeSet<u16> = BTreeSet::new();
    for port in services
        .flat_map(|service| &service.ports)
        .filter(|port| &*port.transport == "TCP")
    {
        open.insert(port.port);
        if let TargetPort::Number(number) = port.target {
            open.insert(number);
        }
    }
    for server in &gateway.servers {
        let number = server.port.number;
        if open.contains(&number) {
            continue;
        }
        let message = format!(
            "no Service of the gateway's pods has the port {number}: nobody who comes through a Service reaches this server"
        );
        let help = if open.is_empty() {
            "add a Service for the pods of the gateway".to_owned()
        } else {
            let open: Vec<String> = open.iter().map(u16::to_string).collect();
            format!(
                "the Services lead to {}: use one of these, or add the port to a Service",
                open.join(", ")
            )
        };
        found.push(context.say("IST0162", server.origin, message, &help));
    }
}

/// A gateway's `[namespace/]host` pattern and a VirtualService's host overlap.
fn covers(pattern: &str, host: &str, own: &str, gateway: &str) -> bool {
    let pattern = match pattern.split_once('/') {
        Some(("*", pattern)) => pattern,
        Some((".", pattern)) if own == gateway => pattern,
        Some((namespace, pattern)) if namespace == own => pattern,
        Some(_) => return false,
        None => pattern,
    };
    let under = |wide: &str, name: &str| {
        wide.strip_prefix('*')
            .is_some_and(|rest| name.ends_with(rest))
    };
    pattern == host || under(pattern, host) || under(host, pattern)
}
