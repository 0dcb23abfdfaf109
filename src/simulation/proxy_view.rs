//! One proxy at one moment of a run: its own statistics, and what it thinks of every host.
//!
//! Statistics are kept per workload. The pod that is looked at gets slots of its own behind all
//! others ([`Plan::watch`]), and the run stops at the moment that is asked for, with everything
//! that is in flight still in flight.

use std::collections::{BTreeMap, BTreeSet};

use super::outcome::{Outcome, record};
use super::plan::{NIL, Plan};
use super::run::{Control, stop_at};
use super::world::{Edge, World};
use crate::data_plane::{Mark, Reason, Trail};
use crate::engine::Seed;
use crate::observe::proxy_view::{ClusterView, HostCounts, HostView, ProxyView};
use crate::units::SimTime;

/// A pod whose statistics are kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Watched {
    pub(crate) pod: u32,
    /// First of its own slots.
    pub(crate) slots: u32,
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
        let slots = self.slots.len() as u32;
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
        });
        // An Envoy counts from its start.
        self.warm_up = crate::units::SimDuration::ZERO;
        true
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

/// Runs up to a moment and shows the watched pod's proxy; `None` when no pod is watched.
pub fn view_at(plan: &Plan, seed: Seed, control: &Control<'_>, at: SimTime) -> Option<ProxyView> {
    let watched = plan.watched?;
    let trail = HostTrail {
        pod: watched.pod,
        ..HostTrail::default()
    };
    let (world, now, ended, events) = stop_at(plan, seed, control, trail, at);
    let clusters = world.clusters_of(watched.pod);
    let (outcome, _): (Outcome, _) = Outcome::new(world, now, ended, events);
    let pod = &plan.pods[watched.pod as usize];
    let app = &plan.apps[pod.app as usize];
    Some(ProxyView {
        pod: pod.name.clone(),
        workload: app.name.clone(),
        is_only: app.pods.len() == 1,
        record: record(plan, 0, &[outcome]),
        marker: marker(&pod.name),
        clusters,
    })
}

impl World<'_, HostTrail> {
    fn clusters_of(&self, pod: u32) -> Vec<ClusterView> {
        let mut all: Vec<ClusterView> = (self.edges_of(pod).into_iter())
            .map(|edge| self.cluster_view(&self.edges[edge as usize]))
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
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
