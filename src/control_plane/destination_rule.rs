//! Which DestinationRule applies (`pilot/pkg/model/push_context.go`, `destination_rule.go`).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::config::MeshConfig;
use crate::config::host::{HostMap, resolve_short_name};
use crate::config::istio::{DestinationRule, Subset, TrafficPolicy};
use crate::config::selector::selects;
use crate::units::Origin;
use crate::xds::Name;

/// One DestinationRule, or several of one host and namespace merged.
#[derive(Clone, Debug)]
pub(super) struct Rule<'a> {
    /// Indexes of the sources, in the order they were merged.
    sources: Vec<usize>,
    pub(super) policy: Option<&'a TrafficPolicy>,
    pub(super) subsets: Vec<&'a Subset>,
    selector: Option<&'a BTreeMap<Name, Name>>,
    /// As written, words not resolved; a selector makes a rule private.
    export_to: BTreeSet<Name>,
    pub(super) origin: Origin,
}

impl Rule<'_> {
    /// True when it applies to some pods only.
    pub(super) fn has_selector(&self) -> bool {
        self.selector.is_some()
    }
}

type Pool<'a> = HostMap<Vec<Rule<'a>>>;
type Index = HostMap<Vec<usize>>;

/// All rules, indexed as istiod asks for them.
#[derive(Debug)]
pub(super) struct DestinationRules<'a> {
    pub(super) rules: Vec<Rule<'a>>,
    // Looked up, never iterated.
    local: HashMap<Name, Index>,
    exported: HashMap<Name, Index>,
    root_private: Index,
    root: Name,
}

impl<'a> DestinationRules<'a> {
    /// Merges and indexes.
    pub(super) fn new(config: &'a MeshConfig) -> Self {
        let mut sources: Vec<(usize, &DestinationRule)> =
            config.destination_rules.iter().enumerate().collect();
        let selectors_first = config.version.at_least(22);
        sources.sort_by(|(_, a), (_, b)| {
            let late = |r: &DestinationRule| selectors_first && r.workload_selector.is_none();
            (late(a), a.meta.age_key()).cmp(&(late(b), b.meta.age_key()))
        });
        let mut builder = Builder {
            config,
            interned: HashMap::new(),
            rules: Vec::new(),
        };
        let mut local: BTreeMap<Name, (Pool<'a>, BTreeSet<Name>)> = BTreeMap::new();
        let mut exported = local.clone();
        let mut root_private = (Pool::default(), BTreeSet::new());
        for (index, rule) in sources {
            let ns = &rule.meta.namespace;
            let host = resolve_short_name(&rule.host, ns, &config.mesh.domain);
            let new = single(index, rule);
            let has = |word: &str| new.export_to.contains(word);
            if new.export_to.is_empty() || has("*") || has(".") || has(ns) {
                builder.add(local.entry(ns.clone()).or_default(), &host, &new);
            }
            let default = &config.mesh.default_destination_rule_export_to;
            let private_by_default =
                new.export_to.is_empty() && default.iter().any(|w| &**w == ".");
            let private = private_by_default || (new.export_to.len() == 1 && (has(".") || has(ns)));
            if !private {
                builder.add(exported.entry(ns.clone()).or_default(), &host, &new);
            } else if *ns == config.mesh.root_namespace {
                builder.add(&mut root_private, &host, &new);
            }
        }
        let mut index = |pools: BTreeMap<Name, (Pool<'a>, BTreeSet<Name>)>| {
            let entries = pools.into_iter();
            entries
                .map(|(ns, pool)| (ns, builder.index(pool)))
                .collect()
        };
        let (local, exported) = (index(local), index(exported));
        let root_private = builder.index(root_private);
        Self {
            rules: builder.rules,
            local,
            exported,
            root_private,
            root: config.mesh.root_namespace.clone(),
        }
    }

    /// The rule for a service, as a proxy with these labels in `client` sees it.
    ///
    /// The first namespace with any match wins, even with a wildcard: the client's, the
    /// service's, the root's. Rules of different namespaces are never merged.
    pub(super) fn find(
        &self,
        client: &Name,
        labels: &BTreeMap<Name, Name>,
        host: &str,
        service: &Name,
    ) -> Option<usize> {
        self.find_by(client, host, service, |list| self.pick(list, labels))
    }

    /// The rule whose connection pool a server in `client` applies to itself: never one with
    /// a selector, even when that one is in force for the same pod as a client.
    pub(super) fn find_inbound(&self, client: &Name, host: &str, service: &Name) -> Option<usize> {
        let plain = |id: &&usize| self.rules[**id].selector.is_none();
        self.find_by(client, host, service, |list| {
            list.iter().rfind(plain).copied()
        })
    }

    fn find_by(
        &self,
        client: &Name,
        host: &str,
        service: &Name,
        pick: impl Fn(&[usize]) -> Option<usize>,
    ) -> Option<usize> {
        let own = if *client == self.root {
            self.root_private.most_specific(host)
        } else {
            (self.local.get(client)).and_then(|i| i.most_specific(host))
        };
        if let Some(list) = own.filter(|l| !l.is_empty()) {
            return pick(list);
        }
        for namespace in [service, &self.root] {
            let found = (self.exported.get(namespace)).and_then(|i| i.most_specific(host));
            // Visibility is asked after the most specific host was chosen, so a rule that
            // cannot be seen hides a wider one that could.
            let seen: Vec<usize> = (found.into_iter().flatten().copied())
                .filter(|id| self.is_visible(*id, client, namespace))
                .collect();
            if !seen.is_empty() {
                return pick(&seen);
            }
        }
        None
    }

    fn is_visible(&self, id: usize, client: &Name, namespace: &Name) -> bool {
        let words = &self.rules[id].export_to;
        words.is_empty()
            || words.contains("*")
            || words.contains(client)
            || (words.contains(".") && client == namespace)
    }

    /// The first whose selector fits, else the last without one.
    fn pick(&self, list: &[usize], labels: &BTreeMap<Name, Name>) -> Option<usize> {
        let fits = |id: &&usize| {
            self.rules[**id]
                .selector
                .is_some_and(|s| selects(s, labels))
        };
        let plain = |id: &&usize| self.rules[**id].selector.is_none();
        (list.iter().find(fits).or_else(|| list.iter().rfind(plain))).copied()
    }

    /// Selectors of rules in a namespace: labels that tell its proxies apart.
    pub(super) fn selectors(
        config: &'a MeshConfig,
        namespace: &str,
    ) -> Vec<&'a BTreeMap<Name, Name>> {
        (config.destination_rules.iter())
            .filter(|r| *r.meta.namespace == *namespace)
            .filter_map(|r| r.workload_selector.as_ref())
            .collect()
    }
}

