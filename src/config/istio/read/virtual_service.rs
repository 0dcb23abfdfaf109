//! VirtualService (`pkg/config/validation/virtualservice.go`).

use super::super::{VirtualService, rules};
use super::http_route::{Role, http_route};
use super::l4_route::{Layer, l4_route};
use super::{export_to, gateway_names, reachable};
use crate::config::Meta;
use crate::config::decode::Fields;
use crate::diagnostic::{Class, Diagnostic};

pub(in crate::config) fn virtual_service(f: &Fields<'_>, meta: Meta) -> VirtualService {
    let hosts = f.texts("hosts");
    let role = if hosts.is_empty() {
        Role::Delegate
    } else {
        Role::Root
    };
    let service = VirtualService {
        gateways: f.texts("gateways"),
        export_to: export_to(f, &meta.namespace),
        http: f.objects("http", |f| http_route(f, role)),
        tcp: f.objects("tcp", |f| l4_route(f, Layer::Tcp, &hosts)),
        tls: f.objects("tls", |f| l4_route(f, Layer::Tls, &hosts)),
        hosts,
        meta,
    };
    check_hosts(f, &service);
    if role == Role::Delegate
        && (!service.gateways.is_empty() || !service.tcp.is_empty() || !service.tls.is_empty())
    {
        f.refuse("a VirtualService without `hosts` is a delegate and may only have `http` rules");
    }
    if service.http.is_empty() && service.tcp.is_empty() && service.tls.is_empty() {
        f.refuse("at least one of `http`, `tcp` and `tls` is required");
    }
    gateway_names(f, &service.gateways, true);
    check_claims(f, &service);
    reachable::check_http(f, &service.http);
    reachable::check_l4(f, "tcp", &service.tcp);
    reachable::check_l4(f, "tls", &service.tls);
    service
}

fn applies_to_mesh(service: &VirtualService) -> bool {
    service.gateways.is_empty() || service.gateways.iter().any(|gateway| &**gateway == "mesh")
}

fn check_hosts(f: &Fields<'_>, service: &VirtualService) {
    let hosts = &service.hosts;
    for (i, host) in hosts.iter().enumerate() {
        if &**host == "*" && applies_to_mesh(service) {
            f.refuse_field(
                "hosts",
                "`*` is not allowed for sidecars, only for gateways",
            );
        } else if host.parse::<std::net::IpAddr>().is_err()
            && let Some(error) = rules::host_error(host)
        {
            f.refuse_field("hosts", error);
        }
        if let Some(other) = hosts[..i]
            .iter()
            .find(|other| rules::hosts_overlap(other, host))
        {
            f.refuse_field("hosts", format!("`{other}` and `{host}` overlap"));
        }
    }
}

/// Only gateways can match token claims.
fn check_claims(f: &Fields<'_>, service: &VirtualService) {
    const CLAIMS: &str = "@request.auth.claims";
    let blocks = service.http.iter().flat_map(|route| &route.matches);
    let claims = blocks
        .flat_map(|block| block.headers.keys().chain(block.without_headers.keys()))
        .any(|key| key.starts_with(CLAIMS));
    if !claims {
        return;
    }
    if applies_to_mesh(service) {
        f.refuse("matches on token claims are only possible on gateways");
    }
    let message = "matches on token claims are not simulated: no request has any";
    f.push(Diagnostic::warning(
        "TT-NOT-SIMULATED",
        Class::NotSimulated,
        message,
    ));
}
