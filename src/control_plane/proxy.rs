//! Classes of proxies that are told the same.

use std::collections::BTreeMap;

use super::destination_rule::DestinationRules;
use super::push_context::PushContext;
use super::sidecar_scope;
use super::virtual_service::source_selectors;
use crate::config::selector::selects;
use crate::xds::{Name, ProxyKind, WorkloadId};

/// The first workload of a class stands for all of them.
#[derive(Clone, Debug)]
pub(super) struct Proxy<'a> {
    pub(super) kind: ProxyKind,
    pub(super) namespace: &'a Name,
    pub(super) labels: &'a BTreeMap<Name, Name>,
    pub(super) workload: WorkloadId,
    /// Index of the Sidecar object that applies.
    pub(super) sidecar: Option<usize>,
    /// Positions of the EnvoyFilters that apply.
    pub(super) filters: Vec<usize>,
}

impl Proxy<'_> {
    /// True for gateways.
    pub(super) fn is_gateway(&self) -> bool {
        self.kind == ProxyKind::Gateway
    }
}

/// The classes in the order of their first workload, each with its workloads.
pub(super) fn classes<'p>(push: &'p PushContext<'_>) -> Vec<(Proxy<'p>, Vec<WorkloadId>)> {
    let source = source_selectors(&push.virtual_services);
    let mut rule_selectors: BTreeMap<&Name, Vec<&BTreeMap<Name, Name>>> = BTreeMap::new();
    let mut at: BTreeMap<_, usize> = BTreeMap::new();
    let mut classes: Vec<(Proxy<'p>, Vec<WorkloadId>)> = Vec::new();
    for (id, workload) in push.fleet.workloads.iter_ids() {
        if workload.proxy == ProxyKind::None {
            continue;
        }
        let own = (rule_selectors.entry(&workload.namespace))
            .or_insert_with(|| DestinationRules::selectors(push.config, &workload.namespace));
        let selectors = source.iter().chain(own.iter());
        let fits: Vec<bool> = selectors.map(|s| selects(s, &workload.labels)).collect();
        let gateway = workload.proxy == ProxyKind::Gateway;
        let sidecar = (!gateway)
            .then(|| sidecar_scope::pick(push.config, &workload.namespace, &workload.labels))
            .flatten();
        // Servers and their ports depend on the gateway's own labels and Services.
        let alone = gateway.then_some(id);
        let filters = (push.envoy_filters).of_proxy(&workload.namespace, &workload.labels);
        let key = (&workload.namespace, sidecar, alone, fits, filters.clone());
        if let Some(class) = at.get(&key) {
            classes[*class].1.push(id);
            continue;
        }
        at.insert(key, classes.len());
        let proxy = Proxy {
            kind: workload.proxy,
            namespace: &workload.namespace,
            labels: &workload.labels,
            workload: id,
            sidecar,
            filters,
        };
        classes.push((proxy, vec![id]));
    }
    classes
}
