//! The finished result of a run: plain, ordered, versioned.
//!
//! A function of (inputs, seed, version) and nothing else. Replications are merged by
//! number: counts add up, histograms merge, and each headline figure keeps its value per
//! replication so that a confidence interval can be given. Counts cover the time after
//! warm-up. Names are Envoy's own for cluster statistics (`source/common/upstream/…`).

use std::collections::BTreeMap;

use super::Histogram;
use crate::units::{SimDuration, SimTime};

/// Version of the record's shape; also the `schema` of the JSON output.
pub const SCHEMA: &str = "towtank.run/v1";

/// Everything one `run` found out.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Scenario name.
    pub scenario: String,
    /// Seed.
    pub seed: u64,
    /// Replications merged in.
    pub replications: u32,
    /// Virtual time during which load was offered (longest load when it stops by count).
    pub duration: SimDuration,
    /// Virtual time before counting began.
    pub warm_up: SimDuration,
    /// Virtual time at which the last event happened (replication 0).
    pub ended_at: SimTime,
    /// Why it ended.
    pub ended: Ended,
    /// Calls, or tries, that may be under way before a run is ended.
    pub in_flight_max: u64,
    /// 64-bit digest over everything below, all replications.
    pub digest: u64,
    /// Hops (attempts that were sent to an endpoint), all replications, warm-up included.
    pub hops: u64,
    /// Events processed, all replications, warm-up included.
    pub events: u64,
    /// One per load, in the scenario's order.
    pub clients: Vec<ClientRecord>,
    /// One per (client workload, cluster) that was used, in name order.
    pub clusters: Vec<ClusterRecord>,
    /// Statistics of HTTP filters, one per workload that counted any, in name order.
    pub proxies: Vec<ProxyRecord>,
    /// One per pod that could receive requests, in (workload, pod) order.
    pub endpoints: Vec<EndpointRecord>,
    /// Worker threads, where a proxy has several.
    pub workers: Vec<WorkersRecord>,
    /// Who called whom, in name order.
    pub edges: Vec<EdgeRecord>,
    /// One per workload that took part, in name order.
    pub workloads: Vec<WorkloadRecord>,
    /// Time series, one per client, in the order of `clients`.
    pub series: Series,
    /// The same of every replication, where there are several (of the first thousand).
    pub all_series: Vec<Series>,
    /// What each workload did as a server, in name order; windows as those of `series`, up to the
    /// last that was over while load was offered (replication 0).
    pub courses: Vec<WorkloadCourse>,
    /// What the run means, the gravest first; filled in by whoever judges it.
    pub findings: Vec<Finding>,
    /// Pods that became endpoints during the run (replication 0), in the order of time.
    pub joined: Vec<JoinRecord>,
    /// What happened to the mesh (replication 0), in the order of time.
    pub happenings: Vec<Happening>,
    /// Who stopped using which host (replication 0), in the order of time; the first thousand.
    pub ejections: Vec<EjectionRecord>,
    /// Single requests, when they were asked for (`curl`, `--out-dir`), in order of completion.
    pub requests: Vec<RequestRecord>,
    /// What the scenario expects and whether it holds, in its order.
    pub expectations: Vec<ExpectationRecord>,
    /// What was taken for granted: sentences.
    pub assumed: Vec<String>,
    /// Warnings: sentences with file and line.
    pub warnings: Vec<String>,
    /// Configuration that was read and is not simulated: sentences with file and line.
    pub not_simulated: Vec<String>,
}

impl Record {
    /// Worker threads of each of a workload's proxies.
    pub fn workers_of(&self, workload: &str) -> usize {
        let mut all = self.workers.iter().filter(|w| w.workload == workload);
        let counts = all.find_map(|w| w.sent.first().map(Vec::len));
        counts.unwrap_or(1)
    }

    /// The calls that most of a workload's requests come by.
    pub fn main_edge_to(&self, workload: &str) -> Option<&EdgeRecord> {
        let edges = self.edges.iter().filter(|edge| edge.to == workload);
        edges.max_by_key(|edge| edge.requests)
    }

    /// The load from there that itself waits longest for a try, of those that do not wait for ever.
    pub fn most_patient(&self, from: &str) -> Option<&ClientRecord> {
        let own = self.clients.iter().filter(|client| client.from == from);
        own.filter(|client| client.timeout.is_some())
            .max_by_key(|client| client.timeout)
    }

