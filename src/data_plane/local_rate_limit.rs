//! The local rate limit filter (`source/extensions/filters/http/local_ratelimit`,
//! `source/common/common/token_bucket_impl.cc`).
//!
//! Buckets belong to a filter's configuration and are shared by the workers of a proxy. They start
//! full and are refilled continuously, not in steps. A request takes from the buckets of the
//! descriptors it matches, the strictest first, and then from the default one; the first empty
//! bucket ends it, and what was taken before is not given back.

use super::router::RequestView;
use crate::units::SimTime;
use crate::xds::Name;
use crate::xds::filter::{LocalRateLimit, RateLimitAction, RateLimitActions, TokenBucket};
use crate::xds::route::{HeaderMatch, TextMatch};

/// Tokens of one bucket, exact: a token costs `fill_interval` of credit, and a nanosecond brings
/// `tokens_per_fill`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    credit: u128,
    at: SimTime,
}

impl Bucket {
    /// A full one.
    pub fn full(settings: &TokenBucket) -> Self {
        Self {
            credit: capacity(settings),
            at: SimTime::ZERO,
        }
    }

    /// One that nobody takes from.
    pub const fn none() -> Self {
        Self {
            credit: 0,
            at: SimTime::ZERO,
        }
    }

    /// Takes a token; false when there is none.
    pub fn take(&mut self, now: SimTime, settings: &TokenBucket) -> bool {
        let passed = u128::from(now.since(self.at).ns());
        let gained = passed * u128::from(settings.tokens_per_fill);
        let cost = u128::from(settings.fill_interval.ns());
        self.at = now;
        self.credit = (self.credit + gained).min(capacity(settings));
        // A bucket that holds nothing refuses always.
        let has = settings.max_tokens > 0 && self.credit >= cost;
        if has {
            self.credit -= cost;
        }
        has
    }
}

fn capacity(settings: &TokenBucket) -> u128 {
    u128::from(settings.max_tokens) * u128::from(settings.fill_interval.ns())
}

/// Which buckets of a configuration a request takes from, in order: positions of descriptors,
/// `None` for the default one.
pub fn buckets_of(
    limit: &LocalRateLimit,
    route: &[RateLimitActions],
    request: &RequestView<'_>,
) -> Vec<Option<usize>> {
    let actions = if limit.rate_limits.is_empty() {
        route
    } else {
        &limit.rate_limits
    };
    let carried: Vec<Vec<(Name, Name)>> = (actions.iter())
        .filter_map(|actions| descriptor(actions, request))
        .collect();
    let mut order: Vec<usize> = (0..limit.descriptors.len()).collect();
    // Envoy sorts by whole tokens per second, then keeps the order they were written in.
    order.sort_by_key(|at| tokens_per_second(&limit.descriptors[*at].bucket));
    let fits = |at: &usize| {
        let wanted = &limit.descriptors[*at].entries;
        carried.iter().any(|has| same_entries(wanted, has))
    };
    let mut found: Vec<Option<usize>> = order.into_iter().filter(fits).map(Some).collect();
    if limit.bucket.is_some() && (found.is_empty() || limit.always_consume_default) {
        found.push(None);
    }
    found
}

fn tokens_per_second(bucket: &TokenBucket) -> u64 {
    let seconds = bucket.fill_interval.ns() / 1_000_000_000;
    u64::from(bucket.tokens_per_fill) / seconds.max(1)
}

/// The same pairs in the same order; a value that is not written fits any.
fn same_entries(wanted: &[(Name, Name)], has: &[(Name, Name)]) -> bool {
    wanted.len() == has.len()
        && (wanted.iter().zip(has))
            .all(|((key, value), (k, v))| key == k && (value.is_empty() || value == v))
}

/// The pairs of a descriptor; `None` when one of its actions says nothing.
fn descriptor(
    RateLimitActions(actions): &RateLimitActions,
    request: &RequestView<'_>,
) -> Option<Vec<(Name, Name)>> {
    let mut pairs = Vec::with_capacity(actions.len());
    for action in actions {
        match action {
            RateLimitAction::GenericKey { key, value } => pairs.push((key.clone(), value.clone())),
            RateLimitAction::RequestHeader {
                header,
                key,
                skip_if_absent,
            } => match header_of(request, header) {
                Some(value) => pairs.push((key.clone(), value.into())),
                None if *skip_if_absent => {}
                None => return None,
            },
            RateLimitAction::HeaderValueMatch {
                key,
                value,
                headers,
                expect,
            } => {
                let all = headers.iter().all(|h| header_fits(h, request));
                if all != *expect {
                    return None;
                }
                pairs.push((key.clone(), value.clone()));
            }
        }
    }
    (!pairs.is_empty()).then_some(pairs)
}

