//! A cursor on one value, with the path that led there.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use super::{Decoder, Fields};
use crate::diagnostic::{Class, Diagnostic, Place};
use crate::manifest::{Key, Node, Value};
use crate::units::{Origin, SimDuration};
use crate::xds::Name;

/// One value of an object.
#[derive(Clone, Debug)]
pub struct At<'a> {
    decoder: &'a Decoder,
    node: &'a Node,
    path: String,
    /// Line and column: of the key for collections, of the value for scalars.
    start: (u32, u32),
}

impl<'a> At<'a> {
    pub(super) fn new(decoder: &'a Decoder, node: &'a Node, path: String) -> Self {
        Self {
            decoder,
            node,
            path,
            start: (node.line, node.column),
        }
    }

    /// The value behind a key. A block is named by its key: that is the line people look for.
    pub(super) fn behind(decoder: &'a Decoder, key: &Key, node: &'a Node, path: String) -> Self {
        let mut at = Self::new(decoder, node, path);
        if matches!(
            node.value,
            Value::Mapping(_) | Value::Sequence(_) | Value::Null
        ) {
            at.start = (key.line, key.column);
        }
        at
    }

    pub(super) fn starting(mut self, start: (u32, u32)) -> Self {
        self.start = start;
        self
    }

    /// The node itself.
    pub fn node(&self) -> &'a Node {
        self.node
    }

    /// Path from the object's start: `spec.http[0].timeout`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where it was written, for typed values.
    pub fn origin(&self) -> Origin {
        self.decoder.origin_at(self.start)
    }

    /// Where it was written, for people.
    pub fn place(&self) -> Place {
        self.decoder.place_at(self.start)
    }

    /// Reports a refused value (an error of the decoder's class).
    pub fn refuse(&self, message: impl Display) {
        let code = self.decoder.refused_code();
        let message = format!("`{}`: {message}", self.path);
        self.push(Diagnostic::error(code, self.decoder.class(), message));
    }

    /// Adds a diagnostic at this place.
    pub fn push(&self, diagnostic: Diagnostic) {
        self.decoder.push(diagnostic.at(self.place()));
    }

    fn wrong_type(&self, expected: &str) {
        let found = match &self.node.value {
            value @ (Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Text(..)) => {
                let text = value.scalar_text().unwrap_or_default();
                format!("{} (`{}`)", value.describe(), shorten(&text))
            }
            value => value.describe().to_owned(),
        };
        let message = format!("`{}`: expected {expected}, found {found}", self.path);
        let mut error = Diagnostic::error("TT-WRONG-TYPE", Class::Syntax, message);
        if expected == "a text"
            && matches!(
                self.node.value,
                Value::Bool(_) | Value::Integer(_) | Value::Float(_)
            )
        {
            error = error.help("put it in quotes");
        }
        self.push(error);
    }

    /// A text.
    pub fn text(&self) -> Option<Name> {
        let text = self.node.as_text();
        if text.is_none() {
            self.wrong_type("a text");
        }
        text.cloned()
    }

    /// A boolean.
    pub fn bool(&self) -> Option<bool> {
        if let Value::Bool(b) = self.node.value {
            return Some(b);
        }
        self.wrong_type("`true` or `false`");
        None
    }

    /// A whole number that fits `T`.
    pub fn integer<T: TryFrom<i64>>(&self) -> Option<T> {
        let number = match &self.node.value {
            Value::Integer(i) => Some(*i),
            // JSON writers may say 5.0 or 1e3.
            Value::Float(x) if x.fract() == 0.0 && x.abs() < 9e15 => Some(*x as i64),
            _ => None,
        };
        let Some(number) = number else {
            self.wrong_type("a whole number");
            return None;
        };
        let fits = T::try_from(number).ok();
        if fits.is_none() {
            self.refuse(format!("{number} is out of range"));
        }
        fits
    }

    /// A number.
    pub fn float(&self) -> Option<f64> {
        match self.node.value {
            Value::Integer(i) => Some(i as f64),
            Value::Float(x) if x.is_finite() => Some(x),
            _ => {
                self.wrong_type("a number");
                None
            }
        }
    }

    /// A length of time such as `250ms`.
    pub fn duration(&self) -> Option<SimDuration> {
        self.parsed()
    }

    /// Any scalar that `T` can be read from; its error text becomes the message.
    pub fn parsed<T>(&self) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        let Some(text) = self.node.value.scalar_text() else {
            self.wrong_type("a text");
            return None;
        };
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.refuse(error);
                None
            }
        }
    }

    /// One of several words.
    pub fn choice<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        let found = words.iter().find(|(word, _)| *word == &*text);
        if found.is_none() {
            let known: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            self.refuse(format!("`{text}` is unknown; use {}", known.join(", ")));
        }
        found.map(|(_, value)| *value)
    }

    /// Reads a mapping by field names.
    pub fn object<T>(&self, read: impl FnOnce(&Fields<'_>) -> T) -> T {
        Fields::read(self.decoder, self.node, self.path.clone(), self.start, read)
    }

    /// True for a mapping, so that short forms can be told from long ones.
    pub fn is_object(&self) -> bool {
        matches!(self.node.value, Value::Mapping(_))
    }

    /// Items of a list.
    pub fn items(&self) -> Vec<At<'a>> {
        let Value::Sequence(items) = &self.node.value else {
            self.wrong_type("a list");
            return Vec::new();
        };
        let items = items.iter().enumerate();
        items
            .map(|(i, node)| At::new(self.decoder, node, format!("{}[{i}]", self.path)))
            .collect()
    }

    /// A list of texts.
    pub fn texts(&self) -> Vec<Name> {
        self.items().iter().filter_map(At::text).collect()
    }

    /// Entries of a mapping whose keys are data: (key, value), in the order written.
    pub fn entries(&self) -> Vec<(Name, At<'a>)> {
        let Value::Mapping(mapping) = &self.node.value else {
            self.wrong_type("a mapping");
            return Vec::new();
        };
        let entries = mapping.entries.iter();
        entries
            .map(|(key, node)| {
                let path = format!("{}.{}", self.path, key.text);
                (
                    Arc::clone(&key.text),
                    At::behind(self.decoder, key, node, path),
                )
            })
            .collect()
    }

    /// A mapping from text to text, such as labels.
    pub fn text_map(&self) -> BTreeMap<Name, Name> {
        let entries = self.entries();
        entries
            .into_iter()
            .filter_map(|(key, value)| Some((key, value.text()?)))
            .collect()
    }
}

/// Long texts are cut so that one line stays one line.
fn shorten(text: &str) -> String {
    const CHARS_MAX: usize = 40;
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() <= CHARS_MAX && line.len() == text.len() {
        return line.to_owned();
    }
    line.chars().take(CHARS_MAX).chain("…".chars()).collect()
}
