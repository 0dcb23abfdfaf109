//! What a sidecar does with connections that arrive (`core/listener_inbound.go`, `core/cluster.go`).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::defaults::{INBOUND_PASSTHROUGH, PANIC_THRESHOLD};
use super::endpoint::Binding;
use super::push_context::PushContext;
use super::traffic_policy::{self, Effective};
use super::{authorization, protocol, retry_policy};
use crate::config::istio::{ConnectionPool, IngressListener, Sidecar};
use crate::units::Origin;
use crate::xds::cluster::{CommonLb, Upstream};
use crate::xds::endpoint::LocalityPolicy;
use crate::xds::snapshot::Protocol;
use crate::xds::{Cluster, ClusterKind, Endpoint, Health, Inbound, LbPolicy, Locality, Name, Tls};
use crate::xds::{Workload, WorkloadId};

/// Every port of a workload's pods, in port order.
pub(super) fn ports(
    push: &PushContext<'_>,
    id: WorkloadId,
    sidecar: Option<usize>,
) -> Vec<Inbound> {
    let workload = &push.fleet.workloads[id];
    let sidecar = sidecar.map(|i| &push.config.sidecars[i]);
    let mut inbound: Vec<Inbound> = Vec::new();
    match sidecar.filter(|s| !s.ingress.is_empty()) {
        Some(sidecar) => {
            for listener in &sidecar.ingress {
                inbound.push(of_ingress(push, workload, sidecar, listener));
            }
        }
        None => of_services(push, id, sidecar, &mut inbound),
    }
    let served: BTreeSet<u16> = inbound.iter().map(|i| i.port).collect();
    let bound = bindings(push, id).iter().map(|b| b.target);
    let containers = push.fleet.container_ports[id.index()].iter().copied();
    let rest: BTreeSet<u16> = bound
        .chain(containers)
        .filter(|p| !served.contains(p))
        .collect();
    inbound.extend(
        rest.into_iter()
            .map(|port| passthrough(push, workload, port)),
    );
    inbound.sort_by_key(|i| i.port);
    inbound
}

/// Service ports that target the workload.
fn bindings<'p>(push: &'p PushContext<'_>, id: WorkloadId) -> &'p [Binding] {
    let all = &push.registry.bindings;
    let start = all.partition_point(|b| b.workload < id);
    let end = all.partition_point(|b| b.workload <= id);
    &all[start..end]
}

/// One entry per target port; the oldest Service decides protocol and connection pool.
fn of_services(
    push: &PushContext<'_>,
    id: WorkloadId,
    sidecar: Option<&Sidecar>,
    inbound: &mut Vec<Inbound>,
) {
    let workload = &push.fleet.workloads[id];
    let mut bound: Vec<&Binding> = bindings(push, id).iter().collect();
    bound.sort_by_key(|b| (b.target, &push.registry.services[b.service].age, b.port));
    bound.dedup_by_key(|b| b.target);
    for binding in bound {
        let service = &push.registry.services[binding.service];
        let Some(port) = service.port(binding.port) else {
            continue;
        };
        if super::endpoint::is_ignored(port.protocol) {
            continue;
        }
        // The server's own scope: its namespace asks.
        let rule = (push.rules)
            .find_inbound(&workload.namespace, &service.host, &service.namespace)
            .map(|r| &push.rules.rules[r]);
        let policy = traffic_policy::resolve(push, rule.and_then(|r| r.policy), None, port.port);
        let pool = (sidecar.and_then(|s| s.inbound_connection_pool.as_ref()))
            .filter(|_| push.at_least(21))
            .or(policy.connection_pool);
        let effective = Effective {
            connection_pool: pool,
            ..Effective::default()
        };
        let origin = rule.map_or(Origin::BUILT_IN, |r| r.origin);
        inbound.push(make(
            push,
            workload,
            binding.target,
            port.protocol,
            &effective,
            service.origin,
            origin,
        ));
        if let Some(inbound) = inbound.last_mut() {
            inbound.virtual_host = format!("inbound|http|{}", port.port).into();
        }
    }
}

fn of_ingress(
    push: &PushContext<'_>,
    workload: &Workload,
    sidecar: &Sidecar,
    listener: &IngressListener,
) -> Inbound {
    let pool: Option<&ConnectionPool> = (listener.connection_pool.as_ref())
        .or(sidecar.inbound_connection_pool.as_ref())
        .filter(|_| push.at_least(21));
    let effective = Effective {
        connection_pool: pool,
        ..Effective::default()
    };
    let protocol = protocol::parse(&listener.port.protocol);
    let port = listener.port.number;
    let origin = listener.origin;
    let mut inbound = make(push, workload, port, protocol, &effective, origin, origin);
    // `127.0.0.1:8080` is another port of the pod; `0.0.0.0:8080` the same on the pod's own IP.
    if let Some((address, target)) = listener.default_endpoint.rsplit_once(':')
        && let Ok(target) = target.parse()
    {
        inbound.cluster.kind = ClusterKind::Static;
        inbound.cluster.lb = LbPolicy::RoundRobin;
        inbound.cluster.endpoints = Arc::new([local_endpoint(address.into(), target)]);
    }
    inbound
}

fn local_endpoint(address: Name, port: u16) -> Endpoint {
    Endpoint {
        address,
        port,
        pod: None,
        weight: 1,
        health: Health::Healthy,
        locality: Locality::default(),
        mtls: false,
        labels: Arc::default(),
    }
}

/// A port of no service: sniffed, passed to the address it was meant for.
fn passthrough(push: &PushContext<'_>, workload: &Workload, port: u16) -> Inbound {
    let none = Effective::default();
    let origin = workload.origin;
    let mut inbound = make(
        push,
        workload,
        port,
        Protocol::Auto,
        &none,
        origin,
        Origin::BUILT_IN,
    );
    inbound.cluster.name = INBOUND_PASSTHROUGH.into();
    inbound
}

fn make(
    push: &PushContext<'_>,
    workload: &Workload,
    port: u16,
    protocol: Protocol,
    policy: &Effective<'_>,
    origin: Origin,
    policy_origin: Origin,
) -> Inbound {
    let http = protocol::is_http_or_sniffed(protocol);
    let grpc = matches!(protocol, Protocol::Grpc | Protocol::GrpcWeb);
    let cluster = Cluster {
        name: format!("inbound|{port}||").into(),
        host: "".into(),
        port,
        subset: "".into(),
        kind: ClusterKind::OriginalDst,
        protocol,
        upstream: if http {
            Upstream::Downstream
        } else {
            Upstream::Tcp
        },
        endpoints: Arc::new([]),
        locality: LocalityPolicy::default(),
        lb: LbPolicy::ClusterProvided,
        warmup: None,
        breakers: traffic_policy::thresholds(push, policy),
        pool: traffic_policy::pool_settings(push, policy.connection_pool),
        outlier: None,
        panic_threshold: PANIC_THRESHOLD,
        common_lb: CommonLb::default(),
        health_checks: Vec::new(),
        tls: Tls::Disable,
        origin,
        policy_origin: if policy.connection_pool.is_some() {
            policy_origin
        } else {
            Origin::BUILT_IN
        },
    };
    Inbound {
        port,
        protocol,
        cluster,
        mtls: push.authn.mode(&workload.namespace, &workload.labels, port),
        retry: retry_policy::of_inbound(push, grpc).filter(|_| http),
        authorization: authorization::of_workload(
            push.config,
            &workload.namespace,
            &workload.labels,
            !http,
        ),
        filters: Vec::new(),
        virtual_host: format!("inbound|http|{port}").into(),
        route_filters: None,
        origin,
    }
}
