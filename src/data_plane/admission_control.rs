//! The admission control filter: requests are refused by chance while too few succeed
//! (`source/extensions/filters/http/admission_control`).
//!
//! A sliding window of one-second buckets per worker. With n requests recorded, s of them
//! successful, and the threshold T, a request is refused with the probability
//! ((n − s/T) / (n + 1))^(1/aggression), within a cap. Refused requests are not recorded, and
//! neither are those that end without a response. A gRPC status is a success unless it tells of a
//! fault of the server (Envoy's default; criteria of one's own are not modelled).

use std::collections::VecDeque;

use crate::http::grpc;
use crate::units::{SimDuration, SimTime};
use crate::xds::filter::AdmissionControl;

/// Buckets begin when a second has passed since the last one began.
const GRANULARITY: SimDuration = SimDuration::from_secs(1);
/// Envoy compares four digits of the probability.
const ACCURACY: f64 = 10_000.0;

/// What one worker saw of late.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Window {
    /// (begin, requests, successes), oldest first.
    buckets: VecDeque<(SimTime, u32, u32)>,
    requests: u32,
    successes: u32,
}

impl Window {
    /// True when the request is refused; `draw` is a fresh random number.
    pub fn rejects(&mut self, now: SimTime, settings: &AdmissionControl, draw: u64) -> bool {
        self.advance(now, settings);
        if self.average_rps(now) < settings.rps_threshold {
            return false;
        }
        let chance = self.rejection_probability(settings);
        ACCURACY * chance > (draw % 10_000) as f64
    }

    /// A request that went on was answered.
    pub fn record(&mut self, now: SimTime, settings: &AdmissionControl, status: u16) {
        self.advance(now, settings);
        let succeeded = is_success(settings, status);
        if let Some((_, requests, successes)) = self.buckets.back_mut() {
            *requests += 1;
            *successes += u32::from(succeeded);
        }
        self.requests += 1;
        self.successes += u32::from(succeeded);
    }

    /// Between 0 and the cap.
    fn rejection_probability(&self, settings: &AdmissionControl) -> f64 {
        let (n, s) = (f64::from(self.requests), f64::from(self.successes));
        let threshold = settings.success_threshold.as_f64();
        let missing = (n - s / threshold) / (n + 1.0);
        if missing <= 0.0 {
            return 0.0;
        }
        let chance = match settings.aggression {
            0..=1000 => missing,
            aggression => libm::pow(missing, 1000.0 / f64::from(aggression)),
        };
        chance.min(settings.max_rejection.as_f64())
    }

    /// Whole requests per second since the oldest bucket began.
    fn average_rps(&self, now: SimTime) -> u32 {
        let Some((oldest, ..)) = self.buckets.front() else {
            return 0;
        };
        let seconds = now.since(*oldest).ns() / 1_000_000_000;
        self.requests / (seconds.max(1) as u32)
    }

    /// Forgets what is too old and begins a new bucket when it is time.
    fn advance(&mut self, now: SimTime, settings: &AdmissionControl) {
        while let Some((begin, requests, successes)) = self.buckets.front().copied() {
            if now.since(begin) < settings.sampling_window {
                break;
            }
            self.requests -= requests;
            self.successes -= successes;
            self.buckets.pop_front();
        }
        let newest = self.buckets.back().map(|(begin, ..)| *begin);
        if newest.is_none_or(|begin| now.since(begin) >= GRANULARITY) {
            self.buckets.push_back((now, 0, 0));
        }
    }
}

fn is_success(settings: &AdmissionControl, status: u16) -> bool {
    if let Some(grpc) = grpc::kept(status) {
        // Deadline exceeded, resource exhausted, aborted, internal, unavailable, data loss.
        return !matches!(grpc, 4 | 8 | 10 | 13..=15);
    }
    let mut ranges = settings.success.iter();
    ranges.any(|(from, to)| (*from..*to).contains(&status))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Fraction;

    fn settings() -> AdmissionControl {
        AdmissionControl {
            sampling_window: SimDuration::from_secs(30),
            aggression: 1000,
            success_threshold: Fraction::from_ppm(950_000),
            rps_threshold: 0,
            max_rejection: Fraction::from_ppm(800_000),
            success: vec![(100, 500)],
        }
    }

    fn at(ms: u64) -> SimTime {
        SimTime::from_ns(ms * 1_000_000)
    }

    fn after(statuses: &[(u16, u32)], settings: &AdmissionControl) -> Window {
        let mut window = Window::default();
        for (status, times) in statuses {
            for _ in 0..*times {
                window.record(at(0), settings, *status);
            }
        }
        window
    }

    #[test]
    fn failures_raise_the_chance_up_to_the_cap() {
        let settings = settings();
        let chance = |statuses: &[(u16, u32)]| {
            let window = after(statuses, &settings);
            window.rejection_probability(&settings)
        };
        let check = |statuses: &[(u16, u32)], expected: f64| {
            let found = chance(statuses);
            assert!((found - expected).abs() < 1e-12, "{statuses:?}: {found}");
        };
        check(&[], 0.0);
        check(&[(200, 95), (503, 5)], 0.0);
        check(&[(503, 1)], 0.5);
        check(&[(503, 300)], 0.8);
        // 100 requests, 76 good ones: (100 − 80) / 101.
        check(&[(200, 76), (503, 24)], 20.0 / 101.0);
        // 4xx are the client's affair, and so is gRPC's "not found".
        check(&[(404, 50)], 0.0);
        check(&[(grpc::in_headers(5), 50)], 0.0);
        check(&[(grpc::in_headers(14), 1)], 0.5);
    }

    #[test]
    fn aggression_makes_small_shortfalls_count() {
        let mut settings = settings();
        settings.aggression = 2000;
        let window = after(&[(200, 76), (503, 24)], &settings);
        let chance = window.rejection_probability(&settings);
        assert!((chance * chance - 20.0 / 101.0).abs() < 1e-12, "{chance}");
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let settings = settings();
        let mut window = after(&[(503, 100)], &settings);
        assert!(window.rejects(at(29_999), &settings, 7_999));
        assert!(!window.rejects(at(29_999), &settings, 8_000));
        assert!(!window.rejects(at(30_000), &settings, 0));
    }

    #[test]
    fn a_quiet_service_is_left_alone_below_the_rate() {
        let mut settings = settings();
        settings.rps_threshold = 20;
        let mut window = after(&[(503, 100)], &settings);
        assert!(window.rejects(at(5_999), &settings, 0), "100 in 5 s");
        assert!(!window.rejects(at(6_000), &settings, 0), "100 in 6 s");
    }
}