    /// Requests that a workload's pods took at once when the run began; `None`: no limit, or it
    /// never had anything to do.
    pub fn places_of(&self, workload: &str) -> Option<u64> {
        let course = self.courses.iter().find(|course| course.name == workload)?;
        course.windows.first()?.places
    }
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ended {
    /// The scenario was played to its end and every request was answered.
    #[default]
    Complete,
    /// The scenario was played to its end; some requests were still in flight when the drain time was over.
    InFlight,
    /// Interrupted (Ctrl-C): what was simulated so far.
    Interrupted,
    /// The limit of work in flight was reached.
    TooMuchInFlight,
}

/// Whether an expectation of the scenario holds.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectationRecord {
    /// As it was written.
    pub text: String,
    /// `file:line`.
    pub place: String,
    /// Whether it holds.
    pub verdict: Verdict,
    /// In what the figure counts; `None` for findings.
    pub unit: Option<Quantity>,
    /// The figure: its mean over replications, or that of the replication furthest on the wrong
    /// side where each has to hold; `None` when nothing was counted. Infinite: never.
    pub value: Option<f64>,
    /// The true mean lies between these with 95 % confidence; `None` with one replication.
    pub interval: Option<(f64, f64)>,
    /// The bound.
    pub bound: Option<f64>,
    /// Why it does not hold, where the numbers do not say it.
    pub why: Option<String>,
}

/// Whether an expectation holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Pass,
    /// It does not.
    Fail,
    /// The runs do not tell: the interval holds the bound, or nothing was counted.
    Undecided,
}

/// In what a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Milliseconds.
    Milliseconds,
    /// A share of one.
    Share,
    /// Per second.
    PerSecond,
    /// A plain number.
    Number,
}

/// What the HTTP filters of a workload's proxies counted.
#[derive(Clone, Debug, Default)]
pub struct ProxyRecord {
    /// Workload (`namespace/name`).
    pub workload: String,
    /// Envoy's full name → value.
    pub stats: BTreeMap<String, u64>,
}

/// What one load saw.
#[derive(Clone, Debug, Default)]
pub struct ClientRecord {
    /// Name of the load.
    pub name: String,
    /// Workload (`namespace/name`) or `outside`.
    pub from: String,
    /// URL it called.
    pub url: String,
    /// How long the client itself waits for each try; `None`: without end.
    pub timeout: Option<SimDuration>,
    /// Tries of the client itself beyond the first, above those of its proxy.
    pub retries: u32,
    /// `file:line` of the timeout.
    pub timeout_place: Option<String>,
    /// `file:line` of the retries.
    pub retries_place: Option<String>,
    /// Requests that were started after warm-up.
    pub started: u64,
    /// Requests that ended (started after warm-up).
    pub requests: u64,
    /// Of those started, still in flight at the end.
    pub in_flight: u64,
    /// Status (`0` when the client left) → requests.
    pub statuses: BTreeMap<String, u64>,
    /// Flags (`-` for none) → requests.
    pub flags: BTreeMap<String, u64>,
    /// Tries of the client's own proxy → requests; 0: answered without a try.
    pub attempts: BTreeMap<u32, u64>,
    /// From start to last byte, all requests.
    pub latency: Histogram,
    /// Headline figures per replication, in replication order.
    pub per_replication: Vec<Headline>,
}

/// Headline figures of one replication.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Headline {
    /// Ended requests per second of counted time.
    pub requests_per_second: f64,
    /// Share of ended requests with status 5xx or none.
    pub error_share: f64,
    /// Mean latency in ms.
    pub mean_ms: f64,
    /// Median latency in ms.
    pub p50_ms: f64,
    /// 90th percentile in ms.
    pub p90_ms: f64,
    /// 99th percentile in ms.
    pub p99_ms: f64,
    /// 99.9th percentile in ms.
    pub p999_ms: f64,
    /// Attempts per request of the client's own proxy.
    pub attempts_per_request: f64,
}

/// Envoy's statistics of one cluster, over all proxies of one workload.
#[derive(Clone, Debug, Default)]
pub struct ClusterRecord {
    /// Client workload, `namespace/name`.
    pub workload: String,
    /// Cluster name.
    pub cluster: String,
    /// Envoy stat name without prefix (`upstream_rq_retry`, `outlier_detection.ejections_enforced_total`) → value.
    pub stats: BTreeMap<String, u64>,
    /// `upstream_rq_time`: whole requests including retries.
    pub latency: Histogram,
    /// Most connections that one of the proxies had open at once, warm-up included.
    pub most_connections: u32,
}

/// The worker threads of one proxy that has several: what each of them had to do, by replication.
#[derive(Clone, Debug, Default)]
pub struct WorkersRecord {
    /// Its workload, `namespace/name`.
    pub workload: String,
    /// Pod.
    pub pod: String,
    /// Calls of the application, or of clients outside.
    pub sent: Vec<Vec<u64>>,
    /// Requests for the application.
    pub served: Vec<Vec<u64>>,
}

impl WorkersRecord {
    /// Requests of all workers in all replications.
    pub fn total(&self) -> u64 {
        self.sent.iter().chain(&self.served).flatten().sum()
    }
}

