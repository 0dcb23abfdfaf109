//! What is wrong with manifests, without running anything: Istio's own analysis messages where
//! they matter for traffic, and ours for what compiled tables know and Istio's analyzers do not.
//!
//! One rule, one function, one code. A rule reads the decoded objects and the tables that istiod
//! would send; it says what happens to traffic, and what to do. Codes that Istio has are Istio's,
//! with its trigger (`pkg/config/analysis/analyzers`); what admission refuses or warns of
//! (`IST0106`, `IST0133`, `IST0130`, `IST0131`) is found while decoding, by `config`.

mod breakers;
mod calls;
mod codes;
mod conflicts;
mod deployments;
mod destination_rules;
mod gateways;
mod hashing;
mod injection;
mod known;
mod layers;
mod localities;
mod nowhere;
mod pods;
mod policies;
mod ports;
mod reading;
mod references;
mod resilience;
mod routes;
mod service_entries;
mod shadowed;
mod sidecars;
mod subsets;
pub mod suppress;
mod telemetry;
mod tls;
mod waits;
mod weights;

pub use codes::{CODES, Code, Level, code, level};
pub use reading::READING;

use crate::config::MeshConfig;
use crate::config::scenario::{Model, Scenario};
use crate::diagnostic::{Class, Diagnostic, Place};
use crate::units::Origin;
use crate::xds::Snapshot;
use known::Known;

/// What analysis reads.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The decoded objects.
    pub config: &'a MeshConfig,
    /// The tables that istiod would send.
    pub snapshot: &'a Snapshot,
    /// How applications behave, where that was read.
    pub model: Option<&'a Model>,
    /// Whose requests there are, where that was read.
    pub scenarios: &'a [Scenario],
    /// What decoding said already.
    pub said: &'a [Diagnostic],
}

impl Input<'_> {
    /// Codes that are not looked for, because nothing was read that says who calls whom.
    pub fn unjudged(&self) -> &'static [&'static str] {
        let nobody = self.model.is_none() && self.scenarios.is_empty();
        if nobody { OF_CALLS } else { &[] }
    }
}

/// Codes of rules that ask who calls whom.
const OF_CALLS: &[&str] = &["TT-HASH-NOTHING", "TT-RETRY-LAYERS", "TT-TIMEOUTS-INVERTED"];

/// Everything the rules find, in the order of files, lines and codes.
pub fn analyze(input: &Input<'_>) -> Vec<Diagnostic> {
    let context = Context {
        config: input.config,
        snapshot: input.snapshot,
        known: Known::new(input.config),
    };
    let mut found = Vec::new();
    references::check(&context, &mut found);
    ports::check(&context, &mut found);
    conflicts::check(&context, &mut found);
    gateways::check(&context, &mut found);
    destination_rules::check(&context, &mut found);
    policies::check(&context, &mut found);
    injection::check(&context, &mut found);
    pods::check(&context, &mut found);
    deployments::check(&context, &mut found);
    service_entries::check(&context, &mut found);
    routes::check(&context, &mut found);
    sidecars::check(&context, &mut found);
    tls::check(&context, &mut found);
    telemetry::check(&context, &mut found);
    resilience::check(&context, &mut found);
    breakers::check(&context, &mut found);
    localities::check(&context, &mut found);
    nowhere::check(&context, &mut found);
    subsets::check(&context, &mut found);
    shadowed::check(&context, input.said, &mut found);
    weights::check(&context, &mut found);
    let fallback = Model::default();
    let calls = calls::calls(input, &fallback);
    hashing::check(&context, &calls, &mut found);
    layers::check(&context, &calls, &mut found);
    waits::check(&context, &calls, &mut found);
    found.sort_by(|a, b| (&a.place, a.code, &a.message).cmp(&(&b.place, b.code, &b.message)));
    found.dedup();
    found
}

/// What rules read.
struct Context<'a> {
    config: &'a MeshConfig,
    snapshot: &'a Snapshot,
    known: Known<'a>,
}

impl Context<'_> {
    /// A message about a place; how grave it is stands with its code.
    fn say(&self, code: &'static str, origin: Origin, message: String, help: &str) -> Diagnostic {
        let mut diagnostic = match level(code) {
            Level::Error => Diagnostic::error(code, Class::Advice, message),
            Level::Warning | Level::Info => Diagnostic::warning(code, Class::Advice, message),
        };
        if !origin.is_built_in() {
            let object = self.config.origins.object(origin.object);
            diagnostic = diagnostic
                .at(Place::new(&object.file, origin.line, origin.column))
                .of(object.to_string());
        }
        diagnostic.help(help)
    }
}

/// True when every label of the selector is among these.
fn selects(
    selector: &std::collections::BTreeMap<crate::xds::Name, crate::xds::Name>,
    labels: &std::collections::BTreeMap<crate::xds::Name, crate::xds::Name>,
) -> bool {
    selector
        .iter()
        .all(|(key, value)| labels.get(key) == Some(value))
}
