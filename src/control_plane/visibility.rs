//! Who may see an object: `exportTo` (`pkg/config/visibility`, `pilot/pkg/model/push_context.go`).

use std::collections::BTreeSet;

use crate::xds::Name;

/// Namespaces an object is exported to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Visibility {
    /// Everybody (`*`).
    Public,
    /// These namespaces; none for `~`.
    Namespaces(BTreeSet<Name>),
}

impl Visibility {
    /// Reads `exportTo` of an object in `namespace`; an empty list means the mesh default.
    pub(super) fn of(export_to: &[Name], mesh_default: &[Name], namespace: &Name) -> Self {
        let words = if export_to.is_empty() {
            mesh_default
        } else {
            export_to
        };
        if words.is_empty() || words.iter().any(|w| &**w == "*") {
            return Self::Public;
        }
        if words.iter().any(|w| &**w == "~") {
            return Self::Namespaces(BTreeSet::new());
        }
        let own = |w: &Name| {
            if &**w == "." {
                namespace.clone()
            } else {
                w.clone()
            }
        };
        Self::Namespaces(words.iter().map(own).collect())
    }

    /// True when proxies in `namespace` see the object.
    pub(super) fn includes(&self, namespace: &str) -> bool {
        match self {
            Self::Public => true,
            Self::Namespaces(names) => names.contains(namespace),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_beats_the_rest_and_a_tilde_hides() {
        let names = |words: &[&str]| words.iter().map(|w| Name::from(*w)).collect::<Vec<_>>();
        let check = |words: &[&str], default: &[&str], own: bool, other: bool| {
            let v = Visibility::of(&names(words), &names(default), &"own".into());
            assert_eq!(
                (v.includes("own"), v.includes("other")),
                (own, other),
                "{words:?}"
            );
        };
        check(&[], &[], true, true);
        check(&[], &["."], true, false);
        check(&["."], &["*"], true, false);
        check(&["other"], &[], false, true);
        check(&["~"], &[], false, false);
        check(&[".", "*"], &[], true, true);
    }
}
