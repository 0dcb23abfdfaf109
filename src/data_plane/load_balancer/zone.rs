//! Routing by zone: to the proxy's own zone as far as the balance between hosts allows.
//!
//! Envoy knows by its local cluster how the proxies like itself are spread over localities. A
//! locality that has as large a share of the upstream's hosts as of the proxies keeps its own
//! traffic; one with a smaller share keeps that part, and sends the rest where hosts outnumber
//! proxies. Only priority 0, and only ROUND_ROBIN, LEAST_REQUEST and RANDOM
//! (`load_balancer_impl.cc`, regenerateLocalityRoutingStructures). Both sides may change: a push
//! that brings or takes pods of the client moves the shares as one of the upstream's does.

use std::collections::BTreeMap;

use super::host_set::HostSet;
use crate::units::Fraction;
use crate::xds::cluster::ZoneAware;
use crate::xds::{Cluster, ClusterKind, LoadAssignment, Locality};

/// Shares are counted in ten-thousandths.
const WHOLE: u64 = 10_000;

/// The part of routing by zone that does not change with the upstream's health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zones {
    /// Localities of priority 0 in Envoy's order, the proxy's own first: (index into
    /// [`HostSet::localities`], healthy hosts of the local cluster there).
    order: Vec<(u32, u32)>,
    /// The first of them is the proxy's own.
    has_own: bool,
    /// Healthy hosts of the local cluster by place.
    local: BTreeMap<Locality, u32>,
    /// The proxy's own place.
    here: Locality,
    /// Too few hosts of the local cluster are healthy.
    local_panic: bool,
    /// Percent of the requests that are routed by zone.
    enabled: u32,
    /// Healthy hosts the upstream needs.
    min_cluster_size: u64,
}

/// Shares of localities in one state of health.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ZoneShares {
    /// All requests stay in the own locality.
    direct: bool,
    /// Those that stay, in ten-thousandths.
    own: u64,
    /// Room for the rest, cumulated over the localities.
    room: Box<[u64]>,
}

/// Why a cluster is not routed by zone although it could be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZonesOff {
    /// Fewer healthy hosts than `min_cluster_size`.
    ClusterTooSmall {
        /// Healthy hosts.
        healthy: u64,
        /// Those it takes.
        least: u64,
    },
    /// The local cluster has no host in the proxy's own locality.
    LocalClusterNotOk,
    /// The upstream or the local cluster has one locality only.
    OneLocality,
}

/// How a pick dealt with zones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ZonePick {
    /// Not at all.
    #[default]
    None,
    /// The own zone, as always (`lb_zone_routing_all_directly`).
    AllDirectly,
    /// The own zone, whose part it is (`lb_zone_routing_sampled`).
    Sampled,
    /// Another zone (`lb_zone_routing_cross_zone`).
    CrossZone,
    /// Any zone, since rounding left no room (`lb_zone_no_capacity_left`, and cross zone).
    NoCapacityLeft,
    /// Not at all, because the local cluster panics (`lb_local_cluster_not_ok`).
    LocalClusterNotOk,
}

impl Zones {
    /// Joins a host set with the proxy's own cluster, whose pods are given as (locality,
    /// healthy); `None` where zones play no part.
    pub(super) fn new<'a>(
        cluster: &Cluster,
        assignment: &LoadAssignment,
        here: &Locality,
        peers: impl Iterator<Item = (&'a Locality, bool)>,
    ) -> Option<Self> {
        // Without a word of the configuration Envoy routes by zone all the same.
        let settings = cluster.common_lb.zone_aware.unwrap_or_default();
        let is_balanced = cluster.kind != ClusterKind::OriginalDst;
        if cluster.locality.weighted || !is_balanced || settings.routing_enabled == Fraction::ZERO {
            return None;
        }
        let mut healthy: BTreeMap<Locality, u32> = BTreeMap::new();
        let mut all = 0_u32;
        for (locality, is_healthy) in peers {
            *healthy.entry(locality.clone()).or_insert(0) += u32::from(is_healthy);
            all += 1;
        }
        let local: u32 = healthy.values().sum();
        let percent = 100.0 * f64::from(local) / f64::from(all.max(1));
        let zones = Self {
            order: Vec::new(),
            has_own: false,
            local_panic: percent < f64::from((cluster.panic_threshold.ppm() + 5_000) / 10_000),
            enabled: rounded_percent(settings),
            min_cluster_size: settings.min_cluster_size,
            here: here.clone(),
            local: healthy,
        };
        Some(zones.ordered(assignment))
    }

