//! Lessons as the sources of a static book (mdBook): one chapter each, with what its runs gave.

use super::{Results, chart, letter, look_for};
use crate::lesson::{LESSON, Lesson, Part};
use crate::report::expectation::measured;

/// `book.toml`.
pub const BOOK_TOML: &str = "\
[book]
title = \"towtank: lessons\"
language = \"en\"
src = \"src\"

[build]
create-missing = false
";

/// `src/SUMMARY.md`: the table of contents.
pub fn summary(lessons: &[Lesson]) -> String {
    let mut out = "# Summary\n\n[What this is](introduction.md)\n\n".to_owned();
    for lesson in lessons {
        out.push_str(&format!("- [{}]({})\n", lesson.title, file(lesson)));
    }
    out
}

/// File of a lesson's chapter.
pub fn file(lesson: &Lesson) -> String {
    format!("{}.md", lesson.folder)
}

/// `src/introduction.md`.
pub fn introduction(lessons: &[Lesson], version: &str) -> String {
    let mut out = format!(
        "# What this is\n\n\
         Each lesson claims something about a service mesh, asks what you expect, and lets a simulation settle it. Every\n\
         number and every chart here was produced by towtank {version} when this book was written: by\n\
         `towtank learn --book DIR`, which runs the same lessons as `towtank learn`. The same input, seed and version\n\
         give the same numbers on any machine.\n\n\
         To follow along, `towtank learn 1` writes the files of a lesson to `towtank-lessons/` and tells it in the terminal.\n\n\
         | | claims that | about |\n|---|---|---|\n"
    );
    for (number, lesson) in (1..).zip(lessons) {
        let (title, claim, about) = (&lesson.title, &lesson.claim, &lesson.about);
        let file = file(lesson);
        out.push_str(&format!(
            "| {number} | [{title}]({file}): {claim} | {about} |\n"
        ));
    }
    out
}

/// A chapter.
pub fn chapter(lesson: &Lesson, results: &Results) -> String {
    let mut out = format!("# {}\n\n> {}\n\n", lesson.title, lesson.claim);
    words(&mut out, &lesson.argument);
    predict(&mut out, lesson, results);
    out.push_str("## Run\n\n");
    for part in &lesson.running {
        let Part::Run(run) = part else {
            words(&mut out, std::slice::from_ref(part));
            continue;
        };
        let run_of = &lesson.runs[*run];
        let lines = format!("# {}\n{}", run_of.name, run_of.command.text);
        fence(&mut out, "sh", &lines);
        if let Some(shown) = &results.runs[*run].shown {
            fence(&mut out, "text", shown);
        }
    }
    out.push_str("## What settles it\n\n");
    for part in &lesson.settling {
        match part {
            Part::Figures => figures(&mut out, lesson, results),
            Part::Chart(wanted) => {
                fence(&mut out, "text", &chart::draw(wanted, lesson, results));
            }
            _ => words(&mut out, std::slice::from_ref(part)),
        }
    }
    try_out(&mut out, lesson, results);
    files(&mut out, lesson);
    out
}

/// The answer is there for those who open it.
fn predict(out: &mut String, lesson: &Lesson, results: &Results) {
    out.push_str("## Predict\n\n");
    words(out, &lesson.question);
    for (index, choice) in lesson.choices.iter().enumerate() {
        out.push_str(&format!("- **{}** {}\n", letter(index), choice.words));
    }
    let answer = match results.answer(lesson) {
        Some(answer) => format!("**{}** {}", letter(answer), lesson.choices[answer].words),
        None => "None of these is what the runs say, or more than one is.".to_owned(),
    };
    details(out, "The answer", &format!("{answer}\n"));
}

fn figures(out: &mut String, lesson: &Lesson, results: &Results) {
    let names = lesson.runs.iter().map(|run| run.name.as_str());
    out.push_str(&format!(
        "| | {} |\n",
        names.collect::<Vec<_>>().join(" | ")
    ));
    out.push_str(&format!("|---|{}\n", "---:|".repeat(lesson.runs.len())));
    for (index, row) in lesson.rows.iter().enumerate() {
        let cells = (0..lesson.runs.len()).map(|run| {
            let cell = results.cell(lesson, index, run);
            super::shown(&cell)
        });
        let cells = cells.collect::<Vec<_>>().join(" | ");
        out.push_str(&format!("| {} | {cells} |\n", row.words));
    }
    out.push('\n');
}

fn try_out(out: &mut String, lesson: &Lesson, results: &Results) {
    out.push_str("## Try\n\n");
    for part in &lesson.trying {
        match part {
            Part::Change(index) => {
                let change = &lesson.changes[*index];
                let line = lesson.line_of(change).unwrap_or_default();
                out.push_str(&format!("`{}`, line {line}:\n\n", change.file));
                let lines = change
                    .lines
                    .iter()
                    .map(|(mark, line)| format!("{mark}{line}\n"));
                fence(out, "diff", &lines.collect::<String>());
            }
            Part::Again => fence(out, "sh", &lesson.again.text),
            Part::Look => {
                for look in &lesson.look {
                    out.push_str(&format!("- {}\n", look_for(look)));
                }
                out.push('\n');
            }
            _ => words(out, std::slice::from_ref(part)),
        }
    }
    if results.look.is_empty() {
        return;
    }
    let mut after = String::new();
    for record in &results.look {
        after.push_str(&format!("- `{}`: {}\n", record.text, measured(record)));
    }
    details(out, "What it gave here", &after);
}

fn files(out: &mut String, lesson: &Lesson) {
    out.push_str("## The files\n\n");
    out.push_str(&format!(
        "`towtank learn {}` writes them.\n\n",
        lesson.name()
    ));
    for file in lesson.files.iter().filter(|file| &*file.path != LESSON) {
        let mut body = String::new();
        fence(&mut body, "yaml", &file.text);
        details(out, &format!("<code>{}</code>", file.path), body.trim_end());
    }
}

/// The blank lines make what is inside Markdown again.
fn details(out: &mut String, title: &str, body: &str) {
    out.push_str(&format!(
        "\n<details><summary>{title}</summary>\n\n{}\n\n</details>\n\n",
        body.trim_end()
    ));
}

fn fence(out: &mut String, language: &str, text: &str) {
    out.push_str(&format!("```{language}\n{}\n```\n\n", text.trim_end()));
}

fn words(out: &mut String, parts: &[Part]) {
    for part in parts {
        match part {
            Part::Prose(text) => out.push_str(&format!("{text}\n\n")),
            Part::Items(items) => {
                let lines = items.iter().map(|item| format!("- {item}\n"));
                out.push_str(&format!("{}\n", lines.collect::<String>()));
            }
            _ => {}
        }
    }
}
