//! EnvoyFilter as far as it is simulated: whom a patch is for, what it finds, what it changes.
//!
//! Values are in Envoy's words and Envoy's units. A field that changes nothing here was named as
//! not simulated while it was read, so whatever is in these types takes effect.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::Meta;
use crate::units::{Fraction, Origin, SimDuration};
use crate::xds::Name;
use crate::xds::cluster::{HealthCheck, Warmup, ZoneAware};
use crate::xds::filter::{FilterKind, LocalRateLimit, RateLimitActions};
use crate::xds::route::{Fault, HeaderMatch, MaxStreamDuration, RateLimitedBackoff};

/// `EnvoyFilter`.
#[derive(Clone, Debug, PartialEq)]
pub struct EnvoyFilter {
    /// Metadata.
    pub meta: Meta,
    /// `workloadSelector.labels`; `None` or empty: every workload of the namespace.
    pub workload_selector: Option<BTreeMap<Name, Name>>,
    /// `targetRefs` are written: it speaks of a Gateway API object, of no proxy here.
    pub has_target: bool,
    /// `priority`: lower ones are applied first.
    pub priority: i32,
    /// `configPatches` that change something here.
    pub patches: Vec<ConfigPatch>,
}

/// One of `configPatches`.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigPatch {
    /// `match.context`.
    pub context: PatchContext,
    /// What is changed, and how.
    pub change: Change,
    /// Where the patch starts.
    pub origin: Origin,
}

/// `match.context`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PatchContext {
    /// Every proxy, in every direction.
    #[default]
    Any,
    /// What arrives at a sidecar.
    SidecarInbound,
    /// What a sidecar's application sends.
    SidecarOutbound,
    /// Gateways.
    Gateway,
}

/// `applyTo` with what belongs to it.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// `CLUSTER`, `REMOVE`.
    RemoveCluster(ClusterMatch),
    /// `CLUSTER`, `MERGE`.
    MergeCluster(ClusterMatch, Vec<ClusterField>),
    /// `VIRTUAL_HOST`, `MERGE`.
    MergeVirtualHost(RouteMatch, Vec<RouteField>),
    /// `HTTP_ROUTE`, `MERGE`.
    MergeRoute(RouteMatch, Vec<RouteField>),
    /// `NETWORK_FILTER`, or `HTTP_FILTER` of the router, `MERGE`.
    MergeManager(ListenerMatch, Vec<HcmField>),
    /// `HTTP_FILTER`, one of the `INSERT` operations, with the filter's name.
    InsertFilter(ListenerMatch, Insert, Name, FilterKind),
}

/// Where a filter is inserted: beside `subFilter`, or at an end of the chain without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Insert {
    /// `INSERT_FIRST`.
    First,
    /// `INSERT_BEFORE`.
    Before,
    /// `INSERT_AFTER`.
    After,
}

/// `match.listener`; what is not written matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListenerMatch {
    /// `name`.
    pub name: Option<Name>,
    /// `portNumber`.
    pub port: Option<u16>,
    /// `filterChain.sni`.
    pub sni: Option<Name>,
    /// `filterChain.filter.name` is another one than the HTTP connection manager's.
    pub other_filter: bool,
    /// `filterChain.filter.subFilter.name`.
    pub sub_filter: Option<Name>,
}

/// `match.routeConfiguration`; what is not written matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteMatch {
    /// `name`.
    pub name: Option<Name>,
    /// `portNumber`.
    pub port: Option<u16>,
    /// `gateway`: namespace and name.
    pub gateway: Option<Name>,
    /// `vhost.name`.
    pub vhost: Option<Name>,
    /// `vhost.domainName`.
    pub domain: Option<Name>,
    /// `vhost.route.name`.
    pub route: Option<Name>,
    /// `vhost.route.action`.
    pub action: Option<ActionWord>,
}

/// `vhost.route.action`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionWord {
    /// `ROUTE`.
    Route,
    /// `REDIRECT`.
    Redirect,
    /// `DIRECT_RESPONSE`.
    DirectResponse,
}

