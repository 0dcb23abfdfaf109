//! Consistent hashing with bounded loads (`hash_balance_factor`): no host gets more than a
//! percentage of the average load (`thread_aware_lb_impl.cc`, BoundedLoadHashingLoadBalancer).
//!
//! A host that is overloaded gives its requests to others in an order that only depends on the
//! request's hash, so that equal requests spill to the same hosts.

use super::mt19937::Mt19937;

/// The host itself unless it is overloaded; else the first in the hash's order that is not, or
/// the least overloaded of all. `shares` are the hosts of the table with their shares.
pub(super) fn choose(
    shares: &[(u32, f64)],
    host: u32,
    hash: u64,
    factor: u32,
    active: &impl Fn(u32) -> u32,
) -> u32 {
    let all: u32 = shares.iter().map(|(host, _)| active(*host)).sum();
    // Thirty-two bits, as in Envoy.
    let slots = (all + 1).wrapping_mul(factor).wrapping_add(99) / 100;
    let overload = |host: u32, share: f64| {
        let own = (f64::from(slots) * share).ceil().max(1.0);
        f64::from(active(host)) / own
    };
    let share = shares.iter().find(|(h, _)| *h == host).map_or(0.0, |s| s.1);
    let mut least = (overload(host, share), host);
    if least.0 <= 1.0 {
        return host;
    }
    let mut order: Vec<usize> = (0..shares.len()).collect();
    let mut random = Mt19937::new(hash as u32);
    for at in 0..order.len() {
        let rest = (order.len() - at) as u32;
        order.swap(at, at + random.below(rest) as usize);
        let (other, share) = shares[order[at]];
        if other == host {
            continue;
        }
        let theirs = overload(other, share);
        if theirs <= 1.0 {
            return other;
        }
        if theirs < least.0 {
            least = (theirs, other);
        }
    }
    least.1
}

#[cfg(test)]
mod tests {
    use super::super::ring_hash::Ring;
    use super::*;
    use crate::units::hash::xxhash64;

    /// What Envoy 1.40 did with sixty requests that stayed open, six hosts and a factor of 110:
    /// the number in each key, and the host that got it.
    const KEYS: [u64; 60] = [
        0, 0, 44, 2, 0, 29, 2, 0, 0, 30, 1, 0, 0, 2, 1, 0, 1, 10, 0, 1, 0, 0, 0, 0, 10, 0, 0, 2, 0,
        2, 1, 0, 1, 0, 0, 0, 1, 1, 2, 0, 0, 1, 0, 1, 2, 0, 0, 0, 0, 35, 0, 1, 1, 2, 1, 0, 0, 0, 0,
        0,
    ];
    const HOSTS: &str = "331152135543144541345315240134504315221354041350043521431500";

    #[test]
    fn envoys_own_choices_are_reproduced() {
        let keys: Vec<String> = (1..=6).map(|i| format!("127.9.1.{i}:28080")).collect();
        let hosts: Vec<_> = (0..)
            .zip(&keys)
            .map(|(i, key)| (i, &**key, 1.0 / 6.0))
            .collect();
        let shares: Vec<_> = hosts
            .iter()
            .map(|(host, _, share)| (*host, *share))
            .collect();
        let ring = Ring::new(&hosts, 1024);
        let mut active = [0; 6];
        let mut seen = String::new();
        for key in KEYS {
            let hash = xxhash64(format!("k{key}").as_bytes());
            let first = ring.lookup(hash, 0).unwrap();
            let host = choose(&shares, first, hash, 110, &|host| active[host as usize]);
            active[host as usize] += 1;
            seen.push(char::from(b'0' + host as u8));
        }
        assert_eq!(seen, HOSTS);
    }

    const SHARES: [(u32, f64); 4] = [(0, 0.25), (1, 0.25), (2, 0.25), (3, 0.25)];

    fn check(active: [u32; 4], hash: u64, expected: u32) {
        let active = |host: u32| active[host as usize];
        assert_eq!(choose(&SHARES, 1, hash, 100, &active), expected);
    }

    #[test]
    fn a_host_keeps_its_requests_up_to_one_more_than_its_slots() {
        check([0, 0, 0, 0], 7, 1);
        // Eight active: nine slots, three each, and three is not over three.
        check([2, 3, 2, 1], 7, 1);
    }

    #[test]
    fn an_overloaded_host_gives_to_the_same_other_every_time() {
        let other = choose(&SHARES, 1, 7, 100, &|host| u32::from(host == 1) * 9);
        assert_ne!(other, 1);
        for _ in 0..3 {
            check([0, 9, 0, 0], 7, other);
        }
        let others: Vec<u32> = (0..32)
            .map(|hash| choose(&SHARES, 1, hash, 100, &|host| u32::from(host == 1) * 9))
            .collect();
        assert!([0, 2, 3].iter().all(|host| others.contains(host)));
    }

    #[test]
    fn the_least_overloaded_takes_it_when_nobody_has_room() {
        // A share of next to nothing has one slot; the others are over theirs.
        let shares = [(0, 0.001), (1, 0.001), (2, 0.001)];
        let active = |host: u32| [4, 5, 3][host as usize];
        assert_eq!(choose(&shares, 1, 7, 100, &active), 2);
    }
}
