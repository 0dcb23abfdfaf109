//! Promises about listeners, TCP and TLS rules, Sidecars and delegates.

use super::sidecar::routes;
use super::*;
use crate::config::istio::{
    Delegate, EgressListener, HttpMatch, L4Match, L4Route, OutboundMode, Sidecar, StringMatch,
};
use crate::control_plane::compile;
use crate::xds::listener::{ChainKind, ChainMatch};

/// `listener: match > target; …` as `sleep` sees them, virtual IPs written as `VIP`.
fn check(config: &MeshConfig, want: &[&str]) {
    let snapshot = compile(config);
    let id = snapshot.workload_named("shop", "sleep").unwrap();
    let tables = &snapshot.tables[snapshot.workloads[id].tables.unwrap()];
    let mut lines = Vec::new();
    for listener in &tables.listeners {
        let chains = listener.chains.iter().map(|c| {
            let to = match &c.kind {
                ChainKind::Http(id) => format!("routes {}", snapshot.route_configs[*id].name),
                ChainKind::HttpsTerminate(_) => "https".to_owned(),
                ChainKind::Tcp(to) => to
                    .iter()
                    .map(|(n, w)| format!("{n}*{w}"))
                    .collect::<Vec<_>>()
                    .join(" "),
            };
            let matches = match &c.matches {
                ChainMatch::Any => "any".to_owned(),
                ChainMatch::PlaintextHttp => "http".to_owned(),
                ChainMatch::Sni(names) => format!("sni {}", names.join(",")),
                ChainMatch::Destination(nets) => format!("to {}", nets.join(",")),
            };
            format!("{matches} > {to}")
        });
        let address = if &*listener.address == "0.0.0.0" {
            "*"
        } else {
            "VIP"
        };
        lines.push(format!(
            "{address}:{} {}",
            listener.port,
            chains.collect::<Vec<_>>().join("; ")
        ));
    }
    lines.sort();
    assert_eq!(lines, want);
}

const OUT: &str = "*:15001 any > PassthroughCluster*1";

fn with_port(name: &str, port: u16) -> MeshConfig {
    let mut config = shop();
    config.services = vec![service("shop", "reviews", &[(name, port)])];
    config
}

#[test]
fn http_ports_share_a_listener_and_others_have_their_own() {
    check(
        &shop(),
        &[OUT, "*:9080 http > routes 9080; any > PassthroughCluster*1"],
    );
    check(
        &with_port("tcp", 9000),
        &[
            OUT,
            "VIP:9000 any > outbound|9000||reviews.shop.svc.cluster.local*1",
        ],
    );
    check(
        &with_port("", 9000),
        &[
            OUT,
            "VIP:9000 http > routes reviews.shop.svc.cluster.local:9000; any > outbound|9000||reviews.shop.svc.cluster.local*1",
        ],
    );
}

#[test]
fn unknown_destinations_are_blocked_when_only_the_registry_counts() {
    let mut config = shop();
    config.mesh.outbound = OutboundMode::RegistryOnly;
    check(
        &config,
        &[
            "*:15001 any > BlackHoleCluster*1",
            "*:9080 http > routes 9080; any > BlackHoleCluster*1",
        ],
    );
}

#[test]
fn tcp_rules_split_connections_and_tls_rules_take_the_default_away() {
    let rule = |matches: Vec<L4Match>| L4Route {
        matches,
        route: vec![to("reviews", "v1", 0, 3), to("reviews", "v2", 0, 1)],
        origin: Origin::BUILT_IN,
    };
    let split = "outbound|9000|v1|reviews.shop.svc.cluster.local*3 outbound|9000|v2|reviews.shop.svc.cluster.local*1";
    let mut config = with_port("tcp", 9000);
    let mut vs = virtual_service("shop", "reviews", &["reviews"], vec![]);
    vs.tcp = vec![rule(vec![])];
    config.virtual_services = vec![vs.clone()];
    check(&config, &[OUT, &format!("VIP:9000 any > {split}")]);

    let mut config = with_port("tls", 9000);
    vs.tls = vec![rule(vec![L4Match {
        sni_hosts: vec!["a.example.com".into()],
        ..L4Match::default()
    }])];
    config.virtual_services = vec![vs];
    check(
        &config,
        &[
            OUT,
            &format!("VIP:9000 sni a.example.com > {split}; any > PassthroughCluster*1"),
        ],
    );
}

#[test]
fn a_sidecar_object_narrows_what_is_seen() {
    let mut config = shop();
    config
        .services
        .push(service("other", "far", &[("http", 8000)]));
    config.sidecars = vec![Sidecar {
        meta: meta("shop", "default"),
        workload_selector: None,
        egress: vec![EgressListener {
            hosts: vec!["./*".into()],
            ..EgressListener::default()
        }],
        ingress: Vec::new(),
        outbound: None,
        inbound_connection_pool: None,
    }];
    check(
        &config,
        &[OUT, "*:9080 http > routes 9080; any > PassthroughCluster*1"],
    );
    assert_eq!(compile(&config).clusters.len(), 3);
}

#[test]
fn delegates_are_narrowed_by_their_root() {
    let block = |path: &str| HttpMatch {
        uri: Some(StringMatch::Prefix(path.into())),
        ..HttpMatch::default()
    };
    let delegate = |path: &str| {
        let mut rule = route(vec![to("reviews", "", 9080, 0)]);
        rule.matches = vec![block(path)];
        rule
    };
    let mut root = HttpRoute {
        matches: vec![block("/a")],
        ..HttpRoute::default()
    };
    let by_name = |name: &str| {
        Some(Delegate {
            name: name.into(),
            namespace: "team".into(),
            ..Delegate::default()
        })
    };
    root.delegate = by_name("part");
    let mut lost = root.clone();
    lost.delegate = by_name("missing");
    let mut config = shop();
    config.virtual_services = vec![
        virtual_service("shop", "root", &["reviews"], vec![lost, root]),
        virtual_service("team", "part", &[], vec![delegate("/a/1"), delegate("/b")]),
    ];
    // The destination is resolved where it was written, `/b` conflicts, the missing one is dropped.
    assert_eq!(
        routes(&compile(&config), ("shop", "sleep"), "9080"),
        [
            "reviews.shop.svc.cluster.local:9080 > !outbound|9080||reviews.team.svc.cluster.local*1",
            "allow_any > PassthroughCluster*1"
        ]
    );
}

