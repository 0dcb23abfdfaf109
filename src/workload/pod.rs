//! One pod as a server: slots, a FIFO queue, and the areas under both for utilisation.

use crate::units::SimTime;

/// How much one pod takes; `u32::MAX` is unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests served at once.
    pub concurrency: u32,
    /// Requests waiting beyond that.
    pub queue: u32,
}

/// What happens to an arriving request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is served now.
    Serve,
    /// It waits; the caller appends it to the pod's FIFO.
    Wait,
    /// The queue is full: 503 at once.
    Reject,
}

/// Occupation of one pod. The queue itself is threaded through the caller's records;
/// `head` and `tail` are its ends.
#[derive(Clone, Copy, Debug)]
pub struct Pod {
    /// Requests in service.
    pub busy: u32,
    /// Requests waiting.
    pub waiting: u32,
    /// First waiting record, `u32::MAX` when none.
    pub head: u32,
    /// Last waiting record, `u32::MAX` when none.
    pub tail: u32,
    /// Most waiting at once since the last reset.
    pub waiting_max: u32,
    changed: SimTime,
    busy_area: u128,
    waiting_area: u128,
}

impl Default for Pod {
    fn default() -> Self {
        Self {
            busy: 0,
            waiting: 0,
            head: u32::MAX,
            tail: u32::MAX,
            waiting_max: 0,
            changed: SimTime::ZERO,
            busy_area: 0,
            waiting_area: 0,
        }
    }
}

impl Pod {
    /// Nobody is served and nobody waits: what runs in the pod is gone.
    pub fn empty(&mut self, now: SimTime) {
        self.advance(now);
        self.busy = 0;
        self.waiting = 0;
        self.head = u32::MAX;
        self.tail = u32::MAX;
    }

    /// Accounts for the time since the last change.
    #[inline]
    fn advance(&mut self, now: SimTime) {
        let ns = u128::from(now.since(self.changed).ns());
        self.changed = now;
        if self.busy > 0 {
            self.busy_area += ns * u128::from(self.busy);
        }
        if self.waiting > 0 {
            self.waiting_area += ns * u128::from(self.waiting);
        }
    }

    /// A request arrives.
    #[inline]
    pub fn arrive(&mut self, now: SimTime, limits: Limits) -> Admission {
        self.advance(now);
        if self.busy < limits.concurrency {
            self.busy += 1;
            Admission::Serve
        } else if self.waiting < limits.queue {
            self.waiting += 1;
            self.waiting_max = self.waiting_max.max(self.waiting);
            Admission::Wait
        } else {
            Admission::Reject
        }
    }

    /// A slot that came back takes the head of the queue, which the caller starts.
    pub fn fill(&mut self, now: SimTime) {
        self.advance(now);
        self.waiting -= 1;
        self.busy += 1;
    }

    /// As [`Self::leave`], where slots may have been taken away: one above the limits is not
    /// filled again.
    #[must_use]
    pub fn leave_within(&mut self, now: SimTime, limits: Limits) -> bool {
        if self.busy > limits.concurrency {
            self.advance(now);
            self.busy -= 1;
            return false;
        }
        self.leave(now)
    }

    /// A request leaves its slot; true when the caller must start the head of the queue in it.
    #[inline]
    #[must_use]
    pub fn leave(&mut self, now: SimTime) -> bool {
        self.advance(now);
        if self.waiting > 0 {
            self.waiting -= 1;
            true
        } else {
            self.busy -= 1;
            false
        }
    }

    /// A waiting request is thrown away.
    pub fn drop_waiting(&mut self, now: SimTime) {
        self.advance(now);
        self.waiting -= 1;
    }

    /// Forgets areas and maxima (the end of warm-up).
    pub fn reset(&mut self, now: SimTime) {
        self.advance(now);
        self.busy_area = 0;
        self.waiting_area = 0;
        self.waiting_max = self.waiting;
    }

    /// (busy, waiting) areas in request-nanoseconds up to `now`.
    pub fn areas(&mut self, now: SimTime) -> (u128, u128) {
        self.advance(now);
        (self.busy_area, self.waiting_area)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_fill_then_the_queue_then_requests_are_refused() {
        let limits = Limits {
            concurrency: 1,
            queue: 1,
        };
        let mut pod = Pod::default();
        let at = SimTime::from_ns;
        assert_eq!(pod.arrive(at(0), limits), Admission::Serve);
        assert_eq!(pod.arrive(at(0), limits), Admission::Wait);
        assert_eq!(pod.arrive(at(0), limits), Admission::Reject);
        assert!(pod.leave(at(10)), "the waiting request takes the slot");
        assert!(!pod.leave(at(30)));
        assert_eq!(pod.areas(at(100)), (30, 10));
    }
}
