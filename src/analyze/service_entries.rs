//! ServiceEntries that cannot be told apart: `IST0134` TCP without addresses, `IST0177` one host and
//! port with two protocols (`analyzers/serviceentry`).

use std::collections::{BTreeMap, BTreeSet};

use super::Context;
use super::known::scopes;
use crate::config::istio::{PortSpec, ServiceEntry};
use crate::diagnostic::Diagnostic;
use crate::units::Origin;

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    for entry in &context.config.service_entries {
        addresses(context, entry, found);
    }
    protocols(context, found);
}

/// `IST0134`. As in Istio, the addresses that istiod allocates by default from 1.25 on do not count:
/// only clients that ask the sidecar's DNS ever use them.
fn addresses(context: &Context<'_>, entry: &ServiceEntry, found: &mut Vec<Diagnostic>) {
    let mesh = &context.config.mesh;
    if !entry.addresses.is_empty() || entry.has_allocated || mesh.dns_allocates {
        return;
    }
    let is_tcp = |p: &&PortSpec| p.protocol.is_empty() || p.protocol.eq_ignore_ascii_case("tcp");
    for port in entry.ports.iter().filter(is_tcp) {
        let message = format!(
            "TCP port {} has no `addresses`: connections name no host, so the sidecar cannot tell this one from other destinations on that port",
            port.number
        );
        let help = "write the addresses, or let proxies answer DNS: ISTIO_META_DNS_CAPTURE and ISTIO_META_DNS_AUTO_ALLOCATE in meshConfig.defaultConfig.proxyMetadata";
        found.push(context.say("IST0134", port.origin, message, help));
    }
}

/// A port of an entry that some namespace sees.
type Seen<'a> = (&'a ServiceEntry, &'a PortSpec);

/// `IST0177`, once for each entry.
fn protocols(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    let mut index: BTreeMap<(&str, &str, u16), Vec<Seen<'_>>> = BTreeMap::new();
    for entry in &context.config.service_entries {
        for scope in scopes(&entry.export_to, &entry.meta.namespace) {
            for host in &entry.hosts {
                for port in &entry.ports {
                    let key = (scope, &**host, port.number);
                    index.entry(key).or_default().push((entry, port));
                }
            }
        }
    }
    let mut reported: BTreeSet<Origin> = BTreeSet::new();
    for ((scope, host, number), seen) in &index {
        // What everybody sees meets what only some see.
        let everywhere = index.get(&("*", *host, *number)).filter(|_| *scope != "*");
        let all: Vec<&Seen<'_>> = seen
            .iter()
            .chain(everywhere.into_iter().flatten())
            .collect();
        let words: BTreeSet<String> = (all.iter())
            .map(|(_, port)| port.protocol.to_ascii_uppercase())
            .collect();
        if words.len() < 2 {
            continue;
        }
        let words = Vec::from_iter(words).join(" and ");
        for (entry, port) in &all {
            if !reported.insert(entry.meta.origin) {
                continue;
            }
            let others: BTreeSet<Origin> = (all.iter())
                .map(|(other, _)| other.meta.origin)
                .filter(|other| *other != entry.meta.origin)
                .collect();
            let mut places = vec!["here".to_owned()];
            places.extend(others.iter().map(|o| context.config.origins.describe(*o)));
            let message = format!(
                "port {number} of `{host}` is {words} at once, {}: sidecars treat it as one of them, and requests of the other kind fail",
                places.join(" and in ")
            );
            let help = "give the port one protocol everywhere, or other numbers";
            found.push(context.say("IST0177", port.origin, message, help));
        }
    }
}
