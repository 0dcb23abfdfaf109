//! Special functions with the same bits on every machine.
//!
//! Built from `+ - × /`, `sqrt` and the `libm` crate's `exp`, `log` and gamma functions, which are
//! plain Rust; the platform's own may differ in the last bit.

/// The normal distribution's quantile for `p` strictly between 0 and 1.
///
/// Wichura's algorithm AS 241 (PPND16), accurate to about 1 part in 10^16.
pub(super) fn normal_quantile(p: f64) -> f64 {
    let from_middle = p - 0.5;
    if from_middle.abs() <= 0.425 {
        let r = 0.180_625 - from_middle * from_middle;
        return from_middle * polynomial(r, &MIDDLE.0) / polynomial(r, &MIDDLE.1);
    }
    let tail = if from_middle < 0.0 { p } else { 1.0 - p };
    let r = (-libm::log(tail)).sqrt();
    let (shift, (above, below)) = if r <= 5.0 {
        (1.6, &NEAR_TAIL)
    } else {
        (5.0, &FAR_TAIL)
    };
    let z = polynomial(r - shift, above) / polynomial(r - shift, below);
    z.copysign(from_middle)
}

/// Probability that a normal variable stays below `z`.
pub(super) fn normal_cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2)
}

/// Relative error at which the gamma sums end.
const PRECISION: f64 = 1e-15;
/// They need about 5·sqrt(shape) rounds at worst; this is far above.
const ROUNDS: i32 = 20_000;

/// Share of a gamma distribution (mean `shape`) that lies below `x`: the regularised lower
/// incomplete gamma function, by its series where that converges fast and by its continued
/// fraction elsewhere.
pub(super) fn gamma_cdf(shape: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    let front = libm::exp(shape * libm::log(x) - x - libm::lgamma(shape));
    if x < shape + 1.0 {
        let (mut term, mut sum, mut n) = (1.0 / shape, 1.0 / shape, shape);
        for _ in 0..ROUNDS {
            n += 1.0;
            term *= x / n;
            sum += term;
            if term < sum * PRECISION {
                break;
            }
        }
        return front * sum;
    }
    1.0 - front * upper_fraction(shape, x)
}

/// The continued fraction of the upper incomplete gamma function, by Lentz's method.
fn upper_fraction(shape: f64, x: f64) -> f64 {
    let mut base = x + 1.0 - shape;
    let mut above = 1e300;
    let mut below = 1.0 / base;
    let mut fraction = below;
    for round in 1..ROUNDS {
        let numerator = -f64::from(round) * (f64::from(round) - shape);
        base += 2.0;
        below = 1.0 / (numerator * below + base);
        above = base + numerator / above;
        fraction *= above * below;
        if (above * below - 1.0).abs() < PRECISION {
            break;
        }
    }
    fraction
}

/// Coefficients from the lowest power up.
fn polynomial(x: f64, coefficients: &[f64; 8]) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, c| sum * x + c)
}

type Fraction = ([f64; 8], [f64; 8]);

/// |p - 1/2| at most 0.425.
const MIDDLE: Fraction = (
    [
        3.387_132_872_796_366_5,
        133.141_667_891_784_38,
        1_971.590_950_306_551_3,
        13_731.693_765_509_46,
        45_921.953_931_549_87,
        67_265.770_927_008_7,
        33_430.575_583_588_13,
        2_509.080_928_730_122_7,
    ],
    [
        1.0,
        42.313_330_701_600_91,
        687.187_007_492_057_9,
        5_394.196_021_424_751,
        21_213.794_301_586_597,
        39_307.895_800_092_71,
        28_729.085_735_721_943,
        5_226.495_278_852_545,
    ],
);

/// sqrt(-ln(tail)) at most 5.
const NEAR_TAIL: Fraction = (
    [
        1.423_437_110_749_683_5,
        4.630_337_846_156_546,
        5.769_497_221_460_691,
        3.647_848_324_763_204_5,
        1.270_458_252_452_368_4,
        0.241_780_725_177_450_6,
        0.022_723_844_989_269_184,
        7.745_450_142_783_414e-4,
    ],
    [
        1.0,
        2.053_191_626_637_759,
        1.676_384_830_183_803_8,
        0.689_767_334_985_1,
        0.148_103_976_427_480_08,
        0.015_198_666_563_616_457,
        5.475_938_084_995_345e-4,
        1.050_750_071_644_416_9e-9,
    ],
);

/// Beyond.
const FAR_TAIL: Fraction = (
    [
        6.657_904_643_501_103,
        5.463_784_911_164_114,
        1.784_826_539_917_291_3,
        0.296_560_571_828_504_87,
        0.026_532_189_526_576_124,
        0.001_242_660_947_388_078_4,
        2.711_555_568_743_487_6e-5,
        2.010_334_399_292_288_1e-7,
    ],
    [
        1.0,
        0.599_832_206_555_888,
        0.136_929_880_922_735_8,
        0.014_875_361_290_850_615,
        7.868_691_311_456_133e-4,
        1.846_318_317_510_054_8e-5,
        1.421_511_758_316_446e-7,
        2.044_263_103_389_939_8e-15,
    ],
);

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: f64, expected: f64) {
        assert!(
            (value - expected).abs() <= 1e-13 * expected.abs().max(1.0),
            "{value} is not {expected}"
        );
    }

    #[test]
    fn the_normal_quantile_equals_published_values() {
        check(normal_quantile(0.5), 0.0);
        check(normal_quantile(0.975), 1.959_963_984_540_054);
        check(normal_quantile(0.99), 2.326_347_874_040_841);
        check(normal_quantile(0.9999), 3.719_016_485_455_68);
        check(normal_quantile(0.25), -0.674_489_750_196_081_7);
        check(normal_quantile(1e-10), -6.361_340_902_404_056);
    }

    #[test]
    fn the_quantile_undoes_the_distribution_function_to_the_last_tail() {
        for z in (-80..=0).map(|tenth| f64::from(tenth) / 10.0) {
            assert!((normal_quantile(normal_cdf(z)) - z).abs() < 1e-12, "{z}");
        }
    }

    #[test]
    fn the_gamma_function_of_whole_shapes_is_an_erlang_sum() {
        for (shape, x) in [(1.0, 0.3), (1.0, 5.0), (3.0, 0.5), (3.0, 9.0)] {
            let tail = if shape > 1.0 {
                1.0 + x + x * x / 2.0
            } else {
                1.0
            };
            check(gamma_cdf(shape, x), 1.0 - libm::exp(-x) * tail);
        }
        // A half shape is a squared normal: 2·Phi(sqrt(2x)) - 1.
        check(gamma_cdf(0.5, 1.7), 2.0 * normal_cdf(3.4_f64.sqrt()) - 1.0);
    }
}
