//! Ring hash (`source/extensions/load_balancing_policies/ring_hash/ring_hash_lb.cc`).

use crate::units::hash::xxhash64;

/// Envoy's `maximum_ring_size`.
pub const MAX_RING_SIZE: u64 = 8_388_608;

/// A ring of hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ring {
    /// (hash, host), ordered by hash.
    entries: Vec<(u64, u32)>,
}

impl Ring {
    /// Builds a ring from (host, key, normalised weight), weights summing to one.
    pub fn new(hosts: &[(u32, &str, f64)], minimum_size: u64) -> Self {
        let lightest = hosts.iter().map(|h| h.2).fold(f64::INFINITY, f64::min);
        if hosts.is_empty() || lightest <= 0.0 {
            return Self::default();
        }
        // The lightest host gets a whole number of entries.
        let scale = (lightest * minimum_size as f64).ceil() / lightest;
        let scale = scale.min(MAX_RING_SIZE as f64);
        let mut entries = Vec::with_capacity(scale.ceil() as usize);
        let (mut current, mut target) = (0.0, 0.0);
        let mut text = String::new();
        for (host, key, weight) in hosts {
            target += scale * weight;
            let mut index = 0_u64;
            while current < target {
                text.clear();
                text.push_str(key);
                text.push('_');
                push_decimal(&mut text, index);
                entries.push((xxhash64(text.as_bytes()), *host));
                index += 1;
                current += 1.0;
            }
        }
        entries.sort_unstable();
        Self { entries }
    }

    /// The first entry not below `hash`, moved on by the number of re-picks.
    pub fn lookup(&self, hash: u64, attempt: u32) -> Option<u32> {
        if self.entries.is_empty() {
            return None;
        }
        let at = self.entries.partition_point(|(h, _)| *h < hash);
        let at = if at == self.entries.len() { 0 } else { at };
        let at = (at + attempt as usize) % self.entries.len();
        Some(self.entries[at].1)
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True without any entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// (hash, host) in ring order.
    pub fn entries(&self) -> &[(u64, u32)] {
        &self.entries
    }
}

fn push_decimal(text: &mut String, number: u64) {
    if number >= 10 {
        push_decimal(text, number / 10);
    }
    text.push(char::from(b'0' + (number % 10) as u8));
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 3] = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"];

    fn ring(weights: &[f64]) -> Ring {
        let sum: f64 = weights.iter().sum();
        let hosts: Vec<_> = weights
            .iter()
            .enumerate()
            .map(|(i, w)| (i as u32, KEYS[i], w / sum))
            .collect();
        Ring::new(&hosts, 1024)
    }

    fn shares(ring: &Ring) -> Vec<usize> {
        let count = |host| ring.entries.iter().filter(|e| e.1 == host).count();
        (0..3).map(count).collect()
    }

    #[test]
    fn three_equal_hosts_have_342_entries_each() {
        let ring = ring(&[1.0, 1.0, 1.0]);
        assert_eq!((ring.len(), shares(&ring)), (1026, vec![342, 342, 342]));
    }

    #[test]
    fn weights_share_the_ring() {
        // The lightest host has 1/4: ceil(256) entries and 1024 in all.
        let ring = ring(&[1.0, 1.0, 2.0]);
        assert_eq!(shares(&ring), [256, 256, 512]);
    }

    #[test]
    fn a_key_finds_the_next_entry_and_the_end_wraps() {
        let ring = ring(&[1.0, 1.0, 1.0]);
        let (first, last) = (ring.entries[0], ring.entries[ring.len() - 1]);
        assert_eq!(ring.lookup(first.0, 0), Some(first.1));
        assert_eq!(ring.lookup(last.0 + 1, 0), Some(first.1));
        assert_eq!(ring.lookup(0, 3), Some(ring.entries[3].1));
        assert_eq!(first.1, ring.lookup(last.0, 1).unwrap());
        assert_eq!(Ring::default().lookup(1, 0), None);
    }

    #[test]
    fn entries_are_hashes_of_key_and_number() {
        let ring = ring(&[1.0, 1.0, 1.0]);
        let wanted = (xxhash64(b"10.0.0.2:80_341"), 1);
        assert!(ring.entries.contains(&wanted));
    }

    #[test]
    fn envoys_own_ring_of_twelve_is_reproduced() {
        // The ring which Envoy's unit test for six hosts and a minimum of 12 documents.
        let keys: Vec<String> = (90..96).map(|port| format!("127.0.0.1:{port}")).collect();
        let hosts = (90..).zip(&keys).map(|(p, key)| (p, &**key, 1.0 / 6.0));
        let ring = Ring::new(&hosts.collect::<Vec<_>>(), 12);
        let expected = [
            (833_437_586_790_550_860, 94),
            (928_266_305_478_181_108, 92),
            (1_033_482_794_131_418_490, 90),
            (3_551_244_743_356_806_947, 95),
            (3_851_675_632_748_031_481, 93),
            (5_583_722_120_771_150_861, 91),
            (6_311_230_543_546_372_928, 91),
            (7_700_377_290_971_790_572, 93),
            (13_144_177_310_400_110_813, 95),
            (13_444_792_449_719_432_967, 92),
            (15_516_499_411_664_133_160, 94),
            (16_117_243_373_044_804_889, 90),
        ];
        assert_eq!(ring.entries(), expected);
    }
}
