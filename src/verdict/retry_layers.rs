//! `TT-RETRY-LAYERS`: two proxies one behind the other retry the same request, and nothing bounds
//! the product.
//!
//! Each layer's tries multiply with those of the layer above. Without failures that costs nothing;
//! it is named when both layers were seen to retry.

use super::Context;
use crate::observe::record::{EdgeRecord, Finding, Severity};
use crate::xds::layers::{TRIES_TOGETHER_MIN, tries_together};

/// Tries per request of a layer from which it counts.
const TRIES: f64 = 1.1;
/// Fewer requests prove nothing.
const REQUESTS_MIN: u64 = 100;

pub(super) fn judge(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let edges = &context.record.edges;
    let retries = |e: &&EdgeRecord| {
        e.requests >= REQUESTS_MIN && e.cluster != "-" && e.to != "-" && tries(e) >= TRIES
    };
    let worst = edges
        .iter()
        .filter(retries)
        .flat_map(|outer| {
            let inner = edges.iter().filter(|inner| inner.from == outer.to);
            inner.filter(retries).map(move |inner| (outer, inner))
        })
        .filter_map(|(outer, inner)| {
            let (first, place) = context.retries_of(&outer.from, &outer.cluster)?;
            let (second, behind) = context.retries_of(&inner.from, &inner.cluster)?;
            let bounded = |e: &EdgeRecord| context.has_budget(&e.from, &e.cluster);
            let product = tries_together([first + 1, second + 1]);
            let counts = product >= TRIES_TOGETHER_MIN && !bounded(outer) && !bounded(inner);
            counts.then_some((product, (outer, first, place), (inner, second, behind)))
        })
        .max_by(|a, b| {
            let work = |a: &EdgeRecord, b: &EdgeRecord| tries(a) * tries(b);
            work(a.1.0, a.2.0).total_cmp(&work(b.1.0, b.2.0))
        });
    let Some((product, outer, inner)) = worst else {
        return;
    };
    let layer = |(edge, retries, place): &(&EdgeRecord, u32, Option<String>)| {
        let place = place.as_deref().unwrap_or("Istio's default policy");
        format!(
            "{} → {}: {retries} retries ({place}), {:.2} tries per request seen",
            edge.from,
            edge.to,
            tries(edge)
        )
    };
    let chain = vec![layer(&outer), layer(&inner)];
    findings.push(Finding {
        code: "TT-RETRY-LAYERS",
        severity: Severity::Warning,
        what: format!(
            "one request of {} may become {product} at {}: both layers retry, without a budget",
            outer.0.from, inner.0.to
        ),
        chain,
        cause: outer.2.or(inner.2),
        help: "retry at one layer only, the one next to what fails, or give both a retry budget"
            .to_owned(),
        edges: vec![
            (outer.0.from.clone(), outer.0.cluster.clone()),
            (inner.0.from.clone(), inner.0.cluster.clone()),
        ],
        counterfactual: None,
    });
}

fn tries(edge: &EdgeRecord) -> f64 {
    edge.attempts as f64 / edge.requests.max(1) as f64
}
