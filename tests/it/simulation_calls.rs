//! Applications that call others: order, failures, timeouts, and headers that travel along.

use towtank::observe::Record;
use towtank::units::SimDuration;

use crate::runs_support::{load, millis, outcomes};
use crate::theory_support::Mesh;

/// `server` with these `calls`; `slow` takes 20 ms, `quick` 5 ms, `broken` fails.
fn calling(calls: &str) -> Mesh {
    Mesh::new()
        .pods(
            "server",
            "server",
            1,
            &format!("{{serviceTime: 1ms, propagate: [user], calls: {calls}}}"),
        )
        .pods("slow", "slow", 1, "{serviceTime: 20ms}")
        .pods("quick", "quick", 1, "{serviceTime: 5ms}")
        .pods(
            "broken",
            "broken",
            1,
            "{serviceTime: 5ms, errors: [{status: 503, rate: 100%}]}",
        )
}

/// (status, milliseconds) of one request, and the requests that `quick` got.
fn answer(calls: &str) -> (u16, u64, u64) {
    let record = calling(calls)
        .case(&load("connections: 1, requests: 1"))
        .run();
    let only = &record.requests[0];
    (only.status, millis(only), served(&record, "t/quick"))
}

fn served(record: &Record, name: &str) -> u64 {
    let pods = record.endpoints.iter().filter(|e| e.workload == name);
    pods.map(|e| e.requests).sum()
}

#[test]
fn steps_run_in_order_and_parallel_calls_at_once() {
    let sequence = "['http://slow:8080/', 'http://quick:8080/']";
    assert_eq!(answer(sequence), (200, 26, 1));
    let parallel = "[{parallel: ['http://slow:8080/', 'http://quick:8080/']}]";
    assert_eq!(answer(parallel), (200, 21, 1));
    let both = "[{parallel: ['http://slow:8080/', 'http://quick:8080/']}, 'http://quick:8080/']";
    assert_eq!(answer(both), (200, 26, 2));
}

#[test]
fn a_failed_call_fails_its_caller_unless_that_is_ignored() {
    let then = |on_error: &str| {
        format!("[{{url: 'http://broken:8080/'{on_error}}}, 'http://quick:8080/']")
    };
    assert_eq!(answer(&then("")), (500, 6, 0), "the next step is not begun");
    assert_eq!(answer(&then(", onError: {fail: 502}")), (502, 6, 0));
    assert_eq!(answer(&then(", onError: ignore")), (200, 11, 1));
    let parallel =
        "[{parallel: ['http://broken:8080/', 'http://slow:8080/']}, 'http://quick:8080/']";
    assert_eq!(
        answer(parallel),
        (500, 21, 0),
        "the step ends when all have ended"
    );
}

#[test]
fn an_application_may_give_up_and_the_server_works_on() {
    let calls = "[{url: 'http://slow:8080/', timeout: 8ms, onError: ignore}, 'http://quick:8080/']";
    assert_eq!(answer(calls), (200, 14, 1));
    let calls = "[{url: 'http://slow:8080/', timeout: 8ms}, 'http://quick:8080/']";
    let record = calling(calls)
        .case(&load("connections: 1, requests: 5"))
        .run();
    assert_eq!(outcomes(&record), ["500 - via_upstream ×5"]);
    let slow = record
        .workloads
        .iter()
        .find(|w| w.name == "t/slow")
        .unwrap();
    assert_eq!((slow.requests, slow.errors), (5, 0));
    let row = record.edges.iter().find(|e| e.from == "t/server").unwrap();
    assert_eq!((row.flags["DC"], row.statuses["0"]), (5, 5));
}

#[test]
fn only_named_headers_travel_along() {
    let run = |header: &str| {
        let mesh = calling("[{url: 'http://quick:8080/', onError: {fail: 599}}]").manifest(&format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: quick, namespace: t}}\nspec:\n  hosts: [quick]\n  http:\n  - match: [{{headers: {{{header}: {{exact: tester}}}}}}]\n    directResponse: {{status: 503}}\n  - route: [{{destination: {{host: quick}}}}]\n"
        ));
        let scenario = load(&format!(
            "connections: 1, requests: 2, headers: {{{header}: tester}}"
        ));
        mesh.case(&scenario).run().requests[0].status
    };
    assert_eq!((run("user"), run("other")), (599, 200));
}

