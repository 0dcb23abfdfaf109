//! What is not to be said by `analyze`: the file of `--config`, its mistakes, its schema, and the codes
//! that it may name.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::analyze_rules::{CHAIN, changed};
use crate::program;

/// A folder with a faulty mesh and a file of what is not to be said.
struct Silenced(tempfile::TempDir);

impl Silenced {
    fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let text = changed(&[
            ("maxRetries: 10", "maxRetries: 0"),
            ("timeout: 1s # of db", "timeout: 4s # of db"),
        ]);
        fs::write(folder.path().join("mesh.yaml"), text).expect("written");
        fs::write(folder.path().join(".towtank.yaml"), config).expect("written");
        Self(folder)
    }

    fn run(&self, more: &[&str]) -> (Option<i32>, String, String) {
        let mesh = self.0.path().join("mesh.yaml").display().to_string();
        let config = self.0.path().join(".towtank.yaml").display().to_string();
        let arguments = [
            "analyze", "-f", &mesh, "--config", &config, "--color", "never",
        ];
        let output = program::run(&[&arguments, more].concat());
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    }
}

#[test]
fn a_file_silences_what_it_lists_and_says_so() {
    let silenced = Silenced::new(
        "analyze:
  suppress:
  - {code: TT-BREAKER-UNLIMITED, object: 'DestinationRule shop/*', reason: it is bounded elsewhere}
  - code: TT-TIMEOUTS-INVERTED
    reason: reports may take their time
",
    );
    let (code, out, said) = silenced.run(&["--fail-on", "info"]);
    assert_eq!((code, out.as_str()), (Some(0), ""), "{said}");
    assert!(
        said.starts_with("nothing found; suppressed: 2 by ") && said.contains(".towtank.yaml"),
        "{said}"
    );
    // What another flag silences first is that flag's, and the entry was needed all the same.
    let (code, _, said) =
        silenced.run(&["--fail-on", "info", "--suppress", "TT-BREAKER-UNLIMITED"]);
    assert_eq!(code, Some(0));
    assert!(said.contains("1 by --suppress, 1 by "), "{said}");
}

