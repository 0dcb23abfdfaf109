//! A lesson with what its runs gave, for a terminal or a pipe.
//!
//! In two parts, so that a reader can be asked between them: [`opening`] ends with the question,
//! [`rest`] has the numbers, the answer and the invitation. [`book`] renders the same as a chapter.

pub mod book;
mod chart;

use anstyle::{AnsiColor, Style};

use super::expectation::measured;
use super::format::wrap;
use super::table::{Align, Table};
use super::text::heading;
use crate::lesson::{Lesson, Look, Part, number_of};
use crate::observe::Record;
use crate::observe::record::{ExpectationRecord, Verdict};

const BOLD: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const FAINT: Style = Style::new().dimmed();
const COMMAND: Style = AnsiColor::Cyan.on_default();
/// Prose is easier to read in lines shorter than those of tables.
const WIDTH: usize = 88;

/// What one run gave.
#[derive(Debug)]
pub struct Ran {
    /// The record. Its expectations are those of [`Lesson::expectations`], then those of the
    /// choices that speak of this run, in their order.
    pub record: Record,
    /// What the command itself shows, where that belongs to the lesson.
    pub shown: Option<String>,
}

/// What the runs of a lesson gave.
#[derive(Debug, Default)]
pub struct Results {
    /// In the lesson's order.
    pub runs: Vec<Ran>,
    /// What holds after the change, in the order of [`Lesson::look`]; empty where it is left to
    /// the reader.
    pub look: Vec<ExpectationRecord>,
}

/// One number of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// As people write it.
    pub value: String,
    /// Bounds that do not hold.
    pub broken: Vec<String>,
}

impl Results {
    /// The number of a row in a run.
    pub fn cell(&self, lesson: &Lesson, row: usize, run: usize) -> Cell {
        let wanted = lesson.expectations(run);
        let records = self.runs[run].record.expectations.iter();
        let own = wanted.iter().zip(records).filter(|((of, _), _)| *of == row);
        let own: Vec<&ExpectationRecord> = own.map(|(_, record)| record).collect();
        let value = own.first().map_or(String::new(), |record| measured(record));
        let figure = &lesson.rows[row].figure;
        let broken = own.iter().filter(|record| record.verdict != Verdict::Pass);
        Cell {
            value: if value.is_empty() {
                "-".to_owned()
            } else {
                value
            },
            broken: broken
                .map(|record| {
                    record
                        .text
                        .trim_start_matches(figure.as_str())
                        .trim()
                        .to_owned()
                })
                .collect(),
        }
    }

    /// The only choice for which everything holds.
    pub fn answer(&self, lesson: &Lesson) -> Option<usize> {
        let mut next: Vec<usize> = (0..self.runs.len())
            .map(|run| lesson.expectations(run).len())
            .collect();
        let mut held = Vec::new();
        for (index, choice) in lesson.choices.iter().enumerate() {
            let mut holds = true;
            for (run, _) in &choice.when {
                let record = self.runs[*run].record.expectations.get(next[*run]);
                holds &= record.is_some_and(|record| record.verdict == Verdict::Pass);
                next[*run] += 1;
            }
            held.extend(holds.then_some(index));
        }
        match held.as_slice() {
            [only] => Some(*only),
            _ => None,
        }
    }

    /// Everything that the lesson says and that does not hold; nothing in a good lesson.
    pub fn broken(&self, lesson: &Lesson) -> Vec<String> {
        let mut all = Vec::new();
        for (row, of_row) in lesson.rows.iter().enumerate() {
            for (run, of_run) in lesson.runs.iter().enumerate() {
                let cell = self.cell(lesson, row, run);
                let (figure, name, value) = (&of_row.figure, &of_run.name, &cell.value);
                all.extend(
                    cell.broken.iter().map(|bound| {
                        format!("`{figure} {bound}` does not hold in `{name}`: {value}")
                    }),
                );
            }
        }
        let marked = lesson.choices.iter().position(|choice| choice.is_right);
        let answer = self.answer(lesson);
        if answer != marked {
            let said = |choice: Option<usize>| choice.map_or("none".to_owned(), letter);
            all.push(format!(
                "the runs say that {} is right, and {} is marked",
                said(answer),
                said(marked)
            ));
        }
        let look = self
            .look
            .iter()
            .filter(|record| record.verdict != Verdict::Pass);
        all.extend(look.map(|record| {
            format!(
                "`{}` does not hold after the change: {}",
                record.text,
                measured(record)
            )
        }));
        all
    }
}

/// `a` for the first choice.
pub fn letter(choice: usize) -> String {
    char::from(b'a' + choice as u8).to_string()
}

/// All lessons, one line each.
pub fn list(lessons: &[Lesson]) -> String {
    let mut table = Table::new(&[
        ("NUMBER", Align::Right),
        ("NAME", Align::Left),
        ("WHAT IT CLAIMS", Align::Left),
        ("ABOUT", Align::Left),
    ]);
    for (number, lesson) in (1..).zip(lessons) {
        table.row([
            format!("{number}"),
            lesson.name().to_owned(),
            lesson.title.clone(),
            lesson.about.clone(),
        ]);
    }
    table.render(0)
}

