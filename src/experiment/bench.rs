//! The reference workloads, built in: how fast this machine simulates.
//!
//! W1 is `models/w1`: a gateway, ten services of ten pods each in a call tree, two versions, four
//! rules per route, retries, breakers and outlier detection. The others are many copies of it in
//! namespaces of their own. Its files are part of the program, so that an installed
//! `towtank bench w1` needs no checkout. Nothing here reads a clock: the caller measures around
//! [`bench()`], and the digest tells whether two machines did the same work.

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

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    /// 10 services of 10 pods, 1,000 root requests per second.
    W1,
    /// 10 copies of W1: 100 services, 1,000 pods, 10,000 root requests per second.
    W2,
    /// 100 copies with twice the pods: 1,000 services, 20,000 pods, 100,000 root requests per
    /// second.
    W3,
    /// The mesh of W3 at a tenth of its load: 10,000 root requests per second.
    Wide,
}

impl Reference {
    /// Copies of W1, how many times its pods, and the root requests per second of a copy.
    const fn shape(self) -> (u32, u32, u32) {
        match self {
            Self::W1 => (1, 1, 1_000),
            Self::W2 => (10, 1, 1_000),
            Self::W3 => (100, 2, 1_000),
            Self::Wide => (100, 2, 100),
        }
    }

    /// Prepared for so much virtual time of load, with seed 1.
    pub fn plan(self, virtual_time: SimDuration) -> Plan {
        let (copies, pods, rate) = self.shape();
        let sources = (0..copies).flat_map(|copy| {
            W1.map(|(path, text)| {
                let file = format!("w1-{copy:03}/{path}");
                Source::new(file, copied(text, copy, copies, pods, rate))
            })
        });
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
        let no_files = |name: &str| Err(format!("the reference workload has no file {name}"));
        let models = loaded.models.iter();
        let mut models = models.map(|m| decode_model(m, origin(m), &no_files).0);
        let mut model = models.next().expect("W1 has a Model");
        for copy in models {
            model.workloads.extend(copy.workloads);
        }
        let scenarios = loaded.scenarios.iter();
        let mut scenarios = scenarios.map(|s| decode_scenario(s, origin(s), &no_files).0);
        let mut scenario = scenarios.next().expect("W1 has a Scenario");
        for copy in scenarios {
            scenario.load.extend(copy.load);
        }
        loaded.config.placement.clone_from(&model.placement);
        if scenario.warm_up >= virtual_time {
            scenario.warm_up = SimDuration::ZERO;
        }
        scenario.duration = Some(virtual_time);
        prepare(&compile(&loaded.config), &model, &scenario)
            .expect("W1 is part of the program and a test prepares it")
    }
}

/// One file of one copy of W1: its own namespace, names of loads, number of pods and rate.
fn copied(text: &str, copy: u32, copies: u32, pods: u32, rate: u32) -> String {
    if copies == 1 {
        return text.to_owned();
    }
    let text = text.replace("w1", &format!("w1-{copy:03}"));
    let text = text.replace("name: root", &format!("name: root-{copy:03}"));
    let text = text.replace("rate: 1000/s", &format!("rate: {rate}/s"));
    let text = text.replace("replicas: 9", &format!("replicas: {}", 9 * pods));
    text.replace("replicas: 1\n", &format!("replicas: {pods}\n"))
}

/// W1 prepared for so much virtual time of load, with seed 1.
pub fn w1_plan(virtual_time: SimDuration) -> Plan {
    Reference::W1.plan(virtual_time)
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

    #[test]
    fn copies_of_w1_do_what_w1_does_side_by_side() {
        // Each copy has ten gateway pods beside its services.
        let one = bench_w1(SimDuration::from_ms(200));
        let ten = bench(&Reference::W2.plan(SimDuration::from_ms(200)), 1);
        let ratio = ten.hops as f64 / one.hops as f64;
        assert!((9.0..11.0).contains(&ratio), "{one:?} {ten:?}");
        let plan = Reference::Wide.plan(SimDuration::from_ms(20));
        assert_eq!((plan.pod_count(), plan.load_count()), (20_000 + 1_000, 100));
    }
}
