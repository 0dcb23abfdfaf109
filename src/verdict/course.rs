//! The course of one load in one replication, window by window.

use crate::observe::record::{HappeningKind, Record, Series};

/// One window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    /// Its begin, in seconds.
    pub(super) at: f64,
    /// Successes of what was started: near 1 when all is well. `None`: nothing was started.
    pub(super) goodput: Option<f64>,
    /// Tries per request.
    pub(super) amplification: f64,
    /// Requests that ended in it.
    pub(super) requests: u64,
    /// Of those, failed.
    pub(super) errors: u64,
    /// 99th percentile of latency, in milliseconds.
    pub(super) p99: f64,
}

/// Windows that lie wholly inside the time in which load is offered.
pub(super) fn windows(record: &Record, series: &Series, client: u32) -> Vec<Window> {
    let length = series.window.as_secs_f64();
    let end = record.duration.as_secs_f64();
    let points = series.points.iter().filter(|p| p.client == client);
    let inside = points.filter(|p| p.at.as_secs_f64() + length <= end + 1e-9);
    inside
        .map(|p| Window {
            at: p.at.as_secs_f64(),
            goodput: (p.started > 0).then(|| (p.requests - p.errors) as f64 / p.started as f64),
            amplification: if p.requests == 0 {
                1.0
            } else {
                p.attempts as f64 / p.requests as f64
            },
            requests: p.requests,
            errors: p.errors,
            p99: p.p99.as_millis_f64(),
        })
        .collect()
}

/// When the first thing happened and when the last one was over, in seconds; `None` when nothing
/// happened, or something lasts to the end.
pub(super) fn trigger(record: &Record) -> Option<(f64, f64)> {
    let of = |kind: HappeningKind| record.happenings.iter().filter(move |h| h.kind == kind);
    let begin = of(HappeningKind::Begins).next()?.at.as_secs_f64();
    if of(HappeningKind::Begins).count() > of(HappeningKind::Ends).count() {
        return None;
    }
    let end = of(HappeningKind::Ends).next_back()?.at.as_secs_f64();
    Some((begin, end))
}
