//! `TT-HASH-NOTHING`: a consistent hash that finds nothing to hash in any request.
//!
//! Envoy then takes a random number, and nobody is sticky. With a scenario every request is asked;
//! without one only what no request can have: a header on a port that speaks no HTTP.

use std::collections::BTreeMap;

use super::Context;
use super::calls::Calls;
use crate::config::istio::{DestinationRule, HashKey, LoadBalancer, TrafficPolicy};
use crate::data_plane::hash_policy::{Downstream, request_hash};
use crate::diagnostic::Diagnostic;
use crate::units::Origin;
use crate::xds::cluster::short_host;
use crate::xds::snapshot::Protocol;
use crate::xds::{Cluster, LbPolicy};

pub(super) fn check(context: &Context<'_>, calls: &Calls<'_>, found: &mut Vec<Diagnostic>) {
    if calls.of_scenario {
        asked(context, calls, found);
    }
    opaque(context, found);
}

const fn hashes(cluster: &Cluster) -> bool {
    matches!(
        cluster.lb,
        LbPolicy::RingHash { .. } | LbPolicy::Maglev { .. }
    )
}

/// Hashes of which no request of the scenario has the key.
fn asked(context: &Context<'_>, calls: &Calls<'_>, found: &mut Vec<Diagnostic>) {
    let nobody = Downstream {
        remote_ip: "",
        remote_address: "",
        local_address: "",
    };
    // By the block: what it hashes, which host, who asked, and whether anybody had the key.
    let mut blocks: BTreeMap<Origin, (String, String, Vec<String>, bool)> = BTreeMap::new();
    for request in &calls.requests {
        for way in &request.ways {
            let (Some(forward), Some(cluster)) = (request.forward, way.cluster) else {
                continue;
            };
            if !hashes(cluster) || forward.hash.is_empty() {
                continue;
            }
            let Some((origin, key)) = block_of(context, cluster) else {
                continue;
            };
            let entry = blocks.entry(origin).or_insert_with(|| {
                let host = short_host(&cluster.host).to_owned();
                (describe(key), host, Vec::new(), false)
            });
            entry.3 |= request_hash(&forward.hash, &way.sent.view(), &nobody).is_some();
            let from = request.from.to_string();
            if !entry.2.contains(&from) {
                entry.2.push(from);
            }
        }
    }
    for (origin, (key, host, from, _)) in blocks.into_iter().filter(|(_, block)| !block.3) {
        let message = format!(
            "no request of the scenario to {host} has {key} (from {}): each goes to a pod at random, nobody is sticky",
            from.join(", ")
        );
        let help = "let clients send it, and applications pass it on (`propagate` of the Model), or hash what requests have";
        found.push(context.say("TT-HASH-NOTHING", origin, message, help));
    }
}

/// Keys of HTTP on ports that speak none.
fn opaque(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    // By the block: its key, the host, and its ports as long as all of them are opaque.
    let mut blocks: BTreeMap<Origin, (String, String, Option<Vec<u16>>)> = BTreeMap::new();
    for cluster in (context.snapshot.clusters.iter()).filter(|c| hashes(c) && !c.host.is_empty()) {
        let Some((origin, key)) = block_of(context, cluster) else {
            continue;
        };
        let speaks_http = cluster.protocol.is_http() || cluster.protocol == Protocol::Auto;
        let entry = blocks.entry(origin).or_insert_with(|| {
            let host = short_host(&cluster.host).to_owned();
            (describe(key), host, Some(Vec::new()))
        });
        match &mut entry.2 {
            Some(_) if speaks_http || *key == HashKey::SourceIp => entry.2 = None,
            Some(ports) if !ports.contains(&cluster.port) => ports.push(cluster.port),
            _ => {}
        }
    }
    for (origin, (key, host, ports)) in blocks {
        let Some(ports) = ports else { continue };
        let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
        let message = format!(
            "{host} speaks no HTTP on port {}, and {key} is HTTP's: each connection goes to a pod at random",
            ports.join(", ")
        );
        let help = "use `useSourceIp`, or name the port `http-…` if it speaks HTTP";
        found.push(context.say("TT-HASH-NOTHING", origin, message, help));
    }
}

fn describe(key: &HashKey) -> String {
    match key {
        HashKey::Header(name) => format!("the header `{name}`"),
        HashKey::Cookie { name, .. } => format!("the cookie `{name}`"),
        HashKey::Query(name) => format!("the query parameter `{name}`"),
        HashKey::SourceIp => "a source address".to_owned(),
    }
}

/// The `loadBalancer` block that makes a cluster hash, and what it hashes.
fn block_of<'a>(context: &Context<'a>, cluster: &Cluster) -> Option<(Origin, &'a HashKey)> {
    let object = cluster.policy_origin.object;
    let mut rules = context.config.destination_rules.iter();
    let rule: &DestinationRule = rules.find(|rule| rule.meta.origin.object == object)?;
    let own = |lb: &'a Option<LoadBalancer>| {
        let lb = lb.as_ref()?;
        let key = lb.consistent_hash.as_ref()?.key.as_ref()?;
        Some((lb.origin, key))
    };
    let of = |policy: &'a TrafficPolicy| {
        let entry = policy.ports.iter().find(|p| p.port == cluster.port);
        entry
            .and_then(|entry| own(&entry.policy.load_balancer))
            .or_else(|| own(&policy.load_balancer))
    };
    let subset = rule.subsets.iter().find(|s| s.name == cluster.subset);
    let of_subset = subset.and_then(|s| s.policy.as_ref()).and_then(of);
    of_subset.or_else(|| rule.policy.as_ref().and_then(of))
}
