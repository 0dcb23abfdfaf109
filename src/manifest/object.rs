//! The envelope every Kubernetes-style document has: apiVersion, kind, metadata.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Source;
use super::kind::{Family, known_kind};
use super::tree::{Key, Node, Value};
use super::yaml::{Document, Limits, read_documents};
use crate::diagnostic::{Class, Diagnostic, Place};

/// One object of the input, its body still a tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// `apiVersion`; empty for a bare MeshConfig.
    pub api_version: Arc<str>,
    /// `kind`; `MeshConfig` for a bare MeshConfig.
    pub kind: Arc<str>,
    /// `metadata.name`; empty when absent.
    pub name: Arc<str>,
    /// `metadata.namespace`; empty when absent.
    pub namespace: Arc<str>,
    /// File it is in.
    pub file: Arc<str>,
    /// The whole document, or the item of a list.
    pub root: Node,
    /// Some of its values were set on the command line.
    pub edited: bool,
}

impl Object {
    /// API group: the part of `apiVersion` before the slash, empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version
            .split_once('/')
            .map_or("", |(group, _)| group)
    }

    /// `spec`, if there is one.
    pub fn spec(&self) -> Option<&Node> {
        self.root.get("spec")
    }

    /// Where the object starts.
    pub fn place(&self) -> Place {
        place(&self.file, &self.root)
    }

    /// `VirtualService production/reviews`.
    pub fn describe(&self) -> String {
        match (&*self.namespace, &*self.name) {
            ("", "") => self.kind.to_string(),
            ("", name) => format!("{} {name}", self.kind),
            (namespace, name) => format!("{} {namespace}/{name}", self.kind),
        }
    }
}

fn place(file: &Arc<str>, node: &Node) -> Place {
    Place {
        file: Arc::clone(file),
        line: node.line,
        column: node.column,
    }
}

/// Reads sources to objects, in the order written; lists are flattened.
pub fn read_objects(sources: &[Source]) -> (Vec<Object>, Vec<Diagnostic>) {
    let (documents, diagnostics) = read_documents(sources, Limits::default());
    let mut reader = Envelopes {
        objects: Vec::new(),
        diagnostics,
        unknown: BTreeMap::new(),
    };
    for Document { file, root } in documents {
        reader.object(&file, root, &Inherited::default(), 0);
    }
    reader.report_unknown();
    (reader.objects, reader.diagnostics)
}

/// What a typed list says about its items (`ServiceList` holds Services without a kind).
#[derive(Default)]
struct Inherited {
    api_version: Arc<str>,
    kind: Arc<str>,
}

/// A kind nobody knows: how often and where first.
struct UnknownKind {
    count: usize,
    first: Place,
}

struct Envelopes {
    objects: Vec<Object>,
    diagnostics: Vec<Diagnostic>,
    unknown: BTreeMap<(Arc<str>, Arc<str>), UnknownKind>,
}

/// Lists within lists deeper than this are nobody's honest output.
const LIST_DEPTH_MAX: u32 = 4;

impl Envelopes {
    fn object(&mut self, file: &Arc<str>, root: Node, inherited: &Inherited, depth: u32) {
        if !matches!(root.value, Value::Mapping(_)) {
            let message = format!("expected an object, found {}", root.value.describe());
            let error = Diagnostic::error("TT-NOT-AN-OBJECT", Class::Syntax, message);
            self.diagnostics.push(error.at(place(file, &root)));
            return;
        }
        let text = |key: &str| match root.get(key).map(|node| &node.value) {
            Some(Value::Text(text, _)) => Some(Arc::clone(text)),
            _ => None,
        };
        let kind = text("kind").unwrap_or_else(|| Arc::clone(&inherited.kind));
        let api_version = text("apiVersion").unwrap_or_else(|| Arc::clone(&inherited.api_version));
        if kind.is_empty() {
            self.without_kind(file, root);
            return;
        }
        if let Some(items) = list_items(&kind, &root) {
            if depth >= LIST_DEPTH_MAX {
                let message = format!("lists are nested more than {LIST_DEPTH_MAX} deep");
                let error = Diagnostic::error("TT-YAML-TOO-DEEP", Class::Syntax, message);
                self.diagnostics.push(error.at(place(file, &root)));
                return;
            }
            let of = Inherited {
                kind: kind.strip_suffix("List").unwrap_or("").into(),
                api_version: if &*kind == "List" {
                    "".into()
                } else {
                    api_version
                },
            };
            for item in items.iter().cloned() {
                self.object(file, item, &of, depth + 1);
            }
            return;
        }
        self.keep(file, root, kind, api_version);
    }

