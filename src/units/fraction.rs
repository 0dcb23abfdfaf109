//! A probability as a ratio, never a float in a decision.

use std::fmt;
use std::str::FromStr;

/// A fraction in parts per million, between 0 and 1.
///
/// Envoy compares `random % 1_000_000 < numerator`, and Istio always sends that denominator
/// (`pilot/pkg/networking/core/route/route.go`, translatePercentToFractionalPercent).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fraction(u32);

impl Fraction {
    /// Never.
    pub const ZERO: Self = Self(0);
    /// Always.
    pub const ONE: Self = Self(1_000_000);

    /// `ppm` parts per million, at most one.
    pub const fn from_ppm(ppm: u32) -> Self {
        Self(if ppm > 1_000_000 { 1_000_000 } else { ppm })
    }

    /// A percentage as Istio converts it: truncated to a whole number of millionths.
    pub fn from_percent(percent: f64) -> Self {
        Self::from_ppm((percent * 10_000.0) as u32)
    }

    /// Parts per million.
    pub const fn ppm(self) -> u32 {
        self.0
    }

    /// As a float between 0 and 1, for display.
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / 1e6
    }

    /// Envoy's test of a random number against the fraction.
    pub const fn hit(self, random: u64) -> bool {
        random % 1_000_000 < self.0 as u64
    }
}

impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:.4}", f64::from(self.0) / 1e4);
        write!(f, "{}%", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl FromStr for Fraction {
    type Err = String;

    /// Reads `0.1%` or a plain share such as `0.001`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a share; write for example `0.1%` or `0.001`");
        let trimmed = text.trim();
        let percent: f64 = match trimmed.strip_suffix('%') {
            Some(number) => number.trim().parse().map_err(|_| wrong())?,
            None => trimmed.parse::<f64>().map_err(|_| wrong())? * 100.0,
        };
        if !(0.0..=100.0).contains(&percent) {
            return Err(format!("`{text}` is not between 0% and 100%"));
        }
        // Rounded, unlike Istio's truncation: what people write in a Model is meant exactly.
        Ok(Self::from_ppm((percent * 10_000.0 + 0.5) as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn istio_truncates_percentages_to_millionths() {
        // 0.57 * 10000 is 5699.999… in binary (istio-config.md §2.5).
        assert_eq!(Fraction::from_percent(0.57).ppm(), 5699);
        assert_eq!(Fraction::from_percent(0.1).ppm(), 1000);
    }

    #[test]
    fn shares_are_read_in_both_notations() {
        assert_eq!("0.1%".parse::<Fraction>().unwrap().ppm(), 1000);
        assert_eq!("0.5".parse::<Fraction>().unwrap().to_string(), "50%");
        assert!("120%".parse::<Fraction>().is_err());
    }
}
