//! The compiled form of a distribution: what the hot loop draws from.
//!
//! Everything but the gamma family takes one draw and grows with it, so that a run with the same
//! luck and a slower service is slower request by request.

use std::sync::{Arc, LazyLock};

use super::special::normal_quantile;
use super::{Distribution, SIGMA_MAX};
use crate::engine::rng::Draws;
use crate::units::SimDuration;

/// Draws lengths of time; made by [`Distribution::sampler`], cheap to clone.
#[derive(Clone, Debug)]
pub struct Sampler(Kind);

/// All lengths in nanoseconds.
#[derive(Clone, Debug)]
enum Kind {
    Constant(SimDuration),
    Uniform {
        min: u64,
        choices: u64,
    },
    Exponential {
        mean: f64,
    },
    Normal {
        mean: f64,
        std_dev: f64,
        normal: &'static NormalTable,
    },
    Lognormal {
        median: f64,
        steps: f64,
        normal: &'static NormalTable,
        exp: &'static ExpTable,
    },
    Erlang {
        stages: u32,
        scale: f64,
    },
    Gamma {
        d: f64,
        c: f64,
        boost: f64,
        scale: f64,
        normal: &'static NormalTable,
    },
    Weibull {
        inverse_shape: f64,
        scale: f64,
    },
    Pareto {
        minus_inverse_alpha: f64,
        minimum: f64,
    },
    Empirical(Arc<[SimDuration]>),
}

/// Largest whole shape that is drawn as a sum of exponentials; their product of that many numbers
/// above 2^-53 cannot underflow.
const STAGES_MAX: u32 = 16;

impl Sampler {
    /// Compiles a distribution. Impossible parameters give nonsense but never a panic; see
    /// [`Distribution::check`].
    pub(super) fn new(distribution: &Distribution) -> Self {
        let ns = |length: SimDuration| length.ns() as f64;
        Self(match *distribution {
            Distribution::Constant(length) => Kind::Constant(length),
            Distribution::Uniform { min, max } => Kind::Uniform {
                min: min.ns(),
                choices: max.ns().saturating_sub(min.ns()).saturating_add(1),
            },
            Distribution::Exponential { mean } => Kind::Exponential { mean: ns(mean) },
            Distribution::Normal { mean, std_dev } => Kind::Normal {
                mean: ns(mean),
                std_dev: ns(std_dev),
                normal: &NORMAL,
            },
            Distribution::Lognormal { median, sigma } => Kind::Lognormal {
                median: ns(median),
                steps: sigma.min(SIGMA_MAX) * STEPS_PER_E,
                normal: &NORMAL,
                exp: &EXP,
            },
            Distribution::Gamma { shape, mean } => gamma(shape, ns(mean)),
            Distribution::Weibull { shape, scale } => Kind::Weibull {
                inverse_shape: 1.0 / shape,
                scale: ns(scale),
            },
            Distribution::Pareto { alpha, minimum } => Kind::Pareto {
                minus_inverse_alpha: -1.0 / alpha,
                minimum: ns(minimum),
            },
            Distribution::Empirical(ref values) => Kind::Empirical(Arc::clone(values)),
        })
    }

    /// One length of time.
    #[inline]
    pub fn sample(&self, draws: &mut Draws) -> SimDuration {
        match &self.0 {
            Kind::Constant(length) => *length,
            Kind::Lognormal {
                median,
                steps,
                normal,
                exp,
            } => rounded(exp.scaled(*median, steps * normal.quantile(draws.unit_bits()))),
            Kind::Exponential { mean } => rounded(mean * exponential(draws)),
            other => other.sample_rarely_used(draws),
        }
    }
}

