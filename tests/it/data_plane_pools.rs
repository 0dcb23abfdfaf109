//! Connections, breakers and the server's sidecar as whole runs show them (Envoy 1.40, measured).

use towtank::observe::Record;

use crate::runs_support::{in_order, load, millis, outcomes, stat};
use crate::theory_support::Mesh;

#[test]
fn a_failed_connect_fails_everybody_who_waits() {
    let mesh = Mesh::new()
        .pods("server", "server", 1, "{connections: blackhole}")
        .rule("server", "{connectionPool: {tcp: {connectTimeout: 500ms}}, outlierDetection: {consecutive5xxErrors: 5, maxEjectionPercent: 100}}")
        .route("server", "retries: {attempts: 0}");
    let record = mesh
        .case(&load("rate: 10/s, arrivals: constant, requests: 5"))
        .run();
    let waits: Vec<u64> = in_order(&record).iter().map(|r| millis(r)).collect();
    assert_eq!(waits, [500, 400, 300, 200, 100]);
    assert!(
        outcomes(&record)[0]
            .starts_with("503 UF upstream_reset_before_response_started{connection_timeout}")
    );
    assert_eq!(stat(&record, "upstream_cx_connect_fail"), 1);
    assert_eq!(stat(&record, "upstream_rq_pending_failure_eject"), 5);
    assert_eq!(stat(&record, "upstream_rq_total"), 0);
    // One outlier event for each of them.
    assert_eq!(
        stat(&record, "outlier_detection.ejections_enforced_total"),
        1
    );
}

/// Six requests in this rhythm on two connections with one waiting place; how many succeed.
fn six(rhythm: &str, http: &str) -> (usize, Record) {
    let mesh = Mesh::new()
        .pods("server", "server", 1, "{serviceTime: 100ms}")
        .rule("server", &format!("{{connectionPool: {{tcp: {{maxConnections: 2}}, http: {{http1MaxPendingRequests: 1, {http}}}}}}}"));
    let record = mesh.over("250us", &load(rhythm)).run();
    let ok = record.requests.iter().filter(|r| r.status == 200).count();
    (ok, record)
}

#[test]
fn a_cold_pool_overflows_before_a_warm_one() {
    let (ok, record) = six("connections: 6, requests: 6", "maxRetries: 1");
    assert_eq!(ok, 1);
    assert_eq!(stat(&record, "upstream_rq_pending_overflow"), 5);
    assert_eq!(
        outcomes(&record)[1],
        "503 UO upstream_reset_before_response_started{overflow} ×5"
    );
    // Connects are done in between: two run, one waits.
    let (ok, record) = six(
        "rate: 500/s, arrivals: constant, requests: 6",
        "maxRetries: 1",
    );
    assert_eq!(ok, 3);
    let slowest = record.requests.iter().map(millis).max().unwrap();
    assert!(
        (190..210).contains(&slowest),
        "the one that waited: {slowest} ms"
    );
    assert_eq!(stat(&record, "upstream_rq_5xx"), 3);
    assert_eq!(stat(&record, "upstream_rq_total"), 3);
}

#[test]
fn max_requests_limits_http1_when_a_stream_is_attached() {
    let mesh = Mesh::new()
        .pods("server", "server", 1, "{serviceTime: 100ms}")
        .rule("server", "{connectionPool: {http: {http2MaxRequests: 2}}}");
    let record = mesh
        .over("250us", &load("connections: 3, requests: 3"))
        .run();
    assert_eq!(stat(&record, "upstream_rq_active_overflow"), 1);
    assert_eq!(stat(&record, "upstream_cx_total"), 3);
    assert_eq!(record.clients[0].statuses["200"], 2);
}

#[test]
fn every_host_may_have_one_connection() {
    let mesh = Mesh::new()
        .pods("server", "server", 2, "{serviceTime: 50ms}")
        .rule(
            "server",
            "{loadBalancer: {simple: ROUND_ROBIN}, connectionPool: {tcp: {maxConnections: 1}}}",
        );
    let record = mesh
        .over("250us", &load("connections: 6, requests: 12"))
        .run();
    assert_eq!(record.clients[0].statuses["200"], 12);
    assert_eq!(stat(&record, "upstream_cx_total"), 2);
    assert!(stat(&record, "upstream_cx_overflow") > 0);
}

