//! One proxy at one moment of a run: its own statistics, and what it thinks of every host.
//!
//! Statistics are kept per workload. The pod that is looked at gets slots of its own behind all
//! others ([`Plan::watch`]), and the run stops at the moment that is asked for, with everything
//! that is in flight still in flight.

use std::collections::{BTreeMap, BTreeSet};

use super::outcome::{Outcome, record};
use super::plan::{Inbound, InboundPlan, NIL, Plan};
use super::run::{Control, stop_at};
use super::world::{Edge, World};
use crate::data_plane::{Mark, Reason, Trail};
use crate::engine::Seed;
use crate::observe::Stat;
use crate::observe::proxy_view::{ClusterView, HostCounts, HostView, ProxyView};
use crate::units::SimTime;
use crate::xds::cluster::Thresholds;

/// A pod whose statistics are kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Watched {
    pub(crate) pod: u32,
    /// First of its own slots.
    pub(crate) slots: u32,
    /// First of its own scopes of filters' statistics.
    pub(crate) scopes: u32,
}

impl Plan {
    /// Keeps the statistics of a pod apart, given as `namespace/pod` or `pod`; false when there is none.
    pub fn watch(&mut self, name: &str) -> bool {
        let full = |pod: &super::plan::PodPlan| {
            let app = &self.apps[pod.app as usize].name;
            let namespace = app.split('/').next().unwrap_or_default();
            format!("{namespace}/{}", pod.name)
        };
        let mut pods = self.pods.iter();
        let Some(pod) = pods.position(|pod| pod.name == name || full(pod) == name) else {
            return false;
        };
        self.count_inbound(self.pods[pod].app);
        let (slots, scopes) = (self.slots.len() as u32, self.filters.scopes.len() as u32);
        let own: Vec<_> = (self.filters.scopes.iter())
            .map(|scope| super::filter_plan::Scope {
                workload: marker(&self.pods[pod].name),
                ..scope.clone()
            })
            .collect();
        self.filters.scopes.extend(own);
        let own: Vec<_> = (self.slots.iter())
            .map(|slot| super::plan::Slot {
                workload: marker(&self.pods[pod].name),
                ..slot.clone()
            })
            .collect();
        self.slots.extend(own);
        self.watched = Some(Watched {
            pod: pod as u32,
            slots,
            scopes,
        });
        // An Envoy counts from its start.
        self.warm_up = crate::units::SimDuration::ZERO;
        true
    }

    /// Inbound clusters without limits have no state in a run, and so no statistics: the pods of an
    /// application get them where one is looked at.
    fn count_inbound(&mut self, app: u32) {
        let ports: BTreeSet<u16> = (self.targets.iter())
            .filter(|target| target.app == app)
            .filter(|target| match target.inbound {
                Inbound::Forward(behind) => behind == NIL,
                Inbound::Guarded(guard) => self.guards[guard as usize].inbound == NIL,
                Inbound::Direct | Inbound::NoFilterChain => false,
            })
            .map(|target| target.port)
            .collect();
        for port in ports {
            let gates = self.gates().len() as u32;
            let cluster = format!("inbound|{port}||");
            self.slots.push(super::plan::Slot {
                workload: self.apps[app as usize].name.clone(),
                cluster: cluster.clone(),
                by_place: Vec::new(),
                synthetic: false,
            });
            let number = self.inbounds.len() as u32;
            self.inbounds.push(InboundPlan {
                app,
                cluster: cluster.into(),
                thresholds: Thresholds::default(),
                retry: None,
                refuses: false,
                streams: 1,
                slot: self.slots.len() as u32 - 1,
                gates,
            });
            let own = self.targets.iter_mut();
            for target in own.filter(|target| target.app == app && target.port == port) {
                match &mut target.inbound {
                    Inbound::Forward(behind) if *behind == NIL => *behind = number,
                    Inbound::Guarded(guard) => {
                        let behind = &mut self.guards[*guard as usize].inbound;
                        if *behind == NIL {
                            *behind = number;
                        }
                    }
                    Inbound::Forward(_) | Inbound::Direct | Inbound::NoFilterChain => {}
                }
            }
        }
    }

