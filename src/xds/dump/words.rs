//! Envoy's and Istio's words for values of the tables.

use std::fmt::Write as _;

use crate::units::SimDuration;
use crate::xds::cluster::{ClusterKind, LbPolicy, Tls, UNLIMITED, Upstream};
use crate::xds::endpoint::{Health, LocalityKind, LocalityPolicy};
use crate::xds::listener::{ChainMatch, MtlsMode};
use crate::xds::route::{
    AbortStatus, Forward, HashPolicy, HeaderMatch, PathMatch, QueryMatch, RetryPolicy, RouteMatch,
    TextMatch,
};
use crate::xds::snapshot::{Protocol, ProxyKind};

/// `Sidecar`, `Gateway`, `None`.
pub const fn proxy_kind(kind: ProxyKind) -> &'static str {
    match kind {
        ProxyKind::Sidecar => "Sidecar",
        ProxyKind::Gateway => "Gateway",
        ProxyKind::None => "None",
    }
}

/// `EDS`, `STRICT_DNS` …
pub const fn cluster_kind(kind: ClusterKind) -> &'static str {
    match kind {
        ClusterKind::Eds => "EDS",
        ClusterKind::StrictDns => "STRICT_DNS",
        ClusterKind::LogicalDns => "LOGICAL_DNS",
        ClusterKind::OriginalDst => "ORIGINAL_DST",
        ClusterKind::Static => "STATIC",
    }
}

/// Istio's word for a protocol.
pub const fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Http => "HTTP",
        Protocol::Http2 => "HTTP2",
        Protocol::Grpc => "GRPC",
        Protocol::GrpcWeb => "GRPC-Web",
        Protocol::HttpProxy => "HTTP_PROXY",
        Protocol::Https => "HTTPS",
        Protocol::Tls => "TLS",
        Protocol::Tcp => "TCP",
        Protocol::Mongo => "Mongo",
        Protocol::Redis => "Redis",
        Protocol::MySql => "MySQL",
        Protocol::Udp => "UDP",
        Protocol::Auto => "auto",
    }
}

/// Protocol spoken upstream.
pub const fn upstream(upstream: Upstream) -> &'static str {
    match upstream {
        Upstream::Http1 => "HTTP/1.1",
        Upstream::Http2 => "HTTP/2",
        Upstream::Downstream => "downstream protocol",
        Upstream::Tcp => "TCP",
    }
}

/// Balancing policy with its size, when it has one.
pub fn lb_policy(policy: LbPolicy) -> String {
    match policy {
        LbPolicy::RoundRobin => "ROUND_ROBIN".to_owned(),
        LbPolicy::LeastRequest {
            choice_count,
            full_scan,
            bias,
        } => {
            let mut text = if full_scan {
                "LEAST_REQUEST full scan".to_owned()
            } else {
                format!("LEAST_REQUEST choices={choice_count}")
            };
            if bias != 1000 {
                let _ = write!(text, " bias={}", f64::from(bias) / 1000.0);
            }
            text
        }
        LbPolicy::Random => "RANDOM".to_owned(),
        LbPolicy::RingHash { minimum_ring_size } => {
            format!("RING_HASH minimum={minimum_ring_size}")
        }
        LbPolicy::Maglev { table_size } => format!("MAGLEV table={table_size}"),
        LbPolicy::ClusterProvided => "CLUSTER_PROVIDED".to_owned(),
    }
}

/// Transport of a client.
pub fn tls(tls: &Tls) -> String {
    match tls {
        Tls::Auto => "auto mTLS".to_owned(),
        Tls::Disable => "plaintext".to_owned(),
        Tls::IstioMutual => "ISTIO_MUTUAL".to_owned(),
        Tls::Simple { sni, mutual } => {
            let mode = if *mutual { "MUTUAL" } else { "SIMPLE" };
            let name = if sni.is_empty() { "from host" } else { sni };
            format!("{mode} sni={name}")
        }
    }
}

/// `DISABLE`, `PERMISSIVE`, `STRICT`.
pub const fn mtls_mode(mode: MtlsMode) -> &'static str {
    match mode {
        MtlsMode::Disable => "DISABLE",
        MtlsMode::Permissive => "PERMISSIVE",
        MtlsMode::Strict => "STRICT",
    }
}

/// `HEALTHY`, `UNHEALTHY`, `DRAINING`.
pub const fn health(health: Health) -> &'static str {
    match health {
        Health::Healthy => "HEALTHY",
        Health::Unhealthy => "UNHEALTHY",
        Health::Draining => "DRAINING",
    }
}

/// Locality setting in one line.
pub fn locality(policy: &LocalityPolicy) -> String {
    let weighted = if policy.weighted { ", weighted" } else { "" };
    let list = |names: Vec<String>| names.join(", ");
    match &policy.kind {
        LocalityKind::Off => format!("off{weighted}"),
        LocalityKind::Failover { regions, labels }
        | LocalityKind::ZoneAware { regions, labels } => {
            let zones = matches!(policy.kind, LocalityKind::ZoneAware { .. });
            let how = if zones {
                "zone aware, failover"
            } else {
                "failover"
            };
            let regions = list(regions.iter().map(|(a, b)| format!("{a} -> {b}")).collect());
            let labels = list(labels.iter().map(ToString::to_string).collect());
            format!("{how} regions [{regions}] labels [{labels}]{weighted}")
        }
        LocalityKind::Distribute(rules) => {
            let rule = |(from, to): &(crate::xds::Name, Vec<(crate::xds::Name, u32)>)| {
                let to = list(to.iter().map(|(l, w)| format!("{l}={w}")).collect());
                format!("{from} -> {to}")
            };
            format!(
                "distribute [{}]{weighted}",
                list(rules.iter().map(rule).collect())
            )
        }
    }
}

