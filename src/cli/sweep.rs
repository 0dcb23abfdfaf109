//! `towtank sweep`: a grid of runs into one table that can be continued.

use std::time::Instant;

use super::args::SweepArgs;
use super::exit_code::{ExitCode, Failure};
use super::interrupt;
use super::output::Console;
use super::pipeline::{self, Gathered, Inputs};
use super::sweep_file::RowFile;
use super::traffic::{check, data, only_scenario};
use crate::config::scenario::Scenario;
use crate::engine::Seed;
use crate::experiment::sweep::{Axis, Grid, Row, Shard, Varied, Work, factor, results, run_rows};
use crate::manifest::Edit;
use crate::observe::record::Ended;
use crate::report::format::plural;
use crate::report::sweep as table;
use crate::simulation::{self, Control, Plan};
use crate::units::SimDuration;
use crate::units::hash::xxhash64;
use crate::units::origin::Flag;

/// `towtank sweep`.
pub(super) fn sweep(args: &SweepArgs, console: Console) -> Result<ExitCode, Failure> {
    let inputs = Inputs {
        args: &args.input,
        namespace: args.namespace.namespace.as_deref(),
        scenario: args.scenario.as_deref(),
        tolerant: false,
    };
    let gathered = pipeline::gather(&inputs)?;
    let job = Job::new(args, gathered, console)?;
    let rows = job.grid.shard(args.shard);
    let Some(path) = &args.out else {
        data(&job.header())?;
        let take = |_: usize, line: &str| data(line);
        return job.run(args, &rows, 0, take, console);
    };
    let mut file = RowFile::open(path, &job.header(), rows.len(), &|at| job.lead(rows[at]))?;
    let (done, shown) = (file.done(), path.display());
    let of = |rows: usize| plural(rows as u64, "row", "rows");
    if done == rows.len() {
        console.note(&format!(
            "`{shown}` is complete: all {} are there",
            of(done)
        ));
        return Ok(ExitCode::Done);
    }
    if done > 0 {
        console.note(&format!(
            "`{shown}` has {done} of {}; going on with the next",
            of(rows.len())
        ));
    }
    let begin = Instant::now();
    let code = job.run(args, &rows, done, |_, line| file.append(line), console)?;
    let made = file.done() - done;
    let seconds = begin.elapsed().as_secs_f64().max(1e-9);
    let whole = if args.shard == Shard::WHOLE {
        String::new()
    } else {
        format!(" (part {} of {} rows)", args.shard, job.grid.rows())
    };
    console.note(&format!(
        "`{shown}`: {} of {}{whole}; {made} made in {seconds:.1} s, {:.0} rows per second",
        file.done(),
        of(rows.len()),
        made as f64 / seconds
    ));
    if code == ExitCode::Interrupted {
        console.note("interrupted; the same command goes on from here");
    }
    Ok(code)
}

/// A sweep that is ready to be run.
struct Job {
    gathered: Gathered,
    grid: Grid,
    /// `sweep` of every row.
    fingerprint: String,
    loads: Vec<String>,
    /// Of the first point, unless a flag says otherwise.
    scenario_seed: u64,
    /// Seed and replications as the Scenario has them.
    luck: (u64, u32),
    duration: Option<SimDuration>,
    /// Several threads make meshes; what is said is said once.
    quiet: Console,
}

impl Job {
    fn new(args: &SweepArgs, gathered: Gathered, console: Console) -> Result<Self, Failure> {
        let mut job = Self {
            gathered,
            grid: Grid::new(args.vary.clone(), 1).map_err(Failure::Usage)?,
            fingerprint: String::new(),
            loads: Vec::new(),
            scenario_seed: 1,
            luck: (1, 1),
            duration: args.duration,
            quiet: Console::SILENT,
        };
        // The first point says all warnings; then every value is tried once, so that a mistake is
        // found before an hour's work and not after it.
        let mesh = job
            .gathered
            .mesh(&job.edits(&job.grid.choice(0)), console)?;
        mesh.warn(console);
        let scenario = only_scenario(&mesh)?;
        let names = scenario.load.iter().map(|load| load.name.to_string());
        job.loads = names.collect();
        job.luck = (scenario.seed, scenario.replications);
        job.scenario_seed = args.repeat.seed.unwrap_or(scenario.seed);
        let replications = args.repeat.replications.unwrap_or(scenario.replications);
        let beside = job.try_values(mesh.beside)?;
        job.grid = Grid::new(args.vary.clone(), replications.max(1)).map_err(Failure::Usage)?;
        job.fingerprint = job.fingerprint(args, &beside);
        Ok(job)
    }

