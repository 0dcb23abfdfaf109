//! Distributions as people write them: `12ms`, or a mapping with the distribution's name.

use super::reader::Report;
use crate::engine::Distribution;
use crate::manifest::{Node, Value};
use crate::units::SimDuration;

/// Names of distributions; exactly one is the key.
pub(super) const NAMES: &[&str] = &[
    "constant",
    "uniform",
    "exponential",
    "normal",
    "lognormal",
    "gamma",
    "erlang",
    "weibull",
    "pareto",
    "empirical",
];

/// Longest work, latency or pause that is taken seriously.
pub(super) const LENGTH_MAX: SimDuration = SimDuration::from_secs(86_400);

/// Longest CSV column that is read.
const EMPIRICAL_MAX: usize = 10_000_000;

const EXAMPLE: &str = "write a length such as `12ms`, or one of constant, uniform, exponential, normal, lognormal, gamma, erlang, weibull, pareto, empirical, for example `{lognormal: {median: 12ms, p99: 80ms}}`";

/// Gives the text of a file beside the document.
pub type Files<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// Reads a distribution; `None` when something is wrong, which is reported.
pub(super) fn distribution(
    report: &mut Report,
    node: &Node,
    files: Files<'_>,
) -> Option<Distribution> {
    let read = match &node.value {
        Value::Mapping(mapping) if mapping.entries.len() == 1 => {
            report.fields(node, "a distribution", NAMES);
            let (key, body) = &mapping.entries[0];
            named(report, &key.text, body, files)?
        }
        Value::Mapping(_) | Value::Sequence(_) | Value::Null | Value::Bool(_) => {
            let what = "a distribution has exactly one name".to_owned();
            report.error("TT-DISTRIBUTION", node, what, EXAMPLE);
            return None;
        }
        _ => Distribution::Constant(report.duration(node, LENGTH_MAX)?),
    };
    if let Err(why) = read.check() {
        report.error("TT-DISTRIBUTION", node, why, "");
        return None;
    }
    Some(read)
}

fn named(report: &mut Report, name: &str, body: &Node, files: Files<'_>) -> Option<Distribution> {
    Some(match name {
        "constant" => Distribution::Constant(report.duration(body, LENGTH_MAX)?),
        "exponential" if body.entries().is_empty() => Distribution::Exponential {
            mean: report.duration(body, LENGTH_MAX)?,
        },
        "empirical" => return empirical(report, body, files),
        "lognormal" => return lognormal(report, body),
        _ => return by_parameters(report, name, body),
    })
}

fn by_parameters(report: &mut Report, name: &str, body: &Node) -> Option<Distribution> {
    let known: &'static [&'static str] = match name {
        "uniform" => &["min", "max"],
        "exponential" => &["mean"],
        "normal" => &["mean", "stdDev"],
        "gamma" => &["mean", "shape"],
        "erlang" => &["mean", "k"],
        "weibull" => &["scale", "shape"],
        "pareto" => &["minimum", "alpha"],
        _ => return None, // reported as an unknown field
    };
    let fields = report.fields(body, name, known);
    let mut parameters = Vec::new();
    for field in known {
        parameters.extend(fields.need(report, field, EXAMPLE));
    }
    if parameters.len() < known.len() {
        return None;
    }
    let first = report.duration(parameters[0], LENGTH_MAX);
    let second = *parameters.last()?;
    Some(match name {
        "uniform" => {
            let max = report.duration(second, LENGTH_MAX);
            Distribution::Uniform {
                min: first?,
                max: max?,
            }
        }
        "exponential" => Distribution::Exponential { mean: first? },
        "normal" => {
            let std_dev = report.duration(second, LENGTH_MAX);
            Distribution::Normal {
                mean: first?,
                std_dev: std_dev?,
            }
        }
        "erlang" => {
            let k = report.count32(second, 1, 1_000_000);
            Distribution::erlang(k?, first?)
        }
        _ => {
            let number = report.number(second);
            let (length, number) = (first?, number?);
            match name {
                "gamma" => Distribution::Gamma {
                    shape: number,
                    mean: length,
                },
                "weibull" => Distribution::Weibull {
                    shape: number,
                    scale: length,
                },
                _ => Distribution::Pareto {
                    alpha: number,
                    minimum: length,
                },
            }
        }
    })
}

fn lognormal(report: &mut Report, body: &Node) -> Option<Distribution> {
    let fields = report.fields(body, "lognormal", &["median", "p99", "sigma"]);
    let median = fields.need(report, "median", EXAMPLE)?;
    let length = report.duration(median, LENGTH_MAX);
    match (fields.get("p99"), fields.get("sigma")) {
        (Some(p99), None) => {
            let p99_length = report.duration(p99, LENGTH_MAX);
            match Distribution::lognormal_from_p99(length?, p99_length?) {
                Ok(distribution) => Some(distribution),
                Err(why) => {
                    report.error("TT-DISTRIBUTION", p99, why, "");
                    None
                }
            }
        }
        (None, Some(sigma)) => {
            let sigma = report.number(sigma);
            Some(Distribution::Lognormal {
                median: length?,
                sigma: sigma?,
            })
        }
        _ => {
            let what = "lognormal needs `median` and either `p99` or `sigma`".to_owned();
            report.error("TT-DISTRIBUTION", body, what, EXAMPLE);
            None
        }
    }
}

