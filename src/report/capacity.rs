//! What a search for capacity found: in words, as JSON (`towtank.capacity/v1`) and as CSV.

mod sidecars;
mod unmet;

use schemars::JsonSchema;
use serde::Serialize;

pub use self::sidecars::Sidecar;
pub use self::unmet::Unmet;
use super::expectation::{Expectation, shown};
use super::format::{count, digits, percent, rate, wrap};
use super::json::pretty;
use super::sweep::line;
use super::table::{Align, PAGE, Table};
use super::text::{heading, notes};
use crate::experiment::bracket::Stand;
use crate::experiment::capacity::{Point as Tried, ReplicaPlan, Survey};
use crate::observe::record::ExpectationRecord;

/// Result of `capacity`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CapacityReport {
    /// Name and version of this format, `towtank.capacity/v1`.
    pub schema: String,
    /// Version of towtank that made it.
    pub version: String,
    /// Name of the scenario.
    pub scenario: String,
    /// Seed of all randomness.
    pub seed: u64,
    /// What was multiplied (`load` or `service time`), or the path of the value that was searched.
    pub along: String,
    /// What has to hold.
    pub expected: Vec<String>,
    /// Nobody wrote an expectation: those of `expected` were assumed.
    pub expected_is_assumed: bool,
    /// Greatest multiple of what the scenario says at which everything held; null: it held nowhere. Of a value: the one beside the change that holds.
    pub holds_at: Option<f64>,
    /// Smallest multiple at which something was broken; null: nothing broke. Of a value: the one beside the change that breaks.
    pub breaks_at: Option<f64>,
    /// It changes more than once between the two ends of a value; `holdsAt` and `breaksAt` are beside the first change.
    pub changes_again: bool,
    /// What gives way where it breaks, sentences.
    pub bottleneck: Vec<String>,
    /// Loads that were tried, in the order in which they were.
    pub points: Vec<Point>,
    /// Replicas for a target load; left out where nobody asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// What was taken for granted: sentences.
    pub assumed: Vec<String>,
    /// What looks wrong in the input: sentences with file and line.
    pub warnings: Vec<String>,
}

/// A load that was tried.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Point {
    /// Multiple of what the scenario says; the value itself where one was searched (times in milliseconds).
    pub factor: f64,
    /// The value as it stands in YAML; left out for multiples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Requests that were started, per second.
    pub requests_per_second: f64,
    /// Of those that ended, the share that failed.
    pub failed_share: f64,
    /// Repetitions.
    pub replications: u32,
    /// `holds`, `breaks` or `unclear`: the runs do not tell.
    pub verdict: String,
    /// The workload with the greatest share of busy places; null without limits.
    pub busiest: Option<String>,
    /// That share.
    pub utilisation: Option<f64>,
    /// What was expected and measured.
    pub expectations: Vec<Expectation>,
}

/// Replicas for a target.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Multiple of what the scenario says.
    pub factor: f64,
    /// Zones that were taken away one at a time for `withoutAZone`.
    pub zones: Vec<String>,
    /// One per workload.
    pub workloads: Vec<Pods>,
    /// Where the search ended without numbers that suffice; left out where it found some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmet: Option<Unmet>,
    /// Sidecars and gateways of those pods at that load. Their requests were simulated; their processor time is read off a published curve.
    pub sidecars: Vec<Sidecar>,
}

/// Pods of a workload.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pods {
    /// `namespace/name`.
    pub workload: String,
    /// Pods now.
    pub now: u32,
    /// Pods that suffice; null: more pods do not help.
    pub needed: Option<u32>,
    /// Pods that suffice whichever zone is lost; null: not looked for, or more pods do not help.
    pub without_a_zone: Option<u32>,
}

/// `holds`, `breaks`, `unclear`.
pub const fn stand_word(stand: Stand) -> &'static str {
    match stand {
        Stand::Holds => "holds",
        Stand::Breaks => "breaks",
        Stand::Unclear => "unclear",
    }
}

/// For people.
pub fn text(survey: &Survey) -> String {
    let mut out = String::new();
    out.push_str(&wrap(&answer(survey), "", 0, PAGE));
    if survey.assumed_expectations {
        let what = format!(
            "Nobody wrote what has to hold, so this does: {}. `expect` of the Scenario or --expect says it.",
            survey.expected.join(" and ")
        );
        out.push_str(&wrap(&what, "", 0, PAGE));
    }
    if !survey.bottleneck.is_empty() {
        heading(&mut out, "What gives way");
        for sentence in &survey.bottleneck {
            out.push_str(&wrap(sentence, "  - ", 4, PAGE));
        }
    }
    points(&mut out, survey);
    if let Some(plan) = &survey.plan {
        replicas(&mut out, plan);
        sidecars::block(&mut out, plan);
    }
    notes(&mut out, "Assumed", &survey.assumed);
    notes(&mut out, "Warnings", &survey.warnings);
    out
}

/// True where a value was searched, and no multiple.
fn is_of_value(survey: &Survey) -> bool {
    survey.points.iter().any(|p| p.value.is_some())
}

