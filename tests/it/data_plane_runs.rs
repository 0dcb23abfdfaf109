//! Promises of the proxies that only a whole run shows: what was measured on Envoy 1.40, through
//! manifests, in virtual time.

use std::collections::BTreeMap;

use towtank::observe::Record;
use towtank::observe::record::RequestRecord;

use crate::harness::Case;
use crate::theory_support::Mesh;

/// A load of the client on `server`; `shape` says how much.
fn load(shape: &str) -> String {
    format!("load: [{{name: load, from: t/client, url: 'http://server:8080/', {shape}}}]")
}

/// A statistic of the client's cluster for `server`.
fn stat(record: &Record, name: &str) -> u64 {
    stat_of(record, "t/client", name)
}

fn stat_of(record: &Record, workload: &str, name: &str) -> u64 {
    let mut clusters = record.clusters.iter().filter(|c| c.workload == workload);
    let cluster = clusters.next().expect("a cluster of the workload");
    assert!(clusters.next().is_none(), "one cluster only");
    cluster.stats.get(name).copied().unwrap_or(0)
}

/// `status flags details ×count` of all requests, sorted.
fn outcomes(record: &Record) -> Vec<String> {
    let mut all: BTreeMap<String, u32> = BTreeMap::new();
    for r in &record.requests {
        let text = format!("{} {} {}", r.status, r.flags, r.details);
        *all.entry(text).or_insert(0) += 1;
    }
    all.into_iter().map(|(k, n)| format!("{k} ×{n}")).collect()
}

fn in_order(record: &Record) -> Vec<&RequestRecord> {
    let mut all: Vec<_> = record.requests.iter().collect();
    all.sort_by_key(|r| r.number);
    all
}

fn millis(request: &RequestRecord) -> u64 {
    request.duration.ns() / 1_000_000
}

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
    assert_eq!(stat(&record, "upstream_rq_retry"), 20);
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
fn a_delay_comes_before_the_router_and_its_timeout() {
    let delayed = |model: &str| {
        let mesh = Mesh::new().pods("server", "server", 1, model).route(
            "server",
            "timeout: 200ms\n    fault: {delay: {percentage: {value: 100}, fixedDelay: 300ms}}",
        );
        mesh.case(&load("connections: 1, requests: 3")).run()
    };
    let record = delayed("{serviceTime: 1ms}");
    assert_eq!(outcomes(&record), ["200 DI via_upstream ×3"]);
    assert!(record.requests.iter().all(|r| millis(r) == 301));
    let record = delayed("{errors: [{hang: true, rate: 100%}]}");
    assert_eq!(outcomes(&record), ["504 DI,UT response_timeout ×3"]);
    assert!(record.requests.iter().all(|r| millis(r) == 500));
}

#[test]
fn aborts_are_drawn_for_themselves_and_nobody_behind_the_filter_sees_them() {
    let mesh = Mesh::new().pods("server", "server", 1, "{serviceTime: 1ms}").route(
        "server",
        "retries: {attempts: 3, retryOn: 5xx}\n    fault: {delay: {percentage: {value: 50}, fixedDelay: 10ms}, abort: {percentage: {value: 50}, httpStatus: 503}}",
    );
    let record = mesh
        .case(&format!("duration: 100s, {}", load("rate: 40/s")))
        .run();
    let total = record.clients[0].requests;
    let flags = &record.clients[0].flags;
    for kind in ["-", "DI", "FI", "DI,FI"] {
        let share = flags[kind] as f64 / total as f64;
        assert!((share - 0.25).abs() < 0.03, "{kind}: {share}");
    }
    let aborted = flags["FI"] + flags["DI,FI"];
    assert_eq!(record.clients[0].attempts[&0], aborted);
    assert_eq!(stat(&record, "upstream_rq_completed"), total - aborted);
    assert_eq!(stat(&record, "upstream_rq_retry"), 0);
}

