//! The parts of a Scenario.

use schemars::JsonSchema;

use super::events::Event;
use super::expect::Expectation;
use super::length::Duration;
use super::load::Load;
use super::routes::RouteTest;

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ScenarioSpec {
    /// Files and folders of manifests, relative to this document.
    manifests: Option<Vec<String>>,
    /// File of the Model; the Model in the same file, or stated defaults, when not written.
    model: Option<String>,
    /// Istio release in quotes, for example `"1.30"`.
    istio_version: Option<String>,
    /// How long load is offered. May be left out when every load stops by `requests`.
    duration: Option<Duration>,
    /// Time before counting begins; part of the duration. 0s when not written.
    warm_up: Option<Duration>,
    /// Which luck; 1 when not written.
    seed: Option<u64>,
    /// Independent repetitions; 1 when not written.
    #[schemars(range(min = 1, max = 10000))]
    replications: Option<u32>,
    /// Calls, or tries, that may be under way at once before a run is ended, as storms in front of queues without end would fill any memory; 4000000 when not written.
    #[schemars(range(min = 1, max = 100_000_000))]
    max_in_flight: Option<u32>,
    /// Sources of requests.
    #[schemars(length(min = 1))]
    load: Vec<Load>,
    /// What happens to the mesh meanwhile.
    events: Option<Vec<Event>>,
    /// What has to hold.
    expect: Option<Vec<Expectation>>,
    /// Where single requests have to go, as the tables alone decide it.
    routes: Option<Vec<RouteTest>>,
}
