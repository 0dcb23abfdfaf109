//! `tcp` and `tls` rules (`validateTCPRoute`, `validateTLSRoute`).

use super::super::{L4Match, L4Route, rules};
use super::http_route::route_destination;
use super::{gateway_names, labels, port, schema_warning};
use crate::config::decode::Fields;
use crate::xds::Name;

/// Which list a rule stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Layer {
    Tcp,
    Tls,
}

pub(super) fn l4_route(f: &Fields<'_>, layer: Layer, hosts: &[Name]) -> L4Route {
    let route = L4Route {
        matches: f.objects("match", |f| l4_match(f, layer, hosts)),
        route: f.objects("route", route_destination),
        origin: f.origin(),
    };
    if route.route.is_empty() {
        f.refuse("`route` is required");
    }
    if layer == Layer::Tls && route.matches.is_empty() {
        f.refuse("a tls rule needs a `match` with `sniHosts`");
    }
    let negative = route.route.iter().any(|d| d.weight < 0);
    let sum: i64 = route
        .route
        .iter()
        .fold(0, |sum, d| sum.saturating_add(d.weight));
    if negative || (route.route.len() > 1 && sum == 0) {
        f.refuse_field("route", "the weights are negative or add up to 0");
    }
    route
}

fn l4_match(f: &Fields<'_>, layer: Layer, hosts: &[Name]) -> L4Match {
    f.known(&["sourceSubnet", "sourceSubnets"]);
    let block = L4Match {
        sni_hosts: if layer == Layer::Tls {
            f.texts("sniHosts")
        } else {
            Vec::new()
        },
        destination_subnets: f.texts("destinationSubnets"),
        port: port(f, "port").unwrap_or(0),
        source_labels: labels(f, "sourceLabels"),
        source_namespace: f.text_or_empty("sourceNamespace"),
        gateways: f.texts("gateways"),
        origin: f.origin(),
    };
    gateway_names(f, &block.gateways, false);
    for subnet in block.destination_subnets.iter().filter(|s| !is_subnet(s)) {
        f.refuse_field(
            "destinationSubnets",
            format!("`{subnet}` is neither an address nor a CIDR"),
        );
    }
    if layer == Layer::Tls {
        f.not_simulated(
            "destinationSubnets",
            "telling server names apart by address",
        );
        if block.sni_hosts.is_empty() {
            f.missing("sniHosts");
        }
        for sni in &block.sni_hosts {
            sni_host(f, sni, hosts);
        }
    }
    block
}

fn sni_host(f: &Fields<'_>, sni: &Name, hosts: &[Name]) {
    if sni.parse::<std::net::IpAddr>().is_ok() {
        let message = format!("`{sni}` is an address; TLS never sends one as server name");
        f.push_at("sniHosts", schema_warning(message));
    } else if let Some(error) = rules::host_error(sni) {
        f.refuse_field("sniHosts", error);
    }
    let covered = hosts.iter().any(|host| covers(host, sni));
    if !covered {
        f.refuse_field(
            "sniHosts",
            format!("`{sni}` is not covered by the VirtualService's hosts"),
        );
    }
}

/// Whether every name `part` stands for is one of `whole`'s (`Name.SubsetOf`).
fn covers(whole: &str, part: &str) -> bool {
    match whole.strip_prefix('*') {
        Some(suffix) => part.trim_start_matches('*').ends_with(suffix),
        None => whole == part,
    }
}

/// An address, or an address and a prefix length.
pub(super) fn is_subnet(text: &str) -> bool {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let Ok(address) = address.parse::<std::net::IpAddr>() else {
        return false;
    };
    let longest = if address.is_ipv4() { 32 } else { 128 };
    length.is_none_or(|l| l.parse::<u8>().is_ok_and(|l| l <= longest))
}
