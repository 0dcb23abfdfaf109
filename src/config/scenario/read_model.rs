//! A `Model` document to a [`Model`].
//!
//! What a workload does not write comes from `spec.defaults`, and what that does not write from
//! the built-in defaults.

use std::sync::Arc;

use super::lengths::{Files, distribution};
use super::model::{
    AppError, Connections, ErrorKind, Model, NetworkModel, NetworkPair, WorkloadModel,
};
use super::read_call::step;
use super::read_load::headers;
use super::read_pod::{pod, pools};
use super::reader::{Fields, Report};
use super::run::HeaderValue;
use crate::diagnostic::Diagnostic;
use crate::manifest::{Node, Object, Value};
use crate::units::{Fraction, ObjectId, SimDuration};
use crate::xds::Name;

pub(super) const MODEL_FIELDS: &[&str] =
    &["network", "proxy", "defaults", "placement", "workloads"];
pub(super) const NETWORK_FIELDS: &[&str] = &["sameZone", "sameRegion", "betweenRegions", "pairs"];
pub(super) const WORKLOAD_FIELDS: &[&str] = &[
    "concurrency",
    "queue",
    "serviceTime",
    "errors",
    "calls",
    "propagate",
    "connections",
    "status",
    "queueDiscipline",
    "priority",
    "pools",
    "warmUp",
    "pauses",
    "cpu",
    "startup",
    "deadline",
];
pub(super) const ERROR_FIELDS: &[&str] = &[
    "status", "grpc", "reset", "hang", "refuse", "headers", "rate",
];
pub(super) const PROXY_FIELDS: &[&str] = &["concurrency", "pushDelay", "timerTick"];
/// The slowest tick a kernel can have (`CONFIG_HZ=100`).
const TICK_MAX: SimDuration = SimDuration::from_ms(10);
const ENVELOPE: &[&str] = &["apiVersion", "kind", "metadata", "spec"];
/// Calls that one request may cause at its server.
const CALLS_MAX: usize = 10_000;
/// More worker threads than any machine has.
pub(crate) const WORKERS_MAX: u32 = 256;

/// Reads a Model; `files` gives the text of a CSV file named beside it.
pub fn decode_model(object: &Object, id: ObjectId, files: Files<'_>) -> (Model, Vec<Diagnostic>) {
    let mut report = Report::new(object, id);
    let mut model = Model {
        name: Arc::clone(&object.name),
        origin: report.origin(&object.root),
        ..Model::default()
    };
    report.fields(&object.root, "a Model", ENVELOPE);
    report.version(object);
    if let Some(spec) = object.spec() {
        read_spec(&mut report, spec, &mut model, files);
    } else {
        let help = "an empty Model is `spec: {}`";
        report.missing(&object.root, "spec", help);
    }
    (model, report.diagnostics)
}

fn read_spec(report: &mut Report, spec: &Node, model: &mut Model, files: Files<'_>) {
    let fields = report.fields(spec, "a Model's spec", MODEL_FIELDS);
    if let Some(node) = fields.get("network") {
        network(report, node, &mut model.network, files);
    }
    if let Some(node) = fields.get("proxy") {
        let proxy = report.fields(node, "proxy", PROXY_FIELDS);
        if let Some(node) = proxy.get("timerTick") {
            model.proxy_timer_tick = report.duration(node, TICK_MAX).unwrap_or_default();
        }
        if let Some(node) = proxy.get("pushDelay") {
            model.proxy_push_delay = distribution(report, node, files);
        }
        if let Some(node) = proxy.get("concurrency") {
            model.proxy_concurrency = report.count32(node, 1, WORKERS_MAX);
        }
    }
    if let Some(node) = fields.get("defaults") {
        model.defaults = workload(report, node, &WorkloadModel::default(), files);
    }
    for (name, node) in named_by_workload(report, fields.get("workloads"), "workloads") {
        let read = workload(report, node, &model.defaults, files);
        model.workloads.insert(name, read);
    }
    for (name, node) in named_by_workload(report, fields.get("placement"), "placement") {
        let zones: Vec<Name> = report
            .list(Some(node), "localities")
            .iter()
            .filter_map(|item| report.locality(item))
            .collect();
        model.placement.insert(name, zones);
    }
}

