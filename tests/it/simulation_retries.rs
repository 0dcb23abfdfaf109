//! Retries of every layer in whole runs: gRPC, headers, hedging, the server's sidecar, the
//! application. What Envoy 1.40 did was measured beside.

use towtank::observe::Record;
use towtank::units::SimDuration;
use towtank::xds::Action;
use towtank::xds::listener::HttpConnectionManager;
use towtank::xds::route::{
    Forward, HeaderMatch, RateLimitedBackoff, ResetHeader, RetryOn, RetryPolicy, TextMatch,
};

use crate::harness::Case;
use crate::runs_support::{in_order, load, millis, outcomes, stat, stat_of};
use crate::theory_support::Mesh;

const GRPC: &str = "connections: 1, requests: 1, headers: {content-type: application/grpc}";
const ONE: &str = "connections: 1, requests: 1";

fn mesh(model: &str) -> Mesh {
    Mesh::new().pods("server", "server", 1, model)
}

/// What only an EnvoyFilter can set, on every route.
fn with_routes(mut case: Case, change: impl Fn(&mut Forward)) -> Case {
    for id in case.snapshot.route_configs.ids() {
        for host in &mut case.snapshot.route_configs[id].virtual_hosts {
            let mut routes = host.routes.to_vec();
            for route in &mut routes {
                if let Action::Forward(forward) = &mut route.action {
                    change(forward);
                }
            }
            host.routes = routes.into();
        }
    }
    case
}

/// The same for every retry policy.
fn with_policies(case: Case, change: impl Fn(&mut RetryPolicy)) -> Case {
    with_routes(case, |forward| {
        if let Some(policy) = &mut forward.retry {
            change(policy);
        }
    })
}

/// And on every connection manager.
fn with_managers(mut case: Case, change: impl Fn(&mut HttpConnectionManager)) -> Case {
    for id in case.snapshot.tables.ids() {
        for listener in &mut case.snapshot.tables[id].listeners {
            for chain in &mut listener.chains {
                change(&mut chain.hcm);
            }
        }
    }
    case
}

fn served(record: &Record) -> u64 {
    let pods = record.endpoints.iter().filter(|e| e.workload == "t/server");
    pods.map(|e| e.requests).sum()
}

#[expect(clippy::unnecessary_wraps, reason = "every timer is optional")]
fn ms(ms: u64) -> Option<SimDuration> {
    Some(SimDuration::from_ms(ms))
}

#[test]
fn a_grpc_status_in_the_headers_is_retried_without_losing_the_connection() {
    let mesh = mesh("{serviceTime: 1ms, errors: [{grpc: 14, rate: 100%}]}");
    let record = mesh.case(&load(GRPC)).run();
    assert_eq!(outcomes(&record), ["200 URX via_upstream ×1"]);
    assert_eq!(record.requests[0].attempts, 3);
    assert_eq!(record.clients[0].statuses["grpc 14"], 1);
    assert_eq!(stat(&record, "retry.upstream_rq_200"), 2);
    assert_eq!(stat(&record, "upstream_rq_200"), 1);
    assert_eq!(stat(&record, "upstream_cx_total"), 1);
    // A status that the default policy does not name.
    let other = Mesh::new().pods("server", "server", 1, "{errors: [{grpc: 8, rate: 100%}]}");
    let record = other.case(&load(GRPC)).run();
    assert_eq!(outcomes(&record), ["200 - via_upstream ×1"]);
}

#[test]
fn an_envoys_own_answer_to_grpc_is_a_200_and_charged_with_its_http_code() {
    let record = mesh("{connections: refuse}").case(&load(GRPC)).run();
    let details = "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}";
    assert_eq!(outcomes(&record), [format!("200 URX,UF {details} ×1")]);
    assert_eq!(record.clients[0].statuses["grpc 14"], 1);
    assert_eq!(stat(&record, "upstream_rq_503"), 1);
}

