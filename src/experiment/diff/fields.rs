//! Two values of the canonical dump, field by field, with the line behind each.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// One field that differs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Field {
    /// Where it stands: `circuit_breakers.max_connections`.
    pub path: String,
    /// What it was; `None`: not there.
    pub before: Option<String>,
    /// What it is; `None`: not there.
    pub after: Option<String>,
    /// `file:line` that says so: of the new value, else of the old one.
    pub place: Option<String>,
}

/// The fields that differ, in the order of their paths. Origins are where things are written and
/// no part of what is compared.
pub(super) fn compare(before: &Value, after: &Value) -> Vec<Field> {
    let mut fields = Vec::new();
    walk(
        String::new(),
        Pair(before, after),
        Places::default(),
        &mut fields,
    );
    fields
}

/// Before and after.
#[derive(Clone, Copy)]
struct Pair<'a>(&'a Value, &'a Value);

/// The nearest line known, before and after.
#[derive(Clone, Copy, Default)]
struct Places<'a>(Option<&'a str>, Option<&'a str>);

fn walk<'a>(path: String, pair: Pair<'a>, places: Places<'a>, out: &mut Vec<Field>) {
    let Pair(before, after) = pair;
    if before == after {
        return;
    }
    match (before, after) {
        (Value::Object(was), Value::Object(is)) => objects(&path, was, is, places, out),
        (Value::Array(was), Value::Array(is)) if are_named(was) && are_named(is) => {
            lists(&path, was, is, places, out);
        }
        _ => {
            let (was, is) = (shown(before), shown(after));
            if was == is {
                return;
            }
            let is_there = |value: &Value, text: String| (!value.is_null()).then_some(text);
            let own = |value: &'a Value| value.as_object().and_then(|o| place(o));
            let before_place = own(before).or(places.0);
            let after_place = own(after).or(places.1);
            let place = if after.is_null() {
                before_place
            } else {
                after_place
            };
            out.push(Field {
                path,
                before: is_there(before, was),
                after: is_there(after, is),
                place: place.or(before_place).map(str::to_owned),
            });
        }
    }
}

fn objects<'a>(
    path: &str,
    was: &'a Map<String, Value>,
    is: &'a Map<String, Value>,
    places: Places<'a>,
    out: &mut Vec<Field>,
) {
    let here = Places(place(was).or(places.0), place(is).or(places.1));
    let mut keys: Vec<&String> = was.keys().chain(is.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    for key in keys.into_iter().filter(|key| !is_origin(key)) {
        let own = |of: &'a Map<String, Value>, near| {
            of.get(&format!("{key}_origin")).and_then(line).or(near)
        };
        let pair = Pair(
            was.get(key).unwrap_or(&Value::Null),
            is.get(key).unwrap_or(&Value::Null),
        );
        walk(
            below(path, key),
            pair,
            Places(own(was, here.0), own(is, here.1)),
            out,
        );
    }
}

/// Lists of things with names are compared by name; another order is a difference of its own,
/// because routes are tried in order.
fn lists<'a>(
    path: &str,
    was: &'a [Value],
    is: &'a [Value],
    places: Places<'a>,
    out: &mut Vec<Field>,
) {
    let (before, after) = (keyed(was), keyed(is));
    let old: BTreeMap<&str, &Value> = before.iter().map(|(k, v)| (k.as_str(), *v)).collect();
    let new: BTreeMap<&str, &Value> = after.iter().map(|(k, v)| (k.as_str(), *v)).collect();
    for (key, value) in &after {
        let was = old.get(key.as_str()).copied().unwrap_or(&Value::Null);
        walk(format!("{path}[{key}]"), Pair(was, value), places, out);
    }
    for (key, value) in before
        .iter()
        .filter(|(key, _)| !new.contains_key(key.as_str()))
    {
        walk(
            format!("{path}[{key}]"),
            Pair(value, &Value::Null),
            places,
            out,
        );
    }
    let order = |list: &[(String, &Value)], other: &BTreeMap<&str, &Value>| -> Vec<String> {
        let keys = list.iter().map(|(key, _)| key.clone());
        keys.filter(|key| other.contains_key(key.as_str()))
            .collect()
    };
    let (first, second) = (order(&before, &new), order(&after, &old));
    if first != second {
        out.push(Field {
            path: below(path, "order"),
            before: Some(first.join(", ")),
            after: Some(second.join(", ")),
            place: places.1.or(places.0).map(str::to_owned),
        });
    }
}

