//! `explain`: the request that was asked for, whole, and in every format the same.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use serde_json::Value;
use towtank::engine::Seed;
use towtank::simulation::{Control, find, follow, run};

use crate::harness::Case;
use crate::program;

const STORM: &str = "examples/11-retry-storm";
const OUTAGE: &str = "examples/14-zone-outage";

fn explained(arguments: &[&str]) -> Value {
    let all = [&["explain"], arguments].concat();
    program::json(&all)
}

fn parsed(arguments: &[&str]) -> Value {
    serde_json::from_str(&program::text(arguments)).expect("it is JSON")
}

fn spans(explained: &Value) -> &Vec<Value> {
    explained["spans"].as_array().expect("there are spans")
}

fn of_kind<'a>(explained: &'a Value, kind: &str) -> Vec<&'a Value> {
    let all = spans(explained).iter();
    all.filter(|span| span["kind"] == kind).collect()
}

#[test]
fn following_a_request_changes_nothing() {
    for folder in [STORM, OUTAGE, "examples/09-mirroring", "models/shop"] {
        let case = Case::folder(&program::root().join(folder));
        let plan = case.plan();
        let interrupted = AtomicBool::new(false);
        let control = Control {
            interrupted: &interrupted,
            progress: None,
            keep_requests: 0,
        };
        let seed = Seed::new(3);
        let plain = run(&plan, seed, &control);
        let (found, end) = find(&plan, seed, &control, 1_000, |outcome| {
            assert_eq!(outcome.roots().len(), 1_000, "{folder}");
            Some(500)
        });
        let end = end.expect("it is there");
        let (followed, trace) = follow(&case.snapshot, &plan, seed, &control, &end);
        assert_eq!(plain.digest(), found.digest(), "{folder}");
        assert_eq!(plain.digest(), followed.digest(), "{folder}");
        assert_eq!(plain.events(), followed.events(), "{folder}");
        assert_eq!(trace.request.number, end.number, "{folder}");
        let root = &trace.calls[0];
        assert_eq!(
            (root.opened, root.end()),
            (end.at, Some(end.at.after(end.duration)))
        );
        assert_eq!(root.tries.len() as u32, end.attempts, "{folder}");
    }
}

#[test]
fn the_slowest_request_of_a_storm_is_a_queue_with_four_tries_given_up() {
    let told = explained(&[STORM]);
    let run = program::json(&["run", STORM]);
    let slowest = run["clients"][0]["latencyMs"]["max"]
        .as_f64()
        .expect("a number");
    let took = told["durationMs"].as_f64().expect("a number");
    assert!(
        (took - slowest).abs() <= slowest * 0.01,
        "{took} of {slowest}"
    );
    let first = &told["criticalPath"][0];
    assert_eq!(first["what"], "queue of shop/orders");
    let orders: Vec<&Value> = of_kind(&told, "call")
        .into_iter()
        .filter(|call| call["cluster"] == "outbound|8080||orders.shop.svc.cluster.local")
        .collect();
    assert_eq!(orders.len(), 1);
    assert_eq!(orders[0]["flags"], "URX,UT");
    let tries: Vec<&Value> = of_kind(&told, "try")
        .into_iter()
        .filter(|t| t["parent"] == orders[0]["id"])
        .collect();
    assert_eq!(tries.len(), 4, "one and three retries");
    assert!(tries.iter().all(|t| t["givenUp"] == true));
    let said: Vec<&str> = orders[0]["decisions"]
        .as_array()
        .expect("decisions")
        .iter()
        .filter_map(|d| d["what"].as_str())
        .collect();
    let line = "it allows 3 retries on 5xx,reset,connect-failure, 500ms per try (examples/11-retry-storm/manifests/mesh.yaml:103)";
    assert!(said.contains(&line), "{said:#?}");
}

#[test]
fn shares_add_up_and_children_lie_within_their_parents() {
    for arguments in [
        &[STORM][..],
        &[OUTAGE, "--failed"],
        &["models/shop"],
        &["models/bookinfo", "--slowest", "7"],
    ] {
        let told = explained(arguments);
        let took = told["durationMs"].as_f64().expect("a number");
        let shares = told["criticalPath"].as_array().expect("shares").iter();
        let sum: f64 = shares.filter_map(|s| s["ms"].as_f64()).sum();
        assert!(
            (sum - took).abs() < 1e-6 * took.max(1.0),
            "{arguments:?}: {sum} of {took}"
        );
        let spans = spans(&told);
        for (id, span) in spans.iter().enumerate() {
            assert_eq!(span["id"], id);
            let Some(parent) = span["parent"].as_u64() else {
                continue;
            };
            assert!((parent as usize) < id, "parents come first");
            let parent = &spans[parent as usize];
            assert!(span["beginMs"].as_f64() >= parent["beginMs"].as_f64());
            // A server may go on when its client has left, and nobody waits for a copy.
            let waited_for = span["waiting"] == "caller" && span["kind"] != "server";
            if waited_for && parent["kind"] != "server" {
                assert!(
                    span["endMs"].as_f64() <= parent["endMs"].as_f64(),
                    "{span:#} in {parent:#}"
                );
            }
            let mut at = span["beginMs"].as_f64();
            for phase in span["phases"].as_array().expect("phases") {
                assert_eq!(phase["beginMs"].as_f64(), at, "{span:#}");
                at = phase["endMs"].as_f64();
            }
        }
    }
}

