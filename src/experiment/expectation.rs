//! Whether what a scenario expects holds, over replications.
//!
//! Each replication gives every figure one value. With one replication that value decides. With
//! several, the 95 % confidence interval of their mean does: an expectation passes when the whole
//! interval is on the right side of the bound, fails when it is wholly on the wrong side, and is
//! *undecided* otherwise. Where a mean would hide the one run that matters (maxima, counters,
//! `==`, recovery), every replication has to hold.

use crate::config::scenario::{
    Assertion, Expectation, Figure, FigureKind, Relation, Statistic, Unit,
};
use crate::observe::record::{
    ClientRecord, EdgeRecord, Ended, ExpectationRecord, Quantity, Record, SeriesPoint, Verdict,
    WorkloadRecord,
};
use crate::observe::{Histogram, Interval};
use crate::units::{Origins, SimDuration};
use crate::verdict;
use crate::xds::Snapshot;

/// The value of every figure in one replication; `None` where nothing was counted.
pub type Values = Vec<Option<f64>>;

/// Takes the figures of one replication's record, in the order of the expectations. Of a finding
/// that is to be there or not, the figure is 1 where it is.
pub fn measure(expectations: &[Expectation], record: &Record, snapshot: &Snapshot) -> Values {
    let asks =
        |e: &Expectation| matches!(e.assertion, Assertion::NoFinding(_) | Assertion::Finding(_));
    let findings = if expectations.iter().any(asks) {
        verdict::judge(record, snapshot)
    } else {
        Vec::new()
    };
    let of = |expectation: &Expectation| match &expectation.assertion {
        Assertion::Compare { figure, .. } => value(figure, record),
        Assertion::NoFinding(code) | Assertion::Finding(code) => {
            let is_there = findings.iter().any(|finding| finding.code == &**code);
            Some(if is_there { 1.0 } else { 0.0 })
        }
    };
    expectations.iter().map(of).collect()
}

/// Judges what is expected of figures. `replications`: what [`measure`] said of each. What is
/// expected of findings stays undecided until [`settle_findings`].
pub fn judge(
    expectations: &[Expectation],
    replications: &[Values],
    origins: &Origins,
) -> Vec<ExpectationRecord> {
    let one = |(index, expectation): (usize, &Expectation)| {
        let mut record = ExpectationRecord {
            text: expectation.text.to_string(),
            place: origins.place(expectation.origin),
            verdict: Verdict::Undecided,
            unit: None,
            value: None,
            interval: None,
            bound: None,
            why: None,
        };
        match &expectation.assertion {
            // Those of all replications together come last; see `settle_findings`.
            Assertion::Finding(_) => {}
            Assertion::NoFinding(_) => {
                let has = |values: &&Values| values[index].is_some_and(|there| there > 0.0);
                let found = replications.iter().filter(has).count();
                if found > 0 {
                    record.verdict = Verdict::Fail;
                    let all = replications.len();
                    record.why = (all > 1).then(|| format!("in {found} of {all} replications"));
                }
            }
            Assertion::Compare {
                figure,
                relation,
                bound,
            } => {
                let values = replications.iter().map(|values| values[index]);
                record.unit = Some(quantity(figure.kind.unit()));
                record.bound = Some(*bound);
                compare(
                    figure,
                    *relation,
                    *bound,
                    &values.collect::<Vec<_>>(),
                    &mut record,
                );
            }
        }
        record
    };
    expectations.iter().enumerate().map(one).collect()
}

/// Judges what is expected of findings, when the record has them.
pub fn settle_findings(expectations: &[Expectation], record: &mut Record) {
    for (expectation, judged) in expectations.iter().zip(&mut record.expectations) {
        let (Assertion::NoFinding(code) | Assertion::Finding(code)) = &expectation.assertion else {
            continue;
        };
        let found = record
            .findings
            .iter()
            .find(|finding| finding.code == &**code);
        if matches!(expectation.assertion, Assertion::Finding(_)) {
            judged.verdict = if found.is_some() {
                Verdict::Pass
            } else {
                Verdict::Fail
            };
            judged.why = (found.is_none()).then(|| format!("the run has no finding {code}"));
            continue;
        }
        match (found, judged.verdict) {
            (Some(finding), _) => {
                judged.verdict = Verdict::Fail;
                // Findings are settled again when more of them were looked for.
                let said = judged.why.take();
                judged.why = Some(match said {
                    Some(said) if said.starts_with(&finding.what) => said,
                    Some(count) => format!("{} ({count})", finding.what),
                    None => finding.what.clone(),
                });
            }
            (None, Verdict::Fail) => {}
            (None, _) => judged.verdict = Verdict::Pass,
        }
    }
    if record.ended == Ended::TooMuchInFlight {
        doubt(expectations, &mut record.expectations);
    }
}

