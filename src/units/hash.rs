//! The hashes we own: keys of random draws, digests, and xxHash64 as Envoy uses it.
//!
//! The standard hasher may change between releases and is seeded per process, so
//! nothing that reaches a result uses it.

use twox_hash::XxHash64;

/// xxHash64 with seed 0: rings, Maglev and hash policies (`source/common/common/hash.h`).
pub fn xxhash64(bytes: &[u8]) -> u64 {
    XxHash64::oneshot(0, bytes)
}

/// xxHash64 with a seed: Maglev's skip, chained header values.
pub fn xxhash64_seeded(bytes: &[u8], seed: u64) -> u64 {
    XxHash64::oneshot(seed, bytes)
}

/// Multiply-fold: the 128-bit product's halves, xored.
#[inline]
pub const fn mum(a: u64, b: u64) -> u64 {
    let product = (a as u128) * (b as u128);
    (product as u64) ^ ((product >> 64) as u64)
}

/// Mixes two words into one; the building block of keyed draws.
#[inline]
pub const fn mix(a: u64, b: u64) -> u64 {
    // Odd constants with about half their bits set (from wyhash's published secret).
    mum(a ^ 0xa076_1d64_78bd_642f, b ^ 0xe703_7ed1_a0b4_28db)
}

/// An order-sensitive digest of a result, 64 bits, portable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0x5851_f42d_4c95_7f2d)
    }
}

impl Digest {
    /// Adds a word.
    pub fn add(&mut self, word: u64) {
        self.0 = mix(self.0, word).rotate_left(23) ^ word;
    }

    /// Adds text.
    pub fn add_text(&mut self, text: &str) {
        self.add(text.len() as u64);
        self.add(xxhash64(text.as_bytes()));
    }

    /// The digest so far.
    pub const fn value(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xxhash64_equals_envoys_vectors() {
        assert_eq!(xxhash64(b""), 17_241_709_254_077_376_921);
        assert_eq!(xxhash64(b"foo"), 3_728_699_739_546_630_719);
        assert_eq!(xxhash64(b"lyft"), 4_400_747_396_090_729_504);
        assert_eq!(xxhash64(b"127.0.0.1:8080_0"), 17_758_718_331_481_029_156);
    }
}