/// A field of a virtual host or a route.
#[derive(Clone, Debug, PartialEq)]
pub enum RouteField {
    /// `route.timeout`.
    Timeout(SimDuration, Origin),
    /// `route.idle_timeout`.
    IdleTimeout(SimDuration),
    /// `route.max_grpc_timeout`.
    MaxGrpcTimeout(SimDuration),
    /// `route.max_stream_duration`.
    MaxStreamDuration(MaxStreamDuration),
    /// `hedge_policy.hedge_on_per_try_timeout: true`.
    HedgeOnPerTryTimeout,
    /// A field of `retry_policy`.
    Retry(RetryField, Origin),
    /// `rate_limits`.
    RateLimits(Vec<RateLimitActions>),
    /// `typed_per_filter_config` of a local rate limit filter, by the filter's name.
    RateLimit(Name, Arc<LocalRateLimit>),
    /// `typed_per_filter_config` of the fault filter.
    Fault(Fault),
    /// `include_request_attempt_count: true`.
    IncludeAttemptCount,
}

/// A field of `retry_policy`; lists are appended to.
#[derive(Clone, Debug, PartialEq)]
pub enum RetryField {
    /// `retry_on`.
    On(Name),
    /// `num_retries`.
    Retries(u32),
    /// `per_try_timeout`.
    PerTryTimeout(SimDuration),
    /// `per_try_idle_timeout`.
    PerTryIdleTimeout(SimDuration),
    /// `retry_back_off.base_interval`.
    BackoffBase(SimDuration),
    /// `retry_back_off.max_interval`.
    BackoffMax(SimDuration),
    /// `rate_limited_retry_back_off`.
    RateLimitedBackoff(RateLimitedBackoff),
    /// `retriable_status_codes`.
    StatusCodes(Vec<u16>),
    /// `retriable_headers`.
    Headers(Vec<HeaderMatch>),
    /// `retriable_request_headers`.
    RequestHeaders(Vec<HeaderMatch>),
    /// `retry_host_predicate` of previous hosts.
    SkipPreviousHosts,
    /// `host_selection_retry_max_attempts`.
    HostReselects(u32),
}

/// A field of an HTTP connection manager, or of its router filter.
#[derive(Clone, Debug, PartialEq)]
pub enum HcmField {
    /// `stream_idle_timeout`.
    StreamIdleTimeout(SimDuration),
    /// `request_timeout`.
    RequestTimeout(SimDuration),
    /// `request_headers_timeout`.
    RequestHeadersTimeout(SimDuration),
    /// `common_http_protocol_options.max_stream_duration`.
    MaxStreamDuration(SimDuration),
    /// `internal_address_config.cidr_ranges`.
    InternalAddresses(Vec<Name>),
    /// Router: `respect_expected_rq_timeout: true`.
    RespectExpectedTimeout,
    /// Router: `suppress_envoy_headers: true`.
    SuppressEnvoyHeaders,
}

/// `match.cluster`; what is not written matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterMatch {
    /// `name`: excludes the others.
    pub name: Option<Name>,
    /// `service`: its full name.
    pub service: Option<Name>,
    /// `subset`.
    pub subset: Option<Name>,
    /// `portNumber`.
    pub port: Option<u16>,
}

/// A field of `envoy.config.cluster.v3.Cluster`.
#[derive(Clone, Debug, PartialEq)]
pub enum ClusterField {
    /// `connect_timeout`.
    ConnectTimeout(SimDuration),
    /// `lb_policy`, but for `ROUND_ROBIN`, which is zero and cannot be merged in.
    LbPolicy(LbPolicyWord),
    /// `least_request_lb_config.choice_count`.
    ChoiceCount(u32),
    /// `least_request_lb_config.active_request_bias`, in thousandths.
    ActiveRequestBias(u32),
    /// `slow_start_config` of round robin or least request.
    SlowStart(Warmup),
    /// `ring_hash_lb_config.minimum_ring_size`.
    MinimumRingSize(u64),
    /// `maglev_lb_config.table_size`.
    TableSize(u64),
    /// `common_lb_config.healthy_panic_threshold`.
    PanicThreshold(Fraction),
    /// `common_lb_config.update_merge_window`.
    UpdateMergeWindow(SimDuration),
    /// `common_lb_config.consistent_hashing_lb_config.hash_balance_factor`.
    HashBalanceFactor(u32),
    /// `common_lb_config.zone_aware_lb_config`.
    ZoneAware(ZoneAware),
    /// `circuit_breakers.thresholds` of the default priority, with `MERGE_AND_REPLACE_LIST`.
    Thresholds(ThresholdsPatch),
    /// `circuit_breakers.per_host_thresholds`: `max_connections`.
    ConnectionsPerHost(u32),
    /// A field of `outlier_detection`.
    Outlier(OutlierField, Origin),
    /// `health_checks`, appended to istiod's, which has none.
    HealthChecks(Vec<HealthCheck>),
    /// `HttpProtocolOptions` of `typed_extension_protocol_options`: an entry of a map, so it
    /// replaces what istiod wrote.
    HttpOptions(HttpOptions),
}

