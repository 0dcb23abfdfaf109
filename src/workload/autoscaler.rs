//! A HorizontalPodAutoscaler as a state machine: told the time and the use of CPU, it says how many
//! pods there should be.
//!
//! Follows Kubernetes' controller (`pkg/controller/podautoscaler/replica_calculator.go`,
//! `horizontal.go`): the ratio of use and target with a tolerance of 10 %, pods that are not ready
//! count as idle when more are asked for, then stabilisation, then the policies of each direction,
//! then the bounds.

use std::cmp::Ordering;

use crate::units::{SimDuration, SimTime};
use crate::xds::autoscaler::{Autoscaler as Settings, ScalingPolicy, ScalingRules, SelectPolicy};

/// `--horizontal-pod-autoscaler-sync-period`.
pub const SYNC: SimDuration = SimDuration::from_secs(15);
/// `--horizontal-pod-autoscaler-tolerance`.
const TOLERANCE: f64 = 0.1;

/// What an autoscaler remembers.
#[derive(Clone, Debug, Default)]
pub struct Autoscaler {
    /// What was wanted when, before any limit.
    wanted: Vec<(SimTime, u32)>,
    /// Pods added and taken, and when.
    added: Vec<(SimTime, u32)>,
    taken: Vec<(SimTime, u32)>,
}

impl Autoscaler {
    /// How many pods there should be from `now` on. `usage`: for every pod its use of CPU as a
    /// share of what it asked for, `None` for one that is not ready or was not measured yet.
    pub fn decide(
        &mut self,
        settings: &Settings,
        now: SimTime,
        current: u32,
        usage: &[Option<f64>],
    ) -> u32 {
        // Scaled to zero by hand: switched off.
        if current == 0 {
            return 0;
        }
        if self.wanted.is_empty() {
            self.wanted.push((now, current));
        }
        let target = f64::from(settings.target_percent) / 100.0;
        let raw = by_use(current, usage, target);
        let steady = self.stabilise(settings, now, current, raw);
        let next = self.limit(settings, now, current, steady);
        match next {
            n if n > current => self.added.push((now, n - current)),
            n if n < current => self.taken.push((now, current - n)),
            _ => {}
        }
        next
    }

    /// The most careful of what was wanted within each direction's window.
    fn stabilise(&mut self, settings: &Settings, now: SimTime, current: u32, raw: u32) -> u32 {
        let longest = settings.up.stabilization.max(settings.down.stabilization);
        self.wanted.retain(|(at, _)| now.since(*at) <= longest);
        let within = |window: SimDuration| {
            let recent = self.wanted.iter();
            recent.filter(move |(at, _)| now.since(*at) < window)
        };
        let up = within(settings.up.stabilization).map(|(_, n)| *n);
        let up = up.fold(raw, u32::min);
        let down = within(settings.down.stabilization).map(|(_, n)| *n);
        let down = down.fold(raw, u32::max);
        self.wanted.push((now, raw));
        current.max(up).min(down)
    }

    /// No further than policies and bounds allow.
    fn limit(&mut self, settings: &Settings, now: SimTime, current: u32, wanted: u32) -> u32 {
        let (least, most) = (settings.min_replicas, settings.max_replicas);
        let (up, down) = (&settings.up, &settings.down);
        let longest = (up.policies.iter().chain(&down.policies))
            .map(|policy| policy.period)
            .max();
        let longest = longest.unwrap_or(SimDuration::ZERO);
        self.added.retain(|(at, _)| now.since(*at) < longest);
        self.taken.retain(|(at, _)| now.since(*at) < longest);
        match wanted.cmp(&current) {
            Ordering::Greater => {
                let limit = self.bound(up, now, current, true).max(current);
                wanted.min(most.min(limit)).max(least.min(most))
            }
            Ordering::Less => {
                let limit = self.bound(down, now, current, false).min(current);
                wanted.max(least.max(limit)).min(most)
            }
            Ordering::Equal => wanted.clamp(least.min(most), most),
        }
    }

    /// The number of pods that the policies of a direction allow.
    fn bound(&self, rules: &ScalingRules, now: SimTime, current: u32, up: bool) -> u32 {
        if rules.select == SelectPolicy::Disabled {
            return current;
        }
        let sum = |events: &[(SimTime, u32)], period: SimDuration| -> u32 {
            let recent = events.iter().filter(|(at, _)| now.since(*at) < period);
            recent.map(|(_, n)| n).sum()
        };
        let allowed = |policy: &ScalingPolicy| {
            let (added, taken) = (
                sum(&self.added, policy.period),
                sum(&self.taken, policy.period),
            );
            let start = (current + taken).saturating_sub(added);
            let share = f64::from(policy.value) / 100.0;
            match (policy.is_percent, up) {
                (true, true) => (f64::from(start) * (1.0 + share)).ceil() as u32,
                (true, false) => (f64::from(start) * (1.0 - share)).max(0.0) as u32,
                (false, true) => start.saturating_add(policy.value),
                (false, false) => start.saturating_sub(policy.value),
            }
        };
        let all = rules.policies.iter().map(allowed);
        let furthest = rules.select == SelectPolicy::Max;
        let bound = if up == furthest { all.max() } else { all.min() };
        bound.unwrap_or(current)
    }
}

