//! `towtank export envoy`: real Envoy accepts every bootstrap of every mesh in this repository.

use std::fs;
use std::path::{Path, PathBuf};

use towtank::config::load::{LoadOptions, load};
use towtank::control_plane::compile;
use towtank::export::{Endpoints, bootstrap};
use towtank::manifest::Source;
use towtank::xds::{ProxyKind, Snapshot};

/// All meshes in `examples/` and `models/`.
fn meshes() -> Vec<(PathBuf, Snapshot)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for parent in ["examples", "models"] {
        let entries = fs::read_dir(root.join(parent)).expect("the folder is there");
        let mut folders: Vec<PathBuf> = entries
            .map(|e| e.expect("readable").path().join("manifests"))
            .filter(|path| path.is_dir())
            .collect();
        folders.sort();
        found.extend(folders.into_iter().map(|folder| {
            let snapshot = compiled(&folder);
            (folder, snapshot)
        }));
    }
    assert!(found.len() > 8, "the meshes were found");
    found
}

fn compiled(folder: &Path) -> Snapshot {
    let entries = fs::read_dir(folder).expect("the folder is there");
    let mut files: Vec<PathBuf> = entries.map(|e| e.expect("readable").path()).collect();
    files.sort();
    let yaml = |path: &PathBuf| path.extension().is_some_and(|e| e == "yaml");
    let sources = files.iter().filter(|path| yaml(path)).map(|path| {
        let text = fs::read_to_string(path).expect("readable");
        Source::new(path.to_string_lossy(), text)
    });
    compile(&load(sources.collect(), &LoadOptions::default()).config)
}

#[test]
fn every_proxy_of_every_mesh_is_exported() {
    let mut proxies = 0;
    for (folder, snapshot) in meshes() {
        for (id, workload) in snapshot.workloads.iter_ids() {
            let export = bootstrap(&snapshot, id, None, None);
            let has_proxy = workload.proxy != ProxyKind::None;
            let name = workload.full_name();
            assert_eq!(
                export.refused.is_empty(),
                has_proxy,
                "{} {name}: {:?}",
                folder.display(),
                export.refused
            );
            proxies += usize::from(has_proxy);
        }
    }
    assert!(proxies > 20, "{proxies}");
}

#[test]
fn envoy_accepts_every_bootstrap() {
    let Some(binary) = crate::envoy_or_skip("envoy accepts every bootstrap") else {
        return;
    };
    let _alone = crate::alone();
    let certificates = tempfile::tempdir().expect("a temporary folder");
    crate::certificates::write(certificates.path());
    let certificates = certificates.path().to_string_lossy();
    let mut refused = Vec::new();
    for (folder, snapshot) in meshes() {
        let mut seen = Vec::new();
        for (id, workload) in snapshot.workloads.iter_ids() {
            // Proxies of one class have the same tables.
            let Some(tables) = workload.tables.filter(|t| !seen.contains(t)) else {
                continue;
            };
            seen.push(tables);
            let here = Endpoints::default();
            for (endpoints, certificates) in [
                (None, None),
                (Some(&here), None),
                (None, Some(&*certificates)),
                (Some(&here), Some(&*certificates)),
            ] {
                let export = bootstrap(&snapshot, id, endpoints, certificates);
                if let Err(said) = crate::envoy::validate(&binary, &export.bootstrap) {
                    let name = workload.full_name();
                    refused.push(format!("{} {name}: {said}", folder.display()));
                }
            }
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn the_map_puts_endpoints_on_this_machine_and_names_what_it_misses() {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/03-traffic-splitting/manifests");
    let snapshot = compiled(&folder);
    let client = snapshot.workload_named("production", "curl");
    let map = [
        ("production/product-service-v2-0", "127.0.0.1:9201"),
        ("listener/0.0.0.0_8080", "127.0.0.1:18080"),
        ("production/nobody-0", "127.0.0.1:9202"),
    ];
    let map = map.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let endpoints = Endpoints::new(map.into()).expect("the map is right");
    let export = bootstrap(
        &snapshot,
        client.expect("it is there"),
        Some(&endpoints),
        None,
    );
    let text = export.bootstrap.to_string();
    assert!(text.contains(r#""port_value":9201"#), "{text}");
    assert!(text.contains(r#""port_value":18080"#), "{text}");
    assert!(!text.contains("virtualOutbound"), "nothing is redirected");
    let said = export.warnings.join("\n");
    assert!(
        said.contains("`production/nobody-0` of the endpoints map fits no endpoint"),
        "{said}"
    );
    assert!(said.contains("it stays as it is"), "{said}");
}

/// Envoy says whether a bootstrap can be read; whether it says the right thing is for eyes.
#[test]
fn the_bootstrap_of_a_client_with_every_policy_is_the_approved_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for example in [
        "06-fault-injection",
        "08-timeouts-retries",
        "10-load-balancing",
    ] {
        let snapshot = compiled(&root.join(format!("examples/{example}/manifests")));
        let client = snapshot.workload_named("production", "curl");
        let export = bootstrap(&snapshot, client.expect("it is there"), None, None);
        let mut text = serde_yaml::to_string(&export.bootstrap).expect("plain data");
        for warning in &export.warnings {
            text.push_str(&format!("# {warning}\n"));
        }
        insta::with_settings!({
            snapshot_path => root.join("snapshots/export"),
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            insta::assert_snapshot!(example, text);
        });
    }
}

#[test]
fn an_entry_that_is_no_address_is_refused() {
    for wrong in ["localhost:80", "127.0.0.1", "127.0.0.1:99999", ""] {
        let map = [("a/b".to_owned(), wrong.to_owned())];
        let said = Endpoints::new(map.into()).expect_err(wrong);
        assert!(said.contains("127.0.0.1:9101"), "{said}");
    }
}
