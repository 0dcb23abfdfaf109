//! The reader's promises: places are right, broken input hurts only itself, nothing blows up.

use std::fmt::Write as _;

use towtank::manifest::{Limits, Node, Source, Value, read_documents, read_objects};

fn read(text: &str) -> (Vec<Node>, Vec<String>) {
    let source = Source::new("f.yaml", text);
    let (documents, diagnostics) = read_documents(&[source], Limits::default());
    let roots = documents
        .into_iter()
        .map(|document| document.root)
        .collect();
    (roots, diagnostics.iter().map(ToString::to_string).collect())
}

fn check_objects(text: &str, objects: &[&str], diagnostics: &[&str]) {
    let (found, said) = read_objects(&[Source::new("f.yaml", text)]);
    let found: Vec<String> = found
        .iter()
        .map(|o| format!("{}@{}", o.describe(), o.root.line))
        .collect();
    let said: Vec<String> = said.iter().map(ToString::to_string).collect();
    assert_eq!(found, objects, "{text}");
    assert_eq!(said, diagnostics, "{text}");
}

fn check_broken(text: &str, code: &str, place: &str) {
    let (_, said) = read(text);
    assert_eq!(said.len(), 1, "{said:?}");
    let expected = format!("error[{code}] f.yaml:{place}:");
    assert!(
        said[0].starts_with(&expected),
        "{} does not start with {expected}",
        said[0]
    );
}

fn place_of(text: &str, path: &[&str]) -> (u32, u32) {
    let (roots, said) = read(text);
    assert_eq!(said, [""; 0]);
    let node = roots.last().unwrap().at(path).unwrap();
    (node.line, node.column)
}

#[test]
fn places_count_lines_of_the_file_and_columns_in_characters() {
    assert_eq!(place_of("a: 1\n---\nb:\n  c: x\n", &["b", "c"]), (4, 6));
    assert_eq!(place_of("{é: ü, b: x}", &["b"]), (1, 11));
    assert_eq!(place_of("\u{feff}a: x\n", &["a"]), (1, 4));
    assert_eq!(place_of("a: 1\r\nb: x\r\n", &["b"]), (2, 4));
    assert_eq!(place_of("--- {a: x}\n", &["a"]), (1, 9));
}

#[test]
fn a_marker_inside_a_block_scalar_is_text() {
    let (roots, said) = read("a: |\n  one\n  ---\n  two\nb: 1\n");
    assert_eq!(said, [""; 0]);
    assert_eq!(roots.len(), 1);
    assert_eq!(
        roots[0].get("a").unwrap().value,
        Value::text("one\n---\ntwo\n")
    );
}

#[test]
fn comments_directives_and_empty_documents_are_no_documents() {
    let (roots, said) = read("# only a comment\n%YAML 1.1\n---\n---\n# x\n---\na: 1\n...\n---\n");
    assert_eq!((roots.len(), said), (1, vec![]));
}

#[test]
fn json_with_tabs_is_yaml() {
    let text = "{\n\t\"kind\": \"Service\",\n\t\"apiVersion\": \"v1\",\n\t\"metadata\": {\n\t\t\"name\": \"a\"\n\t}\n}\n";
    check_objects(text, &["Service a@1"], &[]);
}

#[test]
fn one_broken_document_is_one_diagnostic_and_the_others_load() {
    check_objects(
        "kind: A\napiVersion: v1\n---\nkind: [\n---\nkind: Service\napiVersion: v1\nmetadata: {name: b}\n",
        &["A@1", "Service b@6"],
        &[
            "error[TT-YAML-SYNTAX] f.yaml:5:1: not readable as YAML: while parsing a node, did not find expected node content",
            "warning[TT-UNKNOWN-KIND] f.yaml:1:1: 1 object of kind `A` (`v1`) left out: the kind is not known",
        ],
    );
}

#[test]
fn a_tab_as_indentation_is_named() {
    let (_, said) = read("a:\n\tb: 1\n");
    assert_eq!(said.len(), 1);
    assert!(
        said[0].contains("f.yaml:2:") && said[0].contains("tab"),
        "{said:?}"
    );
}

#[test]
fn a_key_given_twice_names_both_places_and_the_later_counts() {
    let source = Source::new("f.yaml", "a:\n  b: 1\n  c: 2\n  b: 3\n");
    let (documents, said) = read_documents(&[source], Limits::default());
    assert_eq!(said.len(), 1);
    assert_eq!(
        said[0].to_string(),
        "error[TT-DUPLICATE-KEY] f.yaml:4:3: the key `b` is given twice"
    );
    assert_eq!(said[0].related[0].0.to_string(), "f.yaml:2:3");
    let b = documents[0].root.at(&["a", "b"]).unwrap();
    assert_eq!(b.value, Value::Integer(3));
}

#[test]
fn keys_given_twice_are_found_in_large_mappings_too() {
    let mut text = String::new();
    for i in 0..100 {
        writeln!(text, "k{i}: {i}").unwrap();
    }
    text.push_str("k7: again\n");
    check_broken(&text, "TT-DUPLICATE-KEY", "101:1");
}