#[test]
fn a_servers_sidecar_tries_an_application_that_refuses_three_times() {
    let refuses = mesh("{serviceTime: 1ms, errors: [{refuse: true, rate: 100%}]}");
    let record = refuses.case(&load(ONE)).run();
    // For the client's proxy it is an ordinary 503, which the default policy does not retry.
    assert_eq!(outcomes(&record), ["503 - via_upstream ×1"]);
    assert_eq!(record.requests[0].attempts, 1);
    assert_eq!(stat_of(&record, "t/server", "upstream_rq_retry"), 2);
    assert_eq!(
        stat_of(&record, "t/server", "upstream_rq_retry_limit_exceeded"),
        1
    );
    assert_eq!(stat_of(&record, "t/server", "upstream_rq_503"), 1);
    assert!(
        millis(&record.requests[0]) < 75,
        "two back-offs of 25 and 50 ms at most"
    );
    // A gRPC client's proxy sees UNAVAILABLE, which it retries: three times three.
    let record = refuses.case(&load(GRPC)).run();
    assert_eq!(outcomes(&record), ["200 URX via_upstream ×1"]);
    assert_eq!(stat_of(&record, "t/server", "upstream_rq_retry"), 6);
}

#[test]
fn refusals_are_independent_from_try_to_try() {
    let half = mesh("{serviceTime: 1ms, errors: [{refuse: true, rate: 50%}]}");
    let record = half.case(&load("connections: 1, requests: 4000")).run();
    let failed = record.requests.iter().filter(|r| r.status == 503).count();
    // An eighth of them: 500, four standard deviations of 21.
    assert!((416..=584).contains(&failed), "{failed}");
}

#[test]
fn without_a_sidecar_a_refusal_is_a_closed_connection() {
    let bare = Mesh::new().bare("server", "{errors: [{refuse: true, rate: 100%}]}");
    let record = bare.case(&load(ONE)).run();
    let details = "upstream_reset_before_response_started{connection_termination}";
    assert_eq!(outcomes(&record), [format!("503 UC {details} ×1")]);
}

#[test]
fn retries_of_two_layers_multiply() {
    let fails = "{serviceTime: 1ms, errors: [{status: 503, rate: 100%}]}";
    let route = "retries: {attempts: 2, retryOn: '503'}";
    let own = "connections: 1, requests: 1, retries: {attempts: 2, backoff: 100ms}";
    let record = mesh(fails).route("server", route).case(&load(own)).run();
    assert_eq!(served(&record), 9);
    assert_eq!(outcomes(&record), ["503 URX via_upstream ×1"]);
    assert_eq!(
        (record.clients[0].requests, record.requests[0].attempts),
        (1, 9)
    );
    assert!(millis(&record.requests[0]) >= 200, "two pauses");
    // An application in the middle does the same.
    let calls = "{serviceTime: 1ms, calls: [{url: 'http://server:8080/', retries: {attempts: 2}}]}";
    let middle = mesh(fails)
        .route("server", route)
        .pods("middle", "middle", 1, calls);
    let case = middle.case(
        "load: [{name: load, from: t/client, url: 'http://middle:8080/', connections: 1, requests: 1}]",
    );
    let record = case.run();
    assert_eq!((served(&record), record.requests[0].status), (9, 500));
}

#[test]
fn an_application_stops_trying_when_it_succeeds() {
    let flaky = mesh("{serviceTime: 1ms, errors: [{status: 500, rate: 50%}]}");
    let own = "connections: 1, requests: 4000, retries: {attempts: 2}";
    let record = flaky.case(&load(own)).run();
    let failed = record.requests.iter().filter(|r| r.status == 500).count();
    assert!((416..=584).contains(&failed), "{failed}");
    // 1 + 1/2 + 1/4 tries each.
    assert!(
        (6_800..=7_200).contains(&served(&record)),
        "{}",
        served(&record)
    );
    assert_eq!(record.clients[0].requests, 4000);
}

fn hedging(model: &str, retries: u32) -> Record {
    let route = format!(
        "timeout: 1s\n    retries: {{attempts: {retries}, retryOn: 5xx, perTryTimeout: 100ms, backoff: 1ms}}"
    );
    let case = mesh(model).route("server", &route).case(&load(ONE));
    with_routes(case, |forward| forward.hedge_on_per_try_timeout = true).run()
}

