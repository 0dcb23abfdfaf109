//! `analyze`: each rule with a manifest that breaks it and one that does not, and the recipe. More of
//! Istio's rules are in `analyze_istio`, Istio's own inputs in `analyze_cases`.

use std::fs;

use serde_json::Value;

use crate::program;
use crate::shared::shared;

/// Two versions of a service behind a gateway, as it should be. `=KEY=` marks what tests replace.
const GOOD: &str = include_str!("analyze/good.yaml");

/// Findings of a text: JSON of each.
pub(crate) fn findings(text: &str, more: &[&str]) -> Vec<Value> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mesh.yaml");
    fs::write(&file, text).expect("written");
    let path = file.display().to_string();
    let arguments = [&["analyze", "-f", &path, "--fail-on", "never"], more].concat();
    let report = program::json(&arguments);
    report["findings"].as_array().expect("findings").clone()
}

/// Findings of a text: (code, line).
pub(crate) fn found(text: &str) -> Vec<(String, u64)> {
    let all = findings(text, &[]).into_iter();
    all.map(|f| {
        let code = f["code"].as_str().expect("a code").to_owned();
        (code, f["line"].as_u64().unwrap_or(0))
    })
    .collect()
}

/// The good mesh with one text in place of another, and what is found at the changed line.
fn broken(from: &str, to: &str) -> Vec<(String, u64)> {
    assert_eq!(GOOD.matches(from).count(), 1, "{from}");
    found(&GOOD.replace(from, to))
}

fn codes(found: &[(String, u64)]) -> Vec<&str> {
    found.iter().map(|(code, _)| code.as_str()).collect()
}

#[test]
fn a_mesh_that_is_well_gives_nothing() {
    assert_eq!(found(GOOD), Vec::new());
    for folder in [
        "models/w1",
        "models/shop",
        "examples/11-retry-storm",
        "examples/14-zone-outage",
    ] {
        let manifests = format!("{folder}/manifests");
        let all = program::json(&["analyze", "-f", &manifests]);
        assert_eq!(all["findings"], Value::Array(Vec::new()), "{folder}");
    }
}

/// What is changed, into what, and what is found then.
const BROKEN: &[(&str, &str, &[&str])] = &[
    (
        "host: web, subset: v1",
        "host: wbe, subset: v1",
        &["IST0101"],
    ),
    (
        "host: web, subset: v1",
        "host: web, subset: v3",
        &["IST0101"],
    ),
    (
        "host: web, subset: v1",
        "host: web, port: {number: 81}, subset: v1",
        &["IST0101"],
    ),
    (
        "gateways: [door, mesh]",
        "gateways: [doors, mesh]",
        &["IST0101", "IST0132"],
    ),
    (
        "selector: {istio: gateway}",
        "selector: {istio: gateways}",
        &["IST0101"],
    ),
    (
        "host: two-ports, port: {number: 90}",
        "host: two-ports",
        &["IST0112"],
    ),
    (
        "{name: http-web, port: 80",
        "{name: web, port: 80",
        &["IST0118"],
    ),
    (
        "matchLabels: {app: web}}, rules",
        "matchLabels: {app: wbe}}, rules",
        &["IST0127"],
    ),
    (
        "hosts: [shop.example.com]",
        "hosts: [stop.example.com]",
        &["IST0132"],
    ),
    (
        "labels: {version: v2}}",
        "labels: {version: v3}}",
        &["IST0173"],
    ),
    (
        "spec: {host: two-ports,",
        "spec: {host: two-port,",
        &["IST0174"],
    ),
    (
        "baseEjectionTime: 30s}",
        "baseEjectionTime: 30s, consecutiveErrors: 5}",
        &["IST0133"],
    ),
    (
        "timeout: 2s # all",
        "timeout: 500ms # all",
        &["TT-TRIES-DO-NOT-FIT"],
    ),
    (
        "# no fault",
        "  fault: {abort: {httpStatus: 500, percentage: {value: 10}}}",
        &["TT-FAULT-LEFT"],
    ),
    (
        "timeout: 3s # outside",
        "# none",
        &["TT-NO-TIMEOUT-OUTSIDE"],
    ),
    (
        "outlierDetection: {maxEjectionPercent: 100, interval: 5s}",
        "# none",
        &["IST0133", "TT-FAILOVER-NEVER"],
    ),
    (
        "name: far-rule, namespace: shop",
        "name: far-rule, namespace: elsewhere",
        &["TT-RULE-ELSEWHERE"],
    ),
];