fn header_of<'r>(request: &RequestView<'r>, name: &str) -> Option<&'r str> {
    match name {
        ":method" => Some(request.method),
        ":path" => Some(request.path),
        ":authority" | "host" => Some(request.authority),
        ":scheme" => Some(request.scheme),
        _ => request.headers.get(name),
    }
}

/// Regexes are refused while the configuration is read.
fn header_fits(header: &HeaderMatch, request: &RequestView<'_>) -> bool {
    let got = header_of(request, &header.name);
    let fits = match (&header.value, got) {
        (TextMatch::Present, got) => got.is_some(),
        (TextMatch::Exact(text), Some(got)) => got == &**text,
        (TextMatch::Prefix(text), Some(got)) => got.starts_with(&**text),
        (TextMatch::Regex(_) | TextMatch::Exact(_) | TextMatch::Prefix(_), _) => false,
    };
    fits != header.invert
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Headers;
    use crate::units::{Fraction, Origin, SimDuration};
    use crate::xds::filter::LimitDescriptor;

    fn bucket(max_tokens: u32, tokens_per_fill: u32, ms: u64) -> TokenBucket {
        TokenBucket {
            max_tokens,
            tokens_per_fill,
            fill_interval: SimDuration::from_ms(ms),
        }
    }

    fn allowed_at(settings: &TokenBucket, every_ms: u64, count: u64) -> Vec<u64> {
        let mut bucket = Bucket::full(settings);
        let times = (0..count).map(|n| n * every_ms);
        times
            .filter(|ms| bucket.take(SimTime::from_ns(ms * 1_000_000), settings))
            .collect()
    }

    #[test]
    fn a_bucket_is_refilled_continuously_and_not_in_steps() {
        // Measured on 1.40: three tokens, two per second, a request every 0.1 s.
        let allowed = allowed_at(&bucket(3, 2, 1000), 100, 21);
        assert_eq!(allowed, [0, 100, 200, 500, 1000, 1500, 2000]);
    }

    #[test]
    fn an_idle_bucket_holds_no_more_than_its_tokens() {
        let settings = bucket(2, 1, 100);
        let mut bucket = Bucket::full(&settings);
        let later = SimTime::from_ns(60_000_000_000);
        let taken = (0..5).filter(|_| bucket.take(later, &settings)).count();
        assert_eq!(taken, 2);
        assert!(
            allowed_at(
                &super::TokenBucket {
                    max_tokens: 0,
                    ..settings
                },
                100,
                9
            )
            .is_empty()
        );
    }

    fn limit(descriptors: &[(&str, u32)], always: bool) -> LocalRateLimit {
        let descriptor = |(value, per_second): &(&str, u32)| LimitDescriptor {
            entries: vec![("tier".into(), (*value).into())],
            bucket: bucket(*per_second, *per_second, 1000),
        };
        LocalRateLimit {
            stat_prefix: "a".into(),
            bucket: Some(bucket(100, 100, 1000)),
            enabled: Fraction::ONE,
            enforced: Fraction::ONE,
            status: 429,
            descriptors: descriptors.iter().map(descriptor).collect(),
            rate_limits: Vec::new(),
            always_consume_default: always,
            origin: Origin::BUILT_IN,
        }
    }

    fn taken_from(limit: &LocalRateLimit, tier: Option<&str>) -> Vec<Option<usize>> {
        let mut headers = Headers::new();
        if let Some(tier) = tier {
            headers.set("x-tier", tier);
        }
        let request = RequestView {
            method: "GET",
            scheme: "http",
            authority: "a",
            path: "/",
            headers: &headers,
        };
        let action = RateLimitAction::RequestHeader {
            header: "x-tier".into(),
            key: "tier".into(),
            skip_if_absent: false,
        };
        buckets_of(limit, &[RateLimitActions(vec![action])], &request)
    }

    #[test]
    fn the_strictest_descriptor_comes_first_and_the_default_bucket_last() {
        let both = limit(&[("gold", 50), ("", 5)], true);
        assert_eq!(taken_from(&both, Some("gold")), [Some(1), Some(0), None]);
        assert_eq!(taken_from(&both, Some("iron")), [Some(1), None]);
        assert_eq!(taken_from(&both, None), [None]);
        let either = limit(&[("gold", 50)], false);
        assert_eq!(taken_from(&either, Some("gold")), [Some(0)]);
        assert_eq!(taken_from(&either, Some("iron")), [None]);
    }
}
