//! Sources of requests.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::call::Retries;
use super::length::{Distribution, Duration};
use super::profile::Profile;
use super::value::{HeaderValue, TextOrNumber};

/// A source of requests: open (`rate`) or closed (`connections`).
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Load {
    /// Unique in the scenario.
    name: Option<String>,
    /// Who calls.
    from: LoadSource,
    /// What is called. May be left out when every entry of `mix` has its own.
    url: Option<String>,
    /// GET when not written.
    method: Option<String>,
    /// Headers of every request.
    headers: Option<BTreeMap<String, HeaderValue>>,
    /// Open loop: mean rate over all pods of the caller, for example `200/s`.
    rate: Option<TextOrNumber>,
    /// Open loop: how the rate changes over time, counted from `start`.
    profile: Option<Profile>,
    /// Open loop: spacing; poisson when not written.
    arrivals: Option<Arrivals>,
    /// Closed loop: users, each of whom sends the next request when the last is answered.
    #[schemars(range(min = 1, max = 1_000_000))]
    connections: Option<u32>,
    /// Stop after this many.
    #[schemars(range(min = 1, max = 2_000_000_000))]
    requests: Option<u64>,
    /// Closed loop: upper limit over all connections; 0 is none.
    qps: Option<TextOrNumber>,
    /// Closed loop: pause before the next request.
    think: Option<Distribution>,
    /// Closed loop: the users begin one after the other within this time; all at once when not written.
    ramp_up: Option<Duration>,
    /// When it begins, after the beginning of the run; 0s when not written.
    start: Option<Duration>,
    /// When it stops; at the end of the duration when not written.
    stop: Option<Duration>,
    /// The client's own timeout of each try.
    timeout: Option<Duration>,
    /// The client's own retries, above those of its proxy.
    retries: Option<Retries>,
    /// Kinds of request by weight.
    mix: Option<Vec<MixEntry>>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(super) enum Arrivals {
    Poisson,
    Constant,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum LoadSource {
    /// `namespace/name`.
    Workload(String),
    Outside(OutsideSource),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct OutsideSource {
    /// A client without a proxy, outside the mesh.
    outside: Outside,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Outside {
    /// `region[/zone]` where it stands.
    locality: Option<String>,
    /// Gateway workload (`namespace/name`) that takes its requests; the only one when not written.
    via: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct MixEntry {
    /// Share of the requests.
    #[schemars(range(max = 1_000_000))]
    weight: u32,
    /// Instead of the load's.
    url: Option<String>,
    /// Instead of the load's.
    method: Option<String>,
    /// Added to the load's; the same name replaces.
    headers: Option<BTreeMap<String, HeaderValue>>,
}
