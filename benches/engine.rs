//! What the engine's parts cost: the queue with and without lanes, draws, samplers, the histogram.
//!
//! Each case prints a digest of its result first: a change that makes a case faster by doing
//! something else shows there.
#![expect(
    clippy::print_stdout,
    reason = "digests are for people who read the bench's output"
)]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use towtank::engine::{Distribution, Draws, LaneId, Queue, TimerId};
use towtank::observe::Histogram;
use towtank::units::hash::Digest;
use towtank::units::{SimDuration, SimTime};

const EVENTS: u64 = 10_000;
/// Live events of a small mesh under 1,000 requests per second.
const WAITING: u64 = 569;

/// The hold model: whoever is popped comes back later, 36,000 times per second in all.
struct Hold {
    queue: Queue<u64>,
    timeout: LaneId,
    timers: Vec<TimerId>,
    digest: Digest,
}

impl Hold {
    fn new() -> Self {
        let mut queue = Queue::new(36_000.0);
        for event in 0..WAITING {
            queue.push(SimTime::from_ns(delay(event)), event);
        }
        Self {
            timeout: queue.lane(SimDuration::from_secs(15)),
            queue,
            timers: vec![TimerId::NONE; WAITING as usize],
            digest: Digest::default(),
        }
    }

    /// Runs on; with timers, each event cancels its last timeout and arms the next.
    fn run(&mut self, events: u64, with_timers: bool) -> u64 {
        for number in 0..events {
            let (now, event) = self.queue.pop().expect("every event comes back");
            self.digest.add(now.ns() ^ event);
            if with_timers {
                let timer = &mut self.timers[event as usize];
                self.queue.cancel(*timer);
                *timer = self.queue.arm(self.timeout, event);
            }
            self.queue
                .push(SimTime::from_ns(now.ns() + delay(number)), event);
        }
        self.digest.value()
    }
}

/// Between 0 and 32 ms.
fn delay(number: u64) -> u64 {
    Draws::of(1, number).below(32_000_000)
}

fn queue(c: &mut Criterion) {
    let mut group = c.benchmark_group("queue");
    group.throughput(Throughput::Elements(EVENTS));
    for (name, with_timers) in [("hold", false), ("hold and a cancelled timer", true)] {
        println!(
            "digest of {name}: {:016x}",
            Hold::new().run(100 * EVENTS, with_timers)
        );
        let mut hold = Hold::new();
        hold.run(20 * EVENTS, with_timers);
        group.bench_function(name, |b| b.iter(|| hold.run(EVENTS, with_timers)));
    }
    group.finish();
}

/// A digest of one million lengths, then the cost of ten thousand.
fn draws(c: &mut Criterion) {
    let mut group = c.benchmark_group("draws");
    group.throughput(Throughput::Elements(EVENTS));
    group.bench_function("keyed draw", |b| {
        b.iter(|| {
            (0..EVENTS).fold(0, |sum: u64, n| {
                sum.wrapping_add(Draws::of(7, n).next_u64())
            })
        });
    });
    let median = SimDuration::from_ms(2);
    let mean = median;
    let distributions = [
        Distribution::Lognormal { median, sigma: 0.5 },
        Distribution::Exponential { mean },
        Distribution::Gamma { shape: 2.5, mean },
    ];
    for distribution in distributions {
        let sampler = distribution.sampler();
        let mut digest = Digest::default();
        (0..100 * EVENTS).for_each(|n| digest.add(sampler.sample(&mut Draws::of(7, n)).ns()));
        println!("digest of {distribution}: {:016x}", digest.value());
        group.bench_function(distribution.to_string(), |b| {
            let sum = |sum: u64, n| sum.wrapping_add(sampler.sample(&mut Draws::of(7, n)).ns());
            b.iter(|| (0..EVENTS).fold(0, sum));
        });
    }
    group.finish();
}

fn histogram(c: &mut Criterion) {
    let sampler = Distribution::Lognormal {
        median: SimDuration::from_ms(2),
        sigma: 0.5,
    }
    .sampler();
    let values: Vec<_> = (0..EVENTS)
        .map(|n| sampler.sample(&mut Draws::of(7, n)))
        .collect();
    let mut group = c.benchmark_group("histogram");
    group.throughput(Throughput::Elements(EVENTS));
    group.bench_function("record", |b| {
        let record = |mut histogram: Histogram| {
            for value in &values {
                histogram.record(*value);
            }
            histogram
        };
        b.iter_batched(
            Histogram::new,
            |h| black_box(record(h)),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, queue, draws, histogram);
criterion_main!(benches);
