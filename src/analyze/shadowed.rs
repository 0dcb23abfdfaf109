//! `TT-ROUTE-SHADOWED`: matches that an earlier rule of the same VirtualService always takes first.
//!
//! Istio's own analysis (`IST0130`, `IST0131`) sees equal matches and longer prefixes; this sees
//! what the conditions mean: an exact path behind a prefix, a prefix behind a regex, one header more
//! than an earlier rule asks for. A condition is taken to imply another only where that is certain.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::Context;
use crate::config::istio::{HttpMatch, HttpRoute, StringMatch, VirtualService};
use crate::data_plane::pattern::Pattern;
use crate::diagnostic::{Diagnostic, Place};
use crate::units::Origin;
use crate::xds::Name;

/// `said`: what admission said of the same lines.
pub(super) fn check(context: &Context<'_>, said: &[Diagnostic], found: &mut Vec<Diagnostic>) {
    let told: BTreeSet<&Place> = (said.iter())
        .filter(|d| matches!(d.code, "IST0130" | "IST0131"))
        .filter_map(|d| d.place.as_ref())
        .collect();
    for service in &context.config.virtual_services {
        let blocks = blocks(service);
        let mut patterns = Patterns::default();
        for (at, block) in blocks.iter().enumerate() {
            // Istio says it already.
            let origins = [block.rule.origin, block.origin];
            if origins
                .iter()
                .any(|origin| told.contains(&place(context, *origin)))
            {
                continue;
            }
            // What a delegate does not match falls through to the rules behind it, and matches of
            // one rule are alternatives.
            let mut before = (blocks[..at].iter()).filter(|b| {
                b.rule.delegate.is_none()
                    && b.rule.origin != block.rule.origin
                    // Every path begins with a slash.
                    && (b.begins == "/" || block.begins.starts_with(b.begins))
            });
            let first = before.find(|b| patterns.covers(&b.what, &block.what, &service.gateways));
            found.extend(first.map(|first| finding(context, block, first)));
        }
    }
}

/// A match of a rule; a rule without one has one that takes everything.
struct Block<'v> {
    rule: &'v HttpRoute,
    what: Cow<'v, HttpMatch>,
    /// What every path that it takes begins with, as far as that is plain: most pairs of a large
    /// VirtualService differ here.
    begins: &'v str,
    origin: Origin,
}

fn begins(block: &HttpMatch) -> &str {
    match &block.uri {
        None => "/",
        Some(StringMatch::Exact(text) | StringMatch::Prefix(text)) if !block.ignore_uri_case => {
            text
        }
        Some(StringMatch::Regex(text)) => literal(text).0,
        _ => "",
    }
}

fn blocks(service: &VirtualService) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    for rule in &service.http {
        if rule.matches.is_empty() {
            blocks.push(Block {
                rule,
                what: Cow::Owned(HttpMatch::default()),
                begins: "/",
                origin: rule.origin,
            });
        }
        blocks.extend(rule.matches.iter().map(|block| Block {
            rule,
            what: Cow::Borrowed(block),
            begins: begins(block),
            origin: block.origin,
        }));
    }
    blocks
}

fn place(context: &Context<'_>, origin: Origin) -> Place {
    let file = &context.config.origins.object(origin.object).file;
    Place::new(file, origin.line, origin.column)
}

fn finding(context: &Context<'_>, block: &Block<'_>, first: &Block<'_>) -> Diagnostic {
    let what = match block.rule.matches.len() {
        0 | 1 => "this rule is never reached",
        _ => "this match is never decisive",
    };
    let named = match &*first.rule.name {
        "" => "an earlier rule".to_owned(),
        name => format!("the earlier rule `{name}`"),
    };
    let path = first.what.uri.as_ref().map(|uri| match uri {
        StringMatch::Exact(text) => format!(" (exact `{text}`)"),
        StringMatch::Prefix(text) => format!(" (prefix `{text}`)"),
        StringMatch::Regex(text) => format!(" (regex `{text}`)"),
    });
    let message = format!(
        "{what}: {named}{} takes all of its requests",
        path.unwrap_or_default()
    );
    let help = "rules are tried in the order written: move the narrower one up, or remove it";
    let said = context.say("TT-ROUTE-SHADOWED", block.origin, message, help);
    said.see(place(context, first.origin), "takes them")
}

/// Regular expressions, each compiled once.
#[derive(Default)]
struct Patterns(BTreeMap<Name, Option<Pattern>>);

