//! Host names: resolution, wildcards, specificity.
//!
//! Sources: `pilot/pkg/model/config.go` (short names, gateway names), `pkg/config/host/name.go`
//! and `names.go` (wildcards). A name is a wildcard when its first character is `*`; the `*` is
//! dropped and the rest compared as a suffix, so `*.foo.com` does not cover `foo.com`.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::net::IpAddr;

use crate::xds::Name;

/// The FQDN of a host as written in an object of `namespace`.
///
/// Only a name without any dot is expanded: `reviews.prod` stays as it is, which is
/// the classic way to name a cluster that does not exist.
pub fn resolve_short_name(host: &Name, namespace: &str, domain: &str) -> Name {
    if host.is_empty() || &**host == "*" || host.contains('.') || host.parse::<IpAddr>().is_ok() {
        host.clone()
    } else {
        format!("{host}.{namespace}.svc.{domain}").into()
    }
}

/// `mesh`, or `namespace/name` of a gateway as written in an object of `namespace`.
pub fn resolve_gateway_name(gateway: &Name, namespace: &str) -> Name {
    if &**gateway == "mesh" {
        return gateway.clone();
    }
    if let Some((ns, name)) = gateway.split_once('/') {
        return match ns {
            "." => format!("{namespace}/{name}").into(),
            _ => gateway.clone(),
        };
    }
    match gateway.split_once('.') {
        // The old form is a service FQDN: `gateway.namespace[.svc.cluster.local]`.
        Some((name, rest)) => {
            let ns = rest.split('.').next().unwrap_or(rest);
            format!("{ns}/{name}").into()
        }
        None => format!("{namespace}/{gateway}").into(),
    }
}

/// True for `*`, `*.foo.com` and `*foo.com`.
pub fn is_wildcard(host: &str) -> bool {
    host.starts_with('*')
}

/// True when some name is covered by both.
pub fn overlaps(a: &str, b: &str) -> bool {
    match (a.strip_prefix('*'), b.strip_prefix('*')) {
        (Some(a), Some(b)) => a.ends_with(b) || b.ends_with(a),
        (Some(a), None) => b.ends_with(a),
        (None, Some(b)) => a.ends_with(b),
        (None, None) => a == b,
    }
}

/// True when every name covered by `a` is covered by `b`.
pub fn subset_of(a: &str, b: &str) -> bool {
    match (a.strip_prefix('*'), b.strip_prefix('*')) {
        (Some(a), Some(b)) => a.ends_with(b),
        (Some(_), None) => false,
        (None, Some(b)) => a.ends_with(b),
        (None, None) => a == b,
    }
}

/// Most specific first: names before wildcards, then the longer, then by alphabet.
pub fn by_specificity(a: &str, b: &str) -> Ordering {
    (is_wildcard(a).cmp(&is_wildcard(b)))
        .then(b.len().cmp(&a.len()))
        .then(a.cmp(b))
}

/// Values by host, found by the most specific host that covers a name.
#[derive(Clone, Debug)]
pub struct HostMap<T> {
    // Looked up, never iterated.
    exact: HashMap<Name, T>,
    /// Most specific first.
    wildcards: Vec<(Name, T)>,
}

impl<T> Default for HostMap<T> {
    fn default() -> Self {
        Self {
            exact: HashMap::new(),
            wildcards: Vec::new(),
        }
    }
}

impl<T> HostMap<T> {
    /// The value of exactly this host (wildcards as text).
    pub fn get(&self, host: &str) -> Option<&T> {
        if is_wildcard(host) {
            self.wildcards
                .iter()
                .find(|(h, _)| **h == *host)
                .map(|(_, v)| v)
        } else {
            self.exact.get(host)
        }
    }

    /// The value of exactly this host, made when absent.
    pub fn entry(&mut self, host: &Name) -> &mut T
    where
        T: Default,
    {
        if !is_wildcard(host) {
            return self.exact.entry(host.clone()).or_default();
        }
        let at = match self
            .wildcards
            .binary_search_by(|(h, _)| by_specificity(h, host))
        {
            Ok(at) => at,
            Err(at) => {
                self.wildcards.insert(at, (host.clone(), T::default()));
                at
            }
        };
        &mut self.wildcards[at].1
    }

    /// The value of the most specific host that covers `needle`.
    pub fn most_specific(&self, needle: &str) -> Option<&T> {
        if let Some(value) = self.get(needle) {
            return Some(value);
        }
        self.wildcards
            .iter()
            .find(|(host, _)| subset_of(needle, host))
            .map(|(_, v)| v)
    }

    /// The same hosts with other values.
    pub fn map<U>(self, mut change: impl FnMut(T) -> U) -> HostMap<U> {
        // The order of a hash map only decides the order of calls, which nobody sees.
        let exact = self.exact.into_iter();
        HostMap {
            exact: exact.map(|(h, v)| (h, change(v))).collect(),
            wildcards: (self.wildcards.into_iter())
                .map(|(h, v)| (h, change(v)))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_resolve(host: &str, want: &str) {
        let got = resolve_short_name(&host.into(), "shop", "cluster.local");
        assert_eq!(&*got, want, "{host}");
    }

    #[test]
    fn only_names_without_a_dot_are_expanded() {
        check_resolve("reviews", "reviews.shop.svc.cluster.local");
        check_resolve("reviews.prod", "reviews.prod");
        check_resolve("*", "*");
        check_resolve("::1", "::1");
        check_resolve("", "");
    }

    #[test]
    fn gateway_names_have_three_spellings() {
        let check = |text: &str, want: &str| {
            assert_eq!(&*resolve_gateway_name(&text.into(), "shop"), want, "{text}");
        };
        check("mesh", "mesh");
        check("public", "shop/public");
        check("./public", "shop/public");
        check("edge/public", "edge/public");
        check("public.edge.svc.cluster.local", "edge/public");
        check("public.edge", "edge/public");
    }

    #[test]
    fn a_wildcard_is_a_suffix_without_its_star() {
        assert!(!subset_of("foo.com", "*.foo.com"));
        assert!(subset_of("xfoo.com", "*foo.com"));
        assert!(subset_of("*.a.foo.com", "*.foo.com"));
        assert!(!subset_of("*.foo.com", "*.a.foo.com"));
        assert!(overlaps("*.foo.com", "*.a.foo.com"));
        assert!(!overlaps("*.foo.com", "foo.com"));
    }

    #[test]
    fn the_most_specific_host_wins() {
        let mut map: HostMap<&str> = HostMap::default();
        for host in ["*", "*.com", "*.foo.com", "a.foo.com"] {
            *map.entry(&host.into()) = host;
        }
        let check = |needle: &str, want: &str| {
            assert_eq!(map.most_specific(needle), Some(&want), "{needle}");
        };
        check("a.foo.com", "a.foo.com");
        check("b.foo.com", "*.foo.com");
        check("foo.com", "*.com");
        check("x.org", "*");
        check("*.com", "*.com");
        check("*.b.foo.com", "*.foo.com");
    }
}
