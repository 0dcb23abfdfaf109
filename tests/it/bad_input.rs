//! Whatever is wrong with input, flags or output is said with place and way out, all at once,
//! with the documented exit code, and nothing is left half written.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// One Service, two pods.
const WEB: &str = "\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}}
";

/// A minute of load on it.
const SCENARIO: &str = "\
apiVersion: towtank/v1alpha1
kind: Scenario
metadata: {name: minute}
spec:
  manifests: [web.yaml]
  duration: 60s
  load: [{name: people, from: shop/web, url: 'http://web/', rate: 10/s}]
";

/// A folder with `web.yaml`, `scenario.yaml` and these files.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let own = [
        ("web.yaml", WEB.as_bytes()),
        ("scenario.yaml", SCENARIO.as_bytes()),
    ];
    for (name, text) in own.iter().chain(files) {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_towtank"));
    command.current_dir(dir).args(args);
    command
}

fn run(dir: &Path, args: &[&str]) -> Output {
    command(dir, args).output().expect("the program starts")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The program refuses: with that code, saying each of these, and printing no data.
#[track_caller]
fn refused(dir: &Path, args: &[&str], code: i32, parts: &[&str]) {
    let output = run(dir, args);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(code), "{args:?}\n{said}");
    for part in parts {
        assert!(
            said.contains(part),
            "{args:?} does not say `{part}`:\n{said}"
        );
    }
    assert!(
        output.stdout.is_empty(),
        "{args:?} prints data all the same"
    );
}

fn curl(dir: &Path, files: &[&str]) -> Output {
    let mut args = vec!["curl", "http://web/"];
    for file in files {
        args.extend(["-f", file]);
    }
    run(dir, &args)
}

/// `a9` would be ten thousand million values.
fn bomb() -> String {
    let mut text =
        "apiVersion: v1\nkind: Service\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..10 {
        let ten = vec![format!("*a{}", i - 1); 10].join(", ");
        text.push_str(&format!("a{i}: &a{i} [{ten}]\n"));
    }
    text
}

#[test]
fn everything_unreadable_is_named_at_once_with_file_and_line() {
    let bomb = bomb();
    let deep = format!("a: {}", "[".repeat(100_000));
    let files: &[(&str, &[u8])] = &[
        ("bracket.yaml", b"a: [1, 2\nb: }\n"),
        ("cycle.yaml", b"kind: Service\nmetadata: &m {labels: *m}\n"),
        ("bomb.yaml", bomb.as_bytes()),
        (
            "twice.yaml",
            b"apiVersion: v1\nkind: Namespace\nmetadata: {name: a, name: b}\n",
        ),
        ("deep.yaml", deep.as_bytes()),
        ("latin.yaml", b"# caf\xe9\n"),
        ("tab.yaml", b"kind: Service\nmetadata:\n\tname: x\n"),
        (
            "helm.yaml",
            b"kind: Service\nmetadata: {name: {{ .Values.name }}}\n",
        ),
        ("text.yaml", b"hello\n"),
        (
            "typo.yaml",
            b"apiVersion: towtank/v1alpha1\nkind: Modle\nmetadata: {name: m}\n",
        ),
    ];
    let dir = folder(files);
    let mut args = vec!["curl", "http://web/", "-f", "missing.yaml"];
    for (name, _) in files {
        args.extend(["-f", name]);
    }
    let places = [
        "missing.yaml",
        "bracket.yaml:2:2",
        "cycle.yaml:2:",
        "bomb.yaml:8:",
        "the key `name` is given twice",
        "twice.yaml:3:",
        "deep.yaml:1:",
        "latin.yaml:1",
        "indent with spaces",
        "tab.yaml:3:",
        "render it with `helm template`",
        "helm.yaml:2:",
        "text.yaml:1:1",
        "its kinds are `Model` and `Scenario`",
        "11 errors",
    ];
    refused(dir.path(), &args, 1, &places);
}

#[test]
fn odd_but_honest_text_is_read() {
    let crlf = WEB.replace('\n', "\r\n");
    let dir = folder(&[
        ("bom.yaml", format!("\u{feff}{WEB}").as_bytes()),
        ("crlf.yaml", crlf.as_bytes()),
        ("comment.yaml", b"# nothing here\n---\n---\n"),
        ("empty.yaml", b""),
    ]);
    for file in ["bom.yaml", "crlf.yaml"] {
        let output = curl(dir.path(), &[file, "comment.yaml", "empty.yaml"]);
        assert!(output.status.success(), "{file}: {}", said(&output));
    }
    let args = [
        "curl",
        "-f",
        "empty.yaml",
        "-f",
        "comment.yaml",
        "http://web/",
    ];
    refused(dir.path(), &args, 1, &["empty.yaml", "there is no mesh"]);
}

