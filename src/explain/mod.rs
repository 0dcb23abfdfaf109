//! Decisions in words: reasons from the data plane, with the lines of configuration behind them.
//!
//! Knows the tables and what the reasons mean; decides nothing.

mod critical_path;
pub mod narrate;
mod refusal;
mod settings;
pub mod trace;
mod zones;

pub use critical_path::{Share, critical_path};
pub use narrate::{Told, narrate, narrate_in_time};
pub use trace::{Explanation, explain};
