//! Worker threads of proxies: connections stay with the one that accepted them, and each has
//! balancers and pools of its own.

use serde_json::Value;

use crate::program::{self, finding};
use crate::tank::{Tank, mesh};

const RULE: &str = "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: quotes, namespace: desk}
spec:
  host: quotes
  trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}
";

/// One trader that calls four pods; every proxy has so many threads.
fn desk(threads: u32, load: &str) -> Tank {
    let model = format!(
        "apiVersion: towtank/v1alpha1\nkind: Model\nmetadata: {{name: desk}}\nspec:\n  proxy: {{concurrency: {threads}}}\n  workloads:\n    desk/quotes: {{concurrency: 64, serviceTime: 2ms}}\n"
    );
    let scenario = format!(
        "apiVersion: towtank/v1alpha1\nkind: Scenario\nmetadata: {{name: desk}}\nspec:\n  manifests: [mesh.yaml]\n  model: model.yaml\n  seed: 1\n  load:\n  - {{name: trader, from: desk/trader, url: \"http://quotes:8080/\", {load}}}\n"
    );
    let mesh = mesh("desk", &[("quotes", 4, Some(8080)), ("trader", 1, None)]);
    Tank::of(&[
        ("mesh.yaml", &format!("{mesh}{RULE}")),
        ("model.yaml", &model),
        ("scenario.yaml", &scenario),
    ])
}

/// What is said about the calls of the trader.
fn skew_of_trader(run: &Value) -> Option<&Value> {
    let mut all = run["findings"].as_array()?.iter();
    all.find(|f| {
        let what = f["what"].as_str().unwrap_or_default();
        f["code"] == "TT-WORKER-SKEW" && what.contains("threads of trader-0 sends")
    })
}

/// Requests by replication and thread of a pod's proxy.
fn by_thread(run: &Value, pod: &str, side: &str) -> Vec<Vec<u64>> {
    let mut all = run["workers"].as_array().expect("several threads").iter();
    let of_pod = all.find(|w| w["pod"] == pod).expect("its proxy is there");
    serde_json::from_value(of_pod[side].clone()).expect("numbers")
}

/// A user keeps its connection, so what a thread has is whole users: a hundred requests each.
#[test]
fn a_connection_stays_with_the_thread_that_accepted_it() {
    let tank = desk(4, "connections: 6, requests: 600");
    let run = tank.run(&["--replications", "40"]);
    let sent = by_thread(&run, "trader-0", "sent");
    assert_eq!(sent.len(), 40);
    let mut most = 0;
    for threads in &sent {
        assert_eq!(threads.iter().sum::<u64>(), 600);
        assert!(threads.iter().all(|n| n % 100 == 0), "{threads:?}");
        most += threads.iter().max().expect("four") / 100;
    }
    // Six connections thrown into four threads: the fullest has 2.82 on average, within
    // 0.73 of that; a listener that balanced them exactly would have two.
    let mean = most as f64 / 40.0;
    assert!((mean - 2.82).abs() < 4.0 * 0.73 / 40f64.sqrt(), "{mean}");
}

/// What each thread does is told apart only where there are several; with one nothing is said.
#[test]
fn one_thread_is_not_uneven() {
    let run = desk(1, "connections: 2, requests: 600").run(&[]);
    assert!(run.get("workers").is_none());
    assert!(finding(&run, "TT-WORKER-SKEW").is_none());
}

#[test]
fn few_connections_make_few_threads_work_and_more_make_all_of_them() {
    let tank = desk(4, "connections: 2, qps: 200, requests: 2000");
    let run = tank.run(&[]);
    let skew = skew_of_trader(&run).expect("two connections, four threads");
    let cure = skew["counterfactual"].as_str().expect("simulated");
    assert!(
        cure.starts_with("simulated with `connections: 8` of load trader: it is gone"),
        "{cure}"
    );
    let more = desk(4, "connections: 32, qps: 200, requests: 2000").run(&[]);
    assert!(skew_of_trader(&more).is_none());
    // Without pauses nobody knows what more connections would do to the load.
    let loops = desk(4, "connections: 1, requests: 2000").run(&[]);
    let skew = skew_of_trader(&loops).expect("one connection");
    assert!(skew["counterfactual"].is_null(), "{skew}");
}