impl Kind {
    fn sample_rarely_used(&self, draws: &mut Draws) -> SimDuration {
        match *self {
            Self::Constant(length) => length,
            Self::Uniform { min, choices } => SimDuration::from_ns(min + draws.below(choices)),
            Self::Exponential { mean } => rounded(mean * exponential(draws)),
            Self::Normal {
                mean,
                std_dev,
                normal,
            } => rounded(mean + std_dev * normal.quantile(draws.unit_bits())),
            Self::Lognormal {
                median,
                steps,
                normal,
                exp,
            } => rounded(exp.scaled(median, steps * normal.quantile(draws.unit_bits()))),
            Self::Erlang { stages, scale } => {
                let product = (0..stages).fold(1.0, |product, _| product * draws.unit());
                rounded(-scale * libm::log(product))
            }
            Self::Gamma {
                d,
                c,
                boost,
                scale,
                normal,
            } => {
                let mut value = marsaglia_tsang(d, c, normal, draws);
                if boost > 0.0 {
                    value *= libm::pow(draws.unit(), boost);
                }
                rounded(scale * value)
            }
            Self::Weibull {
                inverse_shape,
                scale,
            } => rounded(scale * libm::pow(exponential(draws), inverse_shape)),
            Self::Pareto {
                minus_inverse_alpha,
                minimum,
            } => rounded(minimum * libm::pow(1.0 - draws.unit(), minus_inverse_alpha)),
            Self::Empirical(ref values) => {
                let position = draws.below(values.len() as u64) as usize;
                values.get(position).copied().unwrap_or_default()
            }
        }
    }
}

/// To the nearest nanosecond; negative values become zero, and 292 years are the most. The signed
/// conversion takes half the instructions of the unsigned one.
#[inline]
fn rounded(ns: f64) -> SimDuration {
    SimDuration::from_ns(((ns + 0.5) as i64).max(0).cast_unsigned())
}

/// An exponential variable of mean 1; grows with the draw.
#[inline]
fn exponential(draws: &mut Draws) -> f64 {
    -libm::log(1.0 - draws.unit())
}

fn gamma(shape: f64, mean: f64) -> Kind {
    let scale = mean / shape;
    let stages = shape as u32;
    let whole = shape.fract() == 0.0;
    if whole && (1..=STAGES_MAX).contains(&stages) {
        return Kind::Erlang { stages, scale };
    }
    // A shape below 1 is drawn one higher and multiplied by u^(1/shape).
    let boost = if shape < 1.0 { 1.0 / shape } else { 0.0 };
    let d = (if shape < 1.0 { shape + 1.0 } else { shape }) - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    Kind::Gamma {
        d,
        c,
        boost,
        scale,
        normal: &NORMAL,
    }
}

/// A gamma variable of shape `d + 1/3`, by squeeze and rejection (Marsaglia and Tsang, 2000).
fn marsaglia_tsang(d: f64, c: f64, normal: &NormalTable, draws: &mut Draws) -> f64 {
    // Each round succeeds with more than 95 %; the bound only keeps nonsense from hanging.
    for _ in 0..1_000 {
        let z = normal.quantile(draws.unit_bits());
        let root = 1.0 + c * z;
        if root <= 0.0 {
            continue;
        }
        let cube = root * root * root;
        let bound = 0.5 * z * z + d - d * cube + d * libm::log(cube);
        if libm::log(draws.unit()) < bound {
            return d * cube;
        }
    }
    d
}

/// Cells over one half of the normal distribution; the other half mirrors it.
const NORMAL_CELLS: usize = 4_096;
/// Half of the range of [`Draws::unit_bits`].
const HALF: u64 = 1 << 52;
/// log2 of a cell's width in the same unit.
const CELL_BITS: u32 = HALF.trailing_zeros() - NORMAL_CELLS.trailing_zeros();
/// Below this cell (0.8 % on either side) the curve bends too much for straight lines.
const NORMAL_TAIL: usize = 64;

/// The normal quantile as straight lines between exact values; exact in the tails. Off by less
/// than 1.1e-5 standard deviations anywhere, continuous, and never falls.
#[derive(Debug)]
struct NormalTable([f64; NORMAL_CELLS + 1]);

/// Built once; the samplers keep a plain reference.
static NORMAL: LazyLock<NormalTable> = LazyLock::new(NormalTable::new);

impl NormalTable {
    fn new() -> Self {
        let cell = 0.5 / NORMAL_CELLS as f64;
        Self(std::array::from_fn(|i| match i {
            0 => f64::NEG_INFINITY, // never read: the tail is computed
            i => normal_quantile(i as f64 * cell),
        }))
    }

