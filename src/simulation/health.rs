//! Active health checks at work: every client proxy asks every host of its own accord.
//!
//! The application answers a check as it answers requests (its service time, errors, hangs), but
//! a check takes no place in it and no connection of a pool; `path` and `host` are not looked at.
//! The first round is over before the run begins: Envoy waits for it with its listeners.

use super::event::{Event, Kind};
use super::plan::Connect;
use super::world::World;
use crate::config::scenario::ErrorKind;
use crate::data_plane::Trail;
use crate::data_plane::health::{CheckResult, HostHealth, Transition, interval, judge};
use crate::engine::Queue;
use crate::observe::Stat;
use crate::units::{SimDuration, SimTime};
use crate::xds::cluster::{HealthCheck, HealthCheckKind};

/// Checks of one host by one proxy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checked {
    edge: u32,
    host: u32,
    health: HostHealth,
    /// The result that is under way.
    under_way: Option<CheckResult>,
    /// A connection to the host is kept.
    connected: bool,
    done: u32,
    key: u64,
}

impl Checked {
    pub(super) const fn is_failed(&self) -> bool {
        self.health.failed
    }
}

impl<T: Trail> World<'_, T> {
    /// The first round, for every proxy and cluster with health checks.
    pub(super) fn begin_health_checks(&mut self, queue: &mut Queue<Event>) {
        let plan = self.plan;
        for pod in 0..plan.pods.len() as u32 {
            let name = &plan.apps[plan.pods[pod as usize].app as usize].name;
            let place = plan.pods[pod as usize].place as usize;
            let own = (0..)
                .zip(&plan.slots)
                .filter(|(_, slot)| slot.workload == *name);
            let own = own.filter(|(_, slot)| !slot.by_place.is_empty());
            for (position, (slot, entry)) in (0..).zip(own) {
                let cluster = &plan.clusters[entry.by_place[place] as usize];
                let Some(check) = &cluster.health_check else {
                    continue;
                };
                let edge = self.edge(pod, slot, position);
                let name = format!("{}|{}", plan.pods[pod as usize].name, entry.cluster);
                let key = self.seed.key("health-check", &name);
                self.begin_edge(edge, check, key, queue);
            }
        }
    }

    fn begin_edge(
        &mut self,
        edge_id: u32,
        check: &HealthCheck,
        key: u64,
        queue: &mut Queue<Event>,
    ) {
        let first = self.checked.len() as u32;
        let count = self.edges[edge_id as usize].host_count;
        self.edges[edge_id as usize].checked = Some(first);
        for host in 0..count {
            self.checked.push(Checked {
                edge: edge_id,
                host,
                health: HostHealth::default(),
                under_way: None,
                connected: false,
                done: 0,
                key: Self::draws(key, u64::from(host)).next_u64(),
            });
            let id = first + host;
            let (result, takes) = self.perform(check, id);
            let transition = self.take_result(check, id, result);
            let pause = self.pause(check, id, result, transition);
            let at = SimTime::ZERO.after(takes.plus(pause));
            queue.push(at, Event::new(Kind::HealthCheck, id));
        }
        self.rebuild_view(SimTime::ZERO, edge_id);
    }

    /// A check begins or ends.
    pub(super) fn on_health_check(&mut self, now: SimTime, id: u32, queue: &mut Queue<Event>) {
        let plan = self.plan;
        let Checked { edge, host, .. } = self.checked[id as usize];
        let cluster = self.edges[edge as usize].cluster as usize;
        let Some(check) = &plan.clusters[cluster].health_check else {
            return;
        };
        let Some(result) = self.checked[id as usize].under_way.take() else {
            let (result, takes) = self.perform(check, id);
            self.checked[id as usize].under_way = Some(result);
            queue.push(now.after(takes), Event::new(Kind::HealthCheck, id));
            return;
        };
        let transition = self.take_result(check, id, result);
        let pause = self.pause(check, id, result, transition);
        queue.push(now.after(pause), Event::new(Kind::HealthCheck, id));
        if transition == Transition::Changed {
            if self.checked[id as usize].health.failed {
                self.drain_host(edge, host);
            }
            self.health_changed(now, edge, queue);
        }
        if result == CheckResult::Passed && !self.checked[id as usize].health.failed {
            self.uneject_checked(now, edge, host, queue);
        }
    }

    /// An ejected host that passes is taken back at once.
    fn uneject_checked(&mut self, now: SimTime, edge_id: u32, host: u32, queue: &mut Queue<Event>) {
        let edge = &mut self.edges[edge_id as usize];
        let outlier = &mut self.outliers[(edge.hosts + host) as usize];
        let config = &self.plan.clusters[edge.cluster as usize].outlier;
        if outlier.ejected && config.as_ref().is_some_and(|c| c.uneject_on_health_check) {
            edge.monitor.uneject(now, outlier);
            self.note_return(now, edge_id, host);
            self.health_changed(now, edge_id, queue);
        }
    }

    fn take_result(&mut self, check: &HealthCheck, id: u32, result: CheckResult) -> Transition {
        let Checked { edge, .. } = self.checked[id as usize];
        let slot = self.edges[edge as usize].slot as usize;
        let stats = &mut self.record.slots[slot].stats;
        match result {
            CheckResult::Passed => stats.inc(Stat::HealthCheckSuccess),
            _ => stats.inc(Stat::HealthCheckFailure),
        }
        if result == CheckResult::NetworkFailed {
            stats.inc(Stat::HealthCheckNetworkFailure);
        }
        self.checked[id as usize].health.on_result(check, result)
    }

    fn pause(
        &mut self,
        check: &HealthCheck,
        id: u32,
        result: CheckResult,
        transition: Transition,
    ) -> SimDuration {
        let checked = &self.checked[id as usize];
        let had_traffic = self.edges[checked.edge as usize].had_connection;
        let mut draws = Self::draws(checked.key ^ u64::from(checked.done), self.keys.gap);
        let passed = result == CheckResult::Passed;
        interval(check, passed, transition, had_traffic, &mut || {
            draws.next_u64()
        })
    }

    /// Asks a host: the result, and how long it takes to come.
    fn perform(&mut self, check: &HealthCheck, id: u32) -> (CheckResult, SimDuration) {
        let plan = self.plan;
        let checked = &mut self.checked[id as usize];
        checked.done += 1;
        let key = checked.key ^ u64::from(checked.done);
        let edge = &self.edges[checked.edge as usize];
        let host = plan.clusters[edge.cluster as usize].hosts[checked.host as usize];
        self.record.slots[edge.slot as usize]
            .stats
            .inc(Stat::HealthCheckAttempt);
        let app = &plan.apps[plan.pods[host.pod as usize].app as usize];
        let mut draws = Self::draws(key, self.keys.there);
        let sampler = plan.distances.sampler(host.link);
        let mut takes = SimDuration::ZERO;
        let round_trips = match host.connect {
            Connect::Made(_) if checked.connected => 0,
            Connect::Made(round_trips) => round_trips,
            Connect::Refused => 1,
            Connect::TlsFails => 2,
            Connect::Blackhole => return (CheckResult::NetworkFailed, check.timeout),
        };
        for _ in 0..2 * round_trips {
            takes = takes.plus(sampler.sample(&mut draws));
        }
        let mut result = CheckResult::NetworkFailed;
        if matches!(host.connect, Connect::Made(_)) {
            result = CheckResult::Passed;
            if check.kind != HealthCheckKind::Tcp {
                let random = Self::draws(key, self.keys.error).next_u64();
                let error = app.errors.iter().find(|(share, _)| share.hit(random));
                result = match error.map(|(_, kind)| *kind) {
                    None => judge(&check.kind, app.status),
                    Some(ErrorKind::Status(status)) => judge(&check.kind, status),
                    // A gRPC status is an answer of HTTP 200, and not the one that says SERVING.
                    Some(ErrorKind::Grpc(_)) => match check.kind {
                        HealthCheckKind::Grpc { .. } => CheckResult::Failed,
                        _ => judge(&check.kind, 200),
                    },
                    Some(ErrorKind::Reset | ErrorKind::Refuse) => CheckResult::NetworkFailed,
                    Some(ErrorKind::Hang) => {
                        checked.connected = false;
                        return (CheckResult::NetworkFailed, check.timeout);
                    }
                };
                let service = (app.service_time).sample(&mut Self::draws(key, self.keys.service));
                takes = takes.plus(service);
                for _ in 0..2 {
                    takes = takes.plus(sampler.sample(&mut draws));
                }
            }
        }
        if takes >= check.timeout {
            (result, takes) = (CheckResult::NetworkFailed, check.timeout);
        }
        let keeps = check.reuse_connection && check.kind != HealthCheckKind::Tcp;
        checked.connected = keeps && result != CheckResult::NetworkFailed;
        (result, takes)
    }
}