#[test]
fn the_first_answer_of_hedged_tries_wins() {
    let record = hedging("{serviceTime: 250ms}", 1);
    // The second try timed out softly too, with no retry left: the flag stands.
    assert_eq!(outcomes(&record), ["200 URX via_upstream ×1"]);
    assert_eq!(
        (record.requests[0].attempts, millis(&record.requests[0])),
        (2, 250)
    );
    assert_eq!(stat(&record, "upstream_rq_retry_limit_exceeded"), 1);
    assert_eq!(stat(&record, "upstream_rq_retry_success"), 0);
    assert_eq!(stat(&record, "upstream_rq_per_try_timeout"), 0);
    assert_eq!(stat(&record, "upstream_cx_destroy_local_with_active_rq"), 1);
    assert_eq!(stat(&record, "upstream_rq_200"), 1);
}

#[test]
fn a_retriable_answer_of_a_replaced_try_is_dropped_while_another_is_out() {
    let record = hedging(
        "{serviceTime: 250ms, errors: [{status: 503, rate: 100%}]}",
        1,
    );
    assert_eq!(outcomes(&record), ["503 URX via_upstream ×1"]);
    assert!((350..360).contains(&millis(&record.requests[0])));
    assert_eq!(stat(&record, "upstream_rq_retry_limit_exceeded"), 2);
    assert_eq!(stat(&record, "upstream_rq_503"), 1);
    let record = hedging(
        "{serviceTime: 250ms, errors: [{status: 404, rate: 100%}]}",
        1,
    );
    assert_eq!(outcomes(&record), ["404 URX via_upstream ×1"]);
    assert_eq!(millis(&record.requests[0]), 250);
}

#[test]
fn a_route_timeout_ends_every_hedged_try() {
    let record = hedging("{errors: [{hang: true, rate: 100%}]}", 1);
    assert_eq!(outcomes(&record), ["504 URX,UT response_timeout ×1"]);
    assert_eq!(stat(&record, "upstream_rq_timeout"), 2);
    assert_eq!(stat(&record, "upstream_rq_504"), 2);
    assert_eq!(stat(&record, "upstream_rq_active"), 0);
}

#[test]
fn a_stream_on_which_nothing_moves_is_ended_by_the_connection_manager() {
    let hangs = "{errors: [{hang: true, rate: 100%}]}";
    let delayed = "fault: {delay: {fixedDelay: 100ms, percentage: {value: 100}}}";
    let case = mesh(hangs).route("server", delayed).case(&load(ONE));
    let case = with_managers(case, |hcm| hcm.stream_idle_timeout = ms(300));
    let record = case.run();
    assert_eq!(outcomes(&record), ["504 DI,SI stream_idle_timeout ×1"]);
    assert_eq!(millis(&record.requests[0]), 300);
    assert_eq!(stat(&record, "upstream_rq_completed"), 0);
    assert_eq!(stat(&record, "upstream_rq_active"), 0);
    // The route's own limit takes its place; a gRPC client sees the end as UNAVAILABLE.
    let case = mesh(hangs).case(&load(GRPC));
    let case = with_managers(case, |hcm| hcm.stream_idle_timeout = ms(300));
    let record = with_routes(case, |forward| forward.idle_timeout = ms(200)).run();
    assert_eq!(outcomes(&record), ["200 SI stream_idle_timeout ×1"]);
    assert_eq!(record.clients[0].statuses["grpc 14"], 1);
    assert_eq!(millis(&record.requests[0]), 200);
}

#[test]
fn a_stream_that_lasts_too_long_is_ended_without_a_flag() {
    let hangs = "{errors: [{hang: true, rate: 100%}]}";
    let limited = |hcm: &mut HttpConnectionManager| hcm.max_stream_duration = ms(250);
    let record = with_managers(mesh(hangs).case(&load(ONE)), limited).run();
    assert_eq!(outcomes(&record), ["504 - max_duration_timeout ×1"]);
    assert_eq!(millis(&record.requests[0]), 250);
    let record = with_managers(mesh(hangs).case(&load(GRPC)), limited).run();
    assert_eq!(record.clients[0].statuses["grpc 4"], 1);
}

