//! Reading our own kinds field by field, with everything that is wrong kept and placed.
//!
//! Unlike manifests, which a cluster accepted with whatever is in them, a Model or Scenario with
//! a field nobody reads is an error: a misspelt `erorrs` would change the answer without a word.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use super::API_VERSION;
use crate::config::decode::nearest;
use crate::diagnostic::{Class, Diagnostic, Place};
use crate::http::Url;
use crate::manifest::{Key, Node, Object, Value};
use crate::units::{ObjectId, Origin, SimDuration};
use crate::xds::Name;

/// What is wrong with one object so far.
pub(super) struct Report {
    file: Arc<str>,
    object: String,
    id: ObjectId,
    pub(super) diagnostics: Vec<Diagnostic>,
}

impl Report {
    pub(super) fn new(object: &Object, id: ObjectId) -> Self {
        Self {
            file: Arc::clone(&object.file),
            object: object.describe(),
            id,
            diagnostics: Vec::new(),
        }
    }

    /// Where a value was written.
    pub(super) fn origin(&self, node: &Node) -> Origin {
        Origin {
            object: self.id,
            line: node.line,
            column: node.column,
        }
    }

    /// An error at a place, with what to do about it.
    pub(super) fn error(&mut self, code: &'static str, at: &Node, what: String, help: &str) {
        let place = self.place(at.line, at.column);
        self.push(code, place, what, help);
    }

    fn push(&mut self, code: &'static str, place: Place, what: String, help: &str) {
        let mut error = Diagnostic::error(code, Class::Model, what)
            .at(place)
            .of(self.object.clone());
        if !help.is_empty() {
            error = error.help(help);
        }
        self.diagnostics.push(error);
    }

    pub(super) fn place(&self, line: u32, column: u32) -> Place {
        Place::new(&self.file, line, column)
    }

    /// The path of a file beside this one.
    pub(super) fn beside(&self, name: &str) -> String {
        match self.file.rsplit_once('/') {
            Some((folder, _)) => format!("{folder}/{name}"),
            None => name.to_owned(),
        }
    }

    /// Another version of our kinds may mean something else by the same words.
    pub(super) fn version(&mut self, object: &Object) {
        if &*object.api_version == API_VERSION {
            return;
        }
        let what = format!("`{}` is no version this program reads", object.api_version);
        let help = format!("write `apiVersion: {API_VERSION}`");
        let at = object.root.get("apiVersion").unwrap_or(&object.root);
        self.error("TT-API-VERSION", at, what, &help);
    }

    fn wrong_type(&mut self, node: &Node, wanted: &str, help: &str) {
        let what = format!("expected {wanted}, found {}", node.value.describe());
        self.error("TT-WRONG-TYPE", node, what, help);
    }

