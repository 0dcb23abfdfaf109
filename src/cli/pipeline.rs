//! From paths to a record: read, load, compile, prepare, run. Every command goes through here.
//!
//! Diagnostics are shown all at once. Errors stop (exit code 1); what Istio's admission
//! refuses stops as well unless `--force` is given, and is then a warning.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::InputArgs;
use super::exit_code::Failure;
use super::input::{self, Reader};
pub(super) use super::mesh::{How, Mesh};
use super::output::Console;
use super::texts::Texts;
use super::{decode, names};
use crate::config::load::{self, Parsed};
use crate::config::scenario::{Model, Scenario};
use crate::config::store::{IstioVersion, MeshConfig};
use crate::control_plane;
use crate::diagnostic::{Class, Diagnostic, Place};
use crate::manifest::{Edit, Source};

/// Where to read from.
pub(super) struct Inputs<'a> {
    pub(super) args: &'a InputArgs,
    /// `-n`.
    pub(super) namespace: Option<&'a str>,
    /// SCENARIO: a file, or a folder that holds one.
    pub(super) scenario: Option<&'a Path>,
    /// Refusals of Istio's admission are reported and do not stop.
    pub(super) tolerant: bool,
}

/// Reads and decodes everything.
pub(super) fn read(inputs: &Inputs<'_>, console: Console) -> Result<Mesh, Failure> {
    gather(inputs)?.mesh(&[], console)
}

/// Texts that were read, with how they are to be decoded: a mesh for every set of values.
pub(super) struct Gathered {
    pub(super) sources: Arc<[Source]>,
    parsed: Parsed,
    /// What could not be read.
    problems: Vec<Diagnostic>,
    options: decode::Options,
    force: bool,
    tolerant: bool,
}

/// Reads everything.
pub(super) fn gather(inputs: &Inputs<'_>) -> Result<Gathered, Failure> {
    let mut reader = Reader::default();
    let mut version = inputs.args.istio_version;
    if let Some(path) = inputs.scenario {
        let file = input::find_scenario(path).map_err(Failure::Usage)?;
        let scenario = read_scenario(&file, &inputs.args.set, &mut reader)?;
        version = version.or(scenario.version);
        let before = reader.problems.len();
        for path in scenario.paths {
            reader.read(&path);
        }
        for problem in &mut reader.problems[before..] {
            let file = file.display();
            problem.help = Some(format!(
                "`{file}` names it; paths in a Scenario start at the Scenario's own folder"
            ));
        }
    }
    for path in &inputs.args.filename {
        reader.read(path);
    }
    if reader.sources.is_empty() && reader.problems.is_empty() {
        let what = "nothing to read: name manifests with -f FILE, -f FOLDER or -f -";
        return Err(Failure::Usage(what.to_owned()));
    }
    Ok(Gathered {
        parsed: load::parse(&reader.sources),
        sources: reader.sources.into(),
        problems: reader.problems,
        options: decode::Options {
            namespace: inputs.namespace.map(str::to_owned),
            version,
            edits: inputs.args.set.clone(),
            ..decode::Options::default()
        },
        force: inputs.args.force,
        tolerant: inputs.tolerant,
    })
}

/// Files and folders that a scenario names.
pub(super) fn named_by(file: &Path) -> Result<Vec<PathBuf>, Failure> {
    let named = read_scenario(file, &[], &mut Reader::default())?;
    Ok([named.paths, named.applied].concat())
}

/// What a Scenario document says about other files.
pub(super) struct ScenarioPaths {
    /// Manifests and the Model.
    pub(super) paths: Vec<PathBuf>,
    /// The Model alone.
    pub(super) model: Option<PathBuf>,
    /// What its events apply and delete.
    applied: Vec<PathBuf>,
    version: Option<IstioVersion>,
}

/// Reads the scenario's own file first, because it names the others.
pub(super) fn read_scenario(
    file: &Path,
    edits: &[Edit],
    reader: &mut Reader,
) -> Result<ScenarioPaths, Failure> {
    let before = reader.sources.len();
    reader.read(file);
    // A value of the Scenario may be set; those of the files it names come to nothing here, and
    // are judged when everything was read.
    let options = decode::Options {
        edits: edits.to_vec(),
        ..decode::Options::default()
    };
    let loaded = decode::decode(&reader.sources[before..], &options);
    let Some(scenario) = loaded.scenarios.first() else {
        let mut said = reader.problems.clone();
        said.extend(loaded.diagnostics.into_iter().filter(Diagnostic::is_error));
        if said.is_empty() {
            let what = format!(
                "`{}` holds no Scenario; `towtank schema scenario` shows its form",
                file.display()
            );
            return Err(Failure::Usage(what));
        }
        let texts = Texts {
            sources: reader.sources[before..].into(),
            edits: edits.to_vec(),
        };
        return Err(texts.refuse(&said));
    };
    let folder = file.parent().unwrap_or(Path::new(""));
    // What an event applies is not there at the start, also where its folder is named.
    let mut applied = Vec::new();
    for event in &scenario.events {
        let Some(change) = event.what.change() else {
            continue;
        };
        let paths = change.files.iter().map(|source| Path::new(&*source.path));
        for path in paths {
            applied.push(path.to_owned());
            if !change.is_deletion {
                reader.leave_out(path);
            }
        }
    }
    let written = scenario.manifests.iter().chain(&scenario.model);
    let version = scenario
        .istio_version
        .as_deref()
        .map(IstioVersion::parse)
        .transpose();
    Ok(ScenarioPaths {
        paths: written.map(|path| folder.join(&**path)).collect(),
        model: scenario.model.as_ref().map(|path| folder.join(&**path)),
        applied,
        version: version.map_err(Failure::Usage)?,
    })
}

