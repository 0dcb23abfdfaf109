//! The router's first half: from a request to the route that takes it.
//!
//! Knows route configurations and requests; does not know clusters, hosts or time. Matchers
//! are compiled once per route configuration and shared by all proxies that have it
//! (`source/common/router/config_impl.cc`).
//!
//! Virtual hosts are found by hash map, as in Envoy: exact, longest suffix, longest prefix,
//! `*`. Routes are tried in order, the first match wins. Not modelled: `runtime_fraction`,
//! VHDS, `require_tls`, JWT-claim matches.

use super::domain::{DomainIndex, matched_reason};
use super::header_match::{request_matches, text_matches};
use super::path::{Target, query_value};
use super::pattern::Pattern;
use super::trail::{DomainMatch, Mismatch, Reason, Trail};
use crate::http::Headers;
use crate::xds::route::{
    Action, PathMatch, Rewrite, Route, RouteConfig, RouteMatch, TextMatch, VirtualHost,
    WeightedCluster,
};

/// A request as a proxy sees it.
#[derive(Clone, Copy, Debug)]
pub struct RequestView<'a> {
    /// `GET`.
    pub method: &'a str,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// `:authority`, with the port if the client sent it.
    pub authority: &'a str,
    /// Path with query.
    pub path: &'a str,
    /// Header lines without pseudo headers.
    pub headers: &'a Headers,
}

impl RequestView<'_> {
    /// Value of a pseudo header; `None` for ordinary names.
    pub fn pseudo(&self, name: &str) -> Option<&str> {
        if !name.starts_with([':', 'h']) {
            return None;
        }
        match name {
            ":method" => Some(self.method),
            ":scheme" => Some(self.scheme),
            ":authority" | "host" => Some(self.authority),
            ":path" => Some(self.path),
            _ => None,
        }
    }
}

/// Which route takes a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RouteDecision {
    /// 404 NR.
    NoVirtualHost,
    /// 404 NR.
    NoRoute {
        /// The virtual host whose routes were tried.
        vhost: usize,
    },
    /// This one.
    Route {
        /// Index of the virtual host.
        vhost: usize,
        /// Index of the route in it.
        route: usize,
    },
}

/// Compiled matchers of one route configuration.
#[derive(Clone, Debug, Default)]
pub struct Router {
    domains: DomainIndex,
    /// Per virtual host and route; `None` where a route has no pattern.
    patterns: Vec<Vec<Option<Box<RoutePatterns>>>>,
}

/// Compiled regular expressions of one route, at the places of their matchers.
#[derive(Clone, Debug, Default)]
struct RoutePatterns {
    path: Option<Pattern>,
    headers: Vec<Option<Pattern>>,
    query: Vec<Option<Pattern>>,
    rewrite: Option<Pattern>,
}

/// The condition that failed.
#[derive(Clone, Copy)]
enum Failed {
    Path,
    Header(usize),
    Query(usize),
}

impl Router {
    /// Compiles the matchers of a route configuration; bad patterns never match and are
    /// named in words.
    pub fn new(config: &RouteConfig) -> (Self, Vec<String>) {
        let mut router = Self::default();
        let mut bad = Vec::new();
        for (index, vhost) in config.virtual_hosts.iter().enumerate() {
            for domain in &vhost.domains {
                router.domains.add(domain, index);
            }
            router.patterns.push(compile_routes(vhost, &mut bad));
        }
        (router, bad)
    }

    /// Finds the route; the decision depends on nothing but the request.
    pub fn route<T: Trail>(
        &self,
        config: &RouteConfig,
        request: &RequestView<'_>,
        trail: &mut T,
    ) -> RouteDecision {
        let Some((vhost, how)) = self.domains.find(request.authority) else {
            if T::ON {
                trail.note(Reason::NoVirtualHost);
            }
            return RouteDecision::NoVirtualHost;
        };
        let host = &config.virtual_hosts[vhost];
        if T::ON {
            trail.note(matched_reason(host, vhost, how, request.authority));
        }
        let target = Target::of(request.path);
        for (route, entry) in host.routes.iter().enumerate() {
            let patterns = self.patterns[vhost].get(route).and_then(Option::as_deref);
            match first_failure(&entry.matches, patterns, request, &target) {
                None => {
                    if T::ON {
                        trail.note(Reason::RouteMatched { route });
                    }
                    return RouteDecision::Route { vhost, route };
                }
                Some(failed) => {
                    if T::ON {
                        let why = describe(&entry.matches, failed, request, &target);
                        trail.note(Reason::RouteSkipped { route, why });
                    }
                }
            }
        }
        if T::ON {
            trail.note(Reason::NoRoute { vhost });
        }
        RouteDecision::NoRoute { vhost }
    }

    /// The virtual host for `:authority`, and how its domain matched.
    pub fn virtual_host(&self, authority: &str) -> Option<(usize, DomainMatch)> {
        self.domains.find(authority)
    }

    /// The compiled pattern of a route's regex rewrite, for [`super::mutate`].
    pub fn rewrite_pattern(&self, vhost: usize, route: usize) -> Option<&Pattern> {
        let patterns = self.patterns.get(vhost)?.get(route)?.as_deref()?;
        patterns.rewrite.as_ref()
    }
}

