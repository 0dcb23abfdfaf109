//! What both sides mean: findings that are new or gone, expectations that hold no more.

use crate::observe::Record;
use crate::observe::record::{ExpectationRecord, Finding, Verdict};

/// Findings and expectations of both sides.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judgement {
    /// Only after.
    pub new: Vec<Finding>,
    /// Only before.
    pub gone: Vec<Finding>,
    /// On both sides, as they are after.
    pub kept: Vec<Finding>,
    /// Every expectation of the scenario, in its order.
    pub expectations: Vec<Shift>,
}

/// One expectation on both sides.
#[derive(Clone, Debug, PartialEq)]
pub struct Shift {
    /// Before.
    pub before: ExpectationRecord,
    /// After.
    pub after: ExpectationRecord,
}

impl Shift {
    /// True when the verdict is another.
    pub fn differs(&self) -> bool {
        self.before.verdict != self.after.verdict
    }

    /// True when it is broken now and was not before.
    pub fn breaks(&self) -> bool {
        self.differs() && self.after.verdict == Verdict::Fail
    }
}

impl Judgement {
    pub(super) fn of(before: &Record, after: &Record) -> Self {
        let missing = |these: &[Finding], those: &[Finding]| -> Vec<Finding> {
            let other = |f: &&Finding| !those.iter().any(|o| is_same(o, f));
            these.iter().filter(other).cloned().collect()
        };
        let new = missing(&after.findings, &before.findings);
        let shifts = before.expectations.iter().zip(&after.expectations);
        Self {
            kept: missing(&after.findings, &new),
            gone: missing(&before.findings, &after.findings),
            new,
            expectations: shifts
                .map(|(before, after)| Shift {
                    before: before.clone(),
                    after: after.clone(),
                })
                .collect(),
        }
    }

    /// True when something is judged differently.
    pub fn differs(&self) -> bool {
        !self.new.is_empty()
            || !self.gone.is_empty()
            || self.expectations.iter().any(Shift::differs)
    }
}

/// The same code about the same subject, which is the first thing in backquotes.
fn is_same(other: &Finding, finding: &Finding) -> bool {
    let subject = |f: &Finding| f.what.split('`').nth(1).map(str::to_owned);
    other.code == finding.code && subject(other) == subject(finding)
}