#[test]
fn idle_connections_are_part_of_the_limit_until_their_time_is_over() {
    // Twenty at once, then one at a time: nineteen connections stand idle behind the one in use.
    let mesh = Mesh::new()
        .pods("server", "server", 1, "{serviceTime: 10ms}")
        .rule("server", "{connectionPool: {http: {idleTimeout: 5s}}}");
    let crowd =
        "{name: crowd, from: t/client, url: 'http://server:8080/', connections: 20, requests: 20}";
    let single = "{name: single, from: t/client, url: 'http://server:8080/', rate: 10/s, arrivals: constant}";
    let record = mesh
        .case(&format!("duration: 20s, load: [{crowd}, {single}]"))
        .run();
    let opened = stat(&record, "upstream_cx_total");
    assert!((20..=21).contains(&opened), "{opened}");
    assert_eq!(stat(&record, "upstream_cx_idle_timeout"), opened - 1);
    assert_eq!(stat(&record, "upstream_cx_active"), 1);
}

#[test]
fn a_sidecar_answers_for_an_application_that_closes_its_connection() {
    let resets = "{serviceTime: 1ms, errors: [{reset: true, rate: 100%}]}";
    let reset = "retries: {attempts: 2, retryOn: reset}";
    let mesh = Mesh::new()
        .pods("server", "server", 1, resets)
        .route("server", reset);
    let record = mesh.case(&load("connections: 1, requests: 4")).run();
    // The client's proxy sees an answer: `reset` does not match it.
    assert_eq!(outcomes(&record), ["503 - via_upstream ×4"]);
    assert_eq!(stat(&record, "upstream_rq_retry"), 0);
    assert_eq!(stat(&record, "upstream_cx_total"), 1);
    let bare = Mesh::new().bare("server", resets).route("server", reset);
    let record = bare.case(&load("connections: 1, requests: 4")).run();
    let details = "upstream_reset_before_response_started{connection_termination}";
    assert_eq!(outcomes(&record), [format!("503 URX,UC {details} ×4")]);
    assert_eq!(
        stat(&record, "upstream_cx_destroy_remote_with_active_rq"),
        12
    );
    // A stream of HTTP/2 is reset, and its connection goes on.
    let bare = bare.rule(
        "server",
        "{connectionPool: {http: {h2UpgradePolicy: UPGRADE}}}",
    );
    let record = bare.case(&load("connections: 1, requests: 4")).run();
    let details = "upstream_reset_before_response_started{remote_reset}";
    assert_eq!(outcomes(&record), [format!("503 URX,UR {details} ×4")]);
    assert_eq!(stat(&record, "upstream_rq_rx_reset"), 12);
    assert_eq!(stat(&record, "upstream_cx_total"), 1);
}

#[test]
fn the_servers_sidecar_limits_what_all_clients_together_send() {
    let mesh = Mesh::new()
        .pods("others", "others", 2, "{}")
        .pods("server", "server", 1, "{serviceTime: 100ms}")
        .rule(
            "server",
            "{connectionPool: {tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}}}",
        )
        .route("server", "retries: {attempts: 0}");
    // Each client pod keeps to its own limits; three of them exceed the server's.
    let scenario = "load: [{name: load, from: t/client, url: 'http://server:8080/', connections: 1, requests: 1}, {name: more, from: t/others, url: 'http://server:8080/', connections: 2, requests: 2}]";
    let record = mesh.over("1ms", scenario).run();
    assert_eq!(
        outcomes(&record),
        ["200 - via_upstream ×2", "503 - via_upstream ×1"]
    );
    let mut times: Vec<u64> = record.requests.iter().map(millis).collect();
    times.sort_unstable();
    assert!(
        times[0] < 20 && times[1] < 120 && times[2] > 200,
        "{times:?}"
    );
    let inbound = record.clusters.iter().find(|c| c.workload == "t/server");
    let inbound = inbound.expect("the server's own cluster");
    assert_eq!(inbound.cluster, "inbound|8080||");
    assert_eq!(inbound.stats["upstream_rq_pending_overflow"], 1);
    assert_eq!(inbound.stats["upstream_rq_total"], 2);
    let server = record.workloads.iter().find(|w| w.name == "t/server");
    assert_eq!(server.unwrap().rejected, 1);
}

