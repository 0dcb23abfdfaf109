//! What other tools build on: published schemas, JSON that keeps to them, CSV with the columns that are documented.

use std::fs;

use serde_json::Value;
use towtank::report::{analyze, capacity, curl, diff, explain, json};

use crate::program::{json as run_json, root, text};

/// Small and busy: two services with retries and failures. What the scenario expects holds of its own length.
const RUN: [&str; 8] = [
    "run",
    "examples/08-timeouts-retries",
    "--duration",
    "4s",
    "--warm-up",
    "1s",
    "--set",
    "Scenario:spec.expect=null",
];

/// Compares with the committed copy; `TOWTANK_BLESS=1` writes it instead.
fn check(file: &str, current: &str) {
    let path = root().join("models/schema").join(file);
    if std::env::var_os("TOWTANK_BLESS").is_some() {
        fs::write(&path, current).expect("the schema can be written");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == current,
        "models/schema/{file} is not current; run `TOWTANK_BLESS=1 cargo test published_schema` and look at the difference"
    );
}

#[test]
fn the_published_schema_of_results_is_current() {
    check("run.schema.json", &json::schema());
    check("curl.schema.json", &curl::schema());
    check("analyze.schema.json", &analyze::schema());
    check("capacity.schema.json", &capacity::schema());
    check("explain.schema.json", &explain::json::schema());
    check("diff.schema.json", &diff::schema());
}

/// Says where `value` breaks `schema`: the keywords that our schemas use, and nothing unknown in closed or described objects.
fn violations(root: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        let part = root.pointer(name.trim_start_matches('#'));
        return violations(root, part.expect("the reference exists"), value, at, found);
    }
    if let Some(options) = schema["anyOf"].as_array() {
        let fits = |option: &&Value| {
            let mut why = Vec::new();
            violations(root, option, value, at, &mut why);
            why.is_empty()
        };
        if options.iter().find(fits).is_none() {
            found.push(format!("{at}: fits no alternative: {value}"));
        }
        return;
    }
    let types = match &schema["type"] {
        Value::Array(all) => all.clone(),
        one => vec![one.clone()],
    };
    let is = |name: &Value| match name.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_u64() || value.is_i64(),
        Some("number") => value.is_number(),
        Some("null") => value.is_null(),
        _ => false,
    };
    if !types.iter().any(is) {
        return found.push(format!("{at}: {value} is not {}", schema["type"]));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        violations(
            root,
            &schema["items"],
            item,
            &format!("{at}[{index}]"),
            found,
        );
    }
    let Some(object) = value.as_object() else {
        return;
    };
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().expect("names are texts");
        if !object.contains_key(name) {
            found.push(format!("{at}: `{name}` is missing"));
        }
    }
    for (name, member) in object {
        let at = format!("{at}.{name}");
        let numbered = &schema["patternProperties"]["^\\d+$"];
        match (&schema["properties"][name], &schema["additionalProperties"]) {
            (part @ Value::Object(_), _) | (_, part @ Value::Object(_)) => {
                violations(root, part, member, &at, found);
            }
            _ if numbered.is_object() && name.bytes().all(|b| b.is_ascii_digit()) => {
                violations(root, numbered, member, &at, found);
            }
            _ => found.push(format!("{at}: not in the schema")),
        }
    }
}

fn keeps_to(schema: &str, value: &Value) {
    let schema: Value = serde_json::from_str(schema).expect("a schema is JSON");
    let mut found = Vec::new();
    violations(&schema, &schema, value, "$", &mut found);
    assert_eq!(found, [""; 0]);
}

#[test]
fn what_run_and_load_print_keeps_to_the_published_schema() {
    keeps_to(&json::schema(), &run_json(&RUN));
    let mut many = RUN.to_vec();
    many.extend(["--replications", "3"]);
    keeps_to(&json::schema(), &run_json(&many));
    let manifests = "examples/07-circuit-breaking/manifests";
    let load = [
        "load",
        "-f",
        manifests,
        "-n",
        "20",
        "http://backend-service:8080/",
    ];
    keeps_to(&json::schema(), &run_json(&load));
}

#[test]
fn what_curl_prints_keeps_to_the_published_schema() {
    let manifests = "examples/06-fault-injection/manifests";
    for host in ["payment-service:8080", "nowhere.example.com"] {
        let url = format!("http://{host}/");
        keeps_to(
            &curl::schema(),
            &run_json(&["curl", "-f", manifests, "-n", "production", &url]),
        );
    }
}

