//! `routes` of a Scenario: where single requests have to go, as the tables alone decide it.

use super::run::LoadSource;
use crate::http::Url;
use crate::units::{Fraction, Origin};
use crate::xds::Name;

/// A request and where it has to go.
#[derive(Clone, Debug)]
pub struct RouteTest {
    /// What it is called in reports.
    pub name: Name,
    /// Who calls; `None`: whoever sends the scenario's first load.
    pub from: Option<LoadSource>,
    /// What is called.
    pub url: Url,
    /// `GET` when not written.
    pub method: Name,
    /// Headers of the request.
    pub headers: Vec<(Name, Name)>,
    /// Where it has to go; at least one thing is asked for.
    pub wanted: Wanted,
    /// Where it was written.
    pub origin: Origin,
}

/// What has to hold of a route.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// Subsets, Services or clusters, each with the share it has to get (`None`: all that is left).
    pub to: Vec<(Name, Option<Fraction>)>,
    /// Path as the upstream sees it.
    pub path: Option<Name>,
    /// `:authority` as the upstream sees it.
    pub host: Option<Name>,
    /// Status of a redirect, of a direct response, or 404 where no route matches.
    pub status: Option<u16>,
    /// `location` of a redirect.
    pub redirect: Option<Name>,
    /// Subset, Service or cluster that gets a copy.
    pub mirror: Option<Name>,
}
