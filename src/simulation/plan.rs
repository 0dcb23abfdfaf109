//! A run, prepared: every name resolved, every route memoised, nothing that changes.
//!
//! Ids are indexes handed out in a fixed order while preparing; names are kept beside them for
//! the record. One [`Plan`] is shared by all replications of a scenario.

use std::sync::Arc;

use super::filter_plan::{FilterPlans, FilterSteps};
use super::resolve::RequestClass;
use super::sidecar::Gate;
use super::throttle::ThrottlePlan;
pub(crate) use super::timeline_plan::{ClusterSource, Timeline};
pub(crate) use super::versions::Versions;
use crate::config::scenario::{Connections, ErrorKind, LoadStyle, OnError};
use crate::data_plane::authorization::Decision;
use crate::data_plane::header_match::HeaderRules;
use crate::data_plane::outlier_detection::TryResult;
use crate::data_plane::timeout::StreamLimit;
use crate::data_plane::{HostSet, LbView};
use crate::engine::{RateCurve, Sampler};
use crate::http::{Details, Flags, Headers};
use crate::network::{Distances, Link};
use crate::units::{Fraction, SimDuration, SimTime};
use crate::workload::{Discipline, Limits, WarmUp};
use crate::xds::cluster::{HealthCheck, OutlierDetection, PoolSettings, Thresholds};
use crate::xds::listener::Authorization;
use crate::xds::route::{Fault, RetryPolicy};
use crate::xds::{Locality, Name, ProxyKind};

/// No index.
pub(crate) const NIL: u32 = u32::MAX;

/// Everything a run needs.
#[derive(Debug)]
pub struct Plan {
    /// Scenario name.
    pub scenario: String,
    /// How long load is offered; `None`: until every load has sent its requests.
    pub duration: Option<SimDuration>,
    /// Time before counting.
    pub warm_up: SimDuration,
    /// What was taken for granted.
    pub assumed: Vec<String>,
    /// Warnings that came up while preparing.
    pub warnings: Vec<String>,
    /// Events per virtual second that are to be expected: the queue's hint.
    pub expected_events: f64,
    /// Calls or tries in flight at which a run is stopped: about 400 bytes each.
    pub in_flight_max: usize,
    /// A closed loop's connections are dealt out to a proxy's workers in turn, as a listener with
    /// `connection_balance_config: {exact_balance: {}}` does; else they fall by chance.
    pub exact_balance: bool,
    /// Some application heeds the deadlines of its requests.
    pub(crate) has_deadlines: bool,
    /// Some application throttles its own retries.
    pub(crate) has_throttles: bool,
    /// Some proxy has several worker threads.
    pub(crate) has_workers: bool,
    pub(crate) loads: Vec<LoadPlan>,
    pub(crate) apps: Vec<App>,
    pub(crate) pods: Vec<PodPlan>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) clusters: Vec<ClusterPlan>,
    pub(crate) routes: Vec<RoutePlan>,
    /// The kind of request each of them is for; `None` for copies.
    pub(crate) classes: Vec<Option<RequestClass>>,
    /// The targets of all weighted clusters of all routes, one after the other.
    pub(crate) targets: Vec<Target>,
    /// Route plans of calls: `children[base + number of the call]`.
    pub(crate) children: Vec<u32>,
    pub(crate) rows: Vec<Row>,
    pub(crate) inbounds: Vec<InboundPlan>,
    pub(crate) guards: Vec<Guard>,
    pub(crate) filters: FilterPlans,
    /// Texts before the numbers of drawn headers.
    pub(crate) prefixes: Vec<Name>,
    pub(crate) distances: Distances,
    /// Tick of the proxies' timers; zero: exact.
    pub(crate) tick: SimDuration,
    /// Number of client slots per pod: `edges` is laid out by it.
    pub(crate) edge_bases: Vec<u32>,
    pub(crate) edge_count: usize,
    /// A pod whose statistics are kept apart.
    pub(crate) watched: Option<super::proxy_view::Watched>,
    /// What happens while it runs; `None`: nothing but requests.
    pub(crate) timeline: Option<Box<Timeline>>,
    /// What changes with the tables of proxies; `None`: they stay as they are.
    pub(crate) versions: Option<Box<Versions>>,
}

impl Plan {
    /// Names of the loads, in their order.
    pub fn load_names(&self) -> impl Iterator<Item = &str> {
        self.loads.iter().map(|load| load.name.as_str())
    }
}

