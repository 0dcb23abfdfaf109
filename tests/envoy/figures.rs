//! What is compared: figures with names, made from the same rows on both sides.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use towtank::observe::Stat;

use crate::case::Head;

/// Confidence of comparisons within the spread.
const CONFIDENCE: f64 = 0.99;

/// One request as the client's proxy logs it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) load: String,
    pub(crate) status: String,
    pub(crate) flags: String,
    pub(crate) details: String,
    pub(crate) tries: String,
    pub(crate) cluster: String,
    pub(crate) pod: String,
    pub(crate) path: String,
    pub(crate) ms: f64,
}

/// Everything one side saw in one run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) rows: Vec<Row>,
    /// `cluster.NAME.STAT`.
    pub(crate) stats: BTreeMap<String, u64>,
    /// Requests that reached a pod.
    pub(crate) hits: BTreeMap<String, u64>,
}

/// Figures of one run by load.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) exact: BTreeMap<String, BTreeMap<String, u64>>,
    pub(crate) near: BTreeMap<String, BTreeMap<String, f64>>,
}

impl Row {
    fn field(&self, name: &str) -> String {
        match name {
            "status" => self.status.clone(),
            "flags" => self.flags.clone(),
            "details" => plain_details(&self.details),
            "tries" => format!("tries={}", self.tries),
            "cluster" => self.cluster.clone(),
            "pod" => format!("pod={}", self.pod),
            "path" => format!("path={}", self.path),
            other => panic!("requests have no field `{other}`"),
        }
    }
}

/// Without the operating system's words for what went wrong.
fn plain_details(details: &str) -> String {
    match details.split_once('|') {
        Some((before, _)) => format!("{before}}}"),
        None => details.to_owned(),
    }
}

/// The figures a case asks for.
pub(crate) fn figures(head: &Head, seen: &Seen, loads: &[String]) -> Figures {
    let mut figures = Figures::default();
    for load in loads {
        let rows: Vec<&Row> = seen.rows.iter().filter(|r| r.load == *load).collect();
        let exact = figures.exact.entry(load.clone()).or_default();
        let (plain, other): (Vec<&String>, Vec<&String>) =
            (head.exact.iter()).partition(|t| !t.contains(':') && *t != "hits");
        if !plain.is_empty() {
            for row in &rows {
                let fields: Vec<String> = plain.iter().map(|f| row.field(f)).collect();
                *exact.entry(fields.join(" ")).or_default() += 1;
            }
        }
        for token in other {
            exact.extend(counts(token, &rows, seen));
        }
        let near = figures.near.entry(load.clone()).or_default();
        for token in &head.near {
            near.extend(shares(token, &rows, seen));
        }
    }
    figures
}

fn counts(token: &str, rows: &[&Row], seen: &Seen) -> Vec<(String, u64)> {
    if token == "hits" {
        let named = |(pod, n): (&String, &u64)| (format!("hits of {pod}"), *n);
        return seen.hits.iter().map(named).collect();
    }
    if token.starts_with("server:") {
        let value = seen.stats.get(token).copied().unwrap_or(0);
        return vec![(token.to_owned(), value)];
    }
    if let Some(stat) = token.strip_prefix("proxy:") {
        let value = seen.stats.get(stat).copied().unwrap_or(0);
        return vec![(stat.to_owned(), value)];
    }
    let Some(stat) = token.strip_prefix("stat:") else {
        panic!("`{token}` is nothing that can be counted");
    };
    let mut clusters: Vec<&str> = rows.iter().map(|r| r.cluster.as_str()).collect();
    clusters.sort_unstable();
    clusters.dedup();
    if stat == "*" {
        return every_stat(&clusters, seen);
    }
    let value = |cluster: &&str| seen.stats.get(&format!("cluster.{cluster}.{stat}"));
    let sum = clusters.iter().filter_map(value).sum();
    vec![(stat.to_owned(), sum)]
}

