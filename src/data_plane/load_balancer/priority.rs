//! Priorities: how traffic is shared between levels, and when a level panics.
//!
//! Envoy's integer arithmetic throughout (`source/extensions/load_balancing_policies/common/
//! load_balancer_impl.cc`): nothing moves to the next level before 1 − 1/1.4 = 28.6 % of a
//! level are out, and then gradually.

/// `overprovisioning_factor`, which Istio leaves alone.
pub const OVERPROVISIONING: u64 = 140;

/// What one priority has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LevelCounts {
    /// Hosts.
    pub hosts: u32,
    /// Hosts left out of denominators (draining).
    pub excluded: u32,
    /// Healthy hosts.
    pub healthy: u32,
}

/// Shares and panic of every priority.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loads {
    /// Overprovisioned health, 0 to 100.
    pub health: Vec<u32>,
    /// Share of the traffic, sums to 100.
    pub load: Vec<u32>,
    /// All hosts of the level are used.
    pub panic: Vec<bool>,
}

/// min(100, 140 × healthy / hosts).
pub fn health(counts: LevelCounts) -> u32 {
    let hosts = u64::from(counts.hosts - counts.excluded.min(counts.hosts));
    let share = (OVERPROVISIONING * u64::from(counts.healthy)).checked_div(hosts);
    share.unwrap_or(0).min(100) as u32
}

impl Loads {
    /// Computes shares and panic; `threshold` is in whole percent.
    pub fn new(levels: &[LevelCounts], threshold: u32) -> Self {
        let health: Vec<u32> = levels.iter().copied().map(health).collect();
        let norm = health.iter().sum::<u32>().min(100);
        let mut loads = Self {
            load: vec![0; levels.len()],
            panic: vec![false; levels.len()],
            health,
        };
        if levels.is_empty() {
            return loads;
        }
        distribute(&loads.health, 0, |priority, load| {
            loads.load[priority] = load;
        });
        if threshold == 0 && norm == 0 {
            // Nobody is there and nobody panics: the sum must be 100 all the same.
            loads.load[0] = 100;
            return loads;
        }
        if norm < 100 {
            for (panic, level) in loads.panic.iter_mut().zip(levels) {
                *panic = percent_healthy(*level) < f64::from(threshold);
            }
            if loads.panic.iter().all(|panic| *panic) {
                loads.load = total_panic(levels);
            }
        }
        loads
    }
}

fn percent_healthy(level: LevelCounts) -> f64 {
    let hosts = level.hosts - level.excluded.min(level.hosts);
    if hosts == 0 {
        return 0.0;
    }
    100.0 * f64::from(level.healthy) / f64::from(hosts)
}

/// Every level panics: shares follow the number of hosts.
fn total_panic(levels: &[LevelCounts]) -> Vec<u32> {
    let all: u64 = levels.iter().map(|l| u64::from(l.hosts)).sum();
    let share = |l: &LevelCounts| (100 * u64::from(l.hosts)).checked_div(all).unwrap_or(0) as u32;
    let mut load: Vec<u32> = levels.iter().map(share).collect();
    let rest = 100 - load.iter().sum::<u32>();
    let first = levels.iter().position(|l| l.hosts > 0).unwrap_or(0);
    load[first] += rest;
    load
}

/// Shares 100 out by health, excluded levels (bits) counting as dead; false if all are dead.
fn distribute(health: &[u32], excluded: u64, mut set: impl FnMut(usize, u32)) -> bool {
    let of = |p: usize| {
        let out = p < 64 && excluded & (1 << p) != 0;
        if out { 0 } else { health[p] }
    };
    let norm = (0..health.len()).map(of).sum::<u32>().min(100);
    let Some(first) = (0..health.len()).find(|p| of(*p) > 0) else {
        return false;
    };
    let share = |p: usize, rest: u32| rest.min(of(p) * 100 / norm);
    let rounding = (0..health.len()).fold(100, |rest, p| rest - share(p, rest));
    let mut rest = 100;
    for p in 0..health.len() {
        let load = share(p, rest);
        rest -= load;
        set(p, load + if p == first { rounding } else { 0 });
    }
    true
}

/// The first level whose cumulated share reaches `hash % 100 + 1`.
#[inline]
pub fn choose_priority(load: &[u32], hash: u64) -> u32 {
    if load.len() <= 1 {
        return 0;
    }
    let x = (hash % 100) as u32 + 1;
    let mut sum = 0;
    for (priority, load) in load.iter().enumerate() {
        sum += load;
        if sum >= x {
            return priority as u32;
        }
    }
    0
}

