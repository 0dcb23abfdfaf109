//! Places, balancing and hashing: questions 9, 10 and 14 to 16.

use serde_json::Value;

use super::{answer, asked, asked_with, chain, contains, failed, finding, is_share, what, with};

/// Share of requests that failed in the windows between two moments.
fn failed_between(run: &Value, from: f64, until: f64) -> f64 {
    let points = run["series"]["points"].as_array().expect("points");
    let inside = points.iter().filter(|p| {
        let at = p["atSeconds"].as_f64().unwrap_or(0.0);
        at >= from && at < until
    });
    let (mut all, mut errors) = (0, 0);
    for point in inside {
        all += point["requests"].as_u64().unwrap_or(0);
        errors += point["errors"].as_u64().unwrap_or(0);
    }
    errors as f64 / all.max(1) as f64
}

/// Percentages before a word in the sentences of what happened.
fn percents(run: &Value, before: &str) -> Vec<f64> {
    let all = run["happenings"].as_array().expect("happenings").iter();
    let sentences = all.filter_map(|h| h["what"].as_str());
    let cut = sentences.filter_map(|s| s.split(before).next().filter(|head| head.len() < s.len()));
    cut.filter_map(|head| head.split_whitespace().last()?.parse().ok())
        .collect()
}

#[test]
fn question_9_failover_needs_outlier_detection() {
    answer(9);
    let run = asked(9);
    contains(
        what(&run, "TT-FAILOVER-NEVER"),
        &["none fails over", "outlierDetection is absent"],
    );
    contains(
        &chain(&run, "TT-FAILOVER-NEVER"),
        &["a client in eu/b has priority 0: eu/a (3 pods), eu/b (3 pods)"],
    );
    let detection = "dr/catalog:spec.trafficPolicy.outlierDetection={consecutive5xxErrors: 3, interval: 1s, baseEjectionTime: 30s, maxEjectionPercent: 100}";
    let cured = asked_with(9, &with(detection));
    assert!(finding(&cured, "TT-FAILOVER-NEVER").is_none());
    assert!(failed(&cured, 0) < 0.5 * failed(&run, 0));
}

#[test]
fn question_10_distribute_leaves_nobody_to_fail_over_to() {
    answer(10);
    let run = asked(10);
    contains(
        what(&run, "TT-FAILOVER-NEVER"),
        &["`distribute` leaves out the other places"],
    );
    contains(
        &chain(&run, "TT-FAILOVER-NEVER"),
        &["priority 0: us-central1/a (3 pods) with weight 100"],
    );
    assert!(failed_between(&run, 0.0, 10.0) == 0.0 && failed_between(&run, 16.0, 24.0) > 0.999);
    let shares = "dr/frontend:spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[0].to={\"us-central1/*\": 99, \"europe-west1/*\": 1}";
    let open = asked_with(10, &with(shares));
    assert!(
        failed_between(&open, 16.5, 24.0) < 0.001,
        "the healthy place has all of it"
    );
    assert!(finding(&open, "TT-FAILOVER-NEVER").is_none());
}

#[test]
fn question_14_the_priority_makes_the_load_uneven() {
    answer(14);
    let run = asked(14);
    contains(
        what(&run, "TT-IMBALANCE"),
        &[
            "times the mean of the 6 pods of shop/api",
            "the priority decides, before any balancing",
        ],
    );
    contains(
        &chain(&run, "TT-IMBALANCE"),
        &[
            "even would be 16.7 %",
            "eu/a: 2 of 6 pods",
            "eu/b: 4 of 6 pods",
            "of the requests (95 %)",
        ],
    );
    // Three of four clients are in zone a: 3/4 of the requests for two pods.
    let endpoints = run["endpoints"].as_array().expect("endpoints");
    let of = |zone: &str| -> u64 {
        let there = endpoints
            .iter()
            .filter(|e| e["locality"] == zone && e["workload"] == "shop/api");
        there.filter_map(|e| e["requests"].as_u64()).sum()
    };
    let (a, b) = (of("eu/a") as f64, of("eu/b") as f64);
    is_share(a / (a + b), 0.75, a + b, 5.0);
    let off = "dr/api:spec.trafficPolicy.loadBalancer.localityLbSetting={enabled: false}";
    let even = asked_with(14, &with(off));
    assert!(finding(&even, "TT-IMBALANCE").is_none());
}

#[test]
fn question_15_a_cold_pod_and_the_slow_start_it_needs() {
    answer(15);
    let run = asked(15);
    contains(
        what(&run, "TT-COLD-PODS"),
        &["is slow after prices-3 joined: p99 up to"],
    );
    let cold = finding(&run, "TT-COLD-PODS").expect("it is cold");
    contains(
        cold["cause"].as_str().expect("a cause"),
        &["no `warmup` in examples/34-cold-pod"],
    );
    // The pod is cold for ten seconds; half way through the ramp it has half of its share.
    let cure = cold["counterfactual"].as_str().expect("it was simulated");
    assert!(
        cure.starts_with("simulated with `warmup: {duration: 20s}`"),
        "{cure}"
    );
    let warm = "dr/prices:spec.trafficPolicy.loadBalancer.warmup={duration: 20s}";
    let slow_start = asked_with(15, &with(warm));
    assert!(finding(&slow_start, "TT-COLD-PODS").is_none());
    let joined = |run: &Value| -> u64 {
        let endpoints = run["endpoints"].as_array().expect("endpoints");
        let pod = endpoints
            .iter()
            .find(|e| e["pod"] == "prices-3")
            .expect("it is there");
        pod["requests"].as_u64().expect("a count")
    };
    // The ramp's integral is half of 20 s, at 100 requests a second.
    let less = joined(&run) - joined(&slow_start);
    assert!((600..1_000).contains(&less), "{less}");
}

#[test]
fn question_16_how_many_keys_move() {
    answer(16);
    let ring = asked(16);
    let moved = percents(&ring, " % of the keys");
    assert_eq!(moved.len(), 2, "one pod more, one pod less");
    // The other table is told beside it: a fifth of its keys move.
    let beside = percents(&ring, " % and ");
    assert_eq!(beside.len(), 2, "{beside:?}");
    assert!(
        beside.iter().all(|m| (18.4..21.6).contains(m)),
        "{beside:?}"
    );
    // Of 1,024 points each of four hosts gives a fifth up and the fifth gets as many. A key moves
    // when its next point in the union is new, or was given up and the one after it is another's:
    // 205/1229 + 204/1229 × (1 − 4/5 × 1/4) = 0.30.
    assert!(moved.iter().all(|m| (25.0..35.0).contains(m)), "{moved:?}");
    let fair = percents(&ring, " % would do");
    assert_eq!(fair, [20.0, 20.0]);
    let maglev = asked_with(
        16,
        &with(
            "dr/sessions:spec.trafficPolicy.loadBalancer.consistentHash={httpHeaderName: x-session, maglev: {tableSize: 65537}}",
        ),
    );
    // A fifth, and under a thousandth beyond it; 10,000 keys are asked.
    let moved = percents(&maglev, " % of the keys");
    assert!(moved.iter().all(|m| (18.4..21.6).contains(m)), "{moved:?}");
}
