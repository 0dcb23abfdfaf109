//! Many runs and what they say together.
//!
//! Parallelism belongs between replications, never inside a run: each is single-threaded and
//! seeded by its number, and results are merged by number, so the number of threads changes
//! nothing but the time it takes.

pub mod along;
pub mod bench;
pub mod bracket;
pub mod capacity;
pub mod counterfactual;
pub mod diff;
pub mod expectation;
mod expected_names;
pub mod failover;
pub mod replicas;
pub mod replicate;
mod route_test;
pub mod sidecars;
pub mod sweep;

pub use bench::{BenchResult, Reference, bench, bench_w1, w1_plan};
pub use expectation::settle_findings;
pub use expected_names::unknown_names;
pub use replicate::{Expected, replicate, replicate_each, replicate_expecting};
pub use route_test::judge_routes;
