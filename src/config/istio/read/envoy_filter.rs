//! EnvoyFilter (`pkg/config/validation/envoyfilter/envoyfilter.go`,
//! `pkg/config/analysis/analyzers/envoyfilter/envoyfilter.go`).
//!
//! The verdicts are admission's and analysis'; what a patch would change and is not simulated is
//! named field by field. A patch whose proxy version is not this release's is left out: istiod
//! does not apply it either.

mod cluster;
mod health_check;
mod http_filter;
mod listener;
mod message;
mod route;

use regex::Regex;

use self::message::not_simulated;
use super::super::{
    ActionWord, Change, ClusterMatch, ConfigPatch, EnvoyFilter, Insert, ListenerMatch,
    PatchContext, RouteField, RouteMatch,
};
use super::workload_selector;
use crate::config::decode::{At, Fields};
use crate::config::{IstioVersion, Meta};
use crate::diagnostic::{Class, Diagnostic};
use crate::xds::Name;

/// `applyTo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ApplyTo {
    Listener,
    FilterChain,
    NetworkFilter,
    HttpFilter,
    RouteConfiguration,
    VirtualHost,
    HttpRoute,
    Cluster,
    ExtensionConfig,
    Bootstrap,
    ListenerFilter,
}

const APPLY_TO: [(&str, ApplyTo); 11] = [
    ("LISTENER", ApplyTo::Listener),
    ("FILTER_CHAIN", ApplyTo::FilterChain),
    ("NETWORK_FILTER", ApplyTo::NetworkFilter),
    ("HTTP_FILTER", ApplyTo::HttpFilter),
    ("ROUTE_CONFIGURATION", ApplyTo::RouteConfiguration),
    ("VIRTUAL_HOST", ApplyTo::VirtualHost),
    ("HTTP_ROUTE", ApplyTo::HttpRoute),
    ("CLUSTER", ApplyTo::Cluster),
    ("EXTENSION_CONFIG", ApplyTo::ExtensionConfig),
    ("BOOTSTRAP", ApplyTo::Bootstrap),
    ("LISTENER_FILTER", ApplyTo::ListenerFilter),
];

/// `patch.operation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Merge,
    MergeAndReplaceList,
    Add,
    Remove,
    InsertBefore,
    InsertAfter,
    InsertFirst,
    Replace,
}

const OPERATIONS: [(&str, Operation); 8] = [
    ("MERGE", Operation::Merge),
    ("MERGE_AND_REPLACE_LIST", Operation::MergeAndReplaceList),
    ("ADD", Operation::Add),
    ("REMOVE", Operation::Remove),
    ("INSERT_BEFORE", Operation::InsertBefore),
    ("INSERT_AFTER", Operation::InsertAfter),
    ("INSERT_FIRST", Operation::InsertFirst),
    ("REPLACE", Operation::Replace),
];

const MANAGER: &str = "envoy.filters.network.http_connection_manager";
const ROUTER: &str = "envoy.filters.http.router";

const CONTEXTS: [(&str, Option<PatchContext>); 5] = [
    ("ANY", Some(PatchContext::Any)),
    ("SIDECAR_INBOUND", Some(PatchContext::SidecarInbound)),
    ("SIDECAR_OUTBOUND", Some(PatchContext::SidecarOutbound)),
    ("GATEWAY", Some(PatchContext::Gateway)),
    ("WAYPOINT", None),
];

pub(in crate::config) fn envoy_filter(
    f: &Fields<'_>,
    meta: Meta,
    version: IstioVersion,
) -> EnvoyFilter {
    let priority: i32 = f.integer("priority").unwrap_or(0);
    let has_target = f.has("targetRefs");
    f.not_simulated("targetRefs", "a patch of a Gateway API object");
    EnvoyFilter {
        meta,
        workload_selector: f.object("workloadSelector", workload_selector),
        has_target,
        priority,
        patches: f
            .objects("configPatches", |f| patch(f, version, priority))
            .into_iter()
            .flatten()
            .collect(),
    }
}

/// A patch; `None` when it has no effect on any proxy here.
fn patch(f: &Fields<'_>, version: IstioVersion, priority: i32) -> Option<ConfigPatch> {
    let apply_to = f.choice("applyTo", &APPLY_TO);
    if f.get("applyTo").is_none() {
        f.missing("applyTo");
    }
    let found = f.object("match", |f| Matches::read(f, version));
    let found = found.unwrap_or_default();
    if f.get("patch").is_none() {
        f.missing("patch");
    }
    f.object("patch", |body| {
        let operation = body.choice("operation", &OPERATIONS);
        if body.get("operation").is_none() {
            body.missing("operation");
        }
        // Decides between authorization, statistics and others of the same place.
        body.known(&["filterClass"]);
        let value = body.get("value");
        if operation.is_some_and(|o| o != Operation::Remove) && value.is_none() {
            body.missing("value");
        }
        let (apply_to, operation) = (apply_to?, operation?);
        check_operation(f, (apply_to, operation), priority);
        let context = found.context.filter(|_| found.proxy_fits)?;
        let change = change(apply_to, operation, found, value.as_ref(), &body.here())?;
        let change = match context {
            PatchContext::SidecarInbound => of_arriving(change, &body.here())?,
            _ => change,
        };
        Some(ConfigPatch {
            context,
            change,
            origin: f.origin(),
        })
    })?
}

