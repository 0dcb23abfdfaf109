//! The state of a run: calls, tries, connections, pods, and what each proxy knows of each cluster.

use std::collections::VecDeque;

use super::event::{Event, Kind};
use super::filters::FilterStates;
use super::health::Checked;
use super::joined::Joins;
use super::occupancy::Occupancy;
use super::plan::{NIL, Plan};
use super::rare_pods::rare_pods;
pub(super) use super::records::{
    Attempt, Call, Edge, Fate, Keys, Lanes, LoadState, Parent, State, TRIED_MAX, User,
};
use super::side::Side;
use super::sidecar::Gate;
use super::timeline::Dynamics;
use crate::config::scenario::LoadStyle;
use crate::data_plane::circuit_breaker::Breakers;
use crate::data_plane::conn_pool::{Connections, Pool};
use crate::data_plane::merge_window::MergeWindow;
use crate::data_plane::outlier_detection::{HostOutlier, Monitor};
use crate::data_plane::{LbState, Trail};
use crate::engine::rng::{Draws, Seed};
use crate::engine::{LaneId, Queue};
use crate::observe::Recorder;
use crate::observe::proxy_stats::ProxyStats;
use crate::units::{SimDuration, SimTime};
use crate::workload;

/// The state of one run.
#[derive(Debug)]
pub(super) struct World<'p, T: Trail> {
    pub(super) plan: &'p Plan,
    pub(super) seed: Seed,
    pub(super) keys: Keys,
    pub(super) calls: Vec<Call>,
    pub(super) free_calls: Vec<u32>,
    /// Hosts of earlier tries, by call: written when there is a second one.
    pub(super) tried: Vec<[u32; TRIED_MAX]>,
    pub(super) attempts: Vec<Attempt>,
    pub(super) free_attempts: Vec<u32>,
    pub(super) connections: Connections,
    pub(super) edges: Vec<Edge>,
    pub(super) edge_of: Vec<u32>,
    pub(super) active: Vec<u32>,
    pub(super) outliers: Vec<HostOutlier>,
    /// Hosts whose health is checked.
    pub(super) checked: Vec<Checked>,
    pub(super) pools: Vec<Pool>,
    /// (edge, host) of each pool.
    pub(super) pool_owner: Vec<(u32, u32)>,
    pub(super) pods: Vec<workload::Pod>,
    /// Inbound clusters of pods that limit anything.
    pub(super) gates: Vec<Gate>,
    pub(super) filters: FilterStates,
    pub(super) users: Vec<User>,
    pub(super) loads: Vec<LoadState>,
    pub(super) lanes: Vec<Lanes>,
    pub(super) load_lanes: Vec<Option<LaneId>>,
    /// Application timeout lanes, by app and call.
    pub(super) call_lanes: Vec<Vec<Option<LaneId>>>,
    /// Calls that failed together with a connection, kept for its memory.
    pub(super) failed: VecDeque<u32>,
    pub(super) record: Recorder,
    pub(super) trail: T,
    pub(super) side: Side,
    /// Pods and links change during the run.
    pub(super) dynamic: bool,
    pub(super) dynamics: Dynamics,
    pub(super) counting: bool,
    pub(super) counting_from: SimTime,
    pub(super) roots_open: u64,
    pub(super) overloaded: bool,
    /// Load is offered before this.
    pub(super) load_end: SimTime,
    /// End of counted time, once it is known.
    pub(super) closed_at: SimTime,
    /// Per app: (busy area, waiting area, most waiting), once accounts are closed.
    pub(super) occupation: Vec<(u128, u128, u64)>,
    /// Per app: time its pods served, where pods come and go.
    pub(super) served: Vec<u128>,
    pub(super) occupancy: Occupancy,
    /// Pods that joined, and what they got.
    pub(super) joins: Joins,
}

/// A client loop takes a moment between an answer and its next request.
const TURNAROUND: SimDuration = SimDuration::from_us(50);

