//! `capacity`: the greatest load that meets what is expected, what gives way beyond it, and the
//! replicas that another load needs.

mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use super::args::{CapacityArgs, CapacityFormat, Target};
use super::exit_code::{ExitCode, Failure};
use super::interrupt;
use super::output::Console;
use super::pipeline::{self, Gathered, Inputs, Mesh};
use super::traffic::{check, data, only_scenario};
use crate::config::scenario::Target as Pods;
use crate::config::scenario::{
    EventKind, FailureKind, LoadSource, Part, Scenario, TargetKind, TimedEvent, expectation,
};
use crate::experiment::along::Along;
use crate::experiment::bracket::{Bracket, Search, Stand, bracket};
use crate::experiment::capacity::{Point, ReplicaPlan, Survey, Unmet, busiest, stand};
use crate::experiment::replicas::{Replicas, Trial, needed};
use crate::experiment::sidecars::{Sidecars, sidecars};
use crate::observe::Record;
use crate::observe::record::Ended;
use crate::report::capacity as report;
use crate::report::format::{digits, plural};
use crate::units::{Origin, SimDuration};
use crate::xds::Locality;

/// What is expected where nobody says anything.
const ASSUMED: [&str; 2] = ["error_rate < 1%", "p99(latency) < 1s"];
/// Runs of a point that does not decide itself: so many times the first number.
const MORE_MAX: u32 = 4;
/// Replications when neither flag nor scenario asks for more.
const REPLICATIONS: u32 = 5;
/// Endpoints settle within this when a zone is gone from the start.
const SETTLE: SimDuration = SimDuration::from_secs(5);
/// Furthest multiples of the written load that are tried. What is broken at so little load is
/// broken by something else.
const FACTOR_MIN: f64 = 1.0 / 64.0;
const FACTOR_MAX: f64 = 1024.0;

/// `towtank capacity`.
pub(super) fn capacity(args: &CapacityArgs, console: Console) -> Result<ExitCode, Failure> {
    let inputs = Inputs {
        args: &args.input,
        namespace: args.namespace.namespace.as_deref(),
        scenario: args.scenario.as_deref(),
        tolerant: false,
    };
    if let (Along::Value(range), Some(_)) = (&args.along, args.target) {
        let what = format!(
            "--target counts replicas for a load: leave it out, or `--along {}`",
            range.path
        );
        return Err(Failure::Usage(what));
    }
    let gathered = pipeline::gather(&inputs)?;
    let mesh = gathered.mesh(&[], console)?;
    let (scenario, assumed) = asked(args, &mesh)?;
    let survey = Surveyor::new(args, &gathered, &mesh, scenario, console).survey(assumed)?;
    let text = match args.output {
        CapacityFormat::Text => report::text(&survey),
        CapacityFormat::Json => report::json(&survey),
        CapacityFormat::Csv => {
            mesh.warn(console);
            report::csv(&survey)
        }
    };
    data(&text)?;
    let interrupted = interrupt::watch().load(Ordering::Relaxed);
    Ok(if interrupted {
        ExitCode::Interrupted
    } else {
        ExitCode::Done
    })
}

/// The scenario as the flags have it; true when what has to hold was assumed.
fn asked(args: &CapacityArgs, mesh: &Mesh) -> Result<(Scenario, bool), Failure> {
    let mut scenario = only_scenario(mesh)?;
    scenario.duration = args.duration.or(scenario.duration);
    check(&scenario)?;
    let assumed = expect(args, &mut scenario)?;
    Ok((scenario, assumed))
}

/// What has to hold; true when it was assumed.
fn expect(args: &CapacityArgs, scenario: &mut Scenario) -> Result<bool, Failure> {
    let assumed = args.expect.is_empty() && scenario.expect.is_empty();
    let mut texts: Vec<&str> = args.expect.iter().map(String::as_str).collect();
    if assumed {
        texts = ASSUMED.to_vec();
    }
    if !texts.is_empty() {
        let read = |text: &&str| {
            expectation(text, scenario).map_err(|why| format!("--expect `{text}`: {why}"))
        };
        let all: Result<Vec<_>, String> = texts.iter().map(read).collect();
        scenario.expect = all.map_err(Failure::Usage)?;
    }
    Ok(assumed)
}

