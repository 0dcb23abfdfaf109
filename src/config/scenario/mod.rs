//! Our own kinds: how applications behave (`Model`) and what happens in one experiment (`Scenario`).
//!
//! Both are Kubernetes-style documents, `apiVersion: towtank/v1alpha1`, and both are optional.
//! Decoding never fails: it returns the value with what could be read and everything that is wrong.
//! The published JSON Schema ([`model_schema`], [`scenario_schema`]) comes from mirror types whose
//! fields a test compares with those the decoder reads.

mod events;
mod expect;
mod expect_tokens;
mod lengths;
mod limits;
mod model;
mod pod_model;
mod profile;
mod read_call;
mod read_events;
mod read_expect;
mod read_figure;
mod read_load;
mod read_model;
mod read_pod;
mod read_profile;
mod read_routes;
mod read_scenario;
mod reader;
mod route_test;
mod run;
mod schema;

#[cfg(test)]
mod tests;

pub use events::{EventKind, FailureKind, Part, Target, TargetKind, TimedEvent, spare_pods};
pub use expect::{Assertion, Expectation, Figure, FigureKind, Relation, Statistic, Unit};
pub use lengths::Files;
pub use limits::{
    CONNECTIONS_MAX, DURATION_MAX, IN_FLIGHT, Objection, REPLICATIONS_MAX, REQUESTS_MAX,
};
pub use model::{
    AppError, AppRetries, CallSpec, Connections, ErrorKind, Model, NetworkModel, NetworkPair,
    OnError, RetryThrottle, StepSpec, ThrottleRule, WorkloadModel,
};
pub use pod_model::{
    CallPool, CallTimes, ColdStart, CpuLimit, PriorityLevel, QueueDiscipline, RequestPriority,
    RuntimePauses,
};
pub use profile::{Course, Profile, ProfileShape, Spike, Stage};
pub use read_expect::expectation;
pub(crate) use read_model::WORKERS_MAX;
pub use read_model::decode_model;
pub use read_scenario::decode_scenario;
pub use route_test::{RouteTest, Wanted};
pub use run::{ArrivalKind, HeaderValue, Load, LoadSource, LoadStyle, MixEntry, Scenario};
pub use schema::{model_schema, scenario_schema};

/// `apiVersion` of both kinds.
pub const API_VERSION: &str = "towtank/v1alpha1";