fn change(
    apply_to: ApplyTo,
    operation: Operation,
    found: Matches,
    value: Option<&At<'_>>,
    patch: &At<'_>,
) -> Option<Change> {
    use Operation::{InsertAfter, InsertBefore, InsertFirst, Merge, MergeAndReplaceList, Remove};
    let some = |is_empty: bool, change: Change| (!is_empty).then_some(change);
    match (apply_to, operation) {
        (ApplyTo::Cluster, Remove) => Some(Change::RemoveCluster(found.cluster)),
        (ApplyTo::Cluster, Merge | MergeAndReplaceList) => {
            let fields = cluster::fields(value?, operation == MergeAndReplaceList);
            some(
                fields.is_empty(),
                Change::MergeCluster(found.cluster, fields),
            )
        }
        (ApplyTo::VirtualHost, Merge) => {
            let fields = route::virtual_host(value?);
            some(
                fields.is_empty(),
                Change::MergeVirtualHost(found.route, fields),
            )
        }
        (ApplyTo::HttpRoute, Merge) => {
            let fields = route::route(value?);
            some(fields.is_empty(), Change::MergeRoute(found.route, fields))
        }
        (ApplyTo::NetworkFilter, Merge) => {
            let fields = listener::network_filter(value?);
            some(
                fields.is_empty(),
                Change::MergeManager(found.listener, fields),
            )
        }
        (ApplyTo::HttpFilter, Merge) => {
            let fields = listener::router(value?);
            some(
                fields.is_empty(),
                Change::MergeManager(found.listener, fields),
            )
        }
        (ApplyTo::HttpFilter, InsertFirst | InsertBefore | InsertAfter) => {
            let (name, kind) = http_filter::http_filter(value?)?;
            let place = match operation {
                InsertFirst => Insert::First,
                InsertBefore => Insert::Before,
                _ => Insert::After,
            };
            let last = found.listener.sub_filter.as_deref().unwrap_or(ROUTER);
            if place == Insert::After && last == ROUTER {
                patch.refuse("would stand behind the router, which Envoy refuses");
                return None;
            }
            Some(Change::InsertFilter(found.listener, place, name, kind))
        }
        (ApplyTo::HttpFilter, Operation::Add) => {
            patch.refuse("ADD puts the filter behind the router, which Envoy refuses");
            None
        }
        _ => {
            not_simulated(patch, "this kind of patch");
            None
        }
    }
}

/// What arrives takes one route without timeout through one connection manager: of what can be
/// merged there, only rate limits are simulated.
fn of_arriving(change: Change, patch: &At<'_>) -> Option<Change> {
    let limits =
        |f: &RouteField| matches!(f, RouteField::RateLimit(..) | RouteField::RateLimits(_));
    let (matches, fields, of_host) = match change {
        Change::MergeVirtualHost(matches, fields) => (matches, fields, true),
        Change::MergeRoute(matches, fields) => (matches, fields, false),
        Change::MergeManager(..) => {
            not_simulated(patch, "the connection manager of what arrives");
            return None;
        }
        other => return Some(other),
    };
    let (kept, rest): (Vec<_>, Vec<_>) = fields.into_iter().partition(limits);
    if !rest.is_empty() {
        not_simulated(
            patch,
            "a policy of the inbound route (only its rate limits are)",
        );
    }
    match (kept.is_empty(), of_host) {
        (true, _) => None,
        (false, true) => Some(Change::MergeVirtualHost(matches, kept)),
        (false, false) => Some(Change::MergeRoute(matches, kept)),
    }
}

