//! Workloads and their pods: replicas expanded, placed, addressed and given a sidecar or none.
//!
//! Kubernetes would do this at run time; offline it is a pure function of the manifests, and
//! whatever had to be assumed is said in [`Fleet::assumed`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::address::Addresses;
use super::defaults::{
    CLUSTER_ID, CLUSTER_LABEL, HOSTNAME_LABEL, REGION_LABEL, SUBZONE_LABEL, TLS_MODE_LABEL,
    ZONE_LABEL,
};
use super::{concurrency, external, injection};
use crate::config::MeshConfig;
use crate::config::k8s::{HorizontalPodAutoscaler, Namespace, Node, PodTemplateOwner};
use crate::config::selector::selects;
use crate::units::{IdVec, Origin};
use crate::xds::autoscaler::Autoscaler;
use crate::xds::snapshot::{Cpu, Lifecycle};
use crate::xds::{Locality, Name, Pod, PodId, ProxyKind, Workload, WorkloadId};

/// Labels of a pod, shared between equal pods.
pub(super) type Labels = Arc<BTreeMap<Name, Name>>;

/// All workloads and pods.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    pub(super) workloads: IdVec<Workload>,
    pub(super) pods: IdVec<Pod>,
    /// By pod: its labels and the topology labels endpoints carry.
    pub(super) pod_labels: Vec<Labels>,
    /// By workload: named ports of its containers.
    pub(super) named_ports: Vec<BTreeMap<Name, u16>>,
    /// By workload: ports its containers declare.
    pub(super) container_ports: Vec<Vec<u16>>,
    // Looked up, never iterated.
    by_address: HashMap<Name, PodId>,
    by_label: HashMap<(Name, Name, Name), Vec<WorkloadId>>,
    /// What was taken for granted.
    pub(super) assumed: Vec<String>,
}

/// A workload before ids are handed out.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) namespace: Name,
    pub(super) name: Name,
    pub(super) kind: Name,
    pub(super) proxy: ProxyKind,
    pub(super) concurrency: Option<u32>,
    pub(super) labels: BTreeMap<Name, Name>,
    pub(super) service_account: Name,
    pub(super) lifecycle: Lifecycle,
    pub(super) cpu: Cpu,
    pub(super) autoscaler: Option<Autoscaler>,
    pub(super) named_ports: BTreeMap<Name, u16>,
    pub(super) container_ports: Vec<u16>,
    pub(super) pods: Vec<DraftPod>,
    pub(super) origin: Origin,
}

/// A pod before ids are handed out.
#[derive(Debug, Default)]
pub(super) struct DraftPod {
    pub(super) name: String,
    /// Written address.
    pub(super) ip: Option<Name>,
    /// Node it is bound to.
    pub(super) node: Option<Name>,
    /// Locality that needs no node.
    pub(super) locality: Option<Locality>,
    pub(super) ready: bool,
    /// Runs outside the cluster: never placed on a node.
    pub(super) outside: bool,
    /// Does not exist yet.
    pub(super) spare: bool,
}

impl Fleet {
    /// Everything that runs or is called, from the manifests.
    pub(super) fn new(config: &MeshConfig) -> Self {
        let mut fleet = Self::default();
        let mut drafts: Vec<Draft> = Vec::new();
        let namespaces: BTreeMap<&str, &Namespace> = (config.namespaces.iter())
            .map(|n| (&*n.meta.name, n))
            .collect();
        let scales = Scales::new(config);
        let mut without_object = BTreeSet::new();
        for owner in &config.workloads {
            let namespace = namespaces.get(&*owner.meta.namespace).copied();
            if namespace.is_none() {
                without_object.insert(&*owner.meta.namespace);
            }
            let replicas = scales.replicas(owner, &mut fleet.assumed);
            drafts.push(draft(owner, namespace, replicas, config));
        }
        fleet.assume_injection(&without_object, &namespaces);
        external::add_drafts(config, &mut drafts);
        drafts.sort_by(|a, b| {
            (&a.namespace, &a.name, &a.kind).cmp(&(&b.namespace, &b.name, &b.kind))
        });
        fleet.settle(drafts, config);
        fleet
    }

    fn assume_injection(
        &mut self,
        without_object: &BTreeSet<&str>,
        namespaces: &BTreeMap<&str, &Namespace>,
    ) {
        if !without_object.is_empty() {
            let names: Vec<&str> = without_object.iter().copied().collect();
            self.assumed.push(format!(
                "no Namespace object for {}: its pods count as injected with sidecars",
                names.join(", ")
            ));
        }
        let revisions: Vec<&str> = (namespaces.iter())
            .filter(|(_, n)| n.meta.labels.contains_key("istio.io/rev"))
            .map(|(name, _)| *name)
            .collect();
        if !revisions.is_empty() {
            self.assumed.push(format!(
                "the revision label of namespace {} means this control plane",
                revisions.join(", ")
            ));
        }
    }

