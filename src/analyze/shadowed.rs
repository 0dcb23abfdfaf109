//! `TT-ROUTE-SHADOWED`: matches that an earlier rule of the same VirtualService always takes first.
//!
//! Istio's own analysis (`IST0130`, `IST0131`) sees equal matches and longer prefixes; this sees
//! what the conditions mean: an exact path behind a prefix, a prefix behind a regex, one header more
//! than an earlier rule asks for. A condition is taken to imply another only where that is certain.

use std::collections::BTreeMap;

use super::Context;
use crate::config::istio::{HttpMatch, HttpRoute, StringMatch, VirtualService};
use crate::data_plane::pattern::Pattern;
use crate::diagnostic::{Diagnostic, Place};
use crate::units::Origin;
use crate::xds::Name;

/// `said`: what admission said of the same lines.
pub(super) fn check(context: &Context<'_>, said: &[Diagnostic], found: &mut Vec<Diagnostic>) {
    for service in &context.config.virtual_services {
        for (at, rule) in service.http.iter().enumerate() {
            if is_told(context, said, rule.origin) {
                continue;
            }
            for block in blocks(rule) {
                let origin = block.map_or(rule.origin, |block| block.origin);
                if is_told(context, said, origin) {
                    continue;
                }
                if let Some(first) = taken_by(service, at, block) {
                    found.push(finding(context, rule, block, first));
                }
            }
        }
    }
}

/// The matches of a rule; `None` stands for "everything".
fn blocks(rule: &HttpRoute) -> Vec<Option<&HttpMatch>> {
    match rule.matches.as_slice() {
        [] => vec![None],
        blocks => blocks.iter().map(Some).collect(),
    }
}

/// Istio says it already.
fn is_told(context: &Context<'_>, said: &[Diagnostic], origin: Origin) -> bool {
    let file = &context.config.origins.object(origin.object).file;
    let place = Place::new(file, origin.line, origin.column);
    let mut told = said
        .iter()
        .filter(|d| matches!(d.code, "IST0130" | "IST0131"));
    told.any(|d| d.place.as_ref() == Some(&place))
}

/// The rule and match before this one that takes all of its requests.
fn taken_by<'v>(
    service: &'v VirtualService,
    at: usize,
    later: Option<&HttpMatch>,
) -> Option<(&'v HttpRoute, Option<&'v HttpMatch>)> {
    let anything = HttpMatch::default();
    let later = later.unwrap_or(&anything);
    for rule in &service.http[..at] {
        // What a delegate does not match falls through to the rules behind it.
        if rule.delegate.is_some() {
            continue;
        }
        let mut earlier = blocks(rule).into_iter();
        let covering =
            earlier.find(|block| covers(block.unwrap_or(&anything), later, &service.gateways));
        if let Some(block) = covering {
            return Some((rule, block));
        }
    }
    None
}

fn finding(
    context: &Context<'_>,
    rule: &HttpRoute,
    block: Option<&HttpMatch>,
    (first, by): (&HttpRoute, Option<&HttpMatch>),
) -> Diagnostic {
    let what = match rule.matches.len() {
        0 | 1 => "this rule is never reached",
        _ => "this match is never decisive",
    };
    let named = match &*first.name {
        "" => "an earlier rule".to_owned(),
        name => format!("the earlier rule `{name}`"),
    };
    let path = by.and_then(|by| by.uri.as_ref()).map(|uri| match uri {
        StringMatch::Exact(text) => format!(" (exact `{text}`)"),
        StringMatch::Prefix(text) => format!(" (prefix `{text}`)"),
        StringMatch::Regex(text) => format!(" (regex `{text}`)"),
    });
    let message = format!(
        "{what}: {named}{} takes all of its requests",
        path.unwrap_or_default()
    );
    let origin = block.map_or(rule.origin, |block| block.origin);
    let before = by.map_or(first.origin, |by| by.origin);
    let object = context.config.origins.object(before.object);
    let at = Place::new(&object.file, before.line, before.column);
    let help = "rules are tried in the order written: move the narrower one up, or remove it";
    let said = context.say("TT-ROUTE-SHADOWED", origin, message, help);
    said.see(at, "takes them")
}

