//! Retries: whether a failed try is tried again, and after how long.
//!
//! Knows a policy, one outcome and the cluster's breakers; does not know hosts (choosing
//! another one is the balancer's work) nor time. Decisions follow
//! `source/common/router/retry_state_impl.cc`, back-off windows
//! `source/common/common/backoff_strategy.cc`.
//! Hedging is in [`super::hedge`], retry headers of trusted clients in [`super::envoy_headers`].
//! Not modelled: bodies, hence no 507 when one outgrows the retry buffer; early data, which a 425
//! would not retry; reset headers with a UNIX time (a run has no calendar), which count as absent.

use std::num::NonZeroU32;

use super::circuit_breaker::Breakers;
use crate::http::{Details, Flags, Headers};
use crate::units::SimDuration;
use crate::xds::cluster::Thresholds;
use crate::xds::route::{ResetHeader, RetryOn, RetryPolicy};

/// Why a try ended without response headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResetReason {
    /// The host refused the connection.
    ConnectionRefused,
    /// The connection was not made in time.
    ConnectionTimeout,
    /// The TLS handshake failed.
    TlsFailure,
    /// The connection closed while the answer was awaited.
    ConnectionTermination,
    /// The peer reset the HTTP/2 stream.
    RemoteReset,
    /// The peer refused the HTTP/2 stream.
    RemoteRefusedStream,
    /// The per-try timeout fired.
    LocalReset,
    /// The per-try idle timeout fired.
    LocalIdleReset,
    /// The cluster's `max_stream_duration` was over.
    MaxStreamDuration,
    /// A circuit breaker refused.
    Overflow,
}

impl ResetReason {
    /// The answer Envoy makes when nothing is tried again.
    pub const fn reply(self) -> (u16, Flags, Details) {
        match self {
            Self::ConnectionRefused => (503, Flags::UF, Details::RemoteConnectionFailure),
            Self::ConnectionTimeout => (503, Flags::UF, Details::ConnectionTimeout),
            Self::TlsFailure => (503, Flags::UF, Details::TlsFailure),
            Self::ConnectionTermination => (503, Flags::UC, Details::ConnectionTermination),
            Self::RemoteReset => (503, Flags::UR, Details::RemoteReset),
            Self::RemoteRefusedStream => (503, Flags::UR, Details::RemoteRefusedStream),
            Self::LocalReset => (504, Flags::UT, Details::PerTryTimeout),
            Self::LocalIdleReset => (504, Flags::UT, Details::PerTryIdleTimeout),
            Self::MaxStreamDuration => (504, Flags::UMSDR, Details::UpstreamMaxStreamDuration),
            Self::Overflow => (503, Flags::UO, Details::Overflow),
        }
    }

    /// True when no connection was made.
    pub const fn is_connect_failure(self) -> bool {
        matches!(
            self,
            Self::ConnectionRefused | Self::ConnectionTimeout | Self::TlsFailure
        )
    }
}

/// How one try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryOutcome {
    /// Response headers came.
    Response {
        /// HTTP status.
        status: u16,
        /// `grpc-status`, when it is in the headers (trailers-only response).
        grpc_status: Option<u8>,
        /// `x-envoy-ratelimited` is there.
        rate_limited: bool,
        /// A header that the policy's `retriable_headers` names is there.
        named_header: bool,
        /// Seconds that a reset header asks to wait ([`asked_wait`]).
        asked: Option<NonZeroU32>,
    },
    /// The try was reset.
    Reset(ResetReason),
}

const _: () = assert!(
    size_of::<TryOutcome>() <= 16,
    "every answer is handed through the retry decision"
);

impl TryOutcome {
    /// A plain answer.
    #[inline]
    pub const fn status(status: u16) -> Self {
        Self::Response {
            status,
            grpc_status: None,
            rate_limited: false,
            named_header: false,
            asked: None,
        }
    }
}

