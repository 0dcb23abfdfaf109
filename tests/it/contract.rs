//! The JSON that other tools build on, word for word, and the documents it is asked with.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::program;

const MESH: &str = "\
apiVersion: v1
kind: Service
metadata: {name: product-service, namespace: production}
spec: {selector: {app: product}, ports: [{name: http, port: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: production}
spec: {selector: {app: reviews}, ports: [{name: http, port: 9080}]}
---
apiVersion: v1
kind: Service
metadata: {name: empty, namespace: production}
spec: {selector: {app: nobody}, ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: product, namespace: production}
spec:
  hosts: [product-service]
  http:
  - match: [{headers: {user-group: {exact: beta-testers}}}]
    route: [{destination: {host: product-service, subset: v2}}]
  - route: [{destination: {host: product-service, subset: v1}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: product, namespace: production}
spec:
  host: product-service
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
";

/// A Deployment.
fn deployment(name: &str, labels: &str) -> String {
    format!(
        "---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: production}}
spec: {{replicas: 1, selector: {{matchLabels: {labels}}}, template: {{metadata: {{labels: {labels}}}}}}}
"
    )
}

fn mesh() -> String {
    let workloads = [
        deployment("product-service-v1", "{app: product, version: v1}"),
        deployment("product-service-v2", "{app: product, version: v2}"),
        deployment("reviews", "{app: reviews}"),
        deployment("curl", "{app: curl}"),
    ];
    MESH.to_owned() + &workloads.concat()
}

/// The two documents as the project first described them.
const MODEL: &str = "\
apiVersion: towtank/v1alpha1
kind: Model
metadata: {name: shop}
spec:
  network: {sameZone: 0.25ms, sameRegion: 1ms, betweenRegions: 35ms}   # or a distribution each; pairs override
  workloads:
    production/product-service-v1:
      concurrency: 16               # requests one pod serves at once
      queue: 128                    # waiting beyond that; then 503
      serviceTime: {lognormal: {median: 12ms, p99: 80ms}}
      errors: [{status: 500, rate: 0.1%}]
      calls:                        # after the own work; steps run in order, `parallel` at once
      - http://reviews:9080/reviews
";
const SCENARIO: &str = "\
apiVersion: towtank/v1alpha1
kind: Scenario
metadata: {name: canary}
spec:
  manifests: [manifests/]
  model: model.yaml
  duration: 60s
  warmUp: 5s
  seed: 1
  load:
  - name: shoppers
    from: production/curl           # a workload, a gateway, or an outside client with a locality
    url: http://product-service:8080/version
    rate: 200/s                     # open loop, Poisson; or `connections: 5` (closed loop, as fortio -c 5 -qps 0), with `requests: 100` to stop
    mix: [{weight: 9}, {weight: 1, headers: {user-group: beta-testers}}]
";

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("manifests")).unwrap();
    fs::write(dir.path().join("manifests/mesh.yaml"), mesh()).unwrap();
    fs::write(dir.path().join("model.yaml"), MODEL).unwrap();
    fs::write(dir.path().join("scenario.yaml"), SCENARIO).unwrap();
    dir
}

fn at(dir: &Path, below: &str) -> String {
    dir.join(below).display().to_string()
}

/// Keys of an object, in the order printed.
fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect()
}

fn has_keys(value: &Value, wanted: &[&str]) {
    let keys = keys(value);
    for key in wanted {
        assert!(keys.contains(key), "no `{key}` among {keys:?}");
    }
}

#[test]
fn the_documents_of_the_first_description_run_as_written() {
    let dir = folder();
    let run = program::json(&["run", &at(dir.path(), ""), "--duration", "20s"]);
    let shoppers = &run["clients"][0];
    assert_eq!(shoppers["name"], "shoppers");
    assert_eq!((&run["seed"], &run["replications"]), (&1.into(), &1.into()));
    assert_eq!(run["warmUpSeconds"], 5.0);
    let requests = shoppers["requests"].as_f64().unwrap();
    assert!(
        (2_700.0..3_300.0).contains(&requests),
        "200/s for 15 s: {requests}"
    );
    let v2 = program::per_pod(&run, "production/product-service-v2")[0] as f64;
    assert!(
        (0.07..0.13).contains(&(v2 / requests)),
        "a tenth are beta testers: {v2}"
    );
    let reviews = program::per_pod(&run, "production/reviews")[0];
    assert!(reviews > 2_000, "v1 calls reviews: {reviews}");
    assert!(
        shoppers["latencyMs"]["p50"].as_f64() > Some(12.0),
        "{}",
        shoppers["latencyMs"]
    );
}

