//! Findings that nobody wants to hear of: by the annotation Istio uses, by flag, and by a file that
//! says why.
//!
//! The file is named (`--config`), never found: the same command says the same in every folder.
//! An entry that silences nothing is a remark of its own (`TT-SUPPRESS-UNUSED`), so that the file
//! does not outlive what it was written for.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;

use super::{CODES, READING, code};
use crate::config::MeshConfig;
use crate::config::decode::{Decoder, Fields, Unknown};
use crate::diagnostic::{Class, Diagnostic, Place, nearest};
use crate::manifest::{Document, Limits, Object, Source, Value, read_documents};
use crate::units::ObjectId;

/// Annotation that silences codes for its object; a list, or `*`.
pub const ANNOTATION: &str = "galley.istio.io/analyze-suppress";
/// Every code.
const ALL: &str = "*";

/// Who said that something is to be silenced.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// `galley.istio.io/analyze-suppress` of the object.
    Annotation,
    /// `--suppress`.
    Flag,
    /// A file, by its name.
    File(Arc<str>),
}

/// What is silenced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The code, or `*`.
    code: String,
    /// A pattern for objects, `Kind namespace/name` with `*` and `?`; `None`: every object.
    object: Option<String>,
    by: By,
    /// Where it was written, in a file.
    place: Option<Place>,
}

impl Entry {
    /// `CODE` or `CODE=Kind namespace/name`, as a flag has it.
    pub fn flag(text: &str) -> Result<Self, String> {
        let (code, object) = match text.split_once('=') {
            Some((code, object)) => (code, Some(object.to_owned())),
            None => (text, None),
        };
        if let Some(why) = unknown(code) {
            return Err(format!("--suppress: {why}"));
        }
        Ok(Self {
            code: code.to_owned(),
            object,
            by: By::Flag,
            place: None,
        })
    }

    fn covers(&self, d: &Diagnostic) -> bool {
        let of_code = self.code == ALL || self.code == d.code;
        let of_object = self.object.as_ref().is_none_or(|pattern| {
            (d.object.as_ref()).is_some_and(|object| matches(pattern.as_bytes(), object.as_bytes()))
        });
        of_code && of_object
    }
}

/// What annotations silence.
pub fn annotations(config: &MeshConfig) -> Vec<Entry> {
    let mut entries = Vec::new();
    for meta in config.metas() {
        let Some(list) = meta.annotations.get(ANNOTATION) else {
            continue;
        };
        let object = config.origins.object(meta.origin.object).to_string();
        entries.extend(list.split(',').map(|code| Entry {
            code: code.trim().to_owned(),
            object: Some(object.clone()),
            by: By::Annotation,
            place: None,
        }));
    }
    entries
}

/// Reads a file of entries; what is wrong with it is an error, and the file is not to be used then.
pub fn read(source: &Source) -> (Vec<Entry>, Vec<Diagnostic>) {
    let (documents, mut said) = read_documents(std::slice::from_ref(source), Limits::default());
    let mut entries = Vec::new();
    for Document { file, root } in documents {
        let object = Object {
            api_version: "".into(),
            kind: "configuration of analyze".into(),
            name: "".into(),
            namespace: "".into(),
            file: Arc::clone(&file),
            root,
            edited: false,
        };
        let decoder = Decoder::new(&object, ObjectId::default(), Class::Model, Unknown::Refused);
        if !matches!(object.root.value, Value::Mapping(_)) {
            let at = decoder.at(&object.root);
            at.refuse("expected a mapping; write `analyze: {suppress: [{code: …, reason: …}]}`");
        }
        decoder.object(&object.root, |f| {
            f.object("analyze", |f| {
                entries.extend(f.objects("suppress", |f| entry(f, &file)));
            });
        });
        said.extend(decoder.finish());
    }
    (entries, said)
}

fn entry(f: &Fields<'_>, file: &Arc<str>) -> Entry {
    let code = f.required_text("code");
    // Whoever reads the file later has to know.
    f.required_text("reason");
    if let Some(why) = unknown(&code).filter(|_| !code.is_empty()) {
        let error = Diagnostic::error("TT-UNKNOWN-CODE", Class::Model, why);
        let help = "`towtank analyze --explain` lists all codes";
        f.push_at("code", error.help(help));
    }
    Entry {
        code: code.to_string(),
        object: f.text("object").map(|object| object.to_string()),
        by: By::File(Arc::clone(file)),
        place: f.get("code").map(|at| at.place()),
    }
}

