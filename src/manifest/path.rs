//! Paths to values: `production/DestinationRule/backend:spec.trafficPolicy.connectionPool.tcp.maxConnections`.
//!
//! ```text
//! OBJECT:FIELD.FIELD…
//! OBJECT   [NAMESPACE/]KIND[/NAME]   kubectl's short names of kinds count; what is left out may be
//!                                    anything, as long as one object is meant
//! FIELD    name                      a key of a mapping
//!          name[0]                   an element of a list, counted from 0
//!          name[v1]                  the element whose `name` is v1
//!          name[port=80]             the element whose `port` is 80
//!          name[*]                   all elements
//!          ["a.b/c"]  or  a\.b/c     a key with dots in it
//! ```
//!
//! A leading `spec.` may be left out. This file only reads paths; `edit` follows them.

use std::fmt;
use std::sync::Arc;

/// A path to a value of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValuePath {
    /// As written.
    pub text: Arc<str>,
    /// Which object.
    pub target: Target,
    /// From the object's root to the value; at least one.
    pub steps: Vec<Step>,
}

/// Which object a path is about. What is `None` may be anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// Namespace.
    pub namespace: Option<Arc<str>>,
    /// Kind, in full.
    pub kind: Arc<str>,
    /// Name.
    pub name: Option<Arc<str>>,
}

/// One step from a value to a value inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Key of a mapping.
    Key(Arc<str>),
    /// Element of a list, from 0.
    Index(usize),
    /// The element whose field has that value.
    Named {
        /// The field: `name` when only a value was written.
        field: Arc<str>,
        /// Its value, as text.
        value: Arc<str>,
    },
    /// Every element of a list.
    All,
}

/// kubectl's short names.
const SHORT: [(&str, &str); 17] = [
    ("deploy", "Deployment"),
    ("sts", "StatefulSet"),
    ("ds", "DaemonSet"),
    ("rs", "ReplicaSet"),
    ("po", "Pod"),
    ("svc", "Service"),
    ("ep", "Endpoints"),
    ("ns", "Namespace"),
    ("no", "Node"),
    ("cm", "ConfigMap"),
    ("hpa", "HorizontalPodAutoscaler"),
    ("vs", "VirtualService"),
    ("dr", "DestinationRule"),
    ("gw", "Gateway"),
    ("se", "ServiceEntry"),
    ("we", "WorkloadEntry"),
    ("pa", "PeerAuthentication"),
];

const FORM: &str = "write for example `production/DestinationRule/backend:spec.trafficPolicy.connectionPool.tcp.maxConnections`";

impl ValuePath {
    /// Reads a path; the error is a sentence with a way out.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (path, rest) = Self::parse_prefix(text)?;
        if rest.is_empty() {
            return Ok(path);
        }
        Err(wrong(text, "the path ends before `=`"))
    }

    /// Reads the path at the start of `text`, up to a `=` outside of brackets and quotes.
    /// Returns the rest, from that `=` on.
    pub fn parse_prefix(text: &str) -> Result<(Self, &str), String> {
        let colon = text
            .find(':')
            .filter(|at| !text[..*at].contains(['=', '[']));
        let Some(colon) = colon else {
            return Err(wrong(text, "no object is named before a `:`"));
        };
        let target = target(&text[..colon]).map_err(|why| wrong(text, &why))?;
        let mut reader = Reader {
            text: &text[colon + 1..],
            steps: Vec::new(),
        };
        reader.steps().map_err(|why| wrong(text, &why))?;
        let length = text.len() - reader.text.len();
        if reader.steps.is_empty() {
            return Err(wrong(text, "no field is named behind the `:`"));
        }
        let path = Self {
            text: text[..length].into(),
            target,
            steps: reader.steps,
        };
        Ok((path, reader.text))
    }
}

fn wrong(text: &str, why: &str) -> String {
    format!("`{text}` is not a path to a value: {why}; {FORM}")
}

impl fmt::Display for ValuePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn target(text: &str) -> Result<Target, String> {
    let parts: Vec<&str> = text.split('/').map(str::trim).collect();
    let (namespace, kind, name) = match parts.as_slice() {
        [kind] => (None, *kind, None),
        [kind, name] => (None, *kind, Some(*name)),
        [namespace, kind, name] => (Some(*namespace), *kind, Some(*name)),
        _ => return Err(format!("`{text}` is not NAMESPACE/KIND/NAME")),
    };
    if parts.iter().any(|part| part.is_empty()) {
        return Err(format!("a part of `{text}` is empty"));
    }
    let short = SHORT.iter().find(|(short, _)| *short == kind);
    Ok(Target {
        namespace: namespace.map(Into::into),
        kind: short.map_or(kind, |(_, long)| long).into(),
        name: name.map(Into::into),
    })
}

