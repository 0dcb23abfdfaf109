//! The story of one request: the decisions on its way, for `curl` and later `explain`.
//!
//! Routing is memoised in runs, so the router is asked once more, with a recorder; everything
//! after it is a real run of one request.

use super::outcome::{Outcome, record};
use super::plan::{ActionPlan, Connect, NIL, Plan};
use super::resolve::{RequestClass, Resolver};
use super::run::{Control, trace};
use crate::data_plane::{Reason, Recorder};
use crate::engine::Seed;
use crate::observe::record::RequestRecord;
use crate::xds::snapshot::RouteConfigId;
use crate::xds::{Snapshot, WorkloadId};

/// The decisions about one request, in order, and what their indexes mean.
#[derive(Clone, Debug)]
pub struct Story {
    /// How it ended.
    pub request: RequestRecord,
    /// Why.
    pub reasons: Vec<Reason>,
    /// Route configuration that the virtual host and route indexes belong to; `None`: no HTTP routing took place.
    pub route_config: Option<RouteConfigId>,
    /// (virtual host, route) that matched.
    pub route: Option<(usize, usize)>,
    /// Names of the route's clusters, by index of the weighted pick.
    pub clusters: Vec<String>,
    /// `pod NAME (ip:port, locality)` by index of a picked host.
    pub hosts: Vec<String>,
    /// Who calls, in words: `production/curl`, `outside via istio-ingress/gateway`.
    pub from: String,
    /// The workload whose proxy routes; `None` for clients that are none.
    pub caller: Option<WorkloadId>,
    /// What was asked for.
    pub class: Option<RequestClass>,
}

/// Runs the first request of a plan's first load and tells how it went; `None` when it was never answered.
pub fn story(snapshot: &Snapshot, plan: &Plan, seed: u64, control: &Control<'_>) -> Option<Story> {
    let control = Control {
        keep_requests: 1,
        ..*control
    };
    let (outcome, dynamic) = trace(plan, Seed::new(seed), &control);
    let end = *outcome.roots().first()?;
    let mut story = Story {
        request: only_request(plan, seed, outcome)?,
        reasons: Vec::new(),
        route_config: None,
        route: None,
        clusters: Vec::new(),
        hosts: Vec::new(),
        from: plan.loads[0].from.clone(),
        caller: None,
        class: None,
    };
    story.route_again(snapshot, plan, end.route);
    story.reasons.extend(dynamic);
    if let ActionPlan::Forward { clusters, .. } = &plan.routes[end.route as usize].action {
        story.clusters = clusters.iter().map(|c| c.name.to_string()).collect();
        if let Some(chosen) = clusters.get(end.weighted as usize)
            && chosen.slot != NIL
        {
            story.hosts = host_names(plan, chosen.slot);
        }
    }
    Some(story)
}

impl Story {
    /// Asks the router again, this time for its reasons.
    fn route_again(&mut self, snapshot: &Snapshot, plan: &Plan, route: u32) {
        let load = &plan.loads[0];
        let mix = load.mix.iter().find(|m| m.route == route);
        let caller = WorkloadId::new(load.app as usize);
        let workload = snapshot.workloads.get(caller);
        self.caller = workload.map(|_| caller);
        self.class = mix.map(|mix| mix.class.clone());
        let tables = workload
            .and_then(|w| w.tables)
            .map(|id| &snapshot.tables[id]);
        let (Some(mix), Some(tables)) = (mix, tables) else {
            return;
        };
        let mut resolver = Resolver::new(snapshot);
        let mut recorder = Recorder::default();
        let resolved = resolver.resolve(tables, &mix.class, &mut recorder);
        if let super::resolve::Resolved::Http { at, .. } = resolved {
            self.route_config = Some(at.0);
            self.route = Some((at.1, at.2));
        } else {
            self.route_config = resolver.config_of(tables, &mix.class);
        }
        self.reasons = recorder.0;
    }
}

fn only_request(plan: &Plan, seed: u64, outcome: Outcome) -> Option<RequestRecord> {
    record(plan, seed, &[outcome]).requests.into_iter().next()
}

fn host_names(plan: &Plan, slot: u32) -> Vec<String> {
    let places = &plan.slots[slot as usize].by_place;
    let Some(cluster) = places.iter().find(|c| **c != NIL) else {
        return Vec::new();
    };
    plan.clusters[*cluster as usize]
        .hosts
        .iter()
        .map(|host| {
            let pod = &plan.pods[host.pod as usize];
            if pod.name == pod.ip.to_string() {
                let what = match host.connect {
                    Connect::Refused | Connect::Blackhole => "where nothing listens",
                    _ => "an address outside the mesh",
                };
                return format!("{}:{}, {what},", pod.name, host.port);
            }
            let place = match pod.locality.to_string() {
                place if place.is_empty() => place,
                place => format!(", {place}"),
            };
            format!("pod {} ({}:{}{place})", pod.name, pod.ip, host.port)
        })
        .collect()
}
