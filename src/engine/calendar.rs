//! The events that cannot be cancelled: a ring of days, a sorted today, and a heap for what lies
//! beyond the ring.
//!
//! A day is a power of two of nanoseconds wide. Most pushes only link the event into its day;
//! sorting waits until the day comes, when about one event is in it. Days follow the rate of
//! events: the width starts from a hint and moves by powers of two when days get crowded or too
//! much falls beyond the ring. A day that no width can thin out, such as a million users who begin
//! at one instant, is kept by the heap and taken from it a handful at a time. The order is always
//! that of the keys, so no width can reach a result.

use super::heap::{Entry, Heap};

/// Days in the ring: one bit each in 64 words, and one bit per word in a summary.
const DAYS: u64 = 4_096;
/// Ends a list.
const NIL: u32 = u32::MAX;
/// Days are between 64 ns and 262 µs wide: narrow ones cost a heap operation at most, wide ones
/// make today's list long.
const SHIFT_MIN: u32 = 6;
const SHIFT_MAX: u32 = 18;
/// Where no rate is known: right for tens of thousands of events per second.
const SHIFT_UNKNOWN: u32 = 14;
/// More entries than this are not kept sorted in today's list: each insertion moves those before it.
const CROWD: usize = 512;
/// Pushes between two looks at the width.
const PUSHES_PER_REVIEW: u64 = 65_536;

#[derive(Clone, Debug)]
struct Slot<E> {
    entry: Entry<E>,
    next: u32,
}

/// Counts since the last review of the width.
#[derive(Clone, Debug, Default)]
struct Usage {
    pushes: u64,
    far: u64,
    days: u64,
}

/// Entries by key.
#[derive(Clone, Debug)]
pub(super) struct Calendar<E> {
    /// Everything up to and including day `today` whose key is below `overflow`; the first entry
    /// is last.
    current: Vec<Entry<E>>,
    /// Least key of today's entries that wait in `far` because today is crowded.
    overflow: u128,
    crowd: usize,
    today: u64,
    shift: u32,
    /// First slot of each day of the ring, for the days after `today` that it reaches.
    heads: Box<[u32]>,
    filled: [u64; 64],
    filled_words: u64,
    slots: Vec<Slot<E>>,
    free: u32,
    /// Pushed when its day lay beyond the ring or is crowded; joins `current` directly.
    far: Heap<E>,
    usage: Usage,
    pushes_per_review: u64,
}

impl<E: Copy> Calendar<E> {
    /// An empty calendar for about this many events per second.
    pub(super) fn new(events_per_second: f64) -> Self {
        Self {
            current: Vec::new(),
            overflow: u128::MAX,
            crowd: CROWD,
            today: 0,
            shift: shift_for(events_per_second),
            heads: vec![NIL; DAYS as usize].into(),
            filled: [0; 64],
            filled_words: 0,
            slots: Vec::new(),
            free: NIL,
            far: Heap::new(),
            usage: Usage::default(),
            pushes_per_review: PUSHES_PER_REVIEW,
        }
    }

    #[inline]
    pub(super) fn push(&mut self, entry: Entry<E>) {
        self.usage.pushes += 1;
        let day = entry.at >> self.shift;
        if day <= self.today {
            self.push_today(entry);
        } else if day - self.today < DAYS {
            self.link(day, entry);
        } else {
            self.usage.far += 1;
            self.far.push(entry);
        }
    }

    #[inline]
    fn push_today(&mut self, entry: Entry<E>) {
        if self.current.len() >= self.crowd {
            self.spill();
        }
        if entry.key() > self.overflow {
            self.far.push(entry);
            return;
        }
        let place = self
            .current
            .partition_point(|other| other.key() > entry.key());
        self.current.insert(place, entry);
    }

    /// The later half of a crowded today goes to the heap.
    #[cold]
    fn spill(&mut self) {
        let half = self.current.len() / 2;
        for entry in self.current.drain(..half) {
            self.overflow = self.overflow.min(entry.key());
            self.far.push(entry);
        }
    }

    /// Key of the first entry if it comes before `rival`; otherwise some key that does not.
    ///
    /// The calendar turns to no later day than the rival's, so that what the rival causes still
    /// finds its day ahead.
    #[inline]
    pub(super) fn first_key_before(&mut self, rival: u128) -> u128 {
        match self.current.last() {
            Some(entry) => entry.key(),
            None => self.turn(rival),
        }
    }

    /// Key of the first entry, without turning to its day.
    pub(super) fn first_key(&self) -> u128 {
        if let Some(entry) = self.current.last() {
            return entry.key();
        }
        let mut least = self.far.first().map_or(u128::MAX, Entry::key);
        if let Some(day) = self.next_filled_day() {
            let mut slot = self.heads[(day % DAYS) as usize];
            while let Some(Slot { entry, next }) = self.slots.get(slot as usize) {
                least = least.min(entry.key());
                slot = *next;
            }
        }
        least
    }

