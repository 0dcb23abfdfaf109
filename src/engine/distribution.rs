//! Distributions of lengths of time, with the same draws on every machine.
//!
//! A [`Distribution`] is what people write: it can be shown, checked and asked for its mean and
//! quantiles. Its [`Sampler`] is the compiled form. Means and quantiles are those of the sampler,
//! so a report may state them beside what was measured.

mod sampler;
mod special;

use std::fmt;
use std::sync::Arc;

pub use sampler::Sampler;

use self::special::{gamma_cdf, normal_cdf, normal_quantile};
use crate::units::SimDuration;

/// How long something takes.
#[derive(Clone, Debug, PartialEq)]
pub enum Distribution {
    /// Always the same.
    Constant(SimDuration),
    /// Every nanosecond from `min` to `max`, both included, is equally likely.
    Uniform {
        /// Shortest.
        min: SimDuration,
        /// Longest.
        max: SimDuration,
    },
    /// Without memory: gaps between independent arrivals.
    Exponential {
        /// Mean.
        mean: SimDuration,
    },
    /// Normal; what would be negative becomes zero.
    Normal {
        /// Mean before the cut.
        mean: SimDuration,
        /// Standard deviation before the cut.
        std_dev: SimDuration,
    },
    /// The logarithm is normal: the usual shape of service times and network delays.
    Lognormal {
        /// Half of the values are shorter.
        median: SimDuration,
        /// Standard deviation of the natural logarithm.
        sigma: f64,
    },
    /// Gamma; a whole shape is a sum of that many exponential stages.
    Gamma {
        /// Shape; 1 is exponential, large is narrow.
        shape: f64,
        /// Mean.
        mean: SimDuration,
    },
    /// Weibull.
    Weibull {
        /// Shape; 1 is exponential, less has a heavier tail.
        shape: f64,
        /// 63.2 % of the values are shorter.
        scale: SimDuration,
    },
    /// Pareto: a power-law tail.
    Pareto {
        /// Exponent of the tail; the mean is infinite at 1 and below.
        alpha: f64,
        /// Shortest.
        minimum: SimDuration,
    },
    /// One of these recorded values, each equally likely; ascending.
    Empirical(Arc<[SimDuration]>),
}

/// The normal distribution's 99th percentile.
const Z99: f64 = 2.326_347_874_040_841;
/// Beyond it one value in a thousand is 10^13 times the median.
const SIGMA_MAX: f64 = 10.0;

impl Distribution {
    /// A lognormal distribution by its median and 99th percentile.
    pub fn lognormal_from_p99(median: SimDuration, p99: SimDuration) -> Result<Self, String> {
        if median.is_zero() {
            return Err("the median of a lognormal distribution must be more than zero".to_owned());
        }
        if p99 < median {
            return Err(format!("p99 {p99} is less than the median {median}"));
        }
        let sigma = libm::log(p99.ns() as f64 / median.ns() as f64) / Z99;
        let distribution = Self::Lognormal { median, sigma };
        distribution.check()?;
        Ok(distribution)
    }

    /// A sum of `k` equal exponential stages.
    pub fn erlang(k: u32, mean: SimDuration) -> Self {
        Self::Gamma {
            shape: f64::from(k),
            mean,
        }
    }

    /// A sample of recorded values in any order.
    pub fn empirical(mut values: Vec<SimDuration>) -> Self {
        values.sort_unstable();
        Self::Empirical(values.into())
    }

    /// The compiled form.
    pub fn sampler(&self) -> Sampler {
        Sampler::new(self)
    }

    /// Mean; `None` when it is infinite.
    pub fn mean(&self) -> Option<SimDuration> {
        let ns = |length: SimDuration| length.ns() as f64;
        let mean = match self {
            Self::Constant(length) => return Some(*length),
            Self::Uniform { min, max } => return Some(SimDuration::from_ns(midpoint(*min, *max))),
            Self::Exponential { mean } | Self::Gamma { mean, .. } => return Some(*mean),
            Self::Normal { mean, std_dev } => cut_normal_mean(ns(*mean), ns(*std_dev)),
            Self::Lognormal { median, sigma } => ns(*median) * libm::exp(sigma * sigma / 2.0),
            Self::Weibull { shape, scale } => ns(*scale) * libm::tgamma(1.0 + 1.0 / shape),
            Self::Pareto { alpha, .. } if *alpha <= 1.0 => return None,
            Self::Pareto { alpha, minimum } => ns(*minimum) * alpha / (alpha - 1.0),
            Self::Empirical(values) => return Some(sample_mean(values)),
        };
        (mean < u64::MAX as f64).then(|| rounded(mean))
    }

