//! TCP and TLS rules of VirtualServices (`core/tls.go`, `core/networkfilter.go`).

use super::listener::{chain, to_service, unknown};
use super::protocol::is_tls;
use super::proxy::Proxy;
use super::push_context::PushContext;
use super::registry::ServiceModel;
use super::route::destination;
use crate::config::host::overlaps;
use crate::config::istio::{L4Match, L4Route};
use crate::config::selector::selects;
use crate::xds::listener::{ChainKind, ChainMatch};
use crate::xds::{FilterChain, Name};

/// Services oldest first: on one address and port the first one wins.
pub(super) fn by_age(push: &PushContext<'_>, services: &[usize]) -> Vec<usize> {
    let mut sorted = services.to_vec();
    sorted.sort_by_key(|i| &push.registry.services[*i].age);
    sorted
}

/// Filter chains of a TCP, TLS or sniffed port of a service.
pub(super) fn chains(
    push: &PushContext<'_>,
    proxy: &Proxy<'_>,
    (service, port): (usize, u16),
    virtual_services: &[usize],
    allow_any: bool,
) -> Vec<FilterChain> {
    let model = &push.registry.services[service];
    let tls = model.port(port).is_some_and(|p| is_tls(p.protocol));
    let speaks = |i: &&usize| {
        let hosts = &push.virtual_services[**i].hosts;
        hosts.iter().any(|h| overlaps(h, &model.host))
    };
    let rules = virtual_services.iter().filter(speaks);
    if tls {
        let rules = rules.flat_map(|i| &push.virtual_services[*i].tls);
        tls_chains(push, proxy, model, port, rules, allow_any)
    } else {
        let rules = rules.flat_map(|i| &push.virtual_services[*i].tcp);
        tcp_chains(push, proxy, model, port, rules)
    }
}

/// Rules in order up to the first that needs no subnet; without one, the service itself.
fn tcp_chains<'r>(
    push: &PushContext<'_>,
    proxy: &Proxy<'_>,
    model: &ServiceModel,
    port: u16,
    rules: impl Iterator<Item = &'r L4Route>,
) -> Vec<FilterChain> {
    let mut chains = Vec::new();
    for rule in rules {
        let fitting: Vec<&L4Match> = (rule.matches.iter())
            .filter(|m| fits(m, proxy, port))
            .collect();
        if fitting.is_empty() && !rule.matches.is_empty() {
            continue;
        }
        let kind = tcp_proxy(push, proxy, port, rule);
        // One block without a subnet makes the whole rule speak for the service's address.
        if fitting.iter().any(|m| m.destination_subnets.is_empty()) || rule.matches.is_empty() {
            chains.push(chain(ChainMatch::Any, kind, rule.origin));
            return chains;
        }
        let subnets = fitting
            .iter()
            .flat_map(|m| m.destination_subnets.iter().cloned());
        let matches = ChainMatch::Destination(subnets.collect());
        chains.push(chain(matches, kind, rule.origin));
    }
    chains.push(to_service(
        &model.host,
        port,
        service_match(model),
        model.origin,
    ));
    chains
}

/// A CIDR among the addresses shares `0.0.0.0` with others and needs a match.
fn service_match(model: &ServiceModel) -> ChainMatch {
    let is_cidr = |a: &&Name| a.contains('/');
    let cidrs: Vec<Name> = model.addresses.iter().filter(is_cidr).cloned().collect();
    if cidrs.is_empty() {
        ChainMatch::Any
    } else {
        ChainMatch::Destination(cidrs)
    }
}

/// One chain per match block by server name; any of them takes the default chain away.
fn tls_chains<'r>(
    push: &PushContext<'_>,
    proxy: &Proxy<'_>,
    model: &ServiceModel,
    port: u16,
    rules: impl Iterator<Item = &'r L4Route>,
    allow_any: bool,
) -> Vec<FilterChain> {
    let mut chains: Vec<FilterChain> = Vec::new();
    for rule in rules {
        for block in rule.matches.iter().filter(|m| fits(m, proxy, port)) {
            let matches = ChainMatch::Sni(block.sni_hosts.clone());
            if chains.iter().all(|c| c.matches != matches) {
                chains.push(chain(
                    matches,
                    tcp_proxy(push, proxy, port, rule),
                    block.origin,
                ));
            }
        }
    }
    let has_address = model.addresses.iter().any(|a| !a.contains('/')) || model.is_headless();
    if chains.is_empty() && has_address {
        return vec![to_service(&model.host, port, ChainMatch::Any, model.origin)];
    }
    if chains.is_empty() {
        // Shared with everybody else on the port: only its own name is its own.
        let own = ChainMatch::Sni(vec![model.host.clone()]);
        chains.push(to_service(&model.host, port, own, model.origin));
    }
    chains.push(unknown(allow_any));
    chains
}

/// At a sidecar all conditions count, unlike those of `http` blocks with gateways.
fn fits(block: &L4Match, proxy: &Proxy<'_>, port: u16) -> bool {
    let gateway = block.gateways.is_empty() || block.gateways.iter().any(|g| &**g == "mesh");
    gateway
        && (block.port == 0 || block.port == port)
        && selects(&block.source_labels, proxy.labels)
        && (block.source_namespace.is_empty() || block.source_namespace == *proxy.namespace)
}

/// Weighted clusters of a rule; unlike HTTP routes, destinations are looked up whole.
pub(super) fn tcp_proxy(
    push: &PushContext<'_>,
    proxy: &Proxy<'_>,
    port: u16,
    rule: &L4Route,
) -> ChainKind {
    let single = rule.route.len() == 1;
    let clusters = rule.route.iter().filter_map(|r| {
        let weight = if single {
            1
        } else {
            u32::try_from(r.weight).unwrap_or(0)
        };
        let (cluster, _) = destination(push, proxy, port, &r.destination, true);
        (weight > 0).then_some((cluster, weight))
    });
    ChainKind::Tcp(clusters.collect())
}
