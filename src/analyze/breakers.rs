//! Limits that limit nothing: `TT-BREAKER-UNLIMITED`, `TT-QUEUE-UNLIMITED`, `TT-EJECTS-NOTHING`.
//!
//! istiod takes a written 0 for "not written", and writes 2^32 - 1 for what nobody wrote, where
//! Envoy's own default would be 1,024 (`istio-config.md` §3.5).

use std::collections::{BTreeMap, BTreeSet};

use super::Context;
use crate::config::istio::{ConnectionPool, DestinationRule, OutlierDetection, TrafficPolicy};
use crate::diagnostic::Diagnostic;
use crate::units::Origin;
use crate::xds::Endpoint;
use crate::xds::cluster::{UNLIMITED, Upstream, short_host};

/// What people write for "no limit": the greatest number of a signed 32-bit field, and beyond.
const AS_GOOD_AS_NONE: u32 = i32::MAX as u32;

/// Envoy's `max_ejection_percent`.
const DEFAULT_PERCENT: u32 = 10;

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    for rule in &context.config.destination_rules {
        for policy in policies(rule) {
            if let Some(pool) = &policy.connection_pool {
                limits(context, pool, found);
            }
            if let Some(outlier) = &policy.outlier_detection {
                found.extend(ejects_nothing(context, outlier));
            }
        }
    }
    queues(context, found);
    none_may_go(context, found);
}

/// Every policy of a rule: its own, those of its subsets, and of ports of both.
fn policies(rule: &DestinationRule) -> impl Iterator<Item = &TrafficPolicy> {
    let of_subsets = rule.subsets.iter().filter_map(|s| s.policy.as_ref());
    let whole = rule.policy.iter().chain(of_subsets);
    whole.flat_map(|policy| {
        let of_ports = policy.ports.iter().map(|port| &port.policy);
        std::iter::once(policy).chain(of_ports)
    })
}

/// Numbers that are no limit.
fn limits(context: &Context<'_>, pool: &ConnectionPool, found: &mut Vec<Diagnostic>) {
    let written = [
        (
            "maxConnections",
            pool.max_connections,
            "connections are opened",
        ),
        (
            "http1MaxPendingRequests",
            pool.http1_max_pending_requests,
            "requests wait for a connection",
        ),
        (
            "http2MaxRequests",
            pool.http2_max_requests,
            "requests are in flight",
        ),
        ("maxRetries", pool.max_retries, "retries are made at once"),
    ];
    for (field, value, what) in written {
        let Some(value) = value else { continue };
        let why = match value {
            0 => "istiod takes a 0 for not written",
            v if v >= AS_GOOD_AS_NONE => "nobody reaches it",
            _ => continue,
        };
        let message =
            format!("`{field}: {value}` is no limit ({why}): as many {what} as there are");
        let help = match field {
            "maxRetries" => {
                "write the number that is meant; to switch retries off write `retries: {attempts: 0}` in the VirtualService"
            }
            _ => {
                "write the number that is meant, 1 at least; leave it out where no limit is wanted"
            }
        };
        found.push(context.say("TT-BREAKER-UNLIMITED", pool.origin, message, help));
    }
}

/// Connections are limited, and what waits for one is not: nothing is ever refused. Where nothing
/// else says that a breaker is meant, a pool that lets clients wait is taken for one that should.
fn queues(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    let mut seen: BTreeSet<Origin> = BTreeSet::new();
    for cluster in &context.snapshot.clusters {
        let limits = &cluster.breakers;
        let is_breaker = (cluster.outlier.as_ref()).is_some_and(|o| !o.origin.is_built_in())
            || limits.max_retries < AS_GOOD_AS_NONE
            || cluster.pool.max_requests_per_connection > 0;
        let endless = is_breaker
            && limits.max_connections < AS_GOOD_AS_NONE
            && limits.max_pending_requests == UNLIMITED
            && limits.max_requests == UNLIMITED
            && cluster.upstream == Upstream::Http1;
        if !endless || limits.origin.is_built_in() || !seen.insert(limits.origin) {
            continue;
        }
        let message = format!(
            "`maxConnections: {}` without `http1MaxPendingRequests`: what finds no connection to {} waits in its proxy, without limit, and nothing is refused",
            limits.max_connections,
            short_host(&cluster.host)
        );
        let help = "add `http: {http1MaxPendingRequests: …}`: beyond it requests are answered 503 UO at once";
        found.push(context.say("TT-QUEUE-UNLIMITED", limits.origin, message, help));
    }
}

/// Both counts of answers are off.
fn ejects_nothing(context: &Context<'_>, outlier: &OutlierDetection) -> Option<Diagnostic> {
    let off = outlier.consecutive_5xx == Some(0)
        && outlier.consecutive_gateway.unwrap_or(0) == 0
        && !outlier.split_local_origin;
    off.then(|| {
        let message = "`consecutive5xxErrors: 0` switches the count off and no other is on: no pod is ever ejected".to_owned();
        let help = "leave `consecutive5xxErrors` out for Istio's 5, or write `consecutiveGatewayErrors`";
        context.say("TT-EJECTS-NOTHING", outlier.origin, message, help)
    })
}

/// `maxEjectionPercent` of the hosts, rounded down, is none of them: nobody is ejected since
/// Envoy 1.28. One host alone is nobody's mistake.
fn none_may_go(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    // By the block: the largest group of hosts it is for, or none where one of them may go.
    let mut blocks: BTreeMap<Origin, Option<(usize, u32, &str)>> = BTreeMap::new();
    for cluster in &context.snapshot.clusters {
        let Some(outlier) = &cluster.outlier else {
            continue;
        };
        let there = |e: &&Endpoint| !e.pod.is_some_and(|pod| context.snapshot.pods[pod].spare);
        let hosts = cluster.endpoints.iter().filter(there).count();
        if outlier.origin.is_built_in() || hosts < 2 {
            continue;
        }
        let may = outlier.always_eject_one_host || outlier.may_eject(hosts) > 0;
        let this = (hosts, outlier.max_ejection_percent, &*cluster.host);
        let known = blocks.entry(outlier.origin).or_insert(Some(this));
        match known {
            _ if may => *known = None,
            Some(largest) if largest.0 < hosts => *largest = this,
            _ => {}
        }
    }
    for (origin, block) in blocks {
        let Some((hosts, percent, host)) = block else {
            continue;
        };
        let message = format!(
            "`maxEjectionPercent` is {percent}{}: of the {hosts} pods of {} that is none, so no pod is ever ejected",
            if percent == DEFAULT_PERCENT {
                " (the default, where it is not written)"
            } else {
                ""
            },
            short_host(host)
        );
        let help = format!(
            "write `maxEjectionPercent: {}` or more: that lets one of them go",
            100_usize.div_ceil(hosts)
        );
        found.push(context.say("TT-EJECTS-NOTHING", origin, message, &help));
    }
}
