//! Retry policies of routes (`core/route/retry/retry.go`).

use super::defaults;
use super::push_context::PushContext;
use crate::config::istio::Retries;
use crate::units::{Origin, SimDuration};
use crate::xds::route::{RetryOn, RetryPolicy};

/// The policy of a route: its own, else the mesh's, else the built-in one.
///
/// `attempts: 0` – and so `retries: {}` – switches retries off.
pub(super) fn of_route(
    push: &PushContext<'_>,
    retries: Option<&Retries>,
    single_consistent_hash: bool,
) -> Option<RetryPolicy> {
    let mut policy = built_in(push);
    // Going back to the same host is what consistent hashing is for (1.23+).
    if single_consistent_hash && push.at_least(23) {
        policy.skip_previous_hosts = false;
        policy.host_reselects = 0;
    }
    let Some(retries) = retries.or(push.config.mesh.default_retries.as_ref()) else {
        return Some(policy);
    };
    if retries.attempts <= 0 {
        return None;
    }
    policy.retries = u32::try_from(retries.attempts).unwrap_or(u32::MAX);
    policy.origin = retries.origin;
    set_conditions(&mut policy, retries);
    policy.per_try_timeout = retries.per_try_timeout;
    if retries.retry_remote_localities {
        policy.skip_previous_priorities = Some(defaults::RETRY_PRIORITY_FREQUENCY);
    }
    if push.at_least(26) {
        set_backoff(&mut policy, retries);
        if let Some(skip) = retries.ignore_previous_hosts {
            policy.skip_previous_hosts = skip;
            policy.host_reselects = if skip {
                defaults::RETRY_HOST_RESELECTS
            } else {
                0
            };
        }
    }
    Some(policy)
}

/// Words and codes, when any are written.
fn set_conditions(policy: &mut RetryPolicy, retries: &Retries) {
    if !retries.retry_on.is_empty() {
        let (on, text, codes) = parse_retry_on(&retries.retry_on);
        policy.on = on;
        policy.on_text = text.into();
        policy.status_codes = codes;
    }
}

/// Only the base is written; Envoy's longest wait is ten times that.
fn set_backoff(policy: &mut RetryPolicy, retries: &Retries) {
    if let Some(base) = retries.backoff.filter(|b| *b > SimDuration::ZERO) {
        policy.backoff_base = base;
        policy.backoff_max =
            SimDuration::from_ns(base.ns().saturating_mul(defaults::RETRY_BACKOFF_FACTOR));
    }
}

fn built_in(push: &PushContext<'_>) -> RetryPolicy {
    let (on, text, _) = parse_retry_on(defaults::RETRY_ON);
    RetryPolicy {
        retries: defaults::RETRIES,
        on,
        on_text: text.into(),
        // Up to 1.23 a 503 of the application was retried as well, whatever the method.
        status_codes: if push.at_least(24) { vec![] } else { vec![503] },
        retriable_headers: Vec::new(),
        retriable_request_headers: Vec::new(),
        per_try_timeout: None,
        per_try_idle_timeout: None,
        backoff_base: defaults::RETRY_BACKOFF_BASE,
        backoff_max: SimDuration::from_ns(
            defaults::RETRY_BACKOFF_BASE.ns() * defaults::RETRY_BACKOFF_FACTOR,
        ),
        rate_limited_backoff: None,
        skip_previous_hosts: true,
        skip_previous_priorities: None,
        host_reselects: defaults::RETRY_HOST_RESELECTS,
        origin: Origin::BUILT_IN,
    }
}

/// The inbound route's policy, from 1.24 on; gRPC ports left out from 1.26 on.
pub(super) fn of_inbound(push: &PushContext<'_>, grpc: bool) -> Option<RetryPolicy> {
    if !push.at_least(24) || (grpc && push.at_least(26)) {
        return None;
    }
    let (on, text, _) = parse_retry_on(defaults::INBOUND_RETRY_ON);
    let mut policy = RetryPolicy {
        retries: defaults::INBOUND_RETRIES,
        on,
        on_text: text.into(),
        status_codes: Vec::new(),
        skip_previous_hosts: false,
        host_reselects: 0,
        ..built_in(push)
    };
    // Of the mesh's own policy (1.32+) only attempts, conditions and back-off count.
    if let Some(retries) = &push.config.mesh.default_inbound_retries {
        if retries.attempts <= 0 {
            return None;
        }
        policy.retries = u32::try_from(retries.attempts).unwrap_or(u32::MAX);
        policy.origin = retries.origin;
        set_conditions(&mut policy, retries);
        set_backoff(&mut policy, retries);
    }
    Some(policy)
}