    fn keep(&mut self, file: &Arc<str>, root: Node, kind: Arc<str>, api_version: Arc<str>) {
        let metadata = |key: &str| {
            let node = root.at(&["metadata", key]);
            node.and_then(|n| n.value.scalar_text()).unwrap_or_default()
        };
        let object = Object {
            name: metadata("name"),
            namespace: metadata("namespace"),
            api_version,
            kind,
            file: Arc::clone(file),
            root,
            edited: false,
        };
        if object.name.contains("{{") || object.namespace.contains("{{") {
            let message = "this looks like an unrendered Helm template";
            let error = Diagnostic::error("TT-TEMPLATE", Class::Syntax, message).at(object.place());
            let help = "render it with `helm template` and read the result";
            self.diagnostics.push(error.help(help));
            return;
        }
        if object.group() == "towtank" && known_kind("towtank", &object.kind).is_none() {
            let what = format!(
                "`{}` is not a kind of `{}`",
                object.kind, object.api_version
            );
            let error = Diagnostic::error("TT-UNKNOWN-KIND", Class::Model, what).at(object.place());
            let help = "its kinds are `Model` and `Scenario`";
            self.diagnostics.push(error.help(help));
            return;
        }
        if known_kind(object.group(), &object.kind).is_none() {
            let key = (Arc::clone(&object.api_version), Arc::clone(&object.kind));
            let entry = self.unknown.entry(key).or_insert_with(|| UnknownKind {
                count: 0,
                first: object.place(),
            });
            entry.count += 1;
        }
        self.objects.push(object);
    }

    /// A file of mesh settings has neither kind nor apiVersion; anything else needs them.
    fn without_kind(&mut self, file: &Arc<str>, root: Node) {
        if root
            .entries()
            .iter()
            .any(|(key, _)| is_mesh_config_key(key))
        {
            self.objects.push(Object {
                api_version: "".into(),
                kind: "MeshConfig".into(),
                name: "".into(),
                namespace: "".into(),
                file: Arc::clone(file),
                root,
                edited: false,
            });
            return;
        }
        let error = Diagnostic::error("TT-NO-KIND", Class::Syntax, "this document has no `kind`");
        let help = "Kubernetes objects need `apiVersion` and `kind`; values files are no manifests";
        self.diagnostics
            .push(error.at(place(file, &root)).help(help));
    }

    fn report_unknown(&mut self) {
        for ((api_version, kind), unknown) in std::mem::take(&mut self.unknown) {
            let many = match unknown.count {
                1 => "1 object".to_owned(),
                n => format!("{n} objects"),
            };
            let message = format!(
                "{many} of kind `{kind}` (`{api_version}`) left out: the kind is not known"
            );
            let warning = Diagnostic::warning("TT-UNKNOWN-KIND", Class::NotSimulated, message);
            self.diagnostics.push(warning.at(unknown.first));
        }
    }
}

/// Items of `kind: List` or of a typed list such as `ServiceList`.
fn list_items<'a>(kind: &str, root: &'a Node) -> Option<&'a [Node]> {
    if !kind.ends_with("List") {
        return None;
    }
    match root.get("items").map(|items| &items.value) {
        Some(Value::Sequence(items)) => Some(items),
        Some(Value::Null) => Some(&[]),
        None if kind == "List" => Some(&[]),
        _ => None,
    }
}

/// Fields that only mesh-wide settings have.
fn is_mesh_config_key(key: &Key) -> bool {
    const KEYS: &[&str] = &[
        "outboundTrafficPolicy",
        "defaultConfig",
        "rootNamespace",
        "trustDomain",
        "enableAutoMtls",
        "accessLogFile",
        "defaultProviders",
        "extensionProviders",
        "localityLbSetting",
        "defaultHttpRetryPolicy",
        "connectTimeout",
        "enableTracing",
        "h2UpgradePolicy",
        "meshMTLS",
        "defaultServiceExportTo",
        "defaultVirtualServiceExportTo",
        "defaultDestinationRuleExportTo",
        "discoverySelectors",
        "defaultTrafficPolicy",
    ];
    KEYS.contains(&&*key.text)
}

impl Object {
    /// What happens to objects of this kind; `None` when the kind is not known.
    pub fn family(&self) -> Option<Family> {
        if &*self.kind == "MeshConfig" && self.api_version.is_empty() {
            return Some(Family::Simulated);
        }
        known_kind(self.group(), &self.kind).map(|known| known.family)
    }
}
