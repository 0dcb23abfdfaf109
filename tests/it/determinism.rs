//! Same inputs, seed and version: the same bytes. And what must not matter does not.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use towtank::experiment::replicate;
use towtank::manifest::Source;
use towtank::observe::Record;
use towtank::observe::record::{Ended, RequestRecord};
use towtank::report::json;
use towtank::simulation::Control;
use towtank::units::SimDuration;

use crate::harness::{Case, sources_of};
use crate::theory_support::Mesh;

fn w1_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/w1")
}

/// W1 for a short time.
fn w1() -> Case {
    let mut case = Case::folder(&w1_folder());
    case.scenario.duration = Some(SimDuration::from_secs(3));
    case.scenario.warm_up = SimDuration::from_secs(1);
    case
}

/// All of a record.
fn bytes(record: &Record) -> String {
    format!("{record:#?}\n{}", json::render(record))
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let (first, second) = (w1().run(), w1().run());
    assert_eq!(first.digest, second.digest);
    assert_eq!(bytes(&first), bytes(&second));
}

#[test]
fn another_seed_gives_another_digest() {
    let mut case = w1();
    let first = case.run().digest;
    case.scenario.seed = 2;
    assert_ne!(first, case.run().digest);
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let mut case = w1();
    case.scenario.replications = 5;
    let one = bytes(&case.run_on(Some(1)));
    for threads in [Some(2), Some(3), None] {
        assert_eq!(one, bytes(&case.run_on(threads)), "{threads:?}");
    }
}

#[test]
fn replication_0_is_the_plain_run() {
    let mut case = w1();
    let plain = case.run();
    case.scenario.replications = 3;
    let three = case.run();
    let of_first: Vec<&RequestRecord> = three
        .requests
        .iter()
        .filter(|r| r.replication == 0)
        .collect();
    let of_plain: Vec<&RequestRecord> = plain.requests.iter().collect();
    assert_eq!(format!("{of_first:?}"), format!("{of_plain:?}"));
}

#[test]
fn an_interruption_leaves_out_what_has_not_begun() {
    let interrupted = AtomicBool::new(false);
    // Ctrl-C during the third of five hundred runs.
    let stop = |share: f64| {
        if share > 2.0 / 500.0 {
            interrupted.store(true, Ordering::Relaxed);
        }
    };
    let control = Control {
        interrupted: &interrupted,
        progress: Some(&stop),
        keep_requests: 100_000,
    };
    let case = w1();
    let record = replicate(&case.plan(), 1, 500, Some(1), &control);
    assert_eq!(record.replications, 3);
    assert_eq!(record.ended, Ended::Interrupted);
    assert_eq!(record.clients[0].per_replication.len(), 3);
    assert!(record.requests.iter().all(|r| r.replication < 3));
}

#[test]
fn the_order_of_files_and_objects_does_not_matter() {
    let sources = sources_of(&w1_folder());
    let usual = Case::sources(&sources).run();
    let mut split: Vec<Source> = Vec::new();
    for source in &sources {
        let documents = source.text.split("\n---\n").enumerate();
        split.extend(documents.map(|(n, text)| Source::new(format!("{}-{n}", source.path), text)));
    }
    split.reverse();
    let turned = Case::sources(&split).run();
    assert_eq!(usual.digest, turned.digest);
    assert_eq!(json::render(&usual), json::render(&turned));
}

/// The first load's requests, one line each.
fn luck(record: &Record) -> String {
    let first = record.requests.iter().filter(|r| r.client == 0);
    first.fold(String::new(), |text, r| format!("{text}{r:?}\n"))
}

const SCENARIO: &str = "duration: 10s, seed: 7, load: [{name: main, from: t/client, url: 'http://server:8080/', rate: 100/s}";

