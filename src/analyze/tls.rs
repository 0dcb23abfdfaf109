//! Certificates: `IST0128` and `IST0129` servers that nobody verifies, `IST0138` one certificate in
//! two Gateways, `IST0161` and `IST0101` the Secret of a Gateway (`analyzers/destinationrule`,
//! `analyzers/gateway/certificate.go`, `secret.go`).

use super::{Context, selects};
use crate::config::istio::{DestinationRule, Gateway, ServerTls, TlsMode, TlsSettings};
use crate::diagnostic::{Diagnostic, nearest};

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    for rule in &context.config.destination_rules {
        unverified(context, rule, found);
    }
    for gateway in &context.config.gateways {
        duplicates(context, gateway, found);
        secrets(context, gateway, found);
    }
}

/// `IST0128` and `IST0129`; subsets are not looked at, as in Istio.
fn unverified(context: &Context<'_>, rule: &DestinationRule, found: &mut Vec<Diagnostic>) {
    let Some(policy) = &rule.policy else { return };
    let is_bare = |tls: &&TlsSettings| {
        let asks = matches!(tls.mode, TlsMode::Simple | TlsMode::Mutual);
        let named = tls.has_credential_name && rule.workload_selector.is_some();
        asks && !tls.has_ca && !named
    };
    // Istio 1.21 and later fall back to the authorities of the proxy's image.
    let effect = if context.config.version.at_least(21) {
        "only public authorities are trusted, and requests to a server whose certificate is signed by your own get 503 UF"
    } else {
        "the proxy takes any certificate for the server's"
    };
    let help = "write `caCertificates`, a file in the proxy's container";
    if let Some(tls) = policy.tls.as_ref().filter(is_bare) {
        let message = format!("TLS to `{}` has no `caCertificates`: {effect}", rule.host);
        found.push(context.say("IST0128", tls.origin, message, help));
    }
    for port in &policy.ports {
        if let Some(tls) = port.policy.tls.as_ref().filter(is_bare) {
            let message = format!(
                "TLS to port {} of `{}` has no `caCertificates`: {effect}",
                port.port, rule.host
            );
            found.push(context.say("IST0129", tls.origin, message, help));
        }
    }
}

/// `IST0138`: other Gateways of the same pods with a certificate of this one.
fn duplicates(context: &Context<'_>, gateway: &Gateway, found: &mut Vec<Diagnostic>) {
    let others = context.config.gateways.iter();
    let others = others.filter(|other| other.meta.origin != gateway.meta.origin);
    for other in others.filter(|other| selects(&gateway.selector, &other.selector)) {
        for server in &gateway.servers {
            let Some(tls) = &server.tls else { continue };
            let theirs = other.servers.iter().filter_map(|s| s.tls.as_ref());
            if !theirs.into_iter().any(|their| is_same(tls, their)) {
                continue;
            }
            let message = format!(
                "{} has the same certificate for the same pods: a browser that holds an HTTP/2 connection to one of their hosts asks for the other's on it, and gets 404",
                context.config.origins.describe(other.meta.origin)
            );
            let help = "put the hosts of one certificate into one Gateway, or give each a certificate of its own";
            found.push(context.say("IST0138", server.origin, message, help));
        }
    }
}

fn is_same(one: &ServerTls, other: &ServerTls) -> bool {
    let named = |tls: &ServerTls| !tls.credential_name.is_empty();
    let in_files = |tls: &ServerTls| !tls.files.0.is_empty() && !tls.files.1.is_empty();
    match (named(one), named(other)) {
        (true, true) => one.credential_name == other.credential_name,
        (false, false) => in_files(one) && one.files == other.files,
        _ => false,
    }
}

/// `IST0161`, and `IST0101` where Secrets of the gateway's namespace were read and this one was not.
fn secrets(context: &Context<'_>, gateway: &Gateway, found: &mut Vec<Diagnostic>) {
    let mut workloads = context.snapshot.workloads.iter();
    // The Secret is looked for beside the pods, not beside the Gateway.
    let Some(pod) = workloads.find(|w| selects(&gateway.selector, &w.labels)) else {
        return;
    };
    let here: Vec<_> = (context.config.aside.secrets.iter())
        .filter(|secret| secret.meta.namespace == pod.namespace)
        .collect();
    for server in &gateway.servers {
        let name = server.tls.as_ref().map(|tls| &tls.credential_name);
        let Some(name) = name.filter(|name| !name.is_empty() && !here.is_empty()) else {
            continue;
        };
        let closed = format!(
            "port {} ends no TLS handshake for its hosts",
            server.port.number
        );
        match here.iter().find(|secret| secret.meta.name == *name) {
            None => {
                let message = format!(
                    "there is no Secret `{name}` in `{}`, where the gateway's pods are: {closed}",
                    pod.namespace
                );
                let near = nearest(name, here.iter().map(|secret| &*secret.meta.name));
                let help = near.map_or_else(
                    || format!("create it in `{}`", pod.namespace),
                    |near| format!("did you mean `{near}`?"),
                );
                found.push(context.say("IST0101", server.origin, message, &help));
            }
            Some(secret) => {
                let Some(problem) = &secret.problem else {
                    continue;
                };
                let message = format!("the Secret `{name}` cannot be used, {problem}: {closed}");
                let help = format!(
                    "`kubectl create secret tls {name} --cert=… --key=… -n {}`",
                    pod.namespace
                );
                found.push(context.say("IST0161", server.origin, message, &help));
            }
        }
    }
}
