//! The rules that turn configured timeouts into the timers of one request.
//!
//! When the timers start is the caller's business: the route timeout when the downstream
//! request is complete, a per-try timeout when, in addition, the try has a connection
//! (`source/common/router/router.cc`, `upstream_request.cc`).

use crate::units::SimDuration;

/// The timers of one request; `None` is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// Covers everything after the request was received: waits, tries, back-offs, the body.
    pub route: Option<SimDuration>,
    /// Covers one try once it has a connection.
    pub per_try: Option<SimDuration>,
}

impl Timeouts {
    /// Applies Envoy's rule: a per-try timeout that is not shorter than the route timeout is
    /// dropped, unless the route timeout is off. Zero means off for both.
    pub fn new(route: Option<SimDuration>, per_try: Option<SimDuration>) -> Self {
        let route = route.filter(|t| !t.is_zero());
        let per_try = per_try.filter(|t| !t.is_zero());
        Self {
            route,
            per_try: per_try.filter(|per_try| route.is_none_or(|route| *per_try < route)),
        }
    }

    /// The timers of a gRPC request under istiod's `max_grpc_timeout`, which equals the route
    /// timeout: the caller's `grpc-timeout`, capped by it; without a header the maximum
    /// itself; a maximum of zero caps nothing.
    pub fn grpc(
        route: Option<SimDuration>,
        per_try: Option<SimDuration>,
        header: Option<SimDuration>,
    ) -> Self {
        let cap = route.filter(|t| !t.is_zero());
        let timeout = match (header, cap) {
            (Some(header), Some(cap)) => Some(header.min(cap)),
            (header, cap) => header.or(cap),
        };
        Self::new(timeout, per_try)
    }

    /// The timers of a request with this `content-type` and `grpc-timeout`.
    pub fn of_request(
        route: Option<SimDuration>,
        per_try: Option<SimDuration>,
        content_type: Option<&str>,
        grpc_timeout: Option<&str>,
    ) -> Self {
        if content_type.is_some_and(is_grpc) {
            Self::grpc(route, per_try, grpc_timeout.and_then(parse_grpc_timeout))
        } else {
            Self::new(route, per_try)
        }
    }

    /// Milliseconds for `x-envoy-expected-rq-timeout-ms` of a try that starts `elapsed` after
    /// the request was received: the smaller of per-try timeout and what remains, at least 1.
    pub fn expected_ms(&self, elapsed: SimDuration) -> Option<u64> {
        let ms = |t: SimDuration| t.ns() / 1_000_000;
        let remaining = self
            .route
            .map(|route| ms(route).saturating_sub(ms(elapsed)).max(1));
        match (self.per_try.map(ms), remaining) {
            (Some(per_try), Some(remaining)) => Some(per_try.min(remaining)),
            (per_try, remaining) => per_try.or(remaining),
        }
    }
}

/// `application/grpc`, alone or with a subtype.
fn is_grpc(content_type: &str) -> bool {
    content_type
        .strip_prefix("application/grpc")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('+'))
}

/// `300m`: up to eight digits and a unit (`source/common/grpc/common.cc`, getGrpcTimeout).
fn parse_grpc_timeout(text: &str) -> Option<SimDuration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let plain = (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let count: u64 = digits.parse().ok().filter(|_| plain)?;
    let duration = match unit {
        "H" => SimDuration::from_secs(3600).times(count),
        "M" => SimDuration::from_secs(60).times(count),
        "S" => SimDuration::from_secs(count),
        "m" => SimDuration::from_ms(count),
        // Envoy counts in milliseconds, rounded up.
        "u" => SimDuration::from_ms(count.div_ceil(1_000)),
        "n" => SimDuration::from_ms(count.div_ceil(1_000_000)),
        _ => return None,
    };
    Some(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "every timer is optional")]
    fn ms(ms: u64) -> Option<SimDuration> {
        Some(SimDuration::from_ms(ms))
    }

    #[test]
    fn a_per_try_timeout_must_be_shorter_than_the_route_timeout() {
        assert_eq!(Timeouts::new(ms(200), ms(200)).per_try, None);
        assert_eq!(Timeouts::new(ms(200), ms(199)).per_try, ms(199));
        assert_eq!(Timeouts::new(None, ms(500)).per_try, ms(500));
        assert_eq!(Timeouts::new(ms(0), ms(500)), Timeouts::new(None, ms(500)));
    }

    #[test]
    fn the_grpc_header_is_capped_by_the_route_timeout() {
        assert_eq!(Timeouts::grpc(None, None, ms(300)).route, ms(300));
        assert_eq!(Timeouts::grpc(None, None, None).route, None);
        assert_eq!(Timeouts::grpc(ms(700), None, ms(300)).route, ms(300));
        assert_eq!(Timeouts::grpc(ms(700), None, ms(5000)).route, ms(700));
        assert_eq!(Timeouts::grpc(ms(700), None, None).route, ms(700));
    }

    #[test]
    fn only_grpc_requests_bring_their_own_deadline() {
        let of = |kind, header| Timeouts::of_request(ms(700), None, kind, header).route;
        assert_eq!(of(Some("application/grpc"), Some("300m")), ms(300));
        assert_eq!(of(Some("application/grpc+proto"), Some("5S")), ms(700));
        assert_eq!(of(Some("application/grpc-web"), Some("300m")), ms(700));
        assert_eq!(of(None, Some("300m")), ms(700));
        for bad in ["", "m", "300", "-1S", "123456789m", "3 m"] {
            assert_eq!(of(Some("application/grpc"), Some(bad)), ms(700), "{bad}");
        }
        assert_eq!(parse_grpc_timeout("1500u"), ms(2));
        assert_eq!(parse_grpc_timeout("2H"), ms(7_200_000));
    }

    #[test]
    fn the_expected_timeout_is_what_the_try_may_take() {
        let both = Timeouts::new(ms(1000), ms(300));
        assert_eq!(both.expected_ms(SimDuration::ZERO), Some(300));
        assert_eq!(both.expected_ms(SimDuration::from_ms(900)), Some(100));
        assert_eq!(both.expected_ms(SimDuration::from_ms(2000)), Some(1));
        assert_eq!(Timeouts::default().expected_ms(SimDuration::ZERO), None);
    }
}