#[test]
fn a_mirrored_copy_is_there_and_nobody_waits_for_it() {
    let copied = (0..100).find_map(|number| {
        let request = format!("callers:{}", 2_000 + number);
        let told = explained(&["examples/09-mirroring", "--request", &request]);
        let calls = of_kind(&told, "call");
        let copies = calls.iter().filter(|c| c["waiting"] == "mirror").count();
        (copies == 1).then_some(told)
    });
    let told = copied.expect("one in ten is copied");
    let copy = &of_kind(&told, "call")[1];
    assert_eq!(copy["parent"], 0);
    assert_eq!(
        copy["cluster"],
        "outbound|8080|v2-test|api-service.production.svc.cluster.local"
    );
}

#[test]
fn requests_are_chosen_by_number_status_flag_time_and_finding() {
    let third = explained(&[STORM, "--failed", "3"]);
    assert!(third["status"].as_u64() >= Some(500));
    let number = format!("shoppers:{}", third["number"]);
    let same = explained(&[STORM, "--request", &number]);
    assert_eq!(same, third);
    let late = explained(&[STORM, "--failed", "--after", "50s"]);
    assert!(late["atSeconds"].as_f64() >= Some(50.0));
    let stuck = explained(&[STORM, "--finding", "TT-METASTABLE"]);
    assert!(
        stuck["atSeconds"].as_f64() >= Some(20.0),
        "after the trigger"
    );
    assert!(stuck["status"].as_u64() >= Some(500));
    let left = explained(&[OUTAGE, "--flag", "DC"]);
    assert_eq!(left["flags"], "DC");
    assert_eq!(
        left["criticalPath"][0]["what"],
        "a pod of shop/catalog-b that is gone"
    );
    let error = program::fails(&["explain", STORM, "--finding", "TT-BREAKER-OPEN"], 2);
    assert!(error.contains("it has: TT-METASTABLE"), "{error}");
    let error = program::fails(&["explain", STORM, "--request", "shopper:1"], 2);
    assert!(error.contains("no load is called `shopper`"), "{error}");
    let error = program::fails(&["explain", STORM, "--flag", "XX"], 2);
    assert!(error.contains("Envoy's are"), "{error}");
    let error = program::fails(&["explain", STORM, "--status", "418"], 2);
    assert!(error.contains("no such request"), "{error}");
}

#[test]
fn tracing_tools_get_the_same_spans() {
    let told = explained(&[STORM]);
    let count = spans(&told).len();
    let otlp = parsed(&["explain", STORM, "-o", "otlp"]);
    let mut parents: BTreeMap<String, String> = BTreeMap::new();
    for resource in otlp["resourceSpans"].as_array().expect("resources") {
        assert_eq!(resource["resource"]["attributes"][0]["key"], "service.name");
        for span in resource["scopeSpans"][0]["spans"]
            .as_array()
            .expect("spans")
        {
            let text = |key: &str| span[key].as_str().expect("a text").to_owned();
            assert_eq!((text("traceId").len(), text("spanId").len()), (32, 16));
            let time = |key: &str| text(key).parse::<u64>().expect("nanoseconds");
            assert!(time("endTimeUnixNano") >= time("startTimeUnixNano"));
            parents.insert(text("spanId"), text("parentSpanId"));
        }
    }
    assert_eq!(parents.len(), count);
    let roots = parents.values().filter(|parent| parent.is_empty()).count();
    assert_eq!(roots, 1);
    assert!(
        parents
            .values()
            .all(|p| p.is_empty() || parents.contains_key(p))
    );

    let jaeger = parsed(&["explain", STORM, "-o", "jaeger"]);
    let trace = &jaeger["data"][0];
    let all = trace["spans"].as_array().expect("spans");
    assert_eq!(all.len(), count);
    for span in all {
        let process = span["processID"].as_str().expect("a process");
        assert!(trace["processes"][process]["serviceName"].is_string());
        let id = span["spanID"].as_str().expect("an id");
        let parent = span["references"][0]["spanID"].as_str().unwrap_or_default();
        assert_eq!(parents[id], parent);
    }

    let chrome = parsed(&["explain", STORM, "-o", "chrome"]);
    let events = chrome["traceEvents"].as_array().expect("events");
    let slices = events.iter().filter(|e| e["ph"] == "X").count();
    assert!(slices > count, "spans and their phases");
    let names = events
        .iter()
        .filter(|e| e["name"] == "process_name")
        .count();
    assert_eq!(
        names,
        trace["processes"].as_object().expect("processes").len()
    );
}

#[test]
fn access_logs_have_istios_fields() {
    let log = program::text(&["explain", STORM, "-o", "access-log"]);
    let lines: Vec<&str> = log.lines().collect();
    let timed_out: Vec<&&str> = lines
        .iter()
        .filter(|l| l.contains(" 504 URX,UT "))
        .collect();
    assert_eq!(timed_out.len(), 1, "{log}");
    let line = timed_out[0];
    assert!(line.starts_with("[2000-01-01T00:00:"), "{line}");
    assert!(
        line.contains("\"GET / HTTP/1.1\" 504 URX,UT upstream_per_try_timeout - \"-\" 0 0 "),
        "{line}"
    );
    assert!(
        line.contains(" outbound|8080||orders.shop.svc.cluster.local "),
        "{line}"
    );
    // Times in brackets, quoted texts and bare words: 22 fields of EnvoyTextLogFormat.
    let mut fields = 0;
    let mut rest = line.trim();
    while !rest.is_empty() {
        let end = match rest.as_bytes()[0] {
            b'"' => rest[1..].find('"').map(|at| at + 2),
            b'[' => rest.find(']').map(|at| at + 1),
            _ => rest.find(' '),
        };
        let end = end.unwrap_or(rest.len());
        rest = rest[end..].trim_start();
        fields += 1;
    }
    assert_eq!(fields, 22, "{line}");
}
