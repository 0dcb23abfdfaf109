//! The parts of a Model: network, proxies, and what runs in pods.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::call::Step;
use super::length::{Distribution, Duration};
use super::pod::{Cpu, Deadline, Pauses, Pool, Priority, QueueDiscipline, WarmUp};
use super::value::{PlainValue, TextOrNumber};

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ModelSpec {
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
pub(super) struct Network {
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
pub(super) struct Pair {
    /// `region[/zone]`.
    from: String,
    /// `region[/zone]`.
    to: String,
    /// One way.
    latency: Distribution,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Proxy {
    /// Worker threads of every proxy, whatever the manifests say. Where this is not written, what annotations (`proxy.istio.io/config`, `sidecar.istio.io/proxyCPULimit`), ProxyConfigs and mesh settings say, else 1.
    #[schemars(range(min = 1, max = 256))]
    concurrency: Option<u32>,
    /// Tick of the coarse clock that their timers read: 4ms where the kernel has CONFIG_HZ=250. Exact when not written.
    timer_tick: Option<Duration>,
    /// From the moment at which istiod pushes endpoints or configuration to that at which a proxy works with it, drawn for each proxy. 10ms to 100ms when not written.
    push_delay: Option<Distribution>,
}

/// What runs in the pods of a workload.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Workload {
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
    /// Which waiting request is next; fifo when not written.
    queue_discipline: Option<QueueDiscipline>,
    /// Which requests are more important.
    priority: Option<Priority>,
    /// Pools by name, of which calls take one before they are made.
    pools: Option<BTreeMap<String, Pool>>,
    /// A cold start.
    warm_up: Option<WarmUp>,
    /// Pauses of the runtime.
    pauses: Option<Pauses>,
    /// A limit on processor time.
    cpu: Option<Cpu>,
    /// From a pod's creation until it serves, for pods that events start; 5s when not written.
    startup: Option<Distribution>,
    /// The deadline of a request: the timeout of the load or call it comes from, as gRPC passes it on; ignore when not written.
    deadline: Option<Deadline>,
}

/// A failure with its share of requests: exactly one of `status`, `grpc`, `reset`, `hang`, `refuse`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct AppError {
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

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(super) enum Connections {
    Accept,
    Refuse,
    Blackhole,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Limit {
    Count(u32),
    Unlimited(Unlimited),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(super) enum Unlimited {
    Unlimited,
}
