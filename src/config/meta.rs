//! Metadata of an object.

use std::collections::BTreeMap;

use crate::diagnostic::{Class, Diagnostic};
use crate::manifest::Object;

use super::Meta;
use super::decode::{Decoder, Fields};

/// Reads `metadata`. The object's namespace has its default already.
pub(super) fn meta(decoder: &Decoder, object: &Object) -> Meta {
    let read = |f: &Fields<'_>| Meta {
        name: object.name.clone(),
        namespace: object.namespace.clone(),
        labels: f.text_map("labels"),
        annotations: f.text_map("annotations"),
        created: f.text_or_empty("creationTimestamp"),
        origin: decoder.origin(&object.root),
    };
    if object.name.is_empty() {
        let message = "the object has no `metadata.name`";
        decoder.push(Diagnostic::error("TT-NO-NAME", Class::Admission, message).at(object.place()));
    }
    match object.root.get("metadata") {
        Some(node) => decoder.object(node, |f| {
            f.accept_unknown();
            // The envelope took any scalar; `namespace: n` is a boolean and refused.
            f.text("name");
            f.text("namespace");
            read(f)
        }),
        None => Meta {
            name: object.name.clone(),
            namespace: object.namespace.clone(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            created: "".into(),
            origin: decoder.origin(&object.root),
        },
    }
}
