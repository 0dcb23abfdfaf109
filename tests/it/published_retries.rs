//! What others published about retries: layers that multiply, budgets, jitter.

use towtank::observe::Record;

use crate::runs_support::{load, stat};
use crate::theory_support::{Estimate, Mesh, open, runs, tries};

/// The Builders' Library ("Timeouts, retries and backoff with jitter"): a stack of five layers that
/// each try three times loads its last one 3⁵ = 243 fold.
#[test]
fn five_layers_of_three_tries_hit_the_last_one_243_times() {
    let retries = "retries: {attempts: 2, retryOn: 5xx, backoff: 1ms}";
    let names = ["one", "two", "three", "four"];
    let below = ["two", "three", "four", "store"];
    let mut mesh = Mesh::new();
    for (name, to) in names.into_iter().zip(below) {
        let calls =
            format!("{{concurrency: unlimited, serviceTime: 0ms, calls: [http://{to}:8080/]}}");
        mesh = mesh.pods(name, name, 1, &calls).route(name, retries);
    }
    let broken = "{serviceTime: 1ms, errors: [{status: 503, rate: 100%}]}";
    let mesh = mesh
        .pods("store", "store", 1, broken)
        .route("store", retries);
    let scenario = "load: [{name: load, from: t/client, url: 'http://one:8080/', connections: 1, requests: 4}]";
    let record = &runs(&mesh.case(scenario), 1)[0];
    let reached: Vec<u64> = (["one"].iter().chain(&below))
        .map(|name| {
            let mut all = record.endpoints.iter();
            let found = all.find(|e| e.workload == format!("t/{name}"));
            found.map_or(0, |e| e.requests) / 4
        })
        .collect();
    assert_eq!(reached, [3, 9, 27, 81, 243]);
}

fn all_fail(policy: &str) -> Estimate {
    let mesh = Mesh::new()
        .pods(
            "server",
            "server",
            4,
            "{concurrency: unlimited, serviceTime: 100ms, errors: [{status: 503, rate: 100%}]}",
        )
        .rule("server", policy)
        .route(
            "server",
            "retries: {attempts: 2, retryOn: 5xx, backoff: 1ms}",
        );
    Estimate::of(&runs(&mesh.case(&open("server", 2000.0, 5, 1)), 4), tries)
}

/// SRE book, ch. 21: three tries of each request load a failing backend threefold; with a budget of
/// 10 % of the requests for retries it is about 1.1 times.
///
/// Envoy's budget is a share of what is in flight, retries included: r = 0.1 (1 + r) retries per
/// request, 1/9 at most. Some 222 requests are in flight, of which the tenth is rounded down: half a
/// retry of 200 less on the average, and back-offs of half a millisecond in 100 ms.
#[test]
fn a_budget_of_a_tenth_makes_1_1_tries_of_3() {
    let without = all_fail("{loadBalancer: {simple: ROUND_ROBIN}}");
    without.agrees("without a budget", 3.0, 0.001);
    let budget = all_fail("{retryBudget: {percent: 10, minRetryConcurrency: 1}}");
    budget.within("a budget of 10 %", 1.1, 1.0 + 1.0 / 9.0, 0.01);
}

/// All calls and the seconds until the last of `clients` was served by a server that has time for
/// one of them at once and sends the others away.
fn contention(clients: u32, backoff: &str) -> (f64, f64) {
    let mesh = Mesh::new()
        .pods(
            "server",
            "server",
            1,
            "{concurrency: 1, queue: 0, serviceTime: 10ms}",
        )
        .route("server", "retries: {attempts: 0}");
    let shape = format!(
        "connections: {clients}, requests: {clients}, retries: {{attempts: 1000, backoff: {backoff}}}"
    );
    let records = runs(&mesh.case(&load(&shape)), 10);
    let calls = |r: &Record| f64::from(r.requests.iter().map(|r| r.attempts).sum::<u32>());
    let last = |r: &Record| {
        r.requests
            .iter()
            .map(|r| r.duration.as_secs_f64())
            .fold(0.0, f64::max)
    };
    for record in &records {
        assert!(record.requests.iter().all(|r| r.status == 200));
        assert_eq!(record.requests.len(), clients as usize);
    }
    let mean = |figure: &dyn Fn(&Record) -> f64| {
        records.iter().map(figure).sum::<f64>() / records.len() as f64
    };
    (mean(&calls), mean(&last))
}

