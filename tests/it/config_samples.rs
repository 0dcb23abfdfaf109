//! Manifests as Istio ships them all load.

use towtank::config::{LoadOptions, load};
use towtank::diagnostic::{Class, Diagnostic};

use crate::shared::{shared, source, yaml_files};

fn check(folder: &str, allowed: fn(&Diagnostic) -> bool) {
    let Some(folder) = shared(folder) else {
        return;
    };
    let files = yaml_files(&folder);
    assert!(files.len() > 20, "{} files", files.len());
    for file in files {
        let loaded = load(vec![source(&file)], &LoadOptions::default());
        let surprising: Vec<String> = loaded
            .diagnostics
            .iter()
            .filter(|d| !allowed(d))
            .map(ToString::to_string)
            .collect();
        assert_eq!(surprising, [""; 0], "{}", file.display());
    }
}

#[test]
fn every_sample_loads_and_is_accepted() {
    // One of them has a rule that is never reached, and says so.
    check("data/istio-samples", |d| !d.is_error());
}

#[test]
fn every_analyzer_input_is_readable() {
    check("data/analyzers", |d| d.class != Class::Syntax);
}
