//! `towtank test`: expectations, routes and snapshots of scenarios, judged, recorded and reviewed.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::program::{root, run, text};

/// A copy of the canary in a folder of its own.
fn canary() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    for file in [
        "scenario.yaml",
        "model.yaml",
        "manifests/shop.yaml",
        "manifests/canary.yaml",
    ] {
        let to = dir.path().join("mesh").join(file);
        fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
        fs::copy(root().join("examples/16-canary-slow").join(file), to).expect("a copy");
    }
    dir
}

fn towtank(dir: &Path, args: &[&str], answers: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_towtank"));
    command.current_dir(dir).args(args);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    // A program that does not ask closes its end.
    let _ = stdin.write_all(answers.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

/// Standard output of a run that has to end with this code.
fn ends(dir: &Path, args: &[&str], code: i32) -> String {
    reviewed(dir, args, "", code).0
}

fn reviewed(dir: &Path, args: &[&str], answers: &str, code: i32) -> (String, String) {
    let output = towtank(dir, args, answers);
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{args:?}\n{out}{said}");
    (out, said)
}

fn edit(dir: &Path, file: &str, from: &str, to: &str) {
    let path = dir.join("mesh").join(file);
    let text = fs::read_to_string(&path).expect("readable");
    assert!(text.contains(from), "{file} has `{from}`");
    fs::write(path, text.replace(from, to)).expect("writable");
}

fn to_20_percent(dir: &Path) {
    edit(dir, "manifests/canary.yaml", "weight: 90", "weight: 80");
    edit(dir, "manifests/canary.yaml", "weight: 10", "weight: 20");
}

fn snapshot(dir: &Path, name: &str) -> Option<String> {
    fs::read_to_string(dir.join("mesh").join(name)).ok()
}

#[test]
fn the_first_run_records_and_later_ones_compare() {
    let dir = canary();
    let dir = dir.path();
    let out = ends(dir, &["test", "mesh", "--ci"], 5);
    assert!(out.contains("no snapshot"), "{out}");
    assert_eq!(
        snapshot(dir, "scenario.snap.new"),
        None,
        "--ci writes nothing"
    );

    let out = ends(dir, &["test"], 0);
    assert!(out.starts_with("NEW   mesh: 2 expectations"), "{out}");
    assert!(snapshot(dir, "scenario.snap.new").is_some());
    ends(dir, &["test", "--accept"], 0);
    assert!(snapshot(dir, "scenario.snap").is_some());
    assert_eq!(snapshot(dir, "scenario.snap.new"), None);
    let out = ends(dir, &["test", "--ci"], 0);
    assert!(
        out.starts_with("PASS  mesh: 2 expectations, snapshot"),
        "{out}"
    );

    to_20_percent(dir);
    let out = ends(dir, &["test"], 5);
    assert!(
        out.contains("snapshot differs") && out.contains("~ requests: 19.8/s -> 39.5/s"),
        "{out}"
    );
    assert!(snapshot(dir, "scenario.snap.new").is_some());
    ends(dir, &["test", "--reject"], 0);
    assert_eq!(snapshot(dir, "scenario.snap.new"), None);

    // What was undone waits no longer.
    ends(dir, &["test"], 5);
    edit(dir, "manifests/canary.yaml", "weight: 80", "weight: 90");
    edit(dir, "manifests/canary.yaml", "weight: 20", "weight: 10");
    ends(dir, &["test"], 0);
    assert_eq!(snapshot(dir, "scenario.snap.new"), None);
}

#[test]
fn a_review_shows_each_change_and_takes_answers_from_a_pipe() {
    let dir = canary();
    let dir = dir.path();
    let (out, said) = reviewed(dir, &["test", "--review"], "x\na\n", 0);
    assert!(said.contains("1 of 1, new: mesh (canary-slow)"), "{said}");
    assert!(
        said.contains("[load shoppers]") && said.contains("one of a, r, s, q"),
        "{said}"
    );
    assert!(out.contains("snapshot accepted"), "{out}");

    to_20_percent(dir);
    let before = snapshot(dir, "scenario.snap");
    let (_, said) = reviewed(dir, &["test", "--review"], "", 5);
    assert!(said.contains("~ p50: 28.3 ms -> 29.9 ms"), "{said}");
    assert!(
        snapshot(dir, "scenario.snap.new").is_some(),
        "no answer is no decision"
    );
    reviewed(dir, &["test", "--review"], "r\n", 5);
    assert_eq!(snapshot(dir, "scenario.snap.new"), None);
    assert_eq!(snapshot(dir, "scenario.snap"), before);
    reviewed(dir, &["test", "--review"], "a\n", 0);
    assert_ne!(snapshot(dir, "scenario.snap"), before);
    let (_, said) = reviewed(dir, &["test", "--review"], "", 0);
    assert!(said.contains("nothing waits"), "{said}");
}

#[test]
fn snapshots_do_not_depend_on_the_number_of_threads() {
    let of = |threads: &str| {
        let dir = canary();
        edit(
            dir.path(),
            "scenario.yaml",
            "  duration: 60s\n",
            "  duration: 20s\n  replications: 4\n",
        );
        ends(dir.path(), &["test", "--accept", "--threads", threads], 0);
        snapshot(dir.path(), "scenario.snap")
    };
    assert_eq!(of("1"), of("3"));
}

/// Tests a scenario with these routes against the mesh of the stories: rewrites, redirects, answers.
fn routes(lines: &str, code: i32) -> String {
    let dir = tempfile::tempdir().expect("a folder");
    fs::copy(
        root().join("tests/it/fixtures/explain/mesh.yaml"),
        dir.path().join("mesh.yaml"),
    )
    .expect("a copy");
    let scenario = format!(
        "apiVersion: towtank/v1alpha1\nkind: Scenario\nmetadata: {{name: x}}\nspec:\n  manifests: [mesh.yaml]\n  duration: 1s\n  load: [{{from: shop/web, url: 'http://web/', rate: 1/s}}]\n  routes:\n{lines}"
    );
    fs::write(dir.path().join("scenario.yaml"), scenario).expect("writable");
    let args = ["test", "scenario.yaml", "--no-snapshot"];
    let out = ends(dir.path(), &args, code);
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn redirects_answers_and_missing_routes_are_routes_as_well() {
    let out = routes(
        "  - {url: 'http://web/old/1', status: 308, redirect: 'http://www.example.com/new'}\n  - {url: 'http://web/robots.txt', status: 418}\n",
        0,
    );
    assert!(out.contains("PASS") && out.contains("2 routes"), "{out}");
    let out = routes(
        "  - {url: 'http://web/old/1', to: web}\n  - {from: shop/wbe, url: 'http://web/', to: web}\n",
        5,
    );
    assert!(
        out.contains("it is redirected (308) to `http://www.example.com/new`"),
        "{out}"
    );
    assert!(out.contains("no workload is called `shop/wbe`"), "{out}");
    let out = routes("  - {url: 'http://web/'}\n", 1);
    assert!(out.contains("asks for nothing"), "{out}");
    let out = routes("  - {url: 'http://web/', to: {v1: 60%, v2: 60%}}\n", 1);
    assert!(out.contains("more than 100 % together"), "{out}");
}

/// The canary with a route that goes elsewhere and an expectation that breaks.
fn broken() -> tempfile::TempDir {
    let dir = canary();
    edit(dir.path(), "scenario.yaml", "< 250ms", "< 25ms");
    let path = dir.path().join("mesh/scenario.yaml");
    let mut text = fs::read_to_string(&path).expect("readable");
    text.push_str("  routes:\n  - {name: all to v1, url: \"http://checkout:8080/pay\", to: v1}\n");
    fs::write(path, text).expect("writable");
    dir
}

#[test]
fn what_does_not_hold_is_told_with_its_line_in_every_format() {
    let dir = broken();
    let dir = dir.path();
    let args = |format| ["test", "--no-snapshot", "-o", format];
    let out = ends(dir, &args("text"), 5);
    insta::with_settings!({snapshot_path => "../../snapshots/test", prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!("broken-text", out);
        insta::assert_snapshot!("broken-github", ends(dir, &args("github"), 5));
        insta::assert_snapshot!("broken-junit", ends(dir, &args("junit"), 5));
    });
    let sarif: Value = serde_json::from_str(&ends(dir, &args("sarif"), 5)).expect("JSON");
    let results = sarif["runs"][0]["results"].as_array().expect("results");
    let told: Vec<(&str, &str, u64)> = (results.iter())
        .map(|result| {
            let place = &result["locations"][0]["physicalLocation"];
            let file = place["artifactLocation"]["uri"]
                .as_str()
                .unwrap_or_default();
            (
                result["ruleId"].as_str().unwrap_or_default(),
                file,
                place["region"]["startLine"].as_u64().unwrap_or(0),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("TT-ROUTE", "mesh/scenario.yaml", 21),
            ("TT-EXPECT", "mesh/scenario.yaml", 18)
        ]
    );
}

#[test]
fn a_scenario_that_cannot_be_read_does_not_keep_the_others_from_being_judged() {
    let dir = canary();
    let dir = dir.path();
    let bad =
        "apiVersion: towtank/v1alpha1\nkind: Scenario\nmetadata: {name: bad}\nspec: {lod: []}\n";
    fs::write(dir.join("mesh/bad.yaml"), bad).expect("writable");
    let out = ends(dir, &["test", "--no-snapshot"], 1);
    assert!(out.contains("PASS  mesh: 2 expectations"), "{out}");
    assert!(
        out.contains("ERR   mesh/bad.yaml") && out.contains("did you mean `load`?"),
        "{out}"
    );
    assert!(!out.contains('\u{1b}'), "{out}");
    let nothing = towtank(dir, &["test", "mesh/manifests"], "");
    let said = String::from_utf8_lossy(&nothing.stderr);
    assert!(
        said.contains("no Scenario is in `mesh/manifests`"),
        "{said}"
    );
}

#[test]
fn only_scenarios_whose_files_changed_are_run() {
    let dir = canary();
    let dir = dir.path();
    let git = |args: &[&str]| {
        let output = Command::new("git")
            .current_dir(dir)
            .args(args)
            .output()
            .expect("git");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    git(&["init", "--quiet"]);
    git(&["add", "-A"]);
    git(&[
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@example.test",
        "commit",
        "--quiet",
        "-m",
        "x",
    ]);
    let args = ["test", "--no-snapshot", "--changed-only"];
    let out = ends(dir, &args, 0);
    assert!(out.contains("SKIP  mesh: not changed"), "{out}");
    fs::write(dir.join("mesh/README.md"), "words").expect("writable");
    assert!(
        ends(dir, &args, 0).contains("SKIP"),
        "words change no result"
    );
    to_20_percent(dir);
    assert!(ends(dir, &args, 0).contains("PASS  mesh"));
    git(&["add", "-A"]);
    git(&[
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@example.test",
        "commit",
        "--quiet",
        "-m",
        "y",
    ]);
    assert!(ends(dir, &args, 0).contains("SKIP"));
    assert!(ends(dir, &["test", "--no-snapshot", "--changed-only=HEAD~1"], 0).contains("PASS"));
}

/// Folders of `examples/` that have a scenario, and the text of it.
fn examples() -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = fs::read_dir(root().join("examples"))
        .expect("the folder is there")
        .filter_map(|entry| {
            let folder = entry.expect("it is readable").path();
            let scenario = fs::read_to_string(folder.join("scenario.yaml")).ok()?;
            let name = folder.file_name()?.to_string_lossy().into_owned();
            Some((name, scenario))
        })
        .collect();
    found.sort();
    found
}

/// One without a snapshot fails: `--ci` records none.
#[test]
fn our_own_examples_keep_their_snapshots() {
    let out = text(&["test", "examples", "--ci"]);
    let lines: Vec<&str> = out.lines().filter(|l| l.contains("examples/")).collect();
    let examples = examples();
    assert!(examples.len() >= 38, "{}", examples.len());
    assert_eq!(lines.len(), examples.len(), "{out}");
    for (line, (name, _)) in lines.iter().zip(&examples) {
        let begins = format!("PASS  examples/{name}: ");
        assert!(
            line.starts_with(&begins) && line.ends_with(", snapshot"),
            "{line}"
        );
    }
}

#[test]
fn every_example_says_what_it_expects() {
    for (name, scenario) in examples() {
        let says = |key: &str| scenario.lines().any(|line| line.trim_end() == key);
        assert!(says("  expect:") || says("  routes:"), "{name}");
    }
}

#[test]
fn a_finding_of_any_replication_breaks_no_finding() {
    // Of eight runs at 70 % load some collapse into a storm; the first one does not.
    let example = root().join("examples/12-one-run-lies/scenario.yaml");
    let scenario = fs::read_to_string(example).expect("readable");
    assert!(scenario.contains("replications"), "it has several runs");
    let expected = "Scenario:spec.expect=[no finding TT-RETRY-STORM]";
    let output = run(&[
        "run",
        "examples/12-one-run-lies",
        "--set",
        expected,
        "-o",
        "json",
    ]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let judged = &report["expectations"][0];
    assert_eq!(judged["verdict"], "fail", "{judged:#}");
    let why = judged["why"].as_str().unwrap_or_default();
    assert_eq!(why, "in 3 of 8 replications");
}

#[test]
fn an_expectation_with_colons_says_that_it_needs_quotes_and_points_at_the_word() {
    let dir = canary();
    let dir = dir.path();
    edit(
        dir,
        "scenario.yaml",
        "\"p99(latency, to: checkout) < 250ms\"",
        "p99(latency, from: web, to: checkout) < 1s",
    );
    let said = reviewed(dir, &["run", "mesh"], "", 1).1;
    assert!(said.contains("has to be in quotes"), "{said}");
    edit(
        dir,
        "scenario.yaml",
        "p99(latency, from: web, to: checkout) < 1s",
        "\"p99(latency, frm: web) < 1s\"",
    );
    let said = reviewed(dir, &["run", "mesh"], "", 1).1;
    assert!(
        said.contains("scenario.yaml:18:19") && said.contains("did you mean `from`?"),
        "{said}"
    );
}

#[test]
fn the_action_and_the_hooks_call_commands_that_exist() {
    let action =
        fs::read_to_string(root().join(".github/actions/towtank/action.yml")).expect("there");
    let action: Value = serde_yaml::from_str(&action).expect("it is YAML");
    assert_eq!(action["runs"]["using"], "composite");
    let steps = action["runs"]["steps"].as_array().expect("steps");
    let inputs = action["inputs"].as_object().expect("inputs");
    let mut scripts = String::new();
    for step in steps {
        assert_eq!(step["shell"], "bash", "a composite step names its shell");
        let script = step["run"].as_str().expect("a script");
        let parsed = Command::new("bash")
            .args(["-n", "-c", script])
            .status()
            .expect("bash");
        assert!(parsed.success(), "{script}");
        for value in step["env"]
            .as_object()
            .into_iter()
            .flat_map(|env| env.values())
        {
            let name = value
                .as_str()
                .unwrap_or_default()
                .trim_start_matches("${{ inputs.")
                .trim_end_matches(" }}");
            assert!(inputs.contains_key(name), "no input {name}");
        }
        scripts.push_str(script);
    }
    let hooks = fs::read_to_string(root().join(".pre-commit-hooks.yaml")).expect("there");
    let hooks: Value = serde_yaml::from_str(&hooks).expect("it is YAML");
    for hook in hooks.as_array().expect("hooks") {
        scripts.push('\n');
        scripts.push_str(hook["entry"].as_str().expect("an entry"));
    }
    let help = text(&["test", "--help"]) + &text(&["diff", "--help"]);
    for word in scripts.split([' ', '\n', '"', '=', ':', '}']) {
        if word.starts_with("--") && !["--locked", "--path"].contains(&word) {
            assert!(help.contains(word), "no flag {word}");
        }
    }
}
