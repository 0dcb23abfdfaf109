//! What happens to the mesh during a run: failures, restarts, slow pods, cut ways, scaling, and how
//! proxies learn of it.

use serde_json::Value;

use crate::program;
use crate::tank::Tank;

const MESH: &str = include_str!("events/mesh.yaml");

/// A folder with the mesh and a scenario made of these lines below `spec`.
fn tank_of(model: &str, scenario: &str) -> Tank {
    let own = |kind: &str, spec: &str| {
        format!(
            "apiVersion: towtank/v1alpha1\nkind: {kind}\nmetadata: {{name: t}}\nspec:\n{spec}\n"
        )
    };
    let text = format!(
        "{}---\n{}",
        own("Model", model),
        own("Scenario", &format!("  manifests: [mesh.yaml]\n{scenario}"))
    );
    Tank::of(&[("mesh.yaml", MESH), ("scenario.yaml", &text)])
}

const MODEL: &str = "  defaults: {serviceTime: 5ms, concurrency: 16, startup: 2s}
  network: {sameZone: 250us, sameRegion: 1ms, betweenRegions: 30ms}";

const LOAD: &str = "  load:
  - {from: shop/web, url: 'http://api:8080/', rate: 400/s, arrivals: constant, timeout: 3s}";

fn failed(run: &Value) -> u64 {
    let statuses = run["clients"][0]["statuses"].as_object().expect("statuses");
    let bad = |s: &str| s == "0" || s.starts_with('5');
    let all = statuses.iter().filter(|(s, _)| bad(s));
    all.filter_map(|(_, n)| n.as_u64()).sum()
}

fn started(run: &Value) -> u64 {
    run["clients"][0]["started"].as_u64().expect("a number")
}

/// When a sentence with these words was told.
fn told(run: &Value, words: &str) -> f64 {
    let all = run["happenings"].as_array().expect("happenings");
    let found = all
        .iter()
        .find(|h| h["what"].as_str().is_some_and(|w| w.contains(words)));
    found.unwrap_or_else(|| panic!("nothing tells of `{words}`: {all:?}"))["atSeconds"]
        .as_f64()
        .expect("a number")
}

/// Failed share of the windows that begin between two moments.
fn failed_between(run: &Value, from: f64, to: f64) -> f64 {
    let points = run["series"]["points"].as_array().expect("points");
    let inside = points.iter().filter(|p| {
        let at = p["atSeconds"].as_f64().unwrap_or(-1.0);
        at >= from && at < to
    });
    let (mut errors, mut all) = (0, 0);
    for point in inside {
        errors += point["errors"].as_u64().unwrap_or(0);
        all += point["requests"].as_u64().unwrap_or(0);
    }
    errors as f64 / f64::from(u32::try_from(all.max(1)).expect("few"))
}

#[test]
fn every_request_of_a_disturbed_run_is_accounted_for() {
    let events = "  duration: 40s
  events:
  - {at: 3s, fail: {workload: shop/api, pods: 1}, for: 5s}
  - {at: 5s, fail: {zone: eu/b}, for: 6s}
  - {at: 8s, fail: {workload: shop/web, pods: 1}, for: 4s}
  - {at: 12s, fail: {workload: shop/api, pods: 2, how: hang}, for: 3s}
  - {at: 16s, fail: {workload: shop/api, how: crash}, for: 2s}
  - {at: 20s, partition: {between: [eu/a, eu/b]}, for: 3s}
  - {at: 24s, rollout: {workload: shop/api}}
  - {at: 30s, scale: {workload: shop/api, replicas: 6}}
  - {at: 34s, scale: {workload: shop/api, replicas: 1}}";
    let tank = tank_of(MODEL, &format!("{LOAD}\n{events}"));
    let run = tank.run(&["--replications", "3"]);
    let client = &run["clients"][0];
    assert_eq!(started(&run), 3 * 400 * 40 - 3, "constant arrivals");
    assert_eq!(client["requests"], client["started"], "all have ended");
    assert_eq!(client["inFlight"], 0);
    let again = tank.run(&["--replications", "3", "--threads", "1"]);
    assert_eq!(run["digest"], again["digest"], "the same on one thread");
}

