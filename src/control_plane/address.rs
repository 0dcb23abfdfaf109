//! Addresses that manifests do not write, derived from names.
//!
//! A counter would move every address when one workload is added, and with it every hash ring.

use std::collections::HashSet;

use crate::units::hash::xxhash64_seeded;
use crate::xds::Name;

/// Hands out addresses that nobody else has.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    // Looked up, never iterated.
    taken: HashSet<Name>,
}

impl Addresses {
    /// Marks a written address as used.
    pub(super) fn reserve(&mut self, address: &Name) {
        self.taken.insert(address.clone());
    }

    /// A pod's address in 10.128.0.0/9.
    pub(super) fn pod(&mut self, namespace: &str, name: &str) -> Name {
        self.derive(&format!("pod/{namespace}/{name}"), 0x0a80_0000, 23)
    }

    /// A Service's address in 10.64.0.0/10.
    pub(super) fn service(&mut self, namespace: &str, name: &str) -> Name {
        self.derive(&format!("service/{namespace}/{name}"), 0x0a40_0000, 22)
    }

    /// The first free address of a sequence of hashes of `key`; callers ask in name order.
    fn derive(&mut self, key: &str, network: u32, host_bits: u32) -> Name {
        for salt in 0.. {
            let hash = xxhash64_seeded(key.as_bytes(), salt) as u32 & ((1 << host_bits) - 1);
            // .0 and .255 look like network and broadcast addresses to readers.
            if matches!(hash & 0xff, 0 | 0xff) {
                continue;
            }
            let [a, b, c, d] = (network | hash).to_be_bytes();
            let address: Name = format!("{a}.{b}.{c}.{d}").into();
            if self.taken.insert(address.clone()) {
                return address;
            }
        }
        unreachable!("four million addresses are never all taken")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_depends_on_its_name_alone() {
        let mut a = Addresses::default();
        let mut b = Addresses::default();
        b.pod("shop", "other-0");
        assert_eq!(a.pod("shop", "web-0"), b.pod("shop", "web-0"));
    }

    #[test]
    fn nobody_gets_a_taken_address() {
        let mut a = Addresses::default();
        let first = a.pod("shop", "web-0");
        assert_ne!(first, a.pod("shop", "web-0"));
    }
}
