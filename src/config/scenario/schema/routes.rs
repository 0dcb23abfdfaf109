//! Where single requests have to go.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::load::LoadSource;
use super::value::TextOrNumber;

/// A request and where it has to go, as the tables alone decide it; judged by `towtank test`.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RouteTest {
    /// What it is called in reports; method and URL when not written.
    name: Option<String>,
    /// Who calls; whoever sends the scenario's first load when not written.
    from: Option<LoadSource>,
    /// What is called.
    url: String,
    /// GET when not written.
    method: Option<String>,
    /// Headers of the request.
    headers: Option<BTreeMap<String, TextOrNumber>>,
    /// Subset, `service/subset`, Service or cluster that takes it; or several with their shares.
    to: Option<RouteTo>,
    /// Path as the upstream sees it.
    path: Option<String>,
    /// `:authority` as the upstream sees it.
    host: Option<String>,
    /// Status of a redirect, of a direct response, or 404 where no route matches.
    #[schemars(range(min = 200, max = 599))]
    status: Option<u16>,
    /// `location` of a redirect.
    redirect: Option<String>,
    /// Subset, Service or cluster that gets a copy.
    mirror: Option<String>,
}

/// Where a request goes.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum RouteTo {
    /// All of them.
    All(String),
    /// By share: `{v1: 90%, v2: 10%}`.
    Shares(BTreeMap<String, TextOrNumber>),
}
