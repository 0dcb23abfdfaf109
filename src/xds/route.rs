//! Routes: virtual hosts, matches and actions, as Envoy's RDS carries them.

use std::sync::Arc;

use super::Name;
use super::filter::RouteFilters;
pub use super::retry_policy::{RateLimitedBackoff, ResetHeader, RetryOn, RetryPolicy};
use crate::units::{Fraction, Origin, SimDuration};

/// The routes of one listener.
#[derive(Clone, Debug)]
pub struct RouteConfig {
    /// `8080`, `http.80`, `https.443.https.gw.ns`.
    pub name: Name,
    /// In name order; matched by domain, never by order.
    pub virtual_hosts: Vec<VirtualHost>,
}

/// A set of domains with their routes.
#[derive(Clone, Debug)]
pub struct VirtualHost {
    /// `reviews.default.svc.cluster.local:9080`.
    pub name: Name,
    /// Exact, `*.suffix`, `prefix.*` or `*`; lower case, without port (istiod sets `ignore_port_in_host_matching`).
    pub domains: Vec<Name>,
    /// Tried in order, first match wins.
    pub routes: Arc<[Route]>,
    /// Adds `x-envoy-attempt-count` to requests (Istio's default).
    pub include_attempt_count: bool,
    /// The VirtualService, Service or Gateway behind it.
    pub origin: Origin,
}

/// One route.
#[derive(Clone, Debug)]
pub struct Route {
    /// `http.name.matchName`, `default`, or empty.
    pub name: Name,
    /// When it applies.
    pub matches: RouteMatch,
    /// What it does.
    pub action: Action,
    /// Fault filter settings of this route.
    pub fault: Option<Fault>,
    /// What it says of filters that people added.
    pub filters: Option<Arc<RouteFilters>>,
    /// Request header operations of the route.
    pub request_headers: HeaderOps,
    /// Response header operations of the route.
    pub response_headers: HeaderOps,
    /// The match block (or rule) it was made from.
    pub origin: Origin,
}

/// All conditions are ANDed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteMatch {
    /// On the path without query.
    pub path: PathMatch,
    /// False for `ignoreUriCase`: exact and prefix only.
    pub case_sensitive: bool,
    /// Request headers; `:method`, `:scheme`, `:authority` too.
    pub headers: Vec<HeaderMatch>,
    /// Query parameters.
    pub query: Vec<QueryMatch>,
}

impl RouteMatch {
    /// Matches everything.
    pub fn any() -> Self {
        Self {
            path: PathMatch::Prefix("/".into()),
            case_sensitive: true,
            headers: Vec::new(),
            query: Vec::new(),
        }
    }

    /// True when nothing after it can match: prefix `/` or regex `.*` without any other condition.
    pub fn is_catch_all(&self) -> bool {
        let path = match &self.path {
            PathMatch::Prefix(p) => &**p == "/",
            PathMatch::Regex(r) => &**r == ".*",
            _ => false,
        };
        path && self.headers.is_empty() && self.query.is_empty()
    }
}

/// A condition on the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathMatch {
    /// Plain string prefix.
    Prefix(Name),
    /// The whole path.
    Exact(Name),
    /// RE2 on the whole path.
    Regex(Name),
    /// Prefix that ends at a path segment.
    SegmentPrefix(Name),
}

/// A condition on text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextMatch {
    /// Equal.
    Exact(Name),
    /// Begins with.
    Prefix(Name),
    /// RE2 on the whole text.
    Regex(Name),
    /// There at all.
    Present,
}

/// A condition on a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderMatch {
    /// Lower case, or a pseudo header.
    pub name: Name,
    /// The condition.
    pub value: TextMatch,
    /// `withoutHeaders`.
    pub invert: bool,
    /// An absent header counts as empty text (`withoutHeaders` from Istio 1.22).
    pub missing_as_empty: bool,
}

/// A condition on a query parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryMatch {
    /// Case-sensitive.
    pub name: Name,
    /// The condition on its first value.
    pub value: TextMatch,
}

/// What a route does.
#[derive(Clone, Debug)]
pub enum Action {
    /// Sends the request to a cluster.
    Forward(Box<Forward>),
    /// Answers with a redirect.
    Redirect(Redirect),
    /// Answers itself.
    Direct(DirectResponse),
    /// A route without usable action: Envoy would refuse it.
    Unusable,
}

