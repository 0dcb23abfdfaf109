//! `Model`: what Kubernetes and Istio YAML do not say about applications and the network.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::pod_model::{
    CallPool, CallTimes, ColdStart, CpuLimit, QueueDiscipline, RequestPriority, RuntimePauses,
};
use super::run::HeaderValue;
use crate::engine::Distribution;
use crate::http::Url;
use crate::units::{Fraction, Origin, SimDuration};
use crate::xds::Name;

/// How the applications of a mesh behave.
#[derive(Clone, Debug)]
pub struct Model {
    /// `metadata.name`.
    pub name: Name,
    /// One-way latencies.
    pub network: NetworkModel,
    /// What a workload does that is not listed.
    pub defaults: WorkloadModel,
    /// By `namespace/name`.
    pub workloads: BTreeMap<Name, WorkloadModel>,
    /// Zones (`region/zone[/subzone]`) per `namespace/name`; pods take them in turn.
    pub placement: BTreeMap<Name, Vec<Name>>,
    /// Worker threads of every proxy (`proxy.concurrency`), whatever manifests say; `None`: as
    /// they say, 1 where they say nothing.
    pub proxy_concurrency: Option<u32>,
    /// Tick of the coarse clock that the proxies' timers read (`proxy.timerTick`): 4 ms on nodes
    /// whose kernel has `CONFIG_HZ=250`. Zero, when not written: timers are exact.
    pub proxy_timer_tick: SimDuration,
    /// From the moment at which istiod pushes to that at which a proxy works with it
    /// (`proxy.pushDelay`); `None`: not written.
    pub proxy_push_delay: Option<Distribution>,
    /// Where it starts; built in when no Model was given.
    pub origin: Origin,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            name: "defaults".into(),
            network: NetworkModel::default(),
            defaults: WorkloadModel::default(),
            workloads: BTreeMap::new(),
            placement: BTreeMap::new(),
            proxy_concurrency: None,
            proxy_timer_tick: SimDuration::ZERO,
            proxy_push_delay: None,
            origin: Origin::BUILT_IN,
        }
    }
}

/// One-way network latencies by how far apart two pods are.
#[derive(Clone, Debug)]
pub struct NetworkModel {
    /// Same zone (also when localities are unknown).
    pub same_zone: Distribution,
    /// Same region, another zone.
    pub same_region: Distribution,
    /// Different regions.
    pub between_regions: Distribution,
    /// Which of the three a Model writes, in this order; the others are assumed.
    pub written: [bool; 3],
    /// Overrides for pairs of localities; the first that covers both ends wins, in either direction.
    pub pairs: Vec<NetworkPair>,
}

impl Default for NetworkModel {
    fn default() -> Self {
        Self {
            same_zone: Distribution::Constant(SimDuration::from_us(250)),
            same_region: Distribution::Constant(SimDuration::from_ms(1)),
            between_regions: Distribution::Constant(SimDuration::from_ms(35)),
            written: [false; 3],
            pairs: Vec::new(),
        }
    }
}

/// Latency between two localities.
#[derive(Clone, Debug)]
pub struct NetworkPair {
    /// `region[/zone]`.
    pub from: Name,
    /// `region[/zone]`.
    pub to: Name,
    /// One way.
    pub latency: Distribution,
}

/// What runs in the pods of one workload.
#[derive(Clone, Debug)]
pub struct WorkloadModel {
    /// Requests one pod serves at once; `None` is unlimited.
    pub concurrency: Option<u32>,
    /// Requests that may wait beyond that; then the pod answers 503. `None` is unlimited.
    pub queue: Option<u32>,
    /// Own work of one request.
    pub service_time: Distribution,
    /// Failures of the application itself.
    pub errors: Vec<AppError>,
    /// Calls after the own work.
    pub calls: Vec<StepSpec>,
    /// Request headers that are copied from the incoming request to calls.
    pub propagate: Vec<Name>,
    /// What happens to connections.
    pub connections: Connections,
    /// Status of a successful answer.
    pub status: u16,
    /// Which waiting request is next.
    pub queue_discipline: QueueDiscipline,
    /// Which requests are more important.
    pub priority: Option<RequestPriority>,
    /// What calls take one of before they are made, in the order of names.
    pub pools: Vec<CallPool>,
    /// Work takes longer after a start.
    pub warm_up: Option<ColdStart>,
    /// Pauses of the runtime.
    pub pauses: Option<RuntimePauses>,
    /// Limit on processor time.
    pub cpu: Option<CpuLimit>,
    /// From a pod's creation until it serves.
    pub startup: Distribution,
    /// Somebody wrote it.
    pub startup_written: bool,
    /// Gives up when the deadline of a request is over, and passes it on to its calls.
    pub propagates_deadlines: bool,
    /// Where it was written; built in when assumed.
    pub origin: Origin,
}

