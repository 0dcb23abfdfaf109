//! Hedging on per-try timeouts: another try is started beside the slow one, the first acceptable
//! answer wins (`router.cc`, `onSoftPerTryTimeout`, `onUpstreamHeaders`).
//!
//! Knows how a try ended and whether others are out; does not know which. A try that timed out
//! softly stays in flight, is charged as a timeout to its host at once, and is never retried
//! again itself. The retry it causes needs no word of `retry_on`, only a retry that is left.

use super::retry::{TryOutcome, would_retry};
use crate::xds::route::RetryPolicy;

/// What becomes of an answer or reset of a try that was already replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Late {
    /// It goes to the client; every other try is reset.
    Answers,
    /// It is dropped: another try, out or scheduled, may still do better.
    Dropped,
}

/// Decides about the end of a replaced try; `others`: another try is out or scheduled.
pub fn late(policy: &RetryPolicy, outcome: &TryOutcome, others: bool) -> Late {
    let unwelcome = match outcome {
        TryOutcome::Reset(_) => true,
        TryOutcome::Response { .. } => would_retry(policy, outcome, true),
    };
    if unwelcome && others {
        Late::Dropped
    } else {
        Late::Answers
    }
}

#[cfg(test)]
mod tests {
    use super::super::retry::ResetReason;
    use super::*;
    use crate::xds::route::RetryOn;

    #[test]
    fn a_late_answer_is_dropped_when_it_would_be_retried_and_another_may_come() {
        let policy = RetryPolicy {
            on: RetryOn::SERVER_ERROR,
            ..RetryPolicy::of_headers()
        };
        let check = |outcome: TryOutcome, others: bool, expected: Late| {
            assert_eq!(
                late(&policy, &outcome, others),
                expected,
                "{outcome:?} {others}"
            );
        };
        check(TryOutcome::status(200), true, Late::Answers);
        check(TryOutcome::status(404), true, Late::Answers);
        check(TryOutcome::status(503), true, Late::Dropped);
        check(TryOutcome::status(503), false, Late::Answers);
        let reset = TryOutcome::Reset(ResetReason::ConnectionTermination);
        check(reset, true, Late::Dropped);
        check(reset, false, Late::Answers);
    }
}
