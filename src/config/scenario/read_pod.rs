//! `queueDiscipline`, `priority`, `pools`, `warmUp`, `pauses`, `cpu` and `deadline` of a workload.

use super::lengths::{Files, LENGTH_MAX, distribution};
use super::model::WorkloadModel;
use super::pod_model::{
    CallPool, ColdStart, CpuLimit, PriorityLevel, QueueDiscipline, RequestPriority, RuntimePauses,
};
use super::reader::{Fields, Report};
use crate::config::k8s::milli_cores;
use crate::diagnostic::nearest;
use crate::manifest::{Node, Value};
use crate::units::SimDuration;

pub(super) const CODEL_FIELDS: &[&str] = &["target", "interval"];
pub(super) const WARM_UP_FIELDS: &[&str] = &["for", "factor", "atStart"];
pub(super) const PAUSES_FIELDS: &[&str] = &["every", "for"];
pub(super) const PRIORITY_FIELDS: &[&str] = &["header", "order", "default", "shed"];
pub(super) const POOL_FIELDS: &[&str] = &["size", "timeout"];
pub(super) const CPU_FIELDS: &[&str] = &["limit", "perRequest"];

/// RFC 8289's own values.
const TARGET: SimDuration = SimDuration::from_ms(5);
const INTERVAL: SimDuration = SimDuration::from_ms(100);
/// Runtimes collect garbage less often than that.
const PAUSES_APART_MIN: SimDuration = SimDuration::from_ms(1);
/// More words for importance than people tell apart.
const LEVELS_MAX: usize = 16;
/// More than any pool is set to.
const POOL_MAX: u32 = 1_000_000;

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
    if let Some(node) = fields.get("priority") {
        read.priority = priority(report, node, read.queue.is_some());
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

fn priority(report: &mut Report, node: &Node, has_queue: bool) -> Option<RequestPriority> {
    let fields = report.fields(node, "priority", PRIORITY_FIELDS);
    let help = "write for example `{header: x-priority, order: [checkout, browse, batch]}`";
    let [header, order] = ["header", "order"].map(|f| fields.need(report, f, help));
    let header = report.text(header?)?.to_ascii_lowercase().into();
    let values = report.list(order, "values of the header").iter();
    let mut levels: Vec<PriorityLevel> = values
        .filter_map(|item| report.text(item))
        .map(|value| PriorityLevel {
            value,
            shed_from: None,
        })
        .collect();
    if !(2..=LEVELS_MAX).contains(&levels.len()) {
        let what = format!("{} values in `order`, of 2 to {LEVELS_MAX}", levels.len());
        report.error("TT-PRIORITY", order?, what, help);
        return None;
    }
    let mut default = levels.len() - 1;
    if let Some(node) = fields.get("default") {
        let value = report.text(node)?;
        default = level(report, &levels, &value, node)?;
    }
    if let Some(shed) = fields.get("shed") {
        if !has_queue {
            let what = "`shed` is a share of `queue`, and this one has no end".to_owned();
            report.error("TT-PRIORITY", shed, what, "write how long `queue` is");
            return None;
        }
        for (key, node) in shed.entries() {
            let at = level(report, &levels, &key.text, node)?;
            levels[at].shed_from = Some(report.parsed(node, "TT-PRIORITY")?);
        }
    }
    Some(RequestPriority {
        header,
        levels,
        default,
    })
}

/// Which level a value is.
fn level(report: &mut Report, levels: &[PriorityLevel], value: &str, node: &Node) -> Option<usize> {
    let found = levels.iter().position(|level| &*level.value == value);
    if found.is_none() {
        let help = match nearest(value, levels.iter().map(|level| &*level.value)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "it has to be one of `order`".to_owned(),
        };
        let what = format!("`{value}` is not in `order`");
        report.error("TT-PRIORITY", node, what, &help);
    }
    found
}

/// The pools that calls may take from, in the order of names.
pub(super) fn pools(report: &mut Report, node: &Node) -> Vec<CallPool> {
    if !matches!(node.value, Value::Mapping(_)) {
        let what = format!("`pools` needs a mapping, found {}", node.value.describe());
        report.error(
            "TT-WRONG-TYPE",
            node,
            what,
            "write for example `{db: {size: 10}}`",
        );
        return Vec::new();
    }
    let mut read: Vec<CallPool> = Vec::new();
    for (key, node) in node.entries() {
        let fields = report.fields(node, "a pool", POOL_FIELDS);
        let size = fields.need(
            report,
            "size",
            "write for example `{size: 10, timeout: 1s}`",
        );
        let Some(size) = size.and_then(|node| report.count32(node, 1, POOL_MAX)) else {
            continue;
        };
        let timeout = fields.get("timeout");
        read.push(CallPool {
            name: key.text.clone(),
            size,
            timeout: timeout.and_then(|node| report.timeout(node, LENGTH_MAX)),
        });
    }
    read.sort_by(|a, b| a.name.cmp(&b.name));
    read
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
    let per_request = match fields.get("perRequest") {
        Some(node) => Some(distribution(report, node, files)?),
        None => None,
    };
    let milli_cores = match fields.get("limit") {
        Some(node) => {
            let text = report.text(node)?;
            let milli = milli_cores(&text);
            if milli.is_none() {
                let what = format!("`{text}` is not an amount of CPU");
                let help = "write cores as Kubernetes does: `500m`, `2`, `0.5`";
                report.error("TT-CPU", node, what, help);
                return None;
            }
            milli
        }
        None => None,
    };
    Some(CpuLimit {
        milli_cores,
        per_request,
    })
}
