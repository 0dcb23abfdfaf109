//! The proof against a real Envoy: the same manifests, applications and load on both sides.
//!
//! * Recorded results of Envoy 1.40 are committed under `recorded/`; the ordinary test run
//!   compares the simulator with them and needs neither Envoy nor network.
//! * With `TOWTANK_ENVOY=$(.ci/envoy)` in the environment every case is run for real as well. `TOWTANK_RECORD=5` records that many repeats anew,
//!   `TOWTANK_CASE=text` narrows to some cases.
//! * `models/FIDELITY.md` is generated from both; `TOWTANK_RECORD` rewrites it too.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a real proxy runs in real time, on real sockets"
)]

mod case;
mod certificates;
mod dice;
mod envoy;
mod export;
mod fidelity;
mod figures;
mod http1;
mod http2;
mod load;
mod routing;
mod sidecars;
mod sides;
mod tls;
mod upstream;

use std::sync::{Mutex, MutexGuard};

/// Only one Envoy at a time: cases share addresses, and their times are measured.
fn alone() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The binary, or a word that it is missing.
fn envoy_or_skip(what: &str) -> Option<std::path::PathBuf> {
    let found = envoy::binary();
    if found.is_none() {
        eprintln!("{what}: skipped: no Envoy (TOWTANK_ENVOY=$(.ci/envoy) runs it)");
    }
    found
}