fn pair() -> Mesh {
    Mesh::new()
        .pods(
            "server",
            "server",
            5,
            "{concurrency: 4, errors: [{status: 503, rate: 10%}], calls: ['http://back:8080/']}",
        )
        .pods(
            "back",
            "back",
            3,
            "{serviceTime: {exponential: {mean: 3ms}}}",
        )
        .route("server", "retries: {attempts: 2, retryOn: '5xx'}")
}

#[test]
fn strangers_do_not_change_anyones_luck() {
    let alone = pair().case(&format!("{SCENARIO}]")).run();
    // Names before and after the others, their own load, their own clients.
    let more = Mesh::new()
        .pods("aaa", "aaa", 4, "{calls: ['http://zzz:8080/']}")
        .pods(
            "server",
            "server",
            5,
            "{concurrency: 4, errors: [{status: 503, rate: 10%}], calls: ['http://back:8080/']}",
        )
        .pods("zzz", "zzz", 2, "{errors: [{status: 500, rate: 50%}]}")
        .pods(
            "back",
            "back",
            3,
            "{serviceTime: {exponential: {mean: 3ms}}}",
        )
        .route("server", "retries: {attempts: 2, retryOn: '5xx'}");
    let crowd = more
        .case(&format!(
            "{SCENARIO}, {{name: other, from: t/aaa, url: 'http://zzz:8080/', rate: 300/s}}]"
        ))
        .run();
    assert!(luck(&alone).lines().count() > 900);
    assert_eq!(luck(&alone), luck(&crowd));
}

#[test]
fn a_change_of_one_service_leaves_the_others_luck_alone() {
    let work = |record: &Record| {
        let server = record
            .workloads
            .iter()
            .find(|w| w.name == "t/server")
            .unwrap();
        (server.requests, server.errors, server.busy_mean)
    };
    let before = pair().case(&format!("{SCENARIO}]")).run();
    let slower = Mesh::new()
        .pods(
            "server",
            "server",
            5,
            "{concurrency: 4, errors: [{status: 503, rate: 10%}], calls: ['http://back:8080/']}",
        )
        .pods(
            "back",
            "back",
            3,
            "{serviceTime: {exponential: {mean: 6ms}}}",
        )
        .route("server", "retries: {attempts: 2, retryOn: '5xx'}");
    let after = slower.case(&format!("{SCENARIO}]")).run();
    // The same requests fail in the same tries; the time they take has grown.
    let fates = |record: &Record| -> Vec<(u64, u16, u32)> {
        let mut all: Vec<_> = record
            .requests
            .iter()
            .map(|r| (r.number, r.status, r.attempts))
            .collect();
        all.sort_unstable();
        all
    };
    assert_eq!(fates(&before), fates(&after));
    assert_eq!(work(&before).0, work(&after).0);
    assert_eq!(work(&before).1, work(&after).1);
    assert!(work(&before).2 < work(&after).2);
}

/// What the first load's requests met at `server`, whatever they waited for.
fn fates(record: &Record) -> Vec<(u64, u16, u32, String)> {
    let first = record.requests.iter().filter(|r| r.client == 0);
    let mut all: Vec<_> = first
        .map(|r| (r.number, r.status, r.attempts, r.pod.clone()))
        .collect();
    all.sort_unstable();
    all
}

