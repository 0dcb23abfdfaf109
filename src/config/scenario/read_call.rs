//! The entries of `calls`: what an application calls, how often, and what it does when that fails.

use std::sync::Arc;

use super::lengths::{Files, LENGTH_MAX, distribution};
use super::model::{AppRetries, CallSpec, OnError, RetryThrottle, StepSpec, ThrottleRule};
use super::pod_model::{CallPool, CallTimes};
use super::read_load::headers;
use super::reader::Report;
use crate::diagnostic::nearest;
use crate::engine::Distribution;
use crate::manifest::{Node, Value};
use crate::units::{Fraction, SimDuration};

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
    "pool",
];
pub(super) const CACHE_FIELDS: &[&str] = &["hitRate"];
pub(super) const TIMES_FIELDS: &[&str] = &["uniform", "shares"];
/// More than any library is set to.
const APP_RETRIES_MAX: u32 = 1000;
/// gRPC's limit.
const TOKENS_MAX: f64 = 1000.0;
/// Calls of one kind for one request.
const TIMES_MAX: u32 = 1000;

/// The application's own retries.
pub(super) fn app_retries(
    report: &mut Report,
    node: &Node,
    files: Files<'_>,
) -> Option<AppRetries> {
    let fields = report.fields(node, "retries", &["attempts", "backoff", "throttle"]);
    let help = "write for example `{attempts: 2, backoff: 100ms}`";
    let attempts = fields.need(report, "attempts", help)?;
    let attempts = report.count32(attempts, 0, APP_RETRIES_MAX);
    let backoff = match fields.get("backoff") {
        Some(node) => distribution(report, node, files)?,
        None => Distribution::Constant(SimDuration::ZERO),
    };
    let throttle = match fields.get("throttle") {
        Some(node) => Some(throttle(report, node)?),
        None => None,
    };
    Some(AppRetries {
        attempts: attempts?,
        backoff,
        throttle,
    })
}

/// gRPC's `retryThrottling`, or a quota of retries.
fn throttle(report: &mut Report, node: &Node) -> Option<RetryThrottle> {
    let fields = report.fields(node, "throttle", &["maxTokens", "tokenRatio", "counts"]);
    let help = "write for example `{maxTokens: 10, tokenRatio: 0.1}`";
    let most = fields.need(report, "maxTokens", help);
    let ratio = fields.need(report, "tokenRatio", help);
    let words = [
        ("failures", ThrottleRule::Failures),
        ("retries", ThrottleRule::Retries),
    ];
    let rule = match fields.get("counts") {
        Some(node) => report.word(node, &words)?,
        None => ThrottleRule::Failures,
    };
    let (most, ratio) = (most?, ratio?);
    let max_milli = tokens(report, most);
    let ratio_milli = tokens(report, ratio);
    Some(RetryThrottle {
        max_milli: max_milli?,
        ratio_milli: ratio_milli?,
        rule,
    })
}

/// A number of tokens in thousandths.
fn tokens(report: &mut Report, node: &Node) -> Option<u32> {
    let number = report.number(node)?;
    if !(0.001..=TOKENS_MAX).contains(&number) {
        let what = format!("{number} is not between 0.001 and {TOKENS_MAX}");
        let help = "tokens are counted in thousandths";
        report.error("TT-NUMBER", node, what, help);
        return None;
    }
    Some((number * 1000.0).round() as u32)
}

/// One entry of `calls`: with `times` it is several steps.
pub(super) fn step(
    report: &mut Report,
    node: &Node,
    files: Files<'_>,
    pools: &[CallPool],
) -> Vec<StepSpec> {
    let Some(parallel) = node.get("parallel") else {
        let calls = call(report, node, files, pools);
        return calls.into_iter().map(StepSpec::Call).collect();
    };
    report.fields(node, "a parallel step", &["parallel"]);
    let items = report.list(Some(parallel), "calls");
    if items.is_empty() {
        let what = "`parallel` has no calls".to_owned();
        report.error("TT-CALL", parallel, what, "");
    }
    let calls = items
        .iter()
        .flat_map(|item| call(report, item, files, pools));
    vec![StepSpec::Parallel(calls.collect())]
}

