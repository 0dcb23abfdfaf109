//! Resilience that is not there: `TT-FAILOVER-NEVER`, `TT-TRIES-DO-NOT-FIT`, `TT-FAULT-LEFT`,
//! `TT-NO-TIMEOUT-OUTSIDE`.

use super::Context;
use crate::config::istio::{DestinationRule, HttpRoute, TrafficPolicy};
use crate::diagnostic::Diagnostic;
use crate::units::{Fraction, SimDuration};

/// Istio's first back-off, of which a retry waits a random part.
const BACKOFF: SimDuration = SimDuration::from_ms(25);

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    for rule in &context.config.destination_rules {
        failover(context, rule, found);
    }
    for service in &context.config.virtual_services {
        for route in &service.http {
            found.extend(tries(context, route));
            faults(context, route, found);
        }
    }
    outside(context, found);
}

/// Failover or distribution by locality, without anything that makes a host unhealthy.
fn failover(context: &Context<'_>, rule: &DestinationRule, found: &mut Vec<Diagnostic>) {
    let Some(policy) = &rule.policy else { return };
    let by_default = context.config.mesh.default_outlier_detection.is_some();
    let detects = |policy: &TrafficPolicy| policy.outlier_detection.is_some();
    let of_subsets = rule.subsets.iter().filter_map(|s| s.policy.as_ref());
    if by_default || detects(policy) || of_subsets.clone().any(detects) {
        return;
    }
    let locality = policy
        .load_balancer
        .as_ref()
        .and_then(|lb| lb.locality.as_ref());
    let Some(locality) = locality.filter(|l| l.enabled) else {
        return;
    };
    if locality.failover.is_empty() && locality.failover_priority.is_empty() {
        return;
    }
    let message = "`failover` without `outlierDetection` is not in force: there are no priorities, requests go to pods of every locality alike, and to those of a dead one as well".to_owned();
    let help = "add `outlierDetection` (consecutive5xxErrors, interval, baseEjectionTime) to the same trafficPolicy";
    found.push(context.say("TT-FAILOVER-NEVER", locality.origin, message, help));
}

/// The timeout is over before the tries it allows can be.
fn tries(context: &Context<'_>, route: &HttpRoute) -> Option<Diagnostic> {
    let (timeout, _) = route.timeout.filter(|(t, _)| !t.is_zero())?;
    let retries = route.retries.as_ref()?;
    let each = retries.per_try_timeout.filter(|t| !t.is_zero())?;
    let attempts = u64::try_from(retries.attempts).ok().filter(|n| *n > 0)?;
    if each > timeout {
        let message = format!(
            "perTryTimeout {each} is longer than the timeout {timeout} of all tries together: no try is ever cut by it, and none is made again"
        );
        return Some(context.say(
            "TT-TRIES-DO-NOT-FIT",
            retries.origin,
            message,
            "make perTryTimeout a part of the timeout",
        ));
    }
    // The last try never begins when those before it run to their end.
    if each.times(attempts) < timeout {
        return None;
    }
    let fit = timeout.ns().div_ceil(each.plus(BACKOFF).ns().max(1));
    let message = format!(
        "{} tries of {each} each, and the timeout ends them after {timeout}: no more than {fit} of them begin when each runs to its end",
        attempts + 1
    );
    let help = format!(
        "allow `attempts: {}`, or a timeout above {}",
        fit.saturating_sub(1).max(1),
        each.times(attempts + 1)
    );
    Some(context.say("TT-TRIES-DO-NOT-FIT", retries.origin, message, &help))
}

/// Faults hit whoever comes by.
fn faults(context: &Context<'_>, route: &HttpRoute, found: &mut Vec<Diagnostic>) {
    let Some(fault) = &route.fault else { return };
    let mut parts = Vec::new();
    if let Some(delay) = fault.delay.as_ref().filter(|d| d.fraction > Fraction::ZERO) {
        parts.push(format!("{} are delayed by {}", delay.fraction, delay.fixed));
    }
    if let Some(abort) = fault
        .abort
        .as_ref()
        .filter(|a| a.fraction > Fraction::ZERO && a.status.is_some())
    {
        parts.push(format!("{} are answered with an error", abort.fraction));
    }
    if parts.is_empty() {
        return;
    }
    let message = format!(
        "an injected fault: {} of the requests that match",
        parts.join(" and ")
    );
    found.push(context.say(
        "TT-FAULT-LEFT",
        fault.origin,
        message,
        "remove it where requests are real",
    ));
}

/// Hosts outside the mesh that nobody gives a timeout.
fn outside(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    for entry in context
        .config
        .service_entries
        .iter()
        .filter(|e| !e.mesh_internal)
    {
        let http = entry.ports.iter().any(|p| {
            p.protocol.to_ascii_uppercase().starts_with("HTTP") && &*p.protocol != "HTTPS"
        });
        if !http {
            continue;
        }
        for host in &entry.hosts {
            let routes = context.config.virtual_services.iter();
            let routes = routes
                .filter(|v| v.hosts.contains(host))
                .flat_map(|v| &v.http);
            if routes
                .clone()
                .any(|r| r.timeout.is_some_and(|(t, _)| !t.is_zero()))
            {
                continue;
            }
            let message = format!(
                "nothing ends a request to `{host}` that is not answered: Istio's default is no timeout"
            );
            found.push(context.say(
                "TT-NO-TIMEOUT-OUTSIDE",
                entry.meta.origin,
                message,
                "add a VirtualService for it with `timeout`",
            ));
        }
    }
}
