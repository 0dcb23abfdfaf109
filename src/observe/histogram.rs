//! A latency histogram: log-linear buckets, exact count, sum, least and greatest.
//!
//! Every doubling is cut into 64 equal buckets, so a bucket is at most 1.6 % of its values wide;
//! below 128 ns values are exact. Buckets exist only between the least and the greatest doubling
//! seen, and none before the first record: an edge that is never used costs nothing. All state is
//! whole numbers, so merging in any order gives the same histogram.

use std::fmt;

use crate::units::SimDuration;

/// Buckets per doubling.
const PER_OCTAVE: usize = 64;
/// log2 of it.
const OCTAVE_BITS: u32 = PER_OCTAVE.trailing_zeros();

/// How often which length of time was seen.
#[derive(Clone, Default)]
pub struct Histogram {
    /// Counts of the buckets from number `first` on; a whole number of octaves.
    counts: Vec<u64>,
    first: usize,
    count: u64,
    min: u64,
    max: u64,
    sum: u128,
    sum_of_squares: u128,
}

impl Histogram {
    /// An empty histogram, without buckets.
    pub const fn new() -> Self {
        Self {
            counts: Vec::new(),
            first: 0,
            count: 0,
            min: 0,
            max: 0,
            sum: 0,
            sum_of_squares: 0,
        }
    }

    /// Adds one value.
    #[expect(
        clippy::inline_always,
        reason = "twice per try; as a call it costs a third more"
    )]
    #[inline(always)]
    pub fn record(&mut self, value: SimDuration) {
        let ns = value.ns();
        let bucket = bucket_of(ns);
        // A bucket below the first wraps round to a place that does not exist either.
        if let Some(count) = self.counts.get_mut(bucket.wrapping_sub(self.first)) {
            *count += 1;
        } else {
            self.record_first_in(bucket);
        }
        if ns < self.min || self.count == 0 {
            self.min = ns;
        }
        self.max = self.max.max(ns);
        self.count += 1;
        self.sum += u128::from(ns);
        let square = u128::from(ns) * u128::from(ns);
        self.sum_of_squares = self.sum_of_squares.saturating_add(square);
    }

    /// Counts a value in a bucket for which there is no room yet.
    #[cold]
    fn record_first_in(&mut self, bucket: usize) {
        self.cover(bucket, bucket);
        self.counts[bucket - self.first] += 1;
    }

    /// Adds zero so many times.
    pub fn record_zeros(&mut self, times: u64) {
        if times > 0 {
            self.record(SimDuration::ZERO);
            self.counts[0] += times - 1;
            self.count += times - 1;
        }
    }

    /// Adds everything another histogram has seen.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        self.cover(bucket_of(other.min), bucket_of(other.max));
        for (bucket, count) in other.filled() {
            self.counts[bucket - self.first] += count;
        }
        self.min = if self.count == 0 {
            other.min
        } else {
            self.min.min(other.min)
        };
        self.max = self.max.max(other.max);
        self.count += other.count;
        self.sum += other.sum;
        self.sum_of_squares = self.sum_of_squares.saturating_add(other.sum_of_squares);
    }

    /// Forgets everything but keeps the buckets, for the next window.
    pub fn clear(&mut self) {
        self.counts.fill(0);
        *self = Self {
            counts: std::mem::take(&mut self.counts),
            first: self.first,
            ..Self::new()
        };
    }

    /// Number of values.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// True before the first value.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Least value, exactly; zero when empty.
    pub const fn min(&self) -> SimDuration {
        SimDuration::from_ns(self.min)
    }

    /// Greatest value, exactly; zero when empty.
    pub const fn max(&self) -> SimDuration {
        SimDuration::from_ns(self.max)
    }

    /// Sum of all values in nanoseconds, exactly.
    pub const fn sum_ns(&self) -> u128 {
        self.sum
    }

    /// Mean, rounded down to a nanosecond; zero when empty.
    pub fn mean(&self) -> SimDuration {
        SimDuration::from_ns((self.sum / u128::from(self.count.max(1))) as u64)
    }

    /// Standard deviation of the values seen; zero when empty.
    pub fn std_dev(&self) -> SimDuration {
        if self.count == 0 {
            return SimDuration::ZERO;
        }
        let count = u128::from(self.count);
        let mean = self.sum / count;
        // The mean's whole part is taken off in integers, so that nothing cancels in floats.
        let spread = self
            .sum_of_squares
            .saturating_sub(count.saturating_mul(mean * mean)) as f64;
        let rest = (self.sum - count * mean) as f64 / self.count as f64;
        let variance = spread / self.count as f64 - rest * (2.0 * mean as f64 + rest);
        SimDuration::from_ns((variance.max(0.0).sqrt() + 0.5) as u64)
    }

    /// The value that a share `q` of all values does not exceed: linear within a bucket, exact at
    /// 0 and 1, zero when empty.
    pub fn quantile(&self, q: f64) -> SimDuration {
        let rank = q.clamp(0.0, 1.0) * self.count as f64;
        let mut below = 0;
        for (bucket, count) in self.filled() {
            if (below + count) as f64 >= rank {
                let share = (rank - below as f64) / count as f64;
                let (least, greatest) = bounds_of(bucket);
                let ns = least.saturating_add((share * width_of(bucket) as f64) as u64);
                return SimDuration::from_ns(ns.min(greatest).clamp(self.min, self.max));
            }
            below += count;
        }
        self.max()
    }

    /// The filled buckets, ascending: greatest value of the bucket (inclusive) and count.
    pub fn buckets(&self) -> impl Iterator<Item = (SimDuration, u64)> {
        self.filled()
            .map(|(bucket, count)| (SimDuration::from_ns(bounds_of(bucket).1), count))
    }

    /// For each of the ascending bounds, how many values do not exceed it. A bound within a bucket
    /// takes its share of the bucket, so a count may be off by what lies within 1.6 % of the bound.
    pub fn cumulative(&self, bounds: &[SimDuration]) -> Vec<u64> {
        debug_assert!(bounds.is_sorted(), "bounds must ascend");
        let mut filled = self.filled().peekable();
        let mut below = 0;
        let at_bound = |bound: &SimDuration| {
            while let Some((_, count)) =
                filled.next_if(|&(bucket, _)| bounds_of(bucket).1 <= bound.ns())
            {
                below += count;
            }
            match filled.peek() {
                _ if bound.ns() >= self.max => self.count,
                _ if bound.ns() < self.min => 0,
                Some(&(bucket, count)) => below + share_up_to(bound.ns(), bucket, count),
                None => below,
            }
        };
        bounds.iter().map(at_bound).collect()
    }

    /// Number and count of each bucket that is not empty.
    fn filled(&self) -> impl Iterator<Item = (usize, u64)> {
        (self.first..)
            .zip(self.counts.iter().copied())
            .filter(|&(_, count)| count > 0)
    }

    /// Makes room for the buckets from `least` to `greatest`, in whole octaves.
    #[cold]
    fn cover(&mut self, least: usize, greatest: usize) {
        let least = least / PER_OCTAVE * PER_OCTAVE;
        let end = (greatest / PER_OCTAVE + 1) * PER_OCTAVE;
        if self.counts.is_empty() {
            self.first = least;
        }
        if least < self.first {
            let missing = self.first - least;
            self.counts.splice(..0, std::iter::repeat_n(0, missing));
            self.first = least;
        }
        if self.first + self.counts.len() < end {
            self.counts.resize(end - self.first, 0);
        }
    }
}

