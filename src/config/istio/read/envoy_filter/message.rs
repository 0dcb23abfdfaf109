//! Protobuf messages as YAML: Envoy's own configuration inside a patch.
//!
//! Names may be in `snake_case` or `lowerCamelCase`, numbers may be texts, lengths of time are
//! seconds with an `s` (protobuf's JSON form). What nobody asks for is named as not simulated,
//! with its line: Envoy has thousands of fields and each of them was written for a reason.

use std::cell::RefCell;
use std::fmt::Display;
use std::str::FromStr;

use crate::config::decode::At;
use crate::diagnostic::{Class, Diagnostic};
use crate::units::{Fraction, Origin, SimDuration};
use crate::xds::Name;

/// One message; a field that is absent or null reads as `None`.
pub(super) struct Message<'a> {
    at: At<'a>,
    entries: Vec<(Name, At<'a>)>,
    asked: RefCell<Vec<bool>>,
}

impl<'a> Message<'a> {
    /// Reads a message; fields that `read` does not ask for are named.
    pub(super) fn read<T>(at: &At<'a>, read: impl FnOnce(&Self) -> T) -> T {
        let entries = at.entries();
        let message = Self {
            at: at.clone(),
            asked: RefCell::new(vec![false; entries.len()]),
            entries,
        };
        let value = read(&message);
        message.name_the_rest();
        value
    }

    fn name_the_rest(&self) {
        let asked = self.asked.borrow();
        let rest = self.entries.iter().zip(&*asked);
        for ((_, at), _) in rest.filter(|(_, asked)| !**asked) {
            not_simulated(at, "this field of Envoy");
        }
    }

    /// Where the message starts.
    pub(super) fn origin(&self) -> Origin {
        self.at.origin()
    }

