//! Sidecar (`validateSidecar`).

use super::super::{EgressListener, IngressListener, OutboundMode, PortSpec, Sidecar, rules};
use super::connection::connection_pool;
use super::service_entry::port_spec;
use super::{schema_warning, workload_selector};
use crate::config::decode::Fields;
use crate::config::{IstioVersion, Meta};
use crate::diagnostic::{Class, Diagnostic};
use crate::xds::Name;

pub(in crate::config) fn sidecar(f: &Fields<'_>, meta: Meta, version: IstioVersion) -> Sidecar {
    let parts = [
        "egress",
        "ingress",
        "outboundTrafficPolicy",
        "inboundConnectionPool",
    ];
    if parts.iter().all(|part| f.get(part).is_none()) {
        f.refuse("the Sidecar is empty");
    }
    let sidecar = Sidecar {
        meta,
        workload_selector: f.object("workloadSelector", workload_selector),
        egress: f.objects("egress", egress),
        ingress: f.objects("ingress", |f| ingress(f, version)),
        outbound: f.object("outboundTrafficPolicy", |f| {
            // The newest mode is one of the mesh alone.
            outbound(f, false)
        }),
        inbound_connection_pool: f.object("inboundConnectionPool", |f| connection_pool(f, version)),
    };
    let portless = |listener: &EgressListener| listener.port.is_none();
    if sidecar.egress.iter().rev().skip(1).any(portless) {
        f.refuse_field("egress", "the listener without `port` must be the last");
    }
    let egress: Vec<u16> = sidecar
        .egress
        .iter()
        .filter_map(|l| Some(l.port.as_ref()?.number))
        .collect();
    let ingress: Vec<u16> = sidecar
        .ingress
        .iter()
        .map(|listener| listener.port.number)
        .collect();
    for (name, numbers) in [("egress", egress), ("ingress", ingress)] {
        for (i, number) in numbers.iter().enumerate() {
            if numbers[..i].contains(number) {
                f.refuse_field(name, format!("the port {number} is given twice"));
            }
        }
    }
    sidecar
}

/// `outboundTrafficPolicy`: a block without mode is REGISTRY_ONLY, the enum's zero.
pub(super) fn outbound(f: &Fields<'_>, has_dynamic_dns: bool) -> OutboundMode {
    const DYNAMIC: &str = "ALLOW_ANY_DYNAMIC_DNS";
    let modes = [
        ("REGISTRY_ONLY", OutboundMode::RegistryOnly),
        ("ALLOW_ANY", OutboundMode::AllowAny),
        (DYNAMIC, OutboundMode::AllowAny),
    ];
    let mode = f
        .choice("mode", &modes)
        .unwrap_or(OutboundMode::RegistryOnly);
    if f.get("mode")
        .is_some_and(|at| at.node().as_text().is_some_and(|t| &**t == DYNAMIC))
    {
        if has_dynamic_dns {
            let what = "looking up unknown hosts (they are passed through)";
            f.not_simulated("mode", what);
        } else {
            let message = format!("`{DYNAMIC}` is only possible for the whole mesh, from 1.31 on");
            f.refuse_field("mode", message);
        }
    }
    let proxied = f.object("egressProxy", |f| {
        f.known(&["subset", "port"]);
        let host = f.required_text("host");
        if f.get("port").is_none() {
            f.missing("port");
        }
        if let Some(error) = rules::fqdn_error(&host) {
            f.refuse_field("host", error);
        }
    });
    if proxied.is_some() && mode != OutboundMode::AllowAny {
        f.refuse_field("egressProxy", "needs `mode: ALLOW_ANY`");
    }
    if proxied.is_some() {
        let message = "`egressProxy` is deprecated; write a ServiceEntry and routes to the proxy";
        let warning = Diagnostic::warning("IST0002", Class::Advice, message);
        f.push_at("egressProxy", warning);
    }
    f.not_simulated("egressProxy", "a proxy for unknown destinations");
    mode
}

