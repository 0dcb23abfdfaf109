//! The time line of a request as a tree of bars, for terminals.

use super::super::format::duration;
use super::super::table::{Align, Table};
use crate::explain::Explanation;
use crate::explain::trace::{PhaseKind, Span, SpanKind, Waiting};
use crate::units::{SimDuration, SimTime};

/// Characters of a bar.
const BAR: usize = 32;
/// Rows that are drawn.
const ROWS_MAX: usize = 120;

/// Draws calls and tries; what a server does is part of its try's bar.
pub(super) fn draw(out: &mut String, explanation: &Explanation) {
    let scale = Scale::of(explanation);
    let mut rows = Vec::new();
    let roots = (0..explanation.spans.len()).filter(|id| explanation.spans[*id].parent.is_none());
    let roots: Vec<usize> = roots.collect();
    for root in roots {
        add(&mut rows, explanation, root, "", "");
    }
    let end = duration(scale.length);
    let mut table = Table::new(&[
        ("", Align::Flex),
        (&ruler(&end), Align::Left),
        ("TIME", Align::Right),
        ("", Align::Left),
    ]);
    for (label, id) in rows.iter().take(ROWS_MAX) {
        let span = &explanation.spans[*id];
        let time = span
            .end
            .map_or_else(|| "?".to_owned(), |end| duration(end.since(span.begin)));
        table.row([
            label.clone(),
            scale.bar(span),
            time,
            result(explanation, *id),
        ]);
    }
    out.push_str(&table.render(2));
    let rest = rows.len().saturating_sub(ROWS_MAX);
    if rest > 0 {
        out.push_str(&format!("  … and {rest} more rows (-o json has all)\n"));
    }
    out.push_str(&legend(explanation, &rows));
}

/// `0` at the left end of the bars, the whole time at the right.
fn ruler(end: &str) -> String {
    let gap = BAR.saturating_sub(1 + end.chars().count());
    format!("0{}{end}", " ".repeat(gap))
}

/// Rows of a span and what is below it: label and index.
fn add(
    rows: &mut Vec<(String, usize)>,
    explanation: &Explanation,
    id: usize,
    before: &str,
    below: &str,
) {
    let spans = &explanation.spans;
    rows.push((format!("{before}{}", label(explanation, id)), id));
    let below_it: Vec<usize> = shown_children(explanation, id);
    for (at, child) in below_it.iter().enumerate() {
        debug_assert!(
            spans[*child].kind != SpanKind::Server,
            "servers are not rows"
        );
        let last = at + 1 == below_it.len();
        let (branch, bar) = if last {
            ("└ ", "  ")
        } else {
            ("├ ", "│ ")
        };
        add(
            rows,
            explanation,
            *child,
            &format!("{below}{branch}"),
            &format!("{below}{bar}"),
        );
    }
}

/// Children in the order of their beginnings; a server's stand for it.
fn shown_children(explanation: &Explanation, id: usize) -> Vec<usize> {
    let spans = &explanation.spans;
    let mut shown = Vec::new();
    for (child, span) in spans.iter().enumerate() {
        if span.parent != Some(id) {
            continue;
        }
        if span.kind == SpanKind::Server {
            shown.extend(shown_children(explanation, child));
        } else {
            shown.push(child);
        }
    }
    shown.sort_by_key(|child| (spans[*child].begin, *child));
    shown
}

fn label(explanation: &Explanation, id: usize) -> String {
    let span = &explanation.spans[id];
    match span.kind {
        SpanKind::Call => {
            let note = match span.waiting {
                Waiting::Caller => "",
                Waiting::Nobody => " (nobody waits)",
                Waiting::Mirror => " (mirror)",
            };
            format!("{}{note}", span.name)
        }
        SpanKind::Try | SpanKind::Server => {
            let before = explanation.spans[..id].iter();
            let number = 1 + before
                .filter(|s| s.kind == SpanKind::Try && s.parent == span.parent)
                .count();
            format!("try {number}: {}", span.name)
        }
    }
}

