//! One binary for all integration tests.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "tests read files, the environment and standard functions to compare with, and say what they measured"
)]

mod analyze;
mod autoscaling;
mod bad_input;
mod capacity;
mod changes;
mod config_admission;
mod config_load;
mod config_recipe;
mod config_rules;
mod config_samples;
mod conservation;
mod contract;
mod control_plane_recipe;
mod data_plane_balancer;
mod data_plane_ejections;
mod data_plane_health;
mod data_plane_limits;
mod data_plane_mutate;
mod data_plane_outlier;
mod data_plane_outlier_rates;
mod data_plane_pools;
mod data_plane_retry;
mod data_plane_router;
mod data_plane_routes;
mod data_plane_tries;
mod determinism;
mod diffs;
mod diffs_git;
mod engines;
mod envoy_filter;
mod events;
mod expectations;
mod explain;
mod gate;
mod harness;
mod istio;
mod layering;
mod lessons;
mod lessons_read;
mod load_profiles;
mod manifest_fuzz;
mod manifest_reader;
mod models;
mod pages;
mod program;
mod proxy_stats;
mod published;
mod questions;
mod readme;
mod recipe;
mod reports;
mod runs_support;
mod scenario_fuzz;
mod scenario_schema;
mod set_values;
mod shared;
mod simulation_calls;
mod simulation_filters;
mod simulation_pods;
mod simulation_retries;
mod stories;
mod sweeps;
mod sweeps_results;
mod tank;
mod theory_queues;
mod theory_support;
mod theory_tandem3;
mod trouble;
mod verdicts;
mod zone_aware;
