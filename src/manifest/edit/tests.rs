use super::*;
use crate::diagnostic::Diagnostic;
use crate::manifest::Object;
use crate::manifest::read_objects;
use crate::units::origin::{Flag, set_by};

const TEXT: &str = "
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: backend, namespace: shop}
spec:
  host: backend
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: cart, namespace: shop}
spec: {host: cart}
---
apiVersion: towtank/v1alpha1
kind: Model
metadata: {name: shop}
spec: {workloads: {shop/cart: {queue: 3}}}
---
apiVersion: v1
kind: Secret
metadata: {name: s, namespace: shop}
";

fn edited(sets: &[&str]) -> (Vec<Object>, Vec<Diagnostic>) {
    let (mut objects, said) = read_objects(&[Source::new("m.yaml", TEXT)]);
    assert!(said.is_empty(), "{said:?}");
    let edits: Vec<Edit> = sets.iter().map(|set| Edit::parse(set).unwrap()).collect();
    let said = apply(&mut objects, &edits);
    (objects, said)
}

fn set(sets: &[&str]) -> Vec<Object> {
    let (objects, said) = edited(sets);
    assert!(said.is_empty(), "{said:#?}");
    objects
}

fn at<'n>(object: &'n Object, path: &[&str]) -> &'n Node {
    object.root.at(path).unwrap_or_else(|| panic!("{path:?}"))
}

#[test]
fn a_value_is_replaced_and_its_neighbours_keep_their_lines() {
    let objects = set(&[
        "dr/backend:spec.host=other",
        "Model:workloads.shop/cart.queue=50",
    ]);
    let host = at(&objects[0], &["spec", "host"]);
    assert_eq!(host.value, Value::text("other"));
    assert_eq!(set_by(host.line), Some((Flag::Set, 1)));
    let subsets = at(&objects[0], &["spec", "subsets"]);
    assert_eq!((subsets.line, subsets.items()[1].line), (8, 9));
    assert_eq!(objects[0].root.line, 2);
    let queue = at(&objects[2], &["spec", "workloads", "shop/cart", "queue"]);
    assert_eq!(
        (&queue.value, set_by(queue.line)),
        (&Value::Integer(50), Some((Flag::Set, 2)))
    );
    let edited: Vec<bool> = objects.iter().map(|o| o.edited).collect();
    assert_eq!(edited, [true, false, true, false]);
}

#[test]
fn missing_mappings_and_next_elements_are_made() {
    let objects = set(&[
        "shop/DestinationRule/cart:spec.trafficPolicy.connectionPool.tcp.maxConnections=50",
        "dr/cart:subsets[0].name=v1",
        "dr/backend:subsets[2]={name: v3, labels: {version: v3}}",
    ]);
    let path = [
        "spec",
        "trafficPolicy",
        "connectionPool",
        "tcp",
        "maxConnections",
    ];
    assert_eq!(at(&objects[1], &path).value, Value::Integer(50));
    assert_eq!(at(&objects[1], &["spec", "subsets"]).items().len(), 1);
    assert_eq!(at(&objects[0], &["spec", "subsets"]).items().len(), 3);
}

#[test]
fn elements_are_found_by_name_and_null_removes() {
    let objects = set(&[
        "dr/backend:spec.subsets[name=v2].labels.version=v9",
        "dr/backend:spec.subsets[v1]=null",
        "Model:workloads.shop/cart.queue=null",
        "dr/cart:spec.host=",
    ]);
    let subsets = at(&objects[0], &["spec", "subsets"]).items();
    assert_eq!(subsets.len(), 1);
    let label = subsets[0].at(&["labels", "version"]).unwrap();
    assert_eq!(label.value, Value::text("v9"));
    assert!(
        at(&objects[2], &["spec", "workloads", "shop/cart"])
            .entries()
            .is_empty()
    );
    assert!(objects[1].root.at(&["spec", "host"]).is_none());
}

#[test]
fn all_elements_are_changed_at_once() {
    let objects = set(&["dr/backend:subsets[*].labels.version=x"]);
    for subset in at(&objects[0], &["spec", "subsets"]).items() {
        let label = subset.at(&["labels", "version"]).unwrap();
        assert_eq!(label.value, Value::text("x"));
    }
}