/// Entries of a mapping whose keys are `namespace/name`.
fn named_by_workload<'a>(
    report: &mut Report,
    node: Option<&'a Node>,
    what: &str,
) -> Vec<(Name, &'a Node)> {
    let Some(node) = node else {
        return Vec::new();
    };
    if !matches!(node.value, Value::Mapping(_)) {
        let message = format!("`{what}` needs a mapping, found {}", node.value.describe());
        let help = "the keys are `namespace/name`";
        report.error("TT-WRONG-TYPE", node, message, help);
    }
    let entries = node.entries().iter();
    entries
        .filter_map(|(key, node)| {
            let at = Node {
                value: Value::Null,
                line: key.line,
                column: key.column,
            };
            let name = report.workload_name(&key.text, &at)?;
            Some((name, node))
        })
        .collect()
}

fn network(report: &mut Report, node: &Node, into: &mut NetworkModel, files: Files<'_>) {
    let fields = report.fields(node, "network", NETWORK_FIELDS);
    let targets = [
        ("sameZone", &mut into.same_zone),
        ("sameRegion", &mut into.same_region),
        ("betweenRegions", &mut into.between_regions),
    ];
    for ((name, target), written) in targets.into_iter().zip(&mut into.written) {
        if let Some(node) = fields.get(name)
            && let Some(read) = distribution(report, node, files)
        {
            *target = read;
            *written = true;
        }
    }
    for item in report.list(fields.get("pairs"), "pairs of localities") {
        into.pairs.extend(pair(report, item, files));
    }
}

fn pair(report: &mut Report, node: &Node, files: Files<'_>) -> Option<NetworkPair> {
    let fields = report.fields(node, "a pair", &["from", "to", "latency"]);
    let help = "write `{from: us-east, to: us-west, latency: 35ms}`";
    let [from, to, latency] = ["from", "to", "latency"].map(|f| fields.need(report, f, help));
    let (from, to) = (report.locality(from?), report.locality(to?));
    let latency = distribution(report, latency?, files);
    Some(NetworkPair {
        from: from?,
        to: to?,
        latency: latency?,
    })
}

fn workload(
    report: &mut Report,
    node: &Node,
    defaults: &WorkloadModel,
    files: Files<'_>,
) -> WorkloadModel {
    let fields = report.fields(node, "a workload", WORKLOAD_FIELDS);
    let mut read = WorkloadModel {
        origin: report.origin(node),
        ..defaults.clone()
    };
    if let Some(node) = fields.get("concurrency") {
        read.concurrency = limit(report, node, 1).unwrap_or(read.concurrency);
    }
    if let Some(node) = fields.get("queue") {
        read.queue = limit(report, node, 0).unwrap_or(read.queue);
    }
    if let Some(node) = fields.get("serviceTime")
        && let Some(length) = distribution(report, node, files)
    {
        read.service_time = length;
    }
    if let Some(node) = fields.get("errors") {
        read.errors = errors(report, node);
    }
    if let Some(node) = fields.get("pools") {
        read.pools = pools(report, node);
    }
    if let Some(node) = fields.get("calls") {
        let steps = report.list(Some(node), "calls").iter();
        read.calls = steps
            .flat_map(|item| step(report, item, files, &read.pools))
            .collect();
        let calls: usize = read.calls.iter().map(|step| step.calls().len()).sum();
        if calls > CALLS_MAX {
            let what = format!("{calls} calls for one request are more than {CALLS_MAX}");
            report.error("TT-CALL", node, what, "lower `times`");
            read.calls.clear();
        }
    }
    if let Some(node) = fields.get("propagate") {
        let names = report.list(Some(node), "header names").iter();
        read.propagate = names
            .filter_map(|item| report.text(item))
            .map(|name| name.to_ascii_lowercase().into())
            .collect();
    }
    if let Some(node) = fields.get("connections") {
        let words = [
            ("accept", Connections::Accept),
            ("refuse", Connections::Refuse),
            ("blackhole", Connections::Blackhole),
        ];
        read.connections = report.word(node, &words).unwrap_or_default();
    }
    if let Some(node) = fields.get("status") {
        read.status = report.status(node).unwrap_or(read.status);
    }
    pod(report, fields, &mut read, files);
    if let Some(node) = fields.get("startup")
        && let Some(length) = distribution(report, node, files)
    {
        read.startup = length;
        read.startup_written = true;
    }
    read
}

