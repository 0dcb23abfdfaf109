//! Route plans: the memoised routing of every kind of request that can occur.
//!
//! A kind of request is routed once per client workload; what its servers call in turn is
//! expanded until nothing new appears. Kinds are finite, because a call's URL and headers are
//! written in the Model and only headers are propagated.

use std::collections::BTreeMap;

use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use super::build::{Builder, DRAWN, set_header};
use super::build_cluster::{SlotKey, Slots, Upstream};
use super::plan::{
    ActionPlan, HashPart, Inbound, InboundPlan, LoadPlan, MirrorPlan, NIL, RoutePlan, Row, Target,
    WeightedPlan,
};
use super::resolve::{RequestClass, Resolved};
use crate::config::scenario::{LoadStyle, StepSpec};
use crate::data_plane::NoTrail;
use crate::data_plane::hash_policy::{Downstream, request_hash};
use crate::data_plane::mutate::upstream_request;
use crate::data_plane::timeout::Timeouts;
use crate::http::{Details, Flags, Headers};
use crate::units::{Origin, SimDuration};
use crate::xds::cluster::ClusterKind;
use crate::xds::route::{Action, HashPolicy, Route, WeightedCluster};
use crate::xds::snapshot::RouteConfigId;
use crate::xds::{Name, ProxyKind, WorkloadId};

/// All route plans while they are made.
#[derive(Default)]
pub(super) struct Routes {
    pub(super) plans: Vec<RoutePlan>,
    pub(super) children: Vec<u32>,
    pub(super) rows: Vec<Row>,
    pub(super) slots: Slots,
    /// Inbound clusters that limit something.
    pub(super) inbounds: Vec<InboundPlan>,
    known: BTreeMap<(u32, RequestClass), u32>,
    row_ids: BTreeMap<Row, u32>,
    /// (route, weighted cluster) whose servers' calls are not routed yet, with the class they see.
    open: Vec<(u32, usize, RequestClass)>,
    /// Who calls whom, for cycles.
    calls: BTreeMap<(u32, u32), Origin>,
}

/// A request together with who sends it.
struct Sender<'s> {
    app: u32,
    from: &'s str,
    class: &'s RequestClass,
}

impl Routes {
    /// The plan for a kind of request from an app; `from` names the caller in reports.
    pub(super) fn plan(
        &mut self,
        builder: &mut Builder<'_>,
        app: u32,
        from: &str,
        class: &RequestClass,
    ) -> u32 {
        if let Some(route) = self.known.get(&(app, class.clone())) {
            return *route;
        }
        let id = self.plans.len() as u32;
        self.known.insert((app, class.clone()), id);
        self.plans.push(placeholder());
        let sender = Sender { app, from, class };
        let plan = self.make(builder, id, &sender);
        self.plans[id as usize] = plan;
        id
    }

    fn make(&mut self, builder: &mut Builder<'_>, id: u32, sender: &Sender<'_>) -> RoutePlan {
        let snapshot = builder.snapshot;
        let workload = snapshot.workloads.get(WorkloadId::new(sender.app as usize));
        let tables = workload
            .and_then(|w| w.tables)
            .filter(|_| workload.is_some_and(|w| w.proxy != ProxyKind::None));
        let Some(tables) = tables.map(|id| &snapshot.tables[id]) else {
            return self.without_proxy(builder, id, sender);
        };
        match builder.resolver.resolve(tables, sender.class, &mut NoTrail) {
            Resolved::Http { route, at, .. } => self.http(builder, id, sender, route, at),
            Resolved::NoRoute => self.local(sender, 404, Flags::NR, Details::RouteNotFound),
            Resolved::Closed => self.local(sender, 0, Flags::UH, Details::NoHealthyUpstream),
            Resolved::Tcp(clusters) => self.tcp(builder, id, sender, &clusters),
        }
    }

    fn local(
        &mut self,
        sender: &Sender<'_>,
        status: u16,
        flags: Flags,
        details: Details,
    ) -> RoutePlan {
        let row = self.row(sender, "-", "-");
        RoutePlan {
            row,
            action: ActionPlan::Local {
                status,
                flags,
                details,
            },
            path: sender.class.url.path.to_string(),
            ..placeholder()
        }
    }

