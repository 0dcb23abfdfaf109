//! The future event list: what happens next, in one total order.
//!
//! The order is `(time, sequence number)`, where the sequence number counts [`Queue::push`] and
//! [`Queue::arm`] together: equal times leave in the order they came. Timers that are likely to
//! be cancelled go to a lane ([`Queue::lane`]); everything else is pushed and stays until it is
//! popped.

use super::calendar::Calendar;
use super::heap::{Entry, key};
use super::timers::Timers;
pub use super::timers::{LaneId, TimerId};
use crate::units::{SimDuration, SimTime};

/// A clock and the events that wait for it.
#[derive(Clone, Debug)]
pub struct Queue<E: Copy> {
    now: SimTime,
    next_sequence: u64,
    cancelled: u64,
    calendar: Calendar<E>,
    timers: Timers<E>,
}

impl<E: Copy> Queue<E> {
    /// An empty queue at time zero. The expected rate only sizes the inside and never affects
    /// the order.
    pub fn new(expected_events_per_second: f64) -> Self {
        Self {
            now: SimTime::ZERO,
            next_sequence: 0,
            cancelled: 0,
            calendar: Calendar::new(expected_events_per_second),
            timers: Timers::new(),
        }
    }

    /// The time of the event popped last.
    #[inline]
    pub const fn now(&self) -> SimTime {
        self.now
    }

    /// Schedules `event`; it cannot be taken back.
    ///
    /// # Panics
    /// When `at` lies in the past.
    #[inline(never)]
    pub fn push(&mut self, at: SimTime, event: E) {
        assert!(at >= self.now, "an event was scheduled in the past");
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.calendar.push(Entry {
            at: at.ns(),
            sequence,
            event,
        });
    }

    /// The lane of timers that last `delay`; the same delay gives the same lane.
    ///
    /// For delays that recur: each lane costs a little for ever, so a jittered delay is better
    /// pushed.
    pub fn lane(&mut self, delay: SimDuration) -> LaneId {
        self.timers.lane(delay.ns())
    }

    /// Schedules `event` at now plus the lane's delay; constant time.
    #[expect(clippy::inline_always, reason = "twice per try, from few places")]
    #[inline(always)]
    pub fn arm(&mut self, lane: LaneId, event: E) -> TimerId {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.timers.arm(lane, self.now.ns(), sequence, event)
    }

    /// Takes a waiting timer out; constant time. [`TimerId::NONE`] and a timer that has fired
    /// are left alone.
    #[inline]
    pub fn cancel(&mut self, timer: TimerId) {
        if !timer.is_none() {
            self.cancel_armed(timer);
        }
    }

    fn cancel_armed(&mut self, timer: TimerId) {
        self.cancelled += u64::from(self.timers.cancel(timer));
    }

    /// Takes the next event and moves the clock to it.
    #[inline]
    pub fn pop(&mut self) -> Option<(SimTime, E)> {
        self.pop_before(SimTime::MAX)
            .or_else(|| self.pop_at_the_end())
    }

