//! Timers and retries of a kind of request: its route's, with what the request itself may ask for.

use super::plan::{Rare, TryLimit};
use super::resolve::RequestClass;
use crate::data_plane::envoy_headers::{self, Asked};
use crate::data_plane::header_match::HeaderRules;
use crate::data_plane::timeout::{Caller, StreamLimit, Timeouts};
use crate::units::SimDuration;
use crate::xds::listener::HttpConnectionManager;
use crate::xds::route::{Forward, RetryPolicy};

/// What a route plan says about time and retries.
#[derive(Clone, Debug, Default)]
pub(super) struct Policy {
    pub(super) timeout: Option<SimDuration>,
    /// The shortest limit of a try.
    pub(super) per_try_timeout: Option<SimDuration>,
    pub(super) retry: Option<Box<RetryPolicy>>,
    pub(super) rare: Option<Box<Rare>>,
}

impl Policy {
    /// Of a forwarded request, as its proxy received it.
    /// `stream`: the `max_stream_duration` of its clusters.
    pub(super) fn of(
        forward: &Forward,
        hcm: &HttpConnectionManager,
        class: &RequestClass,
        stream: Option<SimDuration>,
    ) -> Self {
        let mut forward = forward.clone();
        let headers = &class.headers;
        let mut alt_response = false;
        if !hcm.internal_addresses.is_empty() && envoy_headers::is_internal(hcm, headers, None) {
            let asked = Asked::of(hcm, headers);
            forward.retry = envoy_headers::retry_policy(forward.retry.as_ref(), headers);
            forward.hedge_on_per_try_timeout =
                asked.hedge.unwrap_or(forward.hedge_on_per_try_timeout);
            alt_response = asked.alt_response;
            obey_timeouts(&mut forward, &asked);
        }
        let named = |rules: &HeaderRules| rules.is_empty() || rules.any_of_request(&class.view());
        let policy = forward
            .retry
            .take()
            .filter(|policy| named(&HeaderRules::new(&policy.retriable_request_headers)));
        forward.retry = policy;
        let caller = caller(class);
        let timeouts = Timeouts::of_route(&forward, &caller);
        let retry = forward.retry.as_ref();
        let idle = retry
            .and_then(|r| r.per_try_idle_timeout)
            .filter(|t| !t.is_zero());
        let limits = [
            (TryLimit::PerTry, timeouts.per_try),
            (TryLimit::PerTryIdle, idle),
            (TryLimit::Stream, stream),
        ];
        let limits = limits
            .iter()
            .filter_map(|(which, t)| t.map(|t| (t, *which)));
        let limit = limits.min_by_key(|(t, _)| *t);
        let rare = Rare {
            grpc: caller.grpc,
            retriable: HeaderRules::new(retry.map_or(&[][..], |r| &r.retriable_headers)),
            hedges: forward.hedge_on_per_try_timeout && timeouts.per_try.is_some(),
            try_limit: limit.map_or(TryLimit::PerTry, |(_, which)| which),
            stream: StreamLimit::of(hcm, Some(&forward), &caller),
            alt_response,
            tcp: false,
        };
        Self {
            timeout: timeouts.route,
            per_try_timeout: limit.map(|(t, _)| t),
            retry: forward.retry.map(Box::new),
            rare: rare.boxed(),
        }
    }

    /// Of a request that its proxy answers: the connection manager's limits count while a fault
    /// holds it.
    pub(super) fn of_answered(hcm: &HttpConnectionManager, class: &RequestClass) -> Self {
        let caller = caller(class);
        let rare = Rare {
            grpc: caller.grpc,
            stream: StreamLimit::of(hcm, None, &caller),
            ..Rare::default()
        };
        Self {
            rare: rare.boxed(),
            ..Self::default()
        }
    }
}

/// A URL `grpc://…` is a gRPC call whatever headers are written.
fn caller(class: &RequestClass) -> Caller {
    let mut caller = Caller::of(&class.headers);
    caller.grpc |= &*class.url.scheme == "grpc";
    caller
}

impl Rare {
    /// `None` when nothing of it is there.
    fn boxed(self) -> Option<Box<Self>> {
        let any = self.grpc
            || self.hedges
            || self.try_limit != TryLimit::PerTry
            || self.alt_response
            || self.stream.is_some()
            || !self.retriable.is_empty();
        any.then(|| Box::new(self))
    }
}

/// A request's own timeouts take the place of the route's, for gRPC requests too.
fn obey_timeouts(forward: &mut Forward, asked: &Asked) {
    if let Some(timeout) = asked.timeout {
        forward.timeout = Some(timeout);
        forward.max_grpc_timeout = None;
        forward.max_stream_duration = None;
    }
    if let Some(per_try) = asked.per_try_timeout {
        let policy = forward.retry.get_or_insert_with(RetryPolicy::of_headers);
        policy.per_try_timeout = Some(per_try);
    }
}
