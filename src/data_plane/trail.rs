//! Reasons without cost.
//!
//! Code that decides takes a `&mut impl Trail` and builds a reason only `if T::ON`; with
//! [`NoTrail`] nothing is left of it after compilation. Runs pass `NoTrail`; `curl` and
//! `explain` pass a [`Recorder`] and turn the reasons into sentences.

pub use super::reason::{DomainMatch, Mismatch, PickWhy, Reason, Timer};
use crate::http::{Details, Flags};
use crate::units::SimTime;

/// Takes reasons, or does not want any.
pub trait Trail {
    /// False when reasons are thrown away; they are then not even built.
    const ON: bool;
    /// False for runs in which no pod, way or application does what few do (events, deadlines,
    /// unusual queues): what would look after that is then not even compiled into their loop.
    const LIVELY: bool = true;
    /// True for a trail that follows requests through their whole lives: it takes marks, and
    /// reasons about any call. Others take reasons about root requests only.
    const FOLLOWS: bool = false;
    /// Takes a reason.
    fn note(&mut self, reason: Reason);
    /// The time of what comes next; told when [`Self::FOLLOWS`].
    fn at(&mut self, _: SimTime) {}
    /// Takes a mark; called when [`Self::FOLLOWS`].
    fn mark(&mut self, _: Mark) {}
    /// Wants reasons about this call; asked when [`Self::FOLLOWS`].
    fn follows(&self, _: u32) -> bool {
        false
    }
}

/// Wants no reasons.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTrail;

impl Trail for NoTrail {
    const ON: bool = false;
    const LIVELY: bool = false;
    #[inline(always)]
    fn note(&mut self, _: Reason) {}
}

/// Wants no reasons either; for runs in which rare things happen.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTrailLively;

impl Trail for NoTrailLively {
    const ON: bool = false;
    #[inline(always)]
    fn note(&mut self, _: Reason) {}
}

/// Keeps every reason in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recorder(pub Vec<Reason>);

impl Trail for Recorder {
    const ON: bool = true;
    fn note(&mut self, reason: Reason) {
        self.0.push(reason);
    }
}

/// A moment in the life of a call (a request at its client's proxy) or of a try (the same at one
/// pod). Both are named by slots, which are used again: a later `Opened` or `Sent` is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Reasons that follow are about this call.
    About(u32),
    /// A call begins.
    Opened {
        /// Its slot.
        call: u32,
        /// The pod that calls.
        pod: u32,
        /// Its route plan.
        route: u32,
        /// The try whose application calls, and the number of the call; `None` for loads and copies.
        by: Option<(u32, u32)>,
    },
    /// The call is a load's request.
    Root {
        /// Its slot.
        call: u32,
        /// The load.
        load: u32,
        /// The request's number in it.
        number: u64,
    },
    /// The call is a mirrored copy of another.
    Copied {
        /// The copy's slot.
        call: u32,
        /// The other's.
        of: u32,
    },
    /// The next call that nobody waits for is made by the application of this try.
    Causes(u32),
    /// A try begins at the proxy: its host is picked next.
    Tries {
        /// Slot of the call.
        call: u32,
    },
    /// The try is on its way.
    Sent {
        /// Slot of the call.
        call: u32,
        /// Slot of the try.
        attempt: u32,
        /// The pod it goes to.
        pod: u32,
    },
    /// It is at its pod.
    Reached(u32),
    /// Its application works on it.
    Serves(u32),
    /// The application's own work is done.
    Worked(u32),
    /// The pod answers: status, 0 for a reset.
    Answers(u32, u16),
    /// Its pod is gone; nothing more is done for it.
    Lost(u32),
    /// The news of its end travel under another slot.
    Moved {
        /// Slot of the try.
        from: u32,
        /// Slot of the news.
        to: u32,
    },
    /// The answer is back at the proxy.
    Returned(u32),
    /// The proxy has given it up; its pod may go on.
    Abandoned(u32),
    /// The call is over at its proxy.
    Closed {
        /// Slot of the call.
        call: u32,
        /// Status, 0 for none.
        status: u16,
        /// Flags.
        flags: Flags,
        /// Details.
        details: Details,
        /// Weighted cluster of the route, `u32::MAX` for none.
        weighted: u32,
    },
    /// A load's request is answered, or given up.
    Done {
        /// Slot of the call.
        call: u32,
    },
}
