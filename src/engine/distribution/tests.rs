//! What is drawn has the mean and the quantiles that are promised.

use super::*;
use crate::engine::rng::Draws;

const COUNT: u32 = 200_000;

const fn ms(ms: u64) -> SimDuration {
    SimDuration::from_ms(ms)
}

/// One of each kind, with every way of drawing.
fn all() -> Vec<Distribution> {
    vec![
        Distribution::Constant(ms(5)),
        Distribution::Uniform {
            min: ms(2),
            max: ms(10),
        },
        Distribution::Exponential { mean: ms(3) },
        Distribution::Normal {
            mean: ms(20),
            std_dev: ms(4),
        },
        Distribution::Normal {
            mean: ms(2),
            std_dev: ms(4),
        },
        Distribution::Lognormal {
            median: ms(2),
            sigma: 0.5,
        },
        Distribution::Lognormal {
            median: ms(12),
            sigma: 0.0,
        },
        Distribution::erlang(4, ms(8)),
        Distribution::Gamma {
            shape: 2.5,
            mean: ms(10),
        },
        Distribution::Gamma {
            shape: 0.4,
            mean: ms(10),
        },
        Distribution::Gamma {
            shape: 40.0,
            mean: ms(10),
        },
        Distribution::Weibull {
            shape: 0.8,
            scale: ms(4),
        },
        Distribution::Weibull {
            shape: 3.0,
            scale: ms(4),
        },
        Distribution::Pareto {
            alpha: 3.5,
            minimum: ms(1),
        },
        Distribution::empirical([9, 1, 4, 4, 30].map(ms).to_vec()),
    ]
}

fn sorted_sample(distribution: &Distribution, key: u64) -> Vec<SimDuration> {
    let sampler = distribution.sampler();
    let mut draws = Draws::keyed(key);
    let mut values: Vec<_> = (0..COUNT).map(|_| sampler.sample(&mut draws)).collect();
    values.sort_unstable();
    values
}

fn square(value: f64) -> f64 {
    value * value
}

/// Share of the values below and up to `bound`.
fn shares(values: &[SimDuration], bound: SimDuration) -> (f64, f64) {
    let below = values.partition_point(|value| *value < bound) as f64;
    let up_to = values.partition_point(|value| *value <= bound) as f64;
    (below / values.len() as f64, up_to / values.len() as f64)
}

#[test]
fn means_are_met_within_five_standard_errors() {
    for (key, distribution) in (0..).zip(all()) {
        let values = sorted_sample(&distribution, key);
        let count = values.len() as f64;
        let mean = values.iter().map(|v| v.ns() as f64).sum::<f64>() / count;
        let variance = values
            .iter()
            .map(|v| square(v.ns() as f64 - mean))
            .sum::<f64>()
            / count;
        let expected = distribution.mean().unwrap().ns() as f64;
        let allowed = 5.0 * (variance / count).sqrt() + 1.0;
        assert!(
            (mean - expected).abs() < allowed,
            "{distribution}: {mean}, not {expected}"
        );
    }
}

#[test]
fn variances_are_met() {
    let check = |distribution: Distribution, expected_ms: f64| {
        let values = sorted_sample(&distribution, 99);
        let mean = distribution.mean().unwrap().as_millis_f64();
        let squares = values.iter().map(|v| square(v.as_millis_f64() - mean));
        let variance = squares.sum::<f64>() / values.len() as f64;
        assert!(
            (variance / expected_ms - 1.0).abs() < 0.03,
            "{distribution}: {variance}"
        );
    };
    check(
        Distribution::Uniform {
            min: ms(2),
            max: ms(10),
        },
        64.0 / 12.0,
    );
    check(Distribution::Exponential { mean: ms(3) }, 9.0);
    check(
        Distribution::Normal {
            mean: ms(40),
            std_dev: ms(4),
        },
        16.0,
    );
    check(Distribution::erlang(4, ms(8)), 16.0);
    check(
        Distribution::Gamma {
            shape: 2.5,
            mean: ms(10),
        },
        40.0,
    );
    check(
        Distribution::Gamma {
            shape: 0.4,
            mean: ms(10),
        },
        250.0,
    );
    let e = libm::exp(0.25);
    check(
        Distribution::Lognormal {
            median: ms(2),
            sigma: 0.5,
        },
        4.0 * e * (e - 1.0),
    );
}

#[test]
fn quantiles_are_met_out_to_the_last_tail() {
    for (key, distribution) in (0..).zip(all()) {
        let values = sorted_sample(&distribution, key + 100);
        for q in [
            0.000_1, 0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 0.999_9,
        ] {
            let (below, up_to) = shares(&values, distribution.quantile(q));
            let allowed = 5.0 * (q * (1.0 - q) / f64::from(COUNT)).sqrt() + 1e-9;
            assert!(
                below - allowed <= q && q <= up_to + allowed,
                "{distribution}: {below} to {up_to} lie below the {q} quantile"
            );
        }
    }
}

