//! `--set`: a value that is set means what it would mean in its file, in every command.

use crate::program;

const FOLDER: &str = "examples/07-circuit-breaking";
const MANIFESTS: &str = "examples/07-circuit-breaking/manifests";
const LIMIT: &str = "dr/backend-service:trafficPolicy.connectionPool.tcp.maxConnections";

#[test]
fn a_set_value_is_what_the_file_would_say() {
    let file = std::fs::read_to_string(program::root().join(MANIFESTS).join("breaker.yaml"))
        .expect("the example is there");
    assert!(file.contains("maxConnections: 100"), "{file}");
    let folder = tempfile::tempdir().expect("a folder");
    let changed = file.replace("maxConnections: 100", "maxConnections: 3");
    std::fs::write(folder.path().join("breaker.yaml"), changed).expect("written");
    let workloads = format!("{MANIFESTS}/workloads.yaml");
    let pc = [
        "proxy-config",
        "clusters",
        "production/fortio",
        "-o",
        "json",
        "-f",
        &workloads,
        "-f",
    ];
    let written = folder.path().display().to_string();
    let by_file = program::text(&[pc.as_slice(), &[&written]].concat());
    let set = format!("{LIMIT}=3");
    let by_set = program::text(&[pc.as_slice(), &[MANIFESTS, "--set", &set]].concat());
    let limit = |text: &str| {
        let lines = text.lines().filter(|line| line.contains("max_connections"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(!limit(&by_set).is_empty(), "{by_set}");
    assert_eq!(limit(&by_set), limit(&by_file));
}

#[test]
fn scenario_and_model_are_set_as_well() {
    let run = program::json(&[
        "run",
        FOLDER,
        "--set",
        "Scenario:spec.expect=null",
        "--set",
        "Scenario:duration=5s",
        "--set",
        "Scenario:load[fortio].connections=null",
        "--set",
        "Scenario:load[fortio].qps=null",
        "--set",
        "Scenario:load[0].rate=50/s",
        "--set",
        "Model:workloads.production/backend-service-v1-sick.errors=null",
        "--set",
        "deploy/backend-service-v1:spec.replicas=7",
    ]);
    let statuses = run["clients"][0]["statuses"].as_object().expect("statuses");
    assert_eq!(statuses.keys().collect::<Vec<_>>(), ["200"], "{run}");
    assert_eq!(run["durationSeconds"].as_f64(), Some(5.0), "{run}");
    assert_eq!(
        program::per_pod(&run, "production/backend-service-v1").len(),
        7
    );
}

#[test]
fn every_mistake_is_named_with_the_nearest_name_and_a_line() {
    let output = program::run(&[
        "run",
        FOLDER,
        "--set",
        "dr/backend-servic:x=1",
        "--set",
        "Model:workloads.production/backend-service-v1.serviceTme=3ms",
        "--set",
        "dr/backend-service:trafficPolciy.x=1",
        "--set",
        "deploy/backend-service-v1:spec.replcas=4",
        "--set",
        "deploy/backend-service-v1:spec.template.spec.containers[0].livenessProbe.periodSeconds=3",
        "--set",
        "dr/backend-service:trafficPolicy.connectionPool.tcp.maxConnections=abc",
    ]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    insta::with_settings!({snapshot_path => program::root().join("snapshots/set"), prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!("mistakes", said);
    });
}

#[test]
fn what_is_no_path_is_a_mistake_of_the_command_line() {
    let output = program::run(&["run", FOLDER, "--set", "maxConnections=3"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("no object is named"), "{said}");
    assert!(said.contains("write for example"), "{said}");
}
