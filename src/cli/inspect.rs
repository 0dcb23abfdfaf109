//! The commands that send nothing: tables, schemas, completions, the man page.

use clap::CommandFactory;

use super::args::{Cli, CompletionArgs, PlainFormat, ProxyConfigArgs, SchemaArgs, SchemaOf, Table};
use super::exit_code::{ExitCode, Failure};
use super::names;
use super::output::Console;
use super::pipeline::{self, Inputs};
use super::traffic::data;
use crate::analyze::suppress::config_schema;
use crate::config::scenario::{model_schema, scenario_schema};
use crate::report::json::pretty;
use crate::report::{analyze, capacity, curl, diff, explain, json, proxy_config};

/// `towtank proxy-config`.
pub(super) fn proxy_config(args: &ProxyConfigArgs, console: Console) -> Result<ExitCode, Failure> {
    let inputs = Inputs {
        args: &args.input,
        namespace: args.namespace.namespace.as_deref(),
        scenario: None,
        tolerant: true,
    };
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
    if snapshot.workloads[workload].tables.is_none() {
        console.note(&format!(
            "`{}` has no proxy: its pods are not injected",
            snapshot.workloads[workload].full_name()
        ));
    }
    let filter = proxy_config::Filter::default();
    let json = args.output == PlainFormat::Json;
    let value = match args.table {
        Table::Listeners if json => proxy_config::listeners_json(&snapshot, workload, &filter),
        Table::Routes if json => proxy_config::routes_json(&snapshot, workload, &filter),
        Table::Clusters if json => proxy_config::clusters_json(&snapshot, workload, &filter),
        Table::Endpoints if json => proxy_config::endpoints_json(&snapshot, workload, &filter),
        Table::Listeners => {
            return print(&proxy_config::listeners(&snapshot, workload, &filter));
        }
        Table::Routes => {
            return print(&proxy_config::routes(&snapshot, workload, &filter));
        }
        Table::Clusters => {
            return print(&proxy_config::clusters(&snapshot, workload, &filter));
        }
        Table::Endpoints => {
            return print(&proxy_config::endpoints(&snapshot, workload, &filter));
        }
    };
    print(&pretty(&value))
}

fn print(text: &str) -> Result<ExitCode, Failure> {
    data(text)?;
    Ok(ExitCode::Done)
}

/// `towtank schema`.
pub(super) fn schema(args: &SchemaArgs) -> Result<ExitCode, Failure> {
    let text = match args.of {
        SchemaOf::Run => json::schema(),
        SchemaOf::Curl => curl::schema(),
        SchemaOf::Diff => diff::schema(),
        SchemaOf::Explain => explain::json::schema(),
        SchemaOf::Capacity => capacity::schema(),
        SchemaOf::Analyze => analyze::schema(),
        SchemaOf::Config => pretty(&config_schema()),
        SchemaOf::Model => pretty(&model_schema()),
        SchemaOf::Scenario => pretty(&scenario_schema()),
    };
    data(&text)?;
    Ok(ExitCode::Done)
}

/// `towtank completions`.
pub(super) fn completions(args: &CompletionArgs) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "towtank", &mut script);
    data(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::Done)
}

/// `towtank man`: the program and every command, one page each, one after the other.
pub(super) fn man() -> Result<ExitCode, Failure> {
    let mut command = Cli::command();
    command.build();
    let mut page = Vec::new();
    let mut render = |command: clap::Command| clap_mangen::Man::new(command).render(&mut page);
    let rendered = render(command.clone()).and_then(|()| {
        command
            .get_subcommands()
            .filter(|sub| sub.get_name() != "help")
            .try_for_each(|sub| render(sub.clone()))
    });
    rendered.map_err(|error| Failure::output("the man page", &error))?;
    data(&String::from_utf8_lossy(&page))?;
    Ok(ExitCode::Done)
}