    /// Hands out ids, places and addresses, in name order.
    fn settle(&mut self, drafts: Vec<Draft>, config: &MeshConfig) {
        let mut addresses = Addresses::default();
        for pod in drafts.iter().flat_map(|d| &d.pods) {
            pod.ip.iter().for_each(|ip| addresses.reserve(ip));
        }
        let mut places = Places::new(config);
        let derived = (drafts.iter().flat_map(|d| &d.pods))
            .filter(|pod| pod.ip.is_none() && !pod.spare)
            .count();
        let mut settled = settle_pods(&drafts, &mut places, &mut addresses).into_iter();
        for draft in drafts {
            let id = WorkloadId::new(self.workloads.len());
            let mut shared: BTreeMap<(Locality, Name), Labels> = BTreeMap::new();
            let mut pods = Vec::with_capacity(draft.pods.len());
            for (ordinal, pod) in draft.pods.iter().enumerate() {
                let (locality, node, ip) = settled.next().flatten().unwrap_or_else(nowhere);
                let labels = if &*draft.kind == "StatefulSet" {
                    let mut labels = endpoint_labels(&draft.labels, &locality, &node);
                    labels.insert(
                        "statefulset.kubernetes.io/pod-name".into(),
                        pod.name.as_str().into(),
                    );
                    labels.insert(
                        "apps.kubernetes.io/pod-index".into(),
                        ordinal.to_string().into(),
                    );
                    Arc::new(labels)
                } else {
                    let key = (locality.clone(), node.clone());
                    (shared.entry(key))
                        .or_insert_with(|| {
                            Arc::new(endpoint_labels(&draft.labels, &locality, &node))
                        })
                        .clone()
                };
                let pod_id = self.pods.push(Pod {
                    name: pod.name.as_str().into(),
                    workload: id,
                    ip: ip.clone(),
                    locality,
                    node,
                    ready: pod.ready,
                    spare: pod.spare,
                });
                self.by_address.entry(ip).or_insert(pod_id);
                self.pod_labels.push(labels);
                pods.push(pod_id);
            }
            for (key, value) in &draft.labels {
                let key = (draft.namespace.clone(), key.clone(), value.clone());
                self.by_label.entry(key).or_default().push(id);
            }
            self.named_ports.push(draft.named_ports);
            self.container_ports.push(draft.container_ports);
            self.workloads.push(Workload {
                namespace: draft.namespace,
                name: draft.name,
                kind: draft.kind,
                proxy: draft.proxy,
                concurrency: draft.concurrency,
                tables: None,
                inbound: Vec::new(),
                pods,
                labels: draft.labels,
                service_account: draft.service_account,
                lifecycle: draft.lifecycle,
                cpu: draft.cpu,
                autoscaler: draft.autoscaler,
                origin: draft.origin,
            });
        }
        if derived > 0 {
            self.assumed.push(match derived {
                1 => "the address of 1 pod derives from its name".to_owned(),
                n => format!("the addresses of {n} pods derive from their names"),
            });
        }
        if places.used_nodes {
            self.assumed.push(format!(
                "pods are placed round-robin over {} nodes in name order",
                config.nodes.len()
            ));
        }
    }

    /// Workloads of a namespace whose labels contain the selector, in order.
    pub(super) fn select(
        &self,
        namespace: &Name,
        selector: &BTreeMap<Name, Name>,
    ) -> Vec<WorkloadId> {
        // The shortest list of any pair is searched; a pair nobody has ends it at once.
        let lists = selector.iter().map(|(k, v)| {
            self.by_label
                .get(&(namespace.clone(), k.clone(), v.clone()))
        });
        let mut shortest: Option<&Vec<WorkloadId>> = None;
        for list in lists {
            let Some(list) = list else {
                return Vec::new();
            };
            if shortest.is_none_or(|s| list.len() < s.len()) {
                shortest = Some(list);
            }
        }
        (shortest.into_iter().flatten().copied())
            .filter(|id| selects(selector, &self.workloads[*id].labels))
            .collect()
    }

    /// The pod with that address.
    pub(super) fn pod_at(&self, address: &str) -> Option<PodId> {
        self.by_address.get(address).copied()
    }
}

/// For a pod that was not settled; there is none.
fn nowhere() -> (Locality, Name, Name) {
    (Locality::default(), "".into(), "".into())
}

