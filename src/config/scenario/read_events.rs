//! The entries of `events`: when, for how long, and exactly one verb.

use super::events::{EventKind, FailureKind, Part, Target, TargetKind, TimedEvent};
use super::lengths::{Files, distribution};
use super::limits::DURATION_MAX;
use super::read_model::app_error_of;
use super::reader::{Fields, Report};
use crate::manifest::{Node, Source, Value};
use crate::units::{Fraction, SimDuration};
use crate::xds::Locality;

const VERBS: &[&str] = &[
    "fail",
    "restore",
    "slow",
    "errors",
    "capacity",
    "partition",
    "delay",
    "scale",
    "rollout",
    "apply",
    "delete",
];
pub(super) const EVENT_FIELDS: &[&str] = &[
    "at",
    "for",
    "fail",
    "restore",
    "slow",
    "errors",
    "capacity",
    "partition",
    "delay",
    "scale",
    "rollout",
    "apply",
    "delete",
];
pub(super) const FAIL_FIELDS: &[&str] = &[
    "workload", "pod", "node", "zone", "region", "pods", "how", "noticed",
];
pub(super) const RESTORE_FIELDS: &[&str] = &["workload", "pod", "node", "zone", "region", "pods"];
pub(super) const SLOW_FIELDS: &[&str] = &[
    "workload", "pod", "node", "zone", "region", "pods", "factor", "add",
];
pub(super) const ERRORS_FIELDS: &[&str] = &[
    "workload", "pod", "node", "zone", "region", "pods", "status", "grpc", "reset", "hang",
    "refuse", "rate",
];
pub(super) const CAPACITY_FIELDS: &[&str] =
    &["workload", "pod", "node", "zone", "region", "pods", "share"];
pub(super) const PARTITION_FIELDS: &[&str] = &["between"];
pub(super) const DELAY_FIELDS: &[&str] = &["between", "by"];
pub(super) const SCALE_FIELDS: &[&str] = &["workload", "replicas"];
pub(super) const ROLLOUT_FIELDS: &[&str] = &["workload"];
/// Slower than this is a hang.
const FACTOR_MAX: f64 = 1e6;
/// As many pods as a simulation holds.
const REPLICAS_MAX: u32 = 200_000;

/// Reads the list; what is wrong with an entry leaves it out.
pub(super) fn events(
    report: &mut Report,
    node: Option<&Node>,
    duration: Option<SimDuration>,
    files: Files<'_>,
) -> Vec<TimedEvent> {
    let items = report.list(node, "events");
    let mut read: Vec<TimedEvent> = (items.iter())
        .filter_map(|item| event(report, item, duration, files))
        .collect();
    // Of two at the same moment the one written first happens first.
    read.sort_by_key(|event| event.at);
    read
}

/// How long an event lasts: more than no time.
fn lasts(report: &mut Report, node: &Node) -> Option<SimDuration> {
    let length = report.duration(node, DURATION_MAX)?;
    if length.is_zero() {
        let what = "an event that lasts for no time changes nothing".to_owned();
        let help = "write for example `30s`, or leave `for` out for an event without an end";
        report.error("TT-DURATION", node, what, help);
        return None;
    }
    Some(length)
}