#[test]
fn the_same_luck_is_slower_under_a_slower_distribution() {
    let pairs = [
        (
            Distribution::Exponential { mean: ms(3) },
            Distribution::Exponential { mean: ms(4) },
        ),
        (
            Distribution::Lognormal {
                median: ms(2),
                sigma: 0.5,
            },
            Distribution::Lognormal {
                median: ms(3),
                sigma: 0.5,
            },
        ),
    ];
    for (fast, slow) in pairs {
        let (fast, slow) = (fast.sampler(), slow.sampler());
        for key in 0..10_000 {
            let (mut luck, mut same_luck) = (Draws::keyed(key), Draws::keyed(key));
            assert!(fast.sample(&mut luck) <= slow.sample(&mut same_luck));
            assert_eq!(luck, same_luck, "both take one draw");
        }
    }
}

#[test]
fn drawn_lengths_grow_with_the_draw() {
    for distribution in all() {
        if matches!(distribution, Distribution::Gamma { .. }) {
            continue;
        }
        let sampler = distribution.sampler();
        let mut pairs: Vec<(u64, SimDuration)> = (0..20_000)
            .map(|key| {
                let mut luck = Draws::keyed(key);
                let length = sampler.sample(&mut luck.clone());
                // Samplers look at the leading 53 bits at most, or at all of them.
                (luck.next_u64() >> 11 | 1, length)
            })
            .collect();
        pairs.sort_unstable();
        assert!(pairs.is_sorted_by_key(|pair| pair.1), "{distribution}");
    }
}

#[test]
fn a_lognormal_is_given_by_its_99th_percentile() {
    let distribution = Distribution::lognormal_from_p99(ms(12), ms(80)).unwrap();
    assert_eq!(distribution.to_string(), "lognormal(median 12ms, p99 80ms)");
    assert_eq!(distribution.quantile(0.99), ms(80));
    assert_eq!(distribution.quantile(0.5), ms(12));
    let values = sorted_sample(&distribution, 5);
    let (below, _) = shares(&values, ms(80));
    assert!((below - 0.99).abs() < 0.001, "{below}");
    assert!(Distribution::lognormal_from_p99(ms(12), ms(11)).is_err());
    assert!(Distribution::lognormal_from_p99(SimDuration::ZERO, ms(11)).is_err());
}

#[test]
fn absurd_parameters_are_refused_in_words_and_never_panic() {
    let absurd = [
        (
            Distribution::Uniform {
                min: ms(2),
                max: ms(1),
            },
            "more than max",
        ),
        (
            Distribution::Exponential {
                mean: SimDuration::ZERO,
            },
            "mean",
        ),
        (
            Distribution::Lognormal {
                median: ms(1),
                sigma: f64::NAN,
            },
            "sigma",
        ),
        (
            Distribution::Lognormal {
                median: ms(1),
                sigma: -1.0,
            },
            "sigma",
        ),
        (
            Distribution::Gamma {
                shape: 0.0,
                mean: ms(1),
            },
            "shape",
        ),
        (
            Distribution::Gamma {
                shape: f64::NAN,
                mean: ms(1),
            },
            "shape",
        ),
        (
            Distribution::Weibull {
                shape: f64::INFINITY,
                scale: ms(1),
            },
            "shape",
        ),
        (
            Distribution::Pareto {
                alpha: -2.0,
                minimum: ms(1),
            },
            "alpha",
        ),
        (Distribution::Empirical([].into()), "at least one"),
        (Distribution::Empirical([ms(2), ms(1)].into()), "ascend"),
    ];
    for (distribution, part) in absurd {
        let reason = distribution.check().unwrap_err();
        assert!(reason.contains(part), "{distribution}: {reason}");
        let _ = distribution.sampler().sample(&mut Draws::keyed(1));
        let _ = (distribution.mean(), distribution.quantile(0.9));
    }
    for distribution in all() {
        assert_eq!(distribution.check(), Ok(()), "{distribution}");
    }
    let widest = Distribution::Uniform {
        min: SimDuration::ZERO,
        max: SimDuration::MAX,
    };
    let _ = widest.sampler().sample(&mut Draws::keyed(1));
}

#[test]
fn an_infinite_mean_is_none() {
    assert_eq!(
        Distribution::Pareto {
            alpha: 1.0,
            minimum: ms(1)
        }
        .mean(),
        None
    );
    let heavy = Distribution::Pareto {
        alpha: 2.0,
        minimum: ms(1),
    };
    assert_eq!(heavy.mean(), Some(ms(2)));
}

#[test]
fn draws_are_the_same_on_every_machine() {
    let seen: Vec<[u64; 2]> = all()
        .iter()
        .map(|distribution| {
            let sampler = distribution.sampler();
            let mut draws = Draws::of(2026, 7);
            [
                sampler.sample(&mut draws).ns(),
                sampler.sample(&mut draws).ns(),
            ]
        })
        .collect();
    let golden = [
        [5_000_000, 5_000_000],
        [2_716_209, 3_043_873],
        [281_370, 419_456],
        [14_625_285, 15_503_579],
        [0, 0],
        [1_021_536, 1_140_076],
        [12_000_000, 12_000_000],
        [9_071_933, 6_657_567],
        [2_918_430, 9_360_084],
        [4_742_469, 29_895_300],
        [7_947_884, 14_176_953],
        [207_614, 341_993],
        [1_817_380, 2_076_101],
        [1_027_159, 1_040_757],
        [1_000_000, 1_000_000],
    ];
    assert_eq!(seen, golden);
}
