//! How a client's place in the world orders a cluster's endpoints.
//!
//! A pure function of data in the waist: priorities depend on the client's locality, so
//! storing them would multiply the tables by the number of places.

use std::collections::BTreeMap;

use super::Name;
use super::endpoint::{
    Endpoint, LoadAssignment, Locality, LocalityGroup, LocalityKind, LocalityPolicy,
};

/// Orders a cluster's endpoints for a client (`istio-config.md` §3.7): priorities for
/// failover, weights for `distribute` (Istio `core/loadbalancer/loadbalancer.go`,
/// `xds/endpoints/endpoint_builder.go`).
pub fn localize(
    endpoints: &[Endpoint],
    policy: &LocalityPolicy,
    client: &Locality,
    client_labels: &BTreeMap<Name, Name>,
) -> LoadAssignment {
    let mut priorities = vec![0_u32; endpoints.len()];
    match &policy.kind {
        LocalityKind::Off => {}
        LocalityKind::Distribute(rules) => {
            return distribute(group(endpoints, &priorities), rules, client);
        }
        LocalityKind::Failover { regions, labels } => {
            by_labels(&mut priorities, endpoints, labels, client_labels);
            if labels.is_empty() || !regions.is_empty() {
                for (priority, endpoint) in priorities.iter_mut().zip(endpoints) {
                    *priority =
                        *priority * 5 + region_priority(regions, client, &endpoint.locality);
                }
            }
            compress(&mut priorities);
        }
        LocalityKind::ZoneAware { regions, labels } => {
            by_labels(&mut priorities, endpoints, labels, client_labels);
            for (priority, endpoint) in priorities.iter_mut().zip(endpoints) {
                *priority = *priority * 3 + region_tier(regions, client, &endpoint.locality);
            }
            compress(&mut priorities);
        }
    }
    LoadAssignment {
        groups: group(endpoints, &priorities),
    }
}

/// Priorities by `failoverPriority`; a client without labels cannot be compared by them.
fn by_labels(
    priorities: &mut [u32],
    endpoints: &[Endpoint],
    labels: &[Name],
    client_labels: &BTreeMap<Name, Name>,
) {
    if labels.is_empty() || client_labels.is_empty() {
        return;
    }
    for (priority, endpoint) in priorities.iter_mut().zip(endpoints) {
        *priority = label_priority(labels, client_labels, &endpoint.labels);
    }
    compress(priorities);
}

/// Groups by (priority, locality); a group weighs what its endpoints weigh.
fn group(endpoints: &[Endpoint], priorities: &[u32]) -> Vec<LocalityGroup> {
    let mut groups: BTreeMap<(u32, String), LocalityGroup> = BTreeMap::new();
    for (index, (endpoint, priority)) in endpoints.iter().zip(priorities).enumerate() {
        let key = (*priority, endpoint.locality.to_string());
        let group = groups.entry(key).or_insert_with(|| LocalityGroup {
            locality: endpoint.locality.clone(),
            priority: *priority,
            weight: Some(0),
            endpoints: Vec::new(),
        });
        group.endpoints.push(index as u32);
        group.weight = group.weight.map(|w| w.saturating_add(endpoint.weight));
    }
    groups.into_values().collect()
}

/// 0 for the same place, up to 4 for a region that `failover` does not name.
fn region_priority(regions: &[(Name, Name)], client: &Locality, endpoint: &Locality) -> u32 {
    if endpoint.region == client.region {
        return match (
            endpoint.zone == client.zone,
            endpoint.subzone == client.subzone,
        ) {
            (true, true) => 0,
            (true, false) => 1,
            (false, _) => 2,
        };
    }
    match regions.iter().find(|(from, _)| *from == client.region) {
        Some((_, to)) if endpoint.region != *to => 4,
        _ => 3,
    }
}

/// 0 for the client's region, 1 for the one that `failover` names for it, 2 for all others.
fn region_tier(regions: &[(Name, Name)], client: &Locality, endpoint: &Locality) -> u32 {
    if endpoint.region == client.region {
        return 0;
    }
    let named = regions.iter().find(|(from, _)| *from == client.region);
    if named.is_some_and(|(_, to)| endpoint.region == *to) {
        1
    } else {
        2
    }
}

