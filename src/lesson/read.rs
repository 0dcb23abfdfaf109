//! From the texts of a folder to a lesson. All that is wrong is said at once.

use super::markdown::{Block, Document, Fault, Section, document};
use super::sections;
use super::{Command, LESSON, Lesson};
use crate::diagnostic::{Class, Diagnostic, Place};
use crate::manifest::Source;

const CODE: &str = "TT-LESSON";
const FORM: &str = "`towtank learn 1 --into DIR` writes a lesson that shows the form";

/// Reads a lesson's files.
pub fn read(folder: &str, files: Vec<Source>) -> Result<Lesson, Vec<Diagnostic>> {
    let text = files.iter().find(|file| &*file.path == LESSON);
    let mut reader = Reader::default();
    let Some(text) = text.map(|file| file.text.clone()) else {
        return Err(vec![diagnostic(0, format!("there is no `{LESSON}`"))]);
    };
    let document = match document(&text) {
        Ok(document) => document,
        Err((line, what)) => return Err(vec![diagnostic(line, what)]),
    };
    let lesson = lesson(folder, &document, files, &mut reader);
    if reader.faults.is_empty() {
        Ok(lesson)
    } else {
        let all = reader.faults.into_iter();
        Err(all.map(|(line, what)| diagnostic(line, what)).collect())
    }
}

fn diagnostic(line: u32, what: String) -> Diagnostic {
    let place = Place {
        file: LESSON.into(),
        line,
        column: 0,
    };
    Diagnostic::error(CODE, Class::Syntax, what)
        .at(place)
        .help(FORM)
}

/// Collects what is wrong.
#[derive(Debug, Default)]
pub(super) struct Reader {
    pub(super) faults: Vec<Fault>,
}

impl Reader {
    pub(super) fn fault(&mut self, line: u32, what: impl Into<String>) {
        self.faults.push((line, what.into()));
    }

    /// A value, or nothing and a fault.
    pub(super) fn take<T>(&mut self, line: u32, value: Result<T, String>) -> Option<T> {
        value.map_err(|what| self.fault(line, what)).ok()
    }

    /// A block that has no place in its section.
    pub(super) fn stray(&mut self, line: u32, section: &str, block: &Block) {
        let what = match block {
            Block::Prose(_) => "a paragraph",
            Block::Items(_) => "a list",
            Block::Fence(..) => "this fenced block",
            Block::Table(_) => "a table",
        };
        self.fault(line, format!("{what} has no place in `{section}`"));
    }
}

fn lesson(folder: &str, document: &Document, files: Vec<Source>, reader: &mut Reader) -> Lesson {
    let mut front = |key: &str| {
        let found = document.front.iter().find(|(_, k, _)| k == key);
        if found.is_none() {
            reader.fault(
                1,
                format!("`{key}:` is missing between the `---` at the top"),
            );
        }
        found.map(|(.., value)| value.clone()).unwrap_or_default()
    };
    let (title, claim, about) = (front("title"), front("claim"), front("about"));
    for (line, key, _) in &document.front {
        if !["title", "claim", "about"].contains(&key.as_str()) {
            reader.fault(*line, format!("`{key}` is none of title, claim, about"));
        }
    }
    let mut lesson = Lesson {
        folder: folder.to_owned(),
        title,
        claim,
        about,
        argument: Vec::new(),
        question: Vec::new(),
        choices: Vec::new(),
        running: Vec::new(),
        runs: Vec::new(),
        settling: Vec::new(),
        rows: Vec::new(),
        trying: Vec::new(),
        changes: Vec::new(),
        again: Command::default(),
        look: Vec::new(),
        files,
    };
    let found: Vec<&str> = document.sections.iter().map(|s| s.title.as_str()).collect();
    let wanted = ["Claim", "Predict", "Run", "Settles", "Try"];
    if found != wanted {
        let what = format!(
            "the headings are {}, not {}",
            found.join(", "),
            wanted.join(", ")
        );
        reader.fault(document.sections.first().map_or(1, |s| s.line), what);
        return lesson;
    }
    let fill: [fn(&mut Lesson, &Section, &mut Reader); 5] = [
        sections::claim,
        sections::predict,
        sections::run,
        sections::settles,
        sections::try_out,
    ];
    // `Predict` speaks of runs that come after it, so their number is checked at the end.
    for (section, fill) in document.sections.iter().zip(fill) {
        fill(&mut lesson, section, reader);
    }
    sections::agree(&lesson, document, reader);
    lesson
}
