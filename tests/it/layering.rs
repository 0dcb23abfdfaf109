//! Who may import whom: the rows of the house, held against the sources.
//!
//! A room imports only rooms on lower rows. `use` trees and qualified paths count alike; code under
//! `#[cfg(test)]` counts too, because a test that needs the upper floor belongs in `tests/it`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

/// Rooms with what they may import. Rows are from bottom to top; within a row nobody knows a neighbour.
const ROOMS: &[(&str, &[&str])] = &[
    ("units", &[]),
    ("http", &["units"]),
    ("diagnostic", &["units"]),
    ("engine", &["units"]),
    ("xds", &["units", "http"]),
    ("manifest", &["units", "http", "diagnostic"]),
    // Texts that say what to run; they run nothing themselves.
    ("lesson", &["units", "http", "diagnostic", "manifest"]),
    ("network", &["units", "http", "engine", "xds"]),
    ("workload", &["units", "http", "engine", "xds"]),
    ("load", &["units", "http", "engine", "xds"]),
    // Told the time and given draws; the queue is none of its business (see below).
    ("data_plane", &["units", "http", "engine", "xds"]),
    (
        "config",
        &["units", "http", "diagnostic", "engine", "xds", "manifest"],
    ),
    ("observe", &["units", "http", "engine"]),
    // Left of the waist nothing knows time: no engine.
    (
        "control_plane",
        &["units", "http", "diagnostic", "xds", "config"],
    ),
    // Right of the waist nothing knows YAML: no manifest, no control plane.
    (
        "simulation",
        &[
            "units",
            "http",
            "diagnostic",
            "engine",
            "xds",
            "network",
            "workload",
            "load",
            "data_plane",
            "config",
            "observe",
        ],
    ),
    ("analyze", BELOW_ANALYSIS),
    ("explain", BELOW_ANALYSIS),
    ("verdict", BELOW_ANALYSIS),
    // The workload that everything is measured with is read from its own manifests.
    (
        "experiment",
        &[
            "units",
            "http",
            "diagnostic",
            "engine",
            "xds",
            "manifest",
            "config",
            "observe",
            "control_plane",
            "simulation",
            "verdict",
        ],
    ),
    // A record is a finished value: how it came about is none of the report's business.
    (
        "report",
        &[
            "units",
            "http",
            "diagnostic",
            "xds",
            "config",
            "observe",
            "analyze",
            "explain",
            "verdict",
            "experiment",
            "lesson",
        ],
    ),
    // A reader of the waist alone.
    ("export", &["units", "http", "xds"]),
];

const BELOW_ANALYSIS: &[&str] = &[
    "units",
    "http",
    "diagnostic",
    "engine",
    "xds",
    "manifest",
    "network",
    "workload",
    "load",
    "data_plane",
    "config",
    "observe",
    "control_plane",
    "simulation",
];

/// `cli` wires everything; `lib.rs` and `main.rs` name the rooms.
const FREE: &[&str] = &["cli", "lib", "main"];

/// Parts of a room that another room may not name although it may name the room.
const PRIVATE: &[(&str, &str, &str)] = &[
    ("data_plane", "engine", "queue"),
    ("data_plane", "engine", "Queue"),
    ("data_plane", "engine", "heap"),
    ("data_plane", "engine", "timers"),
    ("config", "engine", "queue"),
    ("observe", "engine", "queue"),
];

/// Crates that only `cli` may name: disk, terminal, environment, threads' clocks.
const EDGE_CRATES: &[&str] = &["clap", "indicatif", "ctrlc", "anstream", "tempfile"];

#[test]
fn a_room_imports_only_rooms_on_lower_rows() {
    let mut faults = String::new();
    let mut seen = BTreeSet::new();
    for file in rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let room = room_of(&file);
        for path in paths_in(&file) {
            if let Some(why) = fault(&room, &path) {
                let _ = writeln!(faults, "{}: `{}` {why}", file.display(), path.join("::"));
            }
        }
        seen.insert(room);
    }
    assert!(seen.len() > 8, "the sources were found: {seen:?}");
    assert!(faults.is_empty(), "\n{faults}");
}

