//! Pods that join a run that goes on: what each of them gets of its workload's requests, and how
//! long its requests take, beside what the other pods get and take.
//!
//! A pod has joined when every proxy knows of it. From then on windows are kept that grow, because
//! a slow start begins steeply and ends flat. What pods got is read between two events at the end
//! of a window, so that no request pays for it; times are noted at pods whose workload has such a
//! window open, and nowhere else. Of the first replication only, as courses are.

use super::world::World;
use crate::data_plane::Trail;
use crate::observe::Histogram;
use crate::observe::record::{JoinRecord, JoinWindow};
use crate::units::{SimDuration, SimTime};

/// Ends of the windows, in seconds after the pod joined.
const ENDS: [u64; 6] = [1, 2, 5, 10, 20, 40];
/// Pods of a run that windows are kept of; of more it is told that they joined.
const WATCHED_MAX: usize = 20;

/// What has been read so far.
#[derive(Debug, Default)]
pub(super) struct Joins {
    /// When the next window ends; `None`: none is open.
    pub(super) next: Option<SimTime>,
    all: Vec<JoinRecord>,
    open: Vec<Open>,
}

/// The window of a pod that is open.
#[derive(Debug)]
struct Open {
    /// Its record in `all`.
    record: usize,
    pod: u32,
    app: u32,
    begun: SimTime,
    /// Requests of the pod and of its workload when the window began.
    seen: (u64, u64),
    /// Endpoints of the workload, summed over the time from `begun` to `counted`.
    endpoints: u128,
    counted: SimTime,
    own: Histogram,
    others: Histogram,
}

impl Joins {
    pub(super) fn named(self) -> Vec<JoinRecord> {
        self.all
    }

    fn plan_next(&mut self) {
        let ends = self
            .open
            .iter()
            .map(|open| self.all[open.record].end_of(open));
        self.next = ends.min();
    }
}

impl JoinRecord {
    /// When a pod's open window is over.
    fn end_of(&self, open: &Open) -> SimTime {
        let lasted = open.begun.since(self.at);
        let mut ends = ENDS.iter().map(|end| SimDuration::from_secs(*end));
        let end = ends.find(|end| *end > lasted).unwrap_or(lasted);
        self.at.after(end)
    }

    fn is_over_at(&self, now: SimTime) -> bool {
        now.since(self.at) >= SimDuration::from_secs(ENDS[ENDS.len() - 1])
    }
}

impl<T: Trail> World<'_, T> {
    /// Every proxy knows of a pod that is an endpoint now and was none before.
    pub(super) fn pod_joined(&mut self, now: SimTime, pod: u32) {
        if self.occupancy.next.is_none() {
            return;
        }
        let plan = self.plan;
        let app = plan.pods[pod as usize].app;
        let record = self.joins.all.len();
        self.joins.all.push(JoinRecord {
            workload: plan.apps[app as usize].name.clone(),
            pod: plan.pods[pod as usize].name.clone(),
            at: now,
            windows: Vec::new(),
        });
        // It may have left again before the last proxy heard of it.
        if record >= WATCHED_MAX || !self.dynamics.listed[pod as usize] {
            return;
        }
        let seen = self.requests_of(pod, app);
        self.joins.open.push(Open {
            record,
            pod,
            app,
            begun: now,
            seen,
            endpoints: 0,
            counted: now,
            own: Histogram::default(),
            others: Histogram::default(),
        });
        self.joins.plan_next();
    }

    /// Requests that reached a pod, and all pods of its workload.
    fn requests_of(&self, pod: u32, app: u32) -> (u64, u64) {
        let of = |pod: u32| self.record.pods[pod as usize].requests;
        let all = self.plan.apps[app as usize].pods.iter();
        (of(pod), all.map(|pod| of(*pod)).sum())
    }

    /// The endpoints of a workload are about to change.
    pub(super) fn count_endpoints(&mut self, now: SimTime, app: u32) {
        if self.joins.next.is_none() {
            return;
        }
        let pods = self.plan.apps[app as usize].pods.iter();
        let listed = pods.filter(|pod| self.dynamics.listed[**pod as usize]);
        let listed = listed.count() as u128;
        for open in self.joins.open.iter_mut().filter(|open| open.app == app) {
            open.endpoints += listed * u128::from(now.since(open.counted).ns());
            open.counted = now;
        }
    }

    /// A pod is an endpoint no more: its windows end.
    pub(super) fn joined_pod_left(&mut self, now: SimTime, pod: u32) {
        self.close_join_windows(now, |open, _| open.pod == pod);
        self.joins.open.retain(|open| open.pod != pod);
        self.joins.plan_next();
    }

    /// Windows that end at `now`; all that happened before has been handled.
    pub(super) fn next_join_windows(&mut self, now: SimTime) {
        self.close_join_windows(now, |open, record| record.end_of(open) <= now);
        let all = &self.joins.all;
        let goes_on = |open: &Open| !all[open.record].is_over_at(now);
        self.joins.open.retain(goes_on);
        self.joins.plan_next();
    }

    /// Nothing counts any more.
    pub(super) fn end_joins(&mut self, now: SimTime) {
        self.close_join_windows(now, |_, _| true);
        self.joins.open.clear();
        self.joins.next = None;
    }

    fn close_join_windows(&mut self, now: SimTime, ends: impl Fn(&Open, &JoinRecord) -> bool) {
        for at in 0..self.joins.open.len() {
            let open = &self.joins.open[at];
            if open.begun >= now || !ends(open, &self.joins.all[open.record]) {
                continue;
            }
            let (pod, app) = (open.pod, open.app);
            self.count_endpoints(now, app);
            let sums = self.requests_of(pod, app);
            let open = &mut self.joins.open[at];
            // Where warm-up ended meanwhile, counts began anew.
            let before = if sums.1 >= open.seen.1 {
                open.seen
            } else {
                (0, 0)
            };
            let lasted = now.since(open.begun).ns() as f64;
            let record = &mut self.joins.all[open.record];
            let p99 = |times: &Histogram| (!times.is_empty()).then(|| times.quantile(0.99));
            record.windows.push(JoinWindow {
                from: open.begun.since(record.at),
                until: now.since(record.at),
                requests: sums.0.saturating_sub(before.0),
                of: sums.1 - before.1,
                endpoints: open.endpoints as f64 / lasted,
                p99: p99(&open.own),
                others_p99: p99(&open.others),
            });
            open.begun = now;
            open.seen = sums;
            open.endpoints = 0;
            open.own.clear();
            open.others.clear();
        }
    }

    /// A request leaves a pod while windows are open.
    #[cold]
    #[inline(never)]
    pub(super) fn note_beside_joined(&mut self, pod: u32, app: u32, latency: SimDuration) {
        for open in self.joins.open.iter_mut().filter(|open| open.app == app) {
            let times = if open.pod == pod {
                &mut open.own
            } else {
                &mut open.others
            };
            times.record(latency);
        }
    }
}
