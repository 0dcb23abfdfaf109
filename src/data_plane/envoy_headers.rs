//! `x-envoy-*` request headers: obeyed when the request is internal, removed in any case
//! (`conn_manager_utility.cc`, `mutateRequestHeaders`; `retry_state_impl.cc`; `router.cc`).
//!
//! A request is internal when its one trusted address lies in a range that the connection
//! manager names. Without ranges nobody is internal: since Envoy 1.33 no range is built in.

use crate::http::Headers;
use crate::units::SimDuration;
use crate::xds::Name;
use crate::xds::listener::HttpConnectionManager;
use crate::xds::route::{RetryOn, RetryPolicy};

const RETRY_ON: &str = "x-envoy-retry-on";
const RETRY_GRPC_ON: &str = "x-envoy-retry-grpc-on";
const MAX_RETRIES: &str = "x-envoy-max-retries";
const STATUS_CODES: &str = "x-envoy-retriable-status-codes";
const HEADER_NAMES: &str = "x-envoy-retriable-header-names";
const TIMEOUT: &str = "x-envoy-upstream-rq-timeout-ms";
const PER_TRY_TIMEOUT: &str = "x-envoy-upstream-rq-per-try-timeout-ms";
const EXPECTED_TIMEOUT: &str = "x-envoy-expected-rq-timeout-ms";
const ALT_RESPONSE: &str = "x-envoy-upstream-rq-timeout-alt-response";
const HEDGE: &str = "x-envoy-hedge-on-per-try-timeout";

/// Headers that never reach the upstream as the client wrote them.
const REMOVED: &[&str] = &[
    RETRY_ON,
    RETRY_GRPC_ON,
    MAX_RETRIES,
    STATUS_CODES,
    HEADER_NAMES,
    TIMEOUT,
    PER_TRY_TIMEOUT,
    EXPECTED_TIMEOUT,
    ALT_RESPONSE,
    HEDGE,
];

/// Does a connection manager take a request for internal? A sidecar trusts the only address of
/// `x-forwarded-for`, a gateway (`use_remote_address`) its peer's.
pub fn is_internal(hcm: &HttpConnectionManager, headers: &Headers, peer: Option<&str>) -> bool {
    if hcm.internal_addresses.is_empty() {
        return false;
    }
    let address = peer.or_else(|| headers.get("x-forwarded-for").map(str::trim));
    let one = address.filter(|text| !text.contains(','));
    one.is_some_and(|address| {
        let mut blocks = hcm.internal_addresses.iter();
        blocks.any(|block| in_block(block, address))
    })
}

/// IPv4 address in a CIDR block (or equal text).
pub fn in_block(block: &str, address: &str) -> bool {
    let Some((network, bits)) = block.split_once('/') else {
        return block == address;
    };
    let parse = |text: &str| text.parse::<std::net::Ipv4Addr>().ok().map(u32::from);
    match (parse(network), parse(address), bits.parse::<u32>()) {
        (Some(network), Some(address), Ok(bits)) if bits <= 32 => {
            let mask = if bits == 0 {
                0
            } else {
                u32::MAX << (32 - bits)
            };
            network & mask == address & mask
        }
        _ => false,
    }
}

/// The request without them.
pub fn remove(headers: &mut Headers) {
    for name in REMOVED {
        headers.remove(name);
    }
}

/// True when any of them is there.
pub fn are_there(headers: &Headers) -> bool {
    REMOVED.iter().any(|name| headers.get(name).is_some())
}

/// What an internal request asks of its route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// In place of the route timeout; zero is off.
    pub timeout: Option<SimDuration>,
    /// In place of the per-try timeout.
    pub per_try_timeout: Option<SimDuration>,
    /// In place of the route's `hedge_on_per_try_timeout`.
    pub hedge: Option<bool>,
    /// Timeouts answer 204 instead of 504.
    pub alt_response: bool,
}

impl Asked {
    /// Reads the timeouts.
    pub fn of(hcm: &HttpConnectionManager, headers: &Headers) -> Self {
        let ms = |name: &str| {
            let ms: u64 = headers.get(name)?.parse().ok()?;
            Some(SimDuration::from_ms(ms))
        };
        let expected = ms(EXPECTED_TIMEOUT).filter(|_| hcm.respect_expected_rq_timeout);
        Self {
            timeout: expected.or_else(|| ms(TIMEOUT)),
            per_try_timeout: ms(PER_TRY_TIMEOUT),
            hedge: headers.get(HEDGE).and_then(|text| match text {
                "true" => Some(true),
                "false" => Some(false),
                _ => None,
            }),
            alt_response: headers.get(ALT_RESPONSE).is_some(),
        }
    }
}