struct Reader<'a> {
    text: &'a str,
    steps: Vec<Step>,
}

impl Reader<'_> {
    fn steps(&mut self) -> Result<(), String> {
        loop {
            if self.text.starts_with('[') {
                self.bracket()?;
            } else {
                self.key()?;
            }
            while self.text.starts_with('[') {
                self.bracket()?;
            }
            match self.text.strip_prefix('.') {
                Some(rest) => self.text = rest,
                None => return Ok(()),
            }
        }
    }

    /// A key up to `.`, `[` or `=`; a backslash takes the meaning from the next character.
    fn key(&mut self) -> Result<(), String> {
        let mut key = String::new();
        let mut chars = self.text.char_indices();
        let mut end = self.text.len();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => key.extend(chars.next().map(|(_, c)| c)),
                '.' | '[' | '=' => {
                    end = at;
                    break;
                }
                c => key.push(c),
            }
        }
        self.text = &self.text[end..];
        let key = key.trim();
        if key.is_empty() {
            return Err("a field has no name".to_owned());
        }
        self.steps.push(Step::Key(key.into()));
        Ok(())
    }

    fn bracket(&mut self) -> Result<(), String> {
        let inside = &self.text[1..];
        if let Some(quote) = inside.chars().next().filter(|c| matches!(c, '"' | '\'')) {
            let close = format!("{quote}]");
            let Some(end) = inside[1..].find(&close) else {
                return Err(format!("`[{quote}` is not closed by `{close}`"));
            };
            self.steps.push(Step::Key(inside[1..=end].into()));
            self.text = &inside[1 + end + close.len()..];
            return Ok(());
        }
        let Some(end) = inside.find(']') else {
            return Err("`[` is not closed".to_owned());
        };
        let chosen = inside[..end].trim();
        self.text = &inside[end + 1..];
        self.steps.push(match chosen.split_once('=') {
            _ if chosen == "*" => Step::All,
            Some((field, value)) => Step::Named {
                field: field.trim().into(),
                value: value.trim().trim_matches('"').into(),
            },
            None if chosen.is_empty() => {
                return Err("`[]` chooses no element; write `[0]` or `[v1]`".to_owned());
            }
            None => match chosen.parse() {
                Ok(index) => Step::Index(index),
                Err(_) => Step::Named {
                    field: "name".into(),
                    value: chosen.into(),
                },
            },
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Step {
        Step::Key(text.into())
    }

    fn named(field: &str, value: &str) -> Step {
        Step::Named {
            field: field.into(),
            value: value.into(),
        }
    }

    #[test]
    fn every_form_of_a_path_is_read() {
        let rows = [
            ("a/DestinationRule/b:spec.x", vec![key("spec"), key("x")]),
            ("dr/b:x[0].y", vec![key("x"), Step::Index(0), key("y")]),
            (
                "vs/b:x[v1][*]",
                vec![key("x"), named("name", "v1"), Step::All],
            ),
            ("vs/b:x[port=80]", vec![key("x"), named("port", "80")]),
            (
                "Model:workloads.shop/cart.queue",
                vec![key("workloads"), key("shop/cart"), key("queue")],
            ),
            (
                r#"deploy/a:metadata.annotations["proxy.istio.io/config"]"#,
                vec![
                    key("metadata"),
                    key("annotations"),
                    key("proxy.istio.io/config"),
                ],
            ),
            (r"deploy/a:x\.y.z", vec![key("x.y"), key("z")]),
        ];
        for (text, steps) in rows {
            assert_eq!(ValuePath::parse(text).unwrap().steps, steps, "{text}");
        }
        let path = ValuePath::parse("a/dr/b.c:x").unwrap();
        let target = Target {
            namespace: Some("a".into()),
            kind: "DestinationRule".into(),
            name: Some("b.c".into()),
        };
        assert_eq!(path.target, target);
    }

    #[test]
    fn the_value_begins_at_the_first_equals_sign_outside_of_brackets() {
        let (path, rest) = ValuePath::parse_prefix("vs/b:x[name=v1].y=a=b:c").unwrap();
        assert_eq!((&*path.text, rest), ("vs/b:x[name=v1].y", "=a=b:c"));
    }

    #[test]
    fn what_is_no_path_is_refused_with_an_example() {
        for text in [
            "",
            "x",
            "x=1",
            ":x",
            "a/b/c/d:x",
            "a//b:x",
            "vs:",
            "vs:a..b",
            "vs:a[",
            "vs:a[]",
            "vs:a['b",
            "vs:.a",
            "vs:a.",
            "[a:b]",
        ] {
            let said = ValuePath::parse(text).unwrap_err();
            assert!(said.contains("write for example"), "{text}: {said}");
        }
    }
}
