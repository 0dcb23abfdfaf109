//! Fields merged into virtual hosts and routes (`rc_patch.go`).

use std::sync::Arc;

use super::PatchId;
use crate::config::istio::{ActionWord, Change, ConfigPatch, RetryField, RouteField, RouteMatch};
use crate::control_plane::defaults::RETRY_BACKOFF_FACTOR;
use crate::control_plane::retry_policy::conditions;
use crate::control_plane::route::passthrough_route;
use crate::units::Origin;
use crate::xds::filter::RouteFilters;
use crate::xds::route::{Forward, RetryPolicy};
use crate::xds::{Action, Inbound, Name, Route, RouteConfig, VirtualHost};

/// Patches a route configuration; `None` when nothing in it is matched.
pub(super) fn patched(
    config: &RouteConfig,
    patches: &[(PatchId, &ConfigPatch)],
    used: &mut Vec<PatchId>,
) -> Option<RouteConfig> {
    let mut found = None;
    for (at, host) in config.virtual_hosts.iter().enumerate() {
        let mut new = host.clone();
        let hits = merge_host(&config.name, &mut new, patches);
        if !hits.is_empty() {
            used.extend(hits);
            found.get_or_insert_with(|| config.clone()).virtual_hosts[at] = new;
        }
    }
    found
}

/// Patches of the host come before those of its routes; what both set, the route decides.
fn merge_host(
    config: &Name,
    host: &mut VirtualHost,
    patches: &[(PatchId, &ConfigPatch)],
) -> Vec<PatchId> {
    let mut hits = Vec::new();
    let mut routes: Vec<Route> = host.routes.to_vec();
    let mut of_host: Vec<&RouteField> = Vec::new();
    for (id, patch) in patches {
        match &patch.change {
            Change::MergeVirtualHost(matches, fields) if host_matches(config, host, matches) => {
                hits.push(*id);
                of_host.extend(fields);
            }
            _ => {}
        }
    }
    for (id, patch) in patches {
        let Change::MergeRoute(matches, fields) = &patch.change else {
            continue;
        };
        if !host_matches(config, host, matches) {
            continue;
        }
        for route in routes.iter_mut().filter(|r| route_matches(r, matches)) {
            hits.push(*id);
            for field in fields {
                merge_route(route, field);
            }
        }
    }
    for field in of_host {
        merge_into_host(host, &mut routes, field);
    }
    if !hits.is_empty() {
        host.routes = routes.into();
    }
    hits
}

/// `routeConfigurationMatch`, `virtualHostMatch`. At a gateway the port is that of the name
/// `http.80` or `https.443.name.gateway.namespace`.
pub(super) fn host_matches(config: &str, host: &VirtualHost, wanted: &RouteMatch) -> bool {
    let port = match config.strip_prefix("inbound|") {
        Some(rest) => rest.split('|').next(),
        None if config.starts_with("http") => config.split('.').nth(1),
        None => Some(config),
    };
    let port = port.and_then(|text| text.parse::<u16>().ok());
    let same = |wanted: &Option<Name>, is: &str| wanted.as_ref().is_none_or(|w| **w == *is);
    let gateway = |wanted: &Name| match wanted.split_once('/') {
        Some((namespace, name)) => config.ends_with(&format!(".{name}.{namespace}")),
        None => false,
    };
    same(&wanted.name, config)
        && wanted.port.is_none_or(|p| Some(p) == port)
        && wanted.gateway.as_ref().is_none_or(gateway)
        && same(&wanted.vhost, &host.name)
        && (wanted.domain.as_ref()).is_none_or(|d| host.domains.iter().any(|domain| domain == d))
}

/// What arrives at a pod takes one route: `default` of the host `inbound|http|80` in
/// `inbound|8080||`. Only filters of it can be patched here.
pub(super) fn patch_inbound(
    inbound: &mut Inbound,
    patches: &[(PatchId, &ConfigPatch)],
    used: &mut Vec<PatchId>,
) {
    let mut host = VirtualHost {
        name: inbound.virtual_host.clone(),
        domains: vec!["*".into()],
        routes: Arc::new([Route {
            name: "default".into(),
            ..passthrough_route()
        }]),
        include_attempt_count: false,
        origin: inbound.origin,
    };
    let hits = merge_host(&inbound.cluster.name, &mut host, patches);
    used.extend(hits);
    inbound.route_filters = host.routes[0].filters.clone();
}

fn route_matches(route: &Route, wanted: &RouteMatch) -> bool {
    let named = wanted.route.as_ref().is_none_or(|name| *name == route.name);
    let acts = match (wanted.action, &route.action) {
        (None, _) => true,
        (Some(ActionWord::Route), action) => matches!(action, Action::Forward(_)),
        (Some(ActionWord::Redirect), action) => matches!(action, Action::Redirect(_)),
        (Some(ActionWord::DirectResponse), action) => matches!(action, Action::Direct(_)),
    };
    named && acts
}

