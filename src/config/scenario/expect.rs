//! `expect` of a Scenario: what has to hold of a run.

use std::fmt;

use crate::units::{Origin, SimDuration};
use crate::xds::Name;

/// One thing that has to hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// As it was written.
    pub text: Name,
    /// What has to hold.
    pub assertion: Assertion,
    /// Where it was written.
    pub origin: Origin,
}

/// What has to hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Assertion {
    /// A figure stands in a relation to a bound.
    Compare {
        /// What is measured.
        figure: Figure,
        /// The relation.
        relation: Relation,
        /// The bound, in the figure's own unit.
        bound: f64,
    },
    /// A finding of this code is not among those of the run.
    NoFinding(Name),
    /// A finding of this code is among them: the scenario shows trouble that is known.
    Finding(Name),
}

/// A number that a run gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Of what.
    pub kind: FigureKind,
    /// Only this load; `None` with neither `from` nor `to`: all loads.
    pub load: Option<Name>,
    /// Calls of this workload.
    pub from: Option<Name>,
    /// Calls of this workload or Service; for figures of a server, the workload itself; for
    /// statistics, the cluster.
    pub to: Option<Name>,
    /// Only windows of the series from here to there.
    pub between: Option<(SimDuration, SimDuration)>,
}

/// What a figure measures.
#[derive(Clone, Debug, PartialEq)]
pub enum FigureKind {
    /// Time from the call to the last byte, as the caller sees it.
    Latency(Statistic),
    /// Time that requests waited at the pods of a workload.
    QueueTime(Statistic),
    /// Mean requests waiting at the pods of a workload.
    QueueMean,
    /// Most requests waiting at one pod of a workload.
    QueueMax,
    /// Share of answers with 5xx, or without any.
    ErrorRate,
    /// Tries per call.
    Amplification,
    /// Calls that ended, per second of counted time.
    RequestsPerSecond,
    /// Mean share of busy slots of a workload.
    Utilisation,
    /// Share of the calls that this subset, cluster or workload took.
    Share(Name),
    /// A statistic of Envoy's cluster manager.
    Stat(Name),
    /// From the end of the scenario's last event to the first moment after which the share of
    /// errors stays at or below `error_rate` in every window.
    RecoveryTime {
        /// When the last event ended.
        after: SimDuration,
        /// Share of errors that counts as recovered.
        error_rate: f64,
    },
}

/// How many values become one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Statistic {
    /// The value that this share of all values does not exceed.
    Quantile(f64),
    /// The mean.
    Mean,
    /// The greatest.
    Max,
}

/// How a figure has to stand to its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
}

/// In what a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds.
    Milliseconds,
    /// A share of one.
    Share,
    /// Per second.
    PerSecond,
    /// A plain number.
    Number,
}

impl FigureKind {
    /// Its unit.
    pub const fn unit(&self) -> Unit {
        match self {
            Self::Latency(_) | Self::QueueTime(_) | Self::RecoveryTime { .. } => Unit::Milliseconds,
            Self::ErrorRate | Self::Utilisation | Self::Share(_) => Unit::Share,
            Self::RequestsPerSecond => Unit::PerSecond,
            Self::QueueMean | Self::QueueMax | Self::Amplification | Self::Stat(_) => Unit::Number,
        }
    }

    /// True when one replication out of line is enough to break the expectation, because a mean
    /// over replications would hide it: maxima, counts, recovery.
    pub const fn every_replication(&self) -> bool {
        matches!(
            self,
            Self::QueueMax
                | Self::Stat(_)
                | Self::RecoveryTime { .. }
                | Self::Latency(Statistic::Max)
                | Self::QueueTime(Statistic::Max)
        )
    }
}

impl Relation {
    /// True when a value stands so to the bound.
    #[expect(
        clippy::float_cmp,
        reason = "counts are whole numbers; the reader is told"
    )]
    pub fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::Less => value < bound,
            Self::AtMost => value <= bound,
            Self::Greater => value > bound,
            Self::AtLeast => value >= bound,
            Self::Equal => value == bound,
            Self::NotEqual => value != bound,
        }
    }

    /// True for `==` and `!=`, which no interval can decide.
    pub const fn is_exact(self) -> bool {
        matches!(self, Self::Equal | Self::NotEqual)
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
        })
    }
}
