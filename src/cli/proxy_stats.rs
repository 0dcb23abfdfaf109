//! `proxy-stats`: one proxy's admin interface at a moment of a run.

use super::args::{ProxyStatsArgs, StatsFormat};
use super::exit_code::{ExitCode, Failure};
use super::interrupt;
use super::output::Console;
use super::pipeline::{self, Inputs};
use super::traffic::{check, data, only_scenario};
use crate::diagnostic::nearest;
use crate::engine::Seed;
use crate::report::proxy_stats as report;
use crate::simulation::{Control, view_at};
use crate::units::SimTime;

/// `towtank proxy-stats`.
pub(super) fn proxy_stats(args: &ProxyStatsArgs, console: Console) -> Result<ExitCode, Failure> {
    let inputs = Inputs {
        args: &args.input,
        namespace: args.namespace.namespace.as_deref(),
        scenario: args.scenario.as_deref(),
        tolerant: false,
    };
    let mesh = pipeline::read(&inputs, console)?;
    mesh.warn(console);
    let scenario = only_scenario(&mesh)?;
    check(&scenario)?;
    let Some(at) = args.at.or(scenario.duration) else {
        let what = "--at TIME is needed: the scenario's loads end by their count, not at a time";
        return Err(Failure::Usage(what.to_owned()));
    };
    let mut plan = mesh.plan(&scenario)?;
    let proxies = plan.proxies();
    if !proxies
        .iter()
        .any(|p| *p == args.pod || p.ends_with(&format!("/{}", args.pod)))
    {
        let names = proxies.iter().map(String::as_str);
        let near = nearest(&args.pod, names).map(|near| format!("; did you mean `{near}`?"));
        let some: Vec<&str> = proxies.iter().take(5).map(String::as_str).collect();
        let help = near.unwrap_or_else(|| format!("; there are {} …", some.join(", ")));
        return Err(Failure::Usage(format!(
            "no pod `{}` has a proxy{help}",
            args.pod
        )));
    }
    plan.watch(&args.pod);
    let progress = console.progress();
    let control = Control {
        interrupted: interrupt::watch(),
        progress: Some(&|done| progress.at(done)),
        keep_requests: 0,
    };
    let seed = Seed::new(args.seed.unwrap_or(scenario.seed));
    let view = view_at(&plan, seed, &control, SimTime::ZERO.after(at));
    drop(progress);
    let Some(view) = view else {
        return Err(Failure::Usage(format!("no pod `{}` has a proxy", args.pod)));
    };
    let text = match args.output {
        _ if args.clusters => report::clusters(&view),
        StatsFormat::Text => report::stats(&view),
        StatsFormat::Prometheus => report::prometheus(&view),
    };
    if text.is_empty() {
        console.note(&format!(
            "{} has sent and received nothing so far",
            view.pod
        ));
    }
    data(&text)?;
    Ok(ExitCode::Done)
}
