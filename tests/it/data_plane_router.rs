//! Promises of the router (Envoy 1.40, measured).

use towtank::data_plane::trail::{DomainMatch, Mismatch, Reason};
use towtank::data_plane::{NoTrail, Recorder, RequestView, RouteDecision, Router, pick_weighted};
use towtank::http::Headers;
use towtank::units::Origin;
use towtank::xds::Name;
use towtank::xds::route::{
    Action, Forward, HeaderMatch, HeaderOps, PathMatch, QueryMatch, Route, RouteConfig, RouteMatch,
    TextMatch, VirtualHost, WeightedCluster,
};

pub(crate) fn cluster(name: &str, weight: u32) -> WeightedCluster {
    WeightedCluster {
        name: name.into(),
        weight,
        request_headers: HeaderOps::default(),
        response_headers: HeaderOps::default(),
        origin: Origin::BUILT_IN,
    }
}

pub(crate) fn forward() -> Forward {
    Forward {
        clusters: vec![cluster("c", 1)],
        timeout: None,
        timeout_origin: Origin::BUILT_IN,
        max_grpc_timeout: None,
        idle_timeout: None,
        max_stream_duration: None,
        hedge_on_per_try_timeout: false,
        retry: None,
        hash: Vec::new(),
        rewrite: None,
        authority: None,
        mirrors: Vec::new(),
        cluster_not_found_status: 503,
    }
}

pub(crate) fn route(matches: RouteMatch, forward: Forward) -> Route {
    Route {
        name: "r".into(),
        matches,
        action: Action::Forward(Box::new(forward)),
        fault: None,
        filters: None,
        request_headers: HeaderOps::default(),
        response_headers: HeaderOps::default(),
        origin: Origin::BUILT_IN,
    }
}

pub(crate) fn on_path(path: PathMatch) -> RouteMatch {
    RouteMatch {
        path,
        ..RouteMatch::any()
    }
}

pub(crate) fn vhost(domains: &[&str], routes: Vec<Route>) -> VirtualHost {
    VirtualHost {
        name: "v".into(),
        domains: domains.iter().map(|d| Name::from(*d)).collect(),
        routes: routes.into(),
        include_attempt_count: true,
        origin: Origin::BUILT_IN,
    }
}

pub(crate) fn config(virtual_hosts: Vec<VirtualHost>) -> RouteConfig {
    RouteConfig {
        name: "80".into(),
        virtual_hosts,
    }
}

pub(crate) fn request<'a>(
    authority: &'a str,
    path: &'a str,
    headers: &'a Headers,
) -> RequestView<'a> {
    RequestView {
        method: "GET",
        scheme: "http",
        authority,
        path,
        headers,
    }
}

/// Does a route with these conditions take the request?
fn matches(conditions: &RouteMatch, path: &str, lines: &[(&str, &str)]) -> bool {
    let config = config(vec![vhost(
        &["*"],
        vec![route(conditions.clone(), forward())],
    )]);
    let (router, bad) = Router::new(&config);
    assert!(bad.is_empty(), "{bad:?}");
    let headers: Headers = lines.iter().copied().collect();
    let decision = router.route(&config, &request("a", path, &headers), &mut NoTrail);
    decision == RouteDecision::Route { vhost: 0, route: 0 }
}

fn path(expected: bool, conditions: &PathMatch, path: &str) {
    assert_eq!(
        matches(&on_path(conditions.clone()), path, &[]),
        expected,
        "{conditions:?} {path}"
    );
}