/// A source of requests.
#[derive(Clone, Debug)]
pub(crate) struct LoadPlan {
    pub(crate) name: String,
    pub(crate) from: String,
    /// Client workload.
    pub(crate) app: u32,
    pub(crate) url: String,
    /// Client pods, used in turn.
    pub(crate) pods: Vec<u32>,
    pub(crate) style: LoadStyle,
    pub(crate) think: Option<Sampler>,
    /// The rate of an open load where it changes.
    pub(crate) curve: Option<RateCurve>,
    pub(crate) start: SimTime,
    /// It sends before this.
    pub(crate) stop: SimTime,
    /// Pause between the first requests of two users of a closed load.
    pub(crate) between_users: SimDuration,
    /// Kinds of request; at least one.
    pub(crate) mix: Vec<MixPlan>,
    pub(crate) mix_total: u64,
    pub(crate) timeout: Option<SimDuration>,
    /// The client's own retries.
    pub(crate) retries: Option<RepeatPlan>,
    /// `file:line` of the timeout, and of the retries.
    pub(crate) timeout_place: Option<String>,
    pub(crate) retries_place: Option<String>,
    /// The client stands outside: the way to each of its gateway pods. Empty when it does not.
    pub(crate) outside: Vec<Link>,
}

impl LoadPlan {
    /// The way between the client and a gateway pod; `None` when the client is the pod itself.
    pub(crate) fn link_to(&self, pod: u32) -> Option<Link> {
        let mut links = self.pods.iter().zip(&self.outside);
        links.find(|(p, _)| **p == pod).map(|(_, link)| *link)
    }
}

/// One kind of request of a load.
#[derive(Clone, Debug)]
pub(crate) struct MixPlan {
    pub(crate) weight: u64,
    pub(crate) route: u32,
    /// Numbers a drawn header takes; the number is carried with the request.
    pub(crate) drawn: Option<DrawnValue>,
    /// Index of the text before the number, `NIL` when no header is drawn.
    pub(crate) prefix: u32,
}

/// A header value that is drawn for every request.
#[derive(Clone, Debug)]
pub(crate) struct DrawnValue {
    pub(crate) prefix: Name,
    pub(crate) count: u64,
    /// Cumulated weights for Zipf; empty for uniform.
    pub(crate) cumulated: Arc<[f64]>,
}

/// What runs in the pods of one workload.
#[derive(Clone, Debug)]
pub(crate) struct App {
    /// `namespace/name`, or the host of an external service.
    pub(crate) name: String,
    pub(crate) limits: Limits,
    pub(crate) service_time: Sampler,
    /// Cumulated shares.
    pub(crate) errors: Vec<(Fraction, ErrorKind)>,
    /// Response headers of those entries; empty when none has any.
    pub(crate) error_headers: Vec<Headers>,
    pub(crate) connections: Connections,
    pub(crate) status: u16,
    /// Ends of the steps in `calls`.
    pub(crate) steps: Vec<u32>,
    pub(crate) calls: Vec<CallPlan>,
    /// The application's own retries of those calls; empty when none is retried.
    pub(crate) call_retries: Vec<Option<RepeatPlan>>,
    /// What is not usual about those calls; empty when nothing is.
    pub(crate) rare_calls: Vec<RareCall>,
    /// What few applications have.
    pub(crate) rare: Option<Box<RareApp>>,
    pub(crate) pods: Vec<u32>,
    /// Written in the Model, or assumed.
    pub(crate) is_assumed: bool,
    /// True for addresses outside the manifests.
    pub(crate) is_external: bool,
}

impl App {
    /// True when this entry of its errors has response headers.
    pub(crate) fn has_headers(&self, entry: usize) -> bool {
        self.error_headers.get(entry).is_some_and(|h| !h.is_empty())
    }
}

/// The caller's side of one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallPlan {
    pub(crate) on_error: OnError,
    pub(crate) timeout: Option<SimDuration>,
}