/// Of one thread 16 requests fall evenly; of eight threads they are rounds of two that begin anywhere.
#[test]
fn every_thread_goes_round_by_itself() {
    let few = "rate: 100/s, arrivals: constant, requests: 16";
    let requests = |run: &Value| -> Vec<u64> {
        let all = run["endpoints"].as_array().expect("endpoints").iter();
        all.filter_map(|e| e["requests"].as_u64()).collect()
    };
    let one = desk(1, few).run(&[]);
    assert_eq!(requests(&one), [4, 4, 4, 4]);
    assert!(finding(&one, "TT-IMBALANCE").is_none());
    let uneven = (0..40).find_map(|seed: u32| {
        let run = desk(8, few).run(&["--seed", &seed.to_string()]);
        let found = finding(&run, "TT-IMBALANCE").cloned();
        found.map(|found| (requests(&run), found))
    });
    let (requests, found) = uneven.expect("one of forty is that uneven");
    assert!(requests.iter().any(|n| *n >= 6), "{requests:?}");
    let what = found["what"].as_str().expect("words");
    assert!(
        what.ends_with("every worker thread goes round by itself and begins where it likes"),
        "{what}"
    );
    let evidence = found["chain"].to_string();
    assert!(
        evidence.contains("1 × 8 threads of desk/trader have 2.0 turns each for 4 pods"),
        "{evidence}"
    );
    let cure = found["counterfactual"].as_str().expect("simulated");
    assert!(cure.contains("`concurrency: 1`"), "{cure}");
    // With many of them it is even, whoever goes round.
    let many = "rate: 1000/s, arrivals: constant, requests: 16000";
    assert!(finding(&desk(8, many).run(&[]), "TT-IMBALANCE").is_none());
}

/// An empty pool may always open a connection, and each thread has one per pod (`measured.md` 6).
#[test]
fn a_limit_of_connections_is_one_per_thread_and_pod_at_least() {
    let rule = "dr/quotes:spec.trafficPolicy.connectionPool={tcp: {maxConnections: 2}}";
    let load = "rate: 500/s, requests: 2000";
    for (threads, connections) in [(1, 4), (3, 12)] {
        let run = desk(threads, load).run(&["--set", rule]);
        let mut clusters = run["clusters"].as_array().expect("clusters").iter();
        let outbound = clusters.find(|c| c["workload"] == "desk/trader");
        assert_eq!(outbound.expect("it calls")["mostConnections"], connections);
        let told = finding(&run, "TT-BREAKER-EXCEEDED").expect("more than two");
        let cause = told["cause"].as_str().expect("a line");
        assert!(cause.starts_with("`maxConnections` in "), "{cause}");
        let evidence = told["chain"][0].as_str().expect("evidence");
        let pools = match threads {
            1 => "a pool for every pod: 4 in each proxy".to_owned(),
            _ => format!("{threads} × 4 = {connections} in each proxy"),
        };
        assert!(evidence.contains(&pools), "{evidence}");
    }
    let enough = "dr/quotes:spec.trafficPolicy.connectionPool={tcp: {maxConnections: 4}}";
    let three = desk(3, load).run(&["--set", enough]);
    let told = finding(&three, "TT-BREAKER-EXCEEDED").expect("twelve");
    let cure = told["counterfactual"].as_str().expect("simulated");
    assert!(
        cure.starts_with("simulated with `concurrency: 1` of every proxy"),
        "{cure}"
    );
    assert!(cure.contains("it is gone"), "{cure}");
    let one = desk(1, load).run(&["--set", enough]);
    assert!(finding(&one, "TT-BREAKER-EXCEEDED").is_none());
}

/// gRPC keeps one connection for each of the client's threads: most of the server's threads idle.
#[test]
fn the_example_shows_both() {
    let run = program::json(&["run", "examples/41-worker-threads"]);
    let served = by_thread(&run, "quotes-0", "served");
    for threads in &served {
        let busy = threads.iter().filter(|n| **n > 0).count();
        assert!(busy <= 2, "two connections: {threads:?}");
    }
    let skew = finding(&run, "TT-WORKER-SKEW").expect("it is what it shows");
    let cure = skew["counterfactual"].as_str().expect("simulated");
    assert!(
        cure.contains("`maxRequestsPerConnection: 1000` towards quotes: it is gone"),
        "{cure}"
    );
    let often = "dr/quotes:spec.trafficPolicy.connectionPool.http={maxRequestsPerConnection: 100}";
    let args = ["run", "examples/41-worker-threads", "--set", often];
    let cured = program::json(&[&args[..], &["--set", "Scenario:spec.expect=null"]].concat());
    assert!(finding(&cured, "TT-WORKER-SKEW").is_none());
    assert!(finding(&run, "TT-BREAKER-EXCEEDED").is_some());
}