    /// The same with these pods in the local cluster, all of them healthy.
    pub(super) fn among<'a>(&self, peers: impl Iterator<Item = &'a Locality>) -> Self {
        let mut local: BTreeMap<Locality, u32> = BTreeMap::new();
        for locality in peers {
            *local.entry(locality.clone()).or_insert(0) += 1;
        }
        Self {
            local,
            local_panic: false,
            ..self.clone()
        }
    }

    /// The same under another assignment.
    pub(super) fn ordered(&self, assignment: &LoadAssignment) -> Self {
        let groups = assignment.groups.iter().enumerate();
        let mut order: Vec<(usize, &Locality)> = (groups.filter(|(_, g)| g.priority == 0))
            .map(|(index, group)| (index, &group.locality))
            .collect();
        order.sort_by_key(|(_, locality)| (**locality != self.here, *locality));
        let local = |at: &Locality| self.local.get(at).copied().unwrap_or(0);
        Self {
            has_own: order.first().is_some_and(|(_, at)| **at == self.here),
            order: (order.iter())
                .map(|(index, at)| (*index as u32, local(at)))
                .collect(),
            ..self.clone()
        }
    }

    /// Localities in the order of the shares.
    pub(super) fn localities(&self) -> impl Iterator<Item = u32> + '_ {
        self.order.iter().map(|(index, _)| *index)
    }

    /// The shares, or why there are none.
    pub(super) fn shares(
        &self,
        set: &HostSet,
        healthy: &impl Fn(u32) -> bool,
    ) -> Result<ZoneShares, ZonesOff> {
        if self.order.len() < 2 || self.local.len() < 2 {
            return Err(ZonesOff::OneLocality);
        }
        if !self.local.contains_key(&self.here) {
            return Err(ZonesOff::LocalClusterNotOk);
        }
        let hosts = |(index, _): &(u32, u32)| {
            let all = set.localities[*index as usize].hosts.iter();
            all.filter(|host| healthy(**host)).count() as u64
        };
        let hosts: Vec<u64> = self.order.iter().map(hosts).collect();
        let total: u64 = hosts.iter().sum();
        if total < self.min_cluster_size {
            return Err(ZonesOff::ClusterTooSmall {
                healthy: total,
                least: self.min_cluster_size,
            });
        }
        let all_local: u32 = self.local.values().sum();
        let share = |part: u64, whole: u64| (WHOLE * part).checked_div(whole).unwrap_or(0);
        // (of the local cluster, of the upstream); without hosts the former does not matter.
        let shares = self.order.iter().zip(&hosts).map(|((_, local), hosts)| {
            let local = share(u64::from(*local), u64::from(all_local));
            (if *hosts == 0 { 0 } else { local }, share(*hosts, total))
        });
        let shares: Vec<(u64, u64)> = shares.collect();
        Ok(ZoneShares::new(&shares, self.has_own))
    }

    /// Whether this request is routed by zone, and to which of the localities.
    pub(super) fn choose(
        &self,
        shares: &ZoneShares,
        draw: &mut impl FnMut() -> u64,
    ) -> (Option<usize>, ZonePick) {
        if self.enabled < 100 && draw() % 100 >= u64::from(self.enabled) {
            return (None, ZonePick::None);
        }
        if self.local_panic {
            return (None, ZonePick::LocalClusterNotOk);
        }
        if shares.direct {
            return (Some(0), ZonePick::AllDirectly);
        }
        if draw() % WHOLE < shares.own {
            return (Some(0), ZonePick::Sampled);
        }
        let room = shares.room.last().copied().unwrap_or(0);
        if room == 0 {
            let any = (draw() % self.order.len() as u64) as usize;
            return (Some(any), ZonePick::NoCapacityLeft);
        }
        let at = draw() % room;
        let found = shares.room.iter().position(|sum| at < *sum);
        (found, ZonePick::CrossZone)
    }
}

