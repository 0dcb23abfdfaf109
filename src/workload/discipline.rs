//! Which waiting request is next, and which has waited for too long.
//!
//! Two published rules throw waiting requests away before they are served. `CoDel` (RFC 8289)
//! looks at how long each has waited when it leaves: once that stayed above a target for an
//! interval, one is dropped, the next after interval/√2, and so on until the wait is below the
//! target again. Facebook's variant for request queues ("Fail at Scale", ACM Queue 13/8, 2015)
//! allows a wait of an interval while the queue was empty within the last interval, and of the
//! target after that; and it then serves the newest first, whose clients still wait.

use std::collections::VecDeque;

use crate::units::{SimDuration, SimTime};

/// How a pod's queue is ordered and cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Discipline {
    /// The oldest first.
    #[default]
    Fifo,
    /// The newest first.
    Lifo,
    /// The oldest first, thrown away by `CoDel`.
    CoDel(Wait),
    /// Facebook's: the newest first under overload, and none that waited for too long.
    AdaptiveLifo(Wait),
}

/// How long a wait may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Acceptable in the long run.
    pub target: SimDuration,
    /// For how long more than that is a burst.
    pub interval: SimDuration,
}

/// The requests that wait at one pod, by the caller's numbers.
#[derive(Clone, Debug, Default)]
pub struct Waiting {
    /// (request, arrival), oldest first.
    line: VecDeque<(u32, SimTime)>,
    codel: CoDel,
    /// When the line was last empty.
    empty_at: SimTime,
}

/// The next to be served, and those that are thrown away before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Next {
    /// Takes the slot.
    pub served: Option<u32>,
    /// Are refused, in this order.
    pub dropped: Vec<u32>,
}

impl Waiting {
    /// Everybody who waits, the oldest first.
    pub fn requests(&self) -> impl Iterator<Item = u32> + '_ {
        self.line.iter().map(|(request, _)| *request)
    }

    /// One more.
    pub fn push(&mut self, now: SimTime, request: u32) {
        if self.line.is_empty() {
            self.empty_at = now;
        }
        self.line.push_back((request, now));
    }

    /// Takes the newest out of the line.
    pub fn remove_newest(&mut self) -> Option<u32> {
        self.line.pop_back().map(|(request, _)| request)
    }

    /// A slot is free.
    pub fn next(&mut self, now: SimTime, discipline: Discipline) -> Next {
        let next = match discipline {
            Discipline::Fifo => Next {
                served: self.line.pop_front().map(|(request, _)| request),
                dropped: Vec::new(),
            },
            Discipline::Lifo => Next {
                served: self.line.pop_back().map(|(request, _)| request),
                dropped: Vec::new(),
            },
            Discipline::CoDel(wait) => self.codel(now, wait),
            Discipline::AdaptiveLifo(wait) => self.adaptive(now, wait),
        };
        if self.line.is_empty() {
            self.empty_at = now;
        }
        next
    }

    fn codel(&mut self, now: SimTime, wait: Wait) -> Next {
        let mut next = Next::default();
        let mut step = Step::First;
        while let Some((request, arrived)) = self.line.pop_front() {
            let waited = now.since(arrived);
            let alone = self.line.is_empty();
            step = self.codel.leaves(now, waited, alone, wait, step);
            if step == Step::Serve {
                next.served = Some(request);
                break;
            }
            next.dropped.push(request);
        }
        next
    }

    fn adaptive(&mut self, now: SimTime, wait: Wait) -> Next {
        let overloaded = now.since(self.empty_at) > wait.interval;
        let most = if overloaded {
            wait.target
        } else {
            wait.interval
        };
        let mut next = Next::default();
        while let Some((request, arrived)) = self.line.front()
            && now.since(*arrived) > most
        {
            next.dropped.push(*request);
            self.line.pop_front();
        }
        let served = if overloaded {
            self.line.pop_back()
        } else {
            self.line.pop_front()
        };
        next.served = served.map(|(request, _)| request);
        next
    }
}

/// State of `CoDel` (RFC 8289 §5).
#[derive(Clone, Copy, Debug, Default)]
struct CoDel {
    /// From when on waits have been above the target for an interval.
    first_above: Option<SimTime>,
    dropping: bool,
    drop_next: SimTime,
    count: u32,
    last_count: u32,
}

