//! `TT-CASCADE`: one workload fills up, and those that wait for it fill up after it.
//!
//! A request that waits for a call keeps its place. When the called workload is full, the places of
//! its callers are held for longer, until those have none left either, for other requests too. So
//! the order is read from the course of every workload: who was full first, and whose requests
//! kept their places for longer than before once that one was full.

use std::collections::BTreeMap;

use super::course::{Window, windows};
use super::{Context, percent};
use crate::observe::Record;
use crate::observe::record::proxy_of;
use crate::observe::record::{Finding, Severity, WorkloadCourse, WorkloadWindow};

/// As many requests wait as half of the places take: no burst any more.
const WAITING: f64 = 0.5;
/// Or this share is refused.
const REFUSED: f64 = 0.05;
/// Windows in a row.
const IN_A_ROW: usize = 2;
/// How many times as long as before a place is held.
const HELD: f64 = 1.5;
/// Share of failed requests in the worst window from which it is an error.
const GRAVE: f64 = 0.2;

/// One that is full, and whose callers fill up after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Cascade {
    /// Who was full first.
    pub root: String,
    /// Its places; 0 when it has no pods left.
    pub places: u64,
    /// The first of its callers that filled up, and the cluster it calls.
    pub caller: (String, String),
    /// For how long a request kept its place there before, in seconds.
    pub held: f64,
}

/// Everything that is known of one that is full.
struct Full<'r> {
    course: &'r WorkloadCourse,
    /// Length of a window, in seconds.
    length: f64,
    /// First window.
    begins: usize,
    /// For how long a place was held before, in seconds; `None`: it was never well.
    before: Option<f64>,
    /// Whom it waits for, and the cluster by which it calls it.
    waits_for: Option<(&'r str, &'r str)>,
}

impl Full<'_> {
    fn window(&self) -> &WorkloadWindow {
        &self.course.windows[self.begins]
    }

    fn at(&self) -> f64 {
        self.window().at.as_secs_f64()
    }

    /// How many times as long as before its places are held while it is full.
    fn longer(&self) -> Option<f64> {
        let full = &self.course.windows[self.begins..];
        let full: Vec<&WorkloadWindow> = full.iter().take_while(|w| is_full(w)).collect();
        Some(held(full.into_iter(), self.length)? / self.before?)
    }
}

pub(super) fn judge(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let all = full(context.record);
    for (name, root) in &all {
        let mut followers = followers(&all, name);
        if root.waits_for.is_some() || followers.is_empty() {
            continue;
        }
        followers.sort_by_key(|f| (f.begins, &f.course.name));
        findings.push(finding(context, root, &followers));
    }
}

/// The first cascade of a run.
pub fn cascade(record: &Record) -> Option<Cascade> {
    let all = full(record);
    let roots = all.iter().filter(|(_, root)| root.waits_for.is_none());
    let found = roots.filter_map(|(name, root)| {
        let first = followers(&all, name)
            .into_iter()
            .filter(|f| f.waits_for.is_some_and(|(to, _)| to == *name))
            .min_by_key(|f| (f.begins, &f.course.name))?;
        let (_, cluster) = first.waits_for?;
        Some((
            root.begins,
            Cascade {
                root: (*name).to_owned(),
                places: root.window().places.unwrap_or(0),
                caller: (first.course.name.clone(), cluster.to_owned()),
                held: root.before.unwrap_or(0.0),
            },
        ))
    });
    found.min_by_key(|(begins, _)| *begins).map(|(_, c)| c)
}

/// Workloads that are full for a while, by name.
fn full(record: &Record) -> BTreeMap<&str, Full<'_>> {
    let length = record.series.window.as_secs_f64();
    let mut all: BTreeMap<&str, Full<'_>> = BTreeMap::new();
    for course in &record.courses {
        let rows = course.windows.windows(IN_A_ROW);
        let Some(begins) = rows.enumerate().find(|(_, row)| row.iter().all(is_full)) else {
            continue;
        };
        let begins = begins.0;
        let before = held(
            course.windows[..begins].iter().filter(|w| !is_full(w)),
            length,
        );
        let known = Full {
            course,
            length,
            begins,
            before,
            waits_for: None,
        };
        all.insert(&course.name, known);
    }
    let waits: Vec<(&str, (&str, &str))> = all
        .iter()
        .filter_map(|(name, one)| Some((*name, waits_for(record, &all, name, one)?)))
        .collect();
    for (name, whom) in waits {
        if let Some(one) = all.get_mut(name) {
            one.waits_for = Some(whom);
        }
    }
    all
}

/// Whom a full workload waits for: one that it calls, that was full before it or with it, and since
/// when its own places are held for longer.
fn waits_for<'r>(
    record: &'r Record,
    all: &BTreeMap<&'r str, Full<'r>>,
    name: &str,
    one: &Full<'_>,
) -> Option<(&'r str, &'r str)> {
    if one.longer()? < HELD {
        return None;
    }
    let calls = record.edges.iter();
    let calls = calls.filter(|e| proxy_of(&e.from) == name && e.from == proxy_of(&e.from));
    let candidates = calls.filter_map(|edge| {
        let (callee, other) = all.get_key_value(edge.to.as_str())?;
        (*callee != name && other.begins <= one.begins).then_some((other.begins, *callee, edge))
    });
    let first = candidates.min_by_key(|(begins, callee, edge)| (*begins, *callee, &edge.cluster));
    first.map(|(_, callee, edge)| (callee, edge.cluster.as_str()))
}

