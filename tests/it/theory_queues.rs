//! Queueing theory through the whole tool: YAML in, record out, closed forms inside the intervals.

use towtank::observe::Record;
use towtank::observe::record::WorkloadRecord;

use crate::theory_support::{Estimate, Mesh, failed, mean_ms, open, runs};

/// Mean service time of every station here.
const SERVICE_MS: f64 = 10.0;

/// One pod with `servers` slots and room for `queue` waiting requests.
fn station(servers: u32, queue: &str, service: &str) -> Mesh {
    let model = format!("{{concurrency: {servers}, queue: {queue}, serviceTime: {service}}}");
    Mesh::new().pods("server", "server", 1, &model)
}

const EXPONENTIAL: &str = "{exponential: {mean: 10ms}}";

fn server(record: &Record) -> &WorkloadRecord {
    let found = record.workloads.iter().find(|w| w.name == "t/server");
    found.expect("the server took part")
}

/// Requests per second at which `servers` are busy for this share of the time.
fn rate(servers: u32, utilisation: f64) -> f64 {
    (f64::from(servers) * utilisation * 1e3 / SERVICE_MS).round()
}

/// Erlang's B formula by its recursion.
fn erlang_b(servers: u32, load: f64) -> f64 {
    (1..=servers).fold(1.0, |b, n| load * b / (f64::from(n) + load * b))
}

/// Erlang's C formula: the share of requests that wait.
fn erlang_c(servers: u32, load: f64) -> f64 {
    let b = erlang_b(servers, load);
    let rho = load / f64::from(servers);
    b / (1.0 - rho * (1.0 - b))
}

fn check_mmc(servers: u32, rho: f64, mean_over_service: f64, seconds: u32, width: f64) {
    let rate = rate(servers, rho);
    let records = runs(
        &station(servers, "unlimited", EXPONENTIAL).case(&open("server", rate, seconds, 5)),
        10,
    );
    let what = format!("M/M/{servers} at {rho}");
    Estimate::of(&records, mean_ms).agrees(
        &format!("{what}, time"),
        mean_over_service * SERVICE_MS,
        width,
    );
    let waits = erlang_c(servers, rho * f64::from(servers));
    let queue = waits * rho / (1.0 - rho);
    let in_queue = Estimate::of(&records, |r| server(r).queue_mean);
    // The queue's length varies far more than the time in the system.
    in_queue.agrees(&format!("{what}, queue"), queue, 8.0 * width);
    let busy = Estimate::of(&records, |r| server(r).utilisation.unwrap());
    busy.agrees(&format!("{what}, busy"), rho, 0.02);
}

#[test]
fn mm1_waits_as_theory_says() {
    check_mmc(1, 0.7, 3.333_33, 700, 0.06);
}

#[test]
fn mmc_waits_as_erlang_c_says() {
    check_mmc(2, 0.8, 2.777_78, 300, 0.06);
    check_mmc(5, 0.8, 1.554_11, 120, 0.04);
    check_mmc(10, 0.7, 1.073_91, 60, 0.02);
    check_mmc(10, 0.9, 1.668_73, 120, 0.05);
    check_mmc(10, 0.95, 2.651_17, 200, 0.10);
    check_mmc(50, 0.9, 1.072_77, 15, 0.03);
}

#[test]
fn mg1_waits_as_pollaczek_and_khinchine_say() {
    // Squared coefficient of variation of each service time.
    let cases = [
        ("10ms", 0.0),
        ("{erlang: {mean: 10ms, k: 4}}", 0.25),
        ("{lognormal: {median: 6.065307ms, sigma: 1.0}}", 1.718_282),
    ];
    for (service, cv2) in cases {
        let records = runs(
            &station(1, "unlimited", service).case(&open("server", 80.0, 600, 20)),
            10,
        );
        let waiting = 0.8 * SERVICE_MS * (1.0 + cv2) / (2.0 * 0.2);
        let time = Estimate::of(&records, mean_ms);
        time.agrees(&format!("M/G/1 {service}"), SERVICE_MS + waiting, 0.12);
    }
}