    /// The entries of a mapping whose fields are `known`; others are reported with the nearest name.
    pub(super) fn fields<'a>(
        &mut self,
        node: &'a Node,
        what: &str,
        known: &'static [&'static str],
    ) -> Fields<'a> {
        if !matches!(node.value, Value::Mapping(_) | Value::Null) {
            self.wrong_type(node, &format!("a mapping ({what})"), "");
        }
        for (key, _) in node.entries() {
            if !known.contains(&&*key.text) {
                self.unknown(key, what, known);
            }
        }
        Fields { node }
    }

    fn unknown(&mut self, key: &Key, what: &str, known: &[&str]) {
        let help = match nearest(&key.text, known.iter().copied()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("known here: {}", known.join(", ")),
        };
        let place = self.place(key.line, key.column);
        let message = format!("`{}` is not a field of {what}", key.text);
        self.push("TT-UNKNOWN-FIELD", place, message, &help);
    }

    /// The items of a list; anything else but nothing is an error.
    pub(super) fn list<'a>(&mut self, node: Option<&'a Node>, what: &str) -> &'a [Node] {
        let Some(node) = node else { return &[] };
        if !matches!(node.value, Value::Sequence(_)) {
            self.wrong_type(node, &format!("a list of {what}"), "");
        }
        node.items()
    }

    /// A scalar as text.
    pub(super) fn text(&mut self, node: &Node) -> Option<Name> {
        let text = node.value.scalar_text();
        if text.is_none() {
            self.wrong_type(node, "a text", "");
        }
        text
    }

    /// A scalar that `T` reads from text.
    pub(super) fn parsed<T>(&mut self, node: &Node, code: &'static str) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        let text = self.text(node)?;
        let read = text.parse::<T>();
        read.map_err(|why| self.error(code, node, why.to_string(), ""))
            .ok()
    }

    /// A length of time up to `most`.
    pub(super) fn duration(&mut self, node: &Node, most: SimDuration) -> Option<SimDuration> {
        let length: SimDuration = self.parsed(node, "TT-DURATION")?;
        if length > most {
            let what = format!("{length} is absurdly long here; the most is {most}");
            self.error("TT-DURATION", node, what, "is the unit right?");
            return None;
        }
        Some(length)
    }

    /// A timeout: more than zero and up to `most`.
    pub(super) fn timeout(&mut self, node: &Node, most: SimDuration) -> Option<SimDuration> {
        let length = self.duration(node, most)?;
        if length.is_zero() {
            let what = "a timeout of zero would fail every request".to_owned();
            self.error("TT-DURATION", node, what, "leave it out for no timeout");
            return None;
        }
        Some(length)
    }

    /// A whole number within limits.
    pub(super) fn count(&mut self, node: &Node, least: u64, most: u64) -> Option<u64> {
        let number = match &node.value {
            Value::Integer(i) => u64::try_from(*i).ok(),
            Value::Float(_) | Value::Text(..) => None,
            _ => {
                self.wrong_type(node, "a whole number", "");
                return None;
            }
        };
        if let Some(n) = number.filter(|n| (least..=most).contains(n)) {
            return Some(n);
        }
        let written = node.value.scalar_text().unwrap_or_default();
        let what = format!("`{written}` is not a whole number between {least} and {most}");
        self.error("TT-NUMBER", node, what, "");
        None
    }

    /// A count that fits 32 bits.
    pub(super) fn count32(&mut self, node: &Node, least: u32, most: u32) -> Option<u32> {
        let n = self.count(node, least.into(), most.into())?;
        u32::try_from(n).ok()
    }

    /// A number with fraction.
    pub(super) fn number(&mut self, node: &Node) -> Option<f64> {
        match node.value {
            Value::Integer(i) => Some(i as f64),
            Value::Float(x) if x.is_finite() => Some(x),
            _ => {
                self.wrong_type(node, "a number", "");
                None
            }
        }
    }

    /// A URL.
    pub(super) fn url(&mut self, node: &Node) -> Option<Url> {
        let text = self.text(node)?;
        Url::parse(&text)
            .map_err(|why| self.error("TT-URL", node, why, ""))
            .ok()
    }

    /// An HTTP method in capitals.
    pub(super) fn method(&mut self, node: &Node) -> Option<Name> {
        let text = self.text(node)?.to_ascii_uppercase();
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_alphabetic()) {
            let what = format!("`{text}` is not an HTTP method");
            self.error("TT-METHOD", node, what, "write for example `POST`");
            return None;
        }
        Some(text.into())
    }

    /// An HTTP status between 200 and 599.
    pub(super) fn status(&mut self, node: &Node) -> Option<u16> {
        self.count(node, 200, 599).map(|status| status as u16)
    }

    /// `namespace/name`.
    pub(super) fn workload_name(&mut self, text: &Name, at: &Node) -> Option<Name> {
        let parts: Vec<&str> = text.split('/').collect();
        if parts.len() == 2 && parts.iter().all(|part| is_name(part)) {
            return Some(Arc::clone(text));
        }
        let what = format!("`{text}` does not name a workload");
        let help = "write `namespace/name`, for example `production/curl`";
        self.error("TT-WORKLOAD-NAME", at, what, help);
        None
    }

    /// `region[/zone[/subzone]]`.
    pub(super) fn locality(&mut self, node: &Node) -> Option<Name> {
        let text = self.text(node)?;
        let parts: Vec<&str> = text.split('/').collect();
        if parts.len() <= 3 && parts.iter().all(|part| !part.is_empty()) {
            return Some(text);
        }
        let what = format!("`{text}` is not a locality");
        let help = "write `region/zone`, for example `us-east/us-east-1`";
        self.error("TT-LOCALITY", node, what, help);
        None
    }

    /// Reports a field that has to be there.
    pub(super) fn missing(&mut self, at: &Node, field: &str, help: &str) {
        let what = format!("`{field}` is missing");
        self.error("TT-MISSING-FIELD", at, what, help);
    }

    /// A text out of a few words.
    pub(super) fn word<T: Copy>(&mut self, node: &Node, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(node)?;
        let found = words.iter().find(|(word, _)| *word == &*text);
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let what = format!("`{text}` is not one of {}", known.join(", "));
            self.error("TT-WORD", node, what, "");
        }
        found.map(|(_, value)| *value)
    }
}

/// The fields of one mapping.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    pub(super) node: &'a Node,
}

impl<'a> Fields<'a> {
    /// A field that has to be there; its absence is reported.
    pub(super) fn need(self, report: &mut Report, name: &str, help: &str) -> Option<&'a Node> {
        let found = self.get(name);
        if found.is_none() {
            report.missing(self.node, name, help);
        }
        found
    }

    /// A field that is written and not null.
    pub(super) fn get(self, name: &str) -> Option<&'a Node> {
        self.node.get(name).filter(|node| !node.is_null())
    }
}

/// A DNS-like name, as Kubernetes wants it.
fn is_name(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    !text.is_empty() && text.bytes().all(inner)
}
