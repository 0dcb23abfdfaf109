//! Who calls whom: the scenario's loads and the Model's `calls`, each request routed by the tables
//! of whoever sends it.
//!
//! The same resolver as in a run, and no clock: what *may* be asked, not what was. A kind of
//! request is routed once per sender, as in a run, so circles of calls end here too.

use std::collections::{BTreeMap, BTreeSet};

use super::Input;
use crate::config::scenario::{
    AppRetries, CallSpec, HeaderValue, Load, LoadSource, MixEntry, Model, OnError, WorkloadModel,
};
use crate::data_plane::mutate::upstream_request;
use crate::data_plane::{NoTrail, envoy_headers};
use crate::http::Headers;
use crate::simulation::{RequestClass, Resolved, Resolver};
use crate::units::{Origin, SimDuration};
use crate::xds::cluster::short_host;
use crate::xds::route::{Action, Forward};
use crate::xds::{
    Cluster, Endpoint, Name, PodId, ProxyKind, ProxyTables, Snapshot, Workload, WorkloadId,
};

/// All kinds of request.
#[derive(Default)]
pub(super) struct Calls<'a> {
    /// Named by their position.
    pub(super) requests: Vec<Request<'a>>,
    /// Where it begins: loads, or without a scenario the workloads of the Model that nobody calls.
    pub(super) roots: Vec<Asked<'a>>,
    /// The roots are the loads of a scenario.
    pub(super) of_scenario: bool,
}

/// One kind of request at the proxy of its sender.
pub(super) struct Request<'a> {
    /// `shop/front`, or `outside`.
    pub(super) from: Name,
    /// What its route does; `None` where no proxy routes it.
    pub(super) forward: Option<&'a Forward>,
    /// Where it may go.
    pub(super) ways: Vec<Way<'a>>,
}

/// One destination of a request.
pub(super) struct Way<'a> {
    /// `None`: plain Kubernetes.
    pub(super) cluster: Option<&'a Cluster>,
    /// `orders.shop`.
    pub(super) to: Name,
    /// The request as it is sent on.
    pub(super) sent: RequestClass,
    /// Who answers.
    pub(super) servers: Vec<Server<'a>>,
}

/// A workload that answers, with what it asks in turn.
pub(super) struct Server<'a> {
    pub(super) workload: WorkloadId,
    pub(super) behaviour: &'a WorkloadModel,
    pub(super) calls: Vec<Asked<'a>>,
}

/// A request with what its application thinks of it.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    /// Position among the requests.
    pub(super) request: usize,
    /// The application's own timeout of each try.
    pub(super) timeout: Option<SimDuration>,
    /// The application's own tries.
    pub(super) tries: u32,
    /// The call of the Model; `None` for a load.
    pub(super) call: Option<&'a CallSpec>,
    /// Where it was written.
    pub(super) origin: Origin,
}

impl Asked<'_> {
    /// What the caller answers with when this fails; `None`: its answer does not hang on it.
    pub(super) fn fails_with(&self) -> Option<u16> {
        let call = self.call.filter(|call| !call.is_async)?;
        match call.on_error {
            OnError::Fail(status) => Some(status),
            OnError::Ignore => None,
        }
    }

    /// The caller waits for the answer.
    pub(super) fn is_awaited(&self) -> bool {
        self.call.is_none_or(|call| !call.is_async)
    }
}

/// Follows every load, or without one the calls of workloads that nobody calls.
pub(super) fn calls<'a>(input: &Input<'a>, fallback: &'a Model) -> Calls<'a> {
    if input.model.is_none() && input.scenarios.is_empty() {
        return Calls::default();
    }
    let mut builder = Builder {
        snapshot: input.snapshot,
        model: input.model.unwrap_or(fallback),
        resolver: Resolver::new(input.snapshot),
        known: BTreeMap::new(),
        requests: Vec::new(),
    };
    let loads = || input.scenarios.iter().flat_map(|scenario| &scenario.load);
    let of_scenario = loads().next().is_some();
    let roots = if of_scenario {
        loads().flat_map(|load| builder.load(load)).collect()
    } else {
        builder.unasked()
    };
    Calls {
        requests: builder.requests,
        roots,
        of_scenario,
    }
}

struct Builder<'a> {
    snapshot: &'a Snapshot,
    model: &'a Model,
    resolver: Resolver<'a>,
    known: BTreeMap<(Option<WorkloadId>, RequestClass), usize>,
    requests: Vec<Request<'a>>,
}

