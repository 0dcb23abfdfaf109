//! Pools of applications, and calls of which a drawn number is made.

use towtank::observe::Record;
use towtank::observe::record::WorkloadRecord;

use crate::harness::Case;
use crate::runs_support::{load, millis};
use crate::theory_support::{Estimate, Mesh, mean_ms, open, runs};

/// `server` does nothing but call `db` by a pool; `db` takes any number at once.
fn pooled(pool: &str, call: &str, work: &str) -> Mesh {
    let server = format!(
        "{{concurrency: unlimited, serviceTime: 0ms, pools: {{db: {pool}}}, calls: [{{url: 'http://db:8080/', pool: db{call}}}]}}"
    );
    let db = format!("{{concurrency: unlimited, serviceTime: {work}}}");
    Mesh::new()
        .pods("server", "server", 1, &server)
        .pods("db", "db", 1, &db)
}

fn workload<'r>(record: &'r Record, name: &str) -> &'r WorkloadRecord {
    let found = record.workloads.iter().find(|w| w.name == name);
    found.unwrap_or_else(|| panic!("{name} took part"))
}

fn counted(record: &Record, name: &str) -> u64 {
    let counts = &workload(record, "t/server").counts;
    counts.get(name).copied().unwrap_or(0)
}

/// A pool of ten in front of a server without limits is a station with ten servers.
#[test]
fn a_pool_waits_as_erlang_c_says() {
    let mesh = pooled("{size: 10}", "", "{exponential: 10ms}");
    let records = runs(&mesh.case(&open("server", 900.0, 120, 5)), 10);
    // M/M/10 at 0.9: 1.66873 service times (the same figure as for a pod with ten places).
    Estimate::of(&records, mean_ms).agrees("M/M/10 by a pool", 16.6873, 0.06);
    // Erlang C: the share that waits is 0.66873, of 900/s for 125 s.
    let waits = records
        .iter()
        .map(|r| counted(r, "pool_waits"))
        .sum::<u64>() as f64
        / 10.0;
    let share = waits / (900.0 * 120.0);
    assert!((0.64..0.70).contains(&share), "{share}");
}

fn one(mesh: &Mesh, users: u32) -> (Vec<(u16, u64)>, Record) {
    let record = mesh
        .case(&load(&format!("connections: {users}, requests: {users}")))
        .run();
    let mut ends: Vec<(u16, u64)> = (record.requests.iter())
        .map(|r| (r.status, millis(r)))
        .collect();
    ends.sort_by_key(|(status, ms)| (*ms, *status));
    (ends, record)
}

#[test]
fn calls_wait_in_the_order_in_which_they_came() {
    let (ends, record) = one(&pooled("{size: 2}", "", "20ms"), 5);
    let expected = [(200, 20), (200, 20), (200, 40), (200, 40), (200, 60)];
    assert_eq!(ends, expected);
    assert_eq!(workload(&record, "t/db").busy_mean.round() as u64, 2);
    assert_eq!(counted(&record, "pool_waits"), 3);
}

#[test]
fn a_wait_that_is_too_long_fails_the_call() {
    let (ends, record) = one(&pooled("{size: 2, timeout: 30ms}", "", "20ms"), 5);
    let expected = [(200, 20), (200, 20), (500, 30), (200, 40), (200, 40)];
    assert_eq!(ends, expected);
    assert_eq!(counted(&record, "pool_timeouts"), 1);
    assert_eq!(workload(&record, "t/db").requests, 4, "it never asked");
    let (ends, _) = one(
        &pooled("{size: 1, timeout: 10ms}", ", onError: ignore", "20ms"),
        2,
    );
    assert_eq!(ends, [(200, 10), (200, 20)]);
}

