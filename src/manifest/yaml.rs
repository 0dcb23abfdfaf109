//! The multi-document reader: text to [`Document`]s.
//!
//! The text is cut at every `---` in column 1 and each piece is parsed by itself, because no
//! reader resumes after an error: one broken document is one diagnostic and the others load.
//! YAML forbids `---` in column 1 inside any scalar, so the cut is always right.

use std::collections::HashSet;
use std::sync::Arc;

use saphyr_parser::{Event, Parser};

use super::Source;
use super::build::{Builder, Stop};
use super::tree::Node;
use crate::diagnostic::{Class, Diagnostic, Place};

/// One document of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// File it is in.
    pub file: Arc<str>,
    /// Its content; never null.
    pub root: Node,
}

/// Limits that keep twelve lines of text from becoming billions of values.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Deepest nesting; also what keeps every recursion over the tree short.
    pub depth: usize,
    /// Values that aliases and merge keys may add to one document.
    pub expanded: usize,
}

impl Default for Limits {
    /// Far above what people write (CRD schemas nest about 60 deep), and below the parser's
    /// own limit of 255, so that ours has the word.
    fn default() -> Self {
        Self {
            depth: 200,
            expanded: 1_000_000,
        }
    }
}

/// Strings seen so far; equal short texts share one allocation. Looked up, never walked.
#[derive(Default)]
pub(super) struct Interner {
    texts: HashSet<Arc<str>>,
}

impl Interner {
    /// Longer texts (certificates, scripts) are rarely equal and not worth hashing.
    const LEN_MAX: usize = 96;

    /// The shared form of a text.
    pub(super) fn share(&mut self, text: &str) -> Arc<str> {
        if text.len() > Self::LEN_MAX {
            return text.into();
        }
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let shared: Arc<str> = text.into();
        self.texts.insert(Arc::clone(&shared));
        shared
    }
}

/// Reads every document of every source; empty documents are left out.
pub fn read_documents(sources: &[Source], limits: Limits) -> (Vec<Document>, Vec<Diagnostic>) {
    let mut interner = Interner::default();
    let mut documents = Vec::new();
    let mut diagnostics = Vec::new();
    for source in sources {
        let text = source.text.strip_prefix('\u{feff}').unwrap_or(&source.text);
        for piece in pieces(text) {
            let mut reader = Reader {
                file: &source.path,
                piece,
                limits,
                interner: &mut interner,
                diagnostics: &mut diagnostics,
            };
            reader.read(&mut documents);
        }
    }
    (documents, diagnostics)
}

/// A part of a file between two `---`, and the number of lines before it.
#[derive(Clone, Copy)]
struct Piece<'a> {
    text: &'a str,
    lines_before: u32,
}

/// Cuts before each line that is `---` or begins with `---` and a blank.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut start, mut start_line) = (0, 0);
    let (mut offset, mut line_number) = (0, 0);
    for line in text.split_inclusive('\n') {
        let marker = line
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']));
        if marker && offset > start {
            pieces.push((start, offset, start_line));
            (start, start_line) = (offset, line_number);
        }
        offset += line.len();
        line_number += 1;
    }
    pieces.push((start, offset, start_line));
    pieces
        .into_iter()
        .map(|(start, end, lines_before)| Piece {
            text: &text[start..end],
            lines_before,
        })
        .filter(|piece| !is_blank(piece.text))
        .collect()
}

/// True when a piece holds only blanks, comments, markers and directives.
fn is_blank(text: &str) -> bool {
    text.lines().all(|line| {
        let line = line.strip_prefix("---").unwrap_or(line).trim();
        line.is_empty() || line == "..." || line.starts_with('#') || line.starts_with('%')
    })
}

struct Reader<'a> {
    file: &'a Arc<str>,
    piece: Piece<'a>,
    limits: Limits,
    interner: &'a mut Interner,
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    fn read(&mut self, documents: &mut Vec<Document>) {
        let mut builder = Builder::new(self.limits, self.piece.lines_before, self.interner);
        let mut stopped = None;
        // The parser repeats its error for ever, so the first one ends the piece.
        let mut parser = Parser::new_from_str(self.piece.text);
        while let Some(next) = parser.next_event() {
            let step = match next {
                Ok((Event::StreamEnd, _)) => break,
                Ok((event, span)) => builder.event(event, span.start),
                Err(error) => Err(Stop::syntax(error.info(), *error.marker())),
            };
            if let Err(stop) = step {
                stopped = Some(stop);
                break;
            }
        }
        let (roots, duplicates) = builder.finish();
        documents.extend(roots.into_iter().map(|root| Document {
            file: Arc::clone(self.file),
            root,
        }));
        for duplicate in duplicates {
            self.diagnostics.push(
                Diagnostic::error(
                    "TT-DUPLICATE-KEY",
                    Class::Syntax,
                    format!("the key `{}` is given twice", duplicate.key),
                )
                .at(self.place(duplicate.second))
                .see(self.place(duplicate.first), "first given here")
                .help("keep one of them; the later one is used meanwhile"),
            );
        }
        if let Some(stop) = stopped {
            let diagnostic = self.explain(&stop);
            self.diagnostics.push(diagnostic);
        }
    }

    /// Turns the reason for stopping into words; a template is no YAML at all, so that goes first.
    fn explain(&self, stop: &Stop) -> Diagnostic {
        let place = self.place((stop.line + self.piece.lines_before, stop.column));
        let template = self.piece.text.lines().zip(1_u32..).find_map(|(line, n)| {
            let at = line.find("{{")?;
            Some((n, line[..at].chars().count() as u32 + 1))
        });
        if let Some((line, column)) = template
            && line <= stop.line + 1
        {
            return Diagnostic::error(
                "TT-TEMPLATE",
                Class::Syntax,
                "this looks like an unrendered Helm template",
            )
            .at(self.place((line + self.piece.lines_before, column)))
            .see(place, stop.message.clone())
            .help("render it with `helm template` and read the result");
        }
        let diagnostic = Diagnostic::error(stop.code, Class::Syntax, stop.message.clone());
        let diagnostic = diagnostic.at(place);
        match stop.help {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        }
    }

    fn place(&self, (line, column): (u32, u32)) -> Place {
        Place {
            file: Arc::clone(self.file),
            line,
            column,
        }
    }
}