/// Locality, node and address of every pod, in order. Pods that do not exist yet come last, so
/// that they move nobody.
fn settle_pods(
    drafts: &[Draft],
    places: &mut Places<'_>,
    addresses: &mut Addresses,
) -> Vec<Option<(Locality, Name, Name)>> {
    let all = drafts.iter().flat_map(|draft| {
        let pods = draft.pods.iter().enumerate();
        pods.map(move |(ordinal, pod)| (draft, ordinal, pod))
    });
    let mut settled: Vec<Option<(Locality, Name, Name)>> = vec![None; all.clone().count()];
    for spare in [false, true] {
        let entries = settled.iter_mut().zip(all.clone());
        for (entry, (draft, ordinal, pod)) in entries.filter(|(_, (_, _, p))| p.spare == spare) {
            let (locality, node) = places.place(draft, pod, ordinal);
            let written = pod.ip.clone();
            let ip = written.unwrap_or_else(|| addresses.pod(&draft.namespace, &pod.name));
            *entry = Some((locality, node, ip));
        }
    }
    settled
}

/// Where pods run.
struct Places<'a> {
    config: &'a MeshConfig,
    nodes: BTreeMap<&'a str, Locality>,
    names: Vec<&'a Name>,
    next: usize,
    used_nodes: bool,
}

impl<'a> Places<'a> {
    fn new(config: &'a MeshConfig) -> Self {
        Self {
            config,
            nodes: (config.nodes.iter())
                .map(|n| (&*n.meta.name, node_locality(n)))
                .collect(),
            names: config.nodes.iter().map(|n| &n.meta.name).collect(),
            next: 0,
            used_nodes: false,
        }
    }

    /// Locality and node of a pod: its own labels, the Model's placement, else nodes in turn.
    fn place(&mut self, draft: &Draft, pod: &DraftPod, ordinal: usize) -> (Locality, Name) {
        let none: Name = "".into();
        if pod.outside {
            return (pod.locality.clone().unwrap_or_default(), none);
        }
        let key = format!("{}/{}", draft.namespace, draft.name);
        let zones = self.config.placement.get(key.as_str());
        let placed = zones.and_then(|z| z.get(ordinal.checked_rem(z.len())?));
        let node = match (&pod.node, placed) {
            (Some(node), _) => node.clone(),
            (None, Some(_)) => none,
            (None, None) if self.names.is_empty() => none,
            (None, None) => {
                self.used_nodes = true;
                self.next += 1;
                self.names[(self.next - 1) % self.names.len()].clone()
            }
        };
        let labelled = label_locality(&draft.labels, self.config.version.at_least(29));
        let locality = (labelled.or_else(|| placed.map(|z| Locality::parse(z))))
            .or_else(|| self.nodes.get(&*node).cloned())
            .unwrap_or_default();
        (locality, node)
    }
}

/// The locality a pod's own label gives it (`pkg/model/proxy.go`, GetLocalityLabel).
pub(super) fn label_locality(
    labels: &BTreeMap<Name, Name>,
    has_new_label: bool,
) -> Option<Locality> {
    let new = labels
        .get("topology.istio.io/locality")
        .filter(|_| has_new_label);
    let text = new.or_else(|| labels.get("istio-locality"))?;
    // Label values cannot contain slashes, so dots stand for them.
    Some(if text.contains('/') {
        Locality::parse(text)
    } else {
        Locality::parse(&text.replace('.', "/"))
    })
}

fn node_locality(node: &Node) -> Locality {
    let label = |new: &str, old: &str| {
        let labels = &node.meta.labels;
        labels.get(new).or_else(|| labels.get(old)).cloned()
    };
    Locality {
        region: label(REGION_LABEL, "failure-domain.beta.kubernetes.io/region")
            .unwrap_or_else(|| "".into()),
        zone: label(ZONE_LABEL, "failure-domain.beta.kubernetes.io/zone")
            .unwrap_or_else(|| "".into()),
        subzone: label(SUBZONE_LABEL, SUBZONE_LABEL).unwrap_or_else(|| "".into()),
    }
}

/// Labels of an endpoint: the pod's and its place (`pkg/config/labels`, `AugmentLabels`).
pub(super) fn endpoint_labels(
    labels: &BTreeMap<Name, Name>,
    locality: &Locality,
    node: &Name,
) -> BTreeMap<Name, Name> {
    let mut labels = labels.clone();
    let mut add = |key: &str, value: &Name| {
        if !value.is_empty() {
            labels.insert(key.into(), value.clone());
        }
    };
    add(REGION_LABEL, &locality.region);
    add(ZONE_LABEL, &locality.zone);
    add(SUBZONE_LABEL, &locality.subzone);
    add(HOSTNAME_LABEL, node);
    add(CLUSTER_LABEL, &CLUSTER_ID.into());
    labels
}

