//! Locality weights: shares between the localities of one priority.
//!
//! With `locality_weighted_lb_config` the effective weight of a locality is its weight times
//! min(1, 1.4 × healthy / hosts), and localities are scheduled by EDF
//! (`source/common/upstream/upstream_impl.cc`, rebuildLocalityScheduler).

use super::host_set::{HostSet, LbPriority};
use super::priority::OVERPROVISIONING;

/// Effective weights of the localities of a priority; empty when the flat list is used:
/// weights are not in force, no locality has one, or all effective weights are zero.
pub(super) fn effective_weights(
    set: &HostSet,
    priority: &LbPriority,
    healthy: &impl Fn(u32) -> bool,
) -> Vec<f64> {
    if !set.locality_weighted {
        return Vec::new();
    }
    let weights = priority.localities.iter().map(|index| {
        let locality = &set.localities[*index as usize];
        let count =
            |test: &dyn Fn(u32) -> bool| locality.hosts.iter().filter(|host| test(**host)).count();
        let hosts = count(&|host| !set.hosts[host as usize].excluded);
        let eligible = count(&|host| healthy(host));
        if hosts == 0 {
            return 0.0;
        }
        let available = eligible as f64 / hosts as f64 * (OVERPROVISIONING as f64 / 100.0);
        f64::from(locality.weight.unwrap_or(0)) * available.min(1.0)
    });
    let weights: Vec<f64> = weights.collect();
    if weights.iter().all(|weight| *weight <= 0.0) {
        return Vec::new();
    }
    weights
}

/// (host, share) for rings and tables: a host's share of its locality times the locality's
/// plain share, without the correction for availability.
pub(super) fn normalised_weights(
    set: &HostSet,
    priority: &LbPriority,
    usable: &impl Fn(u32) -> bool,
) -> Vec<(u32, f64)> {
    let weighted = set.locality_weighted
        && (priority.localities.iter())
            .any(|index| set.localities[*index as usize].weight.unwrap_or(0) > 0);
    let mut shares = Vec::with_capacity(priority.hosts.len());
    if !weighted {
        let hosts = priority.hosts.iter().copied().filter(|host| usable(*host));
        share_out(set, &hosts.collect::<Vec<_>>(), 1.0, &mut shares);
        return shares;
    }
    let localities = priority.localities.iter().map(|index| {
        let locality = &set.localities[*index as usize];
        let hosts = locality.hosts.iter().copied().filter(|host| usable(*host));
        (locality.weight.unwrap_or(0), hosts.collect::<Vec<u32>>())
    });
    let localities: Vec<_> = localities.filter(|(_, hosts)| !hosts.is_empty()).collect();
    let sum: u64 = localities
        .iter()
        .map(|(weight, _)| u64::from(*weight))
        .sum();
    for (weight, hosts) in &localities {
        if *weight > 0 {
            share_out(set, hosts, f64::from(*weight) / sum as f64, &mut shares);
        }
    }
    shares
}

fn share_out(set: &HostSet, hosts: &[u32], share: f64, shares: &mut Vec<(u32, f64)>) {
    let sum: f64 = hosts
        .iter()
        .map(|host| f64::from(set.hosts[*host as usize].weight))
        .sum();
    let each = hosts.iter().map(|host| {
        (
            *host,
            f64::from(set.hosts[*host as usize].weight) * share / sum,
        )
    });
    shares.extend(each);
}
