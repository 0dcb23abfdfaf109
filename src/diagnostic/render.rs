//! Diagnostics as people see them: an excerpt of their file with a caret under the place.
//!
//! Works on texts it is given; reads no files and no terminal. Only the lines that are shown
//! are cut out of a text, so a large dump with a few mistakes costs nothing.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::{Diagnostic, Place, Severity};

/// Related places this near share one excerpt with the primary place.
const SHARED_LINES_MAX: u32 = 12;

/// Longest line that is shown whole; JSON dumps put everything on one.
const LINE_LEN_MAX: usize = 400;

/// All diagnostics with excerpts, ordered by file, line, column and code; those without a
/// place come last. `sources` are (path, text). Ends with a line feed unless empty.
pub fn render(diagnostics: &[Diagnostic], sources: &[(&str, &str)], color: bool) -> String {
    render_with_remarks(diagnostics, sources, color, |_| false)
}

/// The same, where some of the warnings are no more than remarks.
pub fn render_with_remarks(
    diagnostics: &[Diagnostic],
    sources: &[(&str, &str)],
    color: bool,
    is_remark: impl Fn(&Diagnostic) -> bool,
) -> String {
    let mut ordered: Vec<&Diagnostic> = diagnostics.iter().collect();
    ordered.sort_by(|a, b| order(a, b));
    let wanted = |path: &str| {
        let places = diagnostics.iter().flat_map(places);
        places.into_iter().any(|place| &*place.file == path)
    };
    let texts: BTreeMap<&str, Lines<'_>> = sources
        .iter()
        .filter(|(path, _)| wanted(path))
        .map(|(path, text)| (*path, Lines::new(text)))
        .collect();
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let mut out = String::new();
    for diagnostic in ordered {
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&renderer.render(&[group(diagnostic, is_remark(diagnostic), &texts)]));
        out.push('\n');
    }
    out
}

fn places(diagnostic: &Diagnostic) -> impl Iterator<Item = &Place> {
    let related = diagnostic.related.iter().map(|(place, _)| place);
    diagnostic.place.iter().chain(related)
}

fn order(a: &Diagnostic, b: &Diagnostic) -> Ordering {
    let unplaced = |d: &Diagnostic| d.place.is_none();
    unplaced(a)
        .cmp(&unplaced(b))
        .then_with(|| a.place.cmp(&b.place))
        .then_with(|| a.code.cmp(b.code))
        .then_with(|| a.message.cmp(&b.message))
}

fn group<'a>(
    diagnostic: &'a Diagnostic,
    is_remark: bool,
    texts: &BTreeMap<&str, Lines<'a>>,
) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning if is_remark => Level::INFO.with_name("remark"),
        Severity::Warning => Level::WARNING,
    };
    let title = level
        .primary_title(diagnostic.message.as_str())
        .id(diagnostic.code);
    let mut group = Group::with_title(title);
    let object = diagnostic.object.as_deref();
    if let Some(place) = &diagnostic.place {
        let mut marks = vec![(place, object.unwrap_or_default(), AnnotationKind::Primary)];
        let mut elsewhere = Vec::new();
        for (other, why) in &diagnostic.related {
            let mark = (other, why.as_str(), AnnotationKind::Context);
            let near = other.file == place.file
                && other.line > 0
                && other.line.abs_diff(place.line) <= SHARED_LINES_MAX;
            if near {
                marks.push(mark);
            } else {
                elsewhere.push(mark);
            }
        }
        group = excerpt(group, &marks, texts);
        for mark in elsewhere {
            group = excerpt(group, &[mark], texts);
        }
    } else if let Some(object) = object {
        group = group.element(Level::NOTE.message(object));
    }
    match &diagnostic.help {
        Some(help) => group.element(Level::HELP.message(help.as_str())),
        None => group,
    }
}

type Mark<'a> = (&'a Place, &'a str, AnnotationKind);

/// The lines of some marks of one file; only the path when the text is not at hand.
fn excerpt<'a>(
    group: Group<'a>,
    marks: &[Mark<'a>],
    texts: &BTreeMap<&str, Lines<'a>>,
) -> Group<'a> {
    let path = &*marks[0].0.file;
    let numbers = || marks.iter().map(|(place, ..)| place.line);
    let (first, last) = (numbers().min().unwrap_or(0), numbers().max().unwrap_or(0));
    let window = texts.get(path).and_then(|lines| lines.window(first, last));
    let Some((text, start)) = window else {
        let origin = Origin::path(path);
        return group.element(match marks[0].0 {
            Place { line: 0, .. } => origin,
            Place {
                line, column: 0, ..
            } => origin.line(*line as usize),
            place => origin
                .line(place.line as usize)
                .char_column(place.column as usize),
        });
    };
    let mut snippet = Snippet::source(text).path(path).line_start(start as usize);
    for (place, label, kind) in marks {
        let annotation = kind.span(span(text, place.line - start, place.column));
        snippet = snippet.annotation(match *label {
            "" => annotation,
            label => annotation.label(label),
        });
    }
    group.element(snippet)
}