struct Surveyor<'a> {
    args: &'a CapacityArgs,
    gathered: &'a Gathered,
    mesh: &'a Mesh,
    scenario: Scenario,
    seed: u64,
    replications: u32,
    console: Console,
    /// Runs that were made, for progress.
    made: u32,
}

impl<'a> Surveyor<'a> {
    fn new(
        args: &'a CapacityArgs,
        gathered: &'a Gathered,
        mesh: &'a Mesh,
        scenario: Scenario,
        console: Console,
    ) -> Self {
        Self {
            args,
            gathered,
            mesh,
            seed: args.seed.unwrap_or(scenario.seed),
            replications: (args.replications)
                .unwrap_or_else(|| scenario.replications.max(REPLICATIONS)),
            scenario,
            console,
            made: 0,
        }
    }

    fn survey(mut self, assumed_expectations: bool) -> Result<Survey, Failure> {
        let mut survey = Survey {
            scenario: self.scenario.name.to_string(),
            seed: self.seed,
            along: self.args.along.to_string(),
            expected: (self.scenario.expect.iter())
                .map(|e| e.text.to_string())
                .collect(),
            assumed_expectations,
            ..Survey::default()
        };
        if let Along::Value(range) = &self.args.along {
            self.search_value(range, &mut survey)?;
            return Ok(survey);
        }
        let search = Search {
            start: 1.0,
            least: FACTOR_MIN,
            most: FACTOR_MAX,
            precision: f64::from(self.args.precision) / 100.0,
        };
        let mut last: Option<Record> = None;
        let mut broken: Option<(f64, Record)> = None;
        survey.bracket = bracket(&search, |factor| {
            let record = self.settled(self.mesh, factor, None)?;
            let point = Point::new(factor, &record);
            let stand = point.stand;
            survey.points.push(point);
            if stand == Stand::Breaks && broken.as_ref().is_none_or(|(f, _)| factor < *f) {
                broken = Some((factor, record.clone()));
            }
            last = Some(record);
            Ok(stand)
        })
        .or_else(|stopped| match stopped {
            Stopped::Interrupted => Ok(Bracket::default()),
            Stopped::Failed(failure) => Err(failure),
        })?;
        if let Some((_, record)) = &broken {
            survey.bottleneck = bottleneck(self.mesh, record);
        }
        if let Some(target) = self.args.target {
            survey.plan = self.plan(target, &survey)?;
        }
        if let Some(record) = last {
            survey.assumed = record.assumed;
            survey.warnings = record.warnings;
        }
        Ok(survey)
    }

    /// Runs a multiple of what is written.
    fn settled(
        &mut self,
        mesh: &Mesh,
        factor: f64,
        lost: Option<&Locality>,
    ) -> Result<Record, Stopped> {
        let mut scenario = self.scenario.clone();
        match self.args.along {
            Along::ServiceTime => slow_down(mesh, &mut scenario, factor),
            Along::Load | Along::Value(_) => scenario.scale_all(factor),
        }
        if let Some(zone) = lost {
            lose(mesh, &mut scenario, zone);
        }
        check(&scenario).map_err(Stopped::Failed)?;
        let what = format!("{} × {factor:.3}", self.args.along);
        self.decided(mesh, &scenario, &what)
    }

    /// Runs a scenario until the runs tell, or they were enough.
    fn decided(&mut self, mesh: &Mesh, scenario: &Scenario, what: &str) -> Result<Record, Stopped> {
        let mut replications = self.replications;
        loop {
            let how = pipeline::How {
                seed: self.seed,
                replications,
                threads: self.args.threads.map(usize::from),
                ..pipeline::How::default()
            };
            let record = mesh.judged(scenario, &how).map_err(Stopped::Failed)?;
            self.made += 1;
            if record.ended == Ended::Interrupted {
                return Err(Stopped::Interrupted);
            }
            self.console
                .note_progress(&format!("{what}: {}", report::stand_word(stand(&record))));
            if stand(&record) != Stand::Unclear || replications >= self.replications * MORE_MAX {
                return Ok(record);
            }
            replications *= 2;
        }
    }

