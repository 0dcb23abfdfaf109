//! One of two sides to compare: its texts, and the scenario that both are run under.
//!
//! Scenario documents among a side's files are taken out, and the one that was chosen is put in
//! their place, under its own path and with its own line numbers: what is said about it then
//! names the same lines whichever side is run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::args::InputArgs;
use super::decode;
use super::exit_code::Failure;
use super::input::{self, Reader};
use super::pipeline::{self, Gathered};
use crate::manifest::{Edit, Source};

/// A side as it is named.
pub(super) struct Side<'a> {
    /// How people call it.
    pub(super) name: String,
    /// Where its relative paths begin; empty: the current folder.
    pub(super) root: PathBuf,
    /// Its files and folders.
    pub(super) paths: Vec<&'a Path>,
}

/// Texts of a side, before the scenario is put in.
pub(super) struct Texts {
    reader: Reader,
    on_disk: BTreeMap<String, PathBuf>,
}

/// The scenario that both sides are run under.
pub(super) struct Chosen {
    scenario: Source,
    model: Option<Source>,
    on_disk: BTreeMap<String, PathBuf>,
}

impl Texts {
    /// Reads a side. A folder (or file) with a Scenario stands for what that names.
    pub(super) fn read(side: &Side<'_>, args: &InputArgs) -> Result<Self, Failure> {
        let mut reader = Reader::default();
        for path in side.paths.iter().copied() {
            let real = side.root.join(path);
            match input::scenario_in(&real) {
                Some(file) => {
                    let named = pipeline::read_scenario(&file, &args.set, &mut reader)?;
                    named.paths.iter().for_each(|path| reader.read(path));
                }
                None => reader.read(&real),
            }
        }
        for path in &args.filename {
            reader.read(path);
        }
        let on_disk = shorten(&mut reader, &side.root);
        Ok(Self { reader, on_disk })
    }

    /// The only Scenario among the texts; `None` when there is none.
    pub(super) fn scenario(&self) -> Result<Option<Chosen>, Failure> {
        let holds = |kind: &'static str| {
            let all = self.reader.sources.iter();
            all.filter(move |source| Documents::of(&source.text).any(kind))
        };
        let mut found = holds("Scenario");
        let Some(first) = found.next() else {
            return Ok(None);
        };
        if let Some(second) = found.next() {
            return Err(Failure::Usage(format!(
                "more than one Scenario was read (`{}`, `{}`); name one with --scenario",
                first.path, second.path
            )));
        }
        let only = |source: &Source, kind| {
            let text = Documents::of(&source.text).only(kind);
            Source::new(source.path.clone(), text)
        };
        Ok(Some(Chosen {
            scenario: only(first, "Scenario"),
            model: holds("Model").next().map(|source| only(source, "Model")),
            on_disk: self.on_disk.clone(),
        }))
    }

    /// The side with the chosen scenario, and its Model where the side has none of its own.
    pub(super) fn gathered(
        mut self,
        chosen: Option<&Chosen>,
        namespace: Option<&str>,
        args: &InputArgs,
        more: &[Edit],
    ) -> Gathered {
        let mut models = BTreeSet::new();
        for source in &mut self.reader.sources {
            let documents = Documents::of(&source.text);
            if documents.any("Model") {
                models.insert(source.path.to_string());
            }
            if documents.any("Scenario") {
                source.text = documents.without("Scenario");
            }
        }
        if let Some(chosen) = chosen {
            let model = chosen.model.as_ref().filter(|_| models.is_empty());
            for source in std::iter::once(&chosen.scenario).chain(model) {
                self.reader.sources.push(source.clone());
                // Tables beside a Model are those of its own side, also where both sides call
                // its file the same.
                let real = chosen.on_disk.get(&*source.path);
                if let Some(real) = real.filter(|_| !models.contains(&*source.path)) {
                    self.on_disk.insert(source.path.to_string(), real.clone());
                }
            }
        }
        let options = decode::Options {
            namespace: namespace.map(str::to_owned),
            version: args.istio_version,
            edits: args.set.iter().chain(more).cloned().collect(),
            on_disk: self.on_disk,
        };
        Gathered::new(self.reader, options, args.force)
    }
}

