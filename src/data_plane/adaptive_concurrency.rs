//! The adaptive concurrency filter's gradient controller: as many requests at once as keep the
//! round-trip time near its minimum
//! (`source/extensions/filters/http/adaptive_concurrency/controller/gradient_controller.cc`).
//!
//! One controller per filter of a proxy, shared by its workers. Its timers change nothing that
//! anybody sees before the next request or answer, so they are caught up with then: no events.

use std::collections::BTreeMap;

use crate::units::{SimDuration, SimTime};
use crate::xds::filter::{AdaptiveConcurrency, MinRtt};

/// A new minimum is measured when the limit was the least one this often in a row.
const MINIMUM_SETS_MAX: u32 = 5;

/// State of one controller.
#[derive(Clone, Debug)]
pub struct Controller {
    limit: u32,
    outstanding: u32,
    min_rtt_us: u64,
    /// The limit to go back to: the minimum is being measured.
    deferred: Option<u32>,
    /// Answers to requests from before this are not measured.
    epoch: SimTime,
    samples: Samples,
    sample_timer: Option<SimTime>,
    min_rtt_timer: Option<SimTime>,
    minimum_sets: u32,
}

impl Controller {
    /// At the start of a proxy.
    pub fn new(settings: &AdaptiveConcurrency) -> Self {
        let fixed = match settings.min_rtt {
            MinRtt::Fixed(length) => Some(length),
            MinRtt::Measured { .. } => None,
        };
        Self {
            limit: settings.min_concurrency,
            outstanding: 0,
            min_rtt_us: fixed.map_or(0, |length| length.ns() / 1000),
            deferred: fixed.is_none().then_some(settings.min_concurrency),
            epoch: SimTime::ZERO,
            samples: Samples::default(),
            sample_timer: Some(SimTime::ZERO.after(settings.update_interval)),
            min_rtt_timer: None,
            minimum_sets: 0,
        }
    }

    /// Requests that may be outstanding now.
    pub const fn limit(&self) -> u32 {
        self.limit
    }

    /// A request comes; false when it is refused.
    pub fn admit(&mut self, now: SimTime, settings: &AdaptiveConcurrency) -> bool {
        self.catch_up(now, settings);
        let admitted = self.outstanding < self.limit;
        self.outstanding += u32::from(admitted);
        admitted
    }

    /// A request that was admitted when it was `sent` is answered. `draw` gives a random number
    /// for the jitter of the next measurement.
    pub fn answered(
        &mut self,
        now: SimTime,
        sent: SimTime,
        settings: &AdaptiveConcurrency,
        draw: impl FnOnce() -> u64,
    ) {
        self.catch_up(now, settings);
        self.outstanding = self.outstanding.saturating_sub(1);
        if sent < self.epoch {
            return;
        }
        self.samples.insert(now.since(sent).ns() / 1000);
        if let (Some(deferred), MinRtt::Measured { request_count, .. }) =
            (self.deferred, settings.min_rtt)
            && self.samples.count >= u64::from(request_count)
        {
            self.min_rtt_us = self.samples.take(settings);
            self.set_limit(now, deferred, settings);
            self.deferred = None;
            self.arm_min_rtt(now, settings, draw);
            self.sample_timer = Some(now.after(settings.update_interval));
        }
    }

    /// An admitted request ended without an answer.
    pub fn cancelled(&mut self) {
        self.outstanding = self.outstanding.saturating_sub(1);
    }

    fn arm_min_rtt(
        &mut self,
        now: SimTime,
        settings: &AdaptiveConcurrency,
        draw: impl FnOnce() -> u64,
    ) {
        let MinRtt::Measured {
            interval, jitter, ..
        } = settings.min_rtt
        else {
            return;
        };
        let ms = interval.ns() / 1_000_000;
        let range = (ms * u64::from(jitter.ppm())).div_ceil(1_000_000);
        let extra = if range == 0 { 0 } else { draw() % range };
        self.min_rtt_timer = Some(now.after(SimDuration::from_ms(ms + extra)));
    }

    /// Timers that are due, in their order.
    fn catch_up(&mut self, now: SimTime, settings: &AdaptiveConcurrency) {
        loop {
            let never = SimTime::MAX;
            let sample = self.sample_timer.unwrap_or(never);
            let min_rtt = self.min_rtt_timer.unwrap_or(never);
            if sample.min(min_rtt) > now {
                return;
            }
            if min_rtt <= sample {
                self.min_rtt_timer = None;
                self.enter_window(min_rtt, settings);
            } else {
                self.on_sample_timer(sample, now, settings);
            }
        }
    }

    fn on_sample_timer(&mut self, at: SimTime, now: SimTime, settings: &AdaptiveConcurrency) {
        if self.deferred.is_some() {
            // The end of the measurement starts it again.
            self.sample_timer = None;
            return;
        }
        let mut next = at.after(settings.update_interval);
        if self.samples.count > 0 {
            let limit = self.next_limit(settings);
            self.set_limit(at, limit, settings);
        } else {
            // Nothing happens in empty intervals: they are passed over in one step.
            let step = settings.update_interval.ns().max(1);
            let until = self.min_rtt_timer.map_or(now, |timer| timer.min(now));
            let whole = until.since(at).ns() / step;
            next = next.after(SimDuration::from_ns(whole.saturating_mul(step)));
        }
        self.sample_timer = Some(next);
    }

    fn enter_window(&mut self, at: SimTime, settings: &AdaptiveConcurrency) {
        if self.deferred.is_some() {
            return;
        }
        self.deferred = Some(self.limit);
        self.set_limit(at, settings.min_concurrency, settings);
        self.samples.clear();
        self.epoch = at;
    }

