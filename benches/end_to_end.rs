//! Whole runs of the reference workload W1, in hops per second.
//!
//! Each bench prints the digest of what it ran: two machines, or two commits that promise the
//! same results, print the same. Replications on all cores show what threads give.

#![expect(clippy::print_stdout, reason = "the digest belongs to the measurement")]

use std::hint::black_box;
use std::sync::atomic::AtomicBool;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use towtank::experiment::{bench, replicate, w1_plan};
use towtank::simulation::Control;
use towtank::units::SimDuration;

/// Virtual time of one run.
const LENGTH: SimDuration = SimDuration::from_secs(10);

fn w1(criterion: &mut Criterion) {
    let plan = w1_plan(LENGTH);
    let result = bench(&plan, 1);
    println!("w1: {} hops, digest {:016x}", result.hops, result.digest);
    let mut group = criterion.benchmark_group("w1");
    group.sample_size(10);
    group.throughput(Throughput::Elements(result.hops));
    group.bench_function("hops", |b| b.iter(|| bench(black_box(&plan), 1)));
    group.finish();
}

fn w1_replicated(criterion: &mut Criterion) {
    let plan = w1_plan(SimDuration::from_secs(5));
    let interrupted = AtomicBool::new(false);
    let control = Control {
        interrupted: &interrupted,
        progress: None,
        keep_requests: 0,
    };
    let all = |threads| replicate(&plan, 1, 8, threads, &control);
    let (one, many) = (all(Some(1)), all(None));
    assert_eq!(one.digest, many.digest);
    println!("w1 × 8: {} hops, digest {:016x}", one.hops, one.digest);
    let mut group = criterion.benchmark_group("w1 x 8");
    group.sample_size(10);
    group.throughput(Throughput::Elements(one.hops));
    group.bench_function("one thread", |b| b.iter(|| all(Some(1))));
    group.bench_function("all threads", |b| b.iter(|| all(None)));
    group.finish();
}

fn prepare(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("w1 from text");
    group.sample_size(10);
    group.bench_function("plan", |b| b.iter(|| w1_plan(black_box(LENGTH))));
    group.finish();
}

criterion_group!(benches, w1, w1_replicated, prepare);
criterion_main!(benches);