#[test]
fn a_path_that_leads_nowhere_gets_the_nearest_name_and_its_line() {
    for (path, message, help, line) in [
        (
            "dr/bakend:x",
            "DestinationRule bakend is not",
            "did you mean `shop/DestinationRule/backend`?",
            2,
        ),
        (
            "prod/dr/cart:x",
            "DestinationRule prod/cart is not",
            "did you mean `shop/DestinationRule/cart`?",
            11,
        ),
        (
            "DestinationRul/cart:x",
            "no `DestinationRul`",
            "did you mean `DestinationRule`?",
            0,
        ),
        (
            "dr:x",
            "2 objects fit",
            "name one: `shop/DestinationRule/backend:`, `shop/DestinationRule/cart:`",
            2,
        ),
        (
            "dr/backend:subsets.labels",
            "`spec.subsets` is a list",
            "choose an element: `[0]` or `[v1]`",
            8,
        ),
        (
            "dr/backend:subsets[v11].x",
            "whose `name` is `v11`",
            "did you mean `v1`?",
            8,
        ),
        ("dr/backend:subsets[7]", "no element [7]", "[0] to [1]", 8),
        ("dr/backend:host.x", "`spec.host` is a text", "no `x`", 6),
        (
            "dr/backend:host[0]",
            "`spec.host` is a text, not a list",
            "",
            6,
        ),
        ("dr/cart:metadata.name", "what it is called", "labels", 11),
        ("Secret:data.x", "not simulated", "", 21),
    ] {
        let (_, said) = edited(&[&format!("{path}=1")]);
        let [said] = said.as_slice() else {
            panic!("{path}: {said:?}")
        };
        assert!(said.message.contains(message), "{path}: {said:?}");
        assert!(
            said.help.as_deref().unwrap_or_default().contains(help),
            "{path}: {said:?}"
        );
        let related = said.related.first().map_or(0, |(place, _)| place.line);
        assert_eq!(related, line, "{path}: {said:?}");
        assert_eq!(&*said.place.as_ref().unwrap().file, "--set");
    }
    let (_, said) = edited(&["dr/backend:spec.hots=null"]);
    assert_eq!(said[0].help.as_deref(), Some("did you mean `host`?"));
}

#[test]
fn a_value_that_is_not_yaml_is_refused() {
    for text in ["dr/a:x", "dr/a:x={a", "dr/a:x=---\na\n---\nb"] {
        assert!(Edit::parse(text).is_err(), "{text}");
    }
    let edit = Edit::parse("dr/a:x={a: [1, 2]}").unwrap();
    assert_eq!(edit.to_string(), "dr/a:x={a: [1, 2]}");
}

#[test]
fn each_flag_counts_for_itself_and_has_a_text_of_its_own() {
    let edit = |text: &str| Edit::parse(text).unwrap();
    let edits = [
        edit("dr/cart:a=1"),
        edit("dr/cart:b=2").by(Flag::Vary, 3),
        edit("dr/cart:c=3"),
    ];
    let texts: Vec<_> = sources(&edits)
        .iter()
        .map(|source| (source.path.to_string(), source.text.clone()))
        .collect();
    let text = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    assert_eq!(
        texts,
        [
            text("--set", "dr/cart:a=1\ndr/cart:c=3"),
            text("--set-after", ""),
            text("--vary", "\n\ndr/cart:b=2"),
            text("--along", ""),
        ]
    );
    let (objects, said) = {
        let mut objects = read_objects(&[Source::new("mesh.yaml", TEXT)]).0;
        let wrong = edit("dr/bakend:x=1").by(Flag::SetAfter, 2);
        let said = apply(&mut objects, &[edits.to_vec(), vec![wrong]].concat());
        (objects, said)
    };
    let cart = objects.iter().find(|o| &*o.name == "cart").unwrap();
    let line = |key: &str| set_by(at(cart, &["spec", key]).line);
    assert_eq!(
        [line("a"), line("b"), line("c")],
        [
            Some((Flag::Set, 1)),
            Some((Flag::Vary, 3)),
            Some((Flag::Set, 2))
        ]
    );
    let place = said[0].place.as_ref().unwrap().to_string();
    assert_eq!(place, "--set-after:2:1");
}