fn result(explanation: &Explanation, id: usize) -> String {
    let span = &explanation.spans[id];
    let status = match span.status {
        None if span.kind == SpanKind::Call => "not over".to_owned(),
        None if span.end.is_none() => "no answer".to_owned(),
        None if !span.abandoned => "failed".to_owned(),
        None => "given up".to_owned(),
        Some(0) => "closed".to_owned(),
        Some(status) => status.to_string(),
    };
    match span.kind {
        SpanKind::Call if span.status == Some(0) => format!("no answer {}", flags(span)),
        SpanKind::Call => format!("{status}{}", flags(span)),
        SpanKind::Try | SpanKind::Server => {
            let server = explanation.spans.get(id + 1);
            let server = server.filter(|s| s.kind == SpanKind::Server && s.parent == Some(id));
            match (span.end, server.and_then(|s| s.end)) {
                (Some(left), Some(until)) if span.abandoned && until > left => {
                    format!("given up, pod busy {} more", duration(until.since(left)))
                }
                (Some(_), None) if span.abandoned && server.is_some() => {
                    "given up, pod never answered".to_owned()
                }
                _ => status,
            }
        }
    }
}

fn flags(span: &Span) -> String {
    if span.flags == "-" {
        String::new()
    } else {
        format!(" {}", span.flags)
    }
}

/// From moments to columns.
struct Scale {
    begin: SimTime,
    length: SimDuration,
}

impl Scale {
    fn of(explanation: &Explanation) -> Self {
        let begin = explanation.request.at;
        let ends = explanation.spans.iter();
        let ends = ends
            .filter(|s| s.kind != SpanKind::Server)
            .filter_map(|s| s.end);
        let end = ends.max().unwrap_or(begin).max(explanation.end());
        Self {
            begin,
            length: end.since(begin).max(SimDuration::from_ns(1)),
        }
    }

    /// The column of a moment, 0 to `BAR`.
    fn column(&self, at: SimTime) -> usize {
        let share = at.since(self.begin).ns() as f64 / self.length.ns() as f64;
        ((share * BAR as f64) as usize).min(BAR)
    }

    fn bar(&self, span: &Span) -> String {
        let end = span.end.unwrap_or(self.begin.after(self.length));
        let mut bar = vec![' '; BAR];
        let mut paint = |from: SimTime, until: SimTime, with: char| {
            let first = self.column(from).min(BAR - 1);
            let last = self.column(until).max(first + 1).min(BAR);
            bar[first..last].fill(with);
        };
        paint(
            span.begin,
            end,
            if span.kind == SpanKind::Call {
                '━'
            } else {
                '─'
            },
        );
        // Short phases last, so that they are not painted over by their neighbours.
        let mut phases = span.phases.clone();
        phases.sort_by_key(|phase| std::cmp::Reverse(phase.end.since(phase.begin)));
        for phase in &phases {
            let wide = self.column(phase.end) > self.column(phase.begin);
            if wide || phase.kind == PhaseKind::Work {
                paint(phase.begin, phase.end, symbol(phase.kind));
            }
        }
        bar.into_iter().collect::<String>().trim_end().to_owned()
    }
}

const fn symbol(kind: PhaseKind) -> char {
    match kind {
        PhaseKind::Connect => '┄',
        PhaseKind::There | PhaseKind::Back => '─',
        PhaseKind::Queue => '▒',
        PhaseKind::Work => '█',
        PhaseKind::Calls => '░',
        PhaseKind::Gone => '×',
    }
}

/// What the characters that were used mean.
fn legend(explanation: &Explanation, rows: &[(String, usize)]) -> String {
    let all = [
        (PhaseKind::Connect, "connecting"),
        (PhaseKind::There, "on the way"),
        (PhaseKind::Queue, "in the pod's queue"),
        (PhaseKind::Work, "own work"),
        (PhaseKind::Calls, "waiting for its calls"),
        (PhaseKind::Gone, "the pod is gone"),
    ];
    let used = |kind: PhaseKind| {
        let mut phases = rows
            .iter()
            .flat_map(|(_, id)| &explanation.spans[*id].phases);
        phases.any(|phase| phase.kind == kind)
    };
    let words: Vec<String> = all
        .iter()
        .filter(|(kind, _)| used(*kind))
        .map(|(kind, words)| format!("{} {words}", symbol(*kind)))
        .collect();
    if words.is_empty() {
        return String::new();
    }
    format!("  {}\n", words.join("   "))
}
