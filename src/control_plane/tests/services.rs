//! Promises about workloads, places, ServiceEntries and what servers do with connections.

use super::*;
use crate::config::istio::{
    AuthorizationAction, AuthorizationPolicy, AuthorizationRule, EgressListener, IngressListener,
    PortSpec, Resolution, ServiceEntry, Sidecar,
};
use crate::config::k8s::{EndpointSlice, HorizontalPodAutoscaler, Node, SliceEndpoint};
use crate::control_plane::compile;
use crate::units::SimDuration;
use crate::xds::listener::Operation;
use crate::xds::{ClusterKind, Snapshot, Tls};

fn node(name: &str, zone: &str) -> Node {
    let mut meta = meta("", name);
    meta.labels = labels(&[
        ("topology.kubernetes.io/region", "eu"),
        ("topology.kubernetes.io/zone", zone),
    ]);
    Node { meta }
}

fn check_places(config: &MeshConfig, want: &[&str]) {
    let snapshot = compile(config);
    let places: Vec<String> = (snapshot.pods.iter())
        .map(|p| format!("{} {}", p.name, p.locality))
        .collect();
    assert_eq!(places, want);
}

#[test]
fn pods_go_round_robin_over_nodes_unless_the_model_places_them() {
    let mut config = shop();
    check_places(
        &config,
        &[
            "reviews-v1-0 ",
            "reviews-v1-1 ",
            "reviews-v2-0 ",
            "reviews-v2-1 ",
            "sleep-0 ",
        ],
    );
    config.nodes = vec![node("a", "1"), node("b", "2")];
    config
        .placement
        .insert("shop/reviews-v2".into(), vec!["us/9".into()]);
    check_places(
        &config,
        &[
            "reviews-v1-0 eu/1",
            "reviews-v1-1 eu/2",
            "reviews-v2-0 us/9",
            "reviews-v2-1 us/9",
            "sleep-0 eu/1",
        ],
    );
}

#[test]
fn adding_a_workload_moves_no_address() {
    let ips = |config: &MeshConfig| -> Vec<String> {
        let snapshot = compile(config);
        let pods = snapshot
            .pods
            .iter()
            .filter(|p| p.name.starts_with("reviews"));
        pods.map(|p| format!("{} {}", p.name, p.ip)).collect()
    };
    let mut config = shop();
    let before = ips(&config);
    config
        .workloads
        .insert(0, workload("shop", "aaa", &[("app", "aaa")], 7));
    assert_eq!(ips(&config), before);
}

fn entry(resolution: Resolution) -> ServiceEntry {
    ServiceEntry {
        meta: meta("shop", "pay"),
        hosts: vec!["pay.example.com".into()],
        addresses: Vec::new(),
        ports: vec![PortSpec {
            number: 443,
            protocol: "HTTP".into(),
            name: "http".into(),
            target_port: 8443,
            origin: Origin::BUILT_IN,
        }],
        mesh_internal: false,
        resolution,
        endpoints: Vec::new(),
        workload_selector: None,
        export_to: Vec::new(),
        has_allocated: false,
    }
}

fn pay(snapshot: &Snapshot) -> Option<&crate::xds::Cluster> {
    snapshot
        .clusters
        .iter()
        .find(|c| &*c.host == "pay.example.com")
}

#[test]
fn a_dns_entry_without_endpoints_resolves_its_own_host() {
    let mut config = shop();
    config.service_entries = vec![entry(Resolution::Dns)];
    let snapshot = compile(&config);
    let cluster = pay(&snapshot).unwrap();
    assert_eq!(
        (cluster.kind, &cluster.tls),
        (ClusterKind::StrictDns, &Tls::Disable)
    );
    assert_eq!(cluster.endpoints[0].key(), "pay.example.com:8443");
    // Something stands behind the name, so that it can answer.
    let pod = cluster.endpoints[0].pod.unwrap();
    assert_eq!(
        &*snapshot.workloads[snapshot.pods[pod].workload].kind,
        "External"
    );
}

