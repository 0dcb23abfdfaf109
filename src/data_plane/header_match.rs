//! Conditions on headers, of requests and of responses
//! (`source/common/http/header_utility.cc`).
//!
//! A header on several lines matches when any line does; a missing one fails even inverted
//! conditions, unless it counts as empty.

use super::pattern::Pattern;
use super::router::RequestView;
use crate::http::Headers;
use crate::xds::route::{HeaderMatch, TextMatch};

/// Conditions of which any suffices, compiled.
#[derive(Clone, Debug, Default)]
pub struct HeaderRules {
    rules: Vec<(HeaderMatch, Option<Pattern>)>,
}

impl HeaderRules {
    /// Compiles the conditions; bad patterns never match.
    pub fn new(conditions: &[HeaderMatch]) -> Self {
        let compile = |condition: &HeaderMatch| match &condition.value {
            TextMatch::Regex(text) => Some(Pattern::full(text).unwrap_or(Pattern::never())),
            _ => None,
        };
        let rules = conditions.iter().map(|c| (c.clone(), compile(c)));
        Self {
            rules: rules.collect(),
        }
    }

    /// True without any condition.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Does a request fulfil any of them?
    pub fn any_of_request(&self, request: &RequestView<'_>) -> bool {
        (self.rules.iter()).any(|(rule, pattern)| request_matches(rule, pattern.as_ref(), request))
    }

    /// Does a response fulfil any of them? `:status` is one of its headers.
    pub fn any_of_response(&self, status: u16, headers: &Headers) -> bool {
        let status = status.to_string();
        (self.rules.iter()).any(|(rule, pattern)| match &*rule.name {
            ":status" => text_matches(&rule.value, pattern.as_ref(), &status) != rule.invert,
            _ => lines_match(rule, pattern.as_ref(), headers),
        })
    }
}

/// One condition on a request, pseudo headers included.
pub(super) fn request_matches(
    header: &HeaderMatch,
    pattern: Option<&Pattern>,
    request: &RequestView<'_>,
) -> bool {
    match request.pseudo(&header.name) {
        Some(value) => text_matches(&header.value, pattern, value) != header.invert,
        None => lines_match(header, pattern, request.headers),
    }
}

fn lines_match(header: &HeaderMatch, pattern: Option<&Pattern>, headers: &Headers) -> bool {
    let mut values = headers.all(&header.name).peekable();
    let missing = values.peek().is_none();
    if header.value == TextMatch::Present {
        return missing == header.invert;
    }
    if missing {
        return header.missing_as_empty
            && text_matches(&header.value, pattern, "") != header.invert;
    }
    values.any(|value| text_matches(&header.value, pattern, value)) != header.invert
}

/// One condition on a text.
pub(super) fn text_matches(matcher: &TextMatch, pattern: Option<&Pattern>, value: &str) -> bool {
    match matcher {
        TextMatch::Exact(exact) => value == &**exact,
        TextMatch::Prefix(prefix) => value.starts_with(&**prefix),
        TextMatch::Regex(_) => pattern.is_some_and(|pattern| pattern.is_match(value)),
        TextMatch::Present => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_condition_on_a_response_suffices() {
        let rule = |name: &str, value: TextMatch| HeaderMatch {
            name: name.into(),
            value,
            invert: false,
            missing_as_empty: false,
        };
        let rules = HeaderRules::new(&[
            rule("x-retry", TextMatch::Exact("yes".into())),
            rule(":status", TextMatch::Regex("4..".into())),
        ]);
        let check = |status: u16, lines: &[(&str, &str)], expected: bool| {
            let headers: Headers = lines.iter().copied().collect();
            assert_eq!(
                rules.any_of_response(status, &headers),
                expected,
                "{status} {lines:?}"
            );
        };
        check(200, &[("x-retry", "yes")], true);
        check(200, &[("x-retry", "no")], false);
        check(404, &[], true);
        check(500, &[], false);
    }
}
