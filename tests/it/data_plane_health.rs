//! Active health checks as whole runs show them.

use towtank::units::{Origin, SimDuration};
use towtank::xds::cluster::{HealthCheck, HealthCheckKind};

use crate::harness::Case;
use crate::runs_support::{in_order, load, outcomes, stat};
use crate::theory_support::Mesh;

/// A check of every cluster, once a second.
fn checked(mut case: Case, kind: &HealthCheckKind) -> Case {
    let second = SimDuration::from_secs(1);
    let check = HealthCheck {
        kind: kind.clone(),
        timeout: SimDuration::from_ms(200),
        interval: second,
        interval_jitter: SimDuration::ZERO,
        interval_jitter_percent: 0,
        initial_jitter: SimDuration::ZERO,
        unhealthy_threshold: 2,
        healthy_threshold: 1,
        no_traffic_interval: second,
        no_traffic_healthy_interval: None,
        unhealthy_interval: None,
        unhealthy_edge_interval: None,
        healthy_edge_interval: None,
        reuse_connection: true,
        origin: Origin::BUILT_IN,
    };
    for id in case.snapshot.clusters.ids() {
        case.snapshot.clusters[id].health_checks = vec![check.clone()];
    }
    case
}

fn http() -> HealthCheckKind {
    HealthCheckKind::Http {
        path: "/healthz".into(),
        host: "".into(),
        expected: Vec::new(),
        retriable: Vec::new(),
        http2: false,
    }
}

fn mesh(second: &str) -> Mesh {
    Mesh::new()
        .pods("good", "server", 1, "{serviceTime: 1ms}")
        .pods("second", "server", 1, second)
        .route("server", "retries: {attempts: 0}")
}

fn run(second: &str, kind: &HealthCheckKind) -> (u64, u64, u64) {
    let case = mesh(second).case(&format!("duration: 5s, {}", load("rate: 50/s")));
    let record = checked(case, kind).run();
    let to_second = in_order(&record)
        .iter()
        .filter(|r| r.pod.contains("second"))
        .count();
    (
        to_second as u64,
        stat(&record, "membership_healthy"),
        stat(&record, "health_check.failure"),
    )
}

#[test]
fn a_pod_that_fails_its_checks_gets_no_request() {
    for bad in [
        "{errors: [{status: 500, rate: 100%}]}",
        "{errors: [{hang: true, rate: 100%}]}",
        "{connections: refuse}",
        "{connections: blackhole}",
    ] {
        let (requests, healthy, failures) = run(bad, &http());
        assert_eq!((requests, healthy), (0, 1), "{bad}");
        // A check that nobody answers takes its timeout as well.
        assert!((4..=6).contains(&failures), "{bad}: {failures}");
    }
}

#[test]
fn a_connection_is_all_that_a_tcp_check_wants() {
    let (requests, healthy, failures) = run(
        "{errors: [{status: 500, rate: 100%}]}",
        &HealthCheckKind::Tcp,
    );
    assert!(requests > 80, "{requests}");
    assert_eq!((healthy, failures), (2, 0));
    assert_eq!(run("{connections: refuse}", &HealthCheckKind::Tcp).0, 0);
}

#[test]
fn nobody_healthy_is_a_503_where_panic_is_off() {
    let case = Mesh::new()
        .pods(
            "server",
            "server",
            2,
            "{errors: [{status: 503, rate: 100%}]}",
        )
        .rule("server", "{outlierDetection: {consecutive5xxErrors: 0}}")
        .case(&load("connections: 1, requests: 10"));
    let record = checked(case, &http()).run();
    assert_eq!(outcomes(&record), ["503 UH no_healthy_upstream ×10"]);
}

#[test]
fn a_passed_check_ends_an_ejection() {
    // Connections are all that is checked, so the pod passes and is ejected again and again.
    let mesh = mesh("{errors: [{status: 503, rate: 100%}]}")
        .rule("server", "{loadBalancer: {simple: ROUND_ROBIN}, outlierDetection: {consecutive5xxErrors: 2, baseEjectionTime: 60s, maxEjectionPercent: 100}}");
    let ejections = |kind: Option<&HealthCheckKind>| {
        let case = mesh.case(&format!(
            "duration: 10s, {}",
            load("rate: 50/s, arrivals: constant")
        ));
        let case = match kind {
            Some(kind) => checked(case, kind),
            None => case,
        };
        stat(&case.run(), "outlier_detection.ejections_enforced_total")
    };
    assert_eq!(ejections(None), 1);
    let with = ejections(Some(&HealthCheckKind::Tcp));
    assert!((4..=10).contains(&with), "{with}");
}

#[test]
fn checks_change_nothing_for_pods_that_pass() {
    let case = || mesh("{serviceTime: 1ms}").case(&load("connections: 3, requests: 300"));
    let (plain, with) = (case().run(), checked(case(), &http()).run());
    assert_eq!(plain.clients[0].statuses, with.clients[0].statuses);
    assert_eq!(plain.clients[0].latency, with.clients[0].latency);
}