#[test]
fn a_break_of_the_schema_would_be_seen() {
    let schema: Value = serde_json::from_str(&json::schema()).expect("a schema is JSON");
    let mut value = run_json(&RUN);
    value["seed"] = "1".into();
    value["clients"][0]["surprise"] = 1.into();
    value["clusters"][0]
        .as_object_mut()
        .expect("an object")
        .remove("stats");
    let mut found = Vec::new();
    violations(&schema, &schema, &value, "$", &mut found);
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn every_headline_figure_carries_an_interval_when_runs_are_repeated() {
    let mut args = RUN.to_vec();
    args.extend(["--replications", "4"]);
    let run = run_json(&args);
    for client in run["clients"].as_array().expect("a list") {
        let interval = client["interval"].as_object().expect("there is one");
        for (figure, bounds) in interval.iter().filter(|(name, _)| *name != "confidence") {
            let at = |end: &str| bounds[end].as_f64().expect("a number");
            assert!(
                at("low") <= at("mean") && at("mean") <= at("high"),
                "{figure}: {bounds}"
            );
        }
        assert_eq!(interval.len(), 9, "{interval:?}");
    }
    let shown = text(&args);
    let of = |word: &str| {
        shown
            .lines()
            .find(|line| line.contains(word))
            .expect("it is told")
    };
    assert!(
        of("requests  ").contains('±') && of("attempts  ").contains('±'),
        "{shown}"
    );
    let quantiles = shown
        .lines()
        .find(|line| line.trim_start().starts_with('±'));
    assert_eq!(
        quantiles
            .expect("a line of half widths")
            .matches('±')
            .count(),
        5,
        "{shown}"
    );
}

/// The first line of every CSV file, by file name.
fn headings(folder: &std::path::Path) -> Vec<(String, Vec<String>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).expect("it is there") {
        let path = entry.expect("it is readable").path();
        if path.extension().is_some_and(|e| e == "csv") {
            let text = fs::read_to_string(&path).expect("it is text");
            let mut rows = csv::ReaderBuilder::new().from_reader(text.as_bytes());
            let columns = rows
                .headers()
                .expect("a first line")
                .iter()
                .map(str::to_owned)
                .collect();
            for row in rows.records() {
                row.expect("as many cells as columns");
            }
            let name = path
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            all.push((name, columns));
        }
    }
    all.sort();
    all
}

#[test]
fn the_columns_of_every_file_are_those_that_are_documented() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    let mut args = RUN.to_vec();
    let shown = out.to_string_lossy().into_owned();
    args.extend(["--replications", "2", "--out-dir", &shown]);
    text(&args);
    let documented =
        fs::read_to_string(root().join("models/schema/README.md")).expect("it is there");
    let headings = headings(&out);
    assert_eq!(headings.len(), 9, "{headings:?}");
    for (file, columns) in headings {
        let row = documented
            .lines()
            .find(|line| line.starts_with(&format!("| `{file}` |")));
        let row = row.unwrap_or_else(|| panic!("{file} is not documented"));
        let cell = row
            .trim_end_matches(" |")
            .rsplit(" | ")
            .next()
            .expect("a last cell");
        let told: Vec<&str> = cell.split(", ").map(|c| c.trim_matches('`')).collect();
        assert_eq!(told, columns, "{file}");
    }
}

#[test]
fn no_line_of_a_report_is_wider_than_the_page() {
    for folder in ["models/shop", "models/w1", "examples/07-circuit-breaking"] {
        let report = text(&[
            "run",
            folder,
            "--duration",
            "2s",
            "--warm-up",
            "0s",
            "--replications",
            "2",
            "--set",
            "Scenario:spec.expect=[]",
        ]);
        for line in report.lines() {
            assert!(line.chars().count() <= 100, "{folder}: {line}");
        }
    }
}

/// The windows of a workload add up to its row: the same places, the same answers.
#[test]
fn the_course_of_a_workload_adds_up_to_what_it_did() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    let shown = out.to_string_lossy().into_owned();
    let args = [
        "run",
        "examples/39-cascade",
        "--warm-up",
        "0s",
        "--out-dir",
        &shown,
    ];
    text(&args);
    let table = |file: &str| {
        let mut reader = csv::Reader::from_path(out.join(file)).expect("it was written");
        let rows = reader.deserialize::<std::collections::BTreeMap<String, String>>();
        rows.map(|row| row.expect("a row")).collect::<Vec<_>>()
    };
    let number = |text: &String| text.parse::<f64>().expect("a number");
    let (workloads, course) = (table("workloads.csv"), table("workload-series.csv"));
    for row in &workloads {
        let own: Vec<_> = course
            .iter()
            .filter(|w| w["workload"] == row["workload"])
            .collect();
        assert_eq!(own.len(), 90, "a window a second");
        for mean in ["busy_mean", "queue_mean"] {
            let all: f64 = own.iter().map(|w| number(&w[mean])).sum();
            assert!(
                (all / 90.0 - number(&row[mean])).abs() < 1e-6,
                "{mean} of {row:?}"
            );
        }
        // What arrives after the load has ended comes after the last window.
        for count in ["requests", "rejected"] {
            let all: f64 = own.iter().map(|w| number(&w[count])).sum();
            let rest = number(&row[count]) - all;
            assert!((0.0..50.0).contains(&rest), "{count} of {row:?}: {all}");
        }
    }
}
