//! Deployments, StatefulSets, DaemonSets, ReplicaSets, Pods and their autoscalers.

use crate::config::Meta;
use crate::config::decode::Fields;
use crate::diagnostic::{Class, Diagnostic};
use crate::xds::Name;
use crate::xds::snapshot::{Cpu, Lifecycle};

use super::notes::notes;
use super::proxy_settings::proxy_settings;
use super::{ContainerPort, PodNotes, PodTemplateOwner, ProxySettings};
use super::{lifecycle, resources};

/// An owner of pods, or a pod by itself.
pub(in crate::config) fn workload(f: &Fields<'_>, meta: Meta, kind: &Name) -> PodTemplateOwner {
    let mut owner = PodTemplateOwner {
        labels: meta.labels.clone(),
        annotations: meta.annotations.clone(),
        meta,
        kind: kind.clone(),
        replicas: None,
        proxy: ProxySettings::default(),
        ports: Vec::new(),
        service_account: "default".into(),
        host_network: false,
        node_name: None,
        pod_ip: None,
        ready: true,
        has_proxy_container: false,
        is_gateway: false,
        notes: PodNotes::default(),
        lifecycle: Lifecycle::default(),
        cpu: Cpu::default(),
    };
    if &**kind == "Pod" {
        f.object("spec", |f| pod_spec(f, &mut owner));
        f.object("status", |f| pod_status(f, &mut owner));
    } else {
        owner.labels.clear();
        owner.annotations.clear();
        f.object("spec", |f| {
            owner.replicas = pods(f, "replicas");
            lifecycle::strategy(f, &mut owner.lifecycle);
            f.object("template", |f| template(f, &mut owner));
        });
    }
    owner.notes = notes(f, kind);
    owner.proxy = proxy_settings(f, &owner.annotations);
    name_traffic_annotations(f, &owner);
    owner.is_gateway |= owner
        .annotations
        .get("inject.istio.io/templates")
        .is_some_and(|names| names.split(',').any(|name| name.trim() == "gateway"));
    owner
}

/// Pods a simulation holds at most. Each is a thing with a name, an address and a queue, so a
/// slip of the finger in `replicas` would fill the memory.
pub(in crate::config) const PODS_MAX: u32 = 200_000;

/// The error about too many pods.
pub(in crate::config) fn too_many_pods(wanted: u64) -> Diagnostic {
    let message = format!("{wanted} pods are more than a simulation holds: {PODS_MAX} in all");
    let error = Diagnostic::error("TT-TOO-MANY-PODS", Class::Syntax, message);
    error.help("write fewer replicas, and less load with them")
}

/// A number of pods, which is an error above the limit.
pub(super) fn pods(f: &Fields<'_>, name: &'static str) -> Option<u32> {
    let wanted: u32 = f.integer(name)?;
    if wanted > PODS_MAX {
        f.push_at(name, too_many_pods(u64::from(wanted)));
    }
    Some(wanted.min(PODS_MAX))
}

/// Ports and addresses that bypass the proxy are not modelled, so their author is told.
fn name_traffic_annotations(f: &Fields<'_>, owner: &PodTemplateOwner) {
    let written = owner.annotations.keys();
    for key in written.filter(|key| key.starts_with("traffic.sidecar.istio.io/")) {
        let message = format!("the annotation `{key}` is not simulated: all traffic is captured");
        f.push(not_simulated(message));
    }
}

pub(super) fn not_simulated(message: impl Into<String>) -> Diagnostic {
    Diagnostic::warning("TT-NOT-SIMULATED", Class::NotSimulated, message)
}

fn template(f: &Fields<'_>, owner: &mut PodTemplateOwner) {
    f.object("metadata", |f| {
        owner.labels = f.text_map("labels");
        owner.annotations = f.text_map("annotations");
    });
    f.object("spec", |f| pod_spec(f, owner));
}

fn pod_spec(f: &Fields<'_>, owner: &mut PodTemplateOwner) {
    let account = f
        .text("serviceAccountName")
        .or_else(|| f.text("serviceAccount"));
    if let Some(account) = account.filter(|name| !name.is_empty()) {
        owner.service_account = account;
    }
    owner.host_network = f.flag("hostNetwork");
    owner.node_name = f.text("nodeName");
    owner.lifecycle.grace_seconds = f.integer("terminationGracePeriodSeconds");
    // A native sidecar is an init container that never ends.
    let native = f.objects("initContainers", |f| {
        f.text("restartPolicy")
            .is_some_and(|p| &*p == "Always")
            .then(|| container(f))
    });
    let containers = f.objects("containers", container);
    let own = containers.iter().filter(|container| !container.is_proxy);
    owner.cpu = resources::sum(&own.map(|container| container.cpu).collect::<Vec<_>>());
    for container in native.into_iter().flatten().chain(containers) {
        lifecycle::join(&mut owner.lifecycle, &container.lifecycle);
        if !container.is_proxy {
            owner.ports.extend(container.ports);
            continue;
        }
        // `image: auto` is a placeholder that the injector fills in.
        owner.has_proxy_container |= !container.is_auto;
        let named_gateway = owner
            .labels
            .get("istio")
            .is_some_and(|name| name.contains("gateway"));
        if container.is_router || (container.is_auto && named_gateway) {
            owner.is_gateway = true;
            owner.ports.extend(container.ports);
        }
    }
}

struct Container {
    is_proxy: bool,
    is_auto: bool,
    is_router: bool,
    ports: Vec<ContainerPort>,
    lifecycle: Lifecycle,
    cpu: Cpu,
}

fn container(f: &Fields<'_>) -> Container {
    let words = |name| {
        f.items(name)
            .iter()
            .any(|at| at.node().as_text().is_some_and(|t| &**t == "router"))
    };
    Container {
        is_proxy: f.text("name").is_some_and(|name| &*name == "istio-proxy"),
        is_auto: f.text("image").is_some_and(|image| &*image == "auto"),
        is_router: words("args") || words("command"),
        lifecycle: lifecycle::container(f),
        cpu: resources::container(f),
        ports: f
            .objects("ports", |f| {
                Some(ContainerPort {
                    name: f.text_or_empty("name"),
                    port: f.integer("containerPort")?,
                })
            })
            .into_iter()
            .flatten()
            .collect(),
    }
}

fn pod_status(f: &Fields<'_>, owner: &mut PodTemplateOwner) {
    owner.pod_ip = f.text("podIP").filter(|ip| !ip.is_empty());
    let ended = f
        .text("phase")
        .is_some_and(|p| matches!(&*p, "Succeeded" | "Failed"));
    let not_ready = f.objects("conditions", |f| {
        let is_ready = f.text("type").is_some_and(|t| &*t == "Ready");
        is_ready && f.text("status").is_some_and(|s| &*s == "False")
    });
    owner.ready = !ended && !not_ready.contains(&true);
}
