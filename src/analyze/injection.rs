//! Who gets a sidecar and who does not: `IST0102`, `IST0103`, `IST0123` and `IST0148` of namespaces
//! and their pods, `IST0146` and `IST0147` of the image `auto` (`analyzers/injection/injection.go`,
//! `image-auto.go`).

use super::Context;
use crate::config::k8s::{Namespace, PodTemplateOwner};
use crate::control_plane::{is_injected, is_system};
use crate::diagnostic::Diagnostic;

/// Labels of a namespace, and the values that count.
pub(super) const INJECTION: &str = "istio-injection";
pub(super) const ENABLED: &str = "enabled";
pub(super) const REVISION: &str = "istio.io/rev";
pub(super) const DATAPLANE: &str = "istio.io/dataplane-mode";
pub(super) const AMBIENT: &str = "ambient";
/// Label, or by an older habit annotation, of a pod.
const INJECT: &str = "sidecar.istio.io/inject";
/// The control plane's own namespace is never injected.
const SYSTEM: &str = "istio-system";

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    let namespaces = context.config.namespaces.iter();
    for namespace in namespaces.filter(|n| &*n.meta.name != SYSTEM && !is_system(&n.meta.name)) {
        found.extend(several_labels(context, namespace));
        found.extend(no_label(context, namespace));
    }
    // Pods that a cluster shows count each for itself, whatever would be made of their owner.
    let running = &context.config.aside.pods;
    for owner in context.config.workloads.iter().chain(running) {
        found.extend(missing_proxy(context, owner));
        found.extend(image_auto(context, owner));
    }
}

/// `IST0123`: labels that ask for different things.
fn several_labels(context: &Context<'_>, namespace: &Namespace) -> Option<Diagnostic> {
    let labels = &namespace.meta.labels;
    let injection = labels.get(INJECTION);
    let mut asked = Vec::from_iter(injection.map(|value| format!("{INJECTION}={value}")));
    // A namespace that is switched off by the first one is off, whatever the others say.
    if injection.is_none_or(|value| &**value == ENABLED) {
        for key in [REVISION, DATAPLANE] {
            asked.extend(labels.get(key).map(|value| format!("{key}={value}")));
        }
    }
    (asked.len() > 1).then(|| {
        let message = format!(
            "the labels {} ask for different proxies: pods get the one of the first, the rest has no effect",
            asked.join(" and ")
        );
        let (name, last) = (&namespace.meta.name, asked.last().map_or("", |label| label));
        let key = last.split('=').next().unwrap_or_default();
        let help = format!("keep one of them: `kubectl label namespace {name} {key}-` takes one away");
        context.say("IST0123", namespace.meta.origin, message, &help)
    })
}

/// `IST0102`: nobody said whether pods get a sidecar; `IST0148` where the mesh injects all the same.
fn no_label(context: &Context<'_>, namespace: &Namespace) -> Option<Diagnostic> {
    let (labels, name) = (&namespace.meta.labels, &namespace.meta.name);
    let is_ambient = labels.get(DATAPLANE).is_some_and(|mode| &**mode == AMBIENT);
    let says = labels.get(INJECTION).is_some_and(|value| !value.is_empty());
    if is_ambient || says || labels.contains_key(REVISION) {
        return None;
    }
    if context.config.mesh.inject_by_default {
        let message = format!(
            "pods of `{name}` get sidecars although no label asks for them: the mesh has `enableNamespacesByDefault`"
        );
        let help = format!(
            "write {INJECTION}=enabled to say that it is meant, or {INJECTION}=disabled for none"
        );
        return Some(context.say("IST0148", namespace.meta.origin, message, &help));
    }
    let message = format!(
        "no label asks for sidecars: pods of `{name}` get none, and no route, retry or policy of Istio holds for what they send"
    );
    let help = format!(
        "`kubectl label namespace {name} {INJECTION}=enabled`, or {INJECTION}=disabled to say that it is meant"
    );
    Some(context.say("IST0102", namespace.meta.origin, message, &help))
}

/// `IST0103`: a pod, as a cluster shows it, that was made before its namespace was labelled.
fn missing_proxy(context: &Context<'_>, owner: &PodTemplateOwner) -> Option<Diagnostic> {
    let labels = &context.namespace(&owner.meta.namespace)?.meta.labels;
    let enabled = labels.get(INJECTION).is_some_and(|v| &**v == ENABLED);
    let word = owner.labels.get(INJECT).or(owner.annotations.get(INJECT));
    let opted_out = word.is_some_and(|word| word.eq_ignore_ascii_case("false"));
    let has_proxy = owner.has_proxy_container || owner.notes.image_auto.is_some();
    if &*owner.kind != "Pod" || !enabled || opted_out || owner.host_network || has_proxy {
        return None;
    }
    let message = "the namespace asks for sidecars and this pod has none: if it runs, no route, retry or policy of Istio holds for it".to_owned();
    let help = "proxies are added when a pod is created: restart it, or write the label sidecar.istio.io/inject=false when it is meant";
    Some(context.say("IST0103", owner.meta.origin, message, help))
}

/// `IST0146` and `IST0147`: a placeholder that nobody replaces. Webhooks are not read: what they
/// select is taken from the labels of namespace and pod, as everywhere here.
fn image_auto(context: &Context<'_>, owner: &PodTemplateOwner) -> Option<Diagnostic> {
    let origin = owner.notes.image_auto?;
    let help =
        "label the namespace istio-injection=enabled, or the pod sidecar.istio.io/inject=true";
    if &*owner.kind == "Pod" {
        let message = "a pod that exists still has the image `auto`: the injector never saw it, its proxy does not start and nothing reaches it".to_owned();
        return Some(context.say("IST0147", origin, message, help));
    }
    let namespace = context.namespace(&owner.meta.namespace);
    if is_injected(owner, namespace, &context.config.mesh) {
        return None;
    }
    let message = format!(
        "nothing asks the injector to replace the image `auto` of {} {}: its pods do not start",
        owner.kind, owner.meta.name
    );
    Some(context.say("IST0146", origin, message, help))
}
