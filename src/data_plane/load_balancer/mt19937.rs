//! The Mersenne Twister, 32 bits: C++'s `std::mt19937`, which Envoy shuffles with.

const SIZE: usize = 624;
const MIDDLE: usize = 397;

/// The generator's state.
pub(super) struct Mt19937 {
    state: [u32; SIZE],
    next: usize,
}

impl Mt19937 {
    /// As `std::mt19937(seed)`.
    pub(super) fn new(seed: u32) -> Self {
        let mut state = [seed; SIZE];
        for at in 1..SIZE {
            let before = state[at - 1];
            state[at] = (before ^ (before >> 30))
                .wrapping_mul(1_812_433_253)
                .wrapping_add(at as u32);
        }
        Self { state, next: SIZE }
    }

    /// The next 32 bits.
    fn draw(&mut self) -> u32 {
        if self.next == SIZE {
            self.twist();
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    fn twist(&mut self) {
        for at in 0..SIZE {
            let bits = (self.state[at] & 0x8000_0000) | (self.state[(at + 1) % SIZE] & 0x7fff_ffff);
            let odd = if bits & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[at] = self.state[(at + MIDDLE) % SIZE] ^ (bits >> 1) ^ odd;
        }
        self.next = 0;
    }

    /// Uniform below `limit`, as Envoy makes it: quotients instead of remainders.
    pub(super) fn below(&mut self, limit: u32) -> u32 {
        let width = (1_u64 << 32) / u64::from(limit);
        loop {
            let quotient = u64::from(self.draw()) / width;
            if quotient < u64::from(limit) {
                return quotient as u32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ten_thousandth_draw_is_the_standard_s() {
        // ISO C++ [rand.predef]: the 10000th draw of a default-seeded mt19937.
        let mut random = Mt19937::new(5489);
        for _ in 1..10_000 {
            random.draw();
        }
        assert_eq!(random.draw(), 4_123_659_995);
    }
}
