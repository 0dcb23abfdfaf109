//! The parts of an event.

use schemars::JsonSchema;

use super::length::{Distribution, Duration};
use super::value::TextOrNumber;

/// Something that happens at a moment: exactly one verb.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Event {
    /// When, from the start of the run.
    at: Duration,
    /// How long it lasts; to the end when not written.
    r#for: Option<Duration>,
    /// Pods stop working; after `for` they start again.
    fail: Option<Fail>,
    /// Failed pods start again.
    restore: Option<Restore>,
    /// Own work takes longer.
    slow: Option<Slow>,
    /// Applications fail more often.
    errors: Option<Errors>,
    /// Pods serve fewer requests at once.
    capacity: Option<Capacity>,
    /// Nothing passes between two places.
    partition: Option<Partition>,
    /// What passes between two places takes longer.
    delay: Option<Delay>,
    /// A workload gets another number of pods.
    scale: Option<Scale>,
    /// All pods of a workload are replaced, as `kubectl rollout restart` does it.
    rollout: Option<Rollout>,
    /// Manifests are given to the API server, as `kubectl apply -f` does it: a file beside the
    /// Scenario, or several.
    apply: Option<FileNames>,
    /// Objects of manifests are taken from the API server, as `kubectl delete -f` does it.
    delete: Option<FileNames>,
}

/// A file beside the Scenario, or several.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum FileNames {
    One(String),
    Several(Vec<String>),
}

/// Writes a struct whose first fields say which pods are meant.
macro_rules! about_pods {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(JsonSchema)]
        #[schemars(rename_all = "camelCase", deny_unknown_fields)]
        pub(super) struct $name {
            /// Pods of this workload, `namespace/name`.
            workload: Option<String>,
            /// This pod, `namespace/name`.
            pod: Option<String>,
            /// Pods on this node.
            node: Option<String>,
            /// Pods in this `region/zone`.
            zone: Option<String>,
            /// Pods in this region.
            region: Option<String>,
            /// How many of them, the first in name order: `2` or `50%`; all when not written.
            pods: Option<TextOrNumber>,
            $($(#[$field_doc])* $field: $type,)*
        }
    };
}

about_pods! {
    /// Which pods, and what is seen of them.
    Fail {
        /// What is seen of them; `blackhole` for nodes, zones and regions, else `kill`.
        how: Option<Failure>,
        /// From the failure to the change of the pods' readiness; as Kubernetes notices it when not written.
        noticed: Option<Duration>,
    }
}

about_pods! {
    /// Which pods.
    Restore {}
}

about_pods! {
    /// Which pods, and how much longer.
    Slow {
        /// Service times are multiplied by this.
        factor: Option<f64>,
        /// And this is added.
        add: Option<Distribution>,
    }
}

about_pods! {
    /// Which pods, and one kind of error as in a Model.
    Errors {
        /// Answers with this status.
        status: Option<u16>,
        /// Answers with this grpc-status.
        grpc: Option<u8>,
        /// Closes the connection instead of answering.
        reset: Option<bool>,
        /// Never answers.
        hang: Option<bool>,
        /// Refuses the connection of its own sidecar.
        refuse: Option<bool>,
        /// Share of requests.
        rate: TextOrNumber,
    }
}

about_pods! {
    /// Which pods, and what is left of them.
    Capacity {
        /// Share of the slots that is left: `25%`; at least one slot stays.
        share: TextOrNumber,
    }
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(super) enum Failure {
    /// The pod is gone: its connections are reset, new ones refused.
    Kill,
    /// The application is gone, its sidecar answers 503.
    Crash,
    /// The application accepts and does not answer.
    Hang,
    /// Packets vanish.
    Blackhole,
}

/// Between which places.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Partition {
    /// Two localities, `region[/zone]`.
    #[schemars(length(min = 2, max = 2))]
    between: Vec<String>,
}

/// Between which places, and how much longer.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Delay {
    /// Two localities, `region[/zone]`.
    #[schemars(length(min = 2, max = 2))]
    between: Vec<String>,
    /// One way, on top.
    by: Distribution,
}

/// Of which workload, and to how many pods.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Scale {
    /// `namespace/name`.
    workload: String,
    /// Pods it shall have.
    replicas: u32,
}

/// Of which workload.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Rollout {
    /// `namespace/name`.
    workload: String,
}
