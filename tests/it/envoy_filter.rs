//! EnvoyFilters from manifests to tables: who is patched, in which order, and what is said.

use towtank::config::load::{LoadOptions, Loaded, load};
use towtank::config::{IstioVersion, MeshConfig};
use towtank::control_plane::compile;
use towtank::manifest::Source;
use towtank::xds::cluster::UNLIMITED;
use towtank::xds::{Cluster, LbPolicy, Snapshot};

const MESH: &str = "\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: client, namespace: shop}
spec: {selector: {matchLabels: {app: client}}, template: {metadata: {labels: {app: client}}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: stranger, namespace: other}
spec: {selector: {matchLabels: {app: stranger}}, template: {metadata: {labels: {app: stranger}}}}
";

const WEB: &str = "outbound|80||web.shop.svc.cluster.local";

pub(crate) fn read(text: &str) -> Loaded {
    read_at(text, IstioVersion::default())
}

fn read_at(text: &str, version: IstioVersion) -> Loaded {
    let options = LoadOptions {
        version,
        ..LoadOptions::default()
    };
    load(
        vec![Source::new("f.yaml", format!("{MESH}---\n{text}"))],
        &options,
    )
}

/// A filter of one patch in `namespace`.
pub(crate) fn filter(name: &str, namespace: &str, spec: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\n\
         metadata: {{name: {name}, namespace: {namespace}}}\nspec:\n{spec}---\n"
    )
}

fn cluster_patch(value: &str) -> String {
    format!(
        "  configPatches:\n  - applyTo: CLUSTER\n    match: {{context: SIDECAR_OUTBOUND, cluster: \
         {{service: web.shop.svc.cluster.local}}}}\n    patch: {{operation: MERGE, value: {value}}}\n"
    )
}

fn compiled(config: &MeshConfig) -> Snapshot {
    compile(config)
}

fn web<'s>(snapshot: &'s Snapshot, namespace: &str, workload: &str) -> &'s Cluster {
    let id = snapshot
        .workload_named(namespace, workload)
        .expect("it is there");
    let tables = &snapshot.tables[snapshot.workloads[id].tables.expect("a proxy")];
    let cluster = snapshot.cluster_named(tables, WEB).expect("it knows web");
    &snapshot.clusters[cluster]
}

/// Everything said about the EnvoyFilter, without the code in front.
pub(crate) fn said(loaded: &Loaded) -> Vec<String> {
    let of_filter = |d: &&towtank::diagnostic::Diagnostic| {
        d.object
            .as_ref()
            .is_some_and(|o| o.starts_with("EnvoyFilter"))
    };
    let found = loaded.diagnostics.iter().filter(of_filter);
    found.map(|d| format!("{} {}", d.code, d.message)).collect()
}

#[test]
fn a_namespace_patches_its_own_proxies_and_the_root_namespace_all() {
    let own = filter("a", "shop", &cluster_patch("{connect_timeout: 2s}"));
    let snapshot = compiled(&read(&own).config);
    let seconds = |namespace, workload| {
        let timeout = web(&snapshot, namespace, workload).pool.connect_timeout;
        timeout.ns() / 1_000_000_000
    };
    assert_eq!((seconds("shop", "client"), seconds("shop", "web")), (2, 2));
    assert_eq!(seconds("other", "stranger"), 10);

    let root = filter("a", "istio-system", &cluster_patch("{connect_timeout: 3s}"));
    let snapshot = compiled(&read(&root).config);
    let stranger = web(&snapshot, "other", "stranger");
    assert_eq!(stranger.pool.connect_timeout.ns(), 3_000_000_000);
}

#[test]
fn proxies_that_no_patch_selects_keep_sharing_their_tables() {
    let selector = "  workloadSelector: {labels: {app: client}}\n";
    let patch = cluster_patch("{connect_timeout: 2s}");
    let snapshot = compiled(&read(&filter("a", "shop", &format!("{selector}{patch}"))).config);
    let (client, other) = (
        web(&snapshot, "shop", "client"),
        web(&snapshot, "shop", "web"),
    );
    assert_eq!(client.pool.connect_timeout.ns(), 2_000_000_000);
    assert_eq!(other.pool.connect_timeout.ns(), 10_000_000_000);
    let webs = snapshot.clusters.iter().filter(|c| *c.name == *WEB).count();
    assert_eq!(webs, 2, "the patched one, and one for everybody else");
}

#[test]
fn the_last_patch_wins_in_the_order_of_priority_root_and_age() {
    let timeout = |seconds: u32| cluster_patch(&format!("{{connect_timeout: {seconds}s}}"));
    let check = |filters: &[String], expected: u64| {
        let snapshot = compiled(&read(&filters.concat()).config);
        let timeout = web(&snapshot, "shop", "client").pool.connect_timeout;
        assert_eq!(timeout.ns() / 1_000_000_000, expected);
    };
    check(
        &[
            filter("b", "shop", &timeout(2)),
            filter("a", "shop", &timeout(3)),
        ],
        2,
    );
    check(
        &[
            filter("z", "istio-system", &timeout(2)),
            filter("a", "shop", &timeout(3)),
        ],
        3,
    );
    let late = format!("  priority: 10\n{}", timeout(4));
    check(
        &[
            filter("z", "istio-system", &late),
            filter("a", "shop", &timeout(3)),
        ],
        4,
    );
}

