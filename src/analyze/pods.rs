//! Pods whose template keeps the sidecar from its work: `IST0144` the application runs as the proxy's
//! own user (`analyzers/deployment/pod.go`), `IST0125` annotations that the injector cannot read
//! (`analyzers/annotations`, `pkg/kube/inject/validate.go`).

use std::net::IpAddr;

use super::Context;
use crate::config::Meta;
use crate::config::k8s::PodTemplateOwner;
use crate::control_plane::is_system;
use crate::diagnostic::Diagnostic;
use crate::manifest::{Node, Value, read_nested};

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    let owners = context.config.workloads.iter();
    for owner in owners.filter(|owner| !is_system(&owner.meta.namespace)) {
        found.extend(proxy_user(context, owner));
        annotations(context, owner, found);
    }
}

/// `IST0144`. A gateway's pod is the proxy, and may run as its user.
fn proxy_user(context: &Context<'_>, owner: &PodTemplateOwner) -> Option<Diagnostic> {
    let origin = owner.notes.runs_as_proxy?;
    if owner.is_gateway || is_control_plane(&owner.meta) {
        return None;
    }
    let message = "the application runs as user 1337, the sidecar's own: what it sends is never captured, so no route, retry or mTLS of Istio holds for it".to_owned();
    let help = "run it as any other user";
    Some(context.say("IST0144", origin, message, help))
}

/// What Istio itself installed (`util.IsIstioControlPlane`).
pub(super) fn is_control_plane(meta: &Meta) -> bool {
    let release = meta.labels.get("release");
    meta.labels.contains_key("istio") || release.is_some_and(|name| &**name == "istio")
}

/// `IST0125`: one wrong value, and the injector refuses the pod.
fn annotations(context: &Context<'_>, owner: &PodTemplateOwner, found: &mut Vec<Diagnostic>) {
    for (key, value) in &owner.annotations {
        let Some(wrong) = wrong_value(key, value) else {
            continue;
        };
        let origin = owner.notes.annotations.get(key);
        let message = format!(
            "the annotation `{key}` has `{}`, which is {wrong}: the injector refuses the pod, and it is never created",
            value.trim()
        );
        let help = "correct the value, or leave the annotation out";
        let origin = origin.copied().unwrap_or(owner.meta.origin);
        found.push(context.say("IST0125", origin, message, help));
    }
}

/// What is wrong with the value of an annotation that the injector reads.
fn wrong_value(key: &str, value: &str) -> Option<&'static str> {
    let is_unsigned = value.parse::<u32>().is_ok();
    let is_port = |text: &str| text.trim().parse::<u16>().is_ok();
    let are_ports = value.trim().is_empty() || value.trim().split(',').all(is_port);
    let are_ranges = value.is_empty() || value.split(',').all(is_range);
    let (ok, otherwise) = match key {
        "sidecar.istio.io/interceptionMode" => (
            matches!(value, "REDIRECT" | "TPROXY" | "NONE"),
            "none of REDIRECT, TPROXY and NONE",
        ),
        "status.sidecar.istio.io/port" => (is_port(value), "no port"),
        "readiness.status.sidecar.istio.io/initialDelaySeconds"
        | "readiness.status.sidecar.istio.io/periodSeconds"
        | "readiness.status.sidecar.istio.io/failureThreshold" => (is_unsigned, "no number"),
        "traffic.sidecar.istio.io/includeOutboundIPRanges" => {
            (value == "*" || are_ranges, "no list of CIDRs")
        }
        "traffic.sidecar.istio.io/excludeOutboundIPRanges" => (are_ranges, "no list of CIDRs"),
        "traffic.sidecar.istio.io/includeInboundPorts" => {
            (value == "*" || are_ports, "no list of ports")
        }
        "traffic.sidecar.istio.io/excludeInboundPorts"
        | "traffic.sidecar.istio.io/excludeOutboundPorts" => (are_ports, "no list of ports"),
        "sidecar.istio.io/proxyCPU"
        | "sidecar.istio.io/proxyCPULimit"
        | "sidecar.istio.io/proxyMemory"
        | "sidecar.istio.io/proxyMemoryLimit" => (is_quantity(value), "no quantity of Kubernetes"),
        "proxy.istio.io/config" => (is_proxy_config(value), "no configuration of a proxy"),
        _ => return None,
    };
    (!ok).then_some(otherwise)
}

fn is_range(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else {
        return false;
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        return false;
    };
    let longest = if address.is_ipv4() { 32 } else { 128 };
    length.parse::<u8>().is_ok_and(|length| length <= longest)
}

/// `100m`, `1.5`, `128Mi`, `1e3` (`resource.ParseQuantity`).
fn is_quantity(text: &str) -> bool {
    const SUFFIXES: [&str; 16] = [
        "", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei",
    ];
    let digits = text.trim_start_matches(['+', '-']);
    let end = digits
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(digits.len());
    let (number, suffix) = digits.split_at(end);
    let exponent = suffix.strip_prefix(['e', 'E']);
    let known = SUFFIXES.contains(&suffix) || exponent.is_some_and(|e| e.parse::<i8>().is_ok());
    digits.len() + 1 >= text.len() && known && number.parse::<f64>().is_ok()
}

/// A mapping, and numbers and times where the fields that matter for traffic want them.
fn is_proxy_config(text: &str) -> bool {
    let node = Node {
        value: Value::text(text),
        line: 1,
        column: 1,
    };
    let (documents, problems) = read_nested(&"".into(), &node, None);
    let Some(root) = documents.first().map(|document| &document.root) else {
        return problems.is_empty();
    };
    let is_mapping = root.is_null() || matches!(root.value, Value::Mapping(_));
    let reads = |key: &str, fits: fn(&str) -> bool| {
        let written = root.get(key).and_then(|node| node.value.scalar_text());
        written.is_none_or(|text| fits(&text))
    };
    let is_time = |text: &str| text.parse::<crate::units::SimDuration>().is_ok();
    problems.is_empty()
        && is_mapping
        && reads("concurrency", |text| text.parse::<u32>().is_ok())
        && reads("drainDuration", is_time)
        && reads("terminationDrainDuration", is_time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_judged_as_the_injector_does() {
        let ports = "traffic.sidecar.istio.io/excludeOutboundPorts";
        let ranges = "traffic.sidecar.istio.io/includeOutboundIPRanges";
        let cpu = "sidecar.istio.io/proxyCPU";
        let config = "proxy.istio.io/config";
        let good = [
            (ports, ""),
            (ports, "9042, 7000"),
            (ranges, "*"),
            (ranges, "10.0.0.0/8,fd00::/16"),
            (cpu, "100m"),
            (cpu, "1.5"),
            (cpu, "1e3"),
            (config, "concurrency: 4\nterminationDrainDuration: 30s"),
            (config, ""),
            ("sidecar.istio.io/interceptionMode", "TPROXY"),
            ("example.com/other", "anything"),
        ];
        for (key, value) in good {
            assert_eq!(wrong_value(key, value), None, "{key}: {value}");
        }
        let bad = [
            (ports, "9042;7000"),
            (ports, "70000"),
            (ranges, "10.0.0.0"),
            (ranges, "10.0.0.0/33"),
            (cpu, "two"),
            (cpu, "--1"),
            (cpu, "1q"),
            (config, "- a list"),
            (config, "concurrency: many"),
            (config, "{"),
            ("sidecar.istio.io/interceptionMode", "tproxy"),
            ("readiness.status.sidecar.istio.io/periodSeconds", "2s"),
        ];
        for (key, value) in bad {
            assert!(wrong_value(key, value).is_some(), "{key}: {value}");
        }
    }
}
