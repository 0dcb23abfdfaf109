//! What istiod decides: typed configuration in, one [`Snapshot`](crate::xds::Snapshot) out.
//!
//! File names follow the sources of istiod (`pilot/pkg/model`, `pilot/pkg/networking/core`),
//! so that a rule is found here where it is found there. [`compile`] runs in four steps:
//!
//! 1. `fleet`: workloads become pods with names, addresses, places and sidecars;
//! 2. `registry`: Services and ServiceEntries become one model of services with endpoints;
//! 3. `push_context`: VirtualServices, DestinationRules and policies are indexed;
//! 4. `compile`: each class of proxies that sees the same gets its tables, with EnvoyFilters laid
//!    over them (`envoy_filter`).
//!
//! It may not know the clock, the engine or a scenario: tables are a pure function of
//! configuration. Endpoint priorities depend on the client's place and are left to
//! `xds::endpoint`. Proxies share tables by class because a mesh of a thousand services
//! has a thousand proxies that see the same thousand services.

mod address;
mod authorization;
mod changes;
mod cluster;
mod compile;
mod concurrency;
pub mod defaults;
mod delegate;
mod destination_rule;
mod domains;
mod endpoint;
mod envoy_filter;
mod external;
mod fleet;
mod gateway;
mod gateway_servers;
mod hash_policy;
mod inbound;
mod injection;
mod listener;
mod locality;
mod mtls;
mod protocol;
mod proxy;
mod push_context;
mod registry;
mod retry_policy;
mod route;
mod route_match;
mod self_discovery;
mod sidecar_scope;
mod subset;
mod tables;
mod tcp_route;
mod traffic_policy;
mod virtual_host;
mod virtual_service;
mod visibility;

pub use changes::compile_all;
pub use compile::compile;
pub use injection::{is_injected, is_system};

#[cfg(test)]
mod tests;
