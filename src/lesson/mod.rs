//! Lessons: each claims something, asks for a prediction, says what to run, which numbers settle
//! it, and what to change.
//!
//! A lesson is a folder under `models/lessons/`: `lesson.md` with the text, and the manifests, Model and
//! Scenario that it runs. The text is Markdown that reads well as it is; what the program needs of
//! it stands in forms that Markdown has: fenced blocks, a table, a task list, a diff. This room
//! only reads: it runs nothing, and what a figure means is for `config` to say. Results are put beside the
//! words by `report`.
//!
//! ```text
//! ---
//! title: A weight is a share of requests
//! claim: One sentence.
//! about: step 3 of the recipe
//! ---
//! ## Claim        prose
//! ## Predict      a question, then choices: `- [x] words <!-- expectation; 2: expectation -->`
//! ## Run          prose and fenced blocks ```towtank NAME OF THE RUN
//! ## Settles      a table: words | figure | bounds in run 1 | …, ```chart blocks, prose
//! ## Try          prose, ```diff FILE, ```towtank, items: `expectation` words
//! ```

mod change;
mod command;
mod library;
mod markdown;
mod read;
mod sections;

pub use change::Change;
pub use command::Command;
pub use library::{FILES, all, find, number_of};
pub use read::read;

use crate::manifest::Source;

/// Names of the files that a lesson consists of.
pub const LESSON: &str = "lesson.md";

/// One lesson.
#[derive(Clone, Debug)]
pub struct Lesson {
    /// Name of its folder: `05-faults`.
    pub folder: String,
    /// What it is called in a list.
    pub title: String,
    /// What it claims, in one sentence.
    pub claim: String,
    /// Where it belongs: a step of the recipe, or a kind of trouble.
    pub about: String,
    /// Why one might believe otherwise, and why it is so.
    pub argument: Vec<Part>,
    /// What is to be predicted.
    pub question: Vec<Part>,
    /// What may be predicted; one of them is right.
    pub choices: Vec<Choice>,
    /// What is run, with what is to be said about it.
    pub running: Vec<Part>,
    /// The commands of `running`.
    pub runs: Vec<Run>,
    /// What settles it.
    pub settling: Vec<Part>,
    /// The numbers that settle it.
    pub rows: Vec<Row>,
    /// What to change, what to run again, and what to look for.
    pub trying: Vec<Part>,
    /// The changes of `trying`.
    pub changes: Vec<Change>,
    /// What to run again.
    pub again: Command,
    /// What to look for then.
    pub look: Vec<Look>,
    /// Its files, the text included.
    pub files: Vec<Source>,
}

/// A piece of a lesson's text, in the order in which it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A paragraph.
    Prose(String),
    /// A list.
    Items(Vec<String>),
    /// The run of that number.
    Run(usize),
    /// The table of figures.
    Figures,
    /// A chart over all runs.
    Chart(Chart),
    /// The change of that number.
    Change(usize),
    /// What to run after the change.
    Again,
    /// What to look for then.
    Look,
}

/// What may be predicted.
#[derive(Clone, Debug)]
pub struct Choice {
    /// In words.
    pub words: String,
    /// As it is marked in the text.
    pub is_right: bool,
    /// It is right when all of these hold: (run, expectation).
    pub when: Vec<(usize, String)>,
}

/// Something to run.
#[derive(Clone, Debug)]
pub struct Run {
    /// What is different about it, in few words.
    pub name: String,
    /// The command line, relative to the lesson's folder.
    pub command: Command,
}

/// A number that every run gives.
#[derive(Clone, Debug)]
pub struct Row {
    /// In words.
    pub words: String,
    /// In the language of `expect`, without a relation.
    pub figure: String,
    /// What has to hold of it in each run, for example `> 9%`; none: it is only shown.
    pub bounds: Vec<Vec<String>>,
}

/// What to look for after the change.
#[derive(Clone, Debug)]
pub struct Look {
    /// What holds then.
    pub expectation: String,
    /// In words.
    pub words: String,
}

/// A small chart over all runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chart {
    /// A quantity over time.
    Course {
        /// Which.
        quantity: Quantity,
        /// Of this load; the first when not written.
        load: Option<String>,
    },
    /// Requests of every pod of a workload, `namespace/name`.
    Pods(String),
}

/// What a chart shows over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Share of requests with 5xx or no answer.
    Failed,
    /// Requests per second that succeeded.
    Succeeded,
    /// Tries per request.
    Tries,
    /// Worst median latency.
    P50,
    /// Worst 99th percentile of latency.
    P99,
    /// Requests in flight.
    InFlight,
}

impl Quantity {
    /// All of them, with the word that asks for each.
    pub const ALL: [(&'static str, Self); 6] = [
        ("failed", Self::Failed),
        ("succeeded", Self::Succeeded),
        ("tries", Self::Tries),
        ("p50", Self::P50),
        ("p99", Self::P99),
        ("in-flight", Self::InFlight),
    ];
}

impl Lesson {
    /// Its name without the number: `faults`.
    pub fn name(&self) -> &str {
        let number = self.folder.chars().take_while(char::is_ascii_digit).count();
        self.folder[number..].trim_start_matches('-')
    }

    /// What the runs read: everything but the text.
    pub fn inputs(&self) -> impl Iterator<Item = &Source> {
        self.files.iter().filter(|file| &*file.path != LESSON)
    }

    /// Line (from 1) on which a change begins; nothing where it was made already.
    pub fn line_of(&self, change: &Change) -> Option<usize> {
        let file = self.inputs().find(|file| *file.path == *change.file)?;
        change.line_in(&file.text).ok()
    }

    /// The same files with all changes made.
    pub fn changed(&self) -> Result<Vec<Source>, String> {
        let mut files: Vec<Source> = self.inputs().cloned().collect();
        for change in &self.changes {
            let file = files.iter_mut().find(|file| *file.path == *change.file);
            let file = file.ok_or_else(|| format!("there is no file `{}`", change.file))?;
            file.text = change.apply(&file.text)?;
        }
        Ok(files)
    }

    /// What has to hold of a run, or is only measured, in the order of `rows` and their bounds: (row, expectation).
    pub fn expectations(&self, run: usize) -> Vec<(usize, String)> {
        let mut all = Vec::new();
        for (index, row) in self.rows.iter().enumerate() {
            let bounds = row.bounds.get(run).map_or(&[][..], Vec::as_slice);
            if bounds.is_empty() {
                // Every figure is zero or more: this measures and holds.
                all.push((index, format!("{} >= 0", row.figure)));
            }
            all.extend(
                bounds
                    .iter()
                    .map(|b| (index, format!("{} {b}", row.figure))),
            );
        }
        all
    }
}
