//! Outlier detection (`api/envoy/config/cluster/v3/outlier_detection.proto`).
//!
//! [`OutlierDetection::default`] is Envoy's own; istiod's differences are written by the control plane.

use crate::units::{Origin, SimDuration};

/// Outlier detection of a cluster. Percentages are whole, as Envoy has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutlierDetection {
    /// 5xx in a row.
    pub consecutive_5xx: Consecutive,
    /// 502, 503, 504 in a row.
    pub consecutive_gateway_failure: Consecutive,
    /// Local-origin failures in a row (with `split_local_origin` only).
    pub consecutive_local_origin_failure: Consecutive,
    /// A host whose share of successes is far below the others'.
    pub success_rate: SuccessRate,
    /// A host whose share of failures reaches a fixed mark.
    pub failure_percentage: FailurePercentage,
    /// Connect failures and timeouts are counted apart from answers.
    pub split_local_origin: bool,
    /// Time between sweeps.
    pub interval: SimDuration,
    /// Ejection time, multiplied by the number of ejections.
    pub base_ejection_time: SimDuration,
    /// Cap of the ejection time.
    pub max_ejection_time: SimDuration,
    /// Each ejection lasts up to this much longer, drawn in whole milliseconds.
    pub max_ejection_time_jitter: SimDuration,
    /// Greatest share of hosts ejected at once.
    pub max_ejection_percent: u32,
    /// While nobody is ejected the share does not forbid it.
    pub always_eject_one_host: bool,
    /// A passed active health check ends an ejection
    /// (`successful_active_health_check_uneject_host`).
    pub uneject_on_health_check: bool,
    /// Where `outlierDetection` was written.
    pub origin: Origin,
}

/// A count of failures in a row that makes an outlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consecutive {
    /// Failures; 0 is never reached.
    pub threshold: u32,
    /// Share of detections that are acted upon; 0 only counts them.
    pub enforcing: u32,
}

/// `success_rate_*`: looked at when an interval ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SuccessRate {
    /// Hosts with enough requests that it takes.
    pub minimum_hosts: u32,
    /// Requests in the interval that a host needs to be looked at.
    pub request_volume: u32,
    /// Standard deviations below the mean, in thousandths.
    pub stdev_factor: u32,
    /// Share of detections that are acted upon.
    pub enforcing: u32,
    /// The same for local-origin results.
    pub enforcing_local_origin: u32,
}

/// `failure_percentage_*`: looked at when an interval ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailurePercentage {
    /// Share of failures at which a host is an outlier.
    pub threshold: u32,
    /// Hosts with enough requests that it takes.
    pub minimum_hosts: u32,
    /// Requests in the interval that a host needs to be looked at.
    pub request_volume: u32,
    /// Share of detections that are acted upon.
    pub enforcing: u32,
    /// The same for local-origin results.
    pub enforcing_local_origin: u32,
}

impl Consecutive {
    /// The threshold, where reaching it has a consequence.
    pub const fn enforced(self) -> Option<u32> {
        if self.enforcing > 0 && self.threshold > 0 {
            Some(self.threshold)
        } else {
            None
        }
    }
}

impl OutlierDetection {
    /// How many of so many hosts may be out at once by `max_ejection_percent`, rounded down.
    pub const fn may_eject(&self, hosts: usize) -> usize {
        hosts * self.max_ejection_percent as usize / 100
    }

    /// Enforced local-origin failures in a row: of no consequence while errors are not split.
    pub fn local_origin(&self) -> Option<u32> {
        let enforced = self.consecutive_local_origin_failure.enforced();
        enforced.filter(|_| self.split_local_origin)
    }
}

impl Default for OutlierDetection {
    fn default() -> Self {
        let five = |enforcing| Consecutive {
            threshold: 5,
            enforcing,
        };
        Self {
            consecutive_5xx: five(100),
            consecutive_gateway_failure: five(0),
            consecutive_local_origin_failure: five(100),
            success_rate: SuccessRate {
                minimum_hosts: 5,
                request_volume: 100,
                stdev_factor: 1900,
                enforcing: 100,
                enforcing_local_origin: 100,
            },
            failure_percentage: FailurePercentage {
                threshold: 85,
                minimum_hosts: 5,
                request_volume: 50,
                enforcing: 0,
                enforcing_local_origin: 0,
            },
            split_local_origin: false,
            interval: SimDuration::from_secs(10),
            base_ejection_time: SimDuration::from_secs(30),
            max_ejection_time: SimDuration::from_secs(300),
            max_ejection_time_jitter: SimDuration::ZERO,
            max_ejection_percent: 10,
            always_eject_one_host: false,
            uneject_on_health_check: true,
            origin: Origin::BUILT_IN,
        }
    }
}