    /// Takes the next event if it comes strictly before `limit`.
    #[expect(
        clippy::inline_always,
        reason = "the loop's only work; as a call it costs a fifth of itself"
    )]
    #[inline(always)]
    pub fn pop_before(&mut self, limit: SimTime) -> Option<(SimTime, E)> {
        let timer = self.timers.first_key();
        let end = key(limit.ns(), 0);
        if let Some(entry) = self.calendar.pop_before(timer.min(end)) {
            Some(self.advance(entry))
        } else if timer < end {
            self.take_timer()
        } else {
            None
        }
    }

    /// Time of the next event.
    pub fn peek_time(&self) -> Option<SimTime> {
        if self.is_empty() {
            return None;
        }
        let first = self.calendar.first_key().min(self.timers.first_key());
        Some(SimTime::from_ns((first >> 64) as u64))
    }

    /// Number of events that wait, counted when it is asked for.
    pub fn len(&self) -> usize {
        self.calendar.len() + self.timers.len()
    }

    /// True when nothing waits.
    pub fn is_empty(&self) -> bool {
        self.timers.len() == 0 && self.calendar.first_key() == u128::MAX
    }

    /// Number of armed timers that wait.
    pub const fn timers(&self) -> usize {
        self.timers.len()
    }

    /// Number of events scheduled so far, armed timers included.
    pub const fn pushed(&self) -> u64 {
        self.next_sequence
    }

    /// Number of events popped so far.
    pub fn popped(&self) -> u64 {
        self.next_sequence - self.cancelled - self.len() as u64
    }

    /// Number of timers cancelled so far.
    pub const fn cancelled(&self) -> u64 {
        self.cancelled
    }

    fn take_timer(&mut self) -> Option<(SimTime, E)> {
        let entry = self.timers.pop()?;
        self.calendar.skip_to(entry.at);
        Some(self.advance(entry))
    }

    #[inline]
    fn advance(&mut self, entry: Entry<E>) -> (SimTime, E) {
        self.now = SimTime::from_ns(entry.at);
        (self.now, entry.event)
    }

    /// Events at [`SimTime::MAX`] itself, which no limit lies behind.
    #[cold]
    fn pop_at_the_end(&mut self) -> Option<(SimTime, E)> {
        let timer = self.timers.first_key();
        match self.calendar.pop_before(timer) {
            Some(entry) => Some(self.advance(entry)),
            None => self.take_timer(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a test does to the queue.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Push {
            delay: u64,
        },
        Arm {
            lane: usize,
        },
        /// Cancels one of the timers armed so far, fired or not.
        Cancel {
            which: usize,
        },
        Pop,
        PopBefore {
            delay: u64,
        },
        Peek,
    }

    /// Delays of every scale, many of them equal.
    const DELAYS: [u64; 8] = [
        0,
        1,
        250,
        20_000,
        20_000_000,
        1_000_000_000,
        15_000_000_000,
        u64::MAX,
    ];

    fn step() -> impl Strategy<Value = Step> {
        let delay = prop_oneof![
            0_u64..4,
            0_u64..100_000,
            0_u64..100_000_000,
            0_u64..100_000_000_000,
            Just(u64::MAX),
        ];
        prop_oneof![
            4 => delay.clone().prop_map(|delay| Step::Push { delay }),
            4 => (0..DELAYS.len()).prop_map(|lane| Step::Arm { lane }),
            3 => any::<usize>().prop_map(|which| Step::Cancel { which }),
            4 => Just(Step::Pop),
            1 => delay.prop_map(|delay| Step::PopBefore { delay }),
            1 => Just(Step::Peek),
        ]
    }

    /// The obvious model: a list of (time, sequence number) in which the least is searched.
    #[derive(Default)]
    struct Naive {
        now: u64,
        sequence: u64,
        waiting: Vec<(u64, u64)>,
    }

    impl Naive {
        fn schedule(&mut self, delay: u64) -> u64 {
            let sequence = self.sequence;
            self.sequence += 1;
            self.waiting
                .push((self.now.saturating_add(delay), sequence));
            sequence
        }

        fn pop(&mut self, limit: u64) -> Option<(u64, u64)> {
            let first = *self.waiting.iter().min()?;
            if first.0 >= limit && limit != u64::MAX {
                return None;
            }
            self.waiting.retain(|entry| *entry != first);
            self.now = first.0;
            Some(first)
        }
    }

    /// Runs the steps on both and compares everything that can be seen.
    fn check(steps: &[Step], rate: f64) {
        let mut queue = Queue::new(rate);
        let mut naive = Naive::default();
        let mut timers = Vec::new();
        let lanes = DELAYS.map(|delay| queue.lane(SimDuration::from_ns(delay)));
        let plain = |popped: Option<(SimTime, u64)>| popped.map(|(at, event)| (at.ns(), event));
        for &step in steps {
            match step {
                Step::Push { delay } => {
                    let at = queue.now().after(SimDuration::from_ns(delay));
                    let event = naive.schedule(delay);
                    queue.push(at, event);
                }
                Step::Arm { lane } => {
                    let event = naive.schedule(DELAYS[lane]);
                    timers.push((queue.arm(lanes[lane], event), event));
                }
                Step::Cancel { which } if timers.is_empty() || which % 16 == 0 => {
                    queue.cancel(TimerId::NONE);
                }
                Step::Cancel { which } => {
                    let (timer, event) = timers[which % timers.len()];
                    queue.cancel(timer);
                    naive.waiting.retain(|entry| entry.1 != event);
                }
                Step::Pop => assert_eq!(plain(queue.pop()), naive.pop(u64::MAX)),
                Step::PopBefore { delay } => {
                    let limit = naive.now.saturating_add(delay).min(u64::MAX - 1);
                    assert_eq!(
                        plain(queue.pop_before(SimTime::from_ns(limit))),
                        naive.pop(limit)
                    );
                }
                Step::Peek => {
                    let first = naive.waiting.iter().min().map(|entry| entry.0);
                    assert_eq!(queue.peek_time().map(SimTime::ns), first);
                }
            }
            assert_eq!(queue.len(), naive.waiting.len());
            assert_eq!(queue.now().ns(), naive.now);
        }
        while let Some(expected) = naive.pop(u64::MAX) {
            assert_eq!(plain(queue.pop()), Some(expected));
        }
        assert_eq!(queue.pop(), None);
        assert!(queue.is_empty());
        assert_eq!(queue.pushed(), queue.popped() + queue.cancelled());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn the_order_is_that_of_a_sorted_list_whatever_the_expected_rate(
            steps in prop::collection::vec(step(), 0..400),
        ) {
            for rate in [0.0, 1.0, 1e3, 3e5, 1e9, f64::INFINITY, f64::NAN] {
                check(&steps, rate);
            }
        }
    }

    #[test]
    fn equal_times_leave_in_the_order_they_came() {
        let mut queue = Queue::new(1e6);
        let second = queue.lane(SimDuration::from_secs(1));
        for event in 0..100 {
            if event % 3 == 0 {
                queue.arm(second, event);
            } else {
                queue.push(SimTime::from_ns(1_000_000_000), event);
            }
        }
        let order: Vec<u32> = std::iter::from_fn(|| queue.pop().map(|(_, event)| event)).collect();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_fired_timers_id_does_not_cancel_the_slots_next_tenant() {
        let mut queue = Queue::new(1.0);
        let lane = queue.lane(SimDuration::from_ms(1));
        let fired = queue.arm(lane, 'a');
        assert_eq!(queue.pop().map(|(_, event)| event), Some('a'));
        queue.cancel(fired);
        let tenant = queue.arm(lane, 'b');
        assert_ne!(fired, tenant);
        queue.cancel(fired);
        queue.cancel(TimerId::NONE);
        assert_eq!((queue.len(), queue.timers()), (1, 1));
        queue.cancel(tenant);
        queue.cancel(tenant);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_limit_excludes_its_own_moment() {
        let limit = SimTime::from_ns(1_000_000);
        let mut queue = Queue::new(1e6);
        let lane = queue.lane(SimDuration::from_ms(1));
        queue.arm(lane, 'a');
        queue.push(limit, 'b');
        assert_eq!(queue.pop_before(limit), None);
        assert_eq!(
            queue.pop_before(SimTime::from_ns(1_000_001)),
            Some((limit, 'a'))
        );
        assert_eq!(queue.pop(), Some((limit, 'b')));
    }

    #[test]
    fn one_delay_has_one_lane() {
        let mut queue = Queue::<u8>::new(1.0);
        let (a, b) = (
            queue.lane(SimDuration::from_ms(1)),
            queue.lane(SimDuration::from_ms(2)),
        );
        assert_ne!(a, b);
        assert_eq!(queue.lane(SimDuration::from_us(1000)), a);
    }

    #[test]
    fn looking_ahead_does_not_hold_up_what_comes_before() {
        let mut queue = Queue::new(1e6);
        queue.push(SimTime::from_ns(u64::MAX / 2), 'z');
        assert_eq!(queue.peek_time(), Some(SimTime::from_ns(u64::MAX / 2)));
        assert_eq!(queue.pop_before(SimTime::from_ns(10)), None);
        queue.push(SimTime::from_ns(5), 'a');
        assert_eq!(queue.pop(), Some((SimTime::from_ns(5), 'a')));
    }

    #[test]
    #[should_panic(expected = "in the past")]
    fn the_past_cannot_be_scheduled() {
        let mut queue = Queue::new(1.0);
        queue.push(SimTime::from_ns(10), ());
        queue.pop();
        queue.push(SimTime::from_ns(9), ());
    }
}