/// Words and codes of `retryOn`; numbers become retriable codes and bring their own word.
fn parse_retry_on(text: &str) -> (RetryOn, String, Vec<u16>) {
    let mut words: Vec<&str> = Vec::new();
    let mut codes = Vec::new();
    for item in text.split(',').filter(|i| !i.is_empty()) {
        match item.parse::<u16>() {
            Ok(code) if is_known_status(code) => codes.push(code),
            _ => words.push(item),
        }
    }
    if !codes.is_empty() && !words.contains(&"retriable-status-codes") {
        words.push("retriable-status-codes");
    }
    (conditions(words.iter().copied()), words.join(","), codes)
}

/// The conditions of these words; unknown ones are ignored.
pub(super) fn conditions<'w>(words: impl Iterator<Item = &'w str>) -> RetryOn {
    let known = words.filter_map(|w| RetryOn::word(w.trim()));
    known.fold(RetryOn::NONE, RetryOn::with)
}

/// Codes Go's `http.StatusText` knows.
const fn is_known_status(code: u16) -> bool {
    matches!(code, 100..=103 | 200..=208 | 226 | 300..=305 | 307 | 308 | 400..=418 | 421..=426 | 428 | 429
        | 431 | 451 | 500..=508 | 510 | 511)
}

#[cfg(test)]
mod tests {
    use super::super::tests::config_at;
    use super::*;
    use crate::config::MeshConfig;

    fn check(minor: u16, retries: Option<&Retries>, want: Option<(u32, &str, &[u16])>) {
        let config = config_at(minor);
        let push = PushContext::new(&config);
        let got = of_route(&push, retries, false);
        let got = got
            .as_ref()
            .map(|p| (p.retries, &*p.on_text, &*p.status_codes));
        assert_eq!(got, want);
    }

    fn retries(attempts: i64, on: &str) -> Retries {
        Retries {
            attempts,
            retry_on: on.into(),
            ..Retries::default()
        }
    }

    #[test]
    fn the_default_stopped_retrying_503_in_1_24() {
        check(23, None, Some((2, defaults::RETRY_ON, &[503])));
        check(24, None, Some((2, defaults::RETRY_ON, &[])));
    }

    #[test]
    fn an_empty_block_disables_retries() {
        check(30, Some(&retries(0, "")), None);
        check(30, Some(&retries(-1, "")), None);
    }

    #[test]
    fn attempts_alone_keep_the_default_words() {
        check(
            23,
            Some(&retries(5, "")),
            Some((5, defaults::RETRY_ON, &[503])),
        );
    }

    #[test]
    fn codes_bring_their_word_and_replace_the_default() {
        check(
            23,
            Some(&retries(3, "503,reset")),
            Some((3, "reset,retriable-status-codes", &[503])),
        );
        check(23, Some(&retries(3, "5xx")), Some((3, "5xx", &[])));
    }

    #[test]
    fn inbound_retries_came_with_1_24_and_left_grpc_in_1_26() {
        let check = |minor: u16, grpc: bool, want: bool| {
            let config = config_at(minor);
            let policy = of_inbound(&PushContext::new(&config), grpc);
            assert_eq!(policy.is_some(), want, "1.{minor} grpc {grpc}");
        };
        let mut config = config_at(32);
        let of = |config: &MeshConfig| {
            let policy = of_inbound(&PushContext::new(config), false);
            policy.map(|p| (p.retries, p.on_text.to_string()))
        };
        config.mesh.default_inbound_retries = Some(retries(5, "reset"));
        assert_eq!(of(&config), Some((5, "reset".to_owned())));
        config.mesh.default_inbound_retries = Some(retries(0, ""));
        assert_eq!(of(&config), None);
        check(23, false, false);
        check(24, false, true);
        check(25, true, true);
        check(26, true, false);
    }
}
