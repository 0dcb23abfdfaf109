//! A `Scenario` document to a [`Scenario`], and what is wrong with it as a whole.

use std::sync::Arc;

use super::lengths::Files;
use super::limits::{self, DURATION_MAX, IN_FLIGHT_MAX, REPLICATIONS_MAX};
use super::read_events::events;
use super::read_expect::expectations;
use super::read_load::load;
use super::read_routes::routes;
use super::reader::{Fields, Report};
use super::run::Scenario;
use crate::config::store::IstioVersion;
use crate::diagnostic::Diagnostic;
use crate::manifest::{Node, Object};
use crate::units::{ObjectId, SimDuration};

pub(super) const SCENARIO_FIELDS: &[&str] = &[
    "manifests",
    "model",
    "istioVersion",
    "duration",
    "warmUp",
    "seed",
    "replications",
    "maxInFlight",
    "load",
    "events",
    "expect",
    "routes",
];
const ENVELOPE: &[&str] = &["apiVersion", "kind", "metadata", "spec"];

/// Reads a Scenario. `files` gives the text of a CSV file named beside it.
pub fn decode_scenario(
    object: &Object,
    id: ObjectId,
    files: Files<'_>,
) -> (Scenario, Vec<Diagnostic>) {
    let mut report = Report::new(object, id);
    let mut scenario = Scenario {
        name: Arc::clone(&object.name),
        manifests: Vec::new(),
        model: None,
        istio_version: None,
        duration: None,
        warm_up: SimDuration::ZERO,
        seed: 1,
        replications: 1,
        max_in_flight: limits::IN_FLIGHT,
        load: Vec::new(),
        events: Vec::new(),
        expect: Vec::new(),
        routes: Vec::new(),
        origin: report.origin(&object.root),
    };
    report.fields(&object.root, "a Scenario", ENVELOPE);
    report.version(object);
    match object.spec() {
        Some(spec) => read_spec(&mut report, spec, &mut scenario, files),
        None => report.missing(&object.root, "spec", "a Scenario needs at least `load`"),
    }
    (scenario, report.diagnostics)
}

fn read_spec(report: &mut Report, spec: &Node, scenario: &mut Scenario, files: Files<'_>) {
    let fields = report.fields(spec, "a Scenario's spec", SCENARIO_FIELDS);
    let manifests = report.list(fields.get("manifests"), "paths").iter();
    scenario.manifests = manifests.filter_map(|item| report.text(item)).collect();
    scenario.model = fields.get("model").and_then(|n| report.text(n));
    if let Some(node) = fields.get("istioVersion")
        && let Some(text) = version_text(report, node)
    {
        match IstioVersion::parse(&text) {
            Ok(_) => scenario.istio_version = Some(text.into()),
            Err(why) => report.error("TT-ISTIO-VERSION", node, why, ""),
        }
    }
    if let Some(node) = fields.get("warmUp") {
        scenario.warm_up = report.duration(node, DURATION_MAX).unwrap_or_default();
    }
    if let Some(node) = fields.get("seed") {
        let seed = report.count(node, 0, i64::MAX as u64);
        scenario.seed = seed.unwrap_or(scenario.seed);
    }
    if let Some(node) = fields.get("replications") {
        let replications = report.count32(node, 1, REPLICATIONS_MAX);
        scenario.replications = replications.unwrap_or(1);
    }
    if let Some(node) = fields.get("maxInFlight") {
        let most = report.count32(node, 1, IN_FLIGHT_MAX);
        scenario.max_in_flight = most.unwrap_or(scenario.max_in_flight);
    }
    read_duration(report, fields, scenario);
    read_loads(report, fields, scenario, files);
    scenario.events = events(report, fields.get("events"), scenario.duration, files);
    expectations(report, fields.get("expect"), scenario);
    scenario.routes = routes(report, fields.get("routes"));
}

/// `1.30` without quotes is a number to YAML and would lose its zero.
fn version_text(report: &mut Report, node: &Node) -> Option<String> {
    if node.as_text().is_none() {
        let what = "the Istio version has to be in quotes".to_owned();
        let help = "write `istioVersion: \"1.30\"`; without quotes YAML reads the number 1.3";
        report.error("TT-ISTIO-VERSION", node, what, help);
        return None;
    }
    report.text(node).map(|text| text.to_string())
}

fn read_duration(report: &mut Report, fields: Fields<'_>, scenario: &mut Scenario) {
    let Some(node) = fields.get("duration") else {
        return;
    };
    let Some(duration) = report.duration(node, DURATION_MAX) else {
        return;
    };
    // Kept even when refused below, so that one mistake is not reported as two.
    scenario.duration = Some(duration);
    if duration.is_zero() {
        let what = "a duration of zero simulates nothing".to_owned();
        report.error("TT-DURATION", node, what, "write for example `60s`");
    } else if let Some(no) = limits::warm_up(scenario.duration, scenario.warm_up) {
        let at = fields.get("warmUp").unwrap_or(node);
        report.error(no.code, at, no.what, no.help);
    }
}

fn read_loads(report: &mut Report, fields: Fields<'_>, scenario: &mut Scenario, files: Files<'_>) {
    let duration_unreadable = fields.get("duration").is_some() && scenario.duration.is_none();
    for (index, item) in report.list(fields.get("load"), "loads").iter().enumerate() {
        let Some(read) = load(report, item, index + 1, files) else {
            continue;
        };
        if let Some(first) = scenario.load.iter().find(|l| l.name == read.name) {
            let what = format!("load `{}` exists already", read.name);
            report.error(
                "TT-DUPLICATE-LOAD",
                item,
                what,
                "give each load its own name",
            );
            let place = report.place(first.origin.line, first.origin.column);
            if let Some(last) = report.diagnostics.pop() {
                report.diagnostics.push(last.see(place, "the first one"));
            }
        }
        if !duration_unreadable && let Some(no) = limits::end(&read, scenario.duration) {
            report.error(no.code, item, no.what, no.help);
        }
        scenario.load.push(read);
    }
    if fields
        .get("load")
        .is_none_or(|node| node.items().is_empty())
    {
        let help = "write for example `load: [{name: users, from: production/curl, url: http://web:8080/, rate: 100/s}]`";
        report.missing(fields.get("load").unwrap_or(fields.node), "load", help);
    }
}
