//! `TT-ROLLOUT-LOSS`: requests fail while a rolling update replaces pods, and not besides.

use std::collections::BTreeMap;

use super::course::windows;
use super::{Context, causes, percent};
use crate::observe::record::{Finding, Severity, flagged};
use crate::xds::ProxyKind;

/// Words of the sentences that tell of a rolling update's begin and end.
const BEGINS: &str = " is rolled out anew";
const ENDS: (&str, &str) = ("every pod of ", " is new");
/// Failures from which it is named, and how much more often they have to be than at other times.
const FAILED_MIN: f64 = 5.0;
const TIMES_MORE: f64 = 5.0;

pub(super) fn judge(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let record = context.record;
    let mut updates = record.happenings.iter();
    let Some(begin) = updates.find(|h| h.what.ends_with(BEGINS)) else {
        return;
    };
    let from = begin.at.as_secs_f64();
    let name = begin.what.strip_suffix(BEGINS).unwrap_or_default();
    let end = End::of(context, name);
    let is_end = |what: &str| what.starts_with(ENDS.0) && what.ends_with(ENDS.1);
    let until = (record.happenings.iter())
        .filter(|h| is_end(&h.what))
        // Old pods go on for a while after the last new one is ready.
        .map(|h| h.at.as_secs_f64() + end.map_or(0.0, |end| end.pre_stop + end.lasts))
        .fold(from, f64::max);
    let until = if until > from {
        until
    } else {
        record.duration.as_secs_f64()
    };
    for (index, client) in (0..).zip(&record.clients) {
        let length = record.series.window.as_secs_f64();
        let (mut during, mut besides) = ((0.0, 0.0), (0.0, 0.0));
        for window in windows(record, &record.series, index) {
            let (failed, requests) = (window.errors as f64, window.requests as f64);
            let inside = window.at + length > from && window.at < until + length;
            let sum = if inside { &mut during } else { &mut besides };
            sum.0 += failed;
            sum.1 += requests;
        }
        let share = |(failed, requests): (f64, f64)| failed / requests.max(1.0);
        if during.0 < FAILED_MIN || share(during) < TIMES_MORE * share(besides) {
            continue;
        }
        findings.push(Finding {
            code: "TT-ROLLOUT-LOSS",
            severity: Severity::Warning,
            what: format!(
                "{:.0} requests of `{}` ({}) fail while pods are replaced, from {from:.1} s to {until:.1} s; {} besides",
                during.0,
                client.name,
                percent(share(during)),
                percent(share(besides))
            ),
            chain: [begin.what.clone()]
                .into_iter()
                .chain(causes(&client.flags))
                .chain(by_the_pod(&client.flags, during.0))
                .chain(end.map(End::told))
                .collect(),
            cause: causes::ending(context, name, &client.flags),
            help: "give endpoints time to leave before pods do (`preStop: sleep` longer than a push takes) and requests time to end (`terminationDrainDuration` and grace longer than they take); a readiness probe that tells the truth, `maxUnavailable: 0`".to_owned(),
            edges: vec![(name.to_owned(), String::new())],
            counterfactual: None,
        });
    }
}

/// Errors without a flag: the pod's own sidecar answered them.
fn by_the_pod(flags: &BTreeMap<String, u64>, failed: f64) -> Option<String> {
    let flagged: u64 = flags
        .iter()
        .filter(|(f, _)| *f != "-")
        .map(|(_, n)| n)
        .sum();
    let rest = failed - flagged as f64;
    (rest >= 1.0).then(|| {
        format!("{rest:.0} × answered 503 by the pod's sidecar: it had been told to end and was still an endpoint")
    })
}

/// How a pod ends, in seconds: four settings say it, and the shortest counts.
#[derive(Clone, Copy)]
struct End {
    /// It serves on for so long.
    pre_stop: f64,
    /// Then it has so long at most for what it has begun.
    lasts: f64,
    /// What ends that.
    which: &'static str,
}

impl End {
    fn of(context: &Context<'_>, name: &str) -> Option<Self> {
        let workload = context.workload(name)?;
        let life = &workload.lifecycle;
        let pre_stop = life.pre_stop().as_secs_f64();
        let drain = life.drain().as_secs_f64();
        let rest = life.grace().as_secs_f64() - pre_stop;
        let (lasts, which) = match workload.proxy {
            ProxyKind::None => (
                rest,
                "there is no sidecar, terminationGracePeriodSeconds ends it",
            ),
            _ if life.exit_on_zero => (
                rest,
                "EXIT_ON_ZERO_ACTIVE_CONNECTIONS lets the sidecar stay while there is something to do",
            ),
            _ if drain > rest => (rest, "terminationGracePeriodSeconds ends it"),
            _ => (
                drain,
                "terminationDrainDuration ends it, however much grace is left",
            ),
        };
        Some(Self {
            pre_stop,
            lasts,
            which,
        })
    }

    fn told(self) -> String {
        format!(
            "a pod that is to end serves on for {:.0} s (preStop), then has {:.0} s for what it has begun: {}",
            self.pre_stop, self.lasts, self.which
        )
    }
}

/// What the failures were, the most frequent first.
fn causes(flags: &BTreeMap<String, u64>) -> Option<String> {
    const WORDS: [(&str, &str); 5] = [
        (
            "UF",
            "connections refused: the pod was gone and still an endpoint",
        ),
        ("UC", "connections closed while an answer was awaited"),
        ("UH", "no endpoint was ready"),
        ("UO", "limits were full: too few pods were left"),
        ("UT", "timeouts: too few pods were left"),
    ];
    let mut seen: Vec<(u64, &str)> = WORDS
        .iter()
        .map(|(flag, words)| (flagged(flags, flag), *words))
        .collect();
    seen.retain(|(n, _)| *n > 0);
    seen.sort_by_key(|(n, _)| std::cmp::Reverse(*n));
    let words: Vec<String> = seen
        .iter()
        .map(|(n, words)| format!("{n} × {words}"))
        .collect();
    (!words.is_empty()).then(|| words.join("; "))
}
