//! The figures of the little language of `expect`, with what narrows them.

use super::expect::{Figure, FigureKind, Statistic, Unit};
use super::expect_tokens::{Fault, Parser};
use super::run::Scenario;
use crate::diagnostic::nearest;
use crate::units::{Fraction, SimDuration};
use crate::xds::Name;

const KEYS: &[&str] = &["load", "from", "to", "between", "error_rate"];
/// Share of errors that counts as recovered, when not written.
pub(super) const RECOVERED: f64 = 0.01;

/// When the scenario's last event ended.
pub(super) fn last_event(scenario: &Scenario, at: usize) -> Result<SimDuration, Fault> {
    let ends = scenario
        .events
        .iter()
        .map(|event| event.at.plus(event.lasts.unwrap_or_default()));
    ends.max().ok_or_else(|| {
        let what = "there is nothing to recover from: the scenario has no `events`";
        Fault::new(at, what, "add the event, or expect an `error_rate`")
    })
}

/// What stands between the parentheses.
pub(super) struct Arguments {
    /// Without a key, in order.
    plain: Vec<(String, usize)>,
    /// With a key.
    keyed: Vec<(String, String, usize)>,
}

pub(super) fn arguments(parser: &mut Parser) -> Result<Arguments, Fault> {
    let mut all = Arguments {
        plain: Vec::new(),
        keyed: Vec::new(),
    };
    if parser.take_mark(&["("]).is_none() {
        return Ok(all);
    }
    if parser.take_mark(&[")"]).is_some() {
        return Ok(all);
    }
    loop {
        let here = parser.here();
        let Some((word, at)) = parser.take_word() else {
            let what = format!("expected a name, found {}", parser.found());
            return Err(Fault::new(here, what, ""));
        };
        if parser.take_mark(&[":", "="]).is_some() {
            if !KEYS.contains(&word.as_str()) {
                let help = match nearest(&word, KEYS.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known here: {}", KEYS.join(", ")),
                };
                return Err(Fault::new(
                    at,
                    format!("`{word}` is not a word that narrows a figure"),
                    help,
                ));
            }
            let here = parser.here();
            let Some((value, at)) = parser.take_word() else {
                return Err(Fault::new(here, format!("`{word}:` has no value"), ""));
            };
            if all.keyed.iter().any(|(key, ..)| *key == word) {
                return Err(Fault::new(at, format!("`{word}` is written twice"), ""));
            }
            all.keyed.push((word, value, at));
        } else {
            all.plain.push((word, at));
        }
        let here = parser.here();
        match parser.take_mark(&[",", ")"]) {
            Some(",") => {}
            Some(_) => return Ok(all),
            None => {
                let what = format!("expected `,` or `)`, found {}", parser.found());
                return Err(Fault::new(here, what, ""));
            }
        }
    }
}

impl Arguments {
    fn keyed(&mut self, key: &str) -> Option<(String, usize)> {
        let found = self.keyed.iter().position(|(k, ..)| k == key)?;
        let (_, value, at) = self.keyed.remove(found);
        Some((value, at))
    }

    fn plain(&mut self) -> Option<(String, usize)> {
        (!self.plain.is_empty()).then(|| self.plain.remove(0))
    }
}

