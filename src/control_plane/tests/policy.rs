//! Promises about DestinationRules: which one applies, and what its blocks become.

use super::*;
use crate::config::istio::{
    ConnectionPool, ConsistentHash, HashKey, LoadBalancer, OutlierDetection, PortPolicy, TlsMode,
    TlsSettings, TrafficPolicy,
};
use crate::control_plane::compile;
use crate::xds::cluster::UNLIMITED;
use crate::xds::route::HashPolicy;
use crate::xds::{Action, Cluster, Snapshot, Tls};

/// The default cluster of `reviews`, or a subset, as `sleep` sees it.
fn reviews<'a>(snapshot: &'a Snapshot, subset: &str) -> &'a Cluster {
    let id = snapshot
        .workload_named("shop", "sleep")
        .expect("sleep exists");
    let tables = &snapshot.tables[snapshot.workloads[id].tables.expect("it has a proxy")];
    let name = format!("outbound|9080|{subset}|reviews.shop.svc.cluster.local");
    &snapshot.clusters[snapshot
        .cluster_named(tables, &name)
        .expect("the cluster exists")]
}

fn connections(max: u32) -> TrafficPolicy {
    TrafficPolicy {
        connection_pool: Some(ConnectionPool {
            max_connections: Some(max),
            ..ConnectionPool::default()
        }),
        ..TrafficPolicy::default()
    }
}

fn rule(ns: &str, name: &str, host: &str, max: u32) -> DestinationRule {
    DestinationRule {
        policy: Some(connections(max)),
        ..destination_rule(ns, name, host)
    }
}

fn check_connections(config: &MeshConfig, subset: &str, want: u32) {
    let snapshot = compile(config);
    assert_eq!(reviews(&snapshot, subset).breakers.max_connections, want);
}

const HOST: &str = "reviews.shop.svc.cluster.local";

#[test]
fn a_rule_of_the_clients_namespace_hides_the_services() {
    let mut config = shop();
    let mut client = workload("edge", "client", &[("app", "client")], 1);
    client.has_proxy_container = true;
    config.workloads.push(client);
    config.destination_rules = vec![
        rule("edge", "wide", "*.local", 1),
        rule("shop", "reviews", HOST, 2),
    ];
    let snapshot = compile(&config);
    let id = snapshot.workload_named("edge", "client").unwrap();
    let tables = &snapshot.tables[snapshot.workloads[id].tables.unwrap()];
    let cluster = snapshot
        .cluster_named(tables, &format!("outbound|9080||{HOST}"))
        .unwrap();
    assert_eq!(snapshot.clusters[cluster].breakers.max_connections, 1);
    assert_eq!(reviews(&snapshot, "").breakers.max_connections, 2);
}

#[test]
fn a_rule_of_a_fourth_namespace_is_never_used() {
    let mut config = shop();
    config.destination_rules = vec![rule("elsewhere", "reviews", HOST, 3)];
    check_connections(&config, "", UNLIMITED);
    config.destination_rules = vec![rule("istio-system", "reviews", HOST, 4)];
    check_connections(&config, "", 4);
}

#[test]
fn an_invisible_exact_rule_hides_a_visible_wildcard() {
    let mut config = shop();
    let mut exact = rule("istio-system", "exact", HOST, 1);
    exact.export_to = vec!["other".into()];
    config.destination_rules = vec![exact, rule("istio-system", "wide", "*.local", 2)];
    check_connections(&config, "", UNLIMITED);
}

#[test]
fn merged_rules_keep_the_first_policy_whole_and_add_new_subsets() {
    let mut config = shop();
    let mut first = rule("shop", "a", "reviews", 1);
    first.subsets = vec![subset("v1", &[("version", "v1")])];
    let mut second = rule("shop", "b", HOST, 2);
    second.subsets = vec![
        subset("v1", &[("version", "v2")]),
        subset("v2", &[("version", "v2")]),
    ];
    config.destination_rules = vec![second, first];
    check_connections(&config, "v2", 1);
    let snapshot = compile(&config);
    let labels = &reviews(&snapshot, "v1").endpoints[0].labels;
    assert_eq!(labels.get("version").map(|v| &**v), Some("v1"));
}