fn tried_at(survey: &Survey, factor: f64) -> Option<&Tried> {
    let mut points = survey.points.iter();
    points.find(|p| p.factor.to_bits() == factor.to_bits())
}

/// The answer where a value was searched.
fn answer_of_value(survey: &Survey) -> String {
    let (name, along) = (&survey.scenario, &survey.along);
    let point = |at: f64| tried_at(survey, at);
    let value = |at: f64| point(at).and_then(|p| p.value.clone()).unwrap_or_default();
    let ends = sorted(survey);
    let all = match (ends.first(), ends.last()) {
        (Some(low), Some(high)) => format!(
            "at each of the {} values that were tried, from {} to {}",
            ends.len(),
            value(low.factor),
            value(high.factor)
        ),
        _ => String::new(),
    };
    let mut text = match (survey.bracket.holds, survey.bracket.breaks) {
        (Some(holds), Some(breaks)) if holds < breaks => format!(
            "{name} holds with `{along}` up to {} and breaks at {}.",
            value(holds),
            value(breaks)
        ),
        (Some(holds), Some(breaks)) => format!(
            "{name} breaks with `{along}` up to {} and holds from {} on.",
            value(breaks),
            value(holds)
        ),
        (Some(_), None) => format!("{name} holds with `{along}` {all}."),
        (None, Some(_)) => format!("{name} does not hold with `{along}` {all}."),
        (None, None) => format!("{name}: nothing was decided."),
    };
    if let Some(broken) = survey
        .bracket
        .breaks
        .and_then(point)
        .and_then(Tried::broken)
    {
        text.push_str(&format!(" There {}.", measured(broken)));
    }
    if survey.changes_again {
        text.push_str(" That is the first change: beyond it there is another, as the table shows.");
    }
    text
}

/// The answer in a sentence or three.
fn answer(survey: &Survey) -> String {
    if is_of_value(survey) {
        return answer_of_value(survey);
    }
    let at = |factor: f64| tried_at(survey, factor);
    let of_load = survey.along == "load";
    let named = |factor: f64| {
        let times = format!("{} × the {}", digits(factor), what_is_written(survey));
        match at(factor).filter(|_| of_load) {
            Some(point) => format!("{} ({times})", rate(point.offered)),
            None => times,
        }
    };
    let (holds, breaks) = (survey.bracket.holds, survey.bracket.breaks);
    let mut text = match (holds, breaks) {
        (Some(holds), Some(breaks)) => format!(
            "{} holds up to {} and breaks at {}.",
            survey.scenario,
            named(holds),
            named(breaks)
        ),
        (Some(holds), None) => format!(
            "{} holds at every {} that was tried, up to {}.",
            survey.scenario,
            survey.along,
            named(holds)
        ),
        (None, Some(breaks)) => format!(
            "{} does not hold: even at {} something is broken.",
            survey.scenario,
            named(breaks)
        ),
        (None, None) => format!("{}: nothing was decided.", survey.scenario),
    };
    if let Some(point) = breaks.and_then(at)
        && let Some(broken) = point.broken()
    {
        text.push_str(&format!(" There {}.", measured(broken)));
    }
    if let Some(holds) = holds {
        text.push_str(&if holds >= 1.0 {
            format!(" Headroom now: {:.0} %.", 100.0 * (holds - 1.0))
        } else {
            format!(
                " What is written is {:.0} % too much.",
                100.0 * (1.0 / holds - 1.0)
            )
        });
    }
    text
}

fn what_is_written(survey: &Survey) -> String {
    format!("{} of the scenario", survey.along)
}

/// `p99(latency) < 200ms is broken: 431 ms`.
fn measured(record: &ExpectationRecord) -> String {
    let value = record.value.zip(record.unit);
    let value = value.map(|(value, unit)| shown(value, unit));
    match (value, &record.why) {
        (Some(value), _) => format!("`{}` is broken: {value}", record.text),
        (None, Some(why)) => format!("`{}` is broken: {why}", record.text),
        (None, None) => format!("`{}` is broken", record.text),
    }
}

fn points(out: &mut String, survey: &Survey) {
    heading(out, "What was tried");
    let of_value = is_of_value(survey);
    let mut table = Table::new(&[
        (if of_value { "VALUE" } else { "TIMES" }, Align::Right),
        ("REQUESTS", Align::Right),
        ("FAILED", Align::Right),
        ("RUNS", Align::Right),
        ("VERDICT", Align::Left),
        ("BUSIEST", Align::Flex),
        ("UTIL", Align::Right),
        ("WHY", Align::Flex),
    ]);
    for point in sorted(survey) {
        let (workload, busy) = point.busiest.clone().unwrap_or_default();
        table.row([
            point.value.clone().unwrap_or_else(|| digits(point.factor)),
            rate(point.offered),
            percent(point.failed),
            count(u64::from(point.replications)),
            stand_word(point.stand).to_owned(),
            workload,
            if point.busiest.is_some() {
                percent(busy)
            } else {
                "-".to_owned()
            },
            point.broken().map_or_else(String::new, |e| e.text.clone()),
        ]);
    }
    out.push_str(&table.render(2));
}