    /// Decodes every value of every axis once. Returns the texts of files beside the manifests.
    fn try_values(
        &self,
        mut beside: Vec<(String, String)>,
    ) -> Result<Vec<(String, String)>, Failure> {
        for (number, axis) in self.grid.axes.iter().enumerate() {
            for at in 0..axis.values.len() {
                let mut choice = self.grid.choice(0);
                choice[number] = at;
                if number > 0 && at == 0 {
                    continue;
                }
                let (_, texts) = self.scenario(&choice)?;
                beside.extend(texts);
            }
        }
        beside.sort();
        beside.dedup();
        Ok(beside)
    }

    /// Everything that decides what rows say. Paths of files do not, and which shard or how many
    /// threads do not either.
    fn fingerprint(&self, args: &SweepArgs, beside: &[(String, String)]) -> String {
        let mut all: Vec<String> = vec![results::identity()];
        let sources = self.gathered.sources.iter();
        all.extend(sources.map(|source| source.text.clone()));
        all.push("beside".to_owned());
        all.extend(
            beside
                .iter()
                .flat_map(|(name, text)| [name.clone(), text.clone()]),
        );
        all.push("set".to_owned());
        all.extend(args.input.set.iter().map(ToString::to_string));
        for axis in &self.grid.axes {
            all.push(axis.name.clone());
            all.extend(axis.values.iter().cloned());
        }
        all.push(format!(
            "{:?} {:?} {} {:?} {} {}",
            args.namespace.namespace,
            args.input.istio_version,
            args.input.force,
            self.duration,
            self.scenario_seed,
            self.grid.replications
        ));
        let lengths: Vec<String> = all.iter().map(|text| text.len().to_string()).collect();
        let hash = xxhash64(format!("{}\n{}", lengths.join(","), all.join("\n")).as_bytes());
        format!("{hash:016x}-{}", self.grid.rows())
    }

    fn header(&self) -> String {
        let loads: Vec<&str> = self.loads.iter().map(String::as_str).collect();
        let per_load = table::load_columns(&loads);
        let varied = self.columns().map(|(_, axis)| axis.name.as_str());
        let columns = table::BEFORE.into_iter().chain(varied).chain(table::BEHIND);
        table::line(columns.chain(per_load.iter().map(String::as_str)))
    }

    /// Axes with a column of their own: the seed has one anyway.
    fn columns(&self) -> impl Iterator<Item = (usize, &Axis)> {
        let axes = self.grid.axes.iter().enumerate();
        axes.filter(|(_, axis)| axis.varied != Varied::Seed)
    }

    /// The cells of a row that are known before it is made.
    fn lead(&self, row: Row) -> Vec<String> {
        let choice = self.grid.choice(row.point);
        let mut cells = vec![
            self.fingerprint.clone(),
            row.point.to_string(),
            row.replication.to_string(),
            self.seed(&choice).to_string(),
        ];
        let values = self
            .columns()
            .map(|(number, axis)| unquoted(&axis.values[choice[number]]));
        cells.extend(values.map(str::to_owned));
        cells
    }

    fn seed(&self, choice: &[usize]) -> u64 {
        let axes = self.grid.axes.iter().zip(choice);
        let mut seeds = axes.filter(|(axis, _)| axis.varied == Varied::Seed);
        let varied = seeds
            .next()
            .and_then(|(axis, at)| axis.values[*at].parse().ok());
        varied.unwrap_or(self.scenario_seed)
    }

    fn edits(&self, choice: &[usize]) -> Vec<Edit> {
        let axes = self.grid.axes.iter().zip(choice).zip(1..);
        let edits = axes.filter_map(|((axis, at), number)| match &axis.varied {
            Varied::Path(path) => {
                let edit = Edit::new(path, &axis.values[*at]).ok()?;
                Some(edit.by(Flag::Vary, number))
            }
            Varied::Load | Varied::Seed => None,
        });
        edits.collect()
    }