#[test]
fn both_documents_may_stand_in_one_file() {
    let dir = folder();
    let both = format!(
        "{MODEL}---\n{}",
        SCENARIO.replace("  model: model.yaml\n", "")
    );
    fs::write(dir.path().join("both.yaml"), both).unwrap();
    let digest = |file: &str| {
        let run = program::json(&["run", &at(dir.path(), file), "--duration", "6s"]);
        run["digest"].as_str().unwrap().to_owned()
    };
    assert_eq!(digest("both.yaml"), digest("scenario.yaml"));
}

#[test]
fn run_keeps_its_contract() {
    let dir = folder();
    let run = program::json(&["run", &at(dir.path(), ""), "--duration", "8s"]);
    let top = [
        "schema",
        "seed",
        "replications",
        "digest",
        "clients",
        "clusters",
        "endpoints",
        "assumed",
        "warnings",
        "series",
    ];
    has_keys(&run, &top);
    assert_eq!(run["schema"], "towtank.run/v1");
    assert!(run["seed"].is_u64() && run["replications"].is_u64());
    assert_eq!(run["digest"].as_str().unwrap().len(), 16);
    let client = &run["clients"][0];
    has_keys(
        client,
        &[
            "name",
            "requests",
            "statuses",
            "flags",
            "attempts",
            "latencyMs",
        ],
    );
    has_keys(&client["latencyMs"], &["p50", "p90", "p99", "max", "mean"]);
    let sum = |map: &str| {
        let counts = client[map].as_object().unwrap().values();
        counts.map(|n| n.as_u64().expect("a count")).sum::<u64>()
    };
    for map in ["statuses", "flags", "attempts"] {
        assert_eq!(
            Some(sum(map)),
            client["requests"].as_u64(),
            "{map} counts every request"
        );
    }
    assert!(
        client["flags"]["-"].as_u64() > Some(0),
        "`-` is no flag: {}",
        client["flags"]
    );
    assert!(client["statuses"]["200"].as_u64() > Some(0));
    let cluster = &run["clusters"][0];
    has_keys(cluster, &["workload", "cluster", "stats"]);
    assert!(
        cluster["stats"]
            .as_object()
            .unwrap()
            .values()
            .all(Value::is_number)
    );
    has_keys(&run["endpoints"][0], &["workload", "pod", "requests"]);
    for list in ["assumed", "warnings"] {
        assert!(
            run[list].as_array().unwrap().iter().all(Value::is_string),
            "{list}"
        );
    }
}

#[test]
fn what_is_absent_is_null_and_not_left_out() {
    let dir = folder();
    let run = program::json(&[
        "run",
        "-f",
        &at(dir.path(), "manifests"),
        "--to",
        "http://reviews:9080/",
        "--rate",
        "0.001",
        "--duration",
        "1ms",
    ]);
    let client = &run["clients"][0];
    assert_eq!(client["requests"], 0);
    assert!(keys(client).contains(&"latencyMs") && client["latencyMs"].is_null());
    let manifests = at(dir.path(), "manifests");
    let curl = program::json(&["curl", "-f", &manifests, "http://empty/"]);
    let outcome = &curl["outcomes"][0];
    assert!(
        keys(outcome).contains(&"workload") && outcome["workload"].is_null(),
        "{outcome}"
    );
    assert_eq!(
        (&outcome["status"], &outcome["flags"]),
        (&503.into(), &"UH".into())
    );
}

