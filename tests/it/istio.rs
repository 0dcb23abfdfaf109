//! Istio's own expectations of generated configuration, told again with names of our own: which
//! cluster a call ends in, through the tables that are compiled here.
//!
//! The cases stand in `fixtures/istio`. `models/ISTIO.md` says how many hold and which do not.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use towtank::config::load::{LoadOptions, load};
use towtank::control_plane::compile;
use towtank::data_plane::{NoTrail, RequestView, RouteDecision, Router};
use towtank::http::Headers;
use towtank::manifest::Source;
use towtank::xds::cluster::Upstream;
use towtank::xds::listener::{ChainKind, ChainMatch, MtlsMode};
use towtank::xds::snapshot::{Protocol, RouteConfigId};
use towtank::xds::{Action, FilterChain, Listener, ProxyTables, Snapshot, Workload};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    base: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default)]
    manifests: String,
    #[serde(default)]
    rules: Vec<Rule>,
    /// Egress hosts of a Sidecar, by namespace.
    #[serde(default)]
    imports: BTreeMap<String, Vec<String>>,
    asked: Vec<Asked>,
    /// Why some of it is known not to hold.
    #[serde(default)]
    differs: Option<String>,
}

/// A VirtualService with one route.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    r#in: String,
    r#for: Vec<String>,
    to: String,
    port: Option<u16>,
    on: Option<u16>,
    age: Option<String>,
}

/// One call, or one look at a route configuration, and what it ends in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    of: String,
    gives: String,
    /// A route configuration and a domain in it.
    routes: Option<String>,
    domain: Option<String>,
    /// A call to a listener.
    port: Option<u16>,
    address: Option<IpAddr>,
    host: Option<String>,
    path: Option<String>,
    sni: Option<String>,
    /// A call that arrives at a port of the pod.
    inbound: Option<u16>,
    over: Option<String>,
}

impl Case {
    fn text(&self, base: &str) -> String {
        let mut documents = vec![base.to_owned(), self.manifests.clone()];
        for (number, rule) in self.rules.iter().enumerate() {
            documents.push(rule.document(number).to_string());
        }
        for (namespace, hosts) in &self.imports {
            documents.push(
                serde_json::json!({"apiVersion": "networking.istio.io/v1", "kind": "Sidecar",
                    "metadata": {"name": "imports", "namespace": namespace},
                    "spec": {"egress": [{"hosts": hosts}]}})
                .to_string(),
            );
        }
        documents.join("\n---\n")
    }
}

