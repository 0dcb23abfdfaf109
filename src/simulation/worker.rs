//! Worker threads of proxies: which of them a connection belongs to, and what each of them does.
//!
//! A connection stays with the worker that accepted it. Envoy's listeners have a socket per worker
//! (`enable_reuse_port`, its default since 1.20), so it is the kernel that chooses, by a hash of
//! the connection's addresses and ports: 40 times eight connections to an Envoy 1.40 with four
//! workers gave its busiest worker 3.48 of eight on average; independent draws give 3.54. So each
//! connection draws its worker here. Balancers and pools of a worker are its own; limits,
//! active requests and ejections are the proxy's (`envoy-runtime.md` §1).
//!
//! Counted only where a proxy has several workers: such runs take the loop for rare things.

use super::plan::{Inbound, Plan};
use super::world::{Attempt, World};
use crate::data_plane::Trail;
use crate::engine::rng::{Draws, Seed};
use crate::observe::WorkerCounts;
use crate::observe::record::WorkersRecord;

impl Plan {
    /// Counters for every worker, where some proxy has several.
    pub(super) fn worker_counts(&self) -> WorkerCounts {
        if self.has_workers {
            WorkerCounts::new(self.pods.iter().map(|pod| pod.workers))
        } else {
            WorkerCounts::default()
        }
    }
}

/// The worker that accepted the connection of a closed loop's user.
pub(super) fn of_user(seed: Seed, load: &str, user: u32, workers: u32) -> u32 {
    let mut draws = Draws::of(seed.key("user-worker", load), u64::from(user));
    draws.below(u64::from(workers)) as u32
}

impl<T: Trail> World<'_, T> {
    /// The worker that has a call of an application, or the one that had it before.
    #[cold]
    pub(super) fn worker_of_call(&mut self, pod: u32, key: u64, given: Option<u32>) -> u32 {
        let workers = self.plan.pods[pod as usize].workers;
        let drawn = || Self::draws(key, self.keys.worker).below(u64::from(workers)) as u32;
        let worker = given.map_or_else(drawn, |worker| worker % workers);
        self.record.workers.count_sent(pod, worker);
        worker
    }

    /// The worker of the server's proxy that accepted the connection of a try.
    pub(super) fn worker_of_server(&self, attempt: u32) -> u32 {
        let attempt = &self.attempts[attempt as usize];
        let workers = self.plan.pods[attempt.pod as usize].workers;
        if workers == 1 {
            return 0;
        }
        let generation = self.connections.get(attempt.connection).generation;
        let key = u64::from(attempt.connection) << 32 | u64::from(generation);
        Self::draws(key, self.keys.accept).below(u64::from(workers)) as u32
    }

    /// A try reached its server's sidecar.
    #[cold]
    pub(super) fn count_served(&mut self, attempt: u32) {
        let Attempt { pod, target, .. } = self.attempts[attempt as usize];
        let inbound = self.plan.targets[target as usize].inbound;
        let sidecar = matches!(inbound, Inbound::Forward(_) | Inbound::Guarded(_));
        if sidecar && self.plan.pods[pod as usize].workers > 1 {
            let worker = self.worker_of_server(attempt);
            self.record.workers.count_served(pod, worker);
        }
    }
}

/// What the workers of each proxy did, in the order of pods; those of one worker are left out, and
/// those that had nothing to do.
pub(super) fn records(plan: &Plan, counts: &[&WorkerCounts]) -> Vec<WorkersRecord> {
    let several = (0..).zip(&plan.pods).filter(|(_, pod)| pod.workers > 1);
    let all = several.map(|(index, pod)| WorkersRecord {
        workload: plan.apps[pod.app as usize].name.clone(),
        pod: pod.name.clone(),
        sent: (counts.iter()).map(|c| c.sent(index).to_vec()).collect(),
        served: (counts.iter()).map(|c| c.served(index).to_vec()).collect(),
    });
    all.filter(|record| record.total() > 0).collect()
}
