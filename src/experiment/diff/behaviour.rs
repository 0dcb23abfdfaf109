//! What loads and callers saw, pair by pair: differences with their intervals.
//!
//! For every figure the differences within pairs have a mean and a Student t interval. A report
//! has many figures, and of twenty that do not differ one would seem to at 95 %; so a difference
//! is believed only where it stands against all of them together (Holm's step-down method, 5 %
//! for the whole report). For what is not believed, [`Metric::visible`] says how large a
//! difference would have been seen in four of five such reports.

use std::collections::BTreeMap;

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::experiment::expectation::failed;
use crate::observe::Interval;
use crate::observe::record::{Quantity, Record};
use crate::units::SimDuration;

/// Chance that a report without any difference claims one.
const LEVEL: f64 = 0.05;
/// Differences that matter: of a share, and of anything else as a part of the figure.
const SHARE_MATTERS: f64 = 0.02;
const PART_MATTERS: f64 = 0.25;
/// Share of reports in which a difference of the size of [`Metric::visible`] is seen.
const POWER: f64 = 0.8;

/// Who saw it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A load, by its number and name.
    Load(usize, String),
    /// Calls of a workload (or load) to another workload, or to a host that no pod answered for.
    Edge(String, String),
}

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    /// Ended per second of counted time.
    Requests,
    /// Share that failed: 5xx, a gRPC status other than OK, or no answer.
    ErrorRate,
    /// Median latency.
    P50,
    /// 99th percentile of latency.
    P99,
    /// Tries per request.
    Attempts,
}

impl Figure {
    /// All, in the order of reports.
    pub const ALL: [Self; 5] = [
        Self::Requests,
        Self::ErrorRate,
        Self::P50,
        Self::P99,
        Self::Attempts,
    ];

    /// As expectations name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests_per_second",
            Self::ErrorRate => "error_rate",
            Self::P50 => "p50",
            Self::P99 => "p99",
            Self::Attempts => "amplification",
        }
    }

    /// Its unit.
    pub const fn unit(self) -> Quantity {
        match self {
            Self::Requests => Quantity::PerSecond,
            Self::ErrorRate => Quantity::Share,
            Self::P50 | Self::P99 => Quantity::Milliseconds,
            Self::Attempts => Quantity::Number,
        }
    }
}

/// What can be said of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It is one.
    Difference,
    /// Luck would do the same.
    Noise,
    /// Not the smallest difference in any pair.
    Equal,
    /// One pair tells no chance from a difference, or only one side has the figure.
    Unknown,
}

/// One figure of one subject.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// Which.
    pub figure: Figure,
    /// Mean over replications; `None` where nothing was counted.
    pub before: Option<f64>,
    /// The same after.
    pub after: Option<f64>,
    /// Mean of the differences within pairs, with its 95 % interval.
    pub difference: Option<Interval>,
    /// What can be said of it.
    pub seen: Seen,
    /// A difference of this size would have been seen in four of five reports.
    pub visible: Option<f64>,
    /// How many times the variance of the difference would be without pairing.
    pub pairing: Option<f64>,
    chance: Option<f64>,
}

impl Metric {
    /// True when it is told from luck no more than from a difference that matters: the interval
    /// reaches as far as one.
    pub fn is_open(&self) -> bool {
        let (Seen::Noise, Some(interval)) = (self.seen, self.difference) else {
            return false;
        };
        let matters = match self.figure.unit() {
            Quantity::Share => SHARE_MATTERS,
            _ => PART_MATTERS * self.before.unwrap_or(0.0).max(self.after.unwrap_or(0.0)),
        };
        interval.mean.abs() + interval.half > matters
    }
}

/// Everything about one subject.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Who.
    pub subject: Subject,
    /// Pairs in which both sides saw something.
    pub pairs: usize,
    /// In the order of [`Figure::ALL`].
    pub metrics: Vec<Metric>,
}

