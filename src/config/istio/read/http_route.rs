//! One `http` rule (`validateHTTPRoute`): what may stand together, weights and mirrors.

use super::super::{Destination, HttpRoute, Mirror, RouteDestination, StringMatch, rules};
use super::http_match::{check_string_match, http_match};
use super::route_actions::{delegate, direct_response, fault, headers, redirect, retries, rewrite};
use super::{duration, percent, schema_warning};
use crate::config::decode::Fields;
use crate::diagnostic::{Class, Diagnostic};
use crate::units::Fraction;

/// Whether the VirtualService has hosts, which decides what its rules may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It has hosts.
    Root,
    /// It has none: its rules are pulled in by a root.
    Delegate,
}

pub(super) fn http_route(f: &Fields<'_>, role: Role) -> HttpRoute {
    let route = HttpRoute {
        name: f.text_or_empty("name"),
        matches: f.objects("match", http_match),
        route: f.objects("route", route_destination),
        redirect: f.object("redirect", redirect),
        direct_response: f.object("directResponse", direct_response),
        delegate: f.object("delegate", delegate),
        rewrite: f.object("rewrite", rewrite),
        timeout: duration(f, "timeout").map(|timeout| (timeout, f.origin_of("timeout"))),
        retries: f.object("retries", retries),
        fault: f.object("fault", fault),
        mirrors: mirrors(f),
        headers: f.object("headers", headers).unwrap_or_default(),
        origin: f.origin(),
    };
    f.object("corsPolicy", cors);
    f.not_simulated("corsPolicy", "cross-origin handling");
    if let Some(destinations) = f.get("route")
        && destinations.items().iter().any(|at| at.node().is_null())
    {
        destinations.refuse("a destination is null");
    }
    combinations(f, &route, role);
    weights(f, &route.route);
    authority_twice(f, &route);
    route
}

/// Which actions may stand together.
fn combinations(f: &Fields<'_>, route: &HttpRoute, role: Role) {
    let has_route = !route.route.is_empty();
    if let Some(delegate) = &route.delegate {
        match role {
            Role::Delegate => f.refuse_field("delegate", "a delegate cannot delegate further"),
            Role::Root if has_route || route.redirect.is_some() => {
                f.refuse_field("delegate", "excludes `route` and `redirect`");
            }
            Role::Root => {}
        }
        if delegate.name.is_empty() {
            let message = "`delegate` has no `name`, so this rule is dropped";
            let advice = Diagnostic::warning("TT-NO-DELEGATE", Class::Advice, message);
            f.push_at("delegate", advice);
        }
        return;
    }
    if f.get("mirror").is_some() && !f.items("mirrors").is_empty() {
        f.refuse_field("mirrors", "`mirror` and `mirrors` exclude each other");
    }
    if !has_route && route.redirect.is_none() && route.direct_response.is_none() {
        f.refuse("the rule needs `route`, `redirect` or `directResponse`");
    }
    let (fault, rewrite) = (route.fault.is_some(), route.rewrite.is_some());
    let excluded = |action: &'static str, others: [(&str, bool); 4]| {
        for (other, _) in others.iter().filter(|(_, present)| *present) {
            f.refuse_field(action, format!("excludes `{other}`"));
        }
    };
    if let Some(redirect) = &route.redirect {
        let direct = route.direct_response.is_some();
        let others = [
            ("route", has_route),
            ("fault", fault),
            ("rewrite", rewrite),
            ("directResponse", direct),
        ];
        excluded("redirect", others);
        let by_prefix =
            |uri: &Option<StringMatch>| matches!(uri, None | Some(StringMatch::Prefix(_)));
        if redirect.prefix_rewrite.is_some() && !route.matches.iter().all(|m| by_prefix(&m.uri)) {
            f.refuse_field(
                "redirect",
                "`prefixRewrite` needs every match to be by prefix",
            );
        }
    }
    if route.direct_response.is_some() {
        excluded(
            "directResponse",
            [
                ("route", has_route),
                ("fault", fault),
                ("rewrite", rewrite),
                ("", false),
            ],
        );
    }
}

/// One destination takes everything whatever its weight; several need a sum above 0.
fn weights(f: &Fields<'_>, destinations: &[RouteDestination]) {
    if destinations.iter().any(|d| d.weight < 0) {
        f.refuse_field("route", "a weight is negative");
    }
    if destinations.len() < 2 {
        return;
    }
    let sum: i64 = destinations
        .iter()
        .fold(0, |sum, d| sum.saturating_add(d.weight));
    if sum == 0 {
        f.refuse_field("route", "the weights of the destinations add up to 0");
        return;
    }
    for at in f.items("route") {
        let omitted = at
            .node()
            .get("weight")
            .is_none_or(crate::manifest::Node::is_null);
        if omitted {
            let message = "this destination has no `weight`, so it gets 0 % of the requests";
            at.push(Diagnostic::warning(
                "TT-WEIGHT-OMITTED",
                Class::Advice,
                message,
            ));
        }
    }
}

