//! What one state of health makes of a host set.

use super::host_set::{HostSet, LbPriority};
use super::locality::{effective_weights, normalised_weights};
use super::maglev::MaglevTable;
use super::priority::{LevelCounts, Loads, choose_priority};
use super::ring_hash::Ring;
use super::zone::{ZoneShares, ZonesOff};
use crate::units::hash::mix;
use crate::xds::LbPolicy;

/// A host set in one state of health. Built when health changes, then only read.
#[derive(Clone, Debug, Default)]
pub struct LbView {
    /// Shares and panic of the priorities.
    pub loads: Loads,
    /// The priorities.
    pub priorities: Vec<PriorityView>,
    /// Why priority 0 is not routed by zone although there is a local cluster.
    pub zones_off: Option<ZonesOff>,
    /// See [`Self::is_simple`].
    pub(super) simple: bool,
    /// Number of candidates of a simple view whose candidates are simply all hosts in order:
    /// then no list has to be looked at. 0 otherwise.
    pub(super) all_of: u32,
}

/// One priority of a view.
#[derive(Clone, Debug, Default)]
pub struct PriorityView {
    /// Healthy hosts.
    pub(super) healthy: Source,
    /// All hosts, for panic.
    pub(super) all: Source,
    /// Healthy hosts of each locality; empty when localities are neither weighted nor zones.
    pub(super) localities: Vec<Source>,
    /// Effective weights of the localities; empty when localities are not weighted.
    pub(super) locality_weights: Vec<f64>,
    /// Shares of the localities, where requests are routed by zone.
    pub(super) zones: Option<Box<ZoneShares>>,
    /// Ring or table over the hosts in use.
    pub(super) table: Table,
    /// Hosts of the table with their shares; empty unless loads are bounded.
    pub(super) shares: Box<[(u32, f64)]>,
}

impl PriorityView {
    /// Healthy hosts, in order.
    pub fn healthy(&self) -> &[u32] {
        &self.healthy.hosts
    }

    /// The ring of a RING_HASH cluster.
    pub fn ring(&self) -> Option<&Ring> {
        match &self.table {
            Table::Ring(ring) => Some(ring),
            _ => None,
        }
    }

    /// The table of a MAGLEV cluster.
    pub fn maglev(&self) -> Option<&MaglevTable> {
        match &self.table {
            Table::Maglev(table) => Some(table),
            _ => None,
        }
    }
}

/// A list of candidates; each has its own index or schedule in [`super::LbState`].
#[derive(Clone, Debug, Default)]
pub(super) struct Source {
    pub(super) hosts: Box<[u32]>,
    /// All weights are equal.
    pub(super) equal: bool,
}

impl Source {
    fn new(set: &HostSet, hosts: impl Iterator<Item = u32>) -> Self {
        let hosts: Box<[u32]> = hosts.collect();
        let weight = |host: &u32| set.hosts[*host as usize].weight;
        let equal = hosts
            .windows(2)
            .all(|pair| weight(&pair[0]) == weight(&pair[1]));
        Self { hosts, equal }
    }
}

/// Consistent hashing, where the policy asks for it.
#[derive(Clone, Debug, Default)]
pub(super) enum Table {
    #[default]
    None,
    Ring(Ring),
    Maglev(MaglevTable),
}

/// What another set of hosts does to the keys of consistent hashing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moved {
    /// Share of the keys that go to another host than before.
    pub moved: f64,
    /// What would do: the hosts that came or went, as a share of the larger set.
    pub least: f64,
    /// Keys of the host that has most, in times the mean.
    pub fullest: f64,
}

impl LbView {
    /// Compares where `samples` keys go in this view and in a later one; `None` where there is no
    /// hashing.
    pub fn moved_keys(&self, later: &Self, samples: u64) -> Option<Moved> {
        let (mut moved, mut asked) = (0_u64, 0_u64);
        let mut keys: std::collections::BTreeMap<u32, u64> = std::collections::BTreeMap::new();
        let mut before: std::collections::BTreeSet<u32> = std::collections::BTreeSet::new();
        for key in 0..samples {
            let hash = mix(key, samples);
            let (Some(old), Some(new)) = (self.hashed(hash), later.hashed(hash)) else {
                continue;
            };
            asked += 1;
            moved += u64::from(old != new);
            *keys.entry(new).or_default() += 1;
            before.insert(old);
        }
        let most = keys.values().max()?;
        let gone = before
            .iter()
            .filter(|host| !keys.contains_key(host))
            .count();
        let come = keys.keys().filter(|host| !before.contains(host)).count();
        let larger = before.len().max(keys.len());
        Some(Moved {
            moved: moved as f64 / asked as f64,
            least: gone.max(come) as f64 / larger as f64,
            fullest: *most as f64 * keys.len() as f64 / asked as f64,
        })
    }

    /// Where a hash goes at the first try.
    fn hashed(&self, hash: u64) -> Option<u32> {
        self.priorities.first()?;
        let priority = choose_priority(&self.loads.load, hash);
        match &self.priorities.get(priority as usize)?.table {
            Table::Ring(ring) => ring.lookup(hash, 0),
            Table::Maglev(table) => table.lookup(hash, 0),
            Table::None => None,
        }
    }

