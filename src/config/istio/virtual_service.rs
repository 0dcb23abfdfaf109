//! VirtualService as written (`networking/v1alpha3/virtual_service.proto`).

use std::collections::BTreeMap;

use crate::config::Meta;
use crate::units::{Fraction, Origin, SimDuration};
use crate::xds::Name;
use crate::xds::route::AbortStatus;

/// `VirtualService`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualService {
    /// Metadata.
    pub meta: Meta,
    /// As written; short names are resolved by the control plane.
    pub hosts: Vec<Name>,
    /// As written; empty means `mesh`.
    pub gateways: Vec<Name>,
    /// As written; empty means the mesh default.
    pub export_to: Vec<Name>,
    /// HTTP rules.
    pub http: Vec<HttpRoute>,
    /// TCP rules.
    pub tcp: Vec<L4Route>,
    /// TLS rules.
    pub tls: Vec<L4Route>,
}

/// One `http` rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpRoute {
    /// Name, possibly empty.
    pub name: Name,
    /// ORed; empty matches everything.
    pub matches: Vec<HttpMatch>,
    /// Destinations.
    pub route: Vec<RouteDestination>,
    /// Redirect.
    pub redirect: Option<Redirect>,
    /// Direct response.
    pub direct_response: Option<DirectResponse>,
    /// Delegate VirtualService.
    pub delegate: Option<Delegate>,
    /// Rewrite.
    pub rewrite: Option<HttpRewrite>,
    /// Route timeout and where it was written.
    pub timeout: Option<(SimDuration, Origin)>,
    /// Retries.
    pub retries: Option<Retries>,
    /// Fault injection.
    pub fault: Option<HttpFault>,
    /// `mirror` and `mirrors` together; shares already resolved (`mirrorPercentage`, `mirrorPercent`, 100 %).
    pub mirrors: Vec<Mirror>,
    /// Route-level header operations.
    pub headers: HeaderOperations,
    /// Where the rule starts.
    pub origin: Origin,
}

/// One match block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpMatch {
    /// Name, possibly empty.
    pub name: Name,
    /// Path.
    pub uri: Option<StringMatch>,
    /// Exact and prefix path match without regard to case.
    pub ignore_uri_case: bool,
    /// `:scheme`.
    pub scheme: Option<StringMatch>,
    /// `:method`.
    pub method: Option<StringMatch>,
    /// `:authority`.
    pub authority: Option<StringMatch>,
    /// Header conditions; `None` is presence.
    pub headers: BTreeMap<Name, Option<StringMatch>>,
    /// Negated header conditions; `None` is absence.
    pub without_headers: BTreeMap<Name, Option<StringMatch>>,
    /// Query conditions; `None` is presence.
    pub query_params: BTreeMap<Name, Option<StringMatch>>,
    /// Listener port; 0 is any.
    pub port: u16,
    /// Labels of the client.
    pub source_labels: BTreeMap<Name, Name>,
    /// Namespace of the client, empty is any.
    pub source_namespace: Name,
    /// Replaces the VirtualService's gateways for this block.
    pub gateways: Vec<Name>,
    /// Where the block starts.
    pub origin: Origin,
}

/// `StringMatch`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StringMatch {
    /// Equal.
    Exact(Name),
    /// Begins with.
    Prefix(Name),
    /// RE2 on the whole text.
    Regex(Name),
}

/// `destination`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destination {
    /// Host as written.
    pub host: Name,
    /// Subset, possibly empty.
    pub subset: Name,
    /// `port.number`; 0 when not written.
    pub port: u16,
}

/// One entry of `route`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteDestination {
    /// Where to.
    pub destination: Destination,
    /// Weight; 0 when not written.
    pub weight: i64,
    /// Header operations of this destination.
    pub headers: HeaderOperations,
    /// Where it was written.
    pub origin: Origin,
}

