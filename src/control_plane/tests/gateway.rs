//! Promises about gateways.

use super::sidecar::routes;
use super::*;
use crate::config::istio::{Gateway, HttpMatch, PortSpec, Server, ServerTls, StringMatch};
use crate::control_plane::compile;
use crate::xds::Snapshot;

fn server(number: u16, protocol: &str, hosts: &[&str], tls: Option<ServerTls>) -> Server {
    Server {
        port: PortSpec {
            number,
            protocol: protocol.into(),
            name: "p".into(),
            ..PortSpec::default()
        },
        hosts: hosts.iter().map(|h| (*h).into()).collect(),
        bind: "".into(),
        tls,
        origin: Origin::BUILT_IN,
    }
}

fn gateway(ns: &str, name: &str, servers: Vec<Server>) -> Gateway {
    Gateway {
        meta: meta(ns, name),
        selector: labels(&[("istio", "ingress")]),
        servers,
    }
}

/// The shop with a gateway whose Service maps 80 to 8080.
fn edge(servers: Vec<Server>) -> MeshConfig {
    let mut config = shop();
    let mut pods = workload(
        "edge",
        "ingress",
        &[("app", "ingress"), ("istio", "ingress")],
        1,
    );
    pods.is_gateway = true;
    config.workloads.push(pods);
    let mut front = service("edge", "ingress", &[("http", 80)]);
    front.ports[0].target = TargetPort::Number(8080);
    config.services.push(front);
    config.gateways = vec![gateway("edge", "public", servers)];
    config
}

fn bound(name: &str, hosts: &[&str], http: Vec<HttpRoute>) -> VirtualService {
    VirtualService {
        gateways: vec!["edge/public".into()],
        ..virtual_service("shop", name, hosts, http)
    }
}

fn on_path(path: &str) -> HttpRoute {
    let mut rule = route(vec![to("reviews", "", 0, 0)]);
    rule.matches = vec![HttpMatch {
        uri: Some(StringMatch::Prefix(path.into())),
        ..HttpMatch::default()
    }];
    rule
}

const TO: &str = "outbound|9080||reviews.shop.svc.cluster.local*1";

fn check(config: &MeshConfig, name: &str, want: &[&str]) {
    assert_eq!(routes(&compile(config), ("edge", "ingress"), name), want);
}

fn listeners(snapshot: &Snapshot) -> Vec<(String, usize)> {
    let id = snapshot.workload_named("edge", "ingress").unwrap();
    let tables = &snapshot.tables[snapshot.workloads[id].tables.unwrap()];
    (tables.listeners.iter())
        .map(|l| (l.name.to_string(), l.chains.len()))
        .collect()
}

#[test]
fn an_only_port_is_found_and_the_service_maps_the_listener() {
    let mut config = edge(vec![server(80, "HTTP", &["*"], None)]);
    config.virtual_services = vec![bound("a", &["shop.example.com"], vec![on_path("/")])];
    check(
        &config,
        "http.8080",
        &[&format!("shop.example.com:80 > {TO}")],
    );
    assert_eq!(
        listeners(&compile(&config)),
        [("0.0.0.0_8080".to_owned(), 1)]
    );
}

#[test]
fn virtual_services_of_one_host_are_merged_with_catch_alls_last() {
    let mut config = edge(vec![server(80, "HTTP", &["*"], None)]);
    let all = route(vec![to("sleep", "", 1, 0)]);
    config.virtual_services = vec![
        bound("a", &["shop.example.com"], vec![all]),
        bound("b", &["shop.example.com"], vec![on_path("/b")]),
    ];
    check(
        &config,
        "http.8080",
        &[
            &format!("shop.example.com:80 > {TO}"),
            "shop.example.com:80 > !outbound|1||sleep.shop.svc.cluster.local*1",
        ],
    );
}

