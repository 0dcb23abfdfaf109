//! `explain`: one request of a run, whole.

use std::collections::BTreeMap;

use super::args::{ExplainArgs, ExplainFormat};
use super::exit_code::{ExitCode, Failure};
use super::interrupt;
use super::output::Console;
use super::pipeline::{self, Inputs, Mesh};
use super::traffic::{check, data, only_scenario};
use crate::config::scenario::Scenario;
use crate::engine::Seed;
use crate::explain::{Explanation, explain as explained};
use crate::http::Flags;
use crate::observe::recorder::RootEnd;
use crate::report::explain::{access_log, chrome, jaeger, json, otlp, text};
use crate::simulation::{self, Control, Outcome, Plan};
use crate::units::SimTime;
use crate::verdict;

/// Requests of a run that are looked through.
const REQUESTS_MAX: usize = 5_000_000;

/// `towtank explain`.
pub(super) fn explain(args: &ExplainArgs, console: Console) -> Result<ExitCode, Failure> {
    let inputs = Inputs {
        args: &args.input,
        namespace: args.namespace.namespace.as_deref(),
        scenario: args.scenario.as_deref(),
        tolerant: false,
    };
    let mesh = pipeline::read(&inputs, console)?;
    let mut scenario = only_scenario(&mesh)?;
    scenario.duration = args.duration.or(scenario.duration);
    check(&scenario)?;
    let told = tell(args, &mesh, &scenario, console)?;
    let text = match args.output {
        ExplainFormat::Text => text(&told, args.all, &mesh.assumed, &mesh.warnings),
        ExplainFormat::Json => json::render(&told),
        ExplainFormat::Otlp => otlp::render(&told),
        ExplainFormat::Jaeger => jaeger::render(&told),
        ExplainFormat::Chrome => chrome::render(&told),
        ExplainFormat::AccessLog => access_log::render(&told),
    };
    data(&text)?;
    Ok(ExitCode::Done)
}

fn tell(
    args: &ExplainArgs,
    mesh: &Mesh,
    scenario: &Scenario,
    console: Console,
) -> Result<Explanation, Failure> {
    let snapshot = mesh.compile_for(scenario);
    let plan = mesh.plan(scenario)?;
    let seed = args.seed.unwrap_or(scenario.seed);
    let luck = Seed::new(seed).replication(args.replication);
    let progress = console.progress();
    let control = Control {
        interrupted: interrupt::watch(),
        progress: Some(&|done| progress.at(done)),
        keep_requests: 0,
    };
    let wanted = Wanted::new(args, &plan)?;
    let mut finding = Ok(Pick::Slowest(1));
    let (outcome, found) = simulation::find(&plan, luck, &control, REQUESTS_MAX, |outcome| {
        finding = wanted.pick(&plan, outcome, &snapshot, seed);
        finding
            .as_ref()
            .ok()
            .and_then(|pick| wanted.choose(*pick, outcome.roots()))
    });
    finding?;
    let Some(end) = found else {
        return Err(Failure::Usage(nothing(&outcome, &plan)));
    };
    let (_, trace) = simulation::follow(&snapshot, &plan, luck, &control, &end);
    drop(progress);
    Ok(explained(&snapshot, &trace, &scenario.name, seed))
}

/// Which of all requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pick {
    /// The n-th by duration.
    Slowest(u32),
    /// The n-th by time of those that failed.
    Failed(u32),
    /// The one with the most tries.
    MostTries,
    /// The first with a flag.
    Flagged(Flags),
    /// The first that failed after a moment.
    FailedAfter(SimTime),
    /// This one of its load.
    Number(u64),
}

