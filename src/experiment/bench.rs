//! The reference workload W1, built in: how fast this machine simulates.
//!
//! W1 is `models/w1`: a gateway, ten services of ten pods each in a call tree, two versions, four
//! rules per route, retries, breakers and outlier detection. Its files are part of the program, so
//! that an installed `towtank bench w1` needs no checkout. Nothing here reads a clock: the caller
//! measures around [`bench()`], and the digest tells whether two machines did the same work.

use std::sync::atomic::AtomicBool;

use crate::config::load::{LoadOptions, load};
use crate::config::scenario::{decode_model, decode_scenario};
use crate::control_plane::compile;
use crate::engine::Seed;
use crate::manifest::{Object, Source};
use crate::simulation::{Control, Plan, prepare, run};
use crate::units::{ObjectRef, SimDuration};

/// Files of W1.
const W1: [(&str, &str); 5] = [
    ("model.yaml", include_str!("../../models/w1/model.yaml")),
    (
        "scenario.yaml",
        include_str!("../../models/w1/scenario.yaml"),
    ),
    (
        "manifests/policies.yaml",
        include_str!("../../models/w1/manifests/policies.yaml"),
    ),
    (
        "manifests/routing.yaml",
        include_str!("../../models/w1/manifests/routing.yaml"),
    ),
    (
        "manifests/workloads.yaml",
        include_str!("../../models/w1/manifests/workloads.yaml"),
    ),
];

/// What one run of a reference workload did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BenchResult {
    /// Tries that were sent from workload to workload.
    pub hops: u64,
    /// Events processed.
    pub events: u64,
    /// Digest of the run: the same on every machine.
    pub digest: u64,
    /// Virtual time during which load was offered, in seconds.
    pub virtual_seconds: f64,
}

/// W1 prepared for so much virtual time of load, with seed 1.
pub fn w1_plan(virtual_time: SimDuration) -> Plan {
    let sources = W1.iter().map(|(path, text)| Source::new(*path, *text));
    let mut loaded = load(sources.collect(), &LoadOptions::default());
    let mut origin = |object: &Object| {
        loaded.config.origins.push(ObjectRef {
            kind: object.kind.clone(),
            namespace: "".into(),
            name: object.name.clone(),
            file: object.place().file,
            line: object.place().line,
        })
    };
    let no_files = |name: &str| Err(format!("W1 has no file {name}"));
    let (model, scenario) = (&loaded.models[0], &loaded.scenarios[0]);
    let (model, _) = decode_model(model, origin(model), &no_files);
    let (mut scenario, _) = decode_scenario(scenario, origin(scenario), &no_files);
    loaded.config.placement.clone_from(&model.placement);
    if scenario.warm_up >= virtual_time {
        scenario.warm_up = SimDuration::ZERO;
    }
    scenario.duration = Some(virtual_time);
    prepare(&compile(&loaded.config), &model, &scenario)
        .expect("W1 is part of the program and a test prepares it")
}

/// Runs a plan once; what is worth measuring, and nothing else.
pub fn bench(plan: &Plan, seed: u64) -> BenchResult {
    let interrupted = AtomicBool::new(false);
    let control = Control {
        interrupted: &interrupted,
        progress: None,
        keep_requests: 0,
    };
    let outcome = run(plan, Seed::new(seed).replication(0), &control);
    BenchResult {
        hops: outcome.hops(),
        events: outcome.events(),
        digest: outcome.digest(),
        virtual_seconds: plan.duration.map_or(0.0, SimDuration::as_secs_f64),
    }
}

/// Prepares W1 and runs it for so much virtual time.
pub fn bench_w1(virtual_time: SimDuration) -> BenchResult {
    bench(&w1_plan(virtual_time), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_w1_runs_and_repeats() {
        let result = bench_w1(SimDuration::from_secs(1));
        assert_eq!(result, bench_w1(SimDuration::from_secs(1)));
        // 1,000 roots in a second, ten hops each and some retries.
        assert!((9_000..13_000).contains(&result.hops), "{result:?}");
        assert!(result.events > 3 * result.hops);
    }
}
