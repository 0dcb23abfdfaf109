//! `run`, `curl` and `load`: three ways to say which requests are sent.

use std::path::Path;

use super::args::{CurlArgs, HeaderArg, LoadArgs, PlainFormat, ReportFormat, RunArgs};
use super::client;
use super::doubt::doubt;
use super::exit_code::{ExitCode, Failure};
use super::output::{self, Console};
use super::pipeline::{self, How, Inputs, Mesh};
use crate::config::scenario::{
    ArrivalKind, HeaderValue, IN_FLIGHT, Load, LoadSource, LoadStyle, Scenario,
};
use crate::http::Url;
use crate::observe::Record;
use crate::observe::record::{Ended, Verdict};
use crate::report::curl::CurlReport;
use crate::report::{csv, json, text};
use crate::units::{Origin, Rate, SimDuration};

/// Load of `run --to` when neither --rate nor --duration is given.
const RATE: f64 = 100.0;
const DURATION: SimDuration = SimDuration::from_secs(60);
/// fortio's default of `-t`.
const LOAD_DURATION: SimDuration = SimDuration::from_secs(5);
/// Rows of requests.csv.
const REQUESTS_KEPT: usize = 100_000;

/// `towtank run`.
pub(super) fn run(args: &RunArgs, console: Console) -> Result<ExitCode, Failure> {
    if let Some(folder) = &args.out_dir {
        output::check_folder(folder).map_err(Failure::Usage)?;
    }
    let namespace = args.namespace.namespace.as_deref();
    let inputs = Inputs {
        args: &args.input,
        namespace,
        scenario: args.scenario.as_deref(),
        tolerant: false,
    };
    let mut mesh = pipeline::read(&inputs, console)?;
    let scenario = scenario_of_run(args, &mut mesh)?;
    let mut how = How::new(&args.repeat, &scenario);
    how.keep_requests = if args.out_dir.is_some() {
        REQUESTS_KEPT
    } else {
        0
    };
    let record = mesh.run(&scenario, &how, console)?.record;
    // A folder that cannot be written must not cost the report.
    let written = args
        .out_dir
        .as_ref()
        .map_or(Ok(()), |folder| write_all(folder, &record, console));
    let code = print(&record, args.output, &mesh, console)?;
    written.map(|()| code)
}

/// What `run` plays.
pub(super) fn scenario_of_run(args: &RunArgs, mesh: &mut Mesh) -> Result<Scenario, Failure> {
    let mut scenario = match &args.to {
        None => only_scenario(mesh)?,
        Some(url) => {
            mesh.assume_namespace(args.namespace.namespace.as_deref());
            let style = LoadStyle::Open {
                rate: args.rate.unwrap_or(Rate::per_second(RATE)),
                arrivals: ArrivalKind::Poisson,
                requests: None,
            };
            let request = Request {
                url,
                method: &args.method,
                headers: &args.headers,
                from: args.from.as_deref(),
            };
            one_load("run", &request, style, Some(DURATION), mesh)?
        }
    };
    scenario.duration = args.duration.or(scenario.duration);
    scenario.warm_up = args.warm_up.unwrap_or(scenario.warm_up);
    check(&scenario)?;
    Ok(scenario)
}

/// `towtank load`.
pub(super) fn load(args: &LoadArgs, console: Console) -> Result<ExitCode, Failure> {
    let namespace = args.namespace.as_deref();
    let inputs = Inputs {
        args: &args.input,
        namespace,
        scenario: None,
        tolerant: false,
    };
    let mut mesh = pipeline::read(&inputs, console)?;
    let scenario = scenario_of_load(args, &mut mesh)?;
    let how = How::new(&args.repeat, &scenario);
    let record = mesh.run(&scenario, &how, console)?.record;
    print(&record, args.output, &mesh, console)
}

/// What `load` plays.
pub(super) fn scenario_of_load(args: &LoadArgs, mesh: &mut Mesh) -> Result<Scenario, Failure> {
    mesh.assume_namespace(args.namespace.as_deref());
    let style = LoadStyle::Closed {
        connections: args.connections,
        requests: args.requests,
        qps: (!args.qps.is_zero()).then_some(args.qps),
        think: None,
    };
    let request = Request {
        url: &args.url,
        method: &args.method,
        headers: &args.headers,
        from: args.from.as_deref(),
    };
    let duration = args
        .duration
        .or(args.requests.is_none().then_some(LOAD_DURATION));
    let scenario = one_load("load", &request, style, duration, mesh)?;
    check(&scenario)?;
    Ok(scenario)
}

/// `towtank curl`.
pub(super) fn curl(args: &CurlArgs, console: Console) -> Result<ExitCode, Failure> {
    let namespace = args.namespace.namespace.as_deref();
    let inputs = Inputs {
        args: &args.input,
        namespace,
        scenario: None,
        tolerant: false,
    };
    let mut mesh = pipeline::read(&inputs, console)?;
    let (scenario, how) = scenario_of_curl(args, &mut mesh)?;
    let run = mesh.run(&scenario, &how, console)?;
    let report = CurlReport::new(&run.record, run.trail);
    let text = match args.output {
        PlainFormat::Json => report.json(),
        PlainFormat::Text => report.text(),
    };
    data(&text)?;
    Ok(code(&run.record))
}

