//! Pods join and leave the endpoints, and every proxy learns of it in its own time.

use std::sync::Arc;

use super::event::{Event, Kind};
use super::plan::NIL;
use super::world::World;
use crate::data_plane::outlier_detection::HostOutlier;
use crate::data_plane::{HostSet, LbView, Moved, Trail};
use crate::engine::Queue;
use crate::observe::Stat;
use crate::observe::record::HappeningKind;
use crate::units::SimTime;
use crate::xds::cluster::{service_host, short_host};
use crate::xds::{LbPolicy, ProxyKind};

/// Keys that are asked for, to see how many go elsewhere.
const KEYS: u64 = 10_000;

impl<T: Trail> World<'_, T> {
    /// The endpoints change; istiod sees it a moment later.
    pub(super) fn list_pod(
        &mut self,
        now: SimTime,
        pod: u32,
        listed: bool,
        queue: &mut Queue<Event>,
    ) {
        if self.dynamics.listed[pod as usize] == listed {
            return;
        }
        self.count_endpoints(now, self.plan.pods[pod as usize].app);
        if !listed {
            self.joined_pod_left(now, pod);
        }
        self.dynamics.listed[pod as usize] = listed;
        self.tell_istiod(now, queue);
        self.advance_rolling(now, pod, queue);
    }

    /// Something changes that proxies have to know.
    pub(super) fn tell_istiod(&mut self, now: SimTime, queue: &mut Queue<Event>) {
        let Some(timeline) = &self.plan.timeline else {
            return;
        };
        let seen = now.after(timeline.push.watch);
        if let Some(at) = self.dynamics.istiod.on_change(seen, timeline.push.quiet) {
            queue.push(at, Event::new(Kind::PushDue, 0));
        }
    }

    /// istiod asks itself whether it has been quiet for long enough.
    #[cold]
    pub(super) fn on_push_due(&mut self, now: SimTime, queue: &mut Queue<Event>) {
        let plan = self.plan;
        let Some(timeline) = &plan.timeline else {
            return;
        };
        let settings = &timeline.push;
        if let Some(again) = self.dynamics.istiod.ask(now, settings.quiet, settings.most) {
            queue.push(again, Event::new(Kind::PushDue, 0));
            return;
        }
        self.forget_old_epochs();
        let epoch = self.dynamics.epochs.len() as u32;
        self.dynamics
            .epochs
            .push(self.dynamics.listed.clone().into());
        self.dynamics.unheard.push(plan.pods.len() as u32);
        self.dynamics.versions.push(self.dynamics.configured);
        for (pod, entry) in (0..).zip(&plan.pods) {
            let takes = match entry.proxy {
                ProxyKind::None => &settings.kube_proxy,
                ProxyKind::Sidecar | ProxyKind::Gateway => &settings.takes,
            };
            let key = self.seed.key("push", &entry.name);
            let mut draws = Self::draws(key, u64::from(epoch));
            let at = now.after(takes.sample(&mut draws));
            queue.push(at, Event::stamped(Kind::ProxyUpdated, pod, epoch));
        }
    }

    /// What every proxy has left behind is needed no more.
    fn forget_old_epochs(&mut self) {
        let least = self.dynamics.known.iter().copied().min().unwrap_or(0);
        self.dynamics.sets.retain(|(_, epoch), _| *epoch >= least);
        let old = least.saturating_sub(1) as usize;
        for epoch in self.dynamics.epochs[..old].iter_mut().rev() {
            if epoch.is_empty() {
                break;
            }
            *epoch = Arc::from([]);
        }
    }

    /// A push has reached a proxy; an older one that comes later brings nothing.
    #[cold]
    pub(super) fn on_proxy_updated(
        &mut self,
        now: SimTime,
        pod: u32,
        epoch: u32,
        queue: &mut Queue<Event>,
    ) {
        let unheard = &mut self.dynamics.unheard[epoch as usize];
        *unheard -= 1;
        if *unheard == 0 {
            self.tell_push(now, epoch);
        }
        let before = self.dynamics.known[pod as usize];
        if epoch <= before {
            return;
        }
        self.dynamics.known[pod as usize] = epoch;
        for edge in self.edges_of(pod) {
            self.update_edge(now, edge, before, epoch);
        }
        self.replace_clusters(now, pod, (before, epoch), queue);
    }

    /// The last proxy has heard of a push.
    fn tell_push(&mut self, now: SimTime, epoch: u32) {
        let (old, new) = (
            &self.dynamics.epochs[epoch as usize - 1],
            &self.dynamics.epochs[epoch as usize],
        );
        let changed = |wanted: bool| -> Vec<u32> {
            let all = (0..).zip(old.iter().zip(new.iter()));
            let changed = all.filter(|(_, (old, new))| old != new && **new == wanted);
            changed.map(|(pod, _)| pod).collect()
        };
        let names = |pods: &[u32]| {
            let names = pods.iter().map(|pod| &*self.plan.pods[*pod as usize].name);
            let names: Vec<&str> = names.collect();
            match names.len() {
                0..=4 => names.join(", "),
                n => format!("{} and {} more", names[..3].join(", "), n - 3),
            }
        };
        let fresh = changed(true);
        let (joined, left) = (names(&fresh), names(&changed(false)));
        for pod in fresh {
            self.pod_joined(now, pod);
        }
        let versions = &self.dynamics.versions;
        if versions[epoch as usize - 1] != versions[epoch as usize] {
            let sentence = "every proxy has the new configuration".to_owned();
            self.dynamics.tell(now, HappeningKind::Passes, sentence);
        }
        let mut parts = Vec::new();
        if !left.is_empty() {
            parts.push(format!("without {left}"));
        }
        if !joined.is_empty() {
            parts.push(format!("with {joined}"));
        }
        if !parts.is_empty() {
            let sentence = format!("every proxy knows the endpoints {}", parts.join(" and "));
            self.dynamics.tell(now, HappeningKind::Passes, sentence);
        }
    }

    /// Edges of a pod that exist.
    pub(super) fn edges_of(&self, pod: u32) -> Vec<u32> {
        let bases = &self.plan.edge_bases;
        let begin = bases[pod as usize] as usize;
        let end = (bases.get(pod as usize + 1)).map_or(self.edge_of.len(), |base| *base as usize);
        let all = self.edge_of[begin..end].iter().copied();
        all.filter(|edge| *edge != NIL).collect()
    }

    fn update_edge(&mut self, now: SimTime, edge_id: u32, before: u32, epoch: u32) {
        let cluster_id = self.edges[edge_id as usize].cluster;
        let cluster = &self.plan.clusters[cluster_id as usize];
        let (old, new) = (
            &self.dynamics.epochs[before as usize],
            &self.dynamics.epochs[epoch as usize],
        );
        let changed = |pod: u32| old[pod as usize] != new[pod as usize];
        if !cluster.hosts.iter().any(|host| changed(host.pod)) {
            let source = cluster.source.as_deref();
            let peers = source.map_or(&[][..], |source| &source.peers);
            if peers.iter().any(|(pod, _)| changed(*pod)) {
                // Its own kind has changed: no host of the cluster comes or goes.
                self.adopt_set(now, edge_id, epoch);
                self.rebuild_view(now, edge_id);
            }
            return;
        }
        let left: Vec<u32> = (0..)
            .zip(&cluster.hosts)
            .filter(|(_, h)| old[h.pod as usize] && !new[h.pod as usize])
            .map(|(host, _)| host)
            .collect();
        let fresh = !self.dynamics.sets.contains_key(&(cluster_id, epoch));
        let old_set = self.edges[edge_id as usize].set.clone();
        self.adopt_set(now, edge_id, epoch);
        // What happened is told of the first replication only.
        if fresh && self.seed.replication_number() == 0 {
            self.tell_moved_keys(now, edge_id, old_set.as_deref());
        }
        for host in left {
            self.host_left(edge_id, host);
        }
        let edge = &mut self.edges[edge_id as usize];
        edge.merge.on_membership_change(now);
        self.record.slots[edge.slot as usize]
            .stats
            .inc(Stat::MembershipChange);
        self.rebuild_view(now, edge_id);
    }

    /// Of consistent hashing it is told how many keys go elsewhere from now on.
    #[cold]
    fn tell_moved_keys(&mut self, now: SimTime, edge_id: u32, before: Option<&HostSet>) {
        let plan = self.plan;
        let edge = &self.edges[edge_id as usize];
        let cluster = &plan.clusters[edge.cluster as usize];
        let (before, Some(after)) = (before.unwrap_or(&cluster.set), edge.set.as_deref()) else {
            return;
        };
        let Some((word, other)) = other_hash(cluster.set.policy) else {
            return;
        };
        let Some(moved) = moved_keys(before, after, cluster.set.policy) else {
            return;
        };
        let slot = plan.slots.get(edge.slot as usize);
        let (workload, name) = slot.map_or(("", ""), |s| (s.workload.as_str(), s.cluster.as_str()));
        let host = short_host(service_host(name));
        let mut sentence = format!(
            "{:.1} % of the keys of {workload} → {host} go to another pod than before, where {:.1} % would do; the fullest pod has {:.2} times the mean of the keys",
            moved.moved * 100.0,
            moved.least * 100.0,
            moved.fullest
        );
        if let Some(moved) = moved_keys(before, after, other) {
            let (share, fullest) = (moved.moved * 100.0, moved.fullest);
            sentence.push_str(&format!(" ({word}: {share:.1} % and {fullest:.2} times)"));
        }
        self.dynamics.tell(now, HappeningKind::Passes, sentence);
    }

    /// Its connections drain, what was known of it is forgotten.
    pub(super) fn host_left(&mut self, edge_id: u32, host: u32) {
        self.drain_host(edge_id, host);
        let edge = &mut self.edges[edge_id as usize];
        let outlier = &mut self.outliers[(edge.hosts + host) as usize];
        edge.monitor.on_host_removed(outlier);
        *outlier = HostOutlier::default();
    }

    /// The edge's hosts as a push lists them; hosts that are new to it begin their slow start.
    fn adopt_set(&mut self, now: SimTime, edge_id: u32, epoch: u32) {
        let plan = self.plan;
        let cluster_id = self.edges[edge_id as usize].cluster;
        let cluster = &plan.clusters[cluster_id as usize];
        let Some(source) = &cluster.source else {
            return;
        };
        let listed = self.dynamics.epochs[epoch as usize].clone();
        let shared = self
            .dynamics
            .sets
            .entry((cluster_id, epoch))
            .or_insert_with(|| {
                let is_listed = |host: usize| listed[cluster.hosts[host].pod as usize];
                let is_peer = |pod: u32| listed[pod as usize];
                Arc::new(source.set_among(&cluster.set, is_listed, is_peer))
            });
        let mut set = Arc::clone(shared);
        let edge = &mut self.edges[edge_id as usize];
        if cluster.set.warmup.is_some() {
            let old: &HostSet = edge.set.as_deref().unwrap_or(&cluster.set);
            let own = Arc::make_mut(&mut set);
            for (host, entry) in (0..).zip(&mut own.hosts) {
                entry.added_at = if old.holds(host) {
                    old.hosts[host as usize].added_at
                } else {
                    Some(now)
                };
            }
        }
        if let Some(config) = &cluster.outlier {
            edge.monitor.set_hosts(config, set.assigned());
        }
        edge.set = Some(set);
    }

    /// An edge that is made after pushes knows what its proxy knows.
    #[cold]
    pub(super) fn begin_edge_with(&mut self, now: SimTime, pod: u32, edge_id: u32) {
        let epoch = self.dynamics.known[pod as usize];
        if epoch == 0 {
            return;
        }
        self.adopt_set(now, edge_id, epoch);
        let edge = &mut self.edges[edge_id as usize];
        if let Some(set) = &mut edge.set
            && set.hosts.iter().any(|h| h.added_at.is_some())
        {
            // The whole cluster is new to the proxy: nobody warms up.
            for host in &mut Arc::make_mut(set).hosts {
                host.added_at = None;
            }
        }
        let set = edge.set.clone();
        edge.view = set.map(|set| Box::new(LbView::build(&set, |_| true)));
    }
}

/// Where keys would go by a policy, before and after.
fn moved_keys(before: &HostSet, after: &HostSet, policy: LbPolicy) -> Option<Moved> {
    let view = |set: &HostSet| {
        let mut set = set.clone();
        set.policy = policy;
        LbView::build(&set, |_| true)
    };
    view(before).moved_keys(&view(after), KEYS)
}

/// The other way of consistent hashing, as Istio has it where nothing more is written.
const fn other_hash(policy: LbPolicy) -> Option<(&'static str, LbPolicy)> {
    match policy {
        LbPolicy::RingHash { .. } => {
            Some(("with `maglev`", LbPolicy::Maglev { table_size: 65_537 }))
        }
        LbPolicy::Maglev { .. } => Some((
            "with `ringHash`",
            LbPolicy::RingHash {
                minimum_ring_size: 1024,
            },
        )),
        _ => None,
    }
}
