//! The story of one request: the decisions on its way, for `curl` and later `explain`.
//!
//! Routing is memoised in runs, so the router is asked once more, with a recorder; everything
//! after it is a real run of one request.

use super::outcome::{Outcome, record};
use super::plan::{ActionPlan, ClusterPlan, Connect, NIL, Plan};
use super::resolve::{RequestClass, Resolver};
use super::run::{Control, trace};
use crate::data_plane::{Reason, Recorder};
use crate::engine::Seed;
use crate::observe::record::RequestRecord;
use crate::units::SimTime;
use crate::xds::snapshot::RouteConfigId;
use crate::xds::{Snapshot, WorkloadId};

/// The decisions about one request, in order, and what their indexes mean.
#[derive(Clone, Debug)]
pub struct Story {
    /// How it ended.
    pub request: RequestRecord,
    /// Why.
    pub reasons: Vec<Reason>,
    /// When each of the last reasons came up, as many as have a time: those of the router come
    /// first and have none.
    pub times: Vec<SimTime>,
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
    /// How many changes of configuration had reached the caller's routes.
    pub version: usize,
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
    let request = only_request(plan, seed, outcome)?;
    let load = &plan.loads[0];
    let teller = RouteTeller {
        plan,
        app: load.app,
        place: None,
        route: end.route,
        weighted: end.weighted,
    };
    let mut resolver = Resolver::new(snapshot);
    let mut story = teller.tell(snapshot, &mut resolver, request, load.from.clone());
    story.reasons.extend(dynamic);
    Some(story)
}

/// What is known of a call when its story begins.
pub(super) struct RouteTeller<'p> {
    pub(super) plan: &'p Plan,
    /// Who calls.
    pub(super) app: u32,
    /// Index of the caller's locality; any, if `None`.
    pub(super) place: Option<u32>,
    /// Its route plan, and which of its clusters was picked (`NIL` for none).
    pub(super) route: u32,
    pub(super) weighted: u32,
}

impl RouteTeller<'_> {
    /// The story up to the route: asks the router again, this time for its reasons.
    pub(super) fn tell<'s>(
        &self,
        snapshot: &'s Snapshot,
        resolver: &mut Resolver<'s>,
        request: RequestRecord,
        from: String,
    ) -> Story {
        let versions = self.plan.versions.as_deref();
        let version = versions.map_or(0, |versions| versions.of_route(self.route));
        let snapshot = snapshot.at(version);
        let mut later;
        let resolver = if version == 0 {
            resolver
        } else {
            later = Resolver::new(snapshot);
            &mut later
        };
        let caller = WorkloadId::new(self.app as usize);
        let workload = snapshot.workloads.get(caller);
        let class = self.plan.classes[self.route as usize].as_ref();
        let (clusters, hosts) = self.names();
        let mut story = Story {
            request,
            reasons: Vec::new(),
            times: Vec::new(),
            route_config: None,
            route: None,
            clusters,
            hosts,
            from,
            caller: workload.map(|_| caller),
            version,
            class: class.cloned(),
        };
        let tables = workload.and_then(|w| w.tables);
        if let (Some(class), Some(tables)) = (class, tables) {
            let tables = &snapshot.tables[tables];
            let mut recorder = Recorder::default();
            let resolved = resolver.resolve(tables, class, &mut recorder);
            if let super::resolve::Resolved::Http { at, .. } = resolved {
                story.route_config = Some(at.0);
                story.route = Some((at.1, at.2));
            } else {
                story.route_config = resolver.config_of(tables, class);
            }
            story.reasons = recorder.0;
        }
        story
    }

    /// Names of the route's clusters, and of the picked one's hosts.
    fn names(&self) -> (Vec<String>, Vec<String>) {
        let plan = self.plan;
        let ActionPlan::Forward { clusters, .. } = &plan.routes[self.route as usize].action else {
            return (Vec::new(), Vec::new());
        };
        let names = clusters.iter().map(|c| c.name.to_string()).collect();
        let chosen = clusters.get(self.weighted as usize);
        let slot = chosen.map(|c| c.slot).filter(|slot| *slot != NIL);
        let places = slot.map(|slot| &plan.slots[slot as usize].by_place);
        let cluster = places.and_then(|places| {
            let own = self.place.map(|place| places[place as usize]);
            let any = || places.iter().copied().find(|c| *c != NIL);
            own.filter(|c| *c != NIL).or_else(any)
        });
        let hosts = cluster.map(|c| host_names(plan, &plan.clusters[c as usize]));
        (names, hosts.unwrap_or_default())
    }
}

fn only_request(plan: &Plan, seed: u64, outcome: Outcome) -> Option<RequestRecord> {
    record(plan, seed, &[outcome]).requests.into_iter().next()
}

fn host_names(plan: &Plan, cluster: &ClusterPlan) -> Vec<String> {
    cluster
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
