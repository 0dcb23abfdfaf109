//! Rules and match blocks that nothing reaches, as Istio's admission finds them
//! (`analyzeUnreachableHTTPRules` and its TCP and TLS twins): IST0130 for rules, IST0131 for blocks.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;

use super::super::{HttpMatch, HttpRoute, L4Match, L4Route, StringMatch};
use crate::config::decode::{At, Fields};
use crate::diagnostic::{Class, Diagnostic};
use crate::units::Origin;
use crate::xds::Name;

pub(super) fn check_http(f: &Fields<'_>, rules: &[HttpRoute]) {
    let bare = |block: &HttpMatch| HttpMatch {
        name: Name::default(),
        origin: Origin::BUILT_IN,
        ..block.clone()
    };
    let blocks: Vec<Vec<HttpMatch>> = (rules.iter())
        .map(|rule| rule.matches.iter().map(bare).collect())
        .collect();
    let fresh = check_order(f, "http", &blocks);
    check_prefixes(f, &blocks, &fresh);
}

pub(super) fn check_l4(f: &Fields<'_>, field: &'static str, rules: &[L4Route]) {
    let bare = |block: &L4Match| L4Match {
        origin: Origin::BUILT_IN,
        ..block.clone()
    };
    let blocks: Vec<Vec<L4Match>> = (rules.iter())
        .map(|rule| rule.matches.iter().map(bare).collect())
        .collect();
    check_order(f, field, &blocks);
}

/// Rules behind one that takes everything, and blocks that were there before; the rest, as
/// (rule, block), is returned.
fn check_order<M: Debug>(
    f: &Fields<'_>,
    field: &'static str,
    rules: &[Vec<M>],
) -> Vec<(usize, usize)> {
    let items = f.items(field);
    let mut takes_all: Option<usize> = None;
    // By the whole text of a block, so that ten thousand of them take no time; looked up only.
    let mut first_of: HashMap<String, usize> = HashMap::new();
    let mut fresh: Vec<(usize, usize)> = Vec::new();
    for ((rule, blocks), item) in rules.iter().enumerate().zip(&items) {
        if let Some(first) = takes_all {
            let message =
                "this rule is never reached: an earlier one has no `match` and takes everything";
            let first = items[first].place();
            item.push(unreachable(message).see(first, "takes everything"));
            continue;
        }
        if blocks.is_empty() {
            takes_all = Some(rule);
            continue;
        }
        let mut repeated = 0;
        for (block, what) in blocks.iter().enumerate() {
            let text = format!("{what:?}");
            let Some(earlier) = first_of.get(&text) else {
                first_of.insert(text, rule);
                fresh.push((rule, block));
                continue;
            };
            repeated += 1;
            let message = "this match has no effect: an earlier one is the same";
            let first = items[*earlier].place();
            push_at_match(item, block, ineffective(message).see(first, "given here"));
        }
        if repeated == blocks.len() {
            let message = "this rule is never reached: earlier rules have all its matches";
            item.push(unreachable(message));
        }
    }
    fresh
}

/// Prefixes that an earlier, shorter one covers.
fn check_prefixes(f: &Fields<'_>, blocks: &[Vec<HttpMatch>], fresh: &[(usize, usize)]) {
    let items = f.items("http");
    // Blocks so far by their prefix; looked up only.
    let mut known: HashMap<&str, Vec<(usize, usize)>> = HashMap::new();
    for (rule, block) in fresh {
        let later = &blocks[*rule][*block];
        let Some(path) = prefix(later) else {
            continue;
        };
        let beginnings = path.char_indices().skip(1).map(|(end, _)| &path[..end]);
        let candidates = beginnings.flat_map(|start| known.get(start).into_iter().flatten());
        let covering = candidates
            .filter(|(r, b)| covers(&blocks[*r][*b], later))
            .min();
        let covering = covering.copied();
        known.entry(path).or_default().push((*rule, *block));
        let (Some((earlier, b)), Some(item)) = (covering, items.get(*rule)) else {
            continue;
        };
        let prefix = prefix(&blocks[earlier][b]).unwrap_or_default();
        let message = format!("this match has no effect: the earlier prefix `{prefix}` covers it");
        let first = items[earlier].place();
        push_at_match(item, *block, ineffective(message).see(first, "given here"));
    }
}

fn prefix(block: &HttpMatch) -> Option<&str> {
    match &block.uri {
        Some(StringMatch::Prefix(prefix)) if !prefix.is_empty() => Some(prefix),
        _ => None,
    }
}

/// Istio's rule of thumb: it looks at no labels, no gateways and no scheme, and takes an absent
/// method for GET.
fn covers(earlier: &HttpMatch, later: &HttpMatch) -> bool {
    let (Some(a), Some(b)) = (prefix(earlier), prefix(later)) else {
        return false;
    };
    let method = |block: &HttpMatch| {
        let text = written(block.method.as_ref());
        if text.is_empty() {
            "exact:GET".to_owned()
        } else {
            text
        }
    };
    let authority = |block: &HttpMatch| written(block.authority.as_ref());
    a != b
        && b.starts_with(a)
        && earlier.port == later.port
        && method(earlier).starts_with(&method(later))
        && authority(earlier).starts_with(&authority(later))
        && maps_cover(&earlier.headers, &later.headers)
        && maps_cover(&earlier.query_params, &later.query_params)
        && maps_cover(&earlier.without_headers, &later.without_headers)
}

type Conditions = BTreeMap<Name, Option<StringMatch>>;

fn maps_cover(earlier: &Conditions, later: &Conditions) -> bool {
    earlier.len() == later.len()
        && earlier.iter().all(|(key, value)| {
            later
                .get(key)
                .is_some_and(|other| written(value.as_ref()).starts_with(&written(other.as_ref())))
        })
}

/// A condition as text; a regex and presence are none.
fn written(condition: Option<&StringMatch>) -> String {
    match condition {
        Some(StringMatch::Exact(text)) if !text.is_empty() => format!("exact:{text}"),
        Some(StringMatch::Prefix(text)) if !text.is_empty() => format!("prefix:{text}"),
        _ => String::new(),
    }
}

fn unreachable(message: &str) -> Diagnostic {
    Diagnostic::warning("IST0130", Class::Admission, message)
}

fn ineffective(message: impl Into<String>) -> Diagnostic {
    Diagnostic::warning("IST0131", Class::Admission, message)
}

/// Says something about a match block of a rule.
fn push_at_match(rule: &At<'_>, block: usize, diagnostic: Diagnostic) {
    rule.object(|f| {
        f.accept_unknown();
        if let Some(at) = f.items("match").get(block) {
            at.push(diagnostic);
        }
    });
}
