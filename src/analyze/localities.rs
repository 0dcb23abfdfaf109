//! Places where nobody is: `TT-FAILOVER-NEVER` between regions without clients or pods,
//! `TT-DISTRIBUTE-NOBODY` for shares of such places, `TT-SUBSET-ELSEWHERE` for subsets whose pods
//! are all somewhere else than their clients.
//!
//! Looked at only where somebody wrote a locality setting, and where places are known at all.

use std::collections::{BTreeMap, BTreeSet};

use super::Context;
use crate::diagnostic::Diagnostic;
use crate::units::Origin;
use crate::xds::cluster::short_host;
use crate::xds::endpoint::LocalityKind;
use crate::xds::{Cluster, Locality, Name, ProxyKind, WorkloadId};

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    let by_workload = clients(context);
    let clients: BTreeSet<Locality> = by_workload.values().flatten().cloned().collect();
    if clients.is_empty() {
        return;
    }
    let all = || {
        context
            .snapshot
            .clusters
            .iter()
            .filter(|c| !c.host.is_empty())
    };
    let whole: BTreeMap<(&str, u16), &Cluster> = all()
        .filter(|cluster| cluster.subset.is_empty())
        .map(|cluster| ((&*cluster.host, cluster.port), cluster))
        .collect();
    // Clusters of several tables say the same of one setting.
    let mut seen: BTreeSet<(Origin, &str)> = BTreeSet::new();
    for cluster in all() {
        let origin = cluster.locality.origin;
        if origin.is_built_in() || !seen.insert((origin, &cluster.name)) {
            continue;
        }
        let servers = servers(context, cluster);
        if servers.is_empty() {
            continue;
        }
        let kind = &cluster.locality.kind;
        match kind {
            LocalityKind::Failover { regions, .. } | LocalityKind::ZoneAware { regions, .. }
                if cluster.subset.is_empty() =>
            {
                failover(context, cluster, regions, &clients, found);
            }
            LocalityKind::Distribute(rules) if cluster.subset.is_empty() => {
                distribute(context, cluster, rules, &clients, found);
            }
            LocalityKind::Failover { .. } | LocalityKind::ZoneAware { .. } => {
                let whole = whole.get(&(&*cluster.host, cluster.port));
                let lost = whole.map(|whole| lost(context, whole, &servers, &by_workload));
                found.extend(lost.and_then(|lost| elsewhere(context, cluster, &lost)));
            }
            LocalityKind::Distribute(_) | LocalityKind::Off => {}
        }
    }
}

/// Places of pods with a proxy, by workload; none where one of them is unknown.
fn clients(context: &Context<'_>) -> BTreeMap<WorkloadId, BTreeSet<Locality>> {
    let mut clients: BTreeMap<WorkloadId, BTreeSet<Locality>> = BTreeMap::new();
    for pod in context.snapshot.pods.iter().filter(|pod| !pod.spare) {
        if context.snapshot.workloads[pod.workload].proxy == ProxyKind::None {
            continue;
        }
        if pod.locality.is_empty() {
            return BTreeMap::new();
        }
        let places = clients.entry(pod.workload).or_default();
        places.insert(pod.locality.clone());
    }
    clients
}

/// Places of a cluster's endpoints; none where one of them is unknown.
fn servers(context: &Context<'_>, cluster: &Cluster) -> BTreeSet<Locality> {
    let spare = |pod| context.snapshot.pods[pod].spare;
    let there = || (cluster.endpoints.iter()).filter(|e| !e.pod.is_some_and(spare));
    if there().any(|e| e.locality.is_empty()) {
        return BTreeSet::new();
    }
    there().map(|e| e.locality.clone()).collect()
}

/// `failover: [{from, to}]` where nobody leaves or nobody waits.
fn failover(
    context: &Context<'_>,
    cluster: &Cluster,
    regions: &[(Name, Name)],
    clients: &BTreeSet<Locality>,
    found: &mut Vec<Diagnostic>,
) {
    let servers = servers(context, cluster);
    for (from, to) in regions {
        let is_in = |places: &BTreeSet<Locality>, region: &Name| {
            places.iter().any(|place| place.region == *region)
        };
        let why = if !is_in(clients, from) {
            format!(
                "no client is in the region `{from}`, clients are in {}",
                named(clients, true)
            )
        } else if !is_in(&servers, to) {
            format!(
                "no pod of {} is in the region `{to}`, they are in {}",
                short_host(&cluster.host),
                named(&servers, true)
            )
        } else {
            continue;
        };
        let message = format!("failover from `{from}` to `{to}` never happens: {why}");
        let help = "write regions as the nodes' label topology.kubernetes.io/region has them, without zones";
        found.push(context.say("TT-FAILOVER-NEVER", cluster.locality.origin, message, help));
    }
}

