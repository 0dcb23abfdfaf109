//! Delegates: rules of a VirtualService without hosts take the place of a root's rule
//! (`pilot/pkg/model/virtualservice.go`, mergeVirtualServicesIfNeeded).

use std::collections::{BTreeMap, HashMap};

use super::virtual_service::{RootVirtualService, visibility};
use super::visibility::Visibility;
use crate::config::MeshConfig;
use crate::config::istio::{HeaderOperations, HttpMatch, HttpRoute, StringMatch, VirtualService};
use crate::xds::Name;

/// VirtualServices without hosts, by (namespace, name); looked up, never iterated.
pub(super) struct Delegates {
    by_name: HashMap<(Name, Name), (Visibility, Vec<HttpRoute>)>,
}

impl Delegates {
    /// Indexes them.
    pub(super) fn new(
        config: &MeshConfig,
        sources: &[&VirtualService],
        resolve: &dyn Fn(&VirtualService) -> RootVirtualService,
    ) -> Self {
        let by_name = (sources.iter().filter(|vs| vs.hosts.is_empty()))
            .map(|vs| {
                let key = (vs.meta.namespace.clone(), vs.meta.name.clone());
                (key, (visibility(vs, config), resolve(vs).http))
            })
            .collect();
        Self { by_name }
    }

    /// Replaces rules that delegate; a missing or invisible delegate drops its rule alone.
    pub(super) fn merge(&self, root_namespace: &Name, rules: Vec<HttpRoute>) -> Vec<HttpRoute> {
        let mut merged = Vec::with_capacity(rules.len());
        for root in rules {
            let Some(delegate) = &root.delegate else {
                merged.push(root);
                continue;
            };
            let namespace = if delegate.namespace.is_empty() {
                root_namespace.clone()
            } else {
                delegate.namespace.clone()
            };
            let found = self.by_name.get(&(namespace, delegate.name.clone()));
            let Some((_, rules)) = found.filter(|(seen, _)| seen.includes(root_namespace)) else {
                continue;
            };
            merged.extend(rules.iter().filter_map(|d| merge_rule(&root, d)));
        }
        merged
    }
}

/// The delegate's rule under the root's conditions; `None` when they exclude each other.
fn merge_rule(root: &HttpRoute, delegate: &HttpRoute) -> Option<HttpRoute> {
    // One level only: a delegate's delegate is not followed.
    let mut rule = delegate.clone();
    rule.delegate = None;
    rule.name = join(&root.name, &delegate.name);
    rule.matches = merge_matches(&root.matches, &delegate.matches)?;
    rule.rewrite = rule.rewrite.or_else(|| root.rewrite.clone());
    rule.direct_response = (rule.direct_response).or_else(|| root.direct_response.clone());
    rule.timeout = rule.timeout.or(root.timeout);
    rule.retries = rule.retries.or_else(|| root.retries.clone());
    rule.fault = rule.fault.or_else(|| root.fault.clone());
    if rule.mirrors.is_empty() {
        rule.mirrors.clone_from(&root.mirrors);
    }
    if rule.headers == HeaderOperations::default() {
        rule.headers = root.headers.clone();
    }
    Some(rule)
}

fn join(root: &Name, delegate: &Name) -> Name {
    match (root.is_empty(), delegate.is_empty()) {
        (true, _) => delegate.clone(),
        (_, true) => root.clone(),
        _ => format!("{root}-{delegate}").into(),
    }
}

/// All pairs that do not conflict, delegate order outside; `None` when a delegate block fits no root block.
fn merge_matches(root: &[HttpMatch], delegate: &[HttpMatch]) -> Option<Vec<HttpMatch>> {
    if root.is_empty() {
        return Some(delegate.to_vec());
    }
    if delegate.is_empty() {
        return Some(root.to_vec());
    }
    let mut merged = Vec::new();
    for d in delegate {
        let before = merged.len();
        merged.extend(
            (root.iter())
                .filter(|r| !conflicts(r, d))
                .map(|r| merge_block(r, d)),
        );
        if merged.len() == before {
            return None;
        }
    }
    Some(merged)
}

