//! What a run means, in words, before any table.

use super::{ALERT, heading};
use crate::observe::record::{Record, Severity};
use crate::report::format::wrap;
use crate::report::table::PAGE;

/// Nothing where there is nothing to say.
pub(super) fn block(out: &mut String, record: &Record) {
    if record.findings.is_empty() {
        return;
    }
    heading(out, "Findings");
    for finding in &record.findings {
        let grave = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        out.push_str(&format!("  {ALERT}{grave}{ALERT:#} {}\n", finding.code));
        out.push_str(&wrap(&finding.what, "    ", 4, PAGE));
        for step in &finding.chain {
            out.push_str(&wrap(step, "    - ", 6, PAGE));
        }
        if let Some(cause) = &finding.cause {
            out.push_str(&wrap(cause, "    because of ", 6, PAGE));
        }
        out.push_str(&wrap(&finding.help, "    try ", 6, PAGE));
        if let Some(sentence) = &finding.counterfactual {
            out.push_str(&wrap(sentence, "    => ", 7, PAGE));
        }
    }
}
