//! Outlier detection: which hosts one proxy stops using, and for how long.
//!
//! Knows results and times of one cluster in one proxy; does not know the balancer. An
//! ejection is decided at once, reaches the balancer through the merge window
//! ([`super::merge_window`]), and ends only at a sweep or with a passed health check
//! (`source/common/upstream/outlier_detection_impl.cc`). Other proxies know nothing of it.
//! Failures in a row are judged as they come, rates when an interval ends (`statistics`).
//! Luck (enforcement between 0 and 100 %, jitter) comes from the monitor's own seed.

mod kind;
mod statistics;

pub use kind::Ejection;

use crate::units::hash::mix;
use crate::units::{SimDuration, SimTime};
use crate::xds::cluster::OutlierDetection;

/// What one try told about its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryResult {
    /// Response headers; for gRPC requests the status they carry, see [`crate::http::grpc::to_http`].
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
        /// Now plus base time × multiplier, capped, and the jitter.
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
    /// How much longer the latest ejection lasts.
    pub jitter: SimDuration,
    /// Answers of this interval (while errors are not split, everything).
    pub external: Volume,
    /// Local-origin results of this interval, once errors are split.
    pub local: Volume,
}

/// Results of one host in one interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// All of them.
    pub total: u32,
    /// Failures among them.
    pub failed: u32,
}

impl Volume {
    /// Share of successes in percent.
    fn success_rate(self) -> f64 {
        f64::from(self.total - self.failed) * 100.0 / f64::from(self.total)
    }
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
    /// Tries that failed, whatever came of it.
    pub failures: u64,
    /// Counts by kind, in the order of [`Ejection::ALL`].
    pub counts: [KindCounts; 7],
    /// Hosts of the cluster, whatever their priority or health.
    hosts_total: u32,
    /// When the interval that is counted ends; never where there are too few hosts for rates.
    interval_end: Option<SimTime>,
    seed: u64,
    drawn: u64,
}

impl Monitor {
    /// Nothing seen yet. `hosts_total` counts all hosts of the cluster, whatever their priority
    /// or health.
    pub fn new(config: &OutlierDetection, hosts_total: u32, seed: u64) -> Self {
        let least =
            (config.success_rate.minimum_hosts).min(config.failure_percentage.minimum_hosts);
        Self {
            hosts_total,
            interval_end: (hosts_total >= least).then_some(SimTime::ZERO),
            seed,
            ..Self::default()
        }
    }

    /// The cluster has another number of hosts.
    pub fn set_hosts(&mut self, config: &OutlierDetection, hosts_total: u32) {
        let least =
            (config.success_rate.minimum_hosts).min(config.failure_percentage.minimum_hosts);
        self.hosts_total = hosts_total;
        if hosts_total < least {
            self.interval_end = None;
        } else {
            self.interval_end = self.interval_end.or(Some(SimTime::ZERO));
        }
    }

    /// True when rates are kept and their interval is over.
    #[inline]
    pub fn is_interval_over(&self, now: SimTime) -> bool {
        self.interval_end.is_some_and(|end| now >= end)
    }

    /// Begins the interval that `now` lies in; false when another one had begun before.
    pub fn begin_interval(&mut self, config: &OutlierDetection, now: SimTime) -> bool {
        let first = self.interval_end == Some(SimTime::ZERO);
        if self.interval_end.is_some() {
            self.interval_end = Some(next_sweep(config, now));
        }
        first
    }

    /// True when an interval's end may eject somebody, so that it must not be missed.
    pub fn enforces_rates(&self, config: &OutlierDetection) -> bool {
        let (rate, share) = (config.success_rate, config.failure_percentage);
        let local = config.split_local_origin
            && rate.enforcing_local_origin + share.enforcing_local_origin > 0;
        self.interval_end.is_some() && (rate.enforcing + share.enforcing > 0 || local)
    }

    /// Counts of one kind.
    pub const fn of(&self, kind: Ejection) -> KindCounts {
        self.counts[kind as usize]
    }

    /// Takes one result into account.
    #[inline]
    pub fn on_result(
        &mut self,
        config: &OutlierDetection,
        host: &mut HostOutlier,
        now: SimTime,
        result: TryResult,
    ) -> Verdict {
        let status = match (result, config.split_local_origin) {
            (TryResult::ConnectSuccess, false) => return Verdict::Keep,
            (TryResult::ConnectSuccess, true) => {
                host.local.total = host.local.total.wrapping_add(1);
                host.consecutive_local = 0;
                return Verdict::Keep;
            }
            (TryResult::Status(status), _) => status,
            (TryResult::LocalFailure, false) => 503,
            (TryResult::Timeout, false) => 504,
            (TryResult::LocalFailure | TryResult::Timeout, true) => {
                host.local.total = host.local.total.wrapping_add(1);
                host.local.failed = host.local.failed.wrapping_add(1);
                host.consecutive_local += 1;
                self.failures += 1;
                if config.consecutive_local_origin_failure.threshold != host.consecutive_local {
                    return Verdict::Keep;
                }
                let kind = Ejection::ConsecutiveLocalOriginFailure;
                return self.on_consecutive(config, host, now, kind);
            }
        };
        host.external.total = host.external.total.wrapping_add(1);
        if !(500..600).contains(&status) {
            host.consecutive_5xx = 0;
            host.consecutive_gateway = 0;
            return Verdict::Keep;
        }
        self.on_5xx(config, host, now, status)
    }