/// What `curl` plays, and how.
pub(super) fn scenario_of_curl(
    args: &CurlArgs,
    mesh: &mut Mesh,
) -> Result<(Scenario, How), Failure> {
    mesh.assume_namespace(args.namespace.namespace.as_deref());
    let style = LoadStyle::Closed {
        connections: 1,
        requests: Some(args.repeat),
        qps: None,
        think: None,
    };
    let request = Request {
        url: &args.url,
        method: &args.method,
        headers: &args.headers,
        from: args.from.as_deref(),
    };
    let scenario = one_load("curl", &request, style, None, mesh)?;
    let how = How {
        seed: args.seed,
        replications: 1,
        threads: Some(1),
        keep_requests: args.repeat as usize,
        trace: true,
        is_test: false,
    };
    Ok((scenario, how))
}

/// One request as the command line describes it.
struct Request<'a> {
    url: &'a Url,
    method: &'a str,
    headers: &'a [HeaderArg],
    from: Option<&'a str>,
}

fn one_load(
    name: &str,
    request: &Request<'_>,
    style: LoadStyle,
    duration: Option<SimDuration>,
    mesh: &mut Mesh,
) -> Result<Scenario, Failure> {
    let from = client::source(
        request.from,
        &mesh.namespace,
        &mut mesh.config,
        &mut mesh.assumed,
    )?;
    if let LoadSource::Workload { name, .. } = &from {
        let namespace = name.split('/').next().unwrap_or_default();
        mesh.warnings
            .extend(doubt(request.url, namespace, &mesh.config));
    }
    let text = |header: &HeaderArg| {
        (
            header.name.as_str().into(),
            HeaderValue::Text(header.value.as_str().into()),
        )
    };
    let load = Load {
        name: name.into(),
        from,
        url: request.url.clone(),
        method: request.method.into(),
        headers: request.headers.iter().map(text).collect(),
        mix: Vec::new(),
        style,
        profile: None,
        start: SimDuration::ZERO,
        stop: None,
        ramp_up: SimDuration::ZERO,
        timeout: None,
        retries: None,
        timeout_origin: Origin::BUILT_IN,
        retries_origin: Origin::BUILT_IN,
        origin: Origin::BUILT_IN,
    };
    Ok(Scenario {
        name: name.into(),
        manifests: Vec::new(),
        model: None,
        istio_version: None,
        duration,
        warm_up: SimDuration::ZERO,
        seed: 1,
        replications: 1,
        max_in_flight: IN_FLIGHT,
        load: vec![load],
        events: Vec::new(),
        expect: Vec::new(),
        routes: Vec::new(),
        origin: Origin::BUILT_IN,
    })
}

/// Flags may ask for what a Scenario document may not.
pub(super) fn check(scenario: &Scenario) -> Result<(), Failure> {
    let objections = scenario.objections();
    if objections.is_empty() {
        return Ok(());
    }
    let said: Vec<String> = objections
        .into_iter()
        .map(|no| format!("{}; {}", no.what, no.help))
        .collect();
    Err(Failure::Usage(said.join("\n")))
}

pub(super) fn only_scenario(mesh: &Mesh) -> Result<Scenario, Failure> {
    match mesh.scenarios.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Failure::Usage(
            "no Scenario to run: name a SCENARIO file or folder, or describe the load with --to URL --rate R".to_owned(),
        )),
        several => {
            let place = |s: &Scenario| mesh.config.origins.place(s.origin);
            let names: Vec<String> = several.iter().map(|s| format!("`{}` at {}", s.name, place(s))).collect();
            Err(Failure::Usage(format!(
                "more than one Scenario was read ({}); name the file of one, or leave the others out",
                names.join(", ")
            )))
        }
    }
}

fn write_all(folder: &Path, record: &Record, console: Console) -> Result<(), Failure> {
    let mut files = csv::files(record);
    files.push(("report.json", json::render(record)));
    let shown = folder.display();
    output::write_folder(folder, &files)
        .map_err(|error| Failure::output(&format!("to `{shown}`"), &error))?;
    console.note(&format!("wrote {} files to `{shown}`", files.len()));
    Ok(())
}

fn print(
    record: &Record,
    format: ReportFormat,
    mesh: &Mesh,
    console: Console,
) -> Result<ExitCode, Failure> {
    let text = match format {
        ReportFormat::Text => text::render(record),
        ReportFormat::Json => json::render(record),
        ReportFormat::Csv => {
            mesh.warn(console);
            csv::main_table(record)
        }
    };
    data(&text)?;
    Ok(code(record))
}

/// Prints data.
pub(super) fn data(text: &str) -> Result<(), Failure> {
    Console::data(text).map_err(|error| Failure::output("to standard output", &error))
}

pub(super) fn code(record: &Record) -> ExitCode {
    let any = |verdict| record.expectations.iter().any(|e| e.verdict == verdict);
    match record.ended {
        Ended::Complete | Ended::InFlight if any(Verdict::Fail) => ExitCode::Expectation,
        Ended::Complete | Ended::InFlight if any(Verdict::Undecided) => ExitCode::Undecided,
        Ended::Complete | Ended::InFlight => ExitCode::Done,
        Ended::Interrupted => ExitCode::Interrupted,
        Ended::TooMuchInFlight => ExitCode::EndedEarly,
    }
}
