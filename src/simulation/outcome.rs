//! What one run found out: counters by id, to be merged with other replications and named.

mod tables;

use self::tables::{add_statuses, add_text, clusters, edges, endpoints, proxies, workloads};
use super::plan::{ActionPlan, NIL, Plan};
use super::timeline_plan::Action;
use super::worker;
use super::world::World;
use crate::data_plane::Trail;
use crate::http::grpc;
use crate::observe::record::{
    ClientRecord, EjectionRecord, Ended, Happening, HappeningKind, Headline, JoinRecord, Record,
    RequestRecord, Series, SeriesPoint, WorkloadCourse,
};
use crate::observe::recorder::{Recorder, RootEnd};
use crate::units::hash::Digest;
use crate::units::{SimDuration, SimTime};

/// Replications whose series are kept.
const SERIES_MAX: usize = 1_000;

/// Counters of one run.
#[derive(Clone, Debug)]
pub struct Outcome {
    record: Recorder,
    /// Per app: (busy area, waiting area, most waiting) over counted time.
    replication: u32,
    occupation: Vec<(u128, u128, u64)>,
    /// Per app: pod-nanoseconds that its pods served; empty where none came or went.
    served: Vec<u128>,
    told: Vec<(SimTime, HappeningKind, String)>,
    courses: Vec<WorkloadCourse>,
    joined: Vec<JoinRecord>,
    counted: SimDuration,
    ended: Ended,
    ended_at: SimTime,
    events: u64,
    digest: u64,
}

impl<T: Trail> World<'_, T> {
    /// True while a root request is open.
    pub(super) fn is_busy(&self) -> bool {
        self.roots_open > 0
    }

    /// True when every load has sent its requests and all were answered.
    pub(super) fn is_finished(&self) -> bool {
        self.roots_open == 0 && self.loads.iter().all(|l| l.sent >= l.limit)
    }

    /// Where counted time ends: the end of load, or now when loads stop by count.
    pub(super) fn measured_until(&self) -> SimTime {
        if self.is_finished() {
            SimTime::ZERO
        } else {
            self.load_end.min(SimTime::from_ns(u64::MAX / 2))
        }
    }

    /// Occupation of pods up to now; what is drained afterwards does not count.
    pub(super) fn close_accounts(&mut self, now: SimTime) {
        self.closed_at = now;
        self.end_joins(now);
        self.occupancy.next = None;
        self.occupation = vec![(0, 0, 0); self.plan.apps.len()];
        for (pod, plan) in self.pods.iter_mut().zip(&self.plan.pods) {
            let (busy, waiting) = pod.areas(now);
            let total = &mut self.occupation[plan.app as usize];
            total.0 += busy;
            total.1 += waiting;
            total.2 = total.2.max(u64::from(pod.waiting_max));
        }
        if self.is_dynamic() {
            self.served = vec![0; self.plan.apps.len()];
            for (pod, plan) in (0..).zip(&self.plan.pods) {
                self.served[plan.app as usize] += self.served_until(now, pod);
            }
        }
    }
}

impl Outcome {
    pub(super) fn new<T: Trail>(
        mut world: World<'_, T>,
        now: SimTime,
        ended: Ended,
        events: u64,
    ) -> (Self, T) {
        world.record.finish(now);
        world.read_gauges(now);
        let counted = world.closed_at.since(world.counting_from);
        let mut digest = world.record.digest;
        digest.add(world.record.hops);
        for slot in &world.record.slots {
            slot.stats.digest(&mut digest);
        }
        for pod in &world.record.pods {
            digest.add(pod.requests);
        }
        for row in &world.record.rows {
            digest.add(row.requests);
            digest.add(row.attempts);
        }
        let outcome = Self {
            replication: world.seed.replication_number(),
            occupation: world.occupation,
            served: world.served,
            courses: world.occupancy.named(world.plan),
            joined: world.joins.named(),
            told: world.dynamics.told,
            counted,
            ended,
            ended_at: now,
            events,
            digest: digest.value(),
            record: world.record,
        };
        (outcome, world.trail)
    }

    /// Digest of this run.
    pub const fn digest(&self) -> u64 {
        self.digest
    }

