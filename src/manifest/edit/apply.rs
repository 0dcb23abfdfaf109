//! Edits to objects: which object is meant, and what is said when none or several are.

use std::sync::Arc;

use super::walk::{Walk, proposal};
use super::{Edit, numbered};
use crate::diagnostic::{Class, Diagnostic, Place};
use crate::manifest::Object;
use crate::manifest::kind::Family;
use crate::manifest::path::{Step, Target};
use crate::units::origin::set_line;

/// Objects that a message about an ambiguous path shows at most.
const SHOWN: usize = 5;

/// Makes the edits in order. What cannot be made is said, with the nearest names and their lines.
pub fn apply(objects: &mut [Object], edits: &[Edit]) -> Vec<Diagnostic> {
    let mut said = Vec::new();
    for (edit, flag, number) in numbered(edits) {
        said.extend(one(objects, edit, set_line(flag, number)).err());
    }
    said.into_iter().map(|said| *said).collect()
}

fn one(objects: &mut [Object], edit: &Edit, line: u32) -> Result<(), Box<Diagnostic>> {
    let target = &edit.path.target;
    let fits: Vec<usize> = (0..objects.len())
        .filter(|at| is_meant(target, &objects[*at]))
        .collect();
    let at = match fits.as_slice() {
        [only] => *only,
        [] => return Err(no_object(objects, target, line).into()),
        several => {
            let found = several.iter().map(|at| &objects[*at]);
            return Err(ambiguous(found, several.len(), line).into());
        }
    };
    let object = &mut objects[at];
    let steps = steps(object, &edit.path.steps);
    check_editable(object, &steps, line)?;
    let value = edit.placed(line);
    let column = edit.path.text.find(':').map_or(1, |at| at as u32 + 2);
    let mut walk = Walk {
        value: value.as_ref(),
        made_at: (line, column),
        so_far: String::new(),
    };
    match walk.change(&object.root, &steps) {
        Ok(Some(root)) => {
            object.root = root;
            object.edited = true;
            Ok(())
        }
        Ok(None) => Ok(()),
        Err(lost) => Err(error(line, column, lost.message)
            .of(object.describe())
            .see(
                Place::new(&object.file, lost.at.0, lost.at.1),
                "this far the path leads",
            )
            .help(lost.help)
            .into()),
    }
}

fn is_meant(target: &Target, object: &Object) -> bool {
    let fits = |asked: &Option<Arc<str>>, has: &str| asked.as_ref().is_none_or(|a| **a == *has);
    object.kind.eq_ignore_ascii_case(&target.kind)
        && fits(&target.namespace, &object.namespace)
        && fits(&target.name, &object.name)
}

/// The steps, with the `spec` that may be left out.
fn steps(object: &Object, written: &[Step]) -> Vec<Step> {
    const ENVELOPE: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];
    let has_spec = object.spec().is_some()
        || object.group().ends_with("istio.io")
        || object.group() == "towtank";
    let is_implied = match written.first() {
        Some(Step::Key(key)) => {
            has_spec && !ENVELOPE.contains(&&**key) && object.root.get(key).is_none()
        }
        _ => has_spec,
    };
    let spec = is_implied.then(|| Step::Key("spec".into()));
    spec.into_iter().chain(written.iter().cloned()).collect()
}

/// What an object is called and what nobody simulates cannot be set.
fn check_editable(object: &Object, steps: &[Step], line: u32) -> Result<(), Box<Diagnostic>> {
    if !matches!(object.family(), Some(Family::Simulated | Family::Towtank)) {
        let what = format!(
            "the kind `{}` is not simulated; to set its values changes nothing",
            object.kind
        );
        let error = error(line, 1, what).see(object.place(), "the object is here");
        return Err(error.into());
    }
    let key = |at: usize| match steps.get(at) {
        Some(Step::Key(key)) => &**key,
        _ => "",
    };
    let is_name = match key(0) {
        "apiVersion" | "kind" => true,
        "metadata" => !matches!(key(1), "labels" | "annotations"),
        _ => false,
    };
    if is_name {
        let what = "a path cannot change what an object is or what it is called";
        let help =
            "of `metadata`, `labels` and `annotations` can be set; for the rest change the file";
        let error = error(line, 1, what.to_owned())
            .see(object.place(), "the object is here")
            .help(help);
        return Err(error.into());
    }
    Ok(())
}

fn no_object(objects: &[Object], target: &Target, line: u32) -> Diagnostic {
    let name = |o: &Object| match (&*o.namespace, &*o.name) {
        ("", "") => o.kind.to_string(),
        ("", name) => format!("{}/{name}", o.kind),
        (namespace, name) => format!("{namespace}/{}/{name}", o.kind),
    };
    let kind = Target {
        kind: Arc::clone(&target.kind),
        ..Target::default()
    };
    let of_kind: Vec<&Object> = objects.iter().filter(|o| is_meant(&kind, o)).collect();
    if of_kind.is_empty() {
        let mut kinds: Vec<&str> = objects.iter().map(|o| &*o.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let what = format!("no `{}` is among what was read", target.kind);
        return error(line, 1, what).help(proposal(&target.kind, kinds.into_iter()));
    }
    let shown = match (&target.namespace, &target.name) {
        (Some(namespace), Some(name)) => format!("{} {namespace}/{name}", target.kind),
        (_, name) => format!("{} {}", target.kind, name.as_deref().unwrap_or_default()),
    };
    let what = format!("{} is not among what was read", shown.trim_end());
    let elsewhere = of_kind
        .iter()
        .find(|o| target.name.as_deref() == Some(&*o.name));
    let near = elsewhere.copied().or_else(|| {
        let names = of_kind.iter().map(|o| &*o.name);
        let near = crate::diagnostic::nearest(target.name.as_deref().unwrap_or_default(), names);
        of_kind.iter().find(|o| Some(&*o.name) == near).copied()
    });
    if let Some(near) = near {
        return error(line, 1, what)
            .see(near.place(), format!("{} is here", near.describe()))
            .help(format!("did you mean `{}`?", name(near)));
    }
    let names: Vec<String> = of_kind.iter().map(|o| name(o)).collect();
    error(line, 1, what).help(proposal("", names.iter().map(String::as_str)))
}

fn ambiguous<'o>(
    found: impl Iterator<Item = &'o Object> + Clone,
    count: usize,
    line: u32,
) -> Diagnostic {
    let what = format!("{count} objects fit; a path leads to one value");
    let names = found.clone().take(SHOWN).map(|o| {
        let path = match (&*o.namespace, &*o.name) {
            ("", name) => format!("{}/{name}", o.kind),
            (namespace, name) => format!("{namespace}/{}/{name}", o.kind),
        };
        format!("`{path}:`")
    });
    let more = if count > SHOWN { ", …" } else { "" };
    let help = format!("name one: {}{more}", names.collect::<Vec<_>>().join(", "));
    let places = found
        .take(SHOWN)
        .map(|o| (o.place(), format!("{} is here", o.describe())));
    places.fold(error(line, 1, what).help(help), |said, (place, why)| {
        said.see(place, why)
    })
}

/// Said about the line of a flag.
fn error(line: u32, column: u32, message: String) -> Diagnostic {
    let place = Place::new(&"".into(), line, column);
    Diagnostic::error("TT-SET", Class::Model, message).at(place)
}