#[test]
fn each_rule_finds_the_line_that_breaks_it() {
    let line_of = |text: &str, part: &str| {
        let at = text.lines().position(|line| line.contains(part));
        at.expect("it is there") as u64 + 1
    };
    let mut wrong = Vec::new();
    for (from, to, expected) in BROKEN {
        let found = broken(from, to);
        if codes(&found) != *expected {
            wrong.push(format!("{to}: {found:?} instead of {expected:?}"));
            continue;
        }
        let text = GOOD.replace(from, to);
        // Some rules speak of the object, others of the field; both are no further than this.
        let line = line_of(&text, to.lines().next().expect("a line").trim());
        for (code, at) in &found {
            assert!(
                line.abs_diff(*at) <= 12,
                "{code} at {at}, changed at {line}"
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn two_of_a_kind_are_told_of_each_other() {
    let twice = |kind: &str, spec: &str| {
        let object = |name: &str| {
            format!(
                "---\napiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: shop}}\nspec: {spec}\n"
            )
        };
        found(&format!("{GOOD}{}{}", object("one"), object("two")))
    };
    let hosts = twice(
        "VirtualService",
        "{hosts: [two-ports], http: [{route: [{destination: {host: two-ports, port: {number: 90}}}]}]}",
    );
    assert_eq!(codes(&hosts), ["IST0109", "IST0109"]);
    let sidecars = twice("Sidecar", "{egress: [{hosts: ['./*']}]}");
    assert_eq!(codes(&sidecars), ["IST0111", "IST0111"]);
    let selected = twice(
        "Sidecar",
        "{workloadSelector: {labels: {app: web}}, egress: [{hosts: ['./*']}]}",
    );
    assert_eq!(codes(&selected), ["IST0110", "IST0110"]);
    let gateways = twice(
        "Gateway",
        "{selector: {istio: gateway}, servers: [{port: {number: 8443, name: http, protocol: HTTP}, hosts: [a.example.com]}]}",
    );
    assert_eq!(codes(&gateways), ["IST0145", "IST0145"]);
}

#[test]
fn findings_are_silenced_by_annotation_and_by_flag() {
    let faulty = GOOD.replace(
        "# no fault",
        "  fault: {abort: {httpStatus: 500, percentage: {value: 10}}}",
    );
    let annotated = faulty.replace(
        "metadata: {name: web, namespace: shop} # routes",
        "metadata: {name: web, namespace: shop, annotations: {galley.istio.io/analyze-suppress: TT-FAULT-LEFT}}",
    );
    assert_ne!(annotated, faulty);
    assert_eq!(found(&annotated), Vec::new());
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mesh.yaml");
    fs::write(&file, &faulty).expect("written");
    let path = file.display().to_string();
    let run = |more: &[&str]| {
        let arguments = [&["analyze", "-f", path.as_str()], more].concat();
        program::run(&arguments).status.code()
    };
    assert_eq!(run(&[]), Some(0), "a warning is no error");
    assert_eq!(run(&["--fail-on", "warning"]), Some(8));
    assert_eq!(
        run(&["--fail-on", "warning", "--suppress", "TT-FAULT-LEFT"]),
        Some(0)
    );
    assert_eq!(
        run(&[
            "--fail-on",
            "info",
            "--suppress",
            "TT-FAULT-LEFT=VirtualService shop/web"
        ]),
        Some(0)
    );
    assert_eq!(
        run(&[
            "--fail-on",
            "info",
            "--suppress",
            "TT-FAULT-LEFT=VirtualService shop/other"
        ]),
        Some(8)
    );
    assert_eq!(run(&["--suppress", "IST9999"]), Some(2));
}

#[test]
fn codes_are_explained_and_every_format_names_them() {
    let text = program::text(&["analyze", "--explain", "ist0173"]);
    assert!(
        text.starts_with("IST0173 (error): a subset selects no pod\n"),
        "{text}"
    );
    let all = program::text(&["analyze", "--explain"]);
    assert!(all.lines().count() >= 20, "{all}");
    let near = program::fails(&["analyze", "--explain", "IST0172"], 2);
    assert!(near.contains("did you mean IST0"), "{near}");
    let faults = [
        "analyze",
        "-f",
        "examples/06-fault-injection/manifests",
        "-o",
    ];
    let with = |format: &str| program::text(&[&faults[..], &[format]].concat());
    let github = with("github");
    assert!(
        github.starts_with("::warning file=examples/06-fault-injection/manifests/"),
        "{github}"
    );
    assert!(with("junit").contains("TT-FAULT-LEFT at examples/06-fault-injection/manifests/"));
    let sarif: Value = serde_json::from_str(&with("sarif")).expect("JSON");
    assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "TT-FAULT-LEFT");
    assert!(sarif["runs"][0]["tool"]["driver"]["rules"][0]["help"]["text"].is_string());
}

#[test]
fn what_cannot_be_read_is_said_and_ends_with_its_own_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mesh.yaml");
    fs::write(&file, "kind: [\n").expect("written");
    let output = program::run(&["analyze", "-f", &file.display().to_string()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("TT-YAML-SYNTAX"));
}

#[test]
fn the_recipe_is_told_what_is_wrong_in_it_with_the_line() {
    let Some(folder) = shared("recipe") else {
        return;
    };
    let path = folder.display().to_string();
    let report = program::json(&["analyze", "-f", &path, "--fail-on", "never"]);
    let has = |file: &str, code: &str, line: u64| {
        let all = report["findings"].as_array().into_iter().flatten();
        all.filter(|f| f["code"] == code && f["line"] == line)
            .any(|f| f["file"].as_str().is_some_and(|name| name.ends_with(file)))
    };
    let told = [
        // The step on load balancing: refused, and if it were not, it would never fail over.
        ("10-load-balancing.yaml", "IST0106", 24),
        ("10-load-balancing.yaml", "TT-FAILOVER-NEVER", 24),
        // `consecutiveErrors` does nothing; the breaker is Istio's default of five.
        ("07-circuit-breaking.yaml", "IST0133", 18),
        // Faults that a copy of the file leaves in.
        ("06-fault-injection.yaml", "TT-FAULT-LEFT", 14),
        ("06-fault-injection.yaml", "TT-FAULT-LEFT", 26),
        // A route to a Service that the recipe never deploys.
        ("08-timeouts-retries.yaml", "IST0101", 30),
    ];
    for (file, code, line) in told {
        assert!(has(file, code, line), "{file}:{line} {code}: {report:#}");
    }
}
