//! Text to objects: YAML (or JSON, which is YAML) with every line and column kept.
//!
//! Never fails and never touches the file system: texts come in as [`Source`]s, and what
//! cannot be read becomes a diagnostic while the other documents still load. Knows nothing
//! of what a VirtualService means; that is `config`'s work.
//!
//! The tree is our own because spans must survive until an error about a field is shown,
//! and because Kubernetes reads YAML 1.1 scalars, which no current crate does.

mod build;
pub mod edit;
mod kind;
mod nested;
mod object;
pub mod path;
mod scalar;
mod tree;
mod yaml;

pub use edit::Edit;
pub use kind::{Family, KnownKind, known_kind};
pub use nested::read_nested;
pub use object::{Object, read_objects};
pub use path::ValuePath;
pub use tree::{Key, Mapping, Node, Quotes, Value};
pub use yaml::{Document, Limits, read_documents};

use std::sync::Arc;

/// A text with the name it is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Path as given, `-` for standard input.
    pub path: Arc<str>,
    /// The whole text.
    pub text: String,
}

impl Source {
    /// A text under a name.
    pub fn new(path: impl Into<Arc<str>>, text: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            text: text.into(),
        }
    }
}
