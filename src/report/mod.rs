//! Finished results as text, JSON and CSV.
//!
//! Takes a [`crate::observe::Record`] (or a compiled snapshot) as a finished value and
//! returns strings; it does not know how a record came about, and touches neither disk nor
//! terminal. Every format says the same numbers: text is for eyes and rounds, JSON is the
//! contract that other tools build on (one set of types gives the output *and* its published
//! schema), CSV is for spreadsheets.

pub mod analyze;
pub mod capacity;
pub mod csv;
pub mod curl;
pub mod diff;
pub mod expectation;
pub mod explain;
pub mod format;
pub mod github;
pub mod json;
pub mod junit;
pub mod lesson;
pub mod notice;
pub mod proxy_config;
pub mod proxy_stats;
pub mod sarif;
pub mod snapshot;
pub mod sweep;
mod table;
pub mod test;
pub mod text;

pub use crate::observe::interval;
