//! Numbers with meaning: time, rates, fractions, ids, hashes and origins.
//!
//! Imports nothing of ours; everything else may import it. A quantity here is an
//! integer wherever order or equality matters, so that it compares, adds and
//! prints the same on every machine.

pub mod fraction;
pub mod hash;
pub mod id;
pub mod origin;
pub mod rate;
pub mod time;

pub use fraction::Fraction;
pub use id::{Id, IdVec};
pub use origin::{ObjectId, ObjectRef, Origin, Origins};
pub use rate::Rate;
pub use time::{SimDuration, SimTime};
