//! Requests per second.

use std::fmt;
use std::str::FromStr;

/// A rate in events per second, kept in thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate {
    per_1000_s: u64,
}

impl Rate {
    /// `rps` events per second, rounded to thousandths.
    pub fn per_second(rps: f64) -> Self {
        Self {
            per_1000_s: (rps * 1000.0 + 0.5) as u64,
        }
    }

    /// Events per second, for display and for sampling gaps.
    pub fn as_f64(self) -> f64 {
        self.per_1000_s as f64 / 1000.0
    }

    /// No events at all.
    pub const fn is_zero(self) -> bool {
        self.per_1000_s == 0
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", self.as_f64())
    }
}

impl FromStr for Rate {
    type Err = String;

    /// Reads `200/s`, `12000/m`, `3600/h` or a bare number per second.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("`{text}` is not a rate: {why}; write for example `200/s`");
        let (number, per) = match text.trim().split_once('/') {
            Some((number, unit)) => {
                let per = match unit.trim() {
                    "s" | "sec" | "second" => 1.0,
                    "m" | "min" | "minute" => 60.0,
                    "h" | "hour" => 3600.0,
                    _ => return Err(wrong("the unit must be /s, /m or /h")),
                };
                (number, per)
            }
            None => (text.trim(), 1.0),
        };
        let value: f64 = number
            .trim()
            .parse()
            .map_err(|_| wrong("the number cannot be read"))?;
        if !value.is_finite() || value < 0.0 {
            return Err(wrong("it must be zero or more"));
        }
        if value / per > 1e9 {
            return Err(wrong("it is more than a thousand million per second"));
        }
        Ok(Self::per_second(value / per))
    }
}