#[test]
fn a_full_queue_answers_503() {
    let mesh = Mesh::new().pods(
        "server",
        "server",
        1,
        "{concurrency: 1, queue: 2, serviceTime: 10ms}",
    );
    let record = mesh.case(&load("connections: 5, requests: 5")).run();
    assert_eq!(
        outcomes(&record),
        ["200 - via_upstream ×3", "503 - via_upstream ×2"]
    );
    let mut waits: Vec<u64> = record.requests.iter().map(millis).collect();
    waits.sort_unstable();
    assert_eq!(waits, [0, 0, 10, 20, 30]);
    let server = record
        .workloads
        .iter()
        .find(|w| w.name == "t/server")
        .unwrap();
    assert_eq!(
        (server.requests, server.rejected, server.queue_max),
        (3, 2, 2)
    );
}

#[test]
fn a_drawn_header_finds_the_same_pods_when_the_client_has_left() {
    let mesh = Mesh::new()
        .pods("front", "front", 1, "{concurrency: unlimited, serviceTime: 20ms, propagate: [user], calls: ['http://back:8080/']}")
        .pods("back", "back", 5, "{concurrency: unlimited, serviceTime: 1ms}")
        .rule("back", "{loadBalancer: {consistentHash: {httpHeaderName: user}}}");
    let run = |timeout: &str| {
        let scenario = format!(
            "duration: 10s, load: [{{name: load, from: t/client, url: 'http://front:8080/', rate: 100/s, headers: {{user: {{uniform: {{prefix: user-, count: 30}}}}}}{timeout}}}]"
        );
        let record = mesh.case(&scenario).run();
        let pods = record.endpoints.iter().filter(|e| e.workload == "t/back");
        let counts: Vec<u64> = pods.map(|e| e.requests).collect();
        (record.clients[0].statuses.contains_key("200"), counts)
    };
    let (patient, hasty) = (run(""), run(", timeout: 5ms"));
    assert!(patient.0 && !hasty.0);
    let total: u64 = patient.1.iter().sum();
    // The last few requests of a run that nobody waits for are not played to their end.
    let apart: u64 = patient
        .1
        .iter()
        .zip(&hasty.1)
        .map(|(a, b)| a.abs_diff(*b))
        .sum();
    assert!(total > 900 && apart < 10, "{:?} {:?}", patient.1, hasty.1);
}

/// Requests that `quick` got for 10,000 at its caller, and what the caller counted.
fn of_ten_thousand(calls: &str) -> (u64, Record) {
    let record = calling(calls)
        .case(&load("connections: 1, requests: 10000"))
        .run();
    (served(&record, "t/quick"), record)
}

fn counted(record: &Record, name: &str) -> u64 {
    let server = record.workloads.iter().find(|w| w.name == "t/server");
    let counts = &server.expect("it served").counts;
    counts.get(name).copied().unwrap_or(0)
}

/// Within five standard errors of a share of 10,000.
fn is_share(count: u64, share: f64) -> bool {
    let error = 5.0 * (10_000.0 * share * (1.0 - share)).sqrt();
    (count as f64 - 10_000.0 * share).abs() <= error
}

#[test]
fn chance_leaves_calls_out() {
    let (quick, record) =
        of_ten_thousand("[{url: 'http://quick:8080/', probability: 30%, onError: ignore}]");
    assert!(is_share(quick, 0.3), "{quick}");
    assert_eq!(counted(&record, "calls_skipped"), 10_000 - quick);
    assert_eq!(record.clients[0].statuses["200"], 10_000);
}

