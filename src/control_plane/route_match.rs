//! Match blocks as Envoy's matchers (`core/route/route.go`, TranslateRouteMatch).

use crate::config::istio::{HttpMatch, StringMatch};
use crate::xds::Name;
use crate::xds::route::{HeaderMatch, PathMatch, QueryMatch, RouteMatch, TextMatch};

/// The matcher of a block; no block matches everything.
pub(super) fn translate(block: Option<&HttpMatch>, missing_as_empty: bool) -> RouteMatch {
    let mut matches = RouteMatch::any();
    let Some(block) = block else {
        return matches;
    };
    matches.path = match &block.uri {
        None => PathMatch::Prefix("/".into()),
        Some(StringMatch::Exact(text)) => PathMatch::Exact(text.clone()),
        Some(StringMatch::Prefix(text)) => PathMatch::Prefix(text.clone()),
        Some(StringMatch::Regex(text)) => PathMatch::Regex(text.clone()),
    };
    matches.case_sensitive = !block.ignore_uri_case;
    for (name, value) in &block.headers {
        matches.headers.push(header(name, value.as_ref()));
    }
    for (name, value) in &block.without_headers {
        let mut condition = header(name, value.as_ref());
        condition.invert = true;
        // An absent header fails a presence test either way.
        condition.missing_as_empty = missing_as_empty && condition.value != TextMatch::Present;
        matches.headers.push(condition);
    }
    let pseudo = [
        (":method", &block.method),
        (":authority", &block.authority),
        (":scheme", &block.scheme),
    ];
    for (name, value) in pseudo {
        if value.is_some() {
            matches.headers.push(header(&name.into(), value.as_ref()));
        }
    }
    for (name, value) in &block.query_params {
        matches.query.push(QueryMatch {
            name: name.clone(),
            value: text(value.as_ref()),
        });
    }
    matches
}

fn header(name: &Name, value: Option<&StringMatch>) -> HeaderMatch {
    HeaderMatch {
        name: name.to_ascii_lowercase().into(),
        value: text(value),
        invert: false,
        missing_as_empty: false,
    }
}

fn text(value: Option<&StringMatch>) -> TextMatch {
    match value {
        None => TextMatch::Present,
        Some(StringMatch::Regex(r)) if &**r == "*" => TextMatch::Present,
        Some(StringMatch::Exact(text)) => TextMatch::Exact(text.clone()),
        Some(StringMatch::Prefix(text)) => TextMatch::Prefix(text.clone()),
        Some(StringMatch::Regex(text)) => TextMatch::Regex(text.clone()),
    }
}