/// A word of `lb_policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LbPolicyWord {
    /// `LEAST_REQUEST`.
    LeastRequest,
    /// `RING_HASH`.
    RingHash,
    /// `RANDOM`.
    Random,
    /// `MAGLEV`.
    Maglev,
    /// `CLUSTER_PROVIDED`.
    ClusterProvided,
}

/// `circuit_breakers.thresholds`; what is not written has Envoy's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThresholdsPatch {
    /// `max_connections`.
    pub max_connections: Option<u32>,
    /// `max_pending_requests`.
    pub max_pending_requests: Option<u32>,
    /// `max_requests`.
    pub max_requests: Option<u32>,
    /// `max_retries`.
    pub max_retries: Option<u32>,
    /// `max_connection_pools`.
    pub max_connection_pools: Option<u32>,
    /// `retry_budget`: share and least concurrency.
    pub retry_budget: Option<(Fraction, u32)>,
    /// Where it was written.
    pub origin: Origin,
}

/// A field of `outlier_detection`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutlierField {
    /// A count or a percentage.
    Number(OutlierNumber, u32),
    /// `split_external_local_origin_errors: true`.
    Split,
    /// `interval`.
    Interval(SimDuration),
    /// `base_ejection_time`.
    BaseEjectionTime(SimDuration),
    /// `max_ejection_time`.
    MaxEjectionTime(SimDuration),
    /// `max_ejection_time_jitter`.
    MaxEjectionTimeJitter(SimDuration),
    /// `always_eject_one_host`.
    AlwaysEjectOneHost(bool),
    /// `successful_active_health_check_uneject_host`.
    UnejectOnHealthCheck(bool),
}

/// A count or a percentage of `outlier_detection`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutlierNumber {
    /// `consecutive_5xx`.
    Consecutive5xx,
    /// `enforcing_consecutive_5xx`.
    EnforcingConsecutive5xx,
    /// `consecutive_gateway_failure`.
    ConsecutiveGateway,
    /// `enforcing_consecutive_gateway_failure`.
    EnforcingConsecutiveGateway,
    /// `consecutive_local_origin_failure`.
    ConsecutiveLocal,
    /// `enforcing_consecutive_local_origin_failure`.
    EnforcingConsecutiveLocal,
    /// `max_ejection_percent`.
    MaxEjectionPercent,
    /// `success_rate_minimum_hosts`.
    SuccessRateMinimumHosts,
    /// `success_rate_request_volume`.
    SuccessRateRequestVolume,
    /// `success_rate_stdev_factor`.
    SuccessRateStdevFactor,
    /// `enforcing_success_rate`.
    EnforcingSuccessRate,
    /// `enforcing_local_origin_success_rate`.
    EnforcingLocalSuccessRate,
    /// `failure_percentage_threshold`.
    FailurePercentageThreshold,
    /// `failure_percentage_minimum_hosts`.
    FailurePercentageMinimumHosts,
    /// `failure_percentage_request_volume`.
    FailurePercentageRequestVolume,
    /// `enforcing_failure_percentage`.
    EnforcingFailurePercentage,
    /// `enforcing_failure_percentage_local_origin`.
    EnforcingLocalFailurePercentage,
}

/// `envoy.extensions.upstreams.http.v3.HttpProtocolOptions`, whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HttpOptions {
    /// Which protocol is spoken; `None`: Envoy refuses the options.
    pub upstream: Option<UpstreamProtocol>,
    /// `common_http_protocol_options.idle_timeout`; zero: never.
    pub idle_timeout: Option<SimDuration>,
    /// `common_http_protocol_options.max_connection_duration`.
    pub max_connection_duration: Option<SimDuration>,
    /// `common_http_protocol_options.max_stream_duration`.
    pub max_stream_duration: Option<SimDuration>,
    /// `common_http_protocol_options.max_requests_per_connection`.
    pub max_requests_per_connection: Option<u32>,
    /// `http2_protocol_options.max_concurrent_streams`.
    pub max_concurrent_streams: Option<u32>,
}

/// `upstream_protocol_options`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamProtocol {
    /// `explicit_http_config.http_protocol_options`.
    Http1,
    /// `explicit_http_config.http2_protocol_options`.
    Http2,
    /// `use_downstream_protocol_config`.
    Downstream,
}