impl<'a> Builder<'a> {
    /// The kinds of request of a load; none where its client does not exist.
    fn load(&mut self, load: &'a Load) -> Vec<Asked<'a>> {
        let from = match &load.from {
            LoadSource::Workload { name, .. } => {
                let Some(id) = self.snapshot.workload_of(name) else {
                    return Vec::new();
                };
                Some(id)
            }
            LoadSource::Outside { via, .. } => self.gateway(via.as_ref()),
        };
        let kinds: Vec<Option<&MixEntry>> = match load.mix.as_slice() {
            [] => vec![None],
            mix => mix.iter().filter(|m| m.weight > 0).map(Some).collect(),
        };
        let mut asked = Vec::new();
        for kind in kinds {
            let mut headers = Headers::new();
            let more = kind.into_iter().flat_map(|kind| &kind.headers);
            for (name, value) in load.headers.iter().chain(more) {
                headers.set(name, &some_value(value));
            }
            let url = kind.and_then(|kind| kind.url.as_ref()).unwrap_or(&load.url);
            let method = kind.and_then(|kind| kind.method.as_ref());
            let class = RequestClass::new(url.clone(), method.unwrap_or(&load.method), headers);
            asked.push(Asked {
                request: self.request(from, &class),
                timeout: load.timeout,
                tries: tries(load.retries.as_ref()),
                call: None,
                origin: load.origin,
            });
        }
        asked
    }

    /// The gateway that takes requests from outside: the one that is named, or the only one.
    fn gateway(&self, via: Option<&Name>) -> Option<WorkloadId> {
        let mut gateways = (self.snapshot.workloads.iter_ids())
            .filter(|(_, w)| w.proxy == ProxyKind::Gateway && !w.pods.is_empty());
        match via {
            Some(via) => gateways
                .find(|(_, w)| *w.full_name() == **via)
                .map(|(id, _)| id),
            None => match (gateways.next(), gateways.next()) {
                (Some((id, _)), None) => Some(id),
                _ => None,
            },
        }
    }

    /// What the workloads of the Model call that nobody calls, when they are asked without a header.
    fn unasked(&mut self) -> Vec<Asked<'a>> {
        let mut asked: Vec<(WorkloadId, Vec<Asked<'a>>)> = Vec::new();
        for name in self.model.workloads.keys() {
            if let Some(id) = self.snapshot.workload_of(name) {
                asked.push((id, self.calls_of(id, &Headers::new())));
            }
        }
        let servers = self.requests.iter().flat_map(|request| &request.ways);
        let called: BTreeSet<WorkloadId> = servers
            .flat_map(|way| &way.servers)
            .map(|server| server.workload)
            .collect();
        asked.retain(|(id, _)| !called.contains(id));
        asked.into_iter().flat_map(|(_, calls)| calls).collect()
    }

    fn behaviour(&self, workload: WorkloadId) -> &'a WorkloadModel {
        let name = self.snapshot.workloads[workload].full_name();
        let written = self.model.workloads.get(name.as_str());
        written.unwrap_or(&self.model.defaults)
    }

