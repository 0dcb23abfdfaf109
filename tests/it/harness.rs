//! From a folder (or texts) to a plan and a record, without the command line.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use towtank::config::load::{LoadOptions, after, load, parse};
use towtank::config::scenario::{Model, Scenario, decode_model, decode_scenario};
use towtank::control_plane::compile_all;
use towtank::experiment::replicate;
use towtank::manifest::Source;
use towtank::observe::Record;
use towtank::simulation::{Control, Plan, prepare};
use towtank::units::ObjectRef;
use towtank::xds::Snapshot;

/// A mesh with one scenario.
pub(crate) struct Case {
    pub(crate) snapshot: Snapshot,
    pub(crate) model: Model,
    pub(crate) scenario: Scenario,
}

impl Case {
    /// All YAML of a folder and its `manifests`.
    pub(crate) fn folder(path: &Path) -> Self {
        Self::with_files(&sources_of(path), &|name| {
            fs::read_to_string(path.join(name)).map_err(|error| error.to_string())
        })
    }

    /// One text with everything in it.
    pub(crate) fn text(text: &str) -> Self {
        Self::sources(&[Source {
            path: "case.yaml".into(),
            text: text.to_owned(),
        }])
    }

    /// Texts with manifests, a Model and a Scenario.
    pub(crate) fn sources(sources: &[Source]) -> Self {
        Self::with_files(sources, &|name| Err(format!("no file {name} in this test")))
    }

    fn with_files(sources: &[Source], files: &dyn Fn(&str) -> Result<String, String>) -> Self {
        let parsed = parse(sources);
        let mut loaded = load(sources.to_vec(), &LoadOptions::default());
        let mut problems = loaded.diagnostics.clone();
        let mut id = |object: &towtank::manifest::Object| {
            loaded.config.origins.push(ObjectRef {
                kind: object.kind.clone(),
                namespace: "".into(),
                name: object.name.clone(),
                file: object.place().file,
                line: object.place().line,
            })
        };
        let mut model = Model::default();
        if let Some(object) = loaded.models.first() {
            let (decoded, found) = decode_model(object, id(object), files);
            model = decoded;
            problems.extend(found);
        }
        let object = loaded.scenarios.first().expect("a scenario");
        let (scenario, found) = decode_scenario(object, id(object), files);
        problems.extend(found);
        let events = scenario.events.iter();
        let changes: Vec<_> = events.filter_map(|event| event.what.change()).collect();
        let options = LoadOptions::default();
        let (later, found) = after(&parsed, sources, &options, &loaded.config, &changes);
        problems.extend(found);
        let errors: Vec<String> = problems
            .iter()
            .filter(|d| d.is_error())
            .map(ToString::to_string)
            .collect();
        assert!(errors.is_empty(), "{errors:#?}");
        loaded.config.placement.clone_from(&model.placement);
        Self {
            snapshot: compile_all(&loaded.config, &later).expect("they go together"),
            model,
            scenario,
        }
    }

    /// The prepared run.
    pub(crate) fn plan(&self) -> Plan {
        prepare(&self.snapshot, &self.model, &self.scenario).unwrap_or_else(|problems| {
            let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
            panic!("{texts:#?}")
        })
    }

    /// Runs it as the scenario says.
    pub(crate) fn run(&self) -> Record {
        self.run_on(None)
    }

    /// Runs it on so many threads.
    pub(crate) fn run_on(&self, threads: Option<usize>) -> Record {
        let interrupted = AtomicBool::new(false);
        let control = Control {
            interrupted: &interrupted,
            progress: None,
            keep_requests: 100_000,
        };
        replicate(
            &self.plan(),
            self.scenario.seed,
            self.scenario.replications,
            threads,
            &control,
        )
    }
}

/// All YAML files of a folder and its `manifests`, by name.
pub(crate) fn sources_of(path: &Path) -> Vec<Source> {
    let mut sources = Vec::new();
    for folder in [path.to_path_buf(), path.join("manifests")] {
        let mut files: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|f| f.unwrap().path())
            .collect();
        files.sort();
        for file in files
            .into_iter()
            .filter(|f| f.extension().is_some_and(|e| e == "yaml"))
        {
            let name = file.strip_prefix(path).unwrap().display().to_string();
            sources.push(Source::new(name, fs::read_to_string(&file).unwrap()));
        }
    }
    sources
}
