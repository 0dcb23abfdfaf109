//! Who calls whom: what servers call in turn is routed until nothing new appears, circles are
//! found, and the work a load will cause is estimated.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use super::build::Builder;
use super::build_load::set_header;
use super::build_route::Routes;
use super::plan::{ActionPlan, LoadPlan, RoutePlan, Target};
use super::resolve::RequestClass;
use crate::config::scenario::{LoadStyle, StepSpec};
use crate::engine::RateCurve;
use crate::http::Headers;

impl Routes {
    /// Routes what servers call, until nothing new appears.
    pub(super) fn expand(&mut self, builder: &mut Builder<'_>) {
        while let Some((route, index, class)) = self.open.pop() {
            let ActionPlan::Forward { clusters, .. } = &self.plans[route as usize].action else {
                continue;
            };
            let apps: Vec<u32> = clusters[index].targets.iter().map(|t| t.app).collect();
            for (at, app) in apps.into_iter().enumerate() {
                let level = level(builder, app, &class);
                let plans = self.calls_of(builder, app, &class);
                let base = self.children.len() as u32;
                self.children.extend(plans);
                if let ActionPlan::Forward { clusters, .. } = &mut self.plans[route as usize].action
                {
                    clusters[index].targets[at].children = base;
                    clusters[index].targets[at].level = level;
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
            let calls = step.calls();
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
        let edges = self.calls_between_apps();
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
            let behaviour = builder.behaviour(cycle[0]);
            let mut calls = behaviour.calls.iter().flat_map(StepSpec::calls);
            let origin = calls.next().map_or(behaviour.origin, |call| call.origin);
            builder.fail("TT-CALL-CYCLE", origin, message).help =
                Some("remove one of these `calls`: every request would call for ever".into());
        }
    }

    /// Who calls whom because it was called; what loads send is no part of it.
    fn calls_between_apps(&self) -> BTreeSet<(u32, u32)> {
        let targets = |route: &RoutePlan| match &route.action {
            ActionPlan::Forward { clusters, .. } => {
                let targets = clusters.iter().flat_map(|c| &c.targets).copied();
                targets.collect::<Vec<Target>>()
            }
            ActionPlan::Local { .. } => Vec::new(),
        };
        let mut edges = BTreeSet::new();
        for target in self.plans.iter().flat_map(targets) {
            let begin = target.children as usize;
            let end = begin.saturating_add(self.calls_made(&target));
            let below = self.children.get(begin..end.min(self.children.len()));
            for child in below.unwrap_or(&[]) {
                let called = targets(&self.plans[*child as usize]);
                edges.extend(called.iter().map(|called| (target.app, called.app)));
            }
        }
        edges
    }

    /// Hops per second at the offered rate, every call expanded (retries not counted).
    pub(super) fn expected_hops(&self, loads: &[LoadPlan]) -> f64 {
        let mut memo = BTreeMap::new();
        loads
            .iter()
            .map(|load| {
                let rate = match &load.style {
                    LoadStyle::Open { rate, .. } => {
                        (load.curve.as_ref()).map_or(rate.as_f64(), RateCurve::peak)
                    }
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
        let used: BTreeSet<u32> = self.calls.keys().map(|(_, to)| *to).collect();
        used.into_iter()
    }
}

/// How important such requests are to an application: the position of the header's value.
fn level(builder: &Builder<'_>, app: u32, class: &RequestClass) -> u8 {
    let Some(priority) = &builder.behaviour(app).priority else {
        return 0;
    };
    let value = class.headers.get(&priority.header);
    let levels = &mut priority.levels.iter();
    let found = value.and_then(|value| levels.position(|level| *level.value == *value));
    found.unwrap_or(priority.default) as u8
}
