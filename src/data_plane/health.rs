//! Active health checks: what one check makes of a host, and when the next one begins
//! (`source/extensions/health_checkers/common/health_checker_base_impl.cc`).
//!
//! Knows results of one host; does not know connections. A host begins unhealthy and its first
//! check decides at once; later ones need as many in a row as the thresholds say, except for
//! a wrong status, which makes a host unhealthy whatever the threshold. The balancer learns of it
//! through the merge window.

use crate::units::SimDuration;
use crate::xds::cluster::{HealthCheck, HealthCheckKind};

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckResult {
    /// As expected.
    Passed,
    /// An answer that is not expected.
    Failed,
    /// An answer that is not expected, and counts like [`Self::NetworkFailed`].
    RetriableFailed,
    /// No connection, no answer in time, or a reset.
    NetworkFailed,
}

/// What a check changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// Nothing.
    Unchanged,
    /// A row has begun that may change the host's health.
    Pending,
    /// The host's health.
    Changed,
}

/// One host as its health checks see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostHealth {
    /// The flag.
    pub failed: bool,
    first: bool,
    passed_in_row: u32,
    failed_in_row: u32,
}

impl Default for HostHealth {
    fn default() -> Self {
        Self {
            failed: true,
            first: true,
            passed_in_row: 0,
            failed_in_row: 0,
        }
    }
}

impl HostHealth {
    /// Takes one result into account.
    pub fn on_result(&mut self, check: &HealthCheck, result: CheckResult) -> Transition {
        let first = std::mem::replace(&mut self.first, false);
        if result == CheckResult::Passed {
            self.failed_in_row = 0;
            if !self.failed {
                return Transition::Unchanged;
            }
            self.passed_in_row += 1;
            if !first && self.passed_in_row != check.healthy_threshold {
                return Transition::Pending;
            }
            self.failed = false;
            return Transition::Changed;
        }
        self.passed_in_row = 0;
        if self.failed {
            return Transition::Unchanged;
        }
        self.failed_in_row += 1;
        if result != CheckResult::Failed && self.failed_in_row != check.unhealthy_threshold {
            return Transition::Pending;
        }
        self.failed = true;
        Transition::Changed
    }
}

/// What an answer with this status means.
pub fn judge(kind: &HealthCheckKind, status: u16) -> CheckResult {
    let within = |list: &[(u16, u16)]| list.iter().any(|(from, to)| (*from..*to).contains(&status));
    let (expected, retriable): (bool, bool) = match kind {
        HealthCheckKind::Http {
            expected,
            retriable,
            ..
        } if expected.is_empty() => (status == 200, within(retriable)),
        HealthCheckKind::Http {
            expected,
            retriable,
            ..
        } => (within(expected), within(retriable)),
        HealthCheckKind::Tcp => (true, false),
        HealthCheckKind::Grpc { .. } => (status == 200, false),
    };
    match (expected, retriable) {
        (true, _) => CheckResult::Passed,
        (false, true) => CheckResult::RetriableFailed,
        (false, false) => CheckResult::Failed,
    }
}