#[test]
fn virtual_hosts_are_found_in_envoys_order() {
    let domains = [
        "a.b.foo.com",
        "*.foo.com",
        "*.b.foo.com",
        "a.*",
        "*",
        "*-x.io",
    ];
    let config = config(domains.iter().map(|d| vhost(&[d], Vec::new())).collect());
    let (router, _) = Router::new(&config);
    let check = |authority: &str, vhost: usize, how| {
        assert_eq!(
            router.virtual_host(authority),
            Some((vhost, how)),
            "{authority}"
        );
    };
    check("A.B.foo.com", 0, DomainMatch::Exact);
    check("a.b.foo.com:8080", 0, DomainMatch::Exact);
    check("c.b.foo.com", 2, DomainMatch::Suffix);
    check("a.c.foo.com", 1, DomainMatch::Suffix);
    check("c.foo.com:80", 1, DomainMatch::Suffix);
    check("a.zzz", 3, DomainMatch::Prefix);
    check("a-x.io", 5, DomainMatch::Suffix);
    check(".foo.com", 4, DomainMatch::Any);
    check("[::1]:80", 4, DomainMatch::Any);
    check("", 4, DomainMatch::Any);
}

#[test]
fn no_virtual_host_and_no_route_are_told_apart() {
    let only = on_path(PathMatch::Exact("/x".into()));
    let config = config(vec![vhost(&["a"], vec![route(only, forward())])]);
    let (router, _) = Router::new(&config);
    let headers = Headers::new();
    let decide =
        |authority| router.route(&config, &request(authority, "/", &headers), &mut NoTrail);
    assert_eq!(decide("b"), RouteDecision::NoVirtualHost);
    assert_eq!(decide("a"), RouteDecision::NoRoute { vhost: 0 });
}

#[test]
fn paths_match_as_measured() {
    let exact = || PathMatch::Exact("/exact".into());
    path(true, &exact(), "/exact?x");
    path(false, &exact(), "/exact/");
    path(true, &PathMatch::Prefix("/v3".into()), "/v3foo");
    let segment = || PathMatch::SegmentPrefix("/pss".into());
    path(true, &segment(), "/pss");
    path(true, &segment(), "/pss/a?b");
    path(false, &segment(), "/pssx");
    let regex = || PathMatch::Regex("/rx/.*".into());
    path(false, &regex(), "/rx");
    path(true, &regex(), "/rx/?x");
    path(false, &PathMatch::Regex("/a".into()), "/a/b");
    path(true, &PathMatch::Prefix("/b".into()), "/a/%2e./b#f");
    path(false, &PathMatch::Prefix("/v2/".into()), "/v2");
}

#[test]
fn case_is_ignored_for_everything_but_regex() {
    let relaxed = |path| RouteMatch {
        case_sensitive: false,
        ..on_path(path)
    };
    assert!(matches(
        &relaxed(PathMatch::Prefix("/CaSe".into())),
        "/cAsE/Z",
        &[]
    ));
    assert!(matches(
        &relaxed(PathMatch::Exact("/Ab".into())),
        "/aB",
        &[]
    ));
    assert!(matches(
        &relaxed(PathMatch::SegmentPrefix("/Ab".into())),
        "/aB/c",
        &[]
    ));
    assert!(!matches(
        &relaxed(PathMatch::Regex("/ab".into())),
        "/AB",
        &[]
    ));
}

fn header(value: TextMatch, invert: bool, missing_as_empty: bool) -> RouteMatch {
    let name = Name::from("x");
    RouteMatch {
        headers: vec![HeaderMatch {
            name,
            value,
            invert,
            missing_as_empty,
        }],
        ..RouteMatch::any()
    }
}

#[test]
fn header_lines_are_tested_one_by_one() {
    let exact = |text: &str| header(TextMatch::Exact(text.into()), false, false);
    let two = [("x", "1"), ("X", "2")];
    assert!(matches(&exact("1"), "/", &two) && matches(&exact("2"), "/", &two));
    assert!(!matches(&exact("1,2"), "/", &two));
    assert!(matches(&exact("1,2"), "/", &[("x", "1,2")]));
    let regex = header(TextMatch::Regex("v[0-9]".into()), false, false);
    assert!(matches(&regex, "/", &[("x", "v1")]) && !matches(&regex, "/", &[("x", "v10")]));
}