    /// Takes the entry that [`Self::first_key_before`] found.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<Entry<E>> {
        self.current.pop()
    }

    /// Notes that the clock moved to `now` without this calendar: no entry lies before.
    #[inline]
    pub(super) fn skip_to(&mut self, now: u64) {
        if self.current.is_empty() {
            self.today = self.today.max(now >> self.shift);
        }
    }

    /// Turns to the next day that has entries, unless it lies after the rival's day.
    fn turn(&mut self, rival: u128) -> u128 {
        if self.usage.pushes >= self.pushes_per_review {
            self.review();
            // A wider today may have entries now.
            if let Some(entry) = self.current.last() {
                return entry.key();
            }
        }
        let ring = self.next_filled_day().unwrap_or(u64::MAX);
        let far = self
            .far
            .first()
            .map_or(u64::MAX, |entry| entry.at >> self.shift);
        let day = ring.min(far);
        if day > (rival >> 64) as u64 >> self.shift {
            return u128::MAX;
        }
        // What is left of a crowded day may lie before today.
        self.today = self.today.max(day);
        self.usage.days += 1;
        if ring == day {
            self.unlink_day(day);
        }
        self.overflow = u128::MAX;
        while let Some(entry) = self.far.first()
            && entry.at >> self.shift <= self.today
            && self.current.len() <= self.crowd
        {
            self.current.extend(self.far.pop());
        }
        if self.current.len() > self.crowd {
            self.take_first_of_crowd();
        }
        if self.current.len() > 1 {
            self.current
                .sort_unstable_by_key(|entry| std::cmp::Reverse(entry.key()));
        }
        self.current.last().map_or(u128::MAX, Entry::key)
    }

    /// Today has more entries than are kept sorted: the heap orders them, its first half a crowd
    /// comes back.
    #[cold]
    fn take_first_of_crowd(&mut self) {
        for entry in self.current.drain(..) {
            self.far.push(entry);
        }
        for _ in 0..self.crowd.div_ceil(2) {
            self.current.extend(self.far.pop());
        }
        self.overflow = match self.far.first() {
            Some(entry) if entry.at >> self.shift <= self.today => entry.key(),
            _ => u128::MAX,
        };
    }

    /// Adds an entry to a day of the ring.
    #[inline]
    fn link(&mut self, day: u64, entry: Entry<E>) {
        let position = (day % DAYS) as usize;
        let slot = Slot {
            entry,
            next: self.heads[position],
        };
        if self.free == NIL {
            let number = u32::try_from(self.slots.len()).expect("fewer than 2^32 events");
            assert!(number != NIL, "fewer than 2^32 events");
            self.heads[position] = number;
            self.slots.push(slot);
        } else {
            self.heads[position] = self.free;
            let place = &mut self.slots[self.free as usize];
            self.free = place.next;
            *place = slot;
        }
        self.filled[position / 64] |= 1 << (position % 64);
        self.filled_words |= 1 << (position / 64);
    }

    /// Moves a day of the ring into `current`, unsorted.
    fn unlink_day(&mut self, day: u64) {
        let position = (day % DAYS) as usize;
        let mut slot = std::mem::replace(&mut self.heads[position], NIL);
        while slot != NIL {
            let place = &mut self.slots[slot as usize];
            self.current.push(place.entry);
            let next = std::mem::replace(&mut place.next, self.free);
            self.free = slot;
            slot = next;
        }
        let word = &mut self.filled[position / 64];
        *word &= !(1 << (position % 64));
        if *word == 0 {
            self.filled_words &= !(1 << (position / 64));
        }
    }

    /// The first day after today that has entries in the ring.
    #[inline]
    fn next_filled_day(&self) -> Option<u64> {
        let from = ((self.today + 1) % DAYS) as u32;
        let (word, bit) = (from / 64, from % 64);
        let rest = self.filled[word as usize] >> bit;
        if rest != 0 {
            return Some(self.today + 1 + u64::from(rest.trailing_zeros()));
        }
        if self.filled_words == 0 {
            return None;
        }
        // Later words first, then round to this word's beginning.
        let turned = self.filled_words.rotate_right((word + 1) % 64);
        let word = (word + 1 + turned.trailing_zeros()) % 64;
        let position = word * 64 + self.filled[word as usize].trailing_zeros();
        Some(self.today + 1 + u64::from(position.wrapping_sub(from)) % DAYS)
    }

    /// Fits the width of a day to what the last pushes needed. Called between two days.
    #[cold]
    fn review(&mut self) {
        let usage = std::mem::take(&mut self.usage);
        let crowded = usage.pushes / usage.days.max(1);
        if crowded > 8 && self.shift > SHIFT_MIN {
            self.change_shift(self.shift - 1);
        } else if crowded < 2 && usage.far > usage.pushes / 8 && self.shift < SHIFT_MAX {
            self.change_shift(self.shift + 1);
        }
    }

    /// Files everything anew under days of another width.
    fn change_shift(&mut self, shift: u32) {
        let mut entries = std::mem::take(&mut self.current);
        while let Some(day) = self.next_filled_day() {
            self.unlink_day(day);
        }
        entries.append(&mut self.current);
        // The last moment of today: with `current` empty, everything up to it has been popped or
        // waits in the heap.
        let reached = (self.today << self.shift) | ((1 << self.shift) - 1);
        self.shift = shift;
        self.today = reached >> shift;
        self.overflow = u128::MAX;
        // A wider today may reach into what lay beyond the ring.
        while let Some(entry) = self.far.first()
            && entry.at >> shift <= self.today
        {
            entries.extend(self.far.pop());
        }
        for &entry in &entries {
            self.push(entry);
        }
        self.usage = Usage::default();
    }
}

/// The width for about one event per day: log2 of nanoseconds.
fn shift_for(events_per_second: f64) -> u32 {
    let gap_ns = 1e9 / events_per_second;
    if !gap_ns.is_finite() {
        return SHIFT_UNKNOWN;
    }
    (gap_ns as u64).max(1).ilog2().clamp(SHIFT_MIN, SHIFT_MAX)
}

#[cfg(test)]
mod tests;