/// A limit, `unlimited` for Istio's largest number.
pub fn limit(value: u32) -> String {
    if value == UNLIMITED {
        "unlimited".to_owned()
    } else {
        value.to_string()
    }
}

/// A time, `disabled` for none.
pub fn timeout(timeout: Option<SimDuration>) -> String {
    timeout.map_or_else(|| "disabled".to_owned(), |t| t.to_string())
}

/// Which connections a chain takes.
pub fn chain_match(matches: &ChainMatch) -> String {
    let list = |names: &[crate::xds::Name]| names.join(",");
    match matches {
        ChainMatch::Any => "ALL".to_owned(),
        ChainMatch::PlaintextHttp => "Trans: raw_buffer; App: http/1.1,h2c".to_owned(),
        ChainMatch::Sni(names) => format!("SNI: {}", list(names)),
        ChainMatch::Destination(nets) => format!("Addr: {}", list(nets)),
    }
}

/// istioctl's short form of a path condition: `/*`, `/exact`, `~regex`.
pub fn path(matches: &RouteMatch) -> String {
    let text = match &matches.path {
        PathMatch::Prefix(p) | PathMatch::SegmentPrefix(p) => format!("{p}*"),
        PathMatch::Exact(p) => p.to_string(),
        PathMatch::Regex(r) => format!("regex {r}"),
    };
    if matches.case_sensitive {
        text
    } else {
        format!("{text} (any case)")
    }
}

/// All conditions of a route.
pub fn route_match(matches: &RouteMatch) -> String {
    let mut parts = vec![path(matches)];
    parts.extend(matches.headers.iter().map(header));
    parts.extend(matches.query.iter().map(query));
    parts.join(" and ")
}

fn header(condition: &HeaderMatch) -> String {
    let not = if condition.invert { "not " } else { "" };
    format!("{not}{}", text(&condition.name, &condition.value))
}

fn query(condition: &QueryMatch) -> String {
    text(&format!("?{}", condition.name), &condition.value)
}

fn text(name: &str, value: &TextMatch) -> String {
    match value {
        TextMatch::Exact(v) => format!("{name}={v}"),
        TextMatch::Prefix(v) => format!("{name}={v}*"),
        TextMatch::Regex(v) => format!("{name}~{v}"),
        TextMatch::Present => format!("{name} present"),
    }
}

/// What a hash reads.
pub fn hash_policy(policy: &HashPolicy) -> String {
    match policy {
        HashPolicy::Header(name) => format!("header {name}"),
        HashPolicy::Cookie { name, ttl, .. } => match ttl {
            Some(ttl) => format!("cookie {name} ttl={ttl}"),
            None => format!("cookie {name}"),
        },
        HashPolicy::SourceIp => "source IP".to_owned(),
        HashPolicy::Query(name) => format!("query {name}"),
    }
}

/// Status of an injected abort.
pub fn abort_status(status: AbortStatus) -> String {
    match status {
        AbortStatus::Http(code) => code.to_string(),
        AbortStatus::Grpc(code) => format!("gRPC {code}"),
    }
}

/// Timers of a route that istiod never sends, by Envoy's names.
pub fn rare_timers(forward: &Forward) -> Vec<(&'static str, String)> {
    let stream = forward.max_stream_duration.unwrap_or_default();
    let timers = [
        ("idle_timeout", forward.idle_timeout),
        ("max_stream_duration", stream.limit),
        ("grpc_timeout_header_max", stream.grpc_max),
        ("grpc_timeout_header_offset", stream.grpc_offset),
    ];
    let mut set: Vec<_> = (timers.iter())
        .filter_map(|(key, timer)| Some((*key, timer.as_ref()?.to_string())))
        .collect();
    if forward.hedge_on_per_try_timeout {
        set.push(("hedge_on_per_try_timeout", "true".to_owned()));
    }
    set
}

/// Parts of a retry policy that istiod never sends, by Envoy's names.
pub fn rare_conditions(policy: &RetryPolicy) -> Vec<(&'static str, String)> {
    let mut set = Vec::new();
    if let Some(timeout) = policy.per_try_idle_timeout {
        set.push(("per_try_idle_timeout", timeout.to_string()));
    }
    for (key, headers) in [
        ("retriable_headers", &policy.retriable_headers),
        (
            "retriable_request_headers",
            &policy.retriable_request_headers,
        ),
    ] {
        if !headers.is_empty() {
            set.push((
                key,
                headers.iter().map(header).collect::<Vec<_>>().join(" or "),
            ));
        }
    }
    if let Some(backoff) = &policy.rate_limited_backoff {
        let names: Vec<&str> = backoff.reset_headers.iter().map(|h| &*h.name).collect();
        let text = format!("{} up to {}", names.join(", "), backoff.max_interval);
        set.push(("rate_limited_retry_back_off", text));
    }
    set
}
