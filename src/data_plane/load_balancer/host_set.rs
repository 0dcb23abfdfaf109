//! What does not change with health: hosts, their weights, priorities and localities.

use super::zone::Zones;
use crate::units::{Fraction, SimTime};
use crate::xds::cluster::Warmup;
use crate::xds::{Cluster, Health, LbPolicy, LoadAssignment, Locality, Name};

/// One endpoint as the balancer sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LbHost {
    /// `ip:port`, the key of rings and tables.
    pub key: Name,
    /// At least 1.
    pub weight: u32,
    /// 0 is used first; `u32::MAX` when the client's assignment leaves the endpoint out.
    pub priority: u32,
    /// Index into [`HostSet::localities`]; `u32::MAX` when left out.
    pub locality: u32,
    /// As EDS says.
    pub healthy: bool,
    /// Draining: left out of every denominator.
    pub excluded: bool,
    /// When it joined during the run, for slow start; `None`: it was there before.
    pub added_at: Option<SimTime>,
}

/// The endpoints of one locality at one priority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LbLocality {
    /// Its priority.
    pub priority: u32,
    /// `None` gets no traffic when locality weights are in force.
    pub weight: Option<u32>,
    /// Its hosts.
    pub hosts: Vec<u32>,
}

/// The endpoints of one priority.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LbPriority {
    /// All hosts, in the order of the assignment.
    pub hosts: Vec<u32>,
    /// Indexes into [`HostSet::localities`].
    pub localities: Vec<u32>,
}

/// One cluster as one client locality sees it. Host indexes are indexes into the cluster's
/// endpoints.
#[derive(Clone, Debug)]
pub struct HostSet {
    /// Every endpoint of the cluster.
    pub hosts: Vec<LbHost>,
    /// Localities, in the order of the assignment.
    pub localities: Vec<LbLocality>,
    /// Priorities, densely numbered.
    pub priorities: Vec<LbPriority>,
    /// Balancing policy.
    pub policy: LbPolicy,
    /// `locality_weighted_lb_config` is on the cluster.
    pub locality_weighted: bool,
    /// Healthy share below which all hosts are used.
    pub panic_threshold: Fraction,
    /// In panic nobody is picked (`fail_traffic_on_panic`).
    pub fail_on_panic: bool,
    /// `hash_balance_factor`.
    pub balance_factor: Option<u32>,
    /// Slow start.
    pub warmup: Option<Warmup>,
    /// Routing by zone; `None` without a cluster of the proxy's own.
    pub zones: Option<Zones>,
}

impl HostSet {
    /// Joins a cluster and what [`crate::xds::endpoint::localize`] made of its endpoints.
    pub fn new(cluster: &Cluster, assignment: &LoadAssignment) -> Self {
        let hosts = cluster.endpoints.iter().map(|endpoint| LbHost {
            key: endpoint.key().into(),
            weight: endpoint.weight.max(1),
            priority: u32::MAX,
            locality: u32::MAX,
            healthy: endpoint.health == Health::Healthy,
            excluded: endpoint.health == Health::Draining,
            added_at: None,
        });
        let mut set = Self {
            hosts: hosts.collect(),
            localities: Vec::with_capacity(assignment.groups.len()),
            priorities: Vec::new(),
            policy: cluster.lb,
            locality_weighted: cluster.locality.weighted,
            panic_threshold: cluster.panic_threshold,
            fail_on_panic: (cluster.common_lb.zone_aware)
                .is_some_and(|z| z.fail_traffic_on_panic && !cluster.locality.weighted),
            balance_factor: cluster.common_lb.hash_balance_factor.filter(|f| *f > 0),
            warmup: cluster.warmup,
            zones: None,
        };
        set.assign(assignment);
        set
    }

    /// The same hosts under another assignment, in which some may be missing and others new.
    #[must_use]
    pub fn assigned_as(&self, assignment: &LoadAssignment) -> Self {
        let mut set = Self {
            localities: Vec::with_capacity(assignment.groups.len()),
            priorities: Vec::new(),
            ..self.clone()
        };
        for host in &mut set.hosts {
            host.priority = u32::MAX;
            host.locality = u32::MAX;
        }
        set.assign(assignment);
        set.zones = self.zones.as_ref().map(|zones| zones.ordered(assignment));
        set
    }

    fn assign(&mut self, assignment: &LoadAssignment) {
        for group in &assignment.groups {
            let priority = group.priority as usize;
            if self.priorities.len() <= priority {
                self.priorities
                    .resize_with(priority + 1, LbPriority::default);
            }
            let locality = self.localities.len() as u32;
            for host in &group.endpoints {
                let entry = &mut self.hosts[*host as usize];
                entry.priority = group.priority;
                entry.locality = locality;
            }
            self.priorities[priority].hosts.extend(&group.endpoints);
            self.priorities[priority].localities.push(locality);
            self.localities.push(LbLocality {
                priority: group.priority,
                weight: group.weight,
                hosts: group.endpoints.clone(),
            });
        }
    }

    /// Adds what the proxy knows of its own cluster: place and health of its members.
    #[must_use]
    pub fn with_local_cluster<'a>(
        mut self,
        cluster: &Cluster,
        assignment: &LoadAssignment,
        here: &Locality,
        peers: impl Iterator<Item = (&'a Locality, bool)>,
    ) -> Self {
        self.zones = Zones::new(cluster, assignment, here, peers);
        self
    }

    /// The same with other pods in the proxy's own cluster; before the assignment that goes with them.
    #[must_use]
    pub fn with_peers<'a>(mut self, peers: impl Iterator<Item = &'a Locality>) -> Self {
        self.zones = self.zones.map(|zones| zones.among(peers));
        self
    }

    /// True when the client's assignment holds the endpoint.
    pub fn holds(&self, host: u32) -> bool {
        self.hosts[host as usize].priority != u32::MAX
    }

    /// Number of endpoints that the client's assignment holds, whatever their health.
    pub fn assigned(&self) -> u32 {
        self.priorities.iter().map(|p| p.hosts.len() as u32).sum()
    }
}
