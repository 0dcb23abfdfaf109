//! The JSON contract of `run -o json` and `load -o json` (`towtank.run/v1`).
//!
//! These types *are* the documentation: their field docs become the descriptions of the JSON
//! Schema that `towtank schema run` prints. Keys are camelCase and keep their order; counts
//! cover the time after warm-up and are summed over replications; absent values are null;
//! `workload` is `namespace/name`. New keys may be added within a schema version; none
//! changes its name or meaning.

mod ejection;
mod joined;
mod proxy;
mod worker;

pub use super::expectation::Expectation;
pub use ejection::Ejection;
pub use joined::{Joined, JoinedWindow};
pub use proxy::Proxy;
pub use worker::Workers;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::observe::record::{
    ClientRecord, ClusterRecord, EdgeRecord, Ended, EndpointRecord, Finding as Found, Headline,
    Record, SCHEMA, Severity as Graveness, WorkloadRecord,
};
use crate::observe::{Histogram, Interval};
use crate::units::SimDuration;

/// Result of `run` or `load`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunReport {
    /// Name and version of this format, `towtank.run/v1`.
    pub schema: String,
    /// Version of towtank that made it.
    pub version: String,
    /// Name of the scenario.
    pub scenario: String,
    /// Seed of all randomness.
    pub seed: u64,
    /// Independent repetitions that are summed here.
    pub replications: u32,
    /// Digest of the result, 16 hexadecimal digits: equal digests mean equal results. It covers what happened and not how it is printed.
    pub digest: String,
    /// Virtual time during which load was offered, in seconds.
    pub duration_seconds: f64,
    /// Virtual time before counting began, in seconds.
    pub warm_up_seconds: f64,
    /// Virtual time of the last event of replication 0, in seconds.
    pub ended_at_seconds: f64,
    /// Why the run ended: `complete`, `inFlight` (some requests were not answered within the drain time), `interrupted` or `tooMuchInFlight`.
    pub ended: String,
    /// Attempts that were sent to an endpoint, warm-up included.
    pub hops: u64,
    /// Events processed, warm-up included.
    pub events: u64,
    /// One per load, in the scenario's order.
    pub clients: Vec<Client>,
    /// Envoy's statistics per (client workload, cluster), in name order.
    pub clusters: Vec<Cluster>,
    /// What HTTP filters that were added by EnvoyFilter counted; left out where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proxies: Vec<Proxy>,
    /// One per pod that could receive requests, in (workload, pod) order.
    pub endpoints: Vec<Endpoint>,
    /// Worker threads of the proxies that have several, in (workload, pod) order; left out where none has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workers: Vec<Workers>,
    /// Who called whom, in name order.
    pub edges: Vec<Edge>,
    /// One per workload that took part, in name order.
    pub workloads: Vec<Workload>,
    /// Figures over virtual time, of replication 0.
    pub series: Series,
    /// What the run means, the gravest first; left out where there is nothing to say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// What happened to the mesh (replication 0), in the order of time; left out where nothing did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub happenings: Vec<Happening>,
    /// Pods that became endpoints during the run (replication 0), in the order of time; left out where none did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joined: Vec<Joined>,
    /// Who stopped using which host (replication 0, the first thousand), in the order of time; left out where nobody did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ejections: Vec<Ejection>,
    /// What the scenario expects and whether it holds; left out where it expects nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expectations: Vec<Expectation>,
    /// What was taken for granted: sentences.
    pub assumed: Vec<String>,
    /// What looks wrong in the input: sentences with file and line.
    pub warnings: Vec<String>,
    /// Configuration that was read and is not simulated: sentences with file and line.
    pub not_simulated: Vec<String>,
}

/// What one load saw.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Client {
    /// Name of the load.
    pub name: String,
    /// Workload that called (`namespace/name`), or `outside`.
    pub from: String,
    /// URL that was called.
    pub url: String,
    /// Requests that ended.
    pub requests: u64,
    /// Requests that were started.
    pub started: u64,
    /// Requests that were started and had not ended when the run did.
    pub in_flight: u64,
    /// Status → requests; `0` where none was received.
    pub statuses: BTreeMap<String, u64>,
    /// Envoy's response flags → requests; `-` is none.
    pub flags: BTreeMap<String, u64>,
    /// Tries of the client's own proxy → requests; `0`: answered without a try.
    pub attempts: BTreeMap<u32, u64>,
    /// From start to last byte, in milliseconds; null when no request ended.
    pub latency_ms: Option<Latency>,
    /// 95 % confidence intervals of headline figures over replications (Student's t); null with one replication.
    pub interval: Option<Intervals>,
}