/// What was done to a request, within one look for the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    First,
    Serve,
    /// Dropped as the first of an episode: the next one is served.
    BeginDropping,
    Drop,
}

impl CoDel {
    /// What becomes of the request that leaves the queue after `before` was done to the one ahead.
    fn leaves(
        &mut self,
        now: SimTime,
        waited: SimDuration,
        alone: bool,
        wait: Wait,
        before: Step,
    ) -> Step {
        let too_long = self.is_too_long(now, waited, alone, wait);
        if before == Step::BeginDropping {
            return Step::Serve;
        }
        if self.dropping {
            if !too_long {
                self.dropping = false;
                return Step::Serve;
            }
            if before == Step::Drop {
                self.drop_next = self.control(self.drop_next, wait);
            }
            if now < self.drop_next {
                return Step::Serve;
            }
            self.count += 1;
            return Step::Drop;
        }
        if !too_long {
            return Step::Serve;
        }
        self.dropping = true;
        // An episode soon after the last one goes on where that left off.
        let delta = self.count.saturating_sub(self.last_count);
        let recent = now.since(self.drop_next) < wait.interval.times(16);
        self.count = if delta > 1 && recent { delta } else { 1 };
        self.last_count = self.count;
        self.drop_next = self.control(now, wait);
        Step::BeginDropping
    }

    fn is_too_long(&mut self, now: SimTime, waited: SimDuration, alone: bool, wait: Wait) -> bool {
        if waited < wait.target || alone {
            self.first_above = None;
            return false;
        }
        match self.first_above {
            None => {
                self.first_above = Some(now.after(wait.interval));
                false
            }
            Some(at) => now >= at,
        }
    }

    fn control(&self, from: SimTime, wait: Wait) -> SimTime {
        let after = wait.interval.ns() as f64 / f64::from(self.count.max(1)).sqrt();
        from.after(SimDuration::from_ns((after + 0.5) as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Wait = Wait {
        target: SimDuration::from_ms(5),
        interval: SimDuration::from_ms(100),
    };

    fn at(ms: u64) -> SimTime {
        SimTime::from_ns(ms * 1_000_000)
    }

    #[test]
    fn the_newest_or_the_oldest_is_first() {
        let mut waiting = Waiting::default();
        for request in 0..4 {
            waiting.push(at(u64::from(request)), request);
        }
        assert_eq!(waiting.next(at(9), Discipline::Lifo).served, Some(3));
        assert_eq!(waiting.next(at(9), Discipline::Fifo).served, Some(0));
    }

    #[test]
    fn codel_drops_faster_and_faster_while_waits_are_long() {
        let mut waiting = Waiting::default();
        let mut drops = Vec::new();
        // Two come and one leaves every millisecond.
        for ms in 0..1000 {
            waiting.push(at(ms), 0);
            waiting.push(at(ms), 0);
            let next = waiting.next(at(ms), Discipline::CoDel(WAIT));
            drops.extend(next.dropped.iter().map(|_| ms));
        }
        // At 5 ms from millisecond 9 on, for 100 ms; then 100/√n ms apart.
        let first: Vec<u64> = drops.iter().take(4).copied().collect();
        assert_eq!(first, [109, 209, 280, 338]);
        // Short waits end it.
        waiting.line.clear();
        waiting.push(at(2000), 1);
        waiting.push(at(2000), 2);
        let next = waiting.next(at(2001), Discipline::CoDel(WAIT));
        assert_eq!((next.served, next.dropped.len()), (Some(1), 0));
        assert!(!waiting.codel.dropping);
    }

    #[test]
    fn adaptive_lifo_allows_a_burst_and_then_only_the_target() {
        let discipline = Discipline::AdaptiveLifo(WAIT);
        let mut waiting = Waiting::default();
        for request in 0..3 {
            waiting.push(at(0), request);
        }
        // A burst may wait for up to an interval, oldest first.
        assert_eq!(waiting.next(at(50), discipline).served, Some(0));
        waiting.push(at(98), 3);
        waiting.push(at(99), 4);
        let next = waiting.next(at(101), discipline);
        assert_eq!((next.served, next.dropped), (Some(4), vec![1, 2]));
    }
}