/// From the title to the question.
pub fn opening(lesson: &Lesson, count: usize) -> String {
    let mut out = match number_of(lesson) {
        Some(number) => format!(
            "{BOLD}Lesson {number} of {count}: {}{BOLD:#}\n",
            lesson.title
        ),
        None => format!("{BOLD}{}{BOLD:#}\n", lesson.title),
    };
    out.push('\n');
    out.push_str(&wrap(&lesson.claim, "  ", 2, WIDTH));
    out.push('\n');
    parts(&mut out, &lesson.argument);
    heading(&mut out, "Predict");
    parts(&mut out, &lesson.question);
    out.push('\n');
    for (index, choice) in lesson.choices.iter().enumerate() {
        out.push_str(&wrap(
            &choice.words,
            &format!("  {}  ", letter(index)),
            5,
            WIDTH,
        ));
    }
    out
}

/// From the runs to the invitation. `folder`: where the lesson's files are.
pub fn rest(lesson: &Lesson, results: &Results, guess: Option<usize>, folder: &str) -> String {
    let mut out = String::new();
    heading(&mut out, "Run");
    spaced(&mut out, &lesson.running, |out, part| {
        let Part::Run(run) = part else { return };
        let run_of = &lesson.runs[*run];
        out.push_str(&format!("  {FAINT}# {}{FAINT:#}\n", run_of.name));
        command(out, &run_of.command.text);
        if let Some(shown) = &results.runs[*run].shown {
            out.push_str(&indented(shown, 4));
        }
    });
    heading(&mut out, "What settles it");
    verdict(&mut out, lesson, results, guess);
    out.push('\n');
    spaced(&mut out, &lesson.settling, |out, part| match part {
        Part::Figures => out.push_str(&figures(lesson, results)),
        Part::Chart(wanted) => out.push_str(&indented(&chart::draw(wanted, lesson, results), 2)),
        _ => {}
    });
    heading(&mut out, "Try");
    spaced(&mut out, &lesson.trying, |out, part| match part {
        Part::Change(index) => change(out, lesson, *index, folder),
        Part::Again => {
            command(out, &format!("cd {folder}"));
            command(out, &lesson.again.text);
        }
        Part::Look => {
            for look in &lesson.look {
                out.push_str(&wrap(&look_for(look), "  - ", 4, WIDTH));
            }
        }
        _ => {}
    });
    out
}

/// Words by themselves; everything else by the function. A free line between any two.
fn spaced(out: &mut String, all: &[Part], other: impl Fn(&mut String, &Part)) {
    for (index, part) in all.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        match part {
            Part::Prose(_) | Part::Items(_) => parts(out, std::slice::from_ref(part)),
            _ => other(out, part),
        }
    }
}

fn parts(out: &mut String, all: &[Part]) {
    for (index, part) in all.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        match part {
            Part::Prose(text) => out.push_str(&wrap(text, "", 0, WIDTH)),
            Part::Items(items) => {
                for item in items {
                    out.push_str(&wrap(item, "  - ", 4, WIDTH));
                }
            }
            _ => {}
        }
    }
}

/// An expectation with what it means.
fn look_for(look: &Look) -> String {
    if look.words.is_empty() {
        return format!("`{}`", look.expectation);
    }
    format!("`{}`: {}", look.expectation, look.words)
}

fn command(out: &mut String, text: &str) {
    for (index, line) in text.lines().enumerate() {
        let prompt = if index == 0 { "$ " } else { "  " };
        out.push_str(&format!("  {prompt}{COMMAND}{line}{COMMAND:#}\n"));
    }
}

fn indented(text: &str, by: usize) -> String {
    let line = |line: &str| format!("{:by$}{line}\n", "").trim_end().to_owned() + "\n";
    text.lines().map(line).collect()
}

/// What was right, and whether it was what the reader said.
fn verdict(out: &mut String, lesson: &Lesson, results: &Results, guess: Option<usize>) {
    let Some(answer) = results.answer(lesson) else {
        let text = "None of the answers is what these runs say, or more than one is.";
        out.push_str(&format!("{BAD}{text}{BAD:#}\n"));
        return;
    };
    let first = match guess {
        Some(guess) if guess == answer => format!("{GOOD}You were right.{GOOD:#} "),
        Some(guess) => format!("You said {}; ", letter(guess)),
        None => String::new(),
    };
    let it = if guess.is_some_and(|guess| guess != answer) {
        "it is"
    } else {
        "It is"
    };
    let text = format!("{it} {}: {}", letter(answer), lesson.choices[answer].words);
    out.push_str(&wrap(&text, &first, 0, WIDTH));
}

/// Rows of figures, a column for each run.
fn figures(lesson: &Lesson, results: &Results) -> String {
    let mut columns = vec![("", Align::Flex)];
    columns.extend(
        lesson
            .runs
            .iter()
            .map(|run| (run.name.as_str(), Align::Right)),
    );
    let mut table = Table::new(&columns);
    for (index, row) in lesson.rows.iter().enumerate() {
        let cells = (0..lesson.runs.len()).map(|run| shown(&results.cell(lesson, index, run)));
        table.row([row.words.clone()].into_iter().chain(cells));
    }
    table.render(2)
}

fn shown(cell: &Cell) -> String {
    if cell.broken.is_empty() {
        return cell.value.clone();
    }
    format!("{}, not {}", cell.value, cell.broken.join(" "))
}

fn change(out: &mut String, lesson: &Lesson, index: usize, folder: &str) {
    let change = &lesson.changes[index];
    let line = lesson.line_of(change).map(|line| format!(":{line}"));
    let (file, line) = (&change.file, line.unwrap_or_default());
    out.push_str(&format!("  {BOLD}{folder}/{file}{line}{BOLD:#}\n"));
    for (mark, line) in &change.lines {
        let style = match mark {
            '-' => BAD,
            '+' => GOOD,
            _ => Style::new(),
        };
        out.push_str(&format!("  {style}{mark}{line}{style:#}\n"));
    }
}
