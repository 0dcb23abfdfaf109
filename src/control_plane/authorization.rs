//! AuthorizationPolicies of a workload port (`pilot/pkg/security/authz`, `pilot/pkg/model/authorization.go`).

use std::collections::BTreeMap;

use crate::config::MeshConfig;
use crate::config::istio::{AuthorizationAction, AuthorizationPolicy, AuthorizationRule};
use crate::config::selector::{is_everything, selects};
use crate::xds::Name;
use crate::xds::listener::{Authorization, Operation, Policy, Rule};

/// The policies that apply; root namespace first, each oldest first.
pub(super) fn of_workload(
    config: &MeshConfig,
    namespace: &Name,
    labels: &BTreeMap<Name, Name>,
    is_tcp: bool,
) -> Authorization {
    let root = &config.mesh.root_namespace;
    let mut policies: Vec<&AuthorizationPolicy> = (config.authorization_policies.iter())
        .filter(|p| p.meta.namespace == *root || p.meta.namespace == *namespace)
        .filter(|p| !p.is_dry_run())
        .filter(|p| {
            is_everything(p.selector.as_ref())
                || p.selector.as_ref().is_some_and(|s| selects(s, labels))
        })
        .collect();
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
    let mut operations = rule.operations.clone();
    if is_tcp && operations.iter().any(has_http) {
        if allow {
            return None;
        }
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
        has_unsupported_conditions: !rule.unsupported.is_empty(),
    })
}