/// From the smallest to the greatest.
fn sorted(survey: &Survey) -> Vec<&Tried> {
    let mut points: Vec<&Tried> = survey.points.iter().collect();
    points.sort_by(|a, b| a.factor.total_cmp(&b.factor));
    points
}

fn replicas(out: &mut String, plan: &ReplicaPlan) {
    heading(
        out,
        &format!("Replicas for {} × the load", digits(plan.factor)),
    );
    let lost = plan.without_a_zone.is_some();
    let mut columns = vec![
        ("WORKLOAD", Align::Flex),
        ("NOW", Align::Right),
        ("NEEDED", Align::Right),
    ];
    if lost {
        columns.push(("ANY ZONE LOST", Align::Right));
    }
    let mut table = Table::new(&columns);
    for pods in workloads(plan) {
        let shown = |n: Option<u32>| n.map_or_else(|| "-".to_owned(), |n| count(u64::from(n)));
        let mut cells = vec![
            pods.workload,
            count(u64::from(pods.now)),
            shown(pods.needed),
        ];
        if lost {
            cells.push(shown(pods.without_a_zone));
        }
        table.row(cells);
    }
    out.push_str(&table.render(2));
    let zones = plan.zones.join(", ");
    let said = match (&plan.needed, &plan.without_a_zone) {
        (None, _) => "More pods do not help: what is broken is no matter of places.".to_owned(),
        (Some(_), Some(None)) => {
            let zone = plan.unmet.as_ref().and_then(|u| u.zone.clone());
            let zone = zone.unwrap_or_else(|| format!("one of {zones}"));
            format!("No number of pods that was tried holds without {zone}.")
        }
        (Some(_), Some(Some(_))) => format!(
            "Every number was simulated, the last column with each of {zones} gone from the start."
        ),
        (Some(_), None) => "Every number was simulated. There is only one zone to lose.".to_owned(),
    };
    out.push_str(&wrap(&said, "  ", 2, PAGE));
    if let Some(found) = &plan.unmet {
        unmet::block(out, found);
    }
}

fn workloads(plan: &ReplicaPlan) -> Vec<Pods> {
    let lost = plan.without_a_zone.as_ref().and_then(Option::as_ref);
    let now = plan.now.iter();
    now.map(|(name, now)| Pods {
        workload: name.clone(),
        now: *now,
        needed: plan.needed.as_ref().and_then(|n| n.get(name).copied()),
        without_a_zone: lost.and_then(|n| n.get(name).copied()),
    })
    .collect()
}

/// As JSON.
pub fn json(survey: &Survey) -> String {
    pretty(&CapacityReport {
        schema: "towtank.capacity/v1".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        scenario: survey.scenario.clone(),
        seed: survey.seed,
        along: survey.along.clone(),
        expected: survey.expected.clone(),
        expected_is_assumed: survey.assumed_expectations,
        holds_at: survey.bracket.holds,
        breaks_at: survey.bracket.breaks,
        changes_again: survey.changes_again,
        bottleneck: survey.bottleneck.clone(),
        points: survey.points.iter().map(point).collect(),
        plan: survey.plan.as_ref().map(|plan| Plan {
            factor: plan.factor,
            zones: plan.zones.clone(),
            workloads: workloads(plan),
            unmet: plan.unmet.as_ref().map(Unmet::from),
            sidecars: plan.sidecars.iter().map(Sidecar::from).collect(),
        }),
        assumed: survey.assumed.clone(),
        warnings: survey.warnings.clone(),
    })
}

fn point(tried: &Tried) -> Point {
    Point {
        factor: tried.factor,
        value: tried.value.clone(),
        requests_per_second: tried.offered,
        failed_share: tried.failed,
        replications: tried.replications,
        verdict: stand_word(tried.stand).to_owned(),
        busiest: tried.busiest.as_ref().map(|(name, _)| name.clone()),
        utilisation: tried.busiest.as_ref().map(|(_, busy)| *busy),
        expectations: tried.expectations.iter().map(Expectation::from).collect(),
    }
}

/// The JSON Schema, pretty-printed.
pub fn schema() -> String {
    pretty(&schemars::schema_for!(CapacityReport))
}

/// A row per load that was tried, the smallest first.
pub fn csv(survey: &Survey) -> String {
    const COLUMNS: [&str; 9] = [
        "factor",
        "requests_per_s",
        "failed_share",
        "replications",
        "verdict",
        "busiest",
        "utilisation",
        "broken",
        "value",
    ];
    let mut out = line(COLUMNS);
    for point in sorted(survey) {
        let (workload, busy) = match &point.busiest {
            Some((workload, busy)) => (workload.clone(), busy.to_string()),
            None => (String::new(), String::new()),
        };
        let cells = [
            point.factor.to_string(),
            point.offered.to_string(),
            point.failed.to_string(),
            point.replications.to_string(),
            stand_word(point.stand).to_owned(),
            workload,
            busy,
            point.broken().map_or_else(String::new, |e| e.text.clone()),
            point.value.clone().unwrap_or_default(),
        ];
        out.push_str(&line(cells.iter().map(String::as_str)));
    }
    out
}
