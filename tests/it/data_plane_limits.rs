//! Limits of hosts, pools and workers as whole runs show them.

use towtank::xds::Cluster;
use towtank::xds::cluster::{LbPolicy, Thresholds, ZoneAware};

use crate::harness::Case;
use crate::runs_support::{load, outcomes, stat};
use crate::theory_support::Mesh;

fn with(mut case: Case, change: impl Fn(&mut Cluster)) -> Case {
    for id in case.snapshot.clusters.ids() {
        change(&mut case.snapshot.clusters[id]);
    }
    case
}

fn server(count: u32) -> Mesh {
    Mesh::new()
        .pods("server", "server", count, "{serviceTime: 20ms}")
        .route("server", "retries: {attempts: 0}")
}

#[test]
fn a_host_has_at_most_so_many_connections() {
    let case = server(2).case(&load("connections: 12, requests: 120"));
    let record = with(case, |c| c.breakers.max_connections_per_host = 2).run();
    assert_eq!(stat(&record, "upstream_cx_total"), 4);
    assert!(stat(&record, "upstream_cx_overflow") > 0);
    assert_eq!(outcomes(&record), ["200 - via_upstream ×120"]);
}

#[test]
fn without_room_for_a_pool_a_request_finds_no_host() {
    let mesh = server(2).rule("server", "{loadBalancer: {simple: ROUND_ROBIN}}");
    let case = mesh.case(&load("connections: 2, requests: 2"));
    let limit = |c: &mut Cluster| {
        c.breakers = Thresholds {
            max_connection_pools: 1,
            ..Thresholds::default()
        };
    };
    let record = with(case, limit).run();
    assert_eq!(
        outcomes(&record),
        ["200 - via_upstream ×1", "503 UH no_healthy_upstream ×1"]
    );
    assert_eq!(stat(&record, "upstream_cx_pool_overflow"), 1);
    assert_eq!(stat(&record, "upstream_cx_none_healthy"), 0);
}

#[test]
fn panic_may_fail_traffic_instead_of_spreading_it() {
    let bad = "{errors: [{status: 503, rate: 100%}]}";
    let rule = "{outlierDetection: {consecutive5xxErrors: 1, baseEjectionTime: 60s, maxEjectionPercent: 100, minHealthPercent: 50}}";
    let mesh = Mesh::new()
        .pods("server", "server", 1, bad)
        .rule("server", rule)
        .route("server", "retries: {attempts: 0}");
    let case = || mesh.case(&load("connections: 1, requests: 10"));
    assert_eq!(outcomes(&case().run()), ["503 - via_upstream ×10"]);
    let fail = ZoneAware {
        fail_traffic_on_panic: true,
        ..ZoneAware::default()
    };
    let record = with(case(), |c| c.common_lb.zone_aware = Some(fail)).run();
    assert_eq!(
        outcomes(&record),
        ["503 - via_upstream ×1", "503 UH no_healthy_upstream ×9"]
    );
    assert_eq!(stat(&record, "lb_healthy_panic"), 9);
}

#[test]
fn a_full_scan_never_doubles_up_while_somebody_is_idle() {
    let scan = LbPolicy::LeastRequest {
        choice_count: 2,
        full_scan: true,
        bias: 1000,
    };
    // Requests that wait for their first connection are not counted; later ones find one of
    // four hosts idle, and its connection.
    let connections = |requests: u32| {
        let shape = load(&format!("connections: 4, requests: {requests}"));
        let record = with(server(4).case(&shape), |c| c.lb = scan).run();
        stat(&record, "upstream_cx_total")
    };
    assert_eq!(connections(40), connections(400));
}

const PROXY_CONFIG: &str = "apiVersion: networking.istio.io/v1beta1\nkind: ProxyConfig\nmetadata: {name: two, namespace: t}\nspec: {concurrency: 2}\n";

#[test]
fn each_worker_may_have_the_one_connection_that_an_empty_pool_is_allowed() {
    let mesh = server(1).rule("server", "{connectionPool: {tcp: {maxConnections: 1}}}");
    let shape = load("connections: 4, requests: 40");
    let one = mesh.case(&shape).run();
    assert_eq!(stat(&one, "upstream_cx_total"), 1);
    let two = mesh.manifest(PROXY_CONFIG).case(&shape).run();
    assert_eq!(stat(&two, "upstream_cx_total"), 2);
}

#[test]
fn gauges_show_what_is_full_when_a_run_ends() {
    let mesh = server(2).rule("server", "{connectionPool: {tcp: {maxConnections: 2}}}");
    let record = mesh.case(&load("connections: 4, requests: 40")).run();
    let gauge = |name: &str| stat(&record, name);
    // Idle connections count; nothing is in flight any more.
    assert_eq!(gauge("circuit_breakers.default.cx_open"), 1);
    assert_eq!(gauge("circuit_breakers.default.rq_open"), 0);
    assert_eq!(
        (gauge("membership_total"), gauge("membership_healthy")),
        (2, 2)
    );
}
