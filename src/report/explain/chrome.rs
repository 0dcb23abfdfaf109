//! The Trace Event format, which Perfetto (ui.perfetto.dev) and chrome://tracing open: a process
//! per workload, a track per pod, a slice per span and phase, an instant per decision.

use serde_json::{Value, json};

use super::super::json::pretty;
use super::{end_of, operation, tags};
use crate::explain::Explanation;
use crate::explain::trace::SpanKind;
use crate::units::SimTime;

/// The request as trace events; times are microseconds of virtual time.
pub fn render(explanation: &Explanation) -> String {
    let mut tracks = Tracks::default();
    let mut events: Vec<Value> = Vec::new();
    for span in &explanation.spans {
        // Spans of one track have to nest, and calls of one pod may overlap: each call has its own.
        let own = format!(
            "{} {}",
            span.pod,
            if span.kind == SpanKind::Server {
                "serves"
            } else {
                "calls"
            }
        );
        let until = end_of(explanation, span);
        let (process, track) = tracks.of(&span.workload, &own, span.begin, until);
        let arguments: serde_json::Map<String, Value> = tags(span)
            .into_iter()
            .map(|(key, value)| (key.to_owned(), Value::String(value)))
            .collect();
        events.push(slice(
            &operation(span),
            (span.begin, until),
            (process, track),
            &arguments.into(),
        ));
        for phase in &span.phases {
            let times = (phase.begin, phase.end);
            events.push(slice(
                phase.kind.as_str(),
                times,
                (process, track),
                &json!({}),
            ));
        }
        for told in &span.told {
            let at = told.at.unwrap_or(span.begin);
            events.push(json!({
                "name": told.what, "ph": "i", "s": "t", "ts": micros(at), "pid": process, "tid": track,
            }));
        }
    }
    let mut all = tracks.names();
    all.append(&mut events);
    pretty(&json!({ "displayTimeUnit": "ms", "traceEvents": all }))
}

fn slice(
    name: &str,
    (begin, end): (SimTime, SimTime),
    (process, track): (usize, usize),
    arguments: &Value,
) -> Value {
    json!({
        "name": name,
        "ph": "X",
        "ts": micros(begin),
        "dur": micros(end) - micros(begin),
        "pid": process,
        "tid": track,
        "args": arguments,
    })
}

fn micros(at: SimTime) -> f64 {
    at.ns() as f64 / 1e3
}

/// Processes and tracks, numbered as they come.
#[derive(Default)]
struct Tracks<'e> {
    processes: Vec<&'e str>,
    tracks: Vec<Track>,
}

/// A line of slices.
struct Track {
    process: usize,
    name: String,
    /// Begin and end of what is on it.
    spans: Vec<(SimTime, SimTime)>,
}

impl<'e> Tracks<'e> {
    /// The first track of this name on which a span nests, or a new one.
    fn of(
        &mut self,
        workload: &'e str,
        name: &str,
        begin: SimTime,
        end: SimTime,
    ) -> (usize, usize) {
        let known = self.processes.iter().position(|p| *p == workload);
        let process = known.unwrap_or_else(|| {
            self.processes.push(workload);
            self.processes.len() - 1
        });
        let nests = |spans: &[(SimTime, SimTime)]| {
            spans.iter().all(|(from, until)| {
                let apart = end <= *from || begin >= *until;
                let within = begin >= *from && end <= *until;
                apart || within
            })
        };
        let mut tracks = self.tracks.iter();
        let found = tracks.position(|t| t.process == process && t.name == name && nests(&t.spans));
        let track = found.unwrap_or_else(|| {
            self.tracks.push(Track {
                process,
                name: name.to_owned(),
                spans: Vec::new(),
            });
            self.tracks.len() - 1
        });
        self.tracks[track].spans.push((begin, end));
        (process + 1, track + 1)
    }

    fn names(&self) -> Vec<Value> {
        let name = |what: &str, process: usize, track: usize, name: &str| json!({ "name": what, "ph": "M", "pid": process, "tid": track, "args": { "name": name } });
        let processes = self.processes.iter().enumerate();
        let mut all: Vec<Value> = processes
            .map(|(index, workload)| name("process_name", index + 1, 0, workload))
            .collect();
        let tracks = self.tracks.iter().enumerate();
        all.extend(
            tracks.map(|(index, track)| {
                name("thread_name", track.process + 1, index + 1, &track.name)
            }),
        );
        all
    }
}
