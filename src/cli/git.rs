//! Files as they were at a revision: the `git` command writes them to a folder of their own.
//!
//! The repository, its index and its working tree are only read: git gets an index file of our
//! own (`GIT_INDEX_FILE`), so nothing that somebody has staged is touched.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::exit_code::Failure;

/// Files that matter to a mesh: manifests, and CSV files that a Model or Scenario names.
const ENDINGS: [&str; 4] = [".yaml", ".yml", ".json", ".csv"];

/// Two revisions, as `git diff` writes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Range {
    /// What was.
    pub(super) before: String,
    /// What is; `None`: the working tree.
    pub(super) after: Option<String>,
}

/// Reads `A..B`, `A...B` (since B left A) or `A` (against the working tree).
pub(super) fn range(text: &str) -> Result<Range, Failure> {
    let or_head = |text: &str| if text.is_empty() { "HEAD" } else { text }.to_owned();
    if let Some((base, tip)) = text.split_once("...") {
        let (base, tip) = (or_head(base), or_head(tip));
        for revision in [&base, &tip] {
            check(revision)?;
        }
        let merge_base = git(["merge-base", &base, &tip]).map_err(|_| {
            Failure::Usage(format!("`{base}` and `{tip}` have no commit in common"))
        })?;
        return Ok(Range {
            before: merge_base,
            after: Some(tip),
        });
    }
    let (before, after) = match text.split_once("..") {
        Some((before, after)) => (or_head(before), Some(or_head(after))),
        None => (or_head(text), None),
    };
    check(&before)?;
    if let Some(after) = &after {
        check(after)?;
    }
    Ok(Range { before, after })
}

/// A revision as people read it: ten digits of a whole hash, everything else as it was written.
pub(super) fn short(revision: &str) -> String {
    let is_hash = revision.len() >= 40 && revision.bytes().all(|b| b.is_ascii_hexdigit());
    let length = if is_hash { 10 } else { 40 };
    revision.chars().take(length).collect()
}

/// Refuses what names no commit.
fn check(revision: &str) -> Result<(), Failure> {
    git(["rev-parse", "--show-toplevel"])
        .map_err(|why| Failure::Usage(format!("--git needs a git repository: {why}")))?;
    let commit = format!("{revision}^{{commit}}");
    let found = git([
        "rev-parse",
        "--verify",
        "--quiet",
        "--end-of-options",
        &commit,
    ]);
    found.map(|_| ()).map_err(|_| {
        let known = git(["for-each-ref", "--format=%(refname:short)", "--count=200"]);
        let known = known.unwrap_or_default();
        let near = crate::diagnostic::nearest(revision, known.lines());
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "a shallow clone may lack it (`git fetch --unshallow`; in GitHub Actions `fetch-depth: 0`)".to_owned(),
        };
        Failure::Usage(format!("`{revision}` is no commit of this repository; {help}"))
    })
}

/// Files of a revision in a folder that goes away with this value.
pub(super) struct Checkout {
    folder: tempfile::TempDir,
    prefix: PathBuf,
}

impl Checkout {
    /// Writes the files of a revision aside.
    pub(super) fn of(revision: &str) -> Result<Self, Failure> {
        let cannot = |why: String| Failure::Usage(format!("cannot read `{revision}`: {why}"));
        let folder = tempfile::Builder::new()
            .prefix("towtank-")
            .tempdir()
            .map_err(|error| cannot(error.to_string()))?;
        let top = git(["rev-parse", "--show-toplevel"]).map_err(cannot)?;
        let prefix = git(["rev-parse", "--show-prefix"]).map_err(cannot)?;
        let index = folder.path().join("index");
        let run = |args: &[&OsStr], input: &[u8]| {
            let mut command = Command::new("git");
            command.arg("-C").arg(&top).args(args);
            output(command.env("GIT_INDEX_FILE", &index), input)
        };
        let arg = OsStr::new;
        run(&[arg("read-tree"), arg(revision)], &[]).map_err(cannot)?;
        let listed = run(&[arg("ls-files"), arg("-z")], &[]).map_err(cannot)?;
        let is_ours = |name: &&[u8]| {
            let name = name.to_ascii_lowercase();
            ENDINGS
                .iter()
                .any(|ending| name.ends_with(ending.as_bytes()))
        };
        let mut names = Vec::new();
        for name in listed.split(|byte| *byte == 0).filter(is_ours) {
            names.extend_from_slice(name);
            names.push(0);
        }
        let mut into = arg("--prefix=").to_owned();
        into.push(folder.path().join("tree"));
        into.push("/");
        run(
            &[arg("checkout-index"), arg("-z"), arg("--stdin"), &into],
            &names,
        )
        .map_err(cannot)?;
        Ok(Self {
            folder,
            prefix: prefix.into(),
        })
    }

    /// Where paths begin that are relative to the current folder.
    pub(super) fn root(&self) -> PathBuf {
        self.folder.path().join("tree").join(&self.prefix)
    }
}

/// Files that differ between a revision and the working tree, untracked ones included; absolute.
pub(super) fn changed_since(revision: &str) -> Result<Vec<PathBuf>, Failure> {
    check(revision)?;
    let cannot = |why: String| Failure::Usage(format!("cannot compare with `{revision}`: {why}"));
    let top = PathBuf::from(git(["rev-parse", "--show-toplevel"]).map_err(cannot)?);
    let list = |args: &[&str]| -> Result<Vec<PathBuf>, Failure> {
        let mut command = Command::new("git");
        command.arg("-C").arg(&top).args(args);
        let listed = output(&mut command, &[]).map_err(cannot)?;
        let names = listed
            .split(|byte| *byte == 0)
            .filter(|name| !name.is_empty());
        Ok(names
            .map(|name| top.join(&*String::from_utf8_lossy(name)))
            .collect())
    };
    let mut all = list(&["diff", "--name-only", "-z", revision, "--"])?;
    all.extend(list(&["ls-files", "--others", "--exclude-standard", "-z"])?);
    Ok(all)
}

/// One line of git's output.
fn git<const N: usize>(args: [&str; N]) -> Result<String, String> {
    let mut command = Command::new("git");
    command.args(args);
    let text = output(&mut command, &[])?;
    Ok(String::from_utf8_lossy(&text).trim().to_owned())
}

fn output(command: &mut Command, input: &[u8]) -> Result<Vec<u8>, String> {
    let piped = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = piped.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "the `git` command is not installed".to_owned(),
        _ => format!("`git` does not start: {error}"),
    })?;
    if let Some(mut stdin) = child.stdin.take() {
        // A git that ends early says why on standard error.
        let _ = stdin.write_all(input);
    }
    let done = child
        .wait_with_output()
        .map_err(|error| error.to_string())?;
    if done.status.success() {
        return Ok(done.stdout);
    }
    let said = String::from_utf8_lossy(&done.stderr);
    Err(said.trim().trim_start_matches("fatal: ").to_owned())
}

/// A path below a revision's tree; absolute ones point into the working tree.
pub(super) fn check_relative(path: &Path) -> Result<(), Failure> {
    if path.is_relative() {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "with --git, `{}` has to be relative to the current folder",
        path.display()
    )))
}