#[test]
fn rules_that_are_exported_differently_stay_apart_from_1_24_on() {
    let rules = || {
        let mut second = rule("shop", "b", HOST, 2);
        second.export_to = vec!["*".into()];
        vec![rule("shop", "a", HOST, 1), second]
    };
    let mut config = shop();
    config.destination_rules = rules();
    check_connections(&config, "", 2);
    config.version.minor = 23;
    check_connections(&config, "", 1);
}

#[test]
fn a_subset_policy_replaces_whole_blocks() {
    let mut config = shop();
    let mut all = rule("shop", "reviews", HOST, 10);
    all.policy
        .as_mut()
        .unwrap()
        .connection_pool
        .as_mut()
        .unwrap()
        .max_retries = Some(7);
    let mut v1 = subset("v1", &[("version", "v1")]);
    v1.policy = Some(connections(5));
    all.subsets = vec![v1, subset("v2", &[("version", "v2")])];
    config.destination_rules = vec![all];
    let snapshot = compile(&config);
    let limits = |s| {
        let b = &reviews(&snapshot, s).breakers;
        (b.max_connections, b.max_retries)
    };
    assert_eq!(limits("v1"), (5, UNLIMITED));
    assert_eq!(limits("v2"), (10, 7));
}

#[test]
fn a_port_entry_inherits_nothing() {
    let mut config = shop();
    let mut all = rule("shop", "reviews", HOST, 10);
    let policy = all.policy.as_mut().unwrap();
    policy.outlier_detection = Some(OutlierDetection::default());
    policy.tls = Some(TlsSettings {
        mode: TlsMode::Disable,
        ..TlsSettings::default()
    });
    policy.ports = vec![PortPolicy {
        port: 9080,
        policy: connections(3),
    }];
    config.destination_rules = vec![all];
    let snapshot = compile(&config);
    let cluster = reviews(&snapshot, "");
    assert_eq!(cluster.breakers.max_connections, 3);
    assert!(cluster.outlier.is_none());
    // Auto again, while the marks still follow the `tls` above it.
    assert_eq!(cluster.tls, Tls::Auto);
    assert!(cluster.endpoints.iter().all(|e| !e.mtls));
}

#[test]
fn a_written_zero_is_no_limit() {
    let mut config = shop();
    config.destination_rules = vec![rule("shop", "reviews", HOST, 0)];
    check_connections(&config, "", UNLIMITED);
}

#[test]
fn an_empty_outlier_block_ejects_after_five_and_switches_panic_off() {
    let mut config = shop();
    let mut all = destination_rule("shop", "reviews", HOST);
    all.policy = Some(TrafficPolicy {
        outlier_detection: Some(OutlierDetection::default()),
        ..TrafficPolicy::default()
    });
    config.destination_rules = vec![all];
    let snapshot = compile(&config);
    let cluster = reviews(&snapshot, "");
    let outlier = cluster.outlier.as_ref().unwrap();
    assert_eq!(
        (
            outlier.consecutive_5xx.enforced(),
            outlier.consecutive_gateway_failure.enforced()
        ),
        (Some(5), None)
    );
    assert_eq!(outlier.max_ejection_percent, 10);
    assert_eq!(cluster.panic_threshold.ppm(), 0);
    let plain = compile(&shop());
    assert_eq!(reviews(&plain, "").panic_threshold.ppm(), 500_000);
}

