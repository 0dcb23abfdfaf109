//! The five sections of a lesson.

use super::markdown::{Block, Document, Section, spans};
use super::read::Reader;
use super::{Change, Chart, Choice, Command, Lesson, Look, Part, Quantity, Row, Run};

/// Paragraphs and lists.
pub(super) fn claim(lesson: &mut Lesson, section: &Section, reader: &mut Reader) {
    for (line, block) in &section.blocks {
        match words(block) {
            Some(part) => lesson.argument.push(part),
            None => reader.stray(*line, &section.title, block),
        }
    }
}

fn words(block: &Block) -> Option<Part> {
    match block {
        Block::Prose(text) => Some(Part::Prose(text.clone())),
        Block::Items(items) => {
            let items = items.iter().map(|(_, item)| item.clone());
            Some(Part::Items(items.collect()))
        }
        Block::Fence(..) | Block::Table(_) => None,
    }
}

/// A question, then a task list.
pub(super) fn predict(lesson: &mut Lesson, section: &Section, reader: &mut Reader) {
    for (line, block) in &section.blocks {
        match block {
            Block::Items(items) => {
                for (line, item) in items {
                    let choice = reader.take(*line, choice(item));
                    lesson.choices.extend(choice);
                }
            }
            Block::Prose(text) => lesson.question.push(Part::Prose(text.clone())),
            _ => reader.stray(*line, &section.title, block),
        }
    }
    let right = lesson.choices.iter().filter(|c| c.is_right).count();
    if !(2..=4).contains(&lesson.choices.len()) || right != 1 {
        let what = format!(
            "there are {} choices, {right} of them marked `[x]`; write two to four, one of them right",
            lesson.choices.len()
        );
        reader.fault(section.line, what);
    }
}

/// `[x] words <!-- expectation; 2: expectation -->`.
fn choice(item: &str) -> Result<Choice, String> {
    let (is_right, rest) = match (item.strip_prefix("[x] "), item.strip_prefix("[ ] ")) {
        (Some(rest), _) => (true, rest),
        (_, Some(rest)) => (false, rest),
        _ => return Err("a choice begins with `[ ]`, the right one with `[x]`".to_owned()),
    };
    let form = "a choice ends with what has to hold for it: `<!-- error_rate < 1%; 2: … -->`";
    let (words, rest) = rest.split_once("<!--").ok_or(form)?;
    let when = rest.trim_end().strip_suffix("-->").ok_or(form)?;
    let when = when.split(';').map(|text| {
        let (number, text) = match text.split_once(':') {
            Some((number, rest)) if number.trim().parse::<usize>().is_ok() => (number, rest),
            _ => ("1", text),
        };
        let number: usize = number.trim().parse().unwrap_or(1);
        (number.saturating_sub(1), text.trim().to_owned())
    });
    Ok(Choice {
        words: words.trim().to_owned(),
        is_right,
        when: when.collect(),
    })
}

/// Prose, and blocks with a command each.
pub(super) fn run(lesson: &mut Lesson, section: &Section, reader: &mut Reader) {
    for (line, block) in &section.blocks {
        if let Block::Fence(info, text) = block {
            let Some(name) = info.strip_prefix("towtank ") else {
                reader.fault(
                    *line,
                    "a block to run begins with ```towtank and a name for the run",
                );
                continue;
            };
            let Some(command) = reader.take(*line, Command::parse(text)) else {
                continue;
            };
            lesson.running.push(Part::Run(lesson.runs.len()));
            lesson.runs.push(Run {
                name: name.trim().to_owned(),
                command,
            });
        } else if let Some(part) = words(block) {
            lesson.running.push(part);
        } else {
            reader.stray(*line, &section.title, block);
        }
    }
    if lesson.runs.is_empty() {
        reader.fault(section.line, "nothing is run");
    }
}

/// A table, charts, and prose.
pub(super) fn settles(lesson: &mut Lesson, section: &Section, reader: &mut Reader) {
    for (line, block) in &section.blocks {
        match block {
            Block::Table(rows) => {
                lesson.settling.push(Part::Figures);
                for (line, cells) in rows.iter().skip(1) {
                    let row = reader.take(*line, row(cells, lesson.runs.len()));
                    lesson.rows.extend(row);
                }
            }
            Block::Fence(info, text) if info == "chart" => {
                for words in text.lines().filter(|words| !words.trim().is_empty()) {
                    let chart = reader.take(*line, chart(words));
                    lesson.settling.extend(chart.map(Part::Chart));
                }
            }
            _ => match words(block) {
                Some(part) => lesson.settling.push(part),
                None => reader.stray(*line, &section.title, block),
            },
        }
    }
    if lesson.rows.is_empty() {
        reader.fault(section.line, "there is no table of figures");
    }
}

