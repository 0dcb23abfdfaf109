//! One mapping, read by field names.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use super::{At, Decoder, Unknown, nearest};
use crate::diagnostic::{Class, Diagnostic};
use crate::manifest::{Key, Node, Value};
use crate::units::origin::set_by;
use crate::units::{Origin, SimDuration};
use crate::xds::Name;

/// The fields of one mapping. A field that is absent or null reads as `None`.
#[derive(Debug)]
pub struct Fields<'a> {
    decoder: &'a Decoder,
    node: &'a Node,
    path: String,
    /// Line and column where the block starts.
    start: (u32, u32),
    asked: RefCell<Vec<&'static str>>,
    lenient: Cell<bool>,
}

impl<'a> Fields<'a> {
    pub(super) fn read<T>(
        decoder: &'a Decoder,
        node: &'a Node,
        path: String,
        start: (u32, u32),
        read: impl FnOnce(&Fields<'_>) -> T,
    ) -> T {
        let fields = Fields {
            decoder,
            node,
            path,
            start,
            asked: RefCell::new(Vec::new()),
            lenient: Cell::new(false),
        };
        let is_mapping = matches!(node.value, Value::Mapping(_));
        if !is_mapping && !node.is_null() {
            let what = if fields.path.is_empty() {
                "the object"
            } else {
                &fields.path
            };
            let found = node.value.describe();
            let message = format!("`{what}`: expected a mapping, found {found}");
            let error = Diagnostic::error("TT-WRONG-TYPE", Class::Syntax, message);
            decoder.push(error.at(decoder.place_at(start)));
        }
        let value = read(&fields);
        fields.report_unknown();
        value
    }

    fn ask(&self, name: &'static str) -> Option<(&'a Key, &'a Node)> {
        let mut asked = self.asked.borrow_mut();
        if !asked.contains(&name) {
            asked.push(name);
        }
        let entry = self
            .node
            .entries()
            .iter()
            .find(|(key, _)| &*key.text == name);
        entry.map(|(key, node)| (key, node))
    }

    /// The field's value; `None` when absent or null.
    pub fn get(&self, name: &'static str) -> Option<At<'a>> {
        self.ask(name)
            .filter(|(_, node)| !node.is_null())
            .map(|(key, node)| At::behind(self.decoder, key, node, self.join(name)))
    }

    /// True when the key is written, even with nothing behind it.
    pub fn has(&self, name: &'static str) -> bool {
        self.ask(name).is_some()
    }

    /// Declares fields as known without reading them.
    pub fn known(&self, names: &[&'static str]) {
        self.asked.borrow_mut().extend(names);
    }

    /// Accepts every key of this mapping, asked for or not.
    pub fn accept_unknown(&self) {
        self.lenient.set(true);
    }

    /// The whole mapping as a cursor.
    pub fn here(&self) -> At<'a> {
        At::new(self.decoder, self.node, self.path.clone()).starting(self.start)
    }

    /// True when nothing is written inside.
    pub fn is_empty(&self) -> bool {
        self.node.entries().is_empty()
    }

    /// Where the mapping starts.
    pub fn origin(&self) -> Origin {
        self.decoder.origin_at(self.start)
    }

    /// Where a field's key stands; the mapping's start when it is absent.
    pub fn origin_of(&self, name: &'static str) -> Origin {
        let mut origin = self.origin();
        if let Some((key, _)) = self.ask(name) {
            (origin.line, origin.column) = (key.line, key.column);
        }
        origin
    }

    /// A text.
    pub fn text(&self, name: &'static str) -> Option<Name> {
        self.get(name)?.text()
    }

    /// A text, empty when absent.
    pub fn text_or_empty(&self, name: &'static str) -> Name {
        self.text(name).unwrap_or_default()
    }

    /// A text that must be there and not empty.
    pub fn required_text(&self, name: &'static str) -> Name {
        let text = self.text_or_empty(name);
        if text.is_empty()
            && self
                .get(name)
                .is_none_or(|at| at.node().as_text().is_some())
        {
            self.missing(name);
        }
        text
    }

    /// A boolean.
    pub fn bool(&self, name: &'static str) -> Option<bool> {
        self.get(name)?.bool()
    }

    /// A boolean, false when absent.
    pub fn flag(&self, name: &'static str) -> bool {
        self.bool(name).unwrap_or(false)
    }

    /// A whole number that fits `T`.
    pub fn integer<T: TryFrom<i64>>(&self, name: &'static str) -> Option<T> {
        self.get(name)?.integer()
    }

    /// A number.
    pub fn float(&self, name: &'static str) -> Option<f64> {
        self.get(name)?.float()
    }

    /// A length of time.
    pub fn duration(&self, name: &'static str) -> Option<SimDuration> {
        self.get(name)?.duration()
    }

    /// A scalar that `T` can be read from.
    pub fn parsed<T>(&self, name: &'static str) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.get(name)?.parsed()
    }

    /// One of several words.
    pub fn choice<T: Copy>(&self, name: &'static str, words: &[(&str, T)]) -> Option<T> {
        self.get(name)?.choice(words)
    }

    /// A list of texts, empty when absent.
    pub fn texts(&self, name: &'static str) -> Vec<Name> {
        self.get(name).map(|at| at.texts()).unwrap_or_default()
    }

    /// Labels and the like, empty when absent.
    pub fn text_map(&self, name: &'static str) -> BTreeMap<Name, Name> {
        self.get(name).map(|at| at.text_map()).unwrap_or_default()
    }

    /// Entries of a mapping whose keys are data, empty when absent.
    pub fn entries(&self, name: &'static str) -> Vec<(Name, At<'a>)> {
        self.get(name).map(|at| at.entries()).unwrap_or_default()
    }

    /// A mapping read by field names.
    pub fn object<T>(&self, name: &'static str, read: impl FnOnce(&Fields<'_>) -> T) -> Option<T> {
        Some(self.get(name)?.object(read))
    }

    /// A list of mappings; a null item reads as an empty mapping.
    pub fn objects<T>(&self, name: &'static str, mut read: impl FnMut(&Fields<'_>) -> T) -> Vec<T> {
        let Some(list) = self.get(name) else {
            return Vec::new();
        };
        list.items().iter().map(|at| at.object(&mut read)).collect()
    }

