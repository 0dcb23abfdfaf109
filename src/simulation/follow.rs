//! Follows one request through a run: a [`Trail`] that keeps the marks and reasons of its tree of
//! calls and nothing else.
//!
//! A run is the same with it and without it (a test holds that), so a request that was found in
//! one run is followed in the next. Slots of calls and tries are used again: a slot belongs to the
//! request from the mark that began it to the next mark that begins another.

use std::collections::BTreeMap;

use super::plan::NIL;
use crate::data_plane::{Mark, Reason, Trail};
use crate::http::{Details, Flags};
use crate::units::SimTime;

/// Who made a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The load.
    Load,
    /// The application of this try of the trace; it waits, or does not.
    Application {
        /// Index of the try.
        attempt: usize,
        /// It waits for the answer.
        waits: bool,
    },
    /// A proxy's route copies this call of the trace.
    Mirror(usize),
}

/// A request at its client's proxy, as it was followed.
#[derive(Clone, Debug)]
pub(super) struct Followed {
    pub(super) by: By,
    pub(super) pod: u32,
    pub(super) route: u32,
    pub(super) opened: SimTime,
    pub(super) closed: Option<Closed>,
    /// When the client had the answer, where that is later.
    pub(super) done: Option<SimTime>,
    /// Indexes of its tries.
    pub(super) tries: Vec<usize>,
    pub(super) reasons: Vec<(SimTime, Reason)>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Closed {
    pub(super) at: SimTime,
    pub(super) status: u16,
    pub(super) flags: Flags,
    pub(super) details: Details,
    pub(super) weighted: u32,
}

/// A try, as it was followed.
#[derive(Clone, Copy, Debug)]
pub(super) struct FollowedTry {
    pub(super) call: usize,
    /// `NIL`: it was never sent.
    pub(super) pod: u32,
    pub(super) begun: SimTime,
    pub(super) sent: Option<SimTime>,
    pub(super) reached: Option<SimTime>,
    pub(super) serves: Option<SimTime>,
    pub(super) worked: Option<SimTime>,
    pub(super) lost: Option<SimTime>,
    pub(super) answers: Option<(SimTime, u16)>,
    pub(super) returned: Option<SimTime>,
    pub(super) abandoned: Option<SimTime>,
    /// It ended before it was sent.
    pub(super) failed: Option<SimTime>,
}

/// Follows one request of one load.
#[derive(Clone, Debug, Default)]
pub(super) struct Follower {
    load: u32,
    number: u64,
    now: SimTime,
    pub(super) calls: Vec<Followed>,
    pub(super) tries: Vec<FollowedTry>,
    call_at: BTreeMap<u32, usize>,
    try_at: BTreeMap<u32, usize>,
    /// The call that reasons are about.
    about: Option<usize>,
    /// The try whose application makes a call that nobody waits for.
    causes: Option<usize>,
    /// A call that has just begun and may turn out to be the request or a copy: slot, pod, route.
    fresh: Option<(u32, u32, u32)>,
}

impl Follower {
    pub(super) fn new(load: u32, number: u64) -> Self {
        Self {
            load,
            number,
            ..Self::default()
        }
    }

    fn open(&mut self, slot: u32, pod: u32, route: u32, by: By) {
        self.call_at.insert(slot, self.calls.len());
        self.calls.push(Followed {
            by,
            pod,
            route,
            opened: self.now,
            closed: None,
            done: None,
            tries: Vec::new(),
            reasons: Vec::new(),
        });
    }

    fn opened(&mut self, slot: u32, pod: u32, route: u32, by: Option<(u32, u32)>) {
        self.call_at.remove(&slot);
        let causes = self.causes.take();
        match by {
            None => self.fresh = Some((slot, pod, route)),
            Some((NIL, _)) => {
                if let Some(attempt) = causes {
                    let waits = false;
                    self.open(slot, pod, route, By::Application { attempt, waits });
                }
            }
            Some((attempt, _)) => {
                if let Some(attempt) = self.try_at.get(&attempt).copied() {
                    let waits = true;
                    self.open(slot, pod, route, By::Application { attempt, waits });
                }
            }
        }
    }

    /// The call that has just begun is `by` somebody.
    fn adopt(&mut self, slot: u32, by: By) {
        if let Some((fresh, pod, route)) = self.fresh.take()
            && fresh == slot
        {
            self.open(slot, pod, route, by);
        }
    }

    /// The newest try of a call.
    fn newest(&mut self, slot: u32) -> Option<&mut FollowedTry> {
        let call = *self.call_at.get(&slot)?;
        let last = *self.calls[call].tries.last()?;
        self.tries.get_mut(last)
    }