fn filters(route: &mut Route) -> &mut RouteFilters {
    Arc::make_mut(route.filters.get_or_insert_default())
}

fn merge_route(route: &mut Route, field: &RouteField) {
    match field {
        RouteField::RateLimits(actions) => filters(route).rate_limits.extend(actions.clone()),
        RouteField::Fault(fault) => route.fault = Some(fault.clone()),
        // Every route has its own buckets.
        RouteField::RateLimit(name, limit) => {
            filters(route).set(name.clone(), Arc::new((**limit).clone()));
        }
        _ => {
            if let Action::Forward(forward) = &mut route.action {
                merge_forward(forward, field);
            }
        }
    }
}

fn merge_forward(forward: &mut Forward, field: &RouteField) {
    match field {
        RouteField::Timeout(length, origin) => {
            // Zero switches it off.
            forward.timeout = Some(*length).filter(|l| !l.is_zero());
            forward.timeout_origin = *origin;
        }
        RouteField::IdleTimeout(length) => forward.idle_timeout = Some(*length),
        RouteField::MaxGrpcTimeout(length) => forward.max_grpc_timeout = Some(*length),
        RouteField::MaxStreamDuration(new) => {
            let old = forward.max_stream_duration.get_or_insert_default();
            old.limit = new.limit.or(old.limit);
            old.grpc_max = new.grpc_max.or(old.grpc_max);
            old.grpc_offset = new.grpc_offset.or(old.grpc_offset);
        }
        RouteField::HedgeOnPerTryTimeout => forward.hedge_on_per_try_timeout = true,
        RouteField::Retry(field, origin) => {
            let policy = forward.retry.get_or_insert_with(|| envoys_own(*origin));
            merge_retry(policy, field);
        }
        RouteField::RateLimits(_)
        | RouteField::RateLimit(..)
        | RouteField::Fault(_)
        | RouteField::IncludeAttemptCount => {}
    }
}

/// What a virtual host says counts for the routes that say nothing themselves.
fn merge_into_host(host: &mut VirtualHost, routes: &mut [Route], field: &RouteField) {
    if *field == RouteField::IncludeAttemptCount {
        host.include_attempt_count = true;
        return;
    }
    // One configuration, one set of buckets for all routes of the host.
    let shared = match field {
        RouteField::RateLimit(_, limit) => Some(Arc::new((**limit).clone())),
        _ => None,
    };
    for route in routes {
        match (field, &shared) {
            (RouteField::RateLimit(name, _), Some(limit)) => {
                if route.filters.as_ref().is_none_or(|f| f.of(name).is_none()) {
                    filters(route).set(name.clone(), limit.clone());
                }
            }
            (RouteField::Fault(fault), _) => {
                route.fault.get_or_insert_with(|| fault.clone());
            }
            (RouteField::RateLimits(actions), _) => {
                if route
                    .filters
                    .as_ref()
                    .is_none_or(|f| f.rate_limits.is_empty())
                {
                    filters(route).rate_limits.extend(actions.clone());
                }
            }
            _ => {
                let Action::Forward(forward) = &mut route.action else {
                    continue;
                };
                let silent = match field {
                    RouteField::Retry(..) => forward.retry.is_none(),
                    RouteField::HedgeOnPerTryTimeout => true,
                    _ => false,
                };
                if silent {
                    merge_forward(forward, field);
                }
            }
        }
    }
}

/// A policy of which nothing is written (`route_components.proto`).
fn envoys_own(origin: Origin) -> RetryPolicy {
    RetryPolicy {
        host_reselects: 1,
        origin,
        ..RetryPolicy::of_headers()
    }
}

fn merge_retry(policy: &mut RetryPolicy, field: &RetryField) {
    match field {
        RetryField::On(text) => {
            policy.on = conditions(text.split(','));
            policy.on_text = text.clone();
        }
        RetryField::Retries(n) => policy.retries = *n,
        RetryField::PerTryTimeout(length) => {
            policy.per_try_timeout = Some(*length).filter(|l| !l.is_zero());
        }
        RetryField::PerTryIdleTimeout(length) => {
            policy.per_try_idle_timeout = Some(*length).filter(|l| !l.is_zero());
        }
        RetryField::BackoffBase(length) => {
            policy.backoff_base = *length;
            policy.backoff_max = length.times(RETRY_BACKOFF_FACTOR);
        }
        RetryField::BackoffMax(length) => policy.backoff_max = *length,
        RetryField::RateLimitedBackoff(new) => policy.rate_limited_backoff = Some(new.clone()),
        RetryField::StatusCodes(codes) => policy.status_codes.extend(codes),
        RetryField::Headers(headers) => policy.retriable_headers.extend(headers.clone()),
        RetryField::RequestHeaders(headers) => {
            policy.retriable_request_headers.extend(headers.clone());
        }
        RetryField::SkipPreviousHosts => policy.skip_previous_hosts = true,
        RetryField::HostReselects(n) => policy.host_reselects = *n,
    }
}