/// Words, a figure, and bounds for each run.
fn row(cells: &[String], runs: usize) -> Result<Row, String> {
    let [words, figure, bounds @ ..] = cells else {
        return Err("a row is words, a figure, and a cell for each run".to_owned());
    };
    if bounds.len() != runs {
        return Err(format!(
            "the row has {} cells for bounds, and there are {runs} runs",
            bounds.len()
        ));
    }
    let [figure] = spans(figure)
        .try_into()
        .map_err(|_| "a figure stands in backquotes")?;
    Ok(Row {
        words: words.clone(),
        figure,
        bounds: bounds.iter().map(|cell| spans(cell)).collect(),
    })
}

/// `failed`, `p99 of LOAD`, `pods WORKLOAD`.
fn chart(words: &str) -> Result<Chart, String> {
    let words: Vec<&str> = words.split_whitespace().collect();
    let course = |word: &str, load: Option<&str>| {
        let found = Quantity::ALL.iter().find(|(name, _)| *name == word);
        let known = Quantity::ALL.map(|(name, _)| name).join(", ");
        let (_, quantity) = found.ok_or_else(|| format!("`{word}` is none of pods, {known}"))?;
        Ok(Chart::Course {
            quantity: *quantity,
            load: load.map(str::to_owned),
        })
    };
    match words.as_slice() {
        ["pods", workload] => Ok(Chart::Pods((*workload).to_owned())),
        [word] => course(word, None),
        [word, "of", load] => course(word, Some(load)),
        _ => Err("a chart is `failed`, `p99 of LOAD` or `pods NAMESPACE/WORKLOAD`".to_owned()),
    }
}

/// Prose, diffs, one command, and what to look for.
pub(super) fn try_out(lesson: &mut Lesson, section: &Section, reader: &mut Reader) {
    for (line, block) in &section.blocks {
        match block {
            Block::Prose(text) => lesson.trying.push(Part::Prose(text.clone())),
            Block::Items(items) => {
                lesson.trying.push(Part::Look);
                for (line, item) in items {
                    lesson.look.extend(reader.take(*line, look(item)));
                }
            }
            Block::Fence(info, text) => match info.split_once(' ') {
                Some(("diff", file)) => {
                    let change = reader.take(*line, Change::parse(file.trim(), text));
                    let Some(change) = change else { continue };
                    lesson.trying.push(Part::Change(lesson.changes.len()));
                    lesson.changes.push(change);
                }
                None if info == "towtank" && lesson.again.words.is_empty() => {
                    lesson.trying.push(Part::Again);
                    let command = reader.take(*line, Command::parse(text));
                    lesson.again = command.unwrap_or_default();
                }
                _ => reader.stray(*line, &section.title, block),
            },
            Block::Table(_) => reader.stray(*line, &section.title, block),
        }
    }
    if lesson.changes.is_empty() || lesson.again.words.is_empty() || lesson.look.is_empty() {
        let what = "an invitation to change something has a ```diff FILE block, a ```towtank block, and a list of what to look for";
        reader.fault(section.line, what);
    }
}

/// `` `expectation` words ``.
fn look(item: &str) -> Result<Look, String> {
    let form = "what to look for begins with an expectation in backquotes";
    let rest = item.strip_prefix('`').ok_or(form)?;
    let (expectation, words) = rest.split_once('`').ok_or(form)?;
    Ok(Look {
        expectation: expectation.to_owned(),
        words: words.trim_start_matches([':', ',', ' ']).to_owned(),
    })
}

/// What sections say of each other.
pub(super) fn agree(lesson: &Lesson, document: &Document, reader: &mut Reader) {
    let line = |index: usize| document.sections[index].line;
    let all = lesson.choices.iter().flat_map(|choice| &choice.when);
    for (run, text) in all {
        if *run >= lesson.runs.len() {
            let what = format!("`{text}` is said of run {}, which there is not", run + 1);
            reader.fault(line(1), what);
        }
    }
    // Whether a change still fits is not asked here: somebody may have made it.
    for change in &lesson.changes {
        if !lesson.inputs().any(|file| *file.path == *change.file) {
            reader.fault(line(4), format!("there is no file `{}`", change.file));
        }
    }
}
