//! What a search for a margin goes along: the load, the speed of all applications, or one value of
//! the input between two ends (`vs/ledger:spec.http[0].timeout=100ms..10s`).

use std::fmt;
use std::str::FromStr;

use crate::diagnostic::nearest;
use crate::manifest::ValuePath;

/// What changes from point to point.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Along {
    /// Rates of open loads and users of closed ones.
    #[default]
    Load,
    /// Service times of all applications.
    ServiceTime,
    /// One value.
    Value(ValueRange),
}

/// A value of the input between two ends.
#[derive(Clone, Debug, PartialEq)]
pub struct ValueRange {
    /// Which.
    pub path: ValuePath,
    /// The smaller end, in `unit`.
    pub low: f64,
    /// The greater end.
    pub high: f64,
    /// Behind the number: `ms`, `%`, `/s`, nothing.
    unit: String,
    /// Whole numbers only: both ends are written so.
    pub whole: bool,
}

const FORMS: &str =
    "`load`, `service-time`, or PATH=LOW..HIGH such as `vs/web:spec.http[0].timeout=100ms..10s`";
/// Units of time, in milliseconds.
const TIMES: [(&str, f64); 5] = [
    ("us", 1e-3),
    ("ms", 1.0),
    ("s", 1e3),
    ("m", 60e3),
    ("h", 3_600e3),
];

impl FromStr for Along {
    type Err = String;

    /// Reads a word or `PATH=LOW..HIGH`; the error is a sentence with a way out.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "load" => return Ok(Self::Load),
            "service-time" => return Ok(Self::ServiceTime),
            _ if !text.contains([':', '=']) => {
                let help = match nearest(text, ["load", "service-time"]) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("write {FORMS}"),
                };
                return Err(format!("`{text}` is nothing to go along; {help}"));
            }
            _ => {}
        }
        let (path, rest) = ValuePath::parse_prefix(text)?;
        let ends = rest
            .strip_prefix('=')
            .and_then(|ends| ends.split_once(".."));
        let Some((low, high)) = ends else {
            return Err(format!("`{text}` has no two ends; write {FORMS}"));
        };
        let range = ValueRange::between(path, low.trim(), high.trim());
        range
            .map(Self::Value)
            .map_err(|why| format!("`{text}`: {why}"))
    }
}

impl fmt::Display for Along {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load => f.write_str("load"),
            Self::ServiceTime => f.write_str("service time"),
            Self::Value(range) => f.write_str(&range.path.text),
        }
    }
}

impl ValueRange {
    fn between(path: ValuePath, low: &str, high: &str) -> Result<Self, String> {
        let whole = !low.contains('.') && !high.contains('.');
        let ((low, unit), (high, other)) = (number(low)?, number(high)?);
        let time = |unit: &str| TIMES.iter().find(|(name, _)| *name == unit);
        let (low, high, unit) = match (time(unit), time(other)) {
            (Some((_, a)), Some((_, b))) => (low * a, high * b, "ms"),
            _ if unit == other => (low, high, unit),
            _ => {
                return Err(format!(
                    "the ends have different units, `{unit}` and `{other}`"
                ));
            }
        };
        if low <= 0.0 || low >= high {
            return Err("the ends are above zero, and the smaller one comes first".to_owned());
        }
        Ok(Self {
            path,
            low,
            high,
            unit: unit.to_owned(),
            whole: unit.is_empty() && whole,
        })
    }

    /// The value nearest to a number that can be written with three digits.
    pub fn rounded(&self, value: f64) -> f64 {
        if self.whole {
            return value.round();
        }
        let mut unit: f64 = 1.0;
        while value / unit >= 1_000.0 {
            unit *= 10.0;
        }
        while value / unit < 100.0 {
            unit /= 10.0;
        }
        (value / unit).round() * unit
    }

    /// As it stands in YAML.
    pub fn text(&self, value: f64) -> String {
        let (value, unit) = match self.unit.as_str() {
            "ms" if value >= 1_000.0 => (value / 1_000.0, "s"),
            unit => (value, unit),
        };
        let digits = format!("{value:.9}");
        let digits = digits.trim_end_matches('0').trim_end_matches('.');
        format!("{digits}{unit}")
    }
}

/// A number and what stands behind it.
fn number(text: &str) -> Result<(f64, &str), String> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (digits, unit) = text.split_at(end.unwrap_or(text.len()));
    let value = digits.parse::<f64>();
    value
        .map(|value| (value, unit))
        .map_err(|_| format!("`{text}` is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> ValueRange {
        match text.parse::<Along>() {
            Ok(Along::Value(range)) => range,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn ends_have_units_and_values_three_digits() {
        let timeout = range("vs/web:spec.http[0].timeout=100ms..10s");
        assert_eq!((timeout.low, timeout.high), (100.0, 10_000.0));
        let middle = timeout.rounded((timeout.low * timeout.high).sqrt());
        assert_eq!(timeout.text(middle), "1s");
        assert_eq!(timeout.text(timeout.rounded(123.456)), "123ms");
        let limit = range("dr/web:spec.x=1..64");
        assert_eq!(limit.text(limit.rounded(8.4)), "8");
        let share = range("Scenario:spec.x=0.5%..40%");
        assert_eq!(share.text(share.rounded(4.472_13)), "4.47%");
    }

    #[test]
    fn what_is_no_range_is_refused_with_a_way_out() {
        for (text, part) in [
            ("loda", "did you mean `load`?"),
            ("vs/web:spec.x", "has no two ends"),
            ("vs/web:spec.x=5..1", "the smaller one comes first"),
            ("vs/web:spec.x=0..1", "above zero"),
            ("vs/web:spec.x=1s..5", "different units"),
            ("vs/web:spec.x=a..b", "`a` is no number"),
        ] {
            let why = text.parse::<Along>().expect_err(text);
            assert!(why.contains(part), "{text}: {why}");
        }
    }
}