/// Does whatever fulfils `later` fulfil `earlier` too?
fn covers(earlier: &HttpMatch, later: &HttpMatch, gateways: &[Name]) -> bool {
    let at = |block: &HttpMatch| -> Vec<Name> {
        let own = if block.gateways.is_empty() {
            gateways
        } else {
            &block.gateways
        };
        if own.is_empty() {
            vec!["mesh".into()]
        } else {
            own.to_vec()
        }
    };
    let labels = &earlier.source_labels;
    path_covers(earlier, later)
        && (earlier.port == 0 || earlier.port == later.port)
        && labels
            .iter()
            .all(|(key, value)| later.source_labels.get(key) == Some(value))
        && (earlier.source_namespace.is_empty()
            || earlier.source_namespace == later.source_namespace)
        && at(later)
            .iter()
            .all(|gateway| at(earlier).contains(gateway))
        && one_covers(earlier.scheme.as_ref(), later.scheme.as_ref())
        && one_covers(earlier.method.as_ref(), later.method.as_ref())
        && one_covers(earlier.authority.as_ref(), later.authority.as_ref())
        && all_cover(&earlier.headers, &later.headers, true)
        && all_cover(&earlier.query_params, &later.query_params, false)
        && earlier
            .without_headers
            .iter()
            .all(|(name, condition)| later.without_headers.get(name) == Some(condition))
}

fn path_covers(earlier: &HttpMatch, later: &HttpMatch) -> bool {
    let Some(wide) = &earlier.uri else {
        return true;
    };
    // Every path begins with a slash.
    if matches!(wide, StringMatch::Prefix(prefix) if &**prefix == "/") {
        return true;
    }
    let Some(narrow) = &later.uri else {
        return implies(&StringMatch::Prefix("/".into()), wide);
    };
    let cases = |block: &HttpMatch, uri: &StringMatch| {
        block.ignore_uri_case && !matches!(uri, StringMatch::Regex(_))
    };
    match (cases(earlier, wide), cases(later, narrow)) {
        (false, false) => implies(narrow, wide),
        (false, true) => false,
        (true, _) => implies(&lower(narrow), &lower(wide)),
    }
}

fn lower(text: &StringMatch) -> StringMatch {
    match text {
        StringMatch::Exact(text) => StringMatch::Exact(text.to_lowercase().into()),
        StringMatch::Prefix(text) => StringMatch::Prefix(text.to_lowercase().into()),
        StringMatch::Regex(text) => StringMatch::Regex(text.clone()),
    }
}

fn one_covers(earlier: Option<&StringMatch>, later: Option<&StringMatch>) -> bool {
    match (earlier, later) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(wide), Some(narrow)) => implies(narrow, wide),
    }
}

type Conditions = BTreeMap<Name, Option<StringMatch>>;

/// Every condition of the earlier one follows from one of the later.
fn all_cover(earlier: &Conditions, later: &Conditions, any_case: bool) -> bool {
    earlier.iter().all(|(name, wide)| {
        let same = |(other, _): &(&Name, &Option<StringMatch>)| {
            other == &name || (any_case && other.eq_ignore_ascii_case(name))
        };
        let found = later.iter().find(same);
        found.is_some_and(|(_, narrow)| match (wide, narrow) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(wide), Some(narrow)) => implies(narrow, wide),
        })
    })
}

