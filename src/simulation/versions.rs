//! Tables that change during a run: which route and which cluster a proxy has when.
//!
//! Routing is memoised, so every kind of request has a route plan for every version of the tables,
//! and every cluster of a route a slot for every version of the clusters. A proxy gets new clusters
//! before new routes (CDS, EDS, LDS, RDS in that order), so the two versions that it works with may
//! differ: a route then finds a cluster that is not there yet, or not any more, and answers 503 NC.
//! A cluster that is the same in two versions keeps its slot, with its connections and what is
//! known of its hosts; one that changed is another slot, and the old one's connections drain, as
//! Envoy replaces a cluster (`source/common/upstream/cluster_manager_impl.cc`).
//!
//! Approximated: what servers do with arriving requests (mutual TLS, policies, filters) goes with
//! the version of the client's routes; a request that waits between two tries keeps its cluster.

use super::build::Builder;
use super::build_cluster::SlotKey;
use super::build_route::Routes;
use super::event::Event;
use super::plan::{NIL, WeightedPlan};
use super::resolve::Resolver;
use super::timeline::StepKind;
use super::upstream::Upstream;
use super::world::World;
use crate::data_plane::Trail;
use crate::engine::Queue;
use crate::units::SimTime;
use crate::xds::Snapshot;

/// What a run knows of versions of the tables.
#[derive(Debug, Default)]
pub(crate) struct Versions {
    /// By route: the plan of the same kind of request under the first tables.
    kind_of: Vec<u32>,
    /// By route: the version of the tables that it was made from.
    version_of: Vec<u32>,
    /// By version and kind: the route.
    routes: Vec<Vec<u32>>,
    /// By version and slot: proxies with these tables have the cluster.
    live: Vec<Vec<bool>>,
}

impl Versions {
    /// The version of the tables that a route belongs to.
    pub(crate) fn of_route(&self, route: u32) -> usize {
        self.version_of[route as usize] as usize
    }
}

/// All versions of the tables while a plan is made.
pub(super) struct Tables<'a> {
    all: Vec<&'a Snapshot>,
    now: u32,
    /// Resolvers of the versions that are not at hand.
    resting: Vec<Option<Resolver<'a>>>,
}

impl<'a> Tables<'a> {
    pub(super) fn of(snapshot: &'a Snapshot) -> Self {
        let later = snapshot.later.iter().map(|later| &later.tables);
        let all: Vec<&Snapshot> = [snapshot].into_iter().chain(later).collect();
        Self {
            now: 0,
            resting: all.iter().map(|_| None).collect(),
            all,
        }
    }

    /// Number of versions.
    pub(super) fn count(&self) -> u32 {
        self.all.len() as u32
    }

    /// The version at hand.
    pub(super) fn now(&self) -> u32 {
        self.now
    }
}

impl Builder<'_> {
    /// Takes another version of the tables to hand.
    pub(super) fn turn_to(&mut self, version: u32) {
        if self.tables.now == version {
            return;
        }
        let at = version as usize;
        let snapshot = self.tables.all[at];
        let resting = self.tables.resting[at].take();
        let resolver = resting.unwrap_or_else(|| Resolver::new(snapshot));
        let mut old = std::mem::replace(&mut self.resolver, resolver);
        let bad = std::mem::take(&mut old.bad_patterns);
        self.resolver.bad_patterns.extend(bad);
        self.tables.resting[self.tables.now as usize] = Some(old);
        self.snapshot = snapshot;
        self.tables.now = version;
    }

    /// Asks every version of the tables the same.
    pub(super) fn in_all_versions<R>(&mut self, mut ask: impl FnMut(&mut Self) -> R) -> Vec<R> {
        let before = self.tables.now;
        let answers = (0..self.tables.count())
            .map(|version| {
                self.turn_to(version);
                ask(self)
            })
            .collect();
        self.turn_to(before);
        answers
    }
}

impl Routes {
    /// (slot, position) of a cluster in every version of the tables; `NIL` where it is not there.
    pub(super) fn slots_in_all_versions(
        &mut self,
        key: &SlotKey,
        upstreams: &[Option<Upstream>],
    ) -> Vec<(u32, u32)> {
        let mut slots = Vec::with_capacity(upstreams.len());
        for (version, upstream) in (0..).zip(upstreams) {
            let Some(upstream) = upstream else {
                slots.push((NIL, NIL));
                continue;
            };
            let same = |earlier: &Option<Upstream>| {
                let earlier = earlier.as_ref();
                earlier.is_some_and(|earlier| earlier.cluster.behaves_as(&upstream.cluster))
            };
            let first = upstreams[..version as usize].iter().position(same);
            let key = SlotKey {
                version: first.map_or(version, |first| first as u32),
                ..key.clone()
            };
            let (slot, position) = self.slots.slot(key, upstream);
            self.slots.live.insert((version, slot));
            slots.push((slot, position));
        }
        slots
    }

