//! Objects to their typed lists.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Loaded, mesh};
use crate::config::decode::{Decoder, Fields, Unknown, register};
use crate::config::k8s::{self, EndpointSlice, Namespace, Node, PodTemplateOwner, SERVICE_LABEL};
use crate::config::meta::meta;
use crate::config::store::IstioVersion;
use crate::config::{MeshConfig, Meta, istio};
use crate::diagnostic::{Class, Diagnostic, Place, nearest};
use crate::manifest as tree;
use crate::manifest::{Object, Source};

/// Decodes one object into the list of its kind.
pub(super) fn add(loaded: &mut Loaded, object: &Object, sources: &[Source]) {
    if matches!(&*object.kind, "MeshConfig" | "ConfigMap" | "IstioOperator") {
        mesh::add(loaded, object, sources);
        return;
    }
    let is_istio = object.group().ends_with(".istio.io");
    let unknown = if is_istio {
        Unknown::Warned
    } else {
        Unknown::Ignored
    };
    let id = register(&mut loaded.config.origins, object);
    let decoder = Decoder::new(object, id, Class::Admission, unknown);
    let meta = meta(&decoder, object);
    if is_istio {
        istio_kind(loaded, object, &decoder, meta);
    } else {
        kubernetes_kind(loaded, object, &decoder, meta);
    }
    loaded.diagnostics.extend(decoder.finish());
}

fn istio_kind(loaded: &mut Loaded, object: &Object, decoder: &Decoder, meta: Meta) {
    let version = loaded.config.version;
    check_served(object, decoder, version);
    if &*object.kind != "AuthorizationPolicy" && meta.annotations.contains_key(istio::DRY_RUN) {
        let message = format!(
            "the annotation `{}` is only for AuthorizationPolicies",
            istio::DRY_RUN
        );
        let error = Diagnostic::error("IST0106", Class::Admission, message);
        decoder.push(error.at(object.place()));
    }
    let may_be_empty = matches!(
        &*object.kind,
        "PeerAuthentication" | "AuthorizationPolicy" | "ProxyConfig" | "Sidecar"
    );
    let empty = tree::Node {
        value: tree::Value::Null,
        line: object.root.line,
        column: object.root.column,
    };
    decoder.object(&object.root, |f| {
        f.known(&["apiVersion", "kind", "metadata", "status"]);
        let config = &mut loaded.config;
        let read = |f: &Fields<'_>| match &*object.kind {
            "VirtualService" => config
                .virtual_services
                .push(istio::virtual_service(f, meta)),
            "DestinationRule" => {
                let rule = istio::destination_rule(f, meta, version);
                config.destination_rules.push(rule);
            }
            "Gateway" => config.gateways.push(istio::gateway(f, meta)),
            "ServiceEntry" => {
                let mut entry = istio::service_entry(f, meta, version);
                let allocated = object.root.at(&["status", "addresses"]);
                entry.has_allocated = allocated.is_some_and(|list| !list.items().is_empty());
                config.service_entries.push(entry);
            }
            "WorkloadEntry" => config.workload_entries.push(istio::workload_entry(f, meta)),
            "Sidecar" => config.sidecars.push(istio::sidecar(f, meta, version)),
            "ProxyConfig" => config.proxy_configs.push(istio::proxy_config(f, meta)),
            "PeerAuthentication" => {
                let policy = istio::peer_authentication(f, meta);
                config.peer_authentications.push(policy);
            }
            "AuthorizationPolicy" => {
                let policy = istio::authorization_policy(f, meta);
                config.authorization_policies.push(policy);
            }
            "EnvoyFilter" => {
                let filter = istio::envoy_filter(f, meta, version);
                config.envoy_filters.push(filter);
            }
            _ => f.accept_unknown(),
        };
        match f.get("spec") {
            Some(spec) => spec.object(read),
            // No spec at all is an empty one: "allow nothing", or the mesh's mTLS mode. An empty
            // Sidecar is refused as such.
            None if may_be_empty => decoder.object(&empty, read),
            None => f.missing("spec"),
        }
    });
}

/// `v1` of Istio's groups is served from 1.22 on.
fn check_served(object: &Object, decoder: &Decoder, version: IstioVersion) {
    let served = match object
        .api_version
        .split_once('/')
        .map(|(_, version)| version)
    {
        Some("v1") => version.at_least(22),
        Some("v1beta1") => true,
        Some("v1alpha3") => object.group() == "networking.istio.io",
        _ => false,
    };
    if !served {
        let message = format!("`{}` is not served by Istio {version}", object.api_version);
        let error = Diagnostic::error("IST0106", Class::Admission, message);
        decoder.push(error.at(object.place()));
    }
}