    fn next_limit(&mut self, settings: &AdaptiveConcurrency) -> u32 {
        let sample_us = self.samples.take(settings).max(1);
        let buffered = self.min_rtt_us as f64 * (1.0 + settings.buffer.as_f64());
        let gradient = (buffered / sample_us as f64).clamp(0.5, 2.0);
        let limit = f64::from(self.limit) * gradient;
        let limit = (limit + limit.sqrt()) as u32;
        limit.min(settings.max_limit).max(settings.min_concurrency)
    }

    fn set_limit(&mut self, at: SimTime, limit: u32, settings: &AdaptiveConcurrency) {
        let least = settings.min_concurrency;
        let measuring = self.deferred.is_some();
        if !measuring && self.limit == least && limit == least {
            self.minimum_sets += 1;
        } else {
            self.minimum_sets = 0;
        }
        self.limit = limit;
        let measured = matches!(settings.min_rtt, MinRtt::Measured { .. });
        if self.minimum_sets >= MINIMUM_SETS_MAX && measured {
            self.min_rtt_timer = Some(at);
        }
    }
}

/// Round-trip times in Envoy's histogram (libcirclhist): two digits of each value are kept.
#[derive(Clone, Debug, Default)]
struct Samples {
    /// Width of the bin and its lower end in microseconds, to the number of samples.
    bins: BTreeMap<(u64, u64), u64>,
    count: u64,
}

impl Samples {
    fn insert(&mut self, us: u64) {
        let mut width = 1;
        while us / width >= 100 {
            width *= 10;
        }
        *self.bins.entry((width, us / width * width)).or_insert(0) += 1;
        self.count += 1;
    }

    fn clear(&mut self) {
        *self = Self::default();
    }

    /// The configured percentile, with linear interpolation within a bin; forgets everything.
    fn take(&mut self, settings: &AdaptiveConcurrency) -> u64 {
        let wanted = self.count as f64 * settings.percentile.as_f64();
        let mut below = 0.0;
        let mut found = 0.0;
        for ((width, start), count) in &self.bins {
            let inside = *count as f64;
            let share = ((wanted - below) / inside).min(1.0);
            found = *start as f64 + *width as f64 * share;
            if below + inside >= wanted {
                break;
            }
            below += inside;
        }
        self.clear();
        found as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Fraction;

    fn settings() -> AdaptiveConcurrency {
        AdaptiveConcurrency {
            percentile: Fraction::from_ppm(500_000),
            max_limit: 1000,
            update_interval: SimDuration::from_ms(100),
            min_rtt: MinRtt::Measured {
                interval: SimDuration::from_secs(60),
                request_count: 10,
                jitter: Fraction::ZERO,
            },
            min_concurrency: 3,
            buffer: Fraction::from_ppm(250_000),
            status: 503,
        }
    }

    fn at(ms: u64) -> SimTime {
        SimTime::from_ns(ms * 1_000_000)
    }

    /// As many requests as may be, each `ms` long, one after another until `until`; the limits seen.
    fn limits(settings: &AdaptiveConcurrency, ms: u64, until: u64) -> Vec<u32> {
        let mut controller = Controller::new(settings);
        let mut seen = vec![controller.limit()];
        let mut now = 0;
        while now < until {
            let mut admitted = 0;
            while controller.admit(at(now), settings) {
                admitted += 1;
            }
            for _ in 0..admitted {
                controller.answered(at(now + ms), at(now), settings, || 0);
            }
            now += ms;
            if seen.last() != Some(&controller.limit()) {
                seen.push(controller.limit());
            }
        }
        seen
    }

    #[test]
    fn with_a_constant_round_trip_the_limit_grows_as_measured() {
        // Measured on 1.40 with 20 ms and a gradient of 1.25 to 1.30: 3, 5, 9, 14, 22, 32, 47.
        let grown = limits(&settings(), 20, 900);
        assert_eq!(&grown[..7], [3, 5, 8, 13, 20, 30, 43]);
        let never = limits(&settings(), 20, 60);
        assert_eq!(never, [3], "ten samples are needed first");
    }

    #[test]
    fn the_limit_stays_between_its_ends() {
        let mut small = settings();
        small.max_limit = 6;
        assert_eq!(limits(&small, 20, 2000).last(), Some(&6));
    }

    #[test]
    fn no_more_than_the_limit_are_outstanding() {
        let settings = settings();
        let mut controller = Controller::new(&settings);
        let admitted = (0..9).filter(|_| controller.admit(at(0), &settings));
        assert_eq!(admitted.count(), 3);
        controller.cancelled();
        assert!(controller.admit(at(1), &settings));
        assert!(!controller.admit(at(1), &settings));
    }

    #[test]
    fn the_minimum_is_measured_again_after_its_interval() {
        let mut settings = settings();
        settings.min_rtt = MinRtt::Measured {
            interval: SimDuration::from_secs(1),
            request_count: 10,
            jitter: Fraction::ZERO,
        };
        let seen = limits(&settings, 20, 1400);
        let again = seen.iter().rposition(|limit| *limit == 3);
        assert!(again.is_some_and(|place| place > 3), "{seen:?}");
    }

    #[test]
    fn samples_keep_two_digits() {
        let settings = settings();
        let mut samples = Samples::default();
        for us in [20_100, 20_200, 20_900] {
            samples.insert(us);
        }
        assert_eq!(samples.take(&settings), 20_500);
        samples.insert(7);
        assert_eq!(samples.take(&settings), 7);
    }
}