    /// The quantile of `bits` / 2^53. The cell is found in integers, so that the table is asked
    /// before any float is ready.
    #[inline]
    fn quantile(&self, bits: u64) -> f64 {
        let from_edge = bits.min(2 * HALF - bits);
        let cell = (from_edge >> CELL_BITS) as usize & (NORMAL_CELLS - 1);
        if cell < NORMAL_TAIL {
            return tail(bits);
        }
        let inside = (from_edge % (1 << CELL_BITS)) as f64 / (1_u64 << CELL_BITS) as f64;
        let (left, right) = (self.0[cell], self.0[cell + 1]);
        let z = left + (right - left) * inside;
        // The table holds the negative half. A branch on the half would be guessed wrong every
        // other time, so its bit becomes the sign.
        f64::from_bits(z.to_bits() ^ ((bits / HALF) << 63))
    }
}

#[cold]
fn tail(bits: u64) -> f64 {
    normal_quantile(bits as f64 / (2 * HALF) as f64)
}

/// Steps per doubling in the table of powers of two.
const EXP_STEPS: usize = 64;
const STEPS_PER_E: f64 = EXP_STEPS as f64 * std::f64::consts::LOG2_E;

/// `exp` from `+` and `×` alone: a table of 2^(i/64) and a polynomial of degree 4 for the rest;
/// relative error below 1e-13.
#[derive(Debug)]
struct ExpTable([f64; EXP_STEPS]);

static EXP: LazyLock<ExpTable> = LazyLock::new(|| {
    ExpTable(std::array::from_fn(|i| {
        libm::exp2(i as f64 / EXP_STEPS as f64)
    }))
});

impl ExpTable {
    /// `scale` times 2^(`steps`/64), for up to 60,000 steps either way; beyond, some number.
    #[inline]
    fn scaled(&self, scale: f64, steps: f64) -> f64 {
        // Adding 1.5·2^52 leaves the nearest whole number in the low bits, without a branch.
        const ROUNDER: f64 = 6_755_399_441_055_744.0;
        // exp's series in the rest, with the unit ln(2)/64 in its coefficients.
        const C1: f64 = std::f64::consts::LN_2 / EXP_STEPS as f64;
        const C2: f64 = C1 * C1 / 2.0;
        const C3: f64 = C1 * C2 / 3.0;
        const C4: f64 = C1 * C3 / 4.0;
        let shifted = steps + ROUNDER;
        let whole = shifted.to_bits().wrapping_sub(ROUNDER.to_bits());
        let rest = steps - (shifted - ROUNDER);
        let square = rest * rest;
        let curve = (1.0 + C1 * rest) + square * ((C2 + C3 * rest) + square * C4);
        let fraction = self.0[whole as usize % EXP_STEPS];
        let exponent = (whole.cast_signed() >> EXP_STEPS.trailing_zeros()).cast_unsigned();
        let power = f64::from_bits(exponent.wrapping_add(1023) << 52);
        scale * (fraction * power) * curve
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_follows_the_exact_quantile_and_never_falls() {
        let mut last = f64::NEG_INFINITY;
        for i in 0..200_000 {
            let u = (f64::from(i) + 0.5) / 200_000.0;
            let z = NORMAL.quantile((u * (2 * HALF) as f64) as u64);
            assert!((z - normal_quantile(u)).abs() < 1.1e-5, "{u}: {z}");
            assert!(z >= last, "{u}: {z} after {last}");
            last = z;
        }
    }

    #[test]
    fn the_table_meets_the_exact_tail_without_a_step() {
        let edge = (NORMAL_TAIL as u64) << CELL_BITS;
        let (inside, outside) = (NORMAL.quantile(edge), NORMAL.quantile(edge - 1));
        assert!(inside >= outside && inside - outside < 1e-11);
    }

    #[test]
    fn our_exponential_function_equals_the_library_one() {
        let mut x = -60.0;
        while x < 60.0 {
            let (ours, exact) = (EXP.scaled(1.0, x * STEPS_PER_E), libm::exp(x));
            assert!(
                (ours / exact - 1.0).abs() < 1e-13,
                "exp({x}) = {ours}, not {exact}"
            );
            x += 0.003_1;
        }
        assert!((EXP.scaled(1.0, 0.0) - 1.0).abs() < f64::EPSILON);
    }
}