fn kubernetes_kind(loaded: &mut Loaded, object: &Object, decoder: &Decoder, meta: Meta) {
    let config = &mut loaded.config;
    decoder.object(&object.root, |f: &Fields<'_>| match &*object.kind {
        "Namespace" => config.namespaces.push(Namespace { meta }),
        "Node" => config.nodes.push(Node { meta }),
        "Service" => config.services.push(k8s::service(f, meta)),
        "EndpointSlice" => config.endpoint_slices.extend(k8s::endpoint_slice(f, meta)),
        "Endpoints" => config.endpoint_slices.extend(k8s::endpoints(f, &meta)),
        "HorizontalPodAutoscaler" => config.autoscalers.push(k8s::autoscaler(f, meta)),
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "Pod" => {
            config.workloads.push(k8s::workload(f, meta, &object.kind));
        }
        _ => {}
    });
}

/// A cluster mirrors every Endpoints into slices and shows both; the slices count.
fn drop_mirrored(slices: &mut Vec<EndpointSlice>) {
    let named = |slice: &EndpointSlice| slice.meta.labels.contains_key(SERVICE_LABEL);
    let key = |slice: &EndpointSlice| {
        (
            Arc::clone(&slice.meta.namespace),
            Arc::clone(&slice.service),
        )
    };
    let sliced: BTreeSet<_> = slices.iter().filter(|s| named(s)).map(key).collect();
    slices.retain(|slice| named(slice) || !sliced.contains(&key(slice)));
}

/// All pods together are limited as well: what stands behind the limit gets none, and it is said once.
fn limit_pods(config: &mut MeshConfig, diagnostics: &mut Vec<Diagnostic>) {
    let wanted = |w: &PodTemplateOwner| u64::from(w.replicas.unwrap_or(1));
    let total: u64 = config.workloads.iter().map(wanted).sum();
    let mut left = u64::from(k8s::PODS_MAX);
    let mut said = false;
    for workload in &mut config.workloads {
        let pods = wanted(workload);
        if pods <= left {
            left -= pods;
            continue;
        }
        workload.replicas = Some(0);
        if !said {
            said = true;
            let object = config.origins.object(workload.meta.origin.object);
            let origin = workload.meta.origin;
            let place = Place::new(&object.file, origin.line, origin.column);
            diagnostics.push(k8s::too_many_pods(total).at(place).of(object.to_string()));
        }
    }
}

/// A HorizontalPodAutoscaler whose target was not read scales nothing.
fn scales_somebody(config: &MeshConfig, diagnostics: &mut Vec<Diagnostic>) {
    for scaler in &config.autoscalers {
        let (kind, name) = &scaler.target;
        let own = (config.workloads.iter()).filter(|w| w.meta.namespace == scaler.meta.namespace);
        let of_kind: Vec<&str> = own
            .filter(|w| w.kind == *kind)
            .map(|w| &*w.meta.name)
            .collect();
        if of_kind.contains(&&**name) {
            continue;
        }
        let origin = scaler.meta.origin;
        let object = config.origins.object(origin.object);
        let message = format!(
            "there is no {kind} `{name}` in namespace {}: this autoscaler scales nothing",
            scaler.meta.namespace
        );
        let help = nearest(name, of_kind).map_or_else(
            || "add its target to what is read, or correct `scaleTargetRef`".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        let warning = Diagnostic::warning("TT-NO-EFFECT", Class::Advice, message)
            .at(Place::new(&object.file, origin.line, origin.column))
            .of(object.to_string());
        diagnostics.push(warning.help(help));
    }
}

/// Sorts every list by (namespace, name); objects without a name keep their order.
pub(super) fn finish(loaded: &mut Loaded) {
    fn sort<T>(list: &mut [T], meta: impl Fn(&T) -> &Meta) {
        list.sort_by_key(|entry| {
            let meta = meta(entry);
            (Arc::clone(&meta.namespace), Arc::clone(&meta.name))
        });
    }
    let config = &mut loaded.config;
    limit_pods(config, &mut loaded.diagnostics);
    drop_mirrored(&mut config.endpoint_slices);
    scales_somebody(config, &mut loaded.diagnostics);
    sort(&mut config.namespaces, |e| &e.meta);
    sort(&mut config.nodes, |e| &e.meta);
    sort(&mut config.services, |e| &e.meta);
    sort(&mut config.workloads, |e| &e.meta);
    sort(&mut config.endpoint_slices, |e| &e.meta);
    sort(&mut config.autoscalers, |e| &e.meta);
    sort(&mut config.virtual_services, |e| &e.meta);
    sort(&mut config.destination_rules, |e| &e.meta);
    sort(&mut config.gateways, |e| &e.meta);
    sort(&mut config.service_entries, |e| &e.meta);
    sort(&mut config.workload_entries, |e| &e.meta);
    sort(&mut config.sidecars, |e| &e.meta);
    sort(&mut config.peer_authentications, |e| &e.meta);
    sort(&mut config.authorization_policies, |e| &e.meta);
    sort(&mut config.envoy_filters, |e| &e.meta);
}
