//! The lessons of this program: part of it, so that they are there wherever it is installed.

use super::{LESSON, Lesson, read};
use crate::diagnostic::{Diagnostic, nearest};
use crate::manifest::Source;

/// A lesson's folder, and its files by name.
type Files = (&'static str, [(&'static str, &'static str); 4]);

macro_rules! files {
    ($($folder:literal),* $(,)?) => {
        &[$((
            $folder,
            [
                (LESSON, include_str!(concat!("../../models/lessons/", $folder, "/lesson.md"))),
                ("manifests.yaml", include_str!(concat!("../../models/lessons/", $folder, "/manifests.yaml"))),
                ("model.yaml", include_str!(concat!("../../models/lessons/", $folder, "/model.yaml"))),
                ("scenario.yaml", include_str!(concat!("../../models/lessons/", $folder, "/scenario.yaml"))),
            ],
        )),*]
    };
}

/// All lessons as texts, in the order in which they build on each other.
pub const FILES: &[Files] = files![
    "01-weights",
    "02-first-match",
    "03-default-retries",
    "04-timeouts",
    "05-faults",
    "06-breaker",
    "07-ejection-cap",
    "08-panic",
    "09-mirroring",
    "10-least-request",
    "11-hot-key",
    "12-zone-failover",
    "13-rolling-update",
    "14-retries-multiply",
    "15-retry-storm",
    "16-metastable",
];

/// All lessons, read.
pub fn all() -> Vec<Lesson> {
    (0..FILES.len()).map(own).collect()
}

/// The lesson with this number, name, or folder: `5`, `faults`, `05-faults`. Else the name that
/// was probably meant.
pub fn find(asked: &str) -> Result<Lesson, Option<&'static str>> {
    let name = |folder: &'static str| folder.split_once('-').map_or(folder, |(_, name)| name);
    let is_it = |index: &usize| {
        let folder = FILES[*index].0;
        let number = asked.parse::<usize>() == Ok(index + 1);
        number || folder == asked || name(folder) == asked
    };
    (0..FILES.len()).find(is_it).map(own).ok_or_else(|| {
        let names = FILES.iter().map(|(folder, _)| name(folder));
        nearest(asked, names)
    })
}

/// Number of one of our lessons, from 1.
pub fn number_of(lesson: &Lesson) -> Option<usize> {
    let at = FILES
        .iter()
        .position(|(folder, _)| *folder == lesson.folder);
    at.map(|index| index + 1)
}

fn own(index: usize) -> Lesson {
    let (folder, files) = &FILES[index];
    let sources = files.iter().map(|(name, text)| Source::new(*name, *text));
    let said = |all: Vec<Diagnostic>| {
        let texts: Vec<String> = all.iter().map(ToString::to_string).collect();
        texts.join("\n")
    };
    read(folder, sources.collect())
        .unwrap_or_else(|all| panic!("lesson {folder} is a part of this program:\n{}", said(all)))
}
