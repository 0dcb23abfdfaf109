//! Builders of small configurations, and promises that need whole tables.

mod gateway;
mod listeners;
mod policy;
mod services;
mod sidecar;

use std::collections::BTreeMap;

use crate::config::istio::{
    Destination, DestinationRule, HttpRoute, RouteDestination, Subset, VirtualService,
};
use crate::config::k8s::{
    ContainerPort, Namespace, PodNotes, PodTemplateOwner, ProxySettings, Service, ServicePort,
    TargetPort,
};
use crate::config::store::IstioVersion;
use crate::config::{MeshConfig, Meta};
use crate::units::Origin;
use crate::xds::Name;

pub(super) fn labels(pairs: &[(&str, &str)]) -> BTreeMap<Name, Name> {
    (pairs.iter())
        .map(|(k, v)| ((*k).into(), (*v).into()))
        .collect()
}

pub(super) fn meta(namespace: &str, name: &str) -> Meta {
    Meta {
        name: name.into(),
        namespace: namespace.into(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        created: "".into(),
        origin: Origin::BUILT_IN,
    }
}

pub(super) fn namespace(name: &str, pairs: &[(&str, &str)]) -> Namespace {
    let mut meta = meta("", name);
    meta.labels = labels(pairs);
    Namespace { meta }
}

pub(super) fn workload(
    ns: &str,
    name: &str,
    pairs: &[(&str, &str)],
    replicas: u32,
) -> PodTemplateOwner {
    PodTemplateOwner {
        meta: meta(ns, name),
        kind: "Deployment".into(),
        replicas: Some(replicas),
        labels: labels(pairs),
        annotations: BTreeMap::new(),
        proxy: ProxySettings::default(),
        ports: vec![ContainerPort {
            name: "web".into(),
            port: 8080,
        }],
        service_account: "default".into(),
        host_network: false,
        node_name: None,
        pod_ip: None,
        ready: true,
        has_proxy_container: false,
        is_gateway: false,
        notes: PodNotes::default(),
        lifecycle: crate::xds::snapshot::Lifecycle::default(),
        cpu: crate::xds::snapshot::Cpu::default(),
    }
}

/// A Service `name` whose selector is `app: name`, ports given as (name, number).
pub(super) fn service(ns: &str, name: &str, ports: &[(&str, u16)]) -> Service {
    Service {
        meta: meta(ns, name),
        kind: "ClusterIP".into(),
        selector: labels(&[("app", name)]),
        cluster_ips: Vec::new(),
        external_name: None,
        ports: (ports.iter())
            .map(|(name, port)| ServicePort {
                name: (*name).into(),
                port: *port,
                transport: "TCP".into(),
                app_protocol: None,
                target: TargetPort::Same,
                origin: Origin::BUILT_IN,
            })
            .collect(),
        publish_not_ready: false,
        internal_traffic_local: false,
        traffic_distribution: None,
    }
}

pub(super) fn config_at(minor: u16) -> MeshConfig {
    MeshConfig {
        version: IstioVersion { major: 1, minor },
        ..MeshConfig::default()
    }
}

/// Namespace `shop` with Deployments v1 and v2 of `reviews` on port 9080 and a client `sleep`.
pub(super) fn shop() -> MeshConfig {
    let version = |v: &str| {
        workload(
            "shop",
            &format!("reviews-{v}"),
            &[("app", "reviews"), ("version", v)],
            2,
        )
    };
    MeshConfig {
        namespaces: vec![namespace("shop", &[("istio-injection", "enabled")])],
        services: vec![service("shop", "reviews", &[("http", 9080)])],
        workloads: vec![
            version("v1"),
            version("v2"),
            workload("shop", "sleep", &[("app", "sleep")], 1),
        ],
        ..MeshConfig::default()
    }
}

pub(super) fn to(host: &str, subset: &str, port: u16, weight: i64) -> RouteDestination {
    RouteDestination {
        destination: Destination {
            host: host.into(),
            subset: subset.into(),
            port,
        },
        weight,
        ..RouteDestination::default()
    }
}

pub(super) fn route(destinations: Vec<RouteDestination>) -> HttpRoute {
    HttpRoute {
        route: destinations,
        ..HttpRoute::default()
    }
}

pub(super) fn virtual_service(
    ns: &str,
    name: &str,
    hosts: &[&str],
    http: Vec<HttpRoute>,
) -> VirtualService {
    VirtualService {
        meta: meta(ns, name),
        hosts: hosts.iter().map(|h| (*h).into()).collect(),
        gateways: Vec::new(),
        export_to: Vec::new(),
        http,
        tcp: Vec::new(),
        tls: Vec::new(),
    }
}

pub(super) fn subset(name: &str, pairs: &[(&str, &str)]) -> Subset {
    Subset {
        name: name.into(),
        labels: labels(pairs),
        policy: None,
        origin: Origin::BUILT_IN,
    }
}

pub(super) fn destination_rule(ns: &str, name: &str, host: &str) -> DestinationRule {
    DestinationRule {
        meta: meta(ns, name),
        host: host.into(),
        policy: None,
        subsets: Vec::new(),
        export_to: Vec::new(),
        workload_selector: None,
    }
}
