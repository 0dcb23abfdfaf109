//! Promises of what a route changes about a request (Envoy 1.40, measured).

use towtank::data_plane::Router;
use towtank::data_plane::mutate::{mirror_authority, redirect, upstream_request};
use towtank::http::Headers;
use towtank::xds::Name;
use towtank::xds::route::{Forward, HeaderOps, PathMatch, Redirect, Rewrite, RouteMatch};

use crate::data_plane_router::{config, forward, on_path, request, route, vhost};

/// Upstream path of a rewritten request.
fn rewritten(matched: PathMatch, rewrite: Rewrite, path: &str) -> String {
    let forward = Forward {
        rewrite: Some(rewrite),
        ..forward()
    };
    let config = config(vec![vhost(
        &["*"],
        vec![route(on_path(matched), forward.clone())],
    )]);
    let (router, _) = Router::new(&config);
    let headers = Headers::new();
    let view = request("a", path, &headers);
    let pattern = router.rewrite_pattern(0, 0);
    let route = &config.virtual_hosts[0].routes[0];
    let sent = upstream_request(route, &forward, 0, &view, pattern);
    assert_eq!(sent.original_path.as_deref(), Some(path));
    sent.path
}

#[test]
fn prefixes_are_replaced_byte_for_byte() {
    let check = |from: &str, to: &str, path: &str, expected: &str| {
        let prefix = Rewrite::Prefix(to.into());
        assert_eq!(
            rewritten(PathMatch::Prefix(from.into()), prefix, path),
            expected
        );
    };
    check("/v2/", "/", "/v2/foo?x=/v2/", "/foo?x=/v2/");
    check("/v3", "/", "/v3", "/");
    check("/v3", "/", "/v3/foo", "//foo");
    check("/v3", "/", "/v3foo", "/foo");
    check("/CaSe", "/low", "/cAsE/Z", "/low/Z");
    let segment = |path| {
        let matched = PathMatch::SegmentPrefix("/pss".into());
        rewritten(matched, Rewrite::Prefix("/z".into()), path)
    };
    assert_eq!((&*segment("/pss"), &*segment("/pss/a")), ("/z", "/z/a"));
    let whole = Rewrite::Prefix("/w".into());
    assert_eq!(
        rewritten(PathMatch::Regex(".*".into()), whole, "/a/b?c"),
        "/w?c"
    );
}

#[test]
fn a_regex_rewrite_leaves_the_query_alone() {
    let rewrite = Rewrite::Regex {
        pattern: "^/rx/([^/]+)/(.*)$".into(),
        substitution: r"/\2/i/\1".into(),
    };
    let matched = PathMatch::Prefix("/".into());
    assert_eq!(rewritten(matched, rewrite, "/rx/a/b?k=1"), "/b/i/a?k=1");
}

#[test]
fn destination_headers_come_before_route_headers() {
    let pairs = |lines: &[(&str, &str)]| {
        let line = |(n, v): &(&str, &str)| (Name::from(*n), Name::from(*v));
        lines.iter().map(line).collect::<Vec<_>>()
    };
    let mut forward = forward();
    forward.clusters[0].request_headers = HeaderOps {
        set: pairs(&[("a", "cluster"), ("gone", "1"), ("host", "from.cluster")]),
        ..HeaderOps::default()
    };
    let mut route = route(RouteMatch::any(), forward.clone());
    route.request_headers = HeaderOps {
        set: pairs(&[("a", "route"), (":path", "/no")]),
        add: pairs(&[("b", "2")]),
        remove: vec!["gone".into()],
    };
    let headers: Headers = [("b", "1")].into_iter().collect();
    let sent = upstream_request(&route, &forward, 0, &request("h", "/", &headers), None);
    let all: Vec<_> = sent.headers.iter().collect();
    assert_eq!(all, [("b", "1"), ("a", "route"), ("b", "2")]);
    assert_eq!((&*sent.authority, &*sent.path), ("from.cluster", "/"));
    forward.authority = Some("rewritten".into());
    let sent = upstream_request(&route, &forward, 0, &request("h", "/", &headers), None);
    assert_eq!((&*sent.authority, sent.original_path), ("rewritten", None));
}

#[test]
fn redirects_keep_the_query_and_drop_default_ports() {
    let check = |redirection: Redirect, authority: &str, path: &str, expected: (u16, &str)| {
        let matched = on_path(PathMatch::Prefix("/redir".into()));
        let route = route(matched, forward());
        let headers = Headers::new();
        let (status, location) =
            redirect(&route, &redirection, &request(authority, path, &headers));
        assert_eq!((status, &*location), expected);
    };
    let to = |path: &str| Redirect {
        path: Some(path.into()),
        ..Redirect::default()
    };
    check(
        to("/new"),
        "a.test",
        "/redir?x=1",
        (301, "http://a.test/new?x=1"),
    );
    check(
        to("/new?y"),
        "a.test",
        "/redir?x=1",
        (301, "http://a.test/new?y"),
    );
    let https = || Redirect {
        scheme: Some("https".into()),
        status: 308,
        ..Redirect::default()
    };
    check(
        https(),
        "a.test:80",
        "/redir",
        (308, "https://a.test/redir"),
    );
    check(
        https(),
        "a.test:81",
        "/redir",
        (308, "https://a.test:81/redir"),
    );
    let prefix = Redirect {
        prefix_rewrite: Some("/n".into()),
        port: Some(8443),
        ..https()
    };
    check(
        prefix,
        "a.test:80",
        "/redir/1?q",
        (308, "https://a.test:8443/n/1?q"),
    );
    let elsewhere = Redirect {
        authority: Some("b.test".into()),
        ..Redirect::default()
    };
    check(
        elsewhere,
        "a.test:81",
        "/redir",
        (301, "http://b.test/redir"),
    );
}

#[test]
fn mirrors_get_a_shadow_before_the_port() {
    assert_eq!(mirror_authority("a.test:80", true), "a.test-shadow:80");
    assert_eq!(mirror_authority("a.test", true), "a.test-shadow");
    assert_eq!(mirror_authority("a.test", false), "a.test");
}
