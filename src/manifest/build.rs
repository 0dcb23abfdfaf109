//! Parser events to a tree, within limits.
//!
//! Knows nothing of files. Aliases become clones of shared nodes; what they would add if
//! somebody walked the tree is counted, and an alias inside its own anchor is a cycle.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use saphyr_parser::{Event, Marker, ScalarStyle, Tag};

use super::scalar::resolve_plain;
use super::tree::{Key, Mapping, Node, Value};
use super::yaml::{Interner, Limits};

/// Why reading a piece ended early. Lines count within the piece.
#[derive(Debug)]
pub(super) struct Stop {
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) help: Option<&'static str>,
    pub(super) line: u32,
    pub(super) column: u32,
}

impl Stop {
    fn new(code: &'static str, message: impl Into<String>, mark: Marker) -> Self {
        Self {
            code,
            message: message.into(),
            help: None,
            line: mark.line() as u32,
            column: mark.col() as u32 + 1,
        }
    }

    /// The text is not YAML.
    pub(super) fn syntax(info: &str, mark: Marker) -> Self {
        // The parser's own limit, which it meets before ours where brackets pile up.
        if info == "recursion limit exceeded" {
            return Self::new("TT-YAML-TOO-DEEP", "nested too deep", mark);
        }
        let mut stop = Self::new(
            "TT-YAML-SYNTAX",
            format!("not readable as YAML: {info}"),
            mark,
        );
        if info.contains("tab") {
            stop.help = Some("indent with spaces; YAML forbids tabs there");
        }
        stop
    }
}

/// A key that a mapping has twice, with (line, column) of both.
pub(super) struct Duplicate {
    pub(super) key: Arc<str>,
    pub(super) first: (u32, u32),
    pub(super) second: (u32, u32),
}

/// A collection that is still open.
struct Open {
    anchor: usize,
    line: u32,
    column: u32,
    /// Values inside, counted as if aliases were copies.
    size: usize,
    kind: OpenKind,
}

enum OpenKind {
    Sequence(Vec<Node>),
    Mapping(OpenMapping),
}

#[derive(Default)]
struct OpenMapping {
    entries: Vec<(Key, Node)>,
    key: Option<Key>,
    /// Position by key, kept only for mappings too big to search.
    index: HashMap<Arc<str>, usize>,
    /// Values of `<<` in the order written.
    merges: Vec<Node>,
    key_is_merge: bool,
}

/// Mappings larger than this get an index for the duplicate check.
const INDEXED_FROM: usize = 24;

