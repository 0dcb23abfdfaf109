//! Calls that are not always made, or that nobody waits for: by chance, behind a cache,
//! asynchronous. Applications without any never come here.

use super::call_pool::PooledCall;
use super::event::Event;
use super::plan::{NIL, RareCall};
use super::world::{Attempt, Parent, World};
use crate::data_plane::{Mark, Trail};
use crate::engine::Queue;
use crate::observe::AppStat;
use crate::units::SimTime;

/// What becomes of a call of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Made {
    No,
    Awaited,
    Alone,
}

impl<T: Trail> World<'_, T> {
    /// Starts those calls of a step that chance and caches leave; the others are over already. False
    /// when there is none to wait for.
    #[inline(never)]
    pub(super) fn rare_step(
        &mut self,
        now: SimTime,
        id: u32,
        (begin, end): (u32, u32),
        queue: &mut Queue<Event>,
    ) -> bool {
        let made: Vec<Made> = (begin..end).map(|n| self.is_made(id, n)).collect();
        let awaited = made.iter().filter(|m| **m == Made::Awaited).count() as u32;
        self.attempts[id as usize].outstanding = awaited;
        // Calls that nobody waits for may outlive the attempt: what they need is taken before.
        let (server, luck) = self.attempts[id as usize].caller();
        let app = server.0;
        for (number, made) in (begin..end).zip(made) {
            let attempt = match made {
                Made::No => continue,
                Made::Awaited => id,
                Made::Alone => {
                    let stats = &mut self.record.apps[app as usize].rare;
                    stats.inc(AppStat::AsyncCalls);
                    self.mark(|| Mark::Causes(id));
                    NIL
                }
            };
            let parent = Parent::Attempt {
                attempt,
                call: number,
            };
            match self.plan.apps[app as usize].rare_calls[number as usize].pool {
                None => self.start_call(now, server, luck, parent, queue),
                Some(pool) => {
                    let call = PooledCall {
                        pool,
                        server,
                        luck,
                        parent,
                    };
                    self.call_from_pool(now, call, queue);
                }
            }
        }
        awaited > 0
    }

    /// Chance first, then the cache, each with a draw of its own.
    fn is_made(&mut self, id: u32, number: u32) -> Made {
        let Attempt { app, key, .. } = self.attempts[id as usize];
        let plan: &RareCall = &self.plan.apps[app as usize].rare_calls[number as usize];
        let RareCall {
            probability,
            hit_rate,
            is_async,
            ..
        } = *plan;
        if let Some(row) = &plan.row {
            let key = key ^ u64::from(row.first + 1);
            let random = Self::draws(key, self.keys.times).next_u64();
            let drawn = row.times.iter().find(|(_, share)| share.hit(random));
            if drawn.is_none_or(|(times, _)| row.place >= *times) {
                return Made::No;
            }
        }
        let key = key ^ u64::from(number + 1);
        let stats = &mut self.record.apps[app as usize].rare;
        if probability.is_some_and(|p| !p.hit(Self::draws(key, self.keys.chance).next_u64())) {
            stats.inc(AppStat::CallsSkipped);
            return Made::No;
        }
        if let Some(rate) = hit_rate {
            if rate.hit(Self::draws(key, self.keys.cache).next_u64()) {
                stats.inc(AppStat::CacheHits);
                return Made::No;
            }
            stats.inc(AppStat::CacheMisses);
        }
        if is_async { Made::Alone } else { Made::Awaited }
    }
}
