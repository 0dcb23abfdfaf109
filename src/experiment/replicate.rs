//! Independent repetitions of one plan, on threads.

use std::slice;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use rayon::prelude::*;

use super::expectation::{Values, judge, measure};
use crate::config::scenario::Expectation;
use crate::engine::Seed;
use crate::observe::Record;
use crate::simulation::{Control, Outcome, Plan, record, run};
use crate::units::Origins;
use crate::xds::Snapshot;

/// Runs `replications` of a plan and merges them by number. `threads`: how many at once; `None` is one per core.
///
/// After an interruption the ones that have not begun are left out, so that the record speaks of
/// no more than was simulated.
pub fn replicate(
    plan: &Plan,
    seed: u64,
    replications: u32,
    threads: Option<usize>,
    control: &Control<'_>,
) -> Record {
    record(
        plan,
        seed,
        &outcomes(plan, seed, replications, threads, control),
    )
}

/// What a scenario expects, and what is needed to judge and to name it.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The expectations.
    pub expectations: &'a [Expectation],
    /// Where everything was written.
    pub origins: &'a Origins,
    /// The tables, which findings speak of.
    pub snapshot: &'a Snapshot,
}

/// As [`replicate`], and judges what is expected. The figures are taken of each replication by
/// itself, whose record is dropped again before the next one is made.
pub fn replicate_expecting(
    plan: &Plan,
    seed: u64,
    replications: u32,
    threads: Option<usize>,
    control: &Control<'_>,
    expected: Expected<'_>,
) -> Record {
    let outcomes = outcomes(plan, seed, replications, threads, control);
    if expected.expectations.is_empty() {
        return record(plan, seed, &outcomes);
    }
    judged(plan, seed, &outcomes, expected, &mut |_| {})
}

/// As [`replicate_expecting`], and shows the record of each replication by itself, in order.
pub fn replicate_each(
    plan: &Plan,
    seed: u64,
    replications: u32,
    threads: Option<usize>,
    control: &Control<'_>,
    expected: Expected<'_>,
    each: &mut dyn FnMut(&Record),
) -> Record {
    let outcomes = outcomes(plan, seed, replications, threads, control);
    judged(plan, seed, &outcomes, expected, each)
}

fn judged(
    plan: &Plan,
    seed: u64,
    outcomes: &[Outcome],
    expected: Expected<'_>,
    each: &mut dyn FnMut(&Record),
) -> Record {
    let mut merged = record(plan, seed, outcomes);
    let one = |outcome| {
        let single = record(plan, seed, slice::from_ref(outcome));
        each(&single);
        measure(expected.expectations, &single, expected.snapshot)
    };
    let values: Vec<Values> = outcomes.iter().map(one).collect();
    merged.expectations = judge(expected.expectations, &values, expected.origins);
    merged
}

fn outcomes(
    plan: &Plan,
    seed: u64,
    replications: u32,
    threads: Option<usize>,
    control: &Control<'_>,
) -> Vec<Outcome> {
    let count = replications.max(1);
    let shares = Mutex::new(vec![0.0_f64; count as usize]);
    let one = |number: u32| -> Option<Outcome> {
        if number > 0 && control.interrupted.load(Ordering::Relaxed) {
            return None;
        }
        let report = |share: f64| {
            if let (Some(progress), Ok(mut shares)) = (control.progress, shares.lock()) {
                shares[number as usize] = share;
                progress(shares.iter().sum::<f64>() / f64::from(count));
            }
        };
        let control = Control {
            progress: control.progress.is_some().then_some(&report),
            ..*control
        };
        Some(run(plan, Seed::new(seed).replication(number), &control))
    };
    if count == 1 || threads == Some(1) {
        (0..count).filter_map(one).collect()
    } else {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.unwrap_or(0))
            .build();
        let all = || (0..count).into_par_iter().filter_map(one).collect();
        // Without threads (a sandbox may forbid them) the same runs are made one after another.
        pool.map_or_else(
            |_| (0..count).filter_map(one).collect(),
            |pool| pool.install(all),
        )
    }
}