impl Row {
    /// True when some figure differs, or only one side has this subject.
    pub fn differs(&self) -> bool {
        let one_sided = |m: &Metric| m.before.is_some() != m.after.is_some();
        self.metrics
            .iter()
            .any(|m| m.seen == Seen::Difference || one_sided(m))
    }
}

type Figures = [Option<f64>; Figure::ALL.len()];

/// The figures of one replication.
#[derive(Clone, Debug, Default)]
pub struct Sample(BTreeMap<Subject, Figures>);

impl Sample {
    /// Takes them from the record of a single replication.
    pub(super) fn of(record: &Record) -> Self {
        let seconds = record.duration.as_secs_f64() - record.warm_up.as_secs_f64();
        let mut calls = BTreeMap::<Subject, Calls>::new();
        for (number, client) in record.clients.iter().enumerate() {
            let of = calls
                .entry(Subject::Load(number, client.name.clone()))
                .or_default();
            of.requests = client.requests;
            of.failed = failed(&client.statuses);
            let tries = client.attempts.iter();
            of.attempts = tries.map(|(tries, n)| u64::from(*tries) * n).sum();
            of.latency = client.latency.clone();
        }
        for edge in &record.edges {
            let called = if edge.to == "-" {
                &edge.service
            } else {
                &edge.to
            };
            let of = calls
                .entry(Subject::Edge(edge.from.clone(), called.clone()))
                .or_default();
            of.requests += edge.requests;
            of.attempts += edge.attempts;
            of.failed += failed(&edge.statuses);
            of.latency.merge(&edge.latency);
        }
        let all = calls.into_iter();
        Self(
            all.map(|(subject, calls)| (subject, calls.figures(seconds)))
                .collect(),
        )
    }
}

#[derive(Default)]
struct Calls {
    requests: u64,
    attempts: u64,
    failed: u64,
    latency: crate::observe::Histogram,
}

impl Calls {
    fn figures(&self, seconds: f64) -> Figures {
        let per_request = |n: u64| (self.requests > 0).then(|| n as f64 / self.requests as f64);
        let quantile = |q| {
            let at = (!self.latency.is_empty()).then(|| self.latency.quantile(q));
            at.map(SimDuration::as_millis_f64)
        };
        [
            (seconds > 0.0).then(|| self.requests as f64 / seconds),
            per_request(self.failed),
            quantile(0.5),
            quantile(0.99),
            per_request(self.attempts),
        ]
    }
}

/// Compares replication with replication.
pub fn compare_samples(before: &[Sample], after: &[Sample]) -> Vec<Row> {
    let mut subjects: Vec<&Subject> = before
        .iter()
        .chain(after)
        .flat_map(|s| s.0.keys())
        .collect();
    subjects.sort_unstable();
    subjects.dedup();
    let mut rows: Vec<Row> = subjects
        .into_iter()
        .map(|s| row(s, before, after))
        .collect();
    believe(&mut rows);
    rows
}

fn row(subject: &Subject, before: &[Sample], after: &[Sample]) -> Row {
    let values = |samples: &[Sample], figure: usize| -> Vec<Option<f64>> {
        let of = |sample: &Sample| sample.0.get(subject).and_then(|figures| figures[figure]);
        samples.iter().map(of).collect()
    };
    let one = |(number, figure): (usize, Figure)| {
        metric(figure, &values(before, number), &values(after, number))
    };
    let metrics: Vec<Metric> = Figure::ALL.into_iter().enumerate().map(one).collect();
    let both = before.iter().zip(after);
    let pairs = both.filter(|(b, a)| b.0.contains_key(subject) && a.0.contains_key(subject));
    Row {
        subject: subject.clone(),
        pairs: pairs.count(),
        metrics,
    }
}

