//! What Istio's admission accepts as a name, a label, a header or a pattern
//! (`pkg/config/validation`, `agent/validation.go`, `pkg/config/labels`).
//!
//! Each function returns what is wrong, in words, or nothing.

use std::collections::BTreeMap;

use crate::units::SimDuration;
use crate::xds::Name;

/// Longest DNS name and longest label of one.
const DOMAIN_LEN_MAX: usize = 255;
const LABEL_LEN_MAX: usize = 63;
/// Longest regular expression Istio lets through.
const REGEX_LEN_MAX: usize = 1024;

/// A DNS-1123 label; Istio allows upper case.
pub(super) fn is_dns_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    !bytes.is_empty()
        && bytes.len() <= LABEL_LEN_MAX
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || *b == b'-')
        && bytes[0] != b'-'
        && bytes[bytes.len() - 1] != b'-'
}

/// A fully qualified name without wildcard (`ValidateFQDN`).
pub(super) fn fqdn_error(host: &str) -> Option<String> {
    domain_error(host, host)
}

/// A name whose first label may be a wildcard (`ValidateWildcardDomain`).
pub(super) fn host_error(host: &str) -> Option<String> {
    if host == "*" {
        return None;
    }
    match host.strip_prefix('*') {
        // `*.foo`, `*-foo` and `*foo` are all wildcards.
        Some(rest) => domain_error(host, rest.trim_start_matches(['.', '-'])),
        None => domain_error(host, host),
    }
}

fn domain_error(host: &str, checked: &str) -> Option<String> {
    if host.is_empty() {
        return Some("the host is empty".to_owned());
    }
    if host.len() > DOMAIN_LEN_MAX {
        return Some(format!(
            "`{host}` is longer than {DOMAIN_LEN_MAX} characters"
        ));
    }
    let labels: Vec<&str> = checked
        .strip_suffix('.')
        .unwrap_or(checked)
        .split('.')
        .collect();
    if let Some(bad) = labels.iter().find(|label| !is_dns_label(label)) {
        return Some(format!(
            "`{host}` is not a DNS name: `{bad}` is not a label"
        ));
    }
    let last = labels.last().copied().unwrap_or_default();
    if last.bytes().all(|b| b.is_ascii_digit()) {
        return Some(format!(
            "`{host}` is not a DNS name: its last label is a number"
        ));
    }
    None
}

/// Whether two hosts, either of which may be a wildcard, have names in common (`Name.Matches`).
pub(super) fn hosts_overlap(a: &str, b: &str) -> bool {
    match (a.strip_prefix('*'), b.strip_prefix('*')) {
        (Some(a), Some(b)) => a.ends_with(b) || b.ends_with(a),
        (Some(suffix), None) => b.ends_with(suffix),
        (None, Some(suffix)) => a.ends_with(suffix),
        (None, None) => a == b,
    }
}

/// Label keys and values as Kubernetes accepts them.
pub(super) fn labels_error(labels: &BTreeMap<Name, Name>) -> Option<String> {
    labels.iter().find_map(|(key, value)| {
        let (prefix, name) = match key.split_once('/') {
            Some((prefix, name)) => (Some(prefix), name),
            None => (None, &**key),
        };
        if !is_qualified(name) || prefix.is_some_and(|p| fqdn_error(p).is_some()) {
            return Some(format!("`{key}` is not a label key"));
        }
        let value_ok = value.is_empty() || is_qualified(value);
        (!value_ok).then(|| format!("`{value}` is not a value for the label `{key}`"))
    })
}