    /// What changes with the tables; `None` when they stay as they are.
    pub(super) fn versions(&self, builder: &Builder<'_>) -> Option<Box<Versions>> {
        let count = builder.tables.count();
        if count == 1 {
            return None;
        }
        let own: Vec<u32> = (0..self.plans.len() as u32).collect();
        let mut made = Versions {
            kind_of: own.clone(),
            version_of: vec![0; own.len()],
            routes: vec![own; count as usize],
            live: Vec::new(),
        };
        for (kind, others) in &self.later {
            for (version, route) in (1..).zip(others) {
                made.kind_of[*route as usize] = *kind;
                made.version_of[*route as usize] = version;
                made.routes[version as usize][*kind as usize] = *route;
            }
        }
        let slots = 0..self.slots.len() as u32;
        made.live = (0..count)
            .map(|version| {
                let is_live = |slot| self.slots.live.contains(&(version, slot));
                slots.clone().map(is_live).collect()
            })
            .collect();
        Some(Box::new(made))
    }
}

impl<T: Trail> World<'_, T> {
    /// The route that a pod's proxy has now for a kind of request.
    #[expect(clippy::inline_always, reason = "nothing is left of it in most runs")]
    #[inline(always)]
    pub(super) fn route_now(&self, pod: u32, route: u32) -> u32 {
        match &self.plan.versions {
            Some(versions) if self.is_dynamic() => {
                let version = self.dynamics.routed[pod as usize];
                let kind = versions.kind_of[route as usize];
                versions.routes[version as usize][kind as usize]
            }
            _ => route,
        }
    }

    /// (slot, position) of a route's cluster among those a pod's proxy has now.
    #[expect(clippy::inline_always, reason = "nothing is left of it in most runs")]
    #[inline(always)]
    pub(super) fn cluster_now(&self, pod: u32, chosen: &WeightedPlan) -> (u32, u32) {
        if self.is_dynamic() && !chosen.by_version.is_empty() {
            let epoch = self.dynamics.known[pod as usize];
            let version = self.dynamics.versions[epoch as usize];
            return chosen.by_version[version as usize];
        }
        (chosen.slot, chosen.position)
    }

    /// The API server has another configuration; istiod sees it a moment later.
    pub(super) fn configure(&mut self, now: SimTime, version: u32, queue: &mut Queue<Event>) {
        self.dynamics.configured = version;
        self.tell_istiod(now, queue);
    }

    /// A push brings other clusters to a proxy; its routes follow.
    #[cold]
    pub(super) fn replace_clusters(
        &mut self,
        now: SimTime,
        pod: u32,
        (before, epoch): (u32, u32),
        queue: &mut Queue<Event>,
    ) {
        let plan = self.plan;
        let (Some(versions), Some(timeline)) = (&plan.versions, &plan.timeline) else {
            return;
        };
        let known = &self.dynamics.versions;
        let (old, new) = (known[before as usize] as usize, known[epoch as usize]);
        if old == new as usize {
            return;
        }
        for edge in self.edges_of(pod) {
            let slot = self.edges[edge as usize].slot;
            // The pod that is looked at counts in slots of its own.
            let own = plan.watched.map_or(u32::MAX, |watched| watched.slots);
            let slot = slot.checked_sub(own).unwrap_or(slot);
            let (was, is) = (
                versions.live[old][slot as usize],
                versions.live[new as usize][slot as usize],
            );
            if was && !is {
                for host in 0..self.edges[edge as usize].host_count {
                    self.host_left(edge, host);
                }
            }
        }
        let key = self.seed.key("routes", &plan.pods[pod as usize].name);
        let mut draws = Self::draws(key, u64::from(epoch));
        let at = now.after(timeline.push.routes.sample(&mut draws));
        self.later(at, pod, StepKind::Routed(new), queue);
    }

    /// The routes of a push are in use.
    pub(super) fn pod_routed(&mut self, pod: u32, version: u32) {
        let routed = &mut self.dynamics.routed[pod as usize];
        *routed = (*routed).max(version);
    }
}