/// The application's own timeout counts from when it has its connection; its retries keep it.
#[test]
fn what_a_call_holds_it_holds_until_its_last_try_is_over() {
    let mesh = pooled(
        "{size: 1}",
        ", timeout: 8ms, retries: {attempts: 1}, onError: ignore",
        "20ms",
    );
    let (ends, record) = one(&mesh, 2);
    assert_eq!(ends, [(200, 16), (200, 32)]);
    assert_eq!(workload(&record, "t/db").requests, 4);
}

/// A pod that is killed takes its pool with it, and the next one begins with a whole one.
#[test]
fn a_killed_pod_leaves_nothing_taken() {
    let mesh = pooled("{size: 2}", "", "20ms");
    let scenario = "duration: 20s, load: [{name: load, from: t/client, url: 'http://server:8080/', rate: 95/s, timeout: 1s}], \
         events: [{at: 5s, for: 3s, fail: {workload: t/server, how: kill}}]";
    let record = mesh.case(scenario).run();
    let after = |ms: u64| {
        record
            .requests
            .iter()
            .filter(move |r| r.at.ns() > ms * 1_000_000)
    };
    // Restored at 8 s, and 5 s until it serves.
    let late = after(14_000).count() as u64;
    assert!(late > 400, "{late}");
    assert_eq!(after(14_000).filter(|r| r.status != 200).count(), 0);
    assert!(counted(&record, "pool_waits") > 0);
}

/// How many calls each request made, by the requests that `many` got.
fn fan_out(times: &str) -> f64 {
    let calls = format!("[{{url: 'http://many:8080/', times: {times}}}]");
    let mesh = Mesh::new()
        .pods(
            "server",
            "server",
            1,
            &format!("{{concurrency: unlimited, serviceTime: 0ms, calls: {calls}}}"),
        )
        .pods(
            "many",
            "many",
            1,
            "{concurrency: unlimited, serviceTime: 1ms}",
        );
    let case: Case = mesh.case(&load("connections: 1, requests: 4000"));
    let record = case.run();
    workload(&record, "t/many").requests as f64 / 4000.0
}

#[test]
fn drawn_numbers_of_calls_have_the_mean_of_their_distribution() {
    let three = fan_out("{uniform: [1, 5]}");
    assert!((three - 3.0).abs() < 0.08, "{three}");
    // One in ten asks for every row by itself: 0.9 × 1 + 0.1 × 20.
    let rows = fan_out("{shares: {1: 90%, 20: 10%}}");
    assert!((rows - 2.9).abs() < 0.3, "{rows}");
    let none = fan_out("{shares: {0: 50%, 2: 50%}}");
    assert!((none - 1.0).abs() < 0.05, "{none}");
}

/// Within a request the calls of a row belong together: it takes as long as its number says.
#[test]
fn a_request_makes_the_first_of_a_row_and_no_others() {
    let calls = "[{url: 'http://many:8080/', times: {shares: {1: 50%, 4: 50%}}}]";
    let mesh = Mesh::new()
        .pods(
            "server",
            "server",
            1,
            &format!("{{serviceTime: 0ms, calls: {calls}}}"),
        )
        .pods("many", "many", 1, "{serviceTime: 10ms}");
    let record = mesh.case(&load("connections: 1, requests: 200")).run();
    let mut lengths: Vec<u64> = record.requests.iter().map(millis).collect();
    lengths.sort_unstable();
    lengths.dedup();
    assert_eq!(lengths, [10, 40]);
    let parallel = calls.replace("[{", "[{parallel: [{").replace("}]", "}]}]");
    let mesh = Mesh::new()
        .pods(
            "server",
            "server",
            1,
            &format!("{{serviceTime: 0ms, calls: {parallel}}}"),
        )
        .pods(
            "many",
            "many",
            1,
            "{concurrency: unlimited, serviceTime: 10ms}",
        );
    let record = mesh.case(&load("connections: 1, requests: 200")).run();
    assert!(record.requests.iter().all(|r| millis(r) == 10));
    let asked = workload(&record, "t/many").requests;
    assert!((420..580).contains(&asked), "{asked}");
}
