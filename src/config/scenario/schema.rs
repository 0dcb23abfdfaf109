//! The published JSON Schema of both kinds.
//!
//! Mirror types say how the documents are *written* (`rate: 200/s` is a text); the decoder's types
//! say what they *mean*. Two sets keep either readable, and `tests.rs` holds their fields together.
//! The types are never built, only described.
#![expect(dead_code, reason = "described by schemars, never built")]

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, json_schema};
use serde_json::Value;

/// JSON Schema of a Model document.
pub fn model_schema() -> Value {
    schema_of::<ModelDocument>("towtank Model")
}

/// JSON Schema of a Scenario document.
pub fn scenario_schema() -> Value {
    schema_of::<ScenarioDocument>("towtank Scenario")
}

fn schema_of<T: JsonSchema>(title: &str) -> Value {
    let mut schema = schemars::schema_for!(T);
    schema.insert("title".to_owned(), title.into());
    schema.to_value()
}

/// How the applications of a mesh behave.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct ModelDocument {
    #[schemars(schema_with = "api_version")]
    api_version: String,
    #[schemars(schema_with = "kind_model")]
    kind: String,
    metadata: Metadata,
    spec: ModelSpec,
}

/// One experiment.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct ScenarioDocument {
    #[schemars(schema_with = "api_version")]
    api_version: String,
    #[schemars(schema_with = "kind_scenario")]
    kind: String,
    metadata: Metadata,
    spec: ScenarioSpec,
}