pub(super) fn figure(
    name: &str,
    at: usize,
    mut arguments: Arguments,
    scenario: &Scenario,
) -> Result<Figure, Fault> {
    let mut figure = Figure {
        kind: FigureKind::ErrorRate,
        load: None,
        from: None,
        to: None,
        between: None,
    };
    let need = |found: Option<(String, usize)>, what: &str, help: &str| {
        found.ok_or_else(|| Fault::new(at, format!("`{name}` needs {what}"), help))
    };
    let mut server = false;
    figure.kind = match name {
        "error_rate" => FigureKind::ErrorRate,
        "amplification" => FigureKind::Amplification,
        "requests_per_second" => FigureKind::RequestsPerSecond,
        "utilisation" => {
            server = true;
            FigureKind::Utilisation
        }
        "share" => {
            let example = "write for example `share(v2, to: reviews) > 9%`";
            let (of, _) = need(arguments.plain(), "a subset, cluster or workload", example)?;
            FigureKind::Share(of.into())
        }
        "stat" => {
            let example = "write for example `stat(shop/web, cart, upstream_rq_retry) == 0`";
            let (from, _) = need(
                arguments.plain(),
                "a workload, a cluster and a statistic",
                example,
            )?;
            let (to, _) = need(
                arguments.plain(),
                "a cluster and a statistic as well",
                example,
            )?;
            let (stat, _) = need(
                arguments.plain(),
                "the name of a statistic as well",
                example,
            )?;
            (figure.from, figure.to) = (Some(from.into()), Some(to.into()));
            FigureKind::Stat(stat.into())
        }
        "recovery_time" => {
            let error_rate = match arguments.keyed("error_rate") {
                Some((word, at)) => number(&word, Unit::Share, at)?,
                None => RECOVERED,
            };
            FigureKind::RecoveryTime {
                after: last_event(scenario, at)?,
                error_rate,
            }
        }
        _ => {
            let example =
                format!("write for example `{name}(latency)` or `{name}(queue_time, reviews)`");
            let (what, at) = need(arguments.plain(), "what it is taken of", &example)?;
            let kind = statistic_of(name, &what, at)?;
            server = !matches!(kind, FigureKind::Latency(_));
            kind
        }
    };
    if server {
        let example = "name it, for example `utilisation(reviews)`";
        let given = arguments.plain().or_else(|| arguments.keyed("to"));
        figure.to = Some(need(given, "a workload", example)?.0.into());
    } else if !matches!(figure.kind, FigureKind::Stat(_)) {
        let mut take = |key| arguments.keyed(key).map(|(value, _)| Name::from(value));
        (figure.from, figure.to) = (take("from"), take("to"));
        if let Some((load, at)) = arguments.keyed("load") {
            figure.load = Some(known_load(&load, at, scenario)?);
        }
        if let Some((range, at)) = arguments.keyed("between") {
            figure.between = Some(between(&range, at)?);
        }
    }
    let left = arguments
        .plain()
        .or_else(|| arguments.keyed.pop().map(|(key, _, at)| (key, at)));
    if let Some((word, at)) = left {
        return Err(Fault::new(
            at,
            format!("`{name}` has no use for `{word}`"),
            "",
        ));
    }
    agree(name, at, &figure)?;
    Ok(figure)
}

fn statistic_of(name: &str, what: &str, at: usize) -> Result<FigureKind, Fault> {
    let statistic = match name {
        "p50" => Statistic::Quantile(0.5),
        "p90" => Statistic::Quantile(0.9),
        "p99" => Statistic::Quantile(0.99),
        "p999" => Statistic::Quantile(0.999),
        "mean" => Statistic::Mean,
        _ => Statistic::Max,
    };
    match (what, statistic) {
        ("latency", _) => Ok(FigureKind::Latency(statistic)),
        ("queue_time", _) => Ok(FigureKind::QueueTime(statistic)),
        ("queue", Statistic::Mean) => Ok(FigureKind::QueueMean),
        ("queue", Statistic::Max) => Ok(FigureKind::QueueMax),
        ("queue", Statistic::Quantile(_)) => {
            let what = "the length of a queue has a `mean` and a `max`, no percentiles";
            Err(Fault::new(
                at,
                what,
                format!("`{name}(queue_time, …)` is how long requests waited"),
            ))
        }
        _ => {
            let known = ["latency", "queue_time", "queue"];
            let help = match nearest(what, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", known.join(", ")),
            };
            Err(Fault::new(
                at,
                format!("`{name}` cannot be taken of `{what}`"),
                help,
            ))
        }
    }
}

