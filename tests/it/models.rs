//! Walks `models/` and `examples/`: every folder loads without complaint, runs, and shows what it did before.
//!
//! Lessons (`models/lessons/`) are checked by what they claim; see `lessons.rs`.
//! Snapshots lie under `snapshots/<folder>/`: the tables of the proxy that calls, and the report of a short run.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use towtank::config::decode::register;
use towtank::config::load::{LoadOptions, Loaded, load};
use towtank::config::scenario::{LoadSource, decode_model, decode_scenario};
use towtank::diagnostic::Diagnostic;
use towtank::manifest::Source;

use crate::program::{root, text};
use crate::shared::yaml_files;

/// Folders with a `scenario.yaml`, relative to the repository.
fn folders() -> Vec<String> {
    let mut found = Vec::new();
    for top in ["models", "examples"] {
        for entry in fs::read_dir(root().join(top)).expect("the folder is there") {
            let path = entry.expect("it is readable").path();
            if path.join("scenario.yaml").is_file() {
                let name = path.file_name().expect("it has a name").to_string_lossy();
                found.push(format!("{top}/{name}"));
            }
        }
    }
    found.sort();
    assert!(
        found.len() >= 11,
        "three meshes and eight examples: {found:?}"
    );
    found
}

fn read(path: &Path) -> Source {
    let shown = path.strip_prefix(root()).unwrap_or(path);
    let text = fs::read_to_string(path).expect("it is readable");
    Source::new(&*shown.to_string_lossy(), text)
}

/// Everything of a folder, and what is said about it.
fn load_folder(folder: &str) -> (Loaded, Vec<Diagnostic>) {
    let folder = root().join(folder);
    let mut paths: Vec<PathBuf> = yaml_files(&folder.join("manifests"));
    paths.extend(["model.yaml", "scenario.yaml"].map(|file| folder.join(file)));
    let sources = paths.iter().map(|path| read(path)).collect();
    let mut loaded = load(sources, &LoadOptions::default());
    let mut said = loaded.diagnostics.clone();
    let files = |path: &str| fs::read_to_string(folder.join(path)).map_err(|e| e.to_string());
    for object in &loaded.models {
        let id = register(&mut loaded.config.origins, object);
        said.extend(decode_model(object, id, &files).1);
    }
    for object in &loaded.scenarios {
        let id = register(&mut loaded.config.origins, object);
        said.extend(decode_scenario(object, id, &files).1);
    }
    (loaded, said)
}

#[test]
fn every_mesh_is_admitted_without_complaint_but_those_that_show_one() {
    for folder in folders() {
        let (loaded, said) = load_folder(&folder);
        assert_eq!(
            (loaded.models.len(), loaded.scenarios.len()),
            (1, 1),
            "{folder}"
        );
        let wrong = match folder.as_str() {
            "examples/07-circuit-breaking" => Some("consecutiveErrors"),
            "examples/22-failover-never" => Some("`outlierDetection`"),
            _ => None,
        };
        let expected =
            |d: &Diagnostic| !d.is_error() && wrong.is_some_and(|text| d.message.contains(text));
        let surprising: Vec<String> = said
            .iter()
            .filter(|d| !expected(d))
            .map(ToString::to_string)
            .collect();
        assert_eq!(surprising, [""; 0], "{folder}");
        assert_eq!(said.len(), usize::from(wrong.is_some()), "{folder}");
    }
}

#[test]
fn every_workload_of_a_model_exists_and_every_folder_says_what_it_teaches() {
    for folder in folders() {
        let (mut loaded, _) = load_folder(&folder);
        let known: Vec<String> = loaded
            .config
            .workloads
            .iter()
            .map(|w| format!("{}/{}", w.meta.namespace, w.meta.name))
            .collect();
        let object = &loaded.models[0];
        let id = register(&mut loaded.config.origins, object);
        let (model, _) = decode_model(object, id, &|_| Err(String::new()));
        for name in model.workloads.keys().chain(model.placement.keys()) {
            assert!(
                known.iter().any(|k| **k == **name),
                "{folder}: no workload {name}"
            );
        }
        let text = fs::read_to_string(root().join(&folder).join("README.md")).unwrap_or_default();
        assert!(
            text.starts_with("# ") && text.lines().count() > 10,
            "{folder}: README.md"
        );
    }
}

/// Who calls in the folder's scenario.
fn callers(folder: &str) -> Vec<String> {
    let (mut loaded, _) = load_folder(folder);
    let object = &loaded.scenarios[0];
    let id = register(&mut loaded.config.origins, object);
    let (scenario, _) = decode_scenario(object, id, &|_| Err(String::new()));
    let mut callers: Vec<String> = scenario
        .load
        .iter()
        .filter_map(|load| match &load.from {
            LoadSource::Workload { name, .. } => Some(name.to_string()),
            LoadSource::Outside { via, .. } => via.as_ref().map(ToString::to_string),
        })
        .collect();
    callers.sort();
    callers.dedup();
    callers
}

/// Approves a text under `snapshots/<folder>/<name>.snap`.
fn approve(folder: &str, name: &str, text: &str) {
    assert!(text.len() > 200, "{folder}: nothing to approve in `{text}`");
    insta::with_settings!({
        snapshot_path => root().join("snapshots").join(folder),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!(name, text);
    });
}

#[test]
fn the_tables_of_the_calling_proxies_are_those_that_were_approved() {
    for folder in folders() {
        let manifests = format!("{folder}/manifests");
        let mut shown = String::new();
        for workload in callers(&folder) {
            for table in ["listeners", "routes", "clusters", "endpoints"] {
                let args = ["proxy-config", table, "-f", &manifests, &workload];
                let _ = writeln!(shown, "# {table} of {workload}\n{}", text(&args));
            }
        }
        approve(&folder, "xds", &shown);
    }
}

#[test]
fn a_short_run_reports_what_was_approved() {
    for folder in folders() {
        let shown = text(&[
            "run",
            &folder,
            "--duration",
            "6s",
            "--warm-up",
            "1s",
            "--seed",
            "1",
            // What a scenario expects holds of its own length; `gate.rs` and `questions.rs` see to it.
            "--set",
            "Scenario:spec.expect=[]",
        ]);
        approve(&folder, "report", &shown);
    }
}
