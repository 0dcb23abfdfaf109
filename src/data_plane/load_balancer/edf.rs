//! Earliest deadline first: the schedule behind every unequal weight
//! (`source/common/upstream/edf_scheduler.h`).
//!
//! An entry of weight w is due every 1/w; ties leave in the order in which they were put in.
//! Envoy adds 1/w up in doubles, whose rounding sooner or later breaks ties at random. Here a
//! deadline is one division, count / w, as long as the weight stays, so equal deadlines stay
//! equal and the order repeats for ever. Only IEEE additions and divisions are used.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

/// Envoy bounds the number of skipped picks by 2^32 / 10.
const PICKS_MOD: u64 = 429_496_729;

/// A schedule of hosts or localities.
#[derive(Clone, Debug, Default)]
pub struct Edf {
    heap: BinaryHeap<Entry>,
    now: f64,
    order: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    deadline: f64,
    order: u64,
    item: u32,
    /// The weight, since when it is this one, and how many times it was due since.
    weight: f64,
    since: f64,
    count: u64,
}

impl Ord for Entry {
    /// Reversed: the heap's greatest is the earliest.
    fn cmp(&self, other: &Self) -> Ordering {
        let later = other.deadline.total_cmp(&self.deadline);
        later.then(other.order.cmp(&self.order))
    }
}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Entry {}

impl Edf {
    /// A schedule that looks as if `seed` picks (its low 32 bits, bounded) had been made: the
    /// start is random, everything after it is not. Items of weight zero are left out.
    pub fn with_picks(items: &[u32], weight: impl Fn(u32) -> f64, seed: u64) -> Self {
        let picks = u64::from(seed as u32) % PICKS_MOD;
        let total: f64 = items.iter().map(|item| weight(*item)).sum();
        let mut schedule = Self::default();
        let mut made = 0;
        for item in items {
            let weight = weight(*item);
            if weight <= 0.0 {
                continue;
            }
            // Whole rounds are computed; what is left over is picked.
            let floor = (picks as f64 * weight / total) as u64;
            made += floor;
            schedule.push(*item, weight, floor + 1);
        }
        while made < picks && schedule.pick(&weight).is_some() {
            made += 1;
        }
        schedule
    }

    /// Takes the item that is due and schedules it again by its weight now.
    pub fn pick(&mut self, weight: impl Fn(u32) -> f64) -> Option<u32> {
        let mut first = self.heap.peek_mut()?;
        self.now = first.deadline;
        let weight = weight(first.item);
        if weight <= 0.0 {
            let item = PeekMut::pop(first).item;
            return Some(item);
        }
        let item = first.item;
        if weight.to_bits() == first.weight.to_bits() {
            first.count += 1;
        } else {
            (first.weight, first.since, first.count) = (weight, self.now, 1);
        }
        first.deadline = first.since + first.count as f64 / weight;
        first.order = self.order;
        self.order += 1;
        Some(item)
    }

    /// True when nothing is scheduled.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    fn push(&mut self, item: u32, weight: f64, count: u64) {
        self.heap.push(Entry {
            deadline: count as f64 / weight,
            order: self.order,
            item,
            weight,
            since: 0.0,
            count,
        });
        self.order += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(weights: &[u32], seed: u64, expected: &str) {
        let items: Vec<u32> = (0..weights.len() as u32).collect();
        let weight = |item: u32| f64::from(weights[item as usize]);
        let mut schedule = Edf::with_picks(&items, weight, seed);
        let picked: Vec<String> = (0..expected.split(' ').count())
            .map(|_| (schedule.pick(weight).unwrap() + 1).to_string())
            .collect();
        assert_eq!(picked.join(" "), expected, "seed {seed}");
    }

    #[test]
    fn weights_one_two_three_repeat_the_measured_order() {
        // Envoy 1.40 showed `3 1 2 3 3 2` for ever: this order, entered two picks late.
        check(&[1, 2, 3], 0, "3 2 3 1 2 3 3 2 3 1 2 3");
        check(&[1, 2, 3], 2, "3 1 2 3 3 2 3 1 2 3 3 2");
        check(&[5, 1, 1], 4, "2 3 1 1 1 1 1 2 3 1 1 1 1 1");
    }

    #[test]
    fn skipping_whole_rounds_equals_picking_them() {
        let weights = [3_u32, 5, 7];
        let weight = |item: u32| f64::from(weights[item as usize]);
        for seed in [1_u64, 14, 15, 16, 1_000_003] {
            let mut jumped = Edf::with_picks(&[0, 1, 2], weight, seed);
            let mut counts = [0_u32; 3];
            for _ in 0..15 {
                counts[jumped.pick(weight).unwrap() as usize] += 1;
            }
            assert_eq!(counts, weights, "one period after {seed} picks");
        }
    }

    #[test]
    fn an_item_without_weight_is_never_due() {
        let weight = |item: u32| f64::from(item);
        let mut schedule = Edf::with_picks(&[0, 1], weight, 9);
        assert!((0..10).all(|_| schedule.pick(weight) == Some(1)));
        assert!(Edf::with_picks(&[], weight, 9).is_empty());
    }
}
