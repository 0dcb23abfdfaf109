//! A mesh that was read: its tables, its plans, its runs.

use std::collections::BTreeMap;

use super::args::Repeat;
use super::exit_code::Failure;
use super::interrupt;
use super::output::Console;
use super::texts::Texts;
use crate::config::load::Changed;
use crate::config::scenario::{Model, Scenario, spare_pods};
use crate::config::store::MeshConfig;
use crate::control_plane;
use crate::experiment::{
    Expected, counterfactual, failover, replicate_expecting, settle_findings, unknown_names,
};
use crate::explain::narrate;
use crate::observe::Record;
use crate::simulation::{self, Control, Plan};
use crate::verdict;
use crate::xds::Snapshot;

/// Everything that was read.
#[derive(Clone)]
pub(super) struct Mesh {
    pub(super) config: MeshConfig,
    /// What it is after each change that the scenario's events make.
    pub(super) later: Vec<Changed>,
    pub(super) model: Model,
    pub(super) scenarios: Vec<Scenario>,
    /// Namespace of the client and of short names.
    pub(super) namespace: String,
    /// What was taken for granted so far.
    pub(super) assumed: Vec<String>,
    /// What looks wrong in the input or on the command line.
    pub(super) warnings: Vec<String>,
    pub(super) not_simulated: Vec<String>,
    /// Texts of other files that were named and read.
    pub(super) beside: Vec<(String, String)>,
    pub(super) texts: Texts,
}

impl Mesh {
    /// The tables istiod would send.
    pub(super) fn compile(&self) -> Snapshot {
        control_plane::compile(&self.config)
    }

    /// The same with the pods that the scenario's events may start.
    pub(super) fn compile_for(&self, scenario: &Scenario) -> Snapshot {
        let spare = spare_pods(&scenario.events, &self.config);
        if spare.is_empty() && self.later.is_empty() {
            return self.compile();
        }
        let config = MeshConfig {
            spare_pods: spare,
            ..self.config.clone()
        };
        let changes = scenario.events.iter().any(|e| e.what.change().is_some());
        let later = if changes { &self.later[..] } else { &[] };
        // That they go together was seen when they were read.
        control_plane::compile_all(&config, later)
            .unwrap_or_else(|_| control_plane::compile(&config))
    }

    /// Warnings that belong on standard error because the output has no place for them.
    pub(super) fn warn(&self, console: Console) {
        for warning in &self.warnings {
            console.warning(warning);
        }
    }

    /// Says which namespace was taken, where that was not asked for.
    pub(super) fn assume_namespace(&mut self, asked: Option<&str>) {
        if asked.is_none() {
            let why = match self.namespace.as_str() {
                "default" => "no other was named",
                _ => "it is the only one that has workloads",
            };
            self.assumed.push(format!(
                "short names are taken in namespace `{}`: {why}",
                self.namespace
            ));
        }
    }

    /// Prepares a scenario.
    pub(super) fn plan(&self, scenario: &Scenario) -> Result<Plan, Failure> {
        simulation::prepare(&self.compile_for(scenario), &self.model, scenario)
            .map_err(|diagnostics| self.texts.refuse(&diagnostics))
    }

    /// Tables and plan of a scenario that names nothing unknown.
    pub(super) fn prepare(&self, scenario: &Scenario) -> Result<(Snapshot, Plan), Failure> {
        let snapshot = self.compile_for(scenario);
        let plan = simulation::prepare(&snapshot, &self.model, scenario)
            .map_err(|diagnostics| self.texts.refuse(&diagnostics))?;
        let unknown = unknown_names(
            &scenario.expect,
            &plan,
            verdict::CODES,
            &self.config.origins,
        );
        if unknown.is_empty() {
            Ok((snapshot, plan))
        } else {
            Err(self.texts.refuse(&unknown))
        }
    }