    /// Tries sent.
    pub const fn hops(&self) -> u64 {
        self.record.hops
    }

    /// Events processed.
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// Single root requests that were kept.
    pub fn roots(&self) -> &[RootEnd] {
        &self.record.roots
    }
}

/// Names and merges the outcomes of replications, in their order.
pub fn record(plan: &Plan, seed: u64, outcomes: &[Outcome]) -> Record {
    let mut digest = Digest::default();
    for outcome in outcomes {
        digest.add(outcome.digest);
    }
    let first = outcomes.first();
    let worst = |a: Ended, b: Ended| if a == Ended::Complete { b } else { a };
    let mut record = Record {
        scenario: plan.scenario.clone(),
        seed,
        replications: outcomes.len() as u32,
        duration: plan
            .duration
            .unwrap_or_else(|| first.map_or(SimDuration::ZERO, |o| o.counted.plus(plan.warm_up))),
        warm_up: plan.warm_up,
        ended_at: first.map_or(SimTime::ZERO, |o| o.ended_at),
        ended: outcomes
            .iter()
            .map(|o| o.ended)
            .fold(Ended::Complete, worst),
        in_flight_max: plan.in_flight_max as u64,
        digest: if let [only] = outcomes {
            only.digest
        } else {
            digest.value()
        },
        hops: outcomes.iter().map(|o| o.record.hops).sum(),
        events: outcomes.iter().map(|o| o.events).sum(),
        clients: clients(plan, outcomes),
        clusters: clusters(plan, outcomes),
        proxies: proxies(plan, outcomes),
        endpoints: endpoints(plan, outcomes),
        workers: worker::records(
            plan,
            &outcomes
                .iter()
                .map(|o| &o.record.workers)
                .collect::<Vec<_>>(),
        ),
        edges: edges(plan, outcomes),
        workloads: workloads(plan, outcomes),
        series: first.map(series).unwrap_or_default(),
        all_series: if outcomes.len() > 1 {
            outcomes.iter().take(SERIES_MAX).map(series).collect()
        } else {
            Vec::new()
        },
        courses: first.map(|o| o.courses.clone()).unwrap_or_default(),
        joined: first.map(|o| o.joined.clone()).unwrap_or_default(),
        happenings: first
            .map(|first| happenings(plan, first))
            .unwrap_or_default(),
        ejections: first.map(|o| ejections(plan, o)).unwrap_or_default(),
        assumed: plan.assumed.clone(),
        warnings: plan.warnings.clone(),
        ..Record::default()
    };
    for outcome in outcomes {
        record.requests.extend(
            outcome
                .record
                .roots
                .iter()
                .map(|end| request(plan, outcome.replication, end)),
        );
    }
    record
}

fn clients(plan: &Plan, outcomes: &[Outcome]) -> Vec<ClientRecord> {
    plan.loads
        .iter()
        .enumerate()
        .map(|(index, load)| {
            let mut client = ClientRecord {
                name: load.name.clone(),
                from: load.from.clone(),
                url: load.url.clone(),
                timeout: load.timeout,
                retries: load.retries.as_ref().map_or(0, |own| own.attempts),
                timeout_place: load.timeout_place.clone(),
                retries_place: load.retries_place.clone(),
                ..ClientRecord::default()
            };
            for outcome in outcomes {
                let counts = &outcome.record.clients[index];
                client.started += counts.started;
                client.requests += counts.ended;
                client.in_flight += counts.started.saturating_sub(counts.ended);
                add_statuses(&mut client.statuses, &counts.statuses);
                add_text(&mut client.flags, &counts.flags);
                for (tries, n) in counts.attempts.sorted() {
                    *client.attempts.entry(tries).or_insert(0) += n;
                }
                client.latency.merge(&counts.latency);
                client.per_replication.push(headline(outcome, index));
            }
            client
        })
        .collect()
}

