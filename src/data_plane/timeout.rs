//! The rules that turn configured timeouts into the timers of one request.
//!
//! When the timers start is the caller's business: the route timeout when the downstream
//! request is complete, a per-try timeout when, in addition, the try has a connection
//! (`source/common/router/router.cc`, `upstream_request.cc`).

use crate::http::{Headers, grpc};
use crate::units::{SimDuration, SimTime};
use crate::xds::listener::HttpConnectionManager;
use crate::xds::route::Forward;

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

    /// The timers of a request to a route. A gRPC request's own `grpc-timeout`, capped by
    /// `max_grpc_timeout`, takes the route timeout's place; without a header the maximum itself
    /// does; a maximum of zero caps nothing. A route with `max_stream_duration` has no timeout:
    /// see [`StreamLimit`].
    pub fn of_route(forward: &Forward, caller: &Caller) -> Self {
        let retry = forward.retry.as_ref();
        let route = match (forward.max_grpc_timeout, caller.grpc) {
            _ if forward.max_stream_duration.is_some() => None,
            (Some(cap), true) => {
                let cap = Some(cap).filter(|cap| !cap.is_zero());
                match (caller.grpc_timeout, cap) {
                    (Some(header), Some(cap)) => Some(header.min(cap)),
                    (header, cap) => header.or(cap),
                }
            }
            _ => forward.timeout,
        };
        Self::new(route, retry.and_then(|r| r.per_try_timeout))
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

/// How late a timer fires that was armed at `armed` for `delay`, where the kernel's coarse clock
/// ticks every `tick`; zero is an exact clock.
///
/// Envoy's timers are libevent's, which reads `CLOCK_MONOTONIC_COARSE` (the last tick, 4 ms apart
/// in kernels with `CONFIG_HZ=250`) for deadlines and sleeps whole milliseconds. A timer that wakes
/// before a tick has passed its deadline sleeps again (measured on 1.40: 49 ms take 49 to 52, 52 ms
/// take 52, 53 ms take 53 to 56). Other work of the event loop, which could only let a timer fire
/// earlier than that, is left out.
pub fn lateness(armed: SimTime, delay: SimDuration, tick: SimDuration) -> SimDuration {
    if tick.is_zero() {
        return SimDuration::ZERO;
    }
    let (armed, tick) = (armed.ns(), tick.ns());
    let coarse = |t: u64| t - t % tick;
    let due = armed + delay.ns();
    let deadline = coarse(armed) + delay.ns();
    let mut fires = due;
    while coarse(fires) < deadline {
        fires += (deadline - coarse(fires)).div_ceil(MS) * MS;
    }
    SimDuration::from_ns(fires - due)
}

/// A millisecond in nanoseconds.
const MS: u64 = 1_000_000;

/// What a request says about its own time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// It is a gRPC request.
    pub grpc: bool,
    /// Its `grpc-timeout`.
    pub grpc_timeout: Option<SimDuration>,
}

impl Caller {
    /// Reads `content-type` and `grpc-timeout`.
    pub fn of(headers: &Headers) -> Self {
        Self {
            grpc: headers.get("content-type").is_some_and(grpc::is_grpc),
            grpc_timeout: headers.get("grpc-timeout").and_then(parse_grpc_timeout),
        }
    }
}

/// A limit that the connection manager sets on a stream, from its first byte on, injected delays
/// included (`conn_manager_impl.cc`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimit {
    /// Its length.
    pub after: SimDuration,
    /// Nothing moved (`stream_idle_timeout`, flag SI), or it lasted too long
    /// (`max_stream_duration`, no flag).
    pub idle: bool,
}

impl StreamLimit {
    /// The limit that ends a stream first. While an answer is awaited nothing moves, so the idle
    /// timer is as old as the stream: of the two the shorter one fires.
    pub fn of(
        hcm: &HttpConnectionManager,
        forward: Option<&Forward>,
        caller: &Caller,
    ) -> Option<Self> {
        let idle = forward
            .and_then(|f| f.idle_timeout)
            .or(hcm.stream_idle_timeout);
        let idle = idle
            .filter(|t| !t.is_zero())
            .map(|after| Self { after, idle: true });
        let limits = forward
            .and_then(|f| f.max_stream_duration)
            .unwrap_or_default();
        let longest = match (caller.grpc_timeout, limits.grpc_max) {
            (Some(header), Some(most)) => {
                let capped = if most.is_zero() {
                    header
                } else {
                    header.min(most)
                };
                let offset = limits.grpc_offset.unwrap_or_default();
                Some(SimDuration::from_ns(
                    capped.ns().saturating_sub(offset.ns()),
                ))
            }
            _ => (limits.limit.or(hcm.max_stream_duration)).filter(|t| !t.is_zero()),
        };
        let longest = longest.map(|after| Self { after, idle: false });
        idle.into_iter()
            .chain(longest)
            .min_by_key(|limit| limit.after)
    }
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
    use crate::units::Origin;
    use crate::xds::route::MaxStreamDuration;

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