    fn http(
        &mut self,
        builder: &mut Builder<'_>,
        id: u32,
        sender: &Sender<'_>,
        route: &Route,
        at: (RouteConfigId, usize, usize),
    ) -> RoutePlan {
        let forward = match &route.action {
            Action::Forward(forward) => forward,
            Action::Redirect(redirect) => return self.direct(sender, route, redirect.status),
            Action::Direct(direct) => return self.direct(sender, route, direct.status),
            Action::Unusable => return self.local(sender, 404, Flags::NR, Details::RouteNotFound),
        };
        let view = sender.class.view();
        let mut clusters = Vec::with_capacity(forward.clusters.len());
        let mut sent_classes = Vec::with_capacity(forward.clusters.len());
        for (index, weighted) in forward.clusters.iter().enumerate() {
            let pattern = builder
                .resolver
                .router(at.0)
                .and_then(|r| r.rewrite_pattern(at.1, at.2));
            let sent = upstream_request(route, forward, index, &view, pattern);
            let class = RequestClass {
                url: crate::http::Url {
                    path: sent.path.as_str().into(),
                    ..sender.class.url.clone()
                },
                authority: sent.authority,
                method: sent.method.as_str().into(),
                headers: sent.headers,
            };
            sent_classes.push(class.clone());
            let mut plan = self.weighted(
                builder,
                id,
                sender,
                weighted,
                forward.cluster_not_found_status,
                class,
                index,
            );
            plan.hash = hash_parts(&forward.hash, &sent_classes[index]);
            clusters.push(plan);
        }
        let timeouts = Timeouts::of_request(
            forward.timeout,
            forward.retry.as_ref().and_then(|r| r.per_try_timeout),
            sender.class.headers.get("content-type"),
            sender.class.headers.get("grpc-timeout"),
        );
        let mirrors = forward
            .mirrors
            .iter()
            .map(|m| MirrorPlan {
                fraction: m.fraction,
                shadows: self.shadows(builder, sender, timeouts.route, &m.cluster, &sent_classes),
            })
            .collect();
        RoutePlan {
            fault: route.fault.clone(),
            timeout: timeouts.route,
            per_try_timeout: timeouts.per_try,
            retry: forward.retry.clone().map(Box::new),
            mirrors,
            row: self.row(sender, "-", "-"),
            path: sender.class.url.path.to_string(),
            action: forward_action(clusters),
            ..placeholder()
        }
    }

    /// A redirect or direct response; the fault filter comes before it.
    fn direct(&mut self, sender: &Sender<'_>, route: &Route, status: u16) -> RoutePlan {
        RoutePlan {
            fault: route.fault.clone(),
            ..self.local(sender, status, Flags::NONE, Details::DirectResponse)
        }
    }

    /// The copies of what goes to each weighted cluster; equal ones are made once.
    fn shadows(
        &mut self,
        builder: &mut Builder<'_>,
        sender: &Sender<'_>,
        timeout: Option<SimDuration>,
        cluster: &Name,
        classes: &[RequestClass],
    ) -> Vec<u32> {
        let mut shadows: Vec<u32> = Vec::with_capacity(classes.len());
        for (index, class) in classes.iter().enumerate() {
            let known = classes[..index].iter().position(|earlier| earlier == class);
            let shadow = match known {
                Some(earlier) => shadows[earlier],
                None => self.shadow(builder, sender, timeout, cluster, class),
            };
            shadows.push(shadow);
        }
        shadows
    }

    /// A copy of the request to a mirror cluster: no retries, no fault, nobody waits. It is taken
    /// after the route's rewrites and header operations.
    fn shadow(
        &mut self,
        builder: &mut Builder<'_>,
        sender: &Sender<'_>,
        timeout: Option<SimDuration>,
        cluster: &Name,
        class: &RequestClass,
    ) -> u32 {
        let id = self.plans.len() as u32;
        self.plans.push(placeholder());
        let weighted = WeightedCluster {
            name: cluster.clone(),
            weight: 1,
            request_headers: crate::xds::route::HeaderOps::default(),
            response_headers: crate::xds::route::HeaderOps::default(),
            origin: Origin::BUILT_IN,
        };
        let from = format!("{} (mirror)", sender.from);
        let sender = Sender {
            from: &from,
            ..*sender
        };
        let plan = self.weighted(builder, id, &sender, &weighted, 503, class.clone(), 0);
        self.plans[id as usize] = RoutePlan {
            timeout,
            row: self.row(&sender, "-", "-"),
            path: class.url.path.to_string(),
            action: forward_action(vec![plan]),
            is_shadow: true,
            ..placeholder()
        };
        id
    }

