//! `towtank bench`: the simulator's own speed on this machine.
//!
//! The reference workload is compiled into the program, so that an installed binary measures
//! what the sources measure. Rounds are equal runs; the median round is reported, and the
//! digest says that every machine did the same work.

use std::time::Instant;

use cpu_time::ThreadTime;
use serde::Serialize;

use super::args::{BenchArgs, BenchModel, PlainFormat};
use super::exit_code::{ExitCode, Failure};
use super::traffic::data;
use crate::experiment::{self, Reference};
use crate::report::format::count;
use crate::report::json::pretty;
use crate::simulation::Plan;
use crate::units::SimDuration;

/// Virtual time of one round: longer than W1's longest timeout, so that cancelled timers weigh what they weigh.
const ROUND: SimDuration = SimDuration::from_secs(30);
/// The same for the large meshes, where a second is a million hops.
const LARGE_ROUND: SimDuration = SimDuration::from_secs(3);

/// What is printed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Measured {
    workload: &'static str,
    /// Of processor time, which other programs do not lengthen.
    hops_per_second: f64,
    events_per_second: f64,
    /// Virtual seconds simulated in a second of processor time.
    times_real_time: f64,
    /// Hops per second of the clock on the wall.
    hops_per_wall_second: f64,
    /// Of one round.
    hops: u64,
    /// Of one round.
    events: u64,
    virtual_seconds: f64,
    rounds: usize,
    /// Of one round; the same on every machine.
    digest: String,
}

/// `towtank bench w1`.
pub(super) fn bench(args: &BenchArgs) -> Result<ExitCode, Failure> {
    let (name, reference, round) = match args.model {
        BenchModel::W1 => ("w1", Reference::W1, ROUND),
        BenchModel::W2 => ("w2", Reference::W2, ROUND),
        BenchModel::W3 => ("w3", Reference::W3, LARGE_ROUND),
        BenchModel::Wide => ("wide", Reference::Wide, LARGE_ROUND),
    };
    let round = args.duration.unwrap_or(round);
    let mut plan = reference.plan(round);
    plan.warm_up = SimDuration::ZERO;
    let limit = if args.duration.is_some() {
        0.0
    } else {
        args.seconds
    };
    let measured = measure(name, &plan, limit);
    let text = match args.output {
        PlainFormat::Json => pretty(&measured),
        PlainFormat::Text => format!(
            "{name}: {:.2} million hops per second, {:.2} million events per second, {:.3} times real time\n    \
             median of {} rounds of {} virtual seconds on one core: {} hops, {} events each, digest {}\n",
            measured.hops_per_second / 1e6,
            measured.events_per_second / 1e6,
            measured.times_real_time,
            measured.rounds,
            measured.virtual_seconds,
            count(measured.hops),
            count(measured.events),
            measured.digest,
        ),
    };
    data(&text)?;
    Ok(ExitCode::Done)
}

/// Runs rounds until `limit` seconds are over; at least one.
fn measure(workload: &'static str, plan: &Plan, limit: f64) -> Measured {
    let begin = Instant::now();
    let (mut on_core, mut on_wall): (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
    let outcome = loop {
        let (core, wall) = (ThreadTime::now(), Instant::now());
        let outcome = experiment::bench(plan, 1);
        on_core.push(core.elapsed().as_secs_f64());
        on_wall.push(wall.elapsed().as_secs_f64());
        if begin.elapsed().as_secs_f64() >= limit {
            break outcome;
        }
    };
    let rounds = on_core.len();
    let (core, wall) = (median(on_core), median(on_wall));
    Measured {
        workload,
        hops_per_second: outcome.hops as f64 / core,
        events_per_second: outcome.events as f64 / core,
        times_real_time: outcome.virtual_seconds / core,
        hops_per_wall_second: outcome.hops as f64 / wall,
        hops: outcome.hops,
        events: outcome.events,
        virtual_seconds: outcome.virtual_seconds,
        rounds,
        digest: format!("{:016x}", outcome.digest),
    }
}

/// Never zero, so that it can divide.
fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2].max(1e-9)
}
