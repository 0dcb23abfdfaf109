//! What few pods have.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::length::{Distribution, Duration};
use super::value::TextOrNumber;

/// Requests that are more important than others: served first while others wait, and with `shed` the last to be refused.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Priority {
    /// Request header that says how important it is.
    header: String,
    /// Its values, the most important first.
    #[schemars(length(min = 2, max = 16))]
    order: Vec<String>,
    /// What a request without the header is, or with another value; the last of `order` when not written.
    default: Option<String>,
    /// Share of `queue` that is taken from which requests of a value are refused (503), for example `{batch: 25%}`.
    shed: Option<BTreeMap<String, TextOrNumber>>,
}

/// Connections or threads of the application for one kind of call.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Pool {
    /// Calls of one pod that hold one at once; others wait, and keep their place in the pod.
    #[schemars(range(min = 1, max = 1_000_000))]
    size: u32,
    /// A call that has waited for so long fails (as without an answer); it waits without end when not written.
    timeout: Option<Duration>,
}

/// Which waiting request is next.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum QueueDiscipline {
    Word(DisciplineWord),
    Settings(DisciplineSettings),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) enum DisciplineWord {
    /// The oldest first.
    Fifo,
    /// The newest first.
    Lifo,
    /// The oldest first; what waited longer than 5ms for 100ms is thrown away (503).
    #[schemars(rename = "codel")]
    CoDel,
    /// Newest first under overload; none that waited longer than 100ms, 5ms under overload.
    AdaptiveLifo,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(super) enum DisciplineSettings {
    /// RFC 8289.
    #[schemars(rename = "codel")]
    CoDel(CoDel),
    /// As Facebook describes it.
    AdaptiveLifo(CoDel),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CoDel {
    /// Acceptable wait; 5ms when not written.
    target: Option<Duration>,
    /// For how long more than that is a burst; 100ms when not written.
    interval: Option<Duration>,
}

/// Work takes longer after a pod became ready, less and less so.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct WarmUp {
    /// Until it is over.
    #[schemars(rename = "for")]
    length: Duration,
    /// How many times as long the first work takes; falls to 1 in a straight line.
    #[schemars(range(min = 1, max = 1000))]
    factor: f64,
    /// Pods that exist when the run begins have just started; false when not written.
    at_start: Option<bool>,
}

/// Pauses of the runtime (garbage collection): no work of the pod goes on meanwhile.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Pauses {
    /// From the end of one to the next.
    every: Distribution,
    /// How long one lasts.
    #[schemars(rename = "for")]
    length: Distribution,
}

/// A CPU limit per pod, enforced every 100 ms as the kernel does.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Cpu {
    /// Cores: `500m`, `2`; `resources.limits.cpu` of its containers when not written.
    limit: Option<TextOrNumber>,
    /// Processor time of a request; its service time when not written.
    per_request: Option<Distribution>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(super) enum Deadline {
    /// Works on, whoever waits.
    Ignore,
    /// Gives up when it is over (504, or gRPC status 4); its calls end by it.
    Propagate,
}
