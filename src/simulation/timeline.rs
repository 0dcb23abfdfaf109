//! What happens apart from requests, when its time comes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::autoscaling::Autoscaling;
use super::event::{Event, Kind};
use super::plan::{NIL, Plan};
use super::timeline_plan::Action;
use super::world::World;
use crate::config::scenario::FailureKind;
use crate::data_plane::{HostSet, Trail};
use crate::engine::Queue;
use crate::network::Debounce;
use crate::observe::record::HappeningKind;
use crate::units::{Fraction, SimTime};
use crate::workload::Limits;

/// Where a pod is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Does not exist.
    Absent,
    /// Created, does not serve yet.
    Starting,
    /// Serves.
    Serving,
    /// Its application has been told to end and takes nothing new; its sidecar drains.
    Closing,
    /// Its application is gone, its sidecar lives.
    Crashed,
    /// Its application accepts and does not answer.
    Hung,
    /// Gone without notice; its address refuses.
    Down,
    /// Packets to it vanish.
    Dark,
}

impl Phase {
    /// Requests can be in its places: what utilisation is a share of.
    pub(super) const fn has_places(self) -> bool {
        match self {
            Self::Serving | Self::Closing | Self::Hung => true,
            Self::Absent | Self::Starting | Self::Crashed | Self::Down | Self::Dark => false,
        }
    }
}

/// One pod as events change it.
#[derive(Clone, Copy, Debug)]
pub(super) struct PodState {
    pub(super) phase: Phase,
    /// Told to end: it does not count as one of its workload any more.
    pub(super) ending: bool,
    /// Grows with each change, so that a step of an earlier life is known as such.
    pub(super) generation: u32,
    pub(super) slow: u32,
    pub(super) errors: u32,
    pub(super) limits: Limits,
    /// Its grace is over by then, once it has been told to end.
    pub(super) ends_by: SimTime,
    /// Since when it serves, while it does.
    pub(super) since: SimTime,
    /// Time it has served, in nanoseconds.
    pub(super) served: u128,
}

/// A later change of a pod.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) pod: u32,
    pub(super) generation: u32,
    pub(super) what: StepKind,
}

/// What changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StepKind {
    /// It serves from now on.
    Started,
    /// The endpoints list it from now on, or not any more.
    Listed(bool),
    /// `preStop` is over: its containers are told to end.
    Told,
    /// It is gone.
    Gone,
    /// Its proxy's routes are those of this version of the tables.
    Routed(u32),
}

/// How a link is.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinkState {
    /// Nothing passes before this.
    pub(super) cut_until: SimTime,
    /// Index of an extra delay.
    pub(super) delay: u32,
}

/// A rolling update under way.
#[derive(Clone, Debug)]
pub(super) struct Rolling {
    pub(super) app: u32,
    /// Pods of the old set that are still to be ended, in order.
    pub(super) old: Vec<u32>,
    /// Pods of the new set.
    pub(super) new: Vec<u32>,
    pub(super) wanted: u32,
}

/// State of everything that changes besides requests.
#[derive(Debug, Default)]
pub(super) struct Dynamics {
    pub(super) pods: Vec<PodState>,
    pub(super) links: Vec<LinkState>,
    pub(super) steps: Vec<Step>,
    /// What the endpoints list now.
    pub(super) listed: Vec<bool>,
    /// What they listed when each push began.
    pub(super) epochs: Vec<Arc<[bool]>>,
    /// Number of the latest push that each pod's proxy works with.
    pub(super) known: Vec<u32>,
    /// Version of the tables that each push brought.
    pub(super) versions: Vec<u32>,
    /// Version that the API server has.
    pub(super) configured: u32,
    /// Version of the routes that each pod's proxy works with.
    pub(super) routed: Vec<u32>,
    pub(super) istiod: Debounce,
    /// Hosts of a cluster plan at a push.
    pub(super) sets: BTreeMap<(u32, u32), Arc<HostSet>>,
    pub(super) rollings: Vec<Rolling>,
    pub(super) autoscaling: Autoscaling,
    /// What happened, in sentences; the first of many.
    pub(super) told: Vec<(SimTime, HappeningKind, String)>,
    /// Proxies that have not yet heard of each push.
    pub(super) unheard: Vec<u32>,
}

/// Sentences that are kept.
const TOLD_MAX: usize = 400;

/// What an action is to the run.
fn kind_of(action: &Action) -> HappeningKind {
    match action {
        Action::Fail { .. }
        | Action::Slow { .. }
        | Action::Errors { .. }
        | Action::Cut { .. }
        | Action::Delay { .. } => HappeningKind::Begins,
        Action::Capacity { share, .. } if *share < Fraction::ONE => HappeningKind::Begins,
        Action::Restore { .. }
        | Action::SlowEnds { .. }
        | Action::ErrorsEnd { .. }
        | Action::Capacity { .. }
        | Action::Mended
        | Action::DelayEnds { .. } => HappeningKind::Ends,
        Action::Scale { .. } | Action::Rollout { .. } | Action::Configure { .. } => {
            HappeningKind::Changes
        }
    }
}

impl Dynamics {
    /// Keeps a sentence.
    pub(super) fn tell(&mut self, now: SimTime, kind: HappeningKind, sentence: String) {
        if self.told.len() < TOLD_MAX {
            self.told.push((now, kind, sentence));
        }
    }

