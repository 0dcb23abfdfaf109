//! Ejections and returns as whole runs show them (Envoy 1.40, measured).

use crate::runs_support::{in_order, load, stat};
use crate::theory_support::Mesh;

#[test]
fn the_second_of_two_ejections_and_of_two_returns_comes_a_second_later() {
    let mesh = Mesh::new()
        .pods("good", "server", 1, "{serviceTime: 1ms}")
        .pods("bad", "server", 2, "{serviceTime: 1ms, errors: [{status: 503, rate: 100%}]}")
        .rule("server", "{loadBalancer: {simple: ROUND_ROBIN}, outlierDetection: {consecutive5xxErrors: 2, interval: 2s, baseEjectionTime: 3s, maxEjectionPercent: 100}}")
        .route("server", "retries: {attempts: 0}");
    let record = mesh
        .case(&format!(
            "duration: 6s, {}",
            load("rate: 50/s, arrivals: constant")
        ))
        .run();
    // Times in ms at which each bad pod was hit, up to its first long pause and after it.
    let pauses = ["bad-0", "bad-1"].map(|pod| {
        let hits: Vec<u64> = in_order(&record)
            .iter()
            .filter(|r| r.pod.ends_with(pod))
            .map(|r| r.at.ns() / 1_000_000)
            .collect();
        let pause = hits.windows(2).find(|w| w[1] - w[0] > 1500);
        pause.map(|w| (w[0], w[1])).expect("it was ejected")
    });
    let [first, second] = pauses;
    assert!(first.0.min(second.0) < 200, "{pauses:?}");
    let apart = |a: u64, b: u64| a.abs_diff(b);
    assert!(
        (900..1100).contains(&apart(first.0, second.0)),
        "{pauses:?}"
    );
    // Both come back at the sweep at 4 s, one of them at once.
    assert!((3980..4100).contains(&first.1.min(second.1)), "{pauses:?}");
    assert!(
        (900..1100).contains(&apart(first.1, second.1)),
        "{pauses:?}"
    );
}

#[test]
fn one_answer_may_reach_two_thresholds() {
    let with = |percent: u32| {
        let mesh = Mesh::new()
            .pods("server", "server", 1, "{errors: [{status: 503, rate: 100%}]}")
            .rule("server", &format!("{{outlierDetection: {{consecutive5xxErrors: 5, baseEjectionTime: 60s, maxEjectionPercent: {percent}}}}}"))
            .route("server", "retries: {attempts: 0}");
        let record = mesh.case(&load("connections: 1, requests: 10")).run();
        [
            "detected_consecutive_5xx",
            "detected_consecutive_gateway_failure",
            "enforced_consecutive_5xx",
            "enforced_total",
            "overflow",
        ]
        .map(|name| stat(&record, &format!("outlier_detection.ejections_{name}")))
    };
    assert_eq!(with(100), [1, 1, 1, 1, 0]);
    assert_eq!(with(10), [2, 2, 0, 0, 4]);
}

#[test]
fn an_ejected_hosts_idle_connections_close() {
    let mesh = Mesh::new()
        .pods("good", "server", 1, "{serviceTime: 5ms}")
        .pods("bad", "server", 1, "{serviceTime: 5ms, errors: [{status: 503, rate: 100%}]}")
        .rule("server", "{outlierDetection: {consecutive5xxErrors: 20, baseEjectionTime: 60s, maxEjectionPercent: 100}}")
        .route("server", "retries: {attempts: 0}");
    let record = mesh
        .case(&format!("duration: 5s, {}", load("connections: 4")))
        .run();
    assert_eq!(stat(&record, "outlier_detection.ejections_active"), 1);
    let closed = stat(&record, "upstream_cx_destroy");
    assert!((1..=4).contains(&closed), "{closed}");
    assert_eq!(stat(&record, "upstream_cx_max_duration_reached"), 0);
    assert_eq!(stat(&record, "upstream_cx_destroy_local_with_active_rq"), 0);
}

#[test]
fn an_ejection_counts_only_hosts_that_the_client_may_use() {
    // Of four pods two are in the region that `distribute` names: one of them is 50 %.
    let text = |percent: u32| {
        let mesh = Mesh::new()
            .pods("server", "server", 4, "{serviceTime: 1ms, errors: [{status: 503, rate: 100%}]}")
            .rule("server", &format!("{{loadBalancer: {{localityLbSetting: {{enabled: true, distribute: [{{from: '*', to: {{'a/*': 100}}}}]}}}}, outlierDetection: {{consecutive5xxErrors: 1, maxEjectionPercent: {percent}, baseEjectionTime: 60s}}}}"))
            .route("server", "retries: {attempts: 0}");
        let case = mesh.placed(
            "t/server: [a/1, b/1], t/client: [a/1]",
            &load("connections: 1, requests: 20"),
        );
        stat(&case.run(), "outlier_detection.ejections_enforced_total")
    };
    assert_eq!([text(49), text(50), text(100)], [0, 1, 2]);
}
