//! What one decision of the data plane costs: picks of every balancer, and the router.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use towtank::data_plane::{
    HostSet, LbState, LbView, NoTrail, PickContext, RequestView, Router, pick,
};
use towtank::http::Headers;
use towtank::units::{Fraction, Origin, SimTime};
use towtank::xds::cluster::{CommonLb, PoolSettings, Thresholds, Upstream};
use towtank::xds::endpoint::{LocalityPolicy, localize};
use towtank::xds::route::{
    Action, DirectResponse, HeaderMatch, HeaderOps, PathMatch, Route, RouteConfig, RouteMatch,
    TextMatch, VirtualHost,
};
use towtank::xds::snapshot::Protocol;
use towtank::xds::{Cluster, ClusterKind, Endpoint, Health, LbPolicy, Locality, Tls};

fn host_set(policy: LbPolicy, hosts: u32, weight: impl Fn(u32) -> u32) -> HostSet {
    let endpoint = |host: u32| Endpoint {
        address: format!("10.0.{}.{}", host / 250, host % 250).into(),
        port: 8080,
        pod: None,
        weight: weight(host),
        health: Health::Healthy,
        locality: Locality::default(),
        mtls: true,
        labels: Arc::default(),
    };
    let cluster = Cluster {
        name: "c".into(),
        host: "h".into(),
        port: 80,
        subset: "".into(),
        kind: ClusterKind::Eds,
        protocol: Protocol::Http,
        upstream: Upstream::Http1,
        endpoints: (0..hosts).map(endpoint).collect(),
        locality: LocalityPolicy::default(),
        lb: policy,
        warmup: None,
        breakers: Thresholds::default(),
        pool: PoolSettings::default(),
        outlier: None,
        panic_threshold: Fraction::ZERO,
        common_lb: CommonLb::default(),
        health_checks: Vec::new(),
        tls: Tls::Auto,
        origin: Origin::BUILT_IN,
        policy_origin: Origin::BUILT_IN,
    };
    let place = Locality::default();
    let labels = std::collections::BTreeMap::new();
    let assignment = localize(&cluster.endpoints, &cluster.locality, &place, &labels);
    HostSet::new(&cluster, &assignment)
}

fn balancers(criterion: &mut Criterion) {
    let equal: fn(u32) -> u32 = |_| 1;
    let unequal: fn(u32) -> u32 = |host| host % 3 + 1;
    let least = LbPolicy::LEAST_REQUEST;
    let ring = LbPolicy::RingHash {
        minimum_ring_size: 1024,
    };
    let maglev = LbPolicy::Maglev { table_size: 65_537 };
    let cases = [
        ("round_robin", LbPolicy::RoundRobin, equal),
        ("round_robin_weighted", LbPolicy::RoundRobin, unequal),
        ("least_request", least, equal),
        ("least_request_weighted", least, unequal),
        ("random", LbPolicy::Random, equal),
        ("ring_hash", ring, equal),
        ("maglev", maglev, equal),
    ];
    let mut group = criterion.benchmark_group("pick");
    for (name, policy, weight) in cases {
        for hosts in [10, 100] {
            let set = host_set(policy, hosts, weight);
            let view = LbView::build(&set, |_| true);
            let mut state = LbState::new(42);
            let active: Vec<u32> = (0..hosts).map(|host| host * 7 % 5).collect();
            let mut random = 0x2545_f491_4f6c_dd1d_u64;
            group.bench_function(format!("{name}/{hosts}"), |bencher| {
                bencher.iter(|| {
                    let mut ctx = PickContext {
                        draw: || {
                            random ^= random << 13;
                            random ^= random >> 7;
                            random ^= random << 17;
                            random
                        },
                        hash: None,
                        attempt: 0,
                        tried: &[],
                        skip_previous_hosts: true,
                        reselects: 5,
                        skip_priorities: None,
                        now: SimTime::ZERO,
                    };
                    let active = |host: u32| active[host as usize];
                    black_box(pick(
                        &set,
                        &view,
                        &mut state,
                        &mut ctx,
                        active,
                        &mut NoTrail,
                    ))
                });
            });
        }
    }
    group.finish();
}

fn route(path: PathMatch, header: Option<&str>) -> Route {
    let header = header.map(|value| HeaderMatch {
        name: "end-user".into(),
        value: TextMatch::Exact(value.into()),
        invert: false,
        missing_as_empty: false,
    });
    Route {
        name: "r".into(),
        matches: RouteMatch {
            path,
            headers: header.into_iter().collect(),
            ..RouteMatch::any()
        },
        action: Action::Direct(DirectResponse {
            status: 200,
            body: "".into(),
        }),
        fault: None,
        filters: None,
        request_headers: HeaderOps::default(),
        response_headers: HeaderOps::default(),
        origin: Origin::BUILT_IN,
    }
}

fn router(criterion: &mut Criterion) {
    let vhost = |number: usize| VirtualHost {
        name: "v".into(),
        domains: ["", ".default", ".default.svc", ".default.svc.cluster.local"]
            .iter()
            .map(|suffix| format!("service-{number}{suffix}").into())
            .collect(),
        routes: Arc::new([
            route(PathMatch::Prefix("/api/v1".into()), Some("jason")),
            route(PathMatch::Regex("/static/[a-z]+\\.css".into()), None),
            route(PathMatch::Exact("/health".into()), None),
            route(PathMatch::Prefix("/".into()), None),
        ]),
        include_attempt_count: true,
        origin: Origin::BUILT_IN,
    };
    let config = RouteConfig {
        name: "8080".into(),
        virtual_hosts: (0..1000).map(vhost).collect(),
    };
    let (router, _) = Router::new(&config);
    let headers: Headers = [("user-agent", "curl"), ("end-user", "sam")]
        .into_iter()
        .collect();
    let authority = "service-777.default.svc.cluster.local:8080";
    let request = RequestView {
        method: "GET",
        scheme: "http",
        authority,
        path: "/api/v1/things?id=7",
        headers: &headers,
    };
    criterion.bench_function("route/1000_virtual_hosts", |bencher| {
        bencher.iter(|| black_box(router.route(&config, black_box(&request), &mut NoTrail)));
    });
}

criterion_group!(benches, balancers, router);
criterion_main!(benches);
