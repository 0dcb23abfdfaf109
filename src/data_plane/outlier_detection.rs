//! Outlier detection: which hosts one proxy stops using, and for how long.
//!
//! Knows results and times of one cluster in one proxy; does not know the balancer. An
//! ejection is decided at once, reaches the balancer through the merge window
//! ([`super::merge_window`]), and ends only at a sweep
//! (`source/common/upstream/outlier_detection_impl.cc`). Other proxies know nothing of it.
//! Left out, since istiod switches them off or never writes them: success rate, failure
//! percentage, jitter, `always_eject_one_host`.

use crate::units::{SimDuration, SimTime};
use crate::xds::cluster::OutlierDetection;

/// Why a host was found bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ejection {
    /// `consecutive_5xx`.
    Consecutive5xx,
    /// `consecutive_gateway_failure`.
    ConsecutiveGatewayFailure,
    /// `consecutive_local_origin_failure`.
    ConsecutiveLocalOriginFailure,
}

impl Ejection {
    /// The word in `outlier_detection.ejections_enforced_<word>`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Consecutive5xx => "consecutive_5xx",
            Self::ConsecutiveGatewayFailure => "consecutive_gateway_failure",
            Self::ConsecutiveLocalOriginFailure => "consecutive_local_origin_failure",
        }
    }
}

/// What one try told about its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryResult {
    /// Response headers; for gRPC requests the status they carry, see [`grpc_to_http`].
    Status(u16),
    /// The connect failed, or the stream was reset.
    LocalFailure,
    /// A per-try timeout, or the route timeout while headers were awaited.
    Timeout,
    /// A connection was assigned to the try.
    ConnectSuccess,
}

/// What follows from a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Keep,
    /// The host is ejected; it returns at the first sweep not before `until_nominal`.
    Ejected {
        /// Why.
        kind: Ejection,
        /// Now plus base time × multiplier, capped.
        until_nominal: SimTime,
    },
    /// Bad enough, but `max_ejection_percent` forbids it.
    Overflow {
        /// Why.
        kind: Ejection,
    },
    /// Bad enough, but this kind is not enforced.
    Detected {
        /// Why.
        kind: Ejection,
    },
}

/// What one proxy knows of one host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostOutlier {
    /// The flag; the balancer learns of it through the merge window.
    pub ejected: bool,
    /// 5xx in a row.
    pub consecutive_5xx: u32,
    /// 502, 503, 504 in a row.
    pub consecutive_gateway: u32,
    /// Local-origin failures in a row.
    pub consecutive_local: u32,
    /// Grows with each ejection, falls by one per healthy sweep.
    pub multiplier: u32,
    /// Start of the latest ejection.
    pub ejected_at: SimTime,
    /// Latest return.
    pub returned_at: Option<SimTime>,
}

/// Counters of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KindCounts {
    /// `ejections_detected_<kind>`.
    pub detected: u64,
    /// `ejections_enforced_<kind>`.
    pub enforced: u64,
}

/// Outlier detection of one cluster in one proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Monitor {
    /// Hosts whose flag is set (gauge).
    pub ejections_active: u32,
    /// All ejections.
    pub ejections_enforced_total: u64,
    /// Refused by `max_ejection_percent`.
    pub ejections_overflow: u64,
    /// Consecutive 5xx.
    pub consecutive_5xx: KindCounts,
    /// Consecutive gateway failures.
    pub consecutive_gateway_failure: KindCounts,
    /// Consecutive local-origin failures.
    pub consecutive_local_origin_failure: KindCounts,
}

impl Monitor {
    /// Takes one result into account. `hosts_total` counts all hosts of the cluster, whatever
    /// their priority or health.
    #[inline]
    pub fn on_result(
        &mut self,
        config: &OutlierDetection,
        hosts_total: u32,
        host: &mut HostOutlier,
        now: SimTime,
        result: TryResult,
    ) -> Verdict {
        let status = match (result, config.split_local_origin) {
            (TryResult::ConnectSuccess, false) => return Verdict::Keep,
            (TryResult::ConnectSuccess, true) => {
                host.consecutive_local = 0;
                return Verdict::Keep;
            }
            (TryResult::Status(status), _) => status,
            (TryResult::LocalFailure, false) => 503,
            (TryResult::Timeout, false) => 504,
            (TryResult::LocalFailure | TryResult::Timeout, true) => {
                host.consecutive_local += 1;
                let limit = config.consecutive_local_origin_failure;
                if limit.threshold != host.consecutive_local {
                    return Verdict::Keep;
                }
                let kind = Ejection::ConsecutiveLocalOriginFailure;
                let enforced = limit.enforced().is_some();
                return self.on_consecutive(config, hosts_total, host, now, kind, enforced);
            }
        };
        if !(500..600).contains(&status) {
            host.consecutive_5xx = 0;
            host.consecutive_gateway = 0;
            return Verdict::Keep;
        }
        self.on_server_error(config, hosts_total, host, now, status)
    }

    fn on_server_error(
        &mut self,
        config: &OutlierDetection,
        hosts_total: u32,
        host: &mut HostOutlier,
        now: SimTime,
        status: u16,
    ) -> Verdict {
        let mut verdict = Verdict::Keep;
        if matches!(status, 502..=504) {
            host.consecutive_gateway += 1;
            let limit = config.consecutive_gateway_failure;
            if host.consecutive_gateway == limit.threshold {
                let kind = Ejection::ConsecutiveGatewayFailure;
                let enforced = limit.enforced().is_some();
                verdict = self.on_consecutive(config, hosts_total, host, now, kind, enforced);
            }
        } else {
            host.consecutive_gateway = 0;
        }
        host.consecutive_5xx += 1;
        let limit = config.consecutive_5xx;
        if host.consecutive_5xx == limit.threshold {
            let kind = Ejection::Consecutive5xx;
            let enforced = limit.enforced().is_some();
            let second = self.on_consecutive(config, hosts_total, host, now, kind, enforced);
            // Only one verdict is told: an ejection before a refusal before a detection.
            if rank(second) > rank(verdict) {
                verdict = second;
            }
        }
        verdict
    }