/// Does the policy name this outcome? `request_sent`: a header byte went upstream in this
/// request, in this try or an earlier one.
pub fn would_retry(policy: &RetryPolicy, outcome: &TryOutcome, request_sent: bool) -> bool {
    match *outcome {
        TryOutcome::Response {
            rate_limited: true, ..
        } => policy.on.any_of(RetryOn::RATELIMITED),
        TryOutcome::Response {
            status,
            grpc_status,
            named_header,
            ..
        } => {
            response_is_named(policy, status)
                || (named_header && policy.on.any_of(RetryOn::HEADERS))
                || grpc_is_named(policy.on, grpc_status)
        }
        TryOutcome::Reset(reason) => reset_is_named(policy.on, reason, request_sent),
    }
}

/// True when the policy has no word for a plain answer below 400: neither codes nor headers are
/// listed. Known before the run, so that nearly all answers need not ask the policy at all.
pub const fn passes_success(policy: &RetryPolicy) -> bool {
    const LISTED: RetryOn = RetryOn::STATUS_CODES.with(RetryOn::HEADERS);
    !policy.on.any_of(LISTED)
}

fn response_is_named(policy: &RetryPolicy, status: u16) -> bool {
    let on = policy.on;
    (on.any_of(RetryOn::SERVER_ERROR) && (500..600).contains(&status))
        || (on.any_of(RetryOn::GATEWAY_ERROR) && matches!(status, 502..=504))
        || (on.any_of(RetryOn::RETRIABLE_4XX) && status == 409)
        || (on.any_of(RetryOn::STATUS_CODES) && policy.status_codes.contains(&status))
}

const fn grpc_is_named(on: RetryOn, status: Option<u8>) -> bool {
    match status {
        Some(1) => on.any_of(RetryOn::CANCELLED),
        Some(4) => on.any_of(RetryOn::DEADLINE_EXCEEDED),
        Some(8) => on.any_of(RetryOn::RESOURCE_EXHAUSTED),
        Some(13) => on.any_of(RetryOn::INTERNAL),
        Some(14) => on.any_of(RetryOn::UNAVAILABLE),
        _ => false,
    }
}

const fn reset_is_named(on: RetryOn, reason: ResetReason, request_sent: bool) -> bool {
    if matches!(reason, ResetReason::Overflow) {
        return false;
    }
    let every_reset = RetryOn::RESET
        .with(RetryOn::SERVER_ERROR)
        .with(RetryOn::GATEWAY_ERROR);
    on.any_of(every_reset)
        || (on.any_of(RetryOn::CONNECT_FAILURE) && reason.is_connect_failure())
        || (on.any_of(RetryOn::RESET_BEFORE_REQUEST) && !request_sent)
        || (on.any_of(RetryOn::REFUSED_STREAM)
            && matches!(reason, ResetReason::RemoteRefusedStream))
}

/// Status of a server that will not take early data.
const TOO_EARLY: u16 = 425;

/// Which wait comes before a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The exponential back-off.
    Backoff,
    /// The seconds that the answer asked for, and a random half of them at most on top.
    Asked(NonZeroU32),
    /// None: an answer 425 under `retriable-status-codes`.
    None,
}

impl Wait {
    /// The wait before the retry of an outcome that the policy names.
    pub fn of(outcome: &TryOutcome) -> Self {
        match *outcome {
            TryOutcome::Response {
                status: TOO_EARLY,
                rate_limited: false,
                ..
            } => Self::None,
            TryOutcome::Response {
                asked: Some(asked), ..
            } => Self::Asked(asked),
            _ => Self::Backoff,
        }
    }
}

/// The wait that a response's reset headers ask for: the first that is whole seconds, no longer
/// than the maximum, counts (`retry_state_impl.cc`, `parseResetInterval`).
pub fn asked_wait(policy: &RetryPolicy, headers: &Headers) -> Option<NonZeroU32> {
    let limited = policy.rate_limited_backoff.as_ref()?;
    let read = |header: &ResetHeader| {
        let text = headers
            .get(&header.name)
            .filter(|_| !header.unix_timestamp)?;
        let seconds: u32 = text.trim().parse().ok()?;
        (SimDuration::from_secs(u64::from(seconds)) <= limited.max_interval).then_some(seconds)
    };
    let first = limited.reset_headers.iter().find_map(read);
    first.and_then(NonZeroU32::new)
}