#[test]
fn a_killed_pod_leaves_every_proxy_within_a_push() {
    let events = "  duration: 20s
  events:
  - {at: 5s, fail: {workload: shop/api, pods: 1}, for: 5s}";
    let run = tank_of(MODEL, &format!("{LOAD}\n{events}")).run(&[]);
    let gone = told(&run, "without api-0");
    // 50 ms to istiod, 100 ms of quiet, up to 100 ms to the proxies.
    assert!((5.16..=5.26).contains(&gone), "{gone}");
    let back = told(&run, "with api-0");
    assert!((12.16..=12.26).contains(&back), "2 s to start: {back}");
    let refused = program::stat(&run, "api.shop", "upstream_cx_connect_fail");
    assert!((1..=60).contains(&refused), "{refused}");
    // What was in service is lost, connects are retried.
    assert!(failed(&run) <= 4, "{}", failed(&run));
    assert!(program::stat(&run, "api.shop", "membership_change") >= 2);
}

#[test]
fn packets_that_vanish_cost_the_connect_timeout_until_the_machine_is_missed() {
    let events = "  duration: 30s
  events:
  - {at: 5s, fail: {zone: eu/b, noticed: 10s}}";
    let run = tank_of(MODEL, &format!("{LOAD}\n{events}")).run(&[]);
    assert!(failed_between(&run, 6.0, 14.0) > 0.05);
    assert!(
        failed_between(&run, 19.0, 30.0) < 0.001,
        "nobody asks it any more"
    );
    // What went out on connections that were there is never answered: clients give up after 3 s.
    let gave_up = run["clients"][0]["statuses"]["0"].as_u64().unwrap_or(0);
    assert!(gave_up > 10, "{gave_up}");
    let gone = told(&run, "every proxy knows");
    assert!((15.16..=15.26).contains(&gone), "{gone}");
}

#[test]
fn a_hanging_pod_answers_late_when_it_goes_on() {
    let load = "  load:
  - {from: shop/web, url: 'http://api:8080/', rate: 100/s, arrivals: constant}";
    let events = "  duration: 10s
  events:
  - {at: 4s, fail: {workload: shop/api, pods: 1, how: hang}, for: 2s}";
    let run = tank_of(MODEL, &format!("{load}\n{events}")).run(&[]);
    assert_eq!(failed(&run), 0);
    let max = run["clients"][0]["latencyMs"]["max"]
        .as_f64()
        .unwrap_or(0.0);
    assert!((1_900.0..2_100.0).contains(&max), "{max} ms");
}

#[test]
fn slow_pods_take_so_many_times_longer_for_so_long() {
    let events = "  duration: 30s
  events:
  - {at: 10s, slow: {workload: shop/api, factor: 4, add: 10ms}, for: 10s}";
    let run = tank_of(MODEL, &format!("{LOAD}\n{events}")).run(&[]);
    let p50 = |at: f64| {
        let points = run["series"]["points"].as_array().expect("points");
        let point = points.iter().find(|p| p["atSeconds"].as_f64() == Some(at));
        point.expect("a window")["p50Ms"]
            .as_f64()
            .expect("a number")
    };
    // 5 ms of work and the way there and back, which is 0.5 ms or 2 ms.
    assert!((5.0..8.0).contains(&p50(5.0)), "{}", p50(5.0));
    assert!((30.0..33.0).contains(&p50(15.0)), "{}", p50(15.0));
    assert!((5.0..8.0).contains(&p50(25.0)), "{}", p50(25.0));
}

