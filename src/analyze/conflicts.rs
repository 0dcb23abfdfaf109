//! Objects that claim the same: `IST0109` hosts of mesh VirtualServices, `IST0145` Gateways
//! (`analyzers/virtualservice/conflictingmeshgatewayhosts.go`, `analyzers/gateway/conflictinggateway.go`).

use std::collections::{BTreeMap, BTreeSet};

use super::known::scopes;
use super::{Context, selects};
use crate::config::istio::{Gateway, VirtualService};
use crate::diagnostic::Diagnostic;
use crate::units::Origin;

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    virtual_services(context, found);
    gateways(context, found);
}

/// A host of a VirtualService of the mesh, in full.
type Claim<'a> = (String, &'a VirtualService);

/// `IST0109`, once for each VirtualService: all that are seen by the same clients and give one host.
/// One that few see meets those that all see by wildcards too.
fn virtual_services(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    let mut by_scope: BTreeMap<&str, Vec<Claim<'_>>> = BTreeMap::new();
    for service in &context.config.virtual_services {
        let gateways = &service.gateways;
        if !gateways.is_empty() && gateways.iter().all(|g| &**g != "mesh") {
            continue;
        }
        for scope in scopes(&service.export_to, &service.meta.namespace) {
            for host in &service.hosts {
                let full = context.known.full_name(host, &service.meta.namespace);
                by_scope.entry(scope).or_default().push((full, service));
            }
        }
    }
    let everywhere = by_scope.get("*").map_or(&[][..], Vec::as_slice);
    let mut clashes: BTreeMap<Origin, Clashes> = BTreeMap::new();
    for (scope, claims) in &by_scope {
        let wide = if *scope == "*" { &[][..] } else { everywhere };
        for (at, (host, service)) in claims.iter().enumerate() {
            let later = claims[at + 1..].iter().filter(|(other, _)| other == host);
            for (other, with) in later.chain(wide.iter().filter(|(o, _)| overlap(o, host))) {
                if with.meta.origin != service.meta.origin {
                    add(&mut clashes, host, service, other, with);
                    add(&mut clashes, other, with, host, service);
                }
            }
        }
    }
    let help = "merge them into one, or bind all but one to gateways";
    for (origin, clashes) in clashes {
        found.push(context.say("IST0109", origin, clashes.message(context), help));
    }
}

/// What others say of the hosts of one VirtualService.
#[derive(Default)]
struct Clashes {
    hosts: BTreeSet<String>,
    others: BTreeSet<Origin>,
    /// Some host is the very same; else wildcards cover it.
    same: bool,
}

fn add(
    clashes: &mut BTreeMap<Origin, Clashes>,
    host: &str,
    service: &VirtualService,
    other: &str,
    with: &VirtualService,
) {
    let of = clashes.entry(service.meta.origin).or_default();
    of.hosts.insert(format!("`{host}`"));
    of.others.insert(with.meta.origin);
    of.same |= host == other;
}

impl Clashes {
    fn message(&self, context: &Context<'_>) -> String {
        let hosts: Vec<&str> = self.hosts.iter().map(String::as_str).collect();
        let hosts = hosts.join(", ");
        let others = self.others.iter();
        let others: Vec<String> = others
            .map(|origin| context.config.origins.describe(*origin))
            .collect();
        let (others, names) = (others.join(", "), self.hosts.len() > 1);
        let be = if names { "are hosts" } else { "is a host" };
        if self.same {
            format!(
                "{hosts} {be} of {others} as well: sidecars take the rules of one of them and ignore the others"
            )
        } else {
            format!(
                "{hosts} {be} that {others} covers too: sidecars take the rules for the narrower host only, they are not joined"
            )
        }
    }
}

/// Hosts, either of which may be a wildcard, that have names in common (`host.Name.Matches`).
fn overlap(one: &str, other: &str) -> bool {
    match (one.strip_prefix('*'), other.strip_prefix('*')) {
        (Some(a), Some(b)) => a.ends_with(b) || b.ends_with(a),
        (Some(end), None) => other.ends_with(end),
        (None, Some(end)) => one.ends_with(end),
        (None, None) => one == other,
    }
}

fn gateways(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    let all = &context.config.gateways;
    for (at, one) in all.iter().enumerate() {
        for (_, other) in all.iter().enumerate().filter(|(other, _)| *other != at) {
            if !on_the_same_pods(context, one, other) {
                continue;
            }
            for server in &one.servers {
                let clash = other.servers.iter().find(|s| {
                    s.port.number == server.port.number
                        && s.bind == server.bind
                        && s.hosts.iter().any(|host| server.hosts.contains(host))
                });
                let Some(clash) = clash else { continue };
                let host = clash.hosts.iter().find(|host| server.hosts.contains(host));
                let message = format!(
                    "{} has `{}` on port {} of the same pods: one of them is ignored",
                    context.config.origins.describe(other.meta.origin),
                    host.map_or("*", |h| &**h),
                    server.port.number
                );
                let help = "give each host to one Gateway only";
                found.push(context.say("IST0145", server.origin, message, help));
            }
        }
    }
}

fn on_the_same_pods(context: &Context<'_>, one: &Gateway, other: &Gateway) -> bool {
    if one.selector == other.selector {
        return true;
    }
    let mut workloads = context.snapshot.workloads.iter();
    workloads.any(|w| selects(&one.selector, &w.labels) && selects(&other.selector, &w.labels))
}
