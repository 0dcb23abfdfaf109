//! Runs the built program and reads its JSON contract.

use std::fmt::Debug;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs the program in the repository.
pub(crate) fn run<S: AsRef<str> + Debug>(args: &[S]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_towtank"));
    command
        .current_dir(root())
        .args(args.iter().map(AsRef::as_ref));
    command.output().expect("the program starts")
}

/// Standard output of a run that has to succeed.
pub(crate) fn text<S: AsRef<str> + Debug>(args: &[S]) -> String {
    let output = run(args);
    assert!(
        output.status.success(),
        "{args:?} ended with {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("output is UTF-8")
}

/// The same, as JSON (`-o json` is added).
pub(crate) fn json<S: AsRef<str> + Debug>(args: &[S]) -> Value {
    let mut args: Vec<&str> = args.iter().map(AsRef::as_ref).collect();
    args.extend(["-o", "json"]);
    let text = text(&args);
    serde_json::from_str(&text).unwrap_or_else(|why| panic!("{args:?}: {why}\n{text}"))
}

/// Standard error of a run that has to end with this code.
pub(crate) fn fails<S: AsRef<str> + Debug>(args: &[S], code: i32) -> String {
    let output = run(args);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{args:?}\n{said}");
    said
}

/// Sum of `count` over the outcomes of `curl` that `which` holds for.
pub(crate) fn count(curl: &Value, which: impl Fn(&Value) -> bool) -> u64 {
    let outcomes = curl["outcomes"].as_array().expect("`outcomes` is a list");
    let matching = outcomes.iter().filter(|outcome| which(outcome));
    matching
        .filter_map(|outcome| outcome["count"].as_u64())
        .sum()
}

/// Sum of a statistic over the clusters of `run` whose name contains `name`.
pub(crate) fn stat(run: &Value, name: &str, stat: &str) -> u64 {
    let clusters = run["clusters"].as_array().expect("`clusters` is a list");
    let named = clusters.iter().filter(|cluster| {
        cluster["cluster"]
            .as_str()
            .is_some_and(|c| c.contains(name))
    });
    named
        .filter_map(|cluster| cluster["stats"][stat].as_u64())
        .sum()
}

/// Requests per pod of a workload.
pub(crate) fn per_pod(run: &Value, workload: &str) -> Vec<u64> {
    let endpoints = run["endpoints"].as_array().expect("`endpoints` is a list");
    let of = endpoints.iter().filter(|e| e["workload"] == workload);
    of.filter_map(|endpoint| endpoint["requests"].as_u64())
        .collect()
}

/// Codes of a run's findings, the gravest first.
pub(crate) fn codes(run: &Value) -> Vec<&str> {
    let all = run["findings"].as_array().into_iter().flatten();
    all.filter_map(|f| f["code"].as_str()).collect()
}

/// The first finding of a code.
pub(crate) fn finding<'v>(run: &'v Value, code: &str) -> Option<&'v Value> {
    let mut all = run["findings"].as_array()?.iter();
    all.find(|f| f["code"] == code)
}
