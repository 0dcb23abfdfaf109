//! The published recipe, step by step, compiled beside the Services and Deployments it speaks of.

use std::fmt::Write as _;

use towtank::config::{LoadOptions, load};
use towtank::control_plane::compile;
use towtank::manifest::Source;
use towtank::report::proxy_config::{self, Filter};
use towtank::xds::dump;
use towtank::xds::{Snapshot, WorkloadId};

use crate::shared::{shared, source};

/// Services on 8080 named `http`, a Deployment per (service, version), and a client.
fn support(workloads: &[(&str, &str)]) -> Source {
    let mut text = String::new();
    let mut services: Vec<&str> = workloads.iter().map(|(service, _)| *service).collect();
    services.dedup();
    for service in services {
        let _ = write!(
            text,
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {service}, namespace: production}}\n\
             spec: {{selector: {{app: {service}}}, ports: [{{port: 8080, name: http}}]}}\n---\n"
        );
    }
    for (app, version) in workloads.iter().chain(&[("client", "v1")]) {
        let _ = write!(
            text,
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {app}-{version}, namespace: production}}\n\
             spec:\n  replicas: 2\n  selector: {{matchLabels: {{app: {app}, version: {version}}}}}\n  template:\n\
             \x20   metadata: {{labels: {{app: {app}, version: {version}}}}}\n\
             \x20   spec: {{containers: [{{name: app, image: app, ports: [{{containerPort: 8080}}]}}]}}\n---\n"
        );
    }
    Source::new("support.yaml", text)
}

fn step(file: &str, workloads: &[(&str, &str)]) -> Option<(Snapshot, WorkloadId)> {
    let path = shared("recipe")?.join(file);
    let loaded = load(
        vec![source(&path), support(workloads)],
        &LoadOptions::default(),
    );
    let snapshot = compile(&loaded.config);
    let client = snapshot.workload_named("production", "client-v1")?;
    Some((snapshot, client))
}

/// Lines of the client's dump that begin with one of the words, in order, shortened.
fn check(file: &str, workloads: &[(&str, &str)], words: &[&str], want: &[&str]) {
    let Some((snapshot, client)) = step(file, workloads) else {
        return;
    };
    let text = dump::text(&snapshot, client).replace(".production.svc.cluster.local", "");
    let lines: Vec<&str> = (text.lines().map(str::trim))
        .filter(|line| words.iter().any(|w| line.starts_with(w)))
        .collect();
    assert_eq!(lines, want, "{file}");
}

#[test]
fn step_3_splits_ninety_to_ten_and_lets_testers_through() {
    check(
        "03-traffic-splitting.yaml",
        &[("product-service", "v1"), ("product-service", "v2")],
        &["/*", "product-service:8080 ("],
        &[
            "product-service:8080 (03-traffic-splitting.yaml:1)",
            "/* and user-group=beta-testers -> Cluster: outbound|8080|v2|product-service (03-traffic-splitting.yaml:11)",
            "/* -> Clusters: outbound|8080|v1|product-service weight=90, outbound|8080|v2|product-service weight=10 \
             (03-traffic-splitting.yaml:19)",
        ],
    );
}

#[test]
fn step_4_takes_the_first_match() {
    check(
        "04-header-routing.yaml",
        &[("reviews", "v1"), ("reviews", "v2")],
        &["/*"],
        &[
            "/* and end-user=jason -> Cluster: outbound|8080|v2|reviews (04-header-routing.yaml:12)",
            "/* and x-region~us-.* -> Cluster: outbound|8080|us-version|reviews (04-header-routing.yaml:21)",
            "/* and user-agent=Mobile* -> Cluster: outbound|8080|mobile-optimized|reviews (04-header-routing.yaml:30)",
            "/* -> Cluster: outbound|8080|v1|reviews (04-header-routing.yaml:38)",
        ],
    );
}

#[test]
fn step_5_does_nothing_on_8080_because_no_service_has_the_host() {
    let workloads = [("api-service", "v2"), ("frontend-service", "v1")];
    check(
        "05-path-routing.yaml",
        &workloads,
        &["api.example.com"],
        &[],
    );
}

#[test]
fn step_6_injects_what_it_says() {
    check(
        "06-fault-injection.yaml",
        &[("payment-service", "v1")],
        &["fault:"],
        &[
            "fault: delay 7s for 100%",
            "fault: abort 500 for 50%",
            "fault: abort 503 for 0.1%",
        ],
    );
}

#[test]
fn step_7_sets_limits_and_ejects_after_five() {
    check(
        "07-circuit-breaking.yaml",
        &[("backend-service", "v1")],
        &[
            "limits: connections 100",
            "outlier detection: 5xx",
            "outbound|8080|v1",
        ],
        &[
            "outbound|8080|v1|backend-service (support.yaml:1; policy 07-circuit-breaking.yaml:26)",
            "limits: connections 100, pending 50, requests 100, retries 3",
            "outlier detection: 5xx 5, gateway off, local off, every 30s, eject 30s up to 5m, at most 50%, \
             panic below 40%",
            "limits: connections 100, pending 50, requests 100, retries 3",
            "outlier detection: 5xx 5, gateway off, local off, every 30s, eject 30s up to 5m, at most 50%, \
             panic below 40%",
        ],
    );
}