/// Builds the documents of one piece.
pub(super) struct Builder<'a> {
    limits: Limits,
    lines_before: u32,
    interner: &'a mut Interner,
    stack: Vec<Open>,
    anchors: BTreeMap<usize, (Node, usize)>,
    expanded: usize,
    roots: Vec<Node>,
    duplicates: Vec<Duplicate>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(limits: Limits, lines_before: u32, interner: &'a mut Interner) -> Self {
        Self {
            limits,
            lines_before,
            interner,
            stack: Vec::new(),
            anchors: BTreeMap::new(),
            expanded: 0,
            roots: Vec::new(),
            duplicates: Vec::new(),
        }
    }

    /// Finished documents and the keys given twice.
    pub(super) fn finish(self) -> (Vec<Node>, Vec<Duplicate>) {
        (self.roots, self.duplicates)
    }

    /// Takes one parser event.
    pub(super) fn event(&mut self, event: Event<'_>, mark: Marker) -> Result<(), Stop> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.scalar(&text, style, anchor, tag.as_deref(), mark)
            }
            Event::Alias(anchor) => self.alias(anchor, mark),
            Event::SequenceStart(anchor, _) => {
                self.open(anchor, OpenKind::Sequence(Vec::new()), mark)
            }
            Event::MappingStart(anchor, _) => {
                self.open(anchor, OpenKind::Mapping(OpenMapping::default()), mark)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(mark),
            Event::DocumentStart(_) => {
                self.anchors.clear();
                self.expanded = 0;
                Ok(())
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        mark: Marker,
    ) -> Result<(), Stop> {
        let plain = style == ScalarStyle::Plain;
        if let Some(Open {
            kind: OpenKind::Mapping(mapping),
            ..
        }) = self.stack.last_mut()
            && mapping.key.is_none()
        {
            let key = Key {
                text: self.interner.share(text),
                line: mark.line() as u32 + self.lines_before,
                column: mark.col() as u32 + 1,
            };
            mapping.key_is_merge = plain && text == "<<";
            mapping.key = Some(key.clone());
            if anchor > 0 {
                let node = Node {
                    value: Value::Text(key.text),
                    line: key.line,
                    column: key.column,
                };
                self.anchors.insert(anchor, (node, 1));
            }
            return Ok(());
        }
        let forced_text =
            tag.is_some_and(|t| t.is_yaml_core_schema() && matches!(&*t.suffix, "str" | "binary"));
        let interner = &mut *self.interner;
        let value = if plain && !forced_text {
            resolve_plain(text, |t| interner.share(t))
        } else {
            Value::Text(interner.share(text))
        };
        let node = self.node(value, mark);
        self.place(node, anchor, 1, mark)
    }

    fn node(&self, value: Value, mark: Marker) -> Node {
        Node {
            value,
            line: mark.line() as u32 + self.lines_before,
            column: mark.col() as u32 + 1,
        }
    }

    fn alias(&mut self, anchor: usize, mark: Marker) -> Result<(), Stop> {
        let Some((target, size)) = self.anchors.get(&anchor) else {
            return Err(Stop::new(
                "TT-YAML-CYCLE",
                "this alias refers to a value that contains it",
                mark,
            ));
        };
        let (target, size) = (target.clone(), *size);
        if let Some(Open {
            kind: OpenKind::Mapping(mapping),
            ..
        }) = self.stack.last_mut()
            && mapping.key.is_none()
        {
            let Some(text) = target.value.scalar_text() else {
                return Err(complex_key(mark));
            };
            mapping.key = Some(Key {
                text,
                line: mark.line() as u32 + self.lines_before,
                column: mark.col() as u32 + 1,
            });
            mapping.key_is_merge = false;
            return Ok(());
        }
        self.grow(size, mark)?;
        // Inner places stay those of the anchor: that is where the text is.
        let node = self.node(target.value, mark);
        self.place(node, 0, size, mark)
    }

    fn grow(&mut self, size: usize, mark: Marker) -> Result<(), Stop> {
        self.expanded = self.expanded.saturating_add(size);
        if self.expanded > self.limits.expanded {
            let message = format!(
                "aliases expand to more than {} values",
                self.limits.expanded
            );
            return Err(Stop::new("TT-YAML-BOMB", message, mark));
        }
        Ok(())
    }

    fn open(&mut self, anchor: usize, kind: OpenKind, mark: Marker) -> Result<(), Stop> {
        if let Some(Open {
            kind: OpenKind::Mapping(mapping),
            ..
        }) = self.stack.last()
            && mapping.key.is_none()
        {
            return Err(complex_key(mark));
        }
        if self.stack.len() >= self.limits.depth {
            let message = format!("nested more than {} deep", self.limits.depth);
            return Err(Stop::new("TT-YAML-TOO-DEEP", message, mark));
        }
        let Node { line, column, .. } = self.node(Value::Null, mark);
        self.stack.push(Open {
            anchor,
            line,
            column,
            size: 1,
            kind,
        });
        Ok(())
    }

    fn close(&mut self, mark: Marker) -> Result<(), Stop> {
        let Some(mut open) = self.stack.pop() else {
            return Ok(());
        };
        let value = match open.kind {
            OpenKind::Sequence(items) => Value::Sequence(items.into()),
            OpenKind::Mapping(mut mapping) => {
                let before = mapping.entries.len();
                self.merge(&mut mapping, mark)?;
                open.size += mapping.entries.len() - before;
                Value::Mapping(Arc::new(Mapping {
                    entries: mapping.entries,
                }))
            }
        };
        let node = Node {
            value,
            line: open.line,
            column: open.column,
        };
        self.place(node, open.anchor, open.size, mark)
    }

    /// Merge keys: what is written wins over what is merged, earlier mappings over later ones.
    fn merge(&mut self, mapping: &mut OpenMapping, mark: Marker) -> Result<(), Stop> {
        for merged in std::mem::take(&mut mapping.merges) {
            let sources = match &merged.value {
                Value::Sequence(items) => items.to_vec(),
                _ => vec![merged],
            };
            for source in sources {
                let Value::Mapping(from) = &source.value else {
                    let message = "`<<` needs a mapping or a list of mappings";
                    return Err(Stop::new("TT-YAML-SYNTAX", message, mark));
                };
                self.grow(from.entries.len(), mark)?;
                for (key, node) in &from.entries {
                    if mapping.position(&key.text).is_none() {
                        mapping.push(key.clone(), node.clone());
                    }
                }
            }
        }
        Ok(())
    }

    /// Puts a finished node where it belongs.
    fn place(&mut self, node: Node, anchor: usize, size: usize, mark: Marker) -> Result<(), Stop> {
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(open) = self.stack.last_mut() else {
            if !node.is_null() {
                self.roots.push(node);
            }
            return Ok(());
        };
        open.size = open.size.saturating_add(size);
        match &mut open.kind {
            OpenKind::Sequence(items) => items.push(node),
            OpenKind::Mapping(mapping) => {
                let Some(key) = mapping.key.take() else {
                    return Err(complex_key(mark));
                };
                if mapping.key_is_merge {
                    mapping.merges.push(node);
                } else if let Some(at) = mapping.position(&key.text) {
                    let first = &mapping.entries[at].0;
                    self.duplicates.push(Duplicate {
                        key: Arc::clone(&key.text),
                        first: (first.line, first.column),
                        second: (key.line, key.column),
                    });
                    mapping.entries[at] = (key, node);
                } else {
                    mapping.push(key, node);
                }
            }
        }
        Ok(())
    }
}

fn complex_key(mark: Marker) -> Stop {
    Stop::new("TT-YAML-SYNTAX", "a mapping key must be a text", mark)
}

impl OpenMapping {
    fn position(&self, key: &str) -> Option<usize> {
        if self.entries.len() < INDEXED_FROM {
            return self.entries.iter().position(|(k, _)| &*k.text == key);
        }
        self.index.get(key).copied()
    }

    fn push(&mut self, key: Key, node: Node) {
        if self.entries.len() + 1 == INDEXED_FROM {
            let known = self.entries.iter().enumerate();
            self.index = known
                .map(|(at, (k, _))| (Arc::clone(&k.text), at))
                .collect();
        }
        if self.entries.len() + 1 >= INDEXED_FROM {
            self.index.insert(Arc::clone(&key.text), self.entries.len());
        }
        self.entries.push((key, node));
    }
}
