//! ServiceEntry and WorkloadEntry (`validateServiceEntry`, `validateWorkloadEntry`).

use std::net::IpAddr;

use super::super::{EndpointSpec, PortSpec, Resolution, ServiceEntry, WorkloadEntry, rules};
use super::l4_route::is_subnet;
use super::{labels, port, schema_warning, workload_selector};
use crate::config::decode::Fields;
use crate::config::{IstioVersion, Meta};
use crate::diagnostic::{Class, Diagnostic};
use crate::xds::Name;

pub(in crate::config) fn service_entry(
    f: &Fields<'_>,
    meta: Meta,
    version: IstioVersion,
) -> ServiceEntry {
    let locations = [("MESH_EXTERNAL", false), ("MESH_INTERNAL", true)];
    let resolutions = [
        ("NONE", Resolution::None),
        ("STATIC", Resolution::Static),
        ("DNS", Resolution::Dns),
        ("DNS_ROUND_ROBIN", Resolution::DnsRoundRobin),
        ("DYNAMIC_DNS", Resolution::DynamicDns),
    ];
    f.known(&["subjectAltNames"]);
    let entry = ServiceEntry {
        meta,
        hosts: f.texts("hosts"),
        addresses: f.texts("addresses"),
        ports: f.objects("ports", port_spec),
        mesh_internal: f.choice("location", &locations).unwrap_or(false),
        resolution: f.choice("resolution", &resolutions).unwrap_or_default(),
        endpoints: f.objects("endpoints", endpoint),
        workload_selector: f.object("workloadSelector", workload_selector),
        export_to: f.texts("exportTo"),
        has_allocated: false,
    };
    // `~` alone hides the entry; everything else is as in other kinds.
    if !matches!(entry.export_to.as_slice(), [word] if &**word == "~")
        && let Some(error) = rules::export_to_error(&entry.export_to, &entry.meta.namespace)
    {
        f.refuse_field("exportTo", error);
    }
    if entry.resolution == Resolution::DynamicDns {
        f.push(dynamic_dns(version));
    }
    check_hosts(f, &entry);
    check_ports(f, &entry);
    check_endpoints(f, &entry);
    check_addresses(f, &entry, version);
    entry
}

/// What becomes of `resolution: DYNAMIC_DNS`, a word of 1.28.
fn dynamic_dns(version: IstioVersion) -> Diagnostic {
    if !version.at_least(28) {
        let message = format!("`resolution`: `DYNAMIC_DNS` is not known to Istio {version}");
        return Diagnostic::error("IST0106", Class::Admission, message);
    }
    let message = "a name of its own for every host is not simulated: \
                   all hosts under the wildcard share one endpoint";
    Diagnostic::warning("TT-NOT-SIMULATED", Class::NotSimulated, message)
}

/// A port of a ServiceEntry, a server or a listener.
pub(super) fn port_spec(f: &Fields<'_>) -> PortSpec {
    PortSpec {
        number: port(f, "number").unwrap_or(0),
        protocol: f.text_or_empty("protocol"),
        name: f.text_or_empty("name"),
        target_port: f.integer("targetPort").unwrap_or(0),
        origin: f.origin(),
    }
}

pub(super) fn endpoint(f: &Fields<'_>) -> EndpointSpec {
    let ports = f.entries("ports").into_iter();
    EndpointSpec {
        address: f.text_or_empty("address"),
        ports: ports
            .filter_map(|(name, at)| Some((name, at.integer()?)))
            .collect(),
        labels: labels(f, "labels"),
        network: f.text_or_empty("network"),
        locality: f.text_or_empty("locality"),
        weight: f.integer("weight").unwrap_or(0),
        service_account: f.text_or_empty("serviceAccount"),
        origin: f.origin(),
    }
}

pub(in crate::config) fn workload_entry(f: &Fields<'_>, meta: Meta) -> WorkloadEntry {
    let endpoint = endpoint(f);
    let address = &endpoint.address;
    if address.is_empty() && endpoint.network.is_empty() {
        f.refuse("`address` is required");
    } else if !address.is_empty()
        && let Some(error) = rules::address_error(address, true)
    {
        f.refuse_field("address", error);
    }
    if address.starts_with("unix://") && !endpoint.ports.is_empty() {
        f.refuse_field("ports", "a socket has no ports");
    }
    if let Some(name) = endpoint
        .ports
        .keys()
        .find(|name| !rules::is_dns_label(name))
    {
        f.refuse_field("ports", format!("`{name}` is not the name of a port"));
    }
    WorkloadEntry { meta, endpoint }
}

fn check_hosts(f: &Fields<'_>, entry: &ServiceEntry) {
    if entry.hosts.is_empty() {
        f.missing("hosts");
    }
    for host in &entry.hosts {
        if &**host == "*" {
            f.refuse_field("hosts", "`*` is not a host of a service");
        } else if let Some(error) = rules::host_error(host) {
            f.refuse_field("hosts", error);
        } else if host.starts_with('*') && !host.starts_with("*.") {
            let message = format!("`{host}` is a partial wildcard, which few clients can use");
            f.push_at("hosts", schema_warning(message));
        }
    }
    let dynamic = entry.resolution == Resolution::DynamicDns;
    if dynamic && entry.hosts.iter().any(|host| !host.starts_with('*')) {
        f.refuse_field("hosts", "DYNAMIC_DNS needs wildcard hosts");
    }
}

