//! The fault filter: delays and aborts a route injects at the client's proxy.
//!
//! Delay and abort are drawn independently with fresh random numbers, delay first
//! (`source/extensions/filters/http/fault/fault_filter.cc`). The filter stands before the
//! router: route timeouts do not include the delay, and an aborted request is never retried
//! and no cluster counts it. Not modelled: response rate limits.

use crate::units::SimDuration;
use crate::xds::route::{AbortStatus, Fault};

/// How long the request is held, if this draw hits. A delay of zero is no delay.
pub fn decide_delay(fault: &Fault, draw: u64) -> Option<SimDuration> {
    let (share, delay) = fault.delay?;
    (share.hit(draw) && !delay.is_zero()).then_some(delay)
}

/// The answer instead of the upstream's, if this draw hits.
pub fn decide_abort(fault: &Fault, draw: u64) -> Option<AbortStatus> {
    let (share, status) = fault.abort?;
    share.hit(draw).then_some(status)
}

/// True when the fault may be injected beside so many active ones. Asked when one is about to be;
/// a request that is faulted already may be faulted again.
pub fn has_room(fault: &Fault, active: u32) -> bool {
    fault.max_active.is_none_or(|max| active < max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Fraction, Origin};

    fn fault(percent: f64) -> Fault {
        let share = Fraction::from_percent(percent);
        Fault {
            delay: Some((share, SimDuration::from_ms(300))),
            abort: Some((share, AbortStatus::Http(418))),
            max_active: None,
            origin: Origin::BUILT_IN,
        }
    }

    #[test]
    fn draws_are_compared_in_parts_per_million() {
        let tenth = fault(0.1);
        assert_eq!(decide_abort(&tenth, 999), Some(AbortStatus::Http(418)));
        assert_eq!(decide_abort(&tenth, 1000), None);
        assert_eq!(
            decide_delay(&tenth, 3_000_999),
            Some(SimDuration::from_ms(300))
        );
    }

    #[test]
    fn nothing_configured_and_zero_delays_do_nothing() {
        let mut none = fault(100.0);
        none.delay = Some((Fraction::ONE, SimDuration::ZERO));
        none.abort = None;
        assert_eq!(
            (decide_delay(&none, 0), decide_abort(&none, 0)),
            (None, None)
        );
    }
}
