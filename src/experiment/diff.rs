//! Two meshes under the same scenario and the same luck: what differs, and what is only noise.
//!
//! Both are run with the same seed, replication by replication. Every draw belongs to a named
//! entity and a request, so what the change does not touch has the same luck on both sides, and
//! the difference within a pair varies far less than each side does. [`tables`] compares what
//! proxies are told, [`Row`]s what loads and callers saw, [`Judgement`] what it means.

mod behaviour;
mod fields;
mod judgement;
mod tables;

pub use behaviour::{Figure, Metric, Row, Seen, Subject, compare_samples};
pub use fields::Field;
pub use judgement::{Judgement, Shift};
pub use tables::{Change, Entry, Kind, Sign, TablePlan, tables};

use super::replicate::{Expected, replicate_each};
use crate::observe::Record;
use crate::simulation::{Control, Plan};
use crate::verdict;
use crate::xds::Snapshot;

use behaviour::Sample;

/// One side, ready to be run.
#[derive(Clone, Copy)]
pub struct Variant<'a> {
    /// Its tables.
    pub snapshot: &'a Snapshot,
    /// Its scenario, prepared.
    pub plan: &'a Plan,
    /// What its scenario expects.
    pub expected: Expected<'a>,
}

/// How both sides are run.
#[derive(Clone, Copy, Debug)]
pub struct Luck {
    /// Seed.
    pub seed: u64,
    /// Pairs.
    pub replications: u32,
    /// Threads; `None` is one per core.
    pub threads: Option<usize>,
}

/// What running both sides gave.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Everything that was counted before, all replications.
    pub before: Record,
    /// The same after.
    pub after: Record,
    /// Loads in the scenario's order, then who called whom in name order.
    pub rows: Vec<Row>,
    /// Findings and expectations.
    pub judgement: Judgement,
}

impl Comparison {
    /// True when not a single event differs.
    pub fn is_identical(&self) -> bool {
        self.before.digest == self.after.digest
    }

    /// True when something can be told apart from luck, or is judged differently.
    pub fn differs(&self) -> bool {
        self.rows.iter().any(Row::differs) || self.judgement.differs()
    }
}

/// Runs both sides, pair by pair.
pub fn compare(
    before: Variant<'_>,
    after: Variant<'_>,
    luck: Luck,
    control: &Control<'_>,
) -> Comparison {
    let half = |from: f64| move |done: f64| control.progress.map_or((), |p| p(from + done / 2.0));
    let (first, second) = (half(0.0), half(0.5));
    let run = |side: Variant<'_>, progress: &(dyn Fn(f64) + Sync)| {
        let control = Control {
            progress: control.progress.is_some().then_some(progress),
            ..*control
        };
        let mut samples = Vec::new();
        let mut record = replicate_each(
            side.plan,
            luck.seed,
            luck.replications,
            luck.threads,
            &control,
            side.expected,
            &mut |one| samples.push(Sample::of(one)),
        );
        record.findings = verdict::judge(&record, side.snapshot);
        super::settle_findings(side.expected.expectations, &mut record);
        (record, samples)
    };
    let (before, was) = run(before, &first);
    let (after, is) = run(after, &second);
    Comparison {
        rows: compare_samples(&was, &is),
        judgement: Judgement::of(&before, &after),
        before,
        after,
    }
}