/// `retries`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retries {
    /// Tries beyond the first; 0 or less: no retries.
    pub attempts: i64,
    /// Per-try timeout.
    pub per_try_timeout: Option<SimDuration>,
    /// Comma-separated words; empty keeps the default list.
    pub retry_on: Name,
    /// `retryRemoteLocalities`.
    pub retry_remote_localities: bool,
    /// `retryIgnorePreviousHosts`.
    pub ignore_previous_hosts: Option<bool>,
    /// `backoff`.
    pub backoff: Option<SimDuration>,
    /// Where it was written.
    pub origin: Origin,
}

/// `fault`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpFault {
    /// Delay.
    pub delay: Option<FaultDelay>,
    /// Abort.
    pub abort: Option<FaultAbort>,
    /// Where it was written.
    pub origin: Origin,
}

/// `fault.delay`, its share resolved (`percentage`, else `percent`, else 0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultDelay {
    /// Share of the requests.
    pub fraction: Fraction,
    /// `fixedDelay`.
    pub fixed: SimDuration,
}

/// `fault.abort`, its share resolved (`percentage`, else 0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultAbort {
    /// Share of the requests.
    pub fraction: Fraction,
    /// Status; `None`: no abort at all.
    pub status: Option<AbortStatus>,
}

/// A mirror destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// Where to.
    pub destination: Destination,
    /// Share of the requests.
    pub fraction: Fraction,
    /// Where it was written.
    pub origin: Origin,
}

/// `rewrite`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpRewrite {
    /// `uri`.
    pub uri: Option<Name>,
    /// `uriRegexRewrite`: (match, rewrite).
    pub uri_regex: Option<(Name, Name)>,
    /// `authority`.
    pub authority: Option<Name>,
}

/// `redirect`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redirect {
    /// New path.
    pub uri: Option<Name>,
    /// New prefix.
    pub prefix_rewrite: Option<Name>,
    /// New authority.
    pub authority: Option<Name>,
    /// New scheme.
    pub scheme: Option<Name>,
    /// New port.
    pub port: Option<RedirectPort>,
    /// `redirectCode`; 0 when not written.
    pub code: u16,
}

/// Port of a redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedirectPort {
    /// A number.
    Number(u16),
    /// `FROM_REQUEST_PORT`.
    FromRequest,
    /// `FROM_PROTOCOL_DEFAULT`.
    FromProtocol,
}

/// `directResponse`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirectResponse {
    /// Status.
    pub status: u16,
    /// Body as text (bytes are shown as their base64 text).
    pub body: Name,
}

/// `delegate`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delegate {
    /// Name.
    pub name: Name,
    /// Namespace; empty: the root's.
    pub namespace: Name,
    /// Where it was written.
    pub origin: Origin,
}

/// `headers`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderOperations {
    /// `request.set`.
    pub request_set: Vec<(Name, Name)>,
    /// `request.add`.
    pub request_add: Vec<(Name, Name)>,
    /// `request.remove`.
    pub request_remove: Vec<Name>,
    /// `response.set`.
    pub response_set: Vec<(Name, Name)>,
    /// `response.add`.
    pub response_add: Vec<(Name, Name)>,
    /// `response.remove`.
    pub response_remove: Vec<Name>,
}

/// A `tcp` or `tls` rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct L4Route {
    /// ORed.
    pub matches: Vec<L4Match>,
    /// Destinations.
    pub route: Vec<RouteDestination>,
    /// Where the rule starts.
    pub origin: Origin,
}

/// A match block of a `tcp` or `tls` rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct L4Match {
    /// Server names (`tls` only).
    pub sni_hosts: Vec<Name>,
    /// CIDRs.
    pub destination_subnets: Vec<Name>,
    /// Listener port; 0 is any.
    pub port: u16,
    /// Labels of the client.
    pub source_labels: BTreeMap<Name, Name>,
    /// Namespace of the client, empty is any.
    pub source_namespace: Name,
    /// Gateways.
    pub gateways: Vec<Name>,
    /// Where the block starts.
    pub origin: Origin,
}