#[test]
fn retries_and_failures_of_one_service_leave_every_other_draw_alone() {
    // `back` is called by `server`, whatever becomes of it; `aside` is called after it.
    let mesh = |back: &str, retries: &str| {
        Mesh::new()
            .pods(
                "server",
                "server",
                5,
                "{concurrency: unlimited, errors: [{status: 503, rate: 20%}], serviceTime: {exponential: {mean: 3ms}}, calls: [{url: 'http://back:8080/', onError: ignore}, 'http://aside:8080/']}",
            )
            .pods("back", "back", 3, back)
            .pods("aside", "aside", 4, "{concurrency: unlimited, errors: [{status: 500, rate: 10%}], serviceTime: {exponential: {mean: 3ms}}}")
            .rule("server", "{loadBalancer: {simple: RANDOM}}")
            .rule("aside", "{loadBalancer: {simple: RANDOM}}")
            .route("server", "retries: {attempts: 2, retryOn: '5xx'}")
            .route("back", retries)
    };
    let served = |record: &Record, name: &str| {
        let pods = record.endpoints.iter().filter(|e| e.workload == name);
        let per_pod: Vec<u64> = pods.map(|e| e.requests).collect();
        let workload = record.workloads.iter().find(|w| w.name == name).unwrap();
        (per_pod, workload.errors)
    };
    let quiet = mesh("{serviceTime: 1ms}", "retries: {attempts: 0}")
        .case(&format!("{SCENARIO}]"))
        .run();
    let troubled = mesh(
        "{serviceTime: {exponential: {mean: 9ms}}, errors: [{status: 503, rate: 50%}]}",
        "timeout: 1s\n    retries: {attempts: 4, retryOn: '5xx', perTryTimeout: 20ms}",
    )
    .case(&format!("{SCENARIO}]"))
    .run();
    assert!(troubled.hops > quiet.hops + 500, "much was retried");
    assert_eq!(fates(&quiet), fates(&troubled));
    for name in ["t/server", "t/aside"] {
        assert_eq!(served(&quiet, name), served(&troubled, name), "{name}");
    }
}

#[test]
fn another_load_does_not_change_what_users_think() {
    let users = "{name: main, from: t/client, url: 'http://server:8080/', connections: 4, requests: 400, think: {exponential: 20ms}}";
    let before = "{name: first, from: t/other, url: 'http://idle:8080/', connections: 3, requests: 50, think: {exponential: 20ms}}";
    let mesh = || {
        Mesh::new()
            .pods(
                "server",
                "server",
                2,
                "{serviceTime: {exponential: {mean: 3ms}}}",
            )
            .pods("other", "other", 1, "{}")
            .pods("idle", "idle", 1, "{serviceTime: 1ms}")
    };
    let luck = |record: &Record| -> Vec<(u64, u64, u64)> {
        let at = record
            .clients
            .iter()
            .position(|c| c.name == "main")
            .unwrap();
        let own = record.requests.iter().filter(|r| r.client as usize == at);
        let mut all: Vec<_> = own
            .map(|r| (r.number, r.at.ns(), r.duration.ns()))
            .collect();
        all.sort_unstable();
        all
    };
    let alone = mesh().case(&format!("load: [{users}]")).run();
    let second = mesh().case(&format!("load: [{before}, {users}]")).run();
    assert_eq!(luck(&alone).len(), 400);
    assert_eq!(luck(&alone), luck(&second));
}

#[test]
fn warm_up_changes_what_is_counted_and_nothing_else() {
    let mesh = pair();
    let cold = mesh.case(&format!("{SCENARIO}]")).run();
    let warm = mesh.case(&format!("warmUp: 4s, {SCENARIO}]")).run();
    assert_eq!(luck(&cold), luck(&warm));
    assert_eq!(cold.hops, warm.hops);
    assert!(warm.clients[0].requests < cold.clients[0].requests);
}

/// Digest that the program prints for W1, with other processor features seen by the C library.
fn digest_of_program(tunables: Option<&str>) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_towtank"));
    command.args(["run", "-o", "json"]).arg(w1_folder());
    command.env_remove("GLIBC_TUNABLES");
    if let Some(tunables) = tunables {
        command.env("GLIBC_TUNABLES", tunables);
    }
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    json["digest"].as_str().unwrap().to_owned()
}

#[test]
fn the_processor_makes_no_difference() {
    let usual = digest_of_program(None);
    let older = digest_of_program(Some("glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F,-ERMS"));
    assert_eq!(usual, older);
    let record = Case::folder(&w1_folder()).run();
    assert_eq!(usual, json::digest(record.digest));
}