/// Everybody who waits for this one, or for somebody who does.
fn followers<'a, 'r>(all: &'a BTreeMap<&'r str, Full<'r>>, root: &str) -> Vec<&'a Full<'r>> {
    let leads = |one: &Full<'_>| {
        let mut at = one.waits_for;
        // Who waits for whom is no circle where calls are none; this one ends in any case.
        for _ in 0..all.len() {
            match at {
                Some((whom, _)) if whom == root => return true,
                Some((whom, _)) => at = all.get(whom).and_then(|next| next.waits_for),
                None => return false,
            }
        }
        false
    };
    all.values().filter(|one| leads(one)).collect()
}

fn is_full(window: &WorkloadWindow) -> bool {
    let Some(places) = window.places else {
        return false;
    };
    let arrived = window.requests + window.rejected;
    let refuses = arrived > 0 && window.rejected as f64 >= REFUSED * arrived as f64;
    places > 0 && (window.waiting >= WAITING * places as f64 || refuses)
}

/// For how long a place is held, in seconds (Little's law over some windows of this length).
fn held<'w>(windows: impl Iterator<Item = &'w WorkloadWindow>, length: f64) -> Option<f64> {
    let (mut busy, mut answered, mut count) = (0.0, 0, 0_u64);
    for window in windows {
        busy += window.busy;
        answered += window.answered;
        count += 1;
    }
    (count > 0 && busy > 0.0).then(|| busy * length / (answered as f64).max(0.5))
}

fn finding(context: &Context<'_>, root: &Full<'_>, followers: &[&Full<'_>]) -> Finding {
    let mut chain = vec![format!(
        "{:.1} s: {} {}",
        root.at(),
        root.course.name,
        places(root)
    )];
    for one in followers {
        let longer = one.longer().filter(|l| l.is_finite()).unwrap_or(1.0);
        chain.push(format!(
            "{:.1} s: {} {}; its requests keep their places {longer:.1} times as long as before, waiting for {}",
            one.at(),
            one.course.name,
            places(one),
            one.waits_for.map_or("others", |(whom, _)| whom)
        ));
    }
    let worst = worst(context.record, root.at());
    if let Some((client, window)) = &worst {
        chain.push(format!(
            "{:.1} s: {} of the requests of `{client}` fail",
            window.at,
            percent(share(window))
        ));
    }
    let grave = worst.is_some_and(|(_, window)| share(&window) >= GRAVE);
    let names: Vec<&str> = followers.iter().map(|f| f.course.name.as_str()).collect();
    Finding {
        code: "TT-CASCADE",
        severity: if grave {
            Severity::Error
        } else {
            Severity::Warning
        },
        what: format!(
            "`{}` fills up, and {} after it",
            root.course.name,
            names.join(", ")
        ),
        chain,
        cause: cause(context, followers),
        help: "let callers wait for less long (a timeout a little above what is usual), let fewer of them wait (`http2MaxRequests`, or a pool of the application), or let the full one refuse early (a short queue)".to_owned(),
        edges: Vec::new(),
        counterfactual: None,
    }
}

fn places(one: &Full<'_>) -> String {
    let window = one.window();
    let places = window.places.unwrap_or(0);
    if window.rejected > 0 {
        format!(
            "is full ({places} places, {:.0} wait, {} are refused)",
            window.waiting, window.rejected
        )
    } else {
        format!("is full ({places} places, {:.0} wait)", window.waiting)
    }
}

/// How long the first caller may wait, and where that stands.
fn cause(context: &Context<'_>, followers: &[&Full<'_>]) -> Option<String> {
    let first = followers.first()?;
    let (whom, cluster) = first.waits_for?;
    let name = &first.course.name;
    let (timeout, place) = context.timeout_of(name, cluster)?;
    Some(match (timeout, place) {
        (None, _) => format!(
            "the missing timeout of {name} for {whom}: Istio's default is to wait without end"
        ),
        (Some(t), Some(place)) => format!("the timeout of {name} for {whom}, {t} at {place}"),
        (Some(t), None) => format!("the timeout of {name} for {whom}, {t}"),
    })
}

/// The worst window of any load from a moment on.
fn worst(record: &Record, from: f64) -> Option<(String, Window)> {
    let mut worst: Option<(String, Window)> = None;
    for (index, client) in (0..).zip(&record.clients) {
        let course = windows(record, &record.series, index);
        for window in course.into_iter().filter(|w| w.at >= from && w.errors > 0) {
            let is_worse = |(_, other): &(String, Window)| share(&window) > share(other);
            if worst.as_ref().is_none_or(is_worse) {
                worst = Some((client.name.clone(), window));
            }
        }
    }
    worst
}

fn share(window: &Window) -> f64 {
    window.errors as f64 / window.requests.max(1) as f64
}
