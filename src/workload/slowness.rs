//! What makes a pod's work take longer than its service time: a cold start, pauses of its
//! runtime, a CPU quota.

use std::collections::VecDeque;

use crate::engine::{Draws, Sampler};
use crate::units::{SimDuration, SimTime};

/// Work takes longer after a start, as just-in-time compilers and cold caches have it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WarmUp {
    /// Until it is over.
    pub length: SimDuration,
    /// How many times as long work takes at first; falls to 1 in a straight line.
    pub factor: f64,
}

impl WarmUp {
    /// Work that begins so long after the pod became ready.
    pub fn stretch(&self, since_ready: SimDuration, work: SimDuration) -> SimDuration {
        if since_ready >= self.length {
            return work;
        }
        let cold = 1.0 - since_ready.as_secs_f64() / self.length.as_secs_f64();
        let factor = 1.0 + (self.factor - 1.0) * cold;
        SimDuration::from_ns((work.ns() as f64 * factor + 0.5) as u64)
    }
}

/// The pauses of one pod: while one lasts no work goes on. Told the time in order.
#[derive(Clone, Debug, Default)]
pub struct Pauses {
    /// (begin, end), those that may still matter.
    known: VecDeque<(SimTime, SimTime)>,
    count: u64,
}

impl Pauses {
    /// When work that begins now and takes so long is done. `every` is from the end of a pause to
    /// the next, `lasts` a pause; `key` is the pod's.
    pub fn end_of(
        &mut self,
        now: SimTime,
        work: SimDuration,
        (every, lasts): (&Sampler, &Sampler),
        key: u64,
    ) -> SimTime {
        while self.known.len() > 1 && self.known[0].1 <= now {
            self.known.pop_front();
        }
        let (mut at, mut left, mut index) = (now, work, 0);
        loop {
            if index == self.known.len() {
                let last = self.known.back().map_or(SimTime::ZERO, |(_, end)| *end);
                let mut draws = Draws::of(key, self.count);
                self.count += 1;
                // A pod that pauses without end would do no work at all.
                let gap = every.sample(&mut draws).max(SimDuration::from_us(1));
                let begin = last.after(gap);
                let end = begin.after(lasts.sample(&mut draws));
                self.known.push_back((begin, end));
            }
            let (begin, end) = self.known[index];
            index += 1;
            if end <= at {
                continue;
            }
            let until = begin.since(at);
            if left <= until {
                return at.after(left);
            }
            left = SimDuration::from_ns(left.ns() - until.ns());
            at = end;
        }
    }
}

/// A CPU quota, as the kernel's CFS bandwidth control enforces `limits.cpu`.
///
/// Every 100 ms there is so much processor time; when it is used up, everything stands still until
/// the next period. Approximation: a request's processor time is charged when its work begins, in
/// the order of beginning, and not as it is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuQuota {
    /// The period that is being charged.
    period: u64,
    used_ns: u64,
}

/// Length of a period (`cpu.cfs_period_us` as the kubelet sets it).
pub const CFS_PERIOD: SimDuration = SimDuration::from_ms(100);

impl CpuQuota {
    /// How long work that needs so much processor time stands still; `quota` is the time per
    /// period.
    pub fn charge(&mut self, now: SimTime, needs: SimDuration, quota: SimDuration) -> SimDuration {
        let quota = quota.ns().max(1);
        let current = now.ns() / CFS_PERIOD.ns();
        if current > self.period {
            (self.period, self.used_ns) = (current, 0);
        }
        let mut left = needs.ns();
        let room = quota - self.used_ns.min(quota);
        if left <= room && self.period == current {
            self.used_ns += left;
            return SimDuration::ZERO;
        }
        if left > room {
            left -= room;
            // Whole periods that it fills, then the one in which it ends.
            self.period += 1 + (left - 1) / quota;
            self.used_ns = (left - 1) % quota + 1;
        } else {
            self.used_ns += left;
        }
        let end = self
            .period
            .saturating_mul(CFS_PERIOD.ns())
            .saturating_add(self.used_ns);
        SimTime::from_ns(end).since(now.after(needs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Distribution;

    fn ms(ms: u64) -> SimDuration {
        SimDuration::from_ms(ms)
    }

    fn at(ms: u64) -> SimTime {
        SimTime::from_ns(ms * 1_000_000)
    }

    #[test]
    fn a_cold_start_wears_off_in_a_straight_line() {
        let warm_up = WarmUp {
            length: ms(10_000),
            factor: 3.0,
        };
        assert_eq!(warm_up.stretch(ms(0), ms(10)), ms(30));
        assert_eq!(warm_up.stretch(ms(5_000), ms(10)), ms(20));
        assert_eq!(warm_up.stretch(ms(10_000), ms(10)), ms(10));
    }

    #[test]
    fn work_stands_still_during_pauses() {
        let [every, lasts] = [100, 20].map(|n| Distribution::Constant(ms(n)).sampler());
        let mut pauses = Pauses::default();
        let mut end = |now, work| pauses.end_of(at(now), ms(work), (&every, &lasts), 1);
        // Pauses at 100–120, 220–240, …
        assert_eq!(end(0, 100), at(100));
        assert_eq!(end(90, 20), at(130));
        assert_eq!(end(90, 150), at(280));
        assert_eq!(end(110, 5), at(125), "it waits for the end of the pause");
        assert_eq!(end(500, 10), at(510));
    }

    #[test]
    fn a_quota_lets_no_more_through_than_it_is() {
        let mut cpu = CpuQuota::default();
        let mut charge = |now, needs| cpu.charge(at(now), ms(needs), ms(50));
        assert_eq!(charge(0, 30), ms(0));
        // 20 ms are left; 10 of 30 follow in the next period: done at 110 instead of 35.
        assert_eq!(charge(5, 30), ms(75));
        // That period has 40 ms left: done at 150.
        assert_eq!(charge(10, 40), ms(100));
        assert_eq!(charge(160, 120), ms(420 - 280));
        assert_eq!(charge(1000, 50), ms(0));
    }
}
