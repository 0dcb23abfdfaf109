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

/// Rules of a VirtualService, and traffic policies, that somebody may write by mistake.
const MISTAKES: &[(&str, &str)] = &[
    ("no action", "{name: nothing}"),
    (
        "a broken expression",
        "{match: [{uri: {regex: \"/(\"}}], route: [{destination: {host: web}}]}",
    ),
    (
        "a broken expression for a header",
        "{match: [{headers: {x: {regex: \"[\"}}}], route: [{destination: {host: web}}]}",
    ),
    (
        "a broken expression for a rewrite",
        "{rewrite: {uriRegexRewrite: {match: \"(\", rewrite: /x}}, route: [{destination: {host: web}}]}",
    ),
    (
        "a group that is not there",
        "{rewrite: {uriRegexRewrite: {match: \"/a\", rewrite: \"/\\\\3\"}}, route: [{destination: {host: web}}]}",
    ),
    (
        "no weight at all",
        "{route: [{destination: {host: web}, weight: 0}]}",
    ),
    (
        "a name with a space",
        "{headers: {request: {set: {\"x y\": a}}}, route: [{destination: {host: web}}]}",
    ),
    (
        "a pseudo header",
        "{headers: {request: {set: {\":path\": /a}}}, route: [{destination: {host: web}}]}",
    ),
    (
        "removing the host",
        "{headers: {request: {remove: [host]}}, route: [{destination: {host: web}}]}",
    ),
    (
        "a redirect that is none",
        "{redirect: {uri: /a, redirectCode: 200}}",
    ),
    (
        "an answer without a status",
        "{directResponse: {status: 42}}",
    ),
    (
        "more than everything mirrored",
        "{mirror: {host: web}, mirrorPercentage: {value: 150}, route: [{destination: {host: web}}]}",
    ),
    (
        "a negative timeout",
        "{timeout: -1s, route: [{destination: {host: web}}]}",
    ),
    (
        "a word nobody knows",
        "{retries: {attempts: 1, retryOn: whatever}, route: [{destination: {host: web}}]}",
    ),
    (
        "an abort without a status",
        "{fault: {abort: {percentage: {value: 10}}}, route: [{destination: {host: web}}]}",
    ),
    (
        "an abort with status 1000",
        "{fault: {abort: {httpStatus: 1000, percentage: {value: 10}}}, route: [{destination: {host: web}}]}",
    ),
    (
        "an empty exact path",
        "{match: [{uri: {exact: \"\"}}], route: [{destination: {host: web}}]}",
    ),
    (
        "an empty prefix",
        "{match: [{uri: {prefix: \"\"}}], route: [{destination: {host: web}}]}",
    ),
    (
        "a header without a name",
        "{match: [{headers: {\"\": {exact: a}}}], route: [{destination: {host: web}}]}",
    ),
    (
        "a header with a line break",
        "{headers: {request: {set: {x: \"a\\nb\"}}}, route: [{destination: {host: web}}]}",
    ),
    (
        "a rewritten path with a line break",
        "{rewrite: {uri: \"/a\\nb\"}, route: [{destination: {host: web}}]}",
    ),
    (
        "a rewritten host with a line break",
        "{rewrite: {authority: \"a\\nb\"}, route: [{destination: {host: web}}]}",
    ),
];
const WRONG_POLICIES: &[(&str, &str)] = &[
    (
        "a table size that is not prime",
        "{loadBalancer: {consistentHash: {httpHeaderName: x, maglev: {tableSize: 65536}}}}",
    ),
    (
        "a ring without end",
        "{loadBalancer: {consistentHash: {httpHeaderName: x, ringHash: {minimumRingSize: 99999999}}}}",
    ),
    (
        "a cookie without a name",
        "{loadBalancer: {consistentHash: {httpCookie: {ttl: 1s}}}}",
    ),
    (
        "more than all ejected",
        "{outlierDetection: {maxEjectionPercent: 200}}",
    ),
    ("no interval", "{outlierDetection: {interval: 0s}}"),
    (
        "no time to connect",
        "{connectionPool: {tcp: {connectTimeout: 0s}}}",
    ),
    (
        "a negative number of connections",
        "{connectionPool: {tcp: {maxConnections: -1}}}",
    ),
    (
        "streams without end",
        "{connectionPool: {http: {maxConcurrentStreams: 2147483647, h2UpgradePolicy: UPGRADE}}}",
    ),
    (
        "a warm-up that begins above 100 %",
        "{loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 10s, minimumPercent: 150}}}",
    ),
    (
        "an aggression below 1",
        "{loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 10s, aggression: 0.5}}}",
    ),
];

/// What becomes of a mistake: refused with its line, or a bootstrap for Envoy to judge.
fn written_by_mistake(document: &str) -> Result<serde_json::Value, String> {
    const MESH: &str = "\
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: lab}, spec: {selector: {app: web}, ports: [{name: http, port: 80}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: lab, labels: {app: web}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: client, namespace: lab, labels: {sidecar.istio.io/inject: \"true\"}}}
---
";
    let source = Source::new("mistake.yaml", format!("{MESH}{document}"));
    let loaded = load(vec![source], &LoadOptions::default());
    if let Some(error) = loaded.diagnostics.iter().find(|d| d.is_error()) {
        return Err(error.to_string());
    }
    let snapshot = compile(&loaded.config);
    let client = snapshot.workload_named("lab", "client").expect("there");
    let export = bootstrap(&snapshot, client, None, None);
    match export.refused.first() {
        Some(said) => Err(said.clone()),
        None => Ok(export.bootstrap),
    }
}

/// Either the mistake is told with its line, or it is none to Envoy.
#[test]
fn mistakes_are_refused_with_their_line_before_envoy_sees_them() {
    let rules = MISTAKES.iter().map(|(what, rule)| {
        let text = format!("{{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {{name: v, namespace: lab}}, spec: {{hosts: [web], http: [{rule}]}}}}");
        (*what, text)
    });
    let policies = WRONG_POLICIES.iter().map(|(what, policy)| {
        let text = format!("{{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {{name: d, namespace: lab}}, spec: {{host: web, trafficPolicy: {policy}}}}}");
        (*what, text)
    });
    let binary = crate::envoy::binary();
    let _alone = crate::alone();
    let mut wrong = Vec::new();
    let mut refused = 0;
    for (what, text) in rules.chain(policies) {
        match written_by_mistake(&text) {
            Err(said) if said.contains("mistake.yaml:7") => refused += 1,
            Err(said) => wrong.push(format!("{what}: without its line: {said}")),
            Ok(bootstrap) => {
                let judged = binary
                    .as_ref()
                    .map(|b| crate::envoy::validate(b, &bootstrap));
                if let Some(Err(said)) = judged {
                    wrong.push(format!("{what}: Envoy refuses what was exported: {said}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(refused > 15, "{refused}");
}
