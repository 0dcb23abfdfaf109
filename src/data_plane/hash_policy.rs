//! The hash of a request, for ring and Maglev clusters.
//!
//! Policies are combined in order: `h = rotl(h, 1) ^ x`
//! (`source/common/http/hash_policy.cc`). They see the request as it goes upstream: header
//! operations and rewrites come first. Without any hash the balancer takes a random one.

use super::path::{Target, query_value};
use super::router::RequestView;
use crate::units::hash::{xxhash64, xxhash64_seeded};
use crate::xds::route::HashPolicy;

/// The downstream connection a request came on.
#[derive(Clone, Copy, Debug)]
pub struct Downstream<'a> {
    /// Peer's IP address.
    pub remote_ip: &'a str,
    /// Peer's `ip:port`.
    pub remote_address: &'a str,
    /// Own `ip:port`.
    pub local_address: &'a str,
}

impl Downstream<'_> {
    /// The value of a cookie generated for this connection: the same for all its requests.
    pub fn generated_cookie(&self) -> String {
        let text = format!("{}{}", self.remote_address, self.local_address);
        format!("{:016x}", xxhash64(text.as_bytes()))
    }
}

/// The request's hash; `None` when no policy finds anything to hash.
pub fn request_hash(
    policies: &[HashPolicy],
    request: &RequestView<'_>,
    downstream: &Downstream<'_>,
) -> Option<u64> {
    let mut hash: Option<u64> = None;
    for policy in policies {
        if let Some(value) = one(policy, request, downstream) {
            hash = Some(hash.map_or(0, |h| h.rotate_left(1)) ^ value);
        }
    }
    hash
}

fn one(policy: &HashPolicy, request: &RequestView<'_>, downstream: &Downstream<'_>) -> Option<u64> {
    match policy {
        HashPolicy::Header(name) => header_hash(request, name),
        HashPolicy::Cookie { name, ttl, .. } => match cookie(request, name) {
            Some(value) => Some(xxhash64(value.as_bytes())),
            None => ttl.map(|_| xxhash64(downstream.generated_cookie().as_bytes())),
        },
        HashPolicy::SourceIp => Some(xxhash64(downstream.remote_ip.as_bytes())),
        HashPolicy::Query(name) => {
            let value = query_value(Target::of(request.path).query, name)?;
            Some(xxhash64(value.as_bytes()))
        }
    }
}

/// Several values are sorted and chained, each hash being the next one's seed.
fn header_hash(request: &RequestView<'_>, name: &str) -> Option<u64> {
    if let Some(value) = request.pseudo(name) {
        return Some(xxhash64(value.as_bytes()));
    }
    let mut values = request.headers.all(name);
    let first = values.next()?;
    let Some(second) = values.next() else {
        return Some(xxhash64(first.as_bytes()));
    };
    let mut sorted: Vec<&str> = [first, second].into_iter().chain(values).collect();
    sorted.sort_unstable();
    let chain = |seed, value: &str| xxhash64_seeded(value.as_bytes(), seed);
    Some(sorted.into_iter().fold(0, chain))
}

fn cookie<'a>(request: &RequestView<'a>, name: &str) -> Option<&'a str> {
    let lines = request.headers.iter().filter(|(n, _)| *n == "cookie");
    lines
        .flat_map(|(_, line)| line.split(';'))
        .find_map(|pair| {
            let (key, value) = pair.trim().split_once('=')?;
            let bare = value
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"'));
            (key == name).then_some(bare.unwrap_or(value))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Headers;
    use crate::units::SimDuration;

    const DOWNSTREAM: Downstream<'static> = Downstream {
        remote_ip: "10.0.0.9",
        remote_address: "10.0.0.9:4711",
        local_address: "10.0.0.1:80",
    };

    fn check(policies: &[HashPolicy], lines: &[(&str, &str)], expected: Option<u64>) {
        let headers: Headers = lines.iter().copied().collect();
        let request = RequestView {
            method: "GET",
            scheme: "http",
            authority: "a",
            path: "/x?k=one&k=two",
            headers: &headers,
        };
        assert_eq!(request_hash(policies, &request, &DOWNSTREAM), expected);
    }

    fn cookie_policy(ttl: Option<u64>) -> HashPolicy {
        HashPolicy::Cookie {
            name: "user".into(),
            path: "/".into(),
            ttl: ttl.map(SimDuration::from_secs),
        }
    }

    #[test]
    fn a_header_is_hashed_and_several_values_are_sorted_and_chained() {
        let policy = [HashPolicy::Header("x-user".into())];
        check(&policy, &[("x-user", "foo")], Some(xxhash64(b"foo")));
        check(&policy, &[], None);
        let chained = xxhash64_seeded(b"b", xxhash64(b"a"));
        check(&policy, &[("x-user", "b"), ("X-User", "a")], Some(chained));
    }

    #[test]
    fn hashes_are_rotated_before_the_next_is_added() {
        let both = [HashPolicy::Header("a".into()), HashPolicy::SourceIp];
        let expected = xxhash64(b"1").rotate_left(1) ^ xxhash64(b"10.0.0.9");
        check(&both, &[("a", "1")], Some(expected));
        check(&both, &[], Some(xxhash64(b"10.0.0.9")));
    }

    #[test]
    fn a_cookie_is_generated_only_with_a_ttl() {
        let line = [("cookie", "x=1; user=\"me\"")];
        check(&[cookie_policy(None)], &line, Some(xxhash64(b"me")));
        check(&[cookie_policy(None)], &[], None);
        let generated = DOWNSTREAM.generated_cookie();
        let expected = Some(xxhash64(generated.as_bytes()));
        check(&[cookie_policy(Some(0))], &[], expected);
        assert_eq!(generated.len(), 16);
    }

    #[test]
    fn the_first_value_of_a_query_parameter_is_hashed() {
        check(
            &[HashPolicy::Query("k".into())],
            &[],
            Some(xxhash64(b"one")),
        );
        check(&[HashPolicy::Query("z".into())], &[], None);
    }
}
