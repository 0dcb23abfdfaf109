//! Retries, timeouts, limits and budgets: questions 1, 2, 7, 8, 17 and 19.

use serde_json::Value;

use super::{
    NOTHING_EXPECTED, answer, asked, asked_with, chain, contains, failed, finding, is_share, tries,
    what, with,
};
use crate::program::{json, stat};

#[test]
fn question_1_default_retries_and_whether_they_amplify() {
    answer(1);
    let run = asked(1);
    // Half of the answers are 503: 1 + 1/2 + 1/4 tries, an eighth is left.
    let seen = tries(&run, "shop/orders", "shop/stock");
    assert!((1.68..1.82).contains(&seen), "{seen}");
    let storm = finding(&run, "TT-RETRY-STORM").expect("it amplifies");
    contains(
        storm["cause"].as_str().expect("a cause"),
        &[
            "Istio's default policy, which nobody wrote: 2 retries",
            "connect-failure, refused-stream, unavailable, cancelled, retriable-status-codes (503)",
            "5 new picks",
            "attempts: 0",
            "defaultHttpRetryPolicy",
        ],
    );
    // The opt-out that the answer names.
    let mesh = "examples/23-default-retries";
    let now = json(&["run", mesh]);
    assert!((tries(&now, "shop/orders", "shop/stock") - 1.0).abs() < 1e-9);
    is_share(failed(&now, 0), 0.5, 4_000.0, 5.0);
    assert!(finding(&now, "TT-RETRY-STORM").is_none());
}

#[test]
fn question_2_a_fault_of_half_is_an_eighth_behind_two_retries() {
    answer(2);
    let run = asked(2);
    let requests = run["clients"][0]["requests"].as_f64().expect("a count");
    is_share(failed(&run, 0), 0.125, requests, 5.0);
    let seen = tries(&run, "books/front", "books/page");
    assert!((1.69..1.81).contains(&seen), "1 + 1/2 + 1/4, not {seen}");
    contains(
        what(&run, "TT-FAULT-RETRIED"),
        &[
            "of the calls of books/page to ratings:8080 are aborted",
            "books/front → books/page is retried",
        ],
    );
    contains(
        &chain(&run, "TT-FAULT-RETRIED"),
        &[
            "2 retries (",
            "the 3 retries beside the fault",
            "never see one",
        ],
    );
    let single = asked_with(2, &with("vs/page:spec.http[0].retries={attempts: 0}"));
    is_share(failed(&single, 0), 0.5, requests, 5.0);
    contains(
        what(&single, "TT-FAULT-RETRIED"),
        &["none of them is tried again"],
    );
}

#[test]
fn question_7_which_limit_refuses_and_whether_it_protects() {
    let run = asked(7);
    let refused = stat(&run, "search", "upstream_rq_pending_overflow");
    let searches = run["clients"][0]["requests"].as_f64().expect("a count");
    assert!((0.15..0.35).contains(&(refused as f64 / searches)));
    assert_eq!(stat(&run, "search", "upstream_rq_active_overflow"), 0);
    assert!(stat(&run, "reports", "upstream_rq_active_overflow") > 1_000);
    let text = answer(7);
    contains(
        &text,
        &[
            "`maxConnections` refuses nobody, it makes requests wait",
            "the limit protects nobody",
            "the limit keeps their queue short",
            "because of `http1MaxPendingRequests`",
        ],
    );
    // Without limits: 500/s for 320/s of capacity fill the queues, and searches all succeed.
    let set = [
        "--set",
        "dr/search:spec.trafficPolicy=null",
        "--set",
        "dr/reports:spec.trafficPolicy=null",
    ];
    let open = asked_with(7, &[&set[..], &NOTHING_EXPECTED[..]].concat());
    assert!(failed(&open, 0) < 0.001 && finding(&open, "TT-BREAKER-OPEN").is_none());
    let p99 = |run: &Value| {
        run["clients"][1]["latencyMs"]["p99"]
            .as_f64()
            .expect("a length")
    };
    assert!(p99(&open) > 8.0 * p99(&run), "{} {}", p99(&open), p99(&run));
}

#[test]
fn question_8_a_limit_belongs_to_each_client_proxy() {
    answer(8);
    let run = asked(8);
    contains(
        &chain(&run, "TT-BREAKER-OPEN"),
        &[
            "`maxConnections` is 20 in each client proxy: the 4 pods of shop/web have 80 together, towards all pods of the service",
        ],
    );
    let most = |run: &Value| {
        let workloads = run["workloads"].as_array().expect("workloads");
        let database = workloads.iter().find(|w| w["name"] == "shop/database");
        database.expect("it is there")["queueMax"].as_u64()
    };
    // Twenty are worked on: 4 × 20 − 20 wait at the worst moment.
    assert_eq!(most(&run), Some(60));
    let two = asked_with(8, &with("deploy/web:spec.replicas=2"));
    assert_eq!(most(&two), Some(20), "2 × 20 − 20");
}

#[test]
fn question_17_one_request_on_the_time_line() {
    let text = answer(17);
    contains(
        &text,
        &[
            "was answered 504 (UT) after 5 s, 3 tries",
            "└ try 3",
            "longer than perTryTimeout 2s",
            "longer than the route's timeout 5s",
        ],
    );
    assert!(!text.contains("try 4"));
    let run = json(&["run", "examples/36-timeouts-and-tries"]);
    let max = run["clients"][0]["latencyMs"]["max"]
        .as_f64()
        .expect("a length");
    assert!((4_999.0..5_010.0).contains(&max), "{max}");
}

#[test]
fn question_19_a_budget_ends_a_storm_that_luck_begins() {
    let text = answer(19);
    contains(
        &text,
        &[
            "Gone: TT-COLLAPSE: `client` collapses and stays down in",
            "Gone: TT-RETRY-STORM",
            "circuit_breakers.retry_budget: none → {budget_percent: 20%, min_retry_concurrency: 3}",
        ],
    );
    let (_, rest) = text.split_once("stays down in ").expect("the count");
    let collapses: u32 = rest
        .split(' ')
        .next()
        .and_then(|n| n.parse().ok())
        .expect("a number");
    assert!(
        (1..10).contains(&collapses),
        "some runs of ten look perfect: {collapses}"
    );
}
