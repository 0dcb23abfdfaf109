//! What the examples of trouble claim, against arithmetic, and that the change they name helps.

use serde_json::Value;

use crate::program::{finding, json, per_pod};

const NOTHING_EXPECTED: &str = "Scenario:spec.expect=[]";

fn with(folder: &str, set: &str) -> Value {
    json(&["run", folder, "--set", set, "--set", NOTHING_EXPECTED])
}

fn words<'a>(run: &'a Value, code: &str) -> &'a str {
    let found = finding(run, code).unwrap_or_else(|| panic!("{code} is found"));
    found["what"].as_str().expect("a sentence")
}

/// The greatest share of a workload's requests at one of its pods.
fn busiest(run: &Value, workload: &str) -> f64 {
    let pods = per_pod(run, workload);
    let most = pods.iter().max().expect("pods");
    *most as f64 / pods.iter().sum::<u64>() as f64
}

#[test]
fn half_of_the_traffic_under_one_key_is_at_one_pod_however_many_there_are() {
    let folder = "examples/19-hot-key";
    let run = json(&["run", folder]);
    // One half, and of the other what the ring gives to one of four pods.
    let share = busiest(&run, "shop/cart");
    assert!((0.57..0.70).contains(&share), "{share}");
    assert!(words(&run, "TT-IMBALANCE").contains("the hash decides, load plays no part"));
    let more = with(folder, "deploy/cart:spec.replicas=8");
    let share = busiest(&more, "shop/cart");
    assert!((0.52..0.62).contains(&share), "{share}");
    let even = with(
        folder,
        "dr/cart:spec.trafficPolicy.loadBalancer={simple: LEAST_REQUEST}",
    );
    assert!(busiest(&even, "shop/cart") < 0.28 && finding(&even, "TT-IMBALANCE").is_none());
}

#[test]
fn copies_of_requests_are_half_of_what_a_database_gets() {
    let folder = "examples/20-mirror-doubles-database";
    let run = json(&["run", folder]);
    assert!(words(&run, "TT-MIRROR-LOAD").starts_with("50 % of the "));
    let cause = finding(&run, "TT-MIRROR-LOAD").expect("it is found")["cause"].clone();
    assert!(
        cause
            .as_str()
            .is_some_and(|c| c.contains("manifests/mirror.yaml:10"))
    );
    let busy = |run: &Value| {
        let workloads = run["workloads"].as_array().expect("workloads");
        let database = workloads.iter().find(|w| w["name"] == "shop/database");
        database.expect("it is there")["utilisation"]
            .as_f64()
            .expect("a share")
    };
    // 2 × 185 queries of 20 ms at eight places.
    assert!((busy(&run) - 0.925).abs() < 0.05, "{}", busy(&run));
    let tenth = with(folder, "vs/orders:spec.http[0].mirrorPercentage.value=10");
    assert!(finding(&tenth, "TT-MIRROR-LOAD").is_none());
    assert!(
        (busy(&tenth) - 1.1 * 0.4625).abs() < 0.05,
        "{}",
        busy(&tenth)
    );
}

/// Failed requests of the first load in the windows between two moments, and all.
fn failed(run: &Value, from: f64, until: f64) -> (u64, u64) {
    let points = run["series"]["points"].as_array().expect("points").iter();
    let inside = points.filter(|p| {
        let at = p["atSeconds"].as_f64().unwrap_or(-1.0);
        at >= from && at < until
    });
    inside.fold((0, 0), |(errors, all), p| {
        let count = |name: &str| p[name].as_u64().unwrap_or(0);
        (errors + count("errors"), all + count("requests"))
    })
}

#[test]
fn a_gateway_fails_over_within_a_second_and_retries_leave_the_region_only_when_told() {
    let folder = "examples/21-gateway-failover";
    let run = json(&["run", folder]);
    assert_eq!(failed(&run, 16.0, 40.0).0, 0);
    let (lost, _) = failed(&run, 10.0, 12.0);
    assert!(
        lost > 150,
        "all three tries stay in the near region: {lost}"
    );
    let ejections = run["ejections"].as_array().expect("ejections");
    let near = |e: &Value| e["pod"].as_str().is_some_and(|p| p.starts_with("api-west"));
    assert_eq!(ejections.len(), 6, "two gateways, three pods");
    assert!(ejections.iter().all(near));
    let remote = with(
        folder,
        "vs/api:spec.http[0].retries={attempts: 2, retryOn: connect-failure, retryRemoteLocalities: true}",
    );
    let (fewer, _) = failed(&remote, 10.0, 12.0);
    assert!(fewer * 4 < lost, "{fewer} of {lost}");
    let limit = "dr/api:spec.trafficPolicy.outlierDetection.maxEjectionPercent=40";
    let kept = with(folder, limit);
    let (errors, all) = failed(&kept, 13.0, 23.0);
    assert!(
        errors * 3 > all,
        "one bad pod keeps its region in use: {errors} of {all}"
    );
    assert!(words(&kept, "TT-EJECTION-REFUSED").contains("may eject 2 of 6 hosts"));
}

#[test]
fn a_fault_without_retries_and_pods_that_are_warm_are_no_findings() {
    let faults = json(&["run", "examples/06-fault-injection"]);
    assert!(finding(&faults, "TT-FAULT-RETRIED").is_none());
    let warm = "Model:spec.workloads.shop/prices.warmUp=null";
    let warm = with("examples/34-cold-pod", warm);
    assert!(finding(&warm, "TT-COLD-PODS").is_none());
    let rolled = json(&["run", "examples/31-rollout-loss"]);
    assert!(finding(&rolled, "TT-COLD-PODS").is_none());
}

#[test]
fn a_length_that_is_none_in_an_annotation_is_told() {
    let config = "deploy/reports:spec.template.metadata.annotations={proxy.istio.io/config: 'terminationDrainDuration: soon'}";
    let run = with("examples/32-drain", config);
    let told = run["notSimulated"].as_array().expect("sentences").iter();
    let mut told = told.chain(run["warnings"].as_array().expect("sentences"));
    assert!(
        told.any(|s| {
            s.as_str()
                .is_some_and(|s| s.contains("has no length of time: `soon`"))
        }),
        "{}",
        run["notSimulated"]
    );
}
