//! Hash policies of routes: the key of `consistentHash` sits on the route, not on the cluster
//! (`core/route/route.go`, getHashPolicy).

use super::proxy::Proxy;
use super::push_context::PushContext;
use crate::config::istio::{HashKey, LoadBalancer, TrafficPolicy};
use crate::xds::route::HashPolicy;

/// The balancer whose key a destination uses, with the rule it is in.
///
/// A port entry is considered only when the destination names its port.
pub(super) fn balancer<'a>(
    push: &PushContext<'a>,
    proxy: &Proxy<'_>,
    service: usize,
    port: Option<u16>,
    subset: &str,
) -> Option<&'a LoadBalancer> {
    let model = &push.registry.services[service];
    let id = push
        .rules
        .find(proxy.namespace, proxy.labels, &model.host, &model.namespace)?;
    let rule = &push.rules.rules[id];
    let of = |policy: &'a TrafficPolicy| {
        let entry = port.and_then(|port| policy.ports.iter().find(|e| e.port == port));
        entry.map_or(policy.load_balancer.as_ref(), |e| {
            e.policy.load_balancer.as_ref()
        })
    };
    let named = rule
        .subsets
        .iter()
        .find(|s| *s.name == *subset && !subset.is_empty());
    let own = named.and_then(|s| s.policy.as_ref()).and_then(of);
    own.or_else(|| rule.policy.and_then(of))
}

/// The key as Envoy reads it.
pub(super) fn policy(balancer: Option<&LoadBalancer>) -> Option<HashPolicy> {
    let key = balancer?.consistent_hash.as_ref()?.key.as_ref()?;
    Some(match key {
        HashKey::Header(name) => HashPolicy::Header(name.to_ascii_lowercase().into()),
        HashKey::Cookie { name, path, ttl } => HashPolicy::Cookie {
            name: name.clone(),
            path: path.clone(),
            ttl: *ttl,
        },
        HashKey::SourceIp => HashPolicy::SourceIp,
        HashKey::Query(name) => HashPolicy::Query(name.clone()),
    })
}
