//! Processor time of sidecars at a load, from a published curve.
//!
//! Nothing here is simulated but the requests that each sidecar passes on. The curve is what an
//! Istio maintainer measured in a quick test (istio.io issue 15335, June 2024). It is not a line, so
//! a constant per thousand requests, as Istio's documentation had it over the years, is wrong
//! at one end or the other.

use crate::observe::Record;
use crate::observe::record::proxy_of;
use crate::xds::{ProxyKind, Snapshot};

/// Requests per second through one sidecar, and vCPU it takes.
pub const CURVE: [(f64, f64); 6] = [
    (0.0, 0.0),
    (1_000.0, 0.18),
    (2_000.0, 0.30),
    (3_000.0, 0.40),
    (4_000.0, 0.43),
    (5_000.0, 0.45),
];

/// vCPU per thousand requests per second in releases of Istio's documentation, from least to most.
pub const DOCUMENTED: [f64; 3] = [0.35, 0.5, 0.6];

/// The sidecars of a workload.
#[derive(Clone, Debug, PartialEq)]
pub struct Sidecars {
    /// `namespace/name`.
    pub workload: String,
    /// Pods.
    pub pods: u32,
    /// Requests per second that one of them passes on: those of clients and those of its own
    /// application, each try once.
    pub per_pod: f64,
    /// vCPU of one of them.
    pub vcpu: f64,
    /// More requests than the curve has: it takes at least that much.
    pub beyond: bool,
}

/// vCPU at so many requests per second, straight between the points of the curve; true beyond it.
pub fn vcpu(per_second: f64) -> (f64, bool) {
    let mut pairs = CURVE.windows(2);
    let pair = pairs.find(|pair| per_second <= pair[1].0);
    match pair {
        Some(&[(x0, y0), (x1, y1)]) => {
            let share = (per_second - x0).max(0.0) / (x1 - x0);
            (y0 + (y1 - y0) * share, false)
        }
        _ => (CURVE[CURVE.len() - 1].1, true),
    }
}

/// What passes through the sidecars of each workload in a run, in name order; gateways count.
pub fn sidecars(record: &Record, snapshot: &Snapshot) -> Vec<Sidecars> {
    let seconds = record.duration.as_secs_f64() - record.warm_up.as_secs_f64();
    let time = seconds * f64::from(record.replications.max(1));
    if time <= 0.0 {
        return Vec::new();
    }
    let workloads = snapshot.workloads.iter();
    let with_proxy = workloads.filter(|w| w.proxy != ProxyKind::None);
    let one = |workload: &crate::xds::Workload| {
        let name = workload.full_name();
        let exist = workload
            .pods
            .iter()
            .filter(|pod| !snapshot.pods[**pod].spare);
        let pods = exist.count() as u32;
        let served = record.workloads.iter().filter(|w| w.name == name);
        let served: u64 = served.map(|w| w.requests + w.rejected).sum();
        let sent = record
            .edges
            .iter()
            .filter(|e| proxy_of(&e.from) == name && e.cluster != "-");
        let sent: u64 = sent.map(|e| e.attempts).sum();
        let per_pod = (served + sent) as f64 / time / f64::from(pods.max(1));
        let (vcpu, beyond) = vcpu(per_pod);
        (pods > 0 && served + sent > 0).then_some(Sidecars {
            workload: name,
            pods,
            per_pod,
            vcpu,
            beyond,
        })
    };
    with_proxy.filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_is_met_at_its_points_and_straight_between_them() {
        for (rate, expected) in CURVE {
            assert!((vcpu(rate).0 - expected).abs() < 1e-12, "{rate}");
        }
        assert!((vcpu(500.0).0 - 0.09).abs() < 1e-12);
        assert!((vcpu(2_500.0).0 - 0.35).abs() < 1e-12);
        assert_eq!(vcpu(5_000.0), (0.45, false));
        assert_eq!(vcpu(20_000.0), (0.45, true), "nobody measured that");
    }
}
