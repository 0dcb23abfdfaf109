//! Whether single requests go where a scenario's `routes` say.

use super::expectation::{is_cluster, subset};
use crate::config::scenario::{LoadSource, RouteTest, Scenario, Wanted};
use crate::diagnostic::nearest;
use crate::http::Headers;
use crate::observe::record::{ExpectationRecord, Verdict};
use crate::simulation::{Answer, Destination, RequestClass, Routed, routed};
use crate::units::{Fraction, Origins};
use crate::xds::cluster::service_host;
use crate::xds::{Name, ProxyKind, Snapshot, WorkloadId};

/// Judges every route test of a scenario; the engine is not needed for it.
pub fn judge_routes(
    scenario: &Scenario,
    snapshot: &Snapshot,
    origins: &Origins,
) -> Vec<ExpectationRecord> {
    let one = |test: &RouteTest| {
        let faults = faults(test, scenario, snapshot);
        ExpectationRecord {
            text: test.name.to_string(),
            place: origins.place(test.origin),
            verdict: if faults.is_empty() {
                Verdict::Pass
            } else {
                Verdict::Fail
            },
            unit: None,
            value: None,
            interval: None,
            bound: None,
            why: (!faults.is_empty()).then(|| faults.join("; ")),
        }
    };
    scenario.routes.iter().map(one).collect()
}

/// Everything about a request that is not as wanted.
fn faults(test: &RouteTest, scenario: &Scenario, snapshot: &Snapshot) -> Vec<String> {
    let first = scenario.load.first().map(|load| &load.from);
    let Some(from) = test.from.as_ref().or(first) else {
        return vec!["nobody sends it: write `from`".to_owned()];
    };
    let caller = match caller(from, snapshot) {
        Ok(caller) => caller,
        Err(why) => return vec![why],
    };
    let mut headers = Headers::new();
    for (name, value) in &test.headers {
        headers.append(name, value);
    }
    let class = RequestClass::new(test.url.clone(), &test.method, headers);
    let found = routed(snapshot, caller, &class);
    let mut faults = compare(&test.wanted, &found.answer);
    if let Some(last) = faults.last_mut() {
        last.push_str(&by(&found, snapshot));
    }
    faults
}

fn by(found: &Routed, snapshot: &Snapshot) -> String {
    match found.origin {
        Some(origin) => format!(" (route at {})", snapshot.origins.place(origin)),
        None => String::new(),
    }
}

/// The workload whose proxy is asked.
fn caller(from: &LoadSource, snapshot: &Snapshot) -> Result<WorkloadId, String> {
    match from {
        LoadSource::Workload { name, .. } => {
            let (namespace, short) = name.split_once('/').unwrap_or(("", name));
            let found = snapshot.workload_named(namespace, short);
            found.ok_or_else(|| {
                let names: Vec<String> = snapshot
                    .workloads
                    .iter()
                    .map(crate::xds::Workload::full_name)
                    .collect();
                let near = crate::diagnostic::nearest(name, names.iter().map(String::as_str));
                let near = near.map(|near| format!("; did you mean `{near}`?"));
                format!("no workload is called `{name}`{}", near.unwrap_or_default())
            })
        }
        LoadSource::Outside { via, .. } => {
            let gateways = snapshot
                .workloads
                .iter_ids()
                .filter(|(_, w)| w.proxy == ProxyKind::Gateway);
            let wanted =
                |w: &crate::xds::Workload| via.as_ref().is_none_or(|via| w.full_name() == **via);
            let found: Vec<WorkloadId> = gateways
                .filter(|(_, w)| wanted(w))
                .map(|(id, _)| id)
                .collect();
            match found.as_slice() {
                [only] => Ok(*only),
                [] => Err("no gateway takes requests from outside".to_owned()),
                _ => Err("several gateways take requests from outside: write `from: {outside: {via: namespace/name}}`".to_owned()),
            }
        }
    }
}

fn compare(wanted: &Wanted, answer: &Answer) -> Vec<String> {
    let mut faults = Vec::new();
    let told = told(answer);
    let status = match answer {
        Answer::Redirect { status, .. } | Answer::Direct(status) => Some(*status),
        Answer::NoRoute => Some(404),
        _ => None,
    };
    if let Some(want) = wanted.status
        && status != Some(want)
    {
        faults.push(format!("is not answered with {want} by the proxy: {told}"));
    }
    if let Some(want) = &wanted.redirect {
        match answer {
            Answer::Redirect { location, .. } if *location == **want => {}
            _ => faults.push(format!("is not redirected to `{want}`: {told}")),
        }
    }
    let none = (Vec::new(), Vec::new());
    let (destinations, mirrors) = match answer {
        Answer::Forward {
            destinations,
            mirrors,
        } => (destinations.clone(), mirrors.clone()),
        Answer::Tcp(clusters) => (clusters.iter().map(opaque).collect(), Vec::new()),
        _ => none,
    };
    if let Some(fault) = shares(&wanted.to, &destinations, &told) {
        faults.push(fault);
    }
    let unlike = |want: &Name, of: fn(&Destination) -> &str| {
        destinations.is_empty() || destinations.iter().any(|d| of(d) != &**want)
    };
    if let Some(want) = &wanted.path
        && unlike(want, |d| &d.path)
    {
        faults.push(format!("does not arrive with path `{want}`: {told}"));
    }
    if let Some(want) = &wanted.host
        && unlike(want, |d| &d.authority)
    {
        faults.push(format!("does not arrive for host `{want}`: {told}"));
    }
    if let Some(want) = &wanted.mirror
        && !mirrors.iter().any(|(cluster, _)| is_meant(want, cluster))
    {
        faults.push(format!("is not mirrored to `{want}`: {told}"));
    }
    faults
}