/// Every counter that the simulator has, when it is not 0. Not the changes of membership: Envoy
/// counts the hosts it starts with as one, the simulator what happens in a run.
fn every_stat(clusters: &[&str], seen: &Seen) -> Vec<(String, u64)> {
    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    for cluster in clusters {
        let prefix = format!("cluster.{cluster}.");
        for (name, value) in &seen.stats {
            let Some(stat) = name.strip_prefix(&prefix) else {
                continue;
            };
            let compared = |s: &Stat| s.name() == stat && *s != Stat::MembershipChange;
            if *value > 0 && (is_by_status(stat) || Stat::ALL.iter().any(compared)) {
                *found.entry(stat.to_owned()).or_default() += value;
            }
        }
    }
    found.into_iter().collect()
}

fn is_by_status(stat: &str) -> bool {
    let plain = stat.strip_prefix("retry.").unwrap_or(stat);
    let rest = plain.strip_prefix("upstream_rq_");
    rest.is_some_and(|r| r == "completed" || r.starts_with(|c: char| c.is_ascii_digit()))
}

fn shares(token: &str, rows: &[&Row], seen: &Seen) -> Vec<(String, f64)> {
    let total = rows.len().max(1) as f64;
    if token == "ms" {
        let sum: f64 = rows.iter().map(|r| r.ms).sum();
        return vec![("ms".to_owned(), sum / total)];
    }
    let Some(field) = token.strip_prefix("share:") else {
        let counted = counts(token, rows, seen).into_iter();
        return counted.map(|(name, n)| (name, n as f64)).collect();
    };
    let mut found: BTreeMap<String, f64> = BTreeMap::new();
    for row in rows {
        *found.entry(row.field(field)).or_default() += 100.0 / total;
    }
    let named = found
        .into_iter()
        .map(|(name, share)| (format!("% {name}"), share));
    named.collect()
}

/// Mean, standard deviation and number of repeats.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) mean: f64,
    pub(crate) deviation: f64,
    pub(crate) count: f64,
}

impl Spread {
    pub(crate) fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count.max(1.0);
        let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
        Self {
            mean,
            deviation: (squares / (count - 1.0).max(1.0)).sqrt(),
            count,
        }
    }

    fn error(self) -> f64 {
        self.deviation * self.deviation / self.count
    }

    /// Do two means differ by no more than chance allows, with what a clock cannot see on top?
    ///
    /// The larger margin of Welch's t and of the pooled one counts: a handful of repeats of
    /// something discrete may happen to be equal, and the other side knows its spread better.
    pub(crate) fn agrees(self, other: Self, slack: f64) -> bool {
        let difference = (self.mean - other.mean).abs();
        let margin = self.welch(other).max(self.pooled(other));
        difference <= margin + slack + 1e-9
    }

    fn welch(self, other: Self) -> f64 {
        let variance = self.error() + other.error();
        let part = |s: Self| s.error() * s.error() / (s.count - 1.0).max(1.0);
        let freedom = variance * variance / (part(self) + part(other));
        margin(freedom, variance)
    }

    fn pooled(self, other: Self) -> f64 {
        let freedom = self.count + other.count - 2.0;
        let squares = |s: Self| s.deviation * s.deviation * (s.count - 1.0);
        let variance = (squares(self) + squares(other)) / freedom.max(1.0);
        margin(freedom, variance * (1.0 / self.count + 1.0 / other.count))
    }
}

fn margin(freedom: f64, variance: f64) -> f64 {
    if variance <= 1e-18 {
        return 0.0;
    }
    let t = StudentsT::new(0.0, 1.0, freedom.max(1.0)).expect("a distribution");
    t.inverse_cdf(0.5 + CONFIDENCE / 2.0) * variance.sqrt()
}

#[test]
fn means_agree_when_chance_explains_the_difference() {
    let check = |a: &[f64], b: &[f64], slack: f64, agrees: bool| {
        assert_eq!(
            Spread::of(a).agrees(Spread::of(b), slack),
            agrees,
            "{a:?} {b:?}"
        );
    };
    check(&[10.0, 12.0, 11.0], &[11.0, 10.0, 12.5], 0.0, true);
    check(&[10.0, 10.1, 9.9], &[12.0, 12.1, 11.9], 0.0, false);
    check(&[10.0, 10.1, 9.9], &[12.0, 12.1, 11.9], 2.0, true);
    check(&[5.0, 5.0], &[5.0, 5.0], 0.0, true);
    check(&[5.0, 5.0], &[6.0, 6.0], 0.0, false);
}
