//! One run from its first event to its record.

use std::sync::atomic::{AtomicBool, Ordering};

use super::event::Event;
use super::follow::Follower;
use super::outcome::Outcome;
use super::plan::Plan;
use super::world::World;
use crate::data_plane::{NoTrail, NoTrailLively, Reason, Recorder as Story, Trail};
use crate::engine::{Queue, Seed, Stop, run_until};
use crate::observe::record::Ended;
use crate::units::{SimDuration, SimTime};

/// After load ends, requests in flight get this long to be answered.
const DRAIN: SimDuration = SimDuration::from_secs(60);

/// A run without `duration` whose loads never reach their count ends here.
pub(super) const FOREVER: SimDuration = SimDuration::from_secs(7 * 24 * 3600);

/// How a run is watched and stopped from outside.
#[derive(Clone, Copy)]
pub struct Control<'c> {
    /// Set by Ctrl-C: what was simulated so far is reported.
    pub interrupted: &'c AtomicBool,
    /// Called now and then with the share that is done.
    pub progress: Option<&'c (dyn Fn(f64) + Sync)>,
    /// Single requests to keep per replication.
    pub keep_requests: usize,
}

/// Runs one replication of a plan.
pub fn run(plan: &Plan, seed: Seed, control: &Control<'_>) -> Outcome {
    if plan.is_lively() {
        run_with(plan, seed, control, NoTrailLively, None).0
    } else {
        run_with(plan, seed, control, NoTrail, None).0
    }
}

/// Runs the first request of a plan's first load and tells its story.
pub fn trace(plan: &Plan, seed: Seed, control: &Control<'_>) -> (Outcome, Vec<Reason>) {
    let (outcome, story) = run_with(plan, seed, control, Story::default(), Some(1));
    (outcome, story.0)
}

/// Runs a replication and follows one request of one load through it.
pub(super) fn follow(
    plan: &Plan,
    seed: Seed,
    control: &Control<'_>,
    (load, number): (u32, u64),
) -> (Outcome, Follower) {
    run_with(plan, seed, control, Follower::new(load, number), None)
}

/// The world at a moment, with what is in flight then.
pub(super) fn stop_at<'p, T: Trail>(
    plan: &'p Plan,
    seed: Seed,
    control: &Control<'_>,
    trail: T,
    at: SimTime,
) -> (World<'p, T>, SimTime, Ended, u64) {
    let mut queue: Queue<Event> = Queue::new(plan.expected_events);
    let mut world = World::new(plan, seed, control.keep_requests, trail, &mut queue);
    let ended = advance(&mut world, &mut queue, at, control);
    world.close_accounts(at);
    (world, at, ended, queue.popped())
}

/// `only`: so many requests of the first load and none of the others.
fn run_with<T: Trail>(
    plan: &Plan,
    seed: Seed,
    control: &Control<'_>,
    trail: T,
    only: Option<u64>,
) -> (Outcome, T) {
    let mut queue: Queue<Event> = Queue::new(plan.expected_events);
    let mut world = World::new(plan, seed, control.keep_requests, trail, &mut queue);
    if let Some(count) = only {
        world.limit_first_load(count);
    }
    let load_end = plan.duration.unwrap_or(FOREVER);
    let mut ended = advance(
        &mut world,
        &mut queue,
        SimTime::ZERO.after(load_end),
        control,
    );
    if ended == Ended::Complete {
        world.close_accounts(queue.now().max(world.measured_until()));
        if world.is_busy() {
            ended = drain(
                &mut world,
                &mut queue,
                SimTime::ZERO.after(load_end.plus(DRAIN)),
                control,
            );
        }
    } else {
        world.close_accounts(queue.now());
    }
    let now = queue.now();
    let processed = queue.popped();
    Outcome::new(world, now, ended, processed)
}

/// Runs up to a moment; a run whose work is done ends before.
fn advance<T: Trail>(
    world: &mut World<'_, T>,
    queue: &mut Queue<Event>,
    until: SimTime,
    control: &Control<'_>,
) -> Ended {
    // In slices of virtual time, so that progress can be shown and sweeps alone do not keep a run alive.
    let slice = SimDuration::from_ns((until.ns() / 200).clamp(1_000_000, 10_000_000_000));
    let mut at = queue.now();
    loop {
        at = at.after(slice).min(until);
        let stop = play(world, queue, at, control);
        if let Some(progress) = control.progress {
            progress(at.as_secs_f64() / until.as_secs_f64());
        }
        if world.overloaded {
            return Ended::TooMuchInFlight;
        }
        if stop == Stop::Interrupted || control.interrupted.load(Ordering::Relaxed) {
            return Ended::Interrupted;
        }
        if stop == Stop::QueueEmpty || world.is_finished() || at >= until {
            return Ended::Complete;
        }
    }
}

/// Handles what happens before a moment. The one place that turns the engine: all that a hop takes is
/// compiled into it, once.
fn play<T: Trail>(
    world: &mut World<'_, T>,
    queue: &mut Queue<Event>,
    at: SimTime,
    control: &Control<'_>,
) -> Stop {
    loop {
        // Windows end between two events, and end nothing else.
        let ends = [world.occupancy.next, world.joins.next];
        let window = ends.into_iter().flatten().min().filter(|end| *end <= at);
        let stop = run_until(world, queue, window.unwrap_or(at), &|_| {
            !control.interrupted.load(Ordering::Relaxed)
        });
        match window {
            Some(window) if stop == Stop::TimeReached => world.close_windows(window),
            _ => return stop,
        }
    }
}

/// Lets requests in flight end; nothing new comes.
fn drain<T: Trail>(
    world: &mut World<'_, T>,
    queue: &mut Queue<Event>,
    until: SimTime,
    control: &Control<'_>,
) -> Ended {
    let slice = SimDuration::from_ms(100);
    let mut at = queue.now();
    while world.is_busy() && at < until {
        at = at.after(slice).min(until);
        let stop = play(world, queue, at, control);
        if world.overloaded {
            return Ended::TooMuchInFlight;
        }
        if stop == Stop::Interrupted || control.interrupted.load(Ordering::Relaxed) {
            return Ended::Interrupted;
        }
        if stop == Stop::QueueEmpty {
            break;
        }
    }
    if world.is_busy() {
        Ended::InFlight
    } else {
        Ended::Complete
    }
}