#[test]
fn a_client_that_leaves_is_logged_as_such_and_charges_nobody() {
    let mesh = Mesh::new()
        .pods(
            "server",
            "server",
            1,
            "{errors: [{hang: true, rate: 100%}]}",
        )
        .rule(
            "server",
            "{outlierDetection: {consecutive5xxErrors: 1, maxEjectionPercent: 100}}",
        );
    let record = mesh
        .case(&load("connections: 1, requests: 3, timeout: 150ms"))
        .run();
    assert_eq!(outcomes(&record), ["0 DC downstream_remote_disconnect ×3"]);
    assert!(record.requests.iter().all(|r| millis(r) == 150));
    assert_eq!(stat(&record, "upstream_rq_completed"), 0);
    assert_eq!(
        stat(&record, "outlier_detection.ejections_enforced_total"),
        0
    );
    assert_eq!(stat(&record, "upstream_cx_destroy_local_with_active_rq"), 3);
    let delayed = mesh.route(
        "server",
        "fault: {delay: {percentage: {value: 100}, fixedDelay: 1s}}",
    );
    let record = delayed
        .case(&load("connections: 1, requests: 1, timeout: 150ms"))
        .run();
    assert_eq!(
        outcomes(&record),
        ["0 DI,DC downstream_remote_disconnect ×1"]
    );
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

/// A gateway in `t` before `server`, and a client outside.
fn gateway(mesh: Mesh, route: &str, load: &str) -> Case {
    let mesh = mesh.manifest(
        "apiVersion: v1\nkind: Service\nmetadata: {name: gw, namespace: t}\nspec: {selector: {istio: gw}, ports: [{name: http, port: 80}]}\n\
         ---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: gw, namespace: t}\nspec:\n  replicas: 1\n  selector: {matchLabels: {istio: gw}}\n  template:\n    metadata: {annotations: {inject.istio.io/templates: gateway}, labels: {istio: gw, sidecar.istio.io/inject: 'true'}}\n    spec: {containers: [{name: istio-proxy, image: auto, ports: [{containerPort: 80}]}]}\n\
         ---\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: gw, namespace: t}\nspec: {selector: {istio: gw}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}\n",
    );
    let mesh = mesh.manifest(&format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: gw, namespace: t}}\nspec:\n  hosts: ['*']\n  gateways: [gw]\n  http:\n  - route: [{{destination: {{host: server}}}}]\n    {route}\n"
    ));
    mesh.over(
        "10ms",
        &format!("load: [{{name: load, from: {{outside: {{via: t/gw}}}}, url: 'http://shop.test/', {load}}}]"),
    )
}

#[test]
fn a_client_outside_gives_up_on_its_own_clock() {
    // 10 ms to the gateway, 10 ms and 60 ms at the server, 10 ms and 10 ms back: 100 ms and a
    // connect of 40 ms for the first one.
    let server = || Mesh::new().pods("server", "server", 1, "{serviceTime: 60ms}");
    let run = |timeout: &str| {
        let load = format!("connections: 1, requests: 4, timeout: {timeout}");
        gateway(server(), "timeout: 9s", &load).run()
    };
    let patient = run("1s");
    let waits: Vec<u64> = in_order(&patient).iter().map(|r| millis(r)).collect();
    assert_eq!(waits, [140, 100, 100, 100]);
    // Too late by the way back alone: the gateway has answered, the client has not seen it.
    let hasty = run("95ms");
    assert_eq!(outcomes(&hasty), ["0 DC downstream_remote_disconnect ×4"]);
    assert!(hasty.requests.iter().all(|r| millis(r) == 95));
    let hasty = run("50ms");
    assert!(hasty.requests.iter().all(|r| millis(r) == 50));
}

#[test]
fn only_what_got_as_far_as_the_pool_is_mirrored() {
    let copies = |server: &str| {
        let mesh = Mesh::new()
            .pods("server", "server", 1, server)
            .pods("copy", "copy", 1, "{serviceTime: 1ms}")
            .rule("server", "{outlierDetection: {consecutive5xxErrors: 1, baseEjectionTime: 60s, maxEjectionPercent: 100}}");
        let route = "mirrors: [{destination: {host: copy}}]\n    retries: {attempts: 0}";
        let inside = mesh.clone().route("server", route);
        let inside = inside.case(&load("connections: 1, requests: 5")).run();
        let outside = gateway(mesh, route, "connections: 1, requests: 5").run();
        [inside, outside].map(|record| {
            let copies = record.endpoints.iter().find(|e| e.workload == "t/copy");
            copies.map_or(0, |c| c.requests)
        })
    };
    assert_eq!(copies("{serviceTime: 20ms}"), [5, 5]);
    // The first failure ejects the only pod: 503 UH from then on.
    assert_eq!(copies("{errors: [{status: 500, rate: 100%}]}"), [1, 1]);
    assert_eq!(
        copies("{connections: refuse}"),
        [1, 1],
        "connects that fail are copied"
    );
}

#[test]
fn a_mirrored_copy_is_taken_after_the_rewrite() {
    // The copy's server lets only the rewritten path in.
    let mesh = Mesh::new()
        .pods("server", "server", 1, "{serviceTime: 1ms}")
        .pods("copy", "copy", 1, "{serviceTime: 1ms}")
        .route("server", "rewrite: {uri: /new}\n    mirrors: [{destination: {host: copy}}]")
        .manifest("apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: copy, namespace: t}\nspec: {selector: {matchLabels: {app: copy}}, action: ALLOW, rules: [{to: [{operation: {paths: [/new]}}]}]}\n");
    let record = mesh.case(&load("connections: 1, requests: 5")).run();
    let copy = record.workloads.iter().find(|w| w.name == "t/copy");
    assert_eq!(copy.map(|w| w.requests), Some(5));
}

#[test]
fn the_application_learns_the_grpc_deadline() {
    let mesh = Mesh::new().pods(
        "server",
        "server",
        1,
        "{errors: [{hang: true, rate: 100%}]}",
    );
    let headers = "headers: {content-type: application/grpc, grpc-timeout: 300m}";
    let record = mesh
        .case(&load(&format!("connections: 1, requests: 2, {headers}")))
        .run();
    assert_eq!(outcomes(&record), ["504 UT response_timeout ×2"]);
    assert!(record.requests.iter().all(|r| millis(r) == 300));
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