fn event(
    report: &mut Report,
    node: &Node,
    duration: Option<SimDuration>,
    files: Files<'_>,
) -> Option<TimedEvent> {
    let fields = report.fields(node, "an event", EVENT_FIELDS);
    let help = "write for example `{at: 30s, fail: {zone: us-east/us-east-1}, for: 60s}`";
    let at_node = fields.need(report, "at", help);
    let at = at_node.and_then(|n| report.duration(n, DURATION_MAX));
    let lasts = match fields.get("for") {
        Some(n) => Some(lasts(report, n)?),
        None => None,
    };
    let mut verbs = VERBS.iter().filter_map(|v| Some((*v, fields.get(v)?)));
    let (Some((verb, value)), None) = (verbs.next(), verbs.next()) else {
        let what = format!("an event has exactly one of {}", VERBS.join(", "));
        report.error("TT-EVENT", node, what, help);
        return None;
    };
    let what = match verb {
        "fail" => fail(report, value),
        "restore" => {
            let fields = report.fields(value, "restore", RESTORE_FIELDS);
            target(report, fields).map(|target| EventKind::Restore { target })
        }
        "slow" => slow(report, value, files),
        "errors" => errors(report, value),
        "capacity" => capacity(report, value),
        "partition" => {
            let fields = report.fields(value, "partition", PARTITION_FIELDS);
            between(report, fields).map(|between| EventKind::Partition { between })
        }
        "delay" => delay(report, value, files),
        "scale" => scale(report, value),
        "apply" => manifests(report, value, files).map(|files| EventKind::Apply { files }),
        "delete" => manifests(report, value, files).map(|files| EventKind::Delete { files }),
        _ => {
            let fields = report.fields(value, "rollout", ROLLOUT_FIELDS);
            let workload = workload(report, fields)?;
            Some(EventKind::Rollout { workload })
        }
    };
    let once = matches!(verb, "restore" | "scale" | "rollout" | "apply" | "delete");
    if let (true, Some(n)) = (once, fields.get("for")) {
        let what = format!("`{verb}` has no end of its own");
        report.error("TT-EVENT", n, what, "leave `for` out");
    }
    let at = at?;
    if let (Some(duration), Some(n)) = (duration, at_node)
        && at >= duration
    {
        let what = format!("the event at {at} never happens: the scenario takes {duration}");
        report.error("TT-EVENT", n, what, "make `duration` longer");
    }
    Some(TimedEvent {
        at,
        lasts,
        what: what?,
        origin: report.origin(node),
    })
}

fn fail(report: &mut Report, node: &Node) -> Option<EventKind> {
    let fields = report.fields(node, "fail", FAIL_FIELDS);
    let target = target(report, fields)?;
    let words = [
        ("kill", FailureKind::Kill),
        ("crash", FailureKind::Crash),
        ("hang", FailureKind::Hang),
        ("blackhole", FailureKind::Blackhole),
    ];
    let how = match fields.get("how") {
        Some(n) => report.word(n, &words)?,
        // Machines take their network with them.
        None => match target.of {
            TargetKind::Node(_) | TargetKind::Locality(_) => FailureKind::Blackhole,
            TargetKind::Workload(_) | TargetKind::Pod(_) => FailureKind::Kill,
        },
    };
    let noticed = match fields.get("noticed") {
        Some(n) => Some(report.duration(n, DURATION_MAX)?),
        None => None,
    };
    Some(EventKind::Fail {
        target,
        how,
        noticed,
    })
}

fn slow(report: &mut Report, node: &Node, files: Files<'_>) -> Option<EventKind> {
    let fields = report.fields(node, "slow", SLOW_FIELDS);
    let target = target(report, fields)?;
    let factor = match fields.get("factor") {
        Some(n) => {
            let factor = report.number(n)?;
            if !(0.0..=FACTOR_MAX).contains(&factor) {
                let what = format!("a factor of {factor} is not between 0 and {FACTOR_MAX}");
                report.error("TT-NUMBER", n, what, "write for example `factor: 5`");
                return None;
            }
            factor
        }
        None => 1.0,
    };
    let add = match fields.get("add") {
        Some(n) => Some(distribution(report, n, files)?),
        None => None,
    };
    if fields.get("factor").is_none() && add.is_none() {
        let help = "write `factor: 5` (times longer) or `add: 100ms`";
        report.missing(node, "factor", help);
        return None;
    }
    Some(EventKind::Slow {
        target,
        factor,
        add,
    })
}

fn errors(report: &mut Report, node: &Node) -> Option<EventKind> {
    let fields = report.fields(node, "errors", ERRORS_FIELDS);
    let target = target(report, fields)?;
    let error = app_error_of(report, node, fields)?;
    Some(EventKind::Errors {
        target,
        errors: vec![error],
    })
}

fn capacity(report: &mut Report, node: &Node) -> Option<EventKind> {
    let fields = report.fields(node, "capacity", CAPACITY_FIELDS);
    let target = target(report, fields)?;
    let share = fields.need(report, "share", "write for example `share: 25%`")?;
    let share = report.parsed::<Fraction>(share, "TT-SHARE")?;
    Some(EventKind::Capacity { target, share })
}

fn delay(report: &mut Report, node: &Node, files: Files<'_>) -> Option<EventKind> {
    let fields = report.fields(node, "delay", DELAY_FIELDS);
    let between = between(report, fields);
    let by = fields.need(report, "by", "write for example `by: 100ms`")?;
    let by = distribution(report, by, files)?;
    let between = between?;
    Some(EventKind::Delay { between, by })
}

