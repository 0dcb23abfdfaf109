//! Tables before and after changes of configuration that go together in one run.
//!
//! A run has one set of workloads and pods. Workloads that a change brings are there from the
//! start without running pods, and those that it takes stay without any, so that every version of
//! the tables speaks of the same ids. What a change says of the pods of a workload that is there
//! already (labels, sidecar, service account) stays as it is at the start, and that is said.

use std::collections::BTreeMap;

use super::compile;
use crate::config::MeshConfig;
use crate::config::k8s::PodTemplateOwner;
use crate::config::load::{Changed, wanted};
use crate::diagnostic::{Class, Diagnostic};
use crate::xds::snapshot::Later;
use crate::xds::{Name, Snapshot};

/// Compiles `first` and what it becomes; an error when they cannot be one run.
pub fn compile_all(first: &MeshConfig, later: &[Changed]) -> Result<Snapshot, Box<Diagnostic>> {
    if later.is_empty() {
        return Ok(compile(first));
    }
    let union = Union::of(first, later);
    let mut snapshot = compile(&union.version(first));
    let mut before = wanted(first);
    for changed in later {
        let tables = compile(&union.version(&changed.config));
        same_pods(&snapshot, &tables)?;
        let now = wanted(&changed.config);
        let pods = |of: &BTreeMap<String, u32>, name: &str| of.get(name).copied().unwrap_or(0);
        let names = snapshot
            .workloads
            .iter_ids()
            .map(|(id, w)| (id, w.full_name()));
        let (mut scaled, mut rolled) = (Vec::new(), Vec::new());
        for (id, name) in names {
            if pods(&before, &name) != pods(&now, &name) {
                scaled.push((id, pods(&now, &name)));
            }
            if changed.templates.contains(&name) {
                rolled.push(id);
            }
        }
        snapshot.later.push(Later {
            tables,
            scaled,
            rolled,
        });
        before = now;
    }
    snapshot.assumed.extend(union.kept);
    Ok(snapshot)
}

/// Everything that is the same in all versions.
struct Union {
    owners: Vec<PodTemplateOwner>,
    spare: BTreeMap<Name, u32>,
    first: MeshConfig,
    /// What a change says and is not simulated, in sentences.
    kept: Vec<String>,
}

impl Union {
    fn of(first: &MeshConfig, later: &[Changed]) -> Self {
        let mut owners = first.workloads.clone();
        let mut kept = Vec::new();
        for changed in later {
            for owner in &changed.config.workloads {
                let name = owner.meta.full_name();
                let is_same = |o: &&PodTemplateOwner| o.meta.full_name() == name;
                match owners.iter().find(is_same) {
                    Some(known) => kept.extend(unlike(known, owner)),
                    None => owners.push(PodTemplateOwner {
                        replicas: Some(0),
                        ..owner.clone()
                    }),
                }
            }
        }
        owners.sort_by(|a, b| {
            let name = |o: &PodTemplateOwner| (o.meta.namespace.clone(), o.meta.name.clone());
            name(a).cmp(&name(b))
        });
        kept.dedup();
        let mut spare = first.spare_pods.clone();
        let at_first = wanted(first);
        let versions: Vec<_> = later.iter().map(|c| wanted(&c.config)).collect();
        for owner in &owners {
            let name = owner.meta.full_name();
            let pods = |of: &BTreeMap<String, u32>| of.get(&name).copied().unwrap_or(0);
            let existing = pods(&at_first);
            let most = versions.iter().map(pods).fold(existing, u32::max);
            let rolls = later.iter().any(|c| c.templates.contains(&name));
            let all = if rolls { 2 * most } else { most };
            let entry = spare.entry(name.into()).or_default();
            *entry = (*entry).max(all.saturating_sub(existing));
        }
        Self {
            owners,
            spare,
            first: first.clone(),
            kept,
        }
    }

    /// A version with everybody's workloads.
    fn version(&self, config: &MeshConfig) -> MeshConfig {
        let mut namespaces = self.first.namespaces.clone();
        for namespace in &config.namespaces {
            if !namespaces
                .iter()
                .any(|n| n.meta.name == namespace.meta.name)
            {
                namespaces.push(namespace.clone());
            }
        }
        MeshConfig {
            workloads: self.owners.clone(),
            spare_pods: self.spare.clone(),
            autoscalers: self.first.autoscalers.clone(),
            nodes: self.first.nodes.clone(),
            proxy_configs: self.first.proxy_configs.clone(),
            placement: self.first.placement.clone(),
            namespaces,
            ..config.clone()
        }
    }
}

/// What a change says of a workload's pods beyond their number.
fn unlike(known: &PodTemplateOwner, owner: &PodTemplateOwner) -> Option<String> {
    let parts = [
        (known.labels != owner.labels, "labels"),
        (
            known.service_account != owner.service_account,
            "service account",
        ),
        (known.ports != owner.ports, "ports"),
    ];
    let parts: Vec<&str> = parts.iter().filter(|p| p.0).map(|p| p.1).collect();
    (!parts.is_empty()).then(|| {
        format!(
            "pods of {} keep their {} when the workload is applied anew: another Deployment beside it shows the change",
            owner.meta.full_name(),
            parts.join(" and ")
        )
    })
}

/// Both speak of the same workloads and pods.
fn same_pods(first: &Snapshot, later: &Snapshot) -> Result<(), Box<Diagnostic>> {
    let names = |s: &Snapshot| -> Vec<String> {
        s.workloads
            .iter()
            .map(crate::xds::Workload::full_name)
            .collect()
    };
    let (before, after) = (names(first), names(later));
    let changed = (before.iter().find(|name| !after.contains(name)))
        .or_else(|| after.iter().find(|name| !before.contains(name)));
    let message = match changed {
        Some(name) => format!("`{name}` comes or goes with a change during the run"),
        None if first.pods.len() != later.pods.len() => {
            "the number of addresses changes with a change during the run".to_owned()
        }
        None => return Ok(()),
    };
    let error = Diagnostic::error("TT-EVENT", Class::Model, message);
    Err(Box::new(error.help(
        "addresses outside Kubernetes (ServiceEntry, WorkloadEntry) have to be there from the start",
    )))
}