/// One pod as a target.
#[derive(Clone, Debug, Default)]
pub struct EndpointRecord {
    /// Its workload, `namespace/name`.
    pub workload: String,
    /// Pod name.
    pub pod: String,
    /// Requests that reached it.
    pub requests: u64,
    /// Times it was ejected by some client proxy.
    pub ejections: u64,
    /// Locality text.
    pub locality: String,
}

/// Of requests by status, those that failed: 5xx, or no answer at all.
pub fn failed(statuses: &BTreeMap<String, u64>) -> u64 {
    let bad = |status: &str| status == "0" || status.starts_with('5');
    let counts = statuses.iter().filter(|(status, _)| bad(status));
    counts.map(|(_, requests)| requests).sum()
}

/// Of requests by flags, those that have this flag among theirs.
pub fn flagged(flags: &BTreeMap<String, u64>, flag: &str) -> u64 {
    let has = |text: &str| text.split(',').any(|one| one == flag);
    let counts = flags.iter().filter(|(text, _)| has(text));
    counts.map(|(_, requests)| requests).sum()
}

/// The workload whose proxy sends what a caller of an edge asks for: `ns/gateway` for
/// `outside via ns/gateway` and for `outside via ns/gateway (mirror)`, the copies of that.
pub fn proxy_of(caller: &str) -> &str {
    let caller = caller.strip_prefix("outside via ").unwrap_or(caller);
    caller.strip_suffix(" (mirror)").unwrap_or(caller)
}

/// Calls from one workload (or load) to another workload.
#[derive(Clone, Debug, Default)]
pub struct EdgeRecord {
    /// Client workload or load.
    pub from: String,
    /// Service host that was called.
    pub service: String,
    /// Cluster chosen by the route; `-` when none was.
    pub cluster: String,
    /// Workload that the last try was sent to; `-` when none was sent.
    pub to: String,
    /// Calls.
    pub requests: u64,
    /// Tries of those calls.
    pub attempts: u64,
    /// Status → calls.
    pub statuses: BTreeMap<String, u64>,
    /// Flags → calls.
    pub flags: BTreeMap<String, u64>,
    /// Latency of calls as the caller sees it.
    pub latency: Histogram,
}

impl EdgeRecord {
    /// Tries per call.
    pub fn amplification(&self) -> f64 {
        self.attempts as f64 / self.requests.max(1) as f64
    }
}

/// One workload as a server.
#[derive(Clone, Debug, Default)]
pub struct WorkloadRecord {
    /// `namespace/name`.
    pub name: String,
    /// Number of pods.
    pub pods: u32,
    /// Requests that were taken (served or queued).
    pub requests: u64,
    /// Requests refused because the queue was full.
    pub rejected: u64,
    /// Answers with 5xx, resets included.
    pub errors: u64,
    /// Mean share of busy slots over counted time; `None` without a limit.
    pub utilisation: Option<f64>,
    /// Mean requests in service.
    pub busy_mean: f64,
    /// Mean requests waiting.
    pub queue_mean: f64,
    /// Most requests waiting at one pod.
    pub queue_max: u64,
    /// Time in queue.
    pub queue_time: Histogram,
    /// Time from arrival at the pod to answer.
    pub latency: Histogram,
    /// What few applications do (`cache_hits`, `async_calls`, …) → times; none that is zero.
    pub counts: BTreeMap<String, u64>,
}

/// Equal windows of virtual time.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// Length of a window.
    pub window: SimDuration,
    /// Windows, in (start, client) order; replication 0 only.
    pub points: Vec<SeriesPoint>,
}

/// The course of a workload as a server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkloadCourse {
    /// `namespace/name`.
    pub name: String,
    /// In the order of time.
    pub windows: Vec<WorkloadWindow>,
}

/// One window of it, all pods together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WorkloadWindow {
    /// Start of the window.
    pub at: SimTime,
    /// Requests that pods which serve take at once, as at its end; `None`: no limit.
    pub places: Option<u64>,
    /// Requests in service, on average.
    pub busy: f64,
    /// Requests that wait for a place, on average.
    pub waiting: f64,
    /// Requests taken (served or queued) in it.
    pub requests: u64,
    /// Requests refused in it because the queue was full.
    pub rejected: u64,
    /// Requests that left their place in it.
    pub answered: u64,
    /// Of those, with 5xx or without an answer.
    pub errors: u64,
}

/// A pod that became an endpoint during the run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JoinRecord {
    /// Its workload, `namespace/name`.
    pub workload: String,
    /// Pod name.
    pub pod: String,
    /// When the last proxy heard of it.
    pub at: SimTime,
    /// What came after that, up to 40 seconds or until it left; none of the twenty-first pod and later ones.
    pub windows: Vec<JoinWindow>,
}

