//! Following a path through a tree and changing what is at its end.
//!
//! Trees are shared and never changed in place: the nodes from the root to the value are made
//! anew, all others are the same as before.

use std::sync::Arc;

use crate::diagnostic::nearest;
use crate::manifest::path::Step;
use crate::manifest::tree::{Key, Mapping, Node, Value};

/// Names of a list or mapping that a message shows at most.
const SHOWN: usize = 8;

/// Why a path leads nowhere.
pub(super) struct Lost {
    pub(super) message: String,
    pub(super) help: String,
    /// Line and column of what was reached.
    pub(super) at: (u32, u32),
}

/// What to do at the end of a path.
pub(super) struct Walk<'a> {
    /// The new value; `None` removes.
    pub(super) value: Option<&'a Node>,
    /// Line and column of keys that are made on the way.
    pub(super) made_at: (u32, u32),
    /// Path so far, for messages.
    pub(super) so_far: String,
}

impl Walk<'_> {
    /// The node with the change made inside; `None` when the node itself is to be removed.
    pub(super) fn change(&mut self, node: &Node, steps: &[Step]) -> Result<Option<Node>, Lost> {
        let Some((step, rest)) = steps.split_first() else {
            return Ok(self.value.cloned());
        };
        let value = match step {
            Step::Key(key) => self.key(node, key, rest)?,
            Step::Index(index) => self.index(node, *index, rest)?,
            Step::Named { field, value } => self.named(node, field, value, rest)?,
            Step::All => self.all(node, rest)?,
        };
        Ok(Some(Node {
            value,
            line: node.line,
            column: node.column,
        }))
    }

    fn key(&mut self, node: &Node, key: &Arc<str>, rest: &[Step]) -> Result<Value, Lost> {
        let known = match &node.value {
            Value::Mapping(mapping) => mapping.entries.as_slice(),
            Value::Null => &[],
            Value::Sequence(items) => return Err(self.list_not_mapping(node, items, key)),
            other => {
                let what = format!("{} is {}, not a mapping", self.shown(), other.describe());
                return Err(lost(what, format!("there is no `{key}` in it"), node));
            }
        };
        let mut entries = known.to_vec();
        let place = entries.iter().position(|(k, _)| k.text == *key);
        if place.is_none() && self.value.is_none() {
            let what = format!("{} has no `{key}` to remove", self.shown());
            let names = entries.iter().map(|(key, _)| &*key.text);
            return Err(lost(what, proposal(key, names), node));
        }
        let before = self.so_far.len();
        if !self.so_far.is_empty() {
            self.so_far.push('.');
        }
        self.so_far.push_str(key);
        match place {
            Some(at) => match self.change(&entries[at].1, rest)? {
                Some(changed) => entries[at].1 = changed,
                None => drop(entries.remove(at)),
            },
            None => {
                if let Some(made) = self.change(&self.nothing(), rest)? {
                    let (line, column) = self.made_at;
                    let key = Key {
                        text: Arc::clone(key),
                        line,
                        column,
                    };
                    entries.push((key, made));
                }
            }
        }
        self.so_far.truncate(before);
        Ok(Value::Mapping(Arc::new(Mapping { entries })))
    }

    fn index(&mut self, node: &Node, index: usize, rest: &[Step]) -> Result<Value, Lost> {
        let mut items = self.items(node)?.to_vec();
        let is_new = index == items.len() && self.value.is_some();
        if index >= items.len() && !is_new {
            let what = format!("{} has no element [{index}]", self.shown());
            let help = match items.len() {
                0 => "it is empty".to_owned(),
                n => format!("its elements are [0] to [{}]", n - 1),
            };
            return Err(lost(what, help, node));
        }
        if is_new {
            items.push(self.nothing());
        }
        self.element(&mut items, index, rest)?;
        Ok(Value::Sequence(items.into()))
    }

    fn named(
        &mut self,
        node: &Node,
        field: &str,
        value: &str,
        rest: &[Step],
    ) -> Result<Value, Lost> {
        let mut items = self.items(node)?.to_vec();
        let text = |item: &Node| item.get(field).and_then(|n| n.value.scalar_text());
        let is_it = |item: &Node| text(item).is_some_and(|t| *t == *value);
        let Some(at) = items.iter().position(is_it) else {
            let what = format!(
                "{} has no element whose `{field}` is `{value}`",
                self.shown()
            );
            let names: Vec<Arc<str>> = items.iter().filter_map(text).collect();
            let help = proposal(value, names.iter().map(|name| &**name));
            return Err(lost(what, help, node));
        };
        if items[at + 1..].iter().any(is_it) {
            let what = format!(
                "more than one element of {} has `{field}: {value}`",
                self.shown()
            );
            return Err(lost(
                what,
                "choose one by its number, `[0]`".to_owned(),
                node,
            ));
        }
        self.element(&mut items, at, rest)?;
        Ok(Value::Sequence(items.into()))
    }

    fn all(&mut self, node: &Node, rest: &[Step]) -> Result<Value, Lost> {
        let items = self.items(node)?;
        if items.is_empty() {
            let what = format!("{} has no elements", self.shown());
            return Err(lost(what, "`[0]` makes the first one".to_owned(), node));
        }
        let mut items = items.to_vec();
        for at in (0..items.len()).rev() {
            self.element(&mut items, at, rest)?;
        }
        Ok(Value::Sequence(items.into()))
    }

    fn element(&mut self, items: &mut Vec<Node>, at: usize, rest: &[Step]) -> Result<(), Lost> {
        let before = self.so_far.len();
        self.so_far.push_str(&format!("[{at}]"));
        match self.change(&items[at], rest)? {
            Some(changed) => items[at] = changed,
            None => drop(items.remove(at)),
        }
        self.so_far.truncate(before);
        Ok(())
    }

    fn items<'n>(&self, node: &'n Node) -> Result<&'n [Node], Lost> {
        match &node.value {
            Value::Sequence(items) => Ok(items),
            Value::Null => Ok(&[]),
            other => {
                let what = format!("{} is {}, not a list", self.shown(), other.describe());
                let names = node.entries().iter().map(|(key, _)| &*key.text);
                Err(lost(what, known(names), node))
            }
        }
    }

    fn list_not_mapping(&self, node: &Node, items: &[Node], key: &str) -> Lost {
        let what = format!("{} is a list and has no `{key}`", self.shown());
        let named = items.first().and_then(|item| item.get("name"));
        let name = named.and_then(|node| node.value.scalar_text());
        let help = match (items.len(), name) {
            (0, _) => "it is empty; `[0]` makes the first element".to_owned(),
            (_, Some(name)) => format!("choose an element: `[0]` or `[{name}]`"),
            (n, None) => format!("choose an element: `[0]` to `[{}]`", n - 1),
        };
        lost(what, help, node)
    }

    fn nothing(&self) -> Node {
        let (line, column) = self.made_at;
        Node {
            value: Value::Null,
            line,
            column,
        }
    }

    fn shown(&self) -> String {
        if self.so_far.is_empty() {
            "the object".to_owned()
        } else {
            format!("`{}`", self.so_far)
        }
    }
}

fn lost(message: String, help: String, node: &Node) -> Lost {
    Lost {
        message,
        help,
        at: (node.line, node.column),
    }
}

/// The nearest of some names, else all of them.
pub(super) fn proposal<'n>(word: &str, names: impl Iterator<Item = &'n str> + Clone) -> String {
    match nearest(word, names.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => known(names),
    }
}

fn known<'n>(names: impl Iterator<Item = &'n str> + Clone) -> String {
    let all: Vec<&str> = names.collect();
    let more = all.len().saturating_sub(SHOWN);
    let shown = all[..all.len() - more].join("`, `");
    match (all.len(), more) {
        (0, _) => "nothing is there".to_owned(),
        (_, 0) => format!("there are `{shown}`"),
        (_, more) => format!("there are `{shown}` and {more} more"),
    }
}