#[test]
fn full_queues_reject_as_the_loss_formulas_say() {
    // M/M/1/5: one in service, four waiting.
    let rho: f64 = 0.9;
    let lost = (1.0 - rho) * rho.powi(5) / (1.0 - rho.powi(6));
    let records = runs(
        &station(1, "4", EXPONENTIAL).case(&open("server", 90.0, 200, 2)),
        10,
    );
    Estimate::of(&records, failed).agrees("M/M/1/5", lost, 0.06);
    let rejected = Estimate::of(&records, |r| {
        let server = server(r);
        server.rejected as f64 / (server.rejected + server.requests) as f64
    });
    rejected.agrees("M/M/1/5, at the pod", lost, 0.06);
    // M/M/3/8: five wait at most.
    let load = 2.7_f64;
    let weights: Vec<f64> = (0..=8)
        .map(|n| (1..=n).fold(1.0, |w, k| w * load / f64::from(k.min(3))))
        .collect();
    let lost = weights[8] / weights.iter().sum::<f64>();
    let records = runs(
        &station(3, "5", EXPONENTIAL).case(&open("server", 270.0, 80, 2)),
        10,
    );
    Estimate::of(&records, failed).agrees("M/M/3/8", lost, 0.08);
    // Erlang B holds for every service time.
    for service in [EXPONENTIAL, "10ms"] {
        let records = runs(
            &station(5, "0", service).case(&open("server", 400.0, 50, 2)),
            10,
        );
        let lost = Estimate::of(&records, failed);
        lost.agrees(&format!("M/G/5/5 {service}"), erlang_b(5, 4.0), 0.04);
    }
}

#[test]
fn littles_law_holds_on_every_run() {
    let mesh = station(3, "20", "{lognormal: {median: 8ms, p99: 60ms}}");
    for record in runs(&mesh.case(&open("server", 230.0, 60, 2)), 10) {
        let server = server(&record);
        let inside = server.busy_mean + server.queue_mean;
        let arrivals = server.requests as f64 / 60.0;
        let expected = arrivals * server.latency.mean().as_secs_f64();
        // Requests inside at both ends of the count are all that may differ.
        let edges = 2.0 * 23.0 * server.latency.max().as_secs_f64() / 60.0;
        let difference = (inside - expected).abs();
        assert!(difference <= edges, "{inside} and {expected}");
        assert!(difference / inside < 0.01, "{inside} and {expected}");
        let waiting = arrivals * server.queue_time.mean().as_secs_f64();
        assert!((server.queue_mean - waiting).abs() <= edges);
    }
}

#[test]
fn three_stations_in_a_row_take_the_sum_of_their_times() {
    // A front without work or limit calls the stations one after another, so that no station
    // is held during the next one's work.
    let calls = "[http://one:8080/, http://two:8080/, http://three:8080/]";
    let front = format!("{{concurrency: unlimited, serviceTime: 0ms, calls: {calls}}}");
    let stage = format!("{{concurrency: 10, queue: unlimited, serviceTime: {EXPONENTIAL}}}");
    let mesh = ["one", "two", "three"].iter().fold(
        Mesh::new().pods("front", "front", 1, &front),
        |mesh, name| mesh.pods(name, name, 1, &stage),
    );
    let records = runs(&mesh.case(&open("front", 700.0, 30, 2)), 10);
    Estimate::of(&records, mean_ms).agrees("tandem", 32.2173, 0.01);
    // Little's law over the whole network.
    let inside = Estimate::of(&records, |r| {
        let stages = r.workloads.iter().filter(|w| w.name != "t/front");
        stages.map(|w| w.busy_mean + w.queue_mean).sum()
    });
    inside.agrees("tandem, inside", 0.7 * 32.2173, 0.02);
}

#[test]
fn a_busy_pod_answers_in_order() {
    // Constant work at constant gaps never waits; at twice the rate of one slot it waits more and more.
    let quiet = "duration: 10s, load: [{name: load, from: t/client, url: 'http://server:8080/', rate: 50/s, arrivals: constant}]";
    let records = runs(&station(1, "unlimited", "10ms").case(quiet), 2);
    for record in &records {
        let latency = &record.clients[0].latency;
        assert_eq!(
            (latency.min(), latency.max()),
            (latency.mean(), latency.mean())
        );
        assert_eq!(server(record).queue_max, 0);
    }
    let overloaded = quiet.replace("50/s", "200/s");
    let record = &runs(&station(1, "unlimited", "10ms").case(&overloaded), 2)[0];
    // 200 arrivals per second, 100 served: after 10 s about 1,000 wait.
    assert!((980..=1001).contains(&server(record).queue_max));
    assert_eq!(record.clients[0].requests, record.clients[0].started);
}
