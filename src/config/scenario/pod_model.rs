//! What few pods have: another order of waiting, priorities, pools, a cold start, pauses, a CPU limit.

use crate::engine::Distribution;
use crate::units::{Fraction, SimDuration};
use crate::xds::Name;

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
    /// Thousandths of a core; `None`: `resources.limits.cpu` of its containers.
    pub milli_cores: Option<u32>,
    /// Processor time of a request; `None`: its service time.
    pub per_request: Option<Distribution>,
}

/// Requests that are more important than others, by a header.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestPriority {
    /// Lower case.
    pub header: Name,
    /// Values of the header, the most important first.
    pub levels: Vec<PriorityLevel>,
    /// Level of a request without the header, or with another value.
    pub default: usize,
}

/// One level.
#[derive(Clone, Debug, PartialEq)]
pub struct PriorityLevel {
    /// Value of the header.
    pub value: Name,
    /// Refused once so large a share of the queue is taken; `None`: as long as there is a place.
    pub shed_from: Option<Fraction>,
}

/// A pool of an application's own: connections to a database, threads for one kind of call.
#[derive(Clone, Debug, PartialEq)]
pub struct CallPool {
    /// As calls name it.
    pub name: Name,
    /// Calls of one pod that hold one at once.
    pub size: u32,
    /// A call that has waited for so long fails; `None`: it waits.
    pub timeout: Option<SimDuration>,
}

/// How often a call is made for one request, where that is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct CallTimes {
    /// (times, share of requests), by times.
    pub shares: Vec<(u32, Fraction)>,
}

impl CallTimes {
    /// Most calls of one request.
    pub fn most(&self) -> u32 {
        self.shares.last().map_or(0, |(times, _)| *times)
    }
}
