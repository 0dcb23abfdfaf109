//! Which pods get a sidecar (`pkg/kube/inject/inject.go`, webhook selectors of the istio-discovery chart).

use crate::config::istio::IstioMeshConfig;
use crate::config::k8s::{Namespace, PodTemplateOwner};
use crate::xds::ProxyKind;

const SYSTEM_NAMESPACES: [&str; 4] = [
    "kube-system",
    "kube-public",
    "kube-node-lease",
    "local-path-storage",
];

/// True for the namespaces of Kubernetes' own parts, which are never injected and never analysed.
pub fn is_system(namespace: &str) -> bool {
    SYSTEM_NAMESPACES.contains(&namespace)
}

/// The proxy of a workload's pods.
///
/// A namespace without a Namespace object counts as labelled `istio-injection=enabled`: people
/// try out a few manifests far more often than they list their namespaces. The caller says so
/// among the assumptions.
pub(super) fn proxy_kind(
    owner: &PodTemplateOwner,
    namespace: Option<&Namespace>,
    mesh: &IstioMeshConfig,
) -> ProxyKind {
    let templates = owner.annotations.get("inject.istio.io/templates");
    if owner.is_gateway || templates.is_some_and(|t| t.split(',').any(|t| t.trim() == "gateway")) {
        ProxyKind::Gateway
    } else if owner.has_proxy_container || is_injected(owner, namespace, mesh) {
        ProxyKind::Sidecar
    } else {
        ProxyKind::None
    }
}

/// Whether the injector adds a sidecar to the pods of a workload.
pub fn is_injected(
    owner: &PodTemplateOwner,
    namespace: Option<&Namespace>,
    mesh: &IstioMeshConfig,
) -> bool {
    if owner.host_network
        || is_system(&owner.meta.namespace)
        || !is_selected(owner, namespace, mesh)
    {
        return false;
    }
    // Only the exact words count; the label is asked before the annotation.
    let word = |text: Option<&crate::xds::Name>| match text.map(|t| &**t) {
        Some("true") => Some(true),
        Some("false") => Some(false),
        _ => None,
    };
    word(owner.labels.get("sidecar.istio.io/inject"))
        .or(word(owner.annotations.get("sidecar.istio.io/inject")))
        .unwrap_or(true)
}

/// The webhook's selectors; they see labels, never annotations.
fn is_selected(
    owner: &PodTemplateOwner,
    namespace: Option<&Namespace>,
    mesh: &IstioMeshConfig,
) -> bool {
    let inject = owner.labels.get("sidecar.istio.io/inject").map(|t| &**t);
    let revision = owner.labels.contains_key("istio.io/rev");
    let Some(namespace) = namespace else {
        return inject != Some("false");
    };
    let label = |key: &str| namespace.meta.labels.get(key).map(|t| &**t);
    match (label("istio-injection"), label("istio.io/rev")) {
        // There is one control plane here: every revision label means it.
        (Some("enabled"), _) | (None, Some(_)) => inject != Some("false"),
        (Some(_), _) => false,
        (None, None) if revision => inject != Some("false"),
        (None, None) => inject == Some("true") || (mesh.inject_by_default && inject.is_none()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{namespace, workload};
    use super::*;

    /// Namespace label, pod label, pod annotation → injected?
    fn check(ns: Option<(&str, &str)>, label: Option<&str>, annotation: Option<&str>, want: bool) {
        let mut owner = workload("shop", "web", &[("app", "web")], 1);
        let key = "sidecar.istio.io/inject";
        if let Some(value) = label {
            owner.labels.insert(key.into(), value.into());
        }
        if let Some(value) = annotation {
            owner.annotations.insert(key.into(), value.into());
        }
        let labels: Vec<_> = ns.into_iter().collect();
        let got = is_injected(
            &owner,
            Some(&namespace("shop", &labels)),
            &IstioMeshConfig::default(),
        );
        assert_eq!(got, want, "{ns:?} {label:?} {annotation:?}");
    }

    #[test]
    fn an_unlabelled_namespace_is_not_injected() {
        check(None, None, None, false);
        check(None, Some("true"), None, true);
        check(None, None, Some("true"), false);
    }

    #[test]
    fn a_labelled_namespace_is_injected_unless_the_pod_opts_out() {
        let enabled = Some(("istio-injection", "enabled"));
        check(enabled, None, None, true);
        check(enabled, Some("false"), None, false);
        check(enabled, None, Some("false"), false);
        check(enabled, None, Some("no"), true);
    }

    #[test]
    fn disabled_blocks_even_pods_that_ask() {
        check(
            Some(("istio-injection", "disabled")),
            Some("true"),
            None,
            false,
        );
    }

    #[test]
    fn a_missing_namespace_object_counts_as_enabled() {
        let owner = workload("shop", "web", &[], 1);
        assert!(is_injected(&owner, None, &IstioMeshConfig::default()));
        let system = workload("kube-system", "dns", &[], 1);
        assert!(!is_injected(&system, None, &IstioMeshConfig::default()));
    }
}