fn headline(outcome: &Outcome, index: usize) -> Headline {
    let counts = &outcome.record.clients[index];
    let ended = counts.ended.max(1) as f64;
    let failed: u64 = counts
        .statuses
        .sorted()
        .iter()
        .filter(|(s, _)| *s == 0 || *s >= 500)
        .map(|(_, n)| n)
        .sum();
    let tries: u64 = counts
        .attempts
        .sorted()
        .iter()
        .map(|(tries, n)| u64::from(*tries) * n)
        .sum();
    let seconds = outcome.counted.as_secs_f64();
    let ms = |q: f64| counts.latency.quantile(q).as_millis_f64();
    Headline {
        requests_per_second: if seconds > 0.0 {
            counts.ended as f64 / seconds
        } else {
            0.0
        },
        error_share: failed as f64 / ended,
        mean_ms: counts.latency.mean().as_millis_f64(),
        p50_ms: ms(0.5),
        p90_ms: ms(0.9),
        p99_ms: ms(0.99),
        p999_ms: ms(0.999),
        attempts_per_request: tries as f64 / ended,
    }
}

fn series(outcome: &Outcome) -> Series {
    let points = outcome.record.windows.iter().map(|w| SeriesPoint {
        at: w.at,
        client: w.client,
        started: w.started,
        requests: w.ended,
        errors: w.errors,
        attempts: w.attempts,
        p50: w.p50,
        p99: w.p99,
        in_flight: w.in_flight,
    });
    Series {
        window: outcome.record.window(),
        points: points.collect(),
    }
}

fn happenings(plan: &Plan, outcome: &Outcome) -> Vec<Happening> {
    let told = outcome.told.iter();
    told.map(|(at, kind, what)| Happening {
        at: *at,
        kind: *kind,
        pods: pods_of(plan, *at, what),
        what: what.clone(),
    })
    .collect()
}

/// Pods that fail or come back by what was told of a moment.
fn pods_of(plan: &Plan, at: SimTime, what: &str) -> Vec<u32> {
    let all = plan.timeline.iter().flat_map(|t| &t.actions);
    let pods = all.filter_map(|(when, action, sentence)| match action {
        Action::Fail { pods, .. } | Action::Restore { pods }
            if (*when, &**sentence) == (at, what) =>
        {
            Some(pods.iter().copied())
        }
        _ => None,
    });
    pods.flatten().collect()
}

fn ejections(plan: &Plan, outcome: &Outcome) -> Vec<EjectionRecord> {
    let notes = outcome.record.ejections.notes().iter();
    let named = notes.filter_map(|note| {
        let slot = plan.slots.get(note.slot as usize)?;
        Some(EjectionRecord {
            at: note.at,
            workload: slot.workload.clone(),
            proxy: plan.pods[note.proxy as usize].name.clone(),
            cluster: slot.cluster.clone(),
            pod: plan.pods[note.pod as usize].name.clone(),
            why: note.kind,
            lasts: note.lasts,
            back_at: note.back_at,
            out: note.out,
            hosts: note.hosts,
            failures: note.failures,
        })
    });
    named.collect()
}

/// A single root request with its names.
pub(super) fn request(plan: &Plan, replication: u32, end: &RootEnd) -> RequestRecord {
    let route = &plan.routes[end.route as usize];
    let chosen = match &route.action {
        ActionPlan::Forward { clusters, .. } if end.weighted != NIL => {
            Some(&clusters[end.weighted as usize])
        }
        _ => None,
    };
    let pod = (end.pod != NIL).then(|| &plan.pods[end.pod as usize]);
    RequestRecord {
        replication,
        client: end.client,
        number: end.number,
        at: end.at,
        duration: end.duration,
        status: grpc::http(end.status),
        flags: end.flags.to_string(),
        details: end.details.to_string(),
        cluster: chosen
            // An unknown cluster is none (`%UPSTREAM_CLUSTER_RAW%` is `-`).
            .filter(|c| route.has_proxy && c.slot != NIL)
            .map_or_else(String::new, |c| c.name.to_string()),
        workload: pod
            .filter(|_| end.answered)
            .map_or_else(String::new, |p| plan.apps[p.app as usize].name.clone()),
        pod: pod.map_or_else(String::new, |p| p.name.clone()),
        path: chosen.map_or_else(|| route.path.clone(), |c| c.path.clone()),
        attempts: end.attempts,
    }
}
