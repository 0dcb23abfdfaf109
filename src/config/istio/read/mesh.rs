//! Mesh-wide settings: what of MeshConfig changes traffic.

use std::collections::BTreeMap;

use super::super::{IstioMeshConfig, ProxyConfig};
use super::connection::{connection_pool, outlier_detection};
use super::locality::locality;
use super::route_actions::retries;
use super::sidecar::outbound;
use super::zone_aware::zone_aware_setting;
use super::{Level, PolicyContext};
use crate::config::decode::Fields;
use crate::config::k8s::{EXIT_ON_ZERO, SELF_DISCOVERY};
use crate::config::{IstioVersion, Meta};
use crate::xds::Name;

/// Settings that would change answers.
const NOT_SIMULATED: [(&str, &str); 4] = [
    (
        "discoverySelectors",
        "leaving namespaces out (every namespace is seen)",
    ),
    (
        "pathNormalization",
        "another normalisation of paths than the default",
    ),
    (
        "inboundTrafficPolicy",
        "calling applications on localhost only",
    ),
    ("trustDomainAliases", "a second name of the trust domain"),
];

/// `ProxyConfig` (`validateProxyConfig`).
pub(in crate::config) fn proxy_config(f: &Fields<'_>, meta: Meta) -> ProxyConfig {
    f.known(&["image"]);
    let variables = f.text_map("environmentVariables");
    let labels = |f: &Fields<'_>| f.text_map("matchLabels");
    ProxyConfig {
        meta,
        selector: f.object("selector", labels),
        concurrency: f.integer("concurrency"),
        self_discovery: self_discovery(&variables),
    }
}

/// Whether a proxy gets a cluster of its own, where variables say so; other variables have no
/// influence on traffic.
fn self_discovery(variables: &BTreeMap<Name, Name>) -> Option<bool> {
    variables.get(SELF_DISCOVERY).map(|text| &**text == "true")
}

/// Whether every proxy answers DNS itself and hosts get addresses from istiod, as analysis of
/// ServiceEntries asks (`analyzers/serviceentry/protocoladdresses.go`).
fn dns_allocates(variables: &BTreeMap<Name, Name>) -> bool {
    let is_on = |name: &str| variables.get(name).is_some_and(|text| &**text == "true");
    is_on("ISTIO_META_DNS_CAPTURE")
        && (is_on("ISTIO_META_DNS_AUTO_ALLOCATE") || is_on("PILOT_ENABLE_IP_AUTOALLOCATE"))
}

/// Fills what is written into the defaults. Most of MeshConfig has no influence on traffic,
/// so unknown fields are no news here.
pub(in crate::config) fn mesh_config(f: &Fields<'_>, version: IstioVersion) -> IstioMeshConfig {
    f.accept_unknown();
    for (name, what) in NOT_SIMULATED {
        f.not_simulated(name, what);
    }
    let mut mesh = IstioMeshConfig {
        origin: f.origin(),
        default_retries: f.object("defaultHttpRetryPolicy", retries),
        default_inbound_retries: (f.object("defaultInboundHttpRetryPolicy", retries))
            .filter(|_| version.at_least(32)),
        default_service_export_to: f.texts("defaultServiceExportTo"),
        default_virtual_service_export_to: f.texts("defaultVirtualServiceExportTo"),
        default_destination_rule_export_to: f.texts("defaultDestinationRuleExportTo"),
        ..IstioMeshConfig::default()
    };
    let set = |into: &mut crate::xds::Name, name| {
        if let Some(text) = f.text(name).filter(|text| !text.is_empty()) {
            *into = text;
        }
    };
    set(&mut mesh.root_namespace, "rootNamespace");
    set(&mut mesh.trust_domain, "trustDomain");
    let outbound = |f: &Fields<'_>| outbound(f, version.at_least(31));
    if let Some(mode) = f.object("outboundTrafficPolicy", outbound) {
        mesh.outbound = mode;
    }
    if let Some(timeout) = f.duration("connectTimeout") {
        mesh.connect_timeout = timeout;
    }
    mesh.auto_mtls = f.bool("enableAutoMtls").unwrap_or(true);
    // Mesh-wide failover waits for the rules of each host, so its absence here is no warning.
    let setting = f.object("localityLbSetting", |f| locality(f, Level::Top, true));
    mesh.locality = setting.unwrap_or_default();
    mesh.h2_upgrade = f
        .text("h2UpgradePolicy")
        .is_some_and(|policy| &*policy == "UPGRADE");
    f.object("defaultConfig", |f| {
        f.accept_unknown();
        mesh.concurrency = f.integer("concurrency");
        let metadata = f.text_map("proxyMetadata");
        mesh.self_discovery = self_discovery(&metadata);
        mesh.dns_allocates = dns_allocates(&metadata);
        mesh.exit_on_zero = metadata.get(EXIT_ON_ZERO).is_some_and(|v| &**v == "true");
        mesh.termination_drain = f.duration("terminationDrainDuration");
    });
    let logs = f.object("defaultProviders", |f| {
        f.accept_unknown();
        !f.items("accessLogging").is_empty()
    });
    mesh.logs_access = logs.unwrap_or(false);
    mesh.zone_aware = zone_aware_setting(f, version, Level::Top, true);
    if version.at_least(31) {
        let context = PolicyContext {
            version,
            level: Level::Top,
        };
        f.object("defaultTrafficPolicy", |f| {
            f.accept_unknown();
            mesh.default_connection_pool =
                f.object("connectionPool", |f| connection_pool(f, version));
            mesh.default_outlier_detection =
                f.object("outlierDetection", |f| outlier_detection(f, context));
        });
    }
    mesh
}