/// From the end of a check to the next. Without traffic so far checks are rare.
pub fn interval(
    check: &HealthCheck,
    passed: bool,
    transition: Transition,
    had_traffic: bool,
    draw: &mut impl FnMut() -> u64,
) -> SimDuration {
    let unhealthy = check.unhealthy_interval.unwrap_or(check.interval);
    let base = match (had_traffic, passed, transition) {
        (false, true, _) => {
            (check.no_traffic_healthy_interval).unwrap_or(check.no_traffic_interval)
        }
        (false, false, _) => check.no_traffic_interval,
        (true, true, Transition::Pending) => check.healthy_edge_interval.unwrap_or(check.interval),
        (true, false, Transition::Pending) => check.unhealthy_edge_interval.unwrap_or(unhealthy),
        (true, true, _) => check.interval,
        (true, false, _) => unhealthy,
    };
    let ms = base.ns() / 1_000_000;
    let share = ms * u64::from(check.interval_jitter_percent) / 100;
    let jitter = check.interval_jitter.ns() / 1_000_000;
    let mut extra = 0;
    for most in [share, jitter] {
        if most > 0 {
            extra += draw() % most;
        }
    }
    SimDuration::from_ms((ms + extra).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Origin;

    fn check(unhealthy: u32, healthy: u32) -> HealthCheck {
        let second = SimDuration::from_secs(1);
        HealthCheck {
            kind: HealthCheckKind::Tcp,
            timeout: second,
            interval: second,
            interval_jitter: SimDuration::ZERO,
            interval_jitter_percent: 0,
            initial_jitter: SimDuration::ZERO,
            unhealthy_threshold: unhealthy,
            healthy_threshold: healthy,
            no_traffic_interval: SimDuration::from_secs(60),
            no_traffic_healthy_interval: None,
            unhealthy_interval: None,
            unhealthy_edge_interval: None,
            healthy_edge_interval: None,
            reuse_connection: true,
            origin: Origin::BUILT_IN,
        }
    }

    /// `+` passed, `x` wrong status, `n` no answer → the flag after each: `h` or `u`.
    fn feed(check: &HealthCheck, results: &str, flags: &str) {
        let mut host = HostHealth::default();
        let seen: String = (results.chars())
            .map(|c| {
                let result = match c {
                    '+' => CheckResult::Passed,
                    'x' => CheckResult::Failed,
                    _ => CheckResult::NetworkFailed,
                };
                let _ = host.on_result(check, result);
                if host.failed { 'u' } else { 'h' }
            })
            .collect();
        assert_eq!(seen, flags, "{results}");
    }

    #[test]
    fn the_first_check_decides_and_thresholds_count_in_a_row() {
        feed(&check(3, 2), "+nn+nnn+n++", "hhhhhhuuuuh");
        feed(&check(3, 2), "n++", "uuh");
    }

    #[test]
    fn a_wrong_status_needs_no_threshold() {
        feed(&check(3, 2), "+x++", "huuh");
    }

    #[test]
    fn statuses_are_judged_by_ranges() {
        let http = |expected: &[(u16, u16)], retriable: &[(u16, u16)]| HealthCheckKind::Http {
            path: "/healthz".into(),
            host: "".into(),
            expected: expected.to_vec(),
            retriable: retriable.to_vec(),
            http2: false,
        };
        let plain = http(&[], &[(503, 504)]);
        assert_eq!(judge(&plain, 200), CheckResult::Passed);
        assert_eq!(judge(&plain, 204), CheckResult::Failed);
        assert_eq!(judge(&plain, 503), CheckResult::RetriableFailed);
        assert_eq!(judge(&http(&[(200, 300)], &[]), 204), CheckResult::Passed);
        assert_eq!(judge(&http(&[(201, 300)], &[]), 200), CheckResult::Failed);
    }

    #[test]
    fn the_next_check_comes_by_result_and_traffic() {
        use Transition::{Changed, Pending, Unchanged};
        let mut check = check(3, 2);
        check.unhealthy_interval = Some(SimDuration::from_secs(2));
        check.healthy_edge_interval = Some(SimDuration::from_ms(100));
        let seconds = |passed, transition, traffic| {
            interval(&check, passed, transition, traffic, &mut || 0).as_secs_f64()
        };
        assert!((seconds(true, Unchanged, false) - 60.0).abs() < 1e-9);
        assert!((seconds(true, Unchanged, true) - 1.0).abs() < 1e-9);
        assert!((seconds(true, Pending, true) - 0.1).abs() < 1e-9);
        assert!((seconds(false, Pending, true) - 2.0).abs() < 1e-9);
        assert!((seconds(false, Changed, true) - 2.0).abs() < 1e-9);
    }

    #[test]
    fn jitter_is_drawn_below_its_most() {
        let mut check = check(3, 2);
        check.interval_jitter = SimDuration::from_ms(10);
        check.interval_jitter_percent = 50;
        let takes = interval(&check, true, Transition::Unchanged, true, &mut || 1234);
        assert_eq!(takes, SimDuration::from_ms(1000 + 1234 % 500 + 1234 % 10));
    }
}
