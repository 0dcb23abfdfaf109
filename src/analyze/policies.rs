//! `IST0127`: AuthorizationPolicies that select nobody, and `IST0101` for namespaces that they name
//! (`analyzers/authz/authorizationpolicies.go`); `IST0166`: policies that select pods of the Gateway
//! API (`analyzers/k8sgateway/workloadselector.go`).

use std::collections::BTreeMap;

use super::{Context, selects};
use crate::config::istio::AuthorizationPolicy;
use crate::diagnostic::Diagnostic;
use crate::units::Origin;
use crate::xds::{Name, ProxyKind};

/// Label of the pods of a Gateway of the Gateway API.
const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    for policy in &context.config.authorization_policies {
        sources(context, policy, found);
        let selector = policy.selector.as_ref().filter(|_| !policy.has_target);
        let (kind, place) = (
            "AuthorizationPolicy",
            (&policy.meta.namespace, policy.meta.origin),
        );
        found.extend(selector.and_then(|labels| ineffective(context, kind, place, labels)));
        if policy.has_target {
            continue;
        }
        let everywhere = *policy.meta.namespace == *context.config.mesh.root_namespace;
        let mut workloads = context.snapshot.workloads.iter();
        let any = workloads.any(|w| {
            let here = everywhere || w.namespace == policy.meta.namespace;
            let fits = policy
                .selector
                .as_ref()
                .is_none_or(|s| selects(s, &w.labels));
            here && fits && w.proxy != ProxyKind::None
        });
        if any {
            continue;
        }
        let whom = match &policy.selector {
            Some(selector) if !selector.is_empty() => {
                let labels: Vec<String> =
                    selector.iter().map(|(k, v)| format!("{k}={v}")).collect();
                format!(
                    "no pod with a proxy has {} in `{}`",
                    labels.join(","),
                    policy.meta.namespace
                )
            }
            _ => format!("no pod of `{}` has a proxy", policy.meta.namespace),
        };
        let message = format!("{whom}: it protects nothing");
        let help = "compare its selector with the labels of the pods, and with their injection";
        found.push(context.say("IST0127", policy.meta.origin, message, help));
    }
    for kind in ["RequestAuthentication", "Telemetry", "WasmPlugin"] {
        for policy in context.policies(kind).filter(|policy| !policy.has_target) {
            let place = (&policy.meta.namespace, policy.meta.origin);
            let selector = policy.selector.as_ref();
            found.extend(selector.and_then(|labels| ineffective(context, kind, place, labels)));
        }
    }
}

/// `IST0166`: pods of the Gateway API listen to `targetRefs` only.
fn ineffective(
    context: &Context<'_>,
    kind: &str,
    (namespace, origin): (&Name, Origin),
    selector: &BTreeMap<Name, Name>,
) -> Option<Diagnostic> {
    let mut workloads = context.snapshot.workloads.iter();
    let gateway = workloads.find_map(|w| {
        let gateway = w.labels.get(GATEWAY_NAME)?;
        (w.namespace == *namespace && selects(selector, &w.labels)).then_some(gateway)
    })?;
    let message = format!(
        "it selects pods of the Gateway `{gateway}`, which take no policy by a selector: the {kind} does not hold there"
    );
    let help = format!(
        "write `targetRefs: [{{group: gateway.networking.k8s.io, kind: Gateway, name: {gateway}}}]` in place of the selector"
    );
    Some(context.say("IST0166", origin, message, &help))
}

/// Namespaces that a rule names have to exist, where Namespaces were read at all.
fn sources(context: &Context<'_>, policy: &AuthorizationPolicy, found: &mut Vec<Diagnostic>) {
    let known = &context.config.namespaces;
    if known.is_empty() {
        return;
    }
    let fits =
        |pattern: &str, name: &str| match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
            (Some(end), _) => name.ends_with(end),
            (None, Some(begin)) => name.starts_with(begin),
            (None, None) => name == pattern,
        };
    for rule in &policy.rules {
        for named in
            (rule.sources.iter()).flat_map(|s| s.namespaces.0.iter().chain(&s.namespaces.1))
        {
            if known
                .iter()
                .any(|namespace| fits(named, &namespace.meta.name))
            {
                continue;
            }
            let message = format!("namespace `{named}` does not exist: nobody comes from there");
            let help = "correct the name, or add the Namespace to what is read";
            found.push(context.say("IST0101", rule.origin, message, help));
        }
    }
}