/// What few applications have: another queue, work that takes longer at times.
#[derive(Clone, Debug)]
pub(crate) struct RareApp {
    pub(crate) discipline: Discipline,
    pub(crate) warm_up: Option<WarmUp>,
    /// Pods that exist when the run begins have just become ready.
    pub(crate) cold_at_start: bool,
    /// From one pause to the next, and how long one lasts.
    pub(crate) pauses: Option<(Sampler, Sampler)>,
    /// Processor time of a request (`None`: its service time), and the quota per period.
    pub(crate) cpu: Option<(Option<Sampler>, SimDuration)>,
    /// Cores that a pod asks for, its limit where none are written: what its use of CPU is a share of.
    pub(crate) cores: Option<f64>,
    /// Gives up when the deadline of a request is over, and passes it on.
    pub(crate) propagates: bool,
    /// By level of importance: the share of the queue from which such requests are refused; empty
    /// where all are alike.
    pub(crate) shed_from: Vec<Option<Fraction>>,
    /// What calls take one of.
    pub(crate) pools: Vec<PoolPlan>,
}

/// A pool of an application.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PoolPlan {
    pub(crate) size: u32,
    /// A call waits for so long; `None`: without end.
    pub(crate) timeout: Option<SimDuration>,
}

/// What few calls have.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RareCall {
    /// Made for this share of requests.
    pub(crate) probability: Option<Fraction>,
    /// A cache has the answer for this share.
    pub(crate) hit_rate: Option<Fraction>,
    /// Nobody waits for it.
    pub(crate) is_async: bool,
    /// It is one of a row of which a drawn number is made.
    pub(crate) row: Option<CallRow>,
    /// The number of the pool of which it takes one.
    pub(crate) pool: Option<u32>,
}

/// A call's place in a row of the same.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CallRow {
    /// Number of the first of them: what the row's luck belongs to.
    pub(crate) first: u32,
    pub(crate) place: u32,
    /// (times, cumulated share), by times.
    pub(crate) times: Arc<[(u32, Fraction)]>,
}

/// Retries that an application makes itself.
#[derive(Clone, Debug)]
pub(crate) struct RepeatPlan {
    /// Tries beyond the first.
    pub(crate) attempts: u32,
    pub(crate) backoff: Sampler,
    pub(crate) throttle: Option<ThrottlePlan>,
}

/// One pod.
#[derive(Clone, Debug)]
pub(crate) struct PodPlan {
    pub(crate) name: String,
    pub(crate) app: u32,
    pub(crate) locality: Locality,
    /// Its number in its workload.
    pub(crate) ordinal: u32,
    /// Index of its locality among all localities.
    pub(crate) place: u32,
    pub(crate) ip: Name,
    /// Worker threads of its proxy.
    pub(crate) workers: u32,
    /// Does not exist when the run begins.
    pub(crate) spare: bool,
    /// What stands in front of its application.
    pub(crate) proxy: ProxyKind,
}

/// A cluster as the proxies of one workload use it.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) workload: String,
    pub(crate) cluster: String,
    /// Cluster plan by locality of the client; `NIL` where no pod of the workload stands.
    pub(crate) by_place: Vec<u32>,
    /// Made for clients without a proxy: no Envoy counts anything.
    pub(crate) synthetic: bool,
}

/// A cluster as seen from one locality.
#[derive(Debug)]
pub(crate) struct ClusterPlan {
    pub(crate) set: HostSet,
    pub(crate) view: LbView,
    pub(crate) hosts: Vec<HostPlan>,
    pub(crate) thresholds: Thresholds,
    pub(crate) pool: PoolSettings,
    pub(crate) outlier: Option<OutlierDetection>,
    pub(crate) health_check: Option<HealthCheck>,
    /// `update_merge_window`.
    pub(crate) merge_window: SimDuration,
    pub(crate) http2: bool,
    /// Connections of the TCP proxy: none is used twice.
    pub(crate) tcp: bool,
    /// What outlier detection is told when a try gets its connection.
    pub(crate) on_connected: Option<TryResult>,
    /// What its hosts are made from, where they come and go.
    pub(crate) source: Option<Box<ClusterSource>>,
}

/// One host of a cluster.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostPlan {
    pub(crate) pod: u32,
    /// The pod's workload.
    pub(crate) app: u32,
    pub(crate) link: Link,
    pub(crate) connect: Connect,
    pub(crate) port: u16,
}

/// How a connection to a host goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connect {
    /// Made after this many round trips: 1 for TCP, 2 with TLS 1.3.
    Made(u8),
    Refused,
    Blackhole,
    /// TCP is made, the TLS handshake fails.
    TlsFails,
}

