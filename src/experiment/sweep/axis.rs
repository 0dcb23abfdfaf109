//! One axis of a grid: what varies, and which values it takes.
//!
//! ```text
//! PATH=[10, 50, 100]        these values, each YAML
//! PATH=10..100 step 10      equal steps, both ends included when a step meets them
//! PATH=log(10..1000, 4)     so many values at equal ratios; between whole ends they are whole
//! ```
//!
//! Numbers may carry a unit: `5ms..50ms step 5ms`, `log(50/s..800/s, 5)`.

use std::collections::BTreeSet;

use crate::manifest::{Edit, ValuePath};

/// Most values of one axis.
const VALUES_MAX: usize = 100_000;

const FORMS: &str = "write `[10, 50, 100]`, `10..100 step 10` or `log(10..1000, 4)`";

/// What varies and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// As written: the path, `load` or `seed`.
    pub name: String,
    /// What it stands for.
    pub varied: Varied,
    /// Values in order, as YAML.
    pub values: Vec<String>,
}

/// What an axis varies.
#[derive(Clone, Debug, PartialEq)]
pub enum Varied {
    /// A factor on the rates of all open loads.
    Load,
    /// The seed.
    Seed,
    /// A value of the input.
    Path(ValuePath),
}

impl Axis {
    /// Reads `PATH=VALUES`; the error is a sentence with a way out.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (varied, values) = match text.split_once('=') {
            Some((name, values)) if name.trim() == "load" => (Varied::Load, values),
            Some((name, values)) if name.trim() == "seed" => (Varied::Seed, values),
            _ => {
                let (path, rest) = ValuePath::parse_prefix(text)?;
                let Some(values) = rest.strip_prefix('=') else {
                    return Err(format!("`{text}` has no values: {FORMS}"));
                };
                (Varied::Path(path), values)
            }
        };
        let name = match &varied {
            Varied::Load => "load".to_owned(),
            Varied::Seed => "seed".to_owned(),
            Varied::Path(path) => path.to_string(),
        };
        let values = values_of(values.trim()).map_err(|why| format!("`{text}`: {why}"))?;
        let axis = Self {
            name,
            varied,
            values,
        };
        axis.check()?;
        Ok(axis)
    }

    fn check(&self) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        for value in &self.values {
            if !seen.insert(value) {
                return Err(format!("`{}` has the value `{value}` twice", self.name));
            }
            match &self.varied {
                Varied::Load => drop(factor(value)?),
                Varied::Seed => {
                    let seed = value.parse::<u64>();
                    seed.map_err(|_| format!("`{value}` is no seed; write a whole number"))?;
                }
                Varied::Path(path) => drop(Edit::new(path, value)?),
            }
        }
        Ok(())
    }
}

/// A factor on loads: more than zero.
pub fn factor(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if factor > 0.0 && factor.is_finite() => Ok(factor),
        _ => Err(format!(
            "`{text}` is no factor for loads; write a number above 0, such as `1.5`"
        )),
    }
}

fn values_of(text: &str) -> Result<Vec<String>, String> {
    let values = if let Some(list) = text.strip_prefix('[') {
        items(
            list.strip_suffix(']')
                .ok_or("the list is not closed by `]`")?,
        )?
    } else if let Some(inside) = text.strip_prefix("log(").and_then(|t| t.strip_suffix(')')) {
        logarithmic(inside)?
    } else if text.contains("..") {
        steps(text)?
    } else {
        return Err(format!("these are no values: {FORMS}"));
    };
    if values.is_empty() {
        return Err("there is no value in it".to_owned());
    }
    Ok(values)
}

/// Items of a flow list, each as it was written.
fn items(text: &str) -> Result<Vec<String>, String> {
    let (mut items, mut item) = (Vec::new(), String::new());
    let (mut depth, mut quote) = (0_u32, None);
    for c in text.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') => depth = depth.checked_sub(1).ok_or("a bracket is closed twice")?,
            (None, ',') if depth == 0 => {
                items.push(std::mem::take(&mut item));
                continue;
            }
            _ => {}
        }
        item.push(c);
    }
    if !item.trim().is_empty() {
        items.push(item);
    }
    let items: Vec<String> = items.iter().map(|item| item.trim().to_owned()).collect();
    if items.iter().any(String::is_empty) {
        return Err("a value is missing between two commas".to_owned());
    }
    if items.len() > VALUES_MAX {
        return Err(format!("more than {VALUES_MAX} values"));
    }
    Ok(items)
}

/// A number, its digits behind the point, and the unit behind it.
struct Quantity<'t> {
    number: f64,
    decimals: usize,
    unit: &'t str,
}

fn quantity(text: &str) -> Result<Quantity<'_>, String> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-')));
    let (digits, unit) = text.split_at(end.unwrap_or(text.len()));
    let number = digits.parse::<f64>().ok().filter(|n| n.abs() < 1e15);
    let number = number.ok_or_else(|| format!("`{text}` is no number: {FORMS}"))?;
    Ok(Quantity {
        number,
        decimals: digits.split_once('.').map_or(0, |(_, d)| d.len()).min(9),
        unit,
    })
}