impl<'p, T: Trail> World<'p, T> {
    /// The world before its first event, which is scheduled in `queue`.
    pub(super) fn new(
        plan: &'p Plan,
        seed: Seed,
        keep: usize,
        trail: T,
        queue: &mut Queue<Event>,
    ) -> Self {
        let sizes = [
            plan.loads.len(),
            plan.rows.len(),
            plan.slots.len(),
            plan.pods.len(),
            plan.apps.len(),
        ];
        let counting_from = SimTime::ZERO.after(plan.warm_up);
        let lane = |queue: &mut Queue<Event>, d: Option<SimDuration>| d.map(|d| queue.lane(d));
        let lanes = plan
            .routes
            .iter()
            .map(|r| Lanes {
                route: lane(queue, r.timeout),
                per_try: lane(queue, r.per_try_timeout),
            })
            .collect();
        let call_lanes = plan
            .apps
            .iter()
            .map(|a| a.calls.iter().map(|c| lane(queue, c.timeout)).collect())
            .collect();
        let mut side = Side::new(plan, |delay| queue.lane(delay));
        side.pods = rare_pods(plan, seed);
        let load_lanes = plan.loads.iter().map(|l| lane(queue, l.timeout)).collect();
        let mut world = Self {
            plan,
            seed,
            keys: Keys::new(seed),
            calls: Vec::new(),
            free_calls: Vec::new(),
            tried: Vec::new(),
            attempts: Vec::new(),
            free_attempts: Vec::new(),
            connections: Connections::default(),
            edges: Vec::new(),
            edge_of: vec![NIL; plan.edge_count],
            active: Vec::new(),
            outliers: Vec::new(),
            checked: Vec::new(),
            pools: Vec::new(),
            pool_owner: Vec::new(),
            pods: vec![workload::Pod::default(); plan.pods.len()],
            gates: plan.gates(),
            filters: FilterStates::default(),
            users: Vec::new(),
            loads: Vec::new(),
            lanes,
            load_lanes,
            call_lanes,
            failed: VecDeque::new(),
            record: Recorder::new(sizes, window(plan.duration), counting_from, keep),
            trail,
            side,
            dynamic: plan.timeline.is_some(),
            dynamics: Dynamics::new(plan),
            counting: plan.warm_up.is_zero(),
            counting_from,
            roots_open: 0,
            overloaded: false,
            load_end: plan
                .duration
                .map_or(SimTime::MAX, |d| SimTime::ZERO.after(d)),
            closed_at: SimTime::ZERO,
            occupation: Vec::new(),
            served: Vec::new(),
            occupancy: Occupancy::default(),
            joins: Joins::default(),
        };
        if seed.replication_number() == 0 {
            world.begin_courses();
        }
        world.record.workers = plan.worker_counts();
        world.record.proxies = vec![ProxyStats::default(); plan.filters.scopes.len()];
        if !world.counting {
            queue.push(counting_from, Event::new(Kind::WarmUpOver, 0));
        }
        if plan.clusters.iter().any(|c| c.health_check.is_some()) {
            world.begin_health_checks(queue);
        }
        world.begin_timeline(queue);
        world.begin_loads(queue);
        world
    }

    /// Pods or ways change during the run.
    #[expect(clippy::inline_always, reason = "nothing is left of it in most runs")]
    #[inline(always)]
    pub(super) fn is_dynamic(&self) -> bool {
        T::LIVELY && self.dynamic
    }

    /// First arrivals and users.
    fn begin_loads(&mut self, queue: &mut Queue<Event>) {
        let plan = self.plan;
        for (index, load) in plan.loads.iter().enumerate() {
            let limit = match load.style {
                LoadStyle::Open { requests, .. } | LoadStyle::Closed { requests, .. } => {
                    requests.unwrap_or(u64::MAX)
                }
            };
            self.loads.push(LoadState {
                key: self.seed.key("load", &load.name),
                sent: 0,
                limit,
                ..LoadState::default()
            });
            match &load.style {
                LoadStyle::Open { .. } => {
                    if let Some(at) = self.next_arrival(index as u32, load.start) {
                        queue.push(at, Event::new(Kind::Arrival, index as u32));
                    }
                }
                LoadStyle::Closed { connections, .. } => {
                    for user in 0..*connections {
                        let share = super::arrival::share(user, *connections, limit);
                        let pod = load.pods[user as usize % load.pods.len()];
                        let workers = plan.pods[pod as usize].workers;
                        let worker = if plan.exact_balance {
                            (user / load.pods.len() as u32) % workers
                        } else {
                            super::worker::of_user(self.seed, &load.name, user, workers)
                        };
                        let id = self.users.len() as u32;
                        self.users.push(User {
                            load: index as u32,
                            pod,
                            worker,
                            place: user,
                            sent: 0,
                            share,
                        });
                        let wait = load.between_users.times(u64::from(user));
                        queue.push(load.start.after(wait), Event::new(Kind::UserReady, id));
                    }
                }
            }
        }
    }

    /// Only so many requests of the first load, none of the others.
    pub(super) fn limit_first_load(&mut self, count: u64) {
        for (index, load) in self.loads.iter_mut().enumerate() {
            load.limit = if index == 0 { count } else { 0 };
        }
    }

    /// Pause between an answer and a user's next request.
    pub(super) const fn turnaround() -> SimDuration {
        TURNAROUND
    }