fn is_qualified(text: &str) -> bool {
    let bytes = text.as_bytes();
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    bytes.len() <= LABEL_LEN_MAX
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// A protocol word of a port; nothing at all is sniffed.
pub(super) fn protocol_error(protocol: &str) -> Option<String> {
    const PROTOCOLS: &[&str] = &[
        "http",
        "https",
        "http2",
        "grpc",
        "grpc-web",
        "grpc-web-text",
        "tcp",
        "tls",
        "mongo",
        "redis",
        "mysql",
        "udp",
        "http_proxy",
    ];
    let lower = protocol.to_ascii_lowercase();
    let known = protocol.is_empty() || PROTOCOLS.contains(&lower.as_str());
    (!known).then(|| format!("`{protocol}` is not a protocol Istio knows"))
}

/// An address, a path of a socket behind `unix://`, or, where allowed, a name.
pub(super) fn address_error(address: &str, name_allowed: bool) -> Option<String> {
    if let Some(path) = address.strip_prefix("unix://") {
        let absolute = path.starts_with('/') || path.starts_with('@');
        if !absolute || path.ends_with('/') {
            return Some(format!("`{address}` is not the absolute path of a socket"));
        }
        return None;
    }
    let is_address = address.parse::<std::net::IpAddr>().is_ok();
    if is_address || (name_allowed && fqdn_error(address).is_none()) {
        return None;
    }
    Some(if name_allowed {
        format!("`{address}` is neither an address nor a name")
    } else {
        format!("`{address}` is not an address")
    })
}

/// A regular expression as RE2 reads it.
pub(super) fn regex_error(pattern: &str) -> Option<String> {
    if pattern.is_empty() {
        return Some("the regular expression is empty".to_owned());
    }
    if pattern.len() > REGEX_LEN_MAX {
        return Some(format!(
            "the regular expression is longer than {REGEX_LEN_MAX} characters"
        ));
    }
    // The crate refuses what RE2 refuses (look-around, back references).
    let error = regex::Regex::new(pattern).err()?;
    let reason = error.to_string();
    let reason = reason.lines().last().unwrap_or_default();
    let reason = reason.trim_start_matches("error: ");
    Some(format!("`{pattern}` is not a regular expression: {reason}"))
}

/// An HTTP header name.
pub(super) fn header_name_error(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("a header name is empty".to_owned());
    }
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    (!name.bytes().all(token)).then(|| format!("`{name}` is not a header name"))
}

/// A header value; `%` opens a formatter and must be closed or doubled.
pub(super) fn header_value_error(value: &str) -> Option<String> {
    let unbalanced = value.matches('%').count() % 2 == 1;
    unbalanced.then(|| format!("`{value}` has an unbalanced `%`"))
}

/// Durations of routes and policies: at least a millisecond, no fractions of one.
pub(super) fn duration_error(duration: SimDuration) -> Option<&'static str> {
    let ns = duration.ns();
    if ns < 1_000_000 {
        return Some("must be at least 1ms");
    }
    (!ns.is_multiple_of(1_000_000)).then_some("must be in whole milliseconds")
}

/// `exportTo` of VirtualServices and DestinationRules: `*`, `.` or namespaces.
pub(super) fn export_to_error(values: &[Name], own: &Name) -> Option<String> {
    // `.` is the own namespace by another name.
    let plain = |value: &Name| {
        if &**value == "." {
            own.clone()
        } else {
            value.clone()
        }
    };
    for (i, value) in values.iter().enumerate() {
        if values[..i]
            .iter()
            .any(|earlier| plain(earlier) == plain(value))
        {
            return Some(format!("`{value}` is given twice"));
        }
        if !matches!(&**value, "*" | ".") && !is_dns_label(value) {
            return Some(format!("`{value}` is neither `*`, `.` nor a namespace"));
        }
    }
    let all = values.iter().any(|value| &**value == "*");
    (all && values.len() > 1).then(|| "`*` cannot stand beside other values".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_may_be_names_wildcards_and_upper_case() {
        for good in [
            "reviews",
            "a.b.c",
            "*.foo.com",
            "*foo.com",
            "*-foo.com",
            "*",
            "A.B.",
            "1a.2b",
        ] {
            assert_eq!(host_error(good), None, "{good}");
        }
        for bad in ["", "a..b", "-a.b", "a_b.c", "a.*.b", "10.0.0.1", "a b"] {
            assert!(host_error(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn wildcards_overlap_by_suffix() {
        assert!(hosts_overlap("*.b", "a.b"));
        assert!(hosts_overlap("*.b", "*.a.b"));
        assert!(!hosts_overlap("*.foo.com", "foo.com"));
        assert!(!hosts_overlap("a.b", "a.c"));
    }

    #[test]
    fn patterns_are_checked_as_re2_would() {
        assert_eq!(regex_error("v[0-9]+"), None);
        assert!(regex_error("*").is_some());
        assert!(regex_error("(?=a)b").is_some());
        assert!(regex_error(&"a".repeat(1025)).is_some());
    }

    #[test]
    fn percent_signs_come_in_pairs() {
        assert_eq!(header_value_error("%DURATION%"), None);
        assert_eq!(header_value_error("100%%"), None);
        assert!(header_value_error("100%").is_some());
    }
}