    /// Replicas for a target, with all zones and with each one lost.
    fn plan(&mut self, target: Target, survey: &Survey) -> Result<Option<ReplicaPlan>, Failure> {
        let written = survey.points.iter().find(|p| (p.factor - 1.0).abs() < 1e-9);
        let offered = written.map_or(0.0, |point| point.offered);
        let factor = match target {
            Target::Times(times) => times,
            Target::Rate(rate) if offered > 0.0 => rate.as_f64() / offered,
            Target::Rate(_) => {
                let what =
                    "no request is sent at the written load, so no rate can be a multiple of it";
                return Err(Failure::Usage(what.to_owned()));
            }
        };
        let now = scalable(self.mesh);
        let zones = zones(self.mesh);
        let mut unmet = None;
        let found = self.fit(&now, factor, &[None], &mut unmet);
        let needed = match found {
            Ok(found) => found,
            Err(Stopped::Interrupted) => return Ok(None),
            Err(Stopped::Failed(failure)) => return Err(failure),
        };
        let without_a_zone = match (&needed, zones.len()) {
            (Some(start), 2..) => {
                let lost: Vec<Option<&Locality>> = zones.iter().map(Some).collect();
                match self.fit(start, factor, &lost, &mut unmet) {
                    Ok(found) => Some(found),
                    Err(Stopped::Interrupted) => return Ok(None),
                    Err(Stopped::Failed(failure)) => return Err(failure),
                }
            }
            _ => None,
        };
        let pods = needed.as_ref().unwrap_or(&now);
        let sidecars = match self.sidecars(pods, factor) {
            Ok(sidecars) => sidecars,
            Err(Stopped::Interrupted) => return Ok(None),
            Err(Stopped::Failed(failure)) => return Err(failure),
        };
        Ok(Some(ReplicaPlan {
            factor,
            now,
            sidecars,
            needed,
            without_a_zone,
            unmet,
            zones: zones.iter().map(ToString::to_string).collect(),
        }))
    }

    /// What passes through every sidecar when there are so many pods.
    fn sidecars(&mut self, pods: &Replicas, factor: f64) -> Result<Vec<Sidecars>, Stopped> {
        let mesh = self.mesh.with_replicas(pods);
        let record = self.settled(&mesh, factor, None)?;
        Ok(sidecars(&record, &mesh.compile()))
    }

    /// Pods with which it holds under each of these losses; where there are none, `unmet` is the
    /// end of the search.
    fn fit(
        &mut self,
        start: &Replicas,
        factor: f64,
        losses: &[Option<&Locality>],
        unmet: &mut Option<Unmet>,
    ) -> Result<Option<Replicas>, Stopped> {
        let mut last = None;
        let found = needed(start, |pods| {
            let mesh = self.mesh.with_replicas(pods);
            let mut trial = Trial {
                holds: true,
                busy: BTreeMap::new(),
                gone: BTreeSet::new(),
            };
            for lost in losses {
                let record = self.settled(&mesh, factor, *lost)?;
                trial.holds &= stand(&record) == Stand::Holds;
                for workload in &record.workloads {
                    if let Some(busy) = workload.utilisation {
                        // A lost zone's pods count as places: what is left has all the work.
                        let known = trial.busy.entry(workload.name.clone()).or_insert(0.0);
                        *known = known.max(busy);
                    }
                }
                if !trial.holds {
                    trial.gone = lost.map_or_else(BTreeSet::new, |zone| gone(&mesh, zone));
                    let zone = lost.map(ToString::to_string);
                    last = Some(Unmet::new(zone, pods, &record));
                    break;
                }
            }
            Ok(trial)
        })?;
        if found.is_none() {
            *unmet = last;
        }
        Ok(found)
    }
}

/// Why a search ends early.
enum Stopped {
    Interrupted,
    Failed(Failure),
}

/// Every application takes this many times as long from the start on.
fn slow_down(mesh: &Mesh, scenario: &mut Scenario, factor: f64) {
    for owner in &mesh.config.workloads {
        let name = owner.meta.full_name();
        scenario.events.push(TimedEvent {
            at: SimDuration::ZERO,
            lasts: None,
            what: EventKind::Slow {
                target: Pods {
                    of: TargetKind::Workload(name.as_str().into()),
                    part: Part::All,
                },
                factor,
                add: None,
            },
            origin: Origin::BUILT_IN,
        });
    }
}