/// Byte range of the word at a column of a line (counted from 0) of the window.
fn span(text: &str, line: u32, column: u32) -> Range<usize> {
    let mut start = 0;
    for _ in 0..line {
        start += text[start..].find('\n').map_or(0, |at| at + 1);
    }
    let line = text[start..].lines().next().unwrap_or_default();
    let skip = column.saturating_sub(1) as usize;
    let at = line
        .char_indices()
        .nth(skip)
        .map_or(line.len(), |(at, _)| at);
    let rest = &line[at..];
    let word = rest
        .find(|c: char| c.is_whitespace() || matches!(c, ',' | '}' | ']'))
        .unwrap_or(rest.len());
    let word = rest[..word].trim_end_matches(':').len();
    let first_char = rest.chars().next().map_or(0, char::len_utf8);
    start + at..start + at + word.max(first_char)
}

/// A text and where its lines start.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let after = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            text,
            starts: std::iter::once(0).chain(after).collect(),
        }
    }

    /// Lines `first` to `last` from 1, with the number of the first one.
    fn window(&self, first: u32, last: u32) -> Option<(&'a str, u32)> {
        let start = *self.starts.get(first.checked_sub(1)? as usize)?;
        let end = self.starts.get(last as usize).copied();
        let text = &self.text[start..end.unwrap_or(self.text.len())];
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        text.lines()
            .all(|line| line.len() <= LINE_LEN_MAX)
            .then_some((text, first))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Class;
    use super::*;

    fn place(line: u32, column: u32) -> Place {
        Place {
            file: "vs.yaml".into(),
            line,
            column,
        }
    }

    fn check(diagnostics: &[Diagnostic], text: &str, expected: &str) {
        let shown = render(diagnostics, &[("vs.yaml", text)], false);
        assert_eq!(shown, expected, "\n{shown}");
    }

    #[test]
    fn an_excerpt_has_a_caret_under_the_word_and_the_way_out() {
        let error = Diagnostic::error("IST0106", Class::Admission, "weight is negative")
            .at(place(2, 3))
            .of("VirtualService a/b")
            .help("write 0 or more");
        check(
            &[error],
            "spec:\n  weight: -5\n",
            "\
error[IST0106]: weight is negative
 --> vs.yaml:2:3
  |
2 |   weight: -5
  |   ^^^^^^ VirtualService a/b
  |
  = help: write 0 or more
",
        );
    }

    #[test]
    fn columns_count_characters_and_near_places_share_the_excerpt() {
        let error = Diagnostic::error(
            "TT-DUPLICATE-KEY",
            Class::Syntax,
            "the key `b` is given twice",
        )
        .at(place(2, 5))
        .see(place(1, 9), "first given here");
        check(
            &[error],
            "{é: ü, b: 1,\r\n é: b: 2}\r\n",
            "\
error[TT-DUPLICATE-KEY]: the key `b` is given twice
 --> vs.yaml:2:5
  |
1 | {é: ü, b: 1,
  |         - first given here
2 |  é: b: 2}
  |     ^
",
        );
    }

    #[test]
    fn the_order_is_by_place_and_what_has_none_comes_last() {
        let at = |line, code| Diagnostic::warning(code, Class::Advice, "x").at(place(line, 0));
        let nowhere = Diagnostic::warning("C", Class::Advice, "x");
        let shown = render(&[nowhere, at(9, "A"), at(3, "B"), at(3, "A")], &[], false);
        let codes: Vec<&str> = shown.lines().filter(|l| l.starts_with("warning")).collect();
        assert_eq!(
            codes,
            [
                "warning[A]: x",
                "warning[B]: x",
                "warning[A]: x",
                "warning[C]: x"
            ]
        );
        assert_eq!(shown.matches("vs.yaml:3").count(), 2, "{shown}");
    }

    #[test]
    fn plain_output_has_no_escape_and_places_beyond_the_text_do_no_harm() {
        let far = Diagnostic::error("A", Class::Syntax, "\u{1b}[31mred").at(place(70, 900));
        let shown = render(&[far], &[("vs.yaml", "a: b")], false);
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
        assert!(shown.contains("vs.yaml:70:900"), "{shown}");
        let end = Diagnostic::error("A", Class::Syntax, "x").at(place(1, 900));
        assert!(render(&[end], &[("vs.yaml", "a: b")], true).contains('\u{1b}'));
    }
}