fn merge_block(root: &HttpMatch, delegate: &HttpMatch) -> HttpMatch {
    let pick = |d: &Option<StringMatch>, r: &Option<StringMatch>| d.clone().or_else(|| r.clone());
    let unite = |r: &BTreeMap<Name, Option<StringMatch>>,
                 d: &BTreeMap<Name, Option<StringMatch>>| {
        let mut all = r.clone();
        all.extend(d.clone());
        all
    };
    let mut source_labels = root.source_labels.clone();
    source_labels.extend(delegate.source_labels.clone());
    HttpMatch {
        name: join(&root.name, &delegate.name),
        uri: pick(&delegate.uri, &root.uri),
        ignore_uri_case: delegate.ignore_uri_case || root.ignore_uri_case,
        scheme: pick(&delegate.scheme, &root.scheme),
        method: pick(&delegate.method, &root.method),
        authority: pick(&delegate.authority, &root.authority),
        headers: unite(&root.headers, &delegate.headers),
        without_headers: unite(&root.without_headers, &delegate.without_headers),
        query_params: unite(&root.query_params, &delegate.query_params),
        port: if delegate.port == 0 {
            root.port
        } else {
            delegate.port
        },
        source_namespace: if delegate.source_namespace.is_empty() {
            root.source_namespace.clone()
        } else {
            delegate.source_namespace.clone()
        },
        gateways: if delegate.gateways.is_empty() {
            root.gateways.clone()
        } else {
            delegate.gateways.clone()
        },
        source_labels,
        origin: delegate.origin,
    }
}

/// True when a block of the delegate cannot be narrowed to the root's (`pilot/pkg/model/virtualservice.go`, hasConflict).
fn conflicts(root: &HttpMatch, delegate: &HttpMatch) -> bool {
    let text = |r: &Option<StringMatch>, d: &Option<StringMatch>| match (r, d) {
        (Some(r), Some(d)) => text_conflicts(r, d),
        _ => false,
    };
    let maps = |r: &BTreeMap<Name, Option<StringMatch>>,
                d: &BTreeMap<Name, Option<StringMatch>>| {
        r.iter().any(|(key, r)| match (r, d.get(key)) {
            (_, None) => false,
            (Some(r), Some(Some(d))) => text_conflicts(r, d),
            // An empty matcher on either side of a shared key is refused.
            _ => true,
        })
    };
    let uris = root.uri.is_some() && delegate.uri.is_some();
    text(&root.uri, &delegate.uri)
        || text(&root.scheme, &delegate.scheme)
        || text(&root.method, &delegate.method)
        || text(&root.authority, &delegate.authority)
        || maps(&root.headers, &delegate.headers)
        || maps(&root.without_headers, &delegate.without_headers)
        || maps(&root.query_params, &delegate.query_params)
        || (uris && root.ignore_uri_case != delegate.ignore_uri_case)
        || (root.port != 0 && delegate.port != 0 && root.port != delegate.port)
        || (!root.source_namespace.is_empty() && root.source_namespace != delegate.source_namespace)
        || (root.source_labels.iter())
            .any(|(k, v)| delegate.source_labels.get(k).is_some_and(|d| d != v))
        || (!root.gateways.is_empty()
            && delegate.gateways.iter().any(|g| !root.gateways.contains(g)))
}

fn text_conflicts(root: &StringMatch, delegate: &StringMatch) -> bool {
    use StringMatch::{Exact, Prefix, Regex};
    match (root, delegate) {
        (Regex(_), _) | (_, Regex(_)) | (Exact(_), Prefix(_)) => true,
        (Exact(r), Exact(d)) => r.is_empty() || r != d,
        (Prefix(r), Exact(d) | Prefix(d)) => r.is_empty() || d.is_empty() || !d.starts_with(&**r),
    }
}
