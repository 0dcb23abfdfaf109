//! Twenty questions people ask about meshes, each answered by one command of the README's table.
//!
//! Figures are held against theory where there is one; bounds are wide enough for another seed.

mod changes;
mod ejections;
mod joined;
mod places;
mod retries;

use std::fs;

use serde_json::Value;

use crate::pages::words;
use crate::program::{finding, json, root, text};

/// Rows of the README's table: number, command, answer.
fn rows() -> Vec<(String, String, String)> {
    let page = fs::read_to_string(root().join("README.md")).expect("the page is there");
    let (_, table) = page
        .split_once("## Twenty questions")
        .expect("the README lists them");
    let table = table.split("\n## ").next().unwrap_or_default();
    let lines = table.lines().filter(|line| line.starts_with("| "));
    let cells = lines.map(|line| line.trim_matches('|').split(" | ").collect::<Vec<_>>());
    let rows = cells.filter(|cells| cells.len() == 4);
    rows.map(|cells| {
        let [number, _, command, answer] = [0, 1, 2, 3].map(|at| cells[at].trim().to_owned());
        (number, command.trim_matches('`').to_owned(), answer)
    })
    .filter(|(number, ..)| number.parse::<u32>().is_ok())
    .collect()
}

fn row(number: u32) -> (String, String, String) {
    let found = rows().into_iter().find(|row| row.0 == number.to_string());
    found.unwrap_or_else(|| panic!("question {number} is in the table"))
}

/// A command without the program's name.
fn arguments(command: &str) -> Vec<String> {
    words(command.strip_prefix("towtank ").expect("it is ours"))
}

/// The command of a question.
fn command(number: u32) -> Vec<String> {
    arguments(&row(number).1)
}

/// What it prints, without the breaks of lines: the figures that the README shows in bold are in it.
fn answer(number: u32) -> String {
    let (_, command, answer) = row(number);
    let printed = one_line(&text(&arguments(&command)));
    for figure in answer.split("**").skip(1).step_by(2) {
        assert!(
            printed.contains(figure),
            "{number}: `{command}` does not print `{figure}`\n{printed}"
        );
    }
    printed
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn asked(number: u32) -> Value {
    json(&command(number))
}

/// The same with more arguments.
fn asked_with(number: u32, more: &[&str]) -> Value {
    let mut all = command(number);
    all.extend(more.iter().map(|arg| (*arg).to_owned()));
    json(&all)
}

const NOTHING_EXPECTED: [&str; 2] = ["--set", "Scenario:spec.expect=[]"];

fn with(set: &str) -> [&str; 4] {
    ["--set", set, NOTHING_EXPECTED[0], NOTHING_EXPECTED[1]]
}

fn contains(text: &str, wanted: &[&str]) {
    for part in wanted {
        assert!(text.contains(part), "`{part}` is missing in\n{text}");
    }
}

fn what<'a>(run: &'a Value, code: &str) -> &'a str {
    let found = finding(run, code).unwrap_or_else(|| panic!("{code} is found"));
    found["what"].as_str().expect("a sentence")
}

fn chain(run: &Value, code: &str) -> String {
    let found = finding(run, code).unwrap_or_else(|| panic!("{code} is found"));
    let steps = found["chain"].as_array().expect("evidence").iter();
    steps
        .filter_map(Value::as_str)
        .collect::<Vec<_>>()
        .join("; ")
}

/// Share of a load's requests that failed.
fn failed(run: &Value, load: usize) -> f64 {
    let client = &run["clients"][load];
    let statuses = client["statuses"].as_object().expect("statuses").iter();
    let bad = statuses.filter(|(s, _)| *s == "0" || s.starts_with('5'));
    let bad: u64 = bad.filter_map(|(_, n)| n.as_u64()).sum();
    bad as f64 / client["requests"].as_f64().expect("a count")
}

fn flagged(run: &Value, flag: &str) -> u64 {
    run["clients"][0]["flags"][flag].as_u64().unwrap_or(0)
}

/// Tries per call between two workloads.
fn tries(run: &Value, from: &str, to: &str) -> f64 {
    let edges = run["edges"].as_array().expect("edges");
    let edge = edges.iter().find(|e| e["from"] == from && e["to"] == to);
    let edge = edge.unwrap_or_else(|| panic!("{from} calls {to}"));
    edge["attempts"].as_f64().expect("a count") / edge["requests"].as_f64().expect("a count")
}

/// Within so many standard deviations of a share that so many requests show.
fn is_share(measured: f64, theory: f64, requests: f64, sigmas: f64) {
    let deviation = (theory * (1.0 - theory) / requests).sqrt();
    assert!(
        (measured - theory).abs() < sigmas * deviation,
        "{measured} is not {theory} ± {deviation}"
    );
}

fn ejections(run: &Value) -> &[Value] {
    run["ejections"].as_array().map_or(&[], Vec::as_slice)
}

fn seconds(ejection: &Value, name: &str) -> Option<f64> {
    ejection[name].as_f64()
}

#[test]
fn every_question_has_a_row_in_the_readme() {
    let numbers: Vec<String> = (1..=20).map(|n: u32| n.to_string()).collect();
    let rows = rows();
    let shown: Vec<&String> = rows.iter().map(|row| &row.0).collect();
    assert_eq!(shown, numbers.iter().collect::<Vec<_>>());
    for (number, command, answer) in &rows {
        assert!(command.starts_with("towtank "), "{number}: {command}");
        assert!(answer.contains("**"), "{number} shows what was printed");
    }
}
