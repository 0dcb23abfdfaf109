//! YAML inside a text of YAML: `data.mesh` of the ConfigMap `istio`.

use std::sync::Arc;

use super::Source;
use super::tree::{Key, Mapping, Node, Value};
use super::yaml::{Document, Limits, read_documents};
use crate::diagnostic::Diagnostic;

/// Reads the text of `node` as documents of the same file. For a block scalar, places are
/// those in the file; for other forms they are about right.
pub fn read_nested(
    file: &Arc<str>,
    node: &Node,
    source: Option<&Source>,
) -> (Vec<Document>, Vec<Diagnostic>) {
    let Some(text) = node.as_text() else {
        return (Vec::new(), Vec::new());
    };
    let inner = Source::new(Arc::clone(file), &**text);
    let (mut documents, mut diagnostics) = read_documents(&[inner], Limits::default());
    // The parser places a block scalar at its first line of text, not at its `|`.
    let lines = node.line.saturating_sub(1);
    let columns = source.map_or(0, |source| indentation(&source.text, lines));
    for document in &mut documents {
        shift(&mut document.root, lines, columns);
    }
    for diagnostic in &mut diagnostics {
        let related = diagnostic.related.iter_mut().map(|(place, _)| place);
        for place in diagnostic.place.iter_mut().chain(related) {
            place.line += lines;
            place.column += columns;
        }
    }
    (documents, diagnostics)
}

/// Blanks before the text of a line counted from 0.
fn indentation(text: &str, line: u32) -> u32 {
    let line = text.lines().nth(line as usize).unwrap_or_default();
    (line.len() - line.trim_start_matches(' ').len()) as u32
}

fn shift(node: &mut Node, lines: u32, columns: u32) {
    node.line += lines;
    node.column += columns;
    match &mut node.value {
        Value::Sequence(items) => {
            let mut moved: Vec<Node> = items.to_vec();
            for item in &mut moved {
                shift(item, lines, columns);
            }
            *items = moved.into();
        }
        Value::Mapping(mapping) => {
            let entries = mapping.entries.iter().cloned();
            let moved = entries.map(|(key, mut value)| {
                shift(&mut value, lines, columns);
                let key = Key {
                    line: key.line + lines,
                    column: key.column + columns,
                    ..key
                };
                (key, value)
            });
            *mapping = Arc::new(Mapping {
                entries: moved.collect(),
            });
        }
        _ => {}
    }
}