/// What analysis says of an operation where it stands (IST0151 to IST0154).
fn check_operation(f: &Fields<'_>, (to, operation): (ApplyTo, Operation), priority: i32) {
    let of_routes = matches!(to, ApplyTo::RouteConfiguration | ApplyTo::HttpRoute);
    let advice = |code, message: &str| {
        f.push_at("patch", Diagnostic::warning(code, Class::Advice, message));
    };
    let replaceable = matches!(
        to,
        ApplyTo::NetworkFilter | ApplyTo::HttpFilter | ApplyTo::VirtualHost
    );
    match operation {
        Operation::Add if of_routes => {
            advice("IST0153", "istioctl takes ADD to have no effect on routes");
        }
        Operation::Remove if of_routes => {
            advice(
                "IST0154",
                "istioctl takes REMOVE to have no effect on routes",
            );
        }
        Operation::Replace if !replaceable => {
            let message = "REPLACE only works on HTTP_FILTER, NETWORK_FILTER and VIRTUAL_HOST";
            advice("IST0152", message);
        }
        Operation::Remove
        | Operation::Replace
        | Operation::InsertBefore
        | Operation::InsertAfter
            if priority == 0 =>
        {
            let message = "the patch stands relative to others and the EnvoyFilter has no \
                           `priority`: another one may come between";
            advice("IST0151", message);
        }
        _ => {}
    }
}

/// `match`.
#[derive(Debug)]
struct Matches {
    /// `None`: a kind of proxy that does not exist here.
    context: Option<PatchContext>,
    /// `proxy` fits the proxies of this release.
    proxy_fits: bool,
    cluster: ClusterMatch,
    listener: ListenerMatch,
    route: RouteMatch,
}

impl Default for Matches {
    fn default() -> Self {
        Self {
            context: Some(PatchContext::Any),
            proxy_fits: true,
            cluster: ClusterMatch::default(),
            listener: ListenerMatch::default(),
            route: RouteMatch::default(),
        }
    }
}

impl Matches {
    fn read(f: &Fields<'_>, version: IstioVersion) -> Self {
        let written = f.get("context");
        let context = f.choice("context", &CONTEXTS);
        if let (Some(None), Some(at)) = (context, written) {
            not_simulated(&at, "a patch of waypoints");
        }
        Self {
            context: context.unwrap_or(Some(PatchContext::Any)),
            proxy_fits: f
                .object("proxy", |f| proxy_fits(f, version))
                .unwrap_or(true),
            cluster: f.object("cluster", cluster_match).unwrap_or_default(),
            listener: f.object("listener", listener_match).unwrap_or_default(),
            route: (f.object("routeConfiguration", route_match)).unwrap_or_default(),
        }
    }
}

/// `proxyVersion` is looked for anywhere in the version, as Go's `MatchString` does.
fn proxy_fits(f: &Fields<'_>, version: IstioVersion) -> bool {
    f.not_simulated("metadata", "metadata of proxies (the patch is left out)");
    if f.get("metadata").is_some() {
        return false;
    }
    let Some(pattern) = f.text("proxyVersion").filter(|text| !text.is_empty()) else {
        return true;
    };
    let Ok(regex) = Regex::new(&pattern) else {
        f.refuse_field("proxyVersion", format!("`{pattern}` is no regex"));
        return false;
    };
    regex.is_match(&format!("{version}.0"))
}

fn cluster_match(f: &Fields<'_>) -> ClusterMatch {
    ClusterMatch {
        name: text(f, "name"),
        service: text(f, "service"),
        subset: text(f, "subset"),
        port: port(f),
    }
}

fn text(f: &Fields<'_>, name: &'static str) -> Option<Name> {
    f.text(name).filter(|text| !text.is_empty())
}

fn port(f: &Fields<'_>) -> Option<u16> {
    f.integer("portNumber").filter(|port| *port != 0)
}

fn listener_match(f: &Fields<'_>) -> ListenerMatch {
    let mut found = ListenerMatch {
        name: text(f, "name"),
        port: port(f),
        ..ListenerMatch::default()
    };
    f.not_simulated("listenerFilter", "a match of listener filters");
    f.object("filterChain", |f| {
        found.sni = text(f, "sni");
        for name in [
            "name",
            "transportProtocol",
            "applicationProtocols",
            "destinationPort",
        ] {
            f.not_simulated(name, "this match of filter chains (every chain matches)");
        }
        f.object("filter", |f| {
            let name = f.required_text("name");
            found.other_filter = &*name != MANAGER;
            found.sub_filter = f.object("subFilter", |f| f.required_text("name"));
        });
    });
    found
}

fn route_match(f: &Fields<'_>) -> RouteMatch {
    let mut found = RouteMatch {
        name: text(f, "name"),
        port: port(f),
        gateway: text(f, "gateway"),
        ..RouteMatch::default()
    };
    f.not_simulated("portName", "a match of port names (every port matches)");
    f.object("vhost", |f| {
        found.vhost = text(f, "name");
        found.domain = text(f, "domainName");
        f.object("route", |f| {
            found.route = text(f, "name");
            let words = [
                ("ANY", None),
                ("ROUTE", Some(ActionWord::Route)),
                ("REDIRECT", Some(ActionWord::Redirect)),
                ("DIRECT_RESPONSE", Some(ActionWord::DirectResponse)),
            ];
            found.action = f.choice("action", &words).flatten();
        });
    });
    found
}
