//! What Envoy decides: routing, balancing, retries, breakers, ejection, authorization.
//!
//! Every behaviour here is a state machine that is told the time and returns a decision; it
//! knows neither the clock nor the queue nor who asks, and it owns no randomness: random
//! numbers (or for outlier detection, which seldom needs one, a seed) are arguments. So each rule can be tested with plain values, and the simulation,
//! `curl` and `explain` share the very same code.
//!
//! Reasons are optional: functions that decide take a [`Trail`]. Runs pass [`NoTrail`], for
//! which no reason is even built; explanations pass a [`Recorder`].
//!
//! The rules are those of Envoy 1.40. Not here: HTTP bytes, DNS, TLS, subset and zone-aware
//! balancing.

pub mod adaptive_concurrency;
pub mod admission_control;
pub mod authorization;
pub mod circuit_breaker;
pub mod conn_pool;
mod domain;
pub mod envoy_headers;
pub mod fault;
pub mod hash_policy;
pub mod header_match;
pub mod health;
pub mod hedge;
pub mod inbound;
pub mod load_balancer;
pub mod local_rate_limit;
pub mod merge_window;
pub mod mutate;
pub mod outlier_detection;
mod path;
pub mod pattern;
pub mod reason;
pub mod retry;
pub mod router;
pub mod timeout;
pub mod trail;

pub use load_balancer::{
    HostSet, LbState, LbView, Moved, Pick, PickContext, ZonePick, ZonesOff, pick, pick_simply,
};
pub use router::{RequestView, RouteDecision, Router, pick_weighted};
pub use trail::{Mark, NoTrail, NoTrailLively, Reason, Recorder, Trail};