fn empirical(report: &mut Report, body: &Node, files: Files<'_>) -> Option<Distribution> {
    if let Value::Sequence(items) = &body.value {
        let read: Vec<Option<SimDuration>> = items
            .iter()
            .map(|item| report.duration(item, LENGTH_MAX))
            .collect();
        let values: Option<Vec<SimDuration>> = read.into_iter().collect();
        return values.map(Distribution::empirical);
    }
    let fields = report.fields(body, "empirical", &["file", "column", "unit"]);
    let (Some(file), Some(column)) = (fields.get("file"), fields.get("column")) else {
        let help =
            "write `{empirical: {file: latencies.csv, column: ms, unit: ms}}` or a list of lengths";
        report.missing(body, "file` and `column", help);
        return None;
    };
    let units: &[(&str, f64)] = &[("ns", 1.0), ("us", 1e3), ("ms", 1e6), ("s", 1e9)];
    let unit = match fields.get("unit") {
        Some(node) => report.word(node, units)?,
        None => 1e6,
    };
    let (path, column) = (report.text(file)?, report.text(column)?);
    let values = files(&path)
        .map_err(|why| format!("`{path}` cannot be read: {why}"))
        .and_then(|text| {
            column_values(&text, &column, unit).map_err(|why| format!("`{path}`: {why}"))
        });
    match values {
        Ok(values) => Some(Distribution::empirical(values)),
        Err(why) => {
            let help = "a CSV file has a header line and a number in each row; its path starts at the folder of this document";
            report.error("TT-CSV", file, why, help);
            None
        }
    }
}

/// The numbers of one column of a CSV file with a header line.
fn column_values(text: &str, column: &str, unit_ns: f64) -> Result<Vec<SimDuration>, String> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .flexible(true)
        .from_reader(text.as_bytes());
    let header = reader.headers().map_err(|why| why.to_string())?;
    let Some(at) = header.iter().position(|name| name == column) else {
        if header.is_empty() {
            return Err("it is empty".to_owned());
        }
        let known: Vec<&str> = header.iter().take(20).collect();
        return Err(format!(
            "there is no column `{column}`; it has {}",
            known.join(", ")
        ));
    };
    let mut values = Vec::new();
    for (row, record) in reader.records().enumerate() {
        let record = record.map_err(|why| format!("row {}: {why}", row + 1))?;
        let line = || line_of(text, record.position());
        let Some(cell) = record.get(at).filter(|cell| !cell.is_empty()) else {
            continue;
        };
        let number: f64 = cell
            .parse()
            .map_err(|_| format!("line {}: `{cell}` is not a number", line()))?;
        let ns = number * unit_ns;
        if !(0.0..=LENGTH_MAX.ns() as f64).contains(&ns) {
            return Err(format!(
                "line {}: {cell} is not between 0 and {LENGTH_MAX}",
                line()
            ));
        }
        if values.len() == EMPIRICAL_MAX {
            return Err(format!("it has more than {EMPIRICAL_MAX} values"));
        }
        values.push(SimDuration::from_ns((ns + 0.5) as u64));
    }
    if values.is_empty() {
        return Err(format!("column `{column}` has no values"));
    }
    Ok(values)
}

/// Line of a record; the reader's own position is before the blank lines it skips.
pub(super) fn line_of(text: &str, position: Option<&csv::Position>) -> usize {
    let start = position.map_or(0, |p| p.byte() as usize).min(text.len());
    let (before, after) = text.as_bytes().split_at(start);
    let blank = after.iter().take_while(|b| matches!(b, b'\n' | b'\r'));
    let breaks = before.iter().chain(blank).filter(|b| **b == b'\n');
    1 + breaks.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_of_a_csv_file_is_read_in_its_unit() {
        let text = "at,ms\n1,0.5\n2, 12\n3,\n";
        let values = column_values(text, "ms", 1e6).unwrap();
        assert_eq!(
            values,
            [SimDuration::from_us(500), SimDuration::from_ms(12)]
        );
        assert!(
            column_values(text, "us", 1.0)
                .unwrap_err()
                .contains("at, ms")
        );
        let broken = column_values("ms\n1\n\nfast\n", "ms", 1e6).unwrap_err();
        assert!(broken.contains("line 4"), "{broken}");
        assert!(column_values("ms\n-1\n", "ms", 1e6).is_err());
    }
}
