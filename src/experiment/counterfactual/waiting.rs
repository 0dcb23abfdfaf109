//! Changes that end a cascade: callers that wait for less long, or fewer of them that wait.

use super::calls::limit_requests;
use super::storms::change_routes;
use super::{Candidate, Usual, hosts};
use crate::observe::Record;
use crate::units::SimDuration;
use crate::verdict::{Cascade, cascade};
use crate::xds::Snapshot;

/// Timeouts that are tried, in times of what the callee usually takes.
const PATIENCE: [f64; 3] = [16.0, 8.0, 4.0];
/// Requests in flight that are allowed, in times of the callee's places.
const ROOM: [f64; 2] = [2.0, 1.0];

/// The smallest first: a longer timeout changes less than a short one, and that less than a limit.
pub(super) fn candidates<'c>(record: &Record, usual: Usual<'_>) -> Vec<Candidate<'c>> {
    let Some(found) = cascade(record) else {
        return Vec::new();
    };
    let cluster = found.caller.1.clone();
    let towards = hosts(&[&cluster]);
    let mut all = Vec::new();
    for times in PATIENCE {
        let timeout = round(found.held * times);
        let (what, cluster) = (
            format!("`timeout: {timeout}` towards {towards}"),
            cluster.clone(),
        );
        all.push(Candidate::of_tables(what, move |tables| {
            set_timeout(tables, &cluster, timeout);
        }));
    }
    for times in ROOM {
        let limit = limit(&found, usual.snapshot, times);
        let what = format!("`http2MaxRequests: {limit}` in each client proxy towards {towards}");
        let edge = found.caller.clone();
        all.push(Candidate::of_tables(what, move |tables| {
            limit_requests(tables, &edge, limit);
        }));
    }
    all
}

/// So many requests in flight in each proxy of the caller that the callee's places are taken so
/// many times over.
fn limit(found: &Cascade, snapshot: &Snapshot, times: f64) -> u32 {
    let workload = snapshot.workload_of(&found.caller.0);
    let pods = workload.map_or(1, |id| snapshot.workloads[id].pods.len().max(1));
    let each = found.places as f64 * times / pods as f64;
    (each.ceil() as u32).max(1)
}

/// To one digit, as people write them; never below a millisecond.
pub(super) fn round(seconds: f64) -> SimDuration {
    let ms = (seconds * 1000.0).clamp(1.0, 3_600_000.0) as u64;
    let mut unit = 1;
    while ms / unit >= 10 {
        unit *= 10;
    }
    SimDuration::from_ms((ms + unit / 2) / unit * unit)
}

/// A shorter timeout stays.
pub(super) fn set_timeout(snapshot: &mut Snapshot, cluster: &str, timeout: SimDuration) {
    change_routes(
        snapshot,
        |name| name == cluster,
        |forward| {
            let before = forward.patience();
            forward.timeout = Some(before.map_or(timeout, |t| t.min(timeout)));
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_round() {
        let round = |seconds| round(seconds).to_string();
        assert_eq!(
            [0.0001, 0.0123, 0.186, 1.26, 44.0].map(round),
            ["1ms", "10ms", "200ms", "1s", "40s"]
        );
    }
}
