//! `towtank export`: tables in the words of other programs.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::args::{EnvoyArgs, ExportArgs, ExportFormat, ExportTo};
use super::exit_code::{ExitCode, Failure};
use super::names;
use super::output::Console;
use super::pipeline::{self, Inputs};
use super::traffic::data;
use crate::export::{Endpoints, bootstrap};
use crate::report::json::pretty;

/// `towtank export envoy`.
pub(super) fn export(args: &ExportArgs, console: Console) -> Result<ExitCode, Failure> {
    let ExportTo::Envoy(args) = &args.to;
    let inputs = Inputs {
        args: &args.input,
        namespace: args.namespace.namespace.as_deref(),
        scenario: None,
        tolerant: false,
    };
    let endpoints = args.endpoints.as_deref().map(read_endpoints).transpose()?;
    let mesh = pipeline::read(&inputs, console)?;
    mesh.warn(console);
    let known = names::known(&mesh.config);
    let found = names::resolve(&args.workload, &mesh.namespace, &known).map_err(Failure::Usage)?;
    let snapshot = mesh.compile();
    let Some(workload) = snapshot.workload_named(&found.namespace, &found.name) else {
        let name = format!("{}/{}", found.namespace, found.name);
        return Err(Failure::Usage(format!(
            "workload `{name}` was not compiled"
        )));
    };
    let exported = bootstrap(
        &snapshot,
        workload,
        endpoints.as_ref(),
        args.certificates.as_deref(),
    );
    for warning in &exported.warnings {
        console.warning(warning);
    }
    if !exported.refused.is_empty() {
        for reason in &exported.refused {
            Console::error(reason);
        }
        return Ok(ExitCode::Input);
    }
    print(args, &exported.bootstrap)
}

fn print(args: &EnvoyArgs, bootstrap: &serde_json::Value) -> Result<ExitCode, Failure> {
    let text = match args.output {
        ExportFormat::Json => pretty(bootstrap),
        ExportFormat::Yaml => serde_yaml::to_string(bootstrap)
            .map_err(|error| Failure::Output(format!("cannot write YAML: {error}")))?,
    };
    data(&text)?;
    Ok(ExitCode::Done)
}

/// The endpoints map: a flat mapping of texts.
fn read_endpoints(path: &Path) -> Result<Endpoints, Failure> {
    let wrong = |why: String| Failure::Usage(format!("--endpoints {}: {why}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let map: BTreeMap<String, String> = serde_yaml::from_str(&text).map_err(|error| {
        wrong(format!(
            "{error}; write a line `namespace/pod: 127.0.0.1:9101` for each endpoint"
        ))
    })?;
    Endpoints::new(map).map_err(wrong)
}