/// What holds up to the moment when a run was ended may not hold for what was still under way.
fn doubt(expectations: &[Expectation], judged: &mut [ExpectationRecord]) {
    for (expectation, judged) in expectations.iter().zip(judged) {
        let is_there = matches!(expectation.assertion, Assertion::Finding(_));
        if !is_there && judged.verdict == Verdict::Pass {
            judged.verdict = Verdict::Undecided;
            let why = "the run ended early, with more in flight than it may hold";
            judged.why = Some(why.to_owned());
        }
    }
}

const fn quantity(unit: Unit) -> Quantity {
    match unit {
        Unit::Milliseconds => Quantity::Milliseconds,
        Unit::Share => Quantity::Share,
        Unit::PerSecond => Quantity::PerSecond,
        Unit::Number => Quantity::Number,
    }
}

fn compare(
    figure: &Figure,
    relation: Relation,
    bound: f64,
    values: &[Option<f64>],
    record: &mut ExpectationRecord,
) {
    let counted: Vec<f64> = values.iter().copied().flatten().collect();
    if counted.is_empty() {
        record.why = Some("nothing was counted that it could be judged by".to_owned());
        return;
    }
    if figure.kind.every_replication() || relation.is_exact() {
        let broken: Vec<f64> = counted
            .iter()
            .copied()
            .filter(|v| !relation.holds(*v, bound))
            .collect();
        record.verdict = if broken.is_empty() {
            Verdict::Pass
        } else {
            Verdict::Fail
        };
        let least = matches!(relation, Relation::Greater | Relation::AtLeast);
        let of = if broken.is_empty() { &counted } else { &broken };
        let worst = |a: f64, b: f64| if least { a.min(b) } else { a.max(b) };
        record.value = of.iter().copied().reduce(worst);
        if !broken.is_empty() && values.len() > 1 {
            record.why = Some(format!(
                "in {} of {} replications",
                broken.len(),
                values.len()
            ));
        }
        return;
    }
    let mean = counted.iter().sum::<f64>() / counted.len() as f64;
    let Some(interval) = Interval::of(&counted) else {
        record.value = Some(mean);
        record.verdict = if relation.holds(mean, bound) {
            Verdict::Pass
        } else {
            Verdict::Fail
        };
        return;
    };
    let (low, high) = (interval.mean - interval.half, interval.mean + interval.half);
    record.value = Some(interval.mean);
    record.interval = Some((low, high));
    record.verdict = match (relation.holds(low, bound), relation.holds(high, bound)) {
        (true, true) => Verdict::Pass,
        (false, false) => Verdict::Fail,
        _ => {
            record.why =
                Some("the bound is within the interval; more replications would tell".to_owned());
            Verdict::Undecided
        }
    };
}

fn value(figure: &Figure, record: &Record) -> Option<f64> {
    let to = figure.to.as_deref().unwrap_or_default();
    match &figure.kind {
        FigureKind::Stat(name) => Some(stat(record, figure.from.as_deref()?, to, name)),
        FigureKind::Share(of) => share(record, figure, of),
        FigureKind::Utilisation => workload(record, to)?.utilisation,
        // A workload that nobody called had no queue.
        FigureKind::QueueMean => Some(workload(record, to).map_or(0.0, |w| w.queue_mean)),
        FigureKind::QueueMax => Some(workload(record, to).map_or(0.0, |w| w.queue_max as f64)),
        FigureKind::QueueTime(statistic) => taken(*statistic, &workload(record, to)?.queue_time),
        FigureKind::RecoveryTime { after, error_rate } => {
            recovery(figure, *after, *error_rate, record)
        }
        FigureKind::Latency(_)
        | FigureKind::ErrorRate
        | FigureKind::Amplification
        | FigureKind::RequestsPerSecond => match figure.between {
            Some(span) => in_windows(figure, span, record),
            None => of_calls(figure, record),
        },
    }
}

