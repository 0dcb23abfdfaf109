//! VirtualService (`pkg/config/validation/virtualservice.go`).

use super::super::{HttpMatch, HttpRoute, VirtualService, rules};
use super::http_route::{Role, http_route};
use super::l4_route::{Layer, l4_route};
use super::{export_to, schema_warning};
use crate::config::Meta;
use crate::config::decode::{At, Fields};
use crate::diagnostic::{Class, Diagnostic};
use crate::units::Origin;
use crate::xds::Name;

pub(in crate::config) fn virtual_service(f: &Fields<'_>, meta: Meta) -> VirtualService {
    let hosts = f.texts("hosts");
    let role = if hosts.is_empty() {
        Role::Delegate
    } else {
        Role::Root
    };
    let service = VirtualService {
        meta,
        gateways: f.texts("gateways"),
        export_to: export_to(f),
        http: f.objects("http", |f| http_route(f, role)),
        tcp: f.objects("tcp", |f| l4_route(f, Layer::Tcp, &hosts)),
        tls: f.objects("tls", |f| l4_route(f, Layer::Tls, &hosts)),
        hosts,
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
    check_gateway_names(f, &service.gateways);
    check_claims(f, &service);
    check_reachable(f, &service.http);
    check_repeated_matches(f, &service.http);
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

/// `ns/name`, or an old dotted name; Istio stops looking at the first name without a slash.
fn check_gateway_names(f: &Fields<'_>, gateways: &[Name]) {
    for gateway in gateways {
        let Some((namespace, name)) = gateway.split_once('/') else {
            if let Some((name, rest)) = gateway.split_once('.') {
                let namespace = rest.split('.').next().unwrap_or_default();
                let message = format!("`{gateway}` is an old form; write `{namespace}/{name}`");
                f.push_at("gateways", schema_warning(message));
            }
            if let Some(error) = rules::fqdn_error(gateway) {
                f.refuse_field("gateways", error);
            }
            return;
        };
        let namespace_ok = namespace == "." || rules::is_dns_label(namespace);
        if !namespace_ok || !rules::is_dns_label(name) {
            f.refuse_field("gateways", format!("`{gateway}` is not `namespace/name`"));
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

/// A rule without matches takes every request, so no later one is reached (IST0130).
fn check_reachable(f: &Fields<'_>, http: &[HttpRoute]) {
    let Some(catch_all) = http.iter().position(|route| route.matches.is_empty()) else {
        return;
    };
    let items: Vec<At<'_>> = f.items("http");
    for later in items.iter().skip(catch_all + 1) {
        let message =
            "this rule is never reached: an earlier one has no `match` and takes everything";
        let warning = Diagnostic::warning("IST0130", Class::Admission, message);
        later.push(match items.get(catch_all) {
            Some(first) => warning.see(first.place(), "takes everything"),
            None => warning,
        });
    }
}

/// Match blocks that repeat an earlier one: a rule of nothing else is never reached (IST0130).
fn check_repeated_matches(f: &Fields<'_>, http: &[HttpRoute]) {
    let bare = |block: &HttpMatch| HttpMatch {
        name: Name::default(),
        origin: Origin::BUILT_IN,
        ..block.clone()
    };
    let mut seen: Vec<HttpMatch> = Vec::new();
    let items = f.items("http");
    for (route, item) in http.iter().zip(&items) {
        let blocks: Vec<HttpMatch> = route.matches.iter().map(bare).collect();
        let repeated = blocks.iter().filter(|block| seen.contains(block)).count();
        if repeated > 0 && repeated == blocks.len() {
            let message = "this rule is never reached: earlier rules have all its matches";
            item.push(Diagnostic::warning("IST0130", Class::Admission, message));
        } else if repeated > 0 {
            let message =
                format!("{repeated} of this rule's matches repeat earlier ones and have no effect");
            item.push(Diagnostic::warning("IST0131", Class::Admission, message));
        }
        seen.extend(blocks);
    }
}