    fn forward(timeout: Option<SimDuration>, max_grpc: Option<SimDuration>) -> Forward {
        Forward {
            clusters: Vec::new(),
            timeout,
            timeout_origin: Origin::BUILT_IN,
            max_grpc_timeout: max_grpc,
            idle_timeout: None,
            max_stream_duration: None,
            hedge_on_per_try_timeout: false,
            retry: None,
            hash: Vec::new(),
            rewrite: None,
            authority: None,
            mirrors: Vec::new(),
            cluster_not_found_status: 503,
        }
    }

    fn caller(lines: &[(&str, &str)]) -> Caller {
        Caller::of(&lines.iter().copied().collect())
    }

    #[test]
    fn the_grpc_header_is_capped_by_its_maximum() {
        let check = |max: u64, header: &str, expected| {
            let caller = caller(&[
                ("content-type", "application/grpc"),
                ("grpc-timeout", header),
            ]);
            let forward = forward(ms(900), ms(max));
            assert_eq!(
                Timeouts::of_route(&forward, &caller).route,
                expected,
                "{max} {header}"
            );
        };
        check(0, "300m", ms(300));
        check(0, "", None);
        check(700, "300m", ms(300));
        check(700, "5S", ms(700));
        check(700, "", ms(700));
        let grpc = caller(&[("content-type", "application/grpc")]);
        assert_eq!(
            Timeouts::of_route(&forward(ms(900), None), &grpc).route,
            ms(900)
        );
    }

    #[test]
    fn only_grpc_requests_bring_their_own_deadline() {
        let of = |kind, header| {
            let caller = caller(&[("content-type", kind), ("grpc-timeout", header)]);
            Timeouts::of_route(&forward(ms(700), ms(700)), &caller).route
        };
        assert_eq!(of("application/grpc", "300m"), ms(300));
        assert_eq!(of("application/grpc+proto", "5S"), ms(700));
        assert_eq!(of("application/grpc-web", "300m"), ms(700));
        for bad in ["", "m", "300", "-1S", "123456789m", "3 m"] {
            assert_eq!(of("application/grpc", bad), ms(700), "{bad}");
        }
        assert_eq!(parse_grpc_timeout("1500u"), ms(2));
        assert_eq!(parse_grpc_timeout("2H"), ms(7_200_000));
    }

    #[test]
    fn the_shorter_limit_of_a_stream_ends_it() {
        let mut hcm = HttpConnectionManager::of_istiod();
        let mut route = forward(ms(900), None);
        let nobody = Caller::default();
        assert_eq!(StreamLimit::of(&hcm, Some(&route), &nobody), None);
        hcm.stream_idle_timeout = ms(300);
        hcm.max_stream_duration = ms(500);
        let of = |hcm: &_, route: &Forward, caller: &_| {
            StreamLimit::of(hcm, Some(route), caller).map(|l| (l.after, l.idle))
        };
        let limit = |n, idle| ms(n).map(|after| (after, idle));
        assert_eq!(of(&hcm, &route, &nobody), limit(300, true));
        route.idle_timeout = ms(0);
        assert_eq!(of(&hcm, &route, &nobody), limit(500, false));
        route.max_stream_duration = Some(MaxStreamDuration {
            limit: ms(0),
            grpc_max: ms(400),
            grpc_offset: ms(50),
        });
        assert_eq!(of(&hcm, &route, &nobody), None);
        assert_eq!(Timeouts::of_route(&route, &nobody).route, None);
        let grpc = caller(&[
            ("content-type", "application/grpc"),
            ("grpc-timeout", "900m"),
        ]);
        assert_eq!(of(&hcm, &route, &grpc), limit(350, false));
    }

    #[test]
    fn a_timer_fires_at_a_tick_of_the_coarse_clock() {
        let tick = SimDuration::from_ms(4);
        // Armed so many milliseconds after a tick, for so long: fires after so long.
        let check = |phase: u64, delay: u64, expected: u64| {
            let armed = SimTime::from_ns((40 + phase) * MS);
            let late = lateness(armed, SimDuration::from_ms(delay), tick);
            assert_eq!(
                late,
                SimDuration::from_ms(expected - delay),
                "{phase} {delay}"
            );
        };
        for phase in 0..4 {
            check(phase, 52, 52);
            check(phase, 0, 0);
            check(phase, 49, 52 - phase);
            check(phase, 53, 56 - phase);
        }
        check(0, 50, 52);
        check(2, 50, 50);
        check(0, 51, 54);
        check(1, 51, 51);
        let exact = lateness(
            SimTime::from_ns(7),
            SimDuration::from_ms(49),
            SimDuration::ZERO,
        );
        assert_eq!(exact, SimDuration::ZERO);
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