/// The cluster into whose interval `stream_random % total` falls
/// (`source/common/router/weighted_cluster_specifier.cc`). Retries stay in it.
#[inline]
pub fn pick_weighted(clusters: &[WeightedCluster], stream_random: u64) -> usize {
    if clusters.len() <= 1 {
        return 0;
    }
    let total: u64 = clusters.iter().map(|c| u64::from(c.weight)).sum();
    let Some(value) = stream_random.checked_rem(total) else {
        return 0;
    };
    let mut end = 0;
    for (index, cluster) in clusters.iter().enumerate() {
        end += u64::from(cluster.weight);
        if value < end {
            return index;
        }
    }
    clusters.len() - 1
}

fn compile_routes(vhost: &VirtualHost, bad: &mut Vec<String>) -> Vec<Option<Box<RoutePatterns>>> {
    let routes = vhost.routes.iter();
    let mut all: Vec<_> = routes.map(|route| compile_route(route, bad)).collect();
    if all.iter().all(Option::is_none) {
        all = Vec::new();
    }
    all
}

fn compile_route(route: &Route, bad: &mut Vec<String>) -> Option<Box<RoutePatterns>> {
    let mut keep = |compiled: Result<Pattern, String>| {
        compiled.unwrap_or_else(|why| {
            bad.push(why);
            Pattern::never()
        })
    };
    let mut text = |value: &TextMatch| match value {
        TextMatch::Regex(pattern) => Some(keep(Pattern::full(pattern))),
        _ => None,
    };
    let headers: Vec<_> = (route.matches.headers.iter())
        .map(|h| text(&h.value))
        .collect();
    let query: Vec<_> = (route.matches.query.iter())
        .map(|q| text(&q.value))
        .collect();
    let path = match &route.matches.path {
        PathMatch::Regex(pattern) => Some(keep(Pattern::full(pattern))),
        _ => None,
    };
    let rewrite = match &route.action {
        Action::Forward(forward) => match &forward.rewrite {
            Some(Rewrite::Regex { pattern, .. }) => Some(keep(Pattern::search(pattern))),
            _ => None,
        },
        _ => None,
    };
    let none =
        path.is_none() && rewrite.is_none() && headers.iter().chain(&query).all(Option::is_none);
    (!none).then(|| {
        Box::new(RoutePatterns {
            path,
            headers,
            query,
            rewrite,
        })
    })
}

fn first_failure(
    matches: &RouteMatch,
    patterns: Option<&RoutePatterns>,
    request: &RequestView<'_>,
    target: &Target<'_>,
) -> Option<Failed> {
    let path_pattern = patterns.and_then(|p| p.path.as_ref());
    if !path_matches(matches, path_pattern, &target.path) {
        return Some(Failed::Path);
    }
    for (index, header) in matches.headers.iter().enumerate() {
        let pattern = patterns.and_then(|p| p.headers[index].as_ref());
        if !request_matches(header, pattern, request) {
            return Some(Failed::Header(index));
        }
    }
    for (index, query) in matches.query.iter().enumerate() {
        let pattern = patterns.and_then(|p| p.query[index].as_ref());
        let value = query_value(target.query, &query.name);
        if !value.is_some_and(|value| text_matches(&query.value, pattern, value)) {
            return Some(Failed::Query(index));
        }
    }
    None
}

fn path_matches(matches: &RouteMatch, pattern: Option<&Pattern>, path: &str) -> bool {
    let begins = |prefix: &str| match path.as_bytes().get(..prefix.len()) {
        Some(head) if matches.case_sensitive => head == prefix.as_bytes(),
        Some(head) => head.eq_ignore_ascii_case(prefix.as_bytes()),
        None => false,
    };
    match &matches.path {
        PathMatch::Prefix(prefix) => begins(prefix),
        PathMatch::Exact(exact) => path.len() == exact.len() && begins(exact),
        PathMatch::SegmentPrefix(prefix) => {
            begins(prefix) && matches!(path.as_bytes().get(prefix.len()), None | Some(b'/'))
        }
        PathMatch::Regex(_) => pattern.is_some_and(|pattern| pattern.is_match(path)),
    }
}

fn describe(
    matches: &RouteMatch,
    failed: Failed,
    request: &RequestView<'_>,
    target: &Target<'_>,
) -> Mismatch {
    match failed {
        Failed::Path => Mismatch::Path {
            expected: matches.path.clone(),
            got: (&*target.path).into(),
        },
        Failed::Header(index) => {
            let header = &matches.headers[index];
            let name = header.name.clone();
            let pseudo = request.pseudo(&name);
            match pseudo.or_else(|| request.headers.get(&name)) {
                Some(_) if header.value == TextMatch::Present => Mismatch::HeaderPresent { name },
                Some(got) => Mismatch::HeaderValue {
                    got: got.into(),
                    name,
                    expected: header.value.clone(),
                    inverted: header.invert,
                },
                None => Mismatch::HeaderMissing { name },
            }
        }
        Failed::Query(index) => {
            let query = &matches.query[index];
            let name = query.name.clone();
            match query_value(target.query, &name) {
                Some(got) => Mismatch::QueryValue {
                    got: got.into(),
                    name,
                    expected: query.value.clone(),
                },
                None => Mismatch::QueryMissing { name },
            }
        }
    }
}