/// What was asked for.
struct Wanted<'a> {
    args: &'a ExplainArgs,
    load: Option<u32>,
    number: Option<u64>,
    flag: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    fn new(args: &'a ExplainArgs, plan: &Plan) -> Result<Self, Failure> {
        let request = args.request.as_deref().map(parse_request).transpose()?;
        let name = request.map(|(load, _)| load).or(args.load.as_deref());
        let names: Vec<&str> = plan.load_names().collect();
        let load = name.map(|name| {
            let at = names.iter().position(|known| *known == name);
            at.map(|at| at as u32).ok_or_else(|| {
                Failure::Usage(format!(
                    "no load is called `{name}`; the scenario has {}",
                    names.join(", ")
                ))
            })
        });
        let flag = args.flag.as_deref().map(|text| {
            if Flags::names().any(|name| name == text) {
                return Ok(text);
            }
            let mut names: Vec<&str> = Flags::names().collect();
            names.sort_unstable();
            names.dedup();
            let names = names.join(", ");
            Err(Failure::Usage(format!(
                "`{text}` is no response flag; Envoy's are {names}"
            )))
        });
        Ok(Self {
            args,
            load: load.transpose()?,
            number: request.map(|(_, number)| number),
            flag: flag.transpose()?,
        })
    }

    /// How to choose; a finding says it for itself.
    fn pick(
        &self,
        plan: &Plan,
        outcome: &Outcome,
        snapshot: &crate::xds::Snapshot,
        seed: u64,
    ) -> Result<Pick, Failure> {
        let args = self.args;
        if let Some(code) = &args.finding {
            return example_of(code, plan, outcome, snapshot, seed);
        }
        Ok(match (self.number, args.failed, args.most_tries) {
            (Some(number), ..) => Pick::Number(number),
            (None, Some(n), _) => Pick::Failed(n),
            (None, None, true) => Pick::MostTries,
            (None, None, false) => Pick::Slowest(args.slowest.unwrap_or(1)),
        })
    }

    /// Index of the chosen one.
    fn choose(&self, pick: Pick, all: &[RootEnd]) -> Option<usize> {
        let after = self
            .args
            .after
            .map_or(SimTime::ZERO, |after| SimTime::ZERO.after(after));
        let mut left: Vec<usize> = (0..all.len())
            .filter(|index| {
                let end = &all[*index];
                self.load.is_none_or(|load| load == end.client)
                    && (self.args.status).is_none_or(|s| s == crate::http::grpc::http(end.status))
                    && self.flag.is_none_or(|flag| end.flags.has_named(flag))
                    && end.at >= after
            })
            .collect();
        let sent = |index: &usize| (all[*index].at, all[*index].client, all[*index].number);
        left.sort_by_key(sent);
        let failed = |index: &usize| all[*index].status == 0 || all[*index].status >= 500;
        let nth = |n: u32| n as usize - 1;
        match pick {
            Pick::Slowest(n) => {
                left.sort_by_key(|index| std::cmp::Reverse(all[*index].duration));
                left.get(nth(n)).copied()
            }
            Pick::Failed(n) => left.into_iter().filter(failed).nth(nth(n)),
            Pick::MostTries => {
                left.sort_by_key(|index| std::cmp::Reverse(all[*index].attempts));
                left.first().copied()
            }
            Pick::Flagged(flag) => left.into_iter().find(|index| all[*index].flags.has(flag)),
            Pick::FailedAfter(at) => left.into_iter().filter(failed).find(|i| all[*i].at >= at),
            Pick::Number(number) => left.into_iter().find(|index| all[*index].number == number),
        }
    }
}

/// Why there is none.
fn nothing(outcome: &Outcome, plan: &Plan) -> String {
    let all = outcome.roots();
    if all.is_empty() {
        return "no request was answered after the warm-up: there is nothing to explain".to_owned();
    }
    let counts: Vec<String> = (0..)
        .zip(plan.load_names())
        .map(|(load, name)| {
            let of_load = all.iter().filter(|end| end.client == load);
            format!("{} of `{name}`", of_load.count())
        })
        .collect();
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    for end in all {
        let status = crate::http::grpc::http(end.status);
        *ends.entry(format!("{status} {}", end.flags)).or_insert(0) += 1;
    }
    let ends: Vec<String> = ends.iter().map(|(end, n)| format!("{end} ×{n}")).collect();
    format!(
        "no such request: {} ended after the warm-up, with status and flags {}",
        counts.join(", "),
        ends.join(", ")
    )
}

/// `LOAD:NUMBER`.
fn parse_request(text: &str) -> Result<(&str, u64), Failure> {
    let parts = text.rsplit_once(':');
    let parsed = parts.and_then(|(load, number)| Some((load, number.parse().ok()?)));
    parsed.ok_or_else(|| {
        Failure::Usage(format!(
            "--request `{text}` is not LOAD:NUMBER, for example shoppers:1204 (columns `client` and `number` of requests.csv)"
        ))
    })
}

/// A request that shows what a finding is about, if the run has that finding.
fn example_of(
    code: &str,
    plan: &Plan,
    outcome: &Outcome,
    snapshot: &crate::xds::Snapshot,
    seed: u64,
) -> Result<Pick, Failure> {
    let record = simulation::record(plan, seed, std::slice::from_ref(outcome));
    let findings = verdict::judge(&record, snapshot);
    if !findings.iter().any(|finding| finding.code == code) {
        let codes: Vec<&str> = findings.iter().map(|finding| finding.code).collect();
        let has = if codes.is_empty() {
            "none".to_owned()
        } else {
            codes.join(", ")
        };
        return Err(Failure::Usage(format!(
            "this run has no finding {code}; it has: {has}"
        )));
    }
    Ok(match code {
        "TT-METASTABLE" | "TT-SLOW-RECOVERY" => {
            // Long after whatever began it: what is seen then needs no trigger any more.
            let last = record.happenings.iter().map(|happening| happening.at).max();
            Pick::FailedAfter(last.unwrap_or(SimTime::ZERO))
        }
        "TT-BREAKER-OPEN" => Pick::Flagged(Flags::UO),
        "TT-EJECTION-COLLAPSE" => Pick::Flagged(Flags::UH),
        "TT-COLLAPSE" => Pick::Failed(1),
        _ => Pick::Slowest(1),
    })
}
