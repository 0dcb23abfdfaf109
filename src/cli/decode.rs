//! From texts to a mesh: loading, then our own kinds with the files beside them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::config::decode::register;
use crate::config::load::{self, Change, Changed, LoadOptions, Parsed};
use crate::config::scenario::{Model, Scenario, decode_model, decode_scenario};
use crate::config::store::{IstioVersion, MeshConfig};
use crate::diagnostic::{Class, Diagnostic};
use crate::manifest::{Edit, Object, Source};

/// How texts are read.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    /// `-n`: the namespace of objects that name none.
    pub(super) namespace: Option<String>,
    /// Release whose rules judge.
    pub(super) version: Option<IstioVersion>,
    /// `--set`.
    pub(super) edits: Vec<Edit>,
    /// Where files are that go by another name here.
    pub(super) on_disk: BTreeMap<String, PathBuf>,
}

/// Everything that was read and decoded.
#[derive(Debug, Default)]
pub(super) struct Decoded {
    pub(super) config: MeshConfig,
    /// What it is after each change of configuration that the scenario's events make.
    pub(super) later: Vec<Changed>,
    pub(super) models: Vec<Model>,
    pub(super) scenarios: Vec<Scenario>,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Texts of other files that were named and read (CSV), by name.
    pub(super) beside: Vec<(String, String)>,
}

/// Largest CSV of an empirical distribution.
const CSV_BYTES_MAX: u64 = 256 << 20;

/// Loads and decodes texts.
pub(super) fn decode(sources: &[Source], options: &Options) -> Decoded {
    decode_parsed(&load::parse(sources), sources, options)
}

/// Decodes what was made of texts.
pub(super) fn decode_parsed(parsed: &Parsed, sources: &[Source], options: &Options) -> Decoded {
    let on_disk = &options.on_disk;
    let options = load_options(options);
    let loaded = load::decode(parsed, sources, &options);
    let texts = RefCell::new(Vec::new());
    let mut decoded = Decoded {
        config: loaded.config,
        diagnostics: loaded.diagnostics,
        ..Decoded::default()
    };
    for object in &loaded.models {
        let id = register(&mut decoded.config.origins, object);
        let files = |name: &str| {
            let text = beside(object, name, on_disk)?;
            texts.borrow_mut().push((name.to_owned(), text.clone()));
            Ok(text)
        };
        let (model, said) = decode_model(object, id, &files);
        decoded.models.push(model);
        decoded.diagnostics.extend(said);
    }
    for object in &loaded.scenarios {
        let id = register(&mut decoded.config.origins, object);
        let files = |name: &str| {
            let text = beside(object, name, on_disk)?;
            texts.borrow_mut().push((name.to_owned(), text.clone()));
            Ok(text)
        };
        let (scenario, said) = decode_scenario(object, id, &files);
        decoded.scenarios.push(scenario);
        decoded.diagnostics.extend(said);
    }
    if let [_, second, ..] = loaded.models.as_slice() {
        let what = "more than one Model was read; one run has one";
        let said = Diagnostic::error("TT-SEVERAL-MODELS", Class::Model, what)
            .at(second.place())
            .of(second.describe())
            .see(loaded.models[0].place(), "the first one is here")
            .help("keep one, or read fewer files");
        decoded.diagnostics.push(said);
    }
    if let Some(model) = decoded.models.first() {
        decoded.config.placement.clone_from(&model.placement);
    }
    decoded.beside = texts.into_inner();
    let events = decoded.scenarios.first().map_or(&[][..], |s| &s.events);
    let changes: Vec<Change<'_>> = events.iter().filter_map(|e| e.what.change()).collect();
    if !changes.is_empty() {
        let (later, said) = load::after(parsed, sources, &options, &decoded.config, &changes);
        let last = later.last().map(|changed| changed.config.origins.clone());
        decoded.config.origins = last.unwrap_or_default();
        decoded.later = later;
        decoded.diagnostics.extend(said);
    }
    decoded
}

fn load_options(options: &Options) -> LoadOptions {
    LoadOptions {
        default_namespace: options.namespace.as_deref().unwrap_or("default").into(),
        version: options.version.unwrap_or_default(),
        edits: options.edits.clone(),
    }
}

/// A file beside the one that names it.
fn beside(
    object: &Object,
    name: &str,
    on_disk: &BTreeMap<String, PathBuf>,
) -> Result<String, String> {
    let place = object.place();
    let named = Path::new(&*place.file);
    let folder = on_disk
        .get(&*place.file)
        .map_or(named, PathBuf::as_path)
        .parent()
        .unwrap_or(Path::new(""))
        .to_owned();
    let path: PathBuf = folder.join(name);
    let cannot = |error: io::Error| format!("{error} (looked for `{}`)", path.display());
    // The length that a pipe or a device claims says nothing, so what is read is counted.
    let mut bytes = Vec::new();
    let file = fs::File::open(&path).map_err(cannot)?;
    file.take(CSV_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    if bytes.len() as u64 > CSV_BYTES_MAX {
        return Err(format!("it is larger than {} MiB", CSV_BYTES_MAX >> 20));
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())
}
