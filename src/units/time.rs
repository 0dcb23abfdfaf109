//! Virtual time: an instant and a length, both whole nanoseconds.
//!
//! `u64` nanoseconds reach 584 years, compare exactly and print the same
//! everywhere; seconds as floats would make rounding depend on history.

use std::fmt;
use std::str::FromStr;

/// Virtual time since the run began, in whole nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SimTime(u64);

/// A length of virtual time in whole nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SimDuration(u64);

impl SimTime {
    /// The moment a run begins.
    pub const ZERO: Self = Self(0);
    /// Later than anything that is scheduled.
    pub const MAX: Self = Self(u64::MAX);

    /// The instant `ns` nanoseconds after the start.
    pub const fn from_ns(ns: u64) -> Self {
        Self(ns)
    }

    /// Nanoseconds since the start.
    pub const fn ns(self) -> u64 {
        self.0
    }

    /// Seconds since the start, for display and rates.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// This instant plus `delay`; stays at [`SimTime::MAX`] when the sum does not fit.
    #[must_use]
    pub const fn after(self, delay: SimDuration) -> Self {
        Self(self.0.saturating_add(delay.0))
    }

    /// Time that passed since `earlier`; zero when `earlier` is later.
    pub const fn since(self, earlier: Self) -> SimDuration {
        SimDuration(self.0.saturating_sub(earlier.0))
    }
}

impl SimDuration {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// Longer than any run.
    pub const MAX: Self = Self(u64::MAX);

    /// `ns` nanoseconds.
    pub const fn from_ns(ns: u64) -> Self {
        Self(ns)
    }

    /// `us` microseconds.
    pub const fn from_us(us: u64) -> Self {
        Self(us.saturating_mul(1_000))
    }

    /// `ms` milliseconds.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms.saturating_mul(1_000_000))
    }

    /// `s` seconds.
    pub const fn from_secs(s: u64) -> Self {
        Self(s.saturating_mul(1_000_000_000))
    }

    /// `s` seconds, rounded to the nearest nanosecond; negative and NaN become zero.
    pub fn from_secs_f64(s: f64) -> Self {
        // `as` saturates and maps NaN to 0, which is what is wanted here.
        Self((s * 1e9 + 0.5) as u64)
    }

    /// Whole nanoseconds.
    pub const fn ns(self) -> u64 {
        self.0
    }

    /// Milliseconds with fraction, for display.
    pub fn as_millis_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// Seconds with fraction, for display and rates.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// True for a length of zero, which in Envoy's configuration mostly means *off*.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Sum, staying at [`SimDuration::MAX`] when it does not fit.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Product with a count, staying at [`SimDuration::MAX`] when it does not fit.
    #[must_use]
    pub const fn times(self, n: u64) -> Self {
        Self(self.0.saturating_mul(n))
    }
}

/// Text that is not a length of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DurationError {
    /// What was written.
    pub text: String,
    /// Why it cannot be read.
    pub reason: &'static str,
}

impl fmt::Display for DurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a duration: {}", self.text, self.reason)
    }
}

impl std::error::Error for DurationError {}

/// Largest length that is accepted from people: about 31 years.
const SECS_MAX: f64 = 1e9;

impl FromStr for SimDuration {
    type Err = DurationError;

    /// Reads Go's notation, which Kubernetes and Istio use: `250ms`, `1.5s`, `1h30m`, `0.25ms`.
    /// A bare number is refused (except `0`), because seconds and milliseconds are both plausible.
    fn from_str(text: &str) -> Result<Self, DurationError> {
        let fail = |reason| DurationError {
            text: text.to_owned(),
            reason,
        };
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(fail("it is empty; write for example `250ms`"));
        }
        if rest == "0" {
            return Ok(Self::ZERO);
        }
        if rest.starts_with('-') {
            return Err(fail("it is negative"));
        }
        let mut total = 0.0_f64;
        while !rest.is_empty() {
            let digits = rest.len()
                - rest
                    .trim_start_matches(|c: char| c.is_ascii_digit() || c == '.')
                    .len();
            let (number, tail) = rest.split_at(digits);
            let value: f64 = number
                .parse()
                .map_err(|_| fail("a number is missing; write for example `250ms`"))?;
            let unit_len = tail.len() - tail.trim_start_matches(|c: char| c.is_alphabetic()).len();
            let (unit, next) = tail.split_at(unit_len);
            let scale = match unit {
                "ns" => 1e-9,
                "us" | "µs" | "μs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                "d" => 86400.0,
                "" => return Err(fail("the unit is missing; use ns, us, ms, s, m or h")),
                _ => return Err(fail("the unit is unknown; use ns, us, ms, s, m or h")),
            };
            total += value * scale;
            rest = next;
        }
        if total > SECS_MAX {
            return Err(fail("it is longer than 30 years"));
        }
        Ok(Self::from_secs_f64(total))
    }
}

impl fmt::Display for SimDuration {
    /// Shortest exact-looking form: `250ms`, `1.5s`, `2m30s`, `850us`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = self.0;
        let (value, unit) = match ns {
            0 => return f.write_str("0s"),
            1..1_000 => (ns as f64, "ns"),
            1_000..1_000_000 => (ns as f64 / 1e3, "us"),
            1_000_000..1_000_000_000 => (ns as f64 / 1e6, "ms"),
            1_000_000_000..60_000_000_000 => (ns as f64 / 1e9, "s"),
            _ => {
                let s = ns / 1_000_000_000;
                let (h, m, s) = (s / 3600, s / 60 % 60, s % 60);
                if h > 0 {
                    write!(f, "{h}h")?;
                }
                if m > 0 {
                    write!(f, "{m}m")?;
                }
                if s > 0 {
                    write!(f, "{s}s")?;
                }
                return Ok(());
            }
        };
        let text = format!("{value:.3}");
        write!(
            f,
            "{}{unit}",
            text.trim_end_matches('0').trim_end_matches('.')
        )
    }
}

impl fmt::Display for SimTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SimDuration(self.0).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, ns: u64, shown: &str) {
        let read: SimDuration = text.parse().unwrap();
        assert_eq!(read.ns(), ns, "{text}");
        assert_eq!(read.to_string(), shown, "{text}");
    }

    #[test]
    fn go_durations_are_read_and_shown() {
        check("250ms", 250_000_000, "250ms");
        check("0.25ms", 250_000, "250us");
        check("1.5s", 1_500_000_000, "1.5s");
        check("1h30m", 5_400_000_000_000, "1h30m");
        check("0", 0, "0s");
        check("7s", 7_000_000_000, "7s");
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        for (text, part) in [
            ("", "empty"),
            ("5", "unit is missing"),
            ("-1s", "negative"),
            ("3 parsecs", "unit"),
            ("1e9h", "unit"),
        ] {
            let error = text.parse::<SimDuration>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
