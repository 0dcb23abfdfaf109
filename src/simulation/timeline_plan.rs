//! What will happen to the mesh, resolved: events of the scenario as actions on pods and links.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::scenario::{ErrorKind, FailureKind};
use crate::data_plane::HostSet;
use crate::engine::Sampler;
use crate::units::{Fraction, SimDuration, SimTime};
use crate::xds::autoscaler::Autoscaler;
use crate::xds::endpoint::{LocalityPolicy, localize};
use crate::xds::{Endpoint, Locality, Name};

/// Everything that happens apart from requests.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    /// In the order of time, each with a sentence about it.
    pub(crate) actions: Vec<(SimTime, Action, String)>,
    /// Slowdowns: times so much, plus so much.
    pub(crate) slowdowns: Vec<(f64, Option<Sampler>)>,
    /// Errors of disturbed applications, cumulated shares.
    pub(crate) errors: Vec<Vec<(Fraction, ErrorKind)>>,
    /// Extra delays on links.
    pub(crate) delays: Vec<Sampler>,
    /// How pods of each app come and go.
    pub(crate) lives: Vec<Life>,
    /// How the control plane tells proxies.
    pub(crate) push: PushSettings,
    /// Workloads whose number of pods an autoscaler changes.
    pub(crate) autoscalers: Vec<(u32, Autoscaler)>,
    /// Changes of configuration so far.
    pub(crate) versions: u32,
}

/// One action.
#[derive(Debug)]
pub(crate) enum Action {
    Fail {
        pods: Box<[u32]>,
        how: FailureKind,
        noticed: Option<SimDuration>,
    },
    Restore {
        pods: Box<[u32]>,
    },
    /// Index of a slowdown.
    Slow {
        pods: Box<[u32]>,
        index: u32,
    },
    SlowEnds {
        pods: Box<[u32]>,
        index: u32,
    },
    /// Index of errors.
    Errors {
        pods: Box<[u32]>,
        index: u32,
    },
    ErrorsEnd {
        pods: Box<[u32]>,
        index: u32,
    },
    Capacity {
        pods: Box<[u32]>,
        share: Fraction,
    },
    /// Nothing passes an area, until a moment or for ever.
    Cut {
        area: usize,
        until: SimTime,
    },
    /// Something passes again: only to be told.
    Mended,
    Delay {
        area: usize,
        index: u32,
    },
    DelayEnds {
        area: usize,
        index: u32,
    },
    Scale {
        app: u32,
        replicas: u32,
    },
    Rollout {
        app: u32,
    },
    /// The API server has this version of the configuration.
    Configure {
        version: u32,
    },
}

/// How pods of a workload come and go.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    /// From its creation until it serves.
    pub(crate) startup: Sampler,
    /// From serving until its readiness probe says so.
    pub(crate) ready_after: SimDuration,
    /// From hanging until its readiness probe says so; `None`: it has no probe.
    pub(crate) unready_after: Option<SimDuration>,
    /// `preStop`: it serves on for so long after it was told to end.
    pub(crate) pre_stop: SimDuration,
    /// Then its sidecar drains for so long.
    pub(crate) drain: SimDuration,
    /// It stays longer while it has something to do (`EXIT_ON_ZERO_ACTIVE_CONNECTIONS`).
    pub(crate) exit_on_zero: bool,
    /// Everything has to be over by then.
    pub(crate) grace: SimDuration,
    /// Pods beyond the wanted number in a rolling update.
    pub(crate) max_surge: u32,
    /// Pods that may be missing in a rolling update.
    pub(crate) max_unavailable: u32,
}

/// How changes travel to proxies (`pilot/pkg/xds/discovery.go`, `features/tuning.go`).
#[derive(Clone, Debug)]
pub(crate) struct PushSettings {
    /// From a change to istiod's knowledge of it.
    pub(crate) watch: SimDuration,
    /// `PILOT_DEBOUNCE_AFTER`.
    pub(crate) quiet: SimDuration,
    /// `PILOT_DEBOUNCE_MAX`.
    pub(crate) most: SimDuration,
    /// From a push's begin to a proxy that works with it, drawn for each proxy.
    pub(crate) takes: Sampler,
    /// From a proxy's new clusters to its new routes, drawn for each proxy.
    pub(crate) routes: Sampler,
    /// The same for kube-proxy, which clients without a proxy depend on.
    pub(crate) kube_proxy: Sampler,
    /// From the failure of a machine until its pods are taken for not ready.
    pub(crate) node_grace: SimDuration,
    /// From the end of a container until its pod is taken for not ready.
    pub(crate) crash_noticed: SimDuration,
}

impl Default for PushSettings {
    fn default() -> Self {
        let between = |least: u64, most: u64| {
            crate::engine::Distribution::Uniform {
                min: SimDuration::from_ms(least),
                max: SimDuration::from_ms(most),
            }
            .sampler()
        };
        Self {
            watch: SimDuration::from_ms(50),
            quiet: SimDuration::from_ms(100),
            most: SimDuration::from_secs(10),
            takes: between(10, 100),
            routes: between(1, 10),
            kube_proxy: between(100, 1_000),
            node_grace: SimDuration::from_secs(50),
            crash_noticed: SimDuration::from_secs(1),
        }
    }
}

/// What a cluster's hosts are made from.
#[derive(Debug)]
pub(crate) struct ClusterSource {
    pub(crate) endpoints: Arc<[Endpoint]>,
    pub(crate) policy: LocalityPolicy,
    pub(crate) here: Locality,
    pub(crate) labels: BTreeMap<Name, Name>,
    /// Pods of the proxy's own cluster, where routing by zone asks for them: id and place.
    pub(crate) peers: Vec<(u32, Locality)>,
}

impl ClusterSource {
    /// The hosts of which some are listed; the others keep their numbers and get no traffic.
    pub(crate) fn set(&self, full: &HostSet, listed: impl Fn(usize) -> bool) -> HostSet {
        let chosen: Vec<u32> = (0..self.endpoints.len())
            .filter(|i| listed(*i))
            .map(|i| i as u32)
            .collect();
        let endpoints: Arc<[Endpoint]> = (chosen.iter())
            .map(|i| self.endpoints[*i as usize].clone())
            .collect();
        let mut assignment = localize(&endpoints, &self.policy, &self.here, &self.labels);
        for group in &mut assignment.groups {
            for host in &mut group.endpoints {
                *host = chosen[*host as usize];
            }
        }
        full.assigned_as(&assignment)
    }

    /// The same, with those pods of the proxy's own cluster that are listed.
    pub(crate) fn set_among(
        &self,
        full: &HostSet,
        listed: impl Fn(usize) -> bool,
        peers: impl Fn(u32) -> bool,
    ) -> HostSet {
        if self.peers.is_empty() {
            return self.set(full, listed);
        }
        let there = self.peers.iter().filter(|(pod, _)| peers(*pod));
        let full = full.clone().with_peers(there.map(|(_, place)| place));
        self.set(&full, listed)
    }
}
