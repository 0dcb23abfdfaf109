//! Services that disagree over the pods of a Deployment: `IST0116` about TCP and UDP, `IST0137` about
//! what stands before a port (`analyzers/deployment/services.go`).

use std::collections::{BTreeMap, BTreeSet};

use super::{Context, selects};
use crate::config::k8s::{PodTemplateOwner, Service, TargetPort};
use crate::diagnostic::Diagnostic;
use crate::xds::ProxyKind;

/// Who made the Deployment of a gateway; waypoints are nobody's Services.
pub(super) const MANAGED: &str = "gateway.istio.io/managed";
const WAYPOINT: &str = "istio.io-mesh-controller";

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    let owners = context.config.workloads.iter();
    for owner in owners.filter(|o| &*o.kind == "Deployment") {
        let managed = owner.meta.labels.get(MANAGED);
        let is_waypoint = managed.is_some_and(|by| &**by == WAYPOINT);
        let workload = context.workload(owner);
        if is_waypoint || workload.is_none_or(|w| w.proxy == ProxyKind::None) {
            continue;
        }
        let services: Vec<&Service> = (context.config.services.iter())
            .filter(|s| s.meta.namespace == owner.meta.namespace)
            .filter(|s| !s.selector.is_empty() && selects(&s.selector, &owner.labels))
            .collect();
        transports(context, owner, &services, found);
        targets(context, owner, &services, found);
    }
}

/// `IST0116`: one port number, two transports.
fn transports(
    context: &Context<'_>,
    owner: &PodTemplateOwner,
    services: &[&Service],
    found: &mut Vec<Diagnostic>,
) {
    let mut by_port: BTreeMap<u16, BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
    for service in services {
        for port in &service.ports {
            let of = by_port.entry(port.port).or_default();
            let of = of.entry(&port.transport).or_default();
            of.insert(&service.meta.name);
        }
    }
    for (port, transports) in by_port.iter().filter(|(_, all)| all.len() > 1) {
        let names: BTreeSet<&str> = transports.values().flatten().copied().collect();
        let words: Vec<&str> = transports.keys().copied().collect();
        let message = format!(
            "port {port} of {} leads to its pods by {}: sidecars take TCP only, so the rules of Istio hold for a part of what arrives",
            quoted(&names),
            words.join(" and ")
        );
        let help = "use different port numbers, or one Service for these pods";
        found.push(context.say("IST0116", owner.meta.origin, message, help));
    }
}

/// `IST0137`: one port of the pods, several ports before it.
fn targets(
    context: &Context<'_>,
    owner: &PodTemplateOwner,
    services: &[&Service],
    found: &mut Vec<Diagnostic>,
) {
    let mut by_target: BTreeMap<String, BTreeMap<u16, &str>> = BTreeMap::new();
    for service in services {
        for port in &service.ports {
            let target = match &port.target {
                TargetPort::Name(name) => name.to_string(),
                TargetPort::Number(number) if *number != 0 => number.to_string(),
                TargetPort::Number(_) | TargetPort::Same => port.port.to_string(),
            };
            let before = by_target.entry(target).or_default();
            before.insert(port.port, &service.meta.name);
        }
    }
    for (target, before) in by_target.iter().filter(|(_, all)| all.len() > 1) {
        let ports: Vec<String> = before.keys().map(u16::to_string).collect();
        let names: BTreeSet<&str> = before.values().copied().collect();
        let message = format!(
            "the ports {} of {} lead to the same port {target} of its pods: the sidecar has one listener there, with the protocol and limits of one of them",
            ports.join(" and "),
            quoted(&names)
        );
        let help = "give each port a targetPort of its own, or give them the same number";
        found.push(context.say("IST0137", owner.meta.origin, message, help));
    }
}

fn quoted(names: &BTreeSet<&str>) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(" and ")
}