impl Chosen {
    /// The one that `--scenario` names, with its Model; its manifests are those of the sides.
    pub(super) fn read(path: &Path, args: &InputArgs) -> Result<Self, Failure> {
        let file = input::find_scenario(path).map_err(Failure::Usage)?;
        let mut reader = Reader::default();
        let named = pipeline::read_scenario(&file, &args.set, &mut reader)?;
        if let Some(model) = &named.model {
            reader.read(model);
        }
        if let Some(problem) = reader.problems.first() {
            return Err(Failure::Usage(problem.to_string()));
        }
        let mut sources = reader.sources.into_iter();
        let scenario = sources
            .next()
            .ok_or_else(|| Failure::Usage(format!("`{}` holds no Scenario", path.display())))?;
        let text = Documents::of(&scenario.text);
        let own = text.any("Model").then(|| text.only("Model"));
        let own = own.map(|text| Source::new(scenario.path.clone(), text));
        Ok(Self {
            scenario: Source::new(scenario.path.clone(), text.only("Scenario")),
            model: sources.next().or(own),
            on_disk: BTreeMap::new(),
        })
    }
}

/// Takes a side's root off all names. Returns where the files are.
fn shorten(reader: &mut Reader, root: &Path) -> BTreeMap<String, PathBuf> {
    let mut on_disk = BTreeMap::new();
    if root == Path::new("") {
        return on_disk;
    }
    let prefix = format!("{}/", root.to_string_lossy().trim_end_matches('/'));
    for source in &mut reader.sources {
        if let Some(short) = source.path.strip_prefix(&prefix) {
            on_disk.insert(short.to_owned(), PathBuf::from(&*source.path));
            source.path = short.into();
        }
    }
    for problem in &mut reader.problems {
        problem.message = problem.message.replace(&prefix, "");
        if let Some(place) = &mut problem.place
            && let Some(short) = place.file.strip_prefix(&prefix)
        {
            place.file = short.into();
        }
    }
    on_disk
}

/// The documents of a text; lines keep their numbers whatever is taken out.
struct Documents<'a>(Vec<Vec<&'a str>>);

impl<'a> Documents<'a> {
    fn of(text: &'a str) -> Self {
        let mut all = vec![Vec::new()];
        for line in text.split_inclusive('\n') {
            let begins = line.starts_with("---");
            if begins {
                all.push(Vec::new());
            }
            if let Some(last) = all.last_mut() {
                last.push(line);
            }
        }
        Self(all)
    }

    fn any(&self, kind: &str) -> bool {
        self.0.iter().any(|lines| is_kind(lines, kind))
    }

    fn only(&self, kind: &str) -> String {
        self.kept(|lines| is_kind(lines, kind))
    }

    fn without(&self, kind: &str) -> String {
        self.kept(|lines| !is_kind(lines, kind))
    }

    fn kept(&self, keep: impl Fn(&[&str]) -> bool) -> String {
        let mut text = String::new();
        for lines in &self.0 {
            for (number, line) in lines.iter().enumerate() {
                if keep(lines) || (number == 0 && line.starts_with("---")) {
                    text.push_str(line);
                } else {
                    text.push('\n');
                }
            }
        }
        text
    }
}

/// One of our own kinds, at the top of a document.
fn is_kind(lines: &[&str], kind: &str) -> bool {
    let bare = |line: &&str| -> String {
        let keep = |c: &char| !c.is_whitespace() && !"\"',".contains(*c);
        line.split(" #")
            .next()
            .unwrap_or("")
            .chars()
            .filter(keep)
            .collect()
    };
    let lines: Vec<String> = lines.iter().map(bare).collect();
    lines
        .iter()
        .any(|line| line.starts_with("apiVersion:towtank/"))
        && lines
            .iter()
            .any(|line| line.strip_prefix("kind:") == Some(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_taken_out_and_lines_keep_their_numbers() {
        let text = "kind: Service\n---\napiVersion: towtank/v1alpha1\nkind: Scenario # mine\n---\nkind: Pod\n";
        let documents = Documents::of(text);
        assert!(documents.any("Scenario") && !documents.any("Model"));
        assert_eq!(
            documents.without("Scenario"),
            "kind: Service\n---\n\n\n---\nkind: Pod\n"
        );
        assert_eq!(
            documents.only("Scenario"),
            "\n---\napiVersion: towtank/v1alpha1\nkind: Scenario # mine\n---\n\n"
        );
    }
}
