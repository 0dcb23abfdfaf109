//! Requests that are more important than others: who is served first, and who is refused.

use towtank::observe::Record;
use towtank::observe::record::{ClientRecord, WorkloadRecord};

use crate::theory_support::{Estimate, Mesh, runs};

/// One pod with one slot that serves 100/s, with these priorities and this queue.
fn station(queue: &str, rest: &str) -> Mesh {
    let model = format!(
        "{{concurrency: 1, queue: {queue}, serviceTime: {{exponential: 10ms}}, \
         priority: {{header: X-Priority, order: [gold, silver, lead]{rest}}}}}"
    );
    Mesh::new().pods("server", "server", 1, &model)
}

/// Loads with a header of their own (`-`: none), at so many requests a second.
fn loads(seconds: u32, of: &[(&str, f64)]) -> String {
    let each = of.iter().map(|(value, rate)| {
        let headers = match *value {
            "-" => String::new(),
            value => format!(", headers: {{x-priority: {value}}}"),
        };
        format!(
            "{{name: '{value}', from: t/client, url: 'http://server:8080/', rate: {rate}/s{headers}}}"
        )
    });
    let each: Vec<String> = each.collect();
    format!(
        "duration: {}s, warmUp: 5s, load: [{}]",
        seconds + 5,
        each.join(", ")
    )
}

fn client<'r>(record: &'r Record, name: &str) -> &'r ClientRecord {
    let found = record.clients.iter().find(|c| c.name == name);
    found.expect("it sent requests")
}

fn mean_ms(record: &Record, name: &str) -> f64 {
    client(record, name).latency.mean().as_millis_f64()
}

fn failed(record: &Record, name: &str) -> f64 {
    let client = client(record, name);
    let bad = client.statuses.get("503").copied().unwrap_or(0);
    bad as f64 / client.requests as f64
}

fn server(record: &Record) -> &WorkloadRecord {
    let found = record.workloads.iter().find(|w| w.name == "t/server");
    found.expect("it served")
}

fn counted(record: &Record, name: &str) -> u64 {
    server(record).counts.get(name).copied().unwrap_or(0)
}

/// Cobham (1954): W_k = W_0 / ((1 - σ_(k-1)) (1 - σ_k)), with W_0 = ρ/μ for exponential service.
#[test]
fn waits_by_priority_are_those_of_cobham() {
    let rates = [30.0, 30.0, 20.0];
    let names = ["gold", "silver", "lead"];
    let mix: Vec<(&str, f64)> = names.into_iter().zip(rates).collect();
    let records = runs(&station("unlimited", "").case(&loads(1200, &mix)), 10);
    let residual = 0.8 * 10.0;
    let mut below = 0.0;
    for (name, rate) in mix {
        let with = below + rate / 100.0;
        let wait = residual / ((1.0 - below) * (1.0 - with));
        let time = Estimate::of(&records, |r| mean_ms(r, name));
        time.agrees(&format!("M/M/1 with priorities, {name}"), 10.0 + wait, 0.12);
        below = with;
    }
}

/// Who says nothing is the last of the order, or what `default` says.
#[test]
fn a_request_without_the_header_has_the_default() {
    let mix = [("gold", 40.0), ("lead", 20.0), ("-", 20.0)];
    let mean = |rest: &str| {
        let record = runs(&station("unlimited", rest).case(&loads(300, &mix)), 1).remove(0);
        ["gold", "lead", "-"].map(|name| mean_ms(&record, name))
    };
    let [gold, lead, silent] = mean("");
    assert!(
        gold < 0.5 * lead && (0.8..1.25).contains(&(silent / lead)),
        "{gold} {lead} {silent}"
    );
    let [gold, lead, silent] = mean(", default: gold");
    assert!(
        silent < 0.5 * lead && (0.8..1.25).contains(&(silent / gold)),
        "{gold} {lead} {silent}"
    );
}

/// Twice the load that can be served, half of it important: all of that is served.
#[test]
fn a_full_queue_refuses_the_least_important() {
    let mix = [("gold", 80.0), ("lead", 120.0)];
    let record = runs(&station("20", "").case(&loads(60, &mix)), 1).remove(0);
    assert!(
        failed(&record, "gold") < 0.005,
        "{}",
        failed(&record, "gold")
    );
    // 100/s are served, 80/s of them gold: 100 of 120 of the others are not.
    let lost = failed(&record, "lead");
    assert!((0.80..0.87).contains(&lost), "{lost}");
    assert!(counted(&record, "displaced") > 0);
    assert_eq!(counted(&record, "shed"), 0);
    let served = server(&record);
    let refused = served.rejected + counted(&record, "displaced");
    let seen: u64 = (record.clients.iter())
        .map(|c| c.statuses.get("503").copied().unwrap_or(0))
        .sum();
    assert!(
        refused.abs_diff(seen) <= 20,
        "{refused} refused, {seen} seen"
    );
}

/// Without displacement in the way: from a quarter of the queue on the least important are refused.
#[test]
fn shedding_keeps_the_rest_of_the_queue_for_others() {
    let mix = [("lead", 200.0)];
    let record = runs(
        &station("20", ", shed: {lead: 25%}").case(&loads(20, &mix)),
        1,
    )
    .remove(0);
    assert_eq!(server(&record).queue_max, 5, "a quarter of 20");
    assert_eq!(counted(&record, "shed"), server(&record).rejected);
    let gold = [("gold", 200.0)];
    let record = runs(
        &station("20", ", shed: {lead: 25%}").case(&loads(20, &gold)),
        1,
    )
    .remove(0);
    assert_eq!(server(&record).queue_max, 20);
    assert_eq!(counted(&record, "shed"), 0);
}

/// The header travels with `propagate`, or a call sets its own.
#[test]
fn importance_travels_with_a_header_that_is_passed_on() {
    let through = |calls: &str| {
        let front = format!(
            "{{concurrency: unlimited, serviceTime: 0ms, propagate: [x-priority], calls: [{calls}]}}"
        );
        let mesh = station("unlimited", "").pods("front", "front", 1, &front);
        let scenario =
            loads(200, &[("gold", 45.0), ("lead", 45.0)]).replace("server:8080", "front:8080");
        let record = runs(&mesh.case(&scenario), 1).remove(0);
        mean_ms(&record, "gold") / mean_ms(&record, "lead")
    };
    assert!(through("'http://server:8080/'") < 0.5);
    let same = through("{url: 'http://server:8080/', headers: {x-priority: silver}}");
    assert!((0.8..1.25).contains(&same), "all are silver: {same}");
}
