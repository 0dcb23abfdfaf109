//! One value of the input changed by its path: `dr/backend:spec.trafficPolicy…maxConnections=50`.
//!
//! Objects are changed after they were read and before anything is decoded, so that a value that
//! is set means what it would mean in its file, and is judged by the same rules. What is not
//! changed keeps its file and line; what is set has the number of its `--set` for a line
//! ([`crate::units::origin::set_line`]).
//!
//! `=null` removes the value, as Helm's `--set` does. Missing mappings on the way are made; an
//! index one past the end adds an element.

mod apply;
mod walk;

use std::fmt;
use std::sync::Arc;

use super::Source;
use super::path::ValuePath;
use super::tree::{Key, Mapping, Node, Value};
use super::yaml::{Limits, read_documents};
use crate::units::origin::{SET_FILE, set_line};

pub use apply::apply;

/// A value to set.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// `PATH=VALUE`, as written, on one line.
    pub text: Arc<str>,
    /// Where.
    pub path: ValuePath,
    /// What; `None` removes.
    value: Option<Node>,
}

impl Edit {
    /// Reads `PATH=VALUE`; the value is YAML. The error is a sentence with a way out.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (path, rest) = ValuePath::parse_prefix(text)?;
        let Some(value) = rest.strip_prefix('=') else {
            return Err(format!(
                "`{text}` sets nothing; write `{path}=VALUE`, or `{path}=null` to remove what is there"
            ));
        };
        Self::new(&path, value)
    }

    /// Sets what `path` leads to; `value` is YAML.
    pub fn new(path: &ValuePath, value: &str) -> Result<Self, String> {
        let value = value.trim();
        let source = Source::new(SET_FILE, value);
        let (mut documents, problems) = read_documents(&[source], Limits::default());
        let several = documents.len() > 1;
        if let Some(problem) = problems.first() {
            return Err(format!(
                "the value of `{path}={value}` cannot be read: {}; quote it",
                problem.message
            ));
        }
        if several {
            return Err(format!("`{path}={value}` has more than one value"));
        }
        let value_text: String = value
            .split('\n')
            .map(str::trim)
            .collect::<Vec<_>>()
            .join(" ");
        Ok(Self {
            text: format!("{path}={value_text}").into(),
            path: path.clone(),
            value: documents.pop().map(|document| document.root),
        })
    }

    /// The value as the `number`-th (from 1) of its command line.
    fn placed(&self, number: u32) -> Option<Node> {
        let before = self.path.text.chars().count() as u32 + 1;
        self.value
            .as_ref()
            .map(|node| moved(node, set_line(number), before))
    }
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The edits as a text, one a line, for excerpts in messages about them.
pub fn source(edits: &[Edit]) -> Source {
    let lines: Vec<&str> = edits.iter().map(|edit| &*edit.text).collect();
    Source::new(SET_FILE, lines.join("\n"))
}

fn moved(node: &Node, line: u32, columns: u32) -> Node {
    let value = match &node.value {
        Value::Sequence(items) => Value::Sequence(
            items
                .iter()
                .map(|item| moved(item, line, columns))
                .collect(),
        ),
        Value::Mapping(mapping) => {
            let entries = mapping.entries.iter().map(|(key, value)| {
                let key = Key {
                    text: Arc::clone(&key.text),
                    line,
                    column: key.column + columns,
                };
                (key, moved(value, line, columns))
            });
            Value::Mapping(Arc::new(Mapping {
                entries: entries.collect(),
            }))
        }
        scalar => scalar.clone(),
    };
    Node {
        value,
        line,
        column: node.column + columns,
    }
}

#[cfg(test)]
mod tests;