/// Quantiles in milliseconds, exact to the histogram's resolution; `max` is exact.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Latency {
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p999: f64,
    /// Longest.
    pub max: f64,
    /// Mean.
    pub mean: f64,
}

/// Confidence intervals of the headline figures.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Intervals {
    /// Always 0.95.
    pub confidence: f64,
    /// Ended requests per second.
    pub requests_per_second: Bounds,
    /// Share of requests with status 5xx or none, 0 to 1.
    pub error_share: Bounds,
    /// Attempts per request.
    pub attempts_per_request: Bounds,
    /// Mean latency in milliseconds.
    pub mean_ms: Bounds,
    /// Median latency in milliseconds.
    pub p50_ms: Bounds,
    /// 90th percentile of latency in milliseconds.
    pub p90_ms: Bounds,
    /// 99th percentile of latency in milliseconds.
    pub p99_ms: Bounds,
    /// 99.9th percentile of latency in milliseconds.
    pub p999_ms: Bounds,
}

/// A mean over replications and its 95 % confidence interval.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Bounds {
    /// Mean over replications.
    pub mean: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Envoy's statistics of one cluster, over all proxies of one workload.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cluster {
    /// Client workload.
    pub workload: String,
    /// Cluster name, as istiod makes it.
    pub cluster: String,
    /// Envoy's stat name without its prefix (`upstream_rq_retry`, `outlier_detection.ejections_enforced_total`) → value.
    pub stats: BTreeMap<String, u64>,
    /// Most connections that one of the proxies had open at once, warm-up included.
    pub most_connections: u32,
    /// Whole requests including retries (`upstream_rq_time`), in milliseconds; null when none ended.
    pub latency_ms: Option<Latency>,
}

/// One pod as a target.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Its workload.
    pub workload: String,
    /// Pod name.
    pub pod: String,
    /// Requests that reached it.
    pub requests: u64,
    /// Times some client proxy ejected it.
    pub ejections: u64,
    /// `region/zone`; null when unknown.
    pub locality: Option<String>,
}

/// Calls from one workload (or load) to another workload.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Edge {
    /// Client workload, or load.
    pub from: String,
    /// Host that was called.
    pub service: String,
    /// Cluster the route chose; null when none was.
    pub cluster: Option<String>,
    /// Workload that the last try was sent to, whether it answered or not; null when none was sent.
    pub to: Option<String>,
    /// Calls.
    pub requests: u64,
    /// Tries of those calls.
    pub attempts: u64,
    /// Status → calls.
    pub statuses: BTreeMap<String, u64>,
    /// Flags → calls.
    pub flags: BTreeMap<String, u64>,
    /// As the caller sees it, in milliseconds; null when no call ended.
    pub latency_ms: Option<Latency>,
}

/// One workload as a server.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Workload {
    /// What few applications do (`cache_hits`, `cache_misses`, `async_calls`, `calls_skipped`, `queue_drops`, `cpu_throttled`, `deadlines_exceeded`) → times; absent when there is none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counts: BTreeMap<String, u64>,
    /// `namespace/name`.
    pub name: String,
    /// Pods.
    pub pods: u32,
    /// Requests that were served or queued.
    pub requests: u64,
    /// Requests refused because the queue was full.
    pub rejected: u64,
    /// Answers with 5xx, resets included.
    pub errors: u64,
    /// Mean share of busy slots, 0 to 1; null without a limit.
    pub utilisation: Option<f64>,
    /// Mean requests in service, over all pods.
    pub busy_mean: f64,
    /// Mean requests waiting, over all pods.
    pub queue_mean: f64,
    /// Most requests waiting at one pod.
    pub queue_max: u64,
    /// Time in queue, in milliseconds; null without requests.
    pub queue_ms: Option<Latency>,
    /// From arrival at the pod to its answer, in milliseconds; null without requests.
    pub latency_ms: Option<Latency>,
}

