//! Sidecars (the kind): `IST0101` of one that selects nobody, `IST0110` and `IST0111` of two for the
//! same pods, `IST0167` of one where no sidecar is (`analyzers/sidecar/selector.go`).

use std::collections::BTreeMap;

use super::injection::{AMBIENT, DATAPLANE, ENABLED, INJECTION, REVISION};
use super::{Context, selects};
use crate::config::istio::Sidecar;
use crate::config::k8s::PodTemplateOwner;
use crate::diagnostic::Diagnostic;
use crate::xds::Name;

/// Annotation of a pod whose traffic an ambient proxy takes.
const REDIRECTED: &str = "ambient.istio.io/redirection";

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    let sidecars = &context.config.sidecars;
    for one in sidecars {
        found.extend(selects_nobody(context, one));
        let ineffective = no_sidecar(context, one);
        if ineffective.is_some() {
            found.extend(ineffective);
            continue;
        }
        let others = (sidecars.iter())
            .filter(|other| other.meta.origin != one.meta.origin)
            .filter(|other| other.meta.namespace == one.meta.namespace);
        found.extend(others.filter_map(|other| conflict(context, one, other)));
    }
}

/// Labels of a selector that has some.
fn selector(sidecar: &Sidecar) -> Option<&BTreeMap<Name, Name>> {
    let selector = sidecar.workload_selector.as_ref();
    selector.filter(|labels| !labels.is_empty())
}

fn selects_nobody(context: &Context<'_>, sidecar: &Sidecar) -> Option<Diagnostic> {
    let labels = selector(sidecar)?;
    let namespace = &sidecar.meta.namespace;
    let mut workloads = context.snapshot.workloads.iter();
    if workloads.any(|w| w.namespace == *namespace && selects(labels, &w.labels)) {
        return None;
    }
    let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let message = format!(
        "no pod of `{namespace}` has the labels {}: the Sidecar changes no proxy",
        labels.join(",")
    );
    let help = "compare its `workloadSelector` with the labels of the pods";
    Some(context.say("IST0101", sidecar.meta.origin, message, help))
}

/// The first workload in ambient mode that a Sidecar selects.
fn ambient_pods(
    context: &Context<'_>,
    sidecar: &Sidecar,
    labels: &BTreeMap<Name, Name>,
) -> Option<String> {
    let is_ambient = |owner: &PodTemplateOwner| {
        let redirected = owner.annotations.get(REDIRECTED);
        redirected.is_some_and(|word| &**word == ENABLED)
    };
    let mut owners = context.config.workloads.iter();
    let owner = owners.find(|owner| {
        let here = owner.meta.namespace == sidecar.meta.namespace;
        here && selects(labels, &owner.labels) && is_ambient(owner)
    })?;
    Some(format!("{} {} is", owner.kind, owner.meta.full_name()))
}

/// The namespace of a Sidecar for all of it, where it is in ambient mode; labels of injection win.
fn ambient_namespace(context: &Context<'_>, sidecar: &Sidecar) -> Option<String> {
    let labels = &context.namespace(&sidecar.meta.namespace)?.meta.labels;
    let label = |key: &str| labels.get(key).map_or("", |value| &**value);
    let injected = label(INJECTION) == ENABLED || !label(REVISION).is_empty();
    let is_ambient = !injected && label(DATAPLANE) == AMBIENT;
    is_ambient.then(|| format!("the namespace `{}` is", sidecar.meta.namespace))
}

/// `IST0167`: pods in ambient mode have no sidecar that the object could speak of.
fn no_sidecar(context: &Context<'_>, sidecar: &Sidecar) -> Option<Diagnostic> {
    let whose = match selector(sidecar) {
        Some(labels) => ambient_pods(context, sidecar, labels)?,
        None => ambient_namespace(context, sidecar)?,
    };
    let message = format!("{whose} in ambient mode: there is no sidecar, and this has no effect");
    let help = "take it away, or label the namespace istio-injection=enabled to have sidecars";
    Some(context.say("IST0167", sidecar.meta.origin, message, help))
}

fn conflict(context: &Context<'_>, one: &Sidecar, other: &Sidecar) -> Option<Diagnostic> {
    let named = context.config.origins.describe(other.meta.origin);
    match (selector(one), selector(other)) {
        (None, None) => {
            let message = format!(
                "{named} has no selector either: only one of them is the namespace's default"
            );
            let help = "keep one, or give the other a `workloadSelector`";
            Some(context.say("IST0111", one.meta.origin, message, help))
        }
        (Some(a), Some(b)) => {
            let mut workloads = context.snapshot.workloads.iter();
            let both = workloads.find(|w| {
                w.namespace == one.meta.namespace && selects(a, &w.labels) && selects(b, &w.labels)
            })?;
            let message = format!(
                "{named} selects {} as well: one of them is ignored",
                both.full_name()
            );
            let help = "make the selectors tell them apart";
            Some(context.say("IST0110", one.meta.origin, message, help))
        }
        _ => None,
    }
}
