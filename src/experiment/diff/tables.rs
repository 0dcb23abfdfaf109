//! What proxies are told, before and after: entries that came, went or changed, and for whom.
//!
//! Tables, route configurations and clusters are shared between proxies, so each pair of them is
//! compared once however many proxies have it.

mod entries;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::fields::Field;
use crate::xds::dump::{self, words};
use crate::xds::snapshot::{ClusterId, RouteConfigId, TableId};
use crate::xds::{Listener, ProxyKind, ProxyTables, Snapshot, Workload, WorkloadId};
use entries::{changed, clusters, compare, counted, place, whole_cluster, without_endpoints};

/// Which table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Workloads that come, go or change their proxy.
    Workloads,
    /// Where proxies accept what their own pod sends.
    Listeners,
    /// What they do with requests.
    Routes,
    /// Whom they can call, with which policy.
    Clusters,
    /// Who is behind the clusters.
    Endpoints,
    /// What servers do with connections that arrive.
    Inbound,
}

impl Kind {
    /// All, in the order of reports.
    pub const ALL: [Self; 6] = [
        Self::Workloads,
        Self::Listeners,
        Self::Routes,
        Self::Clusters,
        Self::Endpoints,
        Self::Inbound,
    ];

    /// `routes`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Workloads => "workloads",
            Self::Listeners => "listeners",
            Self::Routes => "routes",
            Self::Clusters => "clusters",
            Self::Endpoints => "endpoints",
            Self::Inbound => "inbound",
        }
    }
}

/// What happened to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sign {
    /// It is new.
    Added,
    /// It is another.
    Changed,
    /// It is gone.
    Removed,
}

impl Sign {
    /// `+`, `~` or `-`.
    pub const fn mark(self) -> char {
        match self {
            Self::Added => '+',
            Self::Changed => '~',
            Self::Removed => '-',
        }
    }
}

/// An entry of a table that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// Which table.
    pub kind: Kind,
    /// `8080 reviews.default.svc.cluster.local:9080`, a cluster's name …
    pub name: String,
    /// What happened to it.
    pub sign: Sign,
    /// What it is, of entries that came or went.
    pub summary: String,
    /// `file:line` behind it, of entries that came or went.
    pub place: Option<String>,
    /// What differs, of entries that changed.
    pub fields: Vec<Field>,
}

/// A change and the proxies it reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The change.
    pub change: Change,
    /// Workloads whose proxies see it, in name order.
    pub proxies: Vec<String>,
}

/// Everything that differs between two sets of tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TablePlan {
    /// By kind, then by name.
    pub entries: Vec<Entry>,
    /// Workloads with a proxy, afterwards.
    pub proxies: usize,
}

impl TablePlan {
    /// Workloads whose proxies are told something else.
    pub fn reached(&self) -> usize {
        let told = self
            .entries
            .iter()
            .filter(|e| e.change.kind != Kind::Workloads);
        let all: BTreeSet<&String> = told.flat_map(|entry| &entry.proxies).collect();
        all.len()
    }
}

/// Compares what all proxies are told.
pub fn tables(before: &Snapshot, after: &Snapshot) -> TablePlan {
    let mut all = Gathered {
        before,
        after,
        found: BTreeMap::new(),
        routes: BTreeMap::new(),
        clusters: BTreeMap::new(),
    };
    let (was, is) = (by_name(before), by_name(after));
    let mut classes = BTreeMap::<(TableId, TableId), Vec<&str>>::new();
    for (name, new) in &is {
        let new = &after.workloads[*new];
        match was.get(name) {
            None => all.workload(name, Sign::Added, after, new),
            Some(old) => {
                let old = &before.workloads[*old];
                all.pair(name, old, new);
                if let (Some(old), Some(new)) = (old.tables, new.tables) {
                    classes.entry((old, new)).or_default().push(name);
                }
            }
        }
    }
    for (name, old) in was.iter().filter(|(name, _)| !is.contains_key(*name)) {
        all.workload(name, Sign::Removed, before, &before.workloads[*old]);
    }
    for ((old, new), proxies) in classes {
        all.tables(&before.tables[old], &after.tables[new], &proxies);
    }
    let entries = all.found.into_iter().map(|(change, proxies)| Entry {
        change,
        proxies: proxies.into_iter().collect(),
    });
    TablePlan {
        entries: entries.collect(),
        proxies: after
            .workloads
            .iter()
            .filter(|w| w.tables.is_some())
            .count(),
    }
}

fn by_name(snapshot: &Snapshot) -> BTreeMap<String, WorkloadId> {
    let all = snapshot.workloads.iter_ids();
    all.map(|(id, workload)| (workload.full_name(), id))
        .collect()
}

struct Gathered<'a> {
    before: &'a Snapshot,
    after: &'a Snapshot,
    found: BTreeMap<Change, BTreeSet<String>>,
    routes: BTreeMap<(RouteConfigId, RouteConfigId), Vec<Change>>,
    clusters: BTreeMap<(ClusterId, ClusterId), Vec<Change>>,
}