#[test]
fn the_pool_of_a_service_limits_its_servers_inbound_cluster_too() {
    let mut config = shop();
    config.destination_rules = vec![rule("shop", "reviews", HOST, 4)];
    let snapshot = compile(&config);
    let id = snapshot.workload_named("shop", "reviews-v1").unwrap();
    let inbound = &snapshot.workloads[id].inbound;
    let ports: Vec<_> = inbound
        .iter()
        .map(|i| (&*i.cluster.name, i.cluster.breakers.max_connections))
        .collect();
    assert_eq!(
        ports,
        [
            ("InboundPassthroughCluster", UNLIMITED),
            ("inbound|9080||", 4)
        ]
    );
}

#[test]
fn not_ready_pods_are_left_out_until_1_31() {
    let mut config = shop();
    config.workloads[0].kind = "Pod".into();
    config.workloads[0].ready = false;
    assert_eq!(reviews(&compile(&config), "").endpoints.len(), 2);
    config.version.minor = 31;
    assert_eq!(reviews(&compile(&config), "").endpoints.len(), 3);
}

#[test]
fn a_rule_with_a_selector_does_not_hide_the_pool_a_server_applies_to_itself() {
    let mut config = shop();
    let mut own = rule("shop", "a-selected", HOST, 9);
    own.workload_selector = Some(labels(&[("app", "reviews")]));
    config.destination_rules = vec![own, rule("shop", "plain", HOST, 4)];
    let snapshot = compile(&config);
    let id = snapshot.workload_named("shop", "reviews-v1").unwrap();
    let inbound = snapshot.workloads[id].inbound.iter();
    let limits: Vec<u32> = inbound
        .filter(|i| i.port == 9080)
        .map(|i| i.cluster.breakers.max_connections)
        .collect();
    assert_eq!(limits, [4]);
}

fn hashing(header: &str) -> TrafficPolicy {
    TrafficPolicy {
        load_balancer: Some(LoadBalancer {
            consistent_hash: Some(ConsistentHash {
                key: Some(HashKey::Header(header.into())),
                minimum_ring_size: 0,
                maglev: None,
            }),
            ..LoadBalancer::default()
        }),
        ..TrafficPolicy::default()
    }
}

/// Hash headers of the route to reviews, and whether its retries look for another host.
fn check_sticky(config: &MeshConfig, want: (&[&str], bool)) {
    let snapshot = compile(config);
    let hosts = snapshot.route_configs.iter().flat_map(|c| &c.virtual_hosts);
    let mut routes = hosts
        .filter(|h| h.name.starts_with("reviews"))
        .flat_map(|h| h.routes.iter());
    let Some(Action::Forward(forward)) = routes.next().map(|r| &r.action) else {
        panic!("reviews has a route");
    };
    let keys: Vec<&str> = (forward.hash.iter())
        .filter_map(|h| match h {
            HashPolicy::Header(name) => Some(&**name),
            _ => None,
        })
        .collect();
    let other_hosts = forward.retry.as_ref().unwrap().skip_previous_hosts;
    assert_eq!((keys.as_slice(), other_hosts), want);
}

#[test]
fn only_routes_of_virtual_services_retry_on_the_host_their_hash_chose() {
    let mut config = shop();
    let mut sticky = destination_rule("shop", "reviews", "reviews");
    sticky.policy = Some(hashing("x-user"));
    config.destination_rules = vec![sticky];
    check_sticky(&config, (&["x-user"], true));
    config.virtual_services = vec![virtual_service(
        "shop",
        "a",
        &["reviews"],
        vec![route(vec![to("reviews", "", 0, 0)])],
    )];
    check_sticky(&config, (&["x-user"], false));
}

#[test]
fn a_block_without_a_hash_leaves_the_key_of_the_block_above() {
    let mut config = shop();
    let mut sticky = destination_rule("shop", "reviews", "reviews");
    let mut policy = hashing("x-user");
    policy.ports = vec![PortPolicy {
        port: 9080,
        policy: connections(1),
    }];
    sticky.policy = Some(policy);
    config.destination_rules = vec![sticky];
    check_sticky(&config, (&["x-user"], true));
}
