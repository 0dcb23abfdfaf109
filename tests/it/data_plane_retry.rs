//! Promises of retries: the measured matrix, back-off windows, limits (Envoy 1.40).

use std::num::NonZeroU32;

use towtank::data_plane::circuit_breaker::Breakers;
use towtank::data_plane::retry::{
    ResetReason, RetryDecision, RetryState, TryOutcome, Wait, Waits, asked_wait, would_retry,
};
use towtank::http::Headers;
use towtank::units::{Fraction, Origin, SimDuration};
use towtank::xds::cluster::Thresholds;
use towtank::xds::route::{RateLimitedBackoff, ResetHeader, RetryOn, RetryPolicy};

fn policy(words: &str) -> RetryPolicy {
    let set = words
        .split(',')
        .filter_map(RetryOn::word)
        .fold(RetryOn::NONE, RetryOn::with);
    RetryPolicy {
        retries: 2,
        on: set,
        on_text: words.into(),
        status_codes: vec![503],
        retriable_headers: Vec::new(),
        retriable_request_headers: Vec::new(),
        per_try_timeout: None,
        per_try_idle_timeout: None,
        backoff_base: SimDuration::from_ms(25),
        backoff_max: SimDuration::from_ms(250),
        rate_limited_backoff: None,
        skip_previous_hosts: true,
        skip_previous_priorities: None,
        host_reselects: 5,
        origin: Origin::BUILT_IN,
    }
}

fn answer(status: u16) -> TryOutcome {
    TryOutcome::status(status)
}

/// The columns of the measured matrix.
const COLUMNS: [&str; 7] = [
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "refused-stream",
    "retriable-status-codes",
];

fn row(outcome: TryOutcome, request_sent: bool, expected: &str) {
    let cells: String = COLUMNS
        .iter()
        .map(|word| {
            if would_retry(&policy(word), &outcome, request_sent) {
                'x'
            } else {
                '.'
            }
        })
        .collect();
    assert_eq!(cells, expected, "{outcome:?}");
}

#[test]
fn the_measured_matrix_holds() {
    row(answer(200), true, ".......");
    row(answer(404), true, ".......");
    row(answer(500), true, "x......");
    row(answer(502), true, "xx.....");
    row(answer(504), true, "xx.....");
    row(answer(503), true, "xx....x");
    row(
        TryOutcome::Reset(ResetReason::ConnectionTermination),
        true,
        "xxx....",
    );
    row(TryOutcome::Reset(ResetReason::RemoteReset), true, "xxx....");
    row(
        TryOutcome::Reset(ResetReason::RemoteRefusedStream),
        true,
        "xxx..x.",
    );
    row(
        TryOutcome::Reset(ResetReason::ConnectionRefused),
        false,
        "xxxxx..",
    );
    row(
        TryOutcome::Reset(ResetReason::ConnectionTimeout),
        false,
        "xxxxx..",
    );
    row(TryOutcome::Reset(ResetReason::TlsFailure), false, "xxxxx..");
    row(TryOutcome::Reset(ResetReason::LocalReset), true, "xxx....");
    row(TryOutcome::Reset(ResetReason::Overflow), false, ".......");
    // An earlier try of the request wrote headers: reset-before-request is over.
    row(
        TryOutcome::Reset(ResetReason::ConnectionRefused),
        true,
        "xxx.x..",
    );
}

#[test]
fn unnamed_outcomes_become_these_replies() {
    let reply = |reason: ResetReason| {
        let (status, flags, details) = reason.reply();
        format!("{status} {flags} {details}")
    };
    let started = |why: &str| format!("upstream_reset_before_response_started{{{why}}}");
    let check = |reason, expected: String| assert_eq!(reply(reason), expected);
    check(
        ResetReason::LocalReset,
        "504 UT upstream_per_try_timeout".into(),
    );
    check(
        ResetReason::Overflow,
        format!("503 UO {}", started("overflow")),
    );
    check(
        ResetReason::ConnectionTimeout,
        format!("503 UF {}", started("connection_timeout")),
    );
    check(
        ResetReason::ConnectionTermination,
        format!("503 UC {}", started("connection_termination")),
    );
    check(
        ResetReason::RemoteReset,
        format!("503 UR {}", started("remote_reset")),
    );
    check(
        ResetReason::RemoteRefusedStream,
        format!("503 UR {}", started("remote_refused_stream_reset")),
    );
    assert!(reply(ResetReason::ConnectionRefused).starts_with("503 UF "));
}

