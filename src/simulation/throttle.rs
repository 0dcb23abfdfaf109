//! Throttles of applications' own retries: tokens that failures cost and successes give.
//!
//! Two rules are in use. gRPC's `retryThrottling` (proposal A6) takes a token for every failed try,
//! retried or not, and retries while more than half of them are left: once most tries fail there is
//! no retry at all. A retry quota, as in the SDKs of AWS, takes a token for every retry and
//! retries while there is one: what succeeds pays for retries for good.
//! Tokens belong to a pod and a host that it calls; calls with the same settings share them.

use std::collections::BTreeMap;

use super::plan::{App, LoadPlan, RepeatPlan};
use crate::config::scenario::{RetryThrottle, ThrottleRule};
use crate::xds::Name;

/// Tokens are counted in thousandths, as gRPC does.
const TOKEN: u32 = 1000;

/// A throttle of one host, the same for every pod of an application.
#[derive(Clone, Debug)]
pub(crate) struct ThrottlePlan {
    settings: RetryThrottle,
    host: Name,
    /// Which tokens of a pod: the same host and settings have the same number.
    group: u32,
}

impl ThrottlePlan {
    pub(super) const fn new(settings: RetryThrottle, host: Name) -> Self {
        Self {
            settings,
            host,
            group: 0,
        }
    }

    const fn succeeded(&self, tokens: u32) -> u32 {
        let more = tokens.saturating_add(self.settings.ratio_milli);
        if more < self.settings.max_milli {
            more
        } else {
            self.settings.max_milli
        }
    }

    /// What a failed try leaves, and whether there may be another; `wanted`: there is one to make.
    const fn failed(&self, tokens: u32, wanted: bool) -> (u32, bool) {
        match self.settings.rule {
            ThrottleRule::Failures => {
                let left = tokens.saturating_sub(TOKEN);
                (left, wanted && left > self.settings.max_milli / 2)
            }
            ThrottleRule::Retries if wanted && tokens >= TOKEN => (tokens - TOKEN, true),
            ThrottleRule::Retries => (tokens, false),
        }
    }
}

/// Numbers all throttles; true when there are any.
pub(super) fn number(loads: &mut [LoadPlan], apps: &mut [App]) -> bool {
    let of_loads = loads.iter_mut().filter_map(|load| load.retries.as_mut());
    let of_apps = apps.iter_mut().flat_map(|app| app.call_retries.iter_mut());
    let all = of_loads.chain(of_apps.flatten());
    let mut known: Vec<(Name, RetryThrottle)> = Vec::new();
    for throttle in all.filter_map(|plan| plan.throttle.as_mut()) {
        let own = (throttle.host.clone(), throttle.settings);
        let found = known.iter().position(|other| *other == own);
        throttle.group = found.unwrap_or(known.len()) as u32;
        if found.is_none() {
            known.push(own);
        }
    }
    !known.is_empty()
}

/// Tokens by pod and group; what is not there has all of them.
#[derive(Debug, Default)]
pub(super) struct Throttles(BTreeMap<(u32, u32), u32>);

impl Throttles {
    /// A try of the pod succeeded.
    pub(super) fn succeeded(&mut self, pod: u32, plan: Option<&RepeatPlan>) {
        if let Some(throttle) = plan.and_then(|plan| plan.throttle.as_ref())
            && let Some(tokens) = self.0.get_mut(&(pod, throttle.group))
        {
            *tokens = throttle.succeeded(*tokens);
        }
    }

    /// A try of the pod failed: may it make another, which it would if it may?
    pub(super) fn failed(&mut self, pod: u32, plan: &RepeatPlan, wanted: bool) -> bool {
        let Some(throttle) = &plan.throttle else {
            return wanted;
        };
        let full = throttle.settings.max_milli;
        let tokens = self.0.entry((pod, throttle.group)).or_insert(full);
        let (left, may) = throttle.failed(*tokens, wanted);
        *tokens = left;
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(rule: ThrottleRule) -> ThrottlePlan {
        let settings = RetryThrottle {
            max_milli: 4_000,
            ratio_milli: 500,
            rule,
        };
        ThrottlePlan::new(settings, "server".into())
    }

    #[test]
    fn grpc_retries_while_more_than_half_of_the_tokens_are_left() {
        let plan = plan(ThrottleRule::Failures);
        assert_eq!(plan.failed(4_000, true), (3_000, true));
        assert_eq!(plan.failed(3_000, true), (2_000, false));
        // Half a token above is enough, and the last try costs one as well.
        assert_eq!(plan.failed(3_500, true), (2_500, true));
        assert_eq!(plan.failed(3_500, false), (2_500, false));
        assert_eq!(plan.failed(500, true), (0, false));
    }

    #[test]
    fn a_quota_pays_for_each_retry() {
        let plan = plan(ThrottleRule::Retries);
        assert_eq!(plan.failed(1_000, true), (0, true));
        assert_eq!(plan.failed(999, true), (999, false));
        assert_eq!(plan.failed(1_000, false), (1_000, false));
    }

    #[test]
    fn successes_fill_up_to_all_of_them() {
        let plan = plan(ThrottleRule::Failures);
        assert_eq!(plan.succeeded(0), 500);
        assert_eq!(plan.succeeded(3_800), 4_000);
    }
}
