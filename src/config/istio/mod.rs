//! Istio kinds. Blocks that decide behaviour carry the [`Origin`](crate::units::Origin) of their key.

mod envoy_filter;
mod mesh;
mod policy;
mod read;
mod rules;
mod security;
mod services;
mod virtual_service;

pub use envoy_filter::{
    ActionWord, Change, ClusterField, ClusterMatch, ConfigPatch, EnvoyFilter, HcmField,
    HttpOptions, Insert, LbPolicyWord, ListenerMatch, OutlierField, OutlierNumber, PatchContext,
    RetryField, RouteField, RouteMatch, ThresholdsPatch, UpstreamProtocol,
};
pub use mesh::{IstioMeshConfig, LocalityLbSetting, OutboundMode, ProxyConfig, ZoneAwareLbSetting};
pub use policy::{
    ConnectionPool, ConsistentHash, DestinationRule, HashKey, LoadBalancer, OutlierDetection,
    PortPolicy, RetryBudget, SimpleLb, Subset, TlsMode, TlsSettings, TrafficPolicy, UpgradePolicy,
    Warmup,
};
pub(super) use read::{
    authorization_policy, destination_rule, envoy_filter, gateway, mesh_config,
    peer_authentication, proxy_config, service_entry, sidecar, virtual_service, workload_entry,
};
pub use security::{
    AuthorizationAction, AuthorizationPolicy, AuthorizationRule, DRY_RUN, MtlsSetting,
    PeerAuthentication,
};
pub use services::{
    EgressListener, EndpointSpec, Gateway, IngressListener, PortSpec, Resolution, Server,
    ServerTls, ServiceEntry, Sidecar, WorkloadEntry,
};
pub use virtual_service::{
    Delegate, Destination, DirectResponse, FaultAbort, FaultDelay, HeaderOperations, HttpFault,
    HttpMatch, HttpRewrite, HttpRoute, L4Match, L4Route, Mirror, Redirect, RedirectPort, Retries,
    RouteDestination, StringMatch, VirtualService,
};
