//! Outlier detection: questions 3 to 6.

use serde_json::Value;

use super::{
    answer, asked, asked_with, chain, contains, ejections, failed, finding, flagged, is_share,
    seconds, what, with,
};
use crate::program::stat;

#[test]
fn question_3_all_are_ejected_and_panic_uses_them_all() {
    answer(3);
    let run = asked(3);
    let picks = stat(&run, "backend", "lb_healthy_panic");
    assert!(picks > 900 && stat(&run, "backend", "upstream_cx_none_healthy") == 0);
    contains(
        what(&run, "TT-EJECTION-COLLAPSE"),
        &["into panic", "picks go to all hosts, ejected ones too"],
    );
    let help = |run: &Value| {
        let found = finding(run, "TT-EJECTION-COLLAPSE").expect("it is found");
        found["help"].as_str().expect("an advice").to_owned()
    };
    contains(&help(&run), &["`minHealthPercent` is 50% here"]);
    contains(&help(&asked(5)), &["or `minHealthPercent` above zero"]);
    let out: Vec<u64> = ejections(&run)
        .iter()
        .filter_map(|e| e["out"].as_u64())
        .collect();
    assert_eq!(out, [1, 2, 3], "of three hosts");
    assert!(
        ejections(&run)
            .iter()
            .all(|e| e["hosts"] == 3 && seconds(e, "atSeconds") < Some(1.0))
    );
}

#[test]
fn question_4_how_many_hosts_may_be_ejected() {
    answer(4);
    let run = asked(4);
    contains(
        what(&run, "TT-EJECTION-REFUSED"),
        &["may eject 1 of 5 hosts: 30 % of 5 is 1.5"],
    );
    contains(
        &chain(&run, "TT-EJECTION-REFUSED"),
        &["Envoy 1.28 (Istio 1.20)", "always_eject_one_host"],
    );
    let refused = ejections(&run)
        .iter()
        .filter(|e| e["lastsSeconds"].is_null());
    assert!(refused.count() >= 1);
    assert!(ejections(&run).iter().all(|e| e["out"].as_u64() <= Some(1)));
    // One of the four hosts that each proxy goes on with fails.
    let requests = run["clients"][0]["requests"].as_f64().expect("a count");
    is_share(failed(&run, 0), 0.25, requests, 6.0);
    let limit = |percent: u32| {
        format!("dr/backend:spec.trafficPolicy.outlierDetection.maxEjectionPercent={percent}")
    };
    let none = asked_with(4, &with(&limit(10)));
    contains(
        what(&none, "TT-EJECTION-REFUSED"),
        &["may eject 0 of 5 hosts"],
    );
    contains(
        &chain(&none, "TT-EJECTION-REFUSED"),
        &["Envoy 1.28 (Istio 1.20)", "always_eject_one_host"],
    );
    let both = asked_with(4, &with(&limit(40)));
    assert!(failed(&both, 0) < 0.02 && finding(&both, "TT-EJECTION-REFUSED").is_none());
}

#[test]
fn question_5_nobody_left_is_uh_and_the_merge_window_costs_a_second() {
    answer(5);
    let run = asked(5);
    contains(
        what(&run, "TT-EJECTION-COLLAPSE"),
        &["no host of", "are answered 503 UH"],
    );
    let all = run["clients"][0]["requests"].as_u64().expect("a count");
    let uh = flagged(&run, "UH");
    assert_eq!(stat(&run, "backend", "lb_healthy_panic"), 0);
    // 50 requests a second, and one second until the second and third ejection are in force.
    assert!((30..90).contains(&(all - uh)), "{uh} of {all}");
}

#[test]
fn question_6_every_proxy_counts_every_host_by_itself() {
    answer(6);
    let run = asked(6);
    contains(
        &chain(&run, "TT-EJECTION-COLLAPSE"),
        &["2 proxies × 3 hosts × 5 in a row = 30 failures"],
    );
    let all = ejections(&run);
    let first_round = &all[..6];
    let failures: Vec<u64> = first_round
        .iter()
        .filter_map(|e| e["failures"].as_u64())
        .collect();
    assert!(
        failures[0] > 20,
        "round robin: nobody has five before the others have four"
    );
    assert!((30..=36).contains(&failures[5]), "{failures:?}");
    // The n-th ejection of a host by a proxy lasts n times as long, and until a sweep.
    for host in ["hello-0", "hello-1", "hello-2"] {
        let of = |e: &&Value| e["pod"] == host && e["proxy"] == "web-0";
        let own: Vec<&Value> = all.iter().filter(of).collect();
        for (n, ejection) in (1..).zip(&own).take(3) {
            let lasts = seconds(ejection, "lastsSeconds").expect("it was enforced");
            assert!((lasts - 5.0 * f64::from(n)).abs() < 1e-9, "{host}: {lasts}");
            let at = seconds(ejection, "atSeconds").expect("a time");
            if let Some(back) = seconds(ejection, "backAtSeconds") {
                assert!(
                    back - at >= lasts && back - at < lasts + 2.001,
                    "{at} {back}"
                );
            }
        }
    }
}
