//! Objects that take no part in a simulation, as far as analysis asks of them: does the Secret of a
//! gateway hold a certificate, does a policy select anybody.
//!
//! They are read from the bare tree without a word about their fields: that they are not simulated
//! has been said, and nobody but analysis looks at them.

use std::collections::BTreeMap;

use super::decode::{Decoder, Unknown, register};
use super::k8s::{PodTemplateOwner, secret_problem, workload};
use super::meta::meta;
use super::{MeshConfig, Meta};
use crate::diagnostic::Class;
use crate::manifest::{Key, Node, Object, Value};
use crate::units::Origin;
use crate::xds::Name;

/// What stands aside, in reading order.
#[derive(Clone, Debug, Default)]
pub struct Aside {
    /// Secrets.
    pub secrets: Vec<Secret>,
    /// RequestAuthentications, Telemetries and WasmPlugins.
    pub policies: Vec<OtherPolicy>,
    /// Gateways of the Gateway API.
    pub gateways: Vec<ApiGateway>,
    /// Pods, as a cluster showed them, whose owner was read too: others are simulated in their place.
    pub pods: Vec<PodTemplateOwner>,
}

/// A `Secret`, without what is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// Metadata.
    pub meta: Meta,
    /// Why it cannot be a gateway's certificate; `None`: it can.
    pub problem: Option<String>,
}

/// A policy that is not simulated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherPolicy {
    /// Metadata.
    pub meta: Meta,
    /// `RequestAuthentication`, `Telemetry` or `WasmPlugin`.
    pub kind: Name,
    /// `selector.matchLabels`; `None`: no selector is written.
    pub selector: Option<BTreeMap<Name, Name>>,
    /// `targetRef` or `targetRefs` is written.
    pub has_target: bool,
    /// Entries of a Telemetry's `accessLogging` that name no provider and are not disabled.
    pub logs_without_provider: Vec<Origin>,
}

/// `Gateway` of the Gateway API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiGateway {
    /// Metadata.
    pub meta: Meta,
    /// Host names of its listeners; empty: one of them takes every name.
    pub hosts: Vec<Name>,
}

/// Notes an object of a kind that analysis asks for.
pub(super) fn add(config: &mut MeshConfig, object: &Object) {
    let known = [
        ("", "Secret"),
        ("security.istio.io", "RequestAuthentication"),
        ("telemetry.istio.io", "Telemetry"),
        ("extensions.istio.io", "WasmPlugin"),
        ("gateway.networking.k8s.io", "Gateway"),
    ];
    if !known.contains(&(object.group(), &*object.kind)) {
        return;
    }
    let id = register(&mut config.origins, object);
    let decoder = Decoder::new(object, id, Class::Advice, Unknown::Ignored);
    let meta = meta(&decoder, object);
    let at = |node: &Node| decoder.origin(node);
    let aside = &mut config.aside;
    match (&*object.kind, object.root.get("spec")) {
        ("Secret", _) => aside.secrets.push(Secret {
            meta,
            problem: secret_problem(&object.root),
        }),
        ("Gateway", spec) => aside.gateways.push(ApiGateway {
            meta,
            hosts: hosts(spec),
        }),
        (_, spec) => aside.policies.push(OtherPolicy {
            meta,
            kind: object.kind.clone(),
            selector: written(spec, "selector").map(labels),
            has_target: ["targetRef", "targetRefs"]
                .iter()
                .any(|key| written(spec, key).is_some()),
            logs_without_provider: spec.map_or_else(Vec::new, |spec| silent_logs(spec, at)),
        }),
    }
}

/// A field of a spec that is there and not null.
fn written<'a>(spec: Option<&'a Node>, key: &str) -> Option<&'a Node> {
    spec?.get(key).filter(|node| !node.is_null())
}

/// Notes a pod that its owner stands for.
pub(super) fn add_pod(config: &mut MeshConfig, object: &Object) {
    let id = register(&mut config.origins, object);
    let decoder = Decoder::new(object, id, Class::Advice, Unknown::Ignored);
    let meta = meta(&decoder, object);
    let pod = decoder.object(&object.root, |f| workload(f, meta, &object.kind));
    config.aside.pods.push(pod);
}

/// `matchLabels` of a selector.
fn labels(selector: &Node) -> BTreeMap<Name, Name> {
    let written = selector.get("matchLabels").map_or(&[][..], Node::entries);
    let pair = |(key, value): &(Key, Node)| Some((key.text.clone(), value.value.scalar_text()?));
    written.iter().filter_map(pair).collect()
}

/// Host names of all listeners, none where one of them has no name and takes all.
fn hosts(spec: Option<&Node>) -> Vec<Name> {
    let listeners = spec.and_then(|spec| spec.get("listeners"));
    let listeners = listeners.map_or(&[][..], Node::items).iter();
    let host = |listener: &Node| {
        let name = listener.get("hostname")?.value.scalar_text()?;
        (!name.is_empty()).then_some(name)
    };
    let all: Option<Vec<Name>> = listeners.map(host).collect();
    all.unwrap_or_default()
}

fn silent_logs(spec: &Node, at: impl Fn(&Node) -> Origin) -> Vec<Origin> {
    let logs = spec.get("accessLogging").map_or(&[][..], Node::items);
    let is_silent = |log: &&Node| {
        let disabled = log.get("disabled").map(|node| &node.value);
        let providers = log.get("providers").map_or(&[][..], Node::items);
        disabled != Some(&Value::Bool(true)) && providers.is_empty()
    };
    logs.iter().filter(is_silent).map(at).collect()
}
