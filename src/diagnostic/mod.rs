//! What we tell people about their input: a stable code, a place, what is wrong, what to do.
//!
//! Reading input never fails; it returns a value and a list of these. All of them are
//! reported at once. Knows nothing about YAML or Istio kinds.

mod nearest;
pub mod render;

pub use nearest::nearest;
pub use render::{render, render_with_remarks};

use std::fmt;
use std::sync::Arc;

use crate::units::origin::set_by;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Something is ignored or surprising; the run goes on.
    Warning,
    /// The input cannot be used as it is.
    Error,
}

/// Who would object, which decides what `--force` may override.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// The text is not readable YAML or JSON, or a value has the wrong type.
    Syntax,
    /// Istio's admission webhook (or the CRD schema) refuses the object; `--force` goes on.
    Admission,
    /// Our own kinds (Model, Scenario) are wrong, or something they name does not exist.
    Model,
    /// Configuration that is read and not simulated.
    NotSimulated,
    /// Accepted, but without the effect its author expected.
    Advice,
}

/// A place in the input.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Path as given, `-` for standard input.
    pub file: Arc<str>,
    /// Line from 1; 0 when only the file is known.
    pub line: u32,
    /// Column from 1 (characters); 0 when only the line is known.
    pub column: u32,
}

impl Place {
    /// The place of a line that a node or an origin carries, which may be one of a flag.
    pub fn new(file: &Arc<str>, line: u32, column: u32) -> Self {
        let (file, line) = match set_by(line) {
            Some((flag, number)) => (flag.name().into(), number),
            None => (Arc::clone(file), line),
        };
        Self { file, line, column }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (0, _) => write!(f, "{}", self.file),
            (line, 0) => write!(f, "{}:{line}", self.file),
            (line, column) => write!(f, "{}:{line}:{column}", self.file),
        }
    }
}

/// One thing to say about the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable code: Istio's own (`IST0106`) where Istio says it too, else ours (`TT-DUPLICATE-KEY`).
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Who would object.
    pub class: Class,
    /// What is wrong: a lower-case fragment without a final stop, things in backquotes.
    pub message: String,
    /// Where.
    pub place: Option<Place>,
    /// The object it is about: `VirtualService production/reviews`.
    pub object: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
    /// Other places that belong to it, each with a word why.
    pub related: Vec<(Place, String)>,
}

impl Diagnostic {
    /// An error of that class.
    pub fn error(code: &'static str, class: Class, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            class,
            message: message.into(),
            place: None,
            object: None,
            help: None,
            related: Vec::new(),
        }
    }

    /// A warning of that class.
    pub fn warning(code: &'static str, class: Class, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, class, message)
        }
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// Says which object.
    #[must_use]
    pub fn of(mut self, object: impl Into<String>) -> Self {
        self.object = Some(object.into());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Names another place that belongs to it.
    #[must_use]
    pub fn see(mut self, place: Place, why: impl Into<String>) -> Self {
        self.related.push((place, why.into()));
        self
    }

    /// True for errors.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Diagnostic {
    /// One line: `error[IST0106] file:3:5: VirtualService a/b: message`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{severity}[{}]", self.code)?;
        if let Some(place) = &self.place {
            write!(f, " {place}")?;
        }
        f.write_str(": ")?;
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        f.write_str(&self.message)
    }
}