/// Why something is no code; `None` when it is one.
fn unknown(text: &str) -> Option<String> {
    if text == ALL || code(text).is_some() || READING.contains(&text) {
        return None;
    }
    let all = CODES
        .iter()
        .map(|known| known.code)
        .chain(READING.iter().copied());
    let near = nearest(text, all);
    let near = near.map_or_else(
        || "`--explain` lists all".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    Some(format!("`{text}` is no code of analysis; {near}"))
}

/// What is left, and what is not.
#[derive(Clone, Debug, Default)]
pub struct Suppressed {
    /// What is still to be said.
    pub kept: Vec<Diagnostic>,
    /// How many were silenced, by whom first.
    pub counts: BTreeMap<By, usize>,
    /// Entries of files that silenced nothing, as remarks.
    pub unused: Vec<Diagnostic>,
}

/// Leaves out what is silenced. `unjudged`: codes that were not looked for this time, whose entries
/// are not unused.
pub fn suppress(found: Vec<Diagnostic>, entries: &[Entry], unjudged: &[&str]) -> Suppressed {
    let mut result = Suppressed::default();
    let mut used = vec![false; entries.len()];
    for diagnostic in found {
        let covering = || (0..entries.len()).filter(|at| entries[*at].covers(&diagnostic));
        covering().for_each(|at| used[at] = true);
        match covering().next() {
            Some(first) => *result.counts.entry(entries[first].by.clone()).or_default() += 1,
            None => result.kept.push(diagnostic),
        }
    }
    let unused = entries.iter().zip(used).filter(|(_, used)| !used);
    for (entry, _) in unused.filter(|(entry, _)| !unjudged.contains(&entry.code.as_str())) {
        let Some(place) = &entry.place else { continue };
        let of = entry
            .object
            .as_ref()
            .map(|object| format!(" of `{object}`"));
        let message = format!(
            "nothing is suppressed here: there is no finding {}{}",
            entry.code,
            of.unwrap_or_default()
        );
        let remark = Diagnostic::warning("TT-SUPPRESS-UNUSED", Class::Advice, message);
        let help =
            "remove the entry, or correct its object (`Kind namespace/name`, with `*` and `?`)";
        result.unused.push(remark.at(place.clone()).help(help));
    }
    result
}

/// `*` stands for any text, `?` for one character.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    // Where to go on when the text after the last star does not fit.
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match &mut star {
                Some((at, from)) => {
                    *from += 1;
                    (p, t) = (*at + 1, *from);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// A file of `--config`.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "described by schemars, never built")]
struct ConfigFile {
    /// Settings of `towtank analyze`.
    analyze: Option<AnalyzeSection>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "described by schemars, never built")]
struct AnalyzeSection {
    /// What is not to be said. An entry that silences nothing is named.
    suppress: Option<Vec<EntryText>>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "described by schemars, never built")]
struct EntryText {
    /// A code (`towtank analyze --explain` lists them), or `*` for all.
    code: String,
    /// `Kind namespace/name`, with `*` for any text and `?` for one character; all objects when
    /// not written.
    object: Option<String>,
    /// Why.
    reason: String,
}

/// JSON Schema of a file of `--config`.
pub fn config_schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(ConfigFile);
    schema.insert("title".to_owned(), "towtank configuration file".into());
    schema.to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_for_whole_names() {
        let fits = |pattern: &str, text: &str| matches(pattern.as_bytes(), text.as_bytes());
        for pattern in [
            "*",
            "VirtualService *",
            "* staging/web",
            "V*e s*/w?b",
            "VirtualService staging/web",
        ] {
            assert!(fits(pattern, "VirtualService staging/web"), "{pattern}");
        }
        for pattern in [
            "",
            "VirtualService",
            "* staging/we",
            "* prod/*",
            "virtualservice *",
        ] {
            assert!(!fits(pattern, "VirtualService staging/web"), "{pattern}");
        }
    }
}
