//! `profile` of a load: stages, a day, a file, spikes.

use super::lengths::{Files, line_of};
use super::limits::DURATION_MAX;
use super::profile::{Course, Profile, ProfileShape, Spike, Stage};
use super::reader::{Fields, Report};
use crate::manifest::Node;
use crate::units::{Fraction, Rate, SimDuration};

pub(super) const PROFILE_FIELDS: &[&str] = &["stages", "daily", "csv", "spikes"];
pub(super) const STAGE_FIELDS: &[&str] = &["duration", "target", "rate"];
pub(super) const DAILY_FIELDS: &[&str] = &["amplitude", "period", "peakAt"];
pub(super) const SPIKE_FIELDS: &[&str] = &["at", "duration", "factor"];
pub(super) const RATES_FIELDS: &[&str] = &["file", "time", "rate", "unit"];

const EXAMPLE: &str = "write for example `profile: {stages: [{duration: 30s, target: 400/s}, {duration: 60s}]}`, `{daily: {amplitude: 60%, peakAt: 14h}}`, `{csv: {file: rates.csv}}` or `{spikes: [{at: 40s, duration: 5s, factor: 4}]}`";
const DAY: SimDuration = SimDuration::from_secs(86_400);
const FACTOR_MAX: f64 = 1e6;
const ROWS_MAX: usize = 1_000_000;
const RATE_MAX: f64 = 1e9;

/// Reads a profile; `None` when something is wrong, which is reported.
pub(super) fn profile(report: &mut Report, node: &Node, files: Files<'_>) -> Option<Profile> {
    let fields = report.fields(node, "a profile", PROFILE_FIELDS);
    let shapes = ["stages", "daily", "csv"];
    let mut written = shapes.iter().filter_map(|s| Some((*s, fields.get(s)?)));
    let shape = match (written.next(), written.next()) {
        (None, _) if fields.get("spikes").is_none() => {
            let what = "a profile has `stages`, `daily`, `csv` or `spikes`".to_owned();
            report.error("TT-PROFILE", node, what, EXAMPLE);
            return None;
        }
        (None, _) => Some(ProfileShape::Constant),
        (Some((first, _)), Some((second, at))) => {
            let what =
                format!("`{first}` and `{second}` exclude each other: a rate has one course");
            report.error("TT-PROFILE", at, what, "`spikes` go with any of them");
            return None;
        }
        (Some(("stages", at)), None) => stages(report, at),
        (Some(("daily", at)), None) => daily(report, at),
        (Some((_, at)), None) => rates(report, at, files),
    };
    let items = report.list(fields.get("spikes"), "spikes");
    let spikes = items.iter().filter_map(|item| spike(report, item));
    let spikes = spikes.collect();
    Some(Profile {
        shape: shape?,
        spikes,
    })
}

fn stages(report: &mut Report, node: &Node) -> Option<ProfileShape> {
    let items = report.list(Some(node), "stages");
    if items.is_empty() {
        let what = "`stages` has no stages".to_owned();
        report.error("TT-PROFILE", node, what, EXAMPLE);
        return None;
    }
    let read: Vec<Option<Stage>> = items.iter().map(|item| stage(report, item)).collect();
    let read: Option<Vec<Stage>> = read.into_iter().collect();
    read.map(ProfileShape::Stages)
}

fn stage(report: &mut Report, node: &Node) -> Option<Stage> {
    let fields = report.fields(node, "a stage", STAGE_FIELDS);
    let help = "`{duration: 30s, target: 400/s}` goes to 400/s in 30 s, `{duration: 30s, rate: 400/s}` jumps there and stays, `{duration: 30s}` goes on as before";
    let duration = fields.need(report, "duration", help)?;
    let duration = report.duration(duration, DURATION_MAX)?;
    let course = match (fields.get("target"), fields.get("rate")) {
        (None, None) => Course::Hold,
        (Some(to), None) => Course::Ramp(report.parsed::<Rate>(to, "TT-RATE")?),
        (None, Some(to)) => Course::Step(report.parsed::<Rate>(to, "TT-RATE")?),
        (Some(_), Some(at)) => {
            let what = "`target` and `rate` exclude each other: a ramp, or a step".to_owned();
            report.error("TT-PROFILE", at, what, help);
            return None;
        }
    };
    Some(Stage { duration, course })
}

fn daily(report: &mut Report, node: &Node) -> Option<ProfileShape> {
    let fields = report.fields(node, "daily", DAILY_FIELDS);
    let help = "how far the peak is above the mean, for example `{amplitude: 60%, peakAt: 14h}`";
    let amplitude = fields.need(report, "amplitude", help)?;
    let amplitude = report.parsed::<Fraction>(amplitude, "TT-PROFILE")?;
    let period = match fields.get("period") {
        Some(node) => length(report, node)?,
        None => DAY,
    };
    let peak_at = match fields.get("peakAt") {
        Some(node) => report.duration(node, DURATION_MAX)?,
        None => SimDuration::from_ns(period.ns() / 2),
    };
    Some(ProfileShape::Daily {
        amplitude,
        period,
        peak_at,
    })
}

