//! One cluster's statistics under Envoy's own names (`source/common/upstream/upstream_impl.h`,
//! `ALL_CLUSTER_STATS`; `outlier_detection_impl.h`).

use std::collections::BTreeMap;

use super::tally::Tally;
use crate::http::grpc;
use crate::units::hash::Digest;

/// Counters and gauges of one (client workload, cluster), summed over its proxies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterStats {
    values: [u64; Stat::COUNT],
    /// Final statuses as the router charged them, by status code.
    completed: Tally<u16>,
    /// Statuses of answers that were discarded for a retry.
    retried: Tally<u16>,
}

impl Default for ClusterStats {
    fn default() -> Self {
        Self {
            values: [0; Stat::COUNT],
            completed: Tally::default(),
            retried: Tally::default(),
        }
    }
}

macro_rules! stats {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)*) => {
        /// A statistic of a cluster.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Stat { $($(#[$doc])* $variant),* }

        impl Stat {
            /// Every statistic.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            const COUNT: usize = Self::ALL.len();

            /// Envoy's name below `cluster.<name>.`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

stats! {
    /// Tries that were attached to a connection.
    RqTotal = "upstream_rq_total";
    /// Requests that had to wait for a connection.
    RqPendingTotal = "upstream_rq_pending_total";
    /// Requests refused by `max_pending_requests`.
    RqPendingOverflow = "upstream_rq_pending_overflow";
    /// Requests refused by `max_requests`.
    RqActiveOverflow = "upstream_rq_active_overflow";
    /// Waiting requests failed by a connection failure.
    RqPendingFailureEject = "upstream_rq_pending_failure_eject";
    /// Waiting requests that were cancelled.
    RqCancelled = "upstream_rq_cancelled";
    /// Tries ended by the route timeout.
    RqTimeout = "upstream_rq_timeout";
    /// Tries ended by their own timeout.
    RqPerTryTimeout = "upstream_rq_per_try_timeout";
    /// Resets received.
    RqRxReset = "upstream_rq_rx_reset";
    /// Resets sent.
    RqTxReset = "upstream_rq_tx_reset";
    /// Retries scheduled.
    RqRetry = "upstream_rq_retry";
    /// Retried requests that ended in something not retriable.
    RqRetrySuccess = "upstream_rq_retry_success";
    /// Retries refused by `max_retries` or the budget.
    RqRetryOverflow = "upstream_rq_retry_overflow";
    /// Requests whose retries were used up.
    RqRetryLimitExceeded = "upstream_rq_retry_limit_exceeded";
    /// Back-offs by the exponential strategy.
    RqRetryBackoffExponential = "upstream_rq_retry_backoff_exponential";
    /// Connections opened.
    CxTotal = "upstream_cx_total";
    /// HTTP/1 connections opened.
    CxHttp1Total = "upstream_cx_http1_total";
    /// HTTP/2 connections opened.
    CxHttp2Total = "upstream_cx_http2_total";
    /// Connections not opened because of `max_connections`, or opened past it.
    CxOverflow = "upstream_cx_overflow";
    /// Connections that failed to be made, timeouts included.
    CxConnectFail = "upstream_cx_connect_fail";
    /// Connections not made in time.
    CxConnectTimeout = "upstream_cx_connect_timeout";
    /// Requests for which no host was found.
    CxNoneHealthy = "upstream_cx_none_healthy";
    /// Connections closed for age without requests.
    CxIdleTimeout = "upstream_cx_idle_timeout";
    /// Connections closed after `maxRequestsPerConnection`.
    CxMaxRequests = "upstream_cx_max_requests";
    /// Connections closed after `maxConnectionDuration`.
    CxMaxDurationReached = "upstream_cx_max_duration_reached";
    /// Connections closed.
    CxDestroy = "upstream_cx_destroy";
    /// Connections closed with a request in flight, by this side.
    CxDestroyLocalWithActiveRq = "upstream_cx_destroy_local_with_active_rq";
    /// Connections closed with a request in flight, by the other side.
    CxDestroyRemoteWithActiveRq = "upstream_cx_destroy_remote_with_active_rq";
    /// Picks made in panic mode.
    LbHealthyPanic = "lb_healthy_panic";
    /// Ejections carried out.
    EjectionsEnforcedTotal = "outlier_detection.ejections_enforced_total";
    /// Ejections carried out for consecutive 5xx.
    EjectionsEnforced5xx = "outlier_detection.ejections_enforced_consecutive_5xx";
    /// Ejections carried out for consecutive gateway failures.
    EjectionsEnforcedGateway = "outlier_detection.ejections_enforced_consecutive_gateway_failure";
    /// Ejections carried out for consecutive local-origin failures.
    EjectionsEnforcedLocal = "outlier_detection.ejections_enforced_consecutive_local_origin_failure";
    /// Consecutive 5xx counts that reached their threshold.
    EjectionsDetected5xx = "outlier_detection.ejections_detected_consecutive_5xx";
    /// Consecutive gateway failure counts that reached their threshold.
    EjectionsDetectedGateway = "outlier_detection.ejections_detected_consecutive_gateway_failure";
    /// Consecutive local-origin counts that reached their threshold.
    EjectionsDetectedLocal = "outlier_detection.ejections_detected_consecutive_local_origin_failure";
    /// Ejections refused by `maxEjectionPercent`.
    EjectionsOverflow = "outlier_detection.ejections_overflow";
    /// Hosts ejected at the end of the run (gauge).
    EjectionsActive = "outlier_detection.ejections_active";
    /// Connections at the end of the run (gauge).
    CxActive = "upstream_cx_active";
    /// Requests in flight at the end of the run (gauge).
    RqActive = "upstream_rq_active";
    /// Requests waiting at the end of the run (gauge).
    RqPendingActive = "upstream_rq_pending_active";
    /// Copies sent by mirroring to this cluster (charged under `internal.` in Envoy).
    InternalRq = "internal.upstream_rq_completed";
    /// Tries ended by their own idle timeout.
    RqPerTryIdleTimeout = "upstream_rq_per_try_idle_timeout";
    /// Tries ended by the cluster's `max_stream_duration`.
    RqMaxDurationReached = "upstream_rq_max_duration_reached";
    /// Back-offs that an answer asked for.
    RqRetryBackoffRatelimited = "upstream_rq_retry_backoff_ratelimited";
    /// Requests refused by `max_connection_pools`.
    CxPoolOverflow = "upstream_cx_pool_overflow";
    /// Proxies whose `max_connections` is reached at the end of the run (gauge).
    CxOpen = "circuit_breakers.default.cx_open";
    /// Proxies whose `max_connection_pools` is reached at the end of the run (gauge).
    CxPoolOpen = "circuit_breakers.default.cx_pool_open";
    /// Proxies whose `max_requests` is reached at the end of the run (gauge).
    RqOpen = "circuit_breakers.default.rq_open";
    /// Proxies whose `max_pending_requests` is reached at the end of the run (gauge).
    RqPendingOpen = "circuit_breakers.default.rq_pending_open";
    /// Proxies whose `max_retries` or budget is reached at the end of the run (gauge).
    RqRetryOpen = "circuit_breakers.default.rq_retry_open";
    /// Hosts, summed over proxies (gauge).
    MembershipTotal = "membership_total";
    /// Hosts without an ejection, a failed check or a word against them (gauge).
    MembershipHealthy = "membership_healthy";
    /// Times hosts came or went.
    MembershipChange = "membership_change";
    /// Active health checks begun.
    HealthCheckAttempt = "health_check.attempt";
    /// Active health checks passed.
    HealthCheckSuccess = "health_check.success";
    /// Active health checks failed.
    HealthCheckFailure = "health_check.failure";
    /// Active health checks failed without an answer.
    HealthCheckNetworkFailure = "health_check.network_failure";
    /// Ejections carried out for a low success rate.
    EjectionsEnforcedSuccessRate = "outlier_detection.ejections_enforced_success_rate";
    /// Ejections carried out for a low success rate of local origin.
    EjectionsEnforcedLocalSuccessRate = "outlier_detection.ejections_enforced_local_origin_success_rate";
    /// Ejections carried out for a high share of failures.
    EjectionsEnforcedFailurePercentage = "outlier_detection.ejections_enforced_failure_percentage";
    /// Ejections carried out for a high share of local-origin failures.
    EjectionsEnforcedLocalFailurePercentage = "outlier_detection.ejections_enforced_local_origin_failure_percentage";
    /// Hosts found with a low success rate.
    EjectionsDetectedSuccessRate = "outlier_detection.ejections_detected_success_rate";
    /// Hosts found with a low success rate of local origin.
    EjectionsDetectedLocalSuccessRate = "outlier_detection.ejections_detected_local_origin_success_rate";
    /// Hosts found with a high share of failures.
    EjectionsDetectedFailurePercentage = "outlier_detection.ejections_detected_failure_percentage";
    /// Hosts found with a high share of local-origin failures.
    EjectionsDetectedLocalFailurePercentage = "outlier_detection.ejections_detected_local_origin_failure_percentage";
    /// Picks in the proxy's own zone, which has room for all of them.
    LbZoneRoutingAllDirectly = "lb_zone_routing_all_directly";
    /// Picks in the proxy's own zone, which has room for a part.
    LbZoneRoutingSampled = "lb_zone_routing_sampled";
    /// Picks in other zones because the own one has not enough room.
    LbZoneRoutingCrossZone = "lb_zone_routing_cross_zone";
    /// Picks in any zone because rounding left no room.
    LbZoneNoCapacityLeft = "lb_zone_no_capacity_left";
    /// Picks not routed by zone because too few of the proxy's own kind are healthy.
    LbLocalClusterNotOk = "lb_local_cluster_not_ok";
}

impl Stat {
    /// Statistics of features that istiod does not switch on: not shown where nothing was counted.
    pub const RARE: &'static [Self] = &[
        Self::RqPerTryIdleTimeout,
        Self::RqMaxDurationReached,
        Self::RqRetryBackoffRatelimited,
        Self::CxPoolOverflow,
        Self::CxPoolOpen,
        Self::MembershipChange,
        Self::HealthCheckAttempt,
        Self::HealthCheckSuccess,
        Self::HealthCheckFailure,
        Self::HealthCheckNetworkFailure,
        Self::EjectionsEnforcedSuccessRate,
        Self::EjectionsEnforcedLocalSuccessRate,
        Self::EjectionsEnforcedFailurePercentage,
        Self::EjectionsEnforcedLocalFailurePercentage,
        Self::EjectionsDetectedLocalSuccessRate,
        Self::EjectionsDetectedLocalFailurePercentage,
        Self::LbZoneRoutingAllDirectly,
        Self::LbZoneRoutingSampled,
        Self::LbZoneRoutingCrossZone,
        Self::LbZoneNoCapacityLeft,
        Self::LbLocalClusterNotOk,
    ];

    /// What a cluster is, or what was seen of its hosts without consequence: no result of a run.
    const fn is_remark(self) -> bool {
        matches!(
            self,
            Self::MembershipTotal
                | Self::MembershipHealthy
                | Self::EjectionsDetectedSuccessRate
                | Self::EjectionsDetectedLocalSuccessRate
                | Self::EjectionsDetectedFailurePercentage
                | Self::EjectionsDetectedLocalFailurePercentage
        )
    }
}

impl ClusterStats {
    /// Adds one.
    #[inline]
    pub fn inc(&mut self, stat: Stat) {
        self.values[stat as usize] += 1;
    }

    /// Adds `n`.
    pub fn add(&mut self, stat: Stat, n: u64) {
        self.values[stat as usize] += n;
    }

    /// Current value.
    pub fn get(&self, stat: Stat) -> u64 {
        self.values[stat as usize]
    }

    /// Charges a final status.
    pub fn complete(&mut self, status: u16) {
        self.completed.inc(status);
    }

    /// Charges a status that was discarded for a retry.
    pub fn discard(&mut self, status: u16) {
        self.retried.inc(status);
    }

    /// True when nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.values.iter().all(|v| *v == 0) && self.completed.is_empty()
    }

    /// Mixes the values into a digest. Statistics that came later than
    /// [`Stat::InternalRq`] count where they are not zero, so that results which do not need
    /// them keep their digests.
    pub fn digest(&self, digest: &mut Digest) {
        for stat in Stat::ALL {
            let value = self.get(*stat);
            let early = *stat as u8 <= Stat::InternalRq as u8;
            if early || (value > 0 && !stat.is_remark()) {
                digest.add(value);
            }
        }
    }

    /// Adds another's counts.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.values.iter_mut().zip(&other.values) {
            *mine += theirs;
        }
        self.completed.merge(&other.completed);
        self.retried.merge(&other.retried);
    }

    /// Forgets everything (the end of warm-up).
    pub fn clear(&mut self) {
        self.values = [0; Stat::COUNT];
        self.completed.clear();
        self.retried.clear();
    }

    /// Who closed connections. The other side closes those it refuses and those it resets; all
    /// others are closed by this side.
    fn destroyed(&self, all: &mut BTreeMap<String, u64>) {
        let reset = self.get(Stat::CxDestroyRemoteWithActiveRq);
        let refused = self.get(Stat::CxConnectFail) - self.get(Stat::CxConnectTimeout);
        let remote = reset + refused;
        let local = self.get(Stat::CxDestroy).saturating_sub(remote);
        let active = reset + self.get(Stat::CxDestroyLocalWithActiveRq);
        for (name, value) in [
            ("_local", local),
            ("_remote", remote),
            ("_with_active_rq", active),
        ] {
            all.insert(format!("upstream_cx_destroy{name}"), value);
        }
    }

    /// All values by Envoy's names, per-code and per-class statuses included.
    pub fn named(&self) -> BTreeMap<String, u64> {
        let mut all: BTreeMap<String, u64> = Stat::ALL
            .iter()
            .filter(|s| !Stat::RARE.contains(s) || self.get(**s) > 0)
            .map(|s| (s.name().to_owned(), self.get(*s)))
            .collect();
        self.destroyed(&mut all);
        by_status(&mut all, "", &self.completed);
        by_status(&mut all, "retry.", &self.retried);
        all
    }
}

/// Adds `upstream_rq_503`, `upstream_rq_5xx` and `upstream_rq_completed` under a prefix.
fn by_status(all: &mut BTreeMap<String, u64>, prefix: &str, statuses: &Tally<u16>) {
    let mut completed = 0;
    for (status, n) in statuses.sorted() {
        let status = grpc::http(status);
        completed += n;
        *all.entry(format!("{prefix}upstream_rq_{status}"))
            .or_insert(0) += n;
        *all.entry(format!("{prefix}upstream_rq_{}xx", status / 100))
            .or_insert(0) += n;
    }
    if prefix.is_empty() || completed > 0 {
        all.insert(format!("{prefix}upstream_rq_completed"), completed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn final_and_retried_statuses_are_kept_apart() {
        let mut stats = ClusterStats::default();
        stats.complete(200);
        stats.discard(503);
        stats.discard(500);
        let named = stats.named();
        assert_eq!(named["upstream_rq_2xx"], 1);
        assert_eq!(named["upstream_rq_completed"], 1);
        assert_eq!(named["retry.upstream_rq_5xx"], 2);
        assert!(!named.contains_key("upstream_rq_5xx"));
    }
}
