//! `towtank diff`: two meshes, the same scenario, the same luck.

use std::path::Path;

use super::args::{DiffArgs, DiffFormat};
use super::exit_code::{ExitCode, Failure};
use super::git::{self, Checkout};
use super::interrupt;
use super::output::Console;
use super::pipeline::{How, Mesh};
use super::side::{Chosen, Side, Texts};
use super::traffic::{check, data, only_scenario};
use crate::config::scenario::Scenario;
use crate::experiment::Expected;
use crate::experiment::diff::{Comparison, Luck, Variant, compare, tables};
use crate::manifest::Edit;
use crate::observe::record::Ended;
use crate::report::diff::{self as report, DiffReport};
use crate::simulation::Control;
use crate::units::origin::Flag;

/// Pairs when nobody asks for a number: enough for an interval that means something.
const PAIRS: u32 = 10;

/// `towtank diff`.
pub(super) fn diff(args: &DiffArgs, console: Console) -> Result<ExitCode, Failure> {
    let current = Path::new(".");
    let mut checkouts = Vec::new();
    let (before, after) = sides(args, current, &mut checkouts)?;
    let was = Texts::read(&before, &args.input)?;
    let is = Texts::read(&after, &args.input)?;
    let chosen = match &args.scenario {
        Some(path) => Some(Chosen::read(path, &args.input)?),
        None if args.plan_only => None,
        None => is.scenario()?,
    };
    let namespace = args.namespace.namespace.as_deref();
    let mesh = |texts: Texts, side: &Side<'_>, more: &[Edit]| {
        let gathered = texts.gathered(chosen.as_ref(), namespace, &args.input, more);
        gathered
            .mesh(&[], console)
            .map_err(|failure| of_side(side, failure))
    };
    let was = mesh(was, &before, &[])?;
    let set_after = args.set_after.iter().cloned().zip(1..);
    let set_after: Vec<Edit> = set_after
        .map(|(edit, number)| edit.by(Flag::SetAfter, number))
        .collect();
    let is = mesh(is, &after, &set_after)?;
    let comparison = match &chosen {
        Some(_) if !args.plan_only => Some(run(args, (&was, &before), (&is, &after), console)?),
        _ => None,
    };
    let plan = tables(&was.compile(), &is.compile());
    let told = DiffReport::new(&before.name, &after.name, &plan, comparison.as_ref());
    data(&match args.output {
        DiffFormat::Text => report::text::render(&told),
        DiffFormat::Json => report::render_json(&told),
        DiffFormat::Markdown => report::markdown::render(&told),
    })?;
    let ended = comparison.as_ref().map(|c| [c.before.ended, c.after.ended]);
    Ok(match ended {
        Some(ended) if ended.contains(&Ended::Interrupted) => ExitCode::Interrupted,
        Some(ended) if ended.contains(&Ended::TooMuchInFlight) => ExitCode::EndedEarly,
        _ if args.exit_code && told.differs => ExitCode::Different,
        _ => ExitCode::Done,
    })
}

/// Which two, from the command line.
fn sides<'a>(
    args: &'a DiffArgs,
    current: &'a Path,
    checkouts: &mut Vec<Checkout>,
) -> Result<(Side<'a>, Side<'a>), Failure> {
    let Some(range) = &args.git else {
        let side = |path: &'a Path| Side {
            name: path.display().to_string(),
            root: "".into(),
            paths: vec![path],
        };
        return match args.paths.as_slice() {
            [before, after] => Ok((side(before), side(after))),
            [both] if !args.set_after.is_empty() => {
                let edits: Vec<String> = args.set_after.iter().map(ToString::to_string).collect();
                let after = Side {
                    name: format!("{} with {}", both.display(), edits.join(", ")),
                    ..side(both)
                };
                Ok((side(both), after))
            }
            _ => {
                let what = "name two: BEFORE and AFTER (files or folders), one with --set-after PATH=VALUE, or two revisions with --git main..HEAD";
                Err(Failure::Usage(what.to_owned()))
            }
        };
    };
    let paths: Vec<&Path> = if args.paths.is_empty() {
        vec![current]
    } else {
        args.paths.iter().map(|path| &**path).collect()
    };
    paths
        .iter()
        .try_for_each(|path| git::check_relative(path))?;
    let range = git::range(range)?;
    let mut side = |revision: Option<&String>| -> Result<Side<'a>, Failure> {
        let Some(revision) = revision else {
            return Ok(Side {
                name: "the working tree".to_owned(),
                root: "".into(),
                paths: paths.clone(),
            });
        };
        let checkout = Checkout::of(revision)?;
        let root = checkout.root();
        checkouts.push(checkout);
        Ok(Side {
            name: git::short(revision),
            root,
            paths: paths.clone(),
        })
    };
    Ok((side(Some(&range.before))?, side(range.after.as_ref())?))
}

fn run(
    args: &DiffArgs,
    (was, before): (&Mesh, &Side<'_>),
    (is, after): (&Mesh, &Side<'_>),
    console: Console,
) -> Result<Comparison, Failure> {
    let scenario = |mesh: &Mesh| -> Result<Scenario, Failure> {
        let mut scenario = only_scenario(mesh)?;
        scenario.duration = args.duration.or(scenario.duration);
        check(&scenario)?;
        Ok(scenario)
    };
    let (old, new) = (scenario(was)?, scenario(is)?);
    let prepared = |mesh: &Mesh, scenario: &Scenario, side: &Side<'_>| {
        mesh.prepare(scenario)
            .map_err(|failure| of_side(side, failure))
    };
    let (first, second) = (prepared(was, &old, before)?, prepared(is, &new, after)?);
    let how = How::new(&args.repeat, &new);
    let luck = Luck {
        seed: how.seed,
        replications: args
            .repeat
            .replications
            .unwrap_or(how.replications.max(PAIRS)),
        threads: how.threads,
    };
    let progress = console.progress();
    let control = Control {
        interrupted: interrupt::watch(),
        progress: Some(&|done| progress.at(done)),
        keep_requests: 0,
    };
    let variant = |(snapshot, plan), mesh, scenario| variant(snapshot, plan, mesh, scenario);
    let first = (&first.0, &first.1);
    let second = (&second.0, &second.1);
    Ok(compare(
        variant(first, was, &old),
        variant(second, is, &new),
        luck,
        &control,
    ))
}

fn variant<'a>(
    snapshot: &'a crate::xds::Snapshot,
    plan: &'a crate::simulation::Plan,
    mesh: &'a Mesh,
    scenario: &'a Scenario,
) -> Variant<'a> {
    Variant {
        snapshot,
        plan,
        expected: Expected {
            expectations: &scenario.expect,
            origins: &mesh.config.origins,
            snapshot,
        },
    }
}

/// Says on which side something failed.
fn of_side(side: &Side<'_>, failure: Failure) -> Failure {
    let note = format!("this is in `{}`\n", side.name);
    match failure {
        Failure::Input(text) => Failure::Input(text + &note),
        Failure::Usage(text) => Failure::Usage(format!("{}\n{note}", text.trim_end())),
        other @ Failure::Output(_) => other,
    }
}
