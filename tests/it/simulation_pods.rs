//! Pods with another queue, a cold start, pauses or a CPU limit.

use towtank::observe::Record;
use towtank::observe::record::WorkloadRecord;

use crate::runs_support::{load, millis};
use crate::theory_support::{Estimate, Mesh, mean_ms, open, runs};

/// One pod with one slot and whatever else.
fn station(rest: &str) -> Mesh {
    let model = format!("{{concurrency: 1, queue: unlimited, {rest}}}");
    Mesh::new().pods("server", "server", 1, &model)
}

fn server(record: &Record) -> &WorkloadRecord {
    let found = record.workloads.iter().find(|w| w.name == "t/server");
    found.expect("the server took part")
}

fn counted(record: &Record, name: &str) -> u64 {
    server(record).counts.get(name).copied().unwrap_or(0)
}

const EXPONENTIAL: &str = "serviceTime: {exponential: 10ms}";

#[test]
fn last_in_first_out_changes_the_spread_of_waits_and_not_their_mean() {
    let lifo = station(&format!("{EXPONENTIAL}, queueDiscipline: lifo"));
    let records = runs(&lifo.case(&open("server", 70.0, 400, 5)), 10);
    // M/M/1 at 0.7: 10 ms / (1 - 0.7).
    Estimate::of(&records, mean_ms).agrees("M/M/1 LIFO at 0.7, time", 10.0 / 0.3, 0.06);
    let fifo = station(EXPONENTIAL).case(&open("server", 70.0, 400, 5));
    let fifo = &runs(&fifo, 1)[0];
    let p999 = |r: &Record| r.clients[0].latency.quantile(0.999).as_millis_f64();
    assert!(
        p999(&records[0]) > 1.5 * p999(fifo),
        "the unlucky wait long"
    );
}

/// 200/s at a pod that can do 100/s, for ten seconds.
fn overloaded(discipline: &str) -> Record {
    let mesh = station(&format!("serviceTime: 10ms, queueDiscipline: {discipline}"));
    runs(&mesh.case(&open("server", 200.0, 20, 10)), 1).remove(0)
}

#[test]
fn codel_bounds_the_wait_under_overload() {
    let fifo = overloaded("fifo");
    let waits = |r: &Record| server(r).queue_time.quantile(0.5).as_millis_f64();
    assert!(
        waits(&fifo) > 5_000.0,
        "half of the load piles up: {}",
        waits(&fifo)
    );
    let codel = overloaded("codel");
    assert!(waits(&codel) < 200.0, "{}", waits(&codel));
    let dropped = counted(&codel, "queue_drops");
    let statuses = &codel.clients[0].statuses;
    assert_eq!(statuses.keys().collect::<Vec<_>>(), ["200", "503"]);
    // 100/s of 200/s for 20 s are too many.
    assert!((1_900..2_100).contains(&dropped), "{dropped}");
    assert!(statuses["200"] >= 1_900, "{statuses:?}");
}

#[test]
fn adaptive_lifo_serves_those_who_still_wait() {
    let record = overloaded("adaptiveLifo");
    let waits = &server(&record).queue_time;
    // An interval while it was empty lately, looked at once per service.
    let most = waits.max().as_millis_f64();
    assert!(most <= 110.0, "{most}");
    assert!(waits.quantile(0.5).as_millis_f64() < 60.0);
    assert!(record.clients[0].statuses["200"] >= 1_900);
    assert!(counted(&record, "queue_drops") >= 1_900);
}

#[test]
fn a_cold_start_makes_the_first_requests_slow() {
    let one = |warm_up: &str| {
        let mesh = station(&format!("serviceTime: 10ms, warmUp: {warm_up}"));
        let record = mesh
            .case(&load("connections: 1, requests: 20, think: 90ms"))
            .run();
        record.requests.iter().map(millis).collect::<Vec<_>>()
    };
    let cold = one("{for: 1s, factor: 3, atStart: true}");
    assert_eq!(cold[0], 30);
    assert!(cold.windows(2).all(|pair| pair[0] >= pair[1]), "{cold:?}");
    assert_eq!(cold[19], 10);
    let warm = one("{for: 1s, factor: 3}");
    assert_eq!(
        warm, [10; 20],
        "pods that exist are warm unless that is written"
    );
}

#[test]
fn nothing_is_done_during_a_pause() {
    // A pause of 200 ms in every second: a request of 10 ms is hit with (10 + 200) / 1000.
    let mesh = Mesh::new().pods(
        "server",
        "server",
        1,
        "{serviceTime: 10ms, pauses: {every: 800ms, for: 200ms}}",
    );
    let records = runs(&mesh.case(&open("server", 50.0, 100, 0)), 10);
    // Those that come during a pause wait for half of it on average; those hit by one for all.
    let mean = 10.0 + 0.2 * 100.0 + 0.01 * 200.0;
    Estimate::of(&records, mean_ms).agrees("time with pauses", mean, 0.05);
    let most = records[0].clients[0].latency.max().as_millis_f64();
    assert!((209.0..=211.0).contains(&most), "{most}");
}