fn check_ports(f: &Fields<'_>, entry: &ServiceEntry) {
    let twice = |at: usize, same: fn(&PortSpec, &PortSpec) -> bool| {
        entry.ports[..at]
            .iter()
            .any(|earlier| same(earlier, &entry.ports[at]))
    };
    for (at, spec) in entry.ports.iter().enumerate() {
        if spec.number == 0 {
            f.refuse_field("ports", "a port has no number");
        }
        if spec.name.is_empty() {
            f.refuse_field("ports", format!("the port {} has no name", spec.number));
        } else if !rules::is_dns_label(&spec.name) {
            f.refuse_field("ports", format!("`{}` is not a port name", spec.name));
        }
        if let Some(error) = rules::protocol_error(&spec.protocol) {
            f.refuse_field("ports", error);
        }
        if twice(at, |a, b| a.name == b.name) {
            f.refuse_field("ports", format!("the name `{}` is given twice", spec.name));
        }
        if twice(at, |a, b| a.number == b.number) {
            f.refuse_field(
                "ports",
                format!("the number {} is given twice", spec.number),
            );
        }
    }
    // A Host header or a server name tells hosts apart; plain bytes have neither.
    let many = entry.hosts.len() > 1 && entry.resolution != Resolution::None;
    let tells = |port: &PortSpec| {
        let protocol = port.protocol.to_ascii_lowercase();
        protocol.starts_with("http") || protocol.starts_with("grpc") || protocol == "tls"
    };
    if many && !entry.ports.iter().all(tells) {
        f.refuse_field("hosts", "TCP ports allow one host only");
    }
}

fn is_tcp(protocol: &str) -> bool {
    protocol.is_empty() || protocol.eq_ignore_ascii_case("tcp")
}

fn check_endpoints(f: &Fields<'_>, entry: &ServiceEntry) {
    let has_endpoints = !entry.endpoints.is_empty();
    if has_endpoints && entry.workload_selector.is_some() {
        f.refuse("`endpoints` and `workloadSelector` exclude each other");
    }
    let refuse = |message: &str| f.refuse_field("endpoints", message);
    match entry.resolution {
        Resolution::None => {
            if has_endpoints {
                refuse("resolution NONE allows no endpoints");
            }
            if entry.workload_selector.is_some() {
                let message = "resolution NONE ignores the workloads that are selected";
                f.push_at("workloadSelector", schema_warning(message));
            }
        }
        Resolution::Static => {
            let named = |e: &&EndpointSpec| !is_address(&e.address);
            if let Some(endpoint) = entry.endpoints.iter().find(named) {
                refuse(&format!(
                    "resolution STATIC needs addresses; `{}` is none",
                    endpoint.address
                ));
            }
        }
        Resolution::Dns | Resolution::DnsRoundRobin => {
            let unnamed = |host: &&Name| rules::fqdn_error(host).is_some();
            if !has_endpoints && let Some(host) = entry.hosts.iter().find(unnamed) {
                f.refuse_field(
                    "hosts",
                    format!("`{host}` cannot be resolved; give `endpoints`"),
                );
            }
            let mut addresses = entry.endpoints.iter().map(|e| &e.address);
            if let Some(error) = addresses.find_map(|a| rules::address_error(a, true)) {
                refuse(&error);
            }
            if entry.resolution == Resolution::DnsRoundRobin && entry.endpoints.len() > 1 {
                refuse("DNS_ROUND_ROBIN allows one endpoint");
            }
        }
        Resolution::DynamicDns => {
            let protocols = ["HTTP", "HTTP2", "GRPC", "TLS"];
            let fits = |port: &PortSpec| {
                protocols
                    .iter()
                    .any(|p| port.protocol.eq_ignore_ascii_case(p))
            };
            if has_endpoints || !entry.addresses.is_empty() || !entry.ports.iter().all(fits) {
                refuse(
                    "DYNAMIC_DNS allows no endpoints, no addresses and only HTTP, HTTP2, GRPC and TLS ports",
                );
            }
        }
    }
    let names: Vec<&Name> = entry.ports.iter().map(|port| &port.name).collect();
    let stray = |e: &EndpointSpec| e.ports.keys().find(|name| !names.contains(name)).cloned();
    if let Some(name) = entry.endpoints.iter().find_map(stray) {
        refuse(&format!("`{name}` is not the name of a port"));
    }
}

fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok() || text.starts_with("unix://")
}

fn check_addresses(f: &Fields<'_>, entry: &ServiceEntry, version: IstioVersion) {
    for address in entry.addresses.iter().filter(|address| !is_subnet(address)) {
        f.refuse_field(
            "addresses",
            format!("`{address}` is neither an address nor a CIDR"),
        );
    }
    let by_name = matches!(
        entry.resolution,
        Resolution::Dns | Resolution::DnsRoundRobin
    );
    if by_name && entry.addresses.iter().any(|address| address.contains('/')) {
        f.refuse_field("addresses", "a CIDR cannot stand with resolution DNS");
    }
    let label = entry
        .meta
        .labels
        .get("networking.istio.io/enable-autoallocate-ip");
    let allocated = version.at_least(25)
        && entry.resolution != Resolution::None
        && label.is_none_or(|value| &**value != "false");
    let tcp = entry.ports.iter().any(|port| is_tcp(&port.protocol));
    if tcp && entry.addresses.is_empty() && !allocated {
        let message = "a TCP port without `addresses` takes all traffic to that port number";
        f.push(schema_warning(message));
    }
}
