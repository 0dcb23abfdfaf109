//! `IST0132`: a VirtualService none of whose hosts its gateway has
//! (`analyzers/virtualservice/gateways.go`).

use super::Context;
use super::references::place;
use crate::diagnostic::Diagnostic;
use crate::xds::Name;

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    for service in &context.config.virtual_services {
        for name in service.gateways.iter().filter(|g| &***g != "mesh") {
            let (namespace, gateway) = place(name, &service.meta.namespace);
            let mut gateways = context.config.gateways.iter();
            let known =
                gateways.find(|g| *g.meta.namespace == *namespace && *g.meta.name == *gateway);
            let servers = known.map_or(&[][..], |g| &g.servers);
            let hosts = || servers.iter().flat_map(|s| &s.hosts);
            let fits = |host: &&Name| {
                let full = context.known.full_name(host, &service.meta.namespace);
                hosts().any(|pattern| covers(pattern, &full, &service.meta.namespace, namespace))
            };
            if service.hosts.iter().any(|host| fits(&host)) {
                continue;
            }
            let has: Vec<&str> = hosts().map(|host| &**host).collect();
            let message = format!(
                "none of its hosts is one of the gateway `{namespace}/{gateway}`, which answers 404 for them"
            );
            let help = if has.is_empty() {
                "the gateway does not exist or has no hosts".to_owned()
            } else {
                format!("the gateway has {}", has.join(", "))
            };
            found.push(context.say("IST0132", service.meta.origin, message, &help));
        }
    }
}

/// A gateway's `[namespace/]host` pattern and a VirtualService's host overlap.
fn covers(pattern: &str, host: &str, own: &str, gateway: &str) -> bool {
    let pattern = match pattern.split_once('/') {
        Some(("*", pattern)) => pattern,
        Some((".", pattern)) if own == gateway => pattern,
        Some((namespace, pattern)) if namespace == own => pattern,
        Some(_) => return false,
        None => pattern,
    };
    let under = |wide: &str, name: &str| {
        wide.strip_prefix('*')
            .is_some_and(|rest| name.ends_with(rest))
    };
    pattern == host || under(pattern, host) || under(host, pattern)
}
