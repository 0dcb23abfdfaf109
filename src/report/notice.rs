//! One thing to say to a machine that shows it beside somebody's lines.
//!
//! What SARIF, GitHub annotations and JUnit have in common: a code, how bad it is, a sentence, a
//! place. Diagnostics of the input, findings of a run and broken expectations all become this.

use crate::diagnostic::{Diagnostic, Place, Severity};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Worth knowing.
    Note,
    /// Something is ignored, surprising or undecided.
    Warning,
    /// Something has to change.
    Error,
}

/// One thing to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Stable code: `IST0106`, `TT-RETRY-STORM`.
    pub code: String,
    /// How bad it is.
    pub level: Level,
    /// What is wrong.
    pub message: String,
    /// The object it is about: `VirtualService production/reviews`.
    pub object: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
    /// Where; `None` when it belongs to no line.
    pub place: Option<Place>,
    /// Other places that belong to it, each with a word why.
    pub related: Vec<(Place, String)>,
}

impl Notice {
    /// One without place, object and help.
    pub fn new(code: &str, level: Level, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            level,
            message: message.into(),
            object: None,
            help: None,
            place: None,
            related: Vec::new(),
        }
    }

    /// Object, message and help in one paragraph.
    pub fn sentence(&self) -> String {
        let mut text = String::new();
        if let Some(object) = &self.object {
            text.push_str(&format!("{object}: "));
        }
        text.push_str(&self.message);
        if let Some(help) = &self.help {
            text.push_str(&format!("; {help}"));
        }
        text
    }
}

impl From<&Diagnostic> for Notice {
    fn from(diagnostic: &Diagnostic) -> Self {
        Self {
            code: diagnostic.code.to_owned(),
            level: match diagnostic.severity {
                Severity::Warning => Level::Warning,
                Severity::Error => Level::Error,
            },
            message: diagnostic.message.clone(),
            object: diagnostic.object.clone(),
            help: diagnostic.help.clone(),
            place: diagnostic.place.clone(),
            related: diagnostic.related.clone(),
        }
    }
}

/// Reads `file:12:3`, `file:12` or `file` back into a place, as records and findings carry it.
pub fn place(text: &str) -> Place {
    let number = |text: &str| text.parse::<u32>().ok();
    let (before, last) = text.rsplit_once(':').unwrap_or((text, ""));
    let (file, line, column) = match (before.rsplit_once(':'), number(last)) {
        (_, None) => (text, 0, 0),
        (Some((file, line)), Some(column)) if number(line).is_some() => {
            (file, number(line).unwrap_or(0), column)
        }
        (_, Some(line)) => (before, line, 0),
    };
    Place {
        file: file.into(),
        line,
        column,
    }
}

#[cfg(test)]
pub(super) fn sample() -> Vec<Notice> {
    let mut storm = Notice::new(
        "TT-RETRY-STORM",
        Level::Error,
        "3 tries, 50 % lost\nand more",
    );
    storm.place = Some(place("mesh/a b,c.yaml:12:3"));
    storm.object = Some("VirtualService shop/cart".to_owned());
    storm.help = Some("set a <retryBudget> & look at \"it\"".to_owned());
    storm.related = vec![(place("mesh/dr.yaml:4"), "the limit".to_owned())];
    let mut known = Notice::new("TT-HEADROOM", Level::Warning, "cart is 93 % busy");
    known.place = Some(place("mesh/dr.yaml"));
    let nowhere = Notice::new("TT-HEADROOM", Level::Note, "nobody's line");
    vec![storm, known, nowhere]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_back_from_its_text() {
        for (text, file, line, column) in [
            ("a.yaml:12:3", "a.yaml", 12, 3),
            ("a.yaml:12", "a.yaml", 12, 0),
            ("a.yaml", "a.yaml", 0, 0),
            ("C:/a.yaml:12", "C:/a.yaml", 12, 0),
            ("--set:1", "--set", 1, 0),
            ("a:b", "a:b", 0, 0),
        ] {
            let read = place(text);
            assert_eq!((&*read.file, read.line, read.column), (file, line, column));
        }
    }
}