    /// A counter reached its threshold. It starts anew even when the host stays.
    fn on_consecutive(
        &mut self,
        config: &OutlierDetection,
        hosts_total: u32,
        host: &mut HostOutlier,
        now: SimTime,
        kind: Ejection,
        enforced: bool,
    ) -> Verdict {
        // A host that is ejected but still in the balancer (merge window) is not ejected
        // twice, and its counter is not reset.
        if host.ejected {
            return Verdict::Keep;
        }
        self.counts(kind).detected += 1;
        let verdict = self.eject(config, hosts_total, host, now, kind, enforced);
        match kind {
            Ejection::Consecutive5xx => host.consecutive_5xx = 0,
            Ejection::ConsecutiveGatewayFailure => host.consecutive_gateway = 0,
            Ejection::ConsecutiveLocalOriginFailure => host.consecutive_local = 0,
        }
        verdict
    }

    fn eject(
        &mut self,
        config: &OutlierDetection,
        hosts_total: u32,
        host: &mut HostOutlier,
        now: SimTime,
        kind: Ejection,
        enforced: bool,
    ) -> Verdict {
        // The candidate is included, and there is no "at least one host" any more.
        let after = 100 * (u64::from(self.ejections_active) + 1);
        if after > u64::from(config.max_ejection_percent) * u64::from(hosts_total) {
            self.ejections_overflow += 1;
            return Verdict::Overflow { kind };
        }
        if !enforced {
            return Verdict::Detected { kind };
        }
        self.ejections_active += 1;
        self.ejections_enforced_total += 1;
        self.counts(kind).enforced += 1;
        host.ejected = true;
        host.ejected_at = now;
        let base = config.base_ejection_time;
        if base.times(u64::from(host.multiplier)) < config.max_ejection_time.plus(base) {
            host.multiplier += 1;
        }
        Verdict::Ejected {
            kind,
            until_nominal: now.after(ejection_time(config, host.multiplier)),
        }
    }

    /// The interval timer, first part: an ejected host returns when its time is over; true then.
    /// To be called host by host, since each return is a change of health of its own.
    #[must_use]
    pub fn return_if_due(
        &mut self,
        config: &OutlierDetection,
        now: SimTime,
        host: &mut HostOutlier,
    ) -> bool {
        if !host.ejected || ejection_time(config, host.multiplier) > now.since(host.ejected_at) {
            return false;
        }
        self.ejections_active = self.ejections_active.saturating_sub(1);
        *host = HostOutlier {
            multiplier: host.multiplier,
            ejected_at: host.ejected_at,
            returned_at: Some(now),
            ..HostOutlier::default()
        };
        true
    }

    /// A host left the cluster: an ejected one no longer counts.
    pub fn on_host_removed(&mut self, host: &HostOutlier) {
        if host.ejected {
            self.ejections_active = self.ejections_active.saturating_sub(1);
        }
    }

    fn counts(&mut self, kind: Ejection) -> &mut KindCounts {
        match kind {
            Ejection::Consecutive5xx => &mut self.consecutive_5xx,
            Ejection::ConsecutiveGatewayFailure => &mut self.consecutive_gateway_failure,
            Ejection::ConsecutiveLocalOriginFailure => &mut self.consecutive_local_origin_failure,
        }
    }
}

const fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Keep => 0,
        Verdict::Detected { .. } => 1,
        Verdict::Overflow { .. } => 2,
        Verdict::Ejected { .. } => 3,
    }
}

fn ejection_time(config: &OutlierDetection, multiplier: u32) -> SimDuration {
    config
        .base_ejection_time
        .times(u64::from(multiplier))
        .min(config.max_ejection_time)
}

/// The interval timer, second part: the multiplier of a host that stays in falls by one, from one
/// interval after its return on.
pub fn forgive(config: &OutlierDetection, now: SimTime, host: &mut HostOutlier) {
    if let Some(returned) = host.returned_at
        && !host.ejected
        && now.since(returned) >= config.interval
    {
        host.multiplier = host.multiplier.saturating_sub(1);
    }
}

/// True while a sweep could change anything: someone is ejected, or a multiplier has to fall.
pub fn needs_sweep(hosts: &[HostOutlier]) -> bool {
    hosts.iter().any(|host| host.ejected || host.multiplier > 0)
}

/// The first sweep after `now`; sweeps stand on a grid that begins with the run.
pub fn next_sweep(config: &OutlierDetection, now: SimTime) -> SimTime {
    let interval = config.interval.ns().max(1);
    SimTime::from_ns((now.ns() / interval + 1).saturating_mul(interval))
}

/// The HTTP status a gRPC status in response headers counts as (`source/common/grpc/status.cc`).
pub const fn grpc_to_http(status: u8) -> u16 {
    match status {
        0 => 200,
        1 => 499,
        3 | 9 | 11 => 400,
        4 => 504,
        5 => 404,
        6 | 10 => 409,
        7 => 403,
        8 => 429,
        12 => 501,
        14 => 503,
        16 => 401,
        _ => 500,
    }
}
