//! Randomness without shared state: a seed tree and keyed draws.
//!
//! Every draw belongs to an entity, by *name*, and to a purpose. [`Seed::key`] derives one key per
//! (purpose, entity) through ChaCha, whose output for different inputs is unrelated by design;
//! draws bound to a request mix that key with the request's number ([`Draws::of`]). So adding an
//! entity disturbs no other entity's luck, and draws may be taken in any order.
//!
//! [`Draws`] itself is fast rather than cryptographic: two multiply-folds turn (key, number) into
//! a well-spread state, and a counter runs from there as in wyrand. One fold alone is not enough
//! for the states: request numbers are consecutive, and the fold of consecutive numbers with a
//! constant is nearly an arithmetic series. The tests below hold the bits to balance, independence
//! and uniformity over consecutive numbers and counters; they are smoke alarms, no BigCrush.
//! Chi-square over every 16-bit part, bit-count triples and birthday spacings were also tried once
//! over 2^26 words of four kinds of number, without a finding.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::units::hash::{mix, mum, xxhash64, xxhash64_seeded};

/// The root of all randomness of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed {
    seed: u64,
    replication: u32,
}

/// What a derived stream is for; keeps keys and streams of one name apart.
#[derive(Clone, Copy)]
enum Use {
    Key = 0,
    Stream = 1,
}

impl Seed {
    /// The seed of a plain run.
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            replication: 0,
        }
    }

    /// The seed of the `n`-th repetition; 0 is the plain run.
    #[must_use]
    pub const fn replication(self, n: u32) -> Self {
        Self {
            seed: self.seed,
            replication: n,
        }
    }

    /// Which repetition it is the seed of.
    pub const fn replication_number(self) -> u32 {
        self.replication
    }

    /// The key of an entity's draws for one purpose.
    pub fn key(self, purpose: &str, entity: &str) -> u64 {
        self.derive(Use::Key, purpose, entity).next_u64()
    }

    /// A stream for draws that belong to an entity but to no request.
    pub fn stream(self, purpose: &str, entity: &str) -> ChaCha8Rng {
        self.derive(Use::Stream, purpose, entity)
    }

    fn derive(self, what: Use, purpose: &str, entity: &str) -> ChaCha8Rng {
        let purpose = xxhash64(purpose.as_bytes());
        let mut words = [0; 32];
        words[..8].copy_from_slice(&self.seed.to_le_bytes());
        words[8..12].copy_from_slice(&self.replication.to_le_bytes());
        words[12..16].copy_from_slice(&(what as u32).to_le_bytes());
        words[16..24].copy_from_slice(&purpose.to_le_bytes());
        // Seeded by the purpose, so that the hashes of equal names differ between purposes.
        words[24..].copy_from_slice(&xxhash64_seeded(entity.as_bytes(), purpose).to_le_bytes());
        ChaCha8Rng::from_seed(words)
    }
}

/// Draws that are a function of a key and a counter; eight bytes, free to copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draws {
    /// Key plus counter times [`STEP`].
    state: u64,
}

/// wyrand's increment: odd, about half the bits set.
const STEP: u64 = 0x2d35_8dcc_aa6c_78a5;
/// wyrand's multiplier mask.
const MASK: u64 = 0x8bb8_4b93_962e_acc9;

impl Draws {
    /// The draws of one key. Keys need not be spread: consecutive ones are as good.
    #[inline]
    pub const fn keyed(key: u64) -> Self {
        Self::of(key, 0)
    }

    /// The draws of a pair, such as an entity's key and a request's number.
    #[inline]
    pub const fn of(a: u64, b: u64) -> Self {
        // The second fold sees `b` again, so that no value of `a` can swallow it.
        Self {
            state: mix(mix(a, b), b ^ a.rotate_left(32)),
        }
    }

