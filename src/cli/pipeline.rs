//! From paths to a record: read, load, compile, prepare, run. Every command goes through here.
//!
//! Diagnostics are shown all at once. Errors stop (exit code 1); what Istio's admission
//! refuses stops as well unless `--force` is given, and is then a warning.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::{InputArgs, Repeat};
use super::exit_code::Failure;
use super::input::{self, Reader};
use super::output::Console;
use super::{decode, interrupt, names};
use crate::config::load::{self, Parsed};
use crate::config::scenario::{Model, Scenario, spare_pods};
use crate::config::store::{IstioVersion, MeshConfig};
use crate::control_plane;
use crate::diagnostic::{Class, Diagnostic, Place, render};
use crate::experiment::{
    Expected, counterfactual, replicate_expecting, settle_findings, unknown_names,
};
use crate::explain::narrate;
use crate::manifest::{Edit, Source, edit};
use crate::observe::Record;
use crate::simulation::{self, Control, Plan};
use crate::verdict;
use crate::xds::Snapshot;

/// Everything that was read.
#[derive(Clone)]
pub(super) struct Mesh {
    pub(super) config: MeshConfig,
    pub(super) model: Model,
    pub(super) scenarios: Vec<Scenario>,
    /// Namespace of the client and of short names.
    pub(super) namespace: String,
    /// What was taken for granted so far.
    pub(super) assumed: Vec<String>,
    /// What looks wrong in the input or on the command line.
    pub(super) warnings: Vec<String>,
    not_simulated: Vec<String>,
    /// Texts of other files that were named and read.
    pub(super) beside: Vec<(String, String)>,
    texts: Texts,
}

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
    Ok(read_scenario(file, &[], &mut Reader::default())?.paths)
}

/// What a Scenario document says about other files.
pub(super) struct ScenarioPaths {
    /// Manifests and the Model.
    pub(super) paths: Vec<PathBuf>,
    /// The Model alone.
    pub(super) model: Option<PathBuf>,
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
    let written = scenario.manifests.iter().chain(&scenario.model);
    let version = scenario
        .istio_version
        .as_deref()
        .map(IstioVersion::parse)
        .transpose();
    Ok(ScenarioPaths {
        paths: written.map(|path| folder.join(&**path)).collect(),
        model: scenario.model.as_ref().map(|path| folder.join(&**path)),
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
            sources: Arc::clone(&self.sources),
            edits: options.edits,
        };
        let mut diagnostics = self.problems.clone();
        diagnostics.extend(loaded.diagnostics);
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
    pub(super) diagnostics: Vec<Diagnostic>,
    pub(super) texts: Texts,
}

/// What excerpts in messages are taken from.
#[derive(Clone)]
pub(super) struct Texts {
    sources: Arc<[Source]>,
    edits: Vec<Edit>,
}

impl Texts {
    /// Diagnostics with excerpts.
    pub(super) fn excerpts(&self, diagnostics: &[Diagnostic]) -> String {
        let set = edit::source(&self.edits);
        let sources = self.sources.iter().chain([&set]);
        let texts: Vec<(&str, &str)> = sources.map(|s| (&*s.path, s.text.as_str())).collect();
        render(diagnostics, &texts, true)
    }

    /// File names in the order in which they were read.
    pub(super) fn files(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().map(|source| &*source.path)
    }

    /// All errors with their places, then what to do.
    fn refuse(&self, diagnostics: &[Diagnostic]) -> Failure {
        let set = edit::source(&self.edits);
        let sources = self.sources.iter().chain([&set]);
        let texts: Vec<(&str, &str)> = sources.map(|s| (&*s.path, s.text.as_str())).collect();
        let mut text = render(diagnostics, &texts, true);
        let errors = diagnostics.iter().filter(|d| d.is_error()).count();
        let admission = diagnostics
            .iter()
            .any(|d| d.is_error() && d.class == Class::Admission);
        let only_admission = diagnostics
            .iter()
            .all(|d| !d.is_error() || d.class == Class::Admission);
        let plural = if errors == 1 { "error" } else { "errors" };
        text.push_str(&format!("{errors} {plural}"));
        if admission {
            text.push_str("; Istio's admission would refuse such objects");
        }
        if only_admission {
            text.push_str(", --force simulates them all the same");
        }
        text.push('\n');
        Failure::Input(text)
    }
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

impl Mesh {
    /// The tables istiod would send.
    pub(super) fn compile(&self) -> Snapshot {
        control_plane::compile(&self.config)
    }

    /// The same with the pods that the scenario's events may start.
    pub(super) fn compile_for(&self, scenario: &Scenario) -> Snapshot {
        let spare = spare_pods(&scenario.events, &self.config);
        if spare.is_empty() {
            return self.compile();
        }
        control_plane::compile(&MeshConfig {
            spare_pods: spare,
            ..self.config.clone()
        })
    }

    /// Warnings that belong on standard error because the output has no place for them.
    pub(super) fn warn(&self, console: Console) {
        for warning in &self.warnings {
            console.warning(warning);
        }
    }

    /// Says which namespace was taken, where that was not asked for.
    pub(super) fn assume_namespace(&mut self, asked: Option<&str>) {
        if asked.is_none() {
            let why = match self.namespace.as_str() {
                "default" => "no other was named",
                _ => "it is the only one that has workloads",
            };
            self.assumed.push(format!(
                "short names are taken in namespace `{}`: {why}",
                self.namespace
            ));
        }
    }

