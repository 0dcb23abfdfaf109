//! Istio kinds: document to type, with the verdict admission would give.
//!
//! Reading and judging happen in one walk, so that a rule stands beside the field it is
//! about. A refused value is an error of class Admission (`IST0106`) and is kept all the
//! same, because `--force` runs with what the proxies would get. A validator of Istio that
//! fails loses the warnings below it, which is why some blocks never warn ([`Level`]).

mod connection;
mod destination_rule;
mod envoy_filter;
mod gateway;
mod http_match;
mod http_route;
mod l4_route;
mod load_balancer;
mod locality;
mod mesh;
mod reachable;
mod route_actions;
mod security;
mod service_entry;
mod sidecar;
mod traffic_policy;
mod virtual_service;
mod zone_aware;

pub(in crate::config) use destination_rule::destination_rule;
pub(in crate::config) use envoy_filter::envoy_filter;
pub(in crate::config) use gateway::gateway;
pub(in crate::config) use mesh::{mesh_config, proxy_config};
pub(in crate::config) use security::{authorization_policy, peer_authentication};
pub(in crate::config) use service_entry::{service_entry, workload_entry};
pub(in crate::config) use sidecar::sidecar;
pub(in crate::config) use virtual_service::virtual_service;

use std::collections::BTreeMap;

use super::rules;
use crate::config::IstioVersion;
use crate::config::decode::Fields;
use crate::diagnostic::{Class, Diagnostic};
use crate::units::SimDuration;
use crate::xds::Name;

/// Where a policy block stands: only the top one may warn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    /// Directly under `spec.trafficPolicy`, or mesh-wide.
    Top,
    /// Under a subset.
    Subset,
    /// Under a port.
    Port,
}

/// What a policy is read with.
#[derive(Clone, Copy, Debug)]
struct PolicyContext {
    version: IstioVersion,
    level: Level,
}

/// The warning admission shows and analysis reports as IST0133.
fn schema_warning(message: impl Into<String>) -> Diagnostic {
    Diagnostic::warning("IST0133", Class::Admission, message)
}

/// A duration of at least a millisecond, in whole milliseconds.
fn duration(f: &Fields<'_>, name: &'static str) -> Option<SimDuration> {
    let duration = f.duration(name)?;
    if let Some(error) = rules::duration_error(duration) {
        f.refuse_field(name, format!("{duration} {error}"));
    }
    Some(duration)
}

/// `exportTo` with its rules.
fn export_to(f: &Fields<'_>, namespace: &Name) -> Vec<Name> {
    let values = f.texts("exportTo");
    if let Some(error) = rules::export_to_error(&values, namespace) {
        f.refuse_field("exportTo", error);
    }
    values
}

/// Names of gateways: `ns/name`, or an old dotted name; Istio stops looking at the first one
/// without a slash. Inside match blocks its warnings are lost.
fn gateway_names(f: &Fields<'_>, gateways: &[Name], warns: bool) {
    for gateway in gateways {
        let Some((namespace, name)) = gateway.split_once('/') else {
            if let Some((name, rest)) = gateway.split_once('.')
                && warns
            {
                let namespace = rest.split('.').next().unwrap_or_default();
                let message = format!("`{gateway}` is an old form; write `{namespace}/{name}`");
                f.push_at("gateways", schema_warning(message));
            }
            if let Some(error) = rules::fqdn_error(gateway) {
                f.refuse_field("gateways", error);
            }
            return;
        };
        if !rules::is_dns_label(namespace) || !rules::is_dns_label(name) {
            f.refuse_field("gateways", format!("`{gateway}` is not `namespace/name`"));
        }
    }
}

/// Labels with their rules.
fn labels(f: &Fields<'_>, name: &'static str) -> BTreeMap<Name, Name> {
    let labels = f.text_map(name);
    if let Some(error) = rules::labels_error(&labels) {
        f.refuse_field(name, error);
    }
    labels
}

/// Labels of a `workloadSelector`; without any it selects more than people think.
fn workload_selector(f: &Fields<'_>) -> BTreeMap<Name, Name> {
    let labels = labels(f, "labels");
    if labels.is_empty() {
        f.push(schema_warning(
            "the selector has no labels and selects every workload",
        ));
    }
    labels
}

/// A port number: 1 to 65535.
fn port(f: &Fields<'_>, name: &'static str) -> Option<u16> {
    let port: u16 = f.integer(name)?;
    if port == 0 {
        f.refuse_field(name, "a port is 1 to 65535");
    }
    Some(port)
}

/// An unsigned counter; `maxConnections: -1` is refused.
fn counter(f: &Fields<'_>, name: &'static str) -> Option<u32> {
    f.integer(name)
}

/// A percentage as Istio writes it: `{value: 0.1}` is 0.1 %.
fn percent(f: &Fields<'_>, name: &'static str) -> Option<f64> {
    f.object(name, |f| f.float("value").unwrap_or(0.0))
}

/// A choice of at most one of several fields (`oneOf` of the schema); the schema refuses two.
fn at_most_one(f: &Fields<'_>, names: &[&'static str]) {
    let written: Vec<String> = names
        .iter()
        .filter(|name| f.get(name).is_some())
        .map(|name| format!("`{name}`"))
        .collect();
    if written.len() > 1 {
        f.refuse(format!("only one of {} may be given", written.join(", ")));
    }
}