impl Patterns {
    /// Does whatever fulfils `later` fulfil `earlier` too?
    fn covers(&mut self, earlier: &HttpMatch, later: &HttpMatch, gateways: &[Name]) -> bool {
        let labels = &earlier.source_labels;
        self.path_covers(earlier, later)
            && (earlier.port == 0 || earlier.port == later.port)
            && labels
                .iter()
                .all(|(key, value)| later.source_labels.get(key) == Some(value))
            && (earlier.source_namespace.is_empty()
                || earlier.source_namespace == later.source_namespace)
            && at_gateways(later, gateways)
                .iter()
                .all(|gateway| at_gateways(earlier, gateways).contains(gateway))
            && self.one_covers(earlier.scheme.as_ref(), later.scheme.as_ref())
            && self.one_covers(earlier.method.as_ref(), later.method.as_ref())
            && self.one_covers(earlier.authority.as_ref(), later.authority.as_ref())
            && self.all_cover(&earlier.headers, &later.headers, true)
            && self.all_cover(&earlier.query_params, &later.query_params, false)
            && (earlier.without_headers.iter())
                .all(|(name, condition)| later.without_headers.get(name) == Some(condition))
    }

    fn path_covers(&mut self, earlier: &HttpMatch, later: &HttpMatch) -> bool {
        let Some(wide) = &earlier.uri else {
            return true;
        };
        // Every path begins with a slash.
        if matches!(wide, StringMatch::Prefix(prefix) if &**prefix == "/") {
            return true;
        }
        let Some(narrow) = &later.uri else {
            return self.implies(&StringMatch::Prefix("/".into()), wide);
        };
        let cases = |block: &HttpMatch, uri: &StringMatch| {
            block.ignore_uri_case && !matches!(uri, StringMatch::Regex(_))
        };
        match (cases(earlier, wide), cases(later, narrow)) {
            (false, false) => self.implies(narrow, wide),
            (false, true) => false,
            (true, _) => self.implies(&lower(narrow), &lower(wide)),
        }
    }

    fn one_covers(&mut self, earlier: Option<&StringMatch>, later: Option<&StringMatch>) -> bool {
        match (earlier, later) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(wide), Some(narrow)) => self.implies(narrow, wide),
        }
    }

    /// Every condition of the earlier one follows from one of the later.
    fn all_cover(&mut self, earlier: &Conditions, later: &Conditions, any_case: bool) -> bool {
        earlier.iter().all(|(name, wide)| {
            let same =
                |other: &Name| other == name || (any_case && other.eq_ignore_ascii_case(name));
            let found = later.iter().find(|(other, _)| same(other));
            found.is_some_and(|(_, narrow)| match wide {
                None => true,
                wide => self.one_covers(wide.as_ref(), narrow.as_ref()),
            })
        })
    }

    /// Is every text that fulfils `narrow` certain to fulfil `wide`?
    fn implies(&mut self, narrow: &StringMatch, wide: &StringMatch) -> bool {
        use StringMatch::{Exact, Prefix, Regex};
        match (narrow, wide) {
            (Exact(a), Exact(b)) => a == b,
            (Exact(a) | Prefix(a), Prefix(b)) => a.starts_with(&**b),
            (Exact(a), Regex(r)) => {
                let compiled = || Pattern::full(r).ok();
                let pattern = self.0.entry(r.clone()).or_insert_with(compiled);
                pattern.as_ref().is_some_and(|pattern| pattern.is_match(a))
            }
            (Prefix(a), Regex(r)) => begins_as(a, r),
            (Regex(a), Regex(b)) => a == b || begins_as(literal(a).0, b),
            (Regex(a), Prefix(b)) => literal(a).0.starts_with(&**b),
            (Prefix(_) | Regex(_), Exact(_)) => false,
        }
    }
}

type Conditions = BTreeMap<Name, Option<StringMatch>>;

/// Where a match holds: its own gateways, else those of the VirtualService.
fn at_gateways(block: &HttpMatch, gateways: &[Name]) -> Vec<Name> {
    match (block.gateways.as_slice(), gateways) {
        ([], []) => vec!["mesh".into()],
        ([], all) => all.to_vec(),
        (own, _) => own.to_vec(),
    }
}

fn lower(text: &StringMatch) -> StringMatch {
    match text {
        StringMatch::Exact(text) => StringMatch::Exact(text.to_lowercase().into()),
        StringMatch::Prefix(text) => StringMatch::Prefix(text.to_lowercase().into()),
        StringMatch::Regex(text) => StringMatch::Regex(text.clone()),
    }
}

/// Does a regex that is plain text and then anything match every text that begins like this?
fn begins_as(text: &str, regex: &str) -> bool {
    open_ended(regex).is_some_and(|(begin, more)| {
        text.starts_with(begin) && text.len() >= begin.len() + usize::from(more)
    })
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
            let implied = Patterns::default().implies(&narrow, &wide);
            assert_eq!(implied, expected, "{narrow:?} {wide:?}");
        }
    }
}