#[test]
fn a_missing_header_fails_even_an_inverted_matcher() {
    let inverted = header(TextMatch::Exact("1".into()), true, false);
    assert!(!matches(&inverted, "/", &[]));
    assert!(matches(&inverted, "/", &[("x", "2")]) && !matches(&inverted, "/", &[("x", "1")]));
    let without = header(TextMatch::Exact("1".into()), true, true);
    assert!(matches(&without, "/", &[]));
    let present = |invert| header(TextMatch::Present, invert, invert);
    assert!(matches(&present(false), "/", &[("x", "")]) && !matches(&present(false), "/", &[]));
    assert!(matches(&present(true), "/", &[]) && !matches(&present(true), "/", &[("x", "")]));
}

#[test]
fn pseudo_headers_and_query_parameters_are_conditions_too() {
    let mut method = header(TextMatch::Exact("GET".into()), false, false);
    method.headers[0].name = ":method".into();
    assert!(matches(&method, "/", &[]));
    let query = |value| RouteMatch {
        query: vec![QueryMatch {
            name: "k".into(),
            value,
        }],
        ..RouteMatch::any()
    };
    let one = query(TextMatch::Exact("1".into()));
    assert!(matches(&one, "/?a&k=1&k=2", &[]) && !matches(&one, "/?k=2&k=1", &[]));
    let present = query(TextMatch::Present);
    assert!(matches(&present, "/?k", &[]) && !matches(&present, "/?K=1", &[]));
}

#[test]
fn the_first_match_wins_and_the_trail_says_why_others_did_not() {
    let routes = vec![
        route(
            header(TextMatch::Exact("gold".into()), false, false),
            forward(),
        ),
        route(on_path(PathMatch::Prefix("/api".into())), forward()),
        route(RouteMatch::any(), forward()),
        route(RouteMatch::any(), forward()),
    ];
    let config = config(vec![vhost(&["shop", "*.shop"], routes)]);
    let (router, _) = Router::new(&config);
    let mut trail = Recorder::default();
    let headers = Headers::new();
    let decision = router.route(&config, &request("x.Shop:80", "/a?q", &headers), &mut trail);
    assert_eq!(decision, RouteDecision::Route { vhost: 0, route: 2 });
    let said: Vec<String> = trail
        .0
        .iter()
        .map(|reason| match reason {
            Reason::VirtualHostMatched { domain, .. } => format!("domain {domain}"),
            Reason::RouteSkipped { route, why } => format!("{route}: {}", why.describe()),
            other => format!("{other:?}"),
        })
        .collect();
    let expected = [
        "domain *.shop",
        "0: header `x` is missing",
        "1: path `/a` does not begin with `/api`",
        "RouteMatched { route: 2 }",
    ];
    assert_eq!(said, expected);
    let wrong = Mismatch::HeaderValue {
        name: "user".into(),
        expected: TextMatch::Prefix("g".into()),
        inverted: true,
        got: "gold".into(),
    };
    let text = "header `user` is `gold`, and must not begin with `g`";
    assert_eq!(wrong.describe(), text);
}

#[test]
fn a_bad_pattern_is_reported_and_never_matches() {
    let bad = on_path(PathMatch::Regex("/(?!x)".into()));
    let config = config(vec![vhost(&["*"], vec![route(bad, forward())])]);
    let (router, words) = Router::new(&config);
    assert!(words.len() == 1 && words[0].contains("(?!x)"), "{words:?}");
    let headers = Headers::new();
    let decision = router.route(&config, &request("a", "/x", &headers), &mut NoTrail);
    assert_eq!(decision, RouteDecision::NoRoute { vhost: 0 });
}

#[test]
fn weights_are_intervals_of_one_random_number() {
    let clusters = [cluster("a", 20), cluster("b", 0), cluster("c", 80)];
    let picked = |random| pick_weighted(&clusters, random);
    assert_eq!(
        (picked(19), picked(20), picked(99), picked(119)),
        (0, 2, 2, 0)
    );
    assert_eq!(pick_weighted(&clusters[1..2], 7), 0);
    let reason = Reason::weighted(&clusters, 120);
    let expected = Reason::WeightedPick {
        index: 2,
        draw_mod: 20,
        total: 100,
    };
    assert_eq!(reason, expected);
}
