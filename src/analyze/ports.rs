//! `IST0112` (destinations that need a port) and `IST0118` (ports whose names say no protocol)
//! (`analyzers/virtualservice/destinationhosts.go`, `analyzers/service/portname.go`).

use super::Context;
use super::references::{destinations, service_of};
use crate::diagnostic::Diagnostic;

/// Names before the first dash that say a protocol (`pkg/config/protocol/instance.go`).
const PROTOCOLS: [&str; 13] = [
    "grpc",
    "grpc-web",
    "http",
    "http2",
    "https",
    "mongo",
    "mysql",
    "redis",
    "tcp",
    "tls",
    "udp",
    "hbone",
    "http_proxy",
];
/// Ports that are never sniffed (`IsWellKnownPort`).
const WELL_KNOWN: [u16; 4] = [25, 53, 3306, 27017];

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    for virtual_service in &context.config.virtual_services {
        let namespace = &virtual_service.meta.namespace;
        for (destination, origin) in destinations(virtual_service) {
            let service = service_of(context, namespace, destination);
            let Some(service) = service.filter(|s| destination.port == 0 && s.ports.len() > 1)
            else {
                continue;
            };
            let ports: Vec<String> = service.ports.iter().map(|p| p.port.to_string()).collect();
            let message = format!(
                "`{}` has the ports {}, and the destination says none: the route is left out",
                destination.host,
                ports.join(", ")
            );
            found.push(context.say("IST0112", origin, message, "add `port: {number: …}`"));
        }
    }
    for service in &context.config.services {
        // Istio's own system namespaces and external names are not looked at.
        if service.external_name.is_some() || &*service.meta.namespace == "kube-system" {
            continue;
        }
        for port in &service.ports {
            let says = port.app_protocol.is_some() || says_protocol(&port.name);
            if says || &*port.transport == "UDP" || WELL_KNOWN.contains(&port.port) {
                continue;
            }
            let named = if port.name.is_empty() {
                format!("port {} has no name", port.port)
            } else {
                format!(
                    "the name `{}` of port {} says no protocol",
                    port.name, port.port
                )
            };
            let message = format!(
                "{named}: it is sniffed, and rules for HTTP hold only where HTTP is recognised"
            );
            let help = "name it `http`, `grpc-…`, `tcp-…`, or set `appProtocol`";
            found.push(context.say("IST0118", port.origin, message, help));
        }
    }
}

fn says_protocol(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let word = name.split('-').next().unwrap_or_default();
    PROTOCOLS.contains(&word) || name == "grpc-web" || name.starts_with("grpc-web-")
}