    pub(super) fn new(plan: &Plan) -> Self {
        if plan.timeline.is_none() {
            return Self::default();
        }
        let state = |pod: &super::plan::PodPlan| PodState {
            phase: if pod.spare {
                Phase::Absent
            } else {
                Phase::Serving
            },
            ending: false,
            generation: 0,
            slow: NIL,
            errors: NIL,
            limits: plan.apps[pod.app as usize].limits,
            ends_by: SimTime::ZERO,
            since: SimTime::ZERO,
            served: 0,
        };
        let link = LinkState {
            cut_until: SimTime::ZERO,
            delay: NIL,
        };
        let listed: Vec<bool> = plan.pods.iter().map(|p| !p.spare).collect();
        Self {
            pods: plan.pods.iter().map(state).collect(),
            links: vec![link; plan.distances.len()],
            epochs: vec![listed.clone().into()],
            unheard: vec![0],
            listed,
            known: vec![0; plan.pods.len()],
            versions: vec![0],
            autoscaling: Autoscaling::new(plan),
            routed: vec![0; plan.pods.len()],
            ..Self::default()
        }
    }
}

impl<T: Trail> World<'_, T> {
    /// Puts every action where its time is.
    pub(super) fn begin_timeline(&mut self, queue: &mut Queue<Event>) {
        let Some(timeline) = &self.plan.timeline else {
            return;
        };
        for (index, (at, ..)) in (0..).zip(&timeline.actions) {
            queue.push(*at, Event::new(Kind::TimelineAction, index));
        }
        self.begin_autoscaling(queue);
    }

    #[cold]
    pub(super) fn on_timeline_action(
        &mut self,
        now: SimTime,
        index: u32,
        queue: &mut Queue<Event>,
    ) {
        let plan = self.plan;
        let Some(timeline) = &plan.timeline else {
            return;
        };
        let (_, action, sentence) = &timeline.actions[index as usize];
        self.dynamics.tell(now, kind_of(action), sentence.clone());
        match action {
            Action::Fail { pods, how, noticed } => self.fail_pods(now, pods, *how, *noticed, queue),
            Action::Restore { pods } => self.restore_pods(now, pods, queue),
            Action::Slow { pods, index } => self.each(pods, |pod| pod.slow = *index),
            Action::SlowEnds { pods, index } => self.each(pods, |pod| {
                if pod.slow == *index {
                    pod.slow = NIL;
                }
            }),
            Action::Errors { pods, index } => self.each(pods, |pod| pod.errors = *index),
            Action::ErrorsEnd { pods, index } => self.each(pods, |pod| {
                if pod.errors == *index {
                    pod.errors = NIL;
                }
            }),
            Action::Capacity { pods, share } => self.set_capacity(now, pods, *share, queue),
            Action::Cut { area, until } => {
                self.each_link(*area, |link| link.cut_until = *until);
            }
            Action::Mended => {}
            Action::Delay { area, index } => self.each_link(*area, |link| link.delay = *index),
            Action::DelayEnds { area, index } => self.each_link(*area, |link| {
                if link.delay == *index {
                    link.delay = NIL;
                }
            }),
            Action::Scale { app, replicas } => self.scale(now, *app, *replicas, queue),
            Action::Rollout { app } => self.roll_out(now, *app, queue),
            Action::Configure { version } => self.configure(now, *version, queue),
        }
    }

    fn each(&mut self, pods: &[u32], change: impl Fn(&mut PodState)) {
        for pod in pods {
            change(&mut self.dynamics.pods[*pod as usize]);
        }
    }

    /// A change that comes later, unless the pod changes in another way before.
    pub(super) fn later(
        &mut self,
        at: SimTime,
        pod: u32,
        what: StepKind,
        queue: &mut Queue<Event>,
    ) {
        let generation = self.dynamics.pods[pod as usize].generation;
        let index = self.dynamics.steps.len() as u32;
        self.dynamics.steps.push(Step {
            pod,
            generation,
            what,
        });
        queue.push(at, Event::new(Kind::PodChanged, index));
    }

    #[cold]
    pub(super) fn on_pod_changed(&mut self, now: SimTime, index: u32, queue: &mut Queue<Event>) {
        let Step {
            pod,
            generation,
            what,
        } = self.dynamics.steps[index as usize];
        let is_stale = self.dynamics.pods[pod as usize].generation != generation;
        match what {
            // Its proxy may live on whatever became of the application.
            StepKind::Routed(version) => self.pod_routed(pod, version),
            _ if is_stale => {}
            StepKind::Started => self.pod_started(now, pod, queue),
            StepKind::Listed(listed) => self.list_pod(now, pod, listed, queue),
            StepKind::Told => self.pod_told(now, pod, queue),
            StepKind::Gone => self.pod_gone(now, pod, queue),
        }
    }

    /// How a failure of this kind is noticed: from it to the change of readiness; `None`: never.
    pub(super) fn noticed_after(
        &self,
        pod: u32,
        how: FailureKind,
    ) -> Option<crate::units::SimDuration> {
        let timeline = self.plan.timeline.as_ref()?;
        let app = self.plan.pods[pod as usize].app as usize;
        match how {
            FailureKind::Kill => Some(crate::units::SimDuration::ZERO),
            FailureKind::Crash => Some(timeline.push.crash_noticed),
            FailureKind::Hang => timeline.lives.get(app)?.unready_after,
            FailureKind::Blackhole => Some(timeline.push.node_grace),
        }
    }
}