/// A zone is gone before anything is counted: every pod in it but those that load comes from, who
/// stand for clients somewhere else.
fn lose(mesh: &Mesh, scenario: &mut Scenario, zone: &Locality) {
    let longer = SETTLE.max(scenario.warm_up);
    let more = SimDuration::from_ns(longer.ns() - scenario.warm_up.ns());
    scenario.duration = scenario.duration.map(|d| d.plus(more));
    scenario.warm_up = longer;
    let (snapshot, senders) = (mesh.compile(), senders(mesh));
    for pod in snapshot.pods.iter().filter(|pod| pod.locality == *zone) {
        let workload = &snapshot.workloads[pod.workload];
        if senders.contains(&workload.full_name()) {
            continue;
        }
        let name = format!("{}/{}", workload.namespace, pod.name);
        scenario.events.push(TimedEvent {
            at: SimDuration::ZERO,
            lasts: None,
            what: EventKind::Fail {
                target: Pods {
                    of: TargetKind::Pod(name.as_str().into()),
                    part: Part::All,
                },
                how: FailureKind::Kill,
                noticed: Some(SimDuration::ZERO),
            },
            origin: Origin::BUILT_IN,
        });
    }
}

/// Workloads all of whose pods stand in a zone, [`lose`] takes them all.
fn gone(mesh: &Mesh, zone: &Locality) -> BTreeSet<String> {
    let (snapshot, senders) = (mesh.compile(), senders(mesh));
    let left = |workload: &crate::xds::Workload| {
        let mut pods = workload.pods.iter().map(|pod| &snapshot.pods[*pod]);
        pods.any(|pod| !pod.spare && pod.locality != *zone)
    };
    let all = snapshot.workloads.iter().filter(|w| !left(w));
    all.map(crate::xds::Workload::full_name)
        .filter(|name| !senders.contains(name))
        .collect()
}

/// Zones in which pods of the mesh stand.
fn zones(mesh: &Mesh) -> Vec<Locality> {
    let snapshot = mesh.compile();
    let mut zones: Vec<Locality> = (snapshot.pods.iter())
        .map(|pod| pod.locality.clone())
        .filter(|locality| !locality.zone.is_empty())
        .collect();
    zones.sort();
    zones.dedup();
    zones
}

/// Workloads whose pods may be counted anew, with what they have.
fn scalable(mesh: &Mesh) -> Replicas {
    let snapshot = mesh.compile();
    let senders = senders(mesh);
    let kinds = ["Deployment", "StatefulSet", "ReplicaSet"];
    let owners = (mesh.config.workloads.iter()).filter(|owner| kinds.contains(&&*owner.kind));
    owners
        .filter_map(|owner| {
            let (namespace, name) = (&owner.meta.namespace, &owner.meta.name);
            let id = snapshot.workload_named(namespace, name)?;
            let pods = snapshot.workloads[id].pods.len() as u32;
            Some((format!("{namespace}/{name}"), pods))
        })
        .filter(|(name, pods)| *pods > 0 && !senders.contains(name))
        .collect()
}

/// What gives way: findings, limits that refuse, the busiest workload.
fn bottleneck(mesh: &Mesh, record: &Record) -> Vec<String> {
    let mut said = Vec::new();
    if let Some(workload) = busiest(record) {
        let busy = workload.utilisation.unwrap_or(0.0);
        let model = mesh.model.workloads.get(workload.name.as_str());
        let origin = model.map_or(Origin::BUILT_IN, |m| m.origin);
        let place = if origin.is_built_in() {
            String::new()
        } else {
            format!(" ({})", mesh.config.origins.place(origin))
        };
        said.push(format!(
            "{}{place} is busiest: {:.0} % of its places in {}, {} requests wait on average",
            workload.name,
            100.0 * busy,
            plural(u64::from(workload.pods), "pod", "pods"),
            digits(workload.queue_mean)
        ));
        let refused = workload.rejected;
        if refused > 0 {
            said.push(format!(
                "its queues refused {}",
                plural(refused, "request", "requests")
            ));
        }
    }
    for finding in &record.findings {
        let cause = finding.cause.as_deref();
        let because = cause.map_or_else(String::new, |cause| format!("; because of {cause}"));
        said.push(format!("{}: {}{because}", finding.code, finding.what));
    }
    said
}

/// Workloads that loads start from: more of them would only be more clients.
fn senders(mesh: &Mesh) -> Vec<String> {
    let loads = mesh.scenarios.iter().flat_map(|s| &s.load);
    loads
        .filter_map(|load| match &load.from {
            LoadSource::Workload { name, .. } => Some(name.to_string()),
            LoadSource::Outside { .. } => None,
        })
        .collect()
}