impl Rule {
    fn document(&self, number: usize) -> serde_json::Value {
        let year = match self.age.as_deref() {
            Some("older") => 2010,
            Some("newer") => 2030,
            _ => 2020,
        };
        let mut route = serde_json::json!({"route": [{"destination": {"host": self.to}}]});
        if let Some(port) = self.port {
            route["route"][0]["destination"]["port"] = serde_json::json!({"number": port});
        }
        if let Some(port) = self.on {
            route["match"] = serde_json::json!([{"port": port}]);
        }
        serde_json::json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
            "metadata": {"name": format!("rule-{number}"), "namespace": self.r#in,
                "creationTimestamp": format!("{year}-01-01T00:00:00Z")},
            "spec": {"hosts": self.r#for, "http": [route]}})
    }
}

/// What the tables say to one question.
fn answer(snapshot: &Snapshot, asked: &Asked) -> String {
    let (namespace, name) = asked.of.split_once('/').expect("namespace/name");
    let id = snapshot.workload_named(namespace, name);
    let workload = &snapshot.workloads[id.expect("the workload is there")];
    let tables = &snapshot.tables[workload.tables.expect("it has a proxy")];
    if let Some(port) = asked.inbound {
        return inbound(workload, port, asked.over.as_deref() == Some("mutual TLS"));
    }
    if let Some(routes) = &asked.routes {
        let id = snapshot.route_config_named(tables, routes);
        return id.map_or("nothing".to_owned(), |id| vhost(snapshot, id, asked));
    }
    outbound(snapshot, tables, asked)
}

/// The cluster of the virtual host that has a domain.
fn vhost(snapshot: &Snapshot, id: RouteConfigId, asked: &Asked) -> String {
    let domain = asked.domain.as_deref().expect("a domain is asked for");
    let hosts = &snapshot.route_configs[id].virtual_hosts;
    let found = hosts
        .iter()
        .find(|h| h.domains.iter().any(|d| **d == *domain));
    let Some(host) = found else {
        return "nothing".to_owned();
    };
    let clusters = host.routes.iter().map(|r| cluster_of(&r.action));
    clusters.collect::<Vec<_>>().join(", ")
}

fn cluster_of(action: &Action) -> String {
    match action {
        Action::Forward(forward) => {
            let names = forward.clusters.iter().map(|c| &*c.name);
            names.collect::<Vec<_>>().join("+")
        }
        Action::Redirect(_) => "redirect".to_owned(),
        Action::Direct(direct) => format!("answer {}", direct.status),
        Action::Unusable => "unusable".to_owned(),
    }
}

fn outbound(snapshot: &Snapshot, tables: &ProxyTables, asked: &Asked) -> String {
    let port = asked.port.expect("a port is called");
    let address = asked.address.map(|a| a.to_string());
    let at = |wanted: &str| {
        let mut all = tables.listeners.iter();
        all.find(|l| l.port == port && *l.address == *wanted && !l.chains.is_empty())
    };
    let own = address.as_deref().and_then(at);
    let Some(listener) = own.or_else(|| at("0.0.0.0")) else {
        return "no listener".to_owned();
    };
    let Some(chain) = chain(listener, asked) else {
        return "no chain".to_owned();
    };
    match &chain.kind {
        ChainKind::Http(routes) => http(snapshot, *routes, "http", asked),
        ChainKind::HttpsTerminate(_) if asked.sni.is_none() => "no chain".to_owned(),
        ChainKind::HttpsTerminate(routes) => http(snapshot, *routes, "https", asked),
        ChainKind::Tcp(clusters) => {
            let names = clusters.iter().map(|(name, _)| &**name);
            names.collect::<Vec<_>>().join("+")
        }
    }
}

/// Envoy's order: the narrowest address, then the most exact server name.
fn chain<'a>(listener: &'a Listener, asked: &Asked) -> Option<&'a FilterChain> {
    let rank = |chain: &FilterChain| match &chain.matches {
        ChainMatch::Any => Some(0),
        ChainMatch::PlaintextHttp => (asked.sni.is_none() && asked.host.is_some()).then_some(1),
        ChainMatch::Sni(names) => {
            let sni = asked.sni.as_deref()?;
            let fits = |name: &str| match name.strip_prefix('*') {
                Some(rest) => sni.ends_with(rest).then_some(name.len()),
                None => (name == sni).then_some(1000),
            };
            names.iter().filter_map(|n| fits(n)).max()
        }
        ChainMatch::Destination(blocks) => {
            let address = asked.address?;
            blocks.iter().filter_map(|b| inside(b, address)).max()
        }
    };
    let ranked = listener.chains.iter().filter_map(|c| Some((rank(c)?, c)));
    // Of equals the first.
    ranked.rev().max_by_key(|(rank, _)| *rank).map(|(_, c)| c)
}

/// The length of the block's prefix plus one, when the address is inside.
fn inside(block: &str, address: IpAddr) -> Option<usize> {
    let (network, bits) = block.split_once('/').unwrap_or((block, "32"));
    let (IpAddr::V4(network), IpAddr::V4(address)) = (network.parse().ok()?, address) else {
        return None;
    };
    let bits: u32 = bits.parse().ok()?;
    let shift = 32 - bits;
    let part = |ip: u32| ip.checked_shr(shift).unwrap_or(0);
    (part(network.to_bits()) == part(address.to_bits())).then_some(bits as usize + 1)
}