#[test]
fn merge_keys_fill_in_what_is_not_written() {
    let (roots, said) = read(
        "base: &b {x: 1, y: 2}\nother: &o {y: 3, z: 4}\none:\n  <<: *b\n  y: own\nmany:\n  <<: [*b, *o]\n",
    );
    assert_eq!(said, [""; 0]);
    let at = |path: &[&str]| roots[0].at(path).unwrap().value.scalar_text().unwrap();
    assert_eq!((&*at(&["one", "x"]), &*at(&["one", "y"])), ("1", "own"));
    assert_eq!((&*at(&["many", "y"]), &*at(&["many", "z"])), ("2", "4"));
    assert!(roots[0].at(&["one", "<<"]).is_none());
}

#[test]
fn an_alias_is_what_its_anchor_is() {
    let (roots, said) = read("a: &x {k: [1, 2]}\nb: *x\n");
    assert_eq!(said, [""; 0]);
    assert_eq!(roots[0].at(&["b", "k"]).unwrap().items().len(), 2);
    assert_eq!(roots[0].get("b").unwrap().line, 2);
}

#[test]
fn an_alias_bomb_is_refused_at_once() {
    // 9^40 values: a reader that expanded them would never come to the assertion.
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for i in 1..40 {
        let aliases = vec![format!("*a{}", i - 1); 9].join(", ");
        writeln!(text, "a{i}: &a{i} [{aliases}]").unwrap();
    }
    let (_, said) = read(&text);
    assert_eq!(said.len(), 1);
    assert!(said[0].contains("TT-YAML-BOMB"), "{said:?}");
}

#[test]
fn a_cycle_is_refused() {
    check_broken("a: &x\n  b: *x\n", "TT-YAML-CYCLE", "2:6");
    check_broken("&x [*x]\n", "TT-YAML-CYCLE", "1:5");
}

#[test]
fn nesting_has_a_limit() {
    let text = "[".repeat(100_000);
    let (_, said) = read(&text);
    assert!(said[0].contains("TT-YAML-TOO-DEEP"), "{said:?}");
    let (_, said) = read(&"a:\n ".repeat(3).replace('\n', "\n  "));
    assert!(said.len() <= 1);
}

#[test]
fn a_helm_template_is_called_one() {
    check_broken("a: 1\nname: {{ .Values.name }}\n", "TT-TEMPLATE", "2:7");
    check_broken(
        "{{- if .Values.on }}\na: 1\n{{- end }}\n",
        "TT-TEMPLATE",
        "1:1",
    );
    let (_, said) = read_objects(&[Source::new(
        "f.yaml",
        "apiVersion: v1\nkind: Service\nmetadata: {name: \"{{ .Release.Name }}\"}\n",
    )]);
    assert_eq!(said[0].code, "TT-TEMPLATE");
}

#[test]
fn lists_are_flattened_and_items_know_their_lines() {
    check_objects(
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Service\n  metadata: {name: a, namespace: ns}\n\
         - {apiVersion: v1, kind: ServiceList, items: [{metadata: {name: b}}]}\n",
        &["Service ns/a@4", "Service b@7"],
        &[],
    );
}

#[test]
fn objects_without_kind_and_other_values_are_named() {
    check_objects(
        "a: 1\n---\n- x\n---\njust text\n",
        &[],
        &[
            "error[TT-NO-KIND] f.yaml:1:1: this document has no `kind`",
            "error[TT-NOT-AN-OBJECT] f.yaml:3:1: expected an object, found a list",
            "error[TT-NOT-AN-OBJECT] f.yaml:5:1: expected an object, found a text",
        ],
    );
}

#[test]
fn unknown_kinds_are_kept_and_named_once() {
    let one = "apiVersion: example.org/v1\nkind: Widget\nmetadata: {name: w}\n---\n";
    check_objects(
        &one.repeat(3),
        &["Widget w@1", "Widget w@5", "Widget w@9"],
        &[
            "warning[TT-UNKNOWN-KIND] f.yaml:1:1: 3 objects of kind `Widget` (`example.org/v1`) left out: the kind is not known",
        ],
    );
}

#[test]
fn text_forced_by_tag_or_quotes_stays_text() {
    let (roots, _) = read("a: !!str 5\nb: \"yes\"\nc: 'null'\nd: yes\n");
    let at = |key| roots[0].get(key).unwrap().value.clone();
    assert_eq!(at("a"), Value::text("5"));
    assert_eq!(at("b"), Value::text("yes"));
    assert_eq!(at("c"), Value::text("null"));
    assert_eq!(at("d"), Value::Bool(true));
}

#[test]
fn a_large_dump_is_read_whole() {
    // Two megabytes; how fast is for `benches/compile.rs` to say.
    let service = "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n  labels: {app: a, version: v1}\nspec:\n  ports:\n  - {name: http, port: 80}\n---\n";
    let text = service.repeat(2_000_000 / service.len());
    let (objects, said) = read_objects(&[Source::new("dump.yaml", text)]);
    assert_eq!(said, []);
    assert!(objects.len() > 10_000);
}