fn known_load(load: &str, at: usize, scenario: &Scenario) -> Result<Name, Fault> {
    let names = || scenario.load.iter().map(|load| &*load.name);
    if names().any(|name| name == load) {
        return Ok(load.into());
    }
    let help = match nearest(load, names()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("its loads are {}", names().collect::<Vec<_>>().join(", ")),
    };
    Err(Fault::new(
        at,
        format!("the scenario has no load `{load}`"),
        help,
    ))
}

fn between(range: &str, at: usize) -> Result<(SimDuration, SimDuration), Fault> {
    let help = "write for example `between: 10s..20s`";
    let Some((from, to)) = range.split_once("..") else {
        return Err(Fault::new(
            at,
            format!("`{range}` is not a span of time"),
            help,
        ));
    };
    let read = |text: &str| {
        text.parse::<SimDuration>()
            .map_err(|why| Fault::new(at, why.to_string(), help))
    };
    let (from, to) = (read(from)?, read(to)?);
    if from >= to {
        return Err(Fault::new(at, format!("the span `{range}` is empty"), help));
    }
    Ok((from, to))
}

/// What does not go together.
fn agree(name: &str, at: usize, figure: &Figure) -> Result<(), Fault> {
    let edge = figure.from.is_some() || figure.to.is_some();
    if edge && figure.load.is_some() {
        let what = "`load` is all that a load sees, `from` and `to` are single calls";
        return Err(Fault::new(at, what, "keep one of them"));
    }
    if edge && figure.between.is_some() {
        let what = "`between` reads the time series, which is kept per load and not per call";
        return Err(Fault::new(
            at,
            what,
            "leave out `from` and `to`, or `between`",
        ));
    }
    let recovery = matches!(figure.kind, FigureKind::RecoveryTime { .. });
    if recovery && (edge || figure.between.is_some()) {
        return Err(Fault::new(
            at,
            format!("`{name}` is of a load"),
            "write `load:` or nothing",
        ));
    }
    let share = matches!(figure.kind, FigureKind::Share(_));
    if share && (figure.load.is_some() || figure.between.is_some()) {
        return Err(Fault::new(
            at,
            "`share` is of calls",
            "narrow it by `from` and `to`",
        ));
    }
    let in_windows = match figure.kind {
        FigureKind::Latency(statistic) => {
            matches!(statistic, Statistic::Quantile(q) if [0.5, 0.99].contains(&q))
        }
        _ => true,
    };
    if figure.between.is_some() && !in_windows {
        let what = format!("the time series does not hold `{name}`");
        return Err(Fault::new(
            at,
            what,
            "with `between`, write p50 or p99: that of the worst window",
        ));
    }
    Ok(())
}

/// A bound in a unit.
pub(super) fn number(word: &str, unit: Unit, at: usize) -> Result<f64, Fault> {
    let fault = |why: String, help: &str| Fault::new(at, why, help);
    match unit {
        Unit::Milliseconds => match word.parse::<SimDuration>() {
            Ok(length) => Ok(length.as_millis_f64()),
            Err(why) => Err(fault(
                why.to_string(),
                "a length of time is expected, for example `250ms`",
            )),
        },
        Unit::Share => match word.strip_suffix('%') {
            // Not all shares are of a whole: `Fraction` stands for the form and the limits.
            Some(percent) if word.parse::<Fraction>().is_ok() => {
                Ok(percent.trim().parse::<f64>().unwrap_or(f64::NAN) / 100.0)
            }
            None if word.parse::<Fraction>().is_ok() => Ok(word.parse().unwrap_or(f64::NAN)),
            _ => Err(fault(
                format!("`{word}` is not a share"),
                "write for example `0.1%` or `0.001`",
            )),
        },
        Unit::PerSecond | Unit::Number => {
            let plain = if unit == Unit::PerSecond {
                word.strip_suffix("/s").unwrap_or(word)
            } else {
                word
            };
            let plain = plain.strip_suffix(['x', '×']).unwrap_or(plain);
            match plain.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(number),
                _ => Err(fault(
                    format!("`{word}` is not a number"),
                    "this figure has no unit of time",
                )),
            }
        }
    }
}
