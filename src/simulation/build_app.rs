//! Applications: what the Model says of a workload becomes what its pods do.

use super::build::Builder;
use super::plan::{App, CallPlan, RareApp, RareCall, RepeatPlan};
use crate::config::scenario::{AppRetries, QueueDiscipline, StepSpec, WorkloadModel};
use crate::engine::Distribution;
use crate::http::Headers;
use crate::units::{Fraction, SimDuration};
use crate::workload::{CFS_PERIOD, Discipline, Limits, Wait, WarmUp};

impl Builder<'_> {
    /// An app with the Model's behaviour for that name, or the stated defaults.
    pub(super) fn app(&self, name: &str) -> App {
        let written = self.model.workloads.get(name);
        let behaviour = written.unwrap_or(&self.model.defaults);
        let mut cumulated = 0;
        let errors = behaviour.errors.iter().map(|error| {
            cumulated += error.rate.ppm();
            (Fraction::from_ppm(cumulated), error.kind)
        });
        let error_headers: Vec<Headers> = (behaviour.errors.iter())
            .map(|e| e.headers.iter().map(|(n, v)| (&**n, &**v)).collect())
            .collect();
        let mut calls = Vec::new();
        let mut call_retries = Vec::new();
        let mut steps = Vec::new();
        let mut rare_calls = Vec::new();
        for step in &behaviour.calls {
            let specs = match step {
                StepSpec::Call(call) => std::slice::from_ref(call),
                StepSpec::Parallel(calls) => calls.as_slice(),
            };
            calls.extend(specs.iter().map(|c| CallPlan {
                on_error: c.on_error,
                timeout: c.timeout,
            }));
            call_retries.extend(specs.iter().map(|c| repeat_plan(c.retries.as_ref())));
            rare_calls.extend(specs.iter().map(|c| RareCall {
                probability: c.probability,
                hit_rate: c.cache_hit_rate,
                is_async: c.is_async,
            }));
            steps.push(calls.len() as u32);
        }
        if rare_calls.iter().all(|c| *c == RareCall::default()) {
            rare_calls.clear();
        }
        App {
            name: name.to_owned(),
            limits: Limits {
                concurrency: behaviour.concurrency.unwrap_or(u32::MAX),
                queue: behaviour.queue.unwrap_or(u32::MAX),
            },
            service_time: behaviour.service_time.sampler(),
            errors: errors.collect(),
            error_headers,
            connections: behaviour.connections,
            status: behaviour.status,
            steps,
            calls,
            call_retries,
            rare_calls,
            rare: rare_app(behaviour),
            pods: Vec::new(),
            is_assumed: written.is_none(),
            is_external: false,
        }
    }
}

/// What a workload's pods have that few have; `None` when there is nothing.
fn rare_app(model: &WorkloadModel) -> Option<Box<RareApp>> {
    let wait = |target, interval| Wait { target, interval };
    let discipline = match model.queue_discipline {
        QueueDiscipline::Fifo => Discipline::Fifo,
        QueueDiscipline::Lifo => Discipline::Lifo,
        QueueDiscipline::CoDel { target, interval } => Discipline::CoDel(wait(target, interval)),
        QueueDiscipline::AdaptiveLifo { target, interval } => {
            Discipline::AdaptiveLifo(wait(target, interval))
        }
    };
    let usual = discipline == Discipline::Fifo
        && model.warm_up.is_none()
        && model.pauses.is_none()
        && model.cpu.is_none()
        && !model.propagates_deadlines;
    let cpu = model.cpu.as_ref().map(|cpu| {
        let per_period = CFS_PERIOD.ns() / 1000 * u64::from(cpu.milli_cores);
        let needs = cpu.per_request.as_ref().map(Distribution::sampler);
        (needs, SimDuration::from_ns(per_period))
    });
    (!usual).then(|| {
        Box::new(RareApp {
            discipline,
            warm_up: model.warm_up.map(|w| WarmUp {
                length: w.length,
                factor: w.factor,
            }),
            cold_at_start: model.warm_up.is_some_and(|w| w.at_start),
            pauses: (model.pauses.as_ref()).map(|p| (p.every.sampler(), p.lasts.sampler())),
            cpu,
            propagates: model.propagates_deadlines,
        })
    })
}

/// Retries of an application itself.
pub(super) fn repeat_plan(retries: Option<&AppRetries>) -> Option<RepeatPlan> {
    let retries = retries.filter(|r| r.attempts > 0)?;
    Some(RepeatPlan {
        attempts: retries.attempts,
        backoff: retries.backoff.sampler(),
    })
}
