//! The entries of `calls`: what an application calls, how often, and what it does when that fails.

use super::lengths::{Files, LENGTH_MAX, distribution};
use super::model::{AppRetries, CallSpec, OnError, StepSpec};
use super::read_load::headers;
use super::reader::Report;
use crate::engine::Distribution;
use crate::manifest::{Node, Value};
use crate::units::SimDuration;

pub(super) const CALL_FIELDS: &[&str] = &[
    "url",
    "method",
    "headers",
    "onError",
    "timeout",
    "retries",
    "times",
    "probability",
    "cache",
    "async",
];
pub(super) const CACHE_FIELDS: &[&str] = &["hitRate"];
/// More than any library is set to.
const APP_RETRIES_MAX: u32 = 1000;
/// Calls of one kind for one request.
const TIMES_MAX: u32 = 1000;

/// The application's own retries.
pub(super) fn app_retries(
    report: &mut Report,
    node: &Node,
    files: Files<'_>,
) -> Option<AppRetries> {
    let fields = report.fields(node, "retries", &["attempts", "backoff"]);
    let help = "write for example `{attempts: 2, backoff: 100ms}`";
    let attempts = fields.need(report, "attempts", help)?;
    let attempts = report.count32(attempts, 0, APP_RETRIES_MAX);
    let backoff = match fields.get("backoff") {
        Some(node) => distribution(report, node, files)?,
        None => Distribution::Constant(SimDuration::ZERO),
    };
    Some(AppRetries {
        attempts: attempts?,
        backoff,
    })
}

/// One entry of `calls`: with `times` it is several steps.
pub(super) fn step(report: &mut Report, node: &Node, files: Files<'_>) -> Vec<StepSpec> {
    let Some(parallel) = node.get("parallel") else {
        let calls = call(report, node, files);
        return calls.into_iter().map(StepSpec::Call).collect();
    };
    report.fields(node, "a parallel step", &["parallel"]);
    let items = report.list(Some(parallel), "calls");
    if items.is_empty() {
        let what = "`parallel` has no calls".to_owned();
        report.error("TT-CALL", parallel, what, "");
    }
    let calls = items.iter().flat_map(|item| call(report, item, files));
    vec![StepSpec::Parallel(calls.collect())]
}

/// A call, as often as `times` says; nothing when it cannot be read.
fn call(report: &mut Report, node: &Node, files: Files<'_>) -> Vec<CallSpec> {
    let times = match node.get("times") {
        Some(node) => report.count32(node, 1, TIMES_MAX).unwrap_or(1),
        None => 1,
    };
    match one_call(report, node, files) {
        Some(call) => vec![call; times as usize],
        None => Vec::new(),
    }
}

fn one_call(report: &mut Report, node: &Node, files: Files<'_>) -> Option<CallSpec> {
    let mut read = CallSpec {
        url: crate::http::Url::parse("http://unknown/").ok()?,
        method: "GET".into(),
        headers: Vec::new(),
        on_error: OnError::Fail(500),
        timeout: None,
        retries: None,
        probability: None,
        cache_hit_rate: None,
        is_async: false,
        origin: report.origin(node),
    };
    if !matches!(node.value, Value::Mapping(_)) {
        read.url = report.url(node)?;
        return Some(read);
    }
    let fields = report.fields(node, "a call", CALL_FIELDS);
    if let Some(node) = fields.get("method") {
        read.method = report.method(node).unwrap_or(read.method);
    }
    read.headers = headers(report, fields.get("headers"));
    if let Some(node) = fields.get("onError") {
        read.on_error = on_error(report, node).unwrap_or(read.on_error);
    }
    if let Some(node) = fields.get("timeout") {
        read.timeout = report.timeout(node, LENGTH_MAX);
    }
    if let Some(node) = fields.get("retries") {
        read.retries = app_retries(report, node, files);
    }
    if let Some(node) = fields.get("probability") {
        read.probability = report.parsed(node, "TT-CALL");
    }
    if let Some(node) = fields.get("cache") {
        let fields = report.fields(node, "cache", CACHE_FIELDS);
        let help = "write for example `cache: {hitRate: 90%}`";
        let rate = fields.need(report, "hitRate", help);
        read.cache_hit_rate = rate.and_then(|node| report.parsed(node, "TT-CALL"));
    }
    if let Some(node) = fields.get("async") {
        read.is_async = report.word(node, &[("true", true), ("false", false)])?;
        if let (true, Some(node)) = (read.is_async, fields.get("onError")) {
            let what = "nobody waits for an `async` call: how it ends does not matter".to_owned();
            report.error("TT-CALL", node, what, "leave out `onError`, or `async`");
        }
    }
    let help = "a call is a URL, or a mapping with `url`";
    let url = fields.need(report, "url", help)?;
    read.url = report.url(url)?;
    Some(read)
}

fn on_error(report: &mut Report, node: &Node) -> Option<OnError> {
    if matches!(node.value, Value::Mapping(_)) {
        let fields = report.fields(node, "onError", &["fail"]);
        let status = report.status(fields.get("fail")?)?;
        return Some(OnError::Fail(status));
    }
    let words = [("fail", OnError::Fail(500)), ("ignore", OnError::Ignore)];
    report.word(node, &words)
}