fn metric(figure: Figure, before: &[Option<f64>], after: &[Option<f64>]) -> Metric {
    let pairs: Vec<(f64, f64)> = before
        .iter()
        .zip(after)
        .filter_map(|(b, a)| Some(((*b)?, (*a)?)))
        .collect();
    let differences: Vec<f64> = pairs.iter().map(|(b, a)| a - b).collect();
    let mut metric = Metric {
        figure,
        before: mean(&before.iter().copied().flatten().collect::<Vec<_>>()),
        after: mean(&after.iter().copied().flatten().collect::<Vec<_>>()),
        difference: Interval::of(&differences),
        seen: Seen::Unknown,
        visible: None,
        pairing: None,
        chance: None,
    };
    if !differences.is_empty() && differences.iter().all(|d| d.abs() < 1e-12) {
        metric.seen = Seen::Equal;
        return metric;
    }
    let Some(interval) = metric.difference else {
        return metric;
    };
    metric.seen = Seen::Noise;
    let own = |side: fn(&(f64, f64)) -> f64| variance(&pairs.iter().map(side).collect::<Vec<_>>());
    let paired = variance(&differences);
    if paired > 0.0 {
        metric.pairing = Some((own(|p| p.0) + own(|p| p.1)) / paired);
    }
    metric.chance = Some(chance(interval.mean, paired, differences.len()));
    metric
}

/// Chance of a mean at least this far from zero when there is no difference.
fn chance(mean: f64, variance: f64, n: usize) -> f64 {
    let error = (variance / n as f64).sqrt();
    if error <= 0.0 {
        return 0.0;
    }
    let t = StudentsT::new(0.0, 1.0, n as f64 - 1.0);
    t.map_or(1.0, |t| 2.0 * (1.0 - t.cdf((mean / error).abs())))
}

/// Holm: the smallest chance has to be below level / m, the next below level / (m - 1), …
fn believe(rows: &mut [Row]) {
    let pairs: Vec<usize> = rows.iter().map(|row| row.pairs).collect();
    let all = rows
        .iter_mut()
        .enumerate()
        .flat_map(|(at, row)| row.metrics.iter_mut().map(move |m| (at, m)));
    let mut all: Vec<(usize, &mut Metric)> = all.filter(|(_, m)| m.chance.is_some()).collect();
    all.sort_by(|(_, a), (_, b)| a.chance.unwrap_or(1.0).total_cmp(&b.chance.unwrap_or(1.0)));
    let count = all.len();
    let mut stands = true;
    for (number, (row, metric)) in all.into_iter().enumerate() {
        let level = LEVEL / (count - number) as f64;
        stands &= metric.chance.is_some_and(|chance| chance <= level);
        if stands {
            metric.seen = Seen::Difference;
        }
        metric.visible = visible(metric, pairs[row], level);
    }
}

/// The difference that this many pairs show with [`POWER`] at a level.
fn visible(metric: &Metric, pairs: usize, level: f64) -> Option<f64> {
    let degrees = pairs as f64 - 1.0;
    let t = StudentsT::new(0.0, 1.0, degrees).ok()?;
    // The 95 % interval's half width is t(0.975) standard errors.
    let error = metric.difference?.half / t.inverse_cdf(0.975);
    let size = (t.inverse_cdf(1.0 - level / 2.0) + t.inverse_cdf(POWER)) * error;
    format!("{size:.8e}").parse().ok()
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn variance(values: &[f64]) -> f64 {
    let Some(mean) = mean(values) else { return 0.0 };
    let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    squares / (values.len() as f64 - 1.0).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(figure: Figure, before: &[f64], after: &[f64]) -> bool {
        let some = |values: &[f64]| values.iter().copied().map(Some).collect::<Vec<_>>();
        let metric = metric(figure, &some(before), &some(after));
        assert_eq!(metric.seen, Seen::Noise);
        metric.is_open()
    }

    #[test]
    fn a_wide_interval_is_no_proof_of_no_difference() {
        assert!(open(Figure::ErrorRate, &[0.0, 0.0], &[0.31, 0.42]));
        assert!(open(Figure::P50, &[10.0, 12.0], &[10.0, 17.0]));
        let (before, after) = ([0.010, 0.011, 0.012], [0.012, 0.010, 0.011]);
        assert!(!open(Figure::ErrorRate, &before, &after));
        assert!(!open(Figure::P50, &[100.0, 101.0], &[101.0, 101.0]));
    }
}
