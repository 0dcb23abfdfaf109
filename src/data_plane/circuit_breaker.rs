//! Circuit breaking: limits on what one cluster may have in flight.
//!
//! Knows thresholds and counts; does not know time, queues or why a request exists. The
//! counts belong to one Envoy and one cluster (a subset is its own cluster), over all hosts
//! and workers (`source/common/upstream/resource_manager_impl.h`). The simulation has one
//! thread, so Envoy's overshoot of N − 1 with N workers does not occur.
//! Limits per host and of pools are the caller's, who knows hosts. Not modelled: the HIGH priority.

use crate::xds::cluster::Thresholds;

/// A limited resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// `max_connections`: the request is not failed, it waits.
    Connections,
    /// `max_pending_requests`: 503 UO.
    Pending,
    /// `max_requests`: 503 UO.
    Requests,
    /// `max_retries` or the retry budget: the failed answer is passed on with UO.
    Retries,
}

impl Resource {
    /// The field's name in Envoy's configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connections => "max_connections",
            Self::Pending => "max_pending_requests",
            Self::Requests => "max_requests",
            Self::Retries => "max_retries",
        }
    }
}

/// What one cluster of one proxy has in flight. Counts go up and down by the caller's hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breakers {
    /// Connections, connecting and idle ones included.
    pub connections: u32,
    /// Requests that wait for a connection, the one being made included.
    pub pending: u32,
    /// Streams attached to connections, HTTP/1.1 and HTTP/2 alike.
    pub requests: u32,
    /// Retries from scheduling (back-off included) to the outcome of the retried try.
    pub retries: u32,
}

impl Breakers {
    /// May another connection be opened? A pool without any may always open one; that rule is the pool's.
    pub const fn allows_connection(&self, limits: &Thresholds) -> bool {
        self.connections < limits.max_connections
    }

    /// May another request wait?
    pub const fn allows_pending(&self, limits: &Thresholds) -> bool {
        self.pending < limits.max_pending_requests
    }

    /// May another request be attached to a connection?
    pub const fn allows_request(&self, limits: &Thresholds) -> bool {
        self.requests < limits.max_requests
    }

    /// May another retry be scheduled? A budget replaces `max_retries` and is worked out now,
    /// from what is active and pending now, the try that failed included (measured on 1.40: a
    /// single request under 100 % is retried).
    pub fn allows_retry(&self, limits: &Thresholds) -> bool {
        self.retries < self.retry_limit(limits)
    }

    /// The number of concurrent retries allowed now.
    pub fn retry_limit(&self, limits: &Thresholds) -> u32 {
        match limits.retry_budget {
            None => limits.max_retries,
            Some((share, minimum)) => {
                let in_flight = u64::from(self.requests) + u64::from(self.pending);
                let allowed = in_flight * u64::from(share.ppm()) / 1_000_000;
                u32::try_from(allowed).unwrap_or(u32::MAX).max(minimum)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Fraction;

    #[test]
    fn a_limit_of_zero_refuses_and_unlimited_never_does() {
        let none = Thresholds {
            max_connections: 0,
            max_pending_requests: 0,
            max_requests: 0,
            max_retries: 0,
            ..Thresholds::default()
        };
        let idle = Breakers::default();
        assert!(!idle.allows_connection(&none) && !idle.allows_pending(&none));
        assert!(!idle.allows_request(&none) && !idle.allows_retry(&none));
        let busy = Breakers {
            connections: 1 << 30,
            pending: 1 << 30,
            requests: 1 << 30,
            retries: 1 << 30,
        };
        let unlimited = Thresholds::default();
        assert!(busy.allows_connection(&unlimited) && busy.allows_pending(&unlimited));
        assert!(busy.allows_request(&unlimited) && busy.allows_retry(&unlimited));
    }

    fn budget(active: u32, percent: f64, minimum: u32, limit: u32) {
        let limits = Thresholds {
            retry_budget: Some((Fraction::from_percent(percent), minimum)),
            max_retries: 0,
            ..Thresholds::default()
        };
        let breakers = Breakers {
            requests: active,
            ..Breakers::default()
        };
        assert_eq!(breakers.retry_limit(&limits), limit, "{active} active");
    }

    #[test]
    fn a_retry_budget_is_a_truncated_share_of_what_is_in_flight() {
        budget(9, 20.0, 1, 1);
        budget(25, 20.0, 3, 5);
        budget(2, 20.0, 3, 3);
        budget(0, 20.0, 0, 0);
    }
}