/// Sending a request to an upstream.
#[derive(Clone, Debug)]
pub struct Forward {
    /// One or more; an interval of `stream_random % total` each, in this order.
    pub clusters: Vec<WeightedCluster>,
    /// Route timeout including all retries; `None` is disabled.
    pub timeout: Option<SimDuration>,
    /// Where the timeout was written.
    pub timeout_origin: Origin,
    /// `max_grpc_timeout`: a gRPC request's own `grpc-timeout` up to this replaces the timeout, and
    /// this does when it brings none; zero caps nothing. istiod sends the timeout here too.
    /// `None`: not sent, the ordinary timeout counts.
    pub max_grpc_timeout: Option<SimDuration>,
    /// `idle_timeout`: in place of the listener's `stream_idle_timeout`; zero is off.
    pub idle_timeout: Option<SimDuration>,
    /// `max_stream_duration`: in place of the listener's, and of the timeout.
    pub max_stream_duration: Option<MaxStreamDuration>,
    /// `hedge_policy.hedge_on_per_try_timeout`: a per-try timeout starts another try beside the slow one.
    pub hedge_on_per_try_timeout: bool,
    /// `None`: no retries.
    pub retry: Option<RetryPolicy>,
    /// Consistent-hash policies, in order.
    pub hash: Vec<HashPolicy>,
    /// Path rewrite.
    pub rewrite: Option<Rewrite>,
    /// New `:authority`.
    pub authority: Option<Name>,
    /// Copies that are sent and forgotten.
    pub mirrors: Vec<Mirror>,
    /// 503 for Istio routes, 500 for Gateway-API ones.
    pub cluster_not_found_status: u16,
}

impl Forward {
    /// How long a request is waited for in all; `None`: without end.
    pub fn patience(&self) -> Option<SimDuration> {
        self.timeout.filter(|timeout| !timeout.is_zero())
    }
}

/// How long a stream may last, from its first byte on (`RouteAction.MaxStreamDuration`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaxStreamDuration {
    /// `max_stream_duration`; `None`: the listener's; zero is off.
    pub limit: Option<SimDuration>,
    /// `grpc_timeout_header_max`: a gRPC request's `grpc-timeout` up to this takes the limit's
    /// place; zero caps nothing.
    pub grpc_max: Option<SimDuration>,
    /// `grpc_timeout_header_offset`: taken off that header first.
    pub grpc_offset: Option<SimDuration>,
}

/// A share of a route's requests.
#[derive(Clone, Debug)]
pub struct WeightedCluster {
    /// `outbound|9080|v1|reviews.default.svc.cluster.local`.
    pub name: Name,
    /// Raw weight; a single cluster has 1.
    pub weight: u32,
    /// Header operations of this destination.
    pub request_headers: HeaderOps,
    /// Header operations of this destination.
    pub response_headers: HeaderOps,
    /// The destination.
    pub origin: Origin,
}

/// A source of the hash for ring and Maglev clusters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashPolicy {
    /// Values of a request header.
    Header(Name),
    /// A cookie; generated when absent and a TTL is set.
    Cookie {
        /// Cookie name.
        name: Name,
        /// Path of a generated cookie.
        path: Name,
        /// `Some` (zero too): generated when absent.
        ttl: Option<SimDuration>,
    },
    /// The peer's address.
    SourceIp,
    /// First value of a query parameter.
    Query(Name),
}

/// A path rewrite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rewrite {
    /// Replaces the matched prefix (whole path for exact and regex matches).
    Prefix(Name),
    /// Replaces every match in the path without query.
    Regex {
        /// RE2.
        pattern: Name,
        /// With `\1` groups.
        substitution: Name,
    },
}

/// A copy of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// Cluster name.
    pub cluster: Name,
    /// Share of the requests.
    pub fraction: Fraction,
    /// Where it was written.
    pub origin: Origin,
}

/// A redirect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
    /// New authority.
    pub authority: Option<Name>,
    /// New path (whole).
    pub path: Option<Name>,
    /// Replacement of the matched prefix.
    pub prefix_rewrite: Option<Name>,
    /// New scheme.
    pub scheme: Option<Name>,
    /// New port.
    pub port: Option<u16>,
}

/// An answer made by the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectResponse {
    /// Status code.
    pub status: u16,
    /// Body text.
    pub body: Name,
}

/// Fault filter settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Hold the request.
    pub delay: Option<(Fraction, SimDuration)>,
    /// Answer instead of the upstream.
    pub abort: Option<(Fraction, AbortStatus)>,
    /// `max_active_faults`: faulted requests of a connection manager at once; more pass untouched.
    pub max_active: Option<u32>,
    /// Where it was written.
    pub origin: Origin,
}

/// Status of an injected abort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbortStatus {
    /// An HTTP status.
    Http(u16),
    /// A gRPC status in an HTTP 200.
    Grpc(u8),
}

/// Header operations, applied remove, then set, then add.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderOps {
    /// Overwrites or adds.
    pub set: Vec<(Name, Name)>,
    /// Appends.
    pub add: Vec<(Name, Name)>,
    /// Removes.
    pub remove: Vec<Name>,
}

impl HeaderOps {
    /// True when nothing is done.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.add.is_empty() && self.remove.is_empty()
    }
}
