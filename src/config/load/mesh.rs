//! Mesh-wide settings and where they may stand: a ConfigMap, an IstioOperator, a bare file.

use super::Loaded;
use crate::config::decode::{Decoder, Unknown, register};
use crate::config::istio::mesh_config;
use crate::diagnostic::{Class, Diagnostic};
use crate::manifest::{Node, Object, Source, Value, read_nested};

/// Reads the settings an object holds, if it holds any.
pub(super) fn add(loaded: &mut Loaded, object: &Object, sources: &[Source]) {
    match &*object.kind {
        "MeshConfig" => settings(loaded, object, &object.root),
        "IstioOperator" => {
            if let Some(node) = object.root.at(&["spec", "meshConfig"]) {
                settings(loaded, object, node);
            }
        }
        _ => config_map(loaded, object, sources),
    }
}

/// The maps istiod and the injector read; every other ConfigMap belongs to somebody else.
fn config_map(loaded: &mut Loaded, object: &Object, sources: &[Source]) {
    let (key, injector) = match &*object.name {
        "istio" => ("mesh", false),
        "istio-sidecar-injector" => ("values", true),
        name if name.starts_with("istio-sidecar-injector-") => ("values", true),
        // A revision's settings are in `istio-<revision>`; other maps of that name have no `mesh`.
        name if name.starts_with("istio-") => ("mesh", false),
        _ => return,
    };
    let Some(node) = object.root.at(&["data", key]) else {
        return;
    };
    let source = sources.iter().find(|source| source.path == object.file);
    let (documents, diagnostics) = read_nested(&object.file, node, source);
    loaded.diagnostics.extend(diagnostics);
    let Some(document) = documents.first() else {
        return;
    };
    if injector {
        let path = ["sidecarInjectorWebhook", "enableNamespacesByDefault"];
        let switch = document.root.at(&path).map(|node| &node.value);
        loaded.config.mesh.inject_by_default = switch == Some(&Value::Bool(true));
    } else {
        settings(loaded, object, &document.root);
    }
}

fn settings(loaded: &mut Loaded, object: &Object, node: &Node) {
    let earlier = loaded.config.mesh.origin;
    let id = register(&mut loaded.config.origins, object);
    let decoder = Decoder::new(object, id, Class::Admission, Unknown::Warned);
    if !earlier.is_built_in() {
        let message = "mesh settings are given twice; these later ones count";
        let place = loaded.config.origins.place(earlier);
        let warning = Diagnostic::warning("TT-DUPLICATE-OBJECT", Class::Advice, message);
        let help = format!("the others are at {place}");
        decoder.push(warning.at(decoder.place(node)).help(help));
    }
    let version = loaded.config.version;
    let injects = loaded.config.mesh.inject_by_default;
    loaded.config.mesh = decoder.object(node, |f| mesh_config(f, version));
    loaded.config.mesh.inject_by_default = injects;
    loaded.diagnostics.extend(decoder.finish());
}
