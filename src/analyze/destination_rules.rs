//! DestinationRules that apply to nothing: `IST0173` subsets without pods, `IST0174` hosts that do
//! not exist (`analyzers/destinationrule/podnotselected.go`, `hostnotfound.go`), and
//! `TT-RULE-ELSEWHERE`.

use super::known::Host;
use super::{Context, selects};
use crate::config::istio::DestinationRule;
use crate::diagnostic::{Diagnostic, nearest};
use crate::xds::ProxyKind;

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    for rule in &context.config.destination_rules {
        let full = context.known.full_name(&rule.host, &rule.meta.namespace);
        if full.starts_with('*') {
            if !context.known.any_under(&full) {
                found.push(unknown(context, rule, &full));
            }
            continue;
        }
        let Some(host) = context.known.find(&full) else {
            found.push(unknown(context, rule, &full));
            continue;
        };
        subsets(context, rule, host, found);
        if let Host::Service(service) = host {
            found.extend(elsewhere(context, rule, &service.meta.namespace));
        }
    }
}

fn unknown(context: &Context<'_>, rule: &DestinationRule, full: &str) -> Diagnostic {
    let names = context.known.names();
    let help = nearest(full, names.iter().copied()).map_or_else(
        || {
            "correct the host; one without a dot is looked for in the rule's own namespace"
                .to_owned()
        },
        |near| format!("did you mean `{near}`?"),
    );
    let message = format!("host `{full}` does not exist: the rule applies to nothing");
    context.say("IST0174", rule.meta.origin, message, &help)
}

/// A subset needs a pod with its labels, of whatever namespace; endpoints of a ServiceEntry count.
fn subsets(
    context: &Context<'_>,
    rule: &DestinationRule,
    host: Host<'_>,
    found: &mut Vec<Diagnostic>,
) {
    for subset in &rule.subsets {
        let selected = match host {
            Host::Service(service) => context.snapshot.workloads.iter().any(|w| {
                let of_service =
                    selects(&service.selector, &w.labels) && w.namespace == service.meta.namespace;
                of_service && !w.pods.is_empty() && selects(&subset.labels, &w.labels)
            }),
            // Endpoints of entries carry labels of their own; most have none to compare.
            Host::Entry(_) => true,
        };
        if selected || subset.labels.is_empty() {
            continue;
        }
        let labels: Vec<String> = subset
            .labels
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        let message = format!(
            "no pod behind `{}` has {}: requests to subset `{}` get 503 UH",
            rule.host,
            labels.join(","),
            subset.name
        );
        let help = "compare with the labels of the pods' template, and with `replicas`";
        found.push(context.say("IST0173", subset.origin, message, help));
    }
}

/// Proxies look in their own namespace, in the service's, and in the root namespace.
fn elsewhere(context: &Context<'_>, rule: &DestinationRule, service: &str) -> Option<Diagnostic> {
    let own = &*rule.meta.namespace;
    let root = &*context.config.mesh.root_namespace;
    if own == service || own == root {
        return None;
    }
    let mut workloads = context.snapshot.workloads.iter();
    let client = workloads.any(|w| *w.namespace == *own && w.proxy != ProxyKind::None);
    (!client).then(|| {
        let message = format!(
            "it stands in `{own}`, the service in `{service}`: it holds for clients of `{own}` only, and there are none"
        );
        let help = format!("move it to `{service}`, or to `{root}` for all");
        context.say("TT-RULE-ELSEWHERE", rule.meta.origin, message, &help)
    })
}