fn keyed(list: &[Value]) -> Vec<(String, &Value)> {
    let mut seen = BTreeMap::<String, usize>::new();
    let name = |value: &Value| {
        let key = name(value).unwrap_or_default();
        let times = seen.entry(key.clone()).or_default();
        *times += 1;
        if *times > 1 {
            format!("{key} #{times}")
        } else {
            key
        }
    };
    let keys: Vec<String> = list.iter().map(name).collect();
    keys.into_iter().zip(list).collect()
}

fn are_named(list: &[Value]) -> bool {
    list.iter().all(|value| name(value).is_some())
}

/// What a route, destination, mirror, endpoint or filter chain is called.
fn name(value: &Value) -> Option<String> {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    if value.get("action").is_some() {
        return text("match").map(str::to_owned);
    }
    if let (Some(address), Some(port)) = (text("address"), value.get("port")) {
        return Some(format!("{address}:{port}"));
    }
    let known = ["name", "cluster", "match", "filter", "key"];
    known.iter().find_map(|key| text(key)).map(str::to_owned)
}

fn is_origin(key: &str) -> bool {
    key == "origin" || key.ends_with("_origin")
}

/// The line behind an object: that of the policy where there is one.
pub(super) fn place(object: &Map<String, Value>) -> Option<&str> {
    let at = |key: &str| object.get(key).and_then(line);
    at("policy_origin").or_else(|| at("origin"))
}

fn line(origin: &Value) -> Option<&str> {
    origin.get("place")?.as_str()
}

fn below(path: &str, key: &str) -> String {
    // What a route does needs no word of its own.
    match (path, key) {
        (_, "action") => path.to_owned(),
        ("", _) => key.to_owned(),
        _ => format!("{path}.{key}"),
    }
}

/// A value in one line: what is not set and where things are written are left out.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(list) => {
            let items: Vec<String> = list.iter().map(shown).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(object) => {
            let empty = |v: &Value| v.is_null() || v.as_array().is_some_and(Vec::is_empty);
            let set = object
                .iter()
                .filter(|(key, v)| !is_origin(key) && !empty(v));
            let items: Vec<String> = set.map(|(key, v)| format!("{key}: {}", shown(v))).collect();
            format!("{{{}}}", items.join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(before: &Value, after: &Value, expected: &[&str]) {
        let told = |field: &Field| {
            let text = |side: &Option<String>| side.clone().unwrap_or_else(|| "-".to_owned());
            let place = field.place.as_deref().unwrap_or("?");
            format!(
                "{}: {} → {} ({place})",
                field.path,
                text(&field.before),
                text(&field.after)
            )
        };
        let fields: Vec<String> = compare(before, after).iter().map(told).collect();
        assert_eq!(fields, expected);
    }

    fn at(place: &str) -> Value {
        json!({"object": "X a/b", "place": place})
    }

    #[test]
    fn a_weight_is_named_by_its_destination_and_its_line() {
        let route = |weight: u32, line: &str| {
            json!({"match": "prefix /", "action": {"clusters": [
                {"name": "v1", "weight": 100 - weight, "origin": at("vs.yaml:9")},
                {"name": "v2", "weight": weight, "origin": at(line)},
            ]}})
        };
        check(
            &json!({"routes": [route(10, "vs.yaml:12")]}),
            &json!({"routes": [route(30, "new.yaml:13")]}),
            &[
                "routes[prefix /].clusters[v1].weight: 90 → 70 (vs.yaml:9)",
                "routes[prefix /].clusters[v2].weight: 10 → 30 (new.yaml:13)",
            ],
        );
    }

    #[test]
    fn a_moved_line_is_no_difference_and_another_order_of_routes_is_one() {
        let route =
            |name: &str, line: &str| json!({"match": name, "action": {}, "origin": at(line)});
        check(
            &json!([route("a", "x:1"), route("b", "x:5")]),
            &json!([route("a", "x:3"), route("b", "x:9")]),
            &[],
        );
        check(
            &json!({"routes": [route("a", "x:1"), route("b", "x:5")]}),
            &json!({"routes": [route("b", "x:1"), route("a", "x:5")]}),
            &["routes.order: a, b → b, a (?)"],
        );
    }

    #[test]
    fn what_is_gone_has_the_line_it_had() {
        let outlier = json!({"consecutive_5xx": 5, "interval": null, "origin": at("dr.yaml:7")});
        check(
            &json!({"outlier_detection": outlier, "origin": at("svc.yaml:1")}),
            &json!({"outlier_detection": null, "origin": at("svc.yaml:1")}),
            &["outlier_detection: {consecutive_5xx: 5} → - (dr.yaml:7)"],
        );
    }
}
