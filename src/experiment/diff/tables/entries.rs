//! Entries of two tables, one by one.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Change, Kind, Sign};
use crate::experiment::diff::fields::{self, Field};
use crate::units::Origin;
use crate::xds::dump;
use crate::xds::{Cluster, Endpoint, Snapshot};

/// Entries by name, before and after.
pub(super) fn compare(
    kind: Kind,
    was: &BTreeMap<String, Value>,
    is: &BTreeMap<String, Value>,
) -> Vec<Change> {
    let mut changes = Vec::new();
    for (name, value) in is {
        match was.get(name) {
            None => changes.push(whole(kind, name, Sign::Added, value)),
            Some(old) => {
                let fields = fields::compare(old, value);
                if !fields.is_empty() {
                    changes.push(changed(kind, name, fields));
                }
            }
        }
    }
    let gone = was.iter().filter(|(name, _)| !is.contains_key(*name));
    changes.extend(gone.map(|(name, value)| whole(kind, name, Sign::Removed, value)));
    changes
}

pub(super) fn changed(kind: Kind, name: &str, fields: Vec<Field>) -> Change {
    Change {
        kind,
        name: name.to_owned(),
        sign: Sign::Changed,
        summary: String::new(),
        place: None,
        fields,
    }
}

pub(super) fn whole(kind: Kind, name: &str, sign: Sign, value: &Value) -> Change {
    let count = |key: &str| value[key].as_array().map_or(0, Vec::len);
    let summary = match kind {
        Kind::Routes => counted(count("routes"), "route"),
        Kind::Listeners => counted(count("filter_chains"), "filter chain"),
        _ => String::new(),
    };
    Change {
        kind,
        name: name.to_owned(),
        sign,
        summary,
        place: value.as_object().and_then(fields::place).map(str::to_owned),
        fields: Vec::new(),
    }
}

pub(super) fn whole_cluster(snapshot: &Snapshot, cluster: &Cluster, sign: Sign) -> Change {
    let origin = if cluster.policy_origin.is_built_in() {
        cluster.origin
    } else {
        cluster.policy_origin
    };
    Change {
        kind: Kind::Clusters,
        name: cluster.name.to_string(),
        sign,
        summary: counted(cluster.endpoints.len(), "endpoint"),
        place: place(snapshot, origin),
        fields: Vec::new(),
    }
}

/// A cluster's policy and, apart from it, its endpoints.
pub(super) fn clusters(
    (before, old): (&Snapshot, &Cluster),
    (after, new): (&Snapshot, &Cluster),
) -> Vec<Change> {
    let value = |snapshot, cluster| without_endpoints(dump::cluster(snapshot, cluster));
    let mut changes = Vec::new();
    let fields = fields::compare(&value(before, old), &value(after, new));
    if !fields.is_empty() {
        changes.push(changed(Kind::Clusters, &new.name, fields));
    }
    let endpoints = |snapshot: &Snapshot, all: &[Endpoint]| -> BTreeMap<String, Value> {
        let one = |e: &Endpoint| {
            let pod = e.pod.map(|pod| format!(" ({})", snapshot.pods[pod].name));
            (
                format!("{}{}", e.key(), pod.unwrap_or_default()),
                dump::endpoint(e),
            )
        };
        all.iter().map(one).collect()
    };
    let (was, is) = (
        endpoints(before, &old.endpoints),
        endpoints(after, &new.endpoints),
    );
    let mut fields = Vec::new();
    for change in compare(Kind::Endpoints, &was, &is) {
        let whole = |there: bool| there.then(|| "present".to_owned());
        match change.sign {
            Sign::Changed => fields.extend(change.fields.into_iter().map(|field| Field {
                path: format!("{} {}", change.name, field.path),
                ..field
            })),
            sign => fields.push(Field {
                path: change.name,
                before: whole(sign == Sign::Removed),
                after: whole(sign == Sign::Added),
                place: None,
            }),
        }
    }
    if !fields.is_empty() {
        changes.push(changed(Kind::Endpoints, &new.name, fields));
    }
    changes
}

pub(super) fn without_endpoints(mut value: Value) -> Value {
    for object in ["cluster", ""] {
        let object = if object.is_empty() {
            value.as_object_mut()
        } else {
            value.get_mut(object).and_then(Value::as_object_mut)
        };
        if let Some(object) = object {
            object.remove("endpoints");
        }
    }
    value
}

pub(super) fn counted(n: usize, one: &str) -> String {
    format!("{n} {one}{}", if n == 1 { "" } else { "s" })
}

pub(super) fn place(snapshot: &Snapshot, origin: Origin) -> Option<String> {
    snapshot.origins.written(origin)
}
