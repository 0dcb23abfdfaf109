//! The hot loop does not allocate: counted by an allocator of this binary's own.
//!
//! Two runs of W1 differ only in length; what they allocate more than each other is what the
//! steady state allocates. Slabs, histograms and the queue have reached their sizes by then.

#![expect(unsafe_code, reason = "a counting allocator cannot be had otherwise")]
#![expect(clippy::print_stdout, reason = "what was counted is worth seeing")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use towtank::experiment::{BenchResult, bench, w1_plan};
use towtank::units::SimDuration;

/// Counts every allocation and every growth.
struct Counting;

static COUNT: AtomicU64 = AtomicU64::new(0);

// SAFETY: everything is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are the system allocator's demands.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A run of W1 and its allocations, preparation left out.
fn measured(seconds: u64) -> (BenchResult, u64) {
    let plan = w1_plan(SimDuration::from_secs(seconds));
    let before = COUNT.load(Ordering::Relaxed);
    let result = bench(&plan, 1);
    (result, COUNT.load(Ordering::Relaxed) - before)
}

#[test]
fn a_hop_of_the_steady_state_allocates_nothing() {
    let (short, of_short) = measured(20);
    let (long, of_long) = measured(40);
    let hops = long.hops - short.hops;
    let per_hop = of_long.saturating_sub(of_short) as f64 / hops as f64;
    println!(
        "{of_short} allocations in {} hops, {of_long} in {}: {per_hop} per hop",
        short.hops, long.hops
    );
    assert!(per_hop < 0.001, "{per_hop} allocations per hop");
}
