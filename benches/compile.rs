//! What compiling a large mesh costs: 1,000 Services with 10 pods each and a VirtualService and
//! a DestinationRule per Service, in ten namespaces.
//!
//! The promise is under a second and under 300 MB. The first line printed is one compilation
//! with the sizes of its tables; a change that makes it faster by making less shows there.
#![expect(
    clippy::print_stdout,
    reason = "sizes and times are for people who read the bench's output"
)]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a bench reads the clock and its own memory"
)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use towtank::config::istio::{
    Destination, DestinationRule, HttpMatch, HttpRoute, RouteDestination, StringMatch, Subset,
    VirtualService,
};
use towtank::config::k8s::{
    PodNotes, PodTemplateOwner, ProxySettings, Service, ServicePort, TargetPort,
};
use towtank::config::{MeshConfig, Meta};
use towtank::control_plane::compile;
use towtank::units::Origin;
use towtank::xds::Name;

const NAMESPACES: usize = 10;
const SERVICES: usize = 1_000;
const PODS_PER_VERSION: u32 = 5;

fn meta(namespace: &str, name: &str) -> Meta {
    Meta {
        name: name.into(),
        namespace: namespace.into(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        created: "".into(),
        origin: Origin::BUILT_IN,
    }
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<Name, Name> {
    pairs
        .iter()
        .map(|(k, v)| ((*k).into(), (*v).into()))
        .collect()
}

fn deployment(namespace: &str, app: &str, version: &str) -> PodTemplateOwner {
    PodTemplateOwner {
        meta: meta(namespace, &format!("{app}-{version}")),
        kind: "Deployment".into(),
        replicas: Some(PODS_PER_VERSION),
        labels: labels(&[("app", app), ("version", version)]),
        proxy: ProxySettings::default(),
        annotations: BTreeMap::new(),
        ports: Vec::new(),
        service_account: app.into(),
        host_network: false,
        node_name: None,
        pod_ip: None,
        ready: true,
        has_proxy_container: true,
        is_gateway: false,
        notes: PodNotes::default(),
        lifecycle: towtank::xds::snapshot::Lifecycle::default(),
        cpu: towtank::xds::snapshot::Cpu::default(),
    }
}

fn service(namespace: &str, app: &str) -> Service {
    Service {
        meta: meta(namespace, app),
        kind: "ClusterIP".into(),
        selector: labels(&[("app", app)]),
        cluster_ips: Vec::new(),
        external_name: None,
        ports: vec![ServicePort {
            name: "http".into(),
            port: 8080,
            transport: "TCP".into(),
            app_protocol: None,
            target: TargetPort::Same,
            origin: Origin::BUILT_IN,
        }],
        publish_not_ready: false,
        internal_traffic_local: false,
        traffic_distribution: None,
    }
}

fn to(app: &str, subset: &str, weight: i64) -> RouteDestination {
    RouteDestination {
        destination: Destination {
            host: app.into(),
            subset: subset.into(),
            port: 0,
        },
        weight,
        ..RouteDestination::default()
    }
}

/// A route by header, one by path and a split.
fn virtual_service(namespace: &str, app: &str) -> VirtualService {
    let by_header = HttpMatch {
        headers: BTreeMap::from([("x-user".into(), Some(StringMatch::Exact("tester".into())))]),
        ..HttpMatch::default()
    };
    let by_path = HttpMatch {
        uri: Some(StringMatch::Prefix("/api/".into())),
        ..HttpMatch::default()
    };
    let rule = |matches: Vec<HttpMatch>, route: Vec<RouteDestination>| HttpRoute {
        matches,
        route,
        ..HttpRoute::default()
    };
    VirtualService {
        meta: meta(namespace, app),
        hosts: vec![app.into()],
        gateways: Vec::new(),
        export_to: Vec::new(),
        http: vec![
            rule(vec![by_header], vec![to(app, "v2", 0)]),
            rule(vec![by_path], vec![to(app, "v1", 0)]),
            rule(vec![], vec![to(app, "v1", 90), to(app, "v2", 10)]),
        ],
        tcp: Vec::new(),
        tls: Vec::new(),
    }
}

fn destination_rule(namespace: &str, app: &str) -> DestinationRule {
    let subset = |version: &str| Subset {
        name: version.into(),
        labels: labels(&[("version", version)]),
        policy: None,
        origin: Origin::BUILT_IN,
    };
    DestinationRule {
        meta: meta(namespace, app),
        host: app.into(),
        policy: None,
        subsets: vec![subset("v1"), subset("v2")],
        export_to: Vec::new(),
        workload_selector: None,
    }
}

fn mesh() -> MeshConfig {
    let mut config = MeshConfig::default();
    for n in 0..NAMESPACES {
        let namespace = format!("team-{n}");
        for s in 0..SERVICES / NAMESPACES {
            let app = format!("service-{s:03}");
            config.services.push(service(&namespace, &app));
            config.workloads.push(deployment(&namespace, &app, "v1"));
            config.workloads.push(deployment(&namespace, &app, "v2"));
            config
                .virtual_services
                .push(virtual_service(&namespace, &app));
            config
                .destination_rules
                .push(destination_rule(&namespace, &app));
        }
    }
    config
}

/// Largest memory so far, as Linux counts it.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM:"));
    line.map_or_else(String::new, |l| l["VmHWM:".len()..].trim().to_owned())
}

fn compile_mesh(c: &mut Criterion) {
    let config = mesh();
    let before = peak_memory();
    let start = Instant::now();
    let snapshot = compile(&config);
    println!(
        "one compilation: {:?}; {} workloads, {} pods, {} tables, {} route configurations, {} clusters; \
         peak memory {} (configuration alone {before})",
        start.elapsed(),
        snapshot.workloads.len(),
        snapshot.pods.len(),
        snapshot.tables.len(),
        snapshot.route_configs.len(),
        snapshot.clusters.len(),
        peak_memory(),
    );
    drop(snapshot);
    let mut group = c.benchmark_group("compile");
    group.sample_size(10);
    group.bench_function("a thousand services", |b| {
        b.iter(|| black_box(compile(black_box(&config))));
    });
    group.finish();
}

criterion_group!(benches, compile_mesh);
criterion_main!(benches);