/// A length of at least a microsecond.
fn length(report: &mut Report, node: &Node) -> Option<SimDuration> {
    let length = report.duration(node, DURATION_MAX)?;
    if length < SimDuration::from_us(1) {
        let what = format!("{length} is too short");
        report.error("TT-DURATION", node, what, "write for example `10s`");
        return None;
    }
    Some(length)
}

fn spike(report: &mut Report, node: &Node) -> Option<Spike> {
    let fields = report.fields(node, "a spike", SPIKE_FIELDS);
    let help = "write for example `{at: 40s, duration: 5s, factor: 4}`";
    let [at, lasts, factor] = SPIKE_FIELDS else {
        return None;
    };
    let [at, lasts, factor] = [at, lasts, factor].map(|f| fields.need(report, f, help));
    let at = report.duration(at?, DURATION_MAX);
    let lasts = length(report, lasts?);
    let factor_node = factor?;
    let factor = report.number(factor_node)?;
    if !(0.0..=FACTOR_MAX).contains(&factor) {
        let what = format!("factor {factor} is not between 0 and {FACTOR_MAX}");
        report.error("TT-PROFILE", factor_node, what, "4 is four times the rate");
        return None;
    }
    Some(Spike {
        at: at?,
        length: lasts?,
        factor,
    })
}

/// Times and rates of a CSV file beside the document.
fn rates(report: &mut Report, node: &Node, files: Files<'_>) -> Option<ProfileShape> {
    let fields = report.fields(node, "csv", RATES_FIELDS);
    let help = "write for example `{file: rates.csv, time: seconds, rate: rps}`";
    let file = fields.need(report, "file", help)?;
    let path = report.text(file)?;
    let time = column(report, fields, "time")?;
    let rate = column(report, fields, "rate")?;
    let units: &[(&str, f64)] = &[("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let unit = match fields.get("unit") {
        Some(node) => report.word(node, units)?,
        None => 1.0,
    };
    let read = files(&path)
        .map_err(|why| format!("`{path}` cannot be read: {why}"))
        .and_then(|text| {
            points(&text, [&time, &rate], unit).map_err(|why| format!("`{path}`: {why}"))
        });
    match read {
        Ok(points) => Some(ProfileShape::Points(points)),
        Err(why) => {
            let help = "a header line, then a time and a rate per second in each row, times in order; the path starts at the folder of this document";
            report.error("TT-CSV", file, why, help);
            None
        }
    }
}

fn column(report: &mut Report, fields: Fields<'_>, name: &str) -> Option<crate::xds::Name> {
    match fields.get(name) {
        Some(node) => report.text(node),
        None => Some(name.into()),
    }
}

/// (seconds since the first row, requests per second).
fn points(text: &str, names: [&str; 2], unit_s: f64) -> Result<Vec<(f64, f64)>, String> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .flexible(true)
        .from_reader(text.as_bytes());
    let header = reader.headers().map_err(|why| why.to_string())?.clone();
    let mut at = [0; 2];
    for (at, name) in at.iter_mut().zip(names) {
        let found = header.iter().position(|column| column == name);
        *at = found.ok_or_else(|| {
            let known: Vec<&str> = header.iter().take(20).collect();
            format!(
                "there is no column `{name}`; it has {}",
                if known.is_empty() {
                    "none".to_owned()
                } else {
                    known.join(", ")
                }
            )
        })?;
    }
    let mut read: Vec<(f64, f64)> = Vec::new();
    for (row, record) in reader.records().enumerate() {
        let record = record.map_err(|why| format!("row {}: {why}", row + 1))?;
        let line = line_of(text, record.position());
        let number = |at: usize| {
            let cell = record.get(at).unwrap_or_default();
            let number = cell.parse::<f64>().ok().filter(|n| n.is_finite());
            number.ok_or_else(|| format!("line {line}: `{cell}` is not a number"))
        };
        let (time, rate) = (number(at[0])? * unit_s, number(at[1])?);
        if !(0.0..=RATE_MAX).contains(&rate) {
            return Err(format!(
                "line {line}: a rate of {rate} is not between 0 and {RATE_MAX}"
            ));
        }
        if read.last().is_some_and(|(last, _)| time < *last) {
            return Err(format!("line {line}: time goes back"));
        }
        if read.len() == ROWS_MAX {
            return Err(format!("it has more than {ROWS_MAX} rows"));
        }
        read.push((time, rate));
    }
    let Some((first, _)) = read.first().copied() else {
        return Err("it has no rows".to_owned());
    };
    for (time, _) in &mut read {
        *time -= first;
    }
    if read
        .last()
        .is_some_and(|(last, _)| *last > DURATION_MAX.as_secs_f64())
    {
        return Err(format!(
            "it is longer than {DURATION_MAX}; is the unit right?"
        ));
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_times_count_from_its_first_row() {
        let text = "time,rps\n1700000000, 5\n1700000060,10\n";
        let read = points(text, ["time", "rps"], 1.0).unwrap();
        assert_eq!(read, [(0.0, 5.0), (60.0, 10.0)]);
        let no = |text| points(text, ["time", "rps"], 1.0).unwrap_err();
        assert!(no("time,rate\n").contains("it has time, rate"));
        assert!(no("time,rps\n5,1\n4,1\n").contains("line 3: time goes back"));
        assert!(no("time,rps\n5,-1\n").contains("line 2"));
        assert!(no("time,rps\n").contains("no rows"));
    }
}