/// `distribute` to places without pods: the share goes to the other places.
fn distribute(
    context: &Context<'_>,
    cluster: &Cluster,
    rules: &[(Name, Vec<(Name, u32)>)],
    clients: &BTreeSet<Locality>,
    found: &mut Vec<Diagnostic>,
) {
    let servers = servers(context, cluster);
    for (from, to) in rules {
        if !clients.iter().any(|place| place.is_in(from)) {
            continue;
        }
        let empty = |pattern: &Name| !servers.iter().any(|place| place.is_in(pattern));
        for (pattern, weight) in to.iter().filter(|(p, weight)| *weight > 0 && empty(p)) {
            let message = format!(
                "{weight} % of the requests from `{from}` are for `{pattern}`, where no pod of {} is: the other places take them",
                short_host(&cluster.host)
            );
            let help = format!("pods are in {}", named(&servers, false));
            found.push(context.say(
                "TT-DISTRIBUTE-NOBODY",
                cluster.locality.origin,
                message,
                &help,
            ));
        }
    }
}

/// Places with clients and pods of the whole service, and none of a subset; with how many pods.
fn lost(
    context: &Context<'_>,
    whole: &Cluster,
    servers: &BTreeSet<Locality>,
    clients: &BTreeMap<WorkloadId, BTreeSet<Locality>>,
) -> BTreeMap<String, usize> {
    // Whoever serves is not taken for a client of its own service.
    let own = whole.endpoints.iter().filter_map(|endpoint| endpoint.pod);
    let own: BTreeSet<WorkloadId> = own.map(|pod| context.snapshot.pods[pod].workload).collect();
    let asks = |place: &Locality| {
        let mut others = clients
            .iter()
            .filter(|(workload, _)| !own.contains(workload));
        others.any(|(_, places)| places.contains(place))
    };
    let missing: BTreeSet<&Locality> = (whole.endpoints.iter())
        .map(|endpoint| &endpoint.locality)
        .filter(|place| !servers.contains(place))
        .collect();
    let missing = missing.into_iter().filter(|place| asks(place));
    let pods = |place: &Locality| {
        whole
            .endpoints
            .iter()
            .filter(|e| e.locality == *place)
            .count()
    };
    missing
        .map(|place| (place.to_string(), pods(place)))
        .collect()
}

/// A subset that has no pod where the service has some, and clients.
fn elsewhere(
    context: &Context<'_>,
    cluster: &Cluster,
    lost: &BTreeMap<String, usize>,
) -> Option<Diagnostic> {
    let (place, pods) = lost.iter().next()?;
    let more = match lost.len() {
        1 => String::new(),
        n => format!(" (nor in {} more)", n - 1),
    };
    let message = format!(
        "subset `{}` of {} has no pod in {place}{more}, where the service has {pods} and clients are: all of their requests to it leave the zone",
        cluster.subset,
        short_host(&cluster.host)
    );
    let help =
        "spread the subset's pods over the zones (topologySpreadConstraints), or count on the way";
    let origin = subset_of(context, cluster)?;
    Some(context.say("TT-SUBSET-ELSEWHERE", origin, message, help))
}

/// Where the subset of a cluster was written.
fn subset_of(context: &Context<'_>, cluster: &Cluster) -> Option<Origin> {
    let rules = context.config.destination_rules.iter();
    let mut rules = rules
        .filter(|rule| *context.known.full_name(&rule.host, &rule.meta.namespace) == *cluster.host);
    let subset = rules.find_map(|rule| rule.subsets.iter().find(|s| s.name == cluster.subset));
    subset.map(|subset| subset.origin)
}

/// Places in words, or their regions.
fn named(places: &BTreeSet<Locality>, regions: bool) -> String {
    let name = |place: &Locality| {
        if regions {
            format!("`{}`", place.region)
        } else {
            format!("`{place}`")
        }
    };
    let names: BTreeSet<String> = places.iter().map(name).collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}