#[test]
fn http2_shares_connections_and_counts_as_pending_while_the_first_is_made() {
    let run = |pool: &str, users: u32| {
        let mesh = Mesh::new()
            .pods("server", "server", 1, "{serviceTime: 100ms}")
            .rule(
                "server",
                &format!("{{connectionPool: {{http: {{h2UpgradePolicy: UPGRADE, {pool}}}}}}}"),
            );
        let record = mesh
            .over(
                "250us",
                &load(&format!("connections: {users}, requests: {users}")),
            )
            .run();
        let ok = record.clients[0].statuses.get("200").copied().unwrap_or(0);
        (ok, stat(&record, "upstream_cx_total"))
    };
    assert_eq!(run("maxRetries: 1", 20), (20, 1));
    assert_eq!(run("maxConcurrentStreams: 4", 20), (20, 5));
    assert_eq!(run("http1MaxPendingRequests: 2", 8), (2, 1));
}

#[test]
fn a_connection_carries_as_many_requests_as_it_may() {
    let mesh = Mesh::new()
        .pods("server", "server", 1, "{serviceTime: 1ms}")
        .rule(
            "server",
            "{connectionPool: {http: {maxRequestsPerConnection: 2}}}",
        );
    let record = mesh.case(&load("connections: 1, requests: 6")).run();
    assert_eq!(stat(&record, "upstream_cx_total"), 3);
    assert_eq!(stat(&record, "upstream_cx_max_requests"), 3);
    assert_eq!(stat(&record, "upstream_cx_destroy_local_with_active_rq"), 0);
}

#[test]
fn who_leaves_a_servers_sidecar_makes_room_for_others() {
    // One request hangs on the only connection to the application until its client gives up.
    let mesh = Mesh::new()
        .pods("others", "others", 3, "{}")
        .pods(
            "server",
            "server",
            1,
            "{serviceTime: 10ms, errors: [{hang: true, rate: 10%}]}",
        )
        .rule(
            "server",
            "{connectionPool: {tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 2}}}",
        )
        .route("server", "timeout: 200ms\n    retries: {attempts: 0}");
    let scenario = "duration: 20s, load: [{name: load, from: t/others, url: 'http://server:8080/', rate: 60/s}]";
    let record = mesh.over("1ms", scenario).run();
    let of = |status: &str| record.clients[0].statuses.get(status).copied().unwrap_or(0);
    assert!(
        of("200") > 200 && of("504") > 50 && of("503") > 50,
        "{:?}",
        record.clients[0].statuses
    );
    let inbound = record
        .clusters
        .iter()
        .find(|c| c.workload == "t/server")
        .unwrap();
    let stat = |name: &str| inbound.stats.get(name).copied().unwrap_or(0);
    assert!(stat("upstream_rq_cancelled") > 10);
    // An answer may be on its way back when its client gives up.
    let late = stat("upstream_rq_200") - of("200");
    assert!(late < 20, "{late}");
    let ways = stat("upstream_rq_total")
        + stat("upstream_rq_cancelled")
        + stat("upstream_rq_pending_overflow");
    let server = record
        .endpoints
        .iter()
        .find(|e| e.workload == "t/server")
        .unwrap();
    assert_eq!(
        ways, server.requests,
        "every request that arrived went one way"
    );
}

/// A Service of opaque bytes in front of the pods of `server`.
fn tcp(app: &str) -> Mesh {
    Mesh::new().pods("server", "server", 1, app).manifest(
        "apiVersion: v1
kind: Service
metadata: {name: bytes, namespace: t}
spec: {selector: {app: server}, ports: [{name: tcp, port: 9000, targetPort: 8080}]}
",
    )
}

/// How exchanges with it end.
fn exchanges(mesh: &Mesh) -> Record {
    let load = load("rate: 20/s, arrivals: constant, requests: 4");
    mesh.case(&load.replace("server:8080", "bytes:9000")).run()
}

#[test]
fn a_tcp_client_sees_the_bytes_of_the_application_or_a_closed_connection() {
    let record = exchanges(&tcp("{errors: [{status: 503, rate: 100%}]}"));
    assert_eq!(outcomes(&record), ["503 - - ×4"]);
    assert_eq!(stat(&record, "upstream_cx_total"), 4);
    assert_eq!(stat(&record, "upstream_rq_503"), 0);

    let record = exchanges(&tcp("{connections: refuse}"));
    assert_eq!(outcomes(&record), ["0 UF,URX - ×4"]);

    let denied = tcp("{serviceTime: 1ms}").manifest(
        "apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: nobody, namespace: t}
spec: {}
",
    );
    assert_eq!(outcomes(&exchanges(&denied)), ["0 - - ×4"]);
}