#[test]
fn errors_of_an_event_are_the_share_that_was_asked_for() {
    let events = "  duration: 40s
  events:
  - {at: 10s, errors: {workload: shop/api, status: 500, rate: 25%}, for: 20s}";
    let run = tank_of(MODEL, &format!("{LOAD}\n{events}")).run(&[]);
    // 8,000 requests: three standard deviations are 1.5 %.
    let share = failed_between(&run, 11.0, 29.0);
    assert!((0.235..0.265).contains(&share), "{share}");
    assert!(failed_between(&run, 0.0, 9.0) < 1e-9);
    assert!(failed_between(&run, 31.0, 40.0) < 1e-9);
}

#[test]
fn a_pod_with_a_quarter_of_its_slots_queues_and_recovers() {
    let model = "  defaults: {serviceTime: 20ms, concurrency: 8, queue: unlimited}";
    let load = "  load:
  - {from: shop/web, url: 'http://api:8080/', rate: 800/s}";
    // 3 pods × 2 slots at 20 ms serve 300 of 800 a second.
    let events = "  duration: 30s
  events:
  - {at: 10s, capacity: {workload: shop/api, share: 25%}, for: 2s}";
    let run = tank_of(model, &format!("{load}\n{events}")).run(&[]);
    let most = run["workloads"].as_array().expect("workloads");
    let api = most.iter().find(|w| w["name"] == "shop/api").expect("api");
    // 2 s × 500/s are left over, a third at each pod.
    let queue = api["queueMax"].as_u64().expect("a number");
    assert!((270..450).contains(&queue), "{queue}");
    assert_eq!(failed(&run), 0);
}

#[test]
fn a_cut_way_is_found_again_when_it_is_mended() {
    let load = "  load:
  - {from: shop/web, url: 'http://api:8080/', rate: 100/s, arrivals: constant}";
    let events = "  duration: 20s
  events:
  - {at: 5s, partition: {between: [eu/a, eu/b]}, for: 1s}";
    let run = tank_of(MODEL, &format!("{load}\n{events}")).run(&[]);
    let max = run["clients"][0]["latencyMs"]["max"]
        .as_f64()
        .unwrap_or(0.0);
    // What was sent at the beginning of the cut is sent again after 0.2, 0.6 and 1.4 s.
    assert!((1_000.0..1_500.0).contains(&max), "{max} ms");
    assert_eq!(failed(&run), 0, "TCP hides a second");
}

#[test]
fn a_longer_way_is_longer_by_what_was_asked_for_and_only_there() {
    let load = "  load:
  - {from: shop/web, url: 'http://api:8080/', rate: 100/s, arrivals: constant}";
    let delay = "  duration: 20s
  events:
  - {at: 1s, delay: {between: [eu/a, eu/b], by: 50ms}}";
    let run = tank_of(MODEL, &format!("{load}\n{delay}")).run(&[]);
    let latency = &run["clients"][0]["latencyMs"];
    let (p50, p99) = (latency["p50"].as_f64(), latency["p99"].as_f64());
    assert!(
        p99.is_some_and(|ms| (105.0..109.0).contains(&ms)),
        "{latency}"
    );
    assert!(p50.is_some_and(|ms| ms < 109.0), "{latency}");
}

#[test]
fn a_rolling_update_loses_nothing_with_a_pre_stop_and_something_without() {
    let events = "  duration: 40s
  events:
  - {at: 5s, rollout: {workload: shop/WHICH}}";
    let run = |which: &str| {
        let load = LOAD.replace("http://api:", &format!("http://{which}:"));
        let events = events.replace("WHICH", which);
        tank_of(MODEL, &format!("{load}\n{events}")).run(&[])
    };
    let gentle = run("api");
    assert_eq!(failed(&gentle), 0, "preStop outlasts the push");
    let pods = program::per_pod(&gentle, "shop/api");
    assert_eq!(pods.len(), 6, "three old ones and three new ones: {pods:?}");
    let hasty = run("hasty");
    assert!(failed(&hasty) > 0, "the endpoints are known too late");
    assert!(failed_between(&hasty, 30.0, 40.0) < 1e-9);
    // And that is told, of the one that loses something.
    let lost = |run: &Value| {
        let findings = run["findings"].as_array().into_iter().flatten();
        let of_rollouts = findings.filter(|f| f["code"] == "TT-ROLLOUT-LOSS");
        of_rollouts.cloned().collect::<Vec<_>>()
    };
    assert_eq!(lost(&gentle), Vec::<Value>::new());
    let found = lost(&hasty);
    assert_eq!(found.len(), 1, "{found:?}");
    let what = found[0]["what"].as_str().expect("a sentence");
    let number: u64 = what
        .split(' ')
        .next()
        .and_then(|n| n.parse().ok())
        .expect("a number");
    assert!(
        number.abs_diff(failed(&hasty)) <= 2,
        "{what}: {}",
        failed(&hasty)
    );
}

