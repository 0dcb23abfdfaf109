//! What runs behind the proxy: pods that serve so many requests at once and queue the rest.
//!
//! Knows nothing of proxies, routes or why a request exists.

pub mod pod;

pub use pod::{Admission, Limits, Pod};
