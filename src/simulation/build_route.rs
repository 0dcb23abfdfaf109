//! Route plans: the memoised routing of every kind of request that can occur.
//!
//! A kind of request is routed once per client workload; what its servers call in turn is
//! expanded until nothing new appears. Kinds are finite, because a call's URL and headers are
//! written in the Model and only headers are propagated.

use std::collections::BTreeMap;

use super::build::Builder;
use super::build_cluster::Slots;
use super::build_hash::hash_parts;
use super::build_policy::Policy;
use super::filter_plan::{FilterPlans, FilterSteps, Manager};
use super::plan::{ActionPlan, Guard, InboundPlan, MirrorPlan, NIL, RoutePlan, Row, WeightedPlan};
use super::resolve::{RequestClass, Resolved};
use crate::data_plane::mutate::upstream_request;
use crate::data_plane::retry::passes_success;
use crate::data_plane::{NoTrail, envoy_headers};
use crate::http::{Details, Flags};
use crate::units::{Origin, SimDuration};
use crate::xds::listener::HttpConnectionManager;
use crate::xds::route::{Action, Forward, Route, WeightedCluster};
use crate::xds::snapshot::RouteConfigId;
use crate::xds::{Name, ProxyKind, ProxyTables, WorkloadId};

/// All route plans while they are made.
#[derive(Default)]
pub(super) struct Routes {
    pub(super) plans: Vec<RoutePlan>,
    pub(super) children: Vec<u32>,
    pub(super) rows: Vec<Row>,
    pub(super) slots: Slots,
    /// Inbound clusters that limit something.
    pub(super) inbounds: Vec<InboundPlan>,
    pub(super) guards: Vec<Guard>,
    /// Filters that people added.
    pub(super) filters: FilterPlans,
    known: BTreeMap<(u32, RequestClass), u32>,
    /// The plans of a kind of request under later versions of the tables, by its first plan.
    pub(super) later: BTreeMap<u32, Vec<u32>>,
    row_ids: BTreeMap<Row, u32>,
    /// (route, weighted cluster) whose servers' calls are not routed yet, with the class they see.
    pub(super) open: Vec<(u32, usize, RequestClass)>,
    /// Who calls whom, for cycles.
    pub(super) calls: BTreeMap<(u32, u32), Origin>,
}

