//! `towtank bench`: the simulator's own speed on this machine.
//!
//! The reference workload is compiled into the program, so that an installed binary measures
//! what the sources measure. Rounds are equal runs; the median round is reported, and the
//! digest says that every machine did the same work.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use serde::Serialize;

use super::args::{BenchArgs, BenchModel, PlainFormat};
use super::decode::{self, Options};
use super::exit_code::{ExitCode, Failure};
use super::traffic::data;
use crate::control_plane;
use crate::engine::Seed;
use crate::manifest::Source;
use crate::report::format::count;
use crate::report::json::pretty;
use crate::simulation::{self, Control, Plan};
use crate::units::SimDuration;

/// The files of `models/w1`.
const W1: [(&str, &str); 5] = [
    (
        "w1/manifests/workloads.yaml",
        include_str!("../../models/w1/manifests/workloads.yaml"),
    ),
    (
        "w1/manifests/routing.yaml",
        include_str!("../../models/w1/manifests/routing.yaml"),
    ),
    (
        "w1/manifests/policies.yaml",
        include_str!("../../models/w1/manifests/policies.yaml"),
    ),
    ("w1/model.yaml", include_str!("../../models/w1/model.yaml")),
    (
        "w1/scenario.yaml",
        include_str!("../../models/w1/scenario.yaml"),
    ),
];

/// Virtual time of one round: longer than W1's longest timeout, so that cancelled timers weigh what they weigh.
const ROUND: SimDuration = SimDuration::from_secs(30);

/// What is printed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Measured {
    workload: &'static str,
    hops_per_second: f64,
    events_per_second: f64,
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
    let BenchModel::W1 = args.model;
    let round = args.duration.unwrap_or(ROUND);
    let plan = w1(round)?;
    let limit = if args.duration.is_some() {
        0.0
    } else {
        args.seconds
    };
    let measured = measure(&plan, round, limit);
    let text = match args.output {
        PlainFormat::Json => pretty(&measured),
        PlainFormat::Text => format!(
            "w1: {:.2} million hops per second, {:.2} million events per second\n    \
             median of {} rounds of {} virtual seconds: {} hops, {} events each, digest {}\n",
            measured.hops_per_second / 1e6,
            measured.events_per_second / 1e6,
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

/// W1, prepared for a run of that length.
fn w1(duration: SimDuration) -> Result<Plan, Failure> {
    let sources = W1.map(|(path, text)| Source::new(path, text));
    let decoded = decode::decode(&sources, &Options::default());
    let broken = || Failure::Usage("this binary's own reference workload is broken".to_owned());
    let model = decoded.models.first().ok_or_else(broken)?;
    let mut scenario = decoded.scenarios.first().cloned().ok_or_else(broken)?;
    scenario.duration = Some(duration);
    scenario.warm_up = SimDuration::ZERO;
    let snapshot = control_plane::compile(&decoded.config);
    simulation::prepare(&snapshot, model, &scenario).map_err(|_| broken())
}

/// Runs rounds until `limit` seconds are over; at least one.
fn measure(plan: &Plan, round: SimDuration, limit: f64) -> Measured {
    let interrupted = AtomicBool::new(false);
    let control = Control {
        interrupted: &interrupted,
        progress: None,
        keep_requests: 0,
    };
    let begin = Instant::now();
    let mut took: Vec<f64> = Vec::new();
    let outcome = loop {
        let before = Instant::now();
        let outcome = simulation::run(plan, Seed::new(1), &control);
        took.push(before.elapsed().as_secs_f64());
        if begin.elapsed().as_secs_f64() >= limit {
            break outcome;
        }
    };
    took.sort_by(f64::total_cmp);
    let seconds = took[took.len() / 2].max(1e-9);
    Measured {
        workload: "w1",
        hops_per_second: outcome.hops() as f64 / seconds,
        events_per_second: outcome.events() as f64 / seconds,
        hops: outcome.hops(),
        events: outcome.events(),
        virtual_seconds: round.as_secs_f64(),
        rounds: took.len(),
        digest: format!("{:016x}", outcome.digest()),
    }
}
