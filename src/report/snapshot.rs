//! A result in few lines, to be kept beside its scenario and compared with later ones.
//!
//! Figures are rounded as people read them, and what is compared is what is read: comments,
//! blank lines and line ends do not count. Same version and inputs give the same bytes on any
//! machine; a change of a figure is a change of the third digit.

use std::collections::BTreeMap;

use super::format::{digits, duration, millis, percent, rate, share};
use crate::observe::Histogram;
use crate::observe::record::{Ended, Record, Severity};

const HEAD: &str =
    "# What `towtank test` saw, rounded; `towtank test --review` shows and accepts changes.\n";

/// The record as sections of `figure = value`.
pub fn render(record: &Record) -> String {
    let mut out = Sections(HEAD.to_owned());
    out.section(&format!("scenario {}", record.scenario));
    out.line("duration", &duration(record.duration));
    out.line("seed", &record.seed.to_string());
    out.line("replications", &record.replications.to_string());
    match record.ended {
        Ended::Complete => {}
        Ended::InFlight => out.line("ended", "with requests in flight"),
        Ended::Interrupted => out.line("ended", "interrupted"),
        Ended::TooMuchInFlight => out.line("ended", "early, with too much in flight"),
    }
    let seconds = record.duration.as_secs_f64() - record.warm_up.as_secs_f64();
    let seconds = seconds.max(f64::MIN_POSITIVE) * f64::from(record.replications.max(1));
    for client in &record.clients {
        out.section(&format!("load {}", client.name));
        out.line("requests", &rate(client.requests as f64 / seconds));
        out.shares("status", &client.statuses, client.requests);
        out.shares("flags", &client.flags, client.requests);
        out.latency(&client.latency);
    }
    for edge in record.edges.iter().filter(|edge| edge.requests > 0) {
        let part = |text: &str| {
            if text == "-" {
                "nowhere".to_owned()
            } else {
                text.to_owned()
            }
        };
        let (cluster, to) = (part(&edge.cluster), part(&edge.to));
        out.section(&format!(
            "call {} -> {} by {cluster} to {to}",
            edge.from, edge.service
        ));
        out.line("requests", &rate(edge.requests as f64 / seconds));
        out.shares("status", &edge.statuses, edge.requests);
        let tries = edge.attempts as f64 / edge.requests as f64;
        out.line("tries per request", &digits(tries));
        out.latency(&edge.latency);
    }
    for workload in &record.workloads {
        let Some(utilisation) = workload.utilisation else {
            continue;
        };
        out.section(&format!("workload {}", workload.name));
        out.line("utilisation", &percent(utilisation));
        out.line("queue", &digits(workload.queue_mean));
    }
    if !record.findings.is_empty() {
        out.section("findings");
    }
    let mut seen = BTreeMap::<&str, usize>::new();
    for finding in &record.findings {
        let times = seen.entry(finding.code).or_default();
        *times += 1;
        let number = if *times > 1 {
            format!(" {times}")
        } else {
            String::new()
        };
        let severity = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let key = format!("{}{number}", finding.code);
        out.line(&key, &format!("{severity}: {}", finding.what));
    }
    out.0
}

struct Sections(String);

impl Sections {
    fn section(&mut self, name: &str) {
        self.0
            .push_str(&format!("\n[{}]\n", name.replace('\n', " ")));
    }

    fn line(&mut self, key: &str, value: &str) {
        self.0
            .push_str(&format!("{key} = {}\n", value.replace('\n', " ")));
    }

    fn shares(&mut self, what: &str, counts: &BTreeMap<String, u64>, of: u64) {
        for (key, count) in counts
            .iter()
            .filter(|(key, count)| **count > 0 && *key != "-")
        {
            self.line(&format!("{what} {key}"), &share(*count, of));
        }
    }

    fn latency(&mut self, latency: &Histogram) {
        if latency.is_empty() {
            return;
        }
        for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
            self.line(name, &millis(latency.quantile(quantile).as_millis_f64()));
        }
    }
}

/// One figure that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// `load shoppers`.
    pub section: String,
    /// `p99`.
    pub figure: String,
    /// As it was; `None`: not there.
    pub before: Option<String>,
    /// As it is; `None`: not there any more.
    pub after: Option<String>,
}

/// Everything that differs between two snapshots, in the order of the new one.
pub fn compare(before: &str, after: &str) -> Vec<Change> {
    let (was, is) = (figures(before), figures(after));
    let of = |all: &[(String, String, String)], section: &str, figure: &str| {
        let found = all.iter().find(|(s, f, _)| s == section && f == figure);
        found.map(|(_, _, value)| value.clone())
    };
    let mut changes = Vec::new();
    for (section, figure, value) in &is {
        let old = of(&was, section, figure);
        if old.as_ref() != Some(value) {
            changes.push(Change {
                section: section.clone(),
                figure: figure.clone(),
                before: old,
                after: Some(value.clone()),
            });
        }
    }
    for (section, figure, value) in was {
        if of(&is, &section, &figure).is_none() {
            changes.push(Change {
                section,
                figure,
                before: Some(value),
                after: None,
            });
        }
    }
    // What is gone from a section stands with the rest of it.
    let order: Vec<String> = changes
        .iter()
        .map(|change| change.section.clone())
        .collect();
    changes.sort_by_key(|change| order.iter().position(|s| *s == change.section));
    changes
}

/// (section, figure, value) of every line.
fn figures(text: &str) -> Vec<(String, String, String)> {
    let mut section = String::new();
    let mut all = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            name.clone_into(&mut section);
            continue;
        }
        // A line that is none of ours differs from everything, so that it is seen.
        let (figure, value) = line.split_once(" = ").unwrap_or((line, ""));
        all.push((section.clone(), figure.to_owned(), value.to_owned()));
    }
    all
}

/// Changes for people, a section at a time.
pub fn shown(changes: &[Change]) -> String {
    let mut out = String::new();
    let mut section = None;
    for change in changes {
        if section != Some(&change.section) {
            section = Some(&change.section);
            out.push_str(&format!("[{}]\n", change.section));
        }
        let figure = &change.figure;
        out.push_str(&match (&change.before, &change.after) {
            (Some(before), Some(after)) => format!("  ~ {figure}: {before} -> {after}\n"),
            (None, after) => format!("  + {figure}: {}\n", after.as_deref().unwrap_or("")),
            (Some(before), None) => format!("  - {figure}: {before}\n"),
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_by_section_and_layout_does_not_count() {
        let before =
            "# a\n[load x]\np50 = 1 ms\nstatus 200 = 100 %\n\n[findings]\nTT-A = error: gone\n";
        let after = "[load x]\r\np50 = 2 ms\r\nstatus 503 = 1 %\r\n[workload w]\r\nqueue = 3\r\n";
        let changes = compare(before, after);
        let expected = "\
[load x]
  ~ p50: 1 ms -> 2 ms
  + status 503: 1 %
  - status 200: 100 %
[workload w]
  + queue: 3
[findings]
  - TT-A: error: gone
";
        assert_eq!(shown(&changes), expected);
        assert_eq!(compare(before, &before.replace('\n', "\r\n")), Vec::new());
    }

    #[test]
    fn a_broken_snapshot_is_a_difference() {
        let changes = compare(
            "<<<<<<< HEAD\n[load x]\np50 = 1 ms\n",
            "[load x]\np50 = 1 ms\n",
        );
        assert_eq!(changes.len(), 1);
    }
}