/// A request together with who sends it.
#[derive(Clone, Copy)]
pub(super) struct Sender<'s> {
    pub(super) app: u32,
    pub(super) from: &'s str,
    pub(super) class: &'s RequestClass,
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
        for version in 1..builder.tables.count() {
            builder.turn_to(version);
            let other = self.plans.len() as u32;
            self.plans.push(placeholder());
            let plan = self.make(builder, other, &sender);
            self.plans[other as usize] = plan;
            self.later.entry(id).or_default().push(other);
        }
        builder.turn_to(0);
        id
    }

    /// The kind of request that each plan is for.
    pub(super) fn classes(&self) -> Vec<Option<RequestClass>> {
        let mut classes = vec![None; self.plans.len()];
        for ((_, class), id) in &self.known {
            let later = self.later.get(id).into_iter().flatten();
            for id in later.chain([id]) {
                classes[*id as usize] = Some(class.clone());
            }
        }
        classes
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
        let (plan, route) = match builder.resolver.resolve(tables, sender.class, &mut NoTrail) {
            Resolved::Http { route, at, hcm, .. } => (
                self.http(builder, id, sender, (route, hcm), at),
                Some(route),
            ),
            Resolved::NoRoute => (
                self.local(sender, 404, Flags::NR, Details::RouteNotFound),
                None,
            ),
            Resolved::Closed => {
                return self.local(sender, 0, Flags::UH, Details::NoHealthyUpstream);
            }
            Resolved::Tcp(clusters) => return self.tcp(builder, id, sender, &clusters),
        };
        let filters = self.added_filters(builder, sender, tables, route);
        let fault_scope = match &plan.fault {
            Some(_) => self.fault_scope(builder, sender, tables),
            None => NIL,
        };
        RoutePlan {
            has_filters: plan.fault.is_some() || filters.is_some(),
            filters,
            fault_scope,
            ..plan
        }
    }

    /// Where the fault filter of the connection manager that takes the request counts.
    fn fault_scope(
        &mut self,
        builder: &Builder<'_>,
        sender: &Sender<'_>,
        tables: &ProxyTables,
    ) -> u32 {
        let chain = builder.resolver.chain_of(tables, sender.class);
        let name = chain.map_or("", |(listener, _)| &listener.name);
        let prefix = manager_prefix(tables, name);
        let workload = &builder.apps[sender.app as usize].name;
        self.filters.scope(workload, &prefix)
    }

    /// The filters people added to the connection manager that takes the request.
    fn added_filters(
        &mut self,
        builder: &Builder<'_>,
        sender: &Sender<'_>,
        tables: &ProxyTables,
        route: Option<&Route>,
    ) -> Option<Box<FilterSteps>> {
        let (listener, number) = builder.resolver.chain_of(tables, sender.class)?;
        let filters = &listener.chains[number].hcm.filters;
        if filters.is_empty() {
            return None;
        }
        let manager = Manager {
            app: sender.app,
            workload: &builder.apps[sender.app as usize].name,
            place: &format!("{}/{number}", listener.name),
            prefix: &manager_prefix(tables, &listener.name),
        };
        let of_route = route.and_then(|r| r.filters.as_deref());
        let steps = self.filters.steps(manager, filters, of_route, sender.class);
        Some(Box::new(steps))
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
        (route, hcm): (&Route, &HttpConnectionManager),
        at: (RouteConfigId, usize, usize),
    ) -> RoutePlan {
        let forward = match &route.action {
            Action::Forward(forward) => forward,
            Action::Redirect(redirect) => {
                return self.direct(sender, (route, hcm), redirect.status);
            }
            Action::Direct(direct) => return self.direct(sender, (route, hcm), direct.status),
            Action::Unusable => return self.local(sender, 404, Flags::NR, Details::RouteNotFound),
        };
        let stream = stream_limit(builder, sender, forward);
        let policy = Policy::of(forward, hcm, sender.class, stream);
        // Obeyed or not, `x-envoy-*` of the client never goes further.
        let mut class = sender.class.clone();
        envoy_headers::remove(&mut class.headers);
        let view = class.view();
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
                false,
            );
            plan.hash = hash_parts(&forward.hash, &sent_classes[index]);
            clusters.push(plan);
        }
        let mirrors = forward
            .mirrors
            .iter()
            .map(|m| MirrorPlan {
                fraction: m.fraction,
                shadows: self.shadows(builder, sender, policy.timeout, &m.cluster, &sent_classes),
            })
            .collect();
        RoutePlan {
            fault: route.fault.clone(),
            timeout: policy.timeout,
            per_try_timeout: policy.per_try_timeout,
            success_passes: policy.retry.as_deref().is_none_or(passes_success),
            retry: policy.retry,
            rare: policy.rare,
            mirrors,
            row: self.row(sender, "-", "-"),
            path: sender.class.url.path.to_string(),
            action: forward_action(clusters),
            ..placeholder()
        }
    }

    /// A redirect or direct response; the fault filter comes before it.
    fn direct(
        &mut self,
        sender: &Sender<'_>,
        (route, hcm): (&Route, &HttpConnectionManager),
        status: u16,
    ) -> RoutePlan {
        RoutePlan {
            rare: Policy::of_answered(hcm, sender.class).rare,
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
        let plan = self.weighted(
            builder,
            id,
            &sender,
            &weighted,
            503,
            class.clone(),
            0,
            false,
        );
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

    /// The row of a caller, cluster and server.
    pub(super) fn row(&mut self, sender: &Sender<'_>, cluster: &str, to: &str) -> u32 {
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

/// The `max_stream_duration` of a route's clusters. One timer is kept per route: where clusters
/// differ the shortest holds for all, and that is said.
fn stream_limit(
    builder: &mut Builder<'_>,
    sender: &Sender<'_>,
    forward: &Forward,
) -> Option<SimDuration> {
    let snapshot = builder.snapshot;
    let workload = &snapshot.workloads[WorkloadId::new(sender.app as usize)];
    let tables = &snapshot.tables[workload.tables?];
    let clusters = forward.clusters.iter();
    let limits: Vec<Option<SimDuration>> = clusters
        .filter_map(|c| snapshot.cluster_named(tables, &c.name))
        .map(|id| snapshot.clusters[id].pool.max_stream_duration)
        .collect();
    let shortest = limits.iter().flatten().min().copied();
    if limits.iter().any(|limit| *limit != shortest) {
        let warning = format!(
            "the clusters of a route of {} differ in `max_stream_duration`: the shortest, {}, is simulated for all of them",
            workload.full_name(),
            shortest.unwrap_or_default()
        );
        if !builder.warnings.contains(&warning) {
            builder.warnings.push(warning);
        }
    }
    shortest
}

/// Prefix of a connection manager's statistics.
fn manager_prefix(tables: &ProxyTables, listener: &str) -> String {
    let direction = match tables.kind {
        ProxyKind::Gateway => "inbound",
        ProxyKind::Sidecar | ProxyKind::None => "outbound",
    };
    format!("http.{direction}_{listener}")
}

pub(super) fn forward_action(clusters: Vec<WeightedPlan>) -> ActionPlan {
    let total = clusters.iter().map(|c| c.weight).sum();
    ActionPlan::Forward { clusters, total }
}

pub(super) fn placeholder() -> RoutePlan {
    RoutePlan {
        fault: None,
        fault_scope: NIL,
        action: ActionPlan::Local {
            status: 0,
            flags: Flags::NONE,
            details: Details::NoProxy,
        },
        timeout: None,
        per_try_timeout: None,
        retry: None,
        rare: None,
        mirrors: Vec::new(),
        has_filters: false,
        filters: None,
        row: 0,
        path: String::new(),
        has_proxy: true,
        is_shadow: false,
        several_targets: false,
        success_passes: true,
    }
}
