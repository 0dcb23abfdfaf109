//! Routes that do less than they seem to: `IST0140` subsets that gateways do not see, `IST0149` claims
//! that nobody checks (`analyzers/virtualservice/destinationhosts.go`, `jwtclaimroute.go`).

use std::collections::BTreeSet;

use super::references::place;
use super::{Context, selects};
use crate::config::istio::{Gateway, VirtualService};
use crate::diagnostic::Diagnostic;
use crate::units::Origin;
use crate::xds::Name;
use crate::xds::snapshot::Workload;

const CLAIMS: &str = "@request.auth.claims";

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    for service in &context.config.virtual_services {
        subsets(context, service, found);
        claims(context, service, found);
    }
}

/// `IST0140`: a gateway decides by its own routes; what sidecars would choose for the host is not
/// asked again. Hosts are compared as they are written, as in Istio.
fn subsets(context: &Context<'_>, service: &VirtualService, found: &mut Vec<Diagnostic>) {
    if service.gateways.is_empty() {
        return;
    }
    let destinations = service.http.iter().flat_map(|route| &route.route);
    for to in destinations.filter(|d| d.destination.subset.is_empty()) {
        let host = &to.destination.host;
        for other in &context.config.virtual_services {
            let mut all = other.http.iter().flat_map(|route| &route.route);
            let chooses = other.hosts.contains(host)
                && all.any(|d| d.destination.host == *host && !d.destination.subset.is_empty());
            if !chooses {
                continue;
            }
            let message = format!(
                "this sends requests of the gateway to all pods of `{host}`: the subsets that {} chooses have no effect on them",
                context.config.origins.describe(other.meta.origin)
            );
            let help = "name the subset here too";
            found.push(context.say("IST0140", to.origin, message, help));
        }
    }
}

/// `IST0149`: claims are there only where a RequestAuthentication checks tokens on the gateway.
fn claims(context: &Context<'_>, service: &VirtualService, found: &mut Vec<Diagnostic>) {
    let Some((key, origin)) = claim(service) else {
        return;
    };
    for name in service.gateways.iter().filter(|g| &***g != "mesh") {
        let (namespace, name) = place(name, &service.meta.namespace);
        let mut gateways = context.config.gateways.iter();
        let known = gateways.find(|g| *g.meta.namespace == *namespace && *g.meta.name == *name);
        let Some(gateway) = known else { continue };
        let unchecked = unchecked_pods(context, gateway);
        if unchecked.is_empty() {
            continue;
        }
        let message = format!(
            "no RequestAuthentication checks tokens on {}: requests have no claims there, so the match on `{key}` never holds",
            Vec::from_iter(unchecked).join(" and ")
        );
        let help = format!(
            "add a RequestAuthentication that selects the pods of the gateway `{namespace}/{name}`"
        );
        found.push(context.say("IST0149", origin, message, &help));
    }
}

/// Workloads of a gateway that no RequestAuthentication selects.
fn unchecked_pods(context: &Context<'_>, gateway: &Gateway) -> BTreeSet<String> {
    let root = &*context.config.mesh.root_namespace;
    let is_checked = |workload: &Workload| {
        context.policies("RequestAuthentication").any(|policy| {
            let namespace = &*policy.meta.namespace;
            let here = namespace == root || namespace == &*workload.namespace;
            let selector = policy.selector.as_ref();
            here && selector.is_none_or(|labels| selects(labels, &workload.labels))
        })
    };
    let workloads = context.snapshot.workloads.iter();
    let of_gateway = workloads.filter(|w| selects(&gateway.selector, &w.labels));
    of_gateway
        .filter(|w| !is_checked(w))
        .map(|w| format!("`{}`", w.full_name()))
        .collect()
}

/// The first match on a claim, and where it stands.
fn claim(service: &VirtualService) -> Option<(&Name, Origin)> {
    let blocks = service.http.iter().flat_map(|route| &route.matches);
    blocks.into_iter().find_map(|block| {
        let mut keys = block.headers.keys().chain(block.without_headers.keys());
        let key = keys.find(|key| key.starts_with(CLAIMS))?;
        Some((key, block.origin))
    })
}