/// Bounds that HorizontalPodAutoscalers set, by (namespace, kind, name) of their targets.
struct Scales<'a>(BTreeMap<(&'a str, &'a str, &'a str), (u32, u32)>);

impl<'a> Scales<'a> {
    fn new(config: &'a MeshConfig) -> Self {
        let entry = |scaler: &'a HorizontalPodAutoscaler| {
            let (kind, name) = &scaler.target;
            let bounds = (scaler.min_replicas, scaler.max_replicas);
            ((&*scaler.meta.namespace, &**kind, &**name), bounds)
        };
        Self(config.autoscalers.iter().map(entry).collect())
    }

    /// Pods of a workload: what it says, or 1, within the bounds of its autoscaler.
    fn replicas(&self, owner: &PodTemplateOwner, assumed: &mut Vec<String>) -> usize {
        let written = owner.replicas.unwrap_or(1);
        let key = (&*owner.meta.namespace, &*owner.kind, &*owner.meta.name);
        let bounded = (self.0.get(&key)).map_or(written, |(least, most)| {
            written.max(*least).min((*most).max(*least))
        });
        if bounded != written {
            assumed.push(format!(
                "{}/{} has {bounded} pods, as its HorizontalPodAutoscaler bounds them",
                owner.meta.namespace, owner.meta.name
            ));
        }
        bounded as usize
    }
}

fn draft(
    owner: &PodTemplateOwner,
    namespace: Option<&Namespace>,
    replicas: usize,
    config: &MeshConfig,
) -> Draft {
    let proxy = injection::proxy_kind(owner, namespace, &config.mesh);
    let mut labels = owner.labels.clone();
    if proxy == ProxyKind::Sidecar {
        inject_labels(&mut labels, &owner.meta.name);
    }
    let bare = &*owner.kind == "Pod";
    let per_node = &*owner.kind == "DaemonSet" && !config.nodes.is_empty();
    let count = if per_node {
        config.nodes.len()
    } else {
        replicas
    };
    let name = owner.meta.full_name();
    let spare = config.spare_pods.get(name.as_str()).copied();
    let spare = spare.filter(|_| !bare && !per_node).unwrap_or(0) as usize;
    let existing = if bare { 1 } else { count };
    let pods = (0..existing + spare).map(|i| DraftPod {
        name: if bare {
            owner.meta.name.to_string()
        } else {
            format!("{}-{i}", owner.meta.name)
        },
        ip: owner.pod_ip.clone(),
        node: if per_node {
            Some(config.nodes[i].meta.name.clone())
        } else {
            owner.node_name.clone()
        },
        locality: None,
        ready: owner.ready || !bare,
        outside: false,
        spare: i >= existing,
    });
    Draft {
        namespace: owner.meta.namespace.clone(),
        name: owner.meta.name.clone(),
        kind: owner.kind.clone(),
        proxy,
        concurrency: concurrency::of_owner(config, owner),
        service_account: owner.service_account.clone(),
        lifecycle: lifecycle(config, owner),
        cpu: owner.cpu,
        autoscaler: (config.autoscaler(owner)).and_then(|scaler| scaler.rules.clone()),
        named_ports: (owner.ports.iter())
            .filter(|p| !p.name.is_empty())
            .map(|p| (p.name.clone(), p.port))
            .collect(),
        container_ports: owner.ports.iter().map(|p| p.port).collect(),
        pods: pods.collect(),
        origin: owner.meta.origin,
        labels,
    }
}

/// How pods come and go; of their proxy the nearest word counts.
fn lifecycle(config: &MeshConfig, owner: &PodTemplateOwner) -> Lifecycle {
    let written = owner.proxy;
    Lifecycle {
        termination_drain: (written.termination_drain).or(config.mesh.termination_drain),
        exit_on_zero: written.exit_on_zero.unwrap_or(config.mesh.exit_on_zero),
        ..owner.lifecycle.clone()
    }
}

/// Labels the injector adds (`manifests/charts/…/files/injection-template.yaml`).
fn inject_labels(labels: &mut BTreeMap<Name, Name>, workload: &Name) {
    let first = |keys: &[&str]| keys.iter().find_map(|k| labels.get(*k)).cloned();
    let name = first(&[
        "service.istio.io/canonical-name",
        "app.kubernetes.io/name",
        "app",
    ])
    .unwrap_or_else(|| workload.clone());
    let revision = first(&[
        "service.istio.io/canonical-revision",
        "app.kubernetes.io/version",
        "version",
    ])
    .unwrap_or_else(|| "latest".into());
    labels.insert("service.istio.io/canonical-name".into(), name);
    labels.insert("service.istio.io/canonical-revision".into(), revision);
    labels
        .entry(TLS_MODE_LABEL.into())
        .or_insert_with(|| "istio".into());
}