/// Number of labels from the first mismatch on; a different network comes after all of them.
fn label_priority(
    labels: &[Name],
    client: &BTreeMap<Name, Name>,
    endpoint: &BTreeMap<Name, Name>,
) -> u32 {
    let all = labels.len() as u32;
    let value = |labels: &BTreeMap<Name, Name>, key: &str| {
        labels.get(key).map_or("", |value| &**value).to_owned()
    };
    let mut priority = 0;
    for (place, label) in labels.iter().enumerate() {
        let (key, wanted) = match label.split_once('=') {
            Some((key, wanted)) => (key, wanted.to_owned()),
            None => (&**label, value(client, label)),
        };
        if wanted == value(endpoint, key) {
            continue;
        }
        if place == 0 && key == "topology.istio.io/network" {
            priority = all;
            continue;
        }
        return priority + all - place as u32;
    }
    priority
}

/// Renumbers priorities from 0 without gaps.
fn compress(priorities: &mut [u32]) {
    let mut used = priorities.to_vec();
    used.sort_unstable();
    used.dedup();
    for priority in priorities {
        *priority = used.partition_point(|p| p < priority) as u32;
    }
}

/// Weights by the first rule for the client's place; localities that no entry names lose
/// their endpoints.
fn distribute(
    mut groups: Vec<LocalityGroup>,
    rules: &[(Name, Vec<(Name, u32)>)],
    client: &Locality,
) -> LoadAssignment {
    let Some((_, to)) = rules.iter().find(|(from, _)| client.is_in(from)) else {
        return LoadAssignment { groups };
    };
    let mut taken = vec![false; groups.len()];
    for (pattern, weight) in to {
        let fresh = (0..groups.len()).filter(|at| !taken[*at]);
        let matching: Vec<usize> = fresh
            .filter(|at| groups[*at].locality.is_in(pattern))
            .collect();
        let own = |group: &LocalityGroup| u64::from(group.weight.unwrap_or(0));
        let total: u64 = matching.iter().map(|at| own(&groups[*at])).sum();
        for at in matching {
            taken[at] = true;
            let share = (own(&groups[at]) * u64::from(*weight)).div_ceil(total.max(1));
            groups[at].weight = u32::try_from(share).ok();
        }
    }
    let mut keep = taken.iter();
    groups.retain(|_| keep.next() == Some(&true));
    LoadAssignment { groups }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::xds::Health;

    fn labels(text: &str) -> BTreeMap<Name, Name> {
        let pairs = text.split(' ').filter_map(|pair| pair.split_once('='));
        pairs.map(|(k, v)| (k.into(), v.into())).collect()
    }

    /// One endpoint per word: `region/zone/subzone` or, with `=`, its labels (comma-separated).
    fn endpoints(text: &str) -> Vec<Endpoint> {
        let one = |(index, word): (usize, &str)| Endpoint {
            address: format!("10.0.0.{index}").into(),
            port: 80,
            pod: None,
            weight: 1,
            health: Health::Healthy,
            locality: Locality::parse(if word.contains('=') { "" } else { word }),
            mtls: false,
            labels: Arc::new(labels(&word.replace(',', " "))),
        };
        text.split(' ').enumerate().map(one).collect()
    }

    /// Shows groups as `priority:locality:weight:endpoints`.
    fn check(kind: LocalityKind, client: &str, own: &str, members: &str, expected: &str) {
        let policy = LocalityPolicy {
            kind,
            ..LocalityPolicy::default()
        };
        let all = endpoints(members);
        let assignment = localize(&all, &policy, &Locality::parse(client), &labels(own));
        let shown: Vec<String> = (assignment.groups.iter())
            .map(|g| {
                let members: Vec<String> = g.endpoints.iter().map(u32::to_string).collect();
                let weight = g.weight.map_or("-".to_owned(), |w| w.to_string());
                format!(
                    "{}:{}:{weight}:{}",
                    g.priority,
                    g.locality,
                    members.join(",")
                )
            })
            .collect();
        assert_eq!(shown.join(" "), expected);
    }

    fn failover(regions: &[(&str, &str)], labels: &[&str]) -> LocalityKind {
        let pair = |(from, to): &(&str, &str)| (Name::from(*from), Name::from(*to));
        LocalityKind::Failover {
            regions: regions.iter().map(pair).collect(),
            labels: labels.iter().map(|l| Name::from(*l)).collect(),
        }
    }

    #[test]
    fn without_a_setting_all_groups_are_equal_and_sorted() {
        check(
            LocalityKind::Off,
            "b/z",
            "",
            "b/z a/y b/z",
            "0:a/y:1:1 0:b/z:2:0,2",
        );
    }

    #[test]
    fn nearer_localities_come_first_and_gaps_are_closed() {
        let all = "r/z/s r/z/t r/y/s q/z/s";
        let expected = "0:r/z/s:1:0 1:r/z/t:1:1 2:r/y/s:1:2 3:q/z/s:1:3";
        check(failover(&[], &[]), "r/z/s", "", all, expected);
        check(
            failover(&[], &[]),
            "r/z",
            "",
            "r/y q/z",
            "0:r/y:1:0 1:q/z:1:1",
        );
        check(
            failover(&[], &[]),
            "p",
            "",
            "r/y q/z",
            "0:q/z:1:1 0:r/y:1:0",
        );
    }

    #[test]
    fn failover_names_the_next_region() {
        let kind = || failover(&[("r", "q"), ("r", "p")], &[]);
        check(kind(), "r", "", "r q p", "0:r:1:0 1:q:1:1 2:p:1:2");
        check(kind(), "x", "", "r q p", "0:p:1:2 0:q:1:1 0:r:1:0");
    }

    #[test]
    fn failover_labels_rank_by_the_first_mismatch() {
        let kind = || failover(&[], &["a", "b"]);
        let all = "a=1,b=1 a=1,b=2 a=2,b=1";
        check(kind(), "", "a=1 b=1", all, "0::1:0 1::1:1 2::1:2");
        // A client without labels prefers nobody.
        check(kind(), "", "", all, "0::3:0,1,2");
        check(
            failover(&[], &["a=2"]),
            "",
            "a=1 b=1",
            all,
            "0::1:2 1::2:0,1",
        );
        let network = || failover(&[], &["topology.istio.io/network", "a"]);
        let all = "topology.istio.io/network=n,a=1 topology.istio.io/network=n,a=2 a=1 a=2";
        let own = "topology.istio.io/network=n a=1";
        check(network(), "", own, all, "0::1:0 1::1:1 2::1:2 3::1:3");
    }

    #[test]
    fn labels_come_before_regions() {
        let mut all = endpoints("r q r q");
        for (endpoint, text) in all.iter_mut().zip(["v=1", "v=1", "v=2", "v=2"]) {
            endpoint.labels = Arc::new(labels(text));
        }
        let policy = LocalityPolicy {
            kind: failover(&[("r", "q")], &["v"]),
            ..LocalityPolicy::default()
        };
        let client = Locality::parse("r");
        let assignment = localize(&all, &policy, &client, &labels("v=1"));
        let order = assignment
            .groups
            .iter()
            .map(|g| (g.priority, g.endpoints[0]));
        let order: Vec<_> = order.collect();
        assert_eq!(order, [(0, 0), (1, 1), (2, 2), (3, 3)]);
    }

    #[test]
    fn zone_awareness_parts_regions_alone() {
        let kind = |labels: &[&str]| LocalityKind::ZoneAware {
            regions: vec![("r".into(), "q".into())],
            labels: labels.iter().map(|l| Name::from(*l)).collect(),
        };
        let all = "r/z r/y p/z q/z";
        let expected = "0:r/y:1:1 0:r/z:1:0 1:q/z:1:3 2:p/z:1:2";
        check(kind(&[]), "r/z", "", all, expected);
        check(kind(&[]), "x/z", "", "r/z q/z", "0:q/z:1:1 0:r/z:1:0");
        check(kind(&["a"]), "r", "a=1", "a=2 a=1", "0::1:1 1::1:0");
    }

    fn distribute(rules: &[(&str, &[(&str, u32)])]) -> LocalityKind {
        let rule = |(from, to): &(&str, &[(&str, u32)])| {
            let to = to.iter().map(|(to, weight)| (Name::from(*to), *weight));
            (Name::from(*from), to.collect())
        };
        LocalityKind::Distribute(rules.iter().map(rule).collect())
    }

    #[test]
    fn distribute_shares_weights_by_group_and_rounds_up() {
        let kind = || {
            distribute(&[
                ("r/z/*", &[("r/z/*", 80), ("r/y/*", 20)]),
                ("*", &[("q", 1)]),
            ])
        };
        let all = "r/z/a r/z/a r/z/b r/y/a q/z/a";
        let expected = "0:r/y/a:20:3 0:r/z/a:54:0,1 0:r/z/b:27:2";
        check(kind(), "r/z/x", "", all, expected);
        check(kind(), "p", "", all, "0:q/z/a:1:4");
    }

    #[test]
    fn a_group_is_shared_out_once_and_no_rule_changes_nothing() {
        let kind = || distribute(&[("r", &[("r/z", 70), ("r/*", 30)])]);
        check(kind(), "r/z", "", "r/z r/y", "0:r/y:30:1 0:r/z:70:0");
        check(kind(), "q", "", "r/z r/y", "0:r/y:1:1 0:r/z:1:0");
    }
}
