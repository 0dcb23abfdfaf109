//! Autoscalers: when they look, what they see, and how pods follow.

use serde_json::Value;

use crate::program;

const STORM: &str = "examples/13-hpa-storm";

fn run(more: &[&str]) -> Value {
    let mut args = vec!["run", STORM];
    args.extend(more);
    program::json(&args)
}

/// (seconds, words) of everything an autoscaler did.
fn decisions(run: &Value) -> Vec<(f64, String)> {
    let all = run["happenings"].as_array().expect("happenings").iter();
    all.filter_map(|h| Some((h["atSeconds"].as_f64()?, h["what"].as_str()?.to_owned())))
        .filter(|(_, what)| what.starts_with("the autoscaler"))
        .collect()
}

fn failed_after(run: &Value, from: f64) -> u64 {
    let points = run["series"]["points"].as_array().expect("points").iter();
    let late = points.filter(|p| p["atSeconds"].as_f64().is_some_and(|at| at >= from));
    late.filter_map(|p| p["errors"].as_u64()).sum()
}

#[test]
fn a_storm_is_chased_with_pods_that_the_load_does_not_need() {
    let run = run(&[]);
    let decisions = decisions(&run);
    let (at, first) = decisions.first().expect("it decides");
    // The trigger is at 60 s: a whole window has to pass, and metrics are one window late.
    assert!((75.0..106.0).contains(at), "{at}");
    // ceil(4 × 96 % / 60 %)
    assert!(first.contains("7 pods instead of 4"), "{first}");
    assert!(
        failed_after(&run, 75.0) > 10_000,
        "it goes on without a trigger"
    );
    assert_eq!(failed_after(&run, 130.0), 0, "the new pods end it");
}

#[test]
fn without_retries_nothing_is_to_be_chased() {
    let run = run(&["--set", "vs/orders:spec.http[0].retries={attempts: 0}"]);
    assert_eq!(failed_after(&run, 90.0), 0);
}

#[test]
fn at_its_bound_it_cannot_help() {
    let bound = "HorizontalPodAutoscaler/orders:spec.maxReplicas=4";
    let run = run(&["--set", bound]);
    assert_eq!(decisions(&run), []);
    assert!(failed_after(&run, 230.0) > 1_000, "the storm never ends");
}

#[test]
fn the_same_on_any_number_of_threads() {
    let once = |threads| {
        run(&[
            "--duration",
            "90s",
            "--replications",
            "2",
            "--threads",
            threads,
        ])
    };
    assert_eq!(once("1")["digest"], once("2")["digest"]);
}

/// The use of CPU is a share of what the pods ask for, as the metrics of Kubernetes have it.
#[test]
fn utilisation_is_a_share_of_the_request_of_the_containers() {
    let model = "Model:spec.workloads.shop/orders.cpu={perRequest: 6ms}";
    let first = |resources: &str| {
        let path = "Deployment/orders:spec.template.spec.containers[0].resources";
        let asked = format!("{path}={resources}");
        let run = run(&["--set", model, "--set", &asked, "--duration", "60s"]);
        decisions(&run).first().map(|(_, what)| what.clone())
    };
    let half = first("{requests: {cpu: 500m}}").expect("it decides");
    let share = |what: &str| {
        let words: Vec<&str> = what.split_whitespace().collect();
        let at = words.iter().position(|word| *word == "%").expect("a share");
        words[at - 1].parse::<f64>().expect("a number")
    };
    let whole = first("{requests: {cpu: 900m}, limits: {cpu: 2}}").expect("it decides");
    let ratio = share(&half) / share(&whole);
    assert!((ratio - 900.0 / 500.0).abs() < 0.1, "{half}; {whole}");
}
