//! `capacity` against queueing theory, and what it says to people and tools.

use std::fs;

use serde_json::Value;

use crate::program;

/// One service behind a client without a proxy of its own; `LIMITS` and `LOAD` are its model and load.
const MESH: &str = "
apiVersion: v1
kind: Service
metadata: {name: api, namespace: t}
spec: {selector: {app: api}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: api, namespace: t}
spec: {replicas: 1, selector: {matchLabels: {app: api}}, template: {metadata: {labels: {app: api, sidecar.istio.io/inject: \"false\"}}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: t}
spec: {replicas: 2, selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web, sidecar.istio.io/inject: \"false\"}}}}
---
apiVersion: towtank/v1alpha1
kind: Model
metadata: {name: t}
spec:
  network: {sameZone: 0s, sameRegion: 0s, betweenRegions: 0s}
  placement: {t/api: [r/a, r/b], t/web: [r/a, r/b]}
  workloads: {t/api: {LIMITS}}
---
apiVersion: towtank/v1alpha1
kind: Scenario
metadata: {name: t}
spec: {duration: 400s, warmUp: 20s, load: [{name: l, from: t/web, url: 'http://api/', LOAD}], expect: [EXPECT]}
";

/// A folder with that mesh.
fn mesh(limits: &str, load: &str, expect: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("scenario.yaml");
    let text = (MESH.replace("LIMITS", limits))
        .replace("LOAD", load)
        .replace("EXPECT", expect);
    fs::write(&file, text).expect("written");
    let path = file.display().to_string();
    (folder, path)
}

fn rate_at(found: &Value, factor: &Value) -> f64 {
    let points = found["points"].as_array().expect("points");
    let point = points.iter().find(|p| p["factor"] == *factor);
    point.expect("it was tried")["requestsPerSecond"]
        .as_f64()
        .expect("a number")
}

#[test]
fn the_load_that_a_single_server_carries_is_that_of_the_formula() {
    // M/M/1: the 99th percentile of the time in system is ln(100) / (mu - lambda). With 100 per
    // second served and 60 offered that is 115 ms.
    let limits = "concurrency: 1, queue: 10000, serviceTime: {exponential: 10ms}";
    let (_folder, path) = mesh(limits, "rate: 30/s", "'p99(latency) < 115.13ms'");
    let found = program::json(&["capacity", &path, "--replications", "8", "--precision", "8"]);
    let (holds, breaks) = (
        rate_at(&found, &found["holdsAt"]),
        rate_at(&found, &found["breaksAt"]),
    );
    assert!(holds < 60.5 && breaks > 59.5, "{holds} to {breaks}");
    assert!(breaks / holds < 1.16, "{holds} to {breaks}");
    let first = found["bottleneck"][0].as_str().expect("a sentence");
    assert!(
        first.starts_with("t/api") && first.contains("is busiest"),
        "{first}"
    );
}

/// M/M/1 with 100 per second and a mean time below 40 ms: S / (1 - 0.1 S) = 40 at S = 8 ms.
#[test]
fn the_value_at_which_it_tips_is_that_of_the_formula() {
    let limits = "concurrency: 1, queue: 10000, serviceTime: {exponential: 5ms}";
    let (_folder, path) = mesh(limits, "rate: 100/s", "'mean(latency) < 40ms'");
    let range = "Model:spec.workloads.t/api.serviceTime.exponential=1ms..20ms";
    let found = program::json(&["capacity", &path, "--along", range, "--replications", "8"]);
    let end = |name: &str| found[name].as_f64().expect("a number");
    let (holds, breaks) = (end("holdsAt"), end("breaksAt"));
    assert!(holds < 8.1 && breaks > 7.9, "{holds} to {breaks}");
    assert!(breaks / holds < 1.12, "{holds} to {breaks}");
    assert_eq!(found["changesAgain"], false);
    let texts: Vec<&str> = (found["points"].as_array().expect("points").iter())
        .filter_map(|p| p["value"].as_str())
        .collect();
    assert_eq!(texts[..2], ["1ms", "20ms"], "the ends first");
}

/// What holds everywhere between the ends, or nowhere, is said so.
#[test]
fn a_value_without_a_cliff_is_told_as_such() {
    let limits = "concurrency: 8, queue: 100, serviceTime: 5ms";
    let (_folder, path) = mesh(limits, "rate: 10/s", "'error_rate < 1%'");
    let range = "Model:spec.workloads.t/api.concurrency=2..64";
    let args = [
        "capacity",
        &path,
        "--along",
        range,
        "--duration",
        "40s",
        "--replications",
        "2",
    ];
    let said = program::text(&args).replace('\n', " ");
    let sentence = "at each of the 5 values that were tried, from 2 to 64.";
    assert!(said.contains(sentence), "{said}");
}

#[test]
fn a_target_is_for_loads_and_a_path_has_to_lead_somewhere() {
    let limits = "concurrency: 8, queue: 100, serviceTime: 5ms";
    let (_folder, path) = mesh(limits, "rate: 10/s", "'error_rate < 1%'");
    let refused = |along: &str, more: &[&str], code: i32, part: &str| {
        let mut args = vec!["capacity", path.as_str(), "--along", along];
        args.extend(more);
        let said = program::fails(&args, code);
        assert!(said.contains(part), "{said}");
    };
    let range = "Model:spec.workloads.t/api.concurrency=2..64";
    refused(
        range,
        &["--target", "2x"],
        2,
        "leave it out, or `--along Model:",
    );
    refused(
        "Model:spec.workloads.t/api.concurency=2..64",
        &[],
        1,
        "concurency",
    );
    refused("lod", &[], 2, "did you mean `load`?");
}

#[test]
fn replicas_are_as_many_as_the_work_needs_with_a_zone_to_lose() {
    // 100 requests per second of 50 ms each are five busy places: seven pods are below 80 %, six
    // are not. Pods stand in two zones in turn: 14 leave seven whichever zone goes.
    let limits = "concurrency: 1, queue: 1000, serviceTime: 50ms";
    let (_folder, path) = mesh(
        limits,
        "rate: 50/s, arrivals: constant",
        "'utilisation(t/api) < 80%'",
    );
    let arguments = [
        "capacity",
        &path,
        "--target",
        "2x",
        "--duration",
        "60s",
        "--replications",
        "2",
    ];
    let found = program::json(&arguments);
    let plan = &found["plan"];
    assert_eq!(plan["zones"], serde_json::json!(["r/a", "r/b"]));
    let api = &plan["workloads"][0];
    assert_eq!(api["workload"], "t/api", "clients are not counted");
    assert_eq!((&api["now"], &api["needed"]), (&1.into(), &7.into()));
    assert_eq!(api["withoutAZone"], 14);
    // The same with other threads.
    let one = [&arguments[..], &["--threads", "1"]].concat();
    assert_eq!(program::json(&one), found);
}

/// One pod has enough places, and none is left when its zone goes; two stand in two zones.
#[test]
fn one_pod_is_enough_and_two_are_with_a_zone_to_lose() {
    let limits = "concurrency: 1, queue: 1000, serviceTime: 5ms";
    let (_folder, path) = mesh(limits, "rate: 20/s", "'error_rate < 1%'");
    let short = ["--duration", "40s", "--replications", "2"];
    let target = ["--target", "1x", "--set", "deploy/api:spec.replicas=4"];
    let found = program::json(&[&["capacity", &path], &short[..], &target].concat());
    let api = &found["plan"]["workloads"][0];
    assert_eq!((&api["now"], &api["needed"]), (&4.into(), &1.into()));
    assert_eq!(api["withoutAZone"], 2);
    assert!(found["plan"]["unmet"].is_null());
}

/// Where all pods stand in one zone, more of them do not help when it goes: which zone, what is
/// broken and how far the search went is said.
#[test]
fn why_no_number_of_pods_holds_without_a_zone_is_said() {
    let limits = "concurrency: 1, queue: 1000, serviceTime: 5ms";
    let (_folder, path) = mesh(limits, "rate: 20/s", "'error_rate < 1%'");
    let arguments = [
        "capacity",
        &path,
        "--duration",
        "40s",
        "--replications",
        "2",
        "--target",
        "1x",
        "--set",
        "Model:spec.placement.t/api=[r/a]",
    ];
    let text = program::text(&arguments).replace("\n ", "");
    assert!(text.contains("No number of pods that was tried holds without r/a."));
    let end = "The search ended with 2 pods of t/api: `error_rate < 1%` is broken: 100 %";
    assert!(text.contains(end), "{text}");
    let found = program::json(&arguments);
    let unmet = &found["plan"]["unmet"];
    assert_eq!(unmet["zone"], "r/a");
    assert_eq!(unmet["pods"]["t/api"], 2);
    assert_eq!(unmet["expectation"]["verdict"], "fail");
}

#[test]
fn what_does_not_hold_at_any_load_is_said() {
    let limits = "concurrency: 10, serviceTime: 5ms, errors: [{status: 500, rate: 30%}]";
    let (_folder, path) = mesh(limits, "rate: 20/s", "'error_rate < 1%'");
    let text = program::text(&["capacity", &path, "--duration", "100s"]);
    assert!(text.starts_with("t does not hold: even at "), "{text}");
    let (_folder, path) = mesh(limits, "rate: 20/s", "'error_rate < 90%'");
    let flags = [
        "capacity",
        &path,
        "--duration",
        "30s",
        "--expect",
        "utilisation(t/api) <= 100%",
    ];
    let text = program::text(&flags);
    assert!(
        text.starts_with("t holds at every load that was tried"),
        "{text}"
    );
}

#[test]
fn a_slower_application_is_a_cliff_as_well() {
    let limits = "concurrency: 1, queue: 100, serviceTime: 10ms";
    let (_folder, path) = mesh(
        limits,
        "rate: 50/s, arrivals: constant",
        "'error_rate < 1%'",
    );
    let arguments = [
        "capacity",
        &path,
        "--along",
        "service-time",
        "--duration",
        "120s",
    ];
    let found = program::json(&arguments);
    // Half of its time is taken: twice as slow is the end, the queue of 100 hides a little more.
    let (holds, breaks) = (found["holdsAt"].as_f64(), found["breaksAt"].as_f64());
    assert!(
        holds >= Some(1.9) && breaks <= Some(2.2),
        "{holds:?} {breaks:?}"
    );
}

#[test]
fn mistakes_are_said_before_anything_runs() {
    let (_folder, path) = mesh("concurrency: 1", "rate: 20/s", "");
    let said = program::fails(&["capacity", &path, "--expect", "p98(latency) < 1s"], 2);
    assert!(said.contains("--expect `p98(latency) < 1s`"), "{said}");
    let said = program::fails(&["capacity", &path, "--target", "fast"], 2);
    assert!(said.contains("fast"), "{said}");
    let said = program::fails(
        &["capacity", &path, "--expect", "utilisation(t/apu) < 1%"],
        1,
    );
    assert!(said.contains("t/api"), "{said}");
}

#[test]
fn the_table_has_a_row_per_load_in_its_order() {
    let (_folder, path) = mesh(
        "concurrency: 1, serviceTime: 10ms",
        "rate: 20/s",
        "'error_rate < 1%'",
    );
    let table = program::text(&["capacity", &path, "--duration", "60s", "-o", "csv"]);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(
        lines[0],
        "factor,requests_per_s,failed_share,replications,verdict,busiest,utilisation,broken,value"
    );
    let factors: Vec<f64> = (lines[1..].iter())
        .map(|line| {
            line.split(',')
                .next()
                .expect("a cell")
                .parse()
                .expect("a number")
        })
        .collect();
    assert!(factors.len() > 4 && factors.is_sorted(), "{factors:?}");
}

#[test]
fn a_gateways_proxies_send_the_copies_of_its_mirrors_too() {
    let scenario = "examples/21-gateway-failover";
    let copies = "vs/api:http[0].mirror={host: api.shop.svc.cluster.local, port: {number: 8080}}";
    let sent = |sets: &[&str]| {
        let calm = [
            "--set",
            "Scenario:events=null",
            "--expect",
            "error_rate < 1%",
        ];
        let short = ["--duration", "4s", "--target", "1x"];
        let found =
            program::json(&[&["capacity", scenario], calm.as_slice(), &short, sets].concat());
        let sidecars = found["plan"]["sidecars"].as_array().expect("sidecars");
        let own = (sidecars.iter()).find(|s| s["workload"] == "istio-ingress/ingress-gateway");
        let own = own.expect("the gateway");
        let number = |field: &str| own[field].as_f64().expect("a number");
        number("pods") * number("requestsPerSecond")
    };
    let (without, with) = (sent(&[]), sent(&["--set", copies]));
    assert!((180.0..220.0).contains(&without), "{without}");
    assert!((1.9..2.1).contains(&(with / without)), "{with} / {without}");
}