#[test]
fn an_external_name_is_served_by_its_target() {
    let mut config = shop();
    let mut alias = service("shop", "old", &[]);
    alias.kind = "ExternalName".into();
    alias.external_name = Some("reviews.shop.svc.cluster.local".into());
    config.services.push(alias);
    let snapshot = compile(&config);
    let hosts = &snapshot
        .route_configs
        .iter()
        .find(|r| &*r.name == "9080")
        .unwrap()
        .virtual_hosts;
    let reviews = hosts
        .iter()
        .find(|h| h.name.starts_with("reviews"))
        .unwrap();
    assert!(reviews.domains.iter().any(|d| &**d == "old"));
    assert!(snapshot.clusters.iter().all(|c| !c.host.starts_with("old")));
}

#[test]
fn domains_depend_on_the_callers_namespace() {
    let mut config = shop();
    let mut client = workload("edge", "client", &[], 1);
    client.has_proxy_container = true;
    config.workloads.push(client);
    let snapshot = compile(&config);
    let short = |ns: &str, name: &str| {
        let id = snapshot.workload_named(ns, name).unwrap();
        let tables = &snapshot.tables[snapshot.workloads[id].tables.unwrap()];
        let config = snapshot.route_config_named(tables, "9080").unwrap();
        let hosts = &snapshot.route_configs[config].virtual_hosts;
        hosts
            .iter()
            .any(|h| h.domains.iter().any(|d| &**d == "reviews"))
    };
    assert!(short("shop", "sleep"));
    assert!(!short("edge", "client"));
}

#[test]
fn one_block_without_a_subnet_makes_a_tcp_rule_the_last() {
    let subnet = L4Match {
        destination_subnets: vec!["10.1.0.0/16".into()],
        ..L4Match::default()
    };
    let mut vs = virtual_service("shop", "reviews", &["reviews"], vec![]);
    vs.tcp = vec![L4Route {
        matches: vec![subnet.clone(), L4Match::default()],
        route: vec![to("reviews", "v1", 0, 0)],
        origin: Origin::BUILT_IN,
    }];
    let mut config = with_port("tcp", 9000);
    config.virtual_services = vec![vs.clone()];
    let v1 = "outbound|9000|v1|reviews.shop.svc.cluster.local*1";
    check(&config, &[OUT, &format!("VIP:9000 any > {v1}")]);
    vs.tcp[0].matches = vec![subnet];
    config.virtual_services = vec![vs];
    let all = "outbound|9000||reviews.shop.svc.cluster.local*1";
    let want = format!("VIP:9000 to 10.1.0.0/16 > {v1}; any > {all}");
    check(&config, &[OUT, &want]);
}

/// Domains of a virtual host as `client` sees them.
fn check_domains(config: &MeshConfig, client: &str, host: &str, want: &[&str]) {
    let snapshot = compile(config);
    let id = snapshot.workload_named(client, "sleep").unwrap();
    let tables = &snapshot.tables[snapshot.workloads[id].tables.unwrap()];
    let configs = tables.routes.iter().map(|id| &snapshot.route_configs[*id]);
    let mut hosts = configs.flat_map(|c| &c.virtual_hosts);
    let found = hosts.find(|h| *h.name == *host);
    let domains: Vec<&str> =
        found.map_or_else(Vec::new, |h| h.domains.iter().map(|d| &**d).collect());
    assert_eq!(domains, want, "{host} from {client}");
}

#[test]
fn alternates_come_in_istiods_order_and_ipv6_in_brackets() {
    let mut config = shop();
    config.services[0].cluster_ips = vec!["10.0.0.1".into(), "fd00::1".into()];
    let other = workload("other", "sleep", &[("app", "sleep")], 1);
    config.workloads.push(other);
    let host = "reviews.shop.svc.cluster.local:9080";
    let full = "reviews.shop.svc.cluster.local";
    let dotted = "reviews.shop.svc.cluster.local.";
    let (plain, svc) = ("reviews.shop", "reviews.shop.svc");
    let ips = ["10.0.0.1", "[fd00::1]"];
    let own = [full, dotted, "reviews", svc, plain, ips[0], ips[1]];
    check_domains(&config, "shop", host, &own);
    let far = [full, dotted, plain, svc, ips[0], ips[1]];
    check_domains(&config, "other", host, &far);
}

#[test]
fn a_rule_for_a_tcp_service_makes_no_virtual_host() {
    let mut config = with_port("tcp", 80);
    config
        .services
        .push(service("shop", "web", &[("http", 80)]));
    config.virtual_services = vec![virtual_service(
        "shop",
        "a",
        &["reviews", "*.shop.svc.cluster.local", "strange.example.com"],
        vec![route(vec![to("web", "", 0, 0)])],
    )];
    let from = |host: &str, want: &[&str]| check_domains(&config, "shop", host, want);
    from("reviews.shop.svc.cluster.local:80", &[]);
    from("strange.example.com:80", &["strange.example.com"]);
    config.services.pop();
    check_domains(&config, "shop", "*.shop.svc.cluster.local:80", &[]);
}