#[test]
fn curl_keeps_its_contract() {
    let dir = folder();
    let manifests = at(dir.path(), "manifests");
    let url = "http://product-service:8080/version";
    let curl = program::json(&["curl", "-f", &manifests, "--repeat", "20", url]);
    assert_eq!(curl["requests"], 20);
    assert_eq!(program::count(&curl, |_| true), 20);
    let outcome = &curl["outcomes"][0];
    let contract = [
        "count",
        "status",
        "flags",
        "details",
        "cluster",
        "workload",
        "path",
        "durationMs",
    ];
    has_keys(outcome, &contract);
    assert_eq!(outcome["status"], 200);
    assert_eq!(outcome["flags"], "-");
    assert_eq!(outcome["details"], "via_upstream");
    assert_eq!(
        outcome["cluster"],
        "outbound|8080|v1|product-service.production.svc.cluster.local"
    );
    assert_eq!(outcome["workload"], "production/product-service-v1");
    assert_eq!(outcome["path"], "/version");
    assert!(outcome["durationMs"].is_number());
}

#[test]
fn a_client_without_sidecar_gets_what_kubernetes_alone_gives() {
    let dir = folder();
    let manifests = at(dir.path(), "manifests");
    let header = "user-group: beta-testers";
    let url = "http://product-service.production:8080/version";
    let args = [
        "curl", "-f", &manifests, "-H", header, "--repeat", "60", url,
    ];
    let injected = program::json(&args);
    let v2 = |o: &Value| o["workload"] == "production/product-service-v2";
    assert_eq!(
        program::count(&injected, v2),
        60,
        "the VirtualService sends them to v2"
    );
    let mut outside = args.to_vec();
    outside.extend(["--from", "outside"]);
    let outside = program::json(&outside);
    let to_v2 = program::count(&outside, v2);
    assert!(
        (15..=45).contains(&to_v2),
        "any of the two pods, not the rule: {to_v2}"
    );
}

#[test]
fn the_client_that_is_made_stands_in_the_namespace_of_n_and_is_assumed() {
    let dir = folder();
    let manifests = at(dir.path(), "manifests");
    let assumed = |report: &Value| report["assumed"].to_string();
    let curl = program::json(&[
        "curl",
        "-f",
        &manifests,
        "-n",
        "visitors",
        "http://reviews.production:9080/",
    ]);
    assert!(
        assumed(&curl).contains("injected client `visitors/towtank-client`"),
        "{curl}"
    );
    assert!(assumed(&curl).contains("no Namespace object for"), "{curl}");
    let load = program::json(&[
        "load",
        "-f",
        &manifests,
        "--namespace",
        "visitors",
        "-c",
        "2",
        "--qps",
        "0",
        "-n",
        "10",
        "http://reviews.production:9080/",
    ]);
    assert_eq!(load["clients"][0]["requests"], 10);
    assert_eq!(load["clients"][0]["from"], "visitors/towtank-client");
}

#[test]
fn terminals_get_colour_and_pipes_do_not() {
    let dir = folder();
    let manifests = at(dir.path(), "manifests");
    let run = |more: &[&str], no_color: bool| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_towtank"));
        command
            .args(["curl", "-f", &manifests, "--from", "nobody", "http://x/"])
            .args(more);
        if no_color {
            command.env("NO_COLOR", "1");
        }
        String::from_utf8(command.output().unwrap().stderr).unwrap()
    };
    assert!(!run(&[], false).contains('\u{1b}'));
    assert!(!run(&["--color", "never"], false).contains('\u{1b}'));
    assert!(run(&["--color", "always"], false).contains('\u{1b}'));
    assert!(!run(&[], true).contains('\u{1b}'));
}

#[test]
fn one_definition_gives_help_man_page_and_completions() {
    let man = program::text(&["man"]);
    let names = [
        "run",
        "curl",
        "load",
        "explain",
        "capacity",
        "proxy-config",
        "bench",
        "schema",
        "completions",
        "man",
    ];
    for name in names {
        let help = program::text(&["help", name]);
        assert!(help.contains(&format!("Usage: towtank {name}")), "{help}");
        assert!(man.contains(name), "the man page has {name}");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = program::text(&["completions", shell]);
        assert!(script.contains("replications"), "{shell}");
    }
    let version = program::text(&["--version"]);
    assert_eq!(
        version.trim(),
        format!("towtank {}", env!("CARGO_PKG_VERSION"))
    );
    for of in [
        "model", "scenario", "run", "curl", "explain", "capacity", "analyze",
    ] {
        let schema: Value = serde_json::from_str(&program::text(&["schema", of])).unwrap();
        assert!(schema["$schema"].is_string(), "{of}");
    }
}