fn opaque((cluster, weight): &(Name, u32)) -> Destination {
    Destination {
        cluster: cluster.clone(),
        weight: *weight,
        is_known: true,
        path: String::new(),
        authority: String::new(),
    }
}

/// `None` when every share is as wanted, and nothing else gets any.
fn shares(
    wanted: &[(Name, Option<Fraction>)],
    destinations: &[Destination],
    told: &str,
) -> Option<String> {
    if wanted.is_empty() {
        return None;
    }
    let total: u64 = destinations.iter().map(|d| u64::from(d.weight)).sum();
    let mut rest = 1_000_000_u64;
    for (name, share) in wanted {
        let taken: u64 = (destinations.iter())
            .filter(|d| d.is_known && is_meant(name, &d.cluster))
            .map(|d| u64::from(d.weight))
            .sum();
        let ppm = (taken * 1_000_000 + total / 2)
            .checked_div(total)
            .unwrap_or(0);
        let want = share.map_or(rest, |share| u64::from(share.ppm()));
        // Weights are whole numbers: a third is 33 or 34 of 100.
        if ppm.abs_diff(want) > 5_000 {
            let share = share.map_or_else(String::new, |share| format!(" with {share}"));
            let near = nearest_destination(name, destinations);
            return Some(format!("does not go to `{name}`{share}: {told}{near}"));
        }
        rest = rest.saturating_sub(ppm);
    }
    (rest > 5_000).then(|| format!("goes elsewhere too: {told}"))
}

/// Of what is nearly written like one of the destinations, that one.
fn nearest_destination(written: &str, destinations: &[Destination]) -> String {
    let names: Vec<String> = (destinations.iter())
        .flat_map(|d| {
            let own = subset(&d.cluster).map(str::to_owned);
            let name = short(&d.cluster);
            let service = name.split('/').next().map(str::to_owned);
            own.into_iter().chain(service).chain([name])
        })
        .collect();
    let near = nearest(written, names.iter().map(String::as_str));
    match near.filter(|near| *near != written) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => String::new(),
    }
}

/// A cluster, Service, `service/subset`, or subset.
fn is_meant(written: &str, cluster: &str) -> bool {
    is_cluster(written, cluster) || subset(cluster) == Some(written)
}

/// What happens instead, in words.
fn told(answer: &Answer) -> String {
    match answer {
        Answer::Forward {
            destinations,
            mirrors,
        } => {
            let total: u64 = destinations.iter().map(|d| u64::from(d.weight)).sum();
            let one = |d: &Destination| {
                let unknown = if d.is_known {
                    ""
                } else {
                    ", which the proxy does not have (503 NC)"
                };
                let percent = 100.0 * f64::from(d.weight) / total.max(1) as f64;
                let share = if destinations.len() == 1 {
                    String::new()
                } else {
                    format!(" ({percent:.3} %)").replace(".000 %", " %")
                };
                format!("{}{share}{unknown}", short(&d.cluster))
            };
            let all: Vec<String> = destinations.iter().map(one).collect();
            let first = destinations.first();
            let path = first.map_or_else(String::new, |d| {
                format!(", path `{}`, host `{}`", d.path, d.authority)
            });
            let copies: Vec<&str> = mirrors.iter().map(|(cluster, _)| &**cluster).collect();
            let copies = if copies.is_empty() {
                String::new()
            } else {
                format!(", copies to {}", copies.join(", "))
            };
            format!("it goes to {}{path}{copies}", all.join(" and "))
        }
        Answer::Redirect { status, location } => {
            format!("it is redirected ({status}) to `{location}`")
        }
        Answer::Direct(status) => format!("the proxy answers {status} itself"),
        Answer::NoRoute => "no route matches (404 NR)".to_owned(),
        Answer::Tcp(clusters) => {
            let names: Vec<&str> = clusters.iter().map(|(name, _)| &**name).collect();
            format!("its bytes go to {}", names.join(", "))
        }
        Answer::Closed => "the proxy closes the connection".to_owned(),
        Answer::NoProxy => "the caller has no proxy, so Kubernetes alone decides".to_owned(),
    }
}

/// `reviews/v2` for what istiod calls `outbound|9080|v2|reviews.default.svc.cluster.local`.
fn short(cluster: &str) -> String {
    let host = service_host(cluster);
    let name = if host.ends_with(".svc.cluster.local") {
        host.split('.').next().unwrap_or(host)
    } else {
        host
    };
    match subset(cluster) {
        Some(subset) => format!("{name}/{subset}"),
        None => name.to_owned(),
    }
}
