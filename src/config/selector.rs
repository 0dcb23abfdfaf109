//! Label selectors: every pair must be among the labels; no pair selects everything.

use std::collections::BTreeMap;

use crate::xds::Name;

/// True when every pair of `selector` is in `labels`.
pub fn selects(selector: &BTreeMap<Name, Name>, labels: &BTreeMap<Name, Name>) -> bool {
    selector.iter().all(|(k, v)| labels.get(k) == Some(v))
}

/// True for an absent or empty selector, which speaks of every workload.
pub fn is_everything(selector: Option<&BTreeMap<Name, Name>>) -> bool {
    selector.is_none_or(BTreeMap::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_pairs_are_needed_and_none_selects_all() {
        let labels = |pairs: &[(&str, &str)]| -> BTreeMap<Name, Name> {
            pairs
                .iter()
                .map(|(k, v)| ((*k).into(), (*v).into()))
                .collect()
        };
        let pod = labels(&[("app", "a"), ("version", "v1")]);
        assert!(selects(&labels(&[("app", "a")]), &pod));
        assert!(!selects(&labels(&[("app", "a"), ("version", "v2")]), &pod));
        assert!(selects(&labels(&[]), &pod));
        assert!(is_everything(Some(&labels(&[]))) && is_everything(None));
    }
}