#[test]
fn other_words_look_at_their_own_field_only() {
    let grpc = |status| TryOutcome::Response {
        status: 200,
        grpc_status: Some(status),
        rate_limited: false,
        named_header: false,
        asked: None,
    };
    for (word, code) in [
        ("cancelled", 1),
        ("deadline-exceeded", 4),
        ("resource-exhausted", 8),
        ("internal", 13),
        ("unavailable", 14),
    ] {
        for status in 0..17 {
            let retried = would_retry(&policy(word), &grpc(status), true);
            assert_eq!(retried, status == code, "{word} {status}");
        }
    }
    assert!(would_retry(&policy("retriable-4xx"), &answer(409), true));
    assert!(!would_retry(&policy("retriable-4xx"), &answer(404), true));
    let limited = TryOutcome::Response {
        status: 503,
        grpc_status: None,
        rate_limited: true,
        named_header: false,
        asked: None,
    };
    assert!(!would_retry(
        &policy("5xx,retriable-status-codes"),
        &limited,
        true
    ));
    assert!(would_retry(&policy("envoy-ratelimited"), &limited, true));
}

fn decide(
    state: &mut RetryState,
    policy: &RetryPolicy,
    wanted: bool,
    breakers: &mut Breakers,
    limits: &Thresholds,
) -> RetryDecision {
    state.decide(policy, wanted, breakers, limits, Wait::Backoff, u64::MAX)
}

#[test]
fn windows_double_and_stop_at_the_maximum() {
    let mut policy = policy("5xx");
    policy.retries = 7;
    let check = |policy: &RetryPolicy, windows: &[u64]| {
        let mut state = RetryState::new(policy);
        let mut breakers = Breakers::default();
        for window in windows {
            // The greatest draw of a window: one millisecond less than its length.
            let largest = state.decide(
                policy,
                true,
                &mut breakers,
                &Thresholds::default(),
                Wait::Backoff,
                window - 1,
            );
            let expected = RetryDecision::After(SimDuration::from_ms(window - 1));
            assert_eq!(largest, expected);
        }
        let mut state = RetryState::new(policy);
        for window in windows {
            let limits = Thresholds::default();
            let wrapped =
                state.decide(policy, true, &mut breakers, &limits, Wait::Backoff, *window);
            assert_eq!(wrapped, RetryDecision::After(SimDuration::ZERO), "{window}");
        }
    };
    check(&policy, &[25, 50, 100, 200, 250, 250, 250]);
    policy.backoff_base = SimDuration::from_us(300);
    policy.backoff_max = SimDuration::from_ms(10);
    check(&policy, &[1, 2, 4, 8, 10, 10, 10]);
}

#[test]
fn the_limit_counts_retries_beyond_the_first_try() {
    let policy = policy("5xx");
    let (mut breakers, limits) = (Breakers::default(), Thresholds::default());
    let mut state = RetryState::new(&policy);
    for _ in 0..2 {
        let decision = decide(&mut state, &policy, true, &mut breakers, &limits);
        assert!(matches!(decision, RetryDecision::After(_)));
        assert_eq!((breakers.retries, state.holds_slot), (1, true));
    }
    let last = decide(&mut state, &policy, true, &mut breakers, &limits);
    assert_eq!((last, breakers.retries), (RetryDecision::LimitExceeded, 0));
}

#[test]
fn a_retry_that_ends_well_is_counted_even_when_it_ends_in_404() {
    let policy = policy("5xx");
    let (mut breakers, limits) = (Breakers::default(), Thresholds::default());
    let mut state = RetryState::new(&policy);
    let first = decide(&mut state, &policy, false, &mut breakers, &limits);
    assert_eq!(first, RetryDecision::No { was_success: false });
    let _ = decide(&mut state, &policy, true, &mut breakers, &limits);
    let second = decide(&mut state, &policy, false, &mut breakers, &limits);
    assert_eq!(second, RetryDecision::No { was_success: true });
    assert_eq!(breakers.retries, 0);
    assert!(state.retried);
}

#[test]
fn six_failures_at_once_under_two_retries_overflow_four_times() {
    let policy = policy("5xx");
    let limits = Thresholds {
        max_retries: 2,
        ..Thresholds::default()
    };
    let mut breakers = Breakers::default();
    let mut states = [RetryState::new(&policy); 6];
    let refused = states
        .iter_mut()
        .map(|state| decide(state, &policy, true, &mut breakers, &limits))
        .filter(|decision| *decision == RetryDecision::Overflow)
        .count();
    assert_eq!(refused, 4);
    assert!(
        states.iter().all(|s| s.remaining == 1),
        "spent all the same"
    );
    states[0].release(&mut breakers);
    states[0].release(&mut breakers);
    assert_eq!(breakers.retries, 1);
}