    /// 64 random bits.
    #[inline]
    pub const fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        mum(self.state, self.state ^ MASK)
    }

    /// A number strictly between 0 and 1.
    ///
    /// One of the 2^52 odd multiples of 2^-53: never 0 or 1, and `1.0 - unit` is exact and
    /// equally likely.
    #[inline]
    pub const fn unit(&mut self) -> f64 {
        const SCALE: f64 = 1.0 / (1_u64 << 53) as f64;
        self.unit_bits() as f64 * SCALE
    }

    /// [`Self::unit`] times 2^53.
    #[inline]
    pub(super) const fn unit_bits(&mut self) -> u64 {
        (self.next_u64() >> 11) | 1
    }

    /// A number below `n`; 0 when `n` is 0.
    ///
    /// The high half of a product: no value is favoured by more than one part in 2^64 / n.
    #[inline]
    pub const fn below(&mut self, n: u64) -> u64 {
        ((self.next_u64() as u128 * n as u128) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: u64 = 1 << 18;

    /// Holds 2^18 words to what independent fair bits do. Every bound is about five standard
    /// deviations, and the words are fixed: a failure is a property of the generator.
    fn check(name: &str, word: impl Fn(u64) -> u64) {
        let words: Vec<u64> = (0..COUNT).map(word).collect();
        check_bits(name, &words);
        check_neighbours(name, &words);
        for (part, shift) in [("high", 56), ("middle", 28), ("low", 0)] {
            check_uniform(
                &format!("{name}, {part} bits"),
                words.iter().map(|w| w >> shift & 255),
            );
        }
        // Pairs of neighbours fill the square.
        let pairs = words.windows(2).map(|w| w[0] >> 60 << 4 | w[1] >> 60);
        check_uniform(&format!("{name}, pairs"), pairs);
    }

    /// Every bit is set half of the time, and flips half of the time from word to word.
    fn check_bits(name: &str, words: &[u64]) {
        for bit in 0..64 {
            let ones = words.iter().filter(|&w| w >> bit & 1 == 1).count();
            let flips = words
                .windows(2)
                .filter(|w| (w[0] ^ w[1]) >> bit & 1 == 1)
                .count();
            for (what, seen) in [("set", ones), ("flipped", flips)] {
                let z = (seen as f64 - COUNT as f64 / 2.0) / (COUNT as f64 / 4.0).sqrt();
                assert!(
                    z.abs() < 5.0,
                    "{name}: bit {bit} is {what} {seen} times of {COUNT}"
                );
            }
        }
    }

    /// No correlation with the words 1 to 16 places on.
    fn check_neighbours(name: &str, words: &[u64]) {
        let unit: Vec<f64> = words
            .iter()
            .map(|&w| w as f64 / u64::MAX as f64 - 0.5)
            .collect();
        for lag in 1..=16 {
            let product: f64 = unit.iter().zip(&unit[lag..]).map(|(a, b)| a * b).sum();
            let z = product * 12.0 / (COUNT as f64).sqrt();
            assert!(
                z.abs() < 5.0,
                "{name}: correlation at distance {lag} is {z} deviations"
            );
        }
    }

    /// Chi-square over 256 cells; 255 degrees of freedom have a deviation of 22.6. Too even is as
    /// wrong as too uneven.
    fn check_uniform(name: &str, cells: impl Iterator<Item = u64>) {
        let mut counts = [0_u32; 256];
        let mut total = 0.0;
        for cell in cells {
            counts[cell as usize] += 1;
            total += 1.0;
        }
        let expected = total / 256.0;
        let chi_square: f64 = counts
            .iter()
            .map(|&c| (f64::from(c) - expected) * (f64::from(c) - expected) / expected)
            .sum();
        assert!(
            (255.0 - chi_square).abs() < 5.0 * 22.6,
            "{name}: chi-square {chi_square}"
        );
    }

    fn first(mut draws: Draws) -> u64 {
        draws.next_u64()
    }

    fn nth(mut draws: Draws, n: u64) -> u64 {
        for _ in 0..n {
            draws.next_u64();
        }
        draws.next_u64()
    }

    #[test]
    fn consecutive_requests_draw_independently() {
        let key = Seed::new(1).key("network", "default/cart");
        check("requests of a key", |request| {
            first(Draws::of(key, request))
        });
        check("second draws", |request| nth(Draws::of(key, request), 1));
        // The caller packs position and try into the number: steps of a power of two.
        check("strided requests", |request| {
            first(Draws::of(key, request << 16))
        });
        check("high requests", |request| {
            first(Draws::of(key, request << 44))
        });
    }

    #[test]
    fn even_keys_that_nobody_spread_draw_independently() {
        check("consecutive keys", |key| first(Draws::keyed(key)));
        check("keys of one request", |key| first(Draws::of(key, 7)));
        check("keys equal to numbers", |n| first(Draws::of(n, n)));
        check("both small", |n| first(Draws::of(n & 511, n >> 9)));
        check("swapped", |n| first(Draws::of(n >> 9, n & 511)));
    }

    #[test]
    fn the_draws_of_one_key_are_independent() {
        for key in [0, 1, u64::MAX] {
            let mut draws = Draws::keyed(key);
            let words: Vec<u64> = (0..COUNT).map(|_| draws.next_u64()).collect();
            check(&format!("counter of {key}"), |n| words[n as usize]);
        }
    }

    #[test]
    fn entities_draw_independently_of_each_other() {
        let seed = Seed::new(42);
        let keys: Vec<u64> = (0..64)
            .map(|i| seed.key("service", &format!("pod-{i}")))
            .collect();
        // The same request at different entities, in turn.
        check("entities in turn", |n| {
            first(Draws::of(keys[(n & 63) as usize], n >> 6))
        });
        let (one, other) = (keys[0], keys[1]);
        check("difference of two entities", |n| {
            first(Draws::of(one, n)) ^ first(Draws::of(other, n))
        });
    }

    #[test]
    fn every_input_bit_moves_half_of_the_output_bits() {
        for bit in 0..64 {
            let (mut by_key, mut by_number) = (0, 0);
            for n in 0..1024 {
                let (a, b) = (n * 3, n);
                let base = first(Draws::of(a, b));
                by_key += (base ^ first(Draws::of(a ^ 1 << bit, b))).count_ones();
                by_number += (base ^ first(Draws::of(a, b ^ 1 << bit))).count_ones();
            }
            for flipped in [by_key, by_number] {
                let share = f64::from(flipped) / (1024.0 * 64.0);
                assert!((share - 0.5).abs() < 0.01, "input bit {bit} moves {share}");
            }
        }
    }

    #[test]
    fn another_entity_changes_nobodys_draws() {
        let seed = Seed::new(7);
        let draws = |entity: &str| {
            let mut stream = seed.stream("arrivals", entity);
            (
                seed.key("arrivals", entity),
                [stream.next_u64(), stream.next_u64()],
            )
        };
        let alone = draws("default/cart");
        let _ = draws("default/added-later");
        assert_eq!(draws("default/cart"), alone);
    }

    #[test]
    fn seed_replication_purpose_entity_and_use_all_count() {
        let seed = Seed::new(7);
        let keys = [
            seed.key("a", "b"),
            Seed::new(8).key("a", "b"),
            seed.replication(1).key("a", "b"),
            seed.key("b", "b"),
            seed.key("a", "a"),
            seed.key("ab", ""),
            seed.stream("a", "b").next_u64(),
        ];
        let mut distinct = keys.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), keys.len(), "{keys:x?}");
        assert_eq!(seed.replication(0), seed, "replication 0 is the plain run");
    }

    #[test]
    fn bounded_draws_are_even_and_stay_below() {
        let mut draws = Draws::keyed(3);
        check_uniform("below 256", (0..COUNT).map(|_| draws.below(256)));
        let mut counts = [0_u32; 7];
        for _ in 0..70_000 {
            counts[draws.below(7) as usize] += 1;
        }
        assert!(
            counts.iter().all(|c| (9_600..10_400).contains(c)),
            "{counts:?}"
        );
        assert_eq!(draws.below(0), 0);
    }

    #[test]
    fn units_lie_strictly_between_zero_and_one() {
        let scale = |word: u64| ((word >> 11) | 1) as f64 / (1_u64 << 53) as f64;
        assert!(scale(0) > 0.0 && scale(u64::MAX) < 1.0);
        assert_eq!((1.0 - scale(0)).to_bits(), scale(u64::MAX).to_bits());
        let mut draws = Draws::keyed(1);
        let mean = (0..COUNT).map(|_| draws.unit()).sum::<f64>() / COUNT as f64;
        assert!(
            (mean - 0.5).abs() < 5.0 * 0.2887 / (COUNT as f64).sqrt(),
            "{mean}"
        );
    }

    #[test]
    #[should_panic(expected = "one fold")]
    fn the_checks_notice_the_weakness_of_a_single_fold() {
        let key = Seed::new(1).key("network", "default/cart");
        check("one fold", |request| mix(key, request));
    }

    #[test]
    fn draws_are_the_same_on_every_machine() {
        let mut draws = Draws::of(1, 2);
        let seen = [
            Seed::new(1).key("service", "default/cart"),
            draws.next_u64(),
            draws.next_u64(),
            draws.below(1_000_000),
            draws.unit().to_bits(),
        ];
        let golden = [
            8_021_759_901_751_362_083,
            1_374_820_430_969_456_736,
            399_258_424_114_606_767,
            392_027,
            4_600_780_515_355_740_102,
        ];
        assert_eq!(seen, golden);
    }
}
