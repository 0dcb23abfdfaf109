//! Typed readers over the document tree: get a value or a diagnostic, never a failure.
//!
//! A [`Decoder`] belongs to one object and collects what is to be said about it. A
//! [`Fields`] reads one mapping by name and remembers which names were asked for; when its
//! closure ends, every key nobody asked for is reported, with the nearest asked name.
//!
//! ```text
//! let decoder = Decoder::new(&object, id, Class::Model, Unknown::Refused);
//! let load = decoder.object(spec, |f| Load {
//!     rate: f.parsed("rate"),
//!     warmup: f.duration("warmup").unwrap_or_default(),
//!     mix: f.objects("mix", mix_entry),
//! });
//! diagnostics.extend(decoder.finish());
//! ```

mod fields;
mod value;

use std::cell::RefCell;
use std::sync::Arc;

pub use fields::Fields;
pub use value::At;

pub use crate::diagnostic::nearest;
use crate::diagnostic::{Class, Diagnostic, Place};
use crate::manifest::{Node, Object};
use crate::units::{ObjectId, ObjectRef, Origin, Origins};

/// What to do with keys that nobody asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// Kubernetes kinds: most of a Pod is none of our business.
    Ignored,
    /// Istio kinds: the API server prunes them, so their author is mistaken.
    Warned,
    /// Our own kinds: a typo would silently change the experiment.
    Refused,
}

/// Collects the diagnostics of one object.
#[derive(Debug)]
pub struct Decoder {
    file: Arc<str>,
    object: ObjectId,
    label: String,
    class: Class,
    unknown: Unknown,
    /// Values were set on the command line, which nobody meant to be ignored.
    edited: bool,
    diagnostics: RefCell<Vec<Diagnostic>>,
}

impl Decoder {
    /// A decoder of `object`, which is `id` among the origins. `class` is that of refused
    /// values; wrong types are always of class Syntax.
    pub fn new(object: &Object, id: ObjectId, class: Class, unknown: Unknown) -> Self {
        Self {
            file: Arc::clone(&object.file),
            object: id,
            label: object.describe(),
            class,
            unknown,
            edited: object.edited,
            diagnostics: RefCell::new(Vec::new()),
        }
    }

    /// Reads a mapping; wrong types become a diagnostic and an empty mapping is read.
    pub fn object<T>(&self, node: &Node, read: impl FnOnce(&Fields<'_>) -> T) -> T {
        Fields::read(self, node, String::new(), (node.line, node.column), read)
    }

    /// A cursor on any node of this object.
    pub fn at<'a>(&'a self, node: &'a Node) -> At<'a> {
        At::new(self, node, String::new())
    }

    /// Everything that was found, in the order found.
    pub fn finish(self) -> Vec<Diagnostic> {
        self.diagnostics.into_inner()
    }

    /// Where a node was written, for typed values.
    pub fn origin(&self, node: &Node) -> Origin {
        self.origin_at((node.line, node.column))
    }

    /// Where a node was written, for people.
    pub fn place(&self, node: &Node) -> Place {
        self.place_at((node.line, node.column))
    }

    fn origin_at(&self, (line, column): (u32, u32)) -> Origin {
        Origin {
            object: self.object,
            line,
            column,
        }
    }

    fn place_at(&self, (line, column): (u32, u32)) -> Place {
        Place::new(&self.file, line, column)
    }

    /// Adds a diagnostic about this object, unless it was said before: a field may be read twice.
    pub fn push(&self, diagnostic: Diagnostic) {
        let diagnostic = diagnostic.of(self.label.clone());
        let mut diagnostics = self.diagnostics.borrow_mut();
        if !diagnostics.contains(&diagnostic) {
            diagnostics.push(diagnostic);
        }
    }

    /// Class of refused values.
    pub fn class(&self) -> Class {
        self.class
    }

    /// Code of refused values: the one under which Istio's analysis reports them, or ours.
    pub fn refused_code(&self) -> &'static str {
        match self.class {
            Class::Admission => "IST0106",
            _ => "TT-INVALID-VALUE",
        }
    }

    pub(super) fn unknown(&self) -> Unknown {
        self.unknown
    }

    pub(super) fn is_edited(&self) -> bool {
        self.edited
    }
}

/// Registers an object among the origins.
pub fn register(origins: &mut Origins, object: &Object) -> ObjectId {
    origins.push(ObjectRef {
        kind: Arc::clone(&object.kind),
        namespace: Arc::clone(&object.namespace),
        name: Arc::clone(&object.name),
        file: Arc::clone(&object.file),
        line: object.root.line,
    })
}

#[cfg(test)]
mod tests;
