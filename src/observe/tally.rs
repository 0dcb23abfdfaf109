//! Counting few distinct values without allocation once they were all seen.

/// Counts by value; a handful of values, found by looking through them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally<K> {
    counts: Vec<(K, u64)>,
}

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self { counts: Vec::new() }
    }
}

impl<K: Copy + Ord> Tally<K> {
    /// Counts one. What is counted first is what is counted most.
    #[expect(
        clippy::inline_always,
        reason = "four times per try; nearly always the first value"
    )]
    #[inline(always)]
    pub fn inc(&mut self, key: K) {
        match self.counts.first_mut() {
            Some((first, count)) if *first == key => *count += 1,
            _ => self.add(key, 1),
        }
    }

    /// Counts `n`.
    #[inline(never)]
    pub fn add(&mut self, key: K, n: u64) {
        match self.counts.iter_mut().find(|(k, _)| *k == key) {
            Some((_, count)) => *count += n,
            None => self.counts.push((key, n)),
        }
    }

    /// Values with their counts, in order of value.
    pub fn sorted(&self) -> Vec<(K, u64)> {
        let mut all = self.counts.clone();
        all.sort_unstable();
        all
    }

    /// Sum of all counts.
    pub fn total(&self) -> u64 {
        self.counts.iter().map(|(_, n)| n).sum()
    }

    /// True when nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Adds another's counts.
    pub fn merge(&mut self, other: &Self) {
        for (key, n) in &other.counts {
            self.add(*key, *n);
        }
    }

    /// Forgets all counts and keeps the memory.
    pub fn clear(&mut self) {
        self.counts.clear();
    }
}
