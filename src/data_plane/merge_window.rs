//! The merge window: when a change of health reaches the load balancer.
//!
//! Changes that neither add nor remove hosts (ejection, return, weights) are put off when
//! the last applied change is not more than a second old
//! (`source/common/upstream/cluster_manager_impl.cc`, scheduleUpdate), or as long as
//! `update_merge_window` says, which Istio leaves alone. Envoy keeps a window per priority, but every change of
//! health rewrites all priorities of the cluster, so they move in step and one per cluster and
//! proxy is enough.

use crate::units::{SimDuration, SimTime};

/// What to do with a change of health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Build a new view now, from all flags as they are now.
    ApplyNow,
    /// Call [`MergeWindow::on_timer`] at this time.
    ArmTimer(SimTime),
    /// A timer is armed already; it will take this change along.
    Waiting,
}

/// State of one merge window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MergeWindow {
    last_applied: Option<SimTime>,
    armed: Option<SimTime>,
}

impl MergeWindow {
    /// A host's health or weight changed.
    pub fn on_change(&mut self, now: SimTime, window: SimDuration) -> Merge {
        // Envoy compares whole milliseconds.
        let ms = |length: SimDuration| length.ns() / 1_000_000;
        let outside = (self.last_applied).is_none_or(|last| ms(now.since(last)) > ms(window));
        if outside || ms(window) == 0 {
            self.apply(now);
            return Merge::ApplyNow;
        }
        if self.armed.is_some() {
            return Merge::Waiting;
        }
        let at = now.after(window);
        self.armed = Some(at);
        Merge::ArmTimer(at)
    }

    /// Hosts were added or removed: always applied now, pending changes of health with it.
    pub fn on_membership_change(&mut self, now: SimTime) {
        self.apply(now);
    }

    /// The timer fired; true when the changes are to be applied now, false when it was
    /// overtaken by a change that was applied at once.
    #[must_use]
    pub fn on_timer(&mut self, now: SimTime) -> bool {
        if self.armed != Some(now) {
            return false;
        }
        self.apply(now);
        true
    }

    fn apply(&mut self, now: SimTime) {
        self.last_applied = Some(now);
        self.armed = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: SimDuration = SimDuration::from_secs(1);

    fn at(ms: u64) -> SimTime {
        SimTime::ZERO.after(SimDuration::from_ms(ms))
    }

    #[test]
    fn the_second_change_within_a_second_waits_a_second() {
        let mut window = MergeWindow::default();
        assert_eq!(window.on_change(at(5000), SECOND), Merge::ApplyNow);
        assert_eq!(
            window.on_change(at(5040), SECOND),
            Merge::ArmTimer(at(6040))
        );
        assert_eq!(window.on_change(at(5500), SECOND), Merge::Waiting);
        assert!(window.on_timer(at(6040)));
        assert_eq!(
            window.on_change(at(7040), SECOND),
            Merge::ArmTimer(at(8040))
        );
    }

    #[test]
    fn exactly_one_second_is_still_inside() {
        let mut window = MergeWindow::default();
        let _ = window.on_change(at(0), SECOND);
        assert_eq!(
            window.on_change(at(1000), SECOND),
            Merge::ArmTimer(at(2000))
        );
        let mut window = MergeWindow::default();
        let _ = window.on_change(at(0), SECOND);
        assert_eq!(window.on_change(at(1001), SECOND), Merge::ApplyNow);
    }

    #[test]
    fn a_change_after_new_hosts_waits_and_new_hosts_overtake_the_timer() {
        let mut window = MergeWindow::default();
        window.on_membership_change(at(3000));
        assert_eq!(
            window.on_change(at(3200), SECOND),
            Merge::ArmTimer(at(4200))
        );
        window.on_membership_change(at(3500));
        assert!(!window.on_timer(at(4200)));
        assert_eq!(window.on_change(at(4600), SECOND), Merge::ApplyNow);
    }

    #[test]
    fn a_late_change_overtakes_the_timer() {
        let mut window = MergeWindow::default();
        let _ = window.on_change(at(0), SECOND);
        assert_eq!(window.on_change(at(900), SECOND), Merge::ArmTimer(at(1900)));
        assert_eq!(window.on_change(at(1500), SECOND), Merge::ApplyNow);
        assert!(!window.on_timer(at(1900)));
    }

    #[test]
    fn without_a_window_every_change_is_applied_at_once() {
        let mut window = MergeWindow::default();
        for ms in [0, 0, 1, 2] {
            let merge = window.on_change(at(ms), SimDuration::ZERO);
            assert_eq!(merge, Merge::ApplyNow);
        }
    }
}