/// The route's policy with what the headers add: words, codes and header names come on top, the
/// number of retries is replaced.
pub fn retry_policy(policy: Option<&RetryPolicy>, headers: &Headers) -> Option<RetryPolicy> {
    let words = [RETRY_ON, RETRY_GRPC_ON].map(|name| headers.get(name).unwrap_or(""));
    let asked = (words.iter())
        .flat_map(|text| text.split(','))
        .filter_map(|word| RetryOn::word(word.trim()))
        .fold(RetryOn::NONE, RetryOn::with);
    let mut policy = match policy {
        Some(policy) => policy.clone(),
        None if asked == RetryOn::NONE => return None,
        None => RetryPolicy::of_headers(),
    };
    if asked != RetryOn::NONE {
        policy.on = policy.on.with(asked);
        let parts = [&*policy.on_text, words[0], words[1]];
        let written: Vec<&str> = parts.into_iter().filter(|text| !text.is_empty()).collect();
        policy.on_text = written.join(",").into();
    }
    if let Some(retries) = headers.get(MAX_RETRIES).and_then(|text| text.parse().ok()) {
        policy.retries = retries;
    }
    let list = |name: &str| headers.get(name).unwrap_or("").split(',').map(str::trim);
    policy
        .status_codes
        .extend(list(STATUS_CODES).filter_map(|code| code.parse::<u16>().ok()));
    let present = list(HEADER_NAMES).filter(|name| !name.is_empty());
    let present = present.map(|name| crate::xds::route::HeaderMatch {
        name: Name::from(name.to_ascii_lowercase()),
        value: crate::xds::route::TextMatch::Present,
        invert: false,
        missing_as_empty: false,
    });
    policy.retriable_headers.extend(present);
    Some(policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hcm(ranges: &[&str]) -> HttpConnectionManager {
        HttpConnectionManager {
            internal_addresses: ranges.iter().map(|r| Name::from(*r)).collect(),
            ..HttpConnectionManager::of_istiod()
        }
    }

    fn headers(lines: &[(&str, &str)]) -> Headers {
        lines.iter().copied().collect()
    }

    #[test]
    fn only_one_trusted_address_makes_a_request_internal() {
        let check = |ranges: &[&str], forwarded: Option<&str>, peer: Option<&str>, internal| {
            let lines: Vec<_> = forwarded
                .map(|f| ("x-forwarded-for", f))
                .into_iter()
                .collect();
            let got = is_internal(&hcm(ranges), &headers(&lines), peer);
            assert_eq!(got, internal, "{ranges:?} {forwarded:?} {peer:?}");
        };
        check(&[], Some("10.1.1.1"), None, false);
        check(&["10.0.0.0/8"], None, None, false);
        check(&["10.0.0.0/8"], Some("10.1.1.1"), None, true);
        check(&["10.0.0.0/8"], Some("10.1.1.1, 10.1.1.2"), None, false);
        check(&["10.0.0.0/8"], Some("8.8.8.8"), None, false);
        check(&["10.0.0.0/8"], None, Some("10.9.9.9"), true);
    }

    #[test]
    fn words_and_codes_add_up_and_the_number_replaces() {
        let asked = headers(&[
            ("x-envoy-retry-on", "reset, 5xx"),
            ("x-envoy-retry-grpc-on", "cancelled"),
            ("x-envoy-max-retries", "7"),
            ("x-envoy-retriable-status-codes", "429"),
            ("x-envoy-retriable-header-names", "X-Again"),
        ]);
        let policy = retry_policy(None, &asked).unwrap();
        let all = [RetryOn::RESET, RetryOn::SERVER_ERROR, RetryOn::CANCELLED];
        assert!(all.iter().all(|word| policy.on.any_of(*word)));
        assert_eq!((policy.retries, &*policy.status_codes), (7, &[429][..]));
        assert_eq!(&*policy.retriable_headers[0].name, "x-again");
        let number = headers(&[("x-envoy-max-retries", "7")]);
        assert_eq!(retry_policy(None, &number), None);
        assert_eq!(retry_policy(Some(&policy), &Headers::new()), Some(policy));
    }

    #[test]
    fn the_expected_timeout_is_obeyed_only_where_it_is_respected() {
        let asked = headers(&[
            ("x-envoy-expected-rq-timeout-ms", "70"),
            ("x-envoy-upstream-rq-timeout-ms", "300"),
            ("x-envoy-hedge-on-per-try-timeout", "true"),
        ]);
        let mut respecting = hcm(&[]);
        let of = |hcm: &HttpConnectionManager| Asked::of(hcm, &asked).timeout;
        assert_eq!(of(&respecting), Some(SimDuration::from_ms(300)));
        respecting.respect_expected_rq_timeout = true;
        assert_eq!(of(&respecting), Some(SimDuration::from_ms(70)));
        assert_eq!(Asked::of(&respecting, &asked).hedge, Some(true));
    }
}
