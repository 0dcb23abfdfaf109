//! `IST0112` (destinations that need a port), `IST0118` (ports whose names say no protocol) and
//! `IST0150` (those of an ExternalName)
//! (`analyzers/virtualservice/destinationhosts.go`, `analyzers/service/portname.go`).

use super::Context;
use super::deployments::MANAGED;
use super::pods::is_control_plane;
use super::references::{destinations, host_of};
use crate::config::k8s::{Service, ServicePort};
use crate::control_plane::is_system;
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
            let host = host_of(context, namespace, destination);
            let ports = host.map_or_else(Vec::new, |host| host.ports());
            if destination.port != 0 || ports.len() < 2 {
                continue;
            }
            let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
            let message = format!(
                "`{}` has the ports {}, and the destination says none: requests go to the port they came in by, with 503 NC where it is none of these",
                destination.host,
                ports.join(", ")
            );
            found.push(context.say("IST0112", origin, message, "add `port: {number: …}`"));
        }
    }
    for service in context.config.services.iter().filter(|s| is_users(s)) {
        for port in &service.ports {
            found.extend(name(context, service, port));
        }
    }
}

/// Services that somebody wrote: not of Kubernetes' own namespaces, of Istio, or of a gateway that
/// istiod runs.
fn is_users(service: &Service) -> bool {
    let managed = service.meta.labels.get(MANAGED);
    let by_istiod = managed.is_some_and(|by| by.starts_with("istio.io-"));
    !is_system(&service.meta.namespace) && !is_control_plane(&service.meta) && !by_istiod
}

/// `IST0118`, or `IST0150` where the Service is another name for something outside.
fn name(context: &Context<'_>, service: &Service, port: &ServicePort) -> Option<Diagnostic> {
    let is_external = &*service.kind == "ExternalName";
    let is_known = port.app_protocol.is_some()
        || says_protocol(&port.name)
        || &*port.transport == "UDP"
        || WELL_KNOWN.contains(&port.port);
    if is_known && !(is_external && &*port.name == "tcp") {
        return None;
    }
    let named = if port.name.is_empty() {
        format!("port {} has no name", port.port)
    } else if is_external {
        format!("port {} is named `{}`", port.port, port.name)
    } else {
        format!(
            "the name `{}` of port {} says no protocol",
            port.name, port.port
        )
    };
    if is_external {
        let message = format!(
            "{named}, and an ExternalName has no address to tell it by: sidecars take connections to that port number for this Service, wherever they go"
        );
        let help =
            "name it for what it speaks, `http`, `https-…`, `tls-…`, or write a ServiceEntry";
        return Some(context.say("IST0150", port.origin, message, help));
    }
    let message = format!(
        "{named}: its protocol is sniffed, and rules for HTTP hold only where HTTP is recognised"
    );
    let help = "name it `http`, `grpc-…`, `tcp-…`, or set `appProtocol`";
    Some(context.say("IST0118", port.origin, message, help))
}

fn says_protocol(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let word = name.split('-').next().unwrap_or_default();
    PROTOCOLS.contains(&word) || name == "grpc-web" || name.starts_with("grpc-web-")
}