    fn on_5xx(
        &mut self,
        config: &OutlierDetection,
        host: &mut HostOutlier,
        now: SimTime,
        status: u16,
    ) -> Verdict {
        host.external.failed = host.external.failed.wrapping_add(1);
        self.failures += 1;
        let mut verdict = Verdict::Keep;
        if matches!(status, 502..=504) {
            host.consecutive_gateway += 1;
            if host.consecutive_gateway == config.consecutive_gateway_failure.threshold {
                let kind = Ejection::ConsecutiveGatewayFailure;
                verdict = self.on_consecutive(config, host, now, kind);
            }
        } else {
            host.consecutive_gateway = 0;
        }
        host.consecutive_5xx += 1;
        if host.consecutive_5xx == config.consecutive_5xx.threshold {
            let second = self.on_consecutive(config, host, now, Ejection::Consecutive5xx);
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
        host: &mut HostOutlier,
        now: SimTime,
        kind: Ejection,
    ) -> Verdict {
        // A host that is ejected but still in the balancer (merge window) is not ejected
        // twice, and its counter is not reset.
        if host.ejected {
            return Verdict::Keep;
        }
        self.counts[kind as usize].detected += 1;
        let verdict = self.eject(config, host, now, kind);
        match kind {
            Ejection::ConsecutiveGatewayFailure => host.consecutive_gateway = 0,
            Ejection::ConsecutiveLocalOriginFailure => host.consecutive_local = 0,
            _ => host.consecutive_5xx = 0,
        }
        verdict
    }

    fn eject(
        &mut self,
        config: &OutlierDetection,
        host: &mut HostOutlier,
        now: SimTime,
        kind: Ejection,
    ) -> Verdict {
        // The candidate is included, and "at least one host" has to be asked for.
        let after = 100 * (u64::from(self.ejections_active) + 1);
        let most = u64::from(config.max_ejection_percent.min(100)) * u64::from(self.hosts_total);
        let first = config.always_eject_one_host && self.ejections_active == 0;
        if after > most && !first {
            self.ejections_overflow += 1;
            return Verdict::Overflow { kind };
        }
        if !self.is_enforced(kind.enforcing(config)) {
            return Verdict::Detected { kind };
        }
        self.ejections_active += 1;
        self.ejections_enforced_total += 1;
        self.counts[kind as usize].enforced += 1;
        host.ejected = true;
        host.ejected_at = now;
        let jitter = config.max_ejection_time_jitter.ns() / 1_000_000;
        if jitter > 0 {
            host.jitter = SimDuration::from_ms(self.draw() % (jitter + 1));
        }
        let base = config.base_ejection_time;
        if base.times(u64::from(host.multiplier)) < config.max_ejection_time.plus(base) {
            host.multiplier += 1;
        }
        Verdict::Ejected {
            kind,
            until_nominal: now.after(ejection_time(config, host)),
        }
    }

    fn is_enforced(&mut self, percent: u32) -> bool {
        percent >= 100 || percent > 0 && self.draw() % 100 < u64::from(percent)
    }

    fn draw(&mut self) -> u64 {
        self.drawn += 1;
        mix(self.seed, self.drawn)
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
        let due = host.ejected && ejection_time(config, host) <= now.since(host.ejected_at);
        if due {
            self.uneject(now, host);
        }
        due
    }

    /// An ejected host is taken back: its time is over, or it passed a health check.
    pub fn uneject(&mut self, now: SimTime, host: &mut HostOutlier) {
        self.ejections_active = self.ejections_active.saturating_sub(1);
        *host = HostOutlier {
            ejected: false,
            consecutive_5xx: 0,
            consecutive_gateway: 0,
            consecutive_local: 0,
            returned_at: Some(now),
            ..*host
        };
    }

    /// A host left the cluster: an ejected one no longer counts.
    pub fn on_host_removed(&mut self, host: &HostOutlier) {
        if host.ejected {
            self.ejections_active = self.ejections_active.saturating_sub(1);
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

fn ejection_time(config: &OutlierDetection, host: &HostOutlier) -> SimDuration {
    let base = config.base_ejection_time;
    let time = base.times(u64::from(host.multiplier));
    time.min(config.max_ejection_time).plus(host.jitter)
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
