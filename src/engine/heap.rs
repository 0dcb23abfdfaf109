//! A 4-ary heap of entries ordered by (time, sequence number).
//!
//! Four children lie in one or two cache lines, so the heap is half as deep as a binary one for
//! about the same work per level. Entries are `Copy`, so a hole is moved rather than swapped.

/// An event that waits: when, its place among equals, and what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<E> {
    pub(super) at: u64,
    pub(super) sequence: u64,
    pub(super) event: E,
}

impl<E> Entry<E> {
    /// The complete order as one number; 128 bits compare without a branch.
    #[inline]
    pub(super) fn key(&self) -> u128 {
        key(self.at, self.sequence)
    }
}

/// Time first, then the order of scheduling.
#[inline]
pub(super) const fn key(at: u64, sequence: u64) -> u128 {
    ((at as u128) << 64) | sequence as u128
}

const ARITY: usize = 4;

/// The heap; its least entry is first.
#[derive(Clone, Debug)]
pub(super) struct Heap<E> {
    entries: Vec<Entry<E>>,
}

impl<E: Copy> Heap<E> {
    pub(super) const fn new() -> Self {
        Self {
            entries: Vec::new(),
        }
    }

    #[inline]
    pub(super) fn first(&self) -> Option<&Entry<E>> {
        self.entries.first()
    }

    pub(super) const fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn push(&mut self, entry: Entry<E>) {
        let mut hole = self.entries.len();
        self.entries.push(entry);
        while hole > 0 {
            let parent = (hole - 1) / ARITY;
            if self.entries[parent].key() < entry.key() {
                break;
            }
            self.entries[hole] = self.entries[parent];
            hole = parent;
        }
        self.entries[hole] = entry;
    }

    pub(super) fn pop(&mut self) -> Option<Entry<E>> {
        let last = self.entries.pop()?;
        let Some(&first) = self.entries.first() else {
            return Some(last);
        };
        self.sink(last);
        Some(first)
    }

    /// Puts `entry` in the place of the first one and restores the order below.
    fn sink(&mut self, entry: Entry<E>) {
        let entries = self.entries.as_mut_slice();
        let mut hole = 0;
        loop {
            let begin = hole * ARITY + 1;
            if begin >= entries.len() {
                break;
            }
            let end = (begin + ARITY).min(entries.len());
            let mut least = begin;
            let mut least_key = entries[begin].key();
            for (child, candidate) in entries[begin..end].iter().enumerate().skip(1) {
                if candidate.key() < least_key {
                    least = begin + child;
                    least_key = candidate.key();
                }
            }
            if entry.key() < least_key {
                break;
            }
            entries[hole] = entries[least];
            hole = least;
        }
        entries[hole] = entry;
    }
}