/// Figures of whole loads, or of calls.
fn of_calls(figure: &Figure, record: &Record) -> Option<f64> {
    let calls = if figure.from.is_some() || figure.to.is_some() {
        let mut calls = Calls::default();
        record
            .edges
            .iter()
            .filter(|edge| is_meant(figure, edge))
            .for_each(|e| calls.edge(e));
        calls
    } else {
        let mut calls = Calls::default();
        let clients = record.clients.iter();
        clients
            .filter(|c| is_load(figure, &c.name))
            .for_each(|c| calls.client(c));
        calls
    };
    let requests = calls.requests as f64;
    if let FigureKind::RequestsPerSecond = figure.kind {
        let seconds = record.duration.as_secs_f64() - record.warm_up.as_secs_f64();
        return (seconds > 0.0).then(|| requests / seconds);
    }
    if calls.requests == 0 {
        return None;
    }
    match figure.kind {
        FigureKind::Latency(statistic) => taken(statistic, &calls.latency),
        FigureKind::ErrorRate => Some(calls.errors as f64 / requests),
        _ => Some(calls.attempts as f64 / requests),
    }
}

/// What was counted of some calls.
#[derive(Default)]
struct Calls {
    requests: u64,
    errors: u64,
    attempts: u64,
    latency: Histogram,
}

impl Calls {
    fn edge(&mut self, edge: &EdgeRecord) {
        self.requests += edge.requests;
        self.attempts += edge.attempts;
        self.errors += failed(&edge.statuses);
        self.latency.merge(&edge.latency);
    }

    fn client(&mut self, client: &ClientRecord) {
        self.requests += client.requests;
        self.attempts += client
            .attempts
            .iter()
            .map(|(tries, n)| u64::from(*tries) * n)
            .sum::<u64>();
        self.errors += failed(&client.statuses);
        self.latency.merge(&client.latency);
    }
}

/// Answers with 5xx, with a gRPC status other than OK, or none.
pub(super) fn failed(statuses: &std::collections::BTreeMap<String, u64>) -> u64 {
    let is_failure =
        |status: &str| status == "0" || status.starts_with('5') || status.starts_with("grpc");
    statuses
        .iter()
        .filter(|(status, _)| is_failure(status))
        .map(|(_, n)| n)
        .sum()
}

fn taken(statistic: Statistic, histogram: &Histogram) -> Option<f64> {
    let length = match statistic {
        _ if histogram.is_empty() => return None,
        Statistic::Quantile(q) => histogram.quantile(q),
        Statistic::Mean => histogram.mean(),
        Statistic::Max => histogram.max(),
    };
    Some(length.as_millis_f64())
}

/// Figures of the windows that lie wholly within a span; percentiles are those of the worst one.
fn in_windows(figure: &Figure, span: (SimDuration, SimDuration), record: &Record) -> Option<f64> {
    let length = record.series.window.ns();
    let within = |point: &&SeriesPoint| {
        point.at.ns() >= span.0.ns() && point.at.ns().saturating_add(length) <= span.1.ns()
    };
    let points: Vec<&SeriesPoint> = points_of(figure, record).filter(within).collect();
    let sum = |count: fn(&SeriesPoint) -> u64| points.iter().map(|p| count(p)).sum::<u64>() as f64;
    let requests = sum(|p| p.requests);
    if let FigureKind::RequestsPerSecond = figure.kind {
        let seconds = span.1.as_secs_f64() - span.0.as_secs_f64();
        return (!points.is_empty()).then(|| requests / seconds);
    }
    if requests <= 0.0 {
        return None;
    }
    match figure.kind {
        FigureKind::ErrorRate => Some(sum(|p| p.errors) / requests),
        FigureKind::Amplification => Some(sum(|p| p.attempts) / requests),
        FigureKind::Latency(Statistic::Quantile(q)) => {
            let filled = points.iter().filter(|p| p.requests > 0);
            let worst = filled.map(|p| if q > 0.9 { p.p99 } else { p.p50 }).max();
            worst.map(SimDuration::as_millis_f64)
        }
        _ => None,
    }
}

fn points_of<'a>(figure: &'a Figure, record: &'a Record) -> impl Iterator<Item = &'a SeriesPoint> {
    record.series.points.iter().filter(|point| {
        let client = record.clients.get(point.client as usize);
        client.is_some_and(|client| is_load(figure, &client.name))
    })
}

