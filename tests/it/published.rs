//! Results others have published or that follow from a line of arithmetic.

use towtank::observe::Record;

use crate::theory_support::{Estimate, Mesh, failed, mean_ms, open, runs, tries};

#[test]
fn three_tries_amplify_as_the_geometric_series_says() {
    for (rate, attempts, lost) in [
        ("10%", 1.11, 0.001),
        ("30%", 1.39, 0.027),
        ("50%", 1.75, 0.125),
        ("100%", 3.0, 1.0),
    ] {
        let model = format!(
            "{{concurrency: unlimited, errors: [{{status: 500, rate: {rate}}}], serviceTime: 1ms}}"
        );
        let mesh = Mesh::new()
            .pods("server", "server", 4, &model)
            .route("server", "retries: {attempts: 2, retryOn: 5xx}");
        let records = runs(&mesh.case(&open("server", 500.0, 20, 0)), 10);
        Estimate::of(&records, tries).agrees(&format!("attempts at {rate}"), attempts, 0.01);
        Estimate::of(&records, failed).agrees(&format!("failed at {rate}"), lost, 0.5);
    }
}

#[test]
fn three_layers_of_four_tries_hit_the_last_one_64_times() {
    let calls = |to: &str| {
        format!(
            "{{concurrency: unlimited, queue: unlimited, serviceTime: 0ms, calls: [http://{to}:8080/]}}"
        )
    };
    let retries = "retries: {attempts: 3, retryOn: 5xx}";
    let mesh = Mesh::new()
        .pods("front", "front", 1, &calls("middle"))
        .pods("middle", "middle", 1, &calls("back"))
        .pods(
            "back",
            "back",
            1,
            "{serviceTime: 1ms, errors: [{status: 503, rate: 100%}]}",
        )
        .route("front", &format!("{retries}\n    timeout: 60s"))
        .route("middle", retries)
        .route("back", retries);
    let scenario = "load: [{name: load, from: t/client, url: 'http://front:8080/', connections: 1, requests: 50}]";
    let record = &runs(&mesh.case(scenario), 1)[0];
    let at_back = record.endpoints.iter().find(|e| e.workload == "t/back");
    assert_eq!(at_back.unwrap().requests, 50 * 64);
}

/// Share of answered requests with one live and one dead host under RANDOM.
fn ladder(retries: u32, ignore_previous: bool) -> Estimate {
    // A policy beside no attempts would be refused by admission.
    let policy = match retries {
        0 => "retries: {attempts: 0}".to_owned(),
        n => format!(
            "retries: {{attempts: {n}, retryOn: connect-failure, retryIgnorePreviousHosts: {ignore_previous}}}"
        ),
    };
    let mesh = Mesh::new()
        .pods("live", "server", 1, "{serviceTime: 1ms}")
        .pods("dead", "server", 1, "{connections: refuse}")
        .rule("server", "{loadBalancer: {simple: RANDOM}}")
        .route("server", &policy);
    let records = runs(&mesh.case(&open("server", 100.0, 60, 0)), 10);
    Estimate::of(&records, |r| 1.0 - failed(r))
}

#[test]
fn the_retry_ladder_climbs_by_halves() {
    for (retries, answered) in [(0, 0.5), (1, 0.75), (2, 0.875), (3, 0.9375)] {
        let what = format!("{retries} retries among two hosts");
        ladder(retries, false).agrees(&what, answered, 0.03);
    }
}

#[test]
fn a_retry_that_avoids_earlier_hosts_finds_the_live_one() {
    // Five new picks that all fall on the dead host leave it: once in 64 retries.
    ladder(1, true).agrees("one retry elsewhere", 1.0 - 0.5 / 64.0, 0.005);
}

/// Mean time in units of the service time at `clients` client pods, 100 servers of one slot each.
fn choices(policy: &str, clients: u32, utilisation: f64) -> Estimate {
    let mesh = Mesh::new()
        .pods("clients", "clients", clients, "{}")
        .pods(
            "server",
            "server",
            100,
            "{concurrency: 1, queue: unlimited, serviceTime: {exponential: {mean: 10ms}}}",
        )
        .rule("server", &format!("{{loadBalancer: {{simple: {policy}}}}}"));
    let load = open("server", 10_000.0 * utilisation, 6, 2).replace("t/client", "t/clients");
    Estimate::of(&runs(&mesh.case(&load), 16), |r| mean_ms(r) / 10.0)
}

