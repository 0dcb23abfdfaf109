//! Timeouts and retries as whole runs show them: what was measured on Envoy 1.40, through
//! manifests, in virtual time.

use crate::runs_support::{in_order, load, millis, outcomes, stat};
use crate::theory_support::Mesh;

#[test]
fn a_per_try_timeout_does_not_run_while_a_connection_is_made() {
    let mesh = Mesh::new()
        .pods("server", "server", 1, "{connections: blackhole}")
        .rule("server", "{connectionPool: {tcp: {connectTimeout: 9s}}, outlierDetection: {consecutive5xxErrors: 1, maxEjectionPercent: 100}}")
        .route("server", "timeout: 2s\n    retries: {attempts: 2, perTryTimeout: 300ms, retryOn: 5xx}");
    let record = mesh.case(&load("connections: 1, requests: 3")).run();
    assert_eq!(outcomes(&record), ["504 UT response_timeout ×3"]);
    assert!(record.requests.iter().all(|r| r.attempts == 1));
    assert!(record.requests.iter().all(|r| millis(r) == 2000));
    assert_eq!(stat(&record, "upstream_rq_per_try_timeout"), 0);
    // The try had no host yet: nobody is charged, and the connection that is being made stays.
    assert_eq!(stat(&record, "upstream_rq_timeout"), 3);
    assert_eq!(stat(&record, "upstream_rq_cancelled"), 3);
    assert_eq!(
        stat(&record, "outlier_detection.ejections_enforced_total"),
        0
    );
    assert_eq!(stat(&record, "upstream_cx_total"), 1);
}

#[test]
fn a_route_timeout_in_flight_charges_the_host_and_one_in_back_off_does_not() {
    let hangs = "{errors: [{hang: true, rate: 100%}]}";
    let eject = "{outlierDetection: {consecutive5xxErrors: 3, maxEjectionPercent: 100}}";
    let mesh = Mesh::new()
        .pods("server", "server", 1, hangs)
        .rule("server", eject)
        .route("server", "timeout: 200ms");
    let record = mesh.case(&load("connections: 1, requests: 4")).run();
    assert_eq!(
        outcomes(&record),
        [
            "503 UH no_healthy_upstream ×1",
            "504 UT response_timeout ×3"
        ]
    );
    assert_eq!(stat(&record, "upstream_rq_timeout"), 3);

    let mesh = Mesh::new()
        .pods(
            "server",
            "server",
            1,
            "{serviceTime: 1ms, errors: [{status: 503, rate: 100%}]}",
        )
        .route(
            "server",
            "timeout: 50ms\n    retries: {attempts: 1, retryOn: 5xx, backoff: 1000s}",
        );
    let record = mesh.case(&load("connections: 1, requests: 20")).run();
    assert_eq!(outcomes(&record), ["504 UT response_timeout ×20"]);
    assert!(record.requests.iter().all(|r| millis(r) == 50));
    assert_eq!(stat(&record, "upstream_rq_timeout"), 0);
    // Measured on 1.40: a retry counts when its back-off is over, and nobody is charged the 504.
    assert_eq!(stat(&record, "upstream_rq_retry"), 0);
    assert_eq!(stat(&record, "retry.upstream_rq_503"), 20);
    assert_eq!(stat(&record, "upstream_rq_504"), 0);
}

#[test]
fn a_per_try_timeout_is_retried_and_closes_its_connection() {
    let mesh = Mesh::new()
        .pods(
            "server",
            "server",
            1,
            "{errors: [{hang: true, rate: 100%}]}",
        )
        .route(
            "server",
            "timeout: 10s\n    retries: {attempts: 2, perTryTimeout: 100ms, retryOn: reset}",
        );
    let record = mesh.case(&load("connections: 1, requests: 5")).run();
    assert_eq!(
        outcomes(&record),
        ["504 URX,UT upstream_per_try_timeout ×5"]
    );
    assert!(record.requests.iter().all(|r| r.attempts == 3));
    assert_eq!(stat(&record, "upstream_rq_per_try_timeout"), 15);
    assert_eq!(
        stat(&record, "upstream_cx_destroy_local_with_active_rq"),
        15
    );
    // Not retried without a policy that names it.
    let mesh = Mesh::new()
        .pods(
            "server",
            "server",
            1,
            "{errors: [{hang: true, rate: 100%}]}",
        )
        .route(
            "server",
            "retries: {attempts: 2, perTryTimeout: 100ms, retryOn: 'connect-failure,503'}",
        );
    let record = mesh.case(&load("connections: 1, requests: 5")).run();
    assert_eq!(outcomes(&record), ["504 UT upstream_per_try_timeout ×5"]);
}

#[test]
fn retried_answers_are_counted_apart_and_cost_their_connections() {
    let mesh = Mesh::new()
        .pods(
            "server",
            "server",
            1,
            "{errors: [{status: 503, rate: 100%}]}",
        )
        .route("server", "retries: {attempts: 2, retryOn: 5xx}");
    let record = mesh.case(&load("connections: 1, requests: 10")).run();
    assert_eq!(outcomes(&record), ["503 URX via_upstream ×10"]);
    for (name, expected) in [
        ("upstream_rq_total", 30),
        ("upstream_rq_retry", 20),
        ("upstream_rq_retry_backoff_exponential", 20),
        ("upstream_rq_retry_limit_exceeded", 10),
        ("upstream_rq_retry_success", 0),
        ("retry.upstream_rq_503", 20),
        ("upstream_rq_503", 10),
        ("upstream_rq_5xx", 10),
        ("upstream_rq_completed", 10),
        // Every retried answer has a body; the last one of each request is read to its end.
        ("upstream_cx_destroy_local_with_active_rq", 20),
        ("upstream_cx_total", 21),
    ] {
        assert_eq!(stat(&record, name), expected, "{name}");
    }
    // A stream of HTTP/2 is reset without its connection.
    let mesh = mesh.rule(
        "server",
        "{connectionPool: {http: {h2UpgradePolicy: UPGRADE}}}",
    );
    let record = mesh.case(&load("connections: 1, requests: 10")).run();
    assert_eq!(stat(&record, "upstream_cx_total"), 1);
    assert_eq!(stat(&record, "upstream_rq_tx_reset"), 20);
}

#[test]
fn a_retry_that_overflows_passes_the_answer_on() {
    let mesh = Mesh::new()
        .pods(
            "server",
            "server",
            1,
            "{serviceTime: 10ms, errors: [{status: 503, rate: 100%}]}",
        )
        .rule("server", "{connectionPool: {http: {maxRetries: 2}}}")
        .route("server", "retries: {attempts: 1, retryOn: 5xx}");
    let record = mesh.case(&load("connections: 6, requests: 6")).run();
    assert_eq!(
        outcomes(&record),
        ["503 UO via_upstream ×4", "503 URX via_upstream ×2"]
    );
    assert_eq!(stat(&record, "upstream_rq_retry_overflow"), 4);
    // The reason of a reset stands behind the refusal.
    let mesh = Mesh::new()
        .pods("server", "server", 1, "{connections: refuse}")
        .rule("server", "{connectionPool: {http: {maxRetries: 1}}}")
        .route("server", "retries: {attempts: 1, retryOn: connect-failure}");
    let record = mesh.case(&load("connections: 2, requests: 2")).run();
    let flags: Vec<&str> = in_order(&record).iter().map(|r| &*r.flags).collect();
    assert_eq!(flags, ["URX,UF", "UO,UF"]);
}