#[test]
fn fields_of_clusters_are_merged_as_protobuf_merges() {
    let value = "{lb_policy: MAGLEV, maglev_lb_config: {table_size: 101}, common_lb_config: \
                 {healthy_panic_threshold: {value: 33.3}}, outlier_detection: \
                 {consecutive_5xx: 3, maxEjectionPercent: 50, interval: 0.5s}}";
    let loaded = read(&filter("a", "shop", &cluster_patch(value)));
    assert_eq!(said(&loaded), [""; 0]);
    let snapshot = compiled(&loaded.config);
    let web = web(&snapshot, "shop", "client");
    assert_eq!(web.lb, LbPolicy::Maglev { table_size: 101 });
    assert_eq!(web.panic_threshold.ppm(), 333_000);
    let outlier = web.outlier.as_ref().expect("it is switched on");
    assert_eq!(outlier.max_ejection_percent, 50);
    assert_eq!(outlier.interval.ns(), 500_000_000);
    assert_eq!(
        outlier.base_ejection_time.ns(),
        30_000_000_000,
        "Envoy's own"
    );
}

#[test]
fn routing_by_zone_is_said_to_have_no_effect_without_a_local_cluster() {
    let value = "{common_lb_config: {zone_aware_lb_config: {min_cluster_size: 3, fail_traffic_on_panic: true}}}";
    let loaded = read(&filter("a", "shop", &cluster_patch(value)));
    assert!(said(&loaded).is_empty());
    let assumed = compiled(&loaded.config).assumed;
    let begin = format!("zone-aware routing of {WEB} does nothing for shop/client");
    assert!(
        assumed.iter().any(|a| a.starts_with(&begin)),
        "{assumed:#?}"
    );
    let only_panic = "{common_lb_config: {zone_aware_lb_config: {fail_traffic_on_panic: true}}}";
    let loaded = read(&filter("a", "shop", &cluster_patch(only_panic)));
    let assumed = compiled(&loaded.config).assumed;
    assert!(assumed.iter().all(|a| !a.contains("zone")), "{assumed:#?}");
}

#[test]
fn what_envoy_or_protobuf_would_ignore_is_said() {
    let value = "{lb_policy: ROUND_ROBIN, circuit_breakers: {thresholds: [{max_requests: 5}]}, dns_refresh_rate: 5s}";
    let loaded = read(&filter("a", "shop", &cluster_patch(value)));
    let said = said(&loaded);
    assert_eq!(said.len(), 3, "{said:#?}");
    assert!(
        said[0].starts_with("TT-NO-EFFECT `lb_policy: ROUND_ROBIN` is zero"),
        "{said:#?}"
    );
    assert!(
        said[1].starts_with("TT-NO-EFFECT MERGE appends"),
        "{said:#?}"
    );
    let unmapped = "TT-NOT-SIMULATED `spec.configPatches[0].patch.value.dns_refresh_rate`: this field of Envoy is not simulated";
    assert_eq!(said[2], unmapped);
    let snapshot = compiled(&loaded.config);
    let web = web(&snapshot, "shop", "client");
    assert_eq!(web.breakers.max_requests, UNLIMITED);
    assert!(matches!(web.lb, LbPolicy::LeastRequest { .. }));
}

#[test]
fn lists_are_replaced_where_that_is_asked_for() {
    let patch = cluster_patch("{circuit_breakers: {thresholds: [{max_requests: 5}]}}");
    let patch = patch.replace("MERGE", "MERGE_AND_REPLACE_LIST");
    let snapshot = compiled(&read(&filter("a", "shop", &patch)).config);
    let breakers = &web(&snapshot, "shop", "client").breakers;
    assert_eq!(
        (breakers.max_requests, breakers.max_pending_requests),
        (5, 1024)
    );
}

#[test]
fn a_patch_for_other_releases_or_for_nobody_changes_nothing() {
    let patch = "  configPatches:\n  - applyTo: CLUSTER\n    match: {proxy: {proxyVersion: '^1\\.24.*'}}\n    patch: {operation: MERGE, value: {connect_timeout: 2s}}\n";
    let spec = filter("a", "shop", patch);
    let seconds = |loaded: &Loaded| {
        let snapshot = compiled(&loaded.config);
        let timeout = web(&snapshot, "shop", "client").pool.connect_timeout;
        timeout.ns() / 1_000_000_000
    };
    assert_eq!(seconds(&read(&spec)), 10);
    let old = IstioVersion {
        major: 1,
        minor: 24,
    };
    assert_eq!(seconds(&read_at(&spec, old)), 2);

    let nobody = cluster_patch("{connect_timeout: 2s}").replace("web.shop", "nobody.shop");
    let snapshot = compiled(&read(&filter("a", "shop", &nobody)).config);
    let said = snapshot.assumed.join("\n");
    assert!(
        said.contains("the patch of EnvoyFilter shop/a (f.yaml:26) changes nothing"),
        "{said}"
    );
}

#[test]
fn a_removed_cluster_is_gone() {
    let patch = cluster_patch("{}").replace("operation: MERGE, value: {}", "operation: REMOVE");
    let loaded = read(&filter("a", "shop", &patch));
    let snapshot = compiled(&loaded.config);
    let id = snapshot
        .workload_named("shop", "client")
        .expect("it is there");
    let tables = &snapshot.tables[snapshot.workloads[id].tables.expect("a proxy")];
    assert_eq!(snapshot.cluster_named(tables, WEB), None);
}

#[test]
fn durations_and_protocols_that_envoy_would_refuse_are_refused() {
    let loaded = read(&filter(
        "a",
        "shop",
        &cluster_patch("{connect_timeout: 250ms}"),
    ));
    let first = &said(&loaded)[0];
    assert!(
        first.contains("`250ms` is no length of time for protobuf"),
        "{first}"
    );
    let options = "{typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {'@type': \
                   type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, common_http_protocol_options: {idle_timeout: 5s}}}}";
    let loaded = read(&filter("a", "shop", &cluster_patch(options)));
    let first = &said(&loaded)[0];
    assert!(
        first.contains("says no protocol, which Envoy refuses"),
        "{first}"
    );
}
