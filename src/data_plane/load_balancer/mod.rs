//! Load balancing: which host gets a try.
//!
//! Three parts with three lifetimes. A [`HostSet`] is what the control plane said about one
//! cluster as one client locality sees it; it never changes and is shared. An [`LbView`] adds
//! who is healthy: lists, priority loads, rings and tables; the all-healthy view is shared by
//! all proxies, an ejection builds a private one. An [`LbState`] is what one worker of one
//! proxy remembers between picks: round-robin indexes and EDF schedules.
//!
//! [`pick`] puts them together (`source/extensions/load_balancing_policies/**`). It allocates
//! nothing and draws random numbers only from its context. Not modelled: degraded hosts,
//! subsets (Istio makes none: a subset is a cluster).

mod bounded_load;
mod edf;
mod host_set;
mod least_request;
mod locality;
mod maglev;
mod mt19937;
mod picker;
mod priority;
mod random;
mod ring_hash;
mod round_robin;
mod slow_start;
mod state;
mod view;
mod zone;

pub use edf::Edf;
pub use host_set::{HostSet, LbHost, LbLocality, LbPriority};
pub use maglev::MaglevTable;
pub use picker::{Pick, PickContext, pick, pick_simply};
pub use priority::{Loads, OVERPROVISIONING, choose_excluding, choose_priority, health};
pub use ring_hash::{MAX_RING_SIZE, Ring};
pub use state::LbState;
pub use view::{LbView, Moved, PriorityView};
pub use zone::{ZonePick, Zones, ZonesOff};
