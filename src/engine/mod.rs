//! A small discrete-event engine: a clock, a queue of future events, random draws, distributions.
//!
//! Knows time, order and chance. May not know what an event means: no word of meshes, HTTP or
//! YAML appears here, and the same code would run a bank's counter. That keeps the one place
//! where order is decided small enough to be tested against a naive model.
//!
//! Three choices carry the rest:
//!
//! - **Order is `(time, sequence number)`**: total, and first in first out on ties, whatever the
//!   queue does inside. Nothing about its layout can reach a result.
//! - **Cancellable timers wait in lanes.** Timers of one length expire in the order they were
//!   armed, so each length has a linked list; arming and cancelling cost the same however many
//!   wait. Nearly every timer of a mesh is cancelled, so this decides the speed of the whole.
//! - **Draws are keyed, not sequenced.** A draw is a function of (seed, names, counters), so one
//!   more entity or one more draw elsewhere shifts nobody's luck, and two variants of a model
//!   can be compared on the same luck.

mod calendar;
pub mod distribution;
mod heap;
pub mod queue;
pub mod rate_curve;
pub mod rng;
pub mod run;
mod timers;

pub use distribution::{Distribution, Sampler};
pub use queue::{LaneId, Queue, TimerId};
pub use rate_curve::RateCurve;
pub use rng::{Draws, Seed};
pub use run::{Model, Stop, run_until};