    fn tcp(
        &mut self,
        builder: &mut Builder<'_>,
        id: u32,
        sender: &Sender<'_>,
        clusters: &[(Name, u32)],
    ) -> RoutePlan {
        let plans = clusters
            .iter()
            .enumerate()
            .map(|(index, (name, weight))| {
                let weighted = WeightedCluster {
                    name: name.clone(),
                    weight: *weight,
                    request_headers: crate::xds::route::HeaderOps::default(),
                    response_headers: crate::xds::route::HeaderOps::default(),
                    origin: Origin::BUILT_IN,
                };
                self.weighted(
                    builder,
                    id,
                    sender,
                    &weighted,
                    0,
                    sender.class.clone(),
                    index,
                )
            })
            .collect();
        RoutePlan {
            row: self.row(sender, "-", "-"),
            path: sender.class.url.path.to_string(),
            action: forward_action(plans),
            ..placeholder()
        }
    }

    /// What Kubernetes alone does: a random ready endpoint of the Service.
    fn without_proxy(
        &mut self,
        builder: &mut Builder<'_>,
        id: u32,
        sender: &Sender<'_>,
    ) -> RoutePlan {
        let upstream = Upstream::of_service(builder, sender.app, sender.class);
        let key = SlotKey {
            app: sender.app,
            cluster: upstream.name.to_string(),
            host: sender.class.url.host.to_string(),
        };
        let plan = self.targets(
            builder,
            id,
            sender,
            key,
            upstream,
            1,
            sender.class.clone(),
            0,
        );
        RoutePlan {
            row: self.row(sender, "-", "-"),
            path: sender.class.url.path.to_string(),
            action: forward_action(vec![plan]),
            has_proxy: false,
            ..placeholder()
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one weighted cluster with everything it is made from"
    )]
    fn weighted(
        &mut self,
        builder: &mut Builder<'_>,
        id: u32,
        sender: &Sender<'_>,
        weighted: &WeightedCluster,
        not_found: u16,
        class: RequestClass,
        index: usize,
    ) -> WeightedPlan {
        let snapshot = builder.snapshot;
        let tables = snapshot.workloads[WorkloadId::new(sender.app as usize)]
            .tables
            .map(|id| &snapshot.tables[id]);
        let cluster = tables
            .and_then(|t| snapshot.cluster_named(t, &weighted.name))
            .map(|id| &snapshot.clusters[id]);
        let passthrough = &*weighted.name == "PassthroughCluster";
        let own_choice =
            |c: &crate::xds::Cluster| c.kind == ClusterKind::OriginalDst && c.endpoints.is_empty();
        let upstream = match cluster {
            None if passthrough => Some(Upstream::passthrough(builder, sender.app, sender.class)),
            None => None,
            Some(cluster) if passthrough || own_choice(cluster) => {
                Some(Upstream::passthrough(builder, sender.app, sender.class).renamed(cluster))
            }
            Some(cluster) => Some(Upstream::of_cluster(builder, cluster)),
        };
        let Some(upstream) = upstream else {
            return WeightedPlan {
                weight: u64::from(weighted.weight),
                name: weighted.name.clone(),
                slot: NIL,
                position: NIL,
                not_found_status: not_found,
                path: class.url.path.to_string(),
                hash: Vec::new(),
                targets: Vec::new(),
                row: self.row(sender, &weighted.name, "-"),
            };
        };
        let host = if upstream.by_host {
            sender.class.url.host.to_string()
        } else {
            String::new()
        };
        let key = SlotKey {
            app: sender.app,
            cluster: weighted.name.to_string(),
            host,
        };
        self.targets(
            builder,
            id,
            sender,
            key,
            upstream,
            u64::from(weighted.weight),
            class,
            index,
        )
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one weighted cluster with everything it is made from"
    )]
    fn targets(
        &mut self,
        builder: &mut Builder<'_>,
        id: u32,
        sender: &Sender<'_>,
        key: SlotKey,
        upstream: Upstream,
        weight: u64,
        class: RequestClass,
        index: usize,
    ) -> WeightedPlan {
        let name = upstream.name.clone();
        let http2 = upstream.is_http2();
        let mut targets: Vec<Target> = Vec::new();
        for endpoint in &upstream.hosts {
            let app = builder.pods[endpoint.pod as usize].app;
            if targets
                .iter()
                .any(|t| t.app == app && t.port == endpoint.port)
            {
                continue;
            }
            let mut inbound = Upstream::inbound(builder, sender.app, app, endpoint, &class);
            if inbound == Inbound::Forward(NIL) {
                inbound = Inbound::Forward(self.inbound_plan(builder, app, endpoint.port, http2));
            }
            let to = builder.apps[app as usize].name.clone();
            let row = self.row(sender, &name, &to);
            targets.push(Target {
                app,
                port: endpoint.port,
                children: NIL,
                inbound,
                row,
            });
            self.calls
                .entry((sender.app, app))
                .or_insert(Origin::BUILT_IN);
        }
        let path = class.url.path.to_string();
        let (slot, position) = self.slots.slot(key, upstream);
        self.open.push((id, index, class));
        WeightedPlan {
            weight,
            row: self.row(sender, &name, "-"),
            name,
            slot,
            position,
            not_found_status: 503,
            path,
            hash: Vec::new(),
            targets,
        }
    }

    /// Routes what servers call, until nothing new appears.
    pub(super) fn expand(&mut self, builder: &mut Builder<'_>) {
        while let Some((route, index, class)) = self.open.pop() {
            let ActionPlan::Forward { clusters, .. } = &self.plans[route as usize].action else {
                continue;
            };
            let apps: Vec<u32> = clusters[index].targets.iter().map(|t| t.app).collect();
            for (at, app) in apps.into_iter().enumerate() {
                let plans = self.calls_of(builder, app, &class);
                let base = self.children.len() as u32;
                self.children.extend(plans);
                if let ActionPlan::Forward { clusters, .. } = &mut self.plans[route as usize].action
                {
                    clusters[index].targets[at].children = base;
                }
            }
        }
    }

    /// The route plans of an app's calls for one kind of incoming request.
    fn calls_of(
        &mut self,
        builder: &mut Builder<'_>,
        app: u32,
        incoming: &RequestClass,
    ) -> Vec<u32> {
        let behaviour = builder.behaviour(app);
        let from = builder.apps[app as usize].name.clone();
        let mut plans = Vec::new();
        for step in &behaviour.calls {
            let calls = match step {
                StepSpec::Call(call) => std::slice::from_ref(call),
                StepSpec::Parallel(calls) => calls.as_slice(),
            };
            for call in calls {
                let mut headers = Headers::new();
                for name in &behaviour.propagate {
                    for value in incoming.headers.all(name) {
                        headers.append(name, value);
                    }
                }
                for (name, value) in &call.headers {
                    // A value drawn in a call uses the number drawn at the root, if any.
                    set_header(&mut headers, name, value, &mut None);
                }
                let class = RequestClass::new(call.url.clone(), &call.method, headers);
                plans.push(self.plan(builder, app, &from, &class));
            }
        }
        plans
    }

    /// Call graphs must end: an application that is called back would call for ever.
    pub(super) fn check_cycles(&self, builder: &mut Builder<'_>) {
        let mut graph: DiGraph<u32, ()> = DiGraph::new();
        let nodes: Vec<NodeIndex> = (0..builder.apps.len())
            .map(|app| graph.add_node(app as u32))
            .collect();
        let calling = |app: u32| !builder.apps[app as usize].calls.is_empty();
        let edges: Vec<(u32, u32)> = self
            .calls
            .keys()
            .copied()
            .filter(|(from, _)| calling(*from))
            .collect();
        for (from, to) in &edges {
            graph.add_edge(nodes[*from as usize], nodes[*to as usize], ());
        }
        let mut cycles: Vec<Vec<u32>> = tarjan_scc(&graph)
            .into_iter()
            .map(|component| {
                component
                    .into_iter()
                    .map(|n| graph[n])
                    .collect::<Vec<u32>>()
            })
            .filter(|c| c.len() > 1 || edges.contains(&(c[0], c[0])))
            .collect();
        cycles.sort();
        for mut cycle in cycles {
            cycle.sort_unstable();
            let names: Vec<&str> = cycle
                .iter()
                .map(|app| builder.apps[*app as usize].name.as_str())
                .collect();
            let message = format!(
                "calls go round in a circle: {} → {}",
                names.join(" → "),
                names[0]
            );
            let origin = builder.behaviour(cycle[0]).origin;
            builder.fail("TT-CALL-CYCLE", origin, message).help =
                Some("remove one of these `calls`: every request would call for ever".into());
        }
    }

    /// Hops per second at the offered rate, every call expanded (retries not counted).
    pub(super) fn expected_hops(&self, loads: &[LoadPlan]) -> f64 {
        let mut memo = BTreeMap::new();
        loads
            .iter()
            .map(|load| {
                let rate = match &load.style {
                    LoadStyle::Open { rate, .. } => rate.as_f64(),
                    LoadStyle::Closed {
                        connections, qps, ..
                    } => qps.map_or(
                        f64::from(*connections) * 50.0,
                        super::super::units::rate::Rate::as_f64,
                    ),
                };
                let tree = load
                    .mix
                    .iter()
                    .map(|m| self.tree(m.route, &mut memo, 0))
                    .fold(0.0, f64::max);
                rate * tree
            })
            .sum()
    }

    fn tree(&self, route: u32, memo: &mut BTreeMap<u32, f64>, depth: u32) -> f64 {
        if let Some(size) = memo.get(&route) {
            return *size;
        }
        // A cycle was reported already; it must not run away here.
        if depth > 512 {
            return 1.0;
        }
        let mut size: f64 = 0.0;
        if let ActionPlan::Forward { clusters, .. } = &self.plans[route as usize].action {
            for target in clusters.iter().flat_map(|c| &c.targets) {
                let end = self
                    .children
                    .len()
                    .min((target.children as usize).saturating_add(self.calls_made(target)));
                let below = self
                    .children
                    .get(target.children as usize..end)
                    .unwrap_or(&[]);
                size = size.max(
                    1.0 + below
                        .iter()
                        .map(|r| self.tree(*r, memo, depth + 1))
                        .sum::<f64>(),
                );
            }
        }
        memo.insert(route, size);
        size
    }

    /// Number of calls of a target: up to where the next base begins.
    fn calls_made(&self, target: &Target) -> usize {
        self.slots
            .calls
            .get(target.app as usize)
            .copied()
            .unwrap_or(0)
    }

    /// Apps that can receive requests.
    pub(super) fn used_apps(&self) -> impl Iterator<Item = u32> + '_ {
        let used: std::collections::BTreeSet<u32> = self.calls.keys().map(|(_, to)| *to).collect();
        used.into_iter()
    }

    /// The row of a caller, cluster and server.
    fn row(&mut self, sender: &Sender<'_>, cluster: &str, to: &str) -> u32 {
        let row = Row {
            from: sender.from.to_owned(),
            service: sender.class.url.authority(),
            cluster: cluster.to_owned(),
            to: to.to_owned(),
        };
        if let Some(id) = self.row_ids.get(&row) {
            return *id;
        }
        let id = self.rows.len() as u32;
        self.rows.push(row.clone());
        self.row_ids.insert(row, id);
        id
    }
}