    /// What a workload calls for a request that reached it with these headers.
    fn calls_of(&mut self, workload: WorkloadId, incoming: &Headers) -> Vec<Asked<'a>> {
        let behaviour = self.behaviour(workload);
        let mut asked = Vec::new();
        for step in &behaviour.calls {
            let calls = step.calls();
            // Of a row of the same call the first stands for all.
            let again = |call: &&CallSpec| call.times.as_ref().is_some_and(|(_, at)| *at > 0);
            for call in calls.iter().filter(|call| !again(call)) {
                let mut headers = Headers::new();
                for name in &behaviour.propagate {
                    for value in incoming.all(name) {
                        headers.append(name, value);
                    }
                }
                for (name, value) in &call.headers {
                    headers.set(name, &some_value(value));
                }
                let class = RequestClass::new(call.url.clone(), &call.method, headers);
                asked.push(Asked {
                    request: self.request(Some(workload), &class),
                    timeout: call.timeout,
                    tries: tries(call.retries.as_ref()),
                    call: Some(call),
                    origin: call.origin,
                });
            }
        }
        asked
    }

    /// The position of a kind of request; routed when it is new.
    fn request(&mut self, from: Option<WorkloadId>, class: &RequestClass) -> usize {
        if let Some(known) = self.known.get(&(from, class.clone())) {
            return *known;
        }
        let at = self.requests.len();
        self.known.insert((from, class.clone()), at);
        let sender = from.map(|id| &self.snapshot.workloads[id]);
        let name = sender.map_or_else(|| "outside".to_owned(), Workload::full_name);
        self.requests.push(Request {
            from: name.into(),
            forward: None,
            ways: Vec::new(),
        });
        let tables = sender.filter(|w| w.proxy != ProxyKind::None);
        let tables = tables
            .and_then(|w| w.tables)
            .map(|id| &self.snapshot.tables[id]);
        let (forward, ways) = match tables {
            Some(tables) => self.routed(tables, class),
            None => (None, self.without_proxy(from, class)),
        };
        self.requests[at].forward = forward;
        self.requests[at].ways = ways;
        at
    }

    fn routed(
        &mut self,
        tables: &'a ProxyTables,
        class: &RequestClass,
    ) -> (Option<&'a Forward>, Vec<Way<'a>>) {
        let resolved = self.resolver.resolve(tables, class, &mut NoTrail);
        let Resolved::Http { route, at, .. } = resolved else {
            return (None, Vec::new());
        };
        let Action::Forward(forward) = &route.action else {
            return (None, Vec::new());
        };
        let mut seen = class.clone();
        envoy_headers::remove(&mut seen.headers);
        let mut ways = Vec::new();
        for (number, weighted) in forward.clusters.iter().enumerate() {
            let id = self.snapshot.cluster_named(tables, &weighted.name);
            let Some(id) = id.filter(|_| weighted.weight > 0) else {
                continue;
            };
            let router = self.resolver.router(at.0);
            let pattern = router.and_then(|r| r.rewrite_pattern(at.1, at.2));
            let made = upstream_request(route, forward, number, &seen.view(), pattern);
            let mut sent = seen.clone();
            (sent.authority, sent.headers) = (made.authority, made.headers);
            sent.url.path = made.path.into();
            let cluster = &self.snapshot.clusters[id];
            let servers = self.servers(&cluster.endpoints, &sent.headers);
            ways.push(Way {
                to: short_host(&cluster.host).into(),
                cluster: Some(cluster),
                sent,
                servers,
            });
        }
        (Some(forward), ways)
    }

    /// Plain Kubernetes: the pods of the Service.
    fn without_proxy(&mut self, from: Option<WorkloadId>, class: &RequestClass) -> Vec<Way<'a>> {
        let namespace = from.map_or("", |id| &self.snapshot.workloads[id].namespace);
        let Some(service) = self.resolver.service(&class.url.host, namespace) else {
            return Vec::new();
        };
        let service = &self.snapshot.services[service];
        let port = service.ports.iter().find(|p| p.port == class.url.port);
        let endpoints = port.map_or(&[][..], |port| &port.endpoints);
        vec![Way {
            cluster: None,
            to: short_host(&service.host).into(),
            sent: class.clone(),
            servers: self.servers(endpoints, &class.headers),
        }]
    }

    /// Every workload behind some endpoints, once.
    fn servers(&mut self, endpoints: &[Endpoint], headers: &Headers) -> Vec<Server<'a>> {
        let pods = &self.snapshot.pods;
        let mut workloads: Vec<WorkloadId> = (endpoints.iter())
            .filter_map(|endpoint| endpoint.pod)
            .filter(|pod: &PodId| !pods[*pod].spare)
            .map(|pod| pods[pod].workload)
            .collect();
        workloads.sort_unstable();
        workloads.dedup();
        let server = |workload| Server {
            workload,
            behaviour: self.behaviour(workload),
            calls: self.calls_of(workload, headers),
        };
        workloads.into_iter().map(server).collect()
    }
}

/// Tries of an application itself.
fn tries(retries: Option<&AppRetries>) -> u32 {
    retries.map_or(1, |r| r.attempts.saturating_add(1))
}

/// A value that a request may carry.
fn some_value(value: &HeaderValue) -> String {
    match value {
        HeaderValue::Text(text) => text.to_string(),
        HeaderValue::Uniform { prefix, .. } | HeaderValue::Zipf { prefix, .. } => {
            format!("{prefix}0")
        }
    }
}