    fn tried(&mut self, slot: u32) {
        if let Some(call) = self.call_at.get(&slot).copied() {
            self.calls[call].tries.push(self.tries.len());
            self.tries.push(FollowedTry {
                call,
                pod: NIL,
                begun: self.now,
                sent: None,
                reached: None,
                serves: None,
                worked: None,
                lost: None,
                answers: None,
                returned: None,
                abandoned: None,
                failed: None,
            });
        }
    }

    fn sent(&mut self, slot: u32, attempt: u32, pod: u32) {
        self.try_at.remove(&attempt);
        let now = self.now;
        let Some(newest) = self.newest(slot) else {
            return;
        };
        newest.sent = Some(now);
        newest.pod = pod;
        let index = self.calls[self.call_at[&slot]].tries.last().copied();
        self.try_at.extend(index.map(|index| (attempt, index)));
    }

    fn with_try(&mut self, attempt: u32, change: impl FnOnce(&mut FollowedTry, SimTime)) {
        if let Some(index) = self.try_at.get(&attempt) {
            change(&mut self.tries[*index], self.now);
        }
    }

    /// A try that was not sent ends with a decision about it.
    fn fail_unsent(&mut self, slot: u32) {
        let now = self.now;
        if let Some(newest) = self.newest(slot)
            && newest.sent.is_none()
            && newest.failed.is_none()
        {
            newest.failed = Some(now);
        }
    }
}

impl Trail for Follower {
    const ON: bool = true;
    const FOLLOWS: bool = true;

    fn note(&mut self, reason: Reason) {
        let Some(call) = self.about else { return };
        if matches!(reason, Reason::Retry { .. })
            && let Some(last) = self.calls[call].tries.last()
        {
            let newest = &mut self.tries[*last];
            if newest.sent.is_none() {
                newest.failed.get_or_insert(self.now);
            }
        }
        self.calls[call].reasons.push((self.now, reason));
    }

    fn at(&mut self, now: SimTime) {
        self.now = now;
    }

    fn follows(&self, call: u32) -> bool {
        self.call_at.contains_key(&call)
    }

    fn mark(&mut self, mark: Mark) {
        match mark {
            Mark::About(call) => self.about = self.call_at.get(&call).copied(),
            Mark::Opened {
                call,
                pod,
                route,
                by,
            } => self.opened(call, pod, route, by),
            Mark::Root { call, load, number } => {
                if (load, number) == (self.load, self.number) {
                    self.adopt(call, By::Load);
                }
            }
            Mark::Copied { call, of } => {
                if let Some(of) = self.call_at.get(&of).copied() {
                    self.adopt(call, By::Mirror(of));
                }
            }
            Mark::Causes(attempt) => self.causes = self.try_at.get(&attempt).copied(),
            Mark::Tries { call } => self.tried(call),
            Mark::Sent { call, attempt, pod } => self.sent(call, attempt, pod),
            Mark::Reached(attempt) => self.with_try(attempt, |t, now| t.reached = Some(now)),
            Mark::Serves(attempt) => self.with_try(attempt, |t, now| t.serves = Some(now)),
            Mark::Worked(attempt) => self.with_try(attempt, |t, now| t.worked = Some(now)),
            Mark::Answers(attempt, status) => {
                self.with_try(attempt, |t, now| t.answers = Some((now, status)));
            }
            Mark::Lost(attempt) => self.with_try(attempt, |t, now| t.lost = Some(now)),
            Mark::Moved { from, to } => {
                self.try_at.remove(&to);
                if let Some(index) = self.try_at.remove(&from) {
                    self.try_at.insert(to, index);
                }
            }
            Mark::Returned(attempt) => {
                self.with_try(attempt, |t, now| t.returned = Some(now));
                self.try_at.remove(&attempt);
            }
            Mark::Abandoned(attempt) => self.with_try(attempt, |t, now| t.abandoned = Some(now)),
            Mark::Closed {
                call,
                status,
                flags,
                details,
                weighted,
            } => {
                self.fail_unsent(call);
                if let Some(index) = self.call_at.get(&call) {
                    self.calls[*index].closed = Some(Closed {
                        at: self.now,
                        status,
                        flags,
                        details,
                        weighted,
                    });
                }
            }
            Mark::Done { call } => {
                if let Some(index) = self.call_at.remove(&call) {
                    self.calls[index].done = Some(self.now);
                }
            }
        }
    }
}