#[test]
fn a_service_entry_for_a_kubernetes_host_is_ignored() {
    let mut config = shop();
    let mut twin = entry(Resolution::Dns);
    twin.hosts = vec!["reviews.shop.svc.cluster.local".into()];
    config.service_entries = vec![twin];
    let snapshot = compile(&config);
    let ports: Vec<u16> = (snapshot.clusters.iter())
        .filter(|c| c.host.starts_with("reviews"))
        .map(|c| c.port)
        .collect();
    assert_eq!(ports, [9080]);
}

#[test]
fn a_headless_service_is_called_by_pod_address() {
    let mut config = shop();
    config.services[0].cluster_ips = vec!["None".into()];
    let snapshot = compile(&config);
    let cluster = snapshot.clusters.iter().find(|c| c.port == 9080).unwrap();
    assert_eq!(cluster.kind, ClusterKind::OriginalDst);
    assert!(
        snapshot
            .services
            .iter()
            .next()
            .unwrap()
            .addresses
            .is_empty()
    );
}

#[test]
fn policies_with_a_target_and_dry_runs_stop_nobody_and_gateways_are_named() {
    let mut config = shop();
    let rules = || vec![AuthorizationRule::default()];
    config.authorization_policies = vec![policy(AuthorizationAction::Deny, rules())];
    config.authorization_policies[0].selector = None;
    let denied = |config: &MeshConfig| {
        let snapshot = compile(config);
        let id = snapshot.workload_named("shop", "reviews-v1").unwrap();
        let named = snapshot.assumed.iter().any(|a| a.contains("only sidecars"));
        let inbound = &snapshot.workloads[id].inbound[0];
        (inbound.authorization.deny.len(), named)
    };
    assert_eq!(denied(&config), (1, false));
    let mut edge = workload("shop", "edge", &[("istio", "ingress")], 1);
    edge.is_gateway = true;
    config.workloads.push(edge);
    assert_eq!(denied(&config), (1, true));
    let first = &mut config.authorization_policies[0];
    first.meta.annotations = labels(&[("istio.io/dry-run", "true")]);
    assert_eq!(denied(&config), (0, false));
    let first = &mut config.authorization_policies[0];
    first.meta.annotations.clear();
    first.has_target = true;
    assert_eq!(denied(&config), (0, false));
}

fn policy(action: AuthorizationAction, rules: Vec<AuthorizationRule>) -> AuthorizationPolicy {
    AuthorizationPolicy {
        meta: meta("shop", "p"),
        selector: Some(labels(&[("app", "reviews")])),
        has_target: false,
        action,
        rules,
    }
}

#[test]
fn policies_apply_by_selector_and_http_fields_change_meaning_on_tcp() {
    let by_path = || AuthorizationRule {
        operations: vec![Operation {
            paths: (vec!["/x".into()], vec![]),
            ..Operation::default()
        }],
        ..AuthorizationRule::default()
    };
    let mut config = shop();
    config.authorization_policies = vec![
        policy(AuthorizationAction::Allow, vec![by_path()]),
        policy(AuthorizationAction::Deny, vec![by_path()]),
    ];
    let rules = |config: &MeshConfig, name: &str| {
        let snapshot = compile(config);
        let id = snapshot.workload_named("shop", name).unwrap();
        let inbound = &snapshot.workloads[id].inbound;
        let port = inbound.iter().find(|i| i.port == 9080)?;
        let a = &port.authorization;
        Some((
            a.allow.first()?.rules.len(),
            a.deny.first()?.rules[0].operations[0].paths.0.len(),
        ))
    };
    assert_eq!(rules(&config, "reviews-v1"), Some((1, 1)));
    assert_eq!(rules(&config, "sleep"), None);
    config.services[0].ports[0].name = "tcp".into();
    // The ALLOW rule is gone, so nothing is allowed; the DENY rule denies every connection.
    assert_eq!(rules(&config, "reviews-v1"), Some((0, 0)));
}

