//! What a run says of slips of the pen that are no errors, and of more work than it may hold.

use std::process::Command;

use serde_json::Value;

use crate::program::root;
use crate::tank::{Tank, mesh};

const MODEL: &str = "\
apiVersion: towtank/v1alpha1
kind: Model
metadata: {name: shop}
spec:
  workloads:
    shop/web: {concurrency: 1, queue: unlimited, serviceTime: 100ms}
";

/// A shop whose web is called at that URL, with more in the mesh and in the scenario.
fn shop(url: &str, more: &str, scenario: &str) -> Tank {
    let mesh = mesh("shop", &[("web", 2, Some(8080)), ("client", 1, None)]);
    let scenario = format!(
        "apiVersion: towtank/v1alpha1\nkind: Scenario\nmetadata: {{name: shop}}\nspec:\n  manifests: [mesh.yaml]\n  model: model.yaml\n  duration: 5s\n  load:\n  - {{name: users, from: shop/client, url: \"{url}\", rate: 10/s}}\n{scenario}"
    );
    Tank::of(&[
        ("mesh.yaml", &format!("{mesh}{more}")),
        ("model.yaml", MODEL),
        ("scenario.yaml", &scenario),
    ])
}

fn warnings(run: &Value) -> Vec<&str> {
    let all = run["warnings"].as_array().into_iter().flatten();
    all.filter_map(Value::as_str).collect()
}

