//! One value of the input changed by its path: `dr/backend:spec.trafficPolicy…maxConnections=50`.
//!
//! Objects are changed after they were read and before anything is decoded, so that a value that
//! is set means what it would mean in its file, and is judged by the same rules. What is not
//! changed keeps its file and line; what is set has its flag and the number of that for a line
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
use crate::units::origin::Flag;

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
    flag: Flag,
    /// Which of those flags, from 1; `None` for the next one.
    number: Option<u32>,
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
        let source = Source::new(Flag::Set.name(), value);
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
            flag: Flag::Set,
            number: None,
        })
    }

    /// The same, set by another flag than `--set`: by the `number`-th of them, from 1.
    #[must_use]
    pub fn by(self, flag: Flag, number: u32) -> Self {
        Self {
            flag,
            number: Some(number),
            ..self
        }
    }

    /// The value with the line of its flag.
    fn placed(&self, line: u32) -> Option<Node> {
        let before = self.path.text.chars().count() as u32 + 1;
        self.value.as_ref().map(|node| moved(node, line, before))
    }
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Edits with their flag and the number of it.
fn numbered(edits: &[Edit]) -> impl Iterator<Item = (&Edit, Flag, u32)> {
    let mut last = [0; Flag::ALL.len()];
    edits.iter().map(move |edit| {
        let last = &mut last[edit.flag as usize];
        *last = edit.number.unwrap_or(*last + 1);
        (edit, edit.flag, *last)
    })
}

/// The edits as texts, one for each flag, one a line, for excerpts in messages about them.
pub fn sources(edits: &[Edit]) -> Vec<Source> {
    let texts = Flag::ALL.map(|flag| {
        let mut lines: Vec<&str> = Vec::new();
        for (edit, _, number) in numbered(edits).filter(|(_, by, _)| *by == flag) {
            lines.resize(lines.len().max(number as usize), "");
            lines[number as usize - 1] = &edit.text;
        }
        Source::new(flag.name(), lines.join("\n"))
    });
    texts.into()
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
