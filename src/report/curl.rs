//! Outcomes of `curl`: counted like `sort | uniq -c`, as text and as the JSON contract.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::format::{count, millis, wrap};
use super::json::{present, pretty};
use super::table::{Align, PAGE, Table};
use super::text::{heading, notes};
use crate::observe::record::{Record, RequestRecord};
use crate::units::SimDuration;

/// Result of `curl`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CurlReport {
    /// Requests that were sent.
    pub requests: u64,
    /// Equal outcomes together, most frequent first.
    pub outcomes: Vec<Outcome>,
    /// The way of the first request in words, one sentence each.
    pub trail: Vec<String>,
    /// Seed of all randomness.
    pub seed: u64,
    /// What was taken for granted: sentences.
    pub assumed: Vec<String>,
    /// What looks wrong in the input: sentences with file and line.
    pub warnings: Vec<String>,
}

/// Requests that ended alike.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// How many requests.
    pub count: u64,
    /// HTTP status; 0 when none was received.
    pub status: u16,
    /// Envoy's response flags; `-` is none.
    pub flags: String,
    /// Envoy's `response_code_details`.
    pub details: String,
    /// Cluster that the route chose; null when none was.
    pub cluster: Option<String>,
    /// Workload that answered, `namespace/name`; null when none did.
    pub workload: Option<String>,
    /// Path as the upstream sees it; the request's own when it was not sent.
    pub path: String,
    /// Mean duration in milliseconds of virtual time.
    pub duration_ms: f64,
}

/// Groups requests that ended alike; most frequent first, then by their fields.
pub fn outcomes(requests: &[RequestRecord]) -> Vec<Outcome> {
    let mut groups: BTreeMap<_, (u64, u128)> = BTreeMap::new();
    for r in requests {
        let key = (
            r.status,
            &r.flags,
            &r.details,
            &r.cluster,
            &r.workload,
            &r.path,
        );
        let sum = groups.entry(key).or_default();
        sum.0 += 1;
        sum.1 += u128::from(r.duration.ns());
    }
    let mut outcomes: Vec<Outcome> = groups
        .into_iter()
        .map(
            |((status, flags, details, cluster, workload, path), (count, ns))| Outcome {
                count,
                status,
                flags: flags.clone(),
                details: details.clone(),
                cluster: present(cluster),
                workload: present(workload),
                path: path.clone(),
                duration_ms: SimDuration::from_ns((ns / u128::from(count)) as u64).as_millis_f64(),
            },
        )
        .collect();
    // Stable: equal counts keep the order of their fields.
    outcomes.sort_by_key(|o| std::cmp::Reverse(o.count));
    outcomes
}

impl CurlReport {
    /// From the record of a run that kept its requests, and the story of the first one.
    pub fn new(record: &Record, trail: Vec<String>) -> Self {
        Self {
            requests: record.requests.len() as u64,
            outcomes: outcomes(&record.requests),
            trail,
            seed: record.seed,
            assumed: record.assumed.clone(),
            warnings: record.warnings.clone(),
        }
    }

    /// As JSON.
    pub fn json(&self) -> String {
        pretty(self)
    }

    /// For people: the counted outcomes, the way of the first request, and what it rests on.
    pub fn text(&self) -> String {
        let mut out = self.table();
        if !self.trail.is_empty() {
            let title = if self.requests > 1 {
                "The way of the first request"
            } else {
                "The way of the request"
            };
            heading(&mut out, title);
            for (number, sentence) in (1..).zip(&self.trail) {
                out.push_str(&wrap(sentence, &format!("  {number:>2}. "), 6, PAGE));
            }
        }
        notes(&mut out, "Assumed", &self.assumed);
        notes(&mut out, "Warnings", &self.warnings);
        out
    }

    /// Only the counted outcomes, as text.
    pub fn table(&self) -> String {
        let mut table = Table::new(&[
            ("COUNT", Align::Right),
            ("STATUS", Align::Right),
            ("FLAGS", Align::Left),
            ("ANSWERED BY", Align::Flex),
            ("PATH", Align::Flex),
            ("TIME", Align::Right),
            ("DETAILS", Align::Flex),
        ]);
        for outcome in &self.outcomes {
            table.row([
                count(outcome.count),
                outcome.status.to_string(),
                outcome.flags.clone(),
                answered_by(outcome),
                outcome.path.clone(),
                millis(outcome.duration_ms),
                outcome.details.clone(),
            ]);
        }
        if table.is_empty() {
            return String::new();
        }
        table.render(0)
    }
}

/// The JSON Schema of [`CurlReport`], pretty-printed.
pub fn schema() -> String {
    pretty(&schemars::schema_for!(CurlReport))
}

fn answered_by(outcome: &Outcome) -> String {
    match (&outcome.workload, &outcome.cluster) {
        (Some(workload), _) => workload.clone(),
        (None, Some(cluster)) => format!("the proxy, for {cluster}"),
        (None, None) => "the proxy".to_owned(),
    }
}