impl Gathered<'_> {
    fn add(&mut self, change: Change, proxies: &[&str]) {
        let reached = self.found.entry(change).or_default();
        reached.extend(proxies.iter().map(|&name| name.to_owned()));
    }

    /// A workload that came or went; what its proxy is told needs no lines of its own.
    fn workload(&mut self, name: &str, sign: Sign, of: &Snapshot, workload: &Workload) {
        let proxy = match workload.proxy {
            ProxyKind::None => "no proxy",
            ProxyKind::Sidecar => "with sidecar",
            ProxyKind::Gateway => "a gateway",
        };
        let pods = workload
            .pods
            .iter()
            .filter(|pod| !of.pods[**pod].spare)
            .count();
        let change = Change {
            kind: Kind::Workloads,
            name: name.to_owned(),
            sign,
            summary: format!("{}, {proxy}, {}", workload.kind, counted(pods, "pod")),
            place: place(of, workload.origin),
            fields: Vec::new(),
        };
        self.add(change, &[name]);
    }

    /// A workload that is there on both sides: its kind of proxy, and what arrives.
    fn pair(&mut self, name: &str, old: &Workload, new: &Workload) {
        if old.proxy != new.proxy {
            let word = |w: &Workload| Some(words::proxy_kind(w.proxy).to_owned());
            let field = Field {
                path: "proxy".to_owned(),
                before: word(old),
                after: word(new),
                place: place(self.after, new.origin),
            };
            self.add(changed(Kind::Workloads, name, vec![field]), &[name]);
            return;
        }
        let inbound = |snapshot: &Snapshot, workload: &Workload| -> BTreeMap<String, Value> {
            let one = |i| (dump::inbound(snapshot, i), i);
            let all = workload.inbound.iter().map(one);
            all.map(|(value, i)| (format!("port {}", i.port), without_endpoints(value)))
                .collect()
        };
        let (was, is) = (inbound(self.before, old), inbound(self.after, new));
        self.maps(Kind::Inbound, &was, &is, &[name]);
    }

    fn tables(&mut self, old: &ProxyTables, new: &ProxyTables, proxies: &[&str]) {
        let listeners = |snapshot: &Snapshot, all: &[Listener]| -> BTreeMap<String, Value> {
            let one = |l: &Listener| (l.name.to_string(), dump::listener(snapshot, l));
            all.iter().map(one).collect()
        };
        let was = listeners(self.before, &old.listeners);
        let is = listeners(self.after, &new.listeners);
        self.maps(Kind::Listeners, &was, &is, proxies);
        self.route_configs(old, new, proxies);
        self.cluster_tables(old, new, proxies);
    }

    fn route_configs(&mut self, old: &ProxyTables, new: &ProxyTables, proxies: &[&str]) {
        let (before, after) = (self.before, self.after);
        let hosts = |snapshot: &Snapshot, id: RouteConfigId| -> BTreeMap<String, Value> {
            let config = &snapshot.route_configs[id];
            let mut value = dump::route_config(snapshot, config);
            let hosts = value["virtual_hosts"].take();
            let hosts = hosts.as_array().cloned().unwrap_or_default().into_iter();
            let named = |host: Value| {
                let name = host["name"].as_str().unwrap_or_default();
                (format!("{} {name}", config.name), host)
            };
            hosts.map(named).collect()
        };
        let mut pairs = Vec::new();
        for id in &new.routes {
            let name = &after.route_configs[*id].name;
            pairs.push((before.route_config_named(old, name), Some(*id)));
        }
        for id in &old.routes {
            if after
                .route_config_named(new, &before.route_configs[*id].name)
                .is_none()
            {
                pairs.push((Some(*id), None));
            }
        }
        for pair in pairs {
            let empty = BTreeMap::new;
            let changes = match pair {
                (Some(old), Some(new)) => {
                    let make = || compare(Kind::Routes, &hosts(before, old), &hosts(after, new));
                    self.routes.entry((old, new)).or_insert_with(make).clone()
                }
                (None, Some(new)) => compare(Kind::Routes, &empty(), &hosts(after, new)),
                (Some(old), None) => compare(Kind::Routes, &hosts(before, old), &empty()),
                (None, None) => Vec::new(),
            };
            for change in changes {
                self.add(change, proxies);
            }
        }
    }

    fn cluster_tables(&mut self, old: &ProxyTables, new: &ProxyTables, proxies: &[&str]) {
        let (before, after) = (self.before, self.after);
        for id in &new.clusters {
            let cluster = &after.clusters[*id];
            let changes = match before.cluster_named(old, &cluster.name) {
                Some(was) => {
                    let make = || clusters((before, &before.clusters[was]), (after, cluster));
                    self.clusters.entry((was, *id)).or_insert_with(make).clone()
                }
                None => vec![whole_cluster(after, cluster, Sign::Added)],
            };
            for change in changes {
                self.add(change, proxies);
            }
        }
        for id in &old.clusters {
            let cluster = &before.clusters[*id];
            if after.cluster_named(new, &cluster.name).is_none() {
                self.add(whole_cluster(before, cluster, Sign::Removed), proxies);
            }
        }
    }

    fn maps(
        &mut self,
        kind: Kind,
        was: &BTreeMap<String, Value>,
        is: &BTreeMap<String, Value>,
        proxies: &[&str],
    ) {
        for change in compare(kind, was, is) {
            self.add(change, proxies);
        }
    }
}