/// What a pod that joined got and did in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct JoinWindow {
    /// Beginning, after the pod joined.
    pub from: SimDuration,
    /// End, after the pod joined.
    pub until: SimDuration,
    /// Requests that reached it.
    pub requests: u64,
    /// Requests that reached its workload's pods, it among them.
    pub of: u64,
    /// Endpoints of its workload, on average.
    pub endpoints: f64,
    /// 99th percentile of the time from arrival at the pod to its answer; `None`: it answered none.
    pub p99: Option<SimDuration>,
    /// The same of the workload's other pods.
    pub others_p99: Option<SimDuration>,
}

impl JoinWindow {
    /// Its share of its workload's requests; `None` where there were none.
    pub fn share(&self) -> Option<f64> {
        (self.of > 0).then(|| self.requests as f64 / self.of as f64)
    }

    /// The share of each pod if all had the same.
    pub fn even_share(&self) -> f64 {
        1.0 / self.endpoints.max(1.0)
    }
}

/// Something that happened to the mesh.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Happening {
    /// When.
    pub at: SimTime,
    /// Whether something begins or ends with it.
    pub kind: HappeningKind,
    /// Pods that fail by it, or come back: their numbers in the tables.
    pub pods: Vec<u32>,
    /// A sentence.
    pub what: String,
}

/// A host that a proxy stopped using, or would have if it were allowed to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EjectionRecord {
    /// When.
    pub at: SimTime,
    /// Workload whose proxy decided, `namespace/name`.
    pub workload: String,
    /// Pod whose proxy decided.
    pub proxy: String,
    /// Cluster.
    pub cluster: String,
    /// Pod that was found bad.
    pub pod: String,
    /// Envoy's word for why.
    pub why: &'static str,
    /// How long at least; `None`: `max_ejection_percent` forbade it.
    pub lasts: Option<SimDuration>,
    /// When it was used again, if it was.
    pub back_at: Option<SimTime>,
    /// Hosts that are out at this proxy from now on.
    pub out: u32,
    /// Hosts of the cluster as this proxy knows it.
    pub hosts: u32,
    /// Failed tries of the workload's proxies at this cluster up to and with this one.
    pub failures: u64,
}

/// What a happening is to the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HappeningKind {
    /// A disturbance begins.
    #[default]
    Begins,
    /// A disturbance is over.
    Ends,
    /// Somebody changes the mesh: a rollout, another size, another configuration.
    Changes,
    /// News of something, or what an autoscaler does.
    Passes,
}

/// What a run means: one thing, with its evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Stable code, `TT-RETRY-STORM`.
    pub code: &'static str,
    /// How grave it is.
    pub severity: Severity,
    /// What was seen, in a sentence with its numbers.
    pub what: String,
    /// What led to what, in order.
    pub chain: Vec<String>,
    /// The configuration that is responsible, with file and line where somebody wrote it.
    pub cause: Option<String>,
    /// What to try.
    pub help: String,
    /// The calls it is about, (workload, cluster), the outer ones first; for what is simulated otherwise.
    pub edges: Vec<(String, String)>,
    /// What removes it, as simulated; `None`: not looked for.
    pub counterfactual: Option<String>,
}

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Warning,
    /// The mesh does not do what it is for.
    Error,
}

/// One client in one window.
#[derive(Clone, Debug, Default)]
pub struct SeriesPoint {
    /// Start of the window.
    pub at: SimTime,
    /// Index into `Record::clients`.
    pub client: u32,
    /// Requests started in the window.
    pub started: u64,
    /// Requests ended in the window.
    pub requests: u64,
    /// Of those, 5xx or no status.
    pub errors: u64,
    /// Tries made by the client's own proxy for them.
    pub attempts: u64,
    /// Median latency.
    pub p50: SimDuration,
    /// 99th percentile.
    pub p99: SimDuration,
    /// In flight at the end of the window.
    pub in_flight: u64,
}

/// One request of a load.
#[derive(Clone, Debug, Default)]
pub struct RequestRecord {
    /// Replication.
    pub replication: u32,
    /// Index into `Record::clients`.
    pub client: u32,
    /// Number within its load, from 0.
    pub number: u64,
    /// When it was started.
    pub at: SimTime,
    /// How long it took.
    pub duration: SimDuration,
    /// Status; 0 when none was sent.
    pub status: u16,
    /// Flags text.
    pub flags: String,
    /// `response_code_details`.
    pub details: String,
    /// Cluster of the route; empty when none was chosen.
    pub cluster: String,
    /// Workload that answered last; empty when none did.
    pub workload: String,
    /// Pod of the last try; empty when none was chosen.
    pub pod: String,
    /// Path as the upstream sees it; the request's own when it was not sent.
    pub path: String,
    /// Tries.
    pub attempts: u32,
}
