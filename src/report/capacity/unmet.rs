//! Why no number of pods suffices: the last that was tried, and what does not hold with it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::measured;
use crate::experiment::capacity;
use crate::observe::record::Verdict;
use crate::report::expectation::Expectation;
use crate::report::format::{plural, wrap};
use crate::report::table::PAGE;

/// The end of a search for pods that found none that suffice.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Unmet {
    /// Zone that was lost; null: none.
    pub zone: Option<String>,
    /// The last numbers that were tried, by `namespace/name`.
    pub pods: BTreeMap<String, u32>,
    /// What does not hold with them; null where nothing was counted.
    pub expectation: Option<Expectation>,
    /// The flags that most requests have which have any; null where hardly any has one.
    pub flags: Option<String>,
    /// Findings of that run, the gravest first: sentences.
    pub findings: Vec<String>,
}

impl From<&capacity::Unmet> for Unmet {
    fn from(found: &capacity::Unmet) -> Self {
        Self {
            zone: found.zone.clone(),
            pods: found.pods.clone(),
            expectation: found.expectation.as_ref().map(Expectation::from),
            flags: found.flags.clone(),
            findings: found.findings.clone(),
        }
    }
}

/// With which pods the search ended, and what was broken there.
pub(super) fn block(out: &mut String, found: &capacity::Unmet) {
    let pods = found.pods.iter();
    let pods: Vec<String> = pods
        .map(|(name, n)| format!("{} of {name}", plural(u64::from(*n), "pod", "pods")))
        .collect();
    let broken = match &found.expectation {
        Some(record) if record.verdict == Verdict::Undecided => {
            format!("the runs do not tell whether `{}` holds", record.text)
        }
        Some(record) => measured(record),
        None => "nothing was counted".to_owned(),
    };
    let flags = found.flags.as_ref();
    let broken = match flags {
        Some(flags) => format!("{broken} (most of the flags are {flags})"),
        None => broken,
    };
    let said = if pods.is_empty() {
        format!("There {broken}.")
    } else {
        format!("The search ended with {}: {broken}.", pods.join(", "))
    };
    out.push_str(&wrap(&said, "  ", 2, PAGE));
    for sentence in &found.findings {
        out.push_str(&wrap(sentence, "  - ", 4, PAGE));
    }
}
