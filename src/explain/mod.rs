//! Decisions in words: reasons from the data plane, with the lines of configuration behind them.
//!
//! Knows the tables and what the reasons mean; decides nothing.

pub mod narrate;
mod refusal;
mod settings;
mod zones;

pub use narrate::narrate;
