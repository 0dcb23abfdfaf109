//! How a change of configuration or endpoints travels from istiod to proxies: gathered first,
//! pushed then (`pilot/pkg/xds/discovery.go`, `debounce`).
//!
//! Told the time like every state machine; knows nothing of what is pushed.

use crate::units::{SimDuration, SimTime};

/// istiod's gathering of changes: a push begins when it has been quiet for a while, or when the
/// first change has waited for the most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Debounce {
    first: Option<SimTime>,
    last: SimTime,
}

impl Debounce {
    /// A change is seen; the time at which to ask [`Self::ask`], unless that is arranged already.
    #[must_use]
    pub fn on_change(&mut self, now: SimTime, quiet: SimDuration) -> Option<SimTime> {
        self.last = now;
        if self.first.is_some() {
            return None;
        }
        self.first = Some(now);
        Some(now.after(quiet))
    }

    /// Asked at the arranged time: `None` when the push begins now, else when to ask again.
    #[must_use]
    pub fn ask(&mut self, now: SimTime, quiet: SimDuration, most: SimDuration) -> Option<SimTime> {
        let first = self.first?;
        let calm = now.since(self.last);
        if now.since(first) >= most || calm >= quiet {
            self.first = None;
            return None;
        }
        Some(self.last.after(quiet))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: SimDuration = SimDuration::from_ms(100);
    const MOST: SimDuration = SimDuration::from_secs(10);

    fn at(ms: u64) -> SimTime {
        SimTime::ZERO.after(SimDuration::from_ms(ms))
    }

    #[test]
    fn a_single_change_is_pushed_when_it_has_been_quiet() {
        let mut debounce = Debounce::default();
        assert_eq!(debounce.on_change(at(50), QUIET), Some(at(150)));
        assert_eq!(debounce.ask(at(150), QUIET, MOST), None);
        assert_eq!(debounce.on_change(at(160), QUIET), Some(at(260)));
    }

    #[test]
    fn a_second_change_puts_the_push_off() {
        let mut debounce = Debounce::default();
        assert_eq!(debounce.on_change(at(0), QUIET), Some(at(100)));
        assert_eq!(debounce.on_change(at(80), QUIET), None);
        assert_eq!(debounce.ask(at(100), QUIET, MOST), Some(at(180)));
        assert_eq!(debounce.ask(at(180), QUIET, MOST), None);
    }

    #[test]
    fn a_steady_stream_is_pushed_every_ten_seconds() {
        let mut debounce = Debounce::default();
        let mut ask = debounce
            .on_change(at(0), QUIET)
            .map_or(0, |t| t.ns() / 1_000_000);
        for ms in (50..20_000).step_by(50) {
            let _ = debounce.on_change(at(ms), QUIET);
            if ms >= ask {
                let Some(next) = debounce.ask(at(ms), QUIET, MOST) else {
                    assert_eq!(ms, 10_000);
                    return;
                };
                ask = next.ns() / 1_000_000;
            }
        }
        panic!("never pushed");
    }
}