/// As [`choose_priority`] under `previous_priorities`: after every `frequency` attempted
/// hosts the levels of all hosts attempted so far are left out; when nothing is left, the
/// exclusions are forgotten. `tried` gives the level of each attempted host, in order.
pub fn choose_excluding(
    loads: &Loads,
    hash: u64,
    frequency: u32,
    tried: impl Iterator<Item = u32>,
) -> u32 {
    let mut excluded = 0_u64;
    let mut pending = 0_u64;
    let mut attempts = 0;
    for level in tried {
        pending |= 1_u64.checked_shl(level).unwrap_or(0);
        attempts += 1;
        if attempts % frequency.max(1) == 0 {
            excluded |= pending;
            if !distribute(&loads.health, excluded, |_, _| {}) {
                (excluded, pending, attempts) = (0, 0, 0);
            }
        }
    }
    if excluded == 0 {
        return choose_priority(&loads.load, hash);
    }
    let x = (hash % 100) as u32 + 1;
    let (mut sum, mut chosen) = (0, None);
    distribute(&loads.health, excluded, |priority, load| {
        sum += load;
        if sum >= x && chosen.is_none() {
            chosen = Some(priority as u32);
        }
    });
    chosen.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percent(healthy: &[u32]) -> Vec<LevelCounts> {
        let level = |healthy: &u32| LevelCounts {
            hosts: 100,
            excluded: 0,
            healthy: *healthy,
        };
        healthy.iter().map(level).collect()
    }

    fn check(healthy: &[u32], loads: &[u32]) {
        assert_eq!(Loads::new(&percent(healthy), 0).load, loads, "{healthy:?}");
    }

    #[test]
    fn the_documented_table_of_loads_is_reproduced() {
        for (healthy, first) in [(100, 100), (72, 100), (71, 99), (50, 70), (25, 35), (0, 0)] {
            check(&[healthy, 100], &[first, 100 - first]);
        }
        check(&[72, 72], &[100, 0]);
        check(&[71, 71], &[99, 1]);
        check(&[50, 50], &[70, 30]);
        check(&[25, 100], &[35, 65]);
        check(&[25, 25], &[50, 50]);
        check(&[25, 25, 100], &[35, 35, 30]);
        // The page says 36/36/28; the code gives the remainder to the first level.
        check(&[25, 25, 20], &[37, 35, 28]);
        check(&[0, 0], &[100, 0]);
    }

    fn panics(hosts: &[(u32, u32)], threshold: u32, load: &[u32], panic: &[bool]) {
        let level = |(healthy, hosts): &(u32, u32)| LevelCounts {
            hosts: *hosts,
            excluded: 0,
            healthy: *healthy,
        };
        let levels: Vec<_> = hosts.iter().map(level).collect();
        let loads = Loads::new(&levels, threshold);
        assert_eq!((&*loads.load, &*loads.panic), (load, panic), "{hosts:?}");
    }

    #[test]
    fn panic_follows_the_measured_table() {
        panics(&[(3, 4), (4, 4)], 50, &[100, 0], &[false, false]);
        panics(&[(2, 4), (4, 4)], 50, &[70, 30], &[false, false]);
        panics(&[(1, 4), (4, 4)], 50, &[35, 65], &[false, false]);
        panics(&[(1, 4), (1, 4)], 50, &[50, 50], &[true, true]);
        panics(&[(1, 4), (1, 4)], 0, &[50, 50], &[false, false]);
        panics(&[(1, 4)], 50, &[100], &[true]);
        panics(&[(2, 4)], 50, &[100], &[false]);
        panics(&[(0, 4)], 0, &[100], &[false]);
        panics(&[(0, 4), (0, 8)], 50, &[34, 66], &[true, true]);
    }

    #[test]
    fn excluded_hosts_are_in_no_denominator() {
        let level = LevelCounts {
            hosts: 4,
            excluded: 2,
            healthy: 2,
        };
        assert_eq!(health(level), 100);
        let none = LevelCounts {
            hosts: 2,
            excluded: 2,
            healthy: 0,
        };
        assert_eq!(health(none), 0);
    }

    #[test]
    fn a_level_is_chosen_by_cumulated_loads() {
        let load = [35, 65];
        assert_eq!(
            (choose_priority(&load, 34), choose_priority(&load, 35)),
            (0, 1)
        );
        assert_eq!(choose_priority(&load, 134), 0);
    }

    #[test]
    fn previous_priorities_leaves_out_attempted_levels_until_none_is_left() {
        let loads = Loads::new(&percent(&[100, 100]), 0);
        let choose = |tried: &[u32]| choose_excluding(&loads, 0, 2, tried.iter().copied());
        assert_eq!(choose(&[]), 0);
        assert_eq!(choose(&[0]), 0, "one attempt is below the frequency");
        assert_eq!(choose(&[0, 0]), 1);
        assert_eq!(choose(&[0, 0, 1]), 1, "kept until the next update");
        assert_eq!(choose(&[0, 0, 1, 1]), 0, "nothing left: forgotten");
        assert_eq!(choose(&[0, 0, 1, 1, 0, 0]), 1);
    }

    #[test]
    fn loads_always_sum_to_one_hundred() {
        for all in 0..11_u32.pow(3) {
            let healthy = [all % 11 * 10, all / 11 % 11 * 10, all / 121 * 10];
            for threshold in [0, 50] {
                let loads = Loads::new(&percent(&healthy), threshold);
                assert_eq!(loads.load.iter().sum::<u32>(), 100, "{healthy:?}");
            }
        }
    }
}
