//! What few pods have: another order of waiting, a cold start, pauses, a CPU limit.

use crate::engine::Distribution;
use crate::units::SimDuration;

/// Order and cut of a pod's queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueueDiscipline {
    /// The oldest first.
    #[default]
    Fifo,
    /// The newest first.
    Lifo,
    /// The oldest first; `CoDel` (RFC 8289) throws away.
    CoDel {
        /// Wait that is acceptable in the long run.
        target: SimDuration,
        /// For how long more than that is a burst.
        interval: SimDuration,
    },
    /// The newest first under overload, and none that waited longer than it may.
    AdaptiveLifo {
        /// Longest wait under overload.
        target: SimDuration,
        /// Longest wait else; overload begins when the queue was not empty for so long.
        interval: SimDuration,
    },
}

/// Work takes longer after a start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ColdStart {
    /// Until it is over.
    pub length: SimDuration,
    /// How many times as long work takes at first.
    pub factor: f64,
    /// Pods that exist when the run begins have just started.
    pub at_start: bool,
}

/// Pauses of a runtime, such as garbage collection: no work goes on meanwhile.
#[derive(Clone, Debug, PartialEq)]
pub struct RuntimePauses {
    /// From the end of one to the next.
    pub every: Distribution,
    /// How long one lasts.
    pub lasts: Distribution,
}

/// A limit on a pod's processor time.
#[derive(Clone, Debug, PartialEq)]
pub struct CpuLimit {
    /// Thousandths of a core.
    pub milli_cores: u32,
    /// Processor time of a request; `None`: its service time.
    pub per_request: Option<Distribution>,
}