#[test]
fn step_8_retries_as_written() {
    check(
        "08-timeouts-retries.yaml",
        &[("api-service", "v1")],
        &["timeout: 10s", "retries: 3"],
        &[
            "timeout: 10s (08-timeouts-retries.yaml:13)",
            "retries: 3 on gateway-error,connect-failure,refused-stream,5xx per try 2s backoff 25ms..250ms \
             other hosts (5 reselects) (08-timeouts-retries.yaml:14)",
        ],
    );
}

#[test]
fn step_9_mirrors_a_tenth() {
    check(
        "09-mirroring.yaml",
        &[("api-service", "v1"), ("api-service", "v2")],
        &["mirror:"],
        &["mirror: outbound|8080|v2-test|api-service for 10%"],
    );
}

#[test]
fn step_10_hashes_on_the_route_and_weighs_localities() {
    check(
        "10-load-balancing.yaml",
        &[("api-service", "v1"), ("database-service", "v1")],
        &[
            "hash:",
            "locality: distribute",
            "EDS, HTTP, HTTP/1.1, RING_HASH",
        ],
        &[
            "hash: header x-user-id",
            "locality: distribute [us-east/* -> us-east/*=80, us-west/*=20], weighted",
            "EDS, HTTP, HTTP/1.1, RING_HASH minimum=1024, auto mTLS",
        ],
    );
}

#[test]
fn proxy_config_prints_istioctls_columns() {
    let workloads = [("product-service", "v1"), ("product-service", "v2")];
    let Some((snapshot, client)) = step("03-traffic-splitting.yaml", &workloads) else {
        return;
    };
    let filter = Filter {
        fqdn: Some("product-service.production.svc.cluster.local".to_owned()),
        ..Filter::default()
    };
    let words = |text: &str| -> Vec<String> {
        let lines = text.lines();
        lines
            .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect()
    };
    assert_eq!(
        words(&proxy_config::clusters(&snapshot, client, &filter)),
        [
            "SERVICE FQDN PORT SUBSET DIRECTION TYPE DESTINATION RULE",
            "product-service.production.svc.cluster.local 8080 - outbound EDS product-service.production",
            "product-service.production.svc.cluster.local 8080 v1 outbound EDS product-service.production",
            "product-service.production.svc.cluster.local 8080 v2 outbound EDS product-service.production",
        ]
    );
    assert_eq!(
        words(&proxy_config::listeners(
            &snapshot,
            client,
            &Filter::default()
        )),
        [
            "ADDRESSES PORT MATCH DESTINATION",
            "0.0.0.0 8080 Trans: raw_buffer; App: http/1.1,h2c Route: 8080",
            "0.0.0.0 8080 ALL PassthroughCluster",
            "0.0.0.0 15001 ALL PassthroughCluster",
            "0.0.0.0 15006 Addr: *:8080 InboundPassthroughCluster",
        ]
    );
    let routes = words(&proxy_config::routes(&snapshot, client, &Filter::default()));
    assert_eq!(routes[0], "NAME VHOST NAME DOMAINS MATCH VIRTUAL SERVICE");
    assert!(
        routes[1].ends_with("/* and user-group=beta-testers product-service.production"),
        "{routes:?}"
    );
    // Names that stand there in a shorter form are left out, and so is the pass-through route.
    let domains = "product-service.production.svc.cluster.local., product-service + 2 more...";
    assert!(routes[1].contains(domains), "{routes:?}");
    assert!(
        !routes.iter().any(|r| r.contains("allow_any")),
        "{routes:?}"
    );
    let endpoints = proxy_config::endpoints(&snapshot, client, &filter);
    // Two pods of each version: four in the default cluster, two in each subset.
    assert_eq!(endpoints.lines().count(), 1 + 4 + 2 + 2);
    let json = proxy_config::clusters_json(&snapshot, client, &filter);
    assert_eq!(json.as_array().map(Vec::len), Some(3));
}

#[test]
fn the_order_of_files_never_matters() {
    let Some(path) = shared("recipe/03-traffic-splitting.yaml") else {
        return;
    };
    let workloads = [("product-service", "v1"), ("product-service", "v2")];
    let text = |sources: Vec<Source>| {
        let snapshot = compile(&load(sources, &LoadOptions::default()).config);
        let client = snapshot.workload_named("production", "client-v1").unwrap();
        dump::text(&snapshot, client)
    };
    let forth = text(vec![source(&path), support(&workloads)]);
    let back = text(vec![support(&workloads), source(&path)]);
    assert_eq!(forth, back);
}
