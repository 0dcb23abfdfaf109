//! What a route changes about a request: rewrites, header operations, redirects.
//!
//! Applied once, before the first try; retries reuse the result
//! (`source/common/router/config_impl.cc`, `path_rewrite_utility.cc`). Header operations run
//! destination first, then route. Not modelled: `%…%` formats in header values, rewrites of
//! `:authority` by header, regex or chosen host.

use super::domain::strip_port;
use super::path::{Target, with_query};
use super::pattern::Pattern;
use super::router::RequestView;
use crate::http::Headers;
use crate::xds::route::{Forward, HeaderOps, PathMatch, Redirect, Rewrite, Route};

/// The request as it goes upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamRequest {
    /// Method, unchanged.
    pub method: String,
    /// `:authority` after rewrites.
    pub authority: String,
    /// Path with query after normalisation and rewrites.
    pub path: String,
    /// Header lines; `x-envoy-attempt-count` is the caller's.
    pub headers: Headers,
    /// `x-envoy-original-path`: the path before a rewrite.
    pub original_path: Option<String>,
}

/// Applies a route to a request. `rewrite` is [`super::Router::rewrite_pattern`]; without it
/// a regex rewrite is compiled on the spot.
pub fn upstream_request(
    route: &Route,
    forward: &Forward,
    cluster_index: usize,
    request: &RequestView<'_>,
    rewrite: Option<&Pattern>,
) -> UpstreamRequest {
    let target = Target::of(request.path);
    let before = target.joined();
    let mut authority = None;
    let mut headers = request.headers.clone();
    if let Some(cluster) = forward.clusters.get(cluster_index) {
        authority = apply(&cluster.request_headers, &mut headers);
    }
    // The route's own Host operation is in `forward.authority` already.
    apply(&route.request_headers, &mut headers);
    if let Some(text) = &forward.authority {
        authority = Some(text.to_string());
    }
    let path = match &forward.rewrite {
        None => before.clone(),
        Some(Rewrite::Prefix(to)) => replace_prefix(&route.matches.path, to, &target),
        Some(Rewrite::Regex {
            pattern,
            substitution,
        }) => {
            let compiled;
            let pattern = if let Some(pattern) = rewrite {
                pattern
            } else {
                compiled = Pattern::search(pattern).unwrap_or(Pattern::never());
                &compiled
            };
            let path = pattern.replace_all(&target.path, substitution);
            with_query(&path, target.query)
        }
    };
    UpstreamRequest {
        method: request.method.to_owned(),
        authority: authority.unwrap_or_else(|| request.authority.to_owned()),
        original_path: forward.rewrite.is_some().then_some(before),
        path,
        headers,
    }
}

/// Remove, then set, then add; pseudo headers are left alone, except that a new host is
/// handed back.
pub fn apply(ops: &HeaderOps, headers: &mut Headers) -> Option<String> {
    let mut host = None;
    for name in &ops.remove {
        headers.remove(name);
    }
    let set = ops.set.iter().map(|line| (line, true));
    let add = ops.add.iter().map(|line| (line, false));
    for ((name, value), overwrite) in set.chain(add) {
        if name.eq_ignore_ascii_case("host") || &**name == ":authority" {
            host.get_or_insert_with(|| value.to_string());
        } else if name.starts_with(':') {
            // Envoy refuses them, istiod leaves them out.
        } else if overwrite {
            headers.set(name, value);
        } else {
            headers.append(name, value);
        }
    }
    host
}

/// Puts `to` in place of the matched text, byte for byte: double slashes stay. Exact and
/// regex matches are replaced as a whole.
fn replace_prefix(matched: &PathMatch, to: &str, target: &Target<'_>) -> String {
    let matched_len = match matched {
        PathMatch::Prefix(p) | PathMatch::SegmentPrefix(p) => p.len(),
        PathMatch::Exact(_) | PathMatch::Regex(_) => target.path.len(),
    };
    let rest = target.path.get(matched_len..).unwrap_or("");
    with_query(&format!("{to}{rest}"), target.query)
}

/// Status and `location` of a redirect.
pub fn redirect(route: &Route, redirect: &Redirect, request: &RequestView<'_>) -> (u16, String) {
    let target = Target::of(request.path);
    let scheme = redirect.scheme.as_deref().unwrap_or(request.scheme);
    let host = match redirect.authority.as_deref() {
        Some(authority) if !authority.is_empty() => authority,
        _ => redirect_host(request, scheme, redirect.port.is_some()),
    };
    let port = redirect
        .port
        .map_or(String::new(), |port| format!(":{port}"));
    let path = match (&redirect.path, &redirect.prefix_rewrite) {
        // A query in the new path takes the place of the request's.
        (Some(path), _) if path.contains('?') => path.to_string(),
        (Some(path), _) => with_query(path, target.query),
        (None, Some(to)) => replace_prefix(&route.matches.path, to, &target),
        (None, None) => target.joined(),
    };
    let status = if redirect.status == 0 {
        301
    } else {
        redirect.status
    };
    (status, format!("{scheme}://{host}{port}{path}"))
}

/// The request's host; its port goes when another is written, and the old scheme's default
/// port goes when the scheme changes.
fn redirect_host<'a>(request: &RequestView<'a>, scheme: &str, new_port: bool) -> &'a str {
    let bare = strip_port(request.authority);
    let port = &request.authority[bare.len()..];
    let default_port = match request.scheme {
        "https" => ":443",
        _ => ":80",
    };
    if new_port || (scheme != request.scheme && port == default_port) {
        bare
    } else {
        request.authority
    }
}

/// `:authority` of a mirrored request: `-shadow` before the port, unless switched off.
pub fn mirror_authority(authority: &str, append_shadow: bool) -> String {
    if !append_shadow {
        return authority.to_owned();
    }
    let host = strip_port(authority);
    format!("{host}-shadow{}", &authority[host.len()..])
}