/// Pods that would bring the use to the target.
fn by_use(current: u32, usage: &[Option<f64>], target: f64) -> u32 {
    let measured: Vec<f64> = usage.iter().copied().flatten().collect();
    if measured.is_empty() {
        return current;
    }
    let sum: f64 = measured.iter().sum();
    let ratio = |count: usize| sum / count as f64 / target;
    let is_near = |ratio: f64| (ratio - 1.0).abs() <= TOLERANCE;
    let pods = |ratio: f64, count: usize| (ratio * count as f64 - 1e-9).ceil() as u32;
    let first = ratio(measured.len());
    if measured.len() == usage.len() || first <= 1.0 {
        return if is_near(first) {
            current
        } else {
            pods(first, measured.len())
        };
    }
    // Those that are not ready will take their share.
    let again = ratio(usage.len());
    if is_near(again) || again < 1.0 {
        return current;
    }
    pods(again, usage.len()).max(current)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Origin;

    fn settings() -> Settings {
        Settings {
            min_replicas: 2,
            max_replicas: 40,
            target_percent: 50,
            up: ScalingRules::up(),
            down: ScalingRules::down(),
            origin: Origin::BUILT_IN,
        }
    }

    fn at(seconds: u64) -> SimTime {
        SimTime::ZERO.after(SimDuration::from_secs(seconds))
    }

    #[test]
    fn twice_the_use_is_twice_the_pods() {
        let mut scaler = Autoscaler::default();
        let wanted = scaler.decide(&settings(), at(15), 4, &[Some(1.0); 4]);
        assert_eq!(wanted, 8);
    }

    #[test]
    fn a_tenth_more_or_less_is_left_alone() {
        let mut scaler = Autoscaler::default();
        assert_eq!(scaler.decide(&settings(), at(15), 4, &[Some(0.549); 4]), 4);
        assert_eq!(scaler.decide(&settings(), at(30), 4, &[Some(0.56); 4]), 5);
    }

    #[test]
    fn no_more_than_double_or_four_pods_in_15_seconds() {
        let mut scaler = Autoscaler::default();
        let full = Settings {
            target_percent: 10,
            ..settings()
        };
        assert_eq!(scaler.decide(&full, at(15), 2, &[Some(1.0); 2]), 6);
        assert_eq!(scaler.decide(&full, at(30), 6, &[Some(1.0); 6]), 12);
        assert_eq!(scaler.decide(&full, at(45), 12, &[Some(1.0); 12]), 24);
        assert_eq!(scaler.decide(&full, at(60), 24, &[Some(1.0); 24]), 40);
    }

    #[test]
    fn fewer_pods_come_when_fewer_have_been_enough_for_five_minutes() {
        let mut scaler = Autoscaler::default();
        let mut pods = 8;
        let mut changed = None;
        for tick in 1..40 {
            let next = scaler.decide(&settings(), at(15 * tick), pods, &vec![Some(0.1); 8][..]);
            if next != pods {
                changed.get_or_insert(15 * tick);
            }
            pods = next;
        }
        assert_eq!((pods, changed), (2, Some(315)));
    }

    #[test]
    fn pods_that_start_hold_back_a_second_wave() {
        let mut scaler = Autoscaler::default();
        let usage = [Some(1.0), Some(1.0), None, None];
        assert_eq!(scaler.decide(&settings(), at(15), 4, &usage), 4);
        let mut scaler = Autoscaler::default();
        let usage = [Some(1.6), Some(1.6), None, None];
        assert_eq!(scaler.decide(&settings(), at(15), 4, &usage), 7);
    }

    #[test]
    fn policies_slow_it_down_and_switch_it_off() {
        let mut slow = settings();
        slow.up.policies = vec![ScalingPolicy {
            is_percent: false,
            value: 1,
            period: SimDuration::from_secs(60),
        }];
        let mut scaler = Autoscaler::default();
        let mut pods = 4;
        let mut course = Vec::new();
        for tick in 1..=9 {
            pods = scaler.decide(&slow, at(15 * tick), pods, &vec![Some(1.0); pods as usize]);
            course.push(pods);
        }
        assert_eq!(course, [5, 5, 5, 5, 6, 6, 6, 6, 7]);
        slow.up.select = SelectPolicy::Disabled;
        let mut scaler = Autoscaler::default();
        assert_eq!(scaler.decide(&slow, at(15), 4, &[Some(1.0); 4]), 4);
    }
}
