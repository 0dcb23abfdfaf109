//! `TT-SUBSET-MISNAMED`: a subset whose name says one version and whose labels say another.

use super::known::Host;
use super::{Context, selects};
use crate::diagnostic::Diagnostic;

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    for rule in &context.config.destination_rules {
        let full = context.known.full_name(&rule.host, &rule.meta.namespace);
        let Some(Host::Service(service)) = context.known.find(&full) else {
            continue;
        };
        let of_service = |labels| selects(&service.selector, labels);
        let workloads = || {
            let all = context.snapshot.workloads.iter();
            all.filter(|w| w.namespace == service.meta.namespace && of_service(&w.labels))
        };
        for subset in &rule.subsets {
            let named = &subset.name;
            // A label that could have said the name, and says something else.
            let other = subset.labels.iter().find(|(key, value)| {
                *value != named && workloads().any(|w| w.labels.get(*key) == Some(named))
            });
            let Some((key, value)) = other else { continue };
            // Labels that no pod has are `IST0173`.
            let is_used = workloads().any(|w| selects(&subset.labels, &w.labels));
            if !is_used || subset.labels.values().any(|value| value == named) {
                continue;
            }
            let message = format!(
                "subset `{named}` selects {key}={value}, and there are pods with {key}={named}: requests that are meant for `{named}` go to `{value}`"
            );
            let help = "give the subset the name of what it selects";
            found.push(context.say("TT-SUBSET-MISNAMED", subset.origin, message, help));
        }
    }
}
