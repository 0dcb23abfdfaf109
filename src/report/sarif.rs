//! SARIF 2.1.0: what code scanning reads.
//!
//! One run with one tool; a rule per code that occurs, with its text where one is known. Paths
//! are relative to the repository's root (`%SRCROOT%`) unless they are absolute.

use serde_json::{Value, json};

use super::notice::{Level, Notice};
use crate::diagnostic::Place;
use crate::units::origin::is_no_file;

/// What a code stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule<'a> {
    /// The code.
    pub code: &'a str,
    /// In one line.
    pub title: &'a str,
    /// What it means and what to do.
    pub help: &'a str,
}

/// The notices as one SARIF log. `rules`: texts of codes; those that do not occur are left out.
pub fn render(notices: &[Notice], rules: &[Rule<'_>]) -> String {
    let mut codes: Vec<&str> = notices.iter().map(|notice| notice.code.as_str()).collect();
    codes.sort_unstable();
    codes.dedup();
    let results = notices.iter().map(|notice| result(notice, &codes));
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "towtank",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": codes.iter().map(|code| rule(code, rules)).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": results.collect::<Vec<_>>(),
        }],
    });
    format!("{log:#}\n")
}

fn rule(code: &str, rules: &[Rule<'_>]) -> Value {
    match rules.iter().find(|rule| rule.code == code) {
        Some(rule) => json!({
            "id": code,
            "shortDescription": {"text": rule.title},
            "help": {"text": rule.help},
        }),
        None => json!({"id": code}),
    }
}

fn result(notice: &Notice, codes: &[&str]) -> Value {
    let mut result = json!({
        "ruleId": notice.code,
        "ruleIndex": codes.binary_search(&notice.code.as_str()).ok(),
        "level": match notice.level {
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Error => "error",
        },
        "message": {"text": notice.sentence()},
    });
    if let Some(place) = notice.place.as_ref().and_then(location) {
        result["locations"] = json!([place]);
    }
    let related = notice.related.iter().filter_map(|(place, why)| {
        let mut value = location(place)?;
        value["message"] = json!({"text": why});
        Some(value)
    });
    let related: Vec<Value> = related.collect();
    if !related.is_empty() {
        result["relatedLocations"] = json!(related);
    }
    result
}

/// `None` for what is no file: standard input, the command line.
fn location(place: &Place) -> Option<Value> {
    if is_no_file(&place.file) {
        return None;
    }
    let mut physical = json!({"artifactLocation": artifact(&place.file)});
    if place.line > 0 {
        physical["region"] = json!({"startLine": place.line});
        if place.column > 0 {
            physical["region"]["startColumn"] = json!(place.column);
        }
    }
    Some(json!({"physicalLocation": physical}))
}

fn artifact(path: &str) -> Value {
    let path = path.replace('\\', "/");
    let path = path.strip_prefix("./").unwrap_or(&path);
    if path.starts_with('/') {
        return json!({"uri": format!("file://{}", escaped(path))});
    }
    json!({"uri": escaped(path), "uriBaseId": "%SRCROOT%"})
}

/// Percent-encoding of what may not stand in a path of a URI.
fn escaped(path: &str) -> String {
    let mut text = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => text.push(byte as char),
            b'-' | b'.' | b'_' | b'~' | b'/' | b'+' | b'@' | b',' | b'=' => {
                text.push(byte as char);
            }
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_name_their_rule_and_their_line() {
        let rules = [Rule {
            code: "TT-HEADROOM",
            title: "little room left",
            help: "add replicas",
        }];
        let shown = render(&super::super::notice::sample(), &rules);
        let log: Value = serde_json::from_str(&shown).expect("it is JSON");
        let run = &log["runs"][0];
        assert_eq!(
            run["tool"]["driver"]["rules"][0]["help"]["text"],
            "add replicas"
        );
        assert_eq!(run["tool"]["driver"]["rules"][1]["id"], "TT-RETRY-STORM");
        let storm = &run["results"][0];
        assert_eq!(storm["ruleIndex"], 1);
        let place = &storm["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "mesh/a%20b,c.yaml");
        assert_eq!(place["region"], json!({"startLine": 12, "startColumn": 3}));
        assert_eq!(storm["relatedLocations"][0]["message"]["text"], "the limit");
        assert_eq!(run["results"][2].get("locations"), None);
        assert_eq!(run["results"][2]["level"], "note");
    }
}
