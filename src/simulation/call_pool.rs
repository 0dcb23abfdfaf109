//! Pools of applications: a call takes a connection (or a thread) of its pool before it is made, and
//! gives it back when it is over, the application's own retries included. While none is free it
//! waits, in the order of arrival, and keeps its place in the pod: that is how a slow database fills
//! up those who ask it. Each pod has pools of its own.

use std::collections::{BTreeMap, VecDeque};

use super::event::{Event, Kind};
use super::plan::NIL;
use super::world::{Parent, World};
use crate::data_plane::Trail;
use crate::engine::Queue;
use crate::observe::AppStat;
use crate::units::SimTime;

/// All pools of all pods, made on first use.
#[derive(Debug, Default)]
pub(super) struct CallPools {
    /// By pod and the number of the pool.
    pools: BTreeMap<(u32, u32), CallPool>,
    waits: Vec<Wait>,
    free: Vec<u32>,
}

#[derive(Debug, Default)]
struct CallPool {
    taken: u32,
    line: VecDeque<u32>,
}

/// A call that waits: what it needs to be made.
#[derive(Clone, Copy, Debug)]
pub(super) struct PooledCall {
    /// Number of its pool.
    pub(super) pool: u32,
    /// Application, pod, and what the request is to that.
    pub(super) server: (u32, u32, u32),
    /// Key of its request, and the header that was drawn for it.
    pub(super) luck: (u64, u64, u32),
    pub(super) parent: Parent,
}

#[derive(Clone, Copy, Debug)]
struct Wait {
    call: PooledCall,
    generation: u32,
}

impl CallPools {
    fn keep(&mut self, call: PooledCall) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.waits[slot as usize].call = call;
            return slot;
        }
        self.waits.push(Wait {
            call,
            generation: 0,
        });
        (self.waits.len() - 1) as u32
    }

    /// The wait is over, one way or the other; a timeout that is still to come finds another generation.
    fn take(&mut self, slot: u32) -> PooledCall {
        let wait = &mut self.waits[slot as usize];
        wait.generation = wait.generation.wrapping_add(1) & super::event::GENERATION_MASK;
        self.free.push(slot);
        wait.call
    }
}

impl<T: Trail> World<'_, T> {
    /// Makes a call that needs something of a pool, now or later.
    pub(super) fn call_from_pool(
        &mut self,
        now: SimTime,
        call: PooledCall,
        queue: &mut Queue<Event>,
    ) {
        let (app, pod, _) = call.server;
        let Some(plan) = self.pool_plan(app, call.pool) else {
            return;
        };
        let pools = &mut self.side.call_pools;
        let pool = pools.pools.entry((pod, call.pool)).or_default();
        if pool.taken < plan.size {
            pool.taken += 1;
            self.start_call(now, call.server, call.luck, call.parent, queue);
            return;
        }
        let slot = pools.keep(call);
        let generation = pools.waits[slot as usize].generation;
        if let Some(pool) = pools.pools.get_mut(&(pod, call.pool)) {
            pool.line.push_back(slot);
        }
        if let Some(timeout) = plan.timeout {
            let event = Event::stamped(Kind::PoolTimedOut, slot, generation);
            queue.push(now.after(timeout), event);
        }
        let stats = &mut self.record.apps[app as usize].rare;
        stats.inc(AppStat::PoolWaits);
    }

    /// A call of a pod is over: what it held goes to the next that waits.
    pub(super) fn give_back(
        &mut self,
        now: SimTime,
        pod: u32,
        call: u32,
        queue: &mut Queue<Event>,
    ) {
        let app = self.plan.pods[pod as usize].app;
        let calls = &self.plan.apps[app as usize].rare_calls;
        let Some(number) = calls.get(call as usize).and_then(|call| call.pool) else {
            return;
        };
        let pools = &mut self.side.call_pools;
        let Some(pool) = pools.pools.get_mut(&(pod, number)) else {
            return;
        };
        let Some(next) = pool.line.pop_front() else {
            debug_assert!(pool.taken > 0, "what is given back was taken");
            pool.taken = pool.taken.saturating_sub(1);
            return;
        };
        let call = pools.take(next);
        self.start_call(now, call.server, call.luck, call.parent, queue);
    }

    /// A call has waited for as long as its pool allows: it fails as without an answer.
    pub(super) fn on_pool_timed_out(
        &mut self,
        now: SimTime,
        slot: u32,
        generation: u32,
        queue: &mut Queue<Event>,
    ) {
        let pools = &mut self.side.call_pools;
        if pools.waits[slot as usize].generation != generation {
            return;
        }
        let call = pools.take(slot);
        let (app, pod, _) = call.server;
        if let Some(pool) = pools.pools.get_mut(&(pod, call.pool)) {
            pool.line.retain(|waiting| *waiting != slot);
        }
        let stats = &mut self.record.apps[app as usize].rare;
        stats.inc(AppStat::PoolTimeouts);
        if let Parent::Attempt { attempt, call } = call.parent
            && attempt != NIL
        {
            self.call_returned(now, attempt, call, 0, queue);
        }
    }

    /// These pods are gone, with everything that they hold and that waits in them.
    pub(super) fn empty_call_pools(&mut self, gone: &[bool]) {
        let pools = &mut self.side.call_pools;
        let lost: Vec<u32> = (pools.pools.iter())
            .filter(|((pod, _), _)| gone[*pod as usize])
            .flat_map(|(_, pool)| pool.line.iter().copied())
            .collect();
        for slot in lost {
            pools.take(slot);
        }
        pools.pools.retain(|(pod, _), _| !gone[*pod as usize]);
    }

    fn pool_plan(&self, app: u32, pool: u32) -> Option<super::plan::PoolPlan> {
        let rare = self.plan.apps[app as usize].rare.as_deref()?;
        rare.pools.get(pool as usize).copied()
    }
}