    /// The length that a share `q` of the values stays below; `q` is brought between 0 and 1.
    /// Unbounded distributions answer `q = 1` as the last value their sampler can draw.
    pub fn quantile(&self, q: f64) -> SimDuration {
        // The same grid as `Draws::unit`.
        const EDGE: f64 = 1.0 / (1_u64 << 53) as f64;
        let q = q.clamp(EDGE, 1.0 - EDGE);
        let exponential = -libm::log1p(-q);
        rounded(match self {
            Self::Constant(length) => return *length,
            Self::Uniform { min, max } => {
                let width = max.ns().saturating_sub(min.ns());
                return min.plus(rounded(q * width as f64));
            }
            Self::Exponential { mean } => mean.ns() as f64 * exponential,
            Self::Normal { mean, std_dev } => {
                mean.ns() as f64 + std_dev.ns() as f64 * normal_quantile(q)
            }
            Self::Lognormal { median, sigma } => {
                median.ns() as f64 * libm::exp(sigma * normal_quantile(q))
            }
            Self::Gamma { shape, mean } => mean.ns() as f64 / shape * gamma_quantile(*shape, q),
            Self::Weibull { shape, scale } => {
                scale.ns() as f64 * libm::pow(exponential, 1.0 / shape)
            }
            Self::Pareto { alpha, minimum } => {
                minimum.ns() as f64 * libm::pow(1.0 - q, -1.0 / alpha)
            }
            Self::Empirical(values) => {
                let position = (q * values.len() as f64) as usize;
                return values.get(position).copied().unwrap_or_default();
            }
        })
    }

    /// Says in words what is absurd about the parameters.
    pub fn check(&self) -> Result<(), String> {
        let positive = |name: &str, length: SimDuration| {
            if length.is_zero() {
                return Err(format!("{name} must be more than zero"));
            }
            Ok(())
        };
        let within = |name: &str, value: f64, least: f64, most: f64| {
            if value.is_nan() || value < least || value > most {
                return Err(format!(
                    "{name} is {value}; it must be between {least} and {most}"
                ));
            }
            Ok(())
        };
        match self {
            Self::Uniform { min, max } if min > max => {
                Err(format!("min {min} is more than max {max}"))
            }
            Self::Exponential { mean } => positive("mean", *mean),
            Self::Lognormal { median, sigma } => {
                positive("median", *median)?;
                within("sigma", *sigma, 0.0, SIGMA_MAX)
            }
            Self::Gamma { shape, mean } => {
                positive("mean", *mean)?;
                within("shape", *shape, 0.01, 1e6)
            }
            Self::Weibull { shape, scale } => {
                positive("scale", *scale)?;
                within("shape", *shape, 0.1, 1e3)
            }
            Self::Pareto { alpha, minimum } => {
                positive("minimum", *minimum)?;
                within("alpha", *alpha, 0.1, 1e3)
            }
            Self::Empirical(values) if values.is_empty() => {
                Err("an empirical distribution needs at least one value".to_owned())
            }
            Self::Empirical(values) if !values.is_sorted() => {
                Err("the values of an empirical distribution must ascend".to_owned())
            }
            Self::Constant(_) | Self::Normal { .. } | Self::Uniform { .. } | Self::Empirical(_) => {
                Ok(())
            }
        }
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(length) => length.fmt(f),
            Self::Uniform { min, max } => write!(f, "uniform({min} to {max})"),
            Self::Exponential { mean } => write!(f, "exponential(mean {mean})"),
            Self::Normal { mean, std_dev } => {
                write!(f, "normal(mean {mean}, standard deviation {std_dev})")
            }
            Self::Lognormal { median, .. } => {
                write!(f, "lognormal(median {median}, p99 {})", self.quantile(0.99))
            }
            Self::Gamma { shape, mean } => write!(f, "gamma(shape {shape}, mean {mean})"),
            Self::Weibull { shape, scale } => write!(f, "weibull(shape {shape}, scale {scale})"),
            Self::Pareto { alpha, minimum } => {
                write!(f, "pareto(alpha {alpha}, minimum {minimum})")
            }
            Self::Empirical(values) => {
                let median = self.quantile(0.5);
                write!(f, "empirical({} values, median {median})", values.len())
            }
        }
    }
}

/// To the nearest nanosecond; `as` keeps negative values at zero and large ones at the maximum.
fn rounded(ns: f64) -> SimDuration {
    SimDuration::from_ns((ns + 0.5) as u64)
}

fn midpoint(a: SimDuration, b: SimDuration) -> u64 {
    a.ns().midpoint(b.ns())
}

/// Mean of max(0, X) for a normal X.
fn cut_normal_mean(mean: f64, std_dev: f64) -> f64 {
    if std_dev <= 0.0 {
        return mean;
    }
    let z = mean / std_dev;
    let density = libm::exp(-z * z / 2.0) / (2.0 * std::f64::consts::PI).sqrt();
    mean * normal_cdf(z) + std_dev * density
}

fn sample_mean(values: &[SimDuration]) -> SimDuration {
    let sum: u128 = values.iter().map(|value| u128::from(value.ns())).sum();
    SimDuration::from_ns((sum / (values.len() as u128).max(1)) as u64)
}

/// By halving: rarely asked for, and the distribution function never falls.
fn gamma_quantile(shape: f64, q: f64) -> f64 {
    let (mut low, mut high) = (0.0, shape + 1.0);
    while gamma_cdf(shape, high) < q && high < 1e300 {
        high *= 2.0;
    }
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if gamma_cdf(shape, middle) < q {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests;