#[test]
fn the_silence_of_a_try_has_a_timeout_of_its_own() {
    let hangs = "{errors: [{hang: true, rate: 100%}]}";
    let route = "retries: {attempts: 1, retryOn: 5xx, perTryTimeout: 5s, backoff: 1ms}";
    let case = mesh(hangs).route("server", route).case(&load(ONE));
    let case = with_policies(case, |policy| {
        policy.per_try_idle_timeout = ms(100);
    });
    let record = case.run();
    assert_eq!(
        outcomes(&record),
        ["504 URX,UT upstream_per_try_idle_timeout ×1"]
    );
    assert_eq!(stat(&record, "upstream_rq_per_try_idle_timeout"), 2);
    assert_eq!(stat(&record, "upstream_rq_per_try_timeout"), 0);
    assert_eq!(millis(&record.requests[0]), 200);
}

fn present(name: &str) -> HeaderMatch {
    HeaderMatch {
        name: name.into(),
        value: TextMatch::Present,
        invert: false,
        missing_as_empty: false,
    }
}

#[test]
fn headers_of_request_and_answer_decide_about_a_retry() {
    let again =
        "{serviceTime: 1ms, errors: [{status: 200, headers: {x-again: 'yes'}, rate: 100%}]}";
    let tries = |word: RetryOn, needs: Option<&str>| {
        let case = mesh(again).case(&load(
            "connections: 1, requests: 1, headers: {x-may: 'yes'}",
        ));
        let case = with_policies(case, |policy| {
            policy.on = word;
            policy.retriable_headers = vec![present("x-again")];
            policy.retriable_request_headers = needs.map(present).into_iter().collect();
        });
        case.run().requests[0].attempts
    };
    assert_eq!(tries(RetryOn::HEADERS, None), 3);
    assert_eq!(tries(RetryOn::SERVER_ERROR, None), 1);
    assert_eq!(tries(RetryOn::HEADERS, Some("x-may")), 3);
    assert_eq!(tries(RetryOn::HEADERS, Some("x-must")), 1);
}

#[test]
fn an_answer_says_how_long_to_wait() {
    let limited =
        "{serviceTime: 1ms, errors: [{status: 503, headers: {retry-after: '1'}, rate: 100%}]}";
    let route = "retries: {attempts: 1, retryOn: '503'}";
    let case = mesh(limited)
        .route("server", route)
        .case(&load("connections: 1, requests: 40"));
    let case = with_policies(case, |policy| {
        policy.rate_limited_backoff = Some(RateLimitedBackoff {
            reset_headers: vec![ResetHeader {
                name: "retry-after".into(),
                unix_timestamp: false,
            }],
            max_interval: SimDuration::from_secs(300),
        });
    });
    let record = case.run();
    let waits: Vec<u64> = in_order(&record).into_iter().map(millis).collect();
    assert!(
        waits.iter().all(|wait| (1000..1510).contains(wait)),
        "{waits:?}"
    );
    assert_eq!(stat(&record, "upstream_rq_retry_backoff_ratelimited"), 40);
    assert_eq!(stat(&record, "upstream_rq_retry_backoff_exponential"), 0);
    let fails = "{errors: [{status: 503, headers: {x-envoy-ratelimited: 'true'}, rate: 100%}]}";
    let record = mesh(fails).route("server", route).case(&load(ONE)).run();
    assert_eq!(outcomes(&record), ["503 - via_upstream ×1"]);
}

#[test]
fn only_internal_requests_set_their_own_retries() {
    let fails = "{serviceTime: 1ms, errors: [{status: 500, rate: 100%}]}";
    let asking = "connections: 1, requests: 1, headers: {x-forwarded-for: 10.1.1.1, x-envoy-retry-on: 5xx, x-envoy-max-retries: '4'}";
    let tries = |ranges: &[&str]| {
        let case = with_managers(mesh(fails).case(&load(asking)), |hcm| {
            hcm.internal_addresses = ranges.iter().map(|r| (*r).into()).collect();
        });
        case.run().requests[0].attempts
    };
    assert_eq!(tries(&[]), 1);
    assert_eq!(tries(&["192.168.0.0/16"]), 1);
    assert_eq!(tries(&["10.0.0.0/8"]), 5);
}
