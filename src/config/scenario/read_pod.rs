//! `queueDiscipline`, `warmUp`, `pauses`, `cpu` and `deadline` of a workload.

use super::lengths::{Files, LENGTH_MAX, distribution};
use super::model::WorkloadModel;
use super::pod_model::{ColdStart, CpuLimit, QueueDiscipline, RuntimePauses};
use super::reader::{Fields, Report};
use crate::manifest::{Node, Value};
use crate::units::SimDuration;

pub(super) const CODEL_FIELDS: &[&str] = &["target", "interval"];
pub(super) const WARM_UP_FIELDS: &[&str] = &["for", "factor", "atStart"];
pub(super) const PAUSES_FIELDS: &[&str] = &["every", "for"];
pub(super) const CPU_FIELDS: &[&str] = &["limit", "perRequest"];

/// RFC 8289's own values.
const TARGET: SimDuration = SimDuration::from_ms(5);
const INTERVAL: SimDuration = SimDuration::from_ms(100);
/// Runtimes collect garbage less often than that.
const PAUSES_APART_MIN: SimDuration = SimDuration::from_ms(1);
/// More cores than a node has.
const MILLI_CORES_MAX: f64 = 1_000_000.0;

/// Reads what is written of them into a workload.
pub(super) fn pod(
    report: &mut Report,
    fields: Fields<'_>,
    read: &mut WorkloadModel,
    files: Files<'_>,
) {
    if let Some(node) = fields.get("queueDiscipline") {
        read.queue_discipline = discipline(report, node).unwrap_or_default();
    }
    if let Some(node) = fields.get("warmUp") {
        read.warm_up = warm_up(report, node);
    }
    if let Some(node) = fields.get("pauses") {
        read.pauses = pauses(report, node, files);
    }
    if let Some(node) = fields.get("cpu") {
        read.cpu = cpu(report, node, files);
    }
    if let Some(node) = fields.get("deadline") {
        let words = [("ignore", false), ("propagate", true)];
        read.propagates_deadlines = report.word(node, &words).unwrap_or_default();
    }
}

fn discipline(report: &mut Report, node: &Node) -> Option<QueueDiscipline> {
    let (codel, adaptive) = (
        |target, interval| QueueDiscipline::CoDel { target, interval },
        |target, interval| QueueDiscipline::AdaptiveLifo { target, interval },
    );
    if !matches!(node.value, Value::Mapping(_)) {
        let words = [
            ("fifo", QueueDiscipline::Fifo),
            ("lifo", QueueDiscipline::Lifo),
            ("codel", codel(TARGET, INTERVAL)),
            ("adaptiveLifo", adaptive(TARGET, INTERVAL)),
        ];
        return report.word(node, &words);
    }
    let fields = report.fields(node, "queueDiscipline", &["codel", "adaptiveLifo"]);
    let (at, is_codel) = match (fields.get("codel"), fields.get("adaptiveLifo")) {
        (Some(at), None) => (at, true),
        (None, Some(at)) => (at, false),
        _ => {
            let what = "a queue has one discipline".to_owned();
            let help = "write fifo, lifo, codel, adaptiveLifo, or `{codel: {target: 5ms, interval: 100ms}}`";
            report.error("TT-QUEUE", node, what, help);
            return None;
        }
    };
    let fields = report.fields(at, "a queue that throws away", CODEL_FIELDS);
    let mut length = |name, usual| match fields.get(name) {
        Some(node) => report.timeout(node, LENGTH_MAX),
        None => Some(usual),
    };
    let (target, interval) = (length("target", TARGET)?, length("interval", INTERVAL)?);
    Some(if is_codel {
        codel(target, interval)
    } else {
        adaptive(target, interval)
    })
}

fn warm_up(report: &mut Report, node: &Node) -> Option<ColdStart> {
    let fields = report.fields(node, "warmUp", WARM_UP_FIELDS);
    let help = "write for example `{for: 30s, factor: 3, atStart: true}`";
    let [length, factor] = ["for", "factor"].map(|f| fields.need(report, f, help));
    let at_start = match fields.get("atStart") {
        Some(node) => report.word(node, &[("true", true), ("false", false)])?,
        None => false,
    };
    let length = report.timeout(length?, LENGTH_MAX)?;
    let at = factor?;
    let factor = report.number(at)?;
    if !(1.0..=1000.0).contains(&factor) {
        let what = format!("factor {factor} is not between 1 and 1000");
        let help = "3: the first request takes three times as long";
        report.error("TT-NUMBER", at, what, help);
        return None;
    }
    Some(ColdStart {
        length,
        factor,
        at_start,
    })
}

fn pauses(report: &mut Report, node: &Node, files: Files<'_>) -> Option<RuntimePauses> {
    let fields = report.fields(node, "pauses", PAUSES_FIELDS);
    let help = "write for example `{every: {exponential: 10s}, for: 200ms}`";
    let [every, lasts] = PAUSES_FIELDS else {
        return None;
    };
    let [every, lasts] = [every, lasts].map(|f| fields.need(report, f, help));
    let (at, lasts) = (every?, distribution(report, lasts?, files));
    let every = distribution(report, at, files)?;
    if every.mean().is_some_and(|mean| mean < PAUSES_APART_MIN) {
        let what = format!("pauses less than {PAUSES_APART_MIN} apart are taken for a mistake");
        report.error("TT-DURATION", at, what, help);
        return None;
    }
    Some(RuntimePauses {
        every,
        lasts: lasts?,
    })
}

fn cpu(report: &mut Report, node: &Node, files: Files<'_>) -> Option<CpuLimit> {
    let fields = report.fields(node, "cpu", CPU_FIELDS);
    let help = "write for example `{limit: 500m, perRequest: 3ms}`";
    let limit = fields.need(report, "limit", help)?;
    let per_request = match fields.get("perRequest") {
        Some(node) => Some(distribution(report, node, files)?),
        None => None,
    };
    let text = report.text(limit)?;
    let (number, scale) = match text.strip_suffix('m') {
        Some(number) => (number, 1.0),
        None => (&*text, 1000.0),
    };
    let milli = number.parse::<f64>().map_or(0.0, |cores| cores * scale);
    if !(1.0..=MILLI_CORES_MAX).contains(&milli) {
        let what = format!("`{text}` is not an amount of CPU");
        let help = "write cores as Kubernetes does: `500m`, `2`, `0.5`";
        report.error("TT-CPU", limit, what, help);
        return None;
    }
    Some(CpuLimit {
        milli_cores: (milli + 0.5) as u32,
        per_request,
    })
}