fn http(snapshot: &Snapshot, id: RouteConfigId, scheme: &str, asked: &Asked) -> String {
    let config = &snapshot.route_configs[id];
    let (router, _) = Router::new(config);
    let headers = Headers::new();
    let request = RequestView {
        method: "GET",
        scheme,
        authority: asked.host.as_deref().unwrap_or(""),
        path: asked.path.as_deref().unwrap_or("/"),
        headers: &headers,
    };
    match router.route(config, &request, &mut NoTrail) {
        RouteDecision::NoVirtualHost => "no host".to_owned(),
        RouteDecision::NoRoute { .. } => "no route".to_owned(),
        RouteDecision::Route { vhost, route } => {
            cluster_of(&config.virtual_hosts[vhost].routes[route].action)
        }
    }
}

/// What becomes of a connection that arrives.
fn inbound(workload: &Workload, port: u16, mutual_tls: bool) -> String {
    let found = workload.inbound.iter().find(|i| i.port == port);
    let inbound = found.expect("the pod has the port");
    let http = inbound.cluster.upstream != Upstream::Tcp && inbound.protocol != Protocol::Auto;
    match (inbound.mtls, mutual_tls) {
        (MtlsMode::Strict, false) => "no chain".to_owned(),
        (MtlsMode::Disable, true) if http => "protocol error".to_owned(),
        _ => inbound.cluster.name.to_string(),
    }
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures/istio");
    let entries = fs::read_dir(folder).expect("the folder is there");
    let mut files: Vec<PathBuf> = entries.map(|e| e.expect("readable").path()).collect();
    files.sort();
    files
}

const INTRODUCTION: &str = "\
# Beside Istio's own tests

Istio tests the configuration it generates by asking a small simulator which cluster a call ends in. Those expectations
(`pilot/pkg/networking/core/*_simulation_test.go` in `istio/istio`) are told again here with manifests and names of our own, in
`tests/it/fixtures/istio/`, and asked of the tables that towtank compiles. Left out: Gateway API routes, `Ingress`, IPv6, plain TLS that
arrives at a sidecar, and what Istio itself marks as a bug of the test.

This page is written by `tests/it/istio.rs`; an ordinary `cargo test` holds it.
";

#[test]
fn calls_end_where_istio_says() {
    let mut page = INTRODUCTION.to_owned();
    let (mut holding, mut total) = (0, 0);
    let mut table = String::new();
    let mut wrong = Vec::new();
    for path in files() {
        let text = fs::read_to_string(&path).expect("readable");
        let file: File =
            serde_yaml::from_str(&text).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        let stem = path.file_stem().expect("a file").to_string_lossy();
        let _ = writeln!(table, "\n## {}\n", stem.replace('_', " "));
        table.push_str("| case | questions | hold |\n|---|---|---|\n");
        for case in &file.cases {
            let source = Source::new(format!("{stem}.yaml"), case.text(&file.base));
            let loaded = load(vec![source], &LoadOptions::default());
            let errors: Vec<String> = (loaded.diagnostics.iter().filter(|d| d.is_error()))
                .map(ToString::to_string)
                .collect();
            assert!(errors.is_empty(), "{}: {errors:#?}", case.name);
            let snapshot = compile(&loaded.config);
            let missed: Vec<String> = (case.asked.iter())
                .map(|asked| (asked, answer(&snapshot, asked)))
                .filter(|(asked, got)| asked.gives != *got)
                .map(|(asked, got)| format!("{stem}: {}: {} is {got}", case.name, asked.gives))
                .collect();
            if case.differs.is_none() {
                wrong.extend(missed.iter().cloned());
            } else if missed.is_empty() {
                wrong.push(format!("{stem}: {} holds now", case.name));
            }
            let (all, held) = (case.asked.len(), case.asked.len() - missed.len());
            (holding, total) = (holding + held, total + all);
            let why = case
                .differs
                .as_ref()
                .map_or(String::new(), |w| format!(": {w}"));
            let _ = writeln!(table, "| {} | {all} | {held}{why} |", case.name);
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    let _ = writeln!(page, "\n{holding} of {total} hold.");
    held(&(page + &table));
}

fn held(page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/ISTIO.md");
    if std::env::var("INSTA_UPDATE").is_ok_and(|v| v == "always") {
        fs::write(&path, page).expect("the page is written");
    }
    let known = fs::read_to_string(path).unwrap_or_default();
    assert!(
        known == page,
        "models/ISTIO.md is not what the tables say; INSTA_UPDATE=always writes it"
    );
}