/// A count, or `unlimited`.
#[expect(clippy::option_option, reason = "nothing readable, no limit, a limit")]
fn limit(report: &mut Report, node: &Node, least: u32) -> Option<Option<u32>> {
    if node.as_text().is_some_and(|text| &**text == "unlimited") {
        return Some(None);
    }
    report.count32(node, least, 100_000_000).map(Some)
}

fn errors(report: &mut Report, node: &Node) -> Vec<AppError> {
    let mut read = Vec::new();
    let mut sum = 0;
    for item in report.list(Some(node), "errors") {
        if let Some(error) = app_error(report, item) {
            sum += u64::from(error.rate.ppm());
            read.push(error);
        }
    }
    if sum > u64::from(Fraction::ONE.ppm()) {
        let what = format!("the rates of errors add up to {}%", sum as f64 / 1e4);
        report.error(
            "TT-ERROR-RATE",
            node,
            what,
            "they are shares of all requests",
        );
    }
    read
}

fn app_error(report: &mut Report, node: &Node) -> Option<AppError> {
    let fields = report.fields(node, "an error", ERROR_FIELDS);
    app_error_of(report, node, fields)
}

/// An error among the fields of a mapping that may have others.
pub(super) fn app_error_of(
    report: &mut Report,
    node: &Node,
    fields: Fields<'_>,
) -> Option<AppError> {
    const KINDS: &[&str] = &["status", "grpc", "reset", "hang", "refuse"];
    let help = "write for example `{status: 500, rate: 0.1%}`";
    let rate = fields.need(report, "rate", help);
    let rate = rate.and_then(|node| report.parsed::<Fraction>(node, "TT-ERROR-RATE"));
    let mut kinds = KINDS.iter().filter_map(|k| Some((*k, fields.get(k)?)));
    let (Some((kind, value)), None) = (kinds.next(), kinds.next()) else {
        let what = "an error is exactly one of `status`, `grpc`, `reset: true`, `hang: true`, `refuse: true`".to_owned();
        report.error("TT-ERROR-KIND", node, what, "");
        return None;
    };
    let kind = match (kind, &value.value) {
        ("status", _) => ErrorKind::Status(report.status(value)?),
        ("grpc", _) => ErrorKind::Grpc(u8::try_from(report.count32(value, 1, 16)?).ok()?),
        ("reset", Value::Bool(true)) => ErrorKind::Reset,
        ("hang", Value::Bool(true)) => ErrorKind::Hang,
        ("refuse", Value::Bool(true)) => ErrorKind::Refuse,
        _ => {
            report.error(
                "TT-ERROR-KIND",
                value,
                format!("`{kind}` must be `true`"),
                "",
            );
            return None;
        }
    };
    let headers = match fields.get("headers") {
        Some(node) => response_headers(report, node, kind)?,
        None => Vec::new(),
    };
    Some(AppError {
        kind,
        headers,
        rate: rate?,
    })
}

/// Headers that an answer carries; resets and silence have none.
fn response_headers(
    report: &mut Report,
    node: &Node,
    kind: ErrorKind,
) -> Option<Vec<(Name, Name)>> {
    if !matches!(kind, ErrorKind::Status(_) | ErrorKind::Grpc(_)) {
        let what = "`headers` belong to an answer: `status` or `grpc`".to_owned();
        report.error("TT-ERROR-KIND", node, what, "");
        return None;
    }
    let written = headers(report, Some(node)).into_iter();
    let plain = written.filter_map(|(name, value)| match value {
        HeaderValue::Text(text) => Some((name, text)),
        HeaderValue::Uniform { .. } | HeaderValue::Zipf { .. } => {
            let what = format!("response header `{name}` cannot be drawn");
            report.error("TT-ERROR-KIND", node, what, "write its text");
            None
        }
    });
    Some(plain.collect())
}