#[test]
fn a_cpu_limit_bounds_what_is_done() {
    let model = |limit: &str| {
        format!(
            "{{concurrency: 64, queue: 0, serviceTime: 10ms, cpu: {{limit: {limit}, perRequest: 10ms}}}}"
        )
    };
    let done = |limit: &str| {
        let mesh = Mesh::new().pods("server", "server", 1, &model(limit));
        runs(&mesh.case(&open("server", 100.0, 50, 10)), 1).remove(0)
    };
    // Half a core does 50 requests of 10 ms a second, whatever its slots.
    let throttled = done("500m");
    let good = throttled.clients[0].statuses["200"] as f64 / 50.0;
    assert!((good - 50.0).abs() < 3.0, "{good}");
    assert!(counted(&throttled, "cpu_throttled") > 1_000);
    let enough = done("4");
    assert_eq!(enough.clients[0].statuses.len(), 1);
    assert!(enough.clients[0].latency.quantile(0.99).as_millis_f64() < 11.0);
}

/// Where the Model says what a request needs and not what there is, the containers say it.
#[test]
fn a_cpu_limit_is_taken_from_the_manifests() {
    let model = "{concurrency: 64, queue: 0, serviceTime: 10ms, cpu: {perRequest: 10ms}}";
    let done = |resources: &str| {
        let mesh = Mesh::new()
            .pods("server", "server", 1, model)
            .container(resources);
        runs(&mesh.case(&open("server", 100.0, 50, 10)), 1).remove(0)
    };
    let half = done("resources: {limits: {cpu: 500m}}");
    let good = half.clients[0].statuses["200"] as f64 / 50.0;
    assert!((good - 50.0).abs() < 3.0, "{good}");
    let all = done("resources: {limits: {memory: 1Gi}}");
    assert_eq!(all.clients[0].statuses.len(), 1);
    assert_eq!(counted(&all, "cpu_throttled"), 0);
    let said = |record: &Record| {
        record
            .assumed
            .iter()
            .any(|a| a.contains("no limit on CPU: t/server"))
    };
    assert!(said(&all) && !said(&half), "{:?}", all.assumed);
}

/// `server` (1 ms) calls `middle` (1 ms), which calls `slow` (100 ms) three times; the client waits
/// for 150 ms.
fn chain(deadline: &str) -> Record {
    let calls = |host: &str, times: u32| {
        let call = format!("{{url: 'http://{host}:8080/', times: {times}}}");
        format!("{{serviceTime: 1ms, calls: [{call}], deadline: {deadline}}}")
    };
    let mesh = Mesh::new()
        .pods("server", "server", 1, &calls("middle", 1))
        .pods("middle", "middle", 1, &calls("slow", 3))
        .pods("slow", "slow", 1, "{serviceTime: 100ms}");
    mesh.case(&load(
        "connections: 1, requests: 5, think: 1s, timeout: 150ms",
    ))
    .run()
}

fn requests(record: &Record, name: &str) -> u64 {
    let found = record.workloads.iter().find(|w| w.name == name);
    found.map_or(0, |w| w.requests)
}

#[test]
fn deadlines_travel_down_a_chain() {
    let ignored = chain("ignore");
    assert_eq!(ignored.clients[0].statuses["0"], 5, "the client leaves");
    assert_eq!(requests(&ignored, "t/slow"), 15, "and the others work on");
    let heeded = chain("propagate");
    assert_eq!(heeded.clients[0].statuses["0"], 5);
    assert_eq!(
        requests(&heeded, "t/slow"),
        10,
        "no call after the deadline"
    );
    let middle = heeded.workloads.iter().find(|w| w.name == "t/middle");
    let middle = middle.expect("it took part");
    assert_eq!(middle.counts["deadlines_exceeded"], 5);
    assert!(
        middle.latency.max().as_millis_f64() < 151.0,
        "it gives up at once"
    );
}

#[test]
fn work_that_comes_too_late_is_not_begun() {
    let overloaded = |deadline: &str| {
        let mesh = station(&format!("serviceTime: 10ms, deadline: {deadline}"));
        let scenario = "duration: 20s, load: [{name: load, from: t/client, url: 'http://server:8080/', rate: 150/s, timeout: 200ms}]";
        runs(&mesh.case(scenario), 1).remove(0)
    };
    // At 1.5 times what it can do the queue grows and grows, though nobody waits any more.
    let ignored = overloaded("ignore");
    assert!(server(&ignored).queue_mean > 400.0);
    // 200 ms of 150/s is the most that can wait and still be begun.
    let heeded = overloaded("propagate");
    assert!(server(&heeded).queue_mean < 35.0);
    assert!(counted(&heeded, "deadlines_exceeded") > 500);
}

#[test]
fn exhausted_threads_hold_up_their_callers() {
    // `server` has four threads; each waits for `slow`, which takes 10 ms, then 200 ms.
    let takes = |slow: &str| {
        let mesh = Mesh::new()
            .pods("server", "server", 1, "{concurrency: 4, queue: unlimited, serviceTime: 1ms, calls: ['http://slow:8080/']}")
            .pods("slow", "slow", 1, &format!("{{concurrency: unlimited, serviceTime: {slow}}}"));
        runs(&mesh.case(&open("server", 100.0, 20, 0)), 1).remove(0)
    };
    let quick = takes("10ms");
    assert!(server(&quick).queue_mean < 0.1);
    let stuck = takes("200ms");
    let threads = server(&stuck).utilisation.expect("it has a limit");
    assert!(threads > 0.99, "{threads}: all wait");
    let slow = stuck.workloads.iter().find(|w| w.name == "t/slow");
    let busy = slow.expect("it took part").busy_mean;
    assert!((3.9..=4.0).contains(&busy), "{busy}: no more than threads");
    assert!(
        server(&stuck).queue_mean > 100.0,
        "and the queue is upstream"
    );
}
