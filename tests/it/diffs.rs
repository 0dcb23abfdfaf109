//! `towtank diff`: what changes in tables, behaviour and judgement, and what is only noise.

use serde_json::Value;

use crate::program::{self, json, run, text};

const CANARY: &str = "examples/16-canary-slow";
const TO_30: [&str; 4] = [
    "--set-after",
    "vs/checkout:http[0].route[1].weight=30",
    "--set-after",
    "vs/checkout:http[0].route[0].weight=70",
];

fn canary(more: &[&str]) -> Vec<String> {
    let all = ["diff", CANARY].into_iter().chain(TO_30);
    all.chain(more.iter().copied()).map(str::to_owned).collect()
}

/// The row of a load, or of calls to a workload.
fn row<'a>(diff: &'a Value, name: &str) -> &'a Value {
    let rows = diff["behaviour"]["rows"].as_array().expect("rows");
    let found = rows
        .iter()
        .find(|row| row["load"] == name || row["to"] == name);
    found.unwrap_or_else(|| panic!("no row of {name}: {diff:#}"))
}

fn figure<'a>(diff: &'a Value, of: &str, name: &str) -> &'a Value {
    let figures = row(diff, of)["figures"].as_array().expect("figures");
    figures
        .iter()
        .find(|f| f["name"] == name)
        .expect("the figure is there")
}

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn a_canary_that_is_slow_only_at_30_percent_is_found_with_its_lines() {
    let diff = json(&canary(&[]));
    let entries = diff["tables"]["entries"].as_array().expect("entries");
    assert_eq!(entries.len(), 1, "{entries:#?}");
    let fields = entries[0]["fields"].as_array().expect("fields");
    let told: Vec<String> = (fields.iter())
        .map(|f| {
            format!(
                "{} → {}",
                f["before"].as_str().unwrap(),
                f["after"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(told, ["90 → 70", "10 → 30"]);
    assert_eq!(entries[0]["proxies"].as_array().map(Vec::len), Some(3));

    let p99 = figure(&diff, "shoppers", "p99");
    assert_eq!(p99["seen"], "difference");
    assert!(number(&p99["difference"]["low"]) > 100.0, "{p99}");
    assert_eq!(figure(&diff, "shoppers", "error_rate")["seen"], "equal");
    let slow = figure(&diff, "shop/checkout-v2", "p50");
    assert!(
        number(&slow["after"]) > 3.0 * number(&slow["before"]),
        "{slow}"
    );
    let kept = figure(&diff, "shop/checkout-v1", "p99");
    assert_eq!(kept["seen"], "noise", "the old version is as it was");
    assert!(
        number(&kept["visible"]) < 10.0,
        "and 10 ms would have been seen"
    );

    let behaviour = &diff["behaviour"];
    assert_eq!(behaviour["newFindings"][0]["code"], "TT-NO-HEADROOM");
    let broken = &behaviour["expectations"][0];
    assert_eq!(
        (
            broken["before"]["verdict"].as_str(),
            broken["after"]["verdict"].as_str()
        ),
        (Some("pass"), Some("fail"))
    );
}

#[test]
fn two_pods_of_the_canary_carry_30_percent() {
    let diff = json(&canary(&["--set", "deploy/checkout-v2:spec.replicas=2"]));
    assert_eq!(diff["behaviour"]["newFindings"], Value::Array(Vec::new()));
    assert_eq!(diff["behaviour"]["expectations"][0]["differs"], false);
}

/// The error rate of one edge goes from 10 % to 11 %.
fn one_percent(duration: &str) -> Value {
    let rate = "Model:spec.workloads.production/product-service-v1.errors[0].rate";
    let (was, is) = (format!("{rate}=10%"), format!("{rate}=11%"));
    json(&[
        "diff",
        "examples/03-traffic-splitting",
        "--set",
        &was,
        "--set-after",
        &is,
        "--set",
        "Scenario:spec.warmUp=0s",
        "--duration",
        duration,
        "--replications",
        "40",
    ])
}

#[test]
fn one_percent_more_errors_on_one_edge_is_seen_with_a_fraction_of_the_requests() {
    let diff = one_percent("1s");
    let edge = figure(&diff, "production/product-service-v1", "error_rate");
    let (low, high) = (
        number(&edge["difference"]["low"]),
        number(&edge["difference"]["high"]),
    );
    let (mean, half) = (f64::midpoint(low, high), (high - low) / 2.0);
    // Independent runs: variances of 10 % and 11 % add up (0.188 per request); paired, only what
    // lies between them is left (0.0099). So about 19 times as many requests would be needed.
    let reduction = number(&edge["varianceReduction"]);
    println!("1 % shift: {mean:.4} ± {half:.4}, variance reduction {reduction:.1}");
    assert!((12.0..30.0).contains(&reduction), "{reduction}");
    assert_eq!(edge["seen"], "difference");
    assert!(low > 0.0 && (mean - 0.01).abs() < 0.004, "{mean} ± {half}");
    let unpaired = half * reduction.sqrt();
    assert!(
        unpaired > mean,
        "independent runs of this size see nothing: ± {unpaired}"
    );
    // The luck of what the change does not reach is the same, to the last request.
    let other = row(&diff, "production/product-service-v2")["figures"]
        .as_array()
        .expect("figures");
    assert!(
        other.iter().all(|figure| figure["seen"] == "equal"),
        "{other:#?}"
    );
}

#[test]
fn nothing_is_called_nothing_and_the_exit_code_says_so() {
    let same = run(&["diff", CANARY, CANARY, "--exit-code"]);
    let said = String::from_utf8_lossy(&same.stdout).into_owned();
    assert_eq!(same.status.code(), Some(0), "{said}");
    assert!(said.contains("the same to the last event"), "{said}");
    let other = run(&canary(&["--exit-code", "--plan-only"]));
    assert_eq!(other.status.code(), Some(7));
}

#[test]
fn noise_is_called_noise_with_what_would_have_been_seen() {
    let to_11 = [
        "diff",
        CANARY,
        "--set-after",
        "vs/checkout:http[0].route[1].weight=11",
        "--set-after",
        "vs/checkout:http[0].route[0].weight=89",
        "--duration",
        "20s",
    ];
    let said = text(&to_11);
    assert!(
        said.contains("`shoppers`: no difference seen in p50 (one of"),
        "{said}"
    );
    assert!(said.contains("would have been)"), "{said}");
    let p50 = &json(&to_11);
    let p50 = figure(p50, "shoppers", "p50");
    assert!(number(&p50["visible"]) > number(&p50["difference"]["mean"]).abs());
}

/// Errors go from a third to nothing, in 10 pairs or in 2: too few to tell, and no "no difference".
#[test]
fn a_wide_interval_is_not_called_no_difference() {
    let budget = |pairs: &str| {
        let percent = "dr/worker:spec.trafficPolicy.retryBudget.percent=20";
        let flags = ["--set-after", percent, "--replications", pairs];
        let said = text(&[&["diff", "examples/38-retry-budget"], &flags[..]].concat());
        said.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let ten = budget("10");
    let sentence = "`client`: seems to differ, though luck among so many figures is not ruled out with 10 pairs: errors 32.5 % → 0.3 % (-62.8 to -1.64 points), p50";
    assert!(ten.contains(sentence), "{ten}");
    let two = budget("2");
    let sentence = "`client`: cannot be told from luck with 2 pairs: errors";
    assert!(two.contains(sentence), "{two}");
    assert!(
        two.contains("(-100 to +100 points)"),
        "a share is no more: {two}"
    );
    for said in [ten, two] {
        assert!(said.contains("; more --replications would tell."), "{said}");
        assert!(!said.contains("no difference seen"), "{said}");
        assert!(!said.contains("shows no difference"), "{said}");
    }
}

#[test]
fn help_says_how_many_pairs_are_run() {
    let help = text(&["diff", "--help"]).replace('\n', " ");
    let words: Vec<&str> = help.split_whitespace().collect();
    let help = words.join(" ");
    assert!(help.contains("[default: the scenario's, at least 10]"));
    assert!(!help.contains("[default: 1]"));
}

#[test]
fn the_report_does_not_depend_on_the_number_of_threads() {
    let one = text(&canary(&["--threads", "1", "--duration", "10s"]));
    let two = text(&canary(&["--threads", "2", "--duration", "10s"]));
    assert_eq!(one, two);
}

#[test]
fn a_comment_on_a_pull_request() {
    let comment = text(&canary(&["-o", "markdown"]));
    insta::with_settings!({snapshot_path => "../../snapshots/diff", prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!("canary-markdown", comment);
    });
}

#[test]
fn workloads_subsets_and_endpoints_that_come_and_go_are_listed() {
    let said = text(&canary(&[
        "--plan-only",
        "--set-after",
        "dr/checkout:subsets[v2].name=v3",
        "--set-after",
        "deploy/checkout-v1:spec.replicas=5",
    ]));
    insta::with_settings!({snapshot_path => "../../snapshots/diff", prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!("canary-plan", said);
    });
}

#[test]
fn a_comparison_without_two_sides_says_what_to_name() {
    let said = program::fails(&["diff", CANARY], 2);
    assert!(
        said.contains("BEFORE and AFTER") && said.contains("--set-after"),
        "{said}"
    );
    let said = program::fails(&["diff", "nothing-here.yaml", CANARY], 1);
    assert!(
        said.contains("nothing-here.yaml") && said.contains("check the path"),
        "{said}"
    );
}
