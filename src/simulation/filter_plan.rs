//! Added HTTP filters, prepared: which request passes which of them, and who owns their state.
//!
//! A filter's state belongs to one configuration in one proxy: every connection manager has its
//! own, and so has every route or virtual host that brings one. What a request takes from a rate
//! limit is decided here, once per kind of request.

use std::sync::Arc;

use super::plan::NIL;
use super::resolve::RequestClass;
use crate::data_plane::local_rate_limit::buckets_of;
use crate::xds::filter::{
    AdaptiveConcurrency, AdmissionControl, FilterKind, FilterPlace, HttpFilter, LocalRateLimit,
    RouteFilters,
};

/// All added filters of a plan.
#[derive(Clone, Debug, Default)]
pub(crate) struct FilterPlans {
    pub(crate) limits: Vec<LimitPlan>,
    pub(crate) admissions: Vec<Instance<AdmissionControl>>,
    pub(crate) concurrencies: Vec<Instance<AdaptiveConcurrency>>,
    /// Steps at servers, by the index in [`Target`](super::plan::Target).
    pub(crate) at_servers: Vec<Vec<FilterStep>>,
    /// Workloads and names under which statistics are kept.
    pub(crate) scopes: Vec<Scope>,
}

/// A local rate limit in the proxies of a workload.
#[derive(Clone, Debug)]
pub(crate) struct LimitPlan {
    pub(crate) settings: Arc<LocalRateLimit>,
    pub(crate) scope: u32,
    app: u32,
    place: String,
}

/// A filter with settings of its own in the proxies of a workload.
#[derive(Clone, Debug)]
pub(crate) struct Instance<S> {
    pub(crate) settings: S,
    pub(crate) scope: u32,
    app: u32,
    place: String,
}

/// What statistics are called before their last name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) workload: String,
    pub(crate) prefix: String,
}

/// What a request passes in the proxy that sends it.
#[derive(Clone, Debug, Default)]
pub(crate) struct FilterSteps {
    pub(crate) before_fault: Vec<FilterStep>,
    pub(crate) after_fault: Vec<FilterStep>,
}

/// One filter as a kind of request passes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FilterStep {
    /// Index among the limits, and the buckets it takes from: positions of descriptors, `None`
    /// for the default one.
    RateLimit(u32, Vec<Option<usize>>),
    /// Index among the admission controls.
    Admission(u32),
    /// Index among the concurrency controllers.
    Concurrency(u32),
}

/// A connection manager: whose, and where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manager<'m> {
    pub(super) app: u32,
    pub(super) workload: &'m str,
    /// Tells it from the workload's others: listener and chain.
    pub(super) place: &'m str,
    /// `http.outbound_0.0.0.0_80`.
    pub(super) prefix: &'m str,
}

impl FilterPlans {
    /// The steps of a kind of request through a connection manager's added filters.
    pub(super) fn steps(
        &mut self,
        manager: Manager<'_>,
        filters: &[HttpFilter],
        route: Option<&RouteFilters>,
        class: &RequestClass,
    ) -> FilterSteps {
        let mut steps = FilterSteps::default();
        for (number, filter) in filters.iter().enumerate() {
            let step = self.step(manager, number, filter, route, class);
            match filter.place {
                FilterPlace::First | FilterPlace::BeforeFault => steps.before_fault.push(step),
                FilterPlace::BeforeRouter => steps.after_fault.push(step),
            }
        }
        steps
    }

    /// The steps at a server, as an index; `NIL` when there are none.
    pub(super) fn at_server(
        &mut self,
        manager: Manager<'_>,
        filters: &[HttpFilter],
        route: Option<&RouteFilters>,
        class: &RequestClass,
    ) -> u32 {
        let steps = self.steps(manager, filters, route, class);
        let all = [steps.before_fault, steps.after_fault].concat();
        if all.is_empty() {
            return NIL;
        }
        let known = self.at_servers.iter().position(|known| *known == all);
        let at = known.unwrap_or_else(|| {
            self.at_servers.push(all);
            self.at_servers.len() - 1
        });
        at as u32
    }

    fn step(
        &mut self,
        manager: Manager<'_>,
        number: usize,
        filter: &HttpFilter,
        route: Option<&RouteFilters>,
        class: &RequestClass,
    ) -> FilterStep {
        let place = format!("{}/{number}", manager.place);
        match &filter.kind {
            FilterKind::LocalRateLimit(own) => {
                let of_route = route.and_then(|r| r.of(&filter.name));
                // A route's configuration is one for all managers that use the route.
                let (limit, place) = match of_route {
                    Some(limit) => (limit, String::new()),
                    None => (own, place),
                };
                let actions = route.map_or(&[][..], |r| &r.rate_limits);
                let buckets = buckets_of(limit, actions, &class.view());
                // Without a bucket it lets everything pass, and only counts.
                let limit = self.limit(manager, place, limit);
                FilterStep::RateLimit(limit, buckets)
            }
            FilterKind::AdmissionControl(settings) => {
                let scope = self.scope(manager.workload, manager.prefix);
                let at = instance(&mut self.admissions, manager.app, place, scope, settings);
                FilterStep::Admission(at)
            }
            FilterKind::AdaptiveConcurrency(settings) => {
                let scope = self.scope(manager.workload, manager.prefix);
                let at = instance(&mut self.concurrencies, manager.app, place, scope, settings);
                FilterStep::Concurrency(at)
            }
        }
    }

    fn limit(&mut self, manager: Manager<'_>, place: String, limit: &Arc<LocalRateLimit>) -> u32 {
        let same = |known: &LimitPlan| {
            known.app == manager.app && known.place == place && Arc::ptr_eq(&known.settings, limit)
        };
        if let Some(at) = self.limits.iter().position(same) {
            return at as u32;
        }
        let scope = self.scope(manager.workload, &limit.stat_prefix);
        self.limits.push(LimitPlan {
            settings: limit.clone(),
            scope,
            app: manager.app,
            place,
        });
        (self.limits.len() - 1) as u32
    }

    /// The index of a scope.
    pub(super) fn scope(&mut self, workload: &str, prefix: &str) -> u32 {
        let known = |s: &Scope| s.workload == workload && s.prefix == prefix;
        let at = self.scopes.iter().position(known).unwrap_or_else(|| {
            self.scopes.push(Scope {
                workload: workload.to_owned(),
                prefix: prefix.to_owned(),
            });
            self.scopes.len() - 1
        });
        at as u32
    }
}

fn instance<S: Clone>(
    all: &mut Vec<Instance<S>>,
    app: u32,
    place: String,
    scope: u32,
    settings: &S,
) -> u32 {
    let same = |known: &Instance<S>| known.app == app && known.place == place;
    let at = all.iter().position(same).unwrap_or_else(|| {
        all.push(Instance {
            settings: settings.clone(),
            scope,
            app,
            place,
        });
        all.len() - 1
    });
    at as u32
}
