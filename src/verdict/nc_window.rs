//! `TT-NC-WINDOW`: routes lead to a cluster that proxies do not have yet, or not any more.
//!
//! istiod sends clusters before routes, so one push is safe in one direction: what it brings is
//! there before it is used. Two pushes in the wrong order, or a push that takes a cluster away
//! together with the route to it, leave a time in which requests are answered 503 `NC`
//! (`istio-config.md` §8.3).

use super::{Context, percent};
use crate::observe::record::{EdgeRecord, Finding, Happening, Severity, flagged};
use crate::units::Origin;
use crate::xds::{Action, Snapshot};

/// Ends of the sentences that tell of a change of configuration.
const CHANGES: [&str; 4] = [" is applied", " are applied", " is deleted", " are deleted"];

pub(super) fn judge(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let record = context.record;
    let is_change = |h: &&Happening| CHANGES.iter().any(|end| h.what.ends_with(end));
    let changes: Vec<&Happening> = record.happenings.iter().filter(is_change).collect();
    if changes.is_empty() {
        return;
    }
    for edge in &record.edges {
        let lost = flagged(&edge.flags, "NC");
        if lost > 0 {
            findings.push(finding(context, edge, lost, &changes));
        }
    }
}

fn finding(context: &Context<'_>, edge: &EdgeRecord, lost: u64, changes: &[&Happening]) -> Finding {
    let cluster = edge.cluster.as_str();
    let all: u64 = (context.record.edges.iter())
        .filter(|other| other.from == edge.from && other.service == edge.service)
        .map(|other| other.requests)
        .sum();
    let share = percent(lost as f64 / all.max(1) as f64);
    let gap = Gap::of(context.versions, cluster);
    let change = |version: usize| version.checked_sub(1).and_then(|at| changes.get(at));
    let told = |version: usize| {
        change(version).map_or_else(
            || "from the start".to_owned(),
            |h| format!("{:.1} s, when {}", h.at.as_secs_f64(), h.what),
        )
    };
    let why = match (gap.opens, gap.closes) {
        (Some(opens), Some(closes)) => format!(
            "routes lead there from {}; the cluster is there from {}",
            told(opens),
            told(closes)
        ),
        (Some(opens), None) => format!(
            "routes lead there from {}; the cluster is not there to the end",
            told(opens)
        ),
        (None, _) => format!(
            "the cluster goes with the route to it, and a proxy hears of clusters first: {}",
            gap.goes.map_or_else(|| "in one push".to_owned(), told)
        ),
    };
    let pushes = context.record.happenings.iter();
    let pushes = pushes.filter(|h| {
        h.what.starts_with("every proxy has the new configuration")
            || changes.iter().any(|c| c.what == h.what)
    });
    Finding {
        code: "TT-NC-WINDOW",
        severity: Severity::Error,
        what: format!(
            "{lost} of {all} requests of `{}` to {} ({share}) find no cluster `{cluster}` and are answered 503 NC: {why}",
            edge.from, edge.service
        ),
        chain: pushes
            .map(|h| format!("{:.2} s: {}", h.at.as_secs_f64(), h.what))
            .collect(),
        cause: gap.route.map(|origin| context.snapshot.origins.place(origin)),
        help: "apply what brings a subset first and what uses it a second later, or both in one go; when one goes, first what uses it".to_owned(),
        edges: Vec::new(),
        counterfactual: None,
    }
}

/// When routes and clusters do not fit together, in versions of the tables.
#[derive(Debug, Default, PartialEq, Eq)]
struct Gap {
    /// The first version in which some proxy has the route and not the cluster.
    opens: Option<usize>,
    /// The first version after it in which none has.
    closes: Option<usize>,
    /// The version that takes the cluster.
    goes: Option<usize>,
    /// Where the route is written.
    route: Option<Origin>,
}

impl Gap {
    fn of(first: &Snapshot, cluster: &str) -> Self {
        let mut gap = Self::default();
        let mut was_there = false;
        for version in 0..=first.later.len() {
            let tables = first.at(version);
            let (missing, there) = (missing(tables, cluster), is_there(tables, cluster));
            match (gap.opens, missing) {
                (None, Some(origin)) => (gap.opens, gap.route) = (Some(version), Some(origin)),
                (Some(_), None) if gap.closes.is_none() => gap.closes = Some(version),
                _ => {}
            }
            if was_there && !there {
                gap.goes = gap.goes.or(Some(version));
            }
            was_there = there;
        }
        gap
    }
}

fn is_there(tables: &Snapshot, cluster: &str) -> bool {
    tables.clusters.iter().any(|c| *c.name == *cluster)
}

/// A route to the cluster in tables that do not have it.
fn missing(snapshot: &Snapshot, cluster: &str) -> Option<Origin> {
    let without =
        (snapshot.tables.iter()).filter(|tables| snapshot.cluster_named(tables, cluster).is_none());
    let configs = without.flat_map(|tables| &tables.routes);
    let routes = configs
        .flat_map(|id| &snapshot.route_configs[*id].virtual_hosts)
        .flat_map(|host| host.routes.iter());
    let mut weighted = routes.filter_map(|route| match &route.action {
        Action::Forward(forward) => forward.clusters.iter().find(|c| *c.name == *cluster),
        _ => None,
    });
    weighted.next().map(|weighted| weighted.origin)
}
