//! MeshConfig (`mesh/v1alpha1/config.proto`): the part that changes traffic.

use std::collections::BTreeMap;

use super::policy::{ConnectionPool, OutlierDetection};
use super::virtual_service::Retries;
use crate::config::Meta;
use crate::units::{Origin, SimDuration};
use crate::xds::Name;

/// Mesh-wide settings with Istio's defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IstioMeshConfig {
    /// `rootNamespace`.
    pub root_namespace: Name,
    /// `trustDomain`.
    pub trust_domain: Name,
    /// DNS domain of the cluster.
    pub domain: Name,
    /// `outboundTrafficPolicy.mode`.
    pub outbound: OutboundMode,
    /// `connectTimeout`.
    pub connect_timeout: SimDuration,
    /// `enableAutoMtls`.
    pub auto_mtls: bool,
    /// `defaultHttpRetryPolicy`.
    pub default_retries: Option<Retries>,
    /// `defaultInboundHttpRetryPolicy` (1.32+).
    pub default_inbound_retries: Option<Retries>,
    /// `localityLbSetting`.
    pub locality: LocalityLbSetting,
    /// `zoneAwareLbSetting` (1.31+).
    pub zone_aware: Option<ZoneAwareLbSetting>,
    /// `h2UpgradePolicy: UPGRADE`.
    pub h2_upgrade: bool,
    /// `defaultServiceExportTo`; empty means `*`.
    pub default_service_export_to: Vec<Name>,
    /// `defaultVirtualServiceExportTo`; empty means `*`.
    pub default_virtual_service_export_to: Vec<Name>,
    /// `defaultDestinationRuleExportTo`; empty means `*`.
    pub default_destination_rule_export_to: Vec<Name>,
    /// `defaultTrafficPolicy` (1.31+).
    pub default_connection_pool: Option<ConnectionPool>,
    /// `defaultTrafficPolicy` (1.31+).
    pub default_outlier_detection: Option<OutlierDetection>,
    /// `defaultConfig.concurrency`; `None`: not written.
    pub concurrency: Option<u32>,
    /// `ISTIO_META_ENABLE_SELF_DISCOVERY` of `defaultConfig.proxyMetadata`.
    pub self_discovery: Option<bool>,
    /// `defaultConfig.terminationDrainDuration`.
    pub termination_drain: Option<SimDuration>,
    /// `EXIT_ON_ZERO_ACTIVE_CONNECTIONS` of `defaultConfig.proxyMetadata`.
    pub exit_on_zero: bool,
    /// Proxies answer DNS and istiod allocates addresses, as `defaultConfig.proxyMetadata` says.
    pub dns_allocates: bool,
    /// `defaultProviders.accessLogging` names a provider.
    pub logs_access: bool,
    /// `enableNamespacesByDefault` of the injector.
    pub inject_by_default: bool,
    /// Where it was written.
    pub origin: Origin,
}

impl Default for IstioMeshConfig {
    fn default() -> Self {
        Self {
            root_namespace: "istio-system".into(),
            trust_domain: "cluster.local".into(),
            domain: "cluster.local".into(),
            outbound: OutboundMode::AllowAny,
            connect_timeout: SimDuration::from_secs(10),
            auto_mtls: true,
            default_retries: None,
            default_inbound_retries: None,
            locality: LocalityLbSetting::default(),
            zone_aware: None,
            h2_upgrade: false,
            default_service_export_to: Vec::new(),
            default_virtual_service_export_to: Vec::new(),
            default_destination_rule_export_to: Vec::new(),
            default_connection_pool: None,
            default_outlier_detection: None,
            concurrency: None,
            self_discovery: None,
            termination_drain: None,
            exit_on_zero: false,
            dns_allocates: false,
            logs_access: false,
            inject_by_default: false,
            origin: Origin::BUILT_IN,
        }
    }
}

/// `ProxyConfig` (`networking/v1beta1/proxy_config.proto`): the part that changes traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyConfig {
    /// Metadata.
    pub meta: Meta,
    /// `selector.matchLabels`; `None` or empty: the whole namespace.
    pub selector: Option<BTreeMap<Name, Name>>,
    /// `concurrency`; 0 means every core.
    pub concurrency: Option<u32>,
    /// `ISTIO_META_ENABLE_SELF_DISCOVERY` of `environmentVariables`.
    pub self_discovery: Option<bool>,
}

/// What happens to unknown destinations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutboundMode {
    /// Passed through.
    #[default]
    AllowAny,
    /// Blocked.
    RegistryOnly,
}

/// `localityLbSetting`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalityLbSetting {
    /// `enabled`; true when not written.
    pub enabled: bool,
    /// `distribute`: (from, [(to, weight)] in the order written).
    pub distribute: Vec<(Name, Vec<(Name, u32)>)>,
    /// `failover`: (from, to).
    pub failover: Vec<(Name, Name)>,
    /// `failoverPriority`.
    pub failover_priority: Vec<Name>,
    /// Where it was written.
    pub origin: Origin,
}

/// `zoneAwareLbSetting` (1.31+).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneAwareLbSetting {
    /// `enabled`; true when not written.
    pub enabled: bool,
    /// `failover`: (from region, to region).
    pub failover: Vec<(Name, Name)>,
    /// `failoverPriority`.
    pub failover_priority: Vec<Name>,
    /// `minClusterSize`.
    pub min_cluster_size: Option<u32>,
    /// Where it was written.
    pub origin: Origin,
}

impl Default for LocalityLbSetting {
    fn default() -> Self {
        Self {
            enabled: true,
            distribute: Vec::new(),
            failover: Vec::new(),
            failover_priority: Vec::new(),
            origin: Origin::BUILT_IN,
        }
    }
}