    /// Names of pods that have a proxy, `namespace/pod`.
    pub fn proxies(&self) -> Vec<String> {
        let with = self
            .pods
            .iter()
            .filter(|pod| pod.proxy != crate::xds::ProxyKind::None);
        with.map(|pod| {
            let app = &self.apps[pod.app as usize].name;
            format!("{}/{}", app.split('/').next().unwrap_or_default(), pod.name)
        })
        .collect()
    }
}

fn marker(pod: &str) -> String {
    format!("pod {pod}")
}

impl<T: Trail> World<'_, T> {
    /// Where statistics of a filter of a pod's proxy are kept.
    pub(super) fn scope_of(&self, scope: u32, pod: u32) -> usize {
        let watched = self.plan.watched.filter(|w| T::FOLLOWS && w.pod == pod);
        watched.map_or(scope, |watched| watched.scopes + scope) as usize
    }
}

/// Runs up to a moment and shows the watched pod's proxy; `None` when no pod is watched.
pub fn view_at(plan: &Plan, seed: Seed, control: &Control<'_>, at: SimTime) -> Option<ProxyView> {
    let watched = plan.watched?;
    let trail = HostTrail {
        pod: watched.pod,
        ..HostTrail::default()
    };
    let (mut world, now, ended, events) = stop_at(plan, seed, control, trail, at);
    let mut clusters = world.clusters_of(watched.pod);
    clusters.extend(world.inbound_of_pod(watched.pod));
    clusters.sort_by(|a, b| a.name.cmp(&b.name));
    let (outcome, _): (Outcome, _) = Outcome::new(world, now, ended, events);
    let pod = &plan.pods[watched.pod as usize];
    let app = &plan.apps[pod.app as usize];
    Some(ProxyView {
        pod: pod.name.clone(),
        workload: app.name.clone(),
        record: record(plan, 0, &[outcome]),
        marker: marker(&pod.name),
        clusters,
    })
}

impl World<'_, HostTrail> {
    fn clusters_of(&self, pod: u32) -> Vec<ClusterView> {
        let edges = self.edges_of(pod).into_iter();
        edges
            .map(|edge| self.cluster_view(&self.edges[edge as usize]))
            .collect()
    }

    /// The pod's own ports behind its sidecar: one host, the pod itself, as original destinations
    /// are. Its gauges go to the statistics.
    fn inbound_of_pod(&mut self, pod: u32) -> Vec<ClusterView> {
        let plan = self.plan;
        let of = &plan.pods[pod as usize];
        let own = plan.inbounds.iter().filter(|inbound| inbound.app == of.app);
        let mut views = Vec::new();
        for inbound in own {
            let gate = &self.gates[(inbound.gates + of.ordinal) as usize];
            let [connections, active, waiting] = gate.pool.standing();
            let stats = &mut self.record.slots[gate.slot as usize].stats;
            if stats.is_empty() {
                continue;
            }
            let protocol = if inbound.streams == 1 {
                Stat::CxHttp1Total
            } else {
                Stat::CxHttp2Total
            };
            // Connections to the application are kept: as many as were ever made.
            let gauges = [
                (Stat::CxTotal, connections),
                (protocol, connections),
                (Stat::MembershipTotal, 1),
                (Stat::MembershipHealthy, 1),
                (Stat::CxActive, connections),
                (Stat::RqActive, active),
                (Stat::RqPendingActive, waiting),
            ];
            for (stat, value) in gauges {
                stats.add(stat, u64::from(value));
            }
            let port = inbound.cluster.split('|').nth(1).unwrap_or_default();
            let locality = &of.locality;
            let limits = &inbound.thresholds;
            views.push(ClusterView {
                name: inbound.cluster.to_string(),
                limits: [
                    limits.max_connections,
                    limits.max_pending_requests,
                    limits.max_requests,
                    limits.max_retries,
                ],
                hosts: vec![HostView {
                    address: format!("{}:{port}", of.ip),
                    pod: String::new(),
                    cx_active: connections,
                    rq_active: active,
                    counts: answered(&stats.named()),
                    ejected: false,
                    failed_check: false,
                    locality: [
                        locality.region.to_string(),
                        locality.zone.to_string(),
                        locality.subzone.to_string(),
                    ],
                    priority: 0,
                }],
            });
        }
        views
    }

    fn cluster_view(&self, edge: &Edge) -> ClusterView {
        let plan = self.plan;
        let cluster = &plan.clusters[edge.cluster as usize];
        let set = edge.set.as_deref().unwrap_or(&cluster.set);
        let limits = &cluster.thresholds;
        let hosts = (0..edge.host_count)
            .filter(|host| set.holds(*host))
            .map(|host| {
                let to = &cluster.hosts[host as usize];
                let pod = &plan.pods[to.pod as usize];
                let workers = edge.balancers.len() as u32;
                let pools = (0..workers).map(|worker| edge.pools + worker * edge.host_count + host);
                let checked = edge
                    .checked
                    .map(|first| &self.checked[(first + host) as usize]);
                HostView {
                    address: format!("{}:{}", pod.ip, to.port),
                    pod: pod.name.clone(),
                    cx_active: pools
                        .map(|pool| self.pools[pool as usize].connections)
                        .sum(),
                    rq_active: self.active[(edge.hosts + host) as usize],
                    counts: self.trail.hosts.get(&to.pod).copied().unwrap_or_default(),
                    ejected: self.outliers[(edge.hosts + host) as usize].ejected,
                    failed_check: checked.is_some_and(super::health::Checked::is_failed),
                    locality: [
                        pod.locality.region.to_string(),
                        pod.locality.zone.to_string(),
                        pod.locality.subzone.to_string(),
                    ],
                    priority: set.hosts[host as usize].priority,
                }
            });
        ClusterView {
            name: plan.slots[edge.slot as usize].cluster.clone(),
            limits: [
                limits.max_connections,
                limits.max_pending_requests,
                limits.max_requests,
                limits.max_retries,
            ],
            hosts: hosts.collect(),
        }
    }
}

