//! `TT-TIMEOUTS-INVERTED`: a caller gives up before the one it calls does.
//!
//! What lies behind the caller goes on working for nobody: the nearer to the client, the shorter
//! the timeout has to be *longer*. Named where it happened, not where it might.

use super::{Context, percent};
use crate::observe::AppStat;
use crate::observe::record::{EdgeRecord, Finding, Severity, WorkloadRecord};
use crate::units::SimDuration;
use crate::xds::layers::outlives;

/// Share of calls that were given up from which it is named, and their least number.
const SHARE: f64 = 0.005;
const GIVEN_UP_MIN: u64 = 10;
/// Share from which it is an error.
const GRAVE: f64 = 0.05;

pub(super) fn judge(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for edge in context.record.edges.iter().filter(|e| e.to != "-") {
        let given_up = given_up(edge);
        let share = given_up as f64 / edge.requests.max(1) as f64;
        if given_up < GIVEN_UP_MIN || share < SHARE {
            continue;
        }
        if heeds_deadlines(context, &edge.to) {
            continue;
        }
        let outer = patience(context, edge);
        let Some((inner, wait)) = more_patient(context, edge, outer.as_ref().and_then(|(t, _)| *t))
        else {
            continue;
        };
        findings.push(finding(edge, given_up, share, outer, inner, wait));
    }
}

/// Calls that ended because their caller had waited long enough: a route's timeout, or the
/// application's own.
fn given_up(edge: &EdgeRecord) -> u64 {
    let names = |text: &str, flag: &str| text.split(',').any(|f| f == flag);
    let flags = edge.flags.iter();
    let left = flags.filter(|(text, _)| names(text, "UT") || names(text, "DC"));
    left.map(|(_, calls)| calls).sum()
}

/// The called application has given work up because its deadline was over: it goes on with nothing.
fn heeds_deadlines(context: &Context<'_>, workload: &str) -> bool {
    let mut workloads = context.record.workloads.iter();
    let given_up = |w: &WorkloadRecord| w.counts.get(AppStat::DeadlinesExceeded.name()).copied();
    let called = workloads.find(|w| w.name == workload);
    called.and_then(given_up).is_some_and(|n| n > 0)
}

/// How long a caller waits, and where that was written.
type Wait = (Option<SimDuration>, Option<String>);

/// How long the caller waits: as its route says, or as the load itself does where that is shorter.
fn patience(context: &Context<'_>, edge: &EdgeRecord) -> Option<Wait> {
    let route = context.timeout_of(&edge.from, &edge.cluster);
    let Some(load) = context.record.most_patient(&edge.from) else {
        return route;
    };
    match route {
        Some((Some(wait), place)) if load.timeout.is_none_or(|own| wait <= own) => {
            Some((Some(wait), place))
        }
        _ => Some((load.timeout, load.timeout_place.clone())),
    }
}

/// A call of the called workload that waits longer than its own caller does.
fn more_patient<'r>(
    context: &Context<'r>,
    outer: &EdgeRecord,
    patience: Option<SimDuration>,
) -> Option<(&'r EdgeRecord, Wait)> {
    let calls = context.record.edges.iter();
    let calls =
        calls.filter(|inner| inner.from == outer.to && inner.cluster != "-" && inner.requests > 0);
    let waits = calls.filter_map(|inner| {
        let wait = context.timeout_of(&inner.from, &inner.cluster)?;
        // Without a timeout of the caller the application itself gives up; how soon is not in the
        // tables.
        outlives(wait.0, patience).then_some((inner, wait))
    });
    // The longest wait; without any end before all others.
    waits.max_by_key(|(_, (wait, _))| wait.unwrap_or(SimDuration::MAX))
}

fn finding(
    edge: &EdgeRecord,
    given_up: u64,
    share: f64,
    outer: Option<Wait>,
    inner: &EdgeRecord,
    (wait, place): Wait,
) -> Finding {
    let patience = outer.as_ref().and_then(|(t, _)| *t);
    let first = match patience {
        Some(t) => format!("{} waits {t} for {}", edge.from, edge.to),
        None => format!("{} gives up waiting for {}", edge.from, edge.to),
    };
    let second = match (wait, &place) {
        (Some(t), Some(place)) => format!("{} waits {t} for {} ({place})", inner.from, inner.to),
        (Some(t), None) => format!("{} waits {t} for {}", inner.from, inner.to),
        (None, _) => format!("{} waits for {} without any end", inner.from, inner.to),
    };
    let place = outer.and_then(|(_, place)| place).or(place);
    Finding {
        code: "TT-TIMEOUTS-INVERTED",
        severity: if share >= GRAVE {
            Severity::Error
        } else {
            Severity::Warning
        },
        what: format!(
            "{} gives {given_up} calls of {} up ({}) that {} goes on with",
            edge.from,
            edge.to,
            percent(share),
            edge.to
        ),
        chain: vec![
            first,
            second,
            format!("what {} does after that is for nobody, and its places stay taken", edge.to),
        ],
        cause: place.map(|place| format!("the timeout at {place}")),
        help: "make each timeout shorter than that of whoever calls (less the time between them), or let applications heed deadlines (`deadline: propagate`)".to_owned(),
        edges: vec![
            (edge.from.clone(), edge.cluster.clone()),
            (inner.from.clone(), inner.cluster.clone()),
        ],
        counterfactual: None,
    }
}