fn towtank(tank: &Tank, more: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_towtank"));
    command.current_dir(root()).args(["run", &tank.path()]);
    let output = command.args(more).output().expect("the program runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn a_host_that_only_a_slip_of_the_pen_explains_is_named_with_its_line() {
    for (url, near) in [
        ("http://webb:8080/", "`webb`"),
        ("http://webb.shop:8080/", "`webb.shop`"),
    ] {
        let run = shop(url, "", "").run(&[]);
        let told = warnings(&run);
        let said = told.iter().find(|w| w.contains("no Service is called"));
        let said = said.unwrap_or_else(|| panic!("{url}: {told:?}"));
        assert!(said.contains(near), "{said}");
        assert!(said.contains("scenario.yaml:9: "), "{said}");
        assert!(said.contains("; did you mean `web"), "{said}");
    }
    for url in [
        "http://web:8080/",
        "http://web.shop:8080/",
        "http://api.example.com/",
    ] {
        let run = shop(url, "", "").run(&[]);
        assert!(warnings(&run).is_empty(), "{url}: {:?}", warnings(&run));
    }
}

#[test]
fn an_application_that_calls_nobody_is_named_as_well() {
    let call = "Model:spec.workloads.shop/web.calls=[\"http://databse:5432/\"]";
    let run = shop("http://web:8080/", "", "").run(&["--set", call]);
    let told = warnings(&run);
    assert!(
        told.iter()
            .any(|w| w.contains("no Service is called `databse`")),
        "{told:?}"
    );
}

#[test]
fn an_autoscaler_of_nobody_is_named_with_the_nearest_name() {
    let scaler = |target: &str| {
        format!(
            "---\napiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {{name: web, namespace: shop}}\nspec: {{scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: {target}}}, minReplicas: 2, maxReplicas: 9}}\n"
        )
    };
    let run = shop("http://web:8080/", &scaler("webb"), "").run(&[]);
    let told = warnings(&run);
    let [said] = told.as_slice() else {
        panic!("one warning: {told:?}");
    };
    assert!(
        said.contains("there is no Deployment `webb` in namespace shop"),
        "{said}"
    );
    assert!(said.contains("did you mean `web`?"), "{said}");
    let run = shop("http://web:8080/", &scaler("web"), "").run(&[]);
    let told = warnings(&run);
    assert!(!told.iter().any(|w| w.contains("there is no")), "{told:?}");
}

#[test]
fn an_event_without_any_length_is_an_error_about_the_event() {
    let events =
        "  events:\n  - {at: 1s, for: 0s, errors: {workload: shop/web, status: 503, rate: 20%}}\n";
    let (code, _, said) = towtank(&shop("http://web:8080/", "", events), &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("lasts for no time"), "{said}");
    assert!(said.contains("scenario.yaml:11:19"), "{said}");
}

/// A circle is shown where a call of it is written.
#[test]
fn calls_that_go_round_are_shown_at_a_call() {
    let call = "Model:spec.workloads.shop/web.calls=[\"http://web:8080/\"]";
    let (code, _, said) = towtank(&shop("http://web:8080/", "", ""), &["--set", call]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("calls go round in a circle"), "{said}");
    assert!(said.contains("--set:1"), "{said}");
}

#[test]
fn an_event_about_more_pods_than_there_are_is_an_error() {
    let events = "  events:\n  - {at: 1s, for: 1s, errors: {workload: shop/web, pods: 9, status: 503, rate: 20%}}\n";
    let (code, _, said) = towtank(&shop("http://web:8080/", "", events), &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("the event is about 9 pods, and there are 2"),
        "{said}"
    );
    assert!(said.contains("scenario.yaml:11"), "{said}");
}

/// A storm in front of a queue without end stops at what the Scenario allows, and says where it stands.
#[test]
fn more_in_flight_than_a_run_may_hold_is_a_finding() {
    let tank = shop("http://web:8080/", "", "  maxInFlight: 500\n");
    let rate = ["--set", "Scenario:spec.load[0].rate=1000/s"];
    let (code, out, said) = towtank(&tank, &rate);
    assert_eq!(code, Some(3), "{out}{said}");
    assert!(out.contains("TT-TOO-MUCH-IN-FLIGHT"), "{out}");
    assert!(
        out.contains("more than 500 calls or tries were under way"),
        "{out}"
    );
    assert!(out.contains("its 2 pods take 2 at once"), "{out}");
    // What nobody answered is no success, and such a load is more than the mesh has room for.
    let expect = ["--set", "Scenario:spec.expect=[error_rate < 1%]"];
    let (code, out, _) = towtank(&tank, &[&rate[..], &expect].concat());
    assert_eq!(code, Some(3), "{out}");
    assert!(out.contains("undecided  error_rate < 1%"), "{out}");
    assert!(out.contains("the run ended early"), "{out}");
    let path = tank.path();
    let mut command = Command::new(env!("CARGO_BIN_EXE_towtank"));
    command.args(["capacity", &path, "--expect", "error_rate < 1%"]);
    command.args(["--replications", "2"]).args(rate);
    let output = command.output().expect("the program runs");
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(out.contains("breaks"), "{out}");
    assert!(!out.contains("at every load that was tried"), "{out}");
    let enough = ["--set", "Scenario:spec.maxInFlight=100000"];
    let (code, out, _) = towtank(&tank, &[&rate[..], &enough].concat());
    assert_eq!(code, Some(0), "{out}");
    assert!(!out.contains("TT-TOO-MUCH-IN-FLIGHT"), "{out}");
    let (code, _, said) = towtank(&tank, &["--set", "Scenario:spec.maxInFlight=0"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("maxInFlight"), "{said}");
}

/// A test of routes that asks for a subset that was misspelt says which one is there.
#[test]
fn a_misspelt_destination_of_a_route_test_has_its_nearest_name() {
    let routes = "  routes:\n  - {url: \"http://web:8080/\", to: webb}\n";
    let tank = shop("http://web:8080/", "", routes);
    let mut command = Command::new(env!("CARGO_BIN_EXE_towtank"));
    command.args(["test", &tank.path(), "--ci", "--no-snapshot"]);
    let output = command.output().expect("the program runs");
    let out = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(5), "{out}");
    assert!(out.contains("did you mean `web`?"), "{out}");
}

#[test]
fn every_finding_of_a_run_can_be_explained() {
    let explain = |code: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_towtank"));
        let output = command.args(["analyze", "--explain", code]).output();
        let output = output.expect("the program runs");
        assert!(output.status.success(), "{code}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    for code in towtank::verdict::CODES {
        let said = explain(code);
        assert!(said.starts_with(code), "{said}");
    }
    assert!(explain("tt-collapse").contains("exact 95 % interval"));
}
