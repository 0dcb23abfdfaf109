//! Pods that join during a run: the rest of question 15.

use serde_json::Value;

use super::{asked, asked_with, command, contains, is_share, json, one_line, text, with};

/// `joined` of a run of question 15: the one pod, and its windows.
fn joined(run: &Value) -> (&Value, Vec<&Value>) {
    let all = run["joined"].as_array().expect("somebody joined");
    assert_eq!(all.len(), 1, "{all:?}");
    let windows = all[0]["windows"].as_array().expect("windows");
    (&all[0], windows.iter().collect())
}

fn figure(window: &Value, key: &str) -> f64 {
    window[key]
        .as_f64()
        .unwrap_or_else(|| panic!("{key} in {window}"))
}

/// Each window's share against what theory gives for the time between its ends.
fn shares_are(run: &Value, theory: impl Fn(f64, f64) -> f64) {
    let (_, windows) = joined(run);
    assert_eq!(windows.len(), 6, "{windows:?}");
    for window in windows {
        let (from, until) = (
            figure(window, "fromSeconds"),
            figure(window, "untilSeconds"),
        );
        let of = figure(window, "workloadRequests");
        is_share(figure(window, "share"), theory(from, until), of, 3.0);
        assert_eq!(window["evenShare"], 0.25, "{window}");
    }
}

#[test]
fn question_15_a_pod_that_joins_has_its_share_at_once_and_is_slow_by_itself() {
    let run = asked(15);
    shares_are(&run, |_, _| 0.25);
    let (pod, windows) = joined(&run);
    assert_eq!(
        (&pod["workload"], &pod["pod"]),
        (&"shop/prices".into(), &"prices-3".into())
    );
    let times = |window: &Value| figure(window, "p99Ms") / figure(window, "othersP99Ms");
    // Cold for ten seconds from its start on, a moment before it joins.
    assert!(times(windows[2]) > 5.0, "{}", windows[2]);
    assert!(times(windows[4]) < 1.5, "{}", windows[4]);
    let warm = asked_with(15, &with("Model:spec.workloads.shop/prices.warmUp=null"));
    shares_are(&warm, |_, _| 0.25);
    let (_, windows) = joined(&warm);
    assert!(windows.iter().all(|window| times(window) < 2.0));
    let nobody = asked_with(15, &with("Scenario:spec.events=null"));
    assert!(nobody.get("joined").is_none());
}

#[test]
fn question_15_a_slow_start_gives_a_pod_the_share_of_its_ramp() {
    let warmup = "dr/prices:spec.trafficPolicy.loadBalancer.warmup={duration: 20s}";
    // Its weight w grows from a tenth to one, evenly; three pods have one each, so its share is
    // w / (3 + w): a seventh half way, which is 57 % of a quarter.
    let weight = |at: f64| (at / 20.0).clamp(0.1, 1.0);
    let ramp = |from: f64, until: f64| {
        let steps = 1_000;
        let at = |step: i32| from + (until - from) * (f64::from(step) + 0.5) / f64::from(steps);
        let shares = (0..steps).map(|step| weight(at(step)) / (3.0 + weight(at(step))));
        shares.sum::<f64>() / f64::from(steps)
    };
    shares_are(&asked_with(15, &with(warmup)), ramp);
    assert!((ramp(9.9, 10.1) - 1.0 / 7.0).abs() < 1e-3);
}

#[test]
fn question_15_windows_end_when_the_pod_leaves_and_of_many_pods_some_are_shown() {
    let keys = json(&["run", "examples/35-keys-move"]);
    let (pod, windows) = joined(&keys);
    let last = windows.last().expect("a window");
    let left = figure(pod, "atSeconds") + figure(last, "untilSeconds");
    assert!(
        (left - 8.0).abs() < 1e-6,
        "it is told to end at 8 s: {left}"
    );

    let mut command = command(15);
    command.extend(with("Scenario:spec.events[0].scale.replicas=30").map(str::to_owned));
    let run = json(&command);
    let joined = run["joined"].as_array().expect("27 pods");
    let watched = joined
        .iter()
        .filter(|j| j["windows"] != Value::from([0; 0].to_vec()));
    assert_eq!((joined.len(), watched.count()), (27, 20));
    let shown = one_line(&text(&command));
    contains(
        &shown,
        &["Pods that joined", "… and 23 more (-o json lists them)"],
    );
}
