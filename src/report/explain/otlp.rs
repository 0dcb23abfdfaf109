//! OTLP/JSON: what an OpenTelemetry collector takes on `/v1/traces`, and what Jaeger's and
//! Grafana's upload buttons take as a file (opentelemetry-proto, `trace/v1/trace.proto`; ids are
//! hexadecimal and 64-bit numbers strings in its JSON form).

use serde_json::{Value, json};

use super::super::json::pretty;
use super::{end_of, is_error, operation, span_id, tags, trace_id, unix_ns};
use crate::explain::Explanation;
use crate::explain::trace::{Span, SpanKind};

/// `SPAN_KIND_INTERNAL`, `_SERVER`, `_CLIENT`.
const INTERNAL: u8 = 1;
const SERVER: u8 = 2;
const CLIENT: u8 = 3;

/// The request as one trace, a resource per workload in the order of their first spans.
pub fn render(explanation: &Explanation) -> String {
    let mut workloads: Vec<&str> = Vec::new();
    for span in &explanation.spans {
        if !workloads.contains(&span.workload.as_str()) {
            workloads.push(&span.workload);
        }
    }
    let resources: Vec<Value> = workloads
        .into_iter()
        .map(|workload| resource(explanation, workload))
        .collect();
    pretty(&json!({ "resourceSpans": resources }))
}

fn resource(explanation: &Explanation, workload: &str) -> Value {
    let trace = trace_id(explanation);
    let spans = explanation.spans.iter().enumerate();
    let spans: Vec<Value> = spans
        .filter(|(_, span)| span.workload == workload)
        .map(|(id, span)| one(explanation, &trace, id, span))
        .collect();
    json!({
        "resource": { "attributes": [attribute("service.name", workload)] },
        "scopeSpans": [{
            "scope": { "name": "towtank", "version": env!("CARGO_PKG_VERSION") },
            "spans": spans,
        }],
    })
}

fn one(explanation: &Explanation, trace: &str, id: usize, span: &Span) -> Value {
    let kind = match span.kind {
        SpanKind::Call => INTERNAL,
        SpanKind::Try => CLIENT,
        SpanKind::Server => SERVER,
    };
    let attributes: Vec<Value> = tags(span).iter().map(|(k, v)| attribute(k, v)).collect();
    let events: Vec<Value> = span
        .told
        .iter()
        .map(|told| {
            let at = told.at.unwrap_or(span.begin);
            json!({ "timeUnixNano": unix_ns(at).to_string(), "name": told.what })
        })
        .chain(span.phases.iter().map(|phase| {
            json!({ "timeUnixNano": unix_ns(phase.begin).to_string(), "name": phase.kind.as_str() })
        }))
        .collect();
    let parent = span
        .parent
        .map_or_else(String::new, |parent| span_id(trace, parent));
    // STATUS_CODE_ERROR, else unset.
    let status = if is_error(span) {
        json!({ "code": 2 })
    } else {
        json!({})
    };
    json!({
        "traceId": trace,
        "spanId": span_id(trace, id),
        "parentSpanId": parent,
        "name": operation(span),
        "kind": kind,
        "startTimeUnixNano": unix_ns(span.begin).to_string(),
        "endTimeUnixNano": unix_ns(end_of(explanation, span)).to_string(),
        "attributes": attributes,
        "events": events,
        "status": status,
    })
}

fn attribute(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}