#[test]
fn a_pod_that_joins_is_warmed_up_where_that_is_configured() {
    let events = "  duration: 40s
  events:
  - {at: 10s, scale: {workload: shop/WHICH, replicas: 4}}";
    let share = |which: &str| {
        let load = LOAD.replace("http://api:", &format!("http://{which}:"));
        let events = events.replace("WHICH", which);
        let run = tank_of(MODEL, &format!("{load}\n{events}")).run(&[]);
        let pods = program::per_pod(&run, &format!("shop/{which}"));
        assert_eq!(pods.len(), 4, "{pods:?}");
        pods[3] as f64 / (pods[0] as f64)
    };
    let (cold, warmed) = (share("hasty"), share("warmed"));
    // 28 s of 40 s of a quarter, against 12 s of a third and 28 s of a quarter.
    assert!((0.55..0.72).contains(&cold), "{cold}");
    // The window of 20 s begins at a tenth and grows evenly.
    assert!(warmed < 0.85 * cold, "{warmed} against {cold}");
}

#[test]
fn names_that_nothing_has_are_answered_with_the_nearest() {
    let events = "  duration: 10s
  events:
  - {at: 1s, fail: {workload: shop/apy}}
  - {at: 2s, fail: {zone: eu/c}}
  - {at: 3s, fail: {pod: shop/api-9}}
  - {at: 4s, fail: {node: nodea}}
  - {at: 5s, partition: {between: [eu, us]}}
  - {at: 6s, scale: {workload: shop/wep, replicas: 3}}";
    let output = tank_of(MODEL, &format!("{LOAD}\n{events}"));
    let output = program::run(&["run", &output.path()]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    for words in [
        "did you mean `shop/api`?",
        "no pod runs in `eu/c`",
        "known places: eu/a, eu/b",
        "there is no pod `shop/api-9`",
        "no pod runs on a node `nodea`",
        "stands in `us`",
        "did you mean `shop/web`?",
    ] {
        assert!(text.contains(words), "`{words}` is missing:\n{text}");
    }
}

#[test]
fn an_event_that_says_too_much_or_too_little_is_refused_with_its_line() {
    let events = "  duration: 10s
  events:
  - {at: 1s}
  - {at: 1s, fail: {workload: shop/api}, scale: {workload: shop/api, replicas: 1}}
  - {at: 20s, restore: {workload: shop/api}}
  - {at: 1s, slow: {workload: shop/api}}
  - {at: 1s, fail: {workload: shop/api, zone: eu/a}}
  - {at: 1s, rollout: {workload: shop/api}, for: 3s}
  - {at: 1s, fial: {workload: shop/api}}";
    let output = tank_of(MODEL, &format!("{LOAD}\n{events}"));
    let output = program::run(&["run", &output.path()]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    for words in [
        "an event has exactly one of fail, restore",
        "never happens: the scenario takes 10s",
        "`factor` is missing",
        "name the pods by exactly one of",
        "`rollout` has no end of its own",
        "did you mean `fail`?",
    ] {
        assert!(text.contains(words), "`{words}` is missing:\n{text}");
    }
}
