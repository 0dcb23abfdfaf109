//! The tree of one document: values with the place where each was written.

use std::sync::Arc;

use crate::units::origin::set_by;

/// A value and where it starts.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What was written.
    pub value: Value,
    /// Line from 1.
    pub line: u32,
    /// Column from 1, in characters.
    pub column: u32,
}

/// What a node holds. Collections are shared, so an alias costs one pointer.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing at all.
    Null,
    /// A boolean by YAML 1.1: `true`, `yes`, `on` and their opposites.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction or an exponent.
    Float(f64),
    /// Everything else.
    Text(Arc<str>, Quotes),
    /// A list.
    Sequence(Arc<[Node]>),
    /// A mapping with text keys in the order written; no key occurs twice.
    Mapping(Arc<Mapping>),
}

/// Whether a text stands in quotes, which begin a column before it. It says where things are, not
/// what they are: two texts are equal with and without.
#[derive(Clone, Copy, Debug, Default)]
pub enum Quotes {
    /// It does not, or nobody wrote it.
    #[default]
    Without,
    /// It does, in single or double ones.
    Within,
}

impl PartialEq for Quotes {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// Entries of a mapping.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mapping {
    /// Keys and values in the order written, merged entries last.
    pub entries: Vec<(Key, Node)>,
}

/// A key and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Text as written, whatever type a plain scalar of that text would have.
    pub text: Arc<str>,
    /// Line from 1.
    pub line: u32,
    /// Column from 1, in characters.
    pub column: u32,
}

impl Node {
    /// Entries of a mapping; none for anything else.
    pub fn entries(&self) -> &[(Key, Node)] {
        match &self.value {
            Value::Mapping(mapping) => &mapping.entries,
            _ => &[],
        }
    }

    /// Items of a sequence; none for anything else.
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::Sequence(items) => items,
            _ => &[],
        }
    }

    /// Value of a key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        let entry = self.entries().iter().find(|(k, _)| &*k.text == key);
        entry.map(|(_, node)| node)
    }

    /// Follows keys from mapping to mapping.
    pub fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The text of a text scalar.
    pub fn as_text(&self) -> Option<&Arc<str>> {
        match &self.value {
            Value::Text(text, _) => Some(text),
            _ => None,
        }
    }

    /// Column of the first character of a text: behind the quote of one in quotes.
    pub fn text_column(&self) -> u32 {
        let within = matches!(self.value, Value::Text(_, Quotes::Within));
        self.column + u32::from(within)
    }

    /// True when some value inside was set on the command line.
    pub fn has_set(&self) -> bool {
        set_by(self.line).is_some()
            || self.items().iter().any(Self::has_set)
            || self
                .entries()
                .iter()
                .any(|(key, node)| set_by(key.line).is_some() || node.has_set())
    }

    /// True for `null` and an absent value.
    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }
}

impl Value {
    /// A text that stands in no quotes.
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(text.into(), Quotes::Without)
    }

    /// What kind of value it is, with an article, for messages.
    pub fn describe(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) | Self::Float(_) => "a number",
            Self::Text(..) => "a text",
            Self::Sequence(_) => "a list",
            Self::Mapping(_) => "a mapping",
        }
    }

    /// A scalar as text, whatever its type; `None` for null and collections.
    pub fn scalar_text(&self) -> Option<Arc<str>> {
        match self {
            Self::Bool(b) => Some(b.to_string().into()),
            Self::Integer(i) => Some(i.to_string().into()),
            Self::Float(x) => Some(x.to_string().into()),
            Self::Text(text, _) => Some(Arc::clone(text)),
            Self::Null | Self::Sequence(_) | Self::Mapping(_) => None,
        }
    }
}