/// A call, as often as `times` says; nothing when it cannot be read.
fn call(report: &mut Report, node: &Node, files: Files<'_>, pools: &[CallPool]) -> Vec<CallSpec> {
    let Some(call) = one_call(report, node, files, pools) else {
        return Vec::new();
    };
    let drawn = match node.get("times") {
        Some(node) if matches!(node.value, Value::Mapping(_)) => match drawn_times(report, node) {
            Some(drawn) => Arc::new(drawn),
            None => return Vec::new(),
        },
        Some(node) => {
            let times = report.count32(node, 1, TIMES_MAX).unwrap_or(1);
            return vec![call; times as usize];
        }
        None => return vec![call],
    };
    let row = (0..drawn.most()).map(|place| CallSpec {
        times: Some((Arc::clone(&drawn), place)),
        ..call.clone()
    });
    row.collect()
}

/// `{uniform: [1, 5]}` or `{shares: {1: 90%, 20: 10%}}`.
fn drawn_times(report: &mut Report, node: &Node) -> Option<CallTimes> {
    let fields = report.fields(node, "times", TIMES_FIELDS);
    let help = "write a number, `{uniform: [1, 5]}`, or `{shares: {1: 90%, 20: 10%}}`";
    let shares = match (fields.get("uniform"), fields.get("shares")) {
        (Some(node), None) => uniform(report, node)?,
        (None, Some(node)) => shares(report, node)?,
        _ => {
            let what = "`times` that are drawn are either `uniform` or `shares`".to_owned();
            report.error("TT-CALL", node, what, help);
            return None;
        }
    };
    Some(CallTimes { shares })
}

/// Every number between the two, both included, as often as any other.
fn uniform(report: &mut Report, node: &Node) -> Option<Vec<(u32, Fraction)>> {
    let ends: Vec<Option<u32>> = (report.list(Some(node), "two numbers").iter())
        .map(|item| report.count32(item, 0, TIMES_MAX))
        .collect();
    let [Some(low), Some(high)] = ends[..] else {
        let what = "`uniform` needs its least and its greatest number".to_owned();
        report.error("TT-CALL", node, what, "write for example `uniform: [1, 5]`");
        return None;
    };
    if low >= high {
        let what = format!("{low} is not below {high}");
        report.error("TT-CALL", node, what, "the smaller number comes first");
        return None;
    }
    // Parts of a million, so that all of them together are exactly one.
    let count = u64::from(high - low + 1);
    let until = |n: u64| (1_000_000 * n / count) as u32;
    let share = |n: u64| Fraction::from_ppm(until(n + 1) - until(n));
    let all = (low..=high).zip(0..);
    Some(all.map(|(times, n)| (times, share(n))).collect())
}

fn shares(report: &mut Report, node: &Node) -> Option<Vec<(u32, Fraction)>> {
    let help = "write for example `{1: 90%, 20: 10%}`: how often, for which share of requests";
    let mut read = Vec::new();
    for (key, value) in node.entries() {
        let times = key.text.parse::<u32>().ok().filter(|n| *n <= TIMES_MAX);
        let Some(times) = times else {
            let what = format!("`{}` is not a number of calls (0 to {TIMES_MAX})", key.text);
            report.error("TT-CALL", value, what, help);
            return None;
        };
        read.push((times, report.parsed::<Fraction>(value, "TT-CALL")?));
    }
    read.sort_by_key(|(times, _)| *times);
    let sum: u64 = read.iter().map(|(_, share)| u64::from(share.ppm())).sum();
    if sum != u64::from(Fraction::ONE.ppm()) {
        let what = format!("the shares add up to {}%, not to 100%", sum as f64 / 1e4);
        report.error("TT-CALL", node, what, help);
        return None;
    }
    Some(read)
}

fn one_call(
    report: &mut Report,
    node: &Node,
    files: Files<'_>,
    pools: &[CallPool],
) -> Option<CallSpec> {
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
        times: None,
        pool: None,
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
    if let Some(node) = fields.get("pool") {
        read.pool = pool(report, node, pools);
    }
    let help = "a call is a URL, or a mapping with `url`";
    let url = fields.need(report, "url", help)?;
    read.url = report.url(url)?;
    Some(read)
}

/// Which of the workload's pools is meant.
fn pool(report: &mut Report, node: &Node, pools: &[CallPool]) -> Option<usize> {
    let name = report.text(node)?;
    let found = pools.iter().position(|pool| pool.name == name);
    if found.is_none() {
        let known = || pools.iter().map(|pool| &*pool.name);
        let help = match nearest(&name, known()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "declare it in `pools` of the workload: `{db: {size: 10}}`".to_owned(),
        };
        let what = format!("the workload has no pool `{name}`");
        report.error("TT-CALL", node, what, &help);
    }
    found
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
