//! What no machine could hold, said before anything tries.

use crate::config::MeshConfig;
use crate::config::k8s::PodTemplateOwner;
use crate::diagnostic::{Class, Diagnostic, Place};

/// Kubernetes supports 150,000 pods in a cluster; a mesh may span a few clusters.
const PODS_MAX: u64 = 500_000;

/// An error at the largest workload when there are too many pods altogether.
pub(super) fn pods(config: &MeshConfig) -> Option<Diagnostic> {
    let count = |owner: &PodTemplateOwner| u64::from(owner.replicas.unwrap_or(1));
    let total: u64 = config.workloads.iter().map(count).sum();
    if total <= PODS_MAX {
        return None;
    }
    let largest = config.workloads.iter().max_by_key(|owner| count(owner))?;
    let origin = largest.meta.origin;
    let object = config.origins.object(origin.object);
    let message = format!("the workloads have {total} pods together; the most is {PODS_MAX}");
    let help = format!(
        "lower `replicas`; the largest is this one with {}",
        count(largest)
    );
    let place = Place {
        file: object.file.clone(),
        line: origin.line,
        column: origin.column,
    };
    let error = Diagnostic::error("TT-TOO-MANY-PODS", Class::Model, message);
    Some(error.at(place).of(object.to_string()).help(help))
}