    /// Items of a list, empty when absent.
    pub fn items(&self, name: &'static str) -> Vec<At<'a>> {
        self.get(name).map(|at| at.items()).unwrap_or_default()
    }

    /// Reports a required field that is not there.
    pub fn missing(&self, name: &'static str) {
        self.refuse(format!("`{name}` is required"));
    }

    /// Reports that this mapping is refused.
    pub fn refuse(&self, message: impl Display) {
        let code = self.decoder.refused_code();
        let path = if self.path.is_empty() {
            String::new()
        } else {
            format!("`{}`: ", self.path)
        };
        self.push(Diagnostic::error(
            code,
            self.decoder.class(),
            format!("{path}{message}"),
        ));
    }

    /// Reports that a field's value is refused, at the field.
    pub fn refuse_field(&self, name: &'static str, message: impl Display) {
        let code = self.decoder.refused_code();
        let message = format!("`{}`: {message}", self.join(name));
        let error = Diagnostic::error(code, self.decoder.class(), message);
        self.push_at(name, error);
    }

    /// Adds a diagnostic at the mapping's start.
    pub fn push(&self, diagnostic: Diagnostic) {
        self.decoder
            .push(diagnostic.at(self.decoder.place_at(self.start)));
    }

    /// Adds a diagnostic at a field's key.
    pub fn push_at(&self, name: &'static str, diagnostic: Diagnostic) {
        let origin = self.origin_of(name);
        let place = self.decoder.place_at((origin.line, origin.column));
        self.decoder.push(diagnostic.at(place));
    }

    /// Warns that a field is read and not simulated, when it is written.
    pub fn not_simulated(&self, name: &'static str, what: &str) {
        if self.get(name).is_none() {
            return;
        }
        let message = format!("`{}`: {what} is not simulated", self.join(name));
        self.push_at(
            name,
            Diagnostic::warning("TT-NOT-SIMULATED", Class::NotSimulated, message),
        );
    }

    fn join(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    fn reports_unknown(&self) -> bool {
        self.decoder.is_edited() || self.decoder.unknown() != Unknown::Ignored
    }

    /// What somebody sets and nobody reads would leave the answer as it was, without a word.
    fn refuse_set(&self, key: &Key, asked: &[&'static str]) {
        let place = |line, column| self.decoder.place_at((line, column));
        let near = nearest(&key.text, asked.iter().copied());
        let path = self.join(&key.text);
        let (message, help) = match near {
            Some(near) => (
                format!("`{path}` is no field that is read"),
                format!("did you mean `{}`?", self.join(near)),
            ),
            None => (
                format!("`{path}` is set, and nothing that is simulated reads it"),
                format!("read here: {}", asked.join(", ")),
            ),
        };
        let error = Diagnostic::error("TT-SET", Class::Model, message)
            .at(place(key.line, key.column))
            .see(place(self.start.0, self.start.1), "it would stand in here")
            .help(help);
        self.decoder.push(error);
    }

    fn report_unknown(&self) {
        if self.lenient.get() || !self.reports_unknown() {
            return;
        }
        let asked = self.asked.borrow();
        for (key, node) in self.node.entries() {
            if asked.iter().any(|name| **name == *key.text) {
                continue;
            }
            if self.decoder.is_edited() && (set_by(key.line).is_some() || node.has_set()) {
                self.refuse_set(key, &asked);
                continue;
            }
            if self.decoder.unknown() == Unknown::Ignored {
                continue;
            }
            let message = format!("unknown field `{}`", self.join(&key.text));
            let mut diagnostic = match self.decoder.unknown() {
                Unknown::Refused => {
                    Diagnostic::error("TT-UNKNOWN-FIELD", self.decoder.class(), message)
                }
                _ => Diagnostic::warning("TT-UNKNOWN-FIELD", Class::Advice, message),
            };
            if let Some(near) = nearest(&key.text, asked.iter().copied()) {
                diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
            }
            let place = self.decoder.place_at((key.line, key.column));
            self.decoder.push(diagnostic.at(place));
        }
    }
}
