//! Processor time of sidecars beside the replicas.

use schemars::JsonSchema;
use serde::Serialize;

use crate::experiment::capacity::ReplicaPlan;
use crate::experiment::sidecars::{CURVE, DOCUMENTED, Sidecars};
use crate::report::format::{count, digits, rate, wrap};
use crate::report::table::{Align, PAGE, Table};
use crate::report::text::heading;

/// The sidecars (or gateways) of a workload.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sidecar {
    /// `namespace/name`.
    pub workload: String,
    /// Pods.
    pub pods: u32,
    /// Requests per second that one of them passes on, each try once.
    pub requests_per_second: f64,
    /// vCPU of one of them by the curve of istio.io issue 15335; not simulated.
    pub vcpu: f64,
    /// More requests than the curve has: `vcpu` is its last point, and more is needed.
    pub beyond_the_curve: bool,
}

impl From<&Sidecars> for Sidecar {
    fn from(found: &Sidecars) -> Self {
        Self {
            workload: found.workload.clone(),
            pods: found.pods,
            requests_per_second: found.per_pod,
            vcpu: found.vcpu,
            beyond_the_curve: found.beyond,
        }
    }
}

/// Nothing where no workload has a proxy.
pub(super) fn block(out: &mut String, plan: &ReplicaPlan) {
    if plan.sidecars.is_empty() {
        return;
    }
    let title = format!("Sidecars for {} × the load", digits(plan.factor));
    heading(out, &title);
    out.push_str(&wrap(&answer(&plan.sidecars), "  ", 2, PAGE));
    let mut table = Table::new(&[
        ("WORKLOAD", Align::Flex),
        ("PODS", Align::Right),
        ("REQUESTS EACH", Align::Right),
        ("vCPU EACH", Align::Right),
        ("vCPU ALL", Align::Right),
    ]);
    for found in &plan.sidecars {
        let least = if found.beyond { "≥ " } else { "" };
        table.row([
            found.workload.clone(),
            count(u64::from(found.pods)),
            rate(found.per_pod),
            format!("{least}{:.2}", found.vcpu),
            format!("{least}{:.2}", found.vcpu * f64::from(found.pods)),
        ]);
    }
    out.push_str(&table.render(2));
    out.push_str(&wrap(&source(), "  ", 2, PAGE));
}

fn answer(all: &[Sidecars]) -> String {
    let pods = |of: &Sidecars| f64::from(of.pods);
    let vcpu: f64 = all.iter().map(|s| s.vcpu * pods(s)).sum();
    let thousands: f64 = all.iter().map(|s| s.per_pod * pods(s) / 1_000.0).sum();
    let least = if all.iter().any(|s| s.beyond) {
        "at least "
    } else {
        "some "
    };
    format!(
        "All sidecars together take {least}{vcpu:.2} vCPU by the curve. The constants that Istio's documentation had ({} vCPU per 1,000/s) would say {:.2} to {:.2}.",
        DOCUMENTED.map(|c| c.to_string()).join(", "),
        DOCUMENTED[0] * thousands,
        DOCUMENTED[DOCUMENTED.len() - 1] * thousands
    )
}

fn source() -> String {
    let points = CURVE.iter().skip(1);
    let points: Vec<String> = points
        .map(|(requests, vcpu)| format!("{vcpu:.2} at {}/s", count(*requests as u64)))
        .collect();
    format!(
        "The requests are simulated (those of clients and those of the pod's own application), processor time is not: it is read off a curve that an Istio maintainer measured once (istio.io issue 15335, 2024: {} vCPU), straight between its points and from zero. Payloads, TLS, filters, telemetry and machines differ, so measure yours.",
        points.join(", ")
    )
}
