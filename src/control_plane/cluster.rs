//! Clusters (`core/cluster.go`, `core/cluster_builder.go`).

use std::sync::Arc;

use super::defaults::{BLACK_HOLE, PASSTHROUGH};
use super::destination_rule::Rule;
use super::endpoint::has_sidecar;
use super::push_context::PushContext;
use super::registry::{Discovery, PortModel, ServiceModel};
use super::traffic_policy::{self, Effective};
use super::{locality, subset};
use crate::config::istio::{Subset, TlsMode};
use crate::units::Origin;
use crate::xds::cluster::{CommonLb, PoolSettings, Thresholds, Upstream};
use crate::xds::endpoint::LocalityPolicy;
use crate::xds::listener::MtlsMode;
use crate::xds::snapshot::Protocol;
use crate::xds::{Cluster, ClusterKind, Endpoint, LbPolicy, Name, Tls};

/// `outbound|9080|v1|reviews.default.svc.cluster.local`.
pub(super) fn outbound_name(port: u16, subset: &str, host: &str) -> Name {
    format!("outbound|{port}|{subset}|{host}").into()
}

/// The default cluster of a service port, or one of its subsets; `None` where istiod makes none.
pub(super) fn outbound(
    push: &PushContext<'_>,
    service: &ServiceModel,
    port: &PortModel,
    rule: Option<&Rule<'_>>,
    subset: Option<&Subset>,
    is_gateway: bool,
) -> Option<Cluster> {
    let of_subset = subset.and_then(|s| s.policy.as_ref());
    let policy = traffic_policy::resolve(push, rule.and_then(|r| r.policy), of_subset, port.port);
    let mut endpoints = subset::members(push, service, port, subset, &policy);
    // A gateway balances over what an entry of resolution NONE lists: nothing. The host that
    // stands among the members is for sidecars, whose applications resolve it themselves.
    if is_gateway && service.discovery == Discovery::Passthrough && !service.kube {
        endpoints = (endpoints.iter())
            .filter(|e| e.address != service.host)
            .cloned()
            .collect();
    }
    let dns = matches!(service.discovery, Discovery::Dns | Discovery::DnsRoundRobin);
    if dns && endpoints.is_empty() {
        return None;
    }
    let (balancer, warmup) = traffic_policy::load_balancer(policy.load_balancer);
    let passthrough = service.discovery == Discovery::Passthrough && !is_gateway;
    let kind = match service.discovery {
        _ if passthrough || balancer == LbPolicy::ClusterProvided => ClusterKind::OriginalDst,
        Discovery::Dns => ClusterKind::StrictDns,
        Discovery::DnsRoundRobin => ClusterKind::LogicalDns,
        _ => ClusterKind::Eds,
    };
    let original = kind == ClusterKind::OriginalDst;
    let subset_name = subset.map_or_else(|| "".into(), |s| s.name.clone());
    Some(Cluster {
        name: outbound_name(port.port, &subset_name, &service.host),
        host: service.host.clone(),
        port: port.port,
        subset: subset_name,
        kind,
        protocol: port.protocol,
        upstream: traffic_policy::upstream(push, port.protocol, policy.connection_pool, is_gateway),
        locality: if original {
            LocalityPolicy::default()
        } else {
            locality::policy(push, &policy, service)
        },
        lb: if original {
            LbPolicy::ClusterProvided
        } else {
            balancer
        },
        warmup: warmup.filter(|_| !original),
        breakers: traffic_policy::thresholds(push, &policy),
        pool: traffic_policy::pool_settings(push, policy.connection_pool),
        outlier: policy.outlier.map(traffic_policy::outlier),
        panic_threshold: traffic_policy::panic_threshold(push, &policy, service),
        common_lb: CommonLb {
            zone_aware: (locality::zone_aware(push, &policy, service).filter(|_| !original))
                .map(locality::zone_aware_config),
            ..CommonLb::default()
        },
        health_checks: Vec::new(),
        tls: transport(
            push, service, &policy, &endpoints, original, rule, is_gateway,
        ),
        origin: service.origin,
        policy_origin: policy_origin(rule, subset, &policy),
        endpoints,
    })
}

fn policy_origin(
    rule: Option<&Rule<'_>>,
    subset: Option<&Subset>,
    policy: &Effective<'_>,
) -> Origin {
    match (subset, rule) {
        (Some(subset), _) => subset.origin,
        (None, Some(_)) if !policy.origin.is_built_in() => policy.origin,
        (None, Some(rule)) => rule.origin,
        (None, None) => Origin::BUILT_IN,
    }
}

/// Client-side transport: a written `tls` block beats auto mTLS.
fn transport(
    push: &PushContext<'_>,
    service: &ServiceModel,
    policy: &Effective<'_>,
    endpoints: &Arc<[Endpoint]>,
    original: bool,
    rule: Option<&Rule<'_>>,
    is_gateway: bool,
) -> Tls {
    if let Some(tls) = policy.tls {
        // Sidecars honour credentialName only in rules made for them; others send plaintext.
        let ignored =
            tls.has_credential_name && !is_gateway && !rule.is_some_and(Rule::has_selector);
        return match tls.mode {
            TlsMode::Disable => Tls::Disable,
            TlsMode::IstioMutual => Tls::IstioMutual,
            TlsMode::Simple | TlsMode::Mutual if ignored => Tls::Disable,
            TlsMode::Simple | TlsMode::Mutual => Tls::Simple {
                sni: tls.sni.clone(),
                mutual: tls.mode == TlsMode::Mutual,
            },
        };
    }
    let gate = push.authn.namespace_mode(&service.namespace) != MtlsMode::Disable;
    // Without load assignment there are no marks to look at: all or nothing.
    let all = !endpoints.is_empty() && endpoints.iter().all(|e| has_sidecar(&e.labels));
    if push.config.mesh.auto_mtls && !service.external && gate && (!original || all) {
        Tls::Auto
    } else {
        Tls::Disable
    }
}

/// `PassthroughCluster` and `BlackHoleCluster` (`core/cluster_builder.go`).
pub(super) fn special(push: &PushContext<'_>) -> [Cluster; 2] {
    let make = |name: &str, kind, lb| Cluster {
        name: name.into(),
        host: "".into(),
        port: 0,
        subset: "".into(),
        kind,
        protocol: Protocol::Auto,
        upstream: Upstream::Downstream,
        endpoints: Arc::new([]),
        locality: LocalityPolicy::default(),
        lb,
        warmup: None,
        breakers: Thresholds::default(),
        pool: PoolSettings {
            connect_timeout: push.config.mesh.connect_timeout,
            ..PoolSettings::default()
        },
        outlier: None,
        panic_threshold: super::defaults::PANIC_THRESHOLD,
        common_lb: CommonLb::default(),
        health_checks: Vec::new(),
        tls: Tls::Disable,
        origin: Origin::BUILT_IN,
        policy_origin: Origin::BUILT_IN,
    };
    [
        make(BLACK_HOLE, ClusterKind::Static, LbPolicy::RoundRobin),
        make(
            PASSTHROUGH,
            ClusterKind::OriginalDst,
            LbPolicy::ClusterProvided,
        ),
    ]
}