fn scale(report: &mut Report, node: &Node) -> Option<EventKind> {
    let fields = report.fields(node, "scale", SCALE_FIELDS);
    let workload = workload(report, fields);
    let replicas = fields.need(report, "replicas", "write for example `replicas: 6`")?;
    let replicas = report.count32(replicas, 0, REPLICAS_MAX)?;
    Some(EventKind::Scale {
        workload: workload?,
        replicas,
    })
}

/// A file of manifests, or several.
fn manifests(report: &mut Report, node: &Node, files: Files<'_>) -> Option<Vec<Source>> {
    let help =
        "name files beside the scenario, for example `apply: v2.yaml` or `apply: [a.yaml, b.yaml]`";
    let items = match &node.value {
        Value::Sequence(_) => report.list(Some(node), "files"),
        _ => std::slice::from_ref(node),
    };
    if items.is_empty() {
        report.error("TT-EVENT", node, "no file is named".to_owned(), help);
        return None;
    }
    let mut sources = Vec::new();
    for item in items {
        let name = report.text(item)?;
        match files(&name) {
            Ok(text) => sources.push(Source::new(report.beside(&name), text)),
            Err(why) => {
                let what = format!("cannot read `{name}`: {why}");
                report.error("TT-EVENT", item, what, help);
                return None;
            }
        }
    }
    Some(sources)
}

fn workload(report: &mut Report, fields: Fields<'_>) -> Option<crate::xds::Name> {
    let help = "name it as `namespace/name`, for example `workload: production/reviews-v1`";
    let node = fields.need(report, "workload", help)?;
    let text = report.text(node)?;
    report.workload_name(&text, node)
}

/// `between: [a, b]`.
fn between(report: &mut Report, fields: Fields<'_>) -> Option<(Locality, Locality)> {
    let help = "write for example `between: [us-east, us-west]`";
    let node = fields.need(report, "between", help)?;
    let places: Vec<Locality> = (report.list(Some(node), "two localities").iter())
        .filter_map(|item| report.locality(item))
        .map(|text| Locality::parse(&text))
        .collect();
    let [from, to] = places.as_slice() else {
        let what = format!("`between` needs two localities, found {}", places.len());
        report.error("TT-EVENT", node, what, help);
        return None;
    };
    Some((from.clone(), to.clone()))
}

/// Exactly one of `workload`, `pod`, `node`, `zone`, `region`, and how many.
fn target(report: &mut Report, fields: Fields<'_>) -> Option<Target> {
    const KINDS: &[&str] = &["workload", "pod", "node", "zone", "region"];
    let mut kinds = KINDS.iter().filter_map(|k| Some((*k, fields.get(k)?)));
    let (Some((kind, node)), None) = (kinds.next(), kinds.next()) else {
        let what = format!("name the pods by exactly one of {}", KINDS.join(", "));
        let help = "write for example `workload: production/reviews-v1`";
        report.error("TT-EVENT-TARGET", fields.node, what, help);
        return None;
    };
    let of = match kind {
        "zone" | "region" => TargetKind::Locality(Locality::parse(&report.locality(node)?)),
        "node" => TargetKind::Node(report.text(node)?),
        _ => {
            let text = report.text(node)?;
            let name = report.workload_name(&text, node)?;
            if kind == "pod" {
                TargetKind::Pod(name)
            } else {
                TargetKind::Workload(name)
            }
        }
    };
    if let (TargetKind::Locality(place), "zone") = (&of, kind)
        && place.zone.is_empty()
    {
        let what = format!("`{place}` names a region, not a zone");
        let help = "write `region/zone`, for example `zone: us-east/us-east-1`, or use `region`";
        report.error("TT-EVENT-TARGET", node, what, help);
        return None;
    }
    let part = match fields.get("pods") {
        Some(n) => part(report, n)?,
        None => Part::All,
    };
    Some(Target { of, part })
}

fn part(report: &mut Report, node: &Node) -> Option<Part> {
    if let Value::Integer(_) = node.value {
        return report.count32(node, 1, REPLICAS_MAX).map(Part::Count);
    }
    report.parsed::<Fraction>(node, "TT-SHARE").map(Part::Share)
}
