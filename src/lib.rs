//! **towtank**: a towing tank for service meshes. Ship models are tried in a towing tank before
//! a hull is built; service meshes are tried here before they are deployed.
//!
//! It reads the Kubernetes and Istio YAML that people already have, adds a small model of how
//! their applications behave, and tows it through trouble in virtual time: a seeded,
//! deterministic discrete-event engine under proxies that decide as Envoy 1.40 decides.
//!
//! # A compiler followed by a machine
//!
//! ```text
//! text ──manifest──▶ objects ──config──▶ MeshConfig ──control_plane──▶ xds::Snapshot
//!                                            │                              │
//!                                 Model, Scenario                           ▼
//!                                            └────▶ simulation::prepare ──▶ Plan ──run──▶ Outcome
//!                                                                                           │
//!                                        report ◀── observe::Record ◀── experiment::replicate
//! ```
//!
//! Manifests are compiled to the four tables a real control plane would send (listeners,
//! routes, clusters, endpoints); a single-threaded machine then runs requests through those
//! tables. [`xds::Snapshot`] is the waist: left of it nothing knows time, right of it nothing
//! knows YAML.
//!
//! | Room | Holds |
//! |---|---|
//! | [`units`], [`http`] | numbers with meaning; words of HTTP |
//! | [`diagnostic`] | what is said about input: code, place, what is wrong, what to do |
//! | [`manifest`] | YAML and JSON to objects that know their lines |
//! | [`config`] | typed, defaulted, validated objects; the Model and Scenario kinds |
//! | [`control_plane`] | what istiod decides: MeshConfig to tables |
//! | [`xds`] | the tables |
//! | [`engine`] | future events, random streams, distributions; knows no mesh word |
//! | [`data_plane`] | what Envoy decides, as state machines that are told the time |
//! | [`workload`], [`network`] | pods as servers; how long bytes travel |
//! | [`simulation`] | the only room that knows engine and mesh: a request's life |
//! | [`observe`] | counters, histograms, the finished record |
//! | [`analyze`], [`verdict`] | what is wrong with manifests, without running anything; what a run means |
//! | [`experiment`] | many runs: replications, two meshes on the same luck, expectations, capacity |
//! | [`lesson`] | texts that claim, ask, and say what to run; compiled in |
//! | [`explain`], [`report`], [`export`], [`cli`] | reasons in words; text, JSON, CSV; tables for a real Envoy; the command line |
//!
//! A room imports only rooms below it; a test reads the sources and holds that.
//!
//! # Example
//!
//! ```
//! use std::sync::atomic::AtomicBool;
//! use towtank::config::load::{LoadOptions, load};
//! use towtank::config::scenario::{Model, decode_scenario};
//! use towtank::{control_plane, experiment, manifest::Source, simulation, units::ObjectId};
//!
//! let yaml = "
//! apiVersion: v1
//! kind: Service
//! metadata: {name: hello, namespace: shop}
//! spec: {selector: {app: hello}, ports: [{name: http, port: 80}]}
//! ---
//! apiVersion: apps/v1
//! kind: Deployment
//! metadata: {name: hello, namespace: shop}
//! spec:
//!   replicas: 2
//!   selector: {matchLabels: {app: hello}}
//!   template: {metadata: {labels: {app: hello}}}
//! ---
//! apiVersion: apps/v1
//! kind: Deployment
//! metadata: {name: client, namespace: shop}
//! spec:
//!   selector: {matchLabels: {app: client}}
//!   template: {metadata: {labels: {app: client}}}
//! ---
//! apiVersion: towtank/v1alpha1
//! kind: Scenario
//! metadata: {name: hello}
//! spec:
//!   duration: 10s
//!   load:
//!   - {name: people, from: shop/client, url: http://hello/, rate: 50/s}
//! ";
//! let source = Source { path: "hello.yaml".into(), text: yaml.to_owned() };
//! let loaded = load(vec![source], &LoadOptions::default());
//! let no_files = |_: &str| Err("no files".to_owned());
//! let (scenario, problems) = decode_scenario(&loaded.scenarios[0], ObjectId::default(), &no_files);
//! assert!(problems.is_empty());
//!
//! let snapshot = control_plane::compile(&loaded.config);
//! let plan = simulation::prepare(&snapshot, &Model::default(), &scenario).expect("nothing is missing");
//! let interrupted = AtomicBool::new(false);
//! let control = simulation::Control { interrupted: &interrupted, progress: None, keep_requests: 0 };
//! let record = experiment::replicate(&plan, 1, 1, None, &control);
//!
//! let people = &record.clients[0];
//! assert_eq!(people.statuses["200"], people.requests);
//! assert!((400..600).contains(&people.requests), "50 per second for 10 seconds");
//! ```
//!
//! # What is promised
//!
//! * **Determinism.** Same inputs, seed and version give the same bytes, on any machine and
//!   thread count: integer time, a total order of events, randomness keyed by name, portable
//!   mathematics, no walk over a hash map. Every record carries a digest.
//! * **Nothing is silently dropped.** Configuration that is read and not simulated is named.
//! * **No panic on input.** What is wrong is said with file and line, all at once.
#![forbid(unsafe_code)]

pub mod analyze;
pub mod cli;
pub mod config;
pub mod control_plane;
pub mod data_plane;
pub mod diagnostic;
pub mod engine;
pub mod experiment;
pub mod explain;
pub mod export;
pub mod http;
pub mod lesson;
pub mod manifest;
pub mod network;
pub mod observe;
pub mod report;
pub mod simulation;
pub mod units;
pub mod verdict;
pub mod workload;
pub mod xds;