    /// The same with other numbers of pods, by `namespace/name`.
    pub(super) fn with_replicas(&self, pods: &BTreeMap<String, u32>) -> Self {
        let mut mesh = self.clone();
        for owner in &mut mesh.config.workloads {
            let name = owner.meta.full_name();
            if let Some(count) = pods.get(&name) {
                owner.replicas = Some(*count);
                // It is asked what this number does, whatever an autoscaler would say to it.
                (mesh.config.autoscalers).retain(|scaler| {
                    *scaler.meta.namespace != *owner.meta.namespace
                        || *scaler.target.1 != *owner.meta.name
                });
            }
        }
        mesh
    }

    /// Runs a scenario and judges it: findings and expectations, nothing that is only told.
    pub(super) fn judged(&self, scenario: &Scenario, how: &How) -> Result<Record, Failure> {
        let (snapshot, plan) = self.prepare(scenario)?;
        let control = Control {
            interrupted: interrupt::watch(),
            progress: None,
            keep_requests: 0,
        };
        let expected = Expected {
            expectations: &scenario.expect,
            origins: &self.config.origins,
            snapshot: &snapshot,
        };
        let (seed, replications) = (how.seed, how.replications);
        let mut record =
            replicate_expecting(&plan, seed, replications, how.threads, &control, expected);
        record.findings = verdict::judge(&record, &snapshot);
        settle_findings(&scenario.expect, &mut record);
        record.assumed = merged([&self.assumed, &snapshot.assumed, &record.assumed]);
        record.warnings = merged([&self.warnings, &record.warnings, &Vec::new()]);
        Ok(record)
    }

    /// Runs a scenario.
    pub(super) fn run(
        &self,
        scenario: &Scenario,
        how: &How,
        console: Console,
    ) -> Result<Run, Failure> {
        let (snapshot, plan) = self.prepare(scenario)?;
        let progress = console.progress();
        let control = Control {
            interrupted: interrupt::watch(),
            progress: Some(&|done| progress.at(done)),
            keep_requests: how.keep_requests,
        };
        let expected = Expected {
            expectations: &scenario.expect,
            origins: &self.config.origins,
            snapshot: &snapshot,
        };
        let mut record = replicate_expecting(
            &plan,
            how.seed,
            how.replications,
            how.threads,
            &control,
            expected,
        );
        let trail = if how.trace {
            let told = simulation::story(&snapshot, &plan, how.seed, &control);
            told.map_or_else(Vec::new, |story| narrate(&snapshot, &story))
        } else {
            Vec::new()
        };
        record.findings = verdict::judge(&record, &snapshot);
        settle_findings(&scenario.expect, &mut record);
        if !how.is_test {
            failover::add(&mut record, &snapshot, &self.model, scenario, &control);
            settle_findings(&scenario.expect, &mut record);
            counterfactual::add(&mut record, &snapshot, &self.model, scenario, &control);
        }
        drop(progress);
        record.assumed = merged([&self.assumed, &snapshot.assumed, &record.assumed]);
        record.warnings = merged([&self.warnings, &record.warnings, &Vec::new()]);
        record.not_simulated = merged([&self.not_simulated, &record.not_simulated, &Vec::new()]);
        Ok(Run { record, trail })
    }
}

/// All sentences in order, each once.
fn merged(lists: [&Vec<String>; 3]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for sentence in lists.into_iter().flatten() {
        if !all.contains(sentence) {
            all.push(sentence.clone());
        }
    }
    all
}

/// How a scenario is run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct How {
    pub(super) seed: u64,
    pub(super) replications: u32,
    pub(super) threads: Option<usize>,
    /// Single requests to keep in the record.
    pub(super) keep_requests: usize,
    /// Tell the way of the first request.
    pub(super) trace: bool,
    /// Only judge: what would remove a finding is not looked for.
    pub(super) is_test: bool,
}

impl How {
    /// From flags, else from the scenario.
    pub(super) fn new(repeat: &Repeat, scenario: &Scenario) -> Self {
        Self {
            seed: repeat.seed.unwrap_or(scenario.seed),
            replications: repeat.replications.unwrap_or(scenario.replications).max(1),
            threads: repeat.threads.map(usize::from),
            keep_requests: 0,
            trace: false,
            is_test: false,
        }
    }
}

/// What a run gave.
pub(super) struct Run {
    pub(super) record: Record,
    /// The first request's way, one sentence each.
    pub(super) trail: Vec<String>,
}
