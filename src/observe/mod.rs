//! Writes down what happened; never decides anything.
//!
//! [`Recorder`] counts by id while a run goes on; [`Record`] is the finished result with
//! names. Sees ids, flags and times, no behaviour.

pub mod app_stats;
pub mod ejections;
pub mod envoy_stats;
pub mod histogram;
pub mod interval;
pub mod proxy_stats;
pub mod proxy_view;
pub mod record;
pub mod recorder;
pub mod tally;
pub mod worker_counts;

pub use app_stats::{AppStat, AppStats};
pub use ejections::{EjectionLog, EjectionNote};
pub use envoy_stats::{ClusterStats, Stat};
pub use histogram::Histogram;
pub use interval::Interval;
pub use proxy_stats::{ProxyStat, ProxyStats};
pub use record::Record;
pub use recorder::Recorder;
pub use tally::Tally;
pub use worker_counts::WorkerCounts;