fn single(index: usize, rule: &DestinationRule) -> Rule<'_> {
    Rule {
        sources: vec![index],
        policy: rule.policy.as_ref(),
        subsets: first_of_each_name(&rule.subsets),
        selector: rule.workload_selector.as_ref(),
        export_to: match rule.workload_selector {
            Some(_) => BTreeSet::from([".".into()]),
            None => rule.export_to.iter().cloned().collect(),
        },
        origin: rule.meta.origin,
    }
}

fn first_of_each_name(subsets: &[Subset]) -> Vec<&Subset> {
    let mut seen = BTreeSet::new();
    subsets.iter().filter(|s| seen.insert(&s.name)).collect()
}

struct Builder<'a> {
    config: &'a MeshConfig,
    // Looked up, never iterated: the same sources merged in two pools are one rule.
    interned: HashMap<Vec<usize>, usize>,
    rules: Vec<Rule<'a>>,
}

impl<'a> Builder<'a> {
    /// Merges a rule into the rules of its host, or keeps it beside them.
    fn add(&self, (pool, hosts): &mut (Pool<'a>, BTreeSet<Name>), host: &Name, new: &Rule<'a>) {
        hosts.insert(host.clone());
        let list = pool.entry(host);
        let mut keep = true;
        for old in list.iter_mut() {
            let (merge, and_keep) = self.decide(old, new);
            if merge {
                merge_into(old, new);
                keep = and_keep;
            }
        }
        if keep {
            list.push(new.clone());
        }
    }

    /// Whether `new` merges into `old`, and whether it is kept as well.
    fn decide(&self, old: &Rule<'_>, new: &Rule<'_>) -> (bool, bool) {
        let enhanced = self.config.version.at_least(24);
        let equal = new.export_to == old.export_to;
        let wider = !old.export_to.is_empty() && new.export_to.is_superset(&old.export_to);
        match (old.selector, new.selector) {
            (None, None) => (!enhanced || equal || wider, false),
            (Some(a), Some(b)) => (a == b, false),
            (Some(_), None) if enhanced => (equal || wider, !equal),
            (Some(_), None) => (true, true),
            (None, Some(_)) => (false, true),
        }
    }

    fn index(&mut self, (pool, hosts): (Pool<'a>, BTreeSet<Name>)) -> Index {
        let mut index = Index::default();
        for host in hosts {
            for rule in pool.get(&host).into_iter().flatten() {
                let id = *(self.interned.entry(rule.sources.clone())).or_insert_with(|| {
                    self.rules.push(rule.clone());
                    self.rules.len() - 1
                });
                index.entry(&host).push(id);
            }
        }
        index
    }
}

/// Subsets with new names are added; the first `trafficPolicy` is kept whole.
fn merge_into<'a>(old: &mut Rule<'a>, new: &Rule<'a>) {
    old.sources.extend(&new.sources);
    for subset in &new.subsets {
        if old.subsets.iter().all(|s| s.name != subset.name) {
            old.subsets.push(subset);
        }
    }
    if old.policy.is_none() {
        old.policy = new.policy;
    }
}
