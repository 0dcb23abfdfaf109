//! Tables as canonical text and JSON, for approved snapshots and for people.
//!
//! Same tables, same bytes: everything is written in the order the tables have, nothing
//! depends on ids or addresses in memory. Words are Envoy's and istioctl's. Every entry
//! says where it comes from as `file:line`; what nobody wrote says `built-in default`.

mod filters;
mod json;
mod rare;
mod text;
pub mod words;

pub use json::{cluster, endpoint, inbound, json, listener, route_config};
pub use text::text;