#[test]
fn a_gateway_without_virtual_services_answers_nobody() {
    let config = edge(vec![server(80, "HTTP", &["*"], None)]);
    let snapshot = compile(&config);
    let hosts = &snapshot
        .route_configs
        .iter()
        .find(|r| &*r.name == "http.8080")
        .unwrap()
        .virtual_hosts;
    assert_eq!(hosts.len(), 1);
    assert_eq!(&*hosts[0].name, "blackhole:80");
    assert!(hosts[0].routes.is_empty());
}

#[test]
fn a_gateway_nobody_serves_is_named() {
    let said = |config: &MeshConfig| {
        let assumed = compile(config).assumed;
        assumed.iter().filter(|a| a.contains("edge/public")).count()
    };
    let mut config = edge(vec![server(80, "HTTP", &["*"], None)]);
    assert_eq!(said(&config), 0);
    config.gateways[0].selector = labels(&[("istio", "elsewhere")]);
    assert_eq!(said(&config), 1);
}

#[test]
fn a_mesh_virtual_service_means_nothing_to_a_gateway() {
    let mut config = edge(vec![server(80, "HTTP", &["*"], None)]);
    config.virtual_services = vec![virtual_service(
        "shop",
        "a",
        &["reviews"],
        vec![on_path("/")],
    )];
    check(&config, "http.8080", &[]);
}

#[test]
fn hosts_are_the_narrower_of_both_sides_and_respect_namespaces() {
    let mut config = edge(vec![server(
        80,
        "HTTP",
        &["shop/*.example.com", "other/*.org"],
        None,
    )]);
    config.virtual_services = vec![bound("a", &["*", "x.org"], vec![on_path("/")])];
    check(&config, "http.8080", &[&format!("*.example.com:80 > {TO}")]);
}

#[test]
fn https_redirect_needs_no_virtual_service() {
    let redirect = Some(ServerTls {
        https_redirect: true,
        mode: "".into(),
        ..ServerTls::default()
    });
    let config = edge(vec![server(80, "HTTP", &["*"], redirect)]);
    check(&config, "http.8080", &["*:80 > redirect 301"]);
}

#[test]
fn tls_is_terminated_per_server_and_passed_through_by_name() {
    let simple = Some(ServerTls {
        https_redirect: false,
        mode: "SIMPLE".into(),
        ..ServerTls::default()
    });
    let pass = Some(ServerTls {
        https_redirect: false,
        mode: "PASSTHROUGH".into(),
        ..ServerTls::default()
    });
    let mut config = edge(vec![
        server(443, "HTTPS", &["shop.example.com"], simple),
        server(443, "TLS", &["raw.example.com"], pass),
    ]);
    let mut raw = bound("raw", &["raw.example.com"], vec![]);
    raw.tls = vec![crate::config::istio::L4Route {
        matches: vec![crate::config::istio::L4Match {
            sni_hosts: vec!["raw.example.com".into()],
            ..Default::default()
        }],
        route: vec![to("reviews", "", 0, 0)],
        origin: Origin::BUILT_IN,
    }];
    config.virtual_services = vec![bound("a", &["shop.example.com"], vec![on_path("/")]), raw];
    check(
        &config,
        "https.443.p.public.edge",
        &[&format!("shop.example.com:443 > {TO}")],
    );
    assert_eq!(
        listeners(&compile(&config)),
        [("0.0.0.0_443".to_owned(), 2)]
    );
}

#[test]
fn a_second_redirect_for_the_same_host_loses_its_whole_server() {
    let redirect = || {
        Some(ServerTls {
            https_redirect: true,
            mode: "".into(),
            ..ServerTls::default()
        })
    };
    let mut config = edge(vec![server(80, "HTTP", &["*"], redirect())]);
    let second = server(80, "HTTP", &["*", "only.example.com"], redirect());
    config
        .gateways
        .push(gateway("edge", "second", vec![second]));
    check(&config, "http.8080", &["*:80 > redirect 301"]);
}
