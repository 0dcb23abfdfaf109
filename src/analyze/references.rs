//! `IST0101`: hosts, subsets, gateways and pods that are named and do not exist
//! (`analyzers/virtualservice/destinationhosts.go`, `destinationrules.go`, `gateways.go`,
//! `analyzers/gateway/gateway.go`).

use super::known::Host;
use super::{Context, selects};
use crate::config::istio::{Destination, VirtualService};
use crate::diagnostic::{Diagnostic, nearest};
use crate::units::Origin;
use crate::xds::Name;

const MESH: &str = "mesh";

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    for service in &context.config.virtual_services {
        for (destination, origin) in destinations(service) {
            // A host that does not exist has no subsets to miss.
            let of_host = host(context, service, destination, origin);
            let next = || subset(context, service, destination, origin);
            found.extend(of_host.or_else(next));
        }
        let gateways = service.gateways.iter();
        for gateway in gateways.filter(|g| &***g != MESH && !is_generated(g)) {
            found.extend(gateway_of(context, service, gateway));
        }
    }
    for gateway in &context.config.gateways {
        let workloads = &context.snapshot.workloads;
        let any = workloads
            .iter()
            .any(|w| selects(&gateway.selector, &w.labels));
        if !any && !gateway.selector.is_empty() {
            let labels: Vec<String> = gateway
                .selector
                .iter()
                .map(|(k, v)| format!("{k}={v}"))
                .collect();
            let message = format!(
                "no pod has the labels {}: no port is opened anywhere",
                labels.join(",")
            );
            let help = "correct `selector`, or add the gateway's workload to what is read";
            found.push(context.say("IST0101", gateway.meta.origin, message, help));
        }
    }
}

/// Every destination of a VirtualService, mirrors included, with its line.
pub(super) fn destinations(service: &VirtualService) -> Vec<(&Destination, Origin)> {
    let mut all = Vec::new();
    for route in &service.http {
        all.extend(route.route.iter().map(|d| (&d.destination, d.origin)));
        all.extend(route.mirrors.iter().map(|m| (&m.destination, m.origin)));
    }
    for route in service.tcp.iter().chain(&service.tls) {
        all.extend(route.route.iter().map(|d| (&d.destination, d.origin)));
    }
    all
}

fn host(
    context: &Context<'_>,
    service: &VirtualService,
    destination: &Destination,
    origin: Origin,
) -> Option<Diagnostic> {
    let full = context
        .known
        .full_name(&destination.host, &service.meta.namespace);
    let own = &*service.meta.namespace;
    let Some(host) = context.known.find_for(&full, own, &service.export_to) else {
        if context.known.find(&full).is_some() {
            let message = format!(
                "host `{full}` is not exported to where these routes are used: requests to it get 503 NC"
            );
            let help = "change its `exportTo` (of a Service: the annotation networking.istio.io/exportTo), or that of the VirtualService";
            return Some(context.say("IST0101", origin, message, help));
        }
        let names = context.known.names();
        let near = nearest(&full, names.iter().copied());
        let help = near.map_or_else(
            || "add the Service or ServiceEntry, or correct the name".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        let message = format!("host `{full}` does not exist: requests to it get 503 NC");
        return Some(context.say("IST0101", origin, message, &help));
    };
    let ports = host.ports();
    let wrong = destination.port != 0 && !ports.is_empty() && !ports.contains(&destination.port);
    wrong.then(|| {
        let has: Vec<String> = ports.iter().map(u16::to_string).collect();
        let message = format!(
            "`{full}` has no port {}: requests to it get 503 NC",
            destination.port
        );
        let help = format!("it has {}", has.join(", "));
        context.say("IST0101", origin, message, &help)
    })
}

fn subset(
    context: &Context<'_>,
    service: &VirtualService,
    destination: &Destination,
    origin: Origin,
) -> Option<Diagnostic> {
    if destination.subset.is_empty() {
        return None;
    }
    let full = context
        .known
        .full_name(&destination.host, &service.meta.namespace);
    let mut names: Vec<&str> = Vec::new();
    for rule in &context.config.destination_rules {
        if context.known.full_name(&rule.host, &rule.meta.namespace) == full {
            names.extend(rule.subsets.iter().map(|s| &*s.name));
        }
    }
    if names.contains(&&*destination.subset) {
        return None;
    }
    let help = match names.as_slice() {
        [] => "no DestinationRule for this host has subsets: add one".to_owned(),
        names => format!("its DestinationRules have {}", names.join(", ")),
    };
    let message = format!(
        "`{full}` has no subset `{}`: requests to it get 503 NC",
        destination.subset
    );
    Some(context.say("IST0101", origin, message, &help))
}

fn gateway_of(
    context: &Context<'_>,
    service: &VirtualService,
    gateway: &Name,
) -> Option<Diagnostic> {
    let (namespace, name) = place(gateway, &service.meta.namespace);
    let gateways = &context.config.gateways;
    if gateways
        .iter()
        .any(|g| *g.meta.namespace == *namespace && *g.meta.name == *name)
        || context.api_gateway(namespace, name).is_some()
    {
        return None;
    }
    let names: Vec<String> = (gateways.iter()).map(|g| g.meta.full_name()).collect();
    let help = match names.as_slice() {
        [] => "no Gateway was read: name its file with -f too".to_owned(),
        names => format!("there are {}", names.join(", ")),
    };
    let message =
        format!("gateway `{namespace}/{name}` does not exist: no gateway takes these routes");
    Some(context.say("IST0101", service.meta.origin, message, &help))
}

/// True for the name of a Gateway that istiod makes of one of the Gateway API, with or without a
/// namespace (`pkg/config/gateway/kube`).
pub(super) fn is_generated(gateway: &str) -> bool {
    gateway.contains("~istio-autogenerated-k8s-gateway~")
}

/// Namespace and name of a gateway as a VirtualService writes it.
pub(super) fn place<'g>(gateway: &'g str, own: &'g str) -> (&'g str, &'g str) {
    match gateway.split_once('/') {
        Some((".", name)) => (own, name),
        Some((namespace, name)) => (namespace, name),
        // The old dotted form: name.namespace.svc…
        None => match gateway.split_once('.') {
            Some((name, rest)) => (rest.split('.').next().unwrap_or(own), name),
            None => (own, gateway),
        },
    }
}

/// What a destination names, where it exists.
pub(super) fn host_of<'a>(
    context: &Context<'a>,
    namespace: &str,
    destination: &Destination,
) -> Option<Host<'a>> {
    let full = context.known.full_name(&destination.host, namespace);
    context.known.find(&full)
}