#[test]
fn an_import_upwards_is_seen_in_every_spelling() {
    let check = |room: &str, code: &str, wrong: bool| {
        let file = syn::parse_file(code).expect("the case is Rust");
        let mut paths = Paths::default();
        paths.visit_file(&file);
        let found = paths.found.iter().any(|path| fault(room, path).is_some());
        assert_eq!(found, wrong, "{room}: {code}");
    };
    check("engine", "use crate::units::SimTime;", false);
    check("engine", "use crate::xds::Name;", true);
    check(
        "engine",
        "use crate::{units::SimTime, http::{Url, Flags}};",
        true,
    );
    check("xds", "fn f() -> crate::config::Meta { todo!() }", true);
    check("xds", "fn f() { let _ = crate::simulation::run(); }", true);
    check("control_plane", "use crate::engine::Distribution;", true);
    check("simulation", "use crate::manifest::Node;", true);
    check(
        "data_plane",
        "use crate::engine::{Distribution, queue};",
        true,
    );
    check("data_plane", "use crate::engine::Draws;", false);
    check("observe", "use crate::config::Meta;", true);
    check("report", "use indicatif::ProgressBar;", true);
    check(
        "cli",
        "use crate::simulation::run; use clap::Parser;",
        false,
    );
    check("attic", "use crate::units::SimTime;", true);
}

/// What is wrong about a path named in a room.
fn fault(room: &str, path: &[String]) -> Option<String> {
    if FREE.contains(&room) {
        return None;
    }
    let first = path.first()?;
    if EDGE_CRATES.contains(&first.as_str()) {
        return Some(format!("is for `cli` alone, not for `{room}`"));
    }
    if first != "crate" {
        return None;
    }
    let target = path.get(1)?;
    if target == room {
        return None;
    }
    let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| name == &room) else {
        return Some(format!(
            "stands in `{room}`, which has no row in this table"
        ));
    };
    // Types that `lib.rs` re-exports at the root are for users of the crate.
    if !allowed.contains(&target.as_str()) {
        return Some(format!("is not below `{room}`"));
    }
    let part = path.get(2)?;
    PRIVATE
        .iter()
        .any(|(r, t, p)| *r == room && t == target && p == part)
        .then(|| format!("is a part of `{target}` that `{room}` may not know"))
}

/// Every path of a file that may name something outside it.
#[derive(Default)]
struct Paths {
    found: Vec<Vec<String>>,
}

impl Paths {
    fn use_tree(&mut self, tree: &syn::UseTree, before: &[String]) {
        let with = |name: &syn::Ident| {
            let mut path = before.to_vec();
            path.push(name.to_string());
            path
        };
        match tree {
            syn::UseTree::Path(path) => self.use_tree(&path.tree, &with(&path.ident)),
            syn::UseTree::Name(name) => self.found.push(with(&name.ident)),
            syn::UseTree::Rename(rename) => self.found.push(with(&rename.ident)),
            syn::UseTree::Glob(_) => self.found.push(before.to_vec()),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.use_tree(tree, before);
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.use_tree(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names = path.segments.iter().map(|s| s.ident.to_string());
        self.found.push(names.collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, makro: &'ast syn::Macro) {
        // Arguments of macros are tokens; `crate :: room` is visible in their text.
        let text = makro.tokens.to_string();
        for rest in text.split("crate :: ").skip(1) {
            let names = rest.split(" :: ").take(2);
            let mut path = vec!["crate".to_owned()];
            path.extend(names.map(|name| {
                let end = name.find(|c: char| !c.is_alphanumeric() && c != '_');
                name[..end.unwrap_or(name.len())].to_owned()
            }));
            self.found.push(path);
        }
        visit::visit_macro(self, makro);
    }
}

fn paths_in(file: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(file).expect("a source file is readable");
    let parsed = syn::parse_file(&text).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
    let mut paths = Paths::default();
    paths.visit_file(&parsed);
    paths.found
}

/// The folder (or file) directly under `src`.
fn room_of(file: &Path) -> String {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let inside = file.strip_prefix(src).expect("it was found there");
    let first = inside.components().next().expect("it has a name");
    first
        .as_os_str()
        .to_string_lossy()
        .trim_end_matches(".rs")
        .to_owned()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).expect("the folder is there");
    let mut paths: Vec<PathBuf> = entries.map(|e| e.expect("readable").path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}
