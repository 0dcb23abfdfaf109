//! How long bytes travel: one-way latencies by how far apart two localities are.
//!
//! Knows places and distributions, nothing of requests.

pub mod latency;

pub use latency::{Distances, Link};
