//! Everything the generators ask for, indexed once (`pilot/pkg/model/push_context.go`).

use super::destination_rule::DestinationRules;
use super::envoy_filter::EnvoyFilters;
use super::fleet::Fleet;
use super::mtls::Authentication;
use super::registry::Registry;
use super::virtual_service::{self, RootVirtualService};
use crate::config::MeshConfig;

/// Indexes over a [`MeshConfig`].
#[derive(Debug)]
pub(super) struct PushContext<'a> {
    pub(super) config: &'a MeshConfig,
    pub(super) fleet: Fleet,
    pub(super) registry: Registry,
    pub(super) authn: Authentication<'a>,
    pub(super) rules: DestinationRules<'a>,
    pub(super) envoy_filters: EnvoyFilters<'a>,
    /// Oldest first, delegates merged in.
    pub(super) virtual_services: Vec<RootVirtualService>,
}

impl<'a> PushContext<'a> {
    /// Builds every index.
    pub(super) fn new(config: &'a MeshConfig) -> Self {
        let fleet = Fleet::new(config);
        let authn = Authentication::new(config);
        let registry = Registry::new(config, &fleet, &authn);
        Self {
            config,
            registry,
            authn,
            rules: DestinationRules::new(config),
            envoy_filters: EnvoyFilters::new(config),
            virtual_services: virtual_service::roots(config),
            fleet,
        }
    }

    /// True from Istio 1.`minor` on.
    pub(super) const fn at_least(&self, minor: u16) -> bool {
        self.config.version.at_least(minor)
    }
}