/// The authority may be set once on a route.
fn authority_twice(f: &Fields<'_>, route: &HttpRoute) {
    let named = |(key, _): &&(_, _)| {
        let key: &crate::xds::Name = key;
        key.eq_ignore_ascii_case("host") || &**key == ":authority"
    };
    let set = route.headers.request_set.iter().filter(named).count()
        + route.headers.request_add.iter().filter(named).count();
    let rewritten = route
        .rewrite
        .as_ref()
        .is_some_and(|r| r.authority.is_some());
    if set + usize::from(rewritten) > 1 {
        f.refuse("the authority is set more than once");
    }
}

pub(super) fn route_destination(f: &Fields<'_>) -> RouteDestination {
    let destination = f.object("destination", destination);
    if destination.is_none() {
        f.missing("destination");
    }
    RouteDestination {
        destination: destination.unwrap_or_default(),
        weight: f.integer("weight").unwrap_or(0),
        headers: f.object("headers", headers).unwrap_or_default(),
        origin: f.origin(),
    }
}

fn destination(f: &Fields<'_>) -> Destination {
    let host = f.required_text("host");
    if &*host == "*" {
        f.refuse_field("host", "a destination cannot be `*`");
    } else if !host.is_empty()
        && let Some(error) = rules::host_error(&host)
    {
        f.refuse_field("host", error);
    }
    let subset = f.text_or_empty("subset");
    if !subset.is_empty() && !rules::is_dns_label(&subset) {
        f.refuse_field("subset", format!("`{subset}` is not a subset name"));
    }
    let port = f.object("port", |f| {
        let number: u16 = f.integer("number").unwrap_or(0);
        if number == 0 {
            f.refuse("a port is 1 to 65535");
        }
        number
    });
    Destination {
        host,
        subset,
        port: port.unwrap_or(0),
    }
}

/// `mirror` with its three ways to say how much, and `mirrors`.
fn mirrors(f: &Fields<'_>) -> Vec<Mirror> {
    let written = mirror_percent(f, "mirrorPercentage");
    let old = ["mirrorPercent", "mirror_percent"]
        .into_iter()
        .find_map(|name| {
            let percent: u32 = f.integer(name)?;
            let message = format!("`{name}` is deprecated; write `mirrorPercentage: {{value: …}}`");
            f.push_at(name, schema_warning(message));
            if percent > 100 {
                f.refuse_field(name, format!("{percent} is more than 100"));
            }
            Some(f64::from(percent))
        });
    let mirror = f.object("mirror", |f| Mirror {
        fraction: Fraction::from_percent(written.or(old).unwrap_or(100.0)),
        origin: f.origin(),
        destination: destination(f),
    });
    let mirrors = f.objects("mirrors", |f| {
        let destination = f.object("destination", destination);
        if destination.is_none() {
            f.missing("destination");
        }
        Mirror {
            destination: destination.unwrap_or_default(),
            fraction: Fraction::from_percent(mirror_percent(f, "percentage").unwrap_or(100.0)),
            origin: f.origin(),
        }
    });
    let mut all: Vec<Mirror> = mirror.into_iter().chain(mirrors).collect();
    all.retain(|mirror| mirror.fraction > Fraction::ZERO);
    all
}

fn mirror_percent(f: &Fields<'_>, name: &'static str) -> Option<f64> {
    let value = percent(f, name)?;
    if !(0.0..=100.0).contains(&value) {
        f.refuse_field(name, format!("{value} is not between 0 and 100"));
    }
    Some(value)
}

/// `corsPolicy` is judged and not simulated.
fn cors(f: &Fields<'_>) {
    const METHODS: &[&str] = &[
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*",
    ];
    f.known(&["allowOrigin", "allowCredentials", "unmatchedPreflights"]);
    f.objects("allowOrigins", |f| {
        if f.is_empty() {
            f.refuse("the origin is empty");
        }
        check_string_match(f);
    });
    for method in f
        .texts("allowMethods")
        .iter()
        .filter(|m| !METHODS.contains(&&***m))
    {
        f.refuse_field("allowMethods", format!("`{method}` is not a method"));
    }
    for name in ["allowHeaders", "exposeHeaders"] {
        let names = f.texts(name);
        let errors = names
            .iter()
            .filter(|n| &***n != "*")
            .filter_map(|n| rules::header_name_error(n));
        for error in errors {
            f.refuse_field(name, error);
        }
    }
    let age = f.duration("maxAge");
    if age.is_some_and(|age| age.ns() < 1_000_000_000 || age.ns() % 1_000_000_000 != 0) {
        f.refuse_field("maxAge", "must be in whole seconds, at least 1");
    }
}
