//! Slow start: a new host's weight grows over a window (Istio: `warmup`).
//!
//! Only for round robin and least request. A schedule that is built while any host is inside
//! its window is EDF even for equal weights, and stays so until it is built anew after the
//! window (`source/extensions/load_balancing_policies/common/load_balancer_impl.cc`,
//! EdfLoadBalancerBase). Hosts that were there before the run are not warming.

use super::host_set::HostSet;
use crate::units::SimTime;
use crate::xds::cluster::Warmup;

/// Share of its weight that a host of this age has.
pub(super) fn factor(warmup: &Warmup, age_ns: u64) -> f64 {
    let window = warmup.duration.ns();
    if age_ns >= window {
        return 1.0;
    }
    // Envoy counts at least a millisecond, so that the factor is never zero.
    let share = age_ns.max(1_000_000) as f64 / window as f64;
    let exponent = if warmup.aggression > 0.0 {
        1.0 / warmup.aggression
    } else {
        1.0
    };
    libm::pow(share, exponent)
        .max(warmup.minimum.as_f64())
        .min(1.0)
}

/// True while a host is inside its window.
pub(super) fn is_warming(set: &HostSet, host: u32, now: SimTime) -> bool {
    match (&set.warmup, set.hosts[host as usize].added_at) {
        (Some(warmup), Some(added)) => now.since(added) < warmup.duration,
        _ => false,
    }
}

/// Weight of a host, slow start included.
#[inline]
pub(super) fn weight(set: &HostSet, host: u32, now: SimTime) -> f64 {
    let entry = &set.hosts[host as usize];
    let weight = f64::from(entry.weight);
    match (&set.warmup, entry.added_at) {
        (Some(warmup), Some(added)) => weight * factor(warmup, now.since(added).ns()),
        _ => weight,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Fraction, SimDuration};

    fn check(aggression: f64, age_ms: u64, expected: f64) {
        let warmup = Warmup {
            duration: SimDuration::from_secs(4),
            minimum: Fraction::from_percent(10.0),
            aggression,
        };
        let got = factor(&warmup, age_ms * 1_000_000);
        assert!((got - expected).abs() < 1e-9, "{age_ms} ms: {got}");
    }

    #[test]
    fn the_factor_grows_from_its_minimum_to_one() {
        check(1.0, 0, 0.1);
        check(1.0, 400, 0.1);
        check(1.0, 1000, 0.25);
        check(1.0, 4000, 1.0);
        check(1.0, 9000, 1.0);
        check(2.0, 1000, 0.5);
    }
}
