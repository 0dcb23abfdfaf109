//! What others published about balancing and fan-out: the power of d choices, antagonists, rare slow leaves.

use towtank::xds::cluster::LbPolicy;

use crate::harness::Case;
use crate::theory_support::{Estimate, Mesh, mean_ms, open, runs};

fn with_choices(mut case: Case, count: u32) -> Case {
    for id in case.snapshot.clusters.ids() {
        if let LbPolicy::LeastRequest { choice_count, .. } = &mut case.snapshot.clusters[id].lb {
            *choice_count = count;
        }
    }
    case
}

/// Mean time in units of the service time: one client, 100 servers of one slot each.
fn choices(count: u32, utilisation: f64, seconds: u32, replications: u64) -> Estimate {
    let mesh = Mesh::new()
        .pods(
            "server",
            "server",
            100,
            "{concurrency: 1, queue: unlimited, serviceTime: {exponential: {mean: 10ms}}}",
        )
        .rule("server", "{loadBalancer: {simple: LEAST_REQUEST}}");
    // It forgets within 0.2 s at λ = 0.95.
    let case = mesh.case(&open("server", 10_000.0 * utilisation, seconds, 1));
    let records = runs(&with_choices(case, count), replications);
    Estimate::of(&records, |r| mean_ms(r) / 10.0)
}

/// Σ λ^((dⁱ − d) / (d − 1)) over i from 1: the mean field's time.
fn mean_field(d: f64, utilisation: f64) -> f64 {
    let mut power = d;
    let mut sum = 0.0;
    for _ in 0..200 {
        let term = utilisation.powf((power - d) / (d - 1.0));
        if term < 1e-12 {
            break;
        }
        sum += term;
        power *= d;
    }
    sum
}

#[test]
fn the_mean_field_gives_the_published_times() {
    for (d, utilisation, published) in [
        (2.0, 0.5, 1.2657),
        (2.0, 0.9, 2.6141),
        (2.0, 0.95, 3.3830),
        (2.0, 0.99, 5.4320),
        (3.0, 0.5, 1.1252),
        (3.0, 0.9, 2.0279),
        (3.0, 0.95, 2.5351),
        (3.0, 0.99, 3.8578),
    ] {
        let found = mean_field(d, utilisation);
        assert!(
            (found - published).abs() < 5e-5,
            "{d} {utilisation}: {found}"
        );
    }
}

/// Mitzenmacher's times for d = 2 and 3. They are the limit for infinitely many servers; with 100,
/// and picks that may be the same host, it is a few per cent longer, the more the fuller the servers are.
///
/// Not run at λ = 0.99: with 100 servers the sum of all queues needs some 4 s to forget (10 ms / 100 /
/// (1 − √λ)²), and millions of requests to tell the mean within a few per cent; that all queues are as
/// full as one (M/M/100, 1.9 service times) would hide the difference between choices there anyway.
fn agrees(count: u32, utilisation: f64, seconds: u32, bias: f64) {
    let theory = mean_field(f64::from(count), utilisation);
    let found = choices(count, utilisation, seconds, 12);
    let what = format!("{count} choices at {utilisation}");
    found.within(&what, theory, theory * bias, 0.06);
}

#[test]
fn three_choices_beat_two_as_the_mean_field_says() {
    agrees(3, 0.5, 1, 1.03);
    agrees(3, 0.9, 2, 1.06);
}

#[test]
fn two_choices_keep_full_servers_fast() {
    agrees(2, 0.95, 5, 1.08);
}

#[test]
fn three_choices_keep_full_servers_faster() {
    agrees(3, 0.95, 5, 1.10);
}

/// 99th percentile in ms of one service of ten pods, of which `slow` (a model) is one.
fn tail(policy: &str, slow: &str, more: &str) -> f64 {
    let fast = "{concurrency: 1, queue: unlimited, serviceTime: {exponential: {mean: 10ms}}}";
    let mesh = Mesh::new()
        .pods("fast", "server", 9, fast)
        .pods("slow", "server", 1, slow)
        .rule("server", &format!("{{loadBalancer: {{simple: {policy}}}}}"));
    let scenario = format!("{}{more}", open("server", 600.0, 15, 2));
    let records = runs(&mesh.case(&scenario), 4);
    Estimate::of(&records, |r| {
        r.clients[0].latency.quantile(0.99).as_millis_f64()
    })
    .mean
}

/// Prequal (NSDI '24): what balances by requests in flight keeps its tail where servers differ or
/// are disturbed by others on their machine; what gives each the same share does not.
///
/// Round robin gives the slow pod 60 requests a second. At 1.5 times the work it is busy for 90 % of
/// the time, at 4 times it gets more than twice what it can do.
#[test]
fn under_an_antagonist_least_request_keeps_the_tail_and_round_robin_loses_it() {
    let model = |ms: u32| {
        format!(
            "{{concurrency: 1, queue: unlimited, serviceTime: {{exponential: {{mean: {ms}ms}}}}}}"
        )
    };
    let antagonist = |factor: u32| {
        format!(", events: [{{at: 1s, slow: {{workload: t/slow, factor: {factor}}}}}]")
    };
    for (what, slow, more, better) in [
        ("less capacity", model(15), String::new(), 2.0),
        ("an antagonist", model(10), antagonist(4), 10.0),
    ] {
        let least = tail("LEAST_REQUEST", &slow, &more);
        let robin = tail("ROUND_ROBIN", &slow, &more);
        println!("{what}: p99 LEAST_REQUEST {least:.1} ms, ROUND_ROBIN {robin:.1} ms");
        assert!(least * better < robin, "{what}: {least} {robin}");
    }
}

/// "The Tail at Scale": with 2000 leaves one slow answer in 10 000 slows 18.1 % of all requests.
/// No proxies: the arithmetic does not need them, and 600 000 calls are done sooner.
#[test]
fn one_slow_answer_in_ten_thousand_slows_a_fifth_of_wide_requests() {
    let thousand = "{url: 'http://leaf:8080/', times: 1000}";
    let root = format!(
        "{{concurrency: unlimited, serviceTime: 0ms, calls: [{{parallel: [{thousand}, {thousand}]}}]}}"
    );
    let work = format!("{{empirical: [{}100ms]}}", "1ms, ".repeat(9_999));
    let leaf = format!("{{concurrency: unlimited, serviceTime: {work}}}");
    let mesh = Mesh::new().bare("root", &root).bare("leaf", &leaf);
    let scenario = "load: [{name: load, from: t/client, url: 'http://root:8080/', connections: 1, requests: 300}]";
    let record = &runs(&mesh.case(scenario), 1)[0];
    let slow = record.requests.iter();
    let slow = slow.filter(|r| r.duration.as_millis_f64() > 50.0).count() as f64 / 300.0;
    let theory = 1.0 - 0.9999_f64.powi(2000);
    println!("slow requests: {slow}, theory {theory}");
    let sigma = (theory * (1.0 - theory) / 300.0).sqrt();
    assert!((slow - theory).abs() < 4.0 * sigma, "{slow} {theory}");
}
