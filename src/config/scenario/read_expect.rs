//! The little language of `expect`: text to [`Expectation`]s.
//!
//! ```text
//! expectation := [ "no" ] "finding" CODE
//!              | "recovers_within" ":" DURATION
//!              | figure relation bound
//! figure      := NAME [ "(" argument { "," argument } ")" ]
//! argument    := [ KEY (":" | "=") ] VALUE
//! ```
//!
//! YAML reads `p99(latency, to: reviews) < 250ms` without quotes as a mapping of one entry, so
//! such a mapping is put together again.

use super::expect::{Assertion, Expectation, Figure, FigureKind, Relation, Unit};
use super::expect_tokens::{Fault, Parser, tokens};
use super::read_figure::{RECOVERED, arguments, figure, last_event, number};
use super::reader::Report;
use super::run::Scenario;
use crate::diagnostic::nearest;
use crate::manifest::{Node, Value};
use crate::xds::Name;

const FIGURES: &[&str] = &[
    "p50",
    "p90",
    "p99",
    "p999",
    "mean",
    "max",
    "error_rate",
    "amplification",
    "requests_per_second",
    "utilisation",
    "share",
    "stat",
    "recovery_time",
];
const RULE: &str = "TT-EXPECTATION";

/// Reads `expect`; the scenario's loads and events were read before.
pub(super) fn expectations(report: &mut Report, node: Option<&Node>, scenario: &mut Scenario) {
    for item in report.list(node, "expectations") {
        let Some(text) = whole(report, item) else {
            continue;
        };
        match parse(&text, scenario) {
            Ok(assertion) => scenario.expect.push(Expectation {
                text: text.as_str().into(),
                assertion,
                origin: report.origin(item),
            }),
            Err(fault) => {
                let at = Node {
                    column: item.text_column() + fault.at as u32,
                    ..item.clone()
                };
                report.error(RULE, &at, fault.what, &fault.help);
            }
        }
    }
}

/// One expectation from a text that stands in no file; what is wrong with it in words.
pub fn expectation(text: &str, scenario: &Scenario) -> Result<Expectation, String> {
    let assertion =
        parse(text, scenario).map_err(|fault| format!("{}; {}", fault.what, fault.help))?;
    Ok(Expectation {
        text: text.into(),
        assertion,
        origin: crate::units::Origin::BUILT_IN,
    })
}

/// The text of an item; a mapping of one entry is what YAML makes of a text with a colon.
fn whole(report: &mut Report, item: &Node) -> Option<String> {
    if let [(key, value)] = item.entries()
        && let Some(rest) = value.value.scalar_text()
    {
        return Some(format!("{}: {rest}", key.text));
    }
    if matches!(item.value, Value::Text(..)) {
        return report.text(item).map(|text| text.to_string());
    }
    let what = format!("expected an expectation, found {}", item.value.describe());
    let help = "write for example `p99(latency, to: reviews) < 250ms`";
    report.error(RULE, item, what, help);
    None
}

fn parse(text: &str, scenario: &Scenario) -> Result<Assertion, Fault> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        next: 0,
        end: text.chars().count(),
    };
    let Some((name, at)) = parser.take_word() else {
        let help = format!("known here: {}", FIGURES.join(", "));
        return Err(Fault::new(0, "an expectation begins with a figure", help));
    };
    let assertion = match name.as_str() {
        "no" => no_finding(&mut parser)?,
        "finding" => Assertion::Finding(code(
            &mut parser,
            "write for example `finding TT-IMBALANCE`",
        )?),
        "recovers_within" => recovers_within(&mut parser, at, scenario)?,
        _ => comparison(&mut parser, &name, at, scenario)?,
    };
    if parser.next < parser.tokens.len() {
        let what = format!(
            "{} is one too many: the expectation ended before it",
            parser.found()
        );
        return Err(Fault::new(
            parser.here(),
            what,
            "write each expectation as an item of its own",
        ));
    }
    Ok(assertion)
}

fn no_finding(parser: &mut Parser) -> Result<Assertion, Fault> {
    let help = "write for example `no finding TT-RETRY-STORM`";
    let at = parser.here();
    match parser.take_word() {
        Some((word, _)) if word == "finding" => {}
        _ => {
            return Err(Fault::new(
                at,
                "`no` is followed by `finding` and a code",
                help,
            ));
        }
    }
    code(parser, help).map(Assertion::NoFinding)
}

fn code(parser: &mut Parser, help: &str) -> Result<Name, Fault> {
    let at = parser.here();
    match parser.take_word() {
        Some((code, _)) => Ok(code.into()),
        None => Err(Fault::new(at, "the code of the finding is missing", help)),
    }
}

fn recovers_within(
    parser: &mut Parser,
    at: usize,
    scenario: &Scenario,
) -> Result<Assertion, Fault> {
    parser.take_mark(&[":", "="]);
    let here = parser.here();
    let Some((word, _)) = parser.take_word() else {
        return Err(Fault::new(
            here,
            "the time to recover is missing",
            "write `recovers_within: 30s`",
        ));
    };
    let bound = number(&word, Unit::Milliseconds, here)?;
    Ok(Assertion::Compare {
        figure: Figure {
            kind: FigureKind::RecoveryTime {
                after: last_event(scenario, at)?,
                error_rate: RECOVERED,
            },
            load: None,
            from: None,
            to: None,
            between: None,
        },
        relation: Relation::AtMost,
        bound,
    })
}

fn comparison(
    parser: &mut Parser,
    name: &str,
    at: usize,
    scenario: &Scenario,
) -> Result<Assertion, Fault> {
    if !FIGURES.contains(&name) {
        let known = FIGURES
            .iter()
            .copied()
            .chain(["recovers_within", "finding"]);
        let help = match nearest(name, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!(
                "known here: {}, recovers_within, finding, no finding",
                FIGURES.join(", ")
            ),
        };
        return Err(Fault::new(at, format!("`{name}` is not a figure"), help));
    }
    let arguments = arguments(parser)?;
    let figure = figure(name, at, arguments, scenario)?;
    let here = parser.here();
    let relation = match parser.take_mark(&["<=", ">=", "==", "!=", "<", ">", "="]) {
        Some("<") => Relation::Less,
        Some("<=") => Relation::AtMost,
        Some(">") => Relation::Greater,
        Some(">=") => Relation::AtLeast,
        Some("==") => Relation::Equal,
        Some("!=") => Relation::NotEqual,
        Some(_) => return Err(Fault::new(here, "`=` does not compare", "write `==`")),
        None => {
            let what = format!("a relation is missing before {}", parser.found());
            return Err(Fault::new(
                here,
                what,
                "write one of <, <=, >, >=, ==, != and a bound",
            ));
        }
    };
    let here = parser.here();
    let Some((word, _)) = parser.take_word() else {
        let what = format!("a bound is missing after `{relation}`");
        return Err(Fault::new(here, what, ""));
    };
    let bound = number(&word, figure.kind.unit(), here)?;
    Ok(Assertion::Compare {
        figure,
        relation,
        bound,
    })
}
