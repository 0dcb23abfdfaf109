//! Virtual hosts by domain, as Envoy finds them: exact, longest suffix wildcard, longest
//! prefix wildcard, `*` (`source/common/router/config_impl.cc`, findVirtualHost).

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::trail::{DomainMatch, Reason};
use crate::units::hash::mix;
use crate::xds::VirtualHost;

/// Domains and the virtual hosts that have them; looked up, never walked.
type Domains = HashMap<Box<str>, usize, BuildHasherDefault<DomainHasher>>;

/// A hasher of our own: the standard one is seeded per process and slower on short names.
#[derive(Clone, Copy, Debug, Default)]
struct DomainHasher(u64);

impl Hasher for DomainHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = mix(self.0, u64::from_le_bytes(word) ^ chunk.len() as u64);
        }
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

/// The domains of one route configuration.
#[derive(Clone, Debug, Default)]
pub(super) struct DomainIndex {
    exact: Domains,
    /// By length, longest first; keys without the `*`.
    suffixes: Vec<(usize, Domains)>,
    prefixes: Vec<(usize, Domains)>,
    any: Option<usize>,
}

impl DomainIndex {
    /// The first virtual host that has a domain keeps it; Envoy refuses duplicates.
    pub(super) fn add(&mut self, domain: &str, vhost: usize) {
        let domain = domain.to_ascii_lowercase();
        if domain == "*" {
            self.any.get_or_insert(vhost);
        } else if let Some(suffix) = domain.strip_prefix('*') {
            wildcard(&mut self.suffixes, suffix, vhost);
        } else if let Some(prefix) = domain.strip_suffix('*') {
            wildcard(&mut self.prefixes, prefix, vhost);
        } else {
            self.exact.entry(domain.into()).or_insert(vhost);
        }
    }

    /// The virtual host for `:authority`; its port does not count
    /// (`ignore_port_in_host_matching`).
    pub(super) fn find(&self, authority: &str) -> Option<(usize, DomainMatch)> {
        let host = lower(strip_port(authority));
        if let Some(vhost) = self.exact.get(&*host) {
            return Some((*vhost, DomainMatch::Exact));
        }
        // A wildcard needs at least one more character than it has itself.
        for (len, map) in &self.suffixes {
            if *len < host.len()
                && let Some(tail) = host.get(host.len() - len..)
                && let Some(vhost) = map.get(tail)
            {
                return Some((*vhost, DomainMatch::Suffix));
            }
        }
        for (len, map) in &self.prefixes {
            if *len < host.len()
                && let Some(head) = host.get(..*len)
                && let Some(vhost) = map.get(head)
            {
                return Some((*vhost, DomainMatch::Prefix));
            }
        }
        self.any.map(|vhost| (vhost, DomainMatch::Any))
    }
}

fn wildcard(maps: &mut Vec<(usize, Domains)>, text: &str, vhost: usize) {
    let at = maps.iter().position(|(len, _)| *len == text.len());
    let at = at.unwrap_or_else(|| {
        // Longest first.
        let at = maps.partition_point(|(len, _)| *len > text.len());
        maps.insert(at, (text.len(), Domains::default()));
        at
    });
    maps[at].1.entry(text.into()).or_insert(vhost);
}

/// `host` of `host:port`; IPv6 in brackets keeps its colons.
pub(super) fn strip_port(authority: &str) -> &str {
    match authority.rfind(':') {
        Some(colon) if authority.rfind(']').is_none_or(|bracket| bracket < colon) => {
            &authority[..colon]
        }
        _ => authority,
    }
}

fn lower(host: &str) -> Cow<'_, str> {
    // Without an early exit, so that it runs over many bytes at once.
    let upper = host
        .bytes()
        .fold(false, |found, b| found | b.is_ascii_uppercase());
    if upper {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

/// Says which domain it was; only asked for when reasons are wanted.
pub(super) fn matched_reason(
    host: &VirtualHost,
    vhost: usize,
    how: DomainMatch,
    authority: &str,
) -> Reason {
    let name = lower(strip_port(authority));
    let fits = |domain: &str| match how {
        DomainMatch::Exact => domain.eq_ignore_ascii_case(&name),
        DomainMatch::Suffix => domain
            .strip_prefix('*')
            .is_some_and(|suffix| name.ends_with(&suffix.to_ascii_lowercase())),
        DomainMatch::Prefix => domain
            .strip_suffix('*')
            .is_some_and(|prefix| name.starts_with(&prefix.to_ascii_lowercase())),
        DomainMatch::Any => domain == "*",
    };
    let longest = host.domains.iter().filter(|d| fits(d));
    let domain = longest.max_by_key(|d| d.len()).cloned();
    Reason::VirtualHostMatched {
        vhost,
        domain: domain.unwrap_or_else(|| host.name.clone()),
        how,
    }
}