#[test]
fn ingress_listeners_take_the_place_of_service_ports() {
    let mut config = shop();
    config.sidecars = vec![Sidecar {
        meta: meta("shop", "reviews"),
        workload_selector: Some(labels(&[("app", "reviews")])),
        egress: Vec::new(),
        ingress: vec![IngressListener {
            port: PortSpec {
                number: 7000,
                protocol: "HTTP".into(),
                ..PortSpec::default()
            },
            default_endpoint: "127.0.0.1:8080".into(),
            ..IngressListener::default()
        }],
        outbound: None,
        inbound_connection_pool: None,
    }];
    let snapshot = compile(&config);
    let id = snapshot.workload_named("shop", "reviews-v1").unwrap();
    let names: Vec<&str> = (snapshot.workloads[id].inbound.iter())
        .map(|i| &*i.cluster.name)
        .collect();
    assert_eq!(
        names,
        [
            "inbound|7000||",
            "InboundPassthroughCluster",
            "InboundPassthroughCluster"
        ]
    );
}

#[test]
fn traffic_distribution_forces_failover_from_1_25_on() {
    let mut config = shop();
    config.services[0].traffic_distribution = Some("PreferClose".into());
    let weighted = |config: &MeshConfig| {
        let snapshot = compile(config);
        let cluster = snapshot.clusters.iter().find(|c| c.port == 9080).unwrap();
        cluster.locality.weighted
    };
    assert!(weighted(&config));
    config.version.minor = 24;
    assert!(!weighted(&config));
}

#[test]
fn the_mesh_connect_timeout_is_the_default() {
    let mut config = shop();
    config.mesh.connect_timeout = SimDuration::from_secs(3);
    let snapshot = compile(&config);
    let all = snapshot.clusters.iter().map(|c| c.pool.connect_timeout);
    assert!(all.into_iter().all(|t| t == SimDuration::from_secs(3)));
}

/// Ports of `pay.example.com`.
fn check_pay_ports(config: &MeshConfig, want: &[u16]) {
    let snapshot = compile(config);
    let mut ports: Vec<u16> = (snapshot.clusters.iter())
        .filter(|c| &*c.host == "pay.example.com")
        .map(|c| c.port)
        .collect();
    ports.sort_unstable();
    assert_eq!(ports, want);
}

#[test]
fn ports_of_entries_unite_when_all_else_is_equal_and_the_oldest_leads() {
    let mut config = shop();
    let first = entry(Resolution::Dns);
    let mut second = entry(Resolution::Dns);
    second.meta.name = "a-later".into();
    second.meta.created = "2026-01-02T00:00:00Z".into();
    second.ports[0].number = 80;
    config.service_entries = vec![second, first];
    check_pay_ports(&config, &[80, 443]);
    config.service_entries[0].meta.labels = labels(&[("team", "other")]);
    check_pay_ports(&config, &[443]);
    // Up to 1.21 nothing but host and namespace was compared.
    config.version.minor = 21;
    check_pay_ports(&config, &[80, 443]);
}

#[test]
fn a_gateway_finds_nobody_behind_an_entry_without_resolution() {
    let mut config = shop();
    let mut edge = workload("shop", "edge", &[("istio", "ingressgateway")], 1);
    edge.is_gateway = true;
    config.workloads.push(edge);
    config.service_entries = vec![entry(Resolution::None)];
    let snapshot = compile(&config);
    let seen = |client: &str| {
        let id = snapshot.workload_named("shop", client).unwrap();
        let tables = &snapshot.tables[snapshot.workloads[id].tables.unwrap()];
        let name = "outbound|443||pay.example.com";
        let cluster = &snapshot.clusters[snapshot.cluster_named(tables, name).unwrap()];
        (cluster.kind, cluster.endpoints.len())
    };
    assert_eq!(seen("edge"), (ClusterKind::Eds, 0));
    assert_eq!(seen("sleep").0, ClusterKind::OriginalDst);
}

