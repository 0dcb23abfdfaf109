//! Service, EndpointSlice and Endpoints: manifest to type.

use std::collections::BTreeMap;

use crate::config::Meta;
use crate::config::decode::{At, Fields};
use crate::manifest::Value;
use crate::xds::Name;

use super::{EndpointSlice, Service, ServicePort, SliceEndpoint, TargetPort};

/// Label by which a slice names its Service.
pub(in crate::config) const SERVICE_LABEL: &str = "kubernetes.io/service-name";

pub(in crate::config) fn service(f: &Fields<'_>, meta: Meta) -> Service {
    let mut service = Service {
        meta,
        kind: "ClusterIP".into(),
        selector: BTreeMap::new(),
        cluster_ips: Vec::new(),
        external_name: None,
        ports: Vec::new(),
        publish_not_ready: false,
        internal_traffic_local: false,
        traffic_distribution: None,
    };
    f.object("spec", |f| {
        if let Some(kind) = f.text("type") {
            service.kind = kind;
        }
        service.selector = f.text_map("selector");
        service.cluster_ips = f.texts("clusterIPs");
        if service.cluster_ips.is_empty() {
            service.cluster_ips = f.text("clusterIP").into_iter().collect();
        }
        service.cluster_ips.retain(|ip| !ip.is_empty());
        service.external_name = f.text("externalName");
        service.ports = f.items("ports").iter().filter_map(service_port).collect();
        service.publish_not_ready = f.flag("publishNotReadyAddresses");
        service.internal_traffic_local = f
            .text("internalTrafficPolicy")
            .is_some_and(|t| &*t == "Local");
        service.traffic_distribution = f.text("trafficDistribution");
    });
    service
}

fn service_port(at: &At<'_>) -> Option<ServicePort> {
    at.object(|f| {
        if f.get("port").is_none() {
            f.missing("port");
        }
        Some(ServicePort {
            name: f.text_or_empty("name"),
            port: f.integer("port")?,
            transport: f.text("protocol").unwrap_or_else(|| "TCP".into()),
            app_protocol: f.text("appProtocol"),
            target: f
                .get("targetPort")
                .and_then(|at| target_port(&at))
                .unwrap_or(TargetPort::Same),
            origin: at.origin(),
        })
    })
}

fn target_port(at: &At<'_>) -> Option<TargetPort> {
    match &at.node().value {
        // The API server refuses quoted digits; what they mean is plain.
        Value::Text(text, _) => Some(match text.parse() {
            Ok(number) => TargetPort::Number(number),
            Err(_) => TargetPort::Name(text.clone()),
        }),
        _ => at.integer().map(TargetPort::Number),
    }
}

/// `None` for slices of names, which Istio ignores.
pub(in crate::config) fn endpoint_slice(f: &Fields<'_>, meta: Meta) -> Option<EndpointSlice> {
    if f.text("addressType").is_some_and(|t| &*t == "FQDN") {
        return None;
    }
    let service = meta.labels.get(SERVICE_LABEL).cloned();
    Some(EndpointSlice {
        service: service.unwrap_or_default(),
        ports: ports(f),
        endpoints: f.objects("endpoints", |f| {
            let (ready, terminating) = f
                .object("conditions", |f| (f.bool("ready"), f.bool("terminating")))
                .unwrap_or_default();
            SliceEndpoint {
                addresses: f.texts("addresses"),
                ready: ready.unwrap_or(true),
                terminating,
                node: f.text("nodeName"),
                zone: f.text("zone"),
                pod: pod_reference(f),
            }
        }),
        meta,
    })
}

/// One slice per subset, as the mirroring controller writes them.
pub(in crate::config) fn endpoints(f: &Fields<'_>, meta: &Meta) -> Vec<EndpointSlice> {
    let subsets = f.items("subsets");
    let slice = |at: &At<'_>| {
        at.object(|f| {
            let mut endpoints = f.objects("addresses", |f| address(f, true));
            endpoints.extend(f.objects("notReadyAddresses", |f| address(f, false)));
            EndpointSlice {
                meta: meta.clone(),
                service: meta.name.clone(),
                ports: ports(f),
                endpoints,
            }
        })
    };
    subsets.iter().map(slice).collect()
}

fn address(f: &Fields<'_>, ready: bool) -> SliceEndpoint {
    SliceEndpoint {
        addresses: f.text("ip").into_iter().collect(),
        ready,
        terminating: Some(false),
        node: f.text("nodeName"),
        zone: None,
        pod: pod_reference(f),
    }
}

fn ports(f: &Fields<'_>) -> Vec<(Name, u16)> {
    let read = |f: &Fields<'_>| Some((f.text_or_empty("name"), f.integer("port")?));
    f.objects("ports", read).into_iter().flatten().collect()
}

fn pod_reference(f: &Fields<'_>) -> Option<Name> {
    f.object("targetRef", |f| {
        let is_pod = f.text("kind").is_none_or(|kind| &*kind == "Pod");
        f.text("name").filter(|_| is_pod)
    })?
}
