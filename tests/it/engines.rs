//! `examples/engines/`: what other programs start is what `towtank sweep` and `merge` take.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use serde::Deserialize;
use serde_json::Value;

use crate::program::{self, root};

const FOLDER: &str = "examples/engines";

/// The Job in a file with several documents.
fn job(file: &str) -> Value {
    let text = fs::read_to_string(root().join(FOLDER).join(file)).expect("the file is there");
    let documents = serde_yaml::Deserializer::from_str(&text);
    let documents = documents.map(|d| Value::deserialize(d).expect("YAML of JSON values"));
    let mut jobs = documents.filter(|d| d["kind"] == "Job");
    jobs.next().expect("a Job")
}

fn container(job: &Value) -> &Value {
    &job["spec"]["template"]["spec"]["containers"][0]
}

/// Runs a container's command as the kubelet would: with its volumes in `volumes` and `bin` first
/// on the path.
fn start(job: &Value, index: u64, volumes: &Path, bin: &Path) -> Output {
    let container = container(job);
    let mut words: Vec<String> = ["command", "args"]
        .iter()
        .flat_map(|part| container[part].as_array().expect("a list"))
        .map(|word| word.as_str().expect("a text").to_owned())
        .collect();
    for mount in container["volumeMounts"].as_array().expect("mounts") {
        let path = mount["mountPath"].as_str().expect("a path");
        let here = volumes.join(path.trim_start_matches('/'));
        let here = here.to_str().expect("UTF-8");
        let used = words.iter().any(|word| word.contains(path));
        assert!(used, "{path} is mounted and not used: {words:?}");
        for word in &mut words {
            *word = word.replace(path, here);
        }
    }
    let path = std::env::var("PATH").expect("a path");
    Command::new(&words[0])
        .args(&words[1..])
        .env("PATH", format!("{}:{path}", bin.display()))
        .env("JOB_COMPLETION_INDEX", index.to_string())
        .output()
        .expect("a shell")
}

/// Lays files out as a kubelet does it for a ConfigMap: links through `..data`.
fn config_map(to: &Path, files: &[&str]) {
    fs::create_dir_all(to.join("..2026_01_01")).expect("made");
    symlink("..2026_01_01", to.join("..data")).expect("linked");
    for file in files {
        let from = root().join("examples/07-circuit-breaking").join(file);
        let name = from.file_name().expect("a name");
        fs::copy(&from, to.join("..2026_01_01").join(name)).expect("copied");
        symlink(Path::new("..data").join(name), to.join(name)).expect("linked");
    }
}

fn well(output: &Output) -> &Output {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
    output
}

#[test]
fn each_index_is_one_shard_and_every_flag_is_one_of_sweep() {
    let dir = tempfile::tempdir().expect("a folder");
    let stub = dir.path().join("towtank");
    fs::write(&stub, "#!/bin/sh\nprintf '%s\\n' \"$@\"\n").expect("written");
    let chmod = Command::new("chmod").arg("700").arg(&stub).status();
    assert!(chmod.expect("it runs").success());
    let job = job("indexed-job.yaml");
    let spec = &job["spec"];
    assert_eq!(spec["completionMode"], "Indexed");
    let shards = spec["completions"].as_u64().expect("a number");
    assert!(spec["parallelism"].as_u64().expect("a number") <= shards);
    // Kubernetes refuses both without it.
    assert!(spec["backoffLimitPerIndex"].is_u64() && spec["podFailurePolicy"].is_object());
    assert_eq!(spec["template"]["spec"]["restartPolicy"], "Never");
    let rule = &spec["podFailurePolicy"]["rules"][0]["onExitCodes"];
    assert_eq!(rule["containerName"], container(&job)["name"]);
    let help = program::text(&["sweep", "--help"]);
    let mut outs = Vec::new();
    for index in 0..shards {
        let output = start(&job, index, dir.path(), dir.path());
        let said = String::from_utf8(well(&output).stdout.clone()).expect("UTF-8");
        let words: Vec<&str> = said.lines().collect();
        assert_eq!(words[0], "sweep");
        let after = |flag: &str| {
            let at = words.iter().position(|word| *word == flag);
            words[at.unwrap_or_else(|| panic!("no {flag}: {words:?}")) + 1].to_owned()
        };
        assert_eq!(after("--shard"), format!("{}/{shards}", index + 1));
        outs.push(after("--out"));
        for flag in words.iter().filter(|word| word.starts_with('-')) {
            let known = help
                .lines()
                .any(|line| line.split([' ', ',']).any(|word| word == *flag));
            assert!(known, "`towtank sweep --help` does not know {flag}");
        }
    }
    outs.sort();
    outs.dedup();
    assert_eq!(outs.len() as u64, shards, "a file for each shard: {outs:?}");
}

#[test]
fn the_jobs_make_the_bytes_of_one_process() {
    let dir = tempfile::tempdir().expect("a folder");
    let bin = dir.path().join("bin");
    fs::create_dir_all(&bin).expect("made");
    symlink(env!("CARGO_BIN_EXE_towtank"), bin.join("towtank")).expect("linked");
    let inputs = dir.path().join("inputs");
    let files = [
        "manifests/breaker.yaml",
        "manifests/workloads.yaml",
        "model.yaml",
        "scenario.yaml",
    ];
    config_map(&inputs, &files);
    fs::create_dir(dir.path().join("results")).expect("made");
    let sweep = job("indexed-job.yaml");
    let shards = sweep["spec"]["completions"].as_u64().expect("a number");
    for index in (0..shards).rev() {
        well(&start(&sweep, index, dir.path(), &bin));
    }
    let merged = start(&job("merge-job.yaml"), 0, dir.path(), &bin);
    let merged = String::from_utf8(well(&merged).stdout.clone()).expect("UTF-8");
    // The same arguments, without a shard.
    let mut whole = sweep;
    let args = &mut whole["spec"]["template"]["spec"]["containers"][0]["args"][0];
    let text = args.as_str().expect("a text");
    let (before, _) = text.split_once("--shard").expect("a shard");
    *args = format!("{before} --out /results/whole.csv").into();
    well(&start(&whole, 0, dir.path(), &bin));
    let whole = fs::read_to_string(dir.path().join("results/whole.csv")).expect("written");
    assert_eq!(whole.lines().count(), 121, "4 × 3 points, 10 replications");
    assert!(merged == whole, "merged:\n{merged}\nwhole:\n{whole}");
}

#[test]
fn the_ray_script_sets_flags_that_sweep_has() {
    let script = fs::read_to_string(root().join(FOLDER).join("ray_sweep.py")).expect("readable");
    let ours = script.lines().find_map(|line| line.strip_prefix("OURS = "));
    let ours = ours.expect("OURS").trim_matches(['(', ')']);
    let help = program::text(&["sweep", "--help"]);
    for flag in ours.split(", ").map(|flag| flag.trim_matches('"')) {
        let known = help.contains(&format!("{flag} <"));
        assert!(known && flag.starts_with("--"), "{flag}");
    }
}
