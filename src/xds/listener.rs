//! Listeners: where a proxy accepts connections, and which filter chain takes them.

use std::sync::Arc;

use super::filter::{HttpFilter, RouteFilters};
use super::route::RetryPolicy;
use super::snapshot::{Protocol, RouteConfigId};
use super::{Cluster, Name};
use crate::units::{Origin, SimDuration};

/// An outbound listener of a sidecar, or a listener of a gateway.
#[derive(Clone, Debug)]
pub struct Listener {
    /// `0.0.0.0_8080`, `10.0.0.7_3306`, `virtualOutbound`.
    pub name: Name,
    /// `0.0.0.0` or a virtual IP.
    pub address: Name,
    /// Port of the original destination.
    pub port: u16,
    /// Tried in order.
    pub chains: Vec<FilterChain>,
    /// Where it comes from.
    pub origin: Origin,
}

/// What is done with a connection.
#[derive(Clone, Debug)]
pub struct FilterChain {
    /// Which connections it takes.
    pub matches: ChainMatch,
    /// What happens to them.
    pub kind: ChainKind,
    /// Settings of the HTTP connection manager; nothing reads them in TCP chains.
    pub hcm: HttpConnectionManager,
    /// Where it comes from.
    pub origin: Origin,
}

/// Conditions of a filter chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChainMatch {
    /// Everything that no chain before took.
    Any,
    /// Plaintext HTTP, as the inspector sees it.
    PlaintextHttp,
    /// TLS with one of these server names (exact or `*.` wildcard).
    Sni(Vec<Name>),
    /// Original destination inside one of these CIDRs.
    Destination(Vec<Name>),
}

/// What a filter chain ends in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChainKind {
    /// HTTP connection manager with this route configuration.
    Http(RouteConfigId),
    /// TLS is terminated, then HTTP with this route configuration.
    HttpsTerminate(RouteConfigId),
    /// TCP proxy to weighted clusters (cluster name, weight).
    Tcp(Vec<(Name, u32)>),
}

/// Settings of an HTTP connection manager and of its router filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpConnectionManager {
    /// `stream_idle_timeout`: a stream on which nothing moves for this long is ended. istiod sends
    /// 0 (off); Envoy's own default is 5 minutes.
    pub stream_idle_timeout: Option<SimDuration>,
    /// `request_timeout`: the whole request has to arrive in this time.
    pub request_timeout: Option<SimDuration>,
    /// `request_headers_timeout`: its headers have to.
    pub request_headers_timeout: Option<SimDuration>,
    /// `common_http_protocol_options.max_stream_duration`.
    pub max_stream_duration: Option<SimDuration>,
    /// `internal_address_config.cidr_ranges`: whose `x-envoy-*` request headers are obeyed. Empty:
    /// nobody's.
    pub internal_addresses: Vec<Name>,
    /// Router filter's `respect_expected_rq_timeout`: a caller's `x-envoy-expected-rq-timeout-ms`
    /// is the route timeout.
    pub respect_expected_rq_timeout: bool,
    /// Router filter's `suppress_envoy_headers`: no `x-envoy-*` headers are added.
    pub suppress_envoy_headers: bool,
    /// Filters that people added, in order; istiod's own are not in the list.
    pub filters: Vec<HttpFilter>,
}

impl HttpConnectionManager {
    /// As istiod sends it: no timeouts, nobody internal.
    pub const fn of_istiod() -> Self {
        Self {
            stream_idle_timeout: None,
            request_timeout: None,
            request_headers_timeout: None,
            max_stream_duration: None,
            internal_addresses: Vec::new(),
            respect_expected_rq_timeout: false,
            suppress_envoy_headers: false,
            filters: Vec::new(),
        }
    }
}

/// What a sidecar does with connections that arrive for one port of its pod.
#[derive(Clone, Debug)]
pub struct Inbound {
    /// Port of the pod.
    pub port: u16,
    /// Protocol of the Service port that targets it.
    pub protocol: Protocol,
    /// `inbound|8080||`, with the connection pool of the service's DestinationRule.
    pub cluster: Cluster,
    /// Effective PeerAuthentication mode.
    pub mtls: MtlsMode,
    /// Retries of the inbound route (`reset-before-request` ×2 from Istio 1.24 on).
    pub retry: Option<RetryPolicy>,
    /// AuthorizationPolicies that apply.
    pub authorization: Authorization,
    /// Filters that people added to what arrives, in order.
    pub filters: Vec<HttpFilter>,
    /// The one virtual host: `inbound|http|80`, after the service's port.
    pub virtual_host: Name,
    /// What the one route says of added filters.
    pub route_filters: Option<Arc<RouteFilters>>,
    /// Where the port comes from: the Service, or the container port.
    pub origin: Origin,
}

/// Server-side mutual TLS mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MtlsMode {
    /// Plaintext only.
    Disable,
    /// Both.
    #[default]
    Permissive,
    /// Mutual TLS only.
    Strict,
}

/// AuthorizationPolicies of one workload port, in evaluation order: DENY before ALLOW.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authorization {
    /// A matching rule refuses the request.
    pub deny: Vec<Policy>,
    /// When not empty, some rule must match.
    pub allow: Vec<Policy>,
}

/// One AuthorizationPolicy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// `ns[production]-policy[allow-read]`.
    pub name: Name,
    /// Any rule suffices.
    pub rules: Vec<Rule>,
    /// Where it was written.
    pub origin: Origin,
}

/// Any source AND any operation AND all conditions; an empty list is no condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// `from`.
    pub sources: Vec<Source>,
    /// `to`.
    pub operations: Vec<Operation>,
    /// `when`.
    pub conditions: Vec<Condition>,
    /// True when `when` conditions exist that cannot be evaluated here; such a rule never matches and is named in a warning.
    pub has_unsupported_conditions: bool,
}

/// One of `when`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// `key`.
    pub attribute: Attribute,
    /// `values` and `notValues`; each list is ORed, both are ANDed.
    pub values: (Vec<Name>, Vec<Name>),
}

/// What a condition looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// `request.headers[name]`, lower case.
    Header(Name),
    /// `source.ip`: address blocks.
    SourceIp,
    /// `source.namespace`.
    SourceNamespace,
    /// `source.principal`.
    SourcePrincipal,
    /// `source.serviceAccount`, as forms of principals.
    SourceServiceAccount,
    /// `source.trustDomain`.
    SourceTrustDomain,
    /// `destination.port`: the pod's.
    DestinationPort,
    /// `connection.sni`.
    Sni,
}

/// Fields of a source; each list is ORed, fields are ANDed; the pair is (values, not-values).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// `cluster.local/ns/default/sa/sleep`.
    pub principals: (Vec<Name>, Vec<Name>),
    /// Namespaces of the peer certificate.
    pub namespaces: (Vec<Name>, Vec<Name>),
    /// Peer addresses.
    pub ip_blocks: (Vec<Name>, Vec<Name>),
}

/// Fields of an operation; each list is ORed, fields are ANDed; the pair is (values, not-values).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operation {
    /// `:authority`.
    pub hosts: (Vec<Name>, Vec<Name>),
    /// Pod ports.
    pub ports: (Vec<Name>, Vec<Name>),
    /// Methods.
    pub methods: (Vec<Name>, Vec<Name>),
    /// Paths.
    pub paths: (Vec<Name>, Vec<Name>),
}
