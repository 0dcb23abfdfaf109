//! Timer lanes: one linked list per distinct delay, all in one slab.
//!
//! Time only moves forward, so a timer armed later with the same delay fires later: appending
//! keeps a lane sorted for free. A cancelled timer is unlinked at once; skipping stale entries
//! when they surface would keep 15 seconds of dead timeouts in memory.

use std::collections::BTreeMap;

use super::heap::{Entry, key};

/// No slot, no lane.
const NIL: u32 = u32::MAX;
/// Later than any timer: the key of an empty lane.
const NEVER: u128 = u128::MAX;

/// Names one delay's list of timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneId(u32);

/// Names one armed timer for as long as it waits; afterwards it names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerId {
    slot: u32,
    generation: u32,
}

const _: () = assert!(size_of::<TimerId>() == 8, "kept in every record that waits");

impl TimerId {
    /// The timer that was never armed; cancelling it does nothing.
    pub const NONE: Self = Self {
        slot: NIL,
        generation: 0,
    };

    /// True for [`TimerId::NONE`].
    pub const fn is_none(self) -> bool {
        self.slot == NIL
    }
}

impl Default for TimerId {
    fn default() -> Self {
        Self::NONE
    }
}

#[derive(Clone, Debug)]
struct Slot<E> {
    entry: Entry<E>,
    previous: u32,
    /// The next timer of the lane, or the next free slot.
    next: u32,
    lane: u32,
    /// Counts how often the slot was left, so that an old id finds nothing.
    generation: u32,
}

#[derive(Clone, Debug)]
struct Lane {
    delay: u64,
    head: u32,
    tail: u32,
}

/// All lanes and the least of their heads.
#[derive(Clone, Debug)]
pub(super) struct Timers<E> {
    slots: Vec<Slot<E>>,
    free: u32,
    lanes: Vec<Lane>,
    /// Key of each lane's head, apart from the lanes so that the search for the least is one pass.
    head_keys: Vec<u128>,
    by_delay: BTreeMap<u64, u32>,
    first_key: u128,
    first_lane: u32,
    len: usize,
}

impl<E: Copy> Timers<E> {
    pub(super) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: NIL,
            lanes: Vec::new(),
            head_keys: Vec::new(),
            by_delay: BTreeMap::new(),
            first_key: NEVER,
            first_lane: NIL,
            len: 0,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Order of the timer that fires first; the largest number when none waits.
    #[inline]
    pub(super) const fn first_key(&self) -> u128 {
        self.first_key
    }

    /// The lane of a delay in nanoseconds; the same delay always gives the same lane.
    pub(super) fn lane(&mut self, delay: u64) -> LaneId {
        if let Some(&lane) = self.by_delay.get(&delay) {
            return LaneId(lane);
        }
        let lane = u32::try_from(self.lanes.len()).expect("fewer than 2^32 distinct delays");
        self.by_delay.insert(delay, lane);
        self.lanes.push(Lane {
            delay,
            head: NIL,
            tail: NIL,
        });
        self.head_keys.push(NEVER);
        LaneId(lane)
    }

    #[expect(clippy::inline_always, reason = "part of `Queue::arm`")]
    #[inline(always)]
    pub(super) fn arm(&mut self, lane: LaneId, now: u64, sequence: u64, event: E) -> TimerId {
        let place = &mut self.lanes[lane.0 as usize];
        let tail = place.tail;
        let entry = Entry {
            at: now.saturating_add(place.delay),
            sequence,
            event,
        };
        let slot = self.free;
        let Some(free) = self.slots.get_mut(slot as usize) else {
            return self.arm_new_slot(lane, entry);
        };
        self.free = free.next;
        free.entry = entry;
        free.previous = tail;
        free.next = NIL;
        free.lane = lane.0;
        let generation = free.generation;
        place.tail = slot;
        self.len += 1;
        match self.slots.get_mut(tail as usize) {
            Some(before) => before.next = slot,
            None => self.begin_lane(lane, slot, entry.key()),
        }
        TimerId { slot, generation }
    }

    /// The first timer of an empty lane.
    fn begin_lane(&mut self, lane: LaneId, slot: u32, key: u128) {
        self.lanes[lane.0 as usize].head = slot;
        self.head_keys[lane.0 as usize] = key;
        if key < self.first_key {
            self.first_key = key;
            self.first_lane = lane.0;
        }
    }

    /// No slot is free: one is added, and taken.
    #[cold]
    fn arm_new_slot(&mut self, lane: LaneId, entry: Entry<E>) -> TimerId {
        let slot = u32::try_from(self.slots.len()).expect("fewer than 2^32 timers");
        assert!(slot != NIL, "fewer than 2^32 timers");
        let place = &mut self.lanes[lane.0 as usize];
        let tail = std::mem::replace(&mut place.tail, slot);
        self.slots.push(Slot {
            entry,
            previous: tail,
            next: NIL,
            lane: lane.0,
            generation: 0,
        });
        self.len += 1;
        match self.slots.get_mut(tail as usize) {
            Some(before) => before.next = slot,
            None => self.begin_lane(lane, slot, entry.key()),
        }
        TimerId {
            slot,
            generation: 0,
        }
    }

    /// Unlinks a waiting timer; false when it no longer waits.
    #[inline]
    pub(super) fn cancel(&mut self, timer: TimerId) -> bool {
        // The generation moves on when a timer leaves, so a stale id and `NONE` both fail here.
        match self.slots.get(timer.slot as usize) {
            Some(slot) if slot.generation == timer.generation && slot.lane != NIL => {
                self.unlink(timer.slot);
                true
            }
            _ => false,
        }
    }

    /// Takes the timer that fires first.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<Entry<E>> {
        if self.first_lane == NIL {
            return None;
        }
        let slot = self.lanes[self.first_lane as usize].head;
        let entry = self.slots[slot as usize].entry;
        self.unlink(slot);
        Some(entry)
    }

    #[inline]
    fn unlink(&mut self, slot: u32) {
        let place = &mut self.slots[slot as usize];
        let (previous, next, lane) = (place.previous, place.next, place.lane);
        place.generation = place.generation.wrapping_add(1);
        place.lane = NIL;
        place.next = self.free;
        self.free = slot;
        self.len -= 1;
        match self.slots.get_mut(next as usize) {
            Some(after) => after.previous = previous,
            None => self.lanes[lane as usize].tail = previous,
        }
        match self.slots.get_mut(previous as usize) {
            Some(before) => before.next = next,
            None => self.head_left(lane, next),
        }
    }

    /// Notes a lane's new head. A head only ever gives way to a later one, so the least of all
    /// changes only when it was the one that left.
    fn head_left(&mut self, lane: u32, head: u32) {
        self.lanes[lane as usize].head = head;
        self.head_keys[lane as usize] = match self.slots.get(head as usize) {
            Some(slot) => key(slot.entry.at, slot.entry.sequence),
            None => NEVER,
        };
        if lane != self.first_lane {
            return;
        }
        let mut first = (NEVER, NIL);
        for (lane, &head_key) in (0..).zip(&self.head_keys) {
            if head_key < first.0 {
                first = (head_key, lane);
            }
        }
        (self.first_key, self.first_lane) = first;
    }
}