impl Gathered {
    /// Texts that were read in another way.
    pub(super) fn new(reader: Reader, options: decode::Options, force: bool) -> Self {
        Self {
            parsed: load::parse(&reader.sources),
            sources: reader.sources.into(),
            problems: reader.problems,
            options,
            force,
            tolerant: false,
        }
    }

    /// Decodes and keeps everything that is to be said, whatever it is.
    pub(super) fn diagnosed(&self) -> Diagnosed {
        let loaded = decode::decode_parsed(&self.parsed, &self.sources, &self.options);
        let mut diagnostics = self.problems.clone();
        diagnostics.extend(loaded.diagnostics);
        Diagnosed {
            config: loaded.config,
            models: loaded.models,
            scenarios: loaded.scenarios,
            diagnostics,
            texts: Texts {
                sources: Arc::clone(&self.sources),
                edits: self.options.edits.clone(),
            },
        }
    }

    /// Decodes and judges, with more values set after those of `--set`.
    pub(super) fn mesh(&self, more: &[Edit], console: Console) -> Result<Mesh, Failure> {
        let mut options = self.options.clone();
        options.edits.extend_from_slice(more);
        let loaded = decode::decode_parsed(&self.parsed, &self.sources, &options);
        let texts = Texts {
            sources: with_applied(&self.sources, &loaded.scenarios),
            edits: options.edits,
        };
        let mut diagnostics = self.problems.clone();
        diagnostics.extend(loaded.diagnostics);
        if !loaded.later.is_empty()
            && let Err(why) = control_plane::compile_all(&loaded.config, &loaded.later)
        {
            diagnostics.push(*why);
        }
        if !diagnostics.iter().any(Diagnostic::is_error) {
            diagnostics.extend(nothing(&loaded.config, &self.sources));
        }
        let is_fatal = |d: &&Diagnostic| {
            let goes_on = d.class == Class::Admission && (self.force || self.tolerant);
            d.is_error() && !goes_on
        };
        if diagnostics.iter().any(|d| is_fatal(&d)) {
            return Err(texts.refuse(&diagnostics));
        }
        let forced = diagnostics.iter().filter(|d| d.is_error()).count();
        if forced > 0 {
            let why = if self.force {
                "--force"
            } else {
                "nothing is simulated"
            };
            console.warning(&format!(
                "{forced} of Istio's admission rules are broken; going on ({why}) as if the objects were in the store"
            ));
        }
        let say = |class: fn(&Diagnostic) -> bool| {
            diagnostics
                .iter()
                .filter(|d| class(d))
                .map(sentence)
                .collect()
        };
        let mut models = loaded.models;
        Ok(Mesh {
            namespace: names::default_namespace(self.options.namespace.as_deref(), &loaded.config),
            config: loaded.config,
            later: loaded.later,
            model: models.pop().unwrap_or_default(),
            scenarios: loaded.scenarios,
            assumed: Vec::new(),
            warnings: say(|d| d.class != Class::NotSimulated),
            not_simulated: say(|d| d.class == Class::NotSimulated),
            beside: loaded.beside,
            texts,
        })
    }
}

/// The texts, with those that events of the scenarios bring.
fn with_applied(sources: &Arc<[Source]>, scenarios: &[Scenario]) -> Arc<[Source]> {
    let events = scenarios.iter().flat_map(|scenario| &scenario.events);
    let applied: Vec<&Source> = (events.filter_map(|event| event.what.change()))
        .flat_map(|change| change.files)
        .collect();
    if applied.is_empty() {
        return Arc::clone(sources);
    }
    sources.iter().chain(applied).cloned().collect()
}

/// An error when nothing was read that requests could go to.
fn nothing(config: &MeshConfig, sources: &[Source]) -> Option<Diagnostic> {
    let is_empty = config.workloads.is_empty()
        && config.services.is_empty()
        && config.service_entries.is_empty()
        && config.virtual_services.is_empty()
        && config.destination_rules.is_empty()
        && config.gateways.is_empty();
    if !is_empty {
        return None;
    }
    let what = "no Service, workload or routing rule is in what was read: there is no mesh";
    let error = Diagnostic::error("TT-EMPTY", Class::Model, what);
    let help = "name the manifests with -f FILE or -f FOLDER, or in `manifests:` of the Scenario";
    let place = sources.first().map(|source| Place {
        file: source.path.clone(),
        line: 0,
        column: 0,
    });
    let error = error.help(help);
    Some(match place {
        Some(place) => error.at(place),
        None => error,
    })
}

/// What was decoded, with all that is to be said about it.
pub(super) struct Diagnosed {
    pub(super) config: MeshConfig,
    pub(super) models: Vec<Model>,
    pub(super) scenarios: Vec<Scenario>,
    pub(super) diagnostics: Vec<Diagnostic>,
    pub(super) texts: Texts,
}

/// One line: place, object, message, help.
fn sentence(d: &Diagnostic) -> String {
    let mut text = String::new();
    if let Some(place) = &d.place {
        text.push_str(&format!("{place}: "));
    }
    if let Some(object) = &d.object {
        text.push_str(&format!("{object}: "));
    }
    text.push_str(&d.message);
    if let Some(help) = &d.help {
        text.push_str(&format!("; {help}"));
    }
    text.push_str(&format!(" [{}]", d.code));
    text
}
