//! The course of every workload as a server: what its pods did, window by window.
//!
//! Read between two events at the end of each window of the series, so that no request pays for it.
//! Of the first replication only, as happenings and ejections are.

use super::plan::Plan;
use super::world::World;
use crate::data_plane::Trail;
use crate::observe::record::{WorkloadCourse, WorkloadWindow};
use crate::units::SimTime;

/// What has been read so far.
#[derive(Debug, Default)]
pub(super) struct Occupancy {
    /// When the window ends that is open; `None`: nobody wants to know.
    pub(super) next: Option<SimTime>,
    begun: SimTime,
    /// Per app: counts as they were when the window began.
    seen: Vec<Seen>,
    /// Per app.
    windows: Vec<Vec<WorkloadWindow>>,
}

/// Counts that only grow, except where warm-up ends.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    busy: u128,
    waiting: u128,
    requests: u64,
    rejected: u64,
    answered: u64,
    errors: u64,
}

impl Occupancy {
    /// Courses by app; those of apps that never had anything to do are empty.
    pub(super) fn named(self, plan: &Plan) -> Vec<WorkloadCourse> {
        let idle = |w: &WorkloadWindow| w.requests + w.rejected == 0 && w.busy == 0.0;
        let apps = plan.apps.iter().zip(self.windows);
        let mut courses: Vec<WorkloadCourse> = apps
            .filter(|(_, windows)| !windows.iter().all(idle))
            .map(|(app, windows)| WorkloadCourse {
                name: app.name.clone(),
                windows,
            })
            .collect();
        courses.sort_by(|a, b| a.name.cmp(&b.name));
        courses
    }
}

impl<T: Trail> World<'_, T> {
    /// From now on windows are kept.
    pub(super) fn begin_courses(&mut self) {
        let apps = self.plan.apps.len();
        self.occupancy = Occupancy {
            next: Some(SimTime::ZERO.after(self.record.window())),
            begun: SimTime::ZERO,
            seen: vec![Seen::default(); apps],
            windows: vec![Vec::new(); apps],
        };
    }

    /// What ends at `now`, whose events before have all been handled.
    pub(super) fn close_windows(&mut self, now: SimTime) {
        if self.joins.next == Some(now) {
            self.next_join_windows(now);
        }
        if self.occupancy.next == Some(now) {
            self.close_courses(now);
        }
    }

    /// A window is over at `now`; all that happened before has been handled.
    fn close_courses(&mut self, now: SimTime) {
        let length = now.since(self.occupancy.begun).ns() as f64;
        let mut sums = self.sums(now);
        for (app, (sum, places)) in sums.drain(..).enumerate() {
            let before = std::mem::replace(&mut self.occupancy.seen[app], sum);
            let mean = |sum, before| grown(sum, before) as f64 / length;
            let count = |sum, before| grown(u128::from(sum), u128::from(before)) as u64;
            self.occupancy.windows[app].push(WorkloadWindow {
                at: self.occupancy.begun,
                places,
                busy: mean(sum.busy, before.busy),
                waiting: mean(sum.waiting, before.waiting),
                requests: count(sum.requests, before.requests),
                rejected: count(sum.rejected, before.rejected),
                answered: count(sum.answered, before.answered),
                errors: count(sum.errors, before.errors),
            });
        }
        self.occupancy.begun = now;
        self.occupancy.next = Some(now.after(self.record.window()));
    }

    /// Per app: what stands now, and its places (`None`: no limit).
    fn sums(&mut self, now: SimTime) -> Vec<(Seen, Option<u64>)> {
        let plan = self.plan;
        let counts = self.record.apps.iter();
        let mut sums: Vec<(Seen, Option<u64>)> = counts
            .map(|counts| {
                let seen = Seen {
                    requests: counts.requests,
                    rejected: counts.rejected,
                    answered: counts.latency.count(),
                    errors: counts.errors,
                    ..Seen::default()
                };
                (seen, Some(0))
            })
            .collect();
        for (pod, of) in (0..).zip(&plan.pods) {
            let (busy, waiting) = self.pods[pod as usize].areas(now);
            let (seen, places) = &mut sums[of.app as usize];
            seen.busy += busy;
            seen.waiting += waiting;
            let serves = !self.is_dynamic() || self.dynamics.pods[pod as usize].phase.has_places();
            let concurrency = self.limits_of(pod, of.app).concurrency;
            *places = match *places {
                Some(_) if concurrency == u32::MAX => None,
                Some(sum) if serves => Some(sum + u64::from(concurrency)),
                other => other,
            };
        }
        sums
    }
}

/// By how much a count has grown; one that was set back begins at zero.
const fn grown(sum: u128, before: u128) -> u128 {
    if sum >= before { sum - before } else { sum }
}