impl Default for WorkloadModel {
    /// Stated defaults, reported under *assumed*: 64 at once, 1024 waiting, lognormal work of median 5 ms and p99 25 ms.
    fn default() -> Self {
        Self {
            concurrency: Some(64),
            queue: Some(1024),
            // sigma = ln(25/5) / z(0.99) = 1.6094379124341003 / 2.3263478740408408
            service_time: Distribution::Lognormal {
                median: SimDuration::from_ms(5),
                sigma: 0.691_830_363_2,
            },
            errors: Vec::new(),
            calls: Vec::new(),
            propagate: Vec::new(),
            connections: Connections::Accept,
            status: 200,
            queue_discipline: QueueDiscipline::Fifo,
            priority: None,
            pools: Vec::new(),
            warm_up: None,
            pauses: None,
            cpu: None,
            startup: Distribution::Constant(SimDuration::from_secs(5)),
            startup_written: false,
            propagates_deadlines: false,
            origin: Origin::BUILT_IN,
        }
    }
}

/// A failure of the application with its share of requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppError {
    /// What is seen.
    pub kind: ErrorKind,
    /// Response headers of an answer; names are lower case.
    pub headers: Vec<(Name, Name)>,
    /// Share of requests; entries are tried in order on one draw.
    pub rate: Fraction,
}

/// What a failing application does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Answers with this status (after its own work, without calls).
    Status(u16),
    /// Answers HTTP 200 with this `grpc-status` in its headers and no body (trailers-only).
    Grpc(u8),
    /// Closes the connection instead of answering.
    Reset,
    /// Never answers.
    Hang,
    /// Refuses its own sidecar's connection. Without a sidecar: refuses an HTTP/2 stream, closes an
    /// HTTP/1.1 connection.
    Refuse,
}

/// What happens to connections to the pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Connections {
    /// Accepted.
    #[default]
    Accept,
    /// Refused at once.
    Refuse,
    /// Silently dropped: the connect timeout decides.
    Blackhole,
}

/// One step of `calls`.
#[derive(Clone, Debug)]
pub enum StepSpec {
    /// One call.
    Call(CallSpec),
    /// Several at once; the step ends when all have ended.
    Parallel(Vec<CallSpec>),
}

impl StepSpec {
    /// Its calls, in the order written.
    pub fn calls(&self) -> &[CallSpec] {
        match self {
            Self::Call(call) => std::slice::from_ref(call),
            Self::Parallel(calls) => calls,
        }
    }
}

/// One outgoing call.
#[derive(Clone, Debug)]
pub struct CallSpec {
    /// Where to.
    pub url: Url,
    /// `GET` when not written.
    pub method: Name,
    /// Own request headers.
    pub headers: Vec<(Name, HeaderValue)>,
    /// What a failed call (5xx or no answer) does to the caller.
    pub on_error: OnError,
    /// The application's own timeout of each try.
    pub timeout: Option<SimDuration>,
    /// The application's own retries, above those of its proxy.
    pub retries: Option<AppRetries>,
    /// Made for this share of requests; `None`: always.
    pub probability: Option<Fraction>,
    /// A cache has the answer for this share of the calls, which are then not made.
    pub cache_hit_rate: Option<Fraction>,
    /// The caller does not wait, and how it ends does not matter.
    pub is_async: bool,
    /// One of a row of such calls, of which a drawn number is made: the row's numbers, its place in it.
    pub times: Option<(Arc<CallTimes>, u32)>,
    /// Index of the pool of which it takes one.
    pub pool: Option<usize>,
    /// Where it was written.
    pub origin: Origin,
}

/// Retries that an application (or a client library) makes itself.
#[derive(Clone, Debug)]
pub struct AppRetries {
    /// Tries beyond the first, after a 5xx, a gRPC status other than OK, or no answer.
    pub attempts: u32,
    /// Pause before each of them.
    pub backoff: Distribution,
    /// Tokens that bound them, for each pod and host that it calls.
    pub throttle: Option<RetryThrottle>,
}

/// Tokens that failures cost and successes give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryThrottle {
    /// Tokens at most and at the beginning, in thousandths.
    pub max_milli: u32,
    /// What a success gives, in thousandths.
    pub ratio_milli: u32,
    /// What takes a token.
    pub rule: ThrottleRule,
}

/// What takes a token of a [`RetryThrottle`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThrottleRule {
    /// Every failed try; there are retries while more than half of the tokens are left (gRPC).
    Failures,
    /// Every retry; there are retries while there is a token.
    Retries,
}

/// What a failed call does to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// The caller answers with this status at once (500 when not written).
    Fail(u16),
    /// The caller goes on.
    Ignore,
}