/// Milliseconds from `after` to the start of the first window from which on no window of the load
/// has more errors than `error_rate`; infinite when the last one still has.
fn recovery(figure: &Figure, after: SimDuration, error_rate: f64, record: &Record) -> Option<f64> {
    let mut windows = std::collections::BTreeMap::<u64, (u64, u64)>::new();
    for point in points_of(figure, record).filter(|point| point.requests > 0) {
        let window = windows.entry(point.at.ns()).or_default();
        window.0 += point.errors;
        window.1 += point.requests;
    }
    let length = record.series.window.ns();
    let end = record.duration.ns();
    let mut later = windows
        .range(after.ns().saturating_sub(length)..end)
        .peekable();
    later.peek()?;
    let is_bad = |(_, (errors, requests)): &(&u64, &(u64, u64))| {
        *errors as f64 > error_rate * *requests as f64
    };
    let last = windows.range(..end).next_back().map(|(at, _)| *at);
    let last_bad = later.rfind(is_bad).map(|(at, _)| *at);
    Some(match last_bad {
        None => 0.0,
        bad if bad == last => f64::INFINITY,
        Some(at) => SimDuration::from_ns((at + length).saturating_sub(after.ns())).as_millis_f64(),
    })
}

fn stat(record: &Record, from: &str, cluster: &str, name: &str) -> f64 {
    let meant = |c: &&crate::observe::record::ClusterRecord| {
        is_workload(from, &c.workload) && is_cluster(cluster, &c.cluster)
    };
    let values = record
        .clusters
        .iter()
        .filter(meant)
        .filter_map(|c| c.stats.get(name));
    values.sum::<u64>() as f64
}

fn share(record: &Record, figure: &Figure, of: &str) -> Option<f64> {
    let taken = |edge: &EdgeRecord| {
        subset(&edge.cluster) == Some(of) || edge.cluster == of || is_workload(of, &edge.to)
    };
    // Without `to`, the whole is what went to the Services that the part belongs to.
    let services: Vec<&str> = record
        .edges
        .iter()
        .filter(|e| taken(e))
        .map(|e| e.service.as_str())
        .collect();
    let of_whole = |edge: &&EdgeRecord| {
        is_meant(figure, edge) && (figure.to.is_some() || services.contains(&edge.service.as_str()))
    };
    let (mut part, mut whole) = (0, 0);
    for edge in record.edges.iter().filter(of_whole) {
        whole += edge.requests;
        part += if taken(edge) { edge.requests } else { 0 };
    }
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn workload<'a>(record: &'a Record, name: &str) -> Option<&'a WorkloadRecord> {
    record
        .workloads
        .iter()
        .find(|workload| is_workload(name, &workload.name))
}

fn is_load(figure: &Figure, name: &str) -> bool {
    figure.load.as_deref().is_none_or(|load| load == name)
}

fn is_meant(figure: &Figure, edge: &EdgeRecord) -> bool {
    figure
        .from
        .as_deref()
        .is_none_or(|from| is_workload(from, &edge.from))
        && figure
            .to
            .as_deref()
            .is_none_or(|to| is_workload(to, &edge.to) || is_service(to, &edge.service))
}

/// `namespace/name`, or the name alone.
pub(super) fn is_workload(written: &str, workload: &str) -> bool {
    written == workload
        || workload
            .split_once('/')
            .is_some_and(|(_, name)| name == written)
}

/// A host, as much of its beginning as a label or two, or `namespace/name`.
pub(super) fn is_service(written: &str, host: &str) -> bool {
    let host = host.split(':').next().unwrap_or(host);
    let begins = |start: &str| {
        host.strip_prefix(start)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    match written.split_once('/') {
        Some((namespace, name)) => begins(&format!("{name}.{namespace}")),
        None => begins(written),
    }
}

/// A cluster's name, or the Service (and `service/subset`) in it.
pub(super) fn is_cluster(written: &str, cluster: &str) -> bool {
    if written == cluster {
        return true;
    }
    let Some((_, host)) = cluster.rsplit_once('|') else {
        return false;
    };
    is_service(written, host)
        || written.rsplit_once('/').is_some_and(|(service, name)| {
            is_service(service, host) && subset(cluster) == Some(name)
        })
}

/// `v2` of `outbound|9080|v2|reviews.production.svc.cluster.local`.
pub(super) fn subset(cluster: &str) -> Option<&str> {
    let name = cluster.split('|').nth(2)?;
    (!name.is_empty()).then_some(name)
}
