//! From texts to everything that takes part: the way in for commands.
//!
//! [`load`] never fails; [`parse`] and [`decode`] are its two halves, for those who decode the same
//! texts with many different values set. It reads, decodes, judges, removes what is there twice and sorts by
//! (namespace, name), so that the order of files never matters.

mod assemble;
mod changes;
mod duplicates;
mod mesh;

use std::sync::Arc;

use super::store::IstioVersion;
use super::{MeshConfig, aside};
use crate::diagnostic::{Class, Diagnostic};
use crate::manifest::{Edit, Family, Object, Source, edit, known_kind, read_objects};
use crate::units::Origins;
use crate::xds::Name;

pub(crate) use changes::wanted;
pub use changes::{Change, Changed, after};

/// What loading needs to know beside the texts.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Namespace of objects that name none (`kubectl -n`).
    pub default_namespace: Name,
    /// Release whose rules judge.
    pub version: IstioVersion,
    /// Values that are set before anything is decoded, in order.
    pub edits: Vec<Edit>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            default_namespace: "default".into(),
            version: IstioVersion::default(),
            edits: Vec::new(),
        }
    }
}

/// Everything that was read.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// What takes part in the mesh.
    pub config: MeshConfig,
    /// `Model` objects, undecoded.
    pub models: Vec<Object>,
    /// `Scenario` objects, undecoded.
    pub scenarios: Vec<Object>,
    /// What is to be said about the input, in reading order.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts, for excerpts.
    pub sources: Vec<Source>,
}

impl Loaded {
    /// All diagnostics with excerpts of the sources, in a stable order.
    pub fn render(&self, color: bool) -> String {
        let sources = self.sources.iter();
        let texts: Vec<(&str, &str)> = sources.map(|s| (&*s.path, s.text.as_str())).collect();
        crate::diagnostic::render(&self.diagnostics, &texts, color)
    }
}

/// Texts that were read to objects and not decoded yet: the same for all values that are set.
#[derive(Clone, Debug, Default)]
pub struct Parsed {
    /// In reading order, duplicates included.
    objects: Vec<Object>,
    /// What is wrong with the texts.
    diagnostics: Vec<Diagnostic>,
}

/// Reads texts to objects.
pub fn parse(sources: &[Source]) -> Parsed {
    let (objects, diagnostics) = read_objects(sources);
    Parsed {
        objects,
        diagnostics,
    }
}

/// Reads, decodes and judges.
pub fn load(sources: Vec<Source>, options: &LoadOptions) -> Loaded {
    let mut loaded = decode(&parse(&sources), &sources, options);
    loaded.sources = sources;
    if !options.edits.is_empty() {
        loaded.sources.extend(edit::sources(&options.edits));
    }
    loaded
}

/// Decodes and judges what [`parse`] made of `sources`; the texts are not kept.
pub fn decode(parsed: &Parsed, sources: &[Source], options: &LoadOptions) -> Loaded {
    let mut diagnostics = parsed.diagnostics.clone();
    let (objects, owned) = objects(parsed, options, &mut diagnostics);
    let mut loaded = assembled(&objects, sources, options, Origins::default(), diagnostics);
    for pod in owned.iter().filter(|object| &*object.kind == "Pod") {
        aside::add_pod(&mut loaded.config, pod);
    }
    loaded
}

/// What is there, each object once, with the values that are set; and what others of them own.
fn objects(
    parsed: &Parsed,
    options: &LoadOptions,
    diagnostics: &mut Vec<Diagnostic>,
) -> (Vec<Object>, Vec<Object>) {
    let objects = parsed.objects.iter().cloned();
    let objects = objects
        .map(|object| with_namespace(object, options))
        .collect();
    let objects = duplicates::remove(objects, diagnostics);
    let (mut objects, owned) = duplicates::part_owned(objects);
    diagnostics.extend(edit::apply(&mut objects, &options.edits));
    (objects, owned)
}

/// Objects to their lists.
fn assembled(
    objects: &[Object],
    sources: &[Source],
    options: &LoadOptions,
    origins: Origins,
    diagnostics: Vec<Diagnostic>,
) -> Loaded {
    let mut loaded = Loaded {
        config: MeshConfig {
            version: options.version,
            origins,
            ..MeshConfig::default()
        },
        diagnostics,
        ..Loaded::default()
    };
    for object in objects {
        match object.family() {
            Some(Family::Simulated) => assemble::add(&mut loaded, object, sources),
            Some(Family::Towtank) => keep_own(&mut loaded, object.clone()),
            Some(Family::NotSimulated) => loaded.diagnostics.push(not_simulated(object)),
            Some(Family::Inert) | None => {}
        }
    }
    // Last, so that what takes part is named alike with and without them.
    for object in objects {
        aside::add(&mut loaded.config, object);
    }
    assemble::finish(&mut loaded);
    loaded
}

/// Gives the default namespace to namespaced objects that name none.
fn with_namespace(mut object: Object, options: &LoadOptions) -> Object {
    let known = known_kind(object.group(), &object.kind);
    if known.is_some_and(|known| !known.namespaced) {
        object.namespace = "".into();
    } else if known.is_some() && object.namespace.is_empty() {
        object.namespace = Arc::clone(&options.default_namespace);
    }
    object
}

fn keep_own(loaded: &mut Loaded, object: Object) {
    match &*object.kind {
        "Model" => loaded.models.push(object),
        _ => loaded.scenarios.push(object),
    }
}

fn not_simulated(object: &Object) -> Diagnostic {
    let message = format!(
        "the kind `{}` is not simulated; this object has no effect",
        object.kind
    );
    Diagnostic::warning("TT-NOT-SIMULATED", Class::NotSimulated, message)
        .at(object.place())
        .of(object.describe())
}
