//! Rollouts, changes of configuration, tests and sizes: questions 11 to 13, 18 and 20.

use std::fs;

use super::{
    NOTHING_EXPECTED, answer, asked, asked_with, chain, contains, failed, flagged, what, with,
};
use crate::program::{count, json, root, run};

#[test]
fn question_11_a_rolling_update_loses_what_a_push_is_late() {
    answer(11);
    let run = asked(11);
    let told = what(&run, "TT-ROLLOUT-LOSS");
    contains(told, &["fail while pods are replaced", "0 % besides"]);
    contains(
        &chain(&run, "TT-ROLLOUT-LOSS"),
        &["answered 503 by the pod's sidecar: it had been told to end and was still an endpoint"],
    );
    let lost = |delay: &str| {
        let set = format!("Model:spec.proxy.pushDelay={delay}");
        let run = asked_with(11, &["--set", &set]);
        (failed(&run, 0) * run["clients"][0]["requests"].as_f64().expect("a count")).round()
    };
    // Four pods, each an endpoint for debounce and push (150 ms and the delay) after its end, with
    // 60 of 300 requests a second, and more than that because quick errors look like an idle pod.
    for (delay, late) in [("50ms", 0.2), ("500ms", 0.65), ("2s", 2.15)] {
        let (least, lost) = (4.0 * 60.0 * late, lost(delay));
        assert!(
            (0.8 * least..2.2 * least).contains(&lost),
            "{delay}: {lost} of {least}"
        );
    }
    let stop =
        "deploy/cart:spec.template.spec.containers[0].lifecycle={preStop: {sleep: {seconds: 1}}}";
    assert!(
        failed(&asked_with(11, &with(stop)), 0) == 0.0,
        "preStop is longer than that"
    );
}

#[test]
fn question_12_the_shortest_of_four_settings_ends_a_pod() {
    answer(12);
    let run = asked(12);
    let lost = flagged(&run, "UC");
    assert!((12..60).contains(&lost), "{lost}");
    contains(
        &chain(&run, "TT-ROLLOUT-LOSS"),
        &[
            "connections closed while an answer was awaited",
            "serves on for 3 s (preStop), then has 5 s",
            "terminationDrainDuration ends it",
        ],
    );
    let annotated = |config: &str| {
        format!(
            "deploy/reports:spec.template.metadata.annotations={{proxy.istio.io/config: {config}}}"
        )
    };
    let drain = annotated("\"terminationDrainDuration: 15s\"");
    let long = asked_with(12, &with(&drain));
    assert_eq!(flagged(&long, "UC"), 0, "no report takes longer");
    let grace = "deploy/reports:spec.template.spec.terminationGracePeriodSeconds=8";
    let set = ["--set", &drain, "--set", grace];
    let short = asked_with(12, &[&set[..], &NOTHING_EXPECTED[..]].concat());
    assert!(
        flagged(&short, "UC") > 10,
        "3 s and 15 s do not fit into 8 s"
    );
    contains(
        &chain(&short, "TT-ROLLOUT-LOSS"),
        &["terminationGracePeriodSeconds ends it"],
    );
    let zero = annotated("'proxyMetadata: {EXIT_ON_ZERO_ACTIVE_CONNECTIONS: \"true\"}'");
    assert_eq!(flagged(&asked_with(12, &with(&zero)), "UC"), 0);
}

#[test]
fn question_13_a_route_before_its_subset_is_503_nc_for_a_while() {
    answer(13);
    let run = asked(13);
    let lost = flagged(&run, "NC");
    // Two seconds, half of 500 requests a second.
    assert!((400..600).contains(&lost), "{lost}");
    contains(
        what(&run, "TT-NC-WINDOW"),
        &[
            "find no cluster `outbound|8080|v2|checkout.shop.svc.cluster.local`",
            "routes lead there from 10.0 s",
        ],
    );
    let together = asked_with(13, &["--set", "Scenario/nc-window:spec.events[1].at=10s"]);
    assert_eq!(flagged(&together, "NC"), 0);
}

#[test]
fn question_18_routing_is_tested_offline() {
    let text = answer(18);
    contains(&text, &["3 scenarios: 3 passed"]);
    // A changed weight is seen: 90 to 10 is expected.
    let folder = tempfile::tempdir().expect("a folder");
    let example = root().join("examples/03-traffic-splitting");
    fs::create_dir(folder.path().join("manifests")).expect("a folder");
    for file in [
        "scenario.yaml",
        "model.yaml",
        "manifests/workloads.yaml",
        "manifests/canary.yaml",
    ] {
        let text = fs::read_to_string(example.join(file)).expect("it is there");
        let text = text
            .replace("weight: 90", "weight: 70")
            .replace("weight: 10", "weight: 30");
        fs::write(folder.path().join(file), text).expect("written");
    }
    let changed = folder.path().display().to_string();
    let judged = run(&["test", &changed, "--quiet", "--no-snapshot"]);
    let said = String::from_utf8_lossy(&judged.stdout).into_owned();
    assert_eq!(judged.status.code(), Some(5), "{said}");
    contains(&said, &["everybody else is split", "30 %"]);
    let curl = json(&[
        "curl",
        "-f",
        "examples/03-traffic-splitting/manifests",
        "-n",
        "production",
        "-H",
        "user-group: beta-testers",
        "--repeat",
        "50",
        "http://product-service:8080/version",
    ]);
    let v2 = count(&curl, |o| o["workload"] == "production/product-service-v2");
    assert_eq!(v2, 50);
}

#[test]
fn question_20_processor_time_of_sidecars_is_a_curve() {
    let found = asked(20);
    let sidecars = found["plan"]["sidecars"].as_array().expect("sidecars");
    let of = |name: &str| {
        let one = sidecars.iter().find(|s| s["workload"] == name);
        let one = one.unwrap_or_else(|| panic!("{name} has a sidecar"));
        let number = |field: &str| one[field].as_f64().expect("a number");
        (number("pods"), number("requestsPerSecond"), number("vcpu"))
    };
    // A thousand requests a second; `front` passes them on and makes two calls for each.
    let (pods, each, _) = of("shop/load");
    assert!((920.0..1_080.0).contains(&(pods * each)), "{pods} × {each}");
    let (pods, each, _) = of("shop/front");
    assert!(
        (2_760.0..3_240.0).contains(&(pods * each)),
        "{pods} × {each}"
    );
    for name in ["shop/load", "shop/front", "shop/items"] {
        let (_, each, vcpu) = of(name);
        // The curve of istio.io issue 15335, straight between its points.
        let points = [
            (0.0, 0.0),
            (1e3, 0.18),
            (2e3, 0.30),
            (3e3, 0.40),
            (4e3, 0.43),
            (5e3, 0.45),
        ];
        let pair = points
            .windows(2)
            .find(|p| each <= p[1].0)
            .expect("within the curve");
        let (low, high) = (pair[0], pair[1]);
        let theory = low.1 + (high.1 - low.1) * (each - low.0) / (high.0 - low.0);
        assert!((vcpu - theory).abs() < 1e-9, "{name}: {vcpu} at {each}");
    }
    contains(
        &answer(20),
        &[
            "All sidecars together take some",
            "processor time is not",
            "istio.io issue 15335",
        ],
    );
}
