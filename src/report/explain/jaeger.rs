//! Jaeger's own JSON, as its UI downloads and uploads traces (jaeger-ui, `types/trace.ts`).

use serde_json::{Value, json};

use super::super::json::pretty;
use super::{end_of, is_error, operation, span_id, tags, trace_id, unix_ns};
use crate::explain::Explanation;
use crate::explain::trace::Span;

/// The request as one trace, a process per workload.
pub fn render(explanation: &Explanation) -> String {
    let trace = trace_id(explanation);
    let mut workloads: Vec<&str> = Vec::new();
    let mut spans: Vec<Value> = Vec::new();
    for (id, span) in explanation.spans.iter().enumerate() {
        let known = workloads.iter().position(|w| *w == span.workload);
        let process = known.unwrap_or_else(|| {
            workloads.push(&span.workload);
            workloads.len() - 1
        });
        spans.push(one(explanation, &trace, id, span, process));
    }
    let processes: serde_json::Map<String, Value> = workloads
        .iter()
        .enumerate()
        .map(|(index, workload)| {
            let process = json!({ "serviceName": workload, "tags": [] });
            (format!("p{}", index + 1), process)
        })
        .collect();
    pretty(&json!({
        "data": [{ "traceID": trace, "spans": spans, "processes": processes, "warnings": null }],
        "total": 0,
        "limit": 0,
        "offset": 0,
        "errors": null,
    }))
}

fn one(explanation: &Explanation, trace: &str, id: usize, span: &Span, process: usize) -> Value {
    let begin = unix_ns(span.begin) / 1_000;
    let end = unix_ns(end_of(explanation, span)) / 1_000;
    let references: Vec<Value> = span
        .parent
        .map(|parent| {
            json!({ "refType": "CHILD_OF", "traceID": trace, "spanID": span_id(trace, parent) })
        })
        .into_iter()
        .collect();
    let mut all: Vec<Value> = tags(span).iter().map(|(k, v)| text(k, v)).collect();
    if is_error(span) {
        all.push(json!({ "key": "error", "type": "bool", "value": true }));
    }
    let decisions = span
        .told
        .iter()
        .map(|told| (told.at.unwrap_or(span.begin), told.what.as_str()));
    let phases = span
        .phases
        .iter()
        .map(|phase| (phase.begin, phase.kind.as_str()));
    let logs: Vec<Value> = decisions
        .chain(phases)
        .map(|(at, what)| json!({ "timestamp": unix_ns(at) / 1_000, "fields": [text("event", what)] }))
        .collect();
    json!({
        "traceID": trace,
        "spanID": span_id(trace, id),
        "operationName": operation(span),
        "references": references,
        "startTime": begin,
        "duration": end - begin,
        "tags": all,
        "logs": logs,
        "processID": format!("p{}", process + 1),
        "warnings": null,
    })
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "type": "string", "value": value })
}