#[test]
fn an_entry_that_silences_nothing_is_a_remark_with_its_line() {
    let silenced = Silenced::new(
        "analyze:
  suppress:
  - {code: '*', object: 'DestinationRule shop/mid', reason: known}
  - {code: TT-FAULT-LEFT, reason: there was one}
  - {code: TT-TIMEOUTS-INVERTED, object: VirtualService prod/*, reason: known}
",
    );
    let (code, out, _) = silenced.run(&[]);
    assert_eq!(code, Some(0), "a remark is no error");
    let at = |line: u32| out.contains(&format!(".towtank.yaml:{line}:12"));
    assert!(
        out.contains("remark[TT-SUPPRESS-UNUSED]") && at(4) && at(5) && !at(3),
        "{out}"
    );
    assert!(
        out.contains("there is no finding TT-TIMEOUTS-INVERTED of `VirtualService prod/*`"),
        "{out}"
    );
    assert!(
        out.contains("TT-TIMEOUTS-INVERTED]"),
        "another object's is said: {out}"
    );
    assert_eq!(silenced.run(&["--fail-on", "info"]).0, Some(8));
}

#[test]
fn entries_for_rules_that_were_not_judged_are_not_called_unused() {
    let config = "analyze: {suppress: [{code: TT-RETRY-LAYERS, reason: known}]}\n";
    let silenced = Silenced::new(config);
    let manifests = silenced.0.path().join("only.yaml");
    let text = CHAIN
        .split("---\n")
        .filter(|d| !d.contains("towtank/v1alpha1"));
    fs::write(&manifests, text.collect::<Vec<_>>().join("---\n")).expect("written");
    let file = silenced
        .0
        .path()
        .join(".towtank.yaml")
        .display()
        .to_string();
    let only = manifests.display().to_string();
    let with_model = silenced.run(&[]).1;
    assert!(with_model.contains("TT-SUPPRESS-UNUSED"), "{with_model}");
    let out = program::text(&["analyze", "-f", &only, "--config", &file]);
    assert_eq!(out, "");
}

#[test]
fn mistakes_in_the_file_are_named_with_their_line() {
    let cases = [
        (
            "analyze:\n  suppress:\n  - {code: TT-FAULT-LEFTS, reason: x}\n",
            "did you mean `TT-FAULT-LEFT`?",
            ":3:",
        ),
        (
            "analyze:\n  suppress:\n  - code: TT-FAULT-LEFT\n",
            "reason",
            ":3:",
        ),
        ("analyze:\n  supress: []\n", "suppress", ":2:"),
        ("analyze: [\n", "TT-YAML-SYNTAX", ".towtank.yaml"),
        ("- 1\n", "expected a mapping", ":1:"),
    ];
    for (config, says, line) in cases {
        let (code, _, said) = Silenced::new(config).run(&[]);
        assert_eq!(code, Some(1), "{config}: {said}");
        assert!(
            said.contains(says) && said.contains(line),
            "{config}: {said}"
        );
    }
    let missing = program::fails(
        &[
            "analyze",
            "-f",
            "models/w1/manifests",
            "--config",
            "no.yaml",
        ],
        1,
    );
    assert!(
        missing.contains("no.yaml") && missing.contains("cannot read it"),
        "{missing}"
    );
}

#[test]
fn the_file_is_read_only_where_it_is_named() {
    let silenced = Silenced::new("analyze: {suppress: [{code: '*', reason: all is well}]}\n");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_towtank"));
    let output = command
        .current_dir(silenced.0.path())
        .args(["analyze", "mesh.yaml", "--color", "never"])
        .output()
        .expect("the program starts");
    let out = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(out.contains("TT-BREAKER-UNLIMITED"), "{out}");
    assert!(
        said.contains(".towtank.yaml is here and was not read: --config .towtank.yaml does"),
        "{said}"
    );
}

#[test]
fn the_schema_of_the_file_has_the_fields_that_are_read() {
    let schema: Value =
        serde_json::from_str(&program::text(&["schema", "config"])).expect("a schema");
    let entry = &schema["$defs"]["EntryText"];
    let fields: Vec<&String> = entry["properties"]
        .as_object()
        .expect("fields")
        .keys()
        .collect();
    assert_eq!(fields, ["code", "object", "reason"]);
    assert_eq!(entry["required"], serde_json::json!(["code", "reason"]));
    let committed = fs::read_to_string(program::root().join("models/schema/config.schema.json"));
    let committed: Value = serde_json::from_str(&committed.expect("readable")).expect("JSON");
    assert_eq!(
        committed, schema,
        "`towtank schema config > models/schema/config.schema.json`"
    );
}

#[test]
fn every_code_of_reading_can_be_explained_and_silenced() {
    let mut missing = Vec::new();
    for folder in ["src/config", "src/manifest"] {
        codes_below(&program::root().join(folder), &mut missing);
    }
    missing.sort();
    missing.dedup();
    missing.retain(|code| !towtank::analyze::READING.contains(&code.as_str()));
    assert!(
        missing.is_empty(),
        "not in src/analyze/reading.rs: {missing:?}"
    );
    let said = program::text(&["analyze", "--explain", "tt-duplicate-object"]);
    assert!(
        said.starts_with("TT-DUPLICATE-OBJECT: given while"),
        "{said}"
    );
}

/// Every `"TT-…"` below a folder of sources.
fn codes_below(folder: &Path, codes: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            codes_below(&path, codes);
            continue;
        }
        let text = fs::read_to_string(&path).expect("readable");
        // Tests speak of codes of others.
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        let quoted = text.split('"').filter(|part| part.starts_with("TT-"));
        codes.extend(quoted.filter(|part| part.len() > 3).map(str::to_owned));
    }
}