fn egress(f: &Fields<'_>) -> EgressListener {
    name_bind(f);
    let listener = EgressListener {
        port: f.object("port", port_spec),
        hosts: f.texts("hosts"),
        origin: f.origin(),
    };
    if let Some(port) = &listener.port {
        check_port(f, port);
    }
    if listener.hosts.is_empty() {
        f.missing("hosts");
    }
    for (i, host) in listener.hosts.iter().enumerate() {
        if listener.hosts[..i].contains(host) {
            f.push_at("hosts", schema_warning(format!("`{host}` is given twice")));
        }
        if let Some(error) = egress_host_error(host) {
            f.refuse_field("hosts", error);
        }
    }
    listener
}

/// `ns/dnsName` with `*`, `.`, `~` or a namespace, and a full name, `*.…` or `*`.
fn egress_host_error(host: &str) -> Option<String> {
    let Some((namespace, name)) = host.split_once('/') else {
        return Some(format!("`{host}` is not `namespace/name`"));
    };
    // From 1.31 on `~ns` leaves out what another line brings in.
    let plain = namespace.strip_prefix('~').unwrap_or(namespace);
    if !matches!(plain, "" | "*" | ".") && !rules::is_dns_label(plain) || namespace.is_empty() {
        return Some(format!("`{host}`: `{namespace}` is not a namespace"));
    }
    if name == "*" {
        return None;
    }
    if !name.contains('.') {
        return Some(format!("`{host}`: short names are not allowed"));
    }
    if name.starts_with('*') && !name.starts_with("*.") {
        return Some(format!("`{host}`: partial wildcards are not allowed"));
    }
    rules::host_error(name)
}

/// Listeners elsewhere than on the usual address, and traffic that is not captured.
fn name_bind(f: &Fields<'_>) {
    f.not_simulated("bind", "a listener on an address of its own");
    let captured = f.text("captureMode");
    if captured.is_some_and(|mode| &*mode == "NONE") {
        f.not_simulated("captureMode", "traffic that is not captured");
    }
}

fn check_port(f: &Fields<'_>, port: &PortSpec) {
    if port.number == 0 && !f.text_or_empty("bind").starts_with("unix://") {
        f.refuse_field("port", "`number` is required");
    }
    if port.target_port != 0 {
        f.refuse_field("port", "`targetPort` is not used in a Sidecar");
    }
    if !port.name.is_empty() && !rules::is_dns_label(&port.name) {
        f.refuse_field("port", format!("`{}` is not a port name", port.name));
    }
    if let Some(error) = rules::protocol_error(&port.protocol) {
        f.refuse_field("port", error);
    }
}

fn ingress(f: &Fields<'_>, version: IstioVersion) -> IngressListener {
    name_bind(f);
    f.not_simulated("tls", "TLS that the sidecar ends for others");
    let port = f.object("port", port_spec);
    match &port {
        Some(port) => check_port(f, port),
        None => f.missing("port"),
    }
    let default_endpoint = f.text_or_empty("defaultEndpoint");
    if !default_endpoint.is_empty() && !is_local(&default_endpoint) {
        let message = format!("`{default_endpoint}` must be on 127.0.0.1, 0.0.0.0 or a socket");
        f.refuse_field("defaultEndpoint", message);
    }
    IngressListener {
        port: port.unwrap_or_default(),
        default_endpoint,
        connection_pool: f.object("connectionPool", |f| connection_pool(f, version)),
        origin: f.origin(),
    }
}

fn is_local(endpoint: &Name) -> bool {
    if endpoint.starts_with("unix://") {
        return true;
    }
    let Some((host, port)) = endpoint.rsplit_once(':') else {
        return false;
    };
    let known = matches!(host, "" | "127.0.0.1" | "0.0.0.0" | "[::1]" | "[::]");
    known && port.parse::<u16>().is_ok_and(|port| port > 0)
}
