//! State that few runs have, apart from the records that every request carries.

use std::collections::BTreeMap;

use super::call_pool::CallPools;
use super::plan::Plan;
use super::rare_pods::RarePod;
use super::throttle::Throttles;
use super::world::Parent;
use crate::data_plane::retry::RetryState;
use crate::engine::LaneId;
use crate::units::SimTime;

/// What rare features remember.
#[derive(Debug, Default)]
pub(super) struct Side {
    /// Replaced tries that are still out, by call (hedging).
    pub(super) hedged: BTreeMap<u32, Vec<u32>>,
    /// Retries that a server's sidecar makes, by attempt.
    pub(super) inbound: BTreeMap<u32, InboundRetries>,
    /// Requests that their applications are about to repeat.
    pub(super) repeats: Vec<Repeat>,
    pub(super) free_repeats: Vec<u32>,
    /// Root requests that were repeated, by the call that is out for them.
    pub(super) roots: BTreeMap<u32, RootSoFar>,
    /// What rare pods remember; empty when there are none.
    pub(super) pods: Vec<RarePod>,
    /// Tokens of throttled retries.
    pub(super) throttles: Throttles,
    /// Pools of applications; empty when no call takes from one.
    pub(super) call_pools: CallPools,
    /// Deadlines of calls and of tries, by their slots; empty when no application heeds any.
    pub(super) call_deadlines: Vec<SimTime>,
    pub(super) try_deadlines: Vec<SimTime>,
    /// Lanes of stream limits, by route plan; empty when no route has one.
    pub(super) stream_lanes: Vec<Option<LaneId>>,
}

impl Side {
    pub(super) fn new(
        plan: &Plan,
        mut lane: impl FnMut(crate::units::SimDuration) -> LaneId,
    ) -> Self {
        let limit = |r: &super::plan::RoutePlan| r.rare.as_ref().and_then(|rare| rare.stream);
        let stream_lanes = if plan.routes.iter().any(|r| limit(r).is_some()) {
            let routes = plan.routes.iter();
            routes.map(|r| limit(r).map(|l| lane(l.after))).collect()
        } else {
            Vec::new()
        };
        Self {
            stream_lanes,
            ..Self::default()
        }
    }

    /// A place for a repeated request that waits.
    pub(super) fn keep(&mut self, repeat: Repeat) -> u32 {
        if let Some(slot) = self.free_repeats.pop() {
            self.repeats[slot as usize] = repeat;
            return slot;
        }
        self.repeats.push(repeat);
        (self.repeats.len() - 1) as u32
    }
}

/// A server's sidecar's retries of one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct InboundRetries {
    /// When the request arrived: what tells it from an earlier one in the same slot.
    pub(super) arrived: SimTime,
    pub(super) state: RetryState,
    /// The application has had its bytes.
    pub(super) sent: bool,
}

/// A request that its application repeats after a pause.
#[derive(Clone, Copy, Debug)]
pub(super) struct Repeat {
    pub(super) parent: Parent,
    pub(super) route: u32,
    pub(super) pod: u32,
    pub(super) worker: u32,
    pub(super) key: u64,
    pub(super) drawn: u64,
    pub(super) prefix: u32,
    /// Of a root request.
    pub(super) root: RootSoFar,
}

/// What earlier tries of a root request leave for its record.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RootSoFar {
    pub(super) started: SimTime,
    pub(super) number: u64,
    /// Tries of its proxy.
    pub(super) attempts: u32,
    /// The application's own tries.
    pub(super) tries: u32,
}
