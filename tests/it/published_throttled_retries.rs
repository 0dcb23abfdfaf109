//! Retries that a token bucket bounds (M. Brooker, "Fixing retries with token buckets and circuit
//! breakers"): with a tenth of a token per success it is as good as N retries while few fail, and
//! as a tenth of a retry when many do.
//!
//! With N = 3 and failures p nobody bounds, a request takes 1 + p + p² + p³ tries. Successes pay for
//! r = 0.1 (1 − p)(1 + r) retries per request, which is enough up to p of some 8 %.
//!
//! gRPC's `retryThrottling` has the same two numbers and another rule: every failed try takes a token,
//! so that beyond 1 failure per 10 successes (p = 9.1 %) the tokens run out and nothing is retried.

use towtank::observe::Record;

use crate::runs_support::outcomes;
use crate::theory_support::{Estimate, Mesh, open, runs, tries};

/// Ten seconds, after two in which the tokens of the beginning are spent.
fn bounded(rate: u32, counts: &str) -> Vec<Record> {
    let model = format!(
        "{{concurrency: unlimited, serviceTime: 1ms, errors: [{{status: 503, rate: {rate}%}}]}}"
    );
    let mesh = Mesh::new()
        .pods("server", "server", 2, &model)
        .route("server", "retries: {attempts: 0}");
    let retries = format!(
        "retries: {{attempts: 3, throttle: {{maxTokens: 10, tokenRatio: 0.1, counts: {counts}}}}}"
    );
    let load = open("server", 500.0, 10, 2);
    let load = load.replace("rate: 500/s", &format!("rate: 500/s, {retries}"));
    runs(&mesh.case(&load), 10)
}

/// Tries per request where successes pay for retries, and do not suffice.
fn quota(p: f64) -> f64 {
    1.0 / (1.0 - 0.1 * (1.0 - p))
}

#[test]
fn a_bucket_is_n_retries_while_few_fail_and_a_tenth_when_many_do() {
    let all = 1.0 + 0.05 + 0.05 * 0.05 + 0.05 * 0.05 * 0.05;
    for (percent, retries, failures) in
        [(5, all, all), (50, quota(0.5), 1.0), (90, quota(0.9), 1.0)]
    {
        for (counts, theory) in [("retries", retries), ("failures", failures)] {
            let found = Estimate::of(&bounded(percent, counts), tries);
            // A bucket that failures in a row empty refuses a retry now and then: gRPC's is
            // below half for e^(−1.08 · 5) = 0.5 % of the time at 5 %.
            let least = theory - 0.005 * (theory - 1.0);
            found.within(&format!("{percent} %, {counts}"), least, theory, 0.012);
        }
    }
}

/// Retries per success when nine in ten tries fail: the ratio itself.
#[test]
fn successes_pay_for_retries() {
    let ratio = |record: &Record| {
        let late = record.requests.iter().filter(|r| r.number >= 1000);
        let (mut retries, mut good) = (0, 0);
        for request in late {
            retries += request.attempts - 1;
            good += u32::from(request.status == 200);
        }
        f64::from(retries) / f64::from(good)
    };
    Estimate::of(&bounded(90, "retries"), ratio).agrees("retries per success", 0.1, 0.02);
}

/// Tries per request where so many client pods send 5000 requests in turn.
fn shared_among(clients: u32, percent: u32) -> f64 {
    let model = format!(
        "{{concurrency: unlimited, serviceTime: 1ms, errors: [{{status: 503, rate: {percent}%}}]}}"
    );
    let mesh = Mesh::new()
        .pods("clients", "clients", clients, "{}")
        .pods("server", "server", 2, &model)
        .route("server", "retries: {attempts: 0}");
    let retries =
        "retries: {attempts: 3, throttle: {maxTokens: 10, tokenRatio: 0.1, counts: retries}}";
    let load = open("server", 500.0, 20, 0).replace("t/client", "t/clients");
    let load = load.replace(
        "rate: 500/s",
        &format!("rate: 500/s, requests: 5000, {retries}"),
    );
    tries(&mesh.case(&load).run())
}

/// Each client begins with ten tokens of its own: few large clients have soon spent them, many small
/// ones never do, and so retry as if nobody bounded them.
#[test]
fn many_small_clients_keep_their_credit() {
    // When all fail nothing is paid in: ten retries for each client, however many requests it has.
    for clients in [10, 100, 1000] {
        let found = shared_among(clients, 100);
        let theory = 1.0 + 10.0 * f64::from(clients) / 5000.0;
        assert!((found - theory).abs() < 1e-9, "{clients}: {found}");
    }
    let [large, middle, small] = [10, 100, 1000].map(|clients| shared_among(clients, 50));
    // 5000 requests, 100 tokens, and what successes pay; its own tenth of half of them.
    let credit = |clients: f64| (1.0 + clients * 10.0 / 5000.0) * quota(0.5);
    assert!((large - credit(10.0)).abs() < 0.02, "{large}");
    assert!((middle - credit(100.0)).abs() < 0.06, "{middle}");
    let all = 1.0 + 0.5 + 0.25 + 0.125;
    assert!((small - all).abs() < 0.06 && small > middle, "{small}");
}

/// Calls that an application makes share the tokens of their host, and each pod has its own.
#[test]
fn tokens_belong_to_a_pod_and_a_host() {
    let call = |to: &str| {
        format!(
            "{{url: 'http://{to}:8080/', onError: ignore, retries: {{attempts: 5, throttle: {{maxTokens: 8, tokenRatio: 0.1}}}}}}"
        )
    };
    let [first, second] = ["first", "second"].map(call);
    let middle = format!("{{serviceTime: 1ms, calls: [{first}, {first}, {second}]}}");
    let broken = "{serviceTime: 1ms, errors: [{status: 503, rate: 100%}]}";
    let mesh = Mesh::new()
        .pods("middle", "middle", 2, &middle)
        .pods("first", "first", 1, broken)
        .pods("second", "second", 1, broken)
        .rule("middle", "{loadBalancer: {simple: ROUND_ROBIN}}");
    let scenario = "load: [{name: load, from: t/client, url: 'http://middle:8080/', connections: 1, requests: 10}]";
    let record = mesh.case(scenario).run();
    assert_eq!(outcomes(&record), ["200 - via_upstream ×10"]);
    let served = |name: &str| {
        let mut all = record.endpoints.iter();
        all.find(|e| e.workload == name).map(|e| e.requests)
    };
    // Of eight tokens three failures may be followed by a retry: 7, 6 and 5 are more than half.
    assert_eq!(served("t/first"), Some(20 + 2 * 3));
    assert_eq!(served("t/second"), Some(10 + 2 * 3));
}
