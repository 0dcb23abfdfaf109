//! Pods that joined while the run went on: what they got, and how long their requests took.

use super::{heading, legend};
use crate::observe::record::{JoinRecord, JoinWindow, Record};
use crate::report::format::{count, duration, percent};
use crate::report::table::{Align, Table};
use crate::units::SimDuration;

/// Pods that are shown.
const PODS_MAX: usize = 4;

/// Nothing where nobody joined.
pub(super) fn block(out: &mut String, record: &Record) {
    let shown: Vec<&JoinRecord> = (record.joined.iter())
        .filter(|joined| joined.windows.iter().any(|window| window.of > 0))
        .take(PODS_MAX)
        .collect();
    if shown.is_empty() {
        return;
    }
    heading(out, "Pods that joined");
    let mut words = "at: when every proxy knew of it; after: the time since then; requests: that reached the pod; share: of those of its \
         workload; even: what each of its endpoints would have; p99: from arrival at the pod to its answer; others: the same at the \
         workload's other pods"
        .to_owned();
    if record.replications > 1 {
        words.push_str("; of the first replication");
    }
    legend(out, &words);
    let mut table = Table::new(&[
        ("WORKLOAD, POD", Align::Flex),
        ("AT", Align::Right),
        ("AFTER", Align::Right),
        ("REQUESTS", Align::Right),
        ("SHARE", Align::Right),
        ("EVEN", Align::Right),
        ("P99", Align::Right),
        ("OTHERS", Align::Right),
    ]);
    let mut workload = "";
    for joined in &shown {
        if workload != joined.workload {
            workload = &joined.workload;
            table.title(workload);
        }
        rows(&mut table, joined);
    }
    out.push_str(&table.render(2));
    let rest = record.joined.len() - shown.len();
    if rest > 0 {
        out.push_str(&format!(
            "  … and {} more (-o json lists them)\n",
            count(rest as u64)
        ));
    }
}

/// A row per window; the first one names the pod.
fn rows(table: &mut Table, joined: &JoinRecord) {
    let length = |time: Option<SimDuration>| time.map_or_else(|| "-".to_owned(), duration);
    let at = format!("{:.2}s", joined.at.as_secs_f64());
    let mut name = (joined.pod.clone(), at);
    for window in &joined.windows {
        let (pod, at) = std::mem::take(&mut name);
        table.row([
            pod,
            at,
            span(window),
            count(window.requests),
            window.share().map_or_else(|| "-".to_owned(), percent),
            percent(window.even_share()),
            length(window.p99),
            length(window.others_p99),
        ]);
    }
}

/// `2-5 s`; one that something cut short ends with a tenth.
fn span(window: &JoinWindow) -> String {
    let (from, until) = (window.from.as_secs_f64(), window.until.as_secs_f64());
    if (until - until.round()).abs() < 1e-9 {
        format!("{from:.0}-{until:.0} s")
    } else {
        format!("{from:.0}-{until:.1} s")
    }
}