#[test]
fn standard_input_is_a_file_like_any_other() {
    let dir = folder(&[]);
    let feed = |text: &str| {
        let mut child = command(dir.path(), &["curl", "-f", "-", "http://web/"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(text.as_bytes()).unwrap();
        drop(input);
        child.wait_with_output().unwrap()
    };
    assert!(feed(WEB).status.success());
    let output = feed("a: [\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("--> -:"), "{}", said(&output));
}

#[test]
fn mistakes_of_a_scenario_and_its_files_come_together() {
    let dir = folder(&[(
        "s.yaml",
        b"apiVersion: towtank/v1alpha1
kind: Scenario
metadata: {name: s}
spec:
  manifests: [web.yaml, gone/]
  model: gone.yaml
  duration: -5s
  warmup: 1s
  load: [{from: shop/web, url: 'http://web/', rate: 1/s, mix: [{weight: 0}]}]
",
    )]);
    let parts = [
        "gone/",
        "gone.yaml",
        "`s.yaml` names it",
        "s.yaml:7:13",
        "it is negative",
        "did you mean `warmUp`?",
        "add up to zero",
        "5 errors",
    ];
    refused(dir.path(), &["run", "s.yaml"], 1, &parts);
}

#[test]
fn mistakes_that_only_the_mesh_shows_come_together() {
    let dir = folder(&[(
        "model.yaml",
        b"apiVersion: towtank/v1alpha1
kind: Model
metadata: {name: m}
spec:
  workloads:
    shop/web: {calls: ['http://web/again']}
    shop/wep: {concurrency: 1}
",
    )]);
    let parts = [
        "calls go round in a circle: shop/web",
        "model.yaml:6:",
        "did you mean `shop/web`?",
        "model.yaml:7:",
        "2 errors",
    ];
    refused(
        dir.path(),
        &["run", "scenario.yaml", "-f", "model.yaml"],
        1,
        &parts,
    );
}

#[test]
fn what_cannot_finish_is_not_begun() {
    let many = WEB.replace("replicas: 2", "replicas: 2000000000");
    let model = b"apiVersion: towtank/v1\nkind: Model\nmetadata: {name: m}\nspec: {}\n";
    let dir = folder(&[("many.yaml", many.as_bytes()), ("v1.yaml", model)]);
    let load = ["load", "-f", "web.yaml", "http://web/"];
    let to = ["run", "-f", "web.yaml", "--to", "http://web/"];
    let curl = ["curl", "-f", "web.yaml", "http://web/"];
    let cases: &[(&[&str], &[&str], i32, &str)] = &[
        (
            &["curl", "-f", "many.yaml", "http://web/"],
            &[],
            1,
            "2000000000 pods",
        ),
        (
            &curl,
            &["-f", "v1.yaml"],
            1,
            "write `apiVersion: towtank/v1alpha1`",
        ),
        (&curl, &["--repeat", "1000000000000"], 2, "1..=1000000"),
        (&curl, &["--repeat", "0"], 2, "1..=1000000"),
        (&curl, &["-n", ""], 2, "write for example `production`"),
        (&curl, &["-X", "G T"], 2, "not an HTTP method"),
        (&curl, &["-H", "no colon"], 2, "the colon is missing"),
        (&curl, &["--seed", "-1"], 2, "a whole number"),
        (&curl, &["--from", "outside:a//b"], 2, "not a locality"),
        (&load, &["-c", "1000000000"], 2, "1..=1000000"),
        (&load, &["-c", "0"], 2, "1..=1000000"),
        (&load, &["--qps", "1e12"], 2, "thousand million"),
        (&load, &["--qps", "NaN"], 2, "zero or more"),
        (&load, &["-n", "1000000000000"], 2, "1..=2000000000"),
        (&load, &["-t", "0s"], 2, "simulates nothing"),
        (&to, &["--rate", "0"], 2, "sends nothing"),
        (&to, &["--rate", "-1/s"], 2, "zero or more"),
        (&to, &["--rate", "inf"], 2, "zero or more"),
        (
            &to,
            &["--rate", "1e6", "--duration", "1000h"],
            2,
            "does not finish",
        ),
        (&to, &["--duration", "-5s"], 2, "negative"),
        (&to, &["--duration", "1000000000h"], 2, "longer than"),
        (&to, &["--duration", "5"], 2, "the unit is missing"),
        (
            &to,
            &["--duration", "5s", "--warm-up", "5s"],
            2,
            "nothing would be counted",
        ),
        (&to, &["--replications", "1000000"], 2, "1..=10000"),
    ];
    for (command, more, code, part) in cases {
        let args: Vec<&str> = command.iter().chain(*more).copied().collect();
        refused(dir.path(), &args, *code, &[part]);
    }
}

#[test]
fn a_slip_of_the_pen_gets_the_right_word() {
    let dir = folder(&[]);
    let cases: &[(&[&str], &str)] = &[
        (&["rum"], "'run'"),
        (
            &["curl", "-f", "web.yaml", "--repaet", "3", "http://web/"],
            "--repeat",
        ),
        (
            &["curl", "-f", "web.yaml", "--from", "wep", "http://web/"],
            "did you mean `shop/web`",
        ),
        (
            &["curl", "-f", "web.yaml", "htp://web/"],
            "http, https or grpc",
        ),
        (
            &["curl", "-f", "web.yaml", "http://web:70000/"],
            "between 1 and 65535",
        ),
        (
            &["proxy-config", "cluster", "-f", "web.yaml", "wep"],
            "did you mean `shop/web`",
        ),
        (
            &["proxy-config", "clutser", "-f", "web.yaml", "web"],
            "clusters",
        ),
        (&["run", "-f", "web.yaml"], "--to URL"),
        (&["run", "web.yaml"], "towtank schema scenario"),
        (&["curl", "http://web/"], "name manifests with -f"),
    ];
    for (args, part) in cases {
        refused(dir.path(), args, 2, &[part]);
    }
    let wrong_host = run(dir.path(), &["curl", "-f", "web.yaml", "http://wep/"]);
    let text = String::from_utf8_lossy(&wrong_host.stdout).into_owned();
    assert!(text.contains("did") && text.contains("`web`?"), "{text}");
}

#[test]
fn output_is_written_whole_or_not_at_all() {
    let dir = folder(&[("taken", b"mine")]);
    let args = ["run", "scenario.yaml", "--out-dir", "taken"];
    refused(dir.path(), &args, 2, &["`taken` is a file"]);
    assert_eq!(fs::read(dir.path().join("taken")).unwrap(), b"mine");

    let output = run(
        dir.path(),
        &["run", "scenario.yaml", "--out-dir", "new/results"],
    );
    assert!(output.status.success(), "{}", said(&output));
    let written = fs::read_dir(dir.path().join("new/results")).unwrap();
    let mut names: Vec<_> = written.map(|f| f.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names.len(), 10, "{names:?}");
    let beside = fs::read_dir(dir.path().join("new")).unwrap().count();
    assert_eq!(beside, 1, "nothing is left aside");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_exit_code_4_and_a_reader_that_leaves_is_none() {
    let dir = folder(&[]);
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = command(dir.path(), &["run", "scenario.yaml"])
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    assert!(said(&output).contains("cannot write to standard output"));

    let mut child = command(dir.path(), &["run", "scenario.yaml"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));

    let nowhere = run(
        dir.path(),
        &["run", "scenario.yaml", "--out-dir", "/proc/results"],
    );
    assert_eq!(nowhere.status.code(), Some(4), "{}", said(&nowhere));
    assert!(
        !nowhere.stdout.is_empty(),
        "the report is printed all the same"
    );
}

/// A run that would take hours, interrupted; `wait` grows until the run had begun.
#[cfg(unix)]
fn interrupted(signal: &str) -> Output {
    let dir = folder(&[]);
    for wait in [300, 1_000, 4_000, 20_000] {
        let args = [
            "run",
            "-f",
            "web.yaml",
            "--to",
            "http://web/",
            "--rate",
            "1000",
            "--duration",
            "500h",
            "-o",
            "json",
        ];
        let child = command(dir.path(), &args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(wait));
        let id = child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(sent.success());
        let output = child.wait_with_output().unwrap();
        // Before the run begins the signal simply ends the program.
        if output.status.code().is_some() {
            return output;
        }
    }
    panic!("the run never began");
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_reports_what_was_simulated() {
    for signal in ["-INT", "-TERM"] {
        let output = interrupted(signal);
        assert_eq!(output.status.code(), Some(130), "{}", said(&output));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["ended"], "interrupted", "{signal}");
        assert!(
            report["clients"][0]["requests"].as_u64() > Some(0),
            "{signal}"
        );
    }
}
