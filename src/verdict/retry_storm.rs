//! `TT-RETRY-STORM`: retries make much more work than was asked for.
//!
//! Work amplification of an edge is its tries per request; along a chain the factors multiply.

use std::collections::BTreeMap;

use super::causes::most_retried;
use super::course::{Window, windows};
use super::{Context, percent};
use crate::observe::record::{EdgeRecord, Finding, Severity};

/// Tries per request from which an edge is named.
const EDGE: f64 = 1.5;
/// Work per root request from which a chain is named.
const CHAIN: f64 = 2.0;
/// Windows in a row, and requests in each, below which a peak is noise.
const IN_A_ROW: usize = 3;
const WINDOW_MIN: u64 = 30;
/// Fewer requests prove nothing.
const REQUESTS_MIN: u64 = 100;

pub(super) fn judge(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let record = context.record;
    let factors = along_chains(&record.edges);
    let mut storms: Vec<(&EdgeRecord, f64)> = (record.edges.iter())
        .filter(|e| e.requests >= REQUESTS_MIN && e.cluster != "-")
        .map(|e| (e, e.amplification()))
        .filter(|(_, factor)| *factor >= EDGE)
        .collect();
    storms.sort_by(|a, b| b.1.total_cmp(&a.1));
    let Some((worst, factor)) = storms.first() else {
        return peaks(context, findings);
    };
    let chain = (storms.iter())
        .map(|(e, factor)| format!("{} → {}: {factor:.2} tries per request", e.from, e.to))
        .collect();
    let end_to_end = factors.get(worst.to.as_str()).copied().unwrap_or(*factor);
    let mut what = format!(
        "every request from {} to {} costs {factor:.2} tries",
        worst.from, worst.to
    );
    if end_to_end >= CHAIN && end_to_end > factor * 1.05 {
        what.push_str(&format!(
            "; along the chain {} gets {end_to_end:.1} times the work that was asked for",
            worst.to
        ));
    }
    findings.push(Finding {
        code: "TT-RETRY-STORM",
        severity: if *factor >= 2.0 || end_to_end >= 3.0 {
            Severity::Error
        } else {
            Severity::Warning
        },
        what,
        chain,
        cause: cause(context, worst),
        help: "fewer `attempts`, a retry budget, `retryOn` for what a retry can help, or retries at one layer of the chain only".to_owned(),
        edges: Vec::new(),
        counterfactual: None,
    });
}

/// The policy by which the calls of an edge are tried again.
pub(super) fn cause(context: &Context<'_>, edge: &EdgeRecord) -> Option<String> {
    let (retries, place) = context.retries_of(&edge.from, &edge.cluster)?;
    Some(match place {
        Some(place) => format!("{place} allows {retries} retries of each request"),
        None => default_policy(context, edge, retries),
    })
}

/// What holds where nobody wrote `retries`, and how to be rid of it.
fn default_policy(context: &Context<'_>, edge: &EdgeRecord, retries: u32) -> String {
    let policy = context.retry_policy(&edge.from, &edge.cluster);
    let words = policy.map_or(String::new(), |policy| {
        let codes: Vec<String> = policy.status_codes.iter().map(u16::to_string).collect();
        let codes = if codes.is_empty() {
            String::new()
        } else {
            format!(" ({})", codes.join(", "))
        };
        format!(
            " on {}{codes}, elsewhere than before ({} new picks)",
            policy.on_text.replace(',', ", "),
            policy.host_reselects
        )
    });
    format!(
        "Istio's default policy, which nobody wrote: {retries} retries of each request{words}; `retries: {{attempts: 0}}` in a VirtualService or `defaultHttpRetryPolicy` of the mesh takes it away"
    )
}

/// Storms that pass: the whole run looks well, some of its windows do not.
fn peaks(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let record = context.record;
    for (index, client) in (0..).zip(&record.clients) {
        let course = windows(record, &record.series, index);
        let is_stormy = |w: &&Window| w.amplification >= EDGE && w.requests >= WINDOW_MIN;
        let in_a_row = |row: &[Window]| row.iter().all(|w| is_stormy(&w));
        if !course.windows(IN_A_ROW).any(in_a_row) {
            continue;
        }
        let stormy: Vec<_> = course.iter().filter(is_stormy).collect();
        let [first, .., last] = stormy.as_slice() else {
            continue;
        };
        let peak = stormy.iter().map(|w| w.amplification).fold(0.0, f64::max);
        findings.push(Finding {
            code: "TT-RETRY-STORM",
            severity: Severity::Warning,
            what: format!(
                "retries of `{}` rise to {peak:.2} tries per request between {:.1} s and {:.1} s",
                client.name,
                first.at,
                last.at + record.series.window.as_secs_f64()
            ),
            chain: vec![format!(
                "{} of the windows have {EDGE} tries per request or more",
                percent(stormy.len() as f64 / course.len().max(1) as f64)
            )],
            cause: most_retried(context, client, 1.0 + f64::EPSILON)
                .and_then(|edge| cause(context, edge)),
            help: "a retry budget bounds it; whether it ends by itself is another question"
                .to_owned(),
            edges: Vec::new(),
            counterfactual: None,
        });
    }
}

/// Work at each workload per request at the root: the greatest product of factors on the way.
fn along_chains(edges: &[EdgeRecord]) -> BTreeMap<&str, f64> {
    let mut factors: BTreeMap<&str, f64> = BTreeMap::new();
    // Chains are no longer than there are edges; circles are refused before a run.
    for _ in 0..edges.len().min(64) {
        let mut changed = false;
        for edge in edges.iter().filter(|e| e.requests > 0 && e.to != "-") {
            let before = factors.get(edge.from.as_str()).copied().unwrap_or(1.0);
            let factor = before * edge.amplification().max(1.0);
            let known = factors.entry(edge.to.as_str()).or_insert(1.0);
            if factor > *known + 1e-9 {
                *known = factor;
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    factors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_multiply_along_a_chain() {
        let edge = |from: &str, to: &str, attempts| EdgeRecord {
            from: from.into(),
            to: to.into(),
            requests: 100,
            attempts,
            ..EdgeRecord::default()
        };
        let edges = [
            edge("b", "c", 300),
            edge("a", "b", 200),
            edge("x", "c", 100),
        ];
        let factors = along_chains(&edges);
        assert!((factors["b"] - 2.0).abs() < 1e-9);
        assert!((factors["c"] - 6.0).abs() < 1e-9);
    }
}
