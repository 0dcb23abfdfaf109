//! Hash policies of routes: the key of `consistentHash` sits on the route, not on the cluster
//! (`core/route/route.go`, getHashPolicy).

use super::proxy::Proxy;
use super::push_context::PushContext;
use crate::config::istio::{ConsistentHash, HashKey, TrafficPolicy};
use crate::xds::route::HashPolicy;

/// The hash whose key a destination uses: of the subset's port, the subset, the port, the rule.
///
/// A port entry is considered only when the destination names its port. Whatever has no
/// `consistentHash` is passed over, although its cluster may not hash at all.
pub(super) fn consistent_hash<'a>(
    push: &PushContext<'a>,
    proxy: &Proxy<'_>,
    service: usize,
    port: Option<u16>,
    subset: &str,
) -> Option<&'a ConsistentHash> {
    let model = &push.registry.services[service];
    let id = push
        .rules
        .find(proxy.namespace, proxy.labels, &model.host, &model.namespace)?;
    let rule = &push.rules.rules[id];
    let own = |policy: &'a TrafficPolicy| policy.load_balancer.as_ref()?.consistent_hash.as_ref();
    let of = |policy: &'a TrafficPolicy| {
        let entry = port.and_then(|port| policy.ports.iter().find(|e| e.port == port));
        entry.and_then(|e| own(&e.policy)).or_else(|| own(policy))
    };
    let named = rule
        .subsets
        .iter()
        .find(|s| *s.name == *subset && !subset.is_empty());
    let of_subset = named.and_then(|s| s.policy.as_ref()).and_then(of);
    of_subset.or_else(|| rule.policy.and_then(of))
}

/// The key as Envoy reads it.
pub(super) fn policy(hash: Option<&ConsistentHash>) -> Option<HashPolicy> {
    let key = hash?.key.as_ref()?;
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
