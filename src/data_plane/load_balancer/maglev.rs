//! Maglev (`source/extensions/load_balancing_policies/maglev/maglev_lb.cc`).

use crate::units::hash::{xxhash64, xxhash64_seeded};

/// A Maglev table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MaglevTable {
    hosts: Vec<u32>,
}

struct Turn {
    host: u32,
    weight: f64,
    offset: u64,
    skip: u64,
    next: u64,
    target: f64,
}

impl MaglevTable {
    /// Builds a table from (host, key, normalised weight); `size` is a prime.
    pub fn new(hosts: &[(u32, &str, f64)], size: u64) -> Self {
        if hosts.is_empty() || size < 2 {
            return Self::default();
        }
        // Bytewise by key, so the configured order does not matter; `:` sorts after digits.
        let mut sorted = hosts.to_vec();
        sorted.sort_by(|a, b| a.1.as_bytes().cmp(b.1.as_bytes()));
        let turn = |(host, key, weight): &(u32, &str, f64)| Turn {
            host: *host,
            weight: *weight,
            offset: xxhash64(key.as_bytes()) % size,
            skip: xxhash64_seeded(key.as_bytes(), 1) % (size - 1) + 1,
            next: 0,
            target: 0.0,
        };
        let mut turns: Vec<Turn> = sorted.iter().map(turn).collect();
        let heaviest = turns.iter().map(|t| t.weight).fold(0.0, f64::max);
        if heaviest <= 0.0 {
            return Self::default();
        }
        Self {
            hosts: fill(&mut turns, heaviest, size),
        }
    }

    /// The host of `hash`; re-picks take the hash XOR 2^64 − attempt.
    pub fn lookup(&self, hash: u64, attempt: u32) -> Option<u32> {
        let hash = hash ^ u64::from(attempt).wrapping_neg();
        let at = hash.checked_rem(self.hosts.len() as u64)?;
        Some(self.hosts[at as usize])
    }

    /// The table's hosts, slot by slot.
    pub fn slots(&self) -> &[u32] {
        &self.hosts
    }
}

fn fill(turns: &mut [Turn], heaviest: f64, size: u64) -> Vec<u32> {
    let mut table = vec![u32::MAX; size as usize];
    let mut filled = 0;
    let mut round = 1.0;
    while filled < size {
        for turn in &mut *turns {
            if filled == size {
                break;
            }
            // Lighter hosts skip rounds.
            if round * turn.weight < turn.target {
                continue;
            }
            turn.target += heaviest;
            let mut at = (turn.offset + turn.skip * turn.next) % size;
            while table[at as usize] != u32::MAX {
                turn.next += 1;
                at = (turn.offset + turn.skip * turn.next) % size;
            }
            table[at as usize] = turn.host;
            turn.next += 1;
            filled += 1;
        }
        round += 1.0;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(keys: &[(u32, &str)], weights: &[f64], size: u64) -> MaglevTable {
        let sum: f64 = weights.iter().sum();
        let hosts: Vec<_> = keys
            .iter()
            .zip(weights)
            .map(|((host, key), weight)| (*host, *key, weight / sum))
            .collect();
        MaglevTable::new(&hosts, size)
    }

    #[test]
    fn the_configured_order_does_not_matter() {
        // 10.0.0.21:80 comes before 10.0.0.2:80 bytewise.
        let there = [(0, "10.0.0.2:80"), (1, "10.0.0.21:80"), (2, "10.0.0.3:80")];
        let back = [there[2], there[0], there[1]];
        let weights = [1.0; 3];
        let first = table(&there, &weights, 65_537);
        assert_eq!(first, table(&back, &weights, 65_537));
        let size = 65_537;
        // The first host by bytes has the first free slot of its own sequence.
        let offset = xxhash64(b"10.0.0.21:80") % size;
        assert_eq!(first.slots()[offset as usize], 1);
    }

    #[test]
    fn shares_follow_the_weights() {
        let keys = [(0, "a:1"), (1, "b:1"), (2, "c:1")];
        let table = table(&keys, &[1.0, 1.0, 2.0], 65_537);
        let count = |host| table.slots().iter().filter(|h| **h == host).count();
        assert_eq!(count(0) + count(1) + count(2), 65_537);
        assert!((16_380..=16_390).contains(&count(0)), "{}", count(0));
        assert!((32_764..=32_772).contains(&count(2)), "{}", count(2));
    }

    #[test]
    fn a_retry_looks_elsewhere() {
        let table = table(&[(0, "a:1"), (1, "b:1")], &[1.0, 1.0], 11);
        let hash = 12_345;
        let expected = table.slots()[((hash ^ (u64::MAX - 2 + 1)) % 11) as usize];
        assert_eq!(table.lookup(hash, 2), Some(expected));
        assert_eq!(
            table.lookup(hash, 0),
            Some(table.slots()[(hash % 11) as usize])
        );
        assert_eq!(MaglevTable::default().lookup(1, 0), None);
    }

    #[test]
    fn envoys_own_table_of_seven_is_reproduced() {
        // The table which Envoy's unit test for six hosts and seven slots documents.
        let keys: Vec<String> = (90..96).map(|port| format!("127.0.0.1:{port}")).collect();
        let named: Vec<_> = (90..).zip(keys.iter().map(|key| &**key)).collect();
        let table = table(&named, &[1.0; 6], 7);
        assert_eq!(table.slots(), [92, 94, 90, 91, 95, 90, 93]);
    }
}
