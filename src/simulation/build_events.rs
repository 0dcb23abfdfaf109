//! Events of the scenario become actions on pods and links.

use super::build::{Builder, nearest};
use super::plan::App;
use super::timeline_plan::{Action, Life, Timeline};
use crate::config::scenario::{EventKind, Part, Scenario, Target, TargetKind, TimedEvent};
use crate::engine::Sampler;
use crate::network::AREAS_MAX;
use crate::units::{Fraction, Origin, SimDuration, SimTime};
use crate::xds::autoscaler::Autoscaler;
use crate::xds::snapshot::{Lifecycle, WorkloadId};
use crate::xds::{Locality, ProxyKind};

/// Places between which something happens, each pair once.
pub(super) fn areas(events: &[TimedEvent]) -> Vec<(Locality, Locality)> {
    let mut areas = Vec::new();
    for event in events {
        if let EventKind::Partition { between } | EventKind::Delay { between, .. } = &event.what
            && !areas.contains(between)
        {
            areas.push(between.clone());
        }
    }
    areas
}

impl Builder<'_> {
    /// Events that ask for more than can be told apart.
    pub(super) fn check_areas(&mut self, scenario: &Scenario) {
        let count = areas(&scenario.events).len();
        if count > AREAS_MAX {
            let message = format!(
                "events name {count} pairs of places; {AREAS_MAX} can be told apart in one run"
            );
            let origin = scenario
                .events
                .first()
                .map_or(scenario.origin, |e| e.origin);
            self.fail("TT-EVENT", origin, message).help =
                Some("use regions instead of zones, or split the scenario".into());
        }
    }

    /// Everything that happens; `None` when nothing does.
    pub(super) fn timeline(&mut self, scenario: &Scenario) -> Option<Box<Timeline>> {
        let autoscalers = self.autoscalers();
        if scenario.events.is_empty() && autoscalers.is_empty() {
            return None;
        }
        let areas = areas(&scenario.events);
        let mut timeline = Timeline {
            lives: (0..self.apps.len()).map(|app| self.life(app)).collect(),
            autoscalers,
            ..Timeline::default()
        };
        if let Some(delay) = &self.model.proxy_push_delay {
            timeline.push.takes = delay.sampler();
        }
        for event in &scenario.events {
            self.event(event, &areas, &mut timeline);
        }
        timeline.actions.sort_by_key(|(at, ..)| *at);
        self.note_lives(&timeline);
        Some(Box::new(timeline))
    }

    /// Autoscalers that can tell the use of CPU; the others are named.
    fn autoscalers(&mut self) -> Vec<(u32, Autoscaler)> {
        let mut found = Vec::new();
        for (app, workload) in (0..).zip(&self.snapshot.workloads) {
            let Some(scaler) = &workload.autoscaler else {
                continue;
            };
            let plan = &self.apps[app as usize];
            let has_cpu = plan.rare.as_ref().is_some_and(|rare| rare.cpu.is_some());
            if has_cpu || plan.limits.concurrency != u32::MAX {
                found.push((app, scaler.clone()));
                continue;
            }
            self.warnings.push(format!(
                "{}: the autoscaler of {} does nothing: the use of CPU is not known, because the Model gives {} neither `concurrency` nor a `cpu` limit",
                self.snapshot.origins.place(scaler.origin), plan.name, plan.name
            ));
        }
        found
    }

    #[expect(clippy::too_many_lines, reason = "one short arm for each verb")]
    fn event(&mut self, event: &TimedEvent, areas: &[(Locality, Locality)], into: &mut Timeline) {
        let at = SimTime::ZERO.after(event.at);
        let end = event.lasts.map(|lasts| at.after(lasts));
        let area_of = |pair: &(Locality, Locality)| areas.iter().position(|a| a == pair);
        let origin = event.origin;
        let sentence = event.what.to_string();
        let mut add = |when: SimTime, action: Action| {
            let sentence = if when == at {
                sentence.clone()
            } else {
                format!("over: {sentence}")
            };
            into.actions.push((when, action, sentence));
        };
        match &event.what {
            EventKind::Fail {
                target,
                how,
                noticed,
            } => {
                let pods = self.pods_of(target, origin);
                let (how, noticed) = (*how, *noticed);
                if let Some(end) = end {
                    add(end, Action::Restore { pods: pods.clone() });
                }
                add(at, Action::Fail { pods, how, noticed });
            }
            EventKind::Restore { target } => {
                let pods = self.pods_of(target, origin);
                add(at, Action::Restore { pods });
            }
            EventKind::Slow {
                target,
                factor,
                add: more,
            } => {
                let pods = self.pods_of(target, origin);
                let index = into.slowdowns.len() as u32;
                if let Some(end) = end {
                    add(
                        end,
                        Action::SlowEnds {
                            pods: pods.clone(),
                            index,
                        },
                    );
                }
                add(at, Action::Slow { pods, index });
                let more = more.as_ref().map(crate::engine::Distribution::sampler);
                into.slowdowns.push((*factor, more));
            }
            EventKind::Errors { target, errors } => {
                let pods = self.pods_of(target, origin);
                let index = into.errors.len() as u32;
                if let Some(end) = end {
                    add(
                        end,
                        Action::ErrorsEnd {
                            pods: pods.clone(),
                            index,
                        },
                    );
                }
                add(at, Action::Errors { pods, index });
                let list = errors.iter().map(|e| (e.rate, e.kind));
                into.errors.push(list.collect());
            }
            EventKind::Capacity { target, share } => {
                let pods = self.pods_of(target, origin);
                if let Some(end) = end {
                    let share = Fraction::ONE;
                    add(
                        end,
                        Action::Capacity {
                            pods: pods.clone(),
                            share,
                        },
                    );
                }
                add(
                    at,
                    Action::Capacity {
                        pods,
                        share: *share,
                    },
                );
            }
            EventKind::Partition { between } => {
                let area = area_of(between).unwrap_or(0);
                let until = end.unwrap_or(SimTime::MAX);
                self.check_places(between, origin);
                add(at, Action::Cut { area, until });
                if let Some(end) = end {
                    add(end, Action::Mended);
                }
            }
            EventKind::Delay { between, by } => {
                let area = area_of(between).unwrap_or(0);
                let index = into.delays.len() as u32;
                self.check_places(between, origin);
                if let Some(end) = end {
                    add(end, Action::DelayEnds { area, index });
                }
                add(at, Action::Delay { area, index });
                into.delays.push(by.sampler());
            }
            EventKind::Scale { workload, replicas } => {
                if let Some(app) = self.workload_of(workload, origin) {
                    add(
                        at,
                        Action::Scale {
                            app,
                            replicas: *replicas,
                        },
                    );
                }
            }
            EventKind::Rollout { workload } => {
                if let Some(app) = self.workload_of(workload, origin) {
                    add(at, Action::Rollout { app });
                }
            }
            EventKind::Apply { .. } | EventKind::Delete { .. } => {
                self.change(event, sentence, into);
            }
        }
    }

    /// The configuration changes, and with it numbers of pods.
    fn change(&mut self, event: &TimedEvent, sentence: String, into: &mut Timeline) {
        into.versions += 1;
        let version = into.versions;
        let Some(later) = self.snapshot.later.get(version as usize - 1) else {
            let message = "the tables after this change are not there";
            self.fail("TT-EVENT", event.origin, message).help =
                Some("compile them together: `control_plane::compile_all`".into());
            return;
        };
        let at = SimTime::ZERO.after(event.at);
        into.actions
            .push((at, Action::Configure { version }, sentence));
        for (id, replicas) in &later.scaled {
            let (app, replicas) = (id.index() as u32, *replicas);
            let workload = self.apps[id.index()].name.as_str().into();
            let what = EventKind::Scale { workload, replicas }.to_string();
            (into.actions).push((at, Action::Scale { app, replicas }, what));
        }
        for id in &later.rolled {
            let app = id.index() as u32;
            let workload = self.apps[id.index()].name.as_str().into();
            let what = EventKind::Rollout { workload }.to_string();
            into.actions.push((at, Action::Rollout { app }, what));
        }
    }

    /// A place without pods is a slip of the pen.
    fn check_places(&mut self, between: &(Locality, Locality), origin: Origin) {
        for place in [&between.0, &between.1] {
            let known = self.places.iter().any(|p| lies_in(p, place));
            if !known {
                let message = format!("no pod and no client stands in `{place}`");
                let help = self.known_places();
                self.fail("TT-EVENT-TARGET", origin, message).help = Some(help);
            }
        }
    }

    fn known_places(&self) -> String {
        let names: Vec<String> = (self.places.iter())
            .filter(|p| !p.is_empty())
            .map(ToString::to_string)
            .collect();
        if names.is_empty() {
            "no pod has a locality: give Nodes their labels, or the Model a `placement`".to_owned()
        } else {
            format!("known places: {}", names.join(", "))
        }
    }

    fn workload_of(&mut self, name: &str, origin: Origin) -> Option<u32> {
        let found = self
            .apps
            .iter()
            .position(|a| a.name == *name && !a.is_external);
        if found.is_none() {
            let names: Vec<&str> = self.apps.iter().map(|a| a.name.as_str()).collect();
            let help = nearest(name, &names).map_or_else(
                || "name a workload of the manifests as `namespace/name`".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            let message =
                format!("the event is about `{name}`, which is no workload of the manifests");
            self.fail("TT-UNKNOWN-WORKLOAD", origin, message).help = Some(help);
        }
        found.map(|app| app as u32)
    }

    /// The pods an event is about; those that do not exist yet only when a workload is meant.
    fn pods_of(&mut self, target: &Target, origin: Origin) -> Box<[u32]> {
        let mut found: Vec<u32> = match &target.of {
            TargetKind::Workload(name) => match self.workload_of(name, origin) {
                Some(app) => self.apps[app as usize].pods.clone(),
                None => return Box::default(),
            },
            TargetKind::Pod(name) => self.named_pod(name),
            TargetKind::Node(name) => {
                let pods = self.snapshot.pods.iter_ids();
                let on = pods.filter(|(_, pod)| *pod.node == **name);
                on.map(|(id, _)| id.index() as u32).collect()
            }
            TargetKind::Locality(place) => (0..)
                .zip(&self.pods)
                .filter(|(_, pod)| !self.apps[pod.app as usize].is_external)
                .filter(|(_, pod)| lies_in(&pod.locality, place))
                .map(|(id, _)| id)
                .collect(),
        };
        if found.is_empty() {
            let (what, help) = self.nobody(&target.of);
            self.fail("TT-EVENT-TARGET", origin, what).help = Some(help);
        }
        let existing = |pod: &&u32| !self.pods[**pod as usize].spare;
        let count = found.iter().filter(existing).count();
        match target.part {
            Part::All => {}
            Part::Count(n) if n as usize > found.len() && !found.is_empty() => {
                let message = format!("the event is about {n} pods, and there are {}", found.len());
                self.fail("TT-EVENT-TARGET", origin, message).help =
                    Some("write as many as there are at most, or leave `pods` out for all".into());
            }
            Part::Count(n) => found.truncate(n as usize),
            Part::Share(share) => {
                let part = (count as u64 * u64::from(share.ppm())).div_ceil(1_000_000);
                found.truncate(part as usize);
            }
        }
        found.into()
    }

    fn named_pod(&self, name: &str) -> Vec<u32> {
        let (namespace, pod_name) = name.split_once('/').unwrap_or(("", name));
        let mut pods = self.snapshot.pods.iter_ids();
        let found = pods.find(|(_, pod)| {
            *pod.name == *pod_name && *self.snapshot.workloads[pod.workload].namespace == *namespace
        });
        found.map(|(id, _)| id.index() as u32).into_iter().collect()
    }

    fn nobody(&self, kind: &TargetKind) -> (String, String) {
        match kind {
            TargetKind::Workload(name) => (
                format!("`{name}` has no pods"),
                "set its `replicas` to 1 or more".to_owned(),
            ),
            TargetKind::Pod(name) => {
                let names: Vec<String> = (self.snapshot.pods.iter())
                    .map(|p| {
                        format!(
                            "{}/{}",
                            self.snapshot.workloads[p.workload].namespace, p.name
                        )
                    })
                    .collect();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let help = nearest(name, &names).map_or_else(
                    || "pods are named `namespace/workload-0`, `-1` and so on".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                );
                (format!("there is no pod `{name}`"), help)
            }
            TargetKind::Node(name) => {
                let mut names: Vec<&str> = self.snapshot.pods.iter().map(|p| &*p.node).collect();
                names.sort_unstable();
                names.dedup();
                names.retain(|n| !n.is_empty());
                let help = match nearest(name, &names) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if names.is_empty() => "no pod is bound to a Node".to_owned(),
                    None => format!("nodes: {}", names.join(", ")),
                };
                (format!("no pod runs on a node `{name}`"), help)
            }
            TargetKind::Locality(place) => {
                (format!("no pod runs in `{place}`"), self.known_places())
            }
        }
    }

    /// How pods of an app come and go.
    fn life(&self, app: usize) -> Life {
        let none = Lifecycle::default();
        let workload = self.snapshot.workloads.get(WorkloadId::new(app));
        let written = workload.map_or(&none, |w| &w.lifecycle);
        let seconds = |n: u32| SimDuration::from_secs(u64::from(n));
        let has_sidecar = workload.is_some_and(|w| w.proxy == ProxyKind::Sidecar);
        let replicas = workload.map_or(1, |w| {
            let existing = w.pods.iter().filter(|p| !self.snapshot.pods[**p].spare);
            existing.count()
        });
        let share = |text: Option<&str>, up: bool| part_of(text.unwrap_or("25%"), replicas, up);
        let max_surge = share(written.max_surge.as_deref(), true);
        let max_unavailable = share(written.max_unavailable.as_deref(), false);
        Life {
            startup: self.startup(app),
            ready_after: written
                .readiness
                .map_or(SimDuration::ZERO, |p| seconds(p.initial_delay)),
            unready_after: written
                .readiness
                .map(|p| seconds(p.period.saturating_mul(p.failures))),
            pre_stop: written.pre_stop(),
            drain: if has_sidecar {
                written.drain()
            } else {
                SimDuration::ZERO
            },
            exit_on_zero: has_sidecar && written.exit_on_zero,
            grace: written.grace(),
            max_surge,
            // Both at zero could never move.
            max_unavailable: max_unavailable.max(u32::from(max_surge == 0)),
        }
    }

    fn startup(&self, app: usize) -> Sampler {
        self.behaviour(app as u32).startup.sampler()
    }

    /// Says what nobody wrote about how pods come and go.
    fn note_lives(&mut self, timeline: &Timeline) {
        let restarts = |a: &Action| {
            matches!(
                a,
                Action::Restore { .. } | Action::Scale { .. } | Action::Rollout { .. }
            )
        };
        if timeline.actions.iter().any(|(_, a, _)| restarts(a)) {
            let written = |app: &App| {
                let model = self.model.workloads.get(app.name.as_str());
                model.is_some_and(|w| w.startup_written)
            };
            let somebody = self.apps.iter().any(|a| !a.is_external && !written(a));
            if somebody && !self.model.defaults.startup_written {
                let startup = &self.model.defaults.startup;
                self.assumed.push(format!(
                    "pods start within {startup} where no `startup` is written in the Model"
                ));
            }
        }
        let push = &timeline.push;
        let takes = match &self.model.proxy_push_delay {
            Some(_) => String::new(),
            None => " and take 10ms to 100ms to each proxy".to_owned(),
        };
        self.assumed.push(format!(
            "changes of endpoints and configuration reach istiod after {}, are gathered for {}{takes}",
            push.watch, push.quiet
        ));
        let by_places: Vec<&str> = (timeline.autoscalers.iter())
            .map(|(app, _)| &self.apps[*app as usize])
            .filter(|app| app.rare.as_ref().is_none_or(|rare| rare.cpu.is_none()))
            .map(|app| app.name.as_str())
            .collect();
        if !by_places.is_empty() {
            self.assumed.push(format!(
                "autoscalers see the CPU of {} as own work over `concurrency`: 100 % is every place of a pod at work (a `cpu` limit in the Model says it better)",
                by_places.join(", ")
            ));
        }
        if !timeline.autoscalers.is_empty() {
            self.assumed.push(
                "autoscalers decide every 15s by the use of CPU 15s to 30s before".to_owned(),
            );
        }
        if timeline.versions > 0 {
            self.assumed.push(
                "a proxy has new clusters 1ms to 10ms before new routes; what servers demand of arriving requests changes with the routes of their clients"
                    .to_owned(),
            );
        }
        let dark = |a: &Action| {
            use crate::config::scenario::FailureKind::Blackhole;
            matches!(
                a,
                Action::Fail {
                    how: Blackhole,
                    noticed: None,
                    ..
                }
            )
        };
        if timeline.actions.iter().any(|(_, a, _)| dark(a)) {
            self.assumed.push(format!(
                "pods of a machine that is gone stay in the endpoints for {} (node-monitor-grace-period; `noticed` in the event says otherwise)",
                push.node_grace
            ));
        }
    }
}

/// `25%` of so many, or a number; a share is rounded up or down as Kubernetes does it.
fn part_of(text: &str, of: usize, up: bool) -> u32 {
    let Some(percent) = text.trim().strip_suffix('%') else {
        return text.trim().parse().unwrap_or(1);
    };
    let percent: usize = percent.trim().parse().unwrap_or(25);
    let part = of.saturating_mul(percent);
    let whole = if up { part.div_ceil(100) } else { part / 100 };
    whole as u32
}

/// True when a place lies in an area; unset parts of the area match all.
fn lies_in(place: &Locality, area: &Locality) -> bool {
    let part = |a: &str, p: &str| a.is_empty() || a == p;
    part(&area.region, &place.region)
        && part(&area.zone, &place.zone)
        && part(&area.subzone, &place.subzone)
        && !place.is_empty()
}
