//! The table of kinds we know something about.

/// Who owns a kind, which decides what happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Takes part in the simulation.
    Simulated,
    /// Our own: Model and Scenario.
    Towtank,
    /// Would change traffic, but is not simulated: each object is named in a warning.
    NotSimulated,
    /// Has no influence on traffic: no word about it.
    Inert,
}

/// A kind of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownKind {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Kind.
    pub kind: &'static str,
    /// What happens to it.
    pub family: Family,
    /// False for kinds that have no namespace.
    pub namespaced: bool,
}

const fn row(group: &'static str, kind: &'static str, family: Family) -> KnownKind {
    KnownKind {
        group,
        kind,
        family,
        namespaced: true,
    }
}

const fn cluster(group: &'static str, kind: &'static str, family: Family) -> KnownKind {
    KnownKind {
        group,
        kind,
        family,
        namespaced: false,
    }
}

use Family::{Inert, NotSimulated, Simulated, Towtank};

const NETWORKING: &str = "networking.istio.io";
const SECURITY: &str = "security.istio.io";
const GATEWAY_API: &str = "gateway.networking.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";

const KINDS: &[KnownKind] = &[
    cluster("", "Namespace", Simulated),
    cluster("", "Node", Simulated),
    row("", "Service", Simulated),
    row("", "Pod", Simulated),
    row("", "Endpoints", Simulated),
    row("", "ConfigMap", Simulated),
    row("discovery.k8s.io", "EndpointSlice", Simulated),
    row("apps", "Deployment", Simulated),
    row("apps", "StatefulSet", Simulated),
    row("apps", "DaemonSet", Simulated),
    row("apps", "ReplicaSet", Simulated),
    row("autoscaling", "HorizontalPodAutoscaler", Simulated),
    row(NETWORKING, "VirtualService", Simulated),
    row(NETWORKING, "DestinationRule", Simulated),
    row(NETWORKING, "Gateway", Simulated),
    row(NETWORKING, "ServiceEntry", Simulated),
    row(NETWORKING, "WorkloadEntry", Simulated),
    row(NETWORKING, "Sidecar", Simulated),
    row(NETWORKING, "ProxyConfig", Simulated),
    row(SECURITY, "PeerAuthentication", Simulated),
    row(SECURITY, "AuthorizationPolicy", Simulated),
    row("install.istio.io", "IstioOperator", Simulated),
    cluster("towtank", "Model", Towtank),
    cluster("towtank", "Scenario", Towtank),
    row(NETWORKING, "EnvoyFilter", Simulated),
    row(NETWORKING, "WorkloadGroup", Inert),
    row(SECURITY, "RequestAuthentication", NotSimulated),
    row("telemetry.istio.io", "Telemetry", NotSimulated),
    row("extensions.istio.io", "WasmPlugin", NotSimulated),
    row("networking.k8s.io", "Ingress", NotSimulated),
    row("networking.k8s.io", "NetworkPolicy", NotSimulated),
    cluster("networking.k8s.io", "IngressClass", Inert),
    cluster(GATEWAY_API, "GatewayClass", NotSimulated),
    row(GATEWAY_API, "Gateway", NotSimulated),
    row(GATEWAY_API, "HTTPRoute", NotSimulated),
    row(GATEWAY_API, "GRPCRoute", NotSimulated),
    row(GATEWAY_API, "TCPRoute", NotSimulated),
    row(GATEWAY_API, "TLSRoute", NotSimulated),
    row(GATEWAY_API, "UDPRoute", NotSimulated),
    row(GATEWAY_API, "ReferenceGrant", NotSimulated),
    row(GATEWAY_API, "BackendTLSPolicy", NotSimulated),
    row("batch", "Job", NotSimulated),
    row("batch", "CronJob", NotSimulated),
    row("", "Secret", Inert),
    row("", "ServiceAccount", Inert),
    row("", "PersistentVolumeClaim", Inert),
    cluster("", "PersistentVolume", Inert),
    row("", "Event", Inert),
    row("", "LimitRange", Inert),
    row("", "ResourceQuota", Inert),
    row("apps", "ControllerRevision", Inert),
    row("coordination.k8s.io", "Lease", Inert),
    row("policy", "PodDisruptionBudget", Inert),
    cluster("policy", "PodSecurityPolicy", Inert),
    row(RBAC, "Role", Inert),
    row(RBAC, "RoleBinding", Inert),
    cluster(RBAC, "ClusterRole", Inert),
    cluster(RBAC, "ClusterRoleBinding", Inert),
    cluster("storage.k8s.io", "StorageClass", Inert),
    cluster("scheduling.k8s.io", "PriorityClass", Inert),
    cluster("apiextensions.k8s.io", "CustomResourceDefinition", Inert),
    cluster(
        "admissionregistration.k8s.io",
        "MutatingWebhookConfiguration",
        Inert,
    ),
    cluster(
        "admissionregistration.k8s.io",
        "ValidatingWebhookConfiguration",
        Inert,
    ),
    row("cert-manager.io", "Certificate", Inert),
    row("cert-manager.io", "Issuer", Inert),
    cluster("cert-manager.io", "ClusterIssuer", Inert),
];

/// The row of a kind, if we know it. `extensions` is where Deployments and Ingresses used to live.
pub fn known_kind(group: &str, kind: &str) -> Option<&'static KnownKind> {
    let moved = group == "extensions";
    KINDS.iter().find(|known| {
        known.kind == kind
            && (known.group == group
                || (moved && matches!(known.group, "apps" | "networking.k8s.io")))
    })
}
