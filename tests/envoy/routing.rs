//! Randomised differential routing: many small VirtualServices, many requests, one Envoy.
//!
//! Every route names itself in a response header, so the answer says which one was taken; the
//! path after rewriting comes back in another. The generator is seeded: a difference prints the
//! seed, the VirtualService and the request.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use serde_json::{Value, json};
use towtank::config::load::{LoadOptions, load};
use towtank::control_plane::compile;
use towtank::data_plane::{NoTrail, RequestView, RouteDecision, Router, mutate};
use towtank::export::{Endpoints, bootstrap};
use towtank::http::Headers;
use towtank::manifest::Source;
use towtank::xds::{Action, RouteConfig, Snapshot};

use crate::dice::{Asked, Dice, SEEN};
use crate::envoy::Envoy;
use crate::http1::{Connection, request};

/// VirtualServices, and requests to each.
const HOSTS: u64 = 250;
const REQUESTS: u64 = 40;
const SEED: u64 = 1;

/// What became of it: the rule (or `-`), the status, the path upstream or the redirect's place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answered {
    rule: String,
    status: u16,
    to: String,
    /// Host and headers upstream.
    behind: String,
}

fn mesh(services: &[Value], hosts: u64) -> String {
    let mut documents = vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "lab"}}),
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "client", "namespace": "lab",
            "labels": {"app": "client", "sidecar.istio.io/inject": "true"}}}),
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "lab",
            "labels": {"app": "web"}}}),
    ];
    let names = (0..hosts)
        .map(|n| format!("h{n}"))
        .chain(["web".to_owned()]);
    documents.extend(names.map(|name| {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "lab"},
            "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80}]}})
    }));
    documents.extend_from_slice(services);
    let texts: Vec<String> = documents.iter().map(Value::to_string).collect();
    texts.join("\n---\n")
}

fn compiled(text: String) -> Snapshot {
    let loaded = load(
        vec![Source::new("routing.yaml", text)],
        &LoadOptions::default(),
    );
    let errors: Vec<String> = (loaded.diagnostics.iter().filter(|d| d.is_error()))
        .map(ToString::to_string)
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    compile(&loaded.config)
}

/// towtank's decision.
fn decided(config: &RouteConfig, router: &Router, asked: &Asked) -> Answered {
    let mut headers = Headers::new();
    for (name, value) in &asked.headers {
        headers.append(name, value);
    }
    let view = RequestView {
        method: &asked.method,
        scheme: "http",
        authority: &asked.host,
        path: &asked.path,
        headers: &headers,
    };
    let answered = |rule: &str, status, to: &str| Answered {
        rule: rule.to_owned(),
        status,
        to: to.to_owned(),
        behind: "-".to_owned(),
    };
    let decision = router.route(config, &view, &mut NoTrail);
    let RouteDecision::Route { vhost, route: at } = decision else {
        return answered("-", 404, "-");
    };
    let route = &config.virtual_hosts[vhost].routes[at];
    let mut set = route.response_headers.set.iter();
    let rule = set.find(|(name, _)| &**name == "x-rule");
    let rule = rule.map_or("-", |(_, value)| value);
    match &route.action {
        Action::Forward(forward) => {
            let pattern = router.rewrite_pattern(vhost, at);
            let sent = mutate::upstream_request(route, forward, 0, &view, pattern);
            let values = |name: &str| sent.headers.all(name).map(str::to_owned).collect();
            Answered {
                behind: behind(&sent.authority, values),
                ..answered(rule, 200, &sent.path)
            }
        }
        Action::Redirect(redirect) => {
            let (status, to) = mutate::redirect(route, redirect, &view);
            answered(rule, status, &to)
        }
        Action::Direct(direct) => answered(rule, direct.status, "-"),
        Action::Unusable => answered(rule, 0, "-"),
    }
}

/// What is looked at of a request behind Envoy, in one text.
fn behind(host: &str, values: impl Fn(&str) -> Vec<String>) -> String {
    let seen = SEEN
        .iter()
        .map(|name| format!(" {name}={}", values(name).join("|")));
    format!("{host}{}", seen.collect::<String>())
}

