//! Findings: what is no finding, which line each names, and what was simulated against it.

use std::fs;

use serde_json::Value;

use crate::program::{self, codes};
use crate::verdicts::finding;

fn run(folder: &str, values: &[&str]) -> Value {
    let mut args = vec!["run", folder, "--set", "Scenario:spec.expect=[]"];
    args.extend(values.iter().flat_map(|value| ["--set", value]));
    program::json(&args)
}

/// A text of a finding, or of nothing.
fn text<'a>(run: &'a Value, code: &str, field: &str) -> &'a str {
    finding(run, code)[field].as_str().unwrap_or_default()
}

/// A front and two workloads behind one another, each with a pod in each of two regions.
const MESH: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: t, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Service
metadata: {name: b, namespace: t}
spec: {selector: {app: b}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: c, namespace: t}
spec: {selector: {app: c}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: a, namespace: t}
spec: {replicas: 2, selector: {matchLabels: {app: a}}, template: {metadata: {labels: {app: a}}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: b, namespace: t}
spec: {replicas: 2, selector: {matchLabels: {app: b}}, template: {metadata: {labels: {app: b}}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: c, namespace: t}
spec: {replicas: 2, selector: {matchLabels: {app: c}}, template: {metadata: {labels: {app: c}}}}
---
apiVersion: towtank/v1alpha1
kind: Model
metadata: {name: t}
spec:
  placement: {t/a: [eu/a, us/a], t/b: [eu/a, us/a], t/c: [eu/a, us/a]}
  workloads:
    t/b: {serviceTime: 1ms, calls: [{url: 'http://c/', timeout: 500ms}]}
    t/c: {serviceTime: 1ms}
---
apiVersion: towtank/v1alpha1
kind: Scenario
metadata: {name: t}
spec:
  duration: 30s
  load: [{name: l, from: t/a, url: 'http://b/', rate: 50/s}]
  events: [EVENT]
";

fn with_event(event: &str) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("scenario.yaml");
    fs::write(&file, MESH.replace("EVENT", event)).expect("written");
    program::json(&["run", &file.display().to_string()])
}

#[test]
fn a_collapse_that_an_event_makes_is_no_chance() {
    let gone = with_event("{at: 10s, scale: {workload: t/b, replicas: 0}}");
    let statuses = &gone["clients"][0]["statuses"];
    assert!(statuses["503"].as_u64() > Some(500), "{statuses}");
    assert_eq!(codes(&gone), [""; 0]);
    // What collapses before is chance whatever is done later, and what does after it is not.
    let storm = "examples/38-retry-budget";
    let scale = |at: &str| {
        let event = format!("{{at: {at}, scale: {{workload: line/worker, replicas: 2}}}}");
        run(storm, &[&format!("Scenario:spec.events=[{event}]")])
    };
    let late = scale("25s");
    let what = text(&late, "TT-COLLAPSE", "what");
    assert!(
        what.contains("replications, before anything happens (at 25.0 s): "),
        "{what}"
    );
    let early = scale("1s");
    assert!(
        !codes(&early).contains(&"TT-COLLAPSE"),
        "{:?}",
        codes(&early)
    );
}

#[test]
fn where_every_pod_is_gone_no_failover_is_missed() {
    let all = with_event("{at: 10s, fail: {workload: t/c}}");
    let statuses = &all["clients"][0]["statuses"];
    assert!(statuses.to_string().contains("50"), "{statuses}");
    assert!(
        !codes(&all).contains(&"TT-FAILOVER-NEVER"),
        "{:?}",
        codes(&all)
    );
    // Of one region's pods those of the other are left, and only who calls them is told.
    let some = with_event("{at: 10s, fail: {workload: t/c, pods: 1, how: blackhole}}");
    let never = codes(&some)
        .iter()
        .filter(|c| **c == "TT-FAILOVER-NEVER")
        .count();
    assert_eq!(never, 1, "{:?}", codes(&some));
    let what = text(&some, "TT-FAILOVER-NEVER", "what");
    assert!(what.contains("of t/b to outbound|80||c.t."), "{what}");
}

#[test]
fn findings_name_the_line_that_is_responsible() {
    let cases: [(&str, &[(&str, &str)]); 6] = [
        (
            "examples/11-retry-storm",
            &[("TT-METASTABLE", "manifests/mesh.yaml:103 allows 3 retries")],
        ),
        (
            "examples/12-one-run-lies",
            &[(
                "TT-COLLAPSE",
                "the 2 retries of `client` itself at examples/12-one-run-lies/scenario.yaml:19, each try given up after 42ms",
            )],
        ),
        (
            "examples/13-hpa-storm",
            &[("TT-SLOW-RECOVERY", "mesh.yaml:46 allows 3 retries")],
        ),
        (
            "examples/14-zone-outage",
            &[
                (
                    "TT-FAILOVER-OVERLOAD",
                    "`outlierDetection` in examples/14-zone-outage/manifests/mesh.yaml:90",
                ),
                (
                    "TT-FAILOVER-OVERLOAD",
                    "the Deployment of shop/catalog-a at examples/14-zone-outage/manifests/mesh.yaml:9",
                ),
            ],
        ),
        (
            "examples/31-rollout-loss",
            &[(
                "TT-ROLLOUT-LOSS",
                "the missing `preStop: sleep` of the Deployment at examples/31-rollout-loss/manifests/mesh.yaml:18",
            )],
        ),
        (
            "examples/38-retry-budget",
            &[
                ("TT-COLLAPSE", "mesh.yaml:33 allows 2 retries"),
                (
                    "TT-NO-HEADROOM",
                    "the Deployment of 1 pod at examples/38-retry-budget/manifests/mesh.yaml:18",
                ),
            ],
        ),
    ];
    for (folder, causes) in cases {
        let run = run(folder, &[]);
        for (code, cause) in causes {
            let told = text(&run, code, "cause");
            assert!(told.contains(cause), "{folder} {code}: {told:?}");
        }
    }
}

#[test]
fn more_findings_were_simulated_against() {
    let cases = [
        (
            "examples/13-hpa-storm",
            "TT-SLOW-RECOVERY",
            "simulated with `attempts: 1` towards orders: the load recovers ",
        ),
        (
            "examples/14-zone-outage",
            "TT-FAILOVER-OVERLOAD",
            "simulated with `queue: 256` in shop/catalog-a: it is gone, 0.62 %",
        ),
        (
            "examples/24-fault-and-retries",
            "TT-FAULT-RETRIED",
            "simulated with `attempts: 0` towards page, ratings: it is gone, ",
        ),
        (
            "examples/30-distribute",
            "TT-FAILOVER-NEVER",
            "simulated with `localityLbSetting` without `distribute` towards frontend: it is gone, 0.00 %",
        ),
        (
            "examples/30-distribute",
            "TT-RETRY-STORM",
            "simulated with `attempts: 1` towards frontend: ",
        ),
        (
            "examples/39-cascade",
            "TT-TIMEOUTS-INVERTED",
            "simulated with `timeout: 4s` of shop/web towards orders: ",
        ),
    ];
    for (folder, code, change) in cases {
        let run = run(folder, &[]);
        let said = text(&run, code, "counterfactual");
        assert!(said.starts_with(change), "{folder} {code}: {said:?}");
    }
}

/// What the new ones promise is what the change does when it is written.
#[test]
fn what_they_promise_happens() {
    let distribute = "dr/frontend:spec.trafficPolicy.loadBalancer.localityLbSetting.distribute";
    let near = run("examples/30-distribute", &[&format!("{distribute}=null")]);
    assert_eq!(
        near["clients"][0]["statuses"]
            .to_string()
            .matches(':')
            .count(),
        1
    );
    let retries = ["vs/page", "vs/ratings"]
        .map(|name| format!("{name}:spec.http[0].retries={{attempts: 0}}"));
    let retries = retries.each_ref().map(String::as_str);
    let plain = run("examples/24-fault-and-retries", &retries);
    assert!(
        !codes(&plain).contains(&"TT-FAULT-RETRIED"),
        "{:?}",
        codes(&plain)
    );
}
