//! `zoneAwareLbSetting` and self-discovery, from manifests to tables.

use towtank::config::IstioVersion;
use towtank::config::load::{LoadOptions, Loaded, load};
use towtank::control_plane::compile;
use towtank::manifest::Source;
use towtank::units::Fraction;
use towtank::xds::endpoint::LocalityKind;
use towtank::xds::{Cluster, Snapshot};

const MESH: &str = "\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {replicas: 3, selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}, annotations: {NOTES}}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: client, namespace: shop}
spec: {replicas: 2, selector: {matchLabels: {app: client}}, template: {metadata: {labels: {app: client}}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: \"MESH_CONFIG\"}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: shop}
spec: {host: web, trafficPolicy: {loadBalancer: BALANCER}}
";

const ON: &str =
    "{defaultConfig: {proxyMetadata: {ISTIO_META_ENABLE_SELF_DISCOVERY: \\\"true\\\"}}}";

fn read(version: &str, mesh: &str, balancer: &str, notes: &str) -> Loaded {
    let options = LoadOptions {
        version: IstioVersion::parse(version).expect("a release"),
        ..LoadOptions::default()
    };
    let text = (MESH.replace("MESH_CONFIG", mesh))
        .replace("BALANCER", balancer)
        .replace("NOTES", notes);
    load(vec![Source::new("f.yaml", text)], &options)
}

fn at_31(mesh: &str, balancer: &str) -> Snapshot {
    let loaded = read("1.31", mesh, balancer, "");
    let errors = loaded.diagnostics.iter().filter(|d| d.is_error());
    assert_eq!(errors.count(), 0, "{:#?}", loaded.diagnostics);
    compile(&loaded.config)
}

fn web(snapshot: &Snapshot) -> &Cluster {
    let id = snapshot
        .workload_named("shop", "client")
        .expect("it is there");
    let tables = &snapshot.tables[snapshot.workloads[id].tables.expect("a proxy")];
    let name = "outbound|80||web.shop.svc.cluster.local";
    &snapshot.clusters[snapshot.cluster_named(tables, name).expect("it knows web")]
}

/// (pods of web's own cluster, of the client's); `None`: it has none.
fn local(snapshot: &Snapshot) -> [Option<usize>; 2] {
    ["web", "client"].map(|name| {
        let id = snapshot.workload_named("shop", name).expect("it is there");
        let cluster = snapshot.local_clusters.get(&id)?;
        Some(cluster.pods.len())
    })
}

#[test]
fn self_discovery_gives_proxies_a_cluster_of_the_pods_behind_their_service() {
    let snapshot = at_31(ON, "{simple: RANDOM}");
    assert_eq!(local(&snapshot), [Some(3), Some(0)]);
    let alone = "no zone-aware routing for shop/client: no Service selects these pods";
    assert!(snapshot.assumed.iter().any(|a| a.starts_with(alone)));
    assert_eq!(local(&at_31("{}", "{}")), [None, None]);
    let older = read("1.30", ON, "{simple: RANDOM}", "");
    assert_eq!(local(&compile(&older.config)), [None, None]);
    let notes =
        "proxy.istio.io/config: \"proxyMetadata: {ISTIO_META_ENABLE_SELF_DISCOVERY: 'true'}\"";
    let annotated = read("1.31", "{}", "{}", notes);
    assert_eq!(local(&compile(&annotated.config)), [Some(3), None]);
}

#[test]
fn the_setting_parts_regions_and_leaves_zones_to_envoy() {
    let setting = "{zoneAwareLbSetting: {minClusterSize: 2, failover: [{from: eu, to: us}]}}";
    let snapshot = at_31(ON, setting);
    let cluster = web(&snapshot);
    let zones = cluster.common_lb.zone_aware.expect("it is written");
    assert_eq!(zones.min_cluster_size, 2);
    assert_eq!(zones.routing_enabled, Fraction::ONE);
    let LocalityKind::ZoneAware { regions, .. } = &cluster.locality.kind else {
        panic!("{:?}", cluster.locality)
    };
    assert_eq!(&*regions[0].1, "us");
    let off = at_31(ON, "{zoneAwareLbSetting: {enabled: false}}");
    assert_eq!(web(&off).locality.kind, LocalityKind::Off);
    let zones = web(&off).common_lb.zone_aware.expect("it is written");
    assert_eq!(zones.routing_enabled, Fraction::ZERO);
}

#[test]
fn the_mesh_speaks_where_a_rule_says_nothing_of_localities() {
    let mesh = "{zoneAwareLbSetting: {minClusterSize: 3}}";
    let written = |balancer: &str| web(&at_31(mesh, balancer)).common_lb.zone_aware;
    assert_eq!(
        written("{simple: RANDOM}").map(|z| z.min_cluster_size),
        Some(3)
    );
    assert_eq!(written("{localityLbSetting: {enabled: false}}"), None);
    let nearer = written("{zoneAwareLbSetting: {minClusterSize: 4}}");
    assert_eq!(nearer.map(|z| z.min_cluster_size), Some(4));
}

#[test]
fn what_cannot_work_is_said() {
    let said = |version: &str, balancer: &str| -> Vec<String> {
        let loaded = read(version, "{}", balancer, "");
        loaded.diagnostics.iter().map(ToString::to_string).collect()
    };
    let old = said("1.30", "{zoneAwareLbSetting: {}}");
    assert!(old[0].contains("is new in Istio 1.31"), "{old:#?}");
    let wrong = "{zoneAwareLbSetting: {failover: [{from: a, to: a}, {from: a/b, to: '*'}], failoverPriority: [topology.kubernetes.io/zone]}}";
    let all = said("1.31", wrong);
    for part in ["are both `a`", "only a region", "wildcards", "leave it out"] {
        assert!(all.iter().any(|d| d.contains(part)), "{part}: {all:#?}");
    }
    let snapshot = at_31("{}", "{zoneAwareLbSetting: {}}");
    let missing =
        "does nothing for shop/client, shop/web: its proxies have no cluster of their own";
    let assumed = &snapshot.assumed;
    assert!(assumed.iter().any(|a| a.contains(missing)), "{assumed:#?}");
}

/// Three clients in one zone and one in another, as many hosts in each.
const UNEVEN: &str = "\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: client, namespace: shop}
spec: {selector: {app: client}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {replicas: 6, selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: client, namespace: shop}
spec: {replicas: 4, selector: {matchLabels: {app: client}}, template: {metadata: {labels: {app: client}}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: \"{defaultConfig: {proxyMetadata: {ISTIO_META_ENABLE_SELF_DISCOVERY: \\\"true\\\"}}}\"}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: shop}
spec: {host: web, trafficPolicy: {loadBalancer: {zoneAwareLbSetting: {minClusterSize: 6}}}}
---
apiVersion: towtank/v1alpha1
kind: Model
metadata: {name: zones}
spec:
  placement: {shop/web: [r/z1, r/z2], shop/client: [r/z1, r/z1, r/z1, r/z2]}
---
apiVersion: towtank/v1alpha1
kind: Scenario
metadata: {name: zones}
spec:
  istioVersion: \"1.31\"
  duration: 60s
  load: [{name: l, from: shop/client, url: 'http://web/', rate: 200/s, arrivals: constant}]
  EVENTS
";

/// (requests that stayed by their share, requests that left their zone) of the whole run.
fn zones_of(events: &str) -> (u64, u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("scenario.yaml");
    std::fs::write(&file, UNEVEN.replace("EVENTS", events)).expect("written");
    let run = crate::program::json(&["run", &file.display().to_string()]);
    let stat = |name: &str| {
        let clusters = run["clusters"].as_array().expect("clusters");
        let all = clusters.iter().filter_map(|c| c["stats"][name].as_u64());
        all.sum::<u64>()
    };
    (
        stat("lb_zone_routing_sampled"),
        stat("lb_zone_routing_cross_zone"),
    )
}

#[test]
fn shares_follow_the_proxys_own_kind_when_its_pods_leave() {
    // 75 % of the proxies and half of the hosts: a third of those requests has to leave.
    let (stayed, left) = zones_of("");
    assert_eq!(
        stayed + left,
        9_000,
        "three of four pods send 12,000 requests"
    );
    assert!(
        (2_850..3_150).contains(&left),
        "{left} of {}",
        stayed + left
    );
    // One client in each zone is left from the thirtieth second on: its zone keeps everything.
    let gone = "events:
  - {at: 30s, fail: {pod: shop/client-1}}
  - {at: 30s, fail: {pod: shop/client-2}}";
    let (stayed, fewer) = zones_of(gone);
    assert!(
        (1_400..1_600).contains(&fewer),
        "{fewer} of {}",
        stayed + fewer
    );
    let sampled = stayed + fewer;
    assert!((4_450..4_700).contains(&sampled), "{sampled}");
}