    /// Prepares a scenario.
    pub(super) fn plan(&self, scenario: &Scenario) -> Result<Plan, Failure> {
        simulation::prepare(&self.compile_for(scenario), &self.model, scenario)
            .map_err(|diagnostics| self.texts.refuse(&diagnostics))
    }

    /// Tables and plan of a scenario that names nothing unknown.
    pub(super) fn prepare(&self, scenario: &Scenario) -> Result<(Snapshot, Plan), Failure> {
        let snapshot = self.compile_for(scenario);
        let plan = simulation::prepare(&snapshot, &self.model, scenario)
            .map_err(|diagnostics| self.texts.refuse(&diagnostics))?;
        let unknown = unknown_names(
            &scenario.expect,
            &plan,
            verdict::CODES,
            &self.config.origins,
        );
        if unknown.is_empty() {
            Ok((snapshot, plan))
        } else {
            Err(self.texts.refuse(&unknown))
        }
    }

    /// The same with other numbers of pods, by `namespace/name`.
    pub(super) fn with_replicas(&self, pods: &BTreeMap<String, u32>) -> Self {
        let mut mesh = self.clone();
        for owner in &mut mesh.config.workloads {
            let name = format!("{}/{}", owner.meta.namespace, owner.meta.name);
            if let Some(count) = pods.get(&name) {
                owner.replicas = Some(*count);
                // It is asked what this number does, whatever an autoscaler would say to it.
                (mesh.config.autoscalers).retain(|scaler| {
                    *scaler.meta.namespace != *owner.meta.namespace
                        || *scaler.target.1 != *owner.meta.name
                });
            }
        }
        mesh
    }

    /// Runs a scenario and judges it: findings and expectations, nothing that is only told.
    pub(super) fn judged(&self, scenario: &Scenario, how: &How) -> Result<Record, Failure> {
        let (snapshot, plan) = self.prepare(scenario)?;
        let control = Control {
            interrupted: interrupt::watch(),
            progress: None,
            keep_requests: 0,
        };
        let expected = Expected {
            expectations: &scenario.expect,
            origins: &self.config.origins,
            snapshot: &snapshot,
        };
        let (seed, replications) = (how.seed, how.replications);
        let mut record =
            replicate_expecting(&plan, seed, replications, how.threads, &control, expected);
        record.findings = verdict::judge(&record, &snapshot);
        settle_findings(&scenario.expect, &mut record);
        record.assumed = merged([&self.assumed, &snapshot.assumed, &record.assumed]);
        record.warnings = merged([&self.warnings, &record.warnings, &Vec::new()]);
        Ok(record)
    }

    /// Runs a scenario.
    pub(super) fn run(
        &self,
        scenario: &Scenario,
        how: &How,
        console: Console,
    ) -> Result<Run, Failure> {
        let (snapshot, plan) = self.prepare(scenario)?;
        let progress = console.progress();
        let control = Control {
            interrupted: interrupt::watch(),
            progress: Some(&|done| progress.at(done)),
            keep_requests: how.keep_requests,
        };
        let expected = Expected {
            expectations: &scenario.expect,
            origins: &self.config.origins,
            snapshot: &snapshot,
        };
        let mut record = replicate_expecting(
            &plan,
            how.seed,
            how.replications,
            how.threads,
            &control,
            expected,
        );
        let trail = if how.trace {
            let told = simulation::story(&snapshot, &plan, how.seed, &control);
            told.map_or_else(Vec::new, |story| narrate(&snapshot, &story))
        } else {
            Vec::new()
        };
        record.findings = verdict::judge(&record, &snapshot);
        settle_findings(&scenario.expect, &mut record);
        if !how.is_test {
            counterfactual::add(&mut record, &snapshot, &self.model, scenario, &control);
        }
        drop(progress);
        record.assumed = merged([&self.assumed, &snapshot.assumed, &record.assumed]);
        record.warnings = merged([&self.warnings, &record.warnings, &Vec::new()]);
        record.not_simulated = merged([&self.not_simulated, &record.not_simulated, &Vec::new()]);
        Ok(Run { record, trail })
    }
}

/// All sentences in order, each once.
fn merged(lists: [&Vec<String>; 3]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for sentence in lists.into_iter().flatten() {
        if !all.contains(sentence) {
            all.push(sentence.clone());
        }
    }
    all
}

/// How a scenario is run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct How {
    pub(super) seed: u64,
    pub(super) replications: u32,
    pub(super) threads: Option<usize>,
    /// Single requests to keep in the record.
    pub(super) keep_requests: usize,
    /// Tell the way of the first request.
    pub(super) trace: bool,
    /// Only judge: what would remove a finding is not looked for.
    pub(super) is_test: bool,
}

impl How {
    /// From flags, else from the scenario.
    pub(super) fn new(repeat: &Repeat, scenario: &Scenario) -> Self {
        Self {
            seed: repeat.seed.unwrap_or(scenario.seed),
            replications: repeat.replications.unwrap_or(scenario.replications).max(1),
            threads: repeat.threads.map(usize::from),
            keep_requests: 0,
            trace: false,
            is_test: false,
        }
    }
}

/// What a run gave.
pub(super) struct Run {
    pub(super) record: Record,
    /// The first request's way, one sentence each.
    pub(super) trail: Vec<String>,
}