/// One thing that a run means.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Stable code, `TT-RETRY-STORM`.
    pub code: String,
    /// `warning` or `error`.
    pub severity: String,
    /// What was seen.
    pub what: String,
    /// What led to what, in order.
    pub chain: Vec<String>,
    /// The configuration that is responsible, or null.
    pub cause: Option<String>,
    /// What to try.
    pub help: String,
    /// What removes it, as simulated; null where nothing was looked for.
    pub counterfactual: Option<String>,
}

impl From<&Found> for Finding {
    fn from(finding: &Found) -> Self {
        let severity = match finding.severity {
            Graveness::Warning => "warning",
            Graveness::Error => "error",
        };
        Self {
            code: finding.code.to_owned(),
            severity: severity.to_owned(),
            what: finding.what.clone(),
            chain: finding.chain.clone(),
            cause: finding.cause.clone(),
            help: finding.help.clone(),
            counterfactual: finding.counterfactual.clone(),
        }
    }
}

/// Something that happened to the mesh.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Happening {
    /// When, in seconds of virtual time.
    pub at_seconds: f64,
    /// A sentence.
    pub what: String,
}

/// Equal windows of virtual time.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Series {
    /// Length of a window, in seconds.
    pub window_seconds: f64,
    /// In (start, client) order.
    pub points: Vec<Point>,
}

/// One client in one window.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Point {
    /// Start of the window, in seconds of virtual time.
    pub at_seconds: f64,
    /// Name of the load.
    pub client: String,
    /// Requests started in the window.
    pub started: u64,
    /// Requests ended in the window.
    pub requests: u64,
    /// Of those, with status 5xx or none.
    pub errors: u64,
    /// Tries made for them.
    pub attempts: u64,
    /// Median latency in milliseconds; null when none ended.
    pub p50_ms: Option<f64>,
    /// 99th percentile of latency in milliseconds; null when none ended.
    pub p99_ms: Option<f64>,
    /// In flight at the end of the window.
    pub in_flight: u64,
}

/// The record as pretty-printed JSON with a final line feed.
pub fn render(record: &Record) -> String {
    pretty(&RunReport::from(record))
}

/// The JSON Schema of [`RunReport`], pretty-printed.
pub fn schema() -> String {
    pretty(&schemars::schema_for!(RunReport))
}

/// Any of our output types as pretty-printed JSON with a final line feed.
pub(crate) fn pretty(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value)
        .expect("types with text keys and finite numbers always serialise");
    text.push('\n');
    text
}

impl From<&Record> for RunReport {
    fn from(record: &Record) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            scenario: record.scenario.clone(),
            seed: record.seed,
            replications: record.replications,
            digest: digest(record.digest),
            duration_seconds: record.duration.as_secs_f64(),
            warm_up_seconds: record.warm_up.as_secs_f64(),
            ended_at_seconds: record.ended_at.as_secs_f64(),
            ended: ended(record.ended).to_owned(),
            hops: record.hops,
            events: record.events,
            clients: record.clients.iter().map(Client::from).collect(),
            clusters: record.clusters.iter().map(Cluster::from).collect(),
            proxies: record.proxies.iter().map(Proxy::from).collect(),
            endpoints: record.endpoints.iter().map(Endpoint::from).collect(),
            workers: record.workers.iter().map(Workers::from).collect(),
            edges: record.edges.iter().map(Edge::from).collect(),
            workloads: record.workloads.iter().map(Workload::from).collect(),
            series: series(record),
            findings: record.findings.iter().map(Finding::from).collect(),
            happenings: (record.happenings.iter())
                .map(|h| Happening {
                    at_seconds: h.at.as_secs_f64(),
                    what: h.what.clone(),
                })
                .collect(),
            joined: record.joined.iter().map(Joined::from).collect(),
            ejections: record.ejections.iter().map(Ejection::from).collect(),
            expectations: record.expectations.iter().map(Expectation::from).collect(),
            assumed: record.assumed.clone(),
            warnings: record.warnings.clone(),
            not_simulated: record.not_simulated.clone(),
        }
    }
}

/// The digest as it is printed everywhere.
pub fn digest(digest: u64) -> String {
    format!("{digest:016x}")
}

fn ended(ended: Ended) -> &'static str {
    match ended {
        Ended::Complete => "complete",
        Ended::InFlight => "inFlight",
        Ended::Interrupted => "interrupted",
        Ended::TooMuchInFlight => "tooMuchInFlight",
    }
}