    /// The edge of a pod for one of its slots; made on first use.
    #[inline]
    pub(super) fn edge(&mut self, pod: u32, slot: u32, position: u32) -> u32 {
        let at = (self.plan.edge_bases[pod as usize] + position) as usize;
        let edge = self.edge_of[at];
        if edge == NIL {
            self.make_edge(pod, slot, at)
        } else {
            edge
        }
    }

    #[cold]
    fn make_edge(&mut self, pod: u32, slot: u32, at: usize) -> u32 {
        let plan = self.plan;
        let entry = &plan.slots[slot as usize];
        let pod_plan = &plan.pods[pod as usize];
        let cluster = entry.by_place[pod_plan.place as usize];
        let count = plan.clusters[cluster as usize].hosts.len() as u32;
        let id = self.edges.len() as u32;
        let hosts = self.active.len() as u32;
        let pools = self.pools.len() as u32;
        self.active.resize(self.active.len() + count as usize, 0);
        self.outliers
            .resize(self.outliers.len() + count as usize, HostOutlier::default());
        for _ in 0..pod_plan.workers {
            for host in 0..count {
                self.pools.push(Pool::default());
                self.pool_owner.push((id, host));
            }
        }
        // Named by pod and cluster, so that another cluster's arrival changes nobody's turns.
        let balancers = (0..pod_plan.workers)
            .map(|worker| {
                LbState::new(self.seed.key(
                    "balancer",
                    &format!("{}|{}|{worker}", pod_plan.name, entry.cluster),
                ))
            })
            .collect();
        let hosts_total = plan.clusters[cluster as usize].set.assigned();
        let monitor = match &plan.clusters[cluster as usize].outlier {
            Some(config) => {
                let name = format!("{}|{}", pod_plan.name, entry.cluster);
                Monitor::new(config, hosts_total, self.seed.key("outlier", &name))
            }
            None => Monitor::default(),
        };
        let watched = plan.watched.filter(|watched| watched.pod == pod);
        self.edges.push(Edge {
            pod,
            slot: watched.map_or(slot, |watched| watched.slots + slot),
            cluster,
            breakers: Breakers::default(),
            monitor,
            counted: Monitor::default(),
            merge: MergeWindow::default(),
            sweep_armed: false,
            next_expiry: SimTime::ZERO,
            hosts,
            pools,
            host_count: count,
            checked: None,
            had_connection: false,
            set: None,
            view: None,
            balancers,
        });
        self.edge_of[at] = id;
        if self.is_dynamic() {
            self.begin_edge_with(SimTime::ZERO, pod, id);
        }
        id
    }

    /// A free call slot; its generation is fresh.
    #[inline]
    pub(super) fn call_slot(&mut self) -> u32 {
        self.free_calls.pop().unwrap_or_else(|| self.add_call())
    }

    #[cold]
    fn add_call(&mut self) -> u32 {
        if self.calls.len() >= self.plan.in_flight_max {
            self.overloaded = true;
        }
        self.calls.push(Call::FREE);
        self.tried.push([NIL; TRIED_MAX]);
        (self.calls.len() - 1) as u32
    }

    /// Gives a call's slot back; late events find another generation.
    pub(super) fn free_call(&mut self, id: u32) {
        let call = &mut self.calls[id as usize];
        call.generation = call.generation.wrapping_add(1) & super::event::GENERATION_MASK;
        call.state = State::Free;
        self.free_calls.push(id);
    }

    /// A free attempt slot.
    #[inline]
    pub(super) fn attempt_slot(&mut self) -> u32 {
        self.free_attempts
            .pop()
            .unwrap_or_else(|| self.add_attempt())
    }

    #[cold]
    fn add_attempt(&mut self) -> u32 {
        if self.attempts.len() >= self.plan.in_flight_max {
            self.overloaded = true;
        }
        self.attempts.push(Attempt::FREE);
        (self.attempts.len() - 1) as u32
    }

    /// Draws bound to a key and a purpose.
    #[inline]
    pub(super) fn draws(key: u64, purpose: u64) -> Draws {
        Draws::of(key, purpose)
    }
}

/// A window of the series: at most 120 of them, at least a tenth of a second, in round steps.
fn window(duration: Option<SimDuration>) -> SimDuration {
    const STEPS_MS: [u64; 11] = [
        100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 300_000, 3_600_000,
    ];
    let duration = duration.unwrap_or(SimDuration::from_secs(60));
    STEPS_MS
        .iter()
        .map(|ms| SimDuration::from_ms(*ms))
        .find(|step| duration.ns() / step.ns() <= 120)
        .unwrap_or(SimDuration::from_secs(24 * 3600))
}
