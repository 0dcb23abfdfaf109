//! Members of a cluster: subset labels, health and transport marks (`xds/endpoints/endpoint_builder.go`).

use std::sync::Arc;

use super::endpoint::has_sidecar;
use super::push_context::PushContext;
use super::registry::{PortModel, ServiceModel};
use super::traffic_policy::Effective;
use crate::config::istio::{Subset, TlsMode};
use crate::config::selector::selects;
use crate::xds::{Endpoint, Health};

/// How the `tls` block in force changes what endpoints are marked with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Marks {
    /// As the server's PeerAuthentication says.
    Keep,
    /// Never.
    Off,
    /// Every endpoint with a sidecar.
    Sidecars,
}

/// The members of the default cluster or a subset.
pub(super) fn members(
    push: &PushContext<'_>,
    service: &ServiceModel,
    port: &PortModel,
    subset: Option<&Subset>,
    policy: &Effective<'_>,
) -> Arc<[Endpoint]> {
    let marks = match policy.mark_tls.map(|t| t.mode) {
        None => Marks::Keep,
        Some(TlsMode::IstioMutual) => Marks::Sidecars,
        Some(_) => Marks::Off,
    };
    let send_unhealthy = service.forced_failover.is_some()
        || (push.at_least(31) && policy.own_outlier.is_none_or(|o| o.min_health_percent == 0));
    let keep = |e: &&Endpoint| {
        (e.health != Health::Unhealthy || send_unhealthy)
            && subset.is_none_or(|s| selects(&s.labels, &e.labels))
    };
    if marks == Marks::Keep && port.endpoints.iter().all(|e| keep(&e)) {
        return port.endpoints.clone();
    }
    let marked = |e: &Endpoint| {
        let mut e = e.clone();
        e.mtls = match marks {
            Marks::Keep => e.mtls,
            Marks::Off => false,
            Marks::Sidecars => has_sidecar(&e.labels),
        };
        e
    };
    (port.endpoints.iter().filter(keep).map(marked)).collect()
}