impl PartialEq for Histogram {
    /// Equal when the same was seen; room left over from an earlier window does not count.
    fn eq(&self, other: &Self) -> bool {
        self.count == other.count
            && (self.min, self.max) == (other.min, other.max)
            && (self.sum, self.sum_of_squares) == (other.sum, other.sum_of_squares)
            && self.filled().eq(other.filled())
    }
}

impl Eq for Histogram {}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} values from {} to {}, mean {}",
            self.count,
            self.min(),
            self.max(),
            self.mean()
        )
    }
}

/// The bucket of a value: its leading seven bits, counted on over the octaves.
#[inline]
const fn bucket_of(ns: u64) -> usize {
    // Below 2 · 64 the shift is zero and every value has a bucket of its own.
    let shift = (ns | PER_OCTAVE as u64).ilog2() - OCTAVE_BITS;
    (shift as usize) * PER_OCTAVE + (ns >> shift) as usize
}

/// Number of values in a bucket.
const fn width_of(bucket: usize) -> u64 {
    1 << (bucket / PER_OCTAVE).saturating_sub(1)
}

/// Least and greatest value of a bucket.
const fn bounds_of(bucket: usize) -> (u64, u64) {
    let shift = (bucket / PER_OCTAVE).saturating_sub(1);
    let least = ((bucket - shift * PER_OCTAVE) as u64) << shift;
    (least, least + (width_of(bucket) - 1))
}

