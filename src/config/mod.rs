//! Typed, defaulted and validated configuration: one file per kind.
//!
//! [`store::MeshConfig`] holds every object that takes part, ordered by (namespace, name).
//! Decoding never fails: unknown fields, wrong types and refused values become diagnostics,
//! and the object keeps what could be read, which is what `--force` runs with.
//! Knows documents (`manifest`) and nothing of time, except that our own kinds speak of it.

pub mod aside;
pub mod decode;
pub mod host;
pub mod istio;
pub mod k8s;
pub mod load;
mod meta;
pub mod scenario;
pub mod selector;
pub mod store;

pub use load::{LoadOptions, Loaded, load};
pub use store::{IstioVersion, MeshConfig, Meta};
