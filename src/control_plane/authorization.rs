//! AuthorizationPolicies of a workload port (`pilot/pkg/security/authz`, `pilot/pkg/model/authorization.go`).

use std::collections::{BTreeMap, BTreeSet};

use crate::config::MeshConfig;
use crate::config::istio::{AuthorizationAction, AuthorizationPolicy, AuthorizationRule};
use crate::config::selector::{is_everything, selects};
use crate::units::IdVec;
use crate::xds::listener::{Attribute, Authorization, Condition, Operation, Policy, Rule};
use crate::xds::{Name, ProxyKind, Workload};

/// The policies that apply; root namespace first, each oldest first.
pub(super) fn of_workload(
    config: &MeshConfig,
    namespace: &Name,
    labels: &BTreeMap<Name, Name>,
    is_tcp: bool,
) -> Authorization {
    let root = &config.mesh.root_namespace;
    let mut policies: Vec<&AuthorizationPolicy> = applying(config, namespace, labels).collect();
    policies.sort_by_key(|p| (p.meta.namespace != *root, p.meta.age_key()));
    let mut found = Authorization::default();
    for policy in policies {
        match policy.action {
            AuthorizationAction::Allow => found.allow.push(translate(policy, is_tcp, true)),
            AuthorizationAction::Deny => found.deny.push(translate(policy, is_tcp, false)),
            // AUDIT never blocks; the external authorizer of CUSTOM is not simulated.
            AuthorizationAction::Audit | AuthorizationAction::Custom => {}
        }
    }
    found
}

/// Policies that are in force for pods with these labels.
fn applying<'a>(
    config: &'a MeshConfig,
    namespace: &'a Name,
    labels: &'a BTreeMap<Name, Name>,
) -> impl Iterator<Item = &'a AuthorizationPolicy> {
    let here = |p: &&AuthorizationPolicy| {
        p.meta.namespace == config.mesh.root_namespace || p.meta.namespace == *namespace
    };
    (config.authorization_policies.iter())
        .filter(here)
        .filter(|p| !p.has_target && !p.is_dry_run())
        .filter(|p| {
            is_everything(p.selector.as_ref())
                || p.selector.as_ref().is_some_and(|s| selects(s, labels))
        })
}

/// Policies that gateways would enforce, in words: only sidecars do so here.
pub(super) fn unenforced(config: &MeshConfig, workloads: &IdVec<Workload>) -> Option<String> {
    let blocks = |p: &&AuthorizationPolicy| {
        let action = p.action;
        matches!(
            action,
            AuthorizationAction::Allow | AuthorizationAction::Deny
        )
    };
    let gateways = workloads.iter().filter(|w| w.proxy == ProxyKind::Gateway);
    let names: BTreeSet<String> = gateways
        .flat_map(|w| applying(config, &w.namespace, &w.labels).filter(blocks))
        .map(|p| p.meta.full_name())
        .collect();
    (!names.is_empty()).then(|| {
        let names: Vec<String> = names.into_iter().collect();
        format!(
            "gateways let everything pass that AuthorizationPolicy {} would stop: only sidecars \
             enforce policies here",
            names.join(", ")
        )
    })
}

fn translate(policy: &AuthorizationPolicy, is_tcp: bool, allow: bool) -> Policy {
    let rules = policy.rules.iter();
    Policy {
        name: format!("ns[{}]-policy[{}]", policy.meta.namespace, policy.meta.name).into(),
        rules: rules
            .filter_map(|r| translate_rule(r, is_tcp, allow))
            .collect(),
        origin: policy.meta.origin,
    }
}

/// On TCP an ALLOW rule with HTTP fields is dropped, and a DENY rule denies without them.
fn translate_rule(rule: &AuthorizationRule, is_tcp: bool, allow: bool) -> Option<Rule> {
    let has_http = |o: &Operation| {
        let lists = [&o.hosts, &o.methods, &o.paths];
        lists
            .iter()
            .any(|(is, not)| !is.is_empty() || !not.is_empty())
    };
    let is_header = |c: &Condition| matches!(c.attribute, Attribute::Header(_));
    let mut operations = rule.operations.clone();
    let mut conditions = rule.conditions.clone();
    if is_tcp && (operations.iter().any(has_http) || conditions.iter().any(is_header)) {
        if allow {
            return None;
        }
        conditions.retain(|c| !is_header(c));
        for operation in &mut operations {
            *operation = Operation {
                ports: operation.ports.clone(),
                ..Operation::default()
            };
        }
    }
    Some(Rule {
        sources: rule.sources.clone(),
        operations,
        conditions,
        has_unsupported_conditions: !rule.unsupported.is_empty(),
    })
}