/// Real Envoy's, over one connection.
fn real(connection: &mut Connection, asked: &Asked) -> Answered {
    let text = request(&asked.method, &asked.host, &asked.path, &asked.headers);
    connection.send(text.as_bytes()).expect("Envoy listens");
    let answer = connection.receive().expect("an answer").expect("an answer");
    let header = |name: &str| answer.header(name).unwrap_or("-").to_owned();
    Answered {
        rule: header("x-rule"),
        status: answer.status(),
        to: match header("location").as_str() {
            "-" => header("x-path"),
            location => location.to_owned(),
        },
        behind: header("x-behind"),
    }
}

/// Answers every request with its path in a header.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut connection = Connection::new(stream);
                while let Ok(Some(message)) = connection.receive() {
                    let path = message.first.split(' ').nth(1).unwrap_or("-");
                    let values = |name: &str| {
                        let lines = message.headers.iter().filter(|(n, _)| n == name);
                        lines.map(|(_, value)| value.clone()).collect()
                    };
                    let behind = behind(message.header("host").unwrap_or("-"), values);
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\nx-path: {path}\r\nx-behind: {behind}\r\ncontent-length: 0\r\n\r\n"
                    );
                    if connection.send(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

#[test]
fn ten_thousand_random_requests_take_the_same_routes() {
    let Some(binary) = crate::envoy_or_skip("randomised routing") else {
        return;
    };
    let _alone = crate::alone();
    let number = |name: &str, default: u64| {
        let text = std::env::var(name).ok();
        text.and_then(|t| t.parse().ok()).unwrap_or(default)
    };
    let (seed, hosts) = (number("TOWTANK_SEED", SEED), number("TOWTANK_HOSTS", HOSTS));
    let mut dice = Dice::seeded(seed);
    let services: Vec<Value> = (0..hosts).map(|h| dice.virtual_service(h)).collect();
    let snapshot = compiled(mesh(&services, hosts));
    let client = snapshot.workload_named("lab", "client").expect("there");
    let map = [
        ("lab/web", echo().to_string()),
        ("admin", "127.0.0.1:0".to_owned()),
    ];
    let map = map.map(|(key, value)| (key.to_owned(), value));
    let endpoints = Endpoints::new(map.into()).expect("an address");
    let export = bootstrap(&snapshot, client, Some(&endpoints), None);
    assert!(export.refused.is_empty(), "{:?}", export.refused);
    let tables = &snapshot.tables[snapshot.workloads[client].tables.expect("a proxy")];
    let id = snapshot.route_config_named(tables, "80").expect("port 80");
    let config = &snapshot.route_configs[id];
    let (router, bad) = Router::new(config);
    assert!(bad.is_empty(), "{bad:?}");

    let envoy = Envoy::start(&binary, export.bootstrap, 1);
    let to = envoy.listeners()["0.0.0.0_80"];
    let mut connection = Connection::connect(to, Duration::from_secs(10)).expect("it listens");
    let mut differing = Vec::new();
    let mut statuses: BTreeMap<u16, u64> = BTreeMap::new();
    let mut all = 0;
    for host in 0..hosts {
        for _ in 0..REQUESTS {
            let asked = dice.asked(host);
            let (real, decided) = (
                real(&mut connection, &asked),
                decided(config, &router, &asked),
            );
            all += 1;
            *statuses.entry(real.status).or_default() += 1;
            if real != decided {
                let service = &services[host as usize]["spec"]["http"];
                differing.push(format!(
                    "{asked:?}\n  envoy     {real:?}\n  simulated {decided:?}\n  {service}"
                ));
            }
        }
    }
    eprintln!(
        "seed {seed}: {} of {all} agree; {statuses:?}",
        all - differing.len() as u64
    );
    // Agreement on nothing but misses would say little.
    let common = |status| statuses.get(&status).is_some_and(|n| n * 20 > all);
    let moved: u64 = statuses.range(300..400).map(|(_, n)| n).sum();
    assert!(
        common(200) && moved * 20 > all && common(404),
        "{statuses:?}"
    );
    let shown = differing.iter().take(10).cloned().collect::<Vec<_>>();
    assert!(
        differing.is_empty(),
        "TOWTANK_SEED={seed}: {} of {all} differ\n{}",
        differing.len(),
        shown.join("\n")
    );
}