#[test]
fn two_choices_beat_one_as_the_mean_field_says() {
    // The limit for infinitely many servers. With 100 of them, and two picks that may be the same
    // host, the time is up to a few per cent longer.
    choices("LEAST_REQUEST", 1, 0.5).within("two choices at 0.5", 1.2657, 1.2657 * 1.03, 0.02);
    choices("LEAST_REQUEST", 1, 0.9).within("two choices at 0.9", 2.6141, 2.6141 * 1.06, 0.05);
    choices("RANDOM", 1, 0.5).agrees("one choice at 0.5", 2.0, 0.03);
}

#[test]
fn clients_that_do_not_share_counts_choose_worse() {
    let means = [1, 10, 100].map(|clients| choices("LEAST_REQUEST", clients, 0.9).mean);
    assert!(
        means[0] * 1.2 < means[1] && means[1] < means[2],
        "{means:?}"
    );
    assert!(means[2] < 10.0, "never worse than one choice: {means:?}");
}

/// Share of the kept requests that took longer than this.
fn slower_than(record: &Record, ms: f64) -> f64 {
    let slow = record.requests.iter();
    let slow = slow.filter(|r| r.duration.as_millis_f64() > ms).count();
    slow as f64 / record.requests.len() as f64
}

#[test]
fn one_slow_leaf_in_a_hundred_slows_most_requests() {
    let calls = vec!["http://leaf:8080/"; 100].join(", ");
    let root =
        format!("{{concurrency: unlimited, serviceTime: 0ms, calls: [{{parallel: [{calls}]}}]}}");
    let work = format!("{{empirical: [{}100ms]}}", "1ms, ".repeat(99));
    let leaf = format!("{{concurrency: unlimited, serviceTime: {work}}}");
    let mesh = Mesh::new()
        .pods("root", "root", 1, &root)
        .pods("leaf", "leaf", 10, &leaf);
    let records = runs(&mesh.case(&open("root", 100.0, 10, 0)), 10);
    let slow = Estimate::of(&records, |r| slower_than(r, 50.0));
    slow.agrees("slow requests", 1.0 - 0.99_f64.powi(100), 0.05);
}

/// Istio's circuit-breaking task: one connection, one pending request, fortio with `users` connections.
///
/// What the published figures hang on is a race: fortio's own time between an answer and the next
/// request against the time a new connection takes, because every request needs a new one and waits
/// for it in the one pending place. Both are some tenths of a millisecond on one machine.
fn circuit_breaking(users: u32, requests: u32) -> Vec<Record> {
    let mesh = Mesh::new()
        .pods("httpbin", "httpbin", 1, "{concurrency: unlimited, serviceTime: {lognormal: {median: 2.5ms, p99: 8ms}}}")
        .rule(
            "httpbin",
            "{connectionPool: {tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1, maxRequestsPerConnection: 1}}, \
             outlierDetection: {consecutive5xxErrors: 1, interval: 1s, baseEjectionTime: 3m, maxEjectionPercent: 100}}",
        );
    let load = format!(
        "load: [{{name: fortio, from: t/client, url: 'http://httpbin:8080/get', connections: {users}, requests: {requests}, \
         think: {{lognormal: {{median: 0.3ms, p99: 1ms}}}}}}]"
    );
    runs(
        &mesh.over("{lognormal: {median: 0.04ms, p99: 0.15ms}}", &load),
        40,
    )
}

#[test]
fn the_circuit_breaking_task_trips_as_published() {
    for (users, requests, low, high) in [(2, 20, 0.05, 0.15), (3, 30, 0.36, 0.64)] {
        let records = circuit_breaking(users, requests);
        let refused = Estimate::of(&records, failed);
        println!("-c {users}: {refused:?}");
        refused.within(&format!("503 at -c {users}"), low, high, 0.5);
        for record in &records {
            let client = &record.clients[0];
            let stats = &record.clusters[0].stats;
            let refused = client.statuses.get("503").copied().unwrap_or(0);
            assert_eq!(refused, stats["upstream_rq_pending_overflow"]);
            assert_eq!(refused, client.flags.get("UO").copied().unwrap_or(0));
            assert_eq!(stats["outlier_detection.ejections_enforced_total"], 0);
            // One request per connection.
            assert_eq!(stats["upstream_cx_total"], stats["upstream_rq_total"]);
        }
    }
}
