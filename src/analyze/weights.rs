//! `TT-WEIGHT-TO-NOBODY`: a share of the requests goes to workloads that have no pods.
//!
//! Labels that no workload has at all are `IST0173`; a weight of 0 is how rollouts begin and end.

use super::known::Host;
use super::{Context, selects};
use crate::config::istio::{Destination, RouteDestination, VirtualService};
use crate::config::k8s::Service;
use crate::diagnostic::{Diagnostic, Place};
use crate::xds::Workload;

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    for service in &context.config.virtual_services {
        let http = service.http.iter().map(|rule| &rule.route);
        let others = (service.tcp.iter().chain(&service.tls)).map(|rule| &rule.route);
        for destinations in http.chain(others) {
            rule(context, service, destinations, found);
        }
    }
}

/// The destinations of one rule.
fn rule(
    context: &Context<'_>,
    service: &VirtualService,
    destinations: &[RouteDestination],
    found: &mut Vec<Diagnostic>,
) {
    let total: i64 = destinations.iter().map(|d| d.weight.max(0)).sum();
    for destination in destinations {
        let share = match destinations {
            [_] => 1.0,
            _ => destination.weight.max(0) as f64 / total.max(1) as f64,
        };
        let Some(nobody) = nobody(context, service, &destination.destination) else {
            continue;
        };
        if share == 0.0 {
            continue;
        }
        let to = match &*destination.destination.subset {
            "" => format!("`{}`", destination.destination.host),
            subset => format!("subset `{subset}` of `{}`", destination.destination.host),
        };
        let names: Vec<String> = nobody.iter().map(|w| w.full_name()).collect();
        let message = format!(
            "{} % of the requests of this rule go to {to}, whose {} {} no pods: they get 503 UH",
            (share * 1000.0).round() / 10.0,
            names.join(" and "),
            if names.len() == 1 { "has" } else { "have" }
        );
        let help = "set `replicas` to 1 or more, or the weight to 0 until there are pods";
        let mut said = context.say("TT-WEIGHT-TO-NOBODY", destination.origin, message, help);
        for workload in nobody {
            let object = context.config.origins.object(workload.origin.object);
            let at = Place::new(&object.file, workload.origin.line, workload.origin.column);
            said = said.see(at, format!("{} has no pods", workload.full_name()));
        }
        found.push(said);
    }
}

/// The workloads behind a destination, when there are some and none has a pod.
fn nobody<'a>(
    context: &Context<'a>,
    service: &VirtualService,
    destination: &Destination,
) -> Option<Vec<&'a Workload>> {
    let full = (context.known).full_name(&destination.host, &service.meta.namespace);
    let Host::Service(target) = context.known.find(&full)? else {
        return None;
    };
    let behind = behind(context, target, &full, &destination.subset)?;
    let exists = |w: &&Workload| {
        let mut pods = w.pods.iter();
        pods.any(|pod| !context.snapshot.pods[*pod].spare)
    };
    (!behind.is_empty() && !behind.iter().any(exists)).then_some(behind)
}

/// Workloads that a Service selects, of a subset; `None` where the subset does not exist.
fn behind<'a>(
    context: &Context<'a>,
    target: &Service,
    full: &str,
    subset: &str,
) -> Option<Vec<&'a Workload>> {
    let mut rules = (context.config.destination_rules.iter())
        .filter(|rule| context.known.full_name(&rule.host, &rule.meta.namespace) == full)
        .flat_map(|rule| &rule.subsets);
    let labels = match subset {
        "" => None,
        name => Some(&rules.find(|s| *s.name == *name)?.labels),
    };
    if target.selector.is_empty() {
        return None;
    }
    let of = |w: &&'a Workload| {
        w.namespace == target.meta.namespace
            && selects(&target.selector, &w.labels)
            && labels.is_none_or(|labels| selects(labels, &w.labels))
    };
    Some(context.snapshot.workloads.iter().filter(of).collect())
}
