//! The comparison for people: the answer, then the plan, then the figures.

use anstyle::{AnsiColor, Style};

use super::words::{
    change, figure_name, luck, open_word, quiet, reached, side, subject, value, visible,
};
use super::{Behaviour, DiffReport, Figure, Row, TableEntry};
use crate::report::format::wrap;
use crate::report::json::Finding;
use crate::report::table::{Align, PAGE, Table};

const BOLD: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();
const ADDED: Style = AnsiColor::Green.on_default();
const CHANGED: Style = AnsiColor::Yellow.on_default();
const REMOVED: Style = AnsiColor::Red.on_default();
/// Fields of one entry that are listed.
const FIELDS_MAX: usize = 20;

/// The whole report.
pub fn render(report: &DiffReport) -> String {
    let mut out = String::new();
    let title = format!("{} → {}", report.before, report.after);
    out.push_str(&format!("{BOLD}{title}{BOLD:#}\n"));
    let facts = match &report.behaviour {
        Some(behaviour) => format!("{}: {}", behaviour.scenario, luck(behaviour)),
        None => "tables only; nothing was run".to_owned(),
    };
    out.push_str(&format!("{FAINT}{facts}{FAINT:#}\n\n"));
    for sentence in &report.summary {
        out.push_str(&wrap(sentence, "- ", 2, PAGE));
    }
    plan(&mut out, report);
    if let Some(behaviour) = &report.behaviour {
        figures(&mut out, behaviour);
        findings(&mut out, "New findings", &behaviour.new_findings);
        findings(&mut out, "Findings that are gone", &behaviour.gone_findings);
        rest(&mut out, behaviour);
    }
    out
}

fn heading(out: &mut String, title: &str) {
    out.push_str(&format!("\n{BOLD}{title}{BOLD:#}\n"));
}

fn plan(out: &mut String, report: &DiffReport) {
    let mut table = "";
    for entry in &report.tables.entries {
        if entry.table != table {
            table = &entry.table;
            let (first, rest) = table.split_at(1);
            heading(out, &format!("{}{rest}", first.to_uppercase()));
        }
        one(out, entry);
    }
}

fn one(out: &mut String, entry: &TableEntry) {
    let (mark, style) = match entry.change.as_str() {
        "added" => ('+', ADDED),
        "removed" => ('-', REMOVED),
        _ => ('~', CHANGED),
    };
    let mut line = entry.name.clone();
    if !entry.summary.is_empty() {
        line.push_str(&format!("  {}", entry.summary));
    }
    if let Some(place) = &entry.place {
        line.push_str(&format!("  ({place})"));
    }
    let line = wrap(&line, "", 6, PAGE - 4);
    out.push_str(&format!("  {style}{mark}{style:#} {line}"));
    for field in entry.fields.iter().take(FIELDS_MAX) {
        let place = field
            .place
            .as_ref()
            .map_or_else(String::new, |p| format!("  ({p})"));
        let text = match (&field.before, &field.after) {
            (None, Some(after)) if after == "present" => format!("+ {}", field.path),
            (Some(before), None) if before == "present" => format!("- {}", field.path),
            (before, after) => {
                format!(
                    "{}: {} → {}",
                    field.path,
                    side(before.as_deref()),
                    side(after.as_deref())
                )
            }
        };
        out.push_str(&wrap(&format!("{text}{place}"), "      ", 8, PAGE));
    }
    let more = entry.fields.len().saturating_sub(FIELDS_MAX);
    if more > 0 {
        out.push_str(&format!("      … and {more} more (-o json lists all)\n"));
    }
    if entry.table != "workloads" {
        for line in wrap(&format!("for {}", reached(entry)), "      ", 6, PAGE).lines() {
            out.push_str(&format!("{FAINT}{line}{FAINT:#}\n"));
        }
    }
}

fn figures(out: &mut String, behaviour: &Behaviour) {
    if behaviour.identical {
        return;
    }
    heading(out, "Behaviour");
    let legend = "± is a 95 % interval of the difference within pairs; a difference is one only if it stands against all of these figures together";
    for line in wrap(legend, "  ", 2, PAGE).lines() {
        out.push_str(&format!("{FAINT}{line}{FAINT:#}\n"));
    }
    let mut table = Table::new(&[
        ("", Align::Left),
        ("before", Align::Right),
        ("after", Align::Right),
        ("difference", Align::Right),
        ("", Align::Flex),
    ]);
    for row in behaviour
        .rows
        .iter()
        .filter(|row| row.load.is_some() || row.differs || row.is_open())
    {
        table.title(&subject(row));
        for figure in &row.figures {
            cells(&mut table, row, figure);
        }
    }
    out.push_str(&table.render(2));
    if let Some(sentence) = quiet(behaviour) {
        out.push_str(&wrap(&sentence, "  ", 2, PAGE));
    }
}

fn cells(table: &mut Table, row: &Row, figure: &Figure) {
    let said = match figure.seen.as_str() {
        "difference" => "differs".to_owned(),
        "equal" => "equal".to_owned(),
        "noise" if figure.open => open_word(figure).to_owned(),
        "noise" => visible(figure).map_or_else(
            || "no difference seen".to_owned(),
            |size| format!("none seen; {size} would have been"),
        ),
        _ if row.pairs == 0 => match figure.before {
            None => "new".to_owned(),
            Some(_) => "gone".to_owned(),
        },
        _ => "one pair does not tell".to_owned(),
    };
    table.row([
        format!("  {}", figure_name(figure)),
        value(figure, figure.before),
        value(figure, figure.after),
        change(figure),
        said,
    ]);
}

fn findings(out: &mut String, title: &str, findings: &[Finding]) {
    if findings.is_empty() {
        return;
    }
    heading(out, title);
    for finding in findings {
        out.push_str(&format!("  {} {}\n", finding.severity, finding.code));
        out.push_str(&wrap(&finding.what, "    ", 4, PAGE));
        if let Some(cause) = &finding.cause {
            out.push_str(&wrap(cause, "    because of ", 6, PAGE));
        }
        out.push_str(&wrap(&finding.help, "    try ", 6, PAGE));
    }
}

fn rest(out: &mut String, behaviour: &Behaviour) {
    let kept: Vec<&str> = behaviour
        .kept_findings
        .iter()
        .map(|f| f.code.as_str())
        .collect();
    let same = behaviour.expectations.iter().filter(|e| !e.differs).count();
    let mut lines = Vec::new();
    if !kept.is_empty() {
        lines.push(format!("Findings on both sides: {}.", kept.join(", ")));
    }
    if same > 0 {
        let of = behaviour.expectations.len();
        lines.push(format!("{same} of {of} expectations are judged as before."));
    }
    if !lines.is_empty() {
        out.push_str(&format!("\n{}", wrap(&lines.join(" "), "", 0, PAGE)));
    }
}
