//! Promises about virtual hosts, routes and clusters of sidecars.

use super::*;
use crate::config::istio::{HttpMatch, StringMatch};
use crate::control_plane::compile;
use crate::xds::{Action, Snapshot};

/// `domain,… path > cluster*weight …` per route of a port as `sleep` sees it.
pub(in crate::control_plane) fn routes(
    snapshot: &Snapshot,
    client: (&str, &str),
    port: &str,
) -> Vec<String> {
    let id = snapshot
        .workload_named(client.0, client.1)
        .expect("the client exists");
    let tables = &snapshot.tables[snapshot.workloads[id]
        .tables
        .expect("the client has a proxy")];
    let Some(config) = snapshot.route_config_named(tables, port) else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    for host in &snapshot.route_configs[config].virtual_hosts {
        for route in host.routes.iter() {
            let to = match &route.action {
                Action::Forward(f) => {
                    let clusters = f.clusters.iter().map(|c| {
                        let known = snapshot.cluster_named(tables, &c.name).is_some();
                        format!("{}{}*{}", if known { "" } else { "!" }, c.name, c.weight)
                    });
                    clusters.collect::<Vec<_>>().join(" ")
                }
                Action::Redirect(r) => format!("redirect {}", r.status),
                Action::Direct(d) => format!("direct {}", d.status),
                Action::Unusable => "unusable".to_owned(),
            };
            lines.push(format!("{} > {to}", host.name));
        }
    }
    lines
}

fn check(config: &MeshConfig, port: &str, want: &[&str]) {
    assert_eq!(routes(&compile(config), ("shop", "sleep"), port), want);
}

const REVIEWS: &str = "reviews.shop.svc.cluster.local";

fn reviews(subset: &str) -> String {
    format!("outbound|9080|{subset}|{REVIEWS}")
}

const ALLOW: &str = "allow_any > PassthroughCluster*1";

#[test]
fn a_service_without_rules_gets_its_default_route() {
    check(
        &shop(),
        "9080",
        &[&format!("{REVIEWS}:9080 > {}*1", reviews("")), ALLOW],
    );
}

#[test]
fn a_weighted_split_reaches_the_subsets() {
    let mut config = shop();
    let mut rule = destination_rule("shop", "reviews", "reviews");
    rule.subsets = vec![
        subset("v1", &[("version", "v1")]),
        subset("v2", &[("version", "v2")]),
    ];
    config.destination_rules = vec![rule];
    let split = route(vec![to("reviews", "v1", 0, 90), to("reviews", "v2", 0, 10)]);
    config.virtual_services = vec![virtual_service(
        "shop",
        "reviews",
        &["reviews"],
        vec![split],
    )];
    let want = format!("{REVIEWS}:9080 > {}*90 {}*10", reviews("v1"), reviews("v2"));
    check(&config, "9080", &[&want, ALLOW]);
    let snapshot = compile(&config);
    let v1 = snapshot
        .clusters
        .iter()
        .find(|c| *c.name == *reviews("v1"))
        .unwrap();
    assert_eq!(v1.endpoints.len(), 2);
    assert!(v1.endpoints.iter().all(|e| e.mtls && e.pod.is_some()));
}

#[test]
fn an_unknown_subset_names_a_cluster_that_does_not_exist() {
    let mut config = shop();
    let rule = route(vec![to("reviews", "v9", 0, 0)]);
    config.virtual_services = vec![virtual_service("shop", "reviews", &["reviews"], vec![rule])];
    let want = format!("{REVIEWS}:9080 > !{}*1", reviews("v9"));
    check(&config, "9080", &[&want, ALLOW]);
}

#[test]
fn two_virtual_services_of_one_host_are_never_merged() {
    let mut config = shop();
    let block = |path: &str| HttpMatch {
        uri: Some(StringMatch::Prefix(path.into())),
        ..HttpMatch::default()
    };
    let mut first = route(vec![to("reviews", "", 0, 0)]);
    first.matches = vec![block("/a")];
    let second = route(vec![to("ratings", "", 0, 0)]);
    config.virtual_services = vec![
        virtual_service("shop", "b-second", &["reviews"], vec![second]),
        virtual_service("shop", "a-first", &["reviews"], vec![first]),
    ];
    check(
        &config,
        "9080",
        &[&format!("{REVIEWS}:9080 > {}*1", reviews("")), ALLOW],
    );
}

#[test]
fn a_host_outside_the_registry_works_on_port_80_alone() {
    let mut config = shop();
    let rule = || route(vec![to("reviews", "", 9080, 0)]);
    config.virtual_services = vec![virtual_service(
        "shop",
        "api",
        &["api.example.com"],
        vec![rule()],
    )];
    config
        .services
        .push(service("shop", "front", &[("http", 80)]));
    check(
        &config,
        "9080",
        &[&format!("{REVIEWS}:9080 > {}*1", reviews("")), ALLOW],
    );
    check(
        &config,
        "80",
        &[
            &format!("api.example.com:80 > {}*1", reviews("")),
            "front.shop.svc.cluster.local:80 > outbound|80||front.shop.svc.cluster.local*1",
            ALLOW,
        ],
    );
}

#[test]
fn an_omitted_port_is_the_listeners_port() {
    // `front` has port 80 only, and is still asked for on 9080.
    let mut config = shop();
    config
        .services
        .push(service("shop", "front", &[("http", 80)]));
    let rule = route(vec![to("front", "", 0, 0)]);
    config.virtual_services = vec![virtual_service("shop", "reviews", &["reviews"], vec![rule])];
    let want = format!("{REVIEWS}:9080 > !outbound|9080||front.shop.svc.cluster.local*1");
    check(&config, "9080", &[&want, ALLOW]);
}

#[test]
fn an_omitted_weight_among_several_means_never() {
    let mut config = shop();
    let rule = route(vec![to("reviews", "", 0, 0), to("reviews", "v1", 0, 5)]);
    config.virtual_services = vec![virtual_service("shop", "reviews", &["reviews"], vec![rule])];
    let want = format!("{REVIEWS}:9080 > !{}*5", reviews("v1"));
    check(&config, "9080", &[&want, ALLOW]);
}

#[test]
fn whatever_stands_behind_a_catch_all_is_dropped() {
    let mut config = shop();
    let rules = vec![
        route(vec![to("reviews", "", 0, 0)]),
        route(vec![to("x", "", 0, 0)]),
    ];
    config.virtual_services = vec![virtual_service("shop", "reviews", &["reviews"], rules)];
    check(
        &config,
        "9080",
        &[&format!("{REVIEWS}:9080 > {}*1", reviews("")), ALLOW],
    );
}

#[test]
fn registry_only_answers_502() {
    let mut config = shop();
    config.mesh.outbound = crate::config::istio::OutboundMode::RegistryOnly;
    check(
        &config,
        "9080",
        &[
            &format!("{REVIEWS}:9080 > {}*1", reviews("")),
            "block_all > direct 502",
        ],
    );
}

#[test]
fn workloads_that_see_the_same_share_tables() {
    let snapshot = compile(&shop());
    assert_eq!(snapshot.tables.len(), 1);
    assert!(snapshot.workloads.iter().all(|w| w.tables.is_some()));
    // Passthrough, black hole and one cluster for the one service port.
    assert_eq!(snapshot.clusters.len(), 3);
}