/// How many of a bucket's values lie at or below `ns` if they are spread evenly.
fn share_up_to(ns: u64, bucket: usize, count: u64) -> u64 {
    let inside = (ns + 1).saturating_sub(bounds_of(bucket).0);
    (u128::from(count) * u128::from(inside) / u128::from(width_of(bucket))) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: impl IntoIterator<Item = u64>) -> Histogram {
        let mut histogram = Histogram::new();
        for ns in values {
            histogram.record(SimDuration::from_ns(ns));
        }
        histogram
    }

    /// The quantile lies within a bucket's width of the exact one.
    fn check_quantile(values: &[u64], q: f64) {
        let mut sorted = values.to_vec();
        sorted.sort_unstable();
        let rank = ((q * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len());
        let exact = sorted[rank - 1] as f64;
        let found = of(values.iter().copied()).quantile(q).ns() as f64;
        assert!(
            (found - exact).abs() <= exact / 64.0 + 1.0,
            "q {q}: {found}, exactly {exact}"
        );
    }

    #[test]
    fn buckets_join_without_gap_or_overlap() {
        let mut next = 0;
        for bucket in 0..=bucket_of(u64::MAX) {
            let (least, greatest) = bounds_of(bucket);
            assert_eq!(least, next, "bucket {bucket}");
            assert_eq!((bucket_of(least), bucket_of(greatest)), (bucket, bucket));
            assert!(least < 128 || (width_of(bucket) as f64) <= least as f64 / 64.0);
            next = greatest.wrapping_add(1);
        }
        assert_eq!(next, 0, "the last bucket ends with the last number");
    }

    #[test]
    fn nothing_is_allocated_before_the_first_value() {
        let histogram = Histogram::new();
        assert_eq!(histogram.counts.capacity(), 0);
        assert!(histogram.is_empty());
        assert_eq!(histogram.quantile(0.5), SimDuration::ZERO);
        assert_eq!(histogram.std_dev(), SimDuration::ZERO);
        assert_eq!(histogram.cumulative(&[SimDuration::MAX]), [0]);
    }

    #[test]
    fn least_greatest_mean_and_spread_are_exact() {
        let histogram = of([1_000_000_007, 1_000_000_001, 1_000_000_004, 1_000_000_004]);
        assert_eq!(histogram.min().ns(), 1_000_000_001);
        assert_eq!(histogram.max().ns(), 1_000_000_007);
        assert_eq!(histogram.mean().ns(), 1_000_000_004);
        assert_eq!(histogram.std_dev().ns(), 2, "the root of 4.5 rounded");
        assert_eq!(of([u64::MAX; 3]).std_dev(), SimDuration::ZERO);
        assert_eq!(histogram.quantile(0.0), histogram.min());
        assert_eq!(histogram.quantile(1.0), histogram.max());
    }

    #[test]
    fn cumulative_counts_split_a_bucket_by_its_width() {
        let histogram = of((1..=1000).map(|ms| ms * 1_000_000));
        let bounds = [0, 1, 5, 250, 1000, 5000].map(SimDuration::from_ms);
        let counts = histogram.cumulative(&bounds);
        for (count, exact) in counts.iter().zip([0_u64, 1, 5, 250, 1000, 1000]) {
            assert!(count.abs_diff(exact) <= 4, "{counts:?}");
        }
        assert_eq!(counts[4], 1000, "a bound at the greatest value counts all");
    }

    #[test]
    fn a_cleared_histogram_equals_a_new_one() {
        let mut histogram = of([5, 70_000, u64::MAX]);
        histogram.clear();
        assert_eq!(histogram, Histogram::new());
        histogram.record(SimDuration::from_ms(3));
        assert_eq!(histogram, of([3_000_000]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn quantiles_stay_within_a_bucket_of_the_exact_ones(
            values in prop::collection::vec(0_u64..20_000_000_000, 1..200),
            q in 0.0..=1.0,
        ) {
            check_quantile(&values, q);
        }

        #[test]
        fn merging_in_any_order_equals_recording_everything(
            left in prop::collection::vec(any::<u64>(), 0..40),
            right in prop::collection::vec(0_u64..1_000_000, 0..40),
        ) {
            let all = of(left.iter().chain(&right).copied());
            let (left, right) = (of(left), of(right));
            let (mut one, mut other) = (left.clone(), right.clone());
            one.merge(&right);
            other.merge(&left);
            prop_assert_eq!(&one, &all);
            prop_assert_eq!(&other, &all);
            let total: u64 = all.buckets().map(|(_, count)| count).sum();
            prop_assert_eq!(total, all.count());
        }
    }
}