/// What is done about a try that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryDecision {
    /// Not retried: the outcome is not one the policy names.
    No {
        /// An earlier retry led here (`upstream_rq_retry_success`).
        was_success: bool,
    },
    /// The policy's retries are used up: flag URX.
    LimitExceeded,
    /// The breaker or budget for retries is full: flag UO.
    Overflow,
    /// Tried again after this back-off.
    After(SimDuration),
}

/// Retry state of one request; exists only when its route has a policy that names anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryState {
    /// Retries left.
    pub remaining: u32,
    /// Next back-off window in milliseconds.
    pub window_ms: u32,
    /// A retry slot of the cluster is held: from scheduling to the retried try's outcome.
    pub holds_slot: bool,
    /// A retry was made at all ("retried and the latest reset reason").
    pub retried: bool,
    /// What the scheduled retry waits for.
    pub waits: Waits,
}

/// Which counter a wait is counted under.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Waits {
    /// `upstream_rq_retry_backoff_exponential`.
    #[default]
    Exponential,
    /// `upstream_rq_retry_backoff_ratelimited`.
    RateLimited,
    /// There is no wait.
    NotAtAll,
}

impl RetryState {
    /// Before the first question to a policy; most requests never ask one.
    pub const IDLE: Self = Self {
        remaining: 0,
        window_ms: 0,
        holds_slot: false,
        retried: false,
        waits: Waits::Exponential,
    };

    /// True once the state was made for a policy, whose windows are never zero.
    pub const fn has_begun(&self) -> bool {
        self.window_ms > 0
    }

    /// The state at the first try.
    pub fn new(policy: &RetryPolicy) -> Self {
        Self {
            remaining: policy.retries,
            window_ms: whole_ms(policy.backoff_base),
            holds_slot: false,
            retried: false,
            waits: Waits::Exponential,
        }
    }

    /// Decides about a try that ended; `would_retry` is [`would_retry`]'s answer. The failed
    /// try must still be among `breakers.requests` or `breakers.pending`: a retry budget counts it.
    pub fn decide(
        &mut self,
        policy: &RetryPolicy,
        would_retry: bool,
        breakers: &mut Breakers,
        limits: &Thresholds,
        wait: Wait,
        draw: u64,
    ) -> RetryDecision {
        let was_success = self.holds_slot && !would_retry;
        self.release(breakers);
        if !would_retry {
            return RetryDecision::No { was_success };
        }
        if self.remaining == 0 {
            return RetryDecision::LimitExceeded;
        }
        // Spent even when the breaker refuses.
        self.remaining -= 1;
        if !breakers.allows_retry(limits) {
            return RetryDecision::Overflow;
        }
        breakers.retries += 1;
        self.holds_slot = true;
        self.retried = true;
        let (waits, delay) = match wait {
            Wait::Backoff => (Waits::Exponential, self.next_backoff(policy, draw)),
            Wait::Asked(seconds) => {
                let ms = u64::from(seconds.get()) * 1000;
                (
                    Waits::RateLimited,
                    SimDuration::from_ms(ms + draw % (ms / 2)),
                )
            }
            Wait::None => (Waits::NotAtAll, SimDuration::ZERO),
        };
        self.waits = waits;
        RetryDecision::After(delay)
    }

    /// Gives the slot back; to be called when a request ends by anything but an outcome
    /// (route timeout, client gone).
    pub fn release(&mut self, breakers: &mut Breakers) {
        if self.holds_slot {
            breakers.retries = breakers.retries.saturating_sub(1);
            self.holds_slot = false;
        }
    }

    /// Uniform whole milliseconds below the window, which doubles up to its maximum.
    fn next_backoff(&mut self, policy: &RetryPolicy, draw: u64) -> SimDuration {
        let window = self.window_ms;
        let max = whole_ms(policy.backoff_max).max(whole_ms(policy.backoff_base));
        self.window_ms = if window < max / 2 { 2 * window } else { max };
        SimDuration::from_ms(draw % u64::from(window))
    }
}

/// Whole milliseconds, at least one.
fn whole_ms(duration: SimDuration) -> u32 {
    u32::try_from(duration.ns() / 1_000_000)
        .unwrap_or(u32::MAX)
        .max(1)
}