fn latency(histogram: &Histogram) -> Option<Latency> {
    let at = |q| histogram.quantile(q).as_millis_f64();
    (!histogram.is_empty()).then(|| Latency {
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        p999: at(0.999),
        max: histogram.max().as_millis_f64(),
        mean: histogram.mean().as_millis_f64(),
    })
}

/// Text that uses `-` or nothing for "none".
pub(super) fn present(text: &str) -> Option<String> {
    (!text.is_empty() && text != "-").then(|| text.to_owned())
}

impl From<&ClientRecord> for Client {
    fn from(client: &ClientRecord) -> Self {
        Self {
            name: client.name.clone(),
            from: client.from.clone(),
            url: client.url.clone(),
            requests: client.requests,
            started: client.started,
            in_flight: client.in_flight,
            statuses: client.statuses.clone(),
            flags: client.flags.clone(),
            attempts: client.attempts.clone(),
            latency_ms: latency(&client.latency),
            interval: intervals(&client.per_replication),
        }
    }
}

fn intervals(values: &[Headline]) -> Option<Intervals> {
    let bounds = |figure: fn(&Headline) -> f64| {
        Interval::of_headline(values, figure).map(|i| Bounds {
            mean: i.mean,
            low: i.mean - i.half,
            high: i.mean + i.half,
        })
    };
    Some(Intervals {
        confidence: 0.95,
        requests_per_second: bounds(|h| h.requests_per_second)?,
        error_share: bounds(|h| h.error_share)?,
        attempts_per_request: bounds(|h| h.attempts_per_request)?,
        mean_ms: bounds(|h| h.mean_ms)?,
        p50_ms: bounds(|h| h.p50_ms)?,
        p90_ms: bounds(|h| h.p90_ms)?,
        p99_ms: bounds(|h| h.p99_ms)?,
        p999_ms: bounds(|h| h.p999_ms)?,
    })
}

impl From<&ClusterRecord> for Cluster {
    fn from(cluster: &ClusterRecord) -> Self {
        Self {
            workload: cluster.workload.clone(),
            cluster: cluster.cluster.clone(),
            stats: cluster.stats.clone(),
            most_connections: cluster.most_connections,
            latency_ms: latency(&cluster.latency),
        }
    }
}

impl From<&EndpointRecord> for Endpoint {
    fn from(endpoint: &EndpointRecord) -> Self {
        Self {
            workload: endpoint.workload.clone(),
            pod: endpoint.pod.clone(),
            requests: endpoint.requests,
            ejections: endpoint.ejections,
            locality: present(&endpoint.locality),
        }
    }
}

impl From<&EdgeRecord> for Edge {
    fn from(edge: &EdgeRecord) -> Self {
        Self {
            from: edge.from.clone(),
            service: edge.service.clone(),
            cluster: present(&edge.cluster),
            to: present(&edge.to),
            requests: edge.requests,
            attempts: edge.attempts,
            statuses: edge.statuses.clone(),
            flags: edge.flags.clone(),
            latency_ms: latency(&edge.latency),
        }
    }
}

impl From<&WorkloadRecord> for Workload {
    fn from(workload: &WorkloadRecord) -> Self {
        Self {
            counts: workload.counts.clone(),
            name: workload.name.clone(),
            pods: workload.pods,
            requests: workload.requests,
            rejected: workload.rejected,
            errors: workload.errors,
            utilisation: workload.utilisation,
            busy_mean: workload.busy_mean,
            queue_mean: workload.queue_mean,
            queue_max: workload.queue_max,
            queue_ms: latency(&workload.queue_time),
            latency_ms: latency(&workload.latency),
        }
    }
}

fn series(record: &Record) -> Series {
    let millis = |requests: u64, d: SimDuration| (requests > 0).then(|| d.as_millis_f64());
    let points = record.series.points.iter().map(|point| Point {
        at_seconds: point.at.as_secs_f64(),
        client: client_name(record, point.client),
        started: point.started,
        requests: point.requests,
        errors: point.errors,
        attempts: point.attempts,
        p50_ms: millis(point.requests, point.p50),
        p99_ms: millis(point.requests, point.p99),
        in_flight: point.in_flight,
    });
    Series {
        window_seconds: record.series.window.as_secs_f64(),
        points: points.collect(),
    }
}

/// Name of the load with this index.
pub(super) fn client_name(record: &Record, index: u32) -> String {
    let client = record.clients.get(index as usize);
    client.map_or_else(|| format!("#{index}"), |c| c.name.clone())
}
