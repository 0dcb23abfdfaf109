//! The loop: pop, handle, until the end.

use super::queue::Queue;
use crate::units::SimTime;

/// What an event means; the engine does not know.
pub trait Model {
    /// The closed list of events, copied into the queue.
    type Event: Copy;

    /// Does what `event` stands for and schedules what follows.
    fn handle(&mut self, now: SimTime, event: Self::Event, queue: &mut Queue<Self::Event>);

    /// True when the model cannot go on, for want of memory for example; asked now and then.
    fn is_stuck(&self) -> bool {
        false
    }
}

/// Why a run stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The next event lies at or after the end; it still waits.
    TimeReached,
    /// No event is left.
    QueueEmpty,
    /// The caller asked to stop, or the model is stuck.
    Interrupted,
}

/// Events between two questions whether to go on.
const EVENTS_PER_QUESTION: u64 = 65_536;

/// Handles every event before `stop_at`, in order.
///
/// `keep_going` and the model are asked once per 65,536 events; `keep_going` with the number
/// handled since this call began.
/// Stopping and calling again gives the same run as never stopping.
pub fn run_until<M: Model>(
    model: &mut M,
    queue: &mut Queue<M::Event>,
    stop_at: SimTime,
    keep_going: &dyn Fn(u64) -> bool,
) -> Stop {
    let mut handled = 0;
    loop {
        for _ in 0..EVENTS_PER_QUESTION {
            let Some((now, event)) = queue.pop_before(stop_at) else {
                return if queue.is_empty() {
                    Stop::QueueEmpty
                } else {
                    Stop::TimeReached
                };
            };
            model.handle(now, event, queue);
        }
        handled += EVENTS_PER_QUESTION;
        if model.is_stuck() || !keep_going(handled) {
            return Stop::Interrupted;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::engine::{Distribution, Draws, LaneId, Sampler, Seed, TimerId};
    use crate::units::SimDuration;
    use crate::units::hash::Digest;

    #[derive(Clone, Copy, Debug)]
    enum Event {
        Arrival,
        Departure,
        /// A patience that is always cancelled, as most timers are.
        GaveUp,
    }

    /// One counter, a queue before it, Poisson arrivals, exponential service.
    struct Counter {
        arrivals: Draws,
        services: Draws,
        gap: Sampler,
        service: Sampler,
        patience: LaneId,
        waiting: std::collections::VecDeque<(SimTime, TimerId)>,
        departed: u64,
        time_inside: f64,
        busy_since: SimTime,
        busy: f64,
        digest: Digest,
    }

    impl Model for Counter {
        type Event = Event;

        fn handle(&mut self, now: SimTime, event: Event, queue: &mut Queue<Event>) {
            self.digest.add(now.ns() ^ event as u64);
            match event {
                Event::Arrival => {
                    queue.push(
                        now.after(self.gap.sample(&mut self.arrivals)),
                        Event::Arrival,
                    );
                    if self.waiting.is_empty() {
                        self.busy_since = now;
                        self.serve(now, queue);
                    }
                    self.waiting
                        .push_back((now, queue.arm(self.patience, Event::GaveUp)));
                }
                Event::Departure => {
                    let (arrived, patience) = self.waiting.pop_front().unwrap();
                    queue.cancel(patience);
                    self.departed += 1;
                    self.time_inside += now.since(arrived).as_secs_f64();
                    if self.waiting.is_empty() {
                        self.busy += now.since(self.busy_since).as_secs_f64();
                    } else {
                        self.serve(now, queue);
                    }
                }
                Event::GaveUp => panic!("nobody waits an hour here"),
            }
        }
    }

    impl Counter {
        fn serve(&mut self, now: SimTime, queue: &mut Queue<Event>) {
            queue.push(
                now.after(self.service.sample(&mut self.services)),
                Event::Departure,
            );
        }
    }

    /// Utilisation 0.7 at 1,000 arrivals per second.
    fn counter(seed: Seed, rate_hint: f64) -> (Counter, Queue<Event>) {
        let mut queue = Queue::new(rate_hint);
        let exponential = |us| {
            let mean = SimDuration::from_us(us);
            Distribution::Exponential { mean }.sampler()
        };
        let counter = Counter {
            arrivals: Draws::keyed(seed.key("arrivals", "door")),
            services: Draws::keyed(seed.key("service", "counter")),
            gap: exponential(1000),
            service: exponential(700),
            patience: queue.lane(SimDuration::from_secs(3600)),
            waiting: std::collections::VecDeque::new(),
            departed: 0,
            time_inside: 0.0,
            busy_since: SimTime::ZERO,
            busy: 0.0,
            digest: Digest::default(),
        };
        queue.push(SimTime::ZERO, Event::Arrival);
        (counter, queue)
    }

    const fn seconds(s: u64) -> SimTime {
        SimTime::from_ns(s * 1_000_000_000)
    }

    #[test]
    fn a_single_counter_meets_theory_within_its_confidence_interval() {
        const RUNS: u32 = 20;
        let runs: Vec<(f64, f64)> = (0..RUNS)
            .map(|run| {
                let (mut model, mut queue) = counter(Seed::new(1).replication(run), 2e3);
                let stop = run_until(&mut model, &mut queue, seconds(60), &|_| true);
                assert_eq!(stop, Stop::TimeReached);
                (model.time_inside / model.departed as f64, model.busy / 60.0)
            })
            .collect();
        // M/M/1: time inside = 1/(mu - lambda); utilisation = lambda/mu.
        let check = |values: Vec<f64>, expected: f64| {
            let mean = values.iter().sum::<f64>() / f64::from(RUNS);
            let squares = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>();
            let deviation = (squares / f64::from(RUNS - 1) / f64::from(RUNS)).sqrt();
            // Student's t at 99.9 % with 19 degrees of freedom.
            assert!(
                (mean - expected).abs() < 3.88 * deviation,
                "{mean}, not {expected}"
            );
            assert!(deviation < expected / 50.0, "the interval says something");
        };
        check(
            runs.iter().map(|run| run.0).collect(),
            1.0 / (1e6 / 700.0 - 1e3),
        );
        check(runs.iter().map(|run| run.1).collect(), 0.7);
    }

    #[test]
    fn the_same_seed_gives_the_same_order_and_another_seed_does_not() {
        let digest = |seed, rate_hint| {
            let (mut model, mut queue) = counter(Seed::new(seed), rate_hint);
            run_until(&mut model, &mut queue, seconds(20), &|_| true);
            (model.digest, queue.popped())
        };
        assert_eq!(digest(7, 2e3), digest(7, 2e3));
        assert_eq!(digest(7, 2e3), digest(7, 1e9), "a hint is only a hint");
        assert_ne!(digest(7, 2e3), digest(8, 2e3));
    }

    #[test]
    fn stopping_and_going_on_equals_never_stopping() {
        let (mut straight, mut queue) = counter(Seed::new(3), 2e3);
        run_until(&mut straight, &mut queue, seconds(100), &|_| true);

        let (mut halting, mut queue) = counter(Seed::new(3), 2e3);
        run_until(&mut halting, &mut queue, seconds(10), &|_| true);
        let questions = Cell::new(0);
        let stop = run_until(&mut halting, &mut queue, seconds(100), &|handled| {
            questions.set(questions.get() + 1);
            handled < 2 * EVENTS_PER_QUESTION
        });
        assert_eq!((stop, questions.get()), (Stop::Interrupted, 2));
        run_until(&mut halting, &mut queue, seconds(100), &|_| true);
        assert_eq!(halting.digest, straight.digest);
        assert_eq!(halting.departed, straight.departed);
    }

    #[test]
    fn a_run_without_events_ends() {
        let (mut model, _) = counter(Seed::new(1), 1.0);
        let mut empty = Queue::new(1.0);
        let stop = run_until(&mut model, &mut empty, SimTime::MAX, &|_| true);
        assert_eq!(stop, Stop::QueueEmpty);
    }
}
