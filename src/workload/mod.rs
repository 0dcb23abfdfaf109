//! What runs behind the proxy: pods that serve so many requests at once and queue the rest.
//!
//! Knows nothing of proxies, routes or why a request exists.

pub mod autoscaler;
pub mod discipline;
pub mod pod;
pub mod slowness;

pub use autoscaler::{Autoscaler, SYNC};
pub use discipline::{Discipline, Next, Wait, Waiting};
pub use pod::{Admission, Limits, Pod};
pub use slowness::{CFS_PERIOD, CpuQuota, Pauses, WarmUp};
