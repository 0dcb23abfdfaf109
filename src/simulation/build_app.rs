//! Applications: what the Model says of a workload becomes what its pods do.

use std::sync::Arc;

use super::build::Builder;
use super::plan::{App, CallPlan, CallRow, PoolPlan, RareApp, RareCall, RepeatPlan};
use super::throttle::ThrottlePlan;
use crate::config::scenario::{AppRetries, CallTimes, QueueDiscipline, WorkloadModel};
use crate::engine::Distribution;
use crate::http::{Headers, Url};
use crate::units::{Fraction, SimDuration};
use crate::workload::{CFS_PERIOD, Discipline, Limits, Wait, WarmUp};
use crate::xds::snapshot::Cpu;

/// More processor time than any pod uses.
const UNLIMITED: u32 = u32::MAX;

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
            let specs = step.calls();
            calls.extend(specs.iter().map(|c| CallPlan {
                on_error: c.on_error,
                timeout: c.timeout,
            }));
            call_retries.extend(
                specs
                    .iter()
                    .map(|c| repeat_plan(c.retries.as_ref(), &c.url)),
            );
            let first = rare_calls.len() as u32;
            rare_calls.extend((0..).zip(specs).map(|(at, c)| RareCall {
                row: row(c.times.as_ref(), first + at),
                pool: c.pool.map(|pool| pool as u32),
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
            rare: rare_app(behaviour, self.cpu_of(name)),
            pods: Vec::new(),
            is_assumed: written.is_none(),
            is_external: false,
        }
    }
}

impl Builder<'_> {
    /// `resources` of a workload's containers.
    fn cpu_of(&self, name: &str) -> Cpu {
        let workload = self.snapshot.workload_of(name);
        workload.map_or_else(Cpu::default, |id| self.snapshot.workloads[id].cpu)
    }
}

/// What a workload's pods have that few have; `None` when there is nothing.
fn rare_app(model: &WorkloadModel, resources: Cpu) -> Option<Box<RareApp>> {
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
        && model.priority.is_none()
        && model.pools.is_empty()
        && !model.propagates_deadlines;
    let cpu = model.cpu.as_ref().map(|written| {
        // Without a limit anywhere a quota never ends.
        let milli = written.milli_cores.or(resources.limit).unwrap_or(UNLIMITED);
        let per_period = CFS_PERIOD.ns() / 1000 * u64::from(milli);
        let needs = written.per_request.as_ref().map(Distribution::sampler);
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
            cores: (model.cpu.as_ref())
                .and_then(|written| resources.request.or(written.milli_cores))
                .map(|milli| f64::from(milli) / 1000.0),
            propagates: model.propagates_deadlines,
            shed_from: (model.priority.iter())
                .flat_map(|p| p.levels.iter().map(|level| level.shed_from))
                .collect(),
            pools: (model.pools.iter())
                .map(|pool| PoolPlan {
                    size: pool.size,
                    timeout: pool.timeout,
                })
                .collect(),
        })
    })
}

/// A call's place in its row; it is the `number`th call of its application.
fn row(times: Option<&(Arc<CallTimes>, u32)>, number: u32) -> Option<CallRow> {
    let (times, place) = times?;
    let mut sum = 0;
    let cumulated = times.shares.iter().map(|(times, share)| {
        sum += share.ppm();
        (*times, Fraction::from_ppm(sum))
    });
    Some(CallRow {
        first: number - place,
        place: *place,
        times: cumulated.collect(),
    })
}

/// Retries of an application itself.
pub(super) fn repeat_plan(retries: Option<&AppRetries>, to: &Url) -> Option<RepeatPlan> {
    let retries = retries.filter(|r| r.attempts > 0)?;
    Some(RepeatPlan {
        attempts: retries.attempts,
        backoff: retries.backoff.sampler(),
        throttle: (retries.throttle).map(|settings| ThrottlePlan::new(settings, to.host.clone())),
    })
}
