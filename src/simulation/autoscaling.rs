//! Autoscalers look at the use of CPU and change the number of pods.
//!
//! Every 15 s, at a moment of its own within them, an autoscaler decides by what the window before
//! the last one showed: the metrics of kubelet and metrics-server are that late. Use of CPU is own
//! work, not waiting for others: where the Model gives `cpu` it is CPU time over what the pod asks
//! for (`resources.requests.cpu` of its containers, else the limit), else own work over the pod's
//! places, so 100 % is every place at work. The proxy's own CPU is no part of either.

use super::event::{Event, Kind};
use super::plan::Plan;
use super::timeline::Phase;
use super::world::World;
use crate::data_plane::Trail;
use crate::engine::Queue;
use crate::observe::record::HappeningKind;
use crate::units::{SimDuration, SimTime};
use crate::workload::{Autoscaler, SYNC};

/// What is kept for autoscalers.
#[derive(Debug, Default)]
pub(super) struct Autoscaling {
    /// By autoscaler of the timeline.
    scalers: Vec<Scaler>,
    /// By pod: own work begun so far.
    worked: Vec<SimDuration>,
}

#[derive(Debug, Default)]
struct Scaler {
    state: Autoscaler,
    /// By pod of its workload: own work at the last look, and the use of the window before it.
    seen: Vec<SimDuration>,
    usage: Vec<Option<f64>>,
}

impl Autoscaling {
    pub(super) fn new(plan: &Plan) -> Self {
        let Some(timeline) = plan.timeline.as_ref().filter(|t| !t.autoscalers.is_empty()) else {
            return Self::default();
        };
        let scaler = |app: u32| {
            let pods = plan.apps[app as usize].pods.len();
            Scaler {
                state: Autoscaler::default(),
                seen: vec![SimDuration::ZERO; pods],
                usage: vec![None; pods],
            }
        };
        Self {
            scalers: (timeline.autoscalers.iter())
                .map(|(app, _)| scaler(*app))
                .collect(),
            worked: vec![SimDuration::ZERO; plan.pods.len()],
        }
    }
}

impl<T: Trail> World<'_, T> {
    /// Every autoscaler's first look.
    pub(super) fn begin_autoscaling(&mut self, queue: &mut Queue<Event>) {
        let plan = self.plan;
        let Some(timeline) = &plan.timeline else {
            return;
        };
        for (index, (app, _)) in (0..).zip(&timeline.autoscalers) {
            let key = self.seed.key("autoscaler", &plan.apps[*app as usize].name);
            let phase = Self::draws(key, 0).below(SYNC.ns());
            let at = SimTime::ZERO.after(SimDuration::from_ns(phase));
            queue.push(at, Event::new(Kind::AutoscalerTick, index));
        }
    }

    /// Own work begins in a pod.
    pub(super) fn note_work(&mut self, pod: u32, key: u64, takes: SimDuration) {
        if self.dynamics.autoscaling.worked.is_empty() {
            return;
        }
        let app = &self.plan.apps[self.plan.pods[pod as usize].app as usize];
        let needs = app.rare.as_ref().map_or(takes, |rare| {
            rare.cpu_time(takes, || Self::draws(key, self.keys.cpu))
        });
        let worked = &mut self.dynamics.autoscaling.worked[pod as usize];
        *worked = worked.plus(needs);
    }

    #[cold]
    pub(super) fn on_autoscaler_tick(
        &mut self,
        now: SimTime,
        index: u32,
        queue: &mut Queue<Event>,
    ) {
        let plan = self.plan;
        let Some(timeline) = &plan.timeline else {
            return;
        };
        let (app, settings) = &timeline.autoscalers[index as usize];
        let before = self.look(now, index, *app);
        let members = self.members(*app);
        let ordinals = members.iter().map(|pod| plan.pods[*pod as usize].ordinal);
        let usage: Vec<Option<f64>> = ordinals.map(|at| before[at as usize]).collect();
        let current = self.wanted_pods(*app);
        let scaler = &mut self.dynamics.autoscaling.scalers[index as usize];
        let next = scaler.state.decide(settings, now, current, &usage);
        if next != current {
            let measured: Vec<f64> = usage.iter().copied().flatten().collect();
            let mean = measured.iter().sum::<f64>() / measured.len().max(1) as f64;
            let sentence = format!(
                "the autoscaler of {} wants {next} pods instead of {current}: {:.0} % of CPU, {} % is its target",
                plan.apps[*app as usize].name,
                mean * 100.0,
                settings.target_percent
            );
            self.dynamics.tell(now, HappeningKind::Passes, sentence);
            self.scale(now, *app, next, queue);
        }
        let again = now.after(SYNC);
        if again < self.load_end {
            queue.push(again, Event::new(Kind::AutoscalerTick, index));
        }
    }

    /// Measures the window that ends now; returns the use in the one before.
    fn look(&mut self, now: SimTime, index: u32, app: u32) -> Vec<Option<f64>> {
        let plan = self.plan;
        let cores = plan.apps[app as usize].cores();
        let window = SYNC.as_secs_f64();
        let dynamics = &mut self.dynamics;
        let scaler = &mut dynamics.autoscaling.scalers[index as usize];
        let before = scaler.usage.clone();
        for (at, pod) in plan.apps[app as usize].pods.iter().enumerate() {
            let worked = dynamics.autoscaling.worked[*pod as usize];
            let state = &dynamics.pods[*pod as usize];
            let whole = now.since(state.since) >= SYNC;
            let listed = dynamics.listed[*pod as usize];
            let is_measured = state.phase == Phase::Serving && listed && whole;
            let share = worked.ns().saturating_sub(scaler.seen[at].ns()) as f64 / 1e9;
            scaler.usage[at] = is_measured.then(|| share / window / cores);
            scaler.seen[at] = worked;
        }
        before
    }
}

impl super::plan::App {
    /// What a pod's use of CPU is a share of.
    pub(super) fn cores(&self) -> f64 {
        let cores = self.rare.as_ref().and_then(|rare| rare.cores);
        cores.unwrap_or_else(|| f64::from(self.limits.concurrency.max(1)))
    }
}