#[test]
fn a_budget_is_worked_out_from_what_is_in_flight_the_failed_try_included() {
    let policy = policy("5xx");
    let limits = Thresholds::default();
    // Requests at once, the budget's share, its minimum, retries: as Envoy 1.40 did.
    let check = |at_once: u32, percent: f64, minimum: u32, expected: u32| {
        let limits = Thresholds {
            retry_budget: Some((Fraction::from_percent(percent), minimum)),
            ..limits.clone()
        };
        let mut breakers = Breakers {
            requests: at_once,
            ..Breakers::default()
        };
        let mut retried = 0;
        for _ in 0..at_once {
            let mut state = RetryState::new(&policy);
            let decision = decide(&mut state, &policy, true, &mut breakers, &limits);
            retried += u32::from(matches!(decision, RetryDecision::After(_)));
            breakers.requests -= 1;
        }
        assert_eq!(retried, expected, "{at_once} at once under {percent} %");
    };
    check(10, 20.0, 1, 1);
    check(1, 100.0, 0, 1);
    check(2, 50.0, 0, 1);
    check(4, 50.0, 0, 1);
    check(3, 34.0, 0, 1);
    check(1, 99.0, 0, 0);
}

#[test]
fn headers_retry_only_under_their_word() {
    let named = TryOutcome::Response {
        status: 200,
        grpc_status: None,
        rate_limited: false,
        named_header: true,
        asked: None,
    };
    assert!(would_retry(&policy("retriable-headers"), &named, true));
    assert!(!would_retry(&policy("5xx"), &named, true));
    assert!(!would_retry(
        &policy("retriable-headers"),
        &answer(200),
        true
    ));
}

#[test]
fn an_answer_may_ask_for_a_longer_wait() {
    let mut policy = policy("5xx");
    let reset = |name: &str, unix_timestamp| ResetHeader {
        name: name.into(),
        unix_timestamp,
    };
    policy.rate_limited_backoff = Some(RateLimitedBackoff {
        reset_headers: vec![
            reset("x-when", true),
            reset("retry-after", false),
            reset("x-later", false),
        ],
        max_interval: SimDuration::from_secs(10),
    });
    let check = |lines: &[(&str, &str)], expected: Option<u32>| {
        let headers: Headers = lines.iter().copied().collect();
        let expected = expected.and_then(NonZeroU32::new);
        assert_eq!(asked_wait(&policy, &headers), expected, "{lines:?}");
    };
    check(&[], None);
    check(&[("retry-after", "2")], Some(2));
    check(&[("retry-after", "11"), ("x-later", "3")], Some(3));
    check(&[("retry-after", "soon"), ("x-later", "3")], Some(3));
    check(&[("retry-after", "0"), ("x-later", "3")], None);
    check(&[("x-when", "1")], None);
    // The wait asked for, and at most half of it on top; the exponential window stays where it was.
    let mut state = RetryState::new(&policy);
    let (mut breakers, limits) = (Breakers::default(), Thresholds::default());
    let wait = Wait::Asked(NonZeroU32::new(2).expect("not zero"));
    let decision = state.decide(&policy, true, &mut breakers, &limits, wait, 1999);
    assert_eq!(decision, RetryDecision::After(SimDuration::from_ms(2999)));
    assert_eq!((state.waits, state.window_ms), (Waits::RateLimited, 25));
}

#[test]
fn too_early_is_tried_again_at_once() {
    let mut policy = policy("retriable-status-codes");
    policy.status_codes = vec![425];
    assert!(would_retry(&policy, &answer(425), true));
    assert_eq!(Wait::of(&answer(425)), Wait::None);
    assert_eq!(Wait::of(&answer(503)), Wait::Backoff);
    let mut state = RetryState::new(&policy);
    let (mut breakers, limits) = (Breakers::default(), Thresholds::default());
    let decision = state.decide(&policy, true, &mut breakers, &limits, Wait::None, 17);
    assert_eq!(decision, RetryDecision::After(SimDuration::ZERO));
    assert_eq!(state.waits, Waits::NotAtAll);
}