#[test]
fn a_cache_with_nine_hits_of_ten_makes_a_tenth_of_the_calls() {
    let cached = "{url: 'http://quick:8080/', cache: {hitRate: 90%}}";
    let (quick, record) = of_ten_thousand(&format!("[{cached}]"));
    assert!(is_share(quick, 0.1), "{quick}");
    assert_eq!(counted(&record, "cache_misses"), quick);
    assert_eq!(counted(&record, "cache_hits"), 10_000 - quick);
    // A hit takes no time, a miss 5 ms.
    let latency = &record.clients[0].latency;
    assert_eq!(
        (latency.quantile(0.5).ns() / 100_000, latency.max()),
        (10, SimDuration::from_ms(6))
    );
    // Two caches of one step have luck of their own.
    let (both, _) = of_ten_thousand(&format!("[{{parallel: [{cached}, {cached}]}}]"));
    assert!(both.abs_diff(2000) < 250, "{both}");
}

#[test]
fn calls_are_made_several_times_in_a_row_or_at_once() {
    let row = "[{url: 'http://quick:8080/', times: 3}]";
    assert_eq!(answer(row), (200, 16, 3));
    let fan_out = "[{parallel: [{url: 'http://quick:8080/', times: 3}]}]";
    assert_eq!(answer(fan_out), (200, 6, 3));
}

#[test]
fn nobody_waits_for_an_asynchronous_call() {
    let calls = "[{url: 'http://broken:8080/', async: true}, {parallel: [{url: 'http://slow:8080/', async: true, retries: {attempts: 1}}, 'http://quick:8080/']}]";
    let record = calling(calls)
        .case("duration: 10s, load: [{name: load, from: t/client, url: 'http://server:8080/', connections: 1, requests: 10, think: 50ms}]")
        .run();
    assert_eq!(record.clients[0].statuses["200"], 10);
    assert_eq!(millis(&record.requests[0]), 6, "only `quick` is waited for");
    assert_eq!(counted(&record, "async_calls"), 20);
    assert!(served(&record, "t/broken") >= 10);
    assert_eq!(served(&record, "t/quick"), 10);
    assert!(served(&record, "t/slow") >= 9);
}

#[test]
fn an_asynchronous_call_holds_no_slot_of_its_caller() {
    let calls = |kind: &str| format!("[{{url: 'http://slow:8080/'{kind}}}]");
    let utilisation = |calls: &str| {
        let record = calling(calls)
            .case("duration: 20s, load: [{name: load, from: t/client, url: 'http://server:8080/', rate: 100/s}]")
            .run();
        let server = record.workloads.iter().find(|w| w.name == "t/server");
        server.expect("it served").busy_mean
    };
    let (waiting, alone) = (
        utilisation(&calls("")),
        utilisation(&calls(", async: true")),
    );
    assert!((waiting - 2.1).abs() < 0.3, "{waiting}: 100/s for 21 ms");
    assert!((alone - 0.1).abs() < 0.02, "{alone}: 100/s for 1 ms");
}

/// A workload that sends load may be called back by what it calls: the load is no part of the circle.
#[test]
fn a_load_from_a_workload_is_no_call_of_it() {
    let mesh = Mesh::new()
        .pods(
            "front",
            "front",
            1,
            "{serviceTime: 1ms, calls: ['http://back:8080/']}",
        )
        .pods("back", "back", 1, "{serviceTime: 1ms}");
    let scenario = load("connections: 1, requests: 1")
        .replace("t/client", "t/back")
        .replace("http://server", "http://front");
    let record = mesh.case(&scenario).run();
    assert_eq!(outcomes(&record), ["200 - via_upstream ×1"]);
    let round = Mesh::new()
        .pods(
            "front",
            "front",
            1,
            "{serviceTime: 1ms, calls: ['http://back:8080/']}",
        )
        .pods(
            "back",
            "back",
            1,
            "{serviceTime: 1ms, calls: ['http://end:8080/']}",
        )
        .pods("end", "end", 1, "{serviceTime: 1ms}");
    let record = round.case(&scenario).run();
    assert_eq!(outcomes(&record), ["200 - via_upstream ×1"]);
}
