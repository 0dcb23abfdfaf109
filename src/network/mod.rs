//! How long bytes travel: one-way latencies by how far apart two localities are.
//!
//! Knows places and distributions, nothing of requests.

pub mod latency;
pub mod push;

pub use latency::{AREAS_MAX, Distances, Link};
pub use push::Debounce;