#[test]
fn an_entry_too_may_prefer_the_near() {
    let mut config = shop();
    let mut near = entry(Resolution::Dns);
    let key = "networking.istio.io/traffic-distribution";
    near.meta.annotations = labels(&[(key, "preferclose")]);
    config.service_entries = vec![near];
    assert!(pay(&compile(&config)).unwrap().locality.weighted);
}

#[test]
fn which_namespace_a_destination_pulls_in_changed_with_1_30() {
    let mut config = shop();
    let mut foreign = entry(Resolution::Dns);
    foreign.meta = meta("a", "squatter");
    foreign.hosts = vec!["web.other.svc.cluster.local".into()];
    config.service_entries = vec![foreign];
    config
        .services
        .push(service("other", "web", &[("http", 443)]));
    config.virtual_services = vec![virtual_service(
        "shop",
        "web",
        &["reviews"],
        vec![route(vec![to("web.other.svc.cluster.local", "", 443, 0)])],
    )];
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
    let kind = |config: &MeshConfig| {
        let snapshot = compile(config);
        let cluster = snapshot.clusters.iter().find(|c| c.host.starts_with("web"));
        cluster.map(|c| c.kind)
    };
    assert_eq!(kind(&config), Some(ClusterKind::Eds));
    config.version.minor = 29;
    assert_eq!(kind(&config), Some(ClusterKind::StrictDns));
}

#[test]
fn an_autoscaler_bounds_the_pods_of_its_target() {
    let mut config = shop();
    config.autoscalers = vec![HorizontalPodAutoscaler {
        meta: meta("shop", "reviews"),
        target: ("Deployment".into(), "reviews-v1".into()),
        min_replicas: 3,
        max_replicas: 5,
        rules: None,
    }];
    let pods = |config: &MeshConfig| {
        let snapshot = compile(config);
        let id = snapshot.workload_named("shop", "reviews-v1").unwrap();
        (snapshot.workloads[id].pods.len(), snapshot.assumed.len())
    };
    config.workloads[0].replicas = None;
    let (least, said) = pods(&config);
    assert_eq!(least, 3, "nobody else says how many");
    config.workloads[0].replicas = Some(4);
    let (inside, unsaid) = pods(&config);
    assert_eq!((inside, unsaid), (4, said - 1));
    config.workloads[0].replicas = Some(9);
    assert_eq!(pods(&config), (5, said));
}

#[test]
fn an_address_of_an_unknown_pod_is_held_back() {
    let endpoint = |address: &str, pod: Option<&str>| SliceEndpoint {
        addresses: vec![address.into()],
        ready: true,
        terminating: None,
        node: None,
        zone: None,
        pod: pod.map(Into::into),
    };
    let mut config = shop();
    let mut web = service("shop", "web", &[("http", 80)]);
    web.selector.clear();
    config.services.push(web);
    config.endpoint_slices = vec![EndpointSlice {
        meta: meta("shop", "web-1"),
        service: "web".into(),
        ports: vec![("http".into(), 8080)],
        endpoints: vec![
            endpoint("192.168.0.1", None),
            endpoint("10.9.9.9", Some("gone")),
        ],
    }];
    let members = |config: &MeshConfig| {
        let snapshot = compile(config);
        let cluster = snapshot.clusters.iter().find(|c| c.host.starts_with("web"));
        let said = snapshot.assumed.iter().any(|a| a.contains("held back"));
        (cluster.map(|c| c.endpoints.len()), said)
    };
    assert_eq!(members(&config), (Some(1), false));
    config.endpoint_slices[0].endpoints.remove(0);
    assert_eq!(members(&config), (Some(0), true));
}