/// An inbound cluster that limits something, or in front of an application that may refuse.
#[derive(Clone, Debug)]
pub(crate) struct InboundPlan {
    /// Workload whose pods have it.
    pub(crate) app: u32,
    /// `inbound|8080||`.
    pub(crate) cluster: Name,
    pub(crate) thresholds: Thresholds,
    /// Retries of the inbound route.
    pub(crate) retry: Option<Box<RetryPolicy>>,
    /// The application refuses some connections.
    pub(crate) refuses: bool,
    /// Requests that a connection to the application carries at once.
    pub(crate) streams: u32,
    pub(crate) slot: u32,
    /// First of its gates: one per pod of the workload, by ordinal.
    pub(crate) gates: u32,
}

/// What the server's sidecar does with a request from this route to this workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inbound {
    /// There is no sidecar.
    Direct,
    /// To the application, through the limits of this inbound plan; `NIL`: there are none.
    Forward(u32),
    /// What not every server has: index among `guards`.
    Guarded(u32),
    /// No filter chain: the connection is closed.
    NoFilterChain,
}

/// What a request adds to the statistics of a server's RBAC filters: istiod makes one of all DENY
/// policies and one of all ALLOW policies, and both count under the same name
/// (`pilot/pkg/security/authz/builder/builder.go`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RbacCounts {
    pub(crate) allowed: u8,
    /// One of them refuses: 403.
    pub(crate) denied: bool,
}

impl RbacCounts {
    pub(crate) fn of(rules: &Authorization, decision: &Decision) -> Self {
        let (deny, allow) = (!rules.deny.is_empty(), !rules.allow.is_empty());
        match decision {
            Decision::Allowed => Self {
                allowed: u8::from(deny) + u8::from(allow),
                denied: false,
            },
            Decision::Denied { policy: Some(_) } => Self {
                allowed: 0,
                denied: true,
            },
            // It has passed the DENY policies, if there are any.
            Decision::Denied { policy: None } => Self {
                allowed: u8::from(deny),
                denied: true,
            },
        }
    }
}

/// Rare things between a server's sidecar and its inbound cluster.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    /// What the filters of AuthorizationPolicies count, and whether they refuse: by the ordinal of
    /// the client's pod where rules ask for addresses, else one for all; empty: no policy.
    pub(crate) rbac: Vec<RbacCounts>,
    /// Where that is counted.
    pub(crate) rbac_scope: u32,
    /// Filters that people added, as an index of their steps; `NIL`: none.
    pub(crate) steps: u32,
    /// The inbound plan behind them.
    pub(crate) inbound: u32,
}

/// The memoised routing of one kind of request from one workload.
#[derive(Clone, Debug)]
pub(crate) struct RoutePlan {
    pub(crate) fault: Option<Fault>,
    /// Scope of the fault filter's statistics, where there is a fault.
    pub(crate) fault_scope: u32,
    pub(crate) action: ActionPlan,
    pub(crate) timeout: Option<SimDuration>,
    pub(crate) per_try_timeout: Option<SimDuration>,
    pub(crate) retry: Option<Box<RetryPolicy>>,
    /// No answer below 400 interests the policy.
    pub(crate) success_passes: bool,
    pub(crate) rare: Option<Box<Rare>>,
    pub(crate) mirrors: Vec<MirrorPlan>,
    /// There is a fault, or a filter that people added.
    pub(crate) has_filters: bool,
    /// Filters that people added.
    pub(crate) filters: Option<Box<FilterSteps>>,
    /// Row for answers without an upstream.
    pub(crate) row: u32,
    /// The request's own path, for requests that were not sent.
    pub(crate) path: String,
    /// False for clients without a proxy.
    pub(crate) has_proxy: bool,
    /// A mirrored copy: nobody waits for it.
    pub(crate) is_shadow: bool,
    /// Some cluster of it has pods of more than one workload or port.
    pub(crate) several_targets: bool,
}

/// What ends a try that takes too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TryLimit {
    /// `per_try_timeout`.
    #[default]
    PerTry,
    /// `per_try_idle_timeout`.
    PerTryIdle,
    /// The cluster's `max_stream_duration`.
    Stream,
}