    /// Builds the view; `healthy` tells what the proxy itself knows of a host (no ejection),
    /// to which the control plane's word is added.
    pub fn build(set: &HostSet, healthy: impl Fn(u32) -> bool) -> Self {
        let healthy = |host: u32| set.hosts[host as usize].healthy && healthy(host);
        let levels: Vec<LevelCounts> = (set.priorities.iter())
            .map(|priority| counts(set, priority, &healthy))
            .collect();
        // Envoy keeps the threshold in whole percent.
        let threshold = (set.panic_threshold.ppm() + 5_000) / 10_000;
        let loads = Loads::new(&levels, threshold);
        let mut priorities: Vec<PriorityView> = (set.priorities.iter().zip(&loads.panic))
            .map(|(priority, panic)| priority_view(set, priority, *panic, &healthy))
            .collect();
        let zones_off = add_zones(set, priorities.first_mut(), &healthy);
        let turn_based = matches!(
            set.policy,
            LbPolicy::RoundRobin
                | LbPolicy::Random
                | LbPolicy::LeastRequest {
                    full_scan: false,
                    ..
                }
        );
        let simple = match &*priorities {
            [only] => {
                turn_based
                    && set.warmup.is_none()
                    && !loads.panic[0]
                    && only.locality_weights.is_empty()
                    && only.zones.is_none()
                    && (only.healthy.equal || set.policy == LbPolicy::Random)
                    && !only.healthy.hosts.is_empty()
            }
            _ => false,
        };
        let all_of = match &*priorities {
            [only]
                if simple
                    && only
                        .healthy
                        .hosts
                        .iter()
                        .copied()
                        .eq(0..set.hosts.len() as u32) =>
            {
                set.hosts.len() as u32
            }
            _ => 0,
        };
        Self {
            loads,
            priorities,
            zones_off,
            simple,
            all_of,
        }
    }

    /// One priority, equal weights, no panic, no localities, no hashing: the common case.
    #[inline]
    pub const fn is_simple(&self) -> bool {
        self.simple
    }

    /// Number of hosts that get traffic without panic.
    pub fn healthy_count(&self) -> usize {
        self.priorities.iter().map(|p| p.healthy.hosts.len()).sum()
    }
}

/// Lists and shares of the localities of priority 0, where requests are routed by zone.
fn add_zones(
    set: &HostSet,
    first: Option<&mut PriorityView>,
    healthy: &impl Fn(u32) -> bool,
) -> Option<ZonesOff> {
    let (zones, first) = (set.zones.as_ref()?, first?);
    match zones.shares(set, healthy) {
        Ok(shares) => {
            let hosts = |index: u32| set.localities[index as usize].hosts.iter().copied();
            let healthy_of = |index| Source::new(set, hosts(index).filter(|host| healthy(*host)));
            first.localities = zones.localities().map(healthy_of).collect();
            first.zones = Some(Box::new(shares));
            None
        }
        Err(why) => Some(why),
    }
}

fn counts(set: &HostSet, priority: &LbPriority, healthy: &impl Fn(u32) -> bool) -> LevelCounts {
    let count = |test: &dyn Fn(u32) -> bool| {
        priority.hosts.iter().filter(|host| test(**host)).count() as u32
    };
    LevelCounts {
        hosts: priority.hosts.len() as u32,
        excluded: count(&|host| set.hosts[host as usize].excluded),
        healthy: count(&|host| healthy(host)),
    }
}

fn priority_view(
    set: &HostSet,
    priority: &LbPriority,
    panic: bool,
    healthy: &impl Fn(u32) -> bool,
) -> PriorityView {
    let all = priority.hosts.iter().copied();
    let locality_weights = effective_weights(set, priority, healthy);
    let mut localities = Vec::new();
    if !locality_weights.is_empty() {
        for index in &priority.localities {
            let hosts = set.localities[*index as usize].hosts.iter().copied();
            localities.push(Source::new(set, hosts.filter(|host| healthy(*host))));
        }
    }
    let shares = match set.balance_factor {
        Some(_) => normalised_weights(set, priority, &|host| panic || healthy(host)).into(),
        None => Box::default(),
    };
    let table = match set.policy {
        LbPolicy::RingHash { minimum_ring_size } => {
            let hosts = keyed(set, priority, panic, healthy);
            Table::Ring(Ring::new(&hosts, minimum_ring_size))
        }
        LbPolicy::Maglev { table_size } => {
            let hosts = keyed(set, priority, panic, healthy);
            Table::Maglev(MaglevTable::new(&hosts, table_size))
        }
        _ => Table::None,
    };
    PriorityView {
        healthy: Source::new(set, all.clone().filter(|host| healthy(*host))),
        all: Source::new(set, all),
        localities,
        locality_weights,
        zones: None,
        table,
        shares,
    }
}

/// The hosts of a ring or table with keys and shares: the healthy ones, or all in panic.
fn keyed<'a>(
    set: &'a HostSet,
    priority: &LbPriority,
    panic: bool,
    healthy: &impl Fn(u32) -> bool,
) -> Vec<(u32, &'a str, f64)> {
    let shares = normalised_weights(set, priority, &|host| panic || healthy(host));
    let keyed = shares
        .into_iter()
        .map(|(host, share)| (host, &*set.hosts[host as usize].key, share));
    keyed.collect()
}