/// `FROM..TO`, both with the same unit.
fn ends(text: &str) -> Result<(Quantity<'_>, Quantity<'_>), String> {
    let (from, to) = text
        .split_once("..")
        .ok_or_else(|| format!("`{text}` is no range: {FORMS}"))?;
    let (from, to) = (quantity(from)?, quantity(to)?);
    if from.unit != to.unit {
        return Err("both ends of a range have the same unit".to_owned());
    }
    if from.number >= to.number {
        return Err("a range goes from the lower end to the higher one".to_owned());
    }
    Ok((from, to))
}

fn steps(text: &str) -> Result<Vec<String>, String> {
    let (range, step) = text
        .split_once("step")
        .ok_or_else(|| format!("the range has no step: {FORMS}"))?;
    let (from, to) = ends(range)?;
    let step = quantity(step)?;
    if !(step.number > 0.0 && (step.unit == from.unit || step.unit.is_empty())) {
        return Err("a step is above zero and has the unit of its range".to_owned());
    }
    // Counted in the last digit that is written, so that 0.1 + 0.2 is 0.3.
    let decimals = from.decimals.max(step.decimals).max(to.decimals);
    let scale = (0..decimals).fold(1.0, |scale, _| scale * 10.0);
    let whole = |x: f64| (x * scale).round() as i64;
    let (from_n, to_n, step_n) = (
        whole(from.number),
        whole(to.number),
        whole(step.number).max(1),
    );
    let count = (to_n - from_n) / step_n + 1;
    if count as usize > VALUES_MAX {
        return Err(format!("more than {VALUES_MAX} values"));
    }
    let value = |k: i64| {
        let number = (from_n + k * step_n) as f64 / scale;
        format!("{number}{}", from.unit)
    };
    Ok((0..count).map(value).collect())
}

fn logarithmic(text: &str) -> Result<Vec<String>, String> {
    let (range, count) = text
        .rsplit_once(',')
        .ok_or_else(|| format!("how many values? {FORMS}"))?;
    let (from, to) = ends(range)?;
    let count = count
        .trim()
        .parse::<u32>()
        .ok()
        .filter(|n| (2..=1000).contains(n));
    let count = count.ok_or("the number of values is between 2 and 1000")?;
    if from.number <= 0.0 {
        return Err("a logarithmic range begins above zero".to_owned());
    }
    let is_whole = from.decimals == 0 && to.decimals == 0;
    let ratio = libm::log(to.number / from.number) / f64::from(count - 1);
    let mut values: Vec<String> = Vec::new();
    for k in 0..count {
        let exact = match k {
            0 => from.number,
            k if k == count - 1 => to.number,
            k => from.number * libm::exp(ratio * f64::from(k)),
        };
        let number = if is_whole {
            exact.round()
        } else {
            three_digits(exact)
        };
        let value = format!("{number}{}", from.unit);
        // Whole numbers close to each other may fall together.
        if values.last() != Some(&value) {
            values.push(value);
        }
    }
    Ok(values)
}

fn three_digits(x: f64) -> f64 {
    format!("{x:.2e}").parse().unwrap_or(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_values_is_read() {
        let rows: [(&str, &[&str]); 9] = [
            ("[10, 50,100]", &["10", "50", "100"]),
            (
                "[{a: [1, 2]}, 'x, y', null]",
                &["{a: [1, 2]}", "'x, y'", "null"],
            ),
            ("10..50 step 20", &["10", "30", "50"]),
            ("10..49 step 20", &["10", "30"]),
            ("5ms..15ms step 5ms", &["5ms", "10ms", "15ms"]),
            ("0.1..0.4 step 0.1", &["0.1", "0.2", "0.3", "0.4"]),
            ("log(10..1000, 3)", &["10", "100", "1000"]),
            ("log(1..4, 6)", &["1", "2", "3", "4"]),
            ("log(0.5%..2.0%, 3)", &["0.5%", "1%", "2%"]),
        ];
        for (text, expected) in rows {
            let axis = Axis::parse(&format!("dr/a:x[v1].y={text}"));
            assert_eq!(axis.unwrap().values, expected, "{text}");
        }
    }

    #[test]
    fn load_and_seed_are_axes_of_their_own() {
        assert_eq!(Axis::parse("load=[0.5, 1]").unwrap().varied, Varied::Load);
        assert_eq!(
            Axis::parse("seed=1..3 step 1").unwrap().values,
            ["1", "2", "3"]
        );
        for wrong in ["load=[0]", "load=[x]", "seed=[-1]", "seed=[a]"] {
            assert!(Axis::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_are_no_values_is_refused() {
        for text in [
            "",
            "=",
            "=5",
            "=[]",
            "=[1",
            "=[1,,2]",
            "=[1, 1]",
            "=1..2",
            "=2..1 step 1",
            "=1ms..2s step 1ms",
            "=1..2 step 0",
            "=log(0..2, 3)",
            "=log(1..2, 1)",
            "=log(1..2)",
            "=a..b step c",
            "=1..999999999 step 1",
            "=[{a]",
            "=[}]",
        ] {
            let text = format!("dr/a:x{text}");
            assert!(Axis::parse(&text).is_err(), "{text}");
        }
    }
}