    /// The mesh and the scenario of a point, and texts beside them.
    fn scenario(&self, choice: &[usize]) -> Result<(Prepared, Vec<(String, String)>), Failure> {
        let mesh = self.gathered.mesh(&self.edits(choice), self.quiet);
        let mesh = mesh.map_err(|failure| self.at(choice, failure))?;
        let mut scenario = only_scenario(&mesh)?;
        scenario.duration = self.duration.or(scenario.duration);
        for (axis, at) in self.grid.axes.iter().zip(choice) {
            if axis.varied != Varied::Load {
                continue;
            }
            let by = factor(&axis.values[*at]).map_err(Failure::Usage)?;
            if scenario.scale(by) == 0 {
                let what = "`load` multiplies the rates of open loads (`rate: 200/s`), and this scenario has none; vary `Scenario:load[0].connections`";
                return Err(Failure::Usage(what.to_owned()));
            }
        }
        check(&scenario).map_err(|failure| self.at(choice, failure))?;
        let names = scenario.load.iter().map(|load| &*load.name);
        let what = if !names.eq(self.loads.iter().map(String::as_str)) {
            "the names of loads differ from point to point; they name columns"
        } else if (scenario.seed, scenario.replications) != self.luck {
            "a path cannot vary the seed or the replications; write `--vary 'seed=[1, 2, 3]'` or --replications"
        } else {
            ""
        };
        if !what.is_empty() {
            return Err(Failure::Usage(what.to_owned()));
        }
        let beside = mesh.beside.clone();
        Ok((Prepared { mesh, scenario }, beside))
    }

    fn plan(&self, point: u32) -> Result<Plan, Failure> {
        let choice = self.grid.choice(point);
        let (prepared, _) = self.scenario(&choice)?;
        let plan = prepared.mesh.plan(&prepared.scenario);
        plan.map_err(|failure| self.at(&choice, failure))
    }

    /// Says at which values something failed.
    fn at(&self, choice: &[usize], failure: Failure) -> Failure {
        let axes = self.grid.axes.iter().zip(choice);
        let values: Vec<String> = axes
            .map(|(axis, at)| format!("{}={}", axis.name, axis.values[*at]))
            .collect();
        if values.is_empty() {
            return failure;
        }
        let note = format!("this is at {}\n", values.join(", "));
        match failure {
            Failure::Input(text) => Failure::Input(text + &note),
            Failure::Usage(text) => Failure::Usage(format!("{}\n{note}", text.trim_end())),
            other @ Failure::Output(_) => other,
        }
    }

    /// Makes the rows behind the first `done` and hands their lines over in order.
    fn run(
        &self,
        args: &SweepArgs,
        rows: &[Row],
        done: usize,
        mut take: impl FnMut(usize, &str) -> Result<(), Failure>,
        console: Console,
    ) -> Result<ExitCode, Failure> {
        let interrupted = interrupt::watch_saying("stopping after what is finished");
        let progress = console.progress();
        let control = Control {
            interrupted,
            progress: None,
            keep_requests: 0,
        };
        let work = Work {
            prepare: &|point| self.plan(point),
            run: &|plan: &Plan, row| {
                let seed = self.seed(&self.grid.choice(row.point));
                let outcome =
                    simulation::run(plan, Seed::new(seed).replication(row.replication), &control);
                let record = simulation::record(plan, seed, &[outcome]);
                (record.ended != Ended::Interrupted).then(|| table::cells(&record))
            },
            interrupted,
        };
        let mut number = done;
        let threads = args.repeat.threads.map(usize::from);
        let made = run_rows(&rows[done..], threads, &work, |row, cells: Vec<String>| {
            let lead = self.lead(row);
            let line = table::line(lead.iter().chain(&cells).map(String::as_str));
            take(number, &line)?;
            number += 1;
            progress.at(number as f64 / rows.len() as f64);
            Ok(())
        })?;
        drop(progress);
        Ok(if done + made < rows.len() {
            ExitCode::Interrupted
        } else {
            ExitCode::Done
        })
    }
}

/// What a point is made of.
struct Prepared {
    mesh: pipeline::Mesh,
    scenario: Scenario,
}

/// A value as a cell: quotes that YAML needs are none of the table's business.
fn unquoted(value: &str) -> &str {
    let inner = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
}
