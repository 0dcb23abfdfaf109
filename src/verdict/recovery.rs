//! `TT-METASTABLE` and `TT-SLOW-RECOVERY`: the trigger is gone and the damage stays.
//!
//! A metastable failure keeps itself alive: retries and queues make the work that fails them
//! (Bronson et al., *Metastable Failures in Distributed Systems*, HotOS 2021). It is told from a
//! lasting outage by its trigger being over.

use super::course::{Window, trigger, windows};
use super::{Context, causes, percent, retry_storm};
use crate::observe::Record;
use crate::observe::record::{Finding, Severity};

/// Goodput within this of what it was counts as recovered.
const RECOVERED: f64 = 0.97;
/// Windows in a row that have to be good.
const IN_A_ROW: usize = 3;

pub(super) fn judge(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let record = context.record;
    let Some((begin, end)) = trigger(record) else {
        return;
    };
    for (index, client) in (0..).zip(&record.clients) {
        let course = windows(record, &record.series, index);
        let Some(before) = mean(course.iter().filter(|w| w.at < begin)) else {
            continue;
        };
        let after: Vec<&Window> = course.iter().filter(|w| w.at >= end).collect();
        if after.len() < IN_A_ROW || before <= 0.0 {
            continue;
        }
        let worst = (course.iter().filter(|w| w.at >= begin))
            .filter_map(|w| w.goodput)
            .fold(before, f64::min);
        let recovered = recovered_at(&after, before * RECOVERED);
        let lasted = end - begin;
        let chain = vec![
            format!("{begin:.1}s: {}", first_sentence(context)),
            format!(
                "goodput of `{}` fell from {} to {}",
                client.name,
                percent(before),
                percent(worst)
            ),
            format!("{end:.1}s: the trigger was over"),
        ];
        match recovered {
            None => {
                let left = mean(after.iter().rev().take(5).copied()).unwrap_or(0.0);
                if left >= before * RECOVERED {
                    // Few requests in a window: chance alone keeps a row of them from being good.
                    continue;
                }
                findings.push(Finding {
                    code: "TT-METASTABLE",
                    severity: Severity::Error,
                    what: format!(
                        "`{}` does not recover: {:.0} s after the trigger was over {} of its requests succeed, {} did before",
                        client.name,
                        record.duration.as_secs_f64() - end,
                        percent(left),
                        percent(before)
                    ),
                    chain,
                    cause: causes::of_work(context, client),
                    help: "less work per failure ends it: fewer retries (or a retry budget), timeouts that callers do not outlive, a shorter queue, load shedding".to_owned(),
                    edges: Vec::new(),
                    counterfactual: None,
                });
            }
            Some(at) if at - end > (2.0 * lasted).max(10.0) => findings.push(Finding {
                code: "TT-SLOW-RECOVERY",
                severity: Severity::Warning,
                what: format!(
                    "`{}` needs {:.1} s to recover from a trigger of {lasted:.1} s",
                    client.name,
                    at - end
                ),
                chain,
                cause: causes::most_retried(context, client, causes::AMPLIFIED)
                    .and_then(|edge| retry_storm::cause(context, edge))
                    .or_else(|| causes::of_queue(context)),
                help: "a queue that has grown is worked off at the spare capacity: more headroom, a shorter queue, or fewer retries".to_owned(),
                edges: Vec::new(),
                counterfactual: None,
            }),
            Some(_) => {}
        }
    }
}

/// Seconds from the end of the trigger until every load is as good as it was; `None` when there was
/// no trigger, or some load does not recover.
pub fn recovered_after(record: &Record) -> Option<f64> {
    let (begin, end) = trigger(record)?;
    let mut longest: f64 = 0.0;
    for (index, _) in (0..).zip(&record.clients) {
        let course = windows(record, &record.series, index);
        let before = mean(course.iter().filter(|w| w.at < begin))?;
        let after: Vec<&Window> = course.iter().filter(|w| w.at >= end).collect();
        longest = longest.max(recovered_at(&after, before * RECOVERED)? - end);
    }
    Some(longest)
}

fn first_sentence(context: &Context<'_>) -> String {
    let first = context.record.happenings.first();
    first.map_or_else(String::new, |h| h.what.clone())
}

/// Mean goodput of some windows.
fn mean<'w>(windows: impl Iterator<Item = &'w Window>) -> Option<f64> {
    let values: Vec<f64> = windows.filter_map(|w| w.goodput).collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Begin of the first good windows after which a row of them is good.
fn recovered_at(after: &[&Window], enough: f64) -> Option<f64> {
    let good = |w: &&Window| w.goodput.is_none_or(|g| g >= enough);
    let rows = after.windows(IN_A_ROW);
    let mut found = rows.filter(|row| row.iter().all(good));
    found.next().map(|row| row[0].at)
}