#[derive(JsonSchema)]
struct Metadata {
    /// Name of the document.
    name: String,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct ModelSpec {
    /// One-way latencies by how far apart two pods are.
    network: Option<Network>,
    /// Settings of every proxy.
    proxy: Option<Proxy>,
    /// What workloads do that do not say otherwise.
    defaults: Option<Workload>,
    /// Localities (`region/zone`) per workload (`namespace/name`); its pods take them in turn.
    placement: Option<BTreeMap<String, Vec<String>>>,
    /// Workloads by `namespace/name`.
    workloads: Option<BTreeMap<String, Workload>>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct Network {
    /// Same zone, or localities unknown. 0.25ms when not written.
    same_zone: Option<Distribution>,
    /// Same region, another zone. 1ms when not written.
    same_region: Option<Distribution>,
    /// Another region. 35ms when not written.
    between_regions: Option<Distribution>,
    /// Overrides; the first that covers both ends wins, in either direction.
    pairs: Option<Vec<Pair>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Pair {
    /// `region[/zone]`.
    from: String,
    /// `region[/zone]`.
    to: String,
    /// One way.
    latency: Distribution,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct Proxy {
    /// Worker threads of every proxy, whatever the manifests say. Where this is not written, what annotations (`proxy.istio.io/config`, `sidecar.istio.io/proxyCPULimit`), ProxyConfigs and mesh settings say, else 1.
    #[schemars(range(min = 1, max = 256))]
    concurrency: Option<u32>,
    /// Tick of the coarse clock that their timers read: 4ms where the kernel has CONFIG_HZ=250. Exact when not written.
    timer_tick: Option<Duration>,
}

/// What runs in the pods of a workload.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct Workload {
    /// Requests one pod serves at once, or `unlimited`.
    concurrency: Option<Limit>,
    /// Requests that may wait beyond that, or `unlimited`; then the pod answers 503.
    queue: Option<Limit>,
    /// Own work of one request.
    service_time: Option<Distribution>,
    /// Failures of the application itself.
    errors: Option<Vec<AppError>>,
    /// Calls after the own work; steps run in order, `parallel` at once.
    calls: Option<Vec<Step>>,
    /// Request headers the application copies to its calls.
    propagate: Option<Vec<String>>,
    /// What happens to connections.
    connections: Option<Connections>,
    /// Status of a successful answer; 200 when not written.
    #[schemars(range(min = 200, max = 599))]
    status: Option<u16>,
}

/// A failure with its share of requests: exactly one of `status`, `grpc`, `reset`, `hang`, `refuse`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct AppError {
    /// Answers with this status.
    #[schemars(range(min = 200, max = 599))]
    status: Option<u16>,
    /// Answers HTTP 200 with this grpc-status in the headers and no body (trailers-only).
    #[schemars(range(min = 1, max = 16))]
    grpc: Option<u8>,
    /// Closes the connection instead of answering.
    reset: Option<bool>,
    /// Never answers.
    hang: Option<bool>,
    /// Refuses the connection of its own sidecar, which answers 503 UF; without a sidecar it refuses the HTTP/2 stream or closes the HTTP/1.1 connection.
    refuse: Option<bool>,
    /// Response headers of `status` or `grpc`, for example `{retry-after: "2"}`.
    headers: Option<BTreeMap<String, PlainValue>>,
    /// Share of requests: `0.1%` or `0.001`.
    rate: TextOrNumber,
}

/// A header's text.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum PlainValue {
    Text(String),
    Number(f64),
    Bool(bool),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Connections {
    Accept,
    Refuse,
    Blackhole,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Limit {
    Count(u32),
    Unlimited(Unlimited),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Unlimited {
    Unlimited,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum TextOrNumber {
    Text(String),
    Number(f64),
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Step {
    Call(CallOrUrl),
    Parallel(Parallel),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Parallel {
    /// Calls at once; the step ends when all have ended.
    #[schemars(length(min = 1))]
    parallel: Vec<CallOrUrl>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum CallOrUrl {
    Url(String),
    Call(Call),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct Call {
    /// Where to, as the application writes it.
    url: String,
    /// GET when not written.
    method: Option<String>,
    /// Own request headers.
    headers: Option<BTreeMap<String, HeaderValue>>,
    /// What a failed call (5xx or no answer) does to the caller; `fail` (with 500) when not written.
    on_error: Option<OnError>,
    /// The application's own timeout of each try.
    timeout: Option<Duration>,
    /// The application's own retries, above those of its proxy.
    retries: Option<Retries>,
}

/// Retries that an application or client library makes itself, after a 5xx, a gRPC error or no answer.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Retries {
    /// Tries beyond the first.
    #[schemars(range(max = 1000))]
    attempts: u32,
    /// Pause before each of them; none when not written.
    backoff: Option<Distribution>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum OnError {
    Word(OnErrorWord),
    Status(FailWith),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum OnErrorWord {
    Fail,
    Ignore,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct FailWith {
    /// Status of the caller's own answer.
    #[schemars(range(min = 200, max = 599))]
    fail: u16,
}

/// A text, or drawn for every request.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum HeaderValue {
    Text(String),
    Number(f64),
    Bool(bool),
    Drawn(DrawnHeader),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase", deny_unknown_fields)]
enum DrawnHeader {
    /// All equally likely.
    Uniform(UniformHeader),
    /// The k-th with weight 1/k^exponent.
    Zipf(ZipfHeader),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct UniformHeader {
    /// Text before the number.
    prefix: Option<String>,
    /// Numbers 0 to count - 1.
    #[schemars(range(min = 1))]
    count: u64,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ZipfHeader {
    /// Text before the number.
    prefix: Option<String>,
    /// Numbers 0 to count - 1.
    #[schemars(range(min = 1))]
    count: u64,
    /// 1.0 when not written.
    #[schemars(range(min = 0, max = 10))]
    exponent: Option<f64>,
}

/// A length such as `12ms`, or exactly one named distribution.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Distribution {
    Constant(Duration),
    Named(NamedDistribution),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase", deny_unknown_fields)]
enum NamedDistribution {
    /// Always the same.
    Constant(Duration),
    /// Everything from min to max is equally likely.
    Uniform { min: Duration, max: Duration },
    /// `{exponential: {mean: 5ms}}` or `{exponential: 5ms}`.
    Exponential(Exponential),
    /// Cut at zero.
    Normal {
        mean: Duration,
        #[schemars(rename = "stdDev")]
        std_dev: Duration,
    },
    /// By median and either p99 or sigma.
    Lognormal {
        median: Duration,
        p99: Option<Duration>,
        sigma: Option<f64>,
    },
    /// By mean and shape.
    Gamma { mean: Duration, shape: f64 },
    /// A sum of k equal exponential stages.
    Erlang { mean: Duration, k: u32 },
    /// 63.2 % of the values are below scale.
    Weibull { scale: Duration, shape: f64 },
    /// A power-law tail from minimum on.
    Pareto { minimum: Duration, alpha: f64 },
    /// Recorded values: a list of lengths or a column of a CSV file.
    Empirical(Empirical),
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Exponential {
    Mean(Duration),
    Named(Mean),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Mean {
    mean: Duration,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Empirical {
    Values(Vec<Duration>),
    Column(Column),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "what people write")]
struct Column {
    /// CSV file with a header line, beside this document.
    file: String,
    /// Name of the column.
    column: String,
    /// ms when not written.
    unit: Option<Unit>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Unit {
    Ns,
    Us,
    Ms,
    S,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct ScenarioSpec {
    /// Files and folders of manifests, relative to this document.
    manifests: Option<Vec<String>>,
    /// File of the Model; the Model in the same file, or stated defaults, when not written.
    model: Option<String>,
    /// Istio release in quotes, for example `"1.30"`.
    istio_version: Option<String>,
    /// How long load is offered. May be left out when every load stops by `requests`.
    duration: Option<Duration>,
    /// Time before counting begins; part of the duration. 0s when not written.
    warm_up: Option<Duration>,
    /// Which luck; 1 when not written.
    seed: Option<u64>,
    /// Independent repetitions; 1 when not written.
    #[schemars(range(min = 1, max = 10000))]
    replications: Option<u32>,
    /// Sources of requests.
    #[schemars(length(min = 1))]
    load: Vec<Load>,
}

/// A source of requests: open (`rate`) or closed (`connections`).
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct Load {
    /// Unique in the scenario.
    name: Option<String>,
    /// Who calls.
    from: LoadSource,
    /// What is called. May be left out when every entry of `mix` has its own.
    url: Option<String>,
    /// GET when not written.
    method: Option<String>,
    /// Headers of every request.
    headers: Option<BTreeMap<String, HeaderValue>>,
    /// Open loop: mean rate over all pods of the caller, for example `200/s`.
    rate: Option<TextOrNumber>,
    /// Open loop: spacing; poisson when not written.
    arrivals: Option<Arrivals>,
    /// Closed loop: users, each of whom sends the next request when the last is answered.
    #[schemars(range(min = 1, max = 1_000_000))]
    connections: Option<u32>,
    /// Stop after this many.
    #[schemars(range(min = 1, max = 2_000_000_000))]
    requests: Option<u64>,
    /// Closed loop: upper limit over all connections; 0 is none.
    qps: Option<TextOrNumber>,
    /// Closed loop: pause before the next request.
    think: Option<Distribution>,
    /// The client's own timeout of each try.
    timeout: Option<Duration>,
    /// The client's own retries, above those of its proxy.
    retries: Option<Retries>,
    /// Kinds of request by weight.
    mix: Option<Vec<MixEntry>>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Arrivals {
    Poisson,
    Constant,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum LoadSource {
    /// `namespace/name`.
    Workload(String),
    Outside(OutsideSource),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct OutsideSource {
    /// A client without a proxy, outside the mesh.
    outside: Outside,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Outside {
    /// `region[/zone]` where it stands.
    locality: Option<String>,
    /// Gateway workload (`namespace/name`) that takes its requests; the only one when not written.
    via: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct MixEntry {
    /// Share of the requests.
    #[schemars(range(max = 1_000_000))]
    weight: u32,
    /// Instead of the load's.
    url: Option<String>,
    /// Instead of the load's.
    method: Option<String>,
    /// Added to the load's; the same name replaces.
    headers: Option<BTreeMap<String, HeaderValue>>,
}

/// A length of time in Go's notation: `250ms`, `1.5s`, `1h30m`.
struct Duration;

impl JsonSchema for Duration {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A length of time in Go's notation: 250ms, 1.5s, 1h30m.",
            "type": ["string", "integer"],
            "pattern": "^(0|([0-9]+(\\.[0-9]*)?|\\.[0-9]+)(ns|us|µs|ms|s|m|h|d)(([0-9]+(\\.[0-9]*)?|\\.[0-9]+)(ns|us|µs|ms|s|m|h|d))*)$",
            "minimum": 0,
            "maximum": 0
        })
    }
}

fn api_version(_: &mut schemars::SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "const": super::API_VERSION})
}

fn kind_model(_: &mut schemars::SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "const": "Model"})
}

fn kind_scenario(_: &mut schemars::SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "const": "Scenario"})
}
