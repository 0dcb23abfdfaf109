use super::*;
use crate::manifest::{Source, read_objects};
use crate::units::Fraction;

/// Reads `spec` of one object through `read`; returns the value and the one-line diagnostics.
fn check<T>(spec: &str, read: impl FnOnce(&Fields<'_>) -> T) -> (T, Vec<String>) {
    let text = format!(
        "apiVersion: towtank/v1alpha1\nkind: Scenario\nmetadata: {{name: x}}\nspec:\n{spec}"
    );
    let (objects, found) = read_objects(&[Source::new("f.yaml", text)]);
    assert_eq!(found, []);
    let decoder = Decoder::new(&objects[0], ObjectId(1), Class::Model, Unknown::Refused);
    let value = decoder.object(objects[0].spec().unwrap(), read);
    let shown = decoder.finish().iter().map(ToString::to_string).collect();
    (value, shown)
}

#[test]
fn values_of_every_type_are_read() {
    let (value, found) = check(
        "  n: 5\n  x: 0.5\n  b: yes\n  d: 250ms\n  f: 10%\n  l: [a, b]\n  m: {k: v}\n",
        |f| {
            assert_eq!(f.integer::<u16>("n"), Some(5));
            assert_eq!(f.float("x"), Some(0.5));
            assert_eq!(f.bool("b"), Some(true));
            assert_eq!(f.parsed::<Fraction>("f"), Some(Fraction::from_ppm(100_000)));
            assert_eq!(f.texts("l"), ["a".into(), "b".into()]);
            assert_eq!(&*f.text_map("m")["k"], "v");
            f.duration("d").unwrap().ns()
        },
    );
    assert_eq!((value, found), (250_000_000, vec![]));
}

#[test]
fn a_wrong_type_names_place_path_and_what_was_found() {
    let (value, found) = check("  n: many\n  t: 5\n", |f| {
        (f.integer::<u16>("n"), f.text("t"))
    });
    assert_eq!(value, (None, None));
    assert_eq!(
        found,
        [
            "error[TT-WRONG-TYPE] f.yaml:5:6: Scenario x: `n`: expected a whole number, found a text (`many`)",
            "error[TT-WRONG-TYPE] f.yaml:6:6: Scenario x: `t`: expected a text, found a number (`5`)",
        ]
    );
}

#[test]
fn a_key_nobody_asked_for_is_reported_with_the_nearest_name() {
    let ((), found) = check("  timout: 5s\n", |f| {
        f.duration("timeout");
    });
    assert_eq!(
        found,
        ["error[TT-UNKNOWN-FIELD] f.yaml:5:3: Scenario x: unknown field `timout`"]
    );
}

#[test]
fn a_number_out_of_range_is_refused() {
    let (value, found) = check("  port: 70000\n", |f| f.integer::<u16>("port"));
    assert_eq!(value, None);
    assert_eq!(
        found,
        ["error[TT-INVALID-VALUE] f.yaml:5:9: Scenario x: `port`: 70000 is out of range"]
    );
}

#[test]
fn lists_of_objects_carry_their_index_in_the_path() {
    let (values, found) = check("  mix:\n  - name: a\n  - nme: b\n", |f| {
        f.objects("mix", |f| f.required_text("name"))
    });
    assert_eq!(values.len(), 2);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].ends_with("`mix[1]`: `name` is required"),
        "{found:?}"
    );
    assert!(
        found[1].ends_with("unknown field `mix[1].nme`"),
        "{found:?}"
    );
}
