//! Requests that are more important than others: who is refused first when a queue fills up.
//!
//! Which waiting request is served next is the pod's line of lines (`rare_pods.rs`). Here is what
//! happens at the door: less important requests are refused from a share of the queue on (load
//! shedding), and a full queue gives the place of the newest of the least important to one that is
//! more important.

use super::world::{Attempt, World};
use crate::data_plane::Trail;
use crate::observe::AppStat;
use crate::units::SimTime;
use crate::workload::Limits;

/// What happens at the door of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// As everywhere.
    Open,
    /// The request is refused.
    Shut,
    /// This waiting one loses its place to it.
    Instead(u32),
}

impl<T: Trail> World<'_, T> {
    /// How important a request is to its server: 0 is the most important.
    pub(super) fn level_of(&self, id: u32) -> u8 {
        let target = self.attempts[id as usize].target;
        self.plan.targets[target as usize].level
    }

    /// Looks at who waits before a request comes in.
    #[inline(never)]
    pub(super) fn at_the_door(&mut self, now: SimTime, id: u32, limits: Limits) -> Door {
        let Attempt { pod, app, .. } = self.attempts[id as usize];
        let rare = self.plan.apps[app as usize].rare.as_deref();
        let Some(shed) = rare.map(|rare| &rare.shed_from).filter(|s| !s.is_empty()) else {
            return Door::Open;
        };
        let state = &self.pods[pod as usize];
        if state.busy < limits.concurrency {
            return Door::Open;
        }
        let level = self.level_of(id);
        let waiting = u64::from(state.waiting);
        let is_shed = shed[usize::from(level)].is_some_and(|share| {
            waiting * 1_000_000 >= u64::from(share.ppm()) * u64::from(limits.queue)
        });
        if is_shed {
            self.record.apps[app as usize].rare.inc(AppStat::Shed);
            return Door::Shut;
        }
        if state.waiting < limits.queue {
            return Door::Open;
        }
        match self.side.pods[pod as usize].newest_below(level) {
            Some(other) => {
                self.pods[pod as usize].drop_waiting(now);
                Door::Instead(other)
            }
            None => Door::Open,
        }
    }
}