/// Is every text that fulfils `narrow` certain to fulfil `wide`?
fn implies(narrow: &StringMatch, wide: &StringMatch) -> bool {
    use StringMatch::{Exact, Prefix, Regex};
    match (narrow, wide) {
        (Exact(a), Exact(b)) => a == b,
        (Exact(a) | Prefix(a), Prefix(b)) => a.starts_with(&**b),
        (Exact(a), Regex(r)) => Pattern::full(r).is_ok_and(|pattern| pattern.is_match(a)),
        (Prefix(a), Regex(r)) => open_ended(r).is_some_and(|(begin, more)| {
            a.starts_with(begin) && a.len() >= begin.len() + usize::from(more)
        }),
        (Regex(a), Regex(b)) => {
            a == b || open_ended(b) == Some(("", false)) || {
                let (fixed, _) = literal(a);
                open_ended(b).is_some_and(|(begin, more)| {
                    fixed.starts_with(begin) && fixed.len() >= begin.len() + usize::from(more)
                })
            }
        }
        (Regex(a), Prefix(b)) => literal(a).0.starts_with(&**b),
        (Prefix(_) | Regex(_), Exact(_)) => false,
    }
}

/// A regex that is plain text and then anything: the text, and whether one more byte is needed.
fn open_ended(regex: &str) -> Option<(&str, bool)> {
    let bare = regex.strip_prefix('^').unwrap_or(regex);
    let bare = bare.strip_suffix('$').unwrap_or(bare);
    let (begin, more) = match (bare.strip_suffix(".*"), bare.strip_suffix(".+")) {
        (Some(begin), _) => (begin, false),
        (_, Some(begin)) => (begin, true),
        _ => return None,
    };
    (literal(begin) == (begin, true)).then_some((begin, more))
}

/// What every text that a regex matches begins with, and whether that is all of the regex. A dot
/// counts as no plain character, although people mean it as one.
fn literal(regex: &str) -> (&str, bool) {
    let bare = regex.strip_prefix('^').unwrap_or(regex);
    if bare.contains('|') {
        return ("", false);
    }
    let special = |c: char| "\\.+*?()[]{}^$".contains(c);
    match bare.find(special) {
        None => (bare, true),
        Some(end) => {
            // `ab?` and `ab*` may do without the b.
            let optional = bare[end..].starts_with(['?', '*', '{']);
            let kept = bare[..end].char_indices().next_back();
            let end = if optional {
                kept.map_or(0, |(at, _)| at)
            } else {
                end
            };
            (&bare[..end], false)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_implies_another_only_where_that_is_certain() {
        use StringMatch::{Exact, Prefix, Regex};
        let text = |kind: fn(Name) -> StringMatch, text: &str| kind(text.into());
        for (narrow, wide, expected) in [
            (text(Exact, "/api/x"), text(Prefix, "/api/"), true),
            (text(Prefix, "/api"), text(Prefix, "/api/"), false),
            (text(Exact, "/v1/x"), text(Regex, "/v[0-9]/.*"), true),
            (text(Exact, "/vx/x"), text(Regex, "/v[0-9]/.*"), false),
            (text(Prefix, "/api/v2/"), text(Regex, "/api/.*"), true),
            (text(Prefix, "/api/"), text(Regex, "/api/.+"), false),
            (text(Prefix, "/api/v"), text(Regex, "^/api/.+$"), true),
            (text(Prefix, "/api/"), text(Regex, "/a.i/.*"), false),
            (text(Regex, "/api/v[12]/.*"), text(Prefix, "/api/"), true),
            (text(Regex, "/api?/.*"), text(Prefix, "/api"), false),
            (text(Regex, "/a/x|/b"), text(Prefix, "/a"), false),
            (text(Regex, "us-.*"), text(Regex, ".*"), true),
            (text(Regex, "us-.*"), text(Regex, "us-.*"), true),
            (text(Regex, "us-east-.*"), text(Regex, "us-.*"), true),
            (text(Regex, "us.*"), text(Regex, "us-.*"), false),
            (text(Prefix, "/a"), text(Exact, "/a"), false),
        ] {
            assert_eq!(implies(&narrow, &wide), expected, "{narrow:?} {wide:?}");
        }
    }
}
