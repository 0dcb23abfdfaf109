//! JUnit XML: what build servers read.
//!
//! The form that Jenkins, GitLab and GitHub's readers agree on. Times are left out where they
//! would differ from run to run; whoever wants them gives them.

use super::notice::Notice;

/// Cases that belong together: a scenario, a rule set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Suite {
    /// Its name.
    pub name: String,
    /// Seconds it took, when that is to be told.
    pub seconds: Option<f64>,
    /// In order.
    pub cases: Vec<Case>,
}

/// One thing that holds or does not.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// File and line, where there is one.
    pub file: Option<(String, u32)>,
    /// How it went.
    pub outcome: Outcome,
}

/// How a case went.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It holds.
    Pass,
    /// It does not: a code, one line, everything.
    Fail(String, String, String),
    /// It could not be judged: a code, one line, everything.
    Error(String, String, String),
    /// Left out, and why.
    Skipped(String),
}

/// A suite of notices: a case per file with one failure for each of them, `clean` files pass.
pub fn of_notices(name: &str, notices: &[Notice], clean: &[&str]) -> Suite {
    let passed = clean.iter().map(|file| Case {
        name: (*file).to_owned(),
        file: Some(((*file).to_owned(), 0)),
        outcome: Outcome::Pass,
    });
    let failed = notices.iter().map(|notice| {
        let place = notice.place.as_ref();
        let shown = place.map_or_else(|| "-".to_owned(), ToString::to_string);
        Case {
            name: format!("{} at {shown}", notice.code),
            file: place.map(|place| (place.file.to_string(), place.line)),
            outcome: Outcome::Fail(
                notice.code.clone(),
                notice.message.clone(),
                notice.sentence(),
            ),
        }
    });
    Suite {
        name: name.to_owned(),
        seconds: None,
        cases: passed.chain(failed).collect(),
    }
}

/// The suites as one document.
pub fn render(suites: &[Suite]) -> String {
    let all = || suites.iter().flat_map(|suite| &suite.cases);
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    out.push_str(&format!("<testsuites name=\"towtank\"{}>\n", counts(all())));
    for suite in suites {
        let time = suite
            .seconds
            .map_or_else(String::new, |s| format!(" time=\"{s:.3}\""));
        out.push_str(&format!(
            "  <testsuite name=\"{}\"{}{time}>\n",
            escaped(&suite.name),
            counts(suite.cases.iter())
        ));
        for case in &suite.cases {
            out.push_str(&one(case, &suite.name));
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn counts<'a>(cases: impl Iterator<Item = &'a Case>) -> String {
    let (mut tests, mut failures, mut errors, mut skipped) = (0, 0, 0, 0);
    for case in cases {
        tests += 1;
        match case.outcome {
            Outcome::Pass => {}
            Outcome::Fail(..) => failures += 1,
            Outcome::Error(..) => errors += 1,
            Outcome::Skipped(_) => skipped += 1,
        }
    }
    format!(" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\"")
}

fn one(case: &Case, suite: &str) -> String {
    let mut place = String::new();
    if let Some((file, line)) = &case.file {
        place.push_str(&format!(" file=\"{}\"", escaped(file)));
        if *line > 0 {
            place.push_str(&format!(" line=\"{line}\""));
        }
    }
    let head = format!(
        "    <testcase name=\"{}\" classname=\"{}\"{place}",
        escaped(&case.name),
        escaped(suite)
    );
    let said = |element: &str, code: &str, message: &str, text: &str| {
        format!(
            "{head}>\n      <{element} type=\"{}\" message=\"{}\">{}</{element}>\n    </testcase>\n",
            escaped(code),
            escaped(message),
            text_of(text)
        )
    };
    match &case.outcome {
        Outcome::Pass => format!("{head}/>\n"),
        Outcome::Fail(code, message, text) => said("failure", code, message, text),
        Outcome::Error(code, message, text) => said("error", code, message, text),
        Outcome::Skipped(why) => format!(
            "{head}>\n      <skipped message=\"{}\"/>\n    </testcase>\n",
            escaped(why)
        ),
    }
}

/// Text of an element: line ends stay.
fn text_of(text: &str) -> String {
    escape(text, false)
}

/// Text of an attribute: line ends would become blanks, so they are written as references.
fn escaped(text: &str) -> String {
    escape(text, true)
}

fn escape(text: &str, in_attribute: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' if in_attribute => out.push_str("&quot;"),
            '\n' | '\t' if in_attribute => out.push_str(&format!("&#{};", c as u32)),
            '\n' | '\t' => out.push(c),
            // XML 1.0 has no way to write these.
            c if (c as u32) < 0x20 || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_to_xml_is_written_as_text() {
        let fail = Outcome::Fail(
            "TT-X".into(),
            "p99 < 5 & \"so\"\non".into(),
            "a\u{1b}[31m <b>\nc".into(),
        );
        let case = |name: &str, outcome| Case {
            name: name.to_owned(),
            file: Some(("a&b.yaml".to_owned(), 3)),
            outcome,
        };
        let suite = Suite {
            name: "shop".into(),
            seconds: None,
            cases: vec![
                case("holds", Outcome::Pass),
                case("breaks", fail),
                case("waits", Outcome::Skipped("pending".into())),
            ],
        };
        let shown = render(&[suite]);
        let expected = "\
<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<testsuites name=\"towtank\" tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\">
  <testsuite name=\"shop\" tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\">
    <testcase name=\"holds\" classname=\"shop\" file=\"a&amp;b.yaml\" line=\"3\"/>
    <testcase name=\"breaks\" classname=\"shop\" file=\"a&amp;b.yaml\" line=\"3\">
      <failure type=\"TT-X\" message=\"p99 &lt; 5 &amp; &quot;so&quot;&#10;on\">a\u{fffd}[31m &lt;b&gt;
c</failure>
    </testcase>
    <testcase name=\"waits\" classname=\"shop\" file=\"a&amp;b.yaml\" line=\"3\">
      <skipped message=\"pending\"/>
    </testcase>
  </testsuite>
</testsuites>
";
        assert_eq!(shown, expected, "\n{shown}");
    }

    #[test]
    fn notices_are_failures_and_clean_files_pass() {
        let suite = of_notices("lint", &super::super::notice::sample(), &["good.yaml"]);
        assert_eq!(suite.cases.len(), 4);
        assert_eq!(suite.cases[0].outcome, Outcome::Pass);
        assert_eq!(suite.cases[1].file, Some(("mesh/a b,c.yaml".into(), 12)));
        assert_eq!(suite.cases[3].name, "TT-HEADROOM at -");
    }
}