/// AWS, "Exponential Backoff and Jitter": contending clients without jitter come back together, and
/// N of them need about N² calls; full jitter "reduced our call count by more than half" and is done
/// earlier. Here the pause is 100 ms, against one drawn between 0 and 200 ms: the same on the average.
///
/// Without jitter one client is served in each round: N + (N − 1) + … + 1 calls, in N − 1 pauses.
#[test]
fn full_jitter_needs_less_than_half_of_the_calls() {
    let mut saved = 1.0;
    for clients in [10, 20, 50] {
        let n = f64::from(clients);
        let (calls, last) = contention(clients, "100ms");
        let (jittered, jittered_last) = contention(clients, "{uniform: {min: 0ms, max: 200ms}}");
        println!(
            "{clients}: {calls} calls {last} s, with jitter {jittered} calls {jittered_last} s"
        );
        assert!((calls - n * (n + 1.0) / 2.0).abs() < 1e-9, "{calls}");
        assert!((last - 0.1 * (n - 1.0)).abs() < 0.02 * n, "{last}");
        assert!(jittered < calls / 2.0, "{jittered} of {calls}");
        assert!(jittered_last < last, "{jittered_last} of {last}");
        // The more contend, the more it saves.
        assert!(jittered / calls < saved, "{jittered} of {calls}");
        saved = jittered / calls;
    }
}

const HEDGE: &str = "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {name: hedge, namespace: t}\n\
     spec:\n  configPatches:\n  - applyTo: HTTP_ROUTE\n    match: {context: SIDECAR_OUTBOUND}\n    \
     patch: {operation: MERGE, value: {route: {hedge_policy: {hedge_on_per_try_timeout: true}}}}\n";

/// 99.9th percentile in ms of reads of 20 values, and tries per value.
fn reads(hedged: bool) -> (f64, f64) {
    let root = "{concurrency: unlimited, serviceTime: 0ms, calls: [{parallel: [{url: 'http://leaf:8080/', times: 20}]}]}";
    // 19 of 20 are fast, one in a thousand is very slow.
    let work = format!(
        "{{empirical: [{}{}1800ms]}}",
        "5ms, ".repeat(949),
        "20ms, ".repeat(50)
    );
    let leaf = format!("{{concurrency: unlimited, serviceTime: {work}}}");
    let mesh = Mesh::new()
        .pods("root", "root", 1, root)
        .pods("leaf", "leaf", 10, &leaf);
    let retries = "attempts: 1, retryOn: 5xx, perTryTimeout: 10ms, backoff: 1ms";
    let mesh = if hedged {
        let route = format!("retries: {{{retries}}}");
        mesh.manifest(HEDGE).route("leaf", &route)
    } else {
        mesh.route("leaf", "retries: {attempts: 0}")
    };
    let record = &runs(&mesh.case(&open("root", 500.0, 12, 0)), 1)[0];
    let of_root = record.clusters.iter();
    let total: u64 = of_root
        .filter(|c| c.workload == "t/root")
        .map(|c| c.stats["upstream_rq_total"])
        .sum();
    let client = &record.clients[0];
    let tail = client.latency.quantile(0.999).as_millis_f64();
    (tail, total as f64 / (20 * client.requests) as f64)
}

/// "The Tail at Scale": reads of many values from BigTable, with a second request after 10 ms (later
/// than the 95th percentile of one value), took 74 ms instead of 1800 ms at p99.9, for few per cent more
/// requests.
///
/// Here a read of 20 values is slow in 2 % of all cases, 1 − 0.999²⁰. Hedged it is slow when both
/// tries of a value are: 2 in 100 000. The slowest of what is left is 10 ms, the retry's back-off and the
/// 20 ms of an unlucky second try. One value in 19.6 (5.1 %) is asked for twice.
#[test]
fn hedging_after_p95_takes_the_tail_away() {
    let (tail, once) = reads(false);
    assert!((tail / 1800.0 - 1.0).abs() < 0.02, "{tail}");
    assert!((once - 1.0).abs() < 1e-9, "{once}");
    let (tail, tries) = reads(true);
    println!("hedged: {tail} ms, {tries} tries");
    assert!((20.0..74.0).contains(&tail), "{tail}");
    // Four standard deviations of 120 000 values.
    assert!(
        (tries - 1.051).abs() < 4.0 * (0.051 * 0.949 / 120_000.0_f64).sqrt(),
        "{tries}"
    );
}

/// What came back late is not a failure: no value of a hedged read is lost.
#[test]
fn a_hedged_try_that_loses_is_reset() {
    let mesh = Mesh::new()
        .pods(
            "server",
            "server",
            2,
            "{serviceTime: {empirical: [1ms, 50ms]}}",
        )
        .manifest(HEDGE)
        .route(
            "server",
            "retries: {attempts: 1, retryOn: 5xx, perTryTimeout: 10ms, backoff: 1ms}",
        );
    let record = &runs(&mesh.case(&load("connections: 1, requests: 400")), 1)[0];
    assert!(record.requests.iter().all(|r| r.status == 200));
    let hedged = stat(record, "upstream_rq_retry");
    // Half of all, four standard deviations of 10.
    assert!((160..=240).contains(&hedged), "{hedged}");
}
