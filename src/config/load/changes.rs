//! What is there after manifests were applied or deleted during a run.
//!
//! Each change makes a whole new configuration of the one before, as `kubectl apply` and
//! `kubectl delete` change the API server's store: an object of the same kind, namespace and name
//! is replaced, whatever file it came from. Values that were set hold for what is there at the
//! start; an applied object is taken as its file says.

use std::collections::BTreeMap;

use super::duplicates::{key, same_content};
use super::{LoadOptions, Parsed, assembled, objects, parse, with_namespace};
use crate::config::MeshConfig;
use crate::diagnostic::{Class, Diagnostic};
use crate::manifest::{Family, Object, Source};

/// One change.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// Texts with the objects.
    pub files: &'a [Source],
    /// They are taken away instead of given.
    pub is_deletion: bool,
}

/// What is there after a change.
#[derive(Clone, Debug, Default)]
pub struct Changed {
    /// What takes part in the mesh then.
    pub config: MeshConfig,
    /// Workloads (`namespace/name`) whose pod template is another one: their pods are replaced.
    pub templates: Vec<String>,
}

/// The configurations after each of the changes, in order, and what is to be said about them.
///
/// `first` is what the texts give before any change; all of them share its table of origins, which
/// grows.
pub fn after(
    parsed: &Parsed,
    sources: &[Source],
    options: &LoadOptions,
    first: &MeshConfig,
    changes: &[Change<'_>],
) -> (Vec<Changed>, Vec<Diagnostic>) {
    let mut said = Vec::new();
    let (mut now, _) = objects(parsed, options, &mut Vec::new());
    let mut origins = first.origins.continued();
    let mut all = Vec::new();
    for change in changes {
        let read = parse(change.files);
        let mut found = read.diagnostics.clone();
        let given = read.objects.iter().cloned();
        let given: Vec<Object> = given.map(|o| with_namespace(o, options)).collect();
        let mut templates = Vec::new();
        for object in given {
            found.extend(own_kind(&object));
            found.extend(change_one(
                &mut now,
                object,
                change.is_deletion,
                &mut templates,
            ));
        }
        let loaded = assembled(&now, sources, options, origins.continued(), Vec::new());
        origins = loaded.config.origins.clone();
        let is_new = |d: &Diagnostic| {
            let file = d.place.as_ref().map(|place| &place.file);
            file.is_some_and(|file| change.files.iter().any(|source| source.path == *file))
        };
        found.extend(loaded.diagnostics.into_iter().filter(is_new));
        found.retain(|d| !said.contains(d));
        said.extend(found);
        all.push(Changed {
            config: loaded.config,
            templates,
        });
    }
    for changed in &mut all {
        changed.config.origins.clone_from(&origins);
        changed.config.placement.clone_from(&first.placement);
    }
    (all, said)
}

/// Gives or takes one object.
fn change_one(
    now: &mut Vec<Object>,
    object: Object,
    is_deletion: bool,
    templates: &mut Vec<String>,
) -> Option<Diagnostic> {
    let wanted = key(&object);
    let at = now.iter().position(|o| key(o) == wanted);
    match (at, is_deletion) {
        (Some(at), true) => {
            now.remove(at);
        }
        (Some(at), false) => {
            let template = |o: &Object| o.root.at(&["spec", "template"]).cloned();
            let same = match (template(&now[at]), template(&object)) {
                (Some(old), Some(new)) => same_content(&old, &new),
                _ => true,
            };
            if !same {
                templates.push(format!("{}/{}", object.namespace, object.name));
            }
            now[at] = object;
        }
        (None, false) => now.push(object),
        (None, true) => {
            let message = "the object is not there when it is to be deleted".to_owned();
            let warning = Diagnostic::warning("TT-EVENT", Class::Advice, message);
            return Some(warning.at(object.place()).of(object.describe()));
        }
    }
    None
}

/// Our own kinds are no objects of a cluster.
fn own_kind(object: &Object) -> Option<Diagnostic> {
    if object.family() != Some(Family::Towtank) {
        return None;
    }
    let message = format!("a {} cannot be applied during a run", object.kind);
    let error = Diagnostic::error("TT-EVENT", Class::Model, message);
    let error = error.at(object.place()).of(object.describe());
    Some(error.help("keep the Model and the Scenario in files of their own"))
}

/// Pods each workload wants, by `namespace/name`.
pub(crate) fn wanted(config: &MeshConfig) -> BTreeMap<String, u32> {
    (config.workloads.iter())
        .map(|owner| (owner.meta.full_name(), config.replicas(owner)))
        .collect()
}
