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
/// Sequence numbers, those of timers included, between two looks at the width.
const NUMBERS_PER_REVIEW: u64 = 65_536;

#[derive(Clone, Debug)]
struct Slot<E> {
    entry: Entry<E>,
    next: u32,
}

/// Counts since the last review of the width.
#[derive(Clone, Debug, Default)]
struct Usage {
    /// Entries that were pushed beyond the ring.
    far: u64,
    /// Entries that were not alone in their day.
    sharing: u64,
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
    heads: Box<[u32; DAYS as usize]>,
    filled: [u64; 64],
    filled_words: u64,
    slots: Vec<Slot<E>>,
    free: u32,
    /// Pushed when its day lay beyond the ring or is crowded; joins `current` directly.
    far: Heap<E>,
    usage: Usage,
    /// Sequence number of the latest push.
    newest: u64,
    /// The width is looked at when the newest has reached this.
    review_at: u64,
    numbers_per_review: u64,
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
            heads: Box::new([NIL; DAYS as usize]),
            filled: [0; 64],
            filled_words: 0,
            slots: Vec::new(),
            free: NIL,
            far: Heap::new(),
            usage: Usage::default(),
            newest: 0,
            review_at: NUMBERS_PER_REVIEW,
            numbers_per_review: NUMBERS_PER_REVIEW,
        }
    }

    #[expect(clippy::inline_always, reason = "the body of `Queue::push`")]
    #[inline(always)]
    pub(super) fn push(&mut self, entry: Entry<E>) {
        self.newest = entry.sequence;
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

    /// Number of entries, counted one by one.
    pub(super) fn len(&self) -> usize {
        let next = |slot: u32| self.slots.get(slot as usize).map(|place| place.next);
        let mut free = 0;
        let mut slot = self.free;
        while let Some(after) = next(slot) {
            free += 1;
            slot = after;
        }
        self.current.len() + self.far.len() + self.slots.len() - free
    }

    /// Takes the first entry if it comes before `rival`.
    #[expect(clippy::inline_always, reason = "part of the engine's loop")]
    #[inline(always)]
    pub(super) fn pop_before(&mut self, rival: u128) -> Option<Entry<E>> {
        let first = match self.current.last() {
            Some(entry) => entry.key(),
            None => match self.pop_lone(rival) {
                Some(entry) => return Some(entry),
                None => self.turn(rival),
            },
        };
        if first < rival {
            self.current.pop()
        } else {
            None
        }
    }

    /// Takes the first entry of the next day if it is alone there and comes before `rival`: what
    /// a day of the right width has nearly always, without the way through `current`.
    #[expect(clippy::inline_always, reason = "part of the engine's loop")]
    #[inline(always)]
    fn pop_lone(&mut self, rival: u128) -> Option<Entry<E>> {
        let day = self.next_filled_day()?;
        let position = (day % DAYS) as usize;
        let slot = self.heads[position];
        let place = self.slots.get_mut(slot as usize)?;
        let entry = place.entry;
        let lone = place.next == NIL && entry.key() < rival;
        let far = self.far.first();
        if !lone
            || far.is_some_and(|far| far.at >> self.shift <= day)
            || self.newest >= self.review_at
        {
            return None;
        }
        place.next = self.free;
        self.free = slot;
        self.heads[position] = NIL;
        self.clear_bit(position);
        self.today = day;
        self.overflow = u128::MAX;
        Some(entry)
    }

    /// Notes that a day of the ring is empty.
    #[inline]
    fn clear_bit(&mut self, position: usize) {
        let word = &mut self.filled[position / 64];
        *word &= !(1 << (position % 64));
        if *word == 0 {
            self.filled_words &= !(1 << (position / 64));
        }
    }

    /// Notes that the clock moved to `now` without this calendar: no entry lies before.
    #[inline]
    pub(super) fn skip_to(&mut self, now: u64) {
        if self.current.is_empty() {
            self.today = self.today.max(now >> self.shift);
        }
    }

    /// Turns to the next day that has entries, unless it lies after the rival's day, so that what
    /// the rival causes still finds its day ahead. Key of the first entry then; of an entry that
    /// waits in a later day, the largest number.
    #[inline(never)]
    fn turn(&mut self, rival: u128) -> u128 {
        if self.newest >= self.review_at {
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
            self.usage.sharing += self.current.len() as u64;
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
        if let Some(place) = self.slots.get_mut(self.free as usize) {
            self.heads[position] = self.free;
            self.free = place.next;
            *place = slot;
        } else {
            self.heads[position] = self.add_slot(slot);
        }
        self.filled[position / 64] |= 1 << (position % 64);
        self.filled_words |= 1 << (position / 64);
    }

    #[cold]
    fn add_slot(&mut self, slot: Slot<E>) -> u32 {
        let number = u32::try_from(self.slots.len()).expect("fewer than 2^32 events");
        assert!(number != NIL, "fewer than 2^32 events");
        self.slots.push(slot);
        number
    }

    /// Moves a day of the ring into `current`, unsorted.
    fn unlink_day(&mut self, day: u64) {
        let position = (day % DAYS) as usize;
        let mut slot = std::mem::replace(&mut self.heads[position], NIL);
        while let Some(place) = self.slots.get_mut(slot as usize) {
            self.current.push(place.entry);
            let next = std::mem::replace(&mut place.next, self.free);
            self.free = slot;
            slot = next;
        }
        self.clear_bit(position);
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
        let numbers = self.newest - (self.review_at - self.numbers_per_review);
        self.review_at = self.newest + self.numbers_per_review;
        if usage.sharing > numbers / 2 && self.shift > SHIFT_MIN {
            self.change_shift(self.shift - 1);
        } else if usage.far > numbers / 8 && usage.sharing < numbers / 8 && self.shift < SHIFT_MAX {
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
        let newest = self.newest;
        for &entry in &entries {
            self.push(entry);
        }
        self.newest = newest;
        self.usage = Usage::default();
    }
}

/// The width for about one event in four days, so that nearly all are alone in theirs: log2 of
/// nanoseconds.
fn shift_for(events_per_second: f64) -> u32 {
    let gap_ns = 0.25e9 / events_per_second;
    if !gap_ns.is_finite() {
        return SHIFT_UNKNOWN;
    }
    (gap_ns as u64).max(1).ilog2().clamp(SHIFT_MIN, SHIFT_MAX)
}

#[cfg(test)]
mod tests;
