//! `TT-RETRY-LAYERS`: proxies and applications one behind the other retry the same request, and
//! nothing bounds the product.
//!
//! A layer multiplies what is behind it only when it retries the answer that its callee gives for
//! a failed call of its own (`onError` of the Model); what is answered in spite of the failure, or
//! with a status that the layer does not retry, ends the chain. A retry budget bounds its layer.
//! The run-time finding of the same code (`verdict`) says where it happened.

use std::collections::{BTreeMap, BTreeSet};

use super::Context;
use super::calls::{Asked, Calls, Request, Way};
use crate::data_plane::retry::{TryOutcome, would_retry};
use crate::diagnostic::{Diagnostic, Place};
use crate::units::Origin;
use crate::xds::Name;
use crate::xds::layers::{TRIES_TOGETHER_MIN, tries_together};
use crate::xds::route::RetryPolicy;

/// What a server answers that does not say otherwise.
const UNAVAILABLE: u16 = 503;

pub(super) fn check(context: &Context<'_>, calls: &Calls<'_>, found: &mut Vec<Diagnostic>) {
    let mut search = Search {
        calls,
        known: BTreeMap::new(),
        open: BTreeSet::new(),
    };
    // The worst chain for each first layer, and how many begin there.
    let mut by_first: BTreeMap<Origin, (Vec<Layer>, u32)> = BTreeMap::new();
    for root in &calls.roots {
        for chain in search.asked(root, None) {
            let tries = product(&chain);
            if chain.len() < 2 || tries < TRIES_TOGETHER_MIN {
                continue;
            }
            let first = by_first.entry(chain[0].origin).or_default();
            first.1 += 1;
            if first.0.is_empty() || tries > product(&first.0) {
                first.0 = chain;
            }
        }
    }
    let found_here = by_first.values();
    found.extend(found_here.map(|(chain, count)| finding(context, chain, *count)));
}

/// Tries that one of the layers makes.
#[derive(Clone, PartialEq, Eq)]
struct Layer {
    from: Name,
    to: Name,
    tries: u32,
    /// The application's own retries, not its proxy's.
    by_application: bool,
    origin: Origin,
}

fn product(chain: &[Layer]) -> u32 {
    tries_together(chain.iter().map(|layer| layer.tries))
}

/// Chains of a request, the worst for each place at which they end.
struct Search<'c, 'a> {
    calls: &'c Calls<'a>,
    known: BTreeMap<usize, Vec<Vec<Layer>>>,
    /// Requests that are being looked at: calls may go round in a circle.
    open: BTreeSet<usize>,
}

impl Search<'_, '_> {
    /// Chains of a request with the application's own tries before them. `status`: what the
    /// caller's own caller sees of a failure; the application itself retries every 5xx.
    fn asked(&mut self, asked: &Asked<'_>, status: Option<u16>) -> Vec<Vec<Layer>> {
        let chains = self.request(asked.request);
        let answers = status.is_none_or(|status| status >= 500);
        if asked.tries < 2 || !answers {
            return chains;
        }
        let request = &self.calls.requests[asked.request];
        let own = |to: &Name| Layer {
            from: request.from.clone(),
            to: to.clone(),
            tries: asked.tries,
            by_application: true,
            origin: asked.origin,
        };
        if chains.is_empty() {
            let first = request.ways.first();
            return first.map(|way| vec![own(&way.to)]).into_iter().collect();
        }
        let with_own = |chain: Vec<Layer>| {
            let mut whole = vec![own(&chain[0].to)];
            whole.extend(chain);
            whole
        };
        chains.into_iter().map(with_own).collect()
    }

    fn request(&mut self, at: usize) -> Vec<Vec<Layer>> {
        if let Some(known) = self.known.get(&at) {
            return known.clone();
        }
        if !self.open.insert(at) {
            return Vec::new();
        }
        let calls = self.calls;
        let request = &calls.requests[at];
        let mut worst: BTreeMap<Origin, Vec<Layer>> = BTreeMap::new();
        for way in &request.ways {
            for chain in self.way(request, way) {
                let Some(last) = chain.last() else { continue };
                let known = worst.entry(last.origin).or_default();
                if known.is_empty() || product(&chain) > product(known) {
                    *known = chain;
                }
            }
        }
        self.open.remove(&at);
        let worst: Vec<Vec<Layer>> = worst.into_values().collect();
        self.known.insert(at, worst.clone());
        worst
    }

    fn way(&mut self, request: &Request<'_>, way: &Way<'_>) -> Vec<Vec<Layer>> {
        let mut chains = Vec::new();
        for server in &way.servers {
            for call in &server.calls {
                let Some(status) = call.fails_with() else {
                    continue;
                };
                let behind = self.asked(call, Some(status));
                let own = layer(request, way, |policy| retries(policy, status));
                chains.extend(behind.into_iter().map(|chain| {
                    let mut whole: Vec<Layer> = own.iter().cloned().collect();
                    whole.extend(chain);
                    whole
                }));
            }
        }
        // The last layer tries again what its own server does wrong.
        let last = layer(request, way, |policy| {
            !policy.origin.is_built_in() || retries(policy, UNAVAILABLE)
        });
        chains.extend(last.map(|last| vec![last]));
        chains
    }
}

fn retries(policy: &RetryPolicy, status: u16) -> bool {
    would_retry(policy, &TryOutcome::status(status), true)
}

/// The proxy's layer on this way, where it retries and nothing bounds that.
fn layer(
    request: &Request<'_>,
    way: &Way<'_>,
    counts: impl Fn(&RetryPolicy) -> bool,
) -> Option<Layer> {
    let policy = request.forward?.retry.as_ref()?;
    let budget = way.cluster?.breakers.retry_budget;
    (policy.tries() > 1 && budget.is_none() && counts(policy)).then(|| Layer {
        from: request.from.clone(),
        to: way.to.clone(),
        tries: policy.tries(),
        by_application: false,
        origin: policy.origin,
    })
}

fn finding(context: &Context<'_>, chain: &[Layer], count: u32) -> Diagnostic {
    let factors: Vec<String> = chain.iter().map(|layer| layer.tries.to_string()).collect();
    let (first, last) = (&chain[0], &chain[chain.len() - 1]);
    let mut message = format!(
        "one request of {} may become {} = {} tries of {}: every layer retries, and no retry budget bounds them",
        first.from,
        factors.join(" × "),
        product(chain),
        last.to
    );
    if count > 1 {
        message.push_str(&format!(" (the worst of {count} chains that begin here)"));
    }
    let help =
        "retry at one layer only, the one next to what fails, or give the layers a `retryBudget`";
    let place = chain.iter().find(|layer| !layer.origin.is_built_in());
    let origin = place.map_or(Origin::BUILT_IN, |layer| layer.origin);
    let mut diagnostic = context.say("TT-RETRY-LAYERS", origin, message, help);
    for layer in chain.iter().filter(|layer| !layer.origin.is_built_in()) {
        let object = context.config.origins.object(layer.origin.object);
        let at = Place::new(&object.file, layer.origin.line, layer.origin.column);
        let who = if layer.by_application {
            "the application of "
        } else {
            ""
        };
        let why = format!("{who}{}: {} tries of {}", layer.from, layer.tries, layer.to);
        diagnostic = diagnostic.see(at, why);
    }
    diagnostic
}