/// What a cluster of one host has sent there and got back.
fn answered(stats: &BTreeMap<String, u64>) -> HostCounts {
    let stat = |name: &str| stats.get(name).copied().unwrap_or(0);
    let (total, error) = (stat("upstream_rq_total"), stat("upstream_rq_5xx"));
    HostCounts {
        total,
        // Answers of the sidecar itself, to what it let in nowhere, are no answers of the host.
        error: error
            .saturating_sub(stat("upstream_rq_pending_overflow"))
            .saturating_sub(stat("upstream_rq_active_overflow")),
        success: stat("upstream_rq_completed").saturating_sub(error),
        timeout: stat("upstream_rq_timeout"),
    }
}

/// Counts the tries of one pod's proxy by the pod they go to.
#[derive(Clone, Debug, Default)]
pub(super) struct HostTrail {
    pod: u32,
    /// Calls of the pod.
    calls: BTreeSet<u32>,
    /// Tries under way: where they go, and whether they were answered with an error.
    tries: BTreeMap<u32, (u32, bool)>,
    hosts: BTreeMap<u32, HostCounts>,
}

impl Trail for HostTrail {
    const ON: bool = false;
    const FOLLOWS: bool = true;

    fn note(&mut self, _: Reason) {}

    fn mark(&mut self, mark: Mark) {
        match mark {
            Mark::Opened { call, pod, .. } if pod == self.pod => {
                self.calls.insert(call);
            }
            Mark::Opened { call, .. } => {
                self.calls.remove(&call);
            }
            Mark::Sent { call, attempt, pod } => {
                self.tries.remove(&attempt);
                if self.calls.contains(&call) && pod != NIL {
                    self.tries.insert(attempt, (pod, false));
                    self.hosts.entry(pod).or_default().total += 1;
                }
            }
            Mark::Answers(attempt, status) => {
                if let Some(entry) = self.tries.get_mut(&attempt) {
                    entry.1 = status == 0 || status >= 500;
                }
            }
            Mark::Returned(attempt) => {
                if let Some((pod, failed)) = self.tries.remove(&attempt) {
                    let counts = self.hosts.entry(pod).or_default();
                    *(if failed {
                        &mut counts.error
                    } else {
                        &mut counts.success
                    }) += 1;
                }
            }
            Mark::Abandoned(attempt) => {
                if let Some((pod, _)) = self.tries.remove(&attempt) {
                    self.hosts.entry(pod).or_default().timeout += 1;
                }
            }
            Mark::Moved { from, to } => {
                if let Some(entry) = self.tries.remove(&from) {
                    self.tries.insert(to, entry);
                }
            }
            _ => {}
        }
    }
}
