//! 95 % confidence intervals over replications (Student's t).
//!
//! Replications are independent runs, so a figure's values per replication are independent
//! and its mean carries the usual t interval. Values are rounded to nine significant digits:
//! the quantile function uses the platform's mathematics, whose last bit is not portable.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::record::Headline;

/// A mean with its half width at 95 %.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Mean over replications.
    pub mean: f64,
    /// The true mean lies within `mean` ± `half` with 95 % confidence.
    pub half: f64,
}

impl Interval {
    /// The interval of some values; `None` with fewer than two.
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.len() < 2 {
            return None;
        }
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares = values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>();
        let deviation = (squares / (n - 1.0)).sqrt();
        let t = StudentsT::new(0.0, 1.0, n - 1.0).ok()?.inverse_cdf(0.975);
        Some(Self {
            mean: nine_digits(mean),
            half: nine_digits(t * deviation / n.sqrt()),
        })
    }

    /// The interval of one headline figure.
    pub fn of_headline(values: &[Headline], figure: impl Fn(&Headline) -> f64) -> Option<Self> {
        Self::of(&values.iter().map(figure).collect::<Vec<_>>())
    }
}

fn nine_digits(x: f64) -> f64 {
    format!("{x:.8e}").parse().unwrap_or(x)
}

#[cfg(test)]
mod tests {
    use super::Interval;

    #[test]
    fn the_interval_is_students() {
        // t(0.975, 4) = 2.776445; deviation of 1..5 is 1.581139.
        let interval = Interval::of(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        assert!((interval.mean - 3.0).abs() < 1e-9);
        assert!((interval.half - 1.963_243_161).abs() < 1e-6, "{interval:?}");
    }

    #[test]
    fn one_value_has_none_and_equal_values_have_no_width() {
        assert_eq!(Interval::of(&[4.0]), None);
        assert!(Interval::of(&[4.0, 4.0]).unwrap().half.abs() < 1e-12);
    }
}