/// What few routes have, apart from what every request looks at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rare {
    /// A gRPC request: answers of proxies carry a gRPC status.
    pub(crate) grpc: bool,
    /// `retriable_headers` of its policy.
    pub(crate) retriable: HeaderRules,
    /// Per-try timeouts start another try instead of ending one.
    pub(crate) hedges: bool,
    /// Which of a try's limits is the shortest.
    pub(crate) try_limit: TryLimit,
    /// A limit of the connection manager.
    pub(crate) stream: Option<StreamLimit>,
    /// Timeouts answer 204.
    pub(crate) alt_response: bool,
    /// The TCP proxy's: a request is a connection.
    pub(crate) tcp: bool,
}

/// A mirror of a route.
#[derive(Clone, Debug)]
pub(crate) struct MirrorPlan {
    pub(crate) fraction: Fraction,
    /// Route plan of the copy, by the weighted cluster that was picked: it is taken after that
    /// cluster's header operations.
    pub(crate) shadows: Vec<u32>,
}

/// What a route does.
#[derive(Clone, Debug)]
pub(crate) enum ActionPlan {
    /// The proxy answers.
    Local {
        status: u16,
        flags: Flags,
        details: Details,
    },
    /// One of these, by weight.
    Forward {
        clusters: Vec<WeightedPlan>,
        total: u64,
    },
}

/// One weighted cluster.
#[derive(Clone, Debug)]
pub(crate) struct WeightedPlan {
    pub(crate) weight: u64,
    pub(crate) name: Name,
    /// Slot, or `NIL`: the proxy knows no such cluster.
    pub(crate) slot: u32,
    /// Position of the slot in the client's edges.
    pub(crate) position: u32,
    /// The same for each version of the clusters that a proxy may have with this route; empty
    /// where they never change.
    pub(crate) by_version: Box<[(u32, u32)]>,
    pub(crate) not_found_status: u16,
    pub(crate) path: String,
    /// The request's hash, as it is after this cluster's header operations.
    pub(crate) hash: Vec<HashPart>,
    pub(crate) targets: Vec<Target>,
    /// First of the same targets in [`Plan::targets`].
    pub(crate) first_target: u32,
    /// Row for requests that ended without a workload.
    pub(crate) row: u32,
}

/// A workload behind a weighted cluster.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) app: u32,
    pub(crate) port: u16,
    /// First of its calls' route plans.
    pub(crate) children: u32,
    pub(crate) inbound: Inbound,
    pub(crate) row: u32,
    /// How important such requests are to it: 0 is the most important.
    pub(crate) level: u8,
}

/// One part of a request's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HashPart {
    /// Known beforehand.
    Fixed(u64),
    /// The client pod's address.
    SourceIp,
    /// The header that is drawn.
    Drawn,
}

/// Who called whom, by names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    pub(crate) from: String,
    pub(crate) service: String,
    pub(crate) cluster: String,
    pub(crate) to: String,
}

/// Lays the targets of all routes out in one list and notes where each cluster's begin.
pub(super) fn flat_targets(routes: &mut [RoutePlan]) -> Vec<Target> {
    let mut all = Vec::new();
    for route in routes {
        if let ActionPlan::Forward { clusters, .. } = &mut route.action {
            route.several_targets = clusters.iter().any(|c| c.targets.len() > 1);
            for cluster in clusters {
                cluster.first_target = all.len() as u32;
                all.extend_from_slice(&cluster.targets);
            }
        }
    }
    all
}

impl Plan {
    /// An idle gate for every pod behind every inbound plan, in order.
    pub(super) fn gates(&self) -> Vec<Gate> {
        let of = |plan: &InboundPlan| {
            let (slot, pods) = (plan.slot, self.apps[plan.app as usize].pods.iter());
            pods.map(move |pod| {
                let own = self.watched.filter(|watched| watched.pod == *pod);
                Gate::new(own.map_or(slot, |watched| watched.slots + slot))
            })
        };
        self.inbounds.iter().flat_map(of).collect()
    }

    /// Something happens that most runs lack: events, deadlines, several workers, unusual calls
    /// or queues.
    pub(super) fn is_lively(&self) -> bool {
        let rare = |app: &App| app.rare.is_some() || !app.rare_calls.is_empty();
        let of_plan =
            self.timeline.is_some() || self.has_deadlines || self.has_workers || self.has_throttles;
        of_plan || self.apps.iter().any(rare)
    }

    /// Number of pods that take part.
    pub fn pod_count(&self) -> usize {
        self.pods.len()
    }

    /// Number of loads.
    pub fn load_count(&self) -> usize {
        self.loads.len()
    }
}