    /// The message itself.
    pub(super) fn here(&self) -> &At<'a> {
        &self.at
    }

    /// The field of that name, which is in snake case.
    pub(super) fn get(&self, name: &str) -> Option<At<'a>> {
        let found = (self.entries.iter()).position(|(key, _)| is_named(key, name))?;
        self.asked.borrow_mut()[found] = true;
        let at = &self.entries[found].1;
        (!at.node().is_null()).then(|| at.clone())
    }

    /// Declares every field: the message as a whole is named.
    pub(super) fn know_all(&self) {
        self.asked.borrow_mut().fill(true);
    }

    /// Names fields that reach the tables and that nothing acts upon yet.
    pub(super) fn not_yet(&self, names: &[&str]) {
        for at in names.iter().filter_map(|name| self.get(name)) {
            not_simulated(&at, "this field of Envoy");
        }
    }

    /// Declares fields that change nothing a simulation can see, such as names of statistics.
    pub(super) fn known(&self, names: &[&str]) {
        for name in names {
            self.get(name);
        }
    }

    pub(super) fn text(&self, name: &str) -> Option<Name> {
        self.get(name)?.text()
    }

    pub(super) fn bool(&self, name: &str) -> Option<bool> {
        self.get(name)?.bool()
    }

    /// A number, also in quotes.
    pub(super) fn number<T>(&self, name: &str) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.get(name)?.parsed()
    }

    /// A plain protobuf number: zero is the same as absent.
    pub(super) fn positive<T>(&self, name: &str) -> Option<T>
    where
        T: FromStr + Default + PartialEq,
        T::Err: Display,
    {
        self.number(name).filter(|number| *number != T::default())
    }

    pub(super) fn duration(&self, name: &str) -> Option<SimDuration> {
        let at = self.get(name)?;
        let text = at.node().value.scalar_text()?;
        let seconds = text.strip_suffix('s').and_then(|s| s.parse::<f64>().ok());
        let Some(seconds) = seconds.filter(|s| *s >= 0.0) else {
            at.refuse(format!(
                "`{text}` is no length of time for protobuf: write seconds, as `0.25s`"
            ));
            return None;
        };
        Some(SimDuration::from_secs_f64(seconds))
    }

    /// `envoy.type.v3.Percent`.
    pub(super) fn percent(&self, name: &str) -> Option<Fraction> {
        let value = self.message(name, |m| m.number::<f64>("value"))?;
        Some(share(value.unwrap_or(0.0)))
    }

    /// `RuntimePercent`.
    pub(super) fn runtime_percent(&self, name: &str) -> Option<Fraction> {
        self.message(name, |m| {
            m.known(&["runtime_key"]);
            m.percent("default_value")
        })?
    }

    /// `envoy.type.v3.FractionalPercent`.
    pub(super) fn fractional_percent(&self, name: &str) -> Option<Fraction> {
        self.message(name, |m| {
            let numerator: u32 = m.number("numerator").unwrap_or(0);
            let per_unit = match m.text("denominator").as_deref() {
                Some("TEN_THOUSAND") => 100,
                Some("MILLION") => 1,
                _ => 10_000,
            };
            Fraction::from_ppm(numerator.saturating_mul(per_unit))
        })
    }

    /// `RuntimeFractionalPercent`: nobody sets a runtime key here, so the default counts.
    pub(super) fn runtime_fraction(&self, name: &str) -> Option<Fraction> {
        self.message(name, |m| {
            m.known(&["runtime_key"]);
            m.fractional_percent("default_value")
        })?
    }

    /// `RuntimeDouble`, `RuntimeUInt32` or `RuntimeFeatureFlag`: its default.
    pub(super) fn runtime<T>(&self, name: &str) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.message(name, |m| {
            m.known(&["runtime_key"]);
            m.number("default_value")
        })?
    }

    /// One of several words.
    pub(super) fn choice<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Option<T> {
        self.get(name)?.choice(words)
    }

    /// A message inside.
    pub(super) fn message<T>(&self, name: &str, read: impl FnOnce(&Self) -> T) -> Option<T> {
        Some(Self::read(&self.get(name)?, read))
    }

    /// A list of messages.
    pub(super) fn messages<T>(&self, name: &str, mut read: impl FnMut(&Self) -> T) -> Vec<T> {
        let items = self.get(name).map(|at| at.items()).unwrap_or_default();
        items.iter().map(|at| Self::read(at, &mut read)).collect()
    }

    /// A list of values.
    pub(super) fn list(&self, name: &str) -> Vec<At<'a>> {
        self.get(name).map(|at| at.items()).unwrap_or_default()
    }

    /// A map whose keys are data.
    pub(super) fn map(&self, name: &str) -> Vec<(Name, At<'a>)> {
        self.get(name).map(|at| at.entries()).unwrap_or_default()
    }

    /// The configuration of an extension with its type: `typed_config`, also as a `TypedStruct`.
    pub(super) fn any<T>(at: &At<'a>, read: impl FnOnce(&str, &Self) -> T) -> Option<T> {
        let mut inner: Option<(String, At<'a>)> = None;
        let mut outer: Option<String> = None;
        for (key, value) in at.entries() {
            if &*key == "@type" {
                outer = value.text().map(|t| short_type(&t));
            }
        }
        let outer = outer?;
        if matches!(
            outer.as_str(),
            "udpa.type.v1.TypedStruct" | "xds.type.v3.TypedStruct"
        ) {
            Self::read(at, |m| {
                m.known(&["@type"]);
                let kind = m.text("type_url").map(|t| short_type(&t));
                inner = kind.zip(m.get("value"));
            });
            let (kind, value) = inner?;
            return Some(Self::read(&value, |m| read(&kind, m)));
        }
        Some(Self::read(at, |m| {
            m.known(&["@type"]);
            read(&outer, m)
        }))
    }
}

/// Warns that something of Envoy is read and has no effect.
pub(super) fn not_simulated(at: &At<'_>, what: &str) {
    let message = format!("`{}`: {what} is not simulated", at.path());
    at.push(Diagnostic::warning(
        "TT-NOT-SIMULATED",
        Class::NotSimulated,
        message,
    ));
}

/// A percentage as a double: rounded, because Envoy compares it as a double.
pub(super) fn share(percent: f64) -> Fraction {
    Fraction::from_ppm((percent * 10_000.0 + 0.5) as u32)
}

/// `type.googleapis.com/envoy.….v3.X` without what stands before the slash.
fn short_type(url: &str) -> String {
    url.rsplit_once('/')
        .map_or(url, |(_, name)| name)
        .to_owned()
}

/// Equal, or the same in lower camel case.
fn is_named(key: &str, name: &str) -> bool {
    key == name || !key.contains('_') && camel(name) == key
}

fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut letters = part.chars();
        text.extend(letters.next().map(|c| c.to_ascii_uppercase()));
        text.push_str(letters.as_str());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_a_name_are_the_same_field() {
        assert!(is_named("max_ejection_percent", "max_ejection_percent"));
        assert!(is_named("maxEjectionPercent", "max_ejection_percent"));
        assert!(is_named("consecutive_5xx", "consecutive_5xx"));
        assert!(is_named("consecutive5xx", "consecutive_5xx"));
        assert!(!is_named("maxejectionpercent", "max_ejection_percent"));
    }
}