impl ZoneShares {
    /// From the localities' (share of the local cluster, share of the upstream).
    fn new(shares: &[(u64, u64)], has_own: bool) -> Self {
        let (local, upstream) = shares[0];
        if has_own && upstream > 0 && upstream >= local {
            return Self {
                direct: true,
                ..Self::default()
            };
        }
        let mut sum = 0;
        let room = shares.iter().enumerate().map(|(at, (local, upstream))| {
            let is_own = at == 0 && has_own;
            sum += if is_own {
                0
            } else {
                upstream.saturating_sub(*local)
            };
            sum
        });
        Self {
            direct: false,
            room: room.collect(),
            own: if has_own {
                (upstream * WHOLE).checked_div(local).unwrap_or(0)
            } else {
                0
            },
        }
    }
}

/// Envoy keeps whole percent.
fn rounded_percent(settings: ZoneAware) -> u32 {
    (settings.routing_enabled.ppm() + 5_000) / 10_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(of: &[(u64, u64)], has_own: bool) -> (bool, u64, Vec<u64>) {
        let shares = ZoneShares::new(of, has_own);
        (shares.direct, shares.own, shares.room.into_vec())
    }

    #[test]
    fn a_zone_with_room_for_its_own_keeps_everything() {
        assert!(shares(&[(5000, 5000), (5000, 5000)], true).0);
        assert!(shares(&[(2500, 5000), (7500, 5000)], true).0);
    }

    #[test]
    fn the_rest_goes_where_hosts_outnumber_proxies() {
        // The example of Envoy's source.
        let of = [(4000, 2500), (4000, 5000), (2000, 2500)];
        assert_eq!(shares(&of, true), (false, 6250, vec![0, 1000, 1500]));
        let of = [(7500, 2500), (2500, 2500), (0, 5000)];
        assert_eq!(shares(&of, true), (false, 3333, vec![0, 0, 5000]));
    }

    #[test]
    fn a_zone_without_hosts_keeps_nothing() {
        let of = [(2500, 5000), (2500, 5000)];
        assert_eq!(shares(&of, false), (false, 0, vec![2500, 5000]));
        assert_eq!(shares(&[(0, 0), (5000, 10_000)], true).1, 0);
    }

    fn zones(enabled: u32, local_panic: bool) -> Zones {
        Zones {
            order: vec![(0, 3), (1, 1)],
            has_own: true,
            local: BTreeMap::new(),
            here: Locality::default(),
            local_panic,
            enabled,
            min_cluster_size: 6,
        }
    }

    fn chosen(zones: &Zones, of: &ZoneShares, draws: &[u64]) -> (Option<usize>, ZonePick) {
        let mut draws = draws.iter().copied();
        let chosen = zones.choose(of, &mut || draws.next().expect("not so many draws"));
        assert_eq!(draws.next(), None, "a draw too few");
        chosen
    }

    #[test]
    fn a_request_draws_for_its_zone() {
        let part = ZoneShares::new(&[(7500, 5000), (2500, 5000)], true);
        let all = ZoneShares::new(&[(5000, 5000), (5000, 5000)], true);
        let on = zones(100, false);
        assert_eq!(chosen(&on, &all, &[]), (Some(0), ZonePick::AllDirectly));
        assert_eq!(chosen(&on, &part, &[6665]), (Some(0), ZonePick::Sampled));
        let far = chosen(&on, &part, &[6666, 0]);
        assert_eq!(far, (Some(1), ZonePick::CrossZone));
        let full = ZoneShares::new(&[(5000, 3333), (5000, 3333)], true);
        let any = chosen(&on, &full, &[9999, 1]);
        assert_eq!(any, (Some(1), ZonePick::NoCapacityLeft));
        let some = zones(30, false);
        assert_eq!(chosen(&some, &all, &[30]), (None, ZonePick::None));
        assert_eq!(chosen(&some, &all, &[29]).0, Some(0));
        let panic = zones(100, true);
        assert_eq!(
            chosen(&panic, &all, &[]),
            (None, ZonePick::LocalClusterNotOk)
        );
    }
}
