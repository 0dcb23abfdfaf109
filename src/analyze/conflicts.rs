//! Objects that claim the same: `IST0109` hosts of mesh VirtualServices, `IST0110` and `IST0111`
//! Sidecars, `IST0145` Gateways (`analyzers/virtualservice/conflictingmeshgatewayhosts.go`,
//! `analyzers/sidecar`, `analyzers/gateway/conflictinggateway.go`).

use std::collections::BTreeMap;

use super::{Context, selects};
use crate::config::istio::{Gateway, Sidecar, VirtualService};
use crate::diagnostic::Diagnostic;

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    virtual_services(context, found);
    sidecars(context, found);
    gateways(context, found);
}

fn virtual_services(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    let mut by_host: BTreeMap<String, Vec<&VirtualService>> = BTreeMap::new();
    for service in &context.config.virtual_services {
        let in_mesh =
            service.gateways.is_empty() || service.gateways.iter().any(|g| &**g == "mesh");
        let everywhere =
            service.export_to.is_empty() || service.export_to.iter().any(|e| &**e == "*");
        if !in_mesh || !everywhere {
            continue;
        }
        for host in &service.hosts {
            let full = context.known.full_name(host, &service.meta.namespace);
            by_host.entry(full).or_default().push(service);
        }
    }
    for (host, services) in by_host.iter().filter(|(_, all)| all.len() > 1) {
        for service in services {
            let others: Vec<String> = (services.iter())
                .filter(|other| other.meta.origin != service.meta.origin)
                .map(|other| context.config.origins.describe(other.meta.origin))
                .collect();
            let message = format!(
                "`{host}` is also a host of {}: one of them is ignored by sidecars",
                others.join(", ")
            );
            let help = "merge them into one, or bind all but one to gateways";
            found.push(context.say("IST0109", service.meta.origin, message, help));
        }
    }
}

fn sidecars(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    let sidecars = &context.config.sidecars;
    let mut pairs: Vec<(&Sidecar, &Sidecar)> = Vec::new();
    for (at, one) in sidecars.iter().enumerate() {
        let others = sidecars
            .iter()
            .enumerate()
            .filter(|(other, s)| *other != at && s.meta.namespace == one.meta.namespace);
        pairs.extend(others.map(|(_, other)| (one, other)));
    }
    for (one, other) in pairs {
        let named = context.config.origins.describe(other.meta.origin);
        match (&one.workload_selector, &other.workload_selector) {
            (None, None) => {
                let message = format!(
                    "{named} has no selector either: only one of them is the namespace's default"
                );
                let help = "keep one, or give the other a `workloadSelector`";
                found.push(context.say("IST0111", one.meta.origin, message, help));
            }
            (Some(a), Some(b)) => {
                let mut workloads = context.snapshot.workloads.iter();
                let both = workloads.find(|w| {
                    w.namespace == one.meta.namespace
                        && selects(a, &w.labels)
                        && selects(b, &w.labels)
                });
                if let Some(workload) = both {
                    let message = format!(
                        "{named} selects {} as well: one of them is ignored",
                        workload.full_name()
                    );
                    let help = "make the selectors tell them apart";
                    found.push(context.say("IST0110", one.meta.origin, message, help));
                }
            }
            _ => {}
        }
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
