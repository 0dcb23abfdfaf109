//! `towtank diff --git`: revisions of a repository, which stays as it is.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::program::root;

/// A repository whose second commit raises a weight and whose working tree raises it again.
fn repository() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let mesh = dir.path().join("mesh");
    fs::create_dir(&mesh).expect("a folder");
    for file in [
        "scenario.yaml",
        "model.yaml",
        "manifests/shop.yaml",
        "manifests/canary.yaml",
    ] {
        let to = mesh.join(file);
        fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
        fs::copy(root().join("examples/16-canary-slow").join(file), to).expect("a copy");
    }
    git(dir.path(), &["init", "--quiet", "--initial-branch=main"]);
    commit(dir.path(), "canary at 10 %");
    weights(
        dir.path(),
        "weight: 90",
        "weight: 80",
        "weight: 10",
        "weight: 20",
    );
    commit(dir.path(), "canary at 20 %");
    weights(
        dir.path(),
        "weight: 80",
        "weight: 70",
        "weight: 20",
        "weight: 30",
    );
    dir
}

fn weights(dir: &Path, old: &str, new: &str, was: &str, is: &str) {
    let file = dir.join("mesh/manifests/canary.yaml");
    let text = fs::read_to_string(&file).expect("readable");
    fs::write(file, text.replace(old, new).replace(was, is)).expect("writable");
}

fn commit(dir: &Path, message: &str) {
    git(dir, &["add", "-A"]);
    git(
        dir,
        &[
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.test",
            "commit",
            "--quiet",
            "-m",
            message,
        ],
    );
}

fn git(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(dir)
        .args(args)
        .output()
        .expect("git is installed");
    assert!(
        output.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn towtank(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_towtank"));
    command
        .current_dir(dir)
        .args(args)
        .output()
        .expect("the program starts")
}

fn told(dir: &Path, args: &[&str]) -> String {
    let output = towtank(dir, args);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    said
}

#[test]
fn revisions_are_compared_and_the_repository_stays_as_it_is() {
    let dir = repository();
    let dir = dir.path();
    let status = git(dir, &["status", "--porcelain"]);
    let both = told(
        dir,
        &["diff", "--git", "HEAD~1..HEAD", "mesh", "--duration", "10s"],
    );
    assert!(both.contains("weight: 90 → 80"), "{both}");
    assert!(both.contains("(mesh/manifests/canary.yaml:12)"), "{both}");
    assert!(
        both.contains("expected at mesh/scenario.yaml") || both.contains("expectations are judged"),
        "{both}"
    );
    let tree = told(dir, &["diff", "--git", "HEAD", "--plan-only"]);
    assert!(tree.contains("weight: 80 → 70"), "{tree}");
    assert!(tree.starts_with("HEAD → the working tree"), "{tree}");
    let since = told(
        dir,
        &["diff", "--git", "HEAD~1...HEAD", "--plan-only", "mesh"],
    );
    assert!(since.contains("weight: 90 → 80"), "{since}");
    // The commit that both have in common has no name: ten digits of its hash are enough.
    let base = git(dir, &["rev-parse", "HEAD~1"]);
    assert!(
        since.starts_with(&format!("{} → HEAD\n", &base[..10])),
        "{since}"
    );
    assert_eq!(git(dir, &["status", "--porcelain"]), status);
}

#[test]
fn paths_are_relative_to_the_current_folder() {
    let dir = repository();
    let below = dir.path().join("mesh/manifests");
    let said = told(
        &below,
        &["diff", "--git", "HEAD~1..HEAD", "--plan-only", "."],
    );
    assert!(
        said.contains("(canary.yaml:12)") || said.contains("(./canary.yaml:12)"),
        "{said}"
    );
}

#[test]
fn a_table_beside_a_model_is_that_of_its_own_revision() {
    let dir = repository();
    let dir = dir.path();
    let csv = |ms: &str| {
        fs::write(dir.join("mesh/latency.csv"), format!("ms\n{ms}\n")).expect("writable");
    };
    let model = dir.join("mesh/model.yaml");
    let text = fs::read_to_string(&model).expect("readable");
    let empirical = "empirical: {file: latency.csv, column: ms, unit: ms}";
    fs::write(&model, text.replace("exponential: 40ms", empirical)).expect("writable");
    csv("10");
    commit(dir, "measured: 10 ms");
    csv("30");
    commit(dir, "measured: 30 ms");
    let said = told(
        dir,
        &["diff", "--git", "HEAD~1..HEAD", "mesh", "--duration", "10s"],
    );
    assert!(
        said.contains("(12 ms → 32 ms)") || said.contains("ms → 3"),
        "{said}"
    );
    assert!(said.contains("told the same as before"), "{said}");
}

#[test]
fn what_git_cannot_give_is_said_with_a_way_out() {
    let dir = repository();
    let dir = dir.path();
    let check = |args: &[&str], code: i32, parts: &[&str]| {
        let output = towtank(dir, args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        for part in parts {
            assert!(said.contains(part), "no `{part}` in {said}");
        }
    };
    check(
        &["diff", "--git", "mian..HEAD", "mesh"],
        2,
        &["`mian` is no commit", "did you mean `main`?"],
    );
    check(&["diff", "--git", "HEAD~1", "/etc"], 2, &["relative"]);
    check(&["diff", "--git", "HEAD~1", "gone"], 1, &["gone"]);
    let outside = tempfile::tempdir().expect("a folder");
    let output = towtank(outside.path(), &["diff", "--git", "HEAD"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("--git needs a git repository"), "{said}");
}
