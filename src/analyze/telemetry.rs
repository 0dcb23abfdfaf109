//! Telemetries: `IST0157` access logs that go nowhere, `IST0159` and `IST0160` two for the same pods,
//! `IST0101` one that selects nobody (`analyzers/telemetry`).

use super::{Context, selects};
use crate::config::aside::OtherPolicy;
use crate::diagnostic::Diagnostic;

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    for one in context.policies("Telemetry") {
        logs(context, one, found);
        nobody(context, one, found);
        let others = context.policies("Telemetry");
        let others = others.filter(|other| other.meta.origin != one.meta.origin);
        for other in others.filter(|other| other.meta.namespace == one.meta.namespace) {
            found.extend(both(context, one, other));
        }
    }
}

fn logs(context: &Context<'_>, telemetry: &OtherPolicy, found: &mut Vec<Diagnostic>) {
    if context.config.mesh.logs_access {
        return;
    }
    for origin in &telemetry.logs_without_provider {
        let message =
            "no provider is named here, and the mesh has none for access logs: nothing is logged"
                .to_owned();
        let help = "name one in `providers`, or set defaultProviders.accessLogging in MeshConfig";
        found.push(context.say("IST0157", *origin, message, help));
    }
}

fn nobody(context: &Context<'_>, telemetry: &OtherPolicy, found: &mut Vec<Diagnostic>) {
    let Some(selector) = telemetry.selector.as_ref().filter(|s| !s.is_empty()) else {
        return;
    };
    let mut workloads = context.snapshot.workloads.iter();
    let namespace = &telemetry.meta.namespace;
    if workloads.any(|w| w.namespace == *namespace && selects(selector, &w.labels)) {
        return;
    }
    let labels: Vec<String> = selector.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let message = format!(
        "no pod of `{namespace}` has the labels {}: the Telemetry has no effect",
        labels.join(",")
    );
    let help = "compare its selector with the labels of the pods";
    found.push(context.say("IST0101", telemetry.meta.origin, message, help));
}

/// Two of one namespace for the same pods.
fn both(context: &Context<'_>, one: &OtherPolicy, other: &OtherPolicy) -> Option<Diagnostic> {
    let named = context.config.origins.describe(other.meta.origin);
    let (Some(a), Some(b)) = (&one.selector, &other.selector) else {
        // One selects all and the other some of them, which is how defaults are made.
        if one.selector.is_some() || other.selector.is_some() {
            return None;
        }
        let message = format!(
            "{named} has no selector either: one of them holds for the namespace, the other is ignored"
        );
        let help = "merge them into one";
        return Some(context.say("IST0160", one.meta.origin, message, help));
    };
    let mut workloads = context.snapshot.workloads.iter();
    let shared = workloads.find(|w| {
        w.namespace == one.meta.namespace && selects(a, &w.labels) && selects(b, &w.labels)
    })?;
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let message = format!(
        "{named} selects the pods of `{}` as well: one of them holds, the other is ignored",
        shared.full_name()
    );
    let help = "make the selectors tell them apart";
    Some(context.say("IST0159", one.meta.origin, message, help))
}
