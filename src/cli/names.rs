//! Names on the command line: workloads in all the forms people write them, and namespaces.

use std::collections::BTreeSet;

use crate::config::store::MeshConfig;

/// Words for kinds, as kubectl abbreviates them.
const KINDS: [(&str, &str); 14] = [
    ("deploy", "Deployment"),
    ("deployment", "Deployment"),
    ("deployments", "Deployment"),
    ("sts", "StatefulSet"),
    ("statefulset", "StatefulSet"),
    ("statefulsets", "StatefulSet"),
    ("ds", "DaemonSet"),
    ("daemonset", "DaemonSet"),
    ("daemonsets", "DaemonSet"),
    ("rs", "ReplicaSet"),
    ("replicaset", "ReplicaSet"),
    ("po", "Pod"),
    ("pod", "Pod"),
    ("pods", "Pod"),
];

/// A workload that can be named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Known {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) kind: String,
}

/// All workloads of the manifests.
pub(super) fn known(config: &MeshConfig) -> Vec<Known> {
    let workloads = config.workloads.iter().map(|w| Known {
        namespace: w.meta.namespace.to_string(),
        name: w.meta.name.to_string(),
        kind: w.kind.to_string(),
    });
    workloads.collect()
}

/// The namespace of `-n`; else the only one that has workloads; else `default`.
pub(super) fn default_namespace(asked: Option<&str>, config: &MeshConfig) -> String {
    if let Some(asked) = asked {
        return asked.to_owned();
    }
    let used: BTreeSet<&str> = config
        .workloads
        .iter()
        .map(|w| &*w.meta.namespace)
        .collect();
    match used.iter().copied().collect::<Vec<_>>().as_slice() {
        [only] => (*only).to_owned(),
        _ => "default".to_owned(),
    }
}

/// The workload that `text` names: `ns/name`, `name.ns`, `name`, or `deploy/name[.ns]`.
pub(super) fn resolve<'a>(
    text: &str,
    namespace: &str,
    known: &'a [Known],
) -> Result<&'a Known, String> {
    let of = |ns: &str, name: &str, kind: Option<&str>| {
        known
            .iter()
            .find(|w| w.namespace == ns && w.name == name && kind.is_none_or(|kind| w.kind == kind))
    };
    let (kind, name) = match text.split_once('/') {
        Some((ns, name)) => {
            if let Some(found) = of(ns, name, None) {
                return Ok(found);
            }
            let kind = KINDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(ns));
            match kind {
                Some((_, kind)) => (Some(*kind), name),
                None => return Err(unknown(text, name, known)),
            }
        }
        None => (None, text),
    };
    if let Some(found) = of(namespace, name, kind) {
        return Ok(found);
    }
    if let Some((first, ns)) = name.rsplit_once('.')
        && let Some(found) = of(ns, first, kind)
    {
        return Ok(found);
    }
    let mut elsewhere = known
        .iter()
        .filter(|w| w.name == name && kind.is_none_or(|kind| w.kind == kind));
    match (elsewhere.next(), elsewhere.next()) {
        (Some(only), None) => Ok(only),
        (Some(first), Some(second)) => Err(format!(
            "workload `{name}` is in more than one namespace; write `{}/{name}` or `{}/{name}`",
            first.namespace, second.namespace
        )),
        _ => Err(unknown(text, name, known)),
    }
}

fn unknown(text: &str, name: &str, known: &[Known]) -> String {
    if known.is_empty() {
        return format!(
            "no workload `{text}`: the manifests declare no workload at all; name them with -f"
        );
    }
    let bare = name.rsplit_once('.').map_or(name, |(first, _)| first);
    let mut near: Vec<(usize, String)> = known
        .iter()
        .map(|w| {
            (
                distance(bare, &w.name),
                format!("{}/{}", w.namespace, w.name),
            )
        })
        .collect();
    near.sort();
    // Nothing is near when every letter differs: then the alphabet is the better order.
    let close = near
        .iter()
        .filter(|(d, _)| *d <= 2 + bare.len() / 3)
        .take(3);
    let close: Vec<String> = close.map(|(_, name)| format!("`{name}`")).collect();
    if close.is_empty() {
        let mut names: Vec<&str> = near.iter().map(|(_, name)| name.as_str()).collect();
        names.sort_unstable();
        let some: Vec<String> = names.iter().take(8).map(|n| format!("`{n}`")).collect();
        let more = if names.len() > some.len() { " …" } else { "" };
        format!("no workload `{text}`; there are {}{more}", some.join(", "))
    } else {
        format!("no workload `{text}`; did you mean {}?", close.join(" or "))
    }
}

/// Number of letters to insert, delete or replace (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = before + usize::from(x != *y);
            before = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(before + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mesh() -> Vec<Known> {
        let known = |namespace: &str, name: &str, kind: &str| Known {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            kind: kind.to_owned(),
        };
        vec![
            known("default", "reviews-v1", "Deployment"),
            known("production", "cart", "Deployment"),
            known("production", "db", "StatefulSet"),
            known("staging", "cart", "Deployment"),
        ]
    }

    fn check(text: &str, namespace: &str, expected: &str) {
        let mesh = mesh();
        let got = match resolve(text, namespace, &mesh) {
            Ok(w) => format!("{}/{}", w.namespace, w.name),
            Err(why) => why,
        };
        assert!(got.contains(expected), "{text}: {got}");
    }

    #[test]
    fn every_form_of_a_name_is_understood() {
        check("production/cart", "default", "production/cart");
        check("cart.production", "default", "production/cart");
        check("cart", "staging", "staging/cart");
        check("deploy/cart", "production", "production/cart");
        check("deployment/cart.staging", "default", "staging/cart");
        check("sts/db", "default", "production/db");
        check("db", "default", "production/db");
    }

    #[test]
    fn an_unknown_name_gets_its_nearest() {
        check("reviews-v2", "default", "did you mean `default/reviews-v1`");
        check("cart", "default", "more than one namespace");
        check(
            "zzzzzzzz",
            "default",
            "there are `default/reviews-v1`, `production/cart`",
        );
        check("deploy/db", "production", "no workload `deploy/db`");
    }
}
