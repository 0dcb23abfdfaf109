//! The comparison as a comment on a pull request: the answer in the open, the rest to unfold.

use super::words::{
    change, figure_name, luck, open_word, quiet, reached, side, subject, value, visible,
};
use super::{Behaviour, DiffReport, Figure, TableEntry};

/// Longest text; GitHub takes 65,536 characters.
const LENGTH_MAX: usize = 60_000;

/// The whole comment.
pub fn render(report: &DiffReport) -> String {
    let title = if report.differs {
        "changes"
    } else {
        "no change"
    };
    let mut out = format!("### towtank: {title}\n\n");
    let (before, after) = (code(&report.before), code(&report.after));
    match &report.behaviour {
        Some(behaviour) => out.push_str(&format!(
            "{before} → {after} under {}: {}.\n\n",
            code(&behaviour.scenario),
            luck(behaviour)
        )),
        None => out.push_str(&format!("{before} → {after}, tables only.\n\n")),
    }
    for sentence in &report.summary {
        out.push_str(&format!("- {}\n", text(sentence)));
    }
    if let Some(behaviour) = &report.behaviour {
        figures(&mut out, behaviour);
    }
    plan(&mut out, report);
    out
}

fn figures(out: &mut String, behaviour: &Behaviour) {
    if behaviour.identical {
        return;
    }
    out.push_str("\n<details><summary>Figures</summary>\n\n");
    out.push_str("| | | before | after | difference (95 %) | |\n|---|---|---:|---:|---:|---|\n");
    for row in behaviour
        .rows
        .iter()
        .filter(|row| row.load.is_some() || row.differs || row.is_open())
    {
        for (number, figure) in row.figures.iter().enumerate() {
            let name = if number == 0 {
                text(&subject(row))
            } else {
                String::new()
            };
            out.push_str(&format!(
                "| {name} | {} | {} | {} | {} | {} |\n",
                figure_name(figure),
                value(figure, figure.before),
                value(figure, figure.after),
                change(figure),
                said(figure)
            ));
        }
    }
    if let Some(sentence) = quiet(behaviour) {
        out.push_str(&format!("\n{}\n", text(&sentence)));
    }
    out.push_str("\n</details>\n");
}

fn said(figure: &Figure) -> String {
    match figure.seen.as_str() {
        "difference" => "**differs**".to_owned(),
        "noise" if figure.open => open_word(figure).to_owned(),
        "noise" => visible(figure).map_or_else(String::new, |size| {
            format!("none seen; {size} would have been")
        }),
        "equal" => "equal".to_owned(),
        _ => String::new(),
    }
}

fn plan(out: &mut String, report: &DiffReport) {
    let entries = &report.tables.entries;
    if entries.is_empty() {
        return;
    }
    out.push_str("\n<details><summary>What proxies are told</summary>\n\n```diff\n");
    for (number, entry) in entries.iter().enumerate() {
        if out.len() > LENGTH_MAX {
            out.push_str(&format!("… and {} more\n", entries.len() - number));
            break;
        }
        one(out, entry);
    }
    out.push_str("```\n\n</details>\n");
}

/// In the colours of a diff: `!` is what GitHub shows for a change.
fn one(out: &mut String, entry: &TableEntry) {
    let mark = match entry.change.as_str() {
        "added" => '+',
        "removed" => '-',
        _ => '!',
    };
    let place = |place: &Option<String>| {
        place
            .as_ref()
            .map_or_else(String::new, |place| format!("  ({place})"))
    };
    let summary = if entry.summary.is_empty() {
        String::new()
    } else {
        format!("  {}", entry.summary)
    };
    let head = format!(
        "{mark} {} {}{summary}{}",
        entry.table,
        entry.name,
        place(&entry.place)
    );
    out.push_str(&fenced(&head));
    for field in &entry.fields {
        let line = format!(
            "{mark}   {}: {} → {}{}",
            field.path,
            side(field.before.as_deref()),
            side(field.after.as_deref()),
            place(&field.place)
        );
        out.push_str(&fenced(&line));
    }
    if entry.table != "workloads" {
        out.push_str(&fenced(&format!("#   for {}", reached(entry))));
    }
}

/// One line inside a fence: nothing in it ends the fence.
fn fenced(line: &str) -> String {
    format!(
        "{}\n",
        line.replace(['\n', '\r'], " ").replace("```", "'''")
    )
}

/// Text in which names keep their backquotes and nothing else means something.
fn text(sentence: &str) -> String {
    let mut out = String::new();
    let mut in_code = false;
    for c in sentence.chars() {
        match c {
            '`' => {
                in_code = !in_code;
                out.push(c);
            }
            '|' => out.push_str("\\|"),
            '<' | '>' | '*' | '_' | '[' | ']' | '#' | '\\' if !in_code => {
                out.push('\\');
                out.push(c);
            }
            '\n' | '\r' => out.push(' '),
            // A name is not to call somebody.
            '@' if !in_code => out.push_str("&#64;"),
            c => out.push(c),
        }
    }
    out
}

fn code(name: &str) -> String {
    format!("`{}`", name.replace(['`', '\n', '\r'], "'"))
}
