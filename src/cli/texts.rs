//! The texts that were read, for excerpts in messages.

use std::sync::Arc;

use super::exit_code::Failure;
use crate::diagnostic::{Class, Diagnostic, render, render_with_remarks};
use crate::manifest::{Edit, Source, edit};

/// What excerpts in messages are taken from.
#[derive(Clone)]
pub(super) struct Texts {
    pub(super) sources: Arc<[Source]>,
    pub(super) edits: Vec<Edit>,
}

impl Texts {
    /// Diagnostics with excerpts; some of the warnings are remarks.
    pub(super) fn excerpts(
        &self,
        diagnostics: &[Diagnostic],
        is_remark: impl Fn(&Diagnostic) -> bool,
    ) -> String {
        let set = edit::sources(&self.edits);
        let sources = self.sources.iter().chain(&set);
        let texts: Vec<(&str, &str)> = sources.map(|s| (&*s.path, s.text.as_str())).collect();
        render_with_remarks(diagnostics, &texts, true, is_remark)
    }

    /// File names in the order in which they were read.
    pub(super) fn files(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().map(|source| &*source.path)
    }

    /// All errors with their places, then what to do.
    pub(super) fn refuse(&self, diagnostics: &[Diagnostic]) -> Failure {
        let set = edit::sources(&self.edits);
        let sources = self.sources.iter().chain(&set);
        let texts: Vec<(&str, &str)> = sources.map(|s| (&*s.path, s.text.as_str())).collect();
        let mut text = render(diagnostics, &texts, true);
        let errors = diagnostics.iter().filter(|d| d.is_error()).count();
        let admission = diagnostics
            .iter()
            .any(|d| d.is_error() && d.class == Class::Admission);
        let only_admission = diagnostics
            .iter()
            .all(|d| !d.is_error() || d.class == Class::Admission);
        let plural = if errors == 1 { "error" } else { "errors" };
        text.push_str(&format!("{errors} {plural}"));
        if admission {
            text.push_str("; Istio's admission would refuse such objects");
        }
        if only_admission {
            text.push_str(", --force simulates them all the same");
        }
        text.push('\n');
        Failure::Input(text)
    }
}
