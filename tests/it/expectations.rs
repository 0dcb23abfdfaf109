//! What a scenario expects: the little language, its verdicts, and the exit codes.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::program::{root, run};

/// A scenario on the canary example with these expectations and more lines of `spec`.
fn file(dir: &tempfile::TempDir, expect: &[&str], more: &str) -> PathBuf {
    let example = root().join("examples/03-traffic-splitting");
    let expect = format!("  - {}\n", expect.join("\n  - "));
    let text = format!(
        "apiVersion: towtank/v1alpha1
kind: Scenario
metadata: {{name: expecting}}
spec:
  manifests: [{0}/manifests]
  model: {0}/model.yaml
  duration: 10s
  load:
  - {{name: users, from: production/curl, url: \"http://product-service:8080/version\", rate: 100/s}}
{more}  expect:
{expect}",
        example.display()
    );
    let path = dir.path().join("scenario.yaml");
    fs::write(&path, text).unwrap();
    path
}

/// Exit code, verdicts in order, and standard error.
fn verdicts(expect: &[&str], more: &str) -> (Option<i32>, Vec<String>, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = file(&dir, expect, more);
    let output = run(&["run", path.to_str().unwrap(), "-o", "json"]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let list = json["expectations"].as_array().cloned().unwrap_or_default();
    let words = list
        .iter()
        .map(|e| e["verdict"].as_str().unwrap().to_owned());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), words.collect(), said)
}

#[test]
fn every_form_is_read_and_judged() {
    let expect = [
        "p99(latency, to: product-service) < 1s",
        "p50(latency) > 1ms",
        "max(latency, load: users) < 5s",
        "error_rate < 2%",
        "error_rate(from=production/curl, to=production/product-service-v1) <= 0.02",
        "\"error_rate(load: users, between: 2s..8s) < 5%\"",
        "amplification(to: product-service) <= 1.5",
        "requests_per_second(load: users) > 80/s",
        "utilisation(product-service-v1) < 50%",
        "max(queue, product-service-v1) == 0",
        "p99(queue_time, product-service-v1) < 1ms",
        "share(v1, to: product-service) > 80%",
        "share(product-service-v2) < 20%",
        "no finding TT-RETRY-STORM",
        "stat(curl, product-service/v1, upstream_rq_retry_overflow) == 0",
    ];
    let (code, words, said) = verdicts(&expect, "");
    assert_eq!(words, vec!["pass"; expect.len()], "{said}");
    assert_eq!(code, Some(0));
}

#[test]
fn a_finding_that_is_expected_has_to_be_there() {
    let slow = "  events:
  - {at: 1s, errors: {workload: production/product-service-v1, status: 503, rate: 100%}}
";
    let expect = ["finding TT-RETRY-STORM", "no finding TT-RETRY-STORM"];
    let (code, words, _) = verdicts(&expect, slow);
    assert_eq!(words, ["fail", "pass"], "503 is not retried by default");
    assert_eq!(code, Some(5));
    let dir = tempfile::tempdir().unwrap();
    let path = file(&dir, &expect, slow);
    let old = ["run", path.to_str().unwrap(), "--istio-version", "1.23"];
    let said = String::from_utf8_lossy(&run(&old).stdout).into_owned();
    assert!(said.contains("2 expectations, 1 broken"), "{said}");
    let why = "every request from production/curl to production/product-service-v1 costs";
    let told = said.split("Findings").next().unwrap_or_default();
    assert_eq!(told.matches(why).count(), 1, "it is said once: {told}");
    assert!(
        said.contains("fail       no finding TT-RETRY-STORM"),
        "{said}"
    );
    let (code, _, said) = verdicts(&["finding TT-RETRY-STORN"], "");
    assert_eq!(code, Some(1));
    assert!(said.contains("did you mean `TT-RETRY-STORM`?"), "{said}");
}

#[test]
fn what_is_broken_says_what_was_measured_and_where_it_was_expected() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(
        &dir,
        &[
            "error_rate < 50%",
            "p99(latency, to: product-service) < 1ms",
        ],
        "",
    );
    let output = run(&["run", path.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(5));
    assert!(text.contains("2 expectations, 1 broken"), "{text}");
    let line = text.lines().find(|l| l.contains("fail  ")).expect("a line");
    assert!(
        line.contains("p99(latency, to: product-service) < 1ms"),
        "{line}"
    );
    assert!(line.trim_end().ends_with(" ms"), "{line}");
    assert!(text.contains("scenario.yaml:12"), "{text}");
}

#[test]
fn an_interval_around_the_bound_is_undecided() {
    // Poisson arrivals of 100/s: the mean of five replications stands within its interval.
    let expect = ["requests_per_second > 99.9", "error_rate < 50%"];
    let (code, words, _) = verdicts(&expect, "  replications: 5\n");
    assert_eq!(words, ["undecided", "pass"]);
    assert_eq!(code, Some(6));
    // One run knows no doubt.
    let (_, words, _) = verdicts(&expect, "");
    assert_ne!(words[0], "undecided");
}

#[test]
fn what_nothing_was_counted_for_does_not_pass() {
    let (code, words, _) = verdicts(&["error_rate(between=20s..30s) < 50%"], "");
    assert_eq!(words, ["undecided"]);
    assert_eq!(code, Some(6));
}

#[test]
fn recovery_is_judged_in_every_replication() {
    let events = "  replications: 3
  events:
  - {at: 2s, for: 2s, errors: {workload: production/product-service-v1, status: 500, rate: 60%}}
";
    let expect = [
        "recovers_within: 6s",
        "recovery_time(load=users, error_rate=5%) < 6s",
        "recovery_time(error_rate: 50%) > 100s",
    ];
    let (code, words, said) = verdicts(&expect, events);
    assert_eq!(words.len(), 3, "{said}");
    assert_eq!(words[1..], ["pass", "fail"], "{said}");
    assert_eq!(code, Some(5));
}

#[test]
fn names_that_do_not_exist_are_refused_with_the_line_and_the_nearest() {
    let expect = [
        "p99(latency, to: prodct-service) < 250ms",
        "max(queue, product-servic-v1) == 0",
        "share(v9, to: product-service) > 9%",
        "stat(curl, product-service/v1, upstream_rq_retri) == 0",
        "no finding TT-RETRY-STORN",
    ];
    let (code, words, said) = verdicts(&expect, "");
    assert_eq!((code, words.len()), (Some(1), 0));
    for wanted in [
        "no workload or Service is called `prodct-service`",
        "did you mean `product-service`?",
        "scenario.yaml:11:5",
        "no workload is called `product-servic-v1`",
        "did you mean `product-service-v1`?",
        "has the name `v9`",
        "did you mean `upstream_rq_retry`?",
        "did you mean `TT-RETRY-STORM`?",
        "5 errors",
    ] {
        assert!(said.contains(wanted), "`{wanted}` is missing:\n{said}");
    }
}

#[test]
fn places_in_a_text_are_those_of_its_line_with_quotes_and_without() {
    let expect = [
        "p99(latncy) < 1s",
        "\"p99(latncy) < 1s\"",
        "'p99(latncy) < 1s'",
        "'p99(latncy, load: users) < 1s'",
        "p99(latncy, load: users) < 1s",
    ];
    let (code, _, said) = verdicts(&expect, "");
    assert_eq!(code, Some(1));
    // Items begin at column 5; `latncy` is the fifth character of each text.
    for (line, column) in [(11, 9), (12, 10), (13, 10), (14, 10), (15, 9)] {
        let wanted = format!("scenario.yaml:{line}:{column}\n");
        assert!(said.contains(&wanted), "`{wanted}` is missing:\n{said}");
    }
}

#[test]
fn what_is_no_expectation_is_refused_all_at_once() {
    let expect = [
        "p99(latncy) < 1s",
        "eror_rate < 1%",
        "p99(latency) < 250",
        "p99(latency, load: user) < 1s",
        "error_rate <",
        "recovers_within: 30s",
        "p99(queue, product-service-v1) < 1",
        "error_rate(to=x, load=users) < 1%",
        "utilisation < 1",
        "error_rate = 1%",
        "error_rate < 1% < 2",
        "[1]",
        "42",
    ];
    let (code, _, said) = verdicts(&expect, "");
    assert_eq!(code, Some(1));
    for wanted in [
        "did you mean `latency`?",
        "did you mean `error_rate`?",
        "the unit is missing",
        "the scenario has no load `user`",
        "a bound is missing after `<`",
        "nothing to recover from",
        "has a `mean` and a `max`",
        "`load` is all that a load sees",
        "`utilisation` needs a workload",
        "write `==`",
        "one too many",
        "expected an expectation, found a list",
        "expected an expectation, found a number",
        "13 errors",
    ] {
        assert!(said.contains(wanted), "`{wanted}` is missing:\n{said}");
    }
}

#[test]
fn every_code_of_a_finding_can_be_expected_not_to_be_found() {
    let mut sources = String::new();
    for file in fs::read_dir(root().join("src/verdict")).unwrap() {
        sources.push_str(&fs::read_to_string(file.unwrap().path()).unwrap());
    }
    let quoted = sources.split('"').filter(|text| text.starts_with("TT-"));
    let mut codes: Vec<&str> = quoted.collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes, towtank::verdict::CODES);
}