fn forward_action(clusters: Vec<WeightedPlan>) -> ActionPlan {
    let total = clusters.iter().map(|c| c.weight).sum();
    ActionPlan::Forward { clusters, total }
}

fn placeholder() -> RoutePlan {
    RoutePlan {
        fault: None,
        action: ActionPlan::Local {
            status: 0,
            flags: Flags::NONE,
            details: Details::NoProxy,
        },
        timeout: None,
        per_try_timeout: None,
        retry: None,
        mirrors: Vec::new(),
        row: 0,
        path: String::new(),
        has_proxy: true,
        is_shadow: false,
    }
}

/// Evaluates what can be known of the hash beforehand; drawn headers and client addresses stay
/// open. A cookie that the proxy would generate differs per connection of the application; here
/// all of a pod's connections count as one.
fn hash_parts(policies: &[HashPolicy], sent: &RequestClass) -> Vec<HashPart> {
    let nobody = Downstream {
        remote_ip: "",
        remote_address: "",
        local_address: "",
    };
    let mut parts = Vec::new();
    for policy in policies {
        match policy {
            HashPolicy::SourceIp => parts.push(HashPart::SourceIp),
            HashPolicy::Header(name) if sent.headers.get(name) == Some(DRAWN) => {
                parts.push(HashPart::Drawn);
            }
            HashPolicy::Cookie {
                name, ttl: Some(_), ..
            } if !has_cookie(&sent.headers, name) => parts.push(HashPart::SourceIp),
            other => parts.extend(
                request_hash(std::slice::from_ref(other), &sent.view(), &nobody)
                    .map(HashPart::Fixed),
            ),
        }
    }
    parts
}

fn has_cookie(headers: &Headers, name: &str) -> bool {
    headers
        .all("cookie")
        .flat_map(|line| line.split(';'))
        .any(|c| c.trim().split('=').next() == Some(name))
}
